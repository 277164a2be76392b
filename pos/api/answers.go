package api

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// The bodies of answers about customers and sales.

// lotBody is points with the same terms.
type lotBody struct {
	Amount int64      `json:"amount_points_x100"`
	Active *time.Time `json:"active_from,omitempty" doc:"When they become spendable; absent: they were from the beginning"`
	Until  *time.Time `json:"expires,omitempty" doc:"The moment at which they are gone; absent: never"`
}

func lotBodies(lots []loyalty.Lot, zone *time.Location) []lotBody {
	out := make([]lotBody, len(lots))
	for i, l := range lots {
		out[i] = lotBody{int64(l.Amount), moment(l.ActiveFrom, zone), moment(l.Expires, zone)}
	}
	return out
}

// tierBody is where a customer stands among the programme's tiers.
type tierBody struct {
	Title *loyalty.Text `json:"title" doc:"Of the tier in force"`
	Next  *loyalty.Text `json:"next,omitempty" doc:"Of the one above; absent: there is none"`
	Unit  string        `json:"unit" enum:"litres,roubles" doc:"What the programme counts towards its tiers"`
	Have  int64         `json:"have" doc:"Counted so far: millilitres or kopecks"`
	Need  int64         `json:"need" doc:"Still missing to next: millilitres or kopecks; 0 where there is none"`
}

func tierBodyOf(p loyalty.Progress) *tierBody {
	if p == (loyalty.Progress{}) {
		return nil
	}
	b := &tierBody{Title: &p.Tier, Unit: "roubles", Have: p.Have, Need: p.Need}
	if p.Unit == loyalty.Fuel {
		b.Unit = "litres"
	}
	if p.Next != (loyalty.Text{}) {
		b.Next = &p.Next
	}
	return b
}

// promoBody is what became of a promo code.
type promoBody struct {
	Code    string       `json:"code"`
	Used    bool         `json:"used"`
	Refused *refusalBody `json:"refused,omitempty" doc:"Why it brings nothing; it stays good for another receipt"`
}

func promoBodies(q *loyalty.Quote, codes []string) []promoBody {
	out := make([]promoBody, len(codes))
	for i, c := range codes {
		out[i] = promoBody{Code: c, Used: true}
		if i < len(q.Promo) && q.Promo[i] != "" {
			out[i].Used, out[i].Refused = false, refusalOrNil(q.Promo[i])
		}
	}
	return out
}

type customerBody struct {
	Card         string       `json:"card"`
	CardMasked   string       `json:"card_masked" doc:"For screens and receipts"`
	Known        bool         `json:"known" doc:"false: headquarters has not told the station of this card yet"`
	Account      uint64       `json:"account,omitempty"`
	Kind         string       `json:"kind,omitempty" enum:"main,additional,virtual,staff"`
	CardState    string       `json:"card_state,omitempty" enum:"active,accrue_only,blocked,closed"`
	AccountState string       `json:"account_state,omitempty" enum:"active,accrue_only,blocked,closed"`
	Total        int64        `json:"total_points_x100" doc:"All live points, less the debt"`
	Available    int64        `json:"available_points_x100" doc:"Of them spendable: active and not promised elsewhere"`
	Redeemable   int64        `json:"redeemable_points_x100" doc:"Of them what can be redeemed at this moment, in the programme's steps: offline only the rights held by the station"`
	Accrue       *refusalBody `json:"accrue_refused,omitempty" doc:"Why nothing can be accrued; absent: it can"`
	Redeem       *refusalBody `json:"redeem_refused,omitempty" doc:"Why nothing can be redeemed; absent: it can, up to redeemable_points_x100"`
	Debt         int64        `json:"debt_points_x100" doc:"Points that a refund took back and that had been spent: what is earned next pays them first"`
	Tier         *tierBody    `json:"tier,omitempty" doc:"Absent: the programme has no tiers, or the account is not known"`
	Expiring     []lotBody    `json:"expiring" nullable:"false" doc:"What goes within 30 days unless it is redeemed, the first to go first"`
	Fresh        bool         `json:"fresh" doc:"Headquarters answered just now"`
	AsOf         *time.Time   `json:"as_of,omitempty" doc:"Headquarters' time of its newest word on the account"`
}

func customerBodyOf(c Customer) customerBody {
	b := customerBody{
		Card: string(c.Card), CardMasked: c.Card.String(), Known: c.Known, Account: uint64(c.Account),
		Total: int64(c.Total), Available: int64(c.Available), Redeemable: int64(c.Redeemable),
		Debt: int64(c.Debt), Tier: tierBodyOf(c.Tier), Expiring: lotBodies(c.Expiring, time.UTC),
		Accrue: refusalOrNil(c.Accrue), Redeem: refusalOrNil(c.Redeem), Fresh: c.Fresh, AsOf: moment(c.AsOf, time.UTC),
	}
	if c.Known {
		b.Kind, b.CardState, b.AccountState = c.Kind.String(), c.CardState.String(), c.AccountState.String()
	}
	return b
}

