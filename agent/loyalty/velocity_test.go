package loyalty_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// haste is a programme with velocity rules.
const haste = `
velocity:
  - {name: same-card, per: [card, counter], count: sales, at_most: 2, within: 30m}
  - {name: manual, per: [cashier], count: manual, at_most: 3, within: shift}
  - {name: a-day, per: [account], count: redeemed, at_most: 100, within: day, then: refuse}
  - {name: refunds, per: [shift], count: refunds, at_most: 0, within: 2d}
  - {name: given-out, per: [cashier], count: cards, at_most: 1, within: day}
`

// watch is a station's counters of velocity rules.
type watch struct {
	programme *loyalty.Programme
	standings map[string]*loyalty.Standing
}

func newWatch(t testing.TB, more string) *watch {
	return &watch{programme(t, more), make(map[string]*loyalty.Standing)}
}

// judge is what a deed exceeds, by name with the count. With note it is counted.
func (w *watch) judge(d loyalty.Deed, note bool) (exceeded []string) {
	for i := range w.programme.Velocity {
		v := &w.programme.Velocity[i]
		key, ok := v.Key(&d)
		if !ok {
			continue
		}
		s := w.standings[key]
		if n, beyond := w.programme.Judge(v, s, &d); beyond {
			exceeded = append(exceeded, fmt.Sprintf("%s %d", v.Name, n))
		}
		if note {
			if s == nil {
				s = &loyalty.Standing{}
				w.standings[key] = s
			}
			w.programme.Note(v, s, &d)
		}
	}
	return exceeded
}

func TestVelocity(t *testing.T) {
	start := noon(3, 1)
	after := func(d time.Duration) loyalty.Instant { return start.Add(d) }
	sale := func(at loyalty.Instant) loyalty.Deed {
		return loyalty.Deed{At: at, Card: card, Account: account, Counter: "1", Cashier: "Анна", Shift: 7, Sales: 1}
	}
	with := func(d loyalty.Deed, change func(*loyalty.Deed)) loyalty.Deed { change(&d); return d }
	manual := func(d loyalty.Deed) loyalty.Deed { return with(d, func(d *loyalty.Deed) { d.Manual, d.Card = 1, "" }) }
	redeem := func(at loyalty.Instant, x loyalty.Points) loyalty.Deed {
		return loyalty.Deed{At: at, Account: account, Redeemed: x}
	}
	for name, tt := range map[string]struct {
		before []loyalty.Deed
		deed   loyalty.Deed
		want   string
	}{
		"within what is allowed":     {[]loyalty.Deed{sale(start)}, sale(after(time.Minute)), ""},
		"once too often":             {[]loyalty.Deed{sale(start), sale(start)}, sale(after(30*time.Minute - 1)), "same-card 3"},
		"the window has moved on":    {[]loyalty.Deed{sale(start), sale(start)}, sale(after(31 * time.Minute)), ""},
		"another counter":            {[]loyalty.Deed{sale(start), sale(start)}, with(sale(start), func(d *loyalty.Deed) { d.Counter = "2" }), ""},
		"counters without a name":    {[]loyalty.Deed{{At: start, Card: card, Sales: 2}}, loyalty.Deed{At: start, Card: card, Sales: 1}, "same-card 3"},
		"another card":               {[]loyalty.Deed{sale(start), sale(start)}, with(sale(start), func(d *loyalty.Deed) { d.Card = "70009999" }), ""},
		"no card":                    {[]loyalty.Deed{sale(start), sale(start)}, with(sale(start), func(d *loyalty.Deed) { d.Card = "" }), ""},
		"typed in, another counter":  {[]loyalty.Deed{manual(sale(start)), manual(sale(start)), manual(sale(start))}, manual(sale(after(9 * time.Hour))), "manual 4"},
		"typed in, the next shift":   {[]loyalty.Deed{manual(sale(start)), manual(sale(start)), manual(sale(start))}, with(manual(sale(start)), func(d *loyalty.Deed) { d.Shift = 8 }), ""},
		"typed in, no shift":         {[]loyalty.Deed{manual(sale(start)), manual(sale(start)), manual(sale(start))}, with(manual(sale(start)), func(d *loyalty.Deed) { d.Shift = 0 }), ""},
		"typed in by nobody":         {nil, with(manual(sale(start)), func(d *loyalty.Deed) { d.Cashier, d.Manual = "", 9 }), ""},
		"points of a day":            {[]loyalty.Deed{redeem(start, 60_00)}, redeem(after(11*time.Hour), 40_01), "a-day 10001"},
		"points of a day, all of it": {[]loyalty.Deed{redeem(start, 60_00)}, redeem(after(11*time.Hour), 40_00), ""},
		"points of the next day":     {[]loyalty.Deed{redeem(start, 60_00)}, redeem(after(12*time.Hour), 60_00), ""},
		"no account":                 {nil, loyalty.Deed{At: start, Redeemed: 500_00}, ""},
		"nothing redeemed":           {[]loyalty.Deed{redeem(start, 100_00)}, redeem(start, 0), ""},
		"none allowed":               {nil, loyalty.Deed{At: start, Counter: "1", Shift: 7, Refunds: 1}, "refunds 1"},
		"cards given out":            {[]loyalty.Deed{{At: start, Cashier: "Анна", Cards: 1}}, loyalty.Deed{At: start, Cashier: "Анна", Cards: 1}, "given-out 2"},
		"cards of another cashier":   {[]loyalty.Deed{{At: start, Cashier: "Анна", Cards: 1}}, loyalty.Deed{At: start, Cashier: "Вера", Cards: 1}, ""},
		"less than nothing":          {nil, loyalty.Deed{At: start, Account: account, Counter: "1", Shift: 7, Refunds: -1, Redeemed: -1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(t, haste)
			for _, d := range tt.before {
				w.judge(d, true)
			}
			if got := strings.Join(w.judge(tt.deed, false), ", "); got != tt.want {
				t.Errorf("exceeds %q, want %q", got, tt.want)
			}
		})
	}
}

