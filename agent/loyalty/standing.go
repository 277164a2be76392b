package loyalty

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Counter names what a programme counts for an account: litres towards a tier, purchases of a day, points of a campaign,
// a promo code that was used. Counters are named by the programme's own names, so that they go on counting when a new
// version of it comes into force.
type Counter string

// MaxCounterName bounds a [Counter], in bytes.
const MaxCounterName = 80

// MaxTallies bounds the tallies of an account: one for each day of the longest window, and some.
const MaxTallies = 500

// Tally is to a counter what a [Lot] is to points: so much was added, and it counts from one moment until another. What
// a counter stands at is the sum of the tallies that count at the moment, whether its period is a calendar month (one
// tally of that month) or the last ninety days (a tally of each day, each living for ninety).
type Tally struct {
	Counter Counter
	From    Instant // counts from this moment on
	Until   Instant // no more at this moment, and then forgotten; zero: for ever
	Amount  int64   // millilitres, kopecks, hundredths of a point or a number, as the counter's rule says; above zero
}

// Live tells whether the tally counts at the moment.
func (t Tally) Live(at Instant) bool { return t.From <= at && (t.Until == 0 || at < t.Until) }

func (t Tally) order(u Tally) int {
	return cmp.Or(cmp.Compare(t.Counter, u.Counter), cmp.Compare(t.From, u.From), cmp.Compare(t.Until, u.Until))
}

// Check returns [BadRequest] unless the tally is well-formed.
func (t Tally) Check() error {
	if t.Counter == "" || len(t.Counter) > MaxCounterName || t.Amount <= 0 || t.Amount > MaxAmount || (t.Until != 0 && t.Until <= t.From) {
		return fmt.Errorf("%w: tally %.32q of %d from %d until %d", BadRequest, t.Counter, t.Amount, t.From, t.Until)
	}
	return plainText("counter", string(t.Counter))
}

// Standing is what a programme knows of a customer beside the points. Its tallies are sorted, with no two of the same
// counter and period.
type Standing struct {
	Joined   Instant // when the account was opened: some windows are counted from it; zero: not known
	RedeemOn bool    // the customer has switched redeeming on, which some programmes ask for
	Advanced Instant // through when it has been worked out what changed by itself: see [Programme.Advance]
	Tallies  []Tally
}

// Used is what a counter stands at.
func (s *Standing) Used(c Counter, at Instant) (sum int64) {
	i, _ := slices.BinarySearchFunc(s.Tallies, c, func(t Tally, c Counter) int { return cmp.Compare(t.Counter, c) })
	for ; i < len(s.Tallies) && s.Tallies[i].Counter == c; i++ {
		if s.Tallies[i].Live(at) {
			sum = min(sum+s.Tallies[i].Amount, MaxAmount)
		}
	}
	return sum
}

// Count adds to a counter. What would carry one period over [MaxAmount] is cut off, and a tally beyond [MaxTallies] takes
// the place of the one that is forgotten first.
func (s *Standing) Count(t Tally) {
	if t.Amount <= 0 {
		return
	}
	i, found := slices.BinarySearchFunc(s.Tallies, t, Tally.order)
	if found {
		s.Tallies[i].Amount += min(t.Amount, MaxAmount-s.Tallies[i].Amount)
		return
	}
	t.Amount = min(t.Amount, MaxAmount)
	s.Tallies = slices.Insert(s.Tallies, i, t)
	if len(s.Tallies) > MaxTallies {
		first := 0
		for i, u := range s.Tallies {
			if v := s.Tallies[first].Until; u.Until != 0 && (v == 0 || u.Until < v) {
				first = i
			}
		}
		s.Tallies = slices.Delete(s.Tallies, first, first+1)
	}
}

// Uncount takes back from a counter what a refunded sale had added, as far as its period still holds it.
func (s *Standing) Uncount(t Tally) {
	i, found := slices.BinarySearchFunc(s.Tallies, t, Tally.order)
	if !found || t.Amount <= 0 {
		return
	}
	if s.Tallies[i].Amount -= min(t.Amount, s.Tallies[i].Amount); s.Tallies[i].Amount == 0 {
		s.Tallies = slices.Delete(s.Tallies, i, i+1)
	}
}

// counted tells whether the counter has been counted in a period that overlaps the tally's, whatever the time is now.
func (s *Standing) counted(t Tally) bool {
	return slices.ContainsFunc(s.Tallies, func(u Tally) bool {
		return u.Counter == t.Counter && (u.Until == 0 || t.From < u.Until) && (t.Until == 0 || u.From < t.Until)
	})
}

// lateness is how long a tally outlives its period: so late a station may report a sale and still find a code used.
const lateness = 40 * 24 * time.Hour

// forget drops the tallies that nobody will ask for again and tells whether there were any.
func (s *Standing) forget(at Instant) bool {
	n := len(s.Tallies)
	s.Tallies = slices.DeleteFunc(s.Tallies, func(t Tally) bool { return t.Until != 0 && t.Until.Add(lateness) <= at })
	return len(s.Tallies) != n
}

func (s *Standing) check() error {
	if len(s.Tallies) > MaxTallies {
		return fmt.Errorf("%d tallies, at most %d", len(s.Tallies), MaxTallies)
	}
	for i, t := range s.Tallies {
		if err := t.Check(); err != nil {
			return err
		}
		if i > 0 && s.Tallies[i-1].order(t) >= 0 {
			return fmt.Errorf("tallies %d and %d are out of order", i-1, i)
		}
	}
	return nil
}

// Claim is points for something that may be had once per account: a promo code. The station grants it by what it knows;
// whoever posts it grants it only if the account's counter stands at zero, so that of two stations which did not hear of
// each other the one that is posted first counts.
type Claim struct {
	Tally     // of the code
	Lot   Lot // what it gives; an amount of zero only uses the code up
}
