package loyalty_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func drawTally(t *rapid.T) loyalty.Tally {
	from := loyalty.Instant(rapid.IntRange(0, 5).Draw(t, "from"))
	x := loyalty.Tally{
		Counter: loyalty.Counter(rapid.SampledFrom([]string{"tier", "code:A", "points:day"}).Draw(t, "counter")),
		From:    from, Amount: rapid.Int64Range(1, 9).Draw(t, "amount"),
	}
	if rapid.Bool().Draw(t, "ends") {
		x.Until = from + loyalty.Instant(rapid.IntRange(1, 5).Draw(t, "for"))
	}
	return x
}

// A standing is a heap of tallies: what a counter stands at is the sum of those that count.
func TestCountersAgainstAHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a loyalty.Account
		var heap []loyalty.Tally
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			x := drawTally(t)
			if len(heap) > 0 && rapid.IntRange(0, 3).Draw(t, "take back") == 0 {
				i := rapid.IntRange(0, len(heap)-1).Draw(t, "which")
				a.Uncount(heap[i])
				heap = slices.Delete(heap, i, i+1)
			} else {
				a.Count(x)
				heap = append(heap, x)
			}
			if err := a.Check(); err != nil {
				t.Fatal(err)
			}
		}
		for at := range loyalty.Instant(12) {
			for _, c := range []loyalty.Counter{"tier", "code:A", "points:day", "none"} {
				var want int64
				for _, x := range heap {
					if x.Counter == c && x.From <= at && (x.Until == 0 || at < x.Until) {
						want += x.Amount
					}
				}
				if got := a.Used(c, at); got != want {
					t.Fatalf("%s at %d: %d, want %d of %v", c, at, got, want, heap)
				}
			}
		}
	})
}

func TestCountersAreBounded(t *testing.T) {
	var a loyalty.Account
	a.Count(loyalty.Tally{Counter: "for ever", Amount: 5})
	for i := range loyalty.MaxTallies + 100 {
		a.Count(loyalty.Tally{Counter: "tier", From: loyalty.Instant(i), Until: loyalty.Instant(i + 1000), Amount: loyalty.MaxAmount})
		a.Count(loyalty.Tally{Counter: "tier", From: loyalty.Instant(i), Until: loyalty.Instant(i + 1000), Amount: loyalty.MaxAmount})
	}
	if err := a.Check(); err != nil || len(a.Tallies) != loyalty.MaxTallies {
		t.Errorf("%d tallies: %v", len(a.Tallies), err)
	}
	if a.Used("for ever", 1) != 5 || a.Used("tier", 500) != loyalty.MaxAmount {
		t.Errorf("what lives for ever stands at %d, the other at %d", a.Used("for ever", 1), a.Used("tier", 500))
	}
}

