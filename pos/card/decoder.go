package card

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// End says how a frame ended; the values are those of the scanner's framer.
type End string

// The ends of a frame.
const (
	EndTerminator End = "terminator"
	EndETX        End = "etx"
	EndGap        End = "gap"      // silence: the frame may be a piece
	EndOverflow   End = "overflow" // too long: Data is its beginning
)

// Frame is what a scanner sent between two ends.
type Frame struct {
	Data []byte // without envelope and terminator
	Raw  []byte // as it came over the wire, to be relayed; nil: Data
	End  End
}

// Decoder decides what frames are. It remembers only a digest of the last card or token, for the dedupe window. It may
// not be used by two goroutines at once; one Decoder serves one scanner.
type Decoder struct {
	cfg   Config
	last  [sha256.Size]byte
	seen  time.Time
	piece time.Time // when a card was cut by silence; zero: the frame before was none
}

// New returns a decoder, or [ErrConfig].
func New(cfg Config) (*Decoder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Decoder{cfg: cfg.withDefaults()}, nil
}

// Decode says what the frame is; false means that it is blank. now is when it came, from one clock for all frames.
func (d *Decoder) Decode(f Frame, now time.Time) (Event, bool) {
	e, ok := d.classify(f)
	if !ok {
		return e, false
	}
	d.dropRest(&e, f.End == EndGap, now)
	if (e.Type == Card || e.Type == Token) && d.repeated(e, now) {
		return Event{Type: Dup}, true
	}
	return e, true
}

// repeated tells whether the same was seen a moment ago. A card left in the scanner's view is seen on and on, and stays
// one presentation.
func (d *Decoder) repeated(e Event, now time.Time) bool {
	if d.cfg.Dedupe < 0 {
		return false
	}
	key := sha256.Sum256(slices.Concat([]byte(e.Kind), []byte{0}, []byte(e.Number), e.Payload))
	age := now.Sub(d.seen)
	dup := key == d.last && age >= 0 && age < d.cfg.Dedupe
	d.last, d.seen = key, now
	return dup
}

// dropRest keeps the second half of a card that a stall cut in two from being taken for goods by the register.
func (d *Decoder) dropRest(e *Event, gap bool, now time.Time) {
	cut := d.piece
	d.piece = time.Time{}
	if e.Reason != Length {
		return
	}
	if e.Relay == nil && gap {
		d.piece = now
	} else if !cut.IsZero() && now.Sub(cut) < DefaultDedupe {
		e.Relay = nil
	}
}

// frame is a frame on its way through the decoder.
type frame struct {
	raw       []byte
	body      []byte // without AIM identifier and escapes
	text      string // the body as text, untrimmed
	whole     bool   // an end was sent: it is no piece
	aim       string
	symbology string
	gs1       bool // the AIM identifier says that it is a GS1 element string
}

func reject(r Reason) Event { return Event{Type: Reject, Reason: r} }

// relay rejects the frame as none of ours and hands it to the register, unless a bank card's number is in it.
func (f *frame) relay(r Reason) Event {
	if r != ProductCode && r != GoodsMark && holdsPAN(f.text) {
		return reject(PaymentCard)
	}
	return Event{Type: Reject, Reason: r, Relay: f.raw}
}

func (d *Decoder) classify(in Frame) (Event, bool) {
	if in.End == EndOverflow || len(in.Data) > d.cfg.MaxLen {
		return reject(TooLong), true
	}
	// A line that was just opened likes to begin with zero bytes.
	body := bytes.TrimLeft(in.Data, "\x00")
	switch trimmed := bytes.Trim(body, " \t\r\n\x1d"); {
	case len(trimmed) == 0:
		return Event{}, false
	case protocol(trimmed):
		return Event{Type: Ignore, Reason: Protocol}, true
	case slices.Contains(d.cfg.NoRead, string(trimmed)):
		return Event{Type: NoRead}, true
	}
	f := &frame{raw: in.Raw, whole: in.End != EndGap || d.cfg.GapsOK}
	if f.raw == nil {
		f.raw = in.Data
	}
	charset := d.cfg.Charset
	if d.cfg.AIM != AIMNone {
		body = f.cutAIM(body)
		if f.eci() {
			body, charset = unescapeECI(body, charset)
		}
	}
	text, read, ok := decodeText(body, charset)
	if !ok {
		return reject(Garbage), true
	}
	f.body, f.text = body, text
	if d.cfg.AIM == AIMRequired && f.aim == "" {
		return f.relay(NoAIM), true
	}
	e := d.decodeText(f)
	e.AIM, e.Symbology, e.Charset = f.aim, f.symbology, read
	return e, true
}

