package loyalty

import "time"

// Programme is the rules of earning and redeeming: data, not code. It is made by [ParseProgramme] and not changed
// afterwards, so that any number of goroutines may read it.
//
// Rounding, stated once: an earning rule gives points for the sum of the lines it covers, rounded down to the
// programme's step; money for points and the shares are rounded down to a kopeck; what a receipt's discount leaves over
// after rounding its lines down goes one kopeck at a time to the lines with the largest remainders.
type Programme struct {
	Name      string
	Version   uint32 // grows with every publication; named by every entry that it priced
	Effective Instant
	Title     Text

	Offset     time.Duration // of the programme's calendar from UTC
	PointValue Kopecks       // what one whole point pays
	Step       Points        // points are earned in multiples of this

	Earn       []EarnRule
	NoEarn     []string      // groups and codes that never earn
	NoRedeem   []string      // groups and codes that points never pay for
	Activation time.Duration // whole days
	LifeMonths int           // calendar months until a lot expires; zero: never, or by Annul
	Annul      YearDay       // the day of each year on which lots expire, at its start; zero: there is none
	SpareDays  int           // lots accrued within so many days before Annul live until the next one

	RedeemShare int64   // of the lines that points may pay for, in hundredths of a per cent
	RedeemStep  Points  // redemptions are multiples of this
	MinMoney    Kopecks // the customer pays at least so much of the receipt in money

	AcceptUnknown bool   // a card HQ has not told us of may accrue while HQ is out of reach
	Source        []byte // the file it was read from
}

// YearDay is a day of every year.
type YearDay struct {
	Month time.Month
	Day   int
}

// EarnRule gives Points for every full or partial Per of what it covers. A line that several rules cover earns by each.
type EarnRule struct {
	Kind   LineKind
	Codes  []string // fuel grades or goods groups; empty: all
	Points Points
	Per    int64 // millilitres for fuel, kopecks for goods
	Whole  bool  // only full units of Per count
}

// expiry is the moment a lot accrued at the given moment expires: the end of that calendar day, LifeMonths later (of the
// month's last day, where it is shorter), or the yearly day. Lots of one day share it, so that an account's lots stay few.
func (p *Programme) expiry(at Instant) Instant {
	local := at.Time().Add(p.Offset)
	year, month, day := local.Date()
	switch {
	case p.Annul != (YearDay{}):
		free := time.Date(year, month, day+p.SpareDays, 0, 0, 0, 0, time.UTC)
		end := time.Date(free.Year(), p.Annul.Month, p.Annul.Day, 0, 0, 0, 0, time.UTC)
		if !free.Before(end) {
			end = time.Date(free.Year()+1, p.Annul.Month, p.Annul.Day, 0, 0, 0, 0, time.UTC)
		}
		return At(end.Add(-p.Offset))
	case p.LifeMonths > 0:
		last := time.Date(year, month+time.Month(p.LifeMonths)+1, 0, 0, 0, 0, 0, time.UTC) // of the target month
		end := time.Date(last.Year(), last.Month(), min(day, last.Day())+1, 0, 0, 0, 0, time.UTC)
		return At(end.Add(-p.Offset))
	}
	return 0
}

// activation is the moment a lot accrued at the given moment may be redeemed: the start of the calendar day that many
// days later. Zero, which is always, where there is no delay: lots that never expire then join into one.
func (p *Programme) activation(at Instant) Instant {
	if p.Activation == 0 {
		return 0
	}
	local := at.Time().Add(p.Offset)
	day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	return At(day.Add(p.Activation - p.Offset))
}