// Two stations that do not hear of each other both take the code; headquarters grants it once, in whatever order it hears.
func TestAClaimIsGrantedOnce(t *testing.T) {
	claim := func(amount loyalty.Points, until loyalty.Instant) loyalty.Claim {
		return loyalty.Claim{Tally: loyalty.Tally{Counter: "code:SUMMER", From: 1, Until: until, Amount: 1}, Lot: loyalty.Lot{Amount: amount}}
	}
	sale := func(claims ...loyalty.Claim) *loyalty.Entry {
		return &loyalty.Entry{Body: loyalty.SaleClosed{Account: account, Earned: []loyalty.Lot{{Amount: 1}}, Claims: claims}}
	}
	r := loyalty.Record{Account: loyalty.Account{ID: account}}
	for i, e := range []*loyalty.Entry{
		sale(claim(100, 50), claim(100, 50)), // twice in one entry: a station that lies
		sale(claim(100, 50)),
		sale(claim(100, 60)), // the campaign has been made longer meanwhile
	} {
		if _, err := r.Post(loyalty.CellKey{Station: loyalty.StationID(i + 1), Epoch: 1}, 1, e); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Account.Total(10); got != 103 || r.Account.Used("code:SUMMER", 10) != 1 {
		t.Errorf("the account holds %s, the code stands at %d", got, r.Account.Used("code:SUMMER", 10))
	}
	// A station that sells on a train without a net reports weeks after the end: the code is still known to be used.
	r.Prune(50 + 30*86_400_000)
	if _, err := r.Post(loyalty.CellKey{Station: 9, Epoch: 1}, 1, sale(claim(100, 50))); err != nil || r.Account.Total(10) != 104 {
		t.Errorf("%v, %s", err, r.Account.Total(10))
	}
}

// The station's view grants a claim once too, and the claim goes with the sale that HQ has counted.
func TestAClaimInTheStationsView(t *testing.T) {
	l := loyalty.Local{Snapshot: loyalty.Snapshot{Account: loyalty.Account{ID: account}, Version: 1, Epoch: 1}}
	for seq := range loyalty.Seq(2) {
		l.Add(loyalty.Posting{Epoch: 1, Seq: seq + 1, Claims: []loyalty.Claim{{Tally: loyalty.Tally{Counter: "code:A", Amount: 1}, Lot: loyalty.Lot{Amount: 7}}}})
	}
	if a := l.Current(); a.Total(1) != 7 {
		t.Errorf("shows %s", a.Total(1))
	}
}

func tiered(t testing.TB, window string) *loyalty.Programme {
	return programme(t, "tiers: {"+window+", levels: [{name: green, from: 0}, {name: gold, from: 300}]}\nearn: [{fuel: ['*'], points: {green: 1, gold: 2}}]\n")
}

func TestWindowsOfTiers(t *testing.T) {
	day := 24 * time.Hour
	for _, tt := range []struct {
		name, window string
		gold         []bool // 0, 1, 30, 31, 60, 89, 90, 180 and 270 days after the purchase of 20 January
	}{
		{"rolling", "window: rolling, days: 90", []bool{true, true, true, true, true, true, false, false, false}},
		{"this month", "window: this_month", []bool{true, true, false, false, false, false, false, false, false}},
		{"the month after", "window: next_month", []bool{false, false, true, true, false, false, false, false, false}},
		{"the window after, from joining on 1 January", "window: next_days, days: 90", []bool{false, false, false, false, false, true, true, false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCustomer(tiered(t, tt.window))
			c.account.Joined, c.at = noon(1, 1), noon(1, 20)
			r := receipt(fuel("АИ-95", 300_000, 18_000_00))
			if q, err := c.sell(&r, 0); err != nil || q.Earn != 300_00 {
				t.Fatal(err, q.Earn)
			}
			for i, days := range []int{0, 1, 30, 31, 60, 89, 90, 180, 270} {
				at := noon(1, 20).Add(time.Duration(days) * day)
				if got := c.programme.TierAt(&c.account.Standing, at) == 1; got != tt.gold[i] {
					t.Errorf("gold after %d days: %v", days, got)
				}
			}
		})
	}
}

func TestProgressTowardsTheNextWindow(t *testing.T) {
	c := newCustomer(tiered(t, "window: next_month"))
	r := receipt(fuel("АИ-95", 100_000, 6000_00))
	q, err := c.sell(&r, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := loyalty.Progress{Tier: loyalty.Text{RU: "green", EN: "green"}, Next: loyalty.Text{RU: "gold", EN: "gold"}, Unit: loyalty.Fuel, Have: 100_000, Need: 200_000}
	if q.Progress != want || c.programme.Progress(&c.account.Standing, c.at) != want {
		t.Errorf("the quote says %+v, the account %+v, want %+v", q.Progress, c.programme.Progress(&c.account.Standing, c.at), want)
	}
}

// Advancing may be done at any moments and as often as wanted: together they find the same, and again nothing.
func TestAdvanceMayBeRepeated(t *testing.T) {
	p := tiered(t, "window: rolling, days: 90")
	rapid.Check(t, func(t *rapid.T) {
		draw := func() loyalty.Record {
			r := loyalty.Record{Account: loyalty.Account{ID: account, Standing: loyalty.Standing{Advanced: 1}}}
			for _, l := range drawLots(t, 50) {
				if err := r.Account.Accrue(loyalty.Lot{Amount: l.Amount, ActiveFrom: 10 * l.ActiveFrom, Expires: 10 * l.Expires}); err != nil {
					t.Fatal(err)
				}
			}
			return r
		}
		r := draw()
		once := loyalty.Record{Account: r.Account.Clone()}
		all := once.Advance(p, 100)
		var expired loyalty.Points
		at := loyalty.Instant(1)
		for at < 100 {
			at = min(100, at+loyalty.Instant(rapid.IntRange(1, 40).Draw(t, "later")))
			expired += r.Advance(p, at).Expired
			version := r.Version
			if again := r.Advance(p, at); again.Expired != 0 || again.Activated != 0 || again.Before != again.After || r.Version != version {
				t.Fatalf("again at %d: %+v", at, again)
			}
		}
		if expired != all.Expired || !sameLots(r.Account.Lots, once.Account.Lots) {
			t.Fatalf("in steps %s expired, leaving %v; at once %s, leaving %v", expired, r.Account.Lots, all.Expired, once.Account.Lots)
		}
	})
}

func TestAdvanceTellsWhatHappened(t *testing.T) {
	p := tiered(t, "window: rolling, days: 90")
	r := loyalty.Record{Account: loyalty.Account{ID: account, Lots: []loyalty.Lot{
		{Amount: 10, Expires: noon(3, 5)}, {Amount: 20, ActiveFrom: noon(3, 5), Expires: noon(9, 1)}, {Amount: 40, Expires: noon(12, 1)},
	}}}
	r.Account.Count(loyalty.Tally{Counter: "tier", From: noon(1, 1), Until: noon(3, 5), Amount: 300_000})
	if c := r.Advance(p, noon(3, 4)); c != (loyalty.Change{Before: 1, After: 1}) {
		t.Errorf("the first time: %+v", c)
	}
	if next := r.Account.NextChange(noon(3, 4)); next != noon(3, 5) {
		t.Errorf("the next change is at %s", next)
	}
	if c := r.Advance(p, noon(3, 5)); c != (loyalty.Change{Activated: 20, Expired: 10, Before: 1, After: 0}) {
		t.Errorf("the second time: %+v", c)
	}
	if lots := r.Account.Expiring(noon(3, 5), noon(10, 1)); len(lots) != 1 || lots[0].Amount != 20 {
		t.Errorf("about to expire: %v", lots)
	}
}

func TestExpiredLotsStayWhileRightsAreOut(t *testing.T) {
	p := tiered(t, "window: rolling, days: 90")
	r := loyalty.Record{Account: loyalty.Account{ID: account, Lots: []loyalty.Lot{{Amount: 100, Expires: 50}}}}
	key := loyalty.CellKey{Station: 1, Epoch: 1}
	r.TopUp(key, loyalty.Statement{}, 60, 10)
	r.Advance(p, 20)
	if c := r.Advance(p, 60); c.Expired != 100 || len(r.Account.Lots) != 1 {
		t.Errorf("%+v, lots %v", c, r.Account.Lots)
	}
	if _, err := r.Post(key, 1, closed(60, 40, loyalty.Statement{Used: 60}, loyalty.Lot{})); err != nil {
		t.Fatal(err)
	}
	if r.Advance(p, 61); len(r.Account.Lots) != 0 {
		t.Errorf("lots %v", r.Account.Lots)
	}
}

func TestPromoCodes(t *testing.T) {
	p := programme(t, simple+`
campaigns:
  - {name: digits, from: 2026-01-01T00:00:00+03:00, until: 2026-12-01T00:00:00+03:00, points: 10, promo: {pattern: "AB######", check: luhn}}
`)
	// Luhn finds every single wrong digit: of the ten codes that differ in one digit, one is right.
	for place := range 6 {
		right := 0
		for d := range 10 {
			digits := []byte("123455")
			digits[place] = byte('0' + d)
			r := receipt(goods("coffee", 100_00))
			r.Promo = []string{fmt.Sprintf("ab-%s", digits)}
			q, err := p.Price(loyalty.Case{Receipt: &r, At: noon(3, 1)})
			if err != nil {
				t.Fatal(err)
			}
			if len(q.Claims) == 1 {
				right++
			} else if !slices.Contains(q.Reasons, loyalty.PromoMistyped) {
				t.Errorf("%s: %v", r.Promo[0], q.Reasons)
			}
		}
		if right != 1 {
			t.Errorf("of ten codes that differ in digit %d, %d are right", place+1, right)
		}
	}
	r := receipt(goods("coffee", 100_00))
	r.Promo = []string{"AB123455", "ab 123455", "AB000000"}
	if q, err := p.Price(loyalty.Case{Receipt: &r, At: noon(3, 1)}); err != nil || len(q.Claims) != 1 || !slices.Contains(q.Reasons, loyalty.PromoNotMet) {
		t.Errorf("one code of a campaign for a receipt: %+v, %v", q.Claims, err)
	} else if !slices.Equal(q.Promo, []loyalty.Refusal{"", "", loyalty.PromoNotMet}) {
		t.Errorf("what became of each code: %q", q.Promo)
	}
	r.Promo = []string{""}
	if err := r.Check(); !errors.Is(err, loyalty.BadRequest) {
		t.Errorf("an empty code: %v", err)
	}
}

func TestBenefitOfAYear(t *testing.T) {
	p := familyTeam()
	b, err := p.Benefit(loyalty.Habits{Litres: 120_000, Grade: "АИ-95", Price: 62_00, Goods: 1000_00, Visits: 4, Begin: noon(3, 1)})
	if err != nil {
		t.Fatal(err)
	}
	// Four receipts a month of 30 litres and 250 roubles: 15 and 12 points each.
	if b.Points != 12*4*27_00 || b.Roubles != 12*4*27_00 || len(b.Months) != 12 || b.Spent != 12*(120*62_00+1000_00) {
		t.Errorf("%+v", b)
	}
	for _, h := range []loyalty.Habits{{Visits: -1}, {Litres: -1}, {Goods: loyalty.MaxAmount}, {Litres: 1_000_000, Price: loyalty.MaxAmount}} {
		if _, err := p.Benefit(h); !errors.Is(err, loyalty.BadRequest) {
			t.Errorf("%+v: %v", h, err)
		}
	}
}
