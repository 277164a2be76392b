package loyalty

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrScenario means that a scenario file is not valid.
var ErrScenario = errors.New("scenario")

// Scenario is a customer and what is sold to them one after the other: how a programme's terms are told so that they can
// be read by who wrote them, and checked. It is made by [ParseScenario].
type Scenario struct {
	Title     string // what it shows
	Terms     string // the sentence of the terms it is about; may be empty
	Programme string // the name of the programme it is written for; may be empty
	Station   StationID
	Card      Card
	Known     bool // the station knows the card
	Account   Account
	Sales     []ScenarioSale
}

// ScenarioSale is one receipt of a scenario, sold in one step with headquarters in reach.
type ScenarioSale struct {
	At      Instant
	Receipt Receipt
	Redeem  Points
	Expect  Expect
}

// Expect is what a sale is expected to give. What is nil or empty is not looked at.
type Expect struct {
	Refusal   Refusal
	Earn      *Points
	MaxRedeem *Points
	Discount  *Kopecks
	Pay       *Kopecks
	Total     *Points // on the account afterwards
	Available *Points
	Lines     []Kopecks
	LineEarn  []Points
	Lots      []Lot
	Reasons   []Refusal // exactly these; an empty list that is not nil: none
	Tier      string    // the title afterwards, in either language
	Need      *int64    // to the next level: millilitres or kopecks
}

// Outcome is what a sale of a scenario gave.
type Outcome struct {
	Quote   Quote
	Refusal Refusal // instead of all the rest
	Detail  string  // of it, for whoever has made the receipt
	Body    Body    // what the journal says of it
	Total   Points
	Avail   Points
	Wrong   []string // what is not as expected
}

// Run sells the scenario's receipts under a programme, each to the account as the ones before have left it. The error is
// of a receipt that fails without being refused.
func (s *Scenario) Run(p *Programme) ([]Outcome, error) {
	b := Books{
		Station: s.Station, Programme: p, Card: s.Card, Known: s.Known, Explain: true,
		Local: Local{Snapshot: Snapshot{Account: s.Account.Clone(), Version: 1, Epoch: 1}},
		Cell:  Cell{Issued: MaxAmount}, // headquarters would issue whatever the lots cover
	}
	if !s.Known {
		b.Card = Card{Number: s.Card.Number}
		b.Local.Snapshot.Account = Account{}
	}
	out := make([]Outcome, 0, len(s.Sales))
	for i := range s.Sales {
		sale := &s.Sales[i]
		b.Sale = nil
		r := &CloseRequest{Sale: SaleID(fmt.Sprintf("sale-%d", i+1)), Card: s.Card.Number, Receipt: sale.Receipt, Redeem: sale.Redeem}
		sold, body, err := b.Close(r, Place{Epoch: 1, Seq: Seq(i + 1), Op: NewOpID(sale.At, [10]byte{byte(i >> 8), byte(i)}), At: sale.At})
		var o Outcome
		if err != nil {
			code, ok := RefusalOf(err)
			if !ok {
				return nil, fmt.Errorf("sale %d: %w", i+1, err)
			}
			o.Refusal, o.Detail = code, err.Error()
		} else {
			o.Quote, o.Body, o.Total, o.Avail = sold.Quote, body, sold.Total, sold.Avail
		}
		o.Wrong = sale.Expect.wrong(&o)
		out = append(out, o)
	}
	return out, nil
}