// decodeText decides what a text is. The first form that fits wins; the more telling forms come first.
func (d *Decoder) decodeText(f *frame) Event {
	if e, ok := d.token(f); ok {
		return e
	}
	text := strings.TrimFunc(f.text, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
	if strings.HasPrefix(text, fnc1) || f.gs1 {
		return d.gs1(strings.TrimLeft(text, fnc1), f)
	}
	text = strings.Trim(text, fnc1)
	if e, ok := d.stripe(text, f); ok {
		return e
	}
	switch {
	case strings.HasPrefix(text, "{"):
		return d.json(text, f)
	case strings.Contains(text, "://"):
		return d.link(text, f)
	case goodsMark(text):
		return f.relay(GoodsMark)
	}
	if s := compact(text); digits(s) {
		e := d.number(s, f)
		if e.Manner == "" && (e.Type == Card || e.Type == Token) {
			e.Manner = Plain
		}
		return e
	}
	if s, ok := labelled(text); ok {
		if e := d.value(s, Label, f); e.Type != Reject || e.Reason == CheckDigit || e.Reason == PaymentCard {
			return e
		}
	}
	return f.relay(Unknown)
}

// value decides what a number is that something of ours, like a link, says is a card. It is never for the register.
func (d *Decoder) value(s string, m Manner, f *frame) Event {
	s = compact(s)
	if !digits(s) {
		return reject(Unknown)
	}
	e := d.number(s, f)
	if e.Type == Card || e.Type == Token {
		e.Manner = m
		return e
	}
	e.Relay = nil
	if e.Reason == ProductCode {
		e.Reason = Unknown
	}
	return e
}

// token recognises what others verify. It is data to the last space, whatever the charset.
func (d *Decoder) token(f *frame) (Event, bool) {
	text := strings.TrimLeft(f.text, "\r\n")
	kind := ""
	for _, t := range d.cfg.Tokens {
		if strings.HasPrefix(text, t) {
			kind = tokenKind(t)
			break
		}
	}
	if kind == "" && jwt(text) {
		kind = KindJWT
	}
	switch {
	case kind == "":
		return Event{}, false
	case !f.whole:
		return reject(Unterminated), true
	}
	return Event{Type: Token, Kind: kind, Manner: Plain, Payload: bytes.Clone(bytes.TrimLeft(f.body, "\r\n"))}, true
}

// tokenKind is what a family of tokens is called: a prefix that is a scheme, like "HC1:", by the scheme's name.
func tokenKind(prefix string) string {
	if scheme, ok := strings.CutSuffix(prefix, ":"); ok {
		return strings.ToLower(scheme)
	}
	return prefix
}

// jwt tells whether text has the form of a signed JSON Web Token: three base64url parts, a header with an algorithm.
func jwt(text string) bool {
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 || !strings.HasPrefix(text, "eyJ") {
		return false
	}
	for _, p := range parts[1:] {
		if p == "" {
			return false
		}
		if _, err := base64.RawURLEncoding.DecodeString(p); err != nil {
			return false
		}
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	var h struct {
		Alg string `json:"alg"`
	}
	return err == nil && json.Unmarshal(head, &h) == nil && h.Alg != ""
}

// protocol tells whether the bytes are the scanner talking about itself: a lone ACK or NAK, a reply to a setting.
func protocol(b []byte) bool {
	const (
		soh, enq, ack, bel, nak, syn = 0x01, 0x05, 0x06, 0x07, 0x15, 0x16
		signals                      = "\x05\x06\x07\x11\x13\x15\x16"
	)
	if b[0] == soh || b[0] == syn || len(bytes.Trim(b, signals)) == 0 {
		return true
	}
	// "BEPDFT\x06." is how some makers acknowledge a command.
	tail := b[max(0, len(b)-2):]
	return bytes.ContainsAny(tail, string([]byte{enq, ack, nak})) && bytes.IndexFunc(b, func(r rune) bool { return r > '~' }) < 0
}
