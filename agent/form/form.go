// Package form is the short form that a new customer fills in at the counter: who the card is given to. It is sealed to
// headquarters (age, X25519) before anything of it reaches a disk, and the station cannot read it back.
//
// It promises:
//   - a form is checked and bounded before it is sealed, and every error names the field and never what stands in it;
//   - a form never shows in a log: String, GoString, LogValue and MarshalText tell nothing of it;
//   - what [Seal] has sealed [Open] reads back as it was, with the identity of the key it was sealed to and no other, and
//     a single changed byte is found.
//
// It does not promise that a phone or an address exists, nor does it hide how long a form is to within [pad] bytes.
package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
)

// The errors of this package.
var (
	// ErrForm means that a form is not filled in as it must be; the message names the field, not its content.
	ErrForm = errors.New("form")
	// ErrKey means that a key is not one of age's X25519 keys.
	ErrKey = errors.New("key of the forms")
	// ErrSealed means that sealed bytes cannot be read: they were sealed to another key, changed, or are no form.
	ErrSealed = errors.New("sealed form")
)

// MaxSealed bounds a sealed form, in bytes.
const MaxSealed = 8 << 10

// The bounds of a form's fields, in bytes.
const (
	MaxName    = 200
	MaxEmail   = 254
	MaxVersion = 64
)

// pad is what the text of a form is filled up to before it is sealed, so that its length tells little of a name.
const pad = 256

// Form is what a new customer says. Name, Phone and Consent are required.
type Form struct {
	Name     string  `json:"name"`
	Phone    string  `json:"phone"`              // international: + and 7 to 15 digits
	Birth    string  `json:"birth,omitempty"`    // as 1990-12-31
	Email    string  `json:"email,omitempty"`    //
	Language string  `json:"language,omitempty"` // ru or en
	Consent  Consent `json:"consent"`
}

// Consent is what the customer has agreed to, and when: without it nobody may keep the form.
type Consent struct {
	Text    string    `json:"text"` // the version of the text that was agreed to, as "2026-03"
	GivenAt time.Time `json:"given_at"`
}

const masked = "(form)"

// String tells nothing.
func (Form) String() string { return masked }

// GoString tells nothing.
func (Form) GoString() string { return masked }

// Format tells nothing, whatever the verb.
func (Form) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue tells nothing.
func (Form) LogValue() slog.Value { return slog.StringValue(masked) }

// plain is a Form without its guards, for what is sealed.
type plain Form

// MarshalJSON tells nothing: a form leaves the program sealed or not at all.
func (Form) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// Check returns [ErrForm] unless the form is filled in. now is the present: nobody is born, and nobody has agreed, after
// it; a clock that is up to a day behind is forgiven.
func (f *Form) Check(now time.Time) error {
	latest := now.Add(24 * time.Hour)
	for _, err := range []error{
		line("name", f.Name, MaxName, true), phone(f.Phone), birth(f.Birth, latest), email(f.Email), language(f.Language),
		line("consent.text", f.Consent.Text, MaxVersion, true), given(f.Consent.GivenAt, latest),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func bad(field, why string) error { return fmt.Errorf("%w: %s: %s", ErrForm, field, why) }

// line is one line of text.
func line(field, s string, most int, required bool) error {
	switch {
	case s == "" && required:
		return bad(field, "is missing")
	case len(s) > most:
		return bad(field, fmt.Sprintf("is longer than %d bytes", most))
	case !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError): // what a decoder makes of bytes that are none
		return bad(field, "is not UTF-8")
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return bad(field, "has a character that cannot be printed")
	case strings.TrimSpace(s) != s:
		return bad(field, "begins or ends with a space")
	}
	return nil
}

func phone(s string) error {
	digits, ok := strings.CutPrefix(s, "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return bad("phone", "write + and 7 to 15 digits, as +79991234567")
	}
	return nil
}

func birth(s string, latest time.Time) error {
	if s == "" {
		return nil
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return bad("birth", "write it as 1990-12-31")
	}
	if day.Year() < 1900 || day.After(latest) {
		return bad("birth", "nobody was born then")
	}
	return nil
}

func email(s string) error {
	if s == "" {
		return nil
	}
	if err := line("email", s, MaxEmail, false); err != nil {
		return err
	}
	name, host, ok := strings.Cut(s, "@")
	if !ok || name == "" || !strings.Contains(strings.Trim(host, "."), ".") || strings.ContainsAny(s, " <>,;\"") || strings.Contains(host, "@") {
		return bad("email", "is not an address, as anna@example.com")
	}
	return nil
}

func language(s string) error {
	if s != "" && s != "ru" && s != "en" {
		return bad("language", "write ru or en")
	}
	return nil
}

func given(at, latest time.Time) error {
	switch {
	case at.IsZero():
		return bad("consent.given_at", "is missing")
	case at.Year() < 2000 || at.After(latest):
		return bad("consent.given_at", "was not given then")
	}
	return nil
}

// Key is the public key that forms are sealed to.
type Key struct{ recipient *age.X25519Recipient }

// ParseKey reads a public key, age1 and 58 more characters. It returns [ErrKey] for anything else.
func ParseKey(s string) (Key, error) {
	if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(s)), "AGE-SECRET-KEY-") {
		return Key{}, fmt.Errorf("%w: this is the secret half, which no station may have. Take the other one: age-keygen -y FILE", ErrKey)
	}
	r, err := age.ParseX25519Recipient(s)
	if err != nil {
		return Key{}, fmt.Errorf("%w: want one that begins with age1, as age-keygen writes it: %w", ErrKey, err)
	}
	return Key{r}, nil
}

