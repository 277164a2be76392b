package form_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

var now = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

func filled() form.Form {
	return form.Form{
		Name: "Анна Сергеевна Кузнецова", Phone: "+79991234567", Birth: "1990-12-31", Email: "anna@example.com", Language: "ru",
		Consent: form.Consent{Text: "2026-03", GivenAt: now},
	}
}

func newKey(t testing.TB) (form.Key, form.Identity) {
	t.Helper()
	secret, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	k, err := form.ParseKey(secret.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	i, err := form.ParseIdentity([]byte("# created: 2026\n" + secret.String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k, i
}

// The bound is the domain's own, which this package may not import.
func TestBoundIsTheDomains(t *testing.T) {
	if form.MaxSealed != loyalty.MaxForm {
		t.Errorf("a sealed form takes %d bytes here, and %d in the journal", form.MaxSealed, loyalty.MaxForm)
	}
}

func TestSealAndOpen(t *testing.T) {
	k, id := newKey(t)
	f := filled()
	sealed, err := form.Seal(k, &f, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := form.Open(id, sealed)
	if err != nil || !equal(got, f) {
		t.Fatalf("read back %#v, %v", got.Name, err)
	}
	for _, secret := range []string{f.Name, f.Phone, f.Birth, f.Email} {
		if bytes.Contains(sealed, []byte(secret)) {
			t.Errorf("%q stands in the sealed form", secret)
		}
	}
	again, err := form.Seal(k, &f, now)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice, the same bytes came out (%v)", err)
	}
	short := form.Form{Name: "Я", Phone: "+7999123", Consent: f.Consent}
	s, err := form.Seal(k, &short, now)
	if err != nil || len(s) != len(sealed) {
		t.Errorf("a short name shows: %d bytes and %d (%v)", len(s), len(sealed), err)
	}
}

func equal(a, b form.Form) bool {
	return a.Name == b.Name && a.Phone == b.Phone && a.Birth == b.Birth && a.Email == b.Email && a.Language == b.Language &&
		a.Consent.Text == b.Consent.Text && a.Consent.GivenAt.Equal(b.Consent.GivenAt)
}

func TestOnlyTheKeysOwnerReads(t *testing.T) {
	k, id := newKey(t)
	_, other := newKey(t)
	f := filled()
	sealed, err := form.Seal(k, &f, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := form.Open(other, sealed); !errors.Is(err, form.ErrSealed) {
		t.Errorf("another key: %v", err)
	}
	if _, err := form.Open(form.Identity{}, sealed); !errors.Is(err, form.ErrSealed) {
		t.Errorf("no key: %v", err)
	}
	for i := range sealed {
		changed := slices.Clone(sealed)
		changed[i] ^= 1
		if _, err := form.Open(id, changed); !errors.Is(err, form.ErrSealed) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, len(sealed) / 2, len(sealed) - 1} {
		if _, err := form.Open(id, sealed[:n]); !errors.Is(err, form.ErrSealed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := form.Open(id, make([]byte, form.MaxSealed+1)); !errors.Is(err, form.ErrSealed) {
		t.Errorf("too long: %v", err)
	}
}

// What is as long as the bounds allow is never too long when sealed.
func TestFullestForm(t *testing.T) {
	k, id := newKey(t)
	f := form.Form{
		Name: strings.Repeat(`"`, form.MaxName), Phone: "+999999999999999", Birth: "1990-12-31",
		Email:    strings.Repeat("&", form.MaxEmail-len("@a.bc")) + "@a.bc",
		Language: "ru", Consent: form.Consent{Text: strings.Repeat("\\", form.MaxVersion), GivenAt: now.Add(123456789)},
	}
	sealed, err := form.Seal(k, &f, now)
	if err != nil || len(sealed) > form.MaxSealed {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
	if got, err := form.Open(id, sealed); err != nil || !equal(got, f) {
		t.Errorf("read back otherwise: %v", err)
	}
}

func TestCheck(t *testing.T) {
	change := func(f func(*form.Form)) form.Form {
		x := filled()
		f(&x)
		return x
	}
	good := map[string]form.Form{
		"all":                   filled(),
		"what is required":      change(func(f *form.Form) { f.Birth, f.Email, f.Language = "", "", "" }),
		"born today":            change(func(f *form.Form) { f.Birth = "2026-11-21" }),
		"markup is only text":   change(func(f *form.Form) { f.Name = "<script>alert(1)</script>" }),
		"agreed by a late hand": change(func(f *form.Form) { f.Consent.GivenAt = now.Add(23 * time.Hour) }),
	}
	for name, f := range good {
		if err := f.Check(now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := map[string]struct {
		form  form.Form
		field string
	}{
		"empty":              {form.Form{}, "name"},
		"no name":            {change(func(f *form.Form) { f.Name = "" }), "name"},
		"long name":          {change(func(f *form.Form) { f.Name = strings.Repeat("я", 101) }), "name"},
		"a line break":       {change(func(f *form.Form) { f.Name = "a\nb" }), "name"},
		"an escape":          {change(func(f *form.Form) { f.Name = "a\x1b[2Jb" }), "name"},
		"writes backwards":   {change(func(f *form.Form) { f.Name = "a\u202eb" }), "name"},
		"not UTF-8":          {change(func(f *form.Form) { f.Name = "a\xff" }), "name"},
		"was not UTF-8":      {change(func(f *form.Form) { f.Name = "a\ufffd" }), "name"},
		"only a space":       {change(func(f *form.Form) { f.Name = " " }), "name"},
		"local phone":        {change(func(f *form.Form) { f.Phone = "89991234567" }), "phone"},
		"phone with blanks":  {change(func(f *form.Form) { f.Phone = "+7 999 1234567" }), "phone"},
		"short phone":        {change(func(f *form.Form) { f.Phone = "+312345" }), "phone"},
		"long phone":         {change(func(f *form.Form) { f.Phone = "+7999123456789012" }), "phone"},
		"Arabic digits":      {change(func(f *form.Form) { f.Phone = "+٧٩٩٩١٢٣٤٥٦٧" }), "phone"},
		"no such day":        {change(func(f *form.Form) { f.Birth = "1990-02-30" }), "birth"},
		"the Russian way":    {change(func(f *form.Form) { f.Birth = "31.12.1990" }), "birth"},
		"not born yet":       {change(func(f *form.Form) { f.Birth = "2027-01-01" }), "birth"},
		"too old":            {change(func(f *form.Form) { f.Birth = "1899-12-31" }), "birth"},
		"no address":         {change(func(f *form.Form) { f.Email = "boris" }), "email"},
		"two signs":          {change(func(f *form.Form) { f.Email = "a@b@c.d" }), "email"},
		"two addresses":      {change(func(f *form.Form) { f.Email = "a@b.c,d@e.f" }), "email"},
		"long address":       {change(func(f *form.Form) { f.Email = strings.Repeat("a", 251) + "@b.c" }), "email"},
		"another language":   {change(func(f *form.Form) { f.Language = "de" }), "language"},
		"agreed to nothing":  {change(func(f *form.Form) { f.Consent.Text = "" }), "consent.text"},
		"never agreed":       {change(func(f *form.Form) { f.Consent.GivenAt = time.Time{} }), "consent.given_at"},
		"will agree":         {change(func(f *form.Form) { f.Consent.GivenAt = now.Add(25 * time.Hour) }), "consent.given_at"},
		"agreed long before": {change(func(f *form.Form) { f.Consent.GivenAt = time.Unix(0, 0) }), "consent.given_at"},
	}
	k, _ := newKey(t)
	for name, c := range bad {
		sealed, err := form.Seal(k, &c.form, now)
		if !errors.Is(err, form.ErrForm) || sealed != nil || !strings.HasPrefix(err.Error(), "form: "+c.field+": ") {
			t.Errorf("%s: %v, want an error of %s", name, err, c.field)
			continue
		}
		for _, secret := range []string{c.form.Name, c.form.Phone, c.form.Birth, c.form.Email} {
			if len(secret) > 3 && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error quotes the form: %v", name, err)
			}
		}
	}
}

func TestNothingShows(t *testing.T) {
	f := filled()
	_, id := newKey(t)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "form", f, "pointer", &f, "inside", struct{ F form.Form }{f}, "identity", id)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "form", f, "pointer", &f, "inside", struct{ F form.Form }{f}, "identity", id)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&log, verb+verb+verb, f, &f, []form.Form{f})
	}
	fmt.Fprintf(&log, "%v %+v %#v %s", id, id, id, id)
	b, err := json.Marshal(map[string]any{"f": f, "p": &f})
	if err != nil {
		t.Fatal(err)
	}
	log.Write(b)
	for _, secret := range []string{f.Name, "Анна", f.Phone, "9991234567", f.Birth, f.Email, "AGE-SECRET"} {
		if strings.Contains(log.String(), secret) || strings.Contains(log.String(), fmt.Sprintf("%x", secret)) {
			t.Errorf("%q shows: %s", secret, &log)
		}
	}
}

func TestKeys(t *testing.T) {
	k, _ := newKey(t)
	if again, err := form.ParseKey(k.String()); err != nil || again.String() != k.String() {
		t.Errorf("%v, %v", again, err)
	}
	secret, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"", "age1", k.String()[1:], k.String() + "q", strings.ToUpper(k.String()) + "x", secret.String()} {
		_, err := form.ParseKey(s)
		if !errors.Is(err, form.ErrKey) {
			t.Errorf("key %q: %v", s, err)
		} else if strings.Contains(err.Error(), secret.String()) {
			t.Errorf("the secret half is quoted: %v", err)
		}
	}
	for _, s := range []string{"", "# nothing", secret.String()[:40], secret.Recipient().String()} {
		if _, err := form.ParseIdentity([]byte(s)); !errors.Is(err, form.ErrKey) || strings.Contains(err.Error(), "AGE-SECRET") {
			t.Errorf("identity: %v", err)
		}
	}
	if _, err := form.Seal(form.Key{}, &form.Form{}, now); !errors.Is(err, form.ErrKey) {
		t.Errorf("no key: %v", err)
	}
}

// Any form is either refused, or sealed within the bound and read back as it was.
func TestSealedFormsAreReadBack(t *testing.T) {
	k, id := newKey(t)
	rapid.Check(t, func(t *rapid.T) {
		f := form.Form{
			Name:     rapid.String().Draw(t, "name"),
			Phone:    rapid.StringMatching(`\+?[0-9]{5,17}`).Draw(t, "phone"),
			Birth:    rapid.SampledFrom([]string{"", "1990-12-31", "2030-01-01", "x"}).Draw(t, "birth"),
			Email:    rapid.SampledFrom([]string{"", "a@b.c", "a@b", "ы@я.рф"}).Draw(t, "email"),
			Language: rapid.SampledFrom([]string{"", "ru", "en", "fr"}).Draw(t, "language"),
			Consent:  form.Consent{Text: "1", GivenAt: now.Add(-time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "ago")))},
		}
		sealed, err := form.Seal(k, &f, now)
		if (err == nil) != (f.Check(now) == nil) {
			t.Fatalf("sealed %v, checked %v", err, f.Check(now))
		}
		if err != nil {
			return
		}
		got, err := form.Open(id, sealed)
		if err != nil || !equal(got, f) || len(sealed) > form.MaxSealed {
			t.Fatalf("%d bytes, %v", len(sealed), err)
		}
	})
}

// FuzzOpen reads anything: an error, or a form.
func FuzzOpen(f *testing.F) {
	k, id := newKey(f)
	x := filled()
	sealed, err := form.Seal(k, &x, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:60])
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := form.Open(id, b); err != nil && !errors.Is(err, form.ErrSealed) {
			t.Errorf("%v", err)
		}
	})
}

// FuzzCheck fills in anything: what passes is sealed and read back.
func FuzzCheck(f *testing.F) {
	f.Add("Анна", "+79991234567", "1990-12-31", "a@b.c", "ru", "2026-03")
	f.Add("<b>", "+1234567", "", "", "", "\x00")
	k, id := newKey(f)
	f.Fuzz(func(t *testing.T, name, phone, birth, email, language, text string) {
		x := form.Form{Name: name, Phone: phone, Birth: birth, Email: email, Language: language, Consent: form.Consent{Text: text, GivenAt: now}}
		sealed, err := form.Seal(k, &x, now)
		if err != nil {
			if !errors.Is(err, form.ErrForm) {
				t.Errorf("%v", err)
			}
			return
		}
		if got, err := form.Open(id, sealed); err != nil || !equal(got, x) {
			t.Errorf("%v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k, _ := newKey(b)
	f := filled()
	for b.Loop() {
		if _, err := form.Seal(k, &f, now); err != nil {
			b.Fatal(err)
		}
	}
}