// wrong is what is not as expected, each in a line.
func (x *Expect) wrong(o *Outcome) (wrong []string) {
	if x.Refusal != "" || o.Refusal != "" {
		if x.Refusal != o.Refusal {
			return []string{fmt.Sprintf("refusal: got %q, want %q", o.Refusal, x.Refusal)}
		}
		return nil
	}
	differ := func(what string, got, want any) {
		wrong = append(wrong, fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
	q := &o.Quote
	check(differ, "earn", q.Earn, x.Earn)
	check(differ, "most", q.MaxRedeem, x.MaxRedeem)
	check(differ, "discount", q.Discount, x.Discount)
	check(differ, "pay", q.Pay, x.Pay)
	check(differ, "total", o.Total, x.Total)
	check(differ, "available", o.Avail, x.Available)
	check(differ, "to_next", q.Progress.Need, x.Need)
	if x.Lines != nil && !slices.Equal(x.Lines, q.Lines) {
		differ("lines", q.Lines, x.Lines)
	}
	if x.LineEarn != nil && !slices.Equal(x.LineEarn, q.LineEarn) {
		differ("line_earn", q.LineEarn, x.LineEarn)
	}
	if lots := q.Booked(); x.Lots != nil && !slices.Equal(x.Lots, lots) {
		differ("lots", lots, x.Lots)
	}
	if x.Reasons != nil && !slices.Equal(sorted(x.Reasons), sorted(q.Reasons)) {
		differ("reasons", q.Reasons, x.Reasons)
	}
	if t := q.Progress.Tier; x.Tier != "" && x.Tier != t.RU && x.Tier != t.EN {
		differ("level", cmp.Or(t.EN, "none"), x.Tier)
	}
	return wrong
}

func check[T comparable](differ func(string, any, any), what string, got T, want *T) {
	if want != nil && got != *want {
		differ(what, got, *want)
	}
}

func sorted(r []Refusal) []Refusal { return slices.Sorted(slices.Values(r)) }

// scenarioProblems is what is wrong with a scenario file. It matches [ErrScenario], and as [ProgrammeProblems] holds the
// places.
type scenarioProblems struct{ ProgrammeProblems }

func (e scenarioProblems) Error() string {
	return ErrScenario.Error() + strings.TrimPrefix(e.ProgrammeProblems.Error(), ErrProgramme.Error())
}
func (e scenarioProblems) Is(target error) bool { return target == ErrScenario }
func (e scenarioProblems) Unwrap() error        { return e.ProgrammeProblems }

// Difference is what another programme changes for one sale of a scenario.
type Difference struct {
	Sale   int    `json:"sale,omitempty"` // from one; zero: of no sale in particular
	What   string `json:"what"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Compare sells the scenario under two programmes and tells what differs for the customer, sale by sale.
func (s *Scenario) Compare(before, after *Programme) ([]Difference, error) {
	a, err := s.Run(before)
	if err != nil {
		return nil, err
	}
	b, err := s.Run(after)
	if err != nil {
		return nil, err
	}
	var out []Difference
	for i := range a {
		x, y := a[i].faces(before), b[i].faces(after)
		for j := range x {
			if x[j] != y[j] {
				out = append(out, Difference{i + 1, faceNames[j], cmp.Or(x[j], "none"), cmp.Or(y[j], "none")})
			}
		}
	}
	return out, nil
}

var faceNames = []string{"refusal", "earn", "lots", "most to redeem", "discount", "to pay", "lines", "level", "reasons", "total", "available"}

// faces are what a customer sees of an outcome, in the order of faceNames.
func (o *Outcome) faces(p *Programme) []string {
	q := &o.Quote
	if o.Refusal != "" {
		return append([]string{string(o.Refusal)}, make([]string, len(faceNames)-1)...)
	}
	var lots, lines, reasons []string
	for _, l := range q.Booked() {
		lots = append(lots, l.Amount.String()+" from "+p.terms(l))
	}
	for _, l := range q.Lines {
		lines = append(lines, l.String())
	}
	for _, r := range sorted(q.Reasons) {
		reasons = append(reasons, string(r))
	}
	return []string{
		"", q.Earn.String(), strings.Join(lots, "; "), q.MaxRedeem.String(), q.Discount.String(), q.Pay.String(), strings.Join(lines, ", "),
		q.Progress.Tier.EN, strings.Join(reasons, ", "), o.Total.String(), o.Avail.String(),
	}
}
