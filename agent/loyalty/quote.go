package loyalty

import (
	"cmp"
	"fmt"
	"slices"
)

// Quote is what a programme gives for a receipt: a computation, never a promise. Redeem, Discount and Earn hold for the
// Redeem that was asked; MaxRedeem is the most that could be asked.
type Quote struct {
	Programme uint32  // version that priced it
	Total     Kopecks // the receipt before points
	Redeem    Points
	Discount  Kopecks   // what Redeem pays
	Lines     []Kopecks // the discount of each line; they add up to Discount exactly
	Pay       Kopecks   // left to pay with money
	Earn      Points
	Lot       Lot // how Earn will be booked
	MaxRedeem Points
	Reasons   []Refusal // why MaxRedeem or Earn is less than the receipt alone would allow
}

// Price computes what the receipt earns and redeems at the moment. available is the most the account could pay;
// redeem is what is asked: [OverLimit] or [NotEnough] if it is too much. The receipt must have passed its Check.
func (p *Programme) Price(r *Receipt, redeem, available Points, at Instant) (Quote, error) {
	q := Quote{Programme: p.Version, Total: r.Total()}
	payable := p.payable(r)
	limit := p.limit(r, payable)
	q.MaxRedeem = p.roundRedeem(min(limit, available))
	if available < limit {
		q.Reasons = append(q.Reasons, NotEnough)
	}
	switch {
	case redeem < 0 || redeem%p.RedeemStep != 0:
		return Quote{}, fmt.Errorf("redeem %s in steps of %s: %w", redeem, p.RedeemStep, OverLimit)
	case redeem > limit:
		return Quote{}, fmt.Errorf("redeem %s of at most %s: %w", redeem, limit, OverLimit)
	case redeem > available:
		return Quote{}, fmt.Errorf("redeem %s of %s available: %w", redeem, available, NotEnough)
	}
	q.Redeem = redeem
	q.Discount = p.money(redeem)
	q.Lines = p.spread(r, q.Discount, payable)
	q.Pay = q.Total - q.Discount
	q.Earn = p.earned(r, q.Lines)
	if q.Earn > 0 {
		q.Lot = Lot{Amount: q.Earn, ActiveFrom: p.activation(at), Expires: p.expiry(at)}
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