// String is the key, which is no secret.
func (k Key) String() string {
	if k.recipient == nil {
		return ""
	}
	return k.recipient.String()
}

// IsZero tells whether there is no key.
func (k Key) IsZero() bool { return k.recipient == nil }

// Seal checks a form and seals it, in at most [MaxSealed] bytes. Sealed again the same form gives other bytes. It returns
// [ErrForm] or [ErrKey].
func Seal(k Key, f *Form, now time.Time) ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("%w: there is none", ErrKey)
	}
	if err := f.Check(now); err != nil {
		return nil, err
	}
	text, err := json.Marshal(plain(*f))
	if err != nil { // a time beyond what RFC 3339 writes
		return nil, bad("consent.given_at", "was not given then")
	}
	text = append(text, bytes.Repeat([]byte{' '}, (pad-len(text)%pad)%pad)...)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, k.recipient)
	if err != nil {
		return nil, fmt.Errorf("seal the form: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("seal the form: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal the form: %w", err)
	}
	if out.Len() > MaxSealed {
		return nil, bad("all of it", fmt.Sprintf("is longer than %d bytes when sealed", MaxSealed))
	}
	return out.Bytes(), nil
}

// Identity is the secret half of a [Key]: whoever holds it reads the forms. It never shows in a log.
type Identity struct{ all []age.Identity }

// ParseIdentity reads identities as age-keygen writes them into a file: comments, and lines of AGE-SECRET-KEY-1 and so
// on. Several are tried in turn, so that a key can be changed. It returns [ErrKey] for anything else.
func ParseIdentity(file []byte) (Identity, error) {
	all, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil {
		// age's own message quotes the line, which may be a key with a letter missing.
		return Identity{}, fmt.Errorf("%w: want the file that age-keygen has written", ErrKey)
	}
	return Identity{all}, nil
}

// String tells nothing.
func (Identity) String() string { return "(identity)" }

// GoString tells nothing.
func (Identity) GoString() string { return "(identity)" }

// LogValue tells nothing.
func (Identity) LogValue() slog.Value { return slog.StringValue("(identity)") }

// Open reads a sealed form. It returns [ErrSealed] for what was sealed to another key, was changed, or is no form. The
// form is checked against no clock.
func Open(i Identity, sealed []byte) (Form, error) {
	if len(i.all) == 0 || len(sealed) > MaxSealed {
		return Form{}, fmt.Errorf("%w: %d bytes, at most %d, and an identity is needed", ErrSealed, len(sealed), MaxSealed)
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), i.all...)
	if err != nil {
		var other *age.NoIdentityMatchError
		if errors.As(err, &other) {
			return Form{}, fmt.Errorf("%w: it was sealed to another key", ErrSealed)
		}
		return Form{}, fmt.Errorf("%w: it has been changed, or is none", ErrSealed)
	}
	text, err := io.ReadAll(io.LimitReader(r, MaxSealed+1))
	if err != nil {
		return Form{}, fmt.Errorf("%w: it has been changed", ErrSealed)
	}
	var f plain
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&f); err != nil {
		return Form{}, fmt.Errorf("%w: there is no form in it", ErrSealed)
	}
	return Form(f), nil
}
