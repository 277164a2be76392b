package api

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// The bodies of calls and answers. Every amount is an integer, and its name ends in its unit: points_x100 are hundredths
// of a point, kopecks hundredths of a rouble, ml millilitres, count_x1000 thousandths of a piece.

type lineBody struct {
	Kind   string `json:"kind" enum:"fuel,goods"`
	Code   string `json:"code" minLength:"1" maxLength:"64" doc:"Fuel grade or article" example:"АИ-95"`
	Group  string `json:"group,omitempty" maxLength:"64" doc:"Goods group, as the programme names them" example:"tobacco"`
	Volume int64  `json:"volume_ml,omitempty" minimum:"0" maximum:"10000000000" doc:"Fuel only" example:"30500"`
	Count  int64  `json:"count_x1000,omitempty" minimum:"0" maximum:"10000000000" doc:"Goods only: thousandths of a piece"`
	Amount int64  `json:"amount_kopecks" minimum:"0" maximum:"10000000000" doc:"What the register charges for the line before points; never computed from the quantity" example:"201300"`
}

type receiptBody struct {
	Tender string     `json:"tender" enum:"cash,cashless,fuel_card" doc:"How the part not paid with points is paid"`
	Lines  []lineBody `json:"lines" minItems:"1" maxItems:"10000" nullable:"false"`
}

func receiptBodyOf(r *loyalty.Receipt) *receiptBody {
	b := &receiptBody{Tender: r.Tender.String(), Lines: make([]lineBody, len(r.Lines))}
	for i, l := range r.Lines {
		b.Lines[i] = lineBody{
			Kind: l.Kind.String(), Code: l.Code, Group: l.Group, Volume: int64(l.Volume), Count: l.Count, Amount: int64(l.Amount),
		}
	}
	return b
}

// domain reads the receipt; its bounds are checked by loyalty.
func (b *receiptBody) domain() (loyalty.Receipt, error) {
	tender, err := loyalty.ParseTender(b.Tender)
	if err != nil {
		return loyalty.Receipt{}, err
	}
	r := loyalty.Receipt{Tender: tender, Lines: make([]loyalty.Line, len(b.Lines))}
	for i, l := range b.Lines {
		kind, err := loyalty.ParseLineKind(l.Kind)
		if err != nil {
			return loyalty.Receipt{}, err
		}
		r.Lines[i] = loyalty.Line{
			Kind: kind, Code: l.Code, Group: l.Group, Volume: loyalty.Millilitres(l.Volume), Count: l.Count,
			Amount: loyalty.Kopecks(l.Amount),
		}
	}
	return r, r.Check()
}

type identifyBody struct {
	Card string `json:"card" minLength:"4" maxLength:"64" doc:"The number of the card" example:"7005990012349015"`
}

type quoteCallBody struct {
	Card    string      `json:"card" minLength:"4" maxLength:"64" example:"7005990012349015"`
	Receipt receiptBody `json:"receipt"`
	Redeem  int64       `json:"redeem_points_x100,omitempty" minimum:"0" maximum:"100000000000000" doc:"Wished; leave out to learn the most possible"`
}

// Attendant is at whose hands a call is made; it may differ when the call is repeated.
type Attendant struct {
	Cashier string `json:"cashier,omitempty" maxLength:"200"`
	Shift   uint32 `json:"shift,omitempty"`
	Counter string `json:"counter,omitempty" maxLength:"64" doc:"The counter whose page and listeners are told"`
}

func (b Attendant) domain() loyalty.Who { return loyalty.Who{Cashier: b.Cashier, Shift: b.Shift} }

type openBody struct {
	Card    string      `json:"card" minLength:"4" maxLength:"64" example:"7005990012349015"`
	Receipt receiptBody `json:"receipt" doc:"As ordered; what is really sold is told when closing"`
	Redeem  int64       `json:"redeem_points_x100,omitempty" minimum:"0" maximum:"100000000000000" doc:"Reserved for this sale until it is closed or void"`
	Manual  string      `json:"manual_reason,omitempty" maxLength:"200" doc:"Why the card was typed in; leave out if it was scanned"`
	Attendant
}

type closeBody struct {
	Card    string      `json:"card,omitempty" maxLength:"64" doc:"Only for a sale of one step, which was not opened before"`
	Receipt receiptBody `json:"receipt" doc:"As really sold"`
	Redeem  int64       `json:"redeem_points_x100,omitempty" minimum:"0" maximum:"100000000000000" doc:"At most what was opened; the rest is released"`
	Manual  string      `json:"manual_reason,omitempty" maxLength:"200" doc:"Only for a sale of one step: why the card was typed in"`
	Attendant
}

type voidBody struct {
	Reason string `json:"reason,omitempty" maxLength:"200"`
	Attendant
}

type resolveBody struct {
	Outcome string       `json:"outcome" enum:"closed,void" doc:"What the register's receipt log says became of the sale"`
	Receipt *receiptBody `json:"receipt,omitempty" doc:"Required for closed: as really sold"`
	Redeem  int64        `json:"redeem_points_x100,omitempty" minimum:"0" maximum:"100000000000000" doc:"For closed: what the receipt paid with points"`
	Reason  string       `json:"reason,omitempty" maxLength:"200" doc:"For void"`
	Attendant
}

