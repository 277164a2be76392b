package loyalty_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func TestNextExpiry(t *testing.T) {
	at := noon(3, 1)
	const day = 24 * time.Hour
	in := func(d int) loyalty.Instant { return at.Add(time.Duration(d) * day) }
	lots := []loyalty.Lot{
		{Amount: 5, Expires: at}, {Amount: 10, Expires: in(3)}, {Amount: 20, ActiveFrom: in(1), Expires: in(3)}, {Amount: 40, Expires: in(9)}, {Amount: 80},
	}
	for name, tt := range map[string]struct {
		lots   []loyalty.Lot
		debt   loyalty.Points
		within time.Duration
		goes   loyalty.Points
		when   loyalty.Instant
	}{
		"all lots of the moment":               {lots, 0, 30 * day, 30, in(3)},
		"at the very end of the term":          {lots, 0, 3 * day, 30, in(3)},
		"later than the term":                  {lots, 0, 3*day - time.Millisecond, 0, 0},
		"of what is owed nothing goes":         {lots, 150, 30 * day, 0, 0},
		"a debt that the first lots would pay": {lots, 130, 30 * day, 20, in(3)},
		"nothing that expires":                 {lots[4:], 0, 30 * day, 0, 0},
		"nothing at all":                       {nil, 0, 30 * day, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := loyalty.Account{Lots: tt.lots, Owing: loyalty.Owing{Debt: tt.debt, Clawed: tt.debt}}
			if goes, when := a.NextExpiry(at, tt.within); goes != tt.goes || when != tt.when {
				t.Errorf("%s go at %s, want %s at %s", goes, when, tt.goes, tt.when)
			}
		})
	}
}

// What goes is what the total falls by, and before that it does not fall.
func TestNextExpiryIsTheNextFallOfTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := loyalty.Account{}
		for _, l := range drawLots(t, 1000) {
			if err := a.Accrue(l); err != nil {
				t.Fatal(err)
			}
		}
		a.Debt = loyalty.Points(rapid.Int64Range(0, 1500).Draw(t, "debt"))
		at := loyalty.Instant(rapid.Int64Range(0, 12).Draw(t, "at"))
		within := rapid.Int64Range(0, 12).Draw(t, "within")
		goes, when := a.NextExpiry(at, time.Duration(within)*time.Millisecond)
		for x := at + 1; x <= at+loyalty.Instant(within); x++ {
			fall := a.Total(x-1) - a.Total(x)
			if fall == 0 {
				continue
			}
			if goes != fall || when != x {
				t.Fatalf("%s go at %d, want %s at %d", goes, when, fall, x)
			}
			return
		}
		if goes != 0 || when != 0 {
			t.Fatalf("%s go at %d, want none", goes, when)
		}
	})
}
