package api

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Event is something that a counter should see at once: [Scan], [ScannerChanged], [LinkChanged] or
// [StatusChanged]. It is given to [Hub.Publish].
type Event interface {
	// describe gives the event's name in the stream, the counter it belongs to (empty: all) and its JSON body.
	describe() (name, counter string, body any)
}

// ScanOutcome is what became of a scan.
type ScanOutcome string

// The outcomes of a scan.
const (
	ScanCustomer ScanOutcome = "customer" // a card; Customer says what may be done
	ScanRefused  ScanOutcome = "refused"  // a card, but no customer: Refusal says why
	ScanReject   ScanOutcome = "reject"   // not a card of this network, or damaged: Reason says which
	ScanNoRead   ScanOutcome = "noread"   // the scanner said that it could not read
)

// Scan says that something was presented at a counter. Of a goods code, a bank card and noise only the reason is told. It is
// published again, with the same At, when newer word on the same scan has come.
type Scan struct {
	At       time.Time
	Counter  string
	Scanner  string
	Outcome  ScanOutcome
	Customer *Customer          // of ScanCustomer
	Card     loyalty.CardNumber // of ScanRefused, where it was a number
	Refusal  loyalty.Refusal    // of ScanRefused
	Reason   string             // of ScanReject: a short stable word such as "checksum"; never what was scanned
}

// ScannerChanged says that a scanner came or went.
type ScannerChanged struct{ Scanner Scanner }

// LinkChanged says that headquarters came into reach or went out of it.
type LinkChanged struct{ Link Link }

// saleChanged says that a sale was opened, closed or voided. The [Server] publishes it.
type saleChanged struct {
	counter string
	sale    saleBody
}

// refundMade says that a sale, or a part of it, was given back. The [Server] publishes it.
type refundMade struct {
	counter string
	refund  refundBody
}

// StatusChanged says that anything else in [Status] is worth fetching again: programme, clock, ledger.
type StatusChanged struct{}

func (e Scan) describe() (string, string, any) {
	b := scanBody{
		At: e.At, Counter: e.Counter, Scanner: e.Scanner, Outcome: string(e.Outcome), Reason: e.Reason,
		Refusal: refusalOrNil(e.Refusal), CardMasked: e.Card.String(),
	}
	if e.Customer != nil {
		c := customerBodyOf(*e.Customer)
		b.Customer, b.CardMasked = &c, c.CardMasked
	}
	return "scan", e.Counter, b
}

func (e ScannerChanged) describe() (string, string, any) {
	return "scanner", e.Scanner.Counter, scannerBodyOf(e.Scanner)
}

func (e LinkChanged) describe() (string, string, any) { return "hq", "", linkBodyOf(e.Link) }

func (e saleChanged) describe() (string, string, any) {
	return "sale", e.counter, saleEventBody{Counter: e.counter, Sale: e.sale}
}

func (e refundMade) describe() (string, string, any) {
	return "refund", e.counter, refundEventBody{Counter: e.counter, Refund: e.refund}
}

func (e StatusChanged) describe() (string, string, any) { return "status", "", statusEventBody{} }

// The bodies of the events, as the OpenAPI document shows them.

type scanBody struct {
	At         time.Time     `json:"at" doc:"Told again with the same moment, it is the same scan with newer word on the customer"`
	Counter    string        `json:"counter" doc:"The counter it was scanned at; empty: the station has only one"`
	Scanner    string        `json:"scanner,omitempty"`
	Outcome    string        `json:"outcome" enum:"customer,refused,reject,noread" doc:"customer: a card, see customer. refused: a card but no customer, see refusal. reject: not a card of this network, or damaged, see reason. noread: the scanner could not read"`
	Customer   *customerBody `json:"customer,omitempty"`
	CardMasked string        `json:"card_masked,omitempty"`
	Refusal    *refusalBody  `json:"refusal,omitempty"`
	Reason     string        `json:"reason,omitempty"`
}

type saleEventBody struct {
	Counter string   `json:"counter"`
	Sale    saleBody `json:"sale"`
}

type refundEventBody struct {
	Counter string     `json:"counter"`
	Refund  refundBody `json:"refund"`
}

type statusEventBody struct{}

type resetBody struct {
	Life string `json:"life" doc:"Names the life of the stream: another one after every start of the agent"`
}
