package loyalty

import "time"

// local is a moment on the programme's calendar, which knows no summer time.
func (p *Programme) local(at Instant) time.Time { return at.Time().Add(p.Offset) }

// instant is the moment of a time on the programme's calendar.
func (p *Programme) instant(local time.Time) Instant { return At(local.Add(-p.Offset)) }

// dayStart is the start of the calendar day of the moment, and so many days later.
func (p *Programme) dayStart(at Instant, later int) Instant {
	year, month, day := p.local(at).Date()
	return p.instant(time.Date(year, month, day+later, 0, 0, 0, 0, time.UTC))
}

// period is a stretch of the calendar over which a limit counts.
type period uint8

const (
	aDay period = iota
	aWeek
	aMonth
)

var periodNames = [...]string{"day", "week", "month"}

// span is the period of a moment: a day, a week from Monday, a calendar month.
func (p *Programme) span(k period, at Instant) (from, until Instant) {
	year, month, day := p.local(at).Date()
	switch k {
	case aWeek:
		monday := day - (int(p.local(at).Weekday())+6)%7
		return p.instant(time.Date(year, month, monday, 0, 0, 0, 0, time.UTC)), p.instant(time.Date(year, month, monday+7, 0, 0, 0, 0, time.UTC))
	case aMonth:
		return p.instant(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)), p.instant(time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC))
	}
	return p.dayStart(at, 0), p.dayStart(at, 1)
}

// expiry is the moment a lot accrued at the given moment expires: the end of that calendar day, LifeMonths later (of the
// month's last day, where it is shorter), or the yearly day. Lots of one day share it, so that an account's lots stay few.
func (p *Programme) expiry(at Instant) Instant {
	year, month, day := p.local(at).Date()
	switch {
	case p.Annul != (YearDay{}):
		free := time.Date(year, month, day+p.SpareDays, 0, 0, 0, 0, time.UTC)
		end := time.Date(free.Year(), p.Annul.Month, p.Annul.Day, 0, 0, 0, 0, time.UTC)
		if !free.Before(end) {
			end = time.Date(free.Year()+1, p.Annul.Month, p.Annul.Day, 0, 0, 0, 0, time.UTC)
		}
		return p.instant(end)
	case p.LifeMonths > 0:
		last := time.Date(year, month+time.Month(p.LifeMonths)+1, 0, 0, 0, 0, 0, time.UTC) // of the target month
		end := time.Date(last.Year(), last.Month(), min(day, last.Day())+1, 0, 0, 0, 0, time.UTC)
		return p.instant(end)
	}
	return 0
}

// activation is the moment a lot accrued at the given moment may be redeemed: the start of the calendar day that many
// days later. Zero, which is always, where there is no delay: lots that never expire then join into one.
func (p *Programme) activation(at Instant) Instant {
	if p.Activation == 0 {
		return 0
	}
	return p.dayStart(at, int(p.Activation/(24*time.Hour)))
}
