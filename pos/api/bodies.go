package api

import (
	"cmp"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// The bodies of calls about receipts; those of the answers are in answers.go. Every amount is an integer, and its name ends in its unit: points_x100 are hundredths
// of a point, kopecks hundredths of a rouble, ml millilitres, count_x1000 thousandths of a piece.

type lineBody struct {
	Kind   string `json:"kind" enum:"fuel,goods"`
	Code   string `json:"code" minLength:"1" maxLength:"64" doc:"Fuel grade or article" example:"АИ-95"`
	Group  string `json:"group,omitempty" maxLength:"64" doc:"Goods group, as the programme names them" example:"tobacco"`
	Volume int64  `json:"volume_ml,omitempty" minimum:"0" maximum:"10000000000" doc:"Fuel only" example:"30500"`
	Count  int64  `json:"count_x1000,omitempty" minimum:"0" maximum:"10000000000" doc:"Goods only: thousandths of a piece"`
	Amount int64  `json:"amount_kopecks" minimum:"0" maximum:"10000000000" doc:"What the register charges for the line before points; never computed from the quantity" example:"201300"`
}

type paymentBody struct {
	Tender string `json:"tender" enum:"cash,cashless,fuel_card"`
	Amount int64  `json:"amount_kopecks" minimum:"1" maximum:"100000000000000" example:"100000"`
}

type receiptBody struct {
	Tender   string        `json:"tender" enum:"cash,cashless,fuel_card" doc:"How the part not paid with points is paid; of several ways, that which pays most"`
	Payments []paymentBody `json:"payments,omitempty" maxItems:"3" nullable:"false" doc:"Where several tenders pay: what each does. They add up to pay_kopecks exactly; each tender once, in any order. Left out: tender pays all"`
	Promo    []string      `json:"promo,omitempty" maxItems:"8" nullable:"false" minLength:"1" maxLength:"64" doc:"Promo codes, typed or scanned, as they came" example:"[\"WELCOME\"]"`
	Lines    []lineBody    `json:"lines" minItems:"1" maxItems:"10000" nullable:"false"`
}

func receiptBodyOf(r *loyalty.Receipt) *receiptBody {
	b := &receiptBody{Tender: r.Tender.String(), Promo: r.Promo, Lines: make([]lineBody, len(r.Lines))}
	for _, p := range r.Payments {
		b.Payments = append(b.Payments, paymentBody{p.Tender.String(), int64(p.Amount)})
	}
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
	if len(b.Promo) > 0 {
		r.Promo = b.Promo
	}
	for _, p := range b.Payments {
		tender, err := loyalty.ParseTender(p.Tender)
		if err != nil {
			return loyalty.Receipt{}, err
		}
		r.Payments = append(r.Payments, loyalty.Payment{Tender: tender, Amount: loyalty.Kopecks(p.Amount)})
	}
	slices.SortFunc(r.Payments, func(a, b loyalty.Payment) int { return cmp.Compare(a.Tender, b.Tender) })
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
	Card string `json:"card" minLength:"4" maxLength:"64" doc:"The number of the card" example:"7005990012349017"`
	Asker
}

type quoteCallBody struct {
	Card    string      `json:"card" minLength:"4" maxLength:"64" example:"7005990012349017"`
	Receipt receiptBody `json:"receipt"`
	Redeem  int64       `json:"redeem_points_x100,omitempty" minimum:"0" maximum:"100000000000000" doc:"Wished; leave out to learn the most possible"`
}

// Asker is who asks. Nothing counts by it: it is told to headquarters with a card that should not be at a counter, and
// logged with a statement.
type Asker struct {
	Cashier string `json:"cashier,omitempty" maxLength:"200" doc:"Who asks: told to headquarters where the card is a staff card, and logged with a statement; so are shift and counter" example:"Ольга"`
	Shift   uint32 `json:"shift,omitempty" example:"12"`
	Counter string `json:"counter,omitempty" maxLength:"64" example:"1"`
}

func (b Asker) domain() loyalty.Who {
	return loyalty.Who{Cashier: b.Cashier, Shift: b.Shift, Counter: b.Counter}
}

// Attendant is at whose hands a call is made; it may differ when the call is repeated.
type Attendant struct {
	Cashier string `json:"cashier,omitempty" maxLength:"200" example:"Ольга"`
	Shift   uint32 `json:"shift,omitempty" doc:"The register's number of its shift, into whose totals it counts; left out: into none, or at the end of a sale into that of its opening" example:"12"`
	Counter string `json:"counter,omitempty" maxLength:"64" doc:"Where it is done: its page and listeners are told, and shifts are its own" example:"1"`
}

func (b Attendant) domain() loyalty.Who {
	return loyalty.Who{Cashier: b.Cashier, Shift: b.Shift, Counter: b.Counter}
}

type openBody struct {
	Card    string      `json:"card" minLength:"4" maxLength:"64" example:"7005990012349017"`
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
