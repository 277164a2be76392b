package loyalty

import (
	"errors"
	"fmt"
	"time"
)

// Habits are what a customer buys in a month, for [Programme.Benefit].
type Habits struct {
	Litres Millilitres // a month
	Grade  string
	Price  Kopecks // of a litre
	Goods  Kopecks // a month
	Group  string  // of the goods; empty: none in particular
	Visits int     // receipts a month, over which it is spread evenly; zero: 4
	Tender Tender  // zero: cashless
	Begin  Instant // of the year
}

// Benefit is what a year gives to a customer of such habits.
type Benefit struct {
	Points  Points  // earned in the year
	Roubles Kopecks // what they pay
	Spent   Kopecks // in the year
	Months  []Month
}

// Month is one month of a [Benefit].
type Month struct {
	Begin  Instant
	Points Points
	Tier   Text // at its last receipt; empty where the programme has no tiers
}

// Benefit sells a year of a customer's receipts, month after month, to a new account that redeems nothing, by the rules,
// tiers, limits and campaigns of the programme, and adds up what is earned. It returns [BadRequest] for habits that are
// out of range.
func (p *Programme) Benefit(h Habits) (Benefit, error) {
	if h.Visits == 0 {
		h.Visits = 4
	}
	if h.Tender == 0 {
		h.Tender = Cashless
	}
	const most = MaxAmount / MaxLines / 100
	if h.Visits < 1 || h.Visits > 310 || h.Litres < 0 || h.Litres > most || h.Price < 0 || h.Price > 1_000_000_00 || h.Goods < 0 || h.Goods > most {
		return Benefit{}, fmt.Errorf("%w: a month of %s litres and %s roubles in %d receipts", BadRequest, h.Litres, h.Goods, h.Visits)
	}
	out := Benefit{}
	account := Account{ID: 1, Standing: Standing{Joined: h.Begin, RedeemOn: true}}
	year, month, _ := p.local(h.Begin).Date()
	for m := range 12 {
		from := time.Date(year, month+time.Month(m), 1, 12, 0, 0, 0, time.UTC)
		days := from.AddDate(0, 1, 0).Sub(from) / (24 * time.Hour)
		total := Month{Begin: p.instant(from)}
		for v := range h.Visits {
			at := p.instant(from.AddDate(0, 0, int(days)*v/h.Visits))
			q, err := p.visit(&h, v, at, &account)
			if err != nil {
				return Benefit{}, err
			}
			total.Points += q.Earn
			total.Tier = q.Progress.Tier
			out.Spent += q.Total
		}
		out.Points += total.Points
		out.Months = append(out.Months, total)
	}
	out.Roubles = p.money(out.Points)
	return out, nil
}

// visit sells one receipt of the month: the even parts of what is bought add up to it exactly.
func (p *Programme) visit(h *Habits, v int, at Instant, a *Account) (Quote, error) {
	part := func(x int64) int64 { return x*int64(v+1)/int64(h.Visits) - x*int64(v)/int64(h.Visits) }
	r := Receipt{Tender: h.Tender}
	if volume := part(int64(h.Litres)); volume > 0 {
		r.Lines = append(r.Lines, Line{Kind: Fuel, Code: h.Grade, Volume: Millilitres(volume), Amount: Kopecks(mulDiv(volume, int64(h.Price), 1000))})
	}
	if amount := part(int64(h.Goods)); amount > 0 {
		r.Lines = append(r.Lines, Line{Kind: Goods, Code: "goods", Group: h.Group, Count: 1000, Amount: Kopecks(amount)})
	}
	if len(r.Lines) == 0 {
		return Quote{}, nil
	}
	if err := r.Check(); err != nil {
		return Quote{}, err
	}
	q, err := p.Price(Case{Receipt: &r, At: at, Account: a})
	if err != nil {
		return Quote{}, err
	}
	a.Prune(at)
	if err := a.Post(Posting{Accrued: q.Lots, Counted: q.Counted, Claims: q.Claims}); err != nil {
		return Quote{}, errors.Join(BadRequest, err)
	}
	return q, nil
}