type quoteBody struct {
	Programme  uint32        `json:"programme_version"`
	Total      int64         `json:"total_kopecks" doc:"The receipt before points"`
	Redeem     int64         `json:"redeem_points_x100"`
	Discount   int64         `json:"discount_kopecks" doc:"What the points pay"`
	Lines      []int64       `json:"line_discounts_kopecks" nullable:"false" doc:"One for each line, in order; they add up to discount_kopecks exactly"`
	Form       string        `json:"fiscal_form" enum:"discount,counter_payment" doc:"What the points are to the fiscal register. discount: each line's price is reduced by its part of line_discounts_kopecks. counter_payment: prices stay, and discount_kopecks is a counter-payment"`
	Pay        int64         `json:"pay_kopecks" doc:"Left to pay with money"`
	Earn       int64         `json:"earn_points_x100"`
	LineEarn   []int64       `json:"line_earn_points_x100" nullable:"false" doc:"Of it, what each line earned, in order; they add up to earn_points_x100 exactly"`
	Earned     []lotBody     `json:"earned" nullable:"false" doc:"How the points are booked, each part with its own terms"`
	EarnActive *time.Time    `json:"earn_active_from,omitempty" doc:"When they become spendable; of several parts, that of the first in earned"`
	EarnUntil  *time.Time    `json:"earn_expires,omitempty" doc:"Absent: never"`
	MaxRedeem  int64         `json:"max_redeem_points_x100" doc:"The most that an open would accept now. No promise: nothing is reserved by asking"`
	Tier       *tierBody     `json:"tier,omitempty" doc:"Where the receipt brings the customer among the tiers; absent: the programme has none"`
	Promo      []promoBody   `json:"promo" nullable:"false" doc:"What became of each promo code of the receipt, in order"`
	Reasons    []refusalBody `json:"reasons" nullable:"false" doc:"Why max_redeem_points_x100 or earn_points_x100 is less than the receipt alone would allow. No refusal: the answer stands, also with not_enough where nothing was to be redeemed"`
}

func quoteBodyOf(q loyalty.Quote, promo []string, zone *time.Location) quoteBody {
	b := quoteBody{
		Programme: q.Programme, Form: q.Form.String(), Total: int64(q.Total), Redeem: int64(q.Redeem), Discount: int64(q.Discount),
		Lines: make([]int64, len(q.Lines)), Pay: int64(q.Pay), Earn: int64(q.Earn), MaxRedeem: int64(q.MaxRedeem),
		LineEarn: make([]int64, len(q.LineEarn)), Tier: tierBodyOf(q.Progress), Promo: promoBodies(&q, promo),
		Reasons: make([]refusalBody, len(q.Reasons)),
	}
	for i, l := range q.Lines {
		b.Lines[i] = int64(l)
	}
	for i, p := range q.LineEarn {
		b.LineEarn[i] = int64(p)
	}
	lots := q.Booked()
	b.Earned = lotBodies(lots, zone)
	if len(lots) > 0 { // of several the one that expires first
		b.EarnActive, b.EarnUntil = moment(lots[0].ActiveFrom, zone), moment(lots[0].Expires, zone)
	}
	for i, r := range q.Reasons {
		b.Reasons[i] = *refusalOrNil(r)
	}
	return b
}

type saleBody struct {
	ID          string       `json:"id"`
	State       string       `json:"state" enum:"open,closed,void"`
	Card        string       `json:"card"`
	CardMasked  string       `json:"card_masked"`
	Account     uint64       `json:"account,omitempty"`
	OpenedAt    *time.Time   `json:"opened_at,omitempty"`
	EndedAt     *time.Time   `json:"ended_at,omitempty"`
	Receipt     *receiptBody `json:"receipt,omitempty" doc:"As ordered while open, as really sold once closed. Left out, with what there is of each line, in lists and events"`
	Reserved    int64        `json:"reserved_points_x100" doc:"Points reserved when it was opened"`
	Quote       quoteBody    `json:"quote" doc:"As answered: of the order while open, of what was sold once closed"`
	Total       int64        `json:"total_points_x100" doc:"The customer's balance as answered"`
	Available   int64        `json:"available_points_x100"`
	Cashier     string       `json:"cashier,omitempty"`
	Shift       uint32       `json:"shift,omitempty"`
	Counter     string       `json:"counter,omitempty"`
	Refunds     []refundBody `json:"refunds,omitempty" nullable:"false" doc:"In the order they were made; left out in lists and events"`
	ReceiptText string       `json:"receipt_text" doc:"Russian, lines of at most 40 characters, all of them in code page 866; to be printed as it is"`
}

func saleBodyOf(s *loyalty.Sale, zone *time.Location) saleBody {
	b := saleBody{
		ID: string(s.ID), State: s.State.String(), Card: string(s.Card), CardMasked: s.Card.String(), Account: uint64(s.Account),
		OpenedAt: moment(s.OpenedAt, zone), EndedAt: moment(s.EndedAt, zone), Reserved: int64(s.Reserved),
		Quote: quoteBodyOf(s.Quote, promoOf(s), zone), Total: int64(s.Total), Available: int64(s.Avail), Cashier: s.Cashier, Shift: s.Shift,
		Counter: s.By().Counter, Refunds: refundBodies(s, zone), ReceiptText: receiptText(s, zone),
	}
	if r := receiptOf(s); r != nil {
		b.Receipt = receiptBodyOf(r)
	}
	return b
}

// receiptOf is what the sale's answer is about: what was ordered while it is open, what was really sold once it is closed.
func receiptOf(s *loyalty.Sale) *loyalty.Receipt {
	switch {
	case s.Close != nil:
		return &s.Close.Receipt
	case s.Open != nil:
		return &s.Open.Receipt
	}
	return nil
}

func promoOf(s *loyalty.Sale) []string {
	if r := receiptOf(s); r != nil {
		return r.Promo
	}
	return nil
}

// brief leaves out what grows with the number of lines, where many sales are told at once.
func (b saleBody) brief() saleBody {
	b.Receipt, b.Quote.Lines, b.Quote.LineEarn, b.Refunds = nil, []int64{}, []int64{}, nil
	return b
}

// moment is nil for no moment, and for one that RFC 3339 cannot write.
func moment(at loyalty.Instant, zone *time.Location) *time.Time {
	if at == 0 {
		return nil
	}
	return timeOrNil(at.Time().In(zone))
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	return &t
}
