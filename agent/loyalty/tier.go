package loyalty

import "time"

// Tier is a level of the programme, reached by what was bought in a window.
type Tier struct {
	Name  string
	Title Text
	From  int64 // millilitres or kopecks, as TierBy counts; the lowest tier's is zero
}

// TierBy is what is counted towards the tiers, and for how long.
type TierBy struct {
	Unit   LineKind // Fuel: millilitres of what is covered; Goods: kopecks paid with money
	Covers []Cover  // empty: all lines
	Window Window
	Days   int // of the windows of days
}

// Window is when what was bought counts.
type Window uint8

// The windows.
const (
	RollingDays Window = iota // from the day of the purchase on, for so many days
	ThisMonth                 // in the calendar month of the purchase
	NextMonth                 // in the calendar month after the purchase's: last month's volume makes this month's tier
	NextDays                  // in the window of so many days after the purchase's; windows begin with the day of joining
)

// counterOfTiers is what is bought towards the tiers.
const counterOfTiers Counter = "tier"

// TierAt is the account's tier at the moment, an index into Tiers; zero also where the programme has none.
func (p *Programme) TierAt(s *Standing, at Instant) int {
	if s == nil || len(p.Tiers) == 0 {
		return 0
	}
	return p.tierOf(s.Used(counterOfTiers, at))
}

func (p *Programme) tierOf(counted int64) int {
	tier := 0
	for i := range p.Tiers {
		if p.Tiers[i].From <= counted {
			tier = i
		}
	}
	return tier
}

// tierSpan is when a purchase of the moment counts towards the tiers.
func (p *Programme) tierSpan(joined, at Instant) (from, until Instant) {
	switch p.TierBy.Window {
	case ThisMonth:
		return p.span(aMonth, at)
	case NextMonth:
		_, next := p.span(aMonth, at)
		return p.span(aMonth, next)
	case NextDays:
		length := Instant(p.TierBy.Days) * Instant(24*time.Hour/time.Millisecond)
		first := p.dayStart(joined, 0)
		n := (at - first) / length
		if at < first {
			n-- // a joining day that lies ahead: integer division rounds towards zero
		}
		return first + (n+1)*length, first + (n+2)*length
	}
	return p.dayStart(at, 0), p.dayStart(at, p.TierBy.Days)
}

// Progress is where the customer stands at the moment: the tier in force, and what is counted towards the next one and
// still missing. Where a window decides the tier of the next, what is counted is that of the running window.
func (p *Programme) Progress(s *Standing, at Instant) Progress {
	if len(p.Tiers) == 0 || s == nil {
		return Progress{}
	}
	from, _ := p.tierSpan(s.Joined, at)
	return p.progress(s.Used(counterOfTiers, at), s.Used(counterOfTiers, max(from, at)))
}

// progress is where so much counted now, and so much counted in the window that decides the next tier, bring a customer.
func (p *Programme) progress(now, ahead int64) Progress {
	out := Progress{Tier: p.Tiers[p.tierOf(now)].Title, Unit: p.TierBy.Unit, Have: ahead}
	if next := p.tierOf(out.Have) + 1; next < len(p.Tiers) {
		out.Next, out.Need = p.Tiers[next].Title, p.Tiers[next].From-out.Have
	}
	return out
}

// Change is what has changed for an account by itself, since time has passed.
type Change struct {
	Activated Points // may be redeemed now
	Expired   Points // are gone
	Before    int    // the tier, an index into Tiers
	After     int
}

// Advance works out what has changed since the account was advanced last, and notes through when. It may be run as often
// as wanted and by whoever wants: run again for the same moment or an earlier one it finds nothing, and moments between
// may be left out. It takes nothing from the account, since stations may still hold rights to lots that have expired:
// [Record.Advance] does, as soon as they do not.
func (p *Programme) Advance(a *Account, at Instant) Change {
	since := a.Advanced
	if at <= since {
		tier := p.TierAt(&a.Standing, max(at, since))
		return Change{Before: tier, After: tier}
	}
	c := Change{Before: p.TierAt(&a.Standing, since), After: p.TierAt(&a.Standing, at)}
	for _, l := range a.Lots {
		if l.Expires != 0 && since < l.Expires && l.Expires <= at {
			c.Expired += l.Amount
		} else if since < l.ActiveFrom && l.ActiveFrom <= at && l.Live(at) {
			c.Activated += l.Amount
		}
	}
	if since == 0 {
		c = Change{Before: c.After, After: c.After} // nobody was told anything before
	}
	a.Advanced = at
	return c
}

// NextChange is the first moment after the given one at which something changes by itself: points become spendable or
// expire, or something stops or begins to count. Zero: nothing will.
func (a *Account) NextChange(after Instant) (next Instant) {
	note := func(at Instant) {
		if at > after && (next == 0 || at < next) {
			next = at
		}
	}
	for _, l := range a.Lots {
		note(l.ActiveFrom)
		note(l.Expires)
	}
	for _, t := range a.Tallies {
		note(t.From)
		note(t.Until)
	}
	return next
}

// Expiring is the points that are live at the first moment and gone at the second, in the order in which they go.
func (a *Account) Expiring(from, until Instant) (lots []Lot) {
	for _, l := range a.Lots {
		if l.Live(from) && !l.Live(until) {
			lots = append(lots, l)
		}
	}
	return lots
}

// NextExpiry is the points that go next, if that is within the term after the moment, and when they go. What the account owes
// is taken off as in [Account.Total]: points that only pay a debt are nobody's to lose. Zero: nothing goes.
func (a *Account) NextExpiry(at Instant, within time.Duration) (Points, Instant) {
	total, last := a.Total(at), at.Add(within)
	for _, l := range a.Lots {
		if l.Expires == 0 || l.Expires > last {
			break
		}
		if !l.Live(at) {
			continue
		}
		if goes := total - a.Total(l.Expires); goes > 0 {
			return goes, l.Expires
		}
	}
	return 0, 0
}
