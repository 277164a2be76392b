package card

import (
	"math/big"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// digits tells whether s is ASCII digits and nothing else.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// luhn tells whether the last digit is the check digit of ISO/IEC 7812.
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// gs1Check tells whether the last digit is the check digit of GS1's numbers, of any length.
func gs1Check(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			d *= 3
		}
		sum += d
	}
	return sum%10 == 0
}

// gtin tells whether s can be the number of an article: EAN-8, UPC-A, EAN-13 or GTIN-14.
func gtin(s string) bool {
	return (len(s) == 8 || len(s) == 12 || len(s) == 13 || len(s) == 14) && digits(s) && gs1Check(s)
}

func (r Range) holds(s string) bool {
	switch r.Check {
	case Luhn:
		return luhn(s)
	case EAN13:
		return gs1Check(s)
	}
	return true
}

// card looks s up in the ranges of service relation numbers, or in all others. ours tells whether it begins as one of
// our cards does, be it damaged.
func (d *Decoder) card(s string, whole, gsrn bool) (e Event, ours bool) {
	if !digits(s) {
		return reject(Unknown), false
	}
	e = reject(Length)
	for _, r := range d.cfg.Ranges {
		if r.gsrn() != gsrn || !strings.HasPrefix(s, r.Prefix) {
			continue
		}
		ours = true
		if len(s) != r.Length {
			continue
		}
		switch {
		case !r.holds(s):
			e.Reason = CheckDigit
		case r.Check == Unchecked && !whole:
			e.Reason = Unterminated
		default:
			kind := string(r.Check)
			if gsrn {
				kind = KindGSRN
			}
			return Event{Type: Card, Number: loyalty.CardNumber(s), Kind: kind}, true
		}
	}
	return e, ours
}

// number decides what a string of digits is.
func (d *Decoder) number(s string, f *frame) Event {
	if len(s) >= 6 && strings.Trim(s, s[:1]) == "" {
		return reject(Trivial)
	}
	e, ours := d.card(s, f.whole, false)
	switch {
	case e.Type == Card:
		return e
	case f.symbology == "" && len(s) == 14 && s[0] == '3' && pan(s): // Diners, and hardly ever a box of goods
		return reject(PaymentCard)
	case f.symbology == ean || gtin(s) && e.Reason != CheckDigit && (f.whole || !ours):
		return f.relay(ProductCode)
	case e.Reason != Length:
		return e
	}
	if bytes, ok := grant(s); ok {
		return Event{Type: Token, Kind: KindGrant, Payload: bytes}
	}
	if len(s) == len("8018")+18 && strings.HasPrefix(s, "8018") { // a scanner that strips FNC1
		if e, _ := d.card(s[4:], f.whole, true); e.Type == Card {
			e.Manner = GS1
			return e
		}
	}
	switch {
	case ours:
		return e
	case pan(s):
		return reject(PaymentCard)
	case d.cardLength(len(s)):
		return f.relay(Unknown)
	}
	return f.relay(Length)
}

func (d *Decoder) cardLength(n int) bool {
	for _, r := range d.cfg.Ranges {
		if r.Length == n && !r.gsrn() {
			return true
		}
	}
	return false
}

// The size of a grant's bytes: 86, or 87 with a five-byte count.
const (
	grantPrefix = "71"
	grantMin    = 86
	grantMax    = 87
)

// grant turns the digits of a signed QR into its bytes: the prefix 71, then one big-endian integer in decimal.
func grant(s string) ([]byte, bool) {
	// 86 bytes are 205 digits at least, 87 are 210 at most.
	if !strings.HasPrefix(s, grantPrefix) || len(s) < 205+2 || len(s) > 210+2 || s[2] == '0' {
		return nil, false
	}
	n, ok := new(big.Int).SetString(s[len(grantPrefix):], 10)
	if !ok {
		return nil, false
	}
	b := n.Bytes()
	return b, len(b) == grantMin || len(b) == grantMax
}

// pan tells whether s can be the number of a bank card: the length, an issuer's first digits, and Luhn. It would rather
// be wrong about a foreign loyalty card than let a bank card through.
func pan(s string) bool {
	if len(s) < 13 || len(s) > 19 || !luhn(s) {
		return false
	}
	if s[0] >= '2' && s[0] <= '6' {
		return true
	}
	for _, local := range []string{"8600", "9860", "9112"} { // Uzcard, Humo, Belkart
		if strings.HasPrefix(s, local) {
			return true
		}
	}
	return false
}

// holdsPAN tells whether a bank card's number is anywhere in the text, written with or without spaces or hyphens.
func holdsPAN(text string) bool {
	run := make([]byte, 0, 20)
	for i := 0; i <= len(text); i++ {
		var c byte
		if i < len(text) {
			c = text[i]
		}
		switch {
		case c >= '0' && c <= '9':
			if len(run) < cap(run) { // longer runs are no PAN
				run = append(run, c)
			}
		case (c == ' ' || c == '-') && len(run) > 0 && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
		default:
			if pan(string(run)) {
				return true
			}
			run = run[:0]
		}
	}
	return false
}
