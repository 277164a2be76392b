package loyalty

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Verdict is what recomputing a sale comes to.
type Verdict uint8

// The verdicts.
const (
	VerdictSame      Verdict = iota // to the last hundredth what the station wrote; also of an entry that prices nothing
	VerdictStanding                 // otherwise, as it may be at a station that had not heard of the account's latest doings
	VerdictMispriced                // as no station with this programme may price it, whatever it had heard
)

var verdictNames = []string{"same", "standing", "mispriced"}

// String is the verdict's name in metrics and logs.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// Finding is what [Recheck] found first, the worst before the rest.
type Finding struct {
	Verdict Verdict
	What    string // the first thing that differs; empty where nothing does
	Stated  string // what the entry says of it, with its unit
	Right   string // what it comes to here
}

// String is the finding in a line: "discount: stated 40.00 RUB, comes to 39.99 RUB".
func (f Finding) String() string {
	if f.What == "" {
		return f.Verdict.String()
	}
	return fmt.Sprintf("%s: stated %s, comes to %s", f.What, f.Stated, f.Right)
}

// Recheck prices the sale of an entry once more, with the programme that the entry names and the account as it stands before
// the entry is posted, and compares every amount with what the entry says. Card and account are nil where they are not
// known, the programme where there is none any longer: then there is nothing to compare with, which is [VerdictStanding].
//
// What the receipt and the programme alone decide has to be the same: whether so much may be redeemed, the discount and
// its lines, what counts towards the levels. What was earned also depends on the account, of which the station may not
// have heard the latest; there it has to be possible at some level with no cap used up, on the terms of the programme.
//
// It changes nothing, and no entry makes it panic: an entry that cannot be is [VerdictMispriced].
func Recheck(p *Programme, station StationID, card *Card, account *Account, e *Entry) Finding {
	b, ok := e.Body.(SaleClosed)
	switch {
	case !ok:
		return Finding{}
	case p == nil:
		return Finding{VerdictStanding, "programme", fmt.Sprintf("version %d", e.Programme), "none of this version"}
	}
	r := recheck{p: p, sale: &b, at: e.At, station: station}
	return r.run(card, account)
}

type recheck struct {
	p       *Programme
	sale    *SaleClosed
	at      Instant
	station StationID
	wrong   *Finding // the first
}

// differs notes what no station may state.
func (r *recheck) differs(what string, stated, right any) {
	if r.wrong == nil {
		r.wrong = &Finding{VerdictMispriced, what, fmt.Sprint(stated), fmt.Sprint(right)}
	}
}

func (r *recheck) price(card *Card, account *Account) (Quote, error) {
	return r.p.Price(Case{
		Receipt: &r.sale.Receipt, Redeem: r.sale.Redeemed, Available: r.sale.Redeemed, At: r.at, Station: r.station, Card: card, Account: account,
	})
}

func (r *recheck) run(card *Card, account *Account) Finding {
	s := r.sale
	if err := s.Receipt.Check(); err != nil {
		return Finding{VerdictMispriced, "receipt", err.Error(), "no receipt"}
	}
	if err := amount(s.Redeemed)(); err != nil {
		return Finding{VerdictMispriced, "redeemed", s.Redeemed.String() + " points", "no amount"}
	}
	q, err := r.price(card, account)
	switch {
	case errors.Is(err, BadRequest):
		return Finding{VerdictMispriced, "payments", s.Receipt.paid(), err.Error()}
	case err != nil:
		return Finding{VerdictMispriced, "redeemed", s.Redeemed.String() + " points", err.Error()}
	}
	r.money(&q)
	r.sums()
	if r.wrong == nil && r.same(&q) {
		return Finding{}
	}
	if r.wrong == nil && s.Account == 0 { // the station did not know whose card it was
		if unknown, err := r.price(nil, nil); err == nil && r.same(&unknown) {
			return Finding{}
		}
	}
	r.possible()
	if r.wrong != nil {
		return *r.wrong
	}
	return Finding{VerdictStanding, "earned", s.Points().String() + " points", q.Earn.String() + " points"}
}

// money compares what the account has no part in.
func (r *recheck) money(q *Quote) {
	s := r.sale
	if s.Discount != q.Discount {
		r.differs("discount", s.Discount.String()+" RUB", q.Discount.String()+" RUB")
	}
	for i := range s.Receipt.Lines {
		if stated, right := perLine(s.LineDiscounts, i), perLine(q.Lines, i); stated != right {
			r.differs(fmt.Sprintf("discount of line %d", i+1), stated.String()+" RUB", right.String()+" RUB")
		}
	}
	for _, n := range []int{len(s.LineDiscounts), len(s.LineEarned)} {
		if n != 0 && n != len(s.Receipt.Lines) {
			r.differs("lines", n, len(s.Receipt.Lines))
		}
	}
}