// drawDeed draws one of few subjects, so that they meet.
func drawDeed(t *rapid.T, at loyalty.Instant) loyalty.Deed {
	return loyalty.Deed{
		At: at, Card: rapid.SampledFrom([]loyalty.CardNumber{"", "70001", "70002"}).Draw(t, "card"), Account: loyalty.AccountID(rapid.IntRange(0, 2).Draw(t, "account")),
		Counter: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "counter"), Cashier: rapid.SampledFrom([]string{"", "Анна", "Вера"}).Draw(t, "cashier"),
		Shift: rapid.Uint32Range(0, 2).Draw(t, "shift"), Sales: rapid.Int64Range(0, 2).Draw(t, "sales"), Manual: rapid.Int64Range(0, 1).Draw(t, "manual"),
		Refunds: rapid.Int64Range(0, 2).Draw(t, "refunds"), Redeemed: loyalty.Points(rapid.Int64Range(0, 500).Draw(t, "redeemed")),
		Cards: rapid.Int64Range(0, 1).Draw(t, "cards"),
	}
}

func drawVelocity(t *rapid.T) loyalty.Velocity {
	v := loyalty.Velocity{Name: "v", Count: loyalty.Counted(rapid.IntRange(0, 4).Draw(t, "count")), AtMost: rapid.Int64Range(0, 8).Draw(t, "at most")}
	for w := loyalty.WatchCard; w <= loyalty.WatchCounter; w++ {
		if rapid.Bool().Draw(t, w.String()) {
			v.Per = append(v.Per, w)
		}
	}
	if len(v.Per) == 0 {
		v.Per = []loyalty.Watched{loyalty.WatchCounter}
	}
	switch rapid.IntRange(0, 2).Draw(t, "window") {
	case 0:
		v.Day = true
	case 1:
		v.Shift = true
	default:
		v.Within = time.Duration(rapid.IntRange(1, 31*24*60).Draw(t, "minutes")) * time.Minute
	}
	return v
}

// plainly lists what a rule's own words say it counts: for each subject in full, what and when.
type plainly struct {
	v     *loyalty.Velocity
	deeds []loyalty.Deed
}

func (m *plainly) amount(d *loyalty.Deed) int64 {
	return map[loyalty.Counted]int64{
		loyalty.CountSales: d.Sales, loyalty.CountManual: d.Manual, loyalty.CountRefunds: d.Refunds, loyalty.CountRedeemed: int64(d.Redeemed),
		loyalty.CountCards: d.Cards,
	}[m.v.Count]
}

