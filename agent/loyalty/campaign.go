package loyalty

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Campaign gives points beside the rules, for a while. It has one effect: Multiply, or Points for every Per, or Points
// for the receipt where Per is zero.
type Campaign struct {
	Name     string
	Title    Text
	From     Instant
	Until    Instant     // zero: until a version of the programme without it
	Stations []StationID // sorted; empty: all
	Weekdays uint8       // a bit for each day from Sunday; zero: all
	Hours    [2]int      // minutes of the day, from and until, over midnight if the first is the larger; equal: all day
	Tiers    uint64      // a bit for each tier; zero: all
	Tenders  []Tender    // empty: all
	Covers   []Cover     // empty: all lines

	MinVolume Millilitres // of the covered fuel on the receipt, however it is paid
	MinMoney  Kopecks     // of the covered lines on the receipt, however it is paid

	Multiply int64 // what the rules give for the covered lines, in hundredths: 200 doubles it
	Points   Points
	Per      int64    // of what is paid with money: millilitres or kopecks, by PerKind
	PerKind  LineKind // Fuel: litres; Goods: roubles of all covered lines

	PerAccount Points // at most so many in the whole campaign; zero: no bound
	PerCard    Points
	Promo      *Promo // only with a promo code

	Activation time.Duration // whole days; below zero: as the programme says
	LifeDays   int           // own term of its points; zero: none
	Expires    Instant       // they expire at this moment; zero: not so
}

// Promo is the codes of a campaign: a list, or a pattern of digits.
type Promo struct {
	Codes   []string // as [NormalCode] writes them, sorted
	Pattern string   // each # stands for a digit; empty: only the list
	Luhn    bool     // the digits of a code end with their Luhn check digit
}

// NormalCode writes a promo code as it is compared: capital letters, no spaces or hyphens.
func NormalCode(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, strings.ToUpper(s))
}

// fits tells whether a code as written by [NormalCode] is one of these, and whether it has been typed without a mistake
// as far as can be seen.
func (m *Promo) fits(code string) (ours, sound bool) {
	if _, listed := slices.BinarySearch(m.Codes, code); listed {
		return true, true
	}
	if m.Pattern == "" || len(code) != len(m.Pattern) {
		return false, false
	}
	for i := range len(code) {
		digit := '0' <= code[i] && code[i] <= '9'
		if m.Pattern[i] == '#' && !digit || m.Pattern[i] != '#' && m.Pattern[i] != code[i] {
			return false, false
		}
	}
	return true, !m.Luhn || luhn(code)
}

// luhn tells whether the digits of a text end with their check digit.
func luhn(s string) bool {
	sum, double := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		d := int(s[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return sum%10 == 0
}

// here is when and where something is sold, as campaigns ask for it.
type here struct {
	at      Instant
	weekday time.Weekday
	minute  int // of the day
	station StationID
}

func (p *Programme) here(at Instant, station StationID) here {
	local := p.local(at)
	return here{at, local.Weekday(), local.Hour()*60 + local.Minute(), station}
}

// running tells whether the campaign is on.
func (m *Campaign) running(h here) bool {
	if h.at < m.From || m.Until != 0 && h.at >= m.Until || m.Weekdays != 0 && m.Weekdays>>h.weekday&1 == 0 {
		return false
	}
	if len(m.Stations) > 0 {
		if _, found := slices.BinarySearch(m.Stations, h.station); !found {
			return false
		}
	}
	minute, from, until := h.minute, m.Hours[0], m.Hours[1]
	switch {
	case from < until:
		return from <= minute && minute < until
	case from > until:
		return from <= minute || minute < until
	}
	return true
}

// open tells whether the campaign is for customers of the tier.
func (m *Campaign) open(tier int) bool { return m.Tiers == 0 || m.Tiers>>tier&1 == 1 }

// term is when the campaign's points may be redeemed and when they expire.
func (m *Campaign) term(p *Programme, at Instant) (active, expires Instant) {
	active, expires = p.activation(at), p.expiry(at)
	if m.Activation >= 0 {
		if active = 0; m.Activation > 0 {
			active = p.dayStart(at, int(m.Activation/(24*time.Hour)))
		}
	}
	if m.LifeDays > 0 {
		expires = p.dayStart(at, m.LifeDays+1)
	} else if m.Expires != 0 {
		expires = m.Expires
	}
	return active, expires
}

// counter is the points that an account has of the campaign.
func (m *Campaign) counter() Counter { return Counter("campaign:" + m.Name) }

// cardCounter is the points that one card has of the campaign. It does not hold the card's number.
func (m *Campaign) cardCounter(c CardNumber) Counter {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c)) // never fails
	return Counter(fmt.Sprintf("campaign:%s:%016x", m.Name, h.Sum64()))
}

// codeCounter is the use of a promo code.
func codeCounter(code string) Counter { return Counter("code:" + code) }