// sums adds up what was earned, by lots and by lines.
func (r *recheck) sums() {
	var lots, lines Points
	add := func(sum *Points, x Points, what string) {
		if x < 0 || x > MaxAmount || *sum > MaxAmount-x {
			r.differs(what, fmt.Sprintf("%d hundredths of a point", int64(x)), "no amount")
			return
		}
		*sum += x
	}
	for _, l := range r.sale.Earned {
		add(&lots, l.Amount, "lot")
	}
	for _, c := range r.sale.Claims {
		add(&lots, c.Lot.Amount, "claim")
	}
	for _, x := range r.sale.LineEarned {
		add(&lines, x, "points of a line")
	}
	if lots != lines {
		r.differs("points of the lines", lines.String()+" points", lots.String()+" points")
	}
}

func (r *recheck) same(q *Quote) bool {
	s := r.sale
	return slices.Equal(s.Earned, q.Lots) && slices.Equal(s.Claims, q.Claims) && slices.Equal(s.Counted, q.Counted) &&
		slices.Equal(s.LineEarned, someOf(q.LineEarn))
}

// possible looks whether an account with some level and no cap used up might have earned it.
func (r *recheck) possible() {
	if r.wrong != nil {
		return
	}
	var most Points
	counts := make(map[Counter]int64)
	for tier := range max(1, len(r.p.Tiers)) {
		a := Account{}
		if tier > 0 {
			a.Count(Tally{Counter: counterOfTiers, From: r.at, Amount: r.p.Tiers[tier].From})
		}
		q, err := r.price(nil, &a)
		if err != nil {
			return // what was refused does not depend on the account, and was found before
		}
		most = max(most, q.Earn)
		for _, t := range q.Counted {
			counts[t.Counter] = max(counts[t.Counter], t.Amount)
		}
	}
	if got := r.sale.Points(); got > most {
		r.differs("earned", got.String()+" points", "at most "+most.String()+" points")
	}
	r.terms()
	r.counters(counts, most)
}

// terms looks whether the lots have terms that the programme gives to anybody there and then, and the claims codes of the
// receipt.
func (r *recheck) terms() {
	terms := []Lot{{ActiveFrom: r.p.activation(r.at), Expires: r.p.expiry(r.at)}}
	var claims []Claim
	here := r.p.here(r.at, r.station)
	codes := codesOf(&r.sale.Receipt)
	for i := range r.p.Campaigns {
		m := &r.p.Campaigns[i]
		if !m.running(here) {
			continue
		}
		var l Lot
		l.ActiveFrom, l.Expires = m.term(r.p, r.at)
		if m.Promo == nil {
			terms = append(terms, l)
			continue
		}
		for _, code := range codes {
			if ours, sound := m.Promo.fits(code); ours && sound {
				claims = append(claims, Claim{Tally{Counter: codeCounter(code), From: m.From, Until: m.Until, Amount: 1}, l})
			}
		}
	}
	for _, l := range r.sale.Earned {
		if l.Amount = 0; !slices.Contains(terms, l) {
			r.differs("terms of a lot", r.p.terms(l), r.p.terms(terms[0]))
		}
	}
	for _, c := range r.sale.Claims {
		if c.Lot.Amount = 0; !slices.Contains(claims, c) {
			r.differs("promo code", strings.TrimPrefix(string(c.Counter), "code:"), "none that is running and on the receipt")
		}
	}
}

func (p *Programme) terms(l Lot) string {
	return cmp.Or(p.Moment(l.ActiveFrom), "now") + " until " + cmp.Or(p.Moment(l.Expires), "ever")
}

// counters looks whether anything is counted that is not, or more of it than there was. What counts towards the levels and
// the purchases does not depend on the account at all.
func (r *recheck) counters(counts map[Counter]int64, most Points) {
	stated := make(map[Counter]int64)
	for _, t := range r.sale.Counted {
		if t.Check() != nil || stated[t.Counter] != 0 {
			r.differs("counter "+string(t.Counter), t.Amount, "no tally")
			return
		}
		stated[t.Counter] = t.Amount
	}
	for c, n := range counts {
		if (c == counterOfTiers || strings.HasPrefix(string(c), "purchases:")) && stated[c] != n {
			r.differs("counter "+string(c), stated[c], n)
		}
	}
	for _, t := range r.sale.Counted {
		right := counts[t.Counter]
		if strings.HasPrefix(string(t.Counter), "campaign:") {
			right = max(right, int64(most)) // a cap may have cut other points, and left this campaign's
		}
		if t.Amount > right {
			r.differs("counter "+string(t.Counter), t.Amount, fmt.Sprintf("at most %d", right))
		}
	}
}