func (m *plainly) subject(d *loyalty.Deed) (subject string, known bool) {
	known = m.amount(d) > 0 && (!m.v.Shift || d.Shift != 0)
	for _, w := range m.v.Per {
		part := map[loyalty.Watched]string{
			loyalty.WatchCard: string(d.Card), loyalty.WatchAccount: strings.TrimLeft(fmt.Sprint(d.Account), "0"), loyalty.WatchCashier: d.Cashier,
			loyalty.WatchCounter: "counter " + d.Counter, loyalty.WatchShift: fmt.Sprintf("%s#%d", d.Counter, d.Shift),
		}[w]
		known = known && part != "" && (w != loyalty.WatchShift || d.Shift != 0)
		subject += part + "|"
	}
	if m.v.Shift {
		subject += fmt.Sprintf("%s#%d", d.Counter, d.Shift)
	}
	return subject, known
}

// count is what the deeds so far and one more come to, if a moving window reaches back so much further.
func (m *plainly) count(p *loyalty.Programme, d *loyalty.Deed, further time.Duration) int64 {
	sum := m.amount(d)
	mine, _ := m.subject(d)
	day := func(at loyalty.Instant) string { return at.Time().Add(p.Offset).Format(time.DateOnly) }
	for i := range m.deeds {
		e := &m.deeds[i]
		subject, known := m.subject(e)
		if !known || subject != mine {
			continue
		}
		switch {
		case m.v.Day && day(e.At) != day(d.At):
		case m.v.Within > 0 && e.At.Add(m.v.Within+further) <= d.At:
		default:
			sum += m.amount(e)
		}
	}
	return sum
}

// Whatever is done by whomever, the counters hold what a list of all deeds says: a day and a shift exactly, a moving window
// never less than is within it and nothing from before a sixtieth more of it.
func TestVelocityAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawVelocity(t)
		p := &loyalty.Programme{Offset: time.Duration(rapid.IntRange(-12, 14).Draw(t, "offset")) * time.Hour, Velocity: []loyalty.Velocity{v}}
		m := plainly{v: &p.Velocity[0]}
		standings := map[string]*loyalty.Standing{}
		subjects := map[string]string{}
		at := noon(3, 1).Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "begins")))
		step := max(time.Minute, v.Within/4)
		if v.Shift { // longer than a shift may count there is nothing to compare
			step = time.Hour
		}
		for range rapid.IntRange(1, 40).Draw(t, "deeds") {
			later := time.Duration(rapid.Int64Range(0, int64(step)).Draw(t, "later"))
			if rapid.Bool().Draw(t, "at an edge") && v.Within > 0 {
				later = rapid.SampledFrom([]time.Duration{0, time.Millisecond, v.Within - time.Millisecond, v.Within, v.Within + v.Within/60}).Draw(t, "edge")
			}
			at = at.Add(later)
			d := drawDeed(t, at)
			key, ok := m.v.Key(&d)
			subject, known := m.subject(&d)
			if ok != known || len(key) > loyalty.MaxVelocityKey {
				t.Fatalf("%+v concerns %+v: %v, want %v; key %q", v, d, ok, known, key)
			}
			if !ok {
				continue
			}
			if was, there := subjects[subject]; there && was != key {
				t.Fatalf("%s has keys %s and %s", subject, was, key)
			}
			subjects[subject] = key
			if standings[key] == nil {
				standings[key] = &loyalty.Standing{}
			}
			s := standings[key]
			least, most := m.count(p, &d, 0), m.count(p, &d, v.Within/60)
			n, exceeded := p.Judge(m.v, s, &d)
			if n < least || n > most || exceeded != (n > v.AtMost) {
				t.Fatalf("%+v stands at %d, exceeded %v; want %d to %d", v, n, exceeded, least, most)
			}
			if again, _ := p.Judge(m.v, s, &d); again != n {
				t.Fatalf("asked again: %d, was %d", again, n)
			}
			if rapid.Bool().Draw(t, "done") {
				p.Note(m.v, s, &d)
				m.deeds = append(m.deeds, d)
			}
			if len(s.Tallies) > 62 {
				t.Fatalf("%d numbers are kept", len(s.Tallies))
			}
			if after, _ := p.Judge(m.v, s, &d); s.Idle(at) != (after == m.amount(&d)) || !s.Idle(at.Add(2*loyalty.MaxWithin)) {
				t.Fatalf("idle with %+v", s.Tallies)
			}
		}
		if len(subjects) != len(standings) {
			t.Fatalf("%d subjects share %d counters", len(subjects), len(standings))
		}
	})
}

