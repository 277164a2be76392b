package loyalty

import (
	"fmt"
	"slices"
)

// Quote is what a programme gives for a receipt: a computation, never a promise. Redeem, Discount and Earn hold for the
// Redeem that was asked; MaxRedeem is the most that could be asked.
type Quote struct {
	Programme uint32     // version that priced it
	Form      FiscalForm // what Discount is to the register
	Total     Kopecks    // the receipt before points
	Redeem    Points
	Discount  Kopecks   // what Redeem pays, in either form
	Lines     []Kopecks // of it, what falls on each line; they add up to Discount exactly
	Pay       Kopecks   // left to pay with money
	Earn      Points    // all that is earned, claims included
	LineEarn  []Points  // of it, what each line earned; they add up to Earn exactly, to the hundredth
	Step      Points    // points are earned in multiples of this; zero: not known
	Lots      []Lot     // how Earn will be booked, without the claims; sorted as they are redeemed
	Claims    []Claim   // what promo codes give, once per account
	Counted   []Tally   // what the receipt adds to the account's counters
	MaxRedeem Points
	Progress  Progress  // where the receipt brings the customer among the tiers
	Promo     []Refusal // of each promo code of the receipt, in order, why it brings nothing; empty: it brings something
	Reasons   []Refusal // why MaxRedeem or Earn is less than the receipt alone would allow
	Why       []Step    // how each amount came about, if that was asked
}

// Booked is all lots that the receipt earns, those of its claims among them, sorted as they are redeemed.
func (q *Quote) Booked() []Lot {
	a := Account{Lots: slices.Clone(q.Lots)}
	for _, c := range q.Claims {
		if c.Lot.Amount > 0 {
			a.put(c.Lot)
		}
	}
	return a.Lots
}

// FiscalForm is what points that pay are to the fiscal register. The sums are the same.
type FiscalForm uint8

// The forms.
const (
	// DiscountForm reduces the price of each line by its part, and the receipt shows what is left.
	DiscountForm FiscalForm = iota
	// CounterForm leaves the prices and shows the points as a counter-payment ("встречное предоставление").
	CounterForm
)

var formNames = []string{"discount", "counter_payment"}

// String is the form's name in files and API.
func (f FiscalForm) String() string {
	if int(f) < len(formNames) {
		return formNames[f]
	}
	return fmt.Sprintf("form %d", uint8(f))
}

// MarshalText is the form's name.
func (f FiscalForm) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Progress is where a customer stands among a programme's tiers; empty where it has none.
type Progress struct {
	Tier Text     // the tier's title
	Next Text     // the next one's; empty: there is none above
	Unit LineKind // Fuel: Have and Need are millilitres; Goods: kopecks
	Have int64    // counted in the window
	Need int64    // still missing to Next
}

// Case is everything that a price depends on.
type Case struct {
	Receipt   *Receipt // has passed its Check
	Redeem    Points   // asked
	Available Points   // the most the account could pay
	At        Instant
	Station   StationID
	Card      *Card    // nil: not known
	Account   *Account // with its standing; nil: not known
	Explain   bool     // fill in Quote.Why
}

// Price computes what a receipt earns and redeems. It refuses with [OverLimit], [NotEnough] or [TenderRedeemsNot] if more
// is asked than the receipt, the account or the tender allows, and with [BadRequest] if the receipt's payments do not add up
// to what is left to pay.
func (p *Programme) Price(c Case) (Quote, error) {
	r := c.Receipt
	q := Quote{Programme: p.Version, Form: p.Form, Step: p.Step, Total: r.Total()}
	caps := make([]int64, len(r.Lines), 3*len(r.Lines)) // one allocation for all that there is one of for each line
	limit := p.limit(r, caps)
	q.MaxRedeem = p.roundRedeem(min(limit, c.Available))
	tender, byTender := r.paidBy(p.NoRedeemBy)
	if byTender {
		q.MaxRedeem, q.Reasons = 0, append(q.Reasons, TenderRedeemsNot)
	} else if c.Available < limit {
		q.Reasons = append(q.Reasons, NotEnough)
	}
	switch {
	case c.Redeem < 0 || c.Redeem%p.RedeemStep != 0:
		return Quote{}, fmt.Errorf("redeem %s in steps of %s: %w", c.Redeem, p.RedeemStep, OverLimit)
	case c.Redeem > 0 && byTender:
		return Quote{}, fmt.Errorf("redeem beside %s: %w", tender, TenderRedeemsNot)
	case c.Redeem > limit:
		return Quote{}, fmt.Errorf("redeem %s of at most %s: %w", c.Redeem, limit, OverLimit)
	case c.Redeem > c.Available:
		return Quote{}, fmt.Errorf("redeem %s of %s available: %w", c.Redeem, c.Available, NotEnough)
	}
	q.Redeem = c.Redeem
	q.Discount = p.money(c.Redeem)
	q.Lines, q.LineEarn = make([]Kopecks, len(r.Lines)), make([]Points, len(r.Lines))
	divide(q.Lines, q.Discount, 1, caps)
	q.Pay = q.Total - q.Discount
	if err := r.checkPaid(q.Pay); err != nil {
		return Quote{}, err
	}
	e := earning{p: p, c: &c, q: &q, money: caps, volume: caps[len(caps) : 2*len(caps)], weights: caps[2*len(caps) : 3*len(caps)]}
	e.explainRedeem(limit)
	e.run()
	return q, nil
}

// limit is the most points the receipt alone allows: of each line its share, of all lines that points may pay for the
// programme's, and MinMoney of the whole receipt stays to be paid with money. It fills in what each line may be reduced by.
func (p *Programme) limit(r *Receipt, caps []int64) Points {
	var payable, sum int64
	for i := range r.Lines {
		l := &r.Lines[i]
		if caps[i] = 0; l.among(p.NoRedeem) {
			continue
		}
		payable += int64(l.Amount)
		caps[i] = int64(l.Amount)
		for j := range p.RedeemShares {
			if s := &p.RedeemShares[j]; s.covers(l) {
				caps[i] = mulDiv(int64(l.Amount), s.Part, 100_00)
				break
			}
		}
		sum += caps[i]
	}
	most := min(sum, mulDiv(payable, p.RedeemShare, 100_00), int64(r.Total()-p.MinMoney))
	if most <= 0 {
		return 0
	}
	return p.roundRedeem(Points(mulDiv(most, 100, int64(p.PointValue))))
}

func (p *Programme) roundRedeem(x Points) Points { return x - x%p.RedeemStep }

// money is what points pay.
func (p *Programme) money(x Points) Kopecks {
	return Kopecks(mulDiv(int64(x), int64(p.PointValue), 100))
}

// among tells whether a list of codes and groups names the line.
func (l *Line) among(codes []string) bool {
	for _, c := range codes {
		if c == l.Code || l.Group != "" && c == l.Group {
			return true
		}
	}
	return false
}
