package loyalty

import (
	"cmp"
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
	LineEarn  []Points  // of it, what each line earned; they add up to Earn exactly
	Lots      []Lot     // how Earn will be booked, without the claims; sorted as they are redeemed
	Claims    []Claim   // what promo codes give, once per account
	Counted   []Tally   // what the receipt adds to the account's counters
	MaxRedeem Points
	Progress  Progress  // where the receipt brings the customer among the tiers
	Reasons   []Refusal // why MaxRedeem or Earn is less than the receipt alone would allow
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
}

// Price computes what a receipt earns and redeems. It refuses with [OverLimit] or [NotEnough] if too much is asked.
func (p *Programme) Price(c Case) (Quote, error) {
	r := c.Receipt
	q := Quote{Programme: p.Version, Total: r.Total()}
	payable := p.payable(r)
	limit := p.limit(r, payable)
	q.MaxRedeem = p.roundRedeem(min(limit, c.Available))
	if c.Available < limit {
		q.Reasons = append(q.Reasons, NotEnough)
	}
	switch {
	case c.Redeem < 0 || c.Redeem%p.RedeemStep != 0:
		return Quote{}, fmt.Errorf("redeem %s in steps of %s: %w", c.Redeem, p.RedeemStep, OverLimit)
	case c.Redeem > limit:
		return Quote{}, fmt.Errorf("redeem %s of at most %s: %w", c.Redeem, limit, OverLimit)
	case c.Redeem > c.Available:
		return Quote{}, fmt.Errorf("redeem %s of %s available: %w", c.Redeem, c.Available, NotEnough)
	}
	q.Redeem = c.Redeem
	q.Discount = p.money(c.Redeem)
	q.Lines = p.spread(r, q.Discount, payable)
	q.Pay = q.Total - q.Discount
	q.Earn = p.earned(r, q.Lines)
	if q.Earn > 0 {
		q.Lots = []Lot{{Amount: q.Earn, ActiveFrom: p.activation(c.At), Expires: p.expiry(c.At)}}
	}
	return q, nil
}

// payable is what points may pay for.
func (p *Programme) payable(r *Receipt) (sum Kopecks) {
	for i := range r.Lines {
		if !r.Lines[i].among(p.NoRedeem) {
			sum += r.Lines[i].Amount
		}
	}
	return sum
}

// limit is the most points the receipt alone allows: the programme's share of the lines that points may pay for, and
// MinMoney of the whole receipt stays to be paid with money.
func (p *Programme) limit(r *Receipt, payable Kopecks) Points {
	most := min(Kopecks(mulDiv(int64(payable), p.RedeemShare, 100_00)), r.Total()-p.MinMoney)
	if most <= 0 {
		return 0
	}
	return p.roundRedeem(Points(mulDiv(int64(most), 100, int64(p.PointValue))))
}

func (p *Programme) roundRedeem(x Points) Points { return x - x%p.RedeemStep }

// money is what points pay.
func (p *Programme) money(x Points) Kopecks {
	return Kopecks(mulDiv(int64(x), int64(p.PointValue), 100))
}

// spread divides a discount over the lines that points may pay for, in proportion to their amounts: each is rounded
// down, and the kopecks left over go to the largest remainders, earlier lines first. No line's discount exceeds its
// amount, since the discount never exceeds their sum.
func (p *Programme) spread(r *Receipt, discount, payable Kopecks) []Kopecks {
	out := make([]Kopecks, len(r.Lines))
	if discount == 0 {
		return out
	}
	type part struct {
		line int
		rest uint64
	}
	parts := make([]part, 0, len(r.Lines))
	left := discount
	for i := range r.Lines {
		l := &r.Lines[i]
		if l.Amount == 0 || l.among(p.NoRedeem) {
			continue
		}
		out[i] = Kopecks(mulDiv(int64(l.Amount), int64(discount), int64(payable)))
		left -= out[i]
		parts = append(parts, part{i, remainder(uint64(l.Amount), uint64(discount), uint64(payable))})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.rest, a.rest) })
	for _, x := range parts[:min(int(left), len(parts))] {
		out[x.line]++
	}
	return out
}

// earned adds up the rules over what the lines cost after their discounts: points are never earned on the part paid
// with points. Fuel earns by volume, reduced in proportion to the part paid with money.
func (p *Programme) earned(r *Receipt, discounts []Kopecks) (sum Points) {
	bases := make([]int64, len(p.Earn))
	for i := range r.Lines {
		l := &r.Lines[i]
		base := int64(l.Amount - discounts[i])
		if l.Kind == Fuel && l.Amount > 0 {
			base = mulDiv(int64(l.Volume), base, int64(l.Amount))
		}
		if base == 0 || l.among(p.NoEarn) {
			continue
		}
		for j := range p.Earn {
			if p.Earn[j].covers(l) {
				bases[j] += base
			}
		}
	}
	for j, rule := range p.Earn {
		base := bases[j]
		if rule.Whole {
			base -= base % rule.Per
		}
		sum += Points(min(mulDiv(base, int64(rule.Points), rule.Per), maxEarned))
	}
	return sum - sum%p.Step
}

// maxEarned bounds what one rule gives for one receipt: all rules together stay within [MaxAmount].
const maxEarned = MaxAmount / maxRules

func (e *EarnRule) covers(l *Line) bool {
	return l.Kind == e.Kind && (len(e.Codes) == 0 || l.among(e.Codes))
}

// among tells whether a list of codes and groups names the line.
func (l *Line) among(codes []string) bool {
	return slices.Contains(codes, l.Code) || (l.Group != "" && slices.Contains(codes, l.Group))
}