// A rule that comes to mean something else does not take over what its namesake has counted; a new bound does.
func TestVelocityKeys(t *testing.T) {
	base := loyalty.Velocity{Name: "v", Per: []loyalty.Watched{loyalty.WatchCard}, AtMost: 3, Within: time.Hour}
	d := loyalty.Deed{Card: card, Counter: "1", Shift: 1, Sales: 1, Manual: 1}
	key := func(change func(*loyalty.Velocity)) string {
		v := base
		change(&v)
		k, ok := v.Key(&d)
		if !ok || strings.Contains(k, string(card)) {
			t.Errorf("key %q, %v", k, ok)
		}
		return k
	}
	same := key(func(*loyalty.Velocity) {})
	if key(func(v *loyalty.Velocity) { v.AtMost, v.Refuse = 9, true }) != same {
		t.Error("another bound begins anew")
	}
	for name, change := range map[string]func(*loyalty.Velocity){
		"name":   func(v *loyalty.Velocity) { v.Name = "w" },
		"per":    func(v *loyalty.Velocity) { v.Per = append(v.Per, loyalty.WatchCounter) },
		"count":  func(v *loyalty.Velocity) { v.Count = loyalty.CountManual },
		"within": func(v *loyalty.Velocity) { v.Within *= 2 },
		"day":    func(v *loyalty.Velocity) { v.Within, v.Day = 0, true },
		"shift":  func(v *loyalty.Velocity) { v.Within, v.Shift = 0, true },
	} {
		if key(change) == same {
			t.Errorf("another %s, the same counter", name)
		}
	}
}

func TestVelocityInWords(t *testing.T) {
	var words []string
	w := newWatch(t, haste)
	for i := range w.programme.Velocity {
		text := w.programme.Velocity[i].Words()
		words = append(words, text.EN, text.RU)
	}
	want := []string{
		"same-card: sales at most 2 within 30 min for one card and counter; beyond that headquarters is alerted",
		"same-card: покупок не больше 2 за 30 мин на карту и кассу; сверх того сообщение в центр",
		"manual: cards typed in at most 3 in a shift for one cashier; beyond that headquarters is alerted",
		"manual: карт, набранных вручную, не больше 3 за смену на кассира; сверх того сообщение в центр",
		"a-day: points redeemed at most 100 in a day for one account; beyond that it is refused and headquarters alerted",
		"a-day: списано баллов не больше 100 за день на счёт; сверх того отказ и сообщение в центр",
		"refunds: refunds at most 0 within 2 d for one shift; beyond that headquarters is alerted",
		"refunds: возвратов не больше 0 за 2 дн. на смену; сверх того сообщение в центр",
		"given-out: cards given out at most 1 in a day for one cashier; beyond that headquarters is alerted",
		"given-out: выданных карт не больше 1 за день на кассира; сверх того сообщение в центр",
	}
	if got := strings.Join(words, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("says\n%s", got)
	}
}

// What stands open counts for the rule's stretch, for a day at least, and for a shift as long as anything counts for one.
func TestSinceWhenOpenSalesCount(t *testing.T) {
	const day = 24 * time.Hour
	at := loyalty.At(time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC))
	for name, test := range map[string]struct {
		rule loyalty.Velocity
		want time.Duration
	}{
		"short": {loyalty.Velocity{Within: 30 * time.Minute}, day}, "long": {loyalty.Velocity{Within: 3 * day}, 3 * day},
		"day": {loyalty.Velocity{Day: true}, day}, "shift": {loyalty.Velocity{Shift: true}, loyalty.MaxWithin},
	} {
		if got := test.rule.OpenSince(at); got != at.Add(-test.want) {
			t.Errorf("%s: since %s, want %s", name, got, at.Add(-test.want))
		}
	}
	for c, want := range map[loyalty.Counted]bool{
		loyalty.CountSales: true, loyalty.CountManual: true, loyalty.CountRedeemed: true, loyalty.CountRefunds: false, loyalty.CountCards: false,
	} {
		if v := (loyalty.Velocity{Count: c, Refuse: true}); v.CountsOpen() != want {
			t.Errorf("a rule that refuses and counts %s: %v", c, !want)
		}
		if v := (loyalty.Velocity{Count: c}); v.CountsOpen() {
			t.Errorf("a rule that alerts counts open %s", c)
		}
	}
}
