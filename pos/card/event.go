package card

import (
	"log/slog"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Type is what a frame turned out to be.
type Type string

// The types of an event.
const (
	Card   Type = "card"   // a loyalty card's number
	Token  Type = "token"  // something to be verified by others: a signed grant, a JWT, a rotating code
	Reject Type = "reject" // not for us, or damaged; Reason says which
	NoRead Type = "noread" // the scanner's own word for having read nothing
	Ignore Type = "ignore" // not a presentation: the scanner's protocol, a track that we do not use
	Dup    Type = "dup"    // the same card or token again within the dedupe window
)

// Reason says why a frame was rejected or ignored. The words are stable.
type Reason string

// The reasons.
const (
	TooLong      Reason = "too_long"     // no end within MaxLen bytes
	Unterminated Reason = "unterminated" // ended by silence, and nothing in it proves that it is whole
	Garbage      Reason = "garbage"      // no text: wrong baud rate or parity, or a bad cable
	Length       Reason = "length"       // digits, but of no card's length
	CheckDigit   Reason = "check_digit"  // a card's prefix and length, but misread or made up
	Trivial      Reason = "trivial"      // one digit repeated
	ProductCode  Reason = "product_code" // EAN, UPC or another code of goods
	GoodsMark    Reason = "goods_mark"   // a marking code of goods
	PaymentCard  Reason = "payment_card" // a bank card; nothing of it is kept
	Host         Reason = "host"         // a link to somebody else
	URLParam     Reason = "url_param"    // our link, without exactly one card parameter
	BadJSON      Reason = "bad_json"     // broken, or with the card twice
	NoAIM        Reason = "aim_id"       // no AIM identifier, where one is required
	Unknown      Reason = "unknown"      // none of these
	Protocol     Reason = "protocol"     // the scanner talking about itself
	Track1       Reason = "track1"       // a holder's name, which we do not want
	Track3       Reason = "track3"       // bank data, which we do not want
)

// Manner is how a card or token was presented.
type Manner string

// The manners.
const (
	Plain  Manner = "plain"  // bare digits or a bare token
	Link   Manner = "url"    // in a link of a configured host
	JSON   Manner = "json"   // in a JSON object
	Label  Manner = "label"  // after a word: "card: 7005..."
	Track2 Manner = "track2" // on a magnetic stripe
	GS1    Manner = "gs1"    // in a GS1 element string
)

// The kinds that need no configuration. A card's kind is the name of the [Check] that it passed, or KindGSRN.
const (
	KindGSRN  = "gsrn"  // card: a GS1 service relation number
	KindGrant = "grant" // token: the QR with a signed grant or live virtual card
	KindJWT   = "jwt"   // token
)

// Event is what a frame was. Only the fields of its type are set. Its String and LogValue mask the number and leave the
// payloads out, so that an event may be logged.
type Event struct {
	Type      Type
	Number    loyalty.CardNumber // card
	Kind      string             // card, token
	Reason    Reason             // reject, ignore
	Manner    Manner             // card, token
	AIM       string             // the AIM identifier, if there was one: "]C0"
	Symbology string             // what the AIM identifier says: "code128", "ean", "qr", "datamatrix", ...
	Charset   string             // how the text was read: "ascii", "utf-8", "cp1251"; empty: it was not
	Payload   []byte             // token: its bytes exactly; a grant's decoded bytes. The receiver owns it
	Relay     []byte             // for the register: the frame as it came; nil: not for the register. Shares the frame's bytes
}

// String is the event in a line, masked.
func (e Event) String() string {
	s := string(e.Type)
	for _, part := range []string{e.Number.String(), e.Kind, string(e.Reason)} {
		if part != "" {
			s += " " + part
		}
	}
	return s
}

// GoString masks as String does.
func (e Event) GoString() string { return e.String() }

// LogValue masks as String does.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }
