package loyalty

import (
	"fmt"
	"slices"
	"strings"
)

// What points do not pay may be paid by several tenders. Nobody says which tender paid for which line, so every tender pays
// for its part of everything: a rule that is for some tenders counts that part of what it covers, rounded down, and so does a
// campaign, its fixed points included. On the part of a tender that never earns nothing is earned, and it counts towards
// no level. Points pay nothing if any of the tenders is one beside which they never do.

// checkPayments returns [BadRequest] unless each tender is named once, in order, with an amount, and the receipt's own tender
// is among them and none pays more.
func (r *Receipt) checkPayments() error {
	last, most, own := Tender(0), Kopecks(0), Kopecks(0)
	for _, p := range r.Payments {
		if p.Tender <= last || p.Tender > FuelCard || p.Amount <= 0 || p.Amount > MaxAmount {
			return fmt.Errorf("%w: %s by tender %d, want each tender once, in order", BadRequest, p.Amount, p.Tender)
		}
		last, most = p.Tender, max(most, p.Amount)
		if p.Tender == r.Tender {
			own = p.Amount
		}
	}
	if own < most {
		return fmt.Errorf("%w: the receipt's tender is %s, and another one pays most", BadRequest, r.Tender)
	}
	return nil
}

// checkPaid returns [BadRequest], naming both sums, unless the payments add up to what is left to pay.
func (r *Receipt) checkPaid(pay Kopecks) error {
	if len(r.Payments) == 0 {
		return nil
	}
	var sum Kopecks
	for _, p := range r.Payments {
		sum += p.Amount
	}
	if sum != pay {
		return fmt.Errorf("%w: the payments come to %s, and %s are to be paid", BadRequest, sum, pay)
	}
	return nil
}

// paid lists the payments.
func (r *Receipt) paid() string {
	parts := make([]string, len(r.Payments))
	for i, p := range r.Payments {
		parts[i] = p.Amount.String() + " RUB by " + p.Tender.String()
	}
	return strings.Join(parts, ", ")
}

// paidBy tells whether any of the tenders pays for the receipt, and which one.
func (r *Receipt) paidBy(tenders []Tender) (Tender, bool) {
	if len(r.Payments) == 0 {
		return r.Tender, slices.Contains(tenders, r.Tender)
	}
	for _, p := range r.Payments {
		if slices.Contains(tenders, p.Tender) {
			return p.Tender, true
		}
	}
	return 0, false
}

// tenderSet is some of the tenders: a bit for each.
type tenderSet uint8

const allTenders tenderSet = 1<<Cash | 1<<Cashless | 1<<FuelCard

// setOf is the set of the tenders; of none it is all, as in rules and campaigns.
func setOf(tenders []Tender) (s tenderSet) {
	if len(tenders) == 0 {
		return allTenders
	}
	for _, t := range tenders {
		s |= 1 << t
	}
	return s
}

// portion is a part of the whole: paid of pay, neither below zero and pay above.
type portion struct{ paid, pay int64 }

// portion is what some tenders pay of a receipt, those that never earn left out.
func (e *earning) portion(s tenderSet) (x portion) {
	s &= e.earns
	r := e.c.Receipt
	if len(r.Payments) == 0 {
		return portion{int64(s >> r.Tender & 1), 1}
	}
	for _, p := range r.Payments {
		x.pay += int64(p.Amount)
		if s>>p.Tender&1 == 1 {
			x.paid += int64(p.Amount)
		}
	}
	return x
}

// of is the part of an amount, rounded down.
func (x portion) of(amount int64) int64 {
	if x.paid == x.pay {
		return amount
	}
	return mulDiv(amount, x.paid, x.pay)
}

// payments tells who pays what, if several do, and which of them earns nothing.
func (e *earning) payments() {
	r := e.c.Receipt
	e.earns = allTenders
	for _, t := range e.p.NoEarnBy {
		e.earns &^= 1 << t
	}
	for _, p := range r.Payments {
		if len(r.Payments) > 1 {
			e.explain(Step{Kind: PaymentStep, Name: p.Tender.String(), Unit: Goods, Base: int64(p.Amount), Per: int64(e.q.Pay)})
		}
		if e.earns>>p.Tender&1 == 0 {
			e.reason(TenderEarnsNot)
			e.explain(Step{Kind: TenderStep, Name: p.Tender.String()})
		}
	}
	if len(r.Payments) == 0 && e.earns>>r.Tender&1 == 0 {
		e.reason(TenderEarnsNot)
		e.explain(Step{Kind: TenderStep, Name: r.Tender.String()})
	}
}

// partOf is the part of a base that some tenders pay, which is told if it is less.
func (e *earning) partOf(base int64, x portion, name string, unit LineKind) int64 {
	part := x.of(base)
	if part != base {
		e.explain(Step{Kind: PartStep, Name: name, Unit: unit, Base: base, Per: part})
	}
	return part
}