type customerBody struct {
	Card         string       `json:"card"`
	CardMasked   string       `json:"card_masked" doc:"For screens and receipts"`
	Known        bool         `json:"known" doc:"false: headquarters has not told the station of this card yet"`
	Account      uint64       `json:"account,omitempty"`
	Kind         string       `json:"kind,omitempty" enum:"main,additional,virtual,staff"`
	CardState    string       `json:"card_state,omitempty" enum:"active,accrue_only,blocked,closed"`
	AccountState string       `json:"account_state,omitempty" enum:"active,accrue_only,blocked,closed"`
	Total        int64        `json:"total_points_x100" doc:"All live points"`
	Available    int64        `json:"available_points_x100" doc:"Of them spendable: active and not promised elsewhere"`
	Redeemable   int64        `json:"redeemable_points_x100" doc:"Of them what can be redeemed at this moment, in the programme's steps: offline only the rights held by the station"`
	Accrue       *refusalBody `json:"accrue_refused,omitempty" doc:"Why nothing can be accrued; absent: it can"`
	Redeem       *refusalBody `json:"redeem_refused,omitempty" doc:"Why nothing can be redeemed; absent: it can, up to redeemable_points_x100"`
	Fresh        bool         `json:"fresh" doc:"Headquarters answered just now"`
	AsOf         *time.Time   `json:"as_of,omitempty" doc:"Headquarters' time of its newest word on the account"`
}

func customerBodyOf(c Customer) customerBody {
	b := customerBody{
		Card: string(c.Card), CardMasked: c.Card.String(), Known: c.Known, Account: uint64(c.Account),
		Total: int64(c.Total), Available: int64(c.Available), Redeemable: int64(c.Redeemable),
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
	Pay        int64         `json:"pay_kopecks" doc:"Left to pay with money"`
	Earn       int64         `json:"earn_points_x100"`
	EarnActive *time.Time    `json:"earn_active_from,omitempty" doc:"When they become spendable"`
	EarnUntil  *time.Time    `json:"earn_expires,omitempty" doc:"Absent: never"`
	MaxRedeem  int64         `json:"max_redeem_points_x100" doc:"The most that an open would accept now"`
	Reasons    []refusalBody `json:"reasons" nullable:"false" doc:"Why max_redeem_points_x100 or earn_points_x100 is less than the receipt alone would allow. No refusal: the answer stands, also with not_enough where nothing was to be redeemed"`
}

func quoteBodyOf(q loyalty.Quote, zone *time.Location) quoteBody {
	b := quoteBody{
		Programme: q.Programme, Total: int64(q.Total), Redeem: int64(q.Redeem), Discount: int64(q.Discount),
		Lines: make([]int64, len(q.Lines)), Pay: int64(q.Pay), Earn: int64(q.Earn), MaxRedeem: int64(q.MaxRedeem),
		Reasons: make([]refusalBody, len(q.Reasons)),
	}
	for i, l := range q.Lines {
		b.Lines[i] = int64(l)
	}
	if lots := q.Booked(); len(lots) > 0 { // of several the one that expires first
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
	Receipt     *receiptBody `json:"receipt,omitempty" doc:"As ordered while open, as really sold once closed. Left out, with line_discounts_kopecks, in lists and events"`
	Reserved    int64        `json:"reserved_points_x100" doc:"Points reserved when it was opened"`
	Quote       quoteBody    `json:"quote" doc:"As answered: of the order while open, of what was sold once closed"`
	Total       int64        `json:"total_points_x100" doc:"The customer's balance as answered"`
	Available   int64        `json:"available_points_x100"`
	Cashier     string       `json:"cashier,omitempty"`
	Shift       uint32       `json:"shift,omitempty"`
	Refunds     []refundBody `json:"refunds,omitempty" nullable:"false" doc:"In the order they were made; left out in lists and events"`
	ReceiptText string       `json:"receipt_text" doc:"Russian, lines of at most 40 characters, all of them in code page 866; to be printed as it is"`
}

func saleBodyOf(s *loyalty.Sale, zone *time.Location) saleBody {
	b := saleBody{
		ID: string(s.ID), State: s.State.String(), Card: string(s.Card), CardMasked: s.Card.String(), Account: uint64(s.Account),
		OpenedAt: moment(s.OpenedAt, zone), EndedAt: moment(s.EndedAt, zone), Reserved: int64(s.Reserved),
		Quote: quoteBodyOf(s.Quote, zone), Total: int64(s.Total), Available: int64(s.Avail), Cashier: s.Cashier, Shift: s.Shift,
		Refunds: refundBodies(s, zone), ReceiptText: receiptText(s, zone),
	}
	switch {
	case s.Close != nil:
		b.Receipt = receiptBodyOf(&s.Close.Receipt)
	case s.Open != nil:
		b.Receipt = receiptBodyOf(&s.Open.Receipt)
	}
	return b
}

// brief leaves out what grows with the number of lines, where many sales are told at once.
func (b saleBody) brief() saleBody {
	b.Receipt, b.Quote.Lines, b.Refunds = nil, []int64{}, nil
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
