package loyalty

import (
	"fmt"
	"slices"
	"time"
)

// Owing is what refunds have left an account to owe.
//
// A refund takes back the points that its part of the sale had earned: from lots of the same activation and expiry, then
// from the others in the order in which they are redeemed, of those that have not expired. What the account does not hold
// becomes its debt. Whatever it is credited with later pays the debt first, and until then nothing is available.
//
// Rights to points may be out at stations when a refund takes the points, and no refund can call them back. A sale that
// was within its rights is paid all the same: what the lots then lack becomes debt as well. It never exceeds what refunds
// have taken, for redemptions alone never exceed credits (see [Cell]). That is the bound by which [Account.Post] still tells
// a redemption that nobody had rights to: rights outstanding <= points held + Clawed - Debt, at every step. Nothing in it
// depends on when HQ issued what, so that whoever posts the same entries again comes to the same lots and the same debt.
type Owing struct {
	Debt   Points // missing, to be paid by what is credited next
	Clawed Points // all that refunds have ever taken back
}

func (o *Owing) check() error {
	if o.Debt < 0 || o.Debt > o.Clawed || o.Clawed > MaxCounter {
		return fmt.Errorf("owes %s of %s taken back", o.Debt, o.Clawed)
	}
	return nil
}

// Undo is what a refund takes back from an account.
type Undo struct {
	Clawed    []Lot   // earned points, with the terms they were earned on
	Uncounted []Tally // from the counters, as far as they still hold it
}

// payable is the most that may have been redeemed within rights.
func (a *Account) payable() Points { return a.held() + a.Clawed - a.Debt }

// credit gives the account points that have been checked: they pay what it owes first.
func (a *Account) credit(l Lot) {
	pays := min(a.Debt, l.Amount)
	a.Debt -= pays
	if l.Amount -= pays; l.Amount > 0 {
		a.put(l)
	}
}

// mayTake returns [ErrAmount] if what the posting takes back is no amount.
func (a *Account) mayTake(p Posting) error {
	sum := a.Clawed
	for _, l := range p.Clawed {
		if l.Amount < 0 || l.Amount > MaxAmount || sum > MaxCounter-l.Amount {
			return fmt.Errorf("take back %s: %w", l.Amount, ErrAmount)
		}
		sum += l.Amount
	}
	return nil
}

// takeBack takes what the posting says, see [Owing]. Points of a claim that was not granted are not taken.
func (a *Account) takeBack(p Posting) {
	var sum Points
	for _, l := range p.Clawed {
		sum += l.Amount
	}
	rest := sum - a.forgive(p.Sale, sum)
	a.Clawed += rest
	for _, own := range p.Clawed {
		x := min(own.Amount, rest)
		_, missing := a.take(nil, x, func(l Lot) bool {
			return l.Live(p.RedeemAt) && l.ActiveFrom == own.ActiveFrom && l.Expires == own.Expires
		})
		rest -= x - missing
	}
	_, rest = a.take(nil, rest, func(l Lot) bool { return l.Active(p.RedeemAt) })
	_, rest = a.take(nil, rest, func(l Lot) bool { return l.Live(p.RedeemAt) })
	a.Debt += rest
	if sum > 0 {
		a.Lots = slices.DeleteFunc(a.Lots, func(l Lot) bool { return l.Amount == 0 })
	}
	for _, t := range p.Uncounted {
		a.Uncount(t)
	}
}

// deniedFor is how long it is remembered that a sale's claims were not granted: longer than sales are kept at stations.
const deniedFor = 400 * 24 * time.Hour

func deniedCounter(sale OpID) Counter { return Counter("denied:" + sale.String()) }

// noteDenied notes the points that the station promised for claims and the account did not get: a refund of the sale
// does not take them.
func (a *Account) noteDenied(p Posting, granted []Claim) {
	if p.Sale.IsZero() {
		return
	}
	a.Count(Tally{Counter: deniedCounter(p.Sale), From: p.RedeemAt, Until: p.RedeemAt.Add(deniedFor), Amount: int64(p.promised(granted))})
}

// promised is the points of the claims that were not granted.
func (p *Posting) promised(granted []Claim) (sum Points) {
	for _, c := range p.Claims {
		sum += c.Lot.Amount
	}
	for _, c := range granted {
		sum -= c.Lot.Amount
	}
	return sum
}

// Denied is how many points an entry tells of that it does not move, once it is posted to the account as it stands: those of
// claims that the account has used before and, of a refund, those that it takes back of such claims.
func (a *Account) Denied(p Posting) Points {
	var back Points
	for _, l := range p.Clawed {
		back += l.Amount
	}
	return p.promised(p.granted(&a.Standing)) + Points(a.forgiven(p.Sale, back).Amount)
}

// forgiven is what was denied to the sale's claims, at most most.
func (a *Account) forgiven(sale OpID, most Points) (t Tally) {
	if sale.IsZero() || most == 0 {
		return t
	}
	c := deniedCounter(sale)
	if i := slices.IndexFunc(a.Tallies, func(t Tally) bool { return t.Counter == c }); i >= 0 {
		t = a.Tallies[i]
		t.Amount = min(t.Amount, int64(most))
	}
	return t
}

// forgive uses up what was denied to the sale's claims and says how much that is, at most most.
func (a *Account) forgive(sale OpID, most Points) Points {
	t := a.forgiven(sale, most)
	if t.Amount > 0 {
		a.Uncount(t)
	}
	return Points(t.Amount)
}

// paying is what lots a posting's redemption would be taken from, in that order, as far as the view knows.
func (l *Local) paying(p *Posting) []Lot {
	if p.Redeemed == 0 {
		return nil
	}
	a := l.Current()
	taken, rest := a.take(nil, p.Redeemed, func(l Lot) bool { return l.Active(p.RedeemAt) })
	taken, rest = a.take(taken, rest, func(l Lot) bool { return l.Live(p.RedeemAt) })
	taken, _ = a.take(taken, rest, func(Lot) bool { return true })
	return taken
}
