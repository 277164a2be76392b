package loyalty_test

import (
	"cmp"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// units is the plain model of an account: every hundredth of a point on its own.
type units []loyalty.Lot

func (u *units) accrue(l loyalty.Lot) {
	for range l.Amount {
		*u = append(*u, loyalty.Lot{Amount: 1, ActiveFrom: l.ActiveFrom, Expires: l.Expires})
	}
}

// redeem takes the unit that pays first, again and again: of those the first class allows, else the second, and so on.
func (u *units) redeem(n loyalty.Points, classes ...func(loyalty.Lot) bool) {
	for range n {
		best := -1
		for _, pays := range classes {
			for i, l := range *u {
				if pays(l) && (best < 0 || expiresFirst(l, (*u)[best]) < 0) {
					best = i
				}
			}
			if best >= 0 {
				break
			}
		}
		*u = slices.Delete(*u, best, best+1)
	}
}

// expiresFirst orders units as they pay: first to expire, never last, then the one that has been active for longest.
func expiresFirst(a, b loyalty.Lot) int {
	end := func(l loyalty.Lot) int64 {
		if l.Expires == 0 {
			return math.MaxInt64
		}
		return int64(l.Expires)
	}
	return cmp.Or(cmp.Compare(end(a), end(b)), cmp.Compare(a.ActiveFrom, b.ActiveFrom))
}

// lots joins the units that are alike.
func (u units) lots() []loyalty.Lot {
	var out []loyalty.Lot
	sorted := slices.SortedStableFunc(slices.Values(u), expiresFirst)
	for _, l := range sorted {
		if n := len(out); n > 0 && out[n-1].ActiveFrom == l.ActiveFrom && out[n-1].Expires == l.Expires {
			out[n-1].Amount++
		} else {
			out = append(out, l)
		}
	}
	return out
}

func (u units) count(pays func(loyalty.Lot) bool) (n loyalty.Points) {
	for _, l := range u {
		if pays(l) {
			n++
		}
	}
	return n
}

func sameLots(a, b []loyalty.Lot) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

// An account does what single hundredths, each with its own activation and expiry, would do.
func TestAccountAgainstUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a loyalty.Account
		var model units
		at := loyalty.Instant(0)
		active := func(l loyalty.Lot) bool { return l.Active(at) }
		live := func(l loyalty.Lot) bool { return l.Live(at) }
		all := func(loyalty.Lot) bool { return true }
		t.Repeat(map[string]func(*rapid.T){
			"accrue": func(t *rapid.T) {
				for _, l := range drawLots(t, 30) {
					if err := a.Accrue(l); err != nil {
						t.Fatal(err)
					}
					model.accrue(l)
				}
			},
			"redeem": func(t *rapid.T) {
				x := loyalty.Points(rapid.Int64Range(0, 60).Draw(t, "points"))
				before := a.Clone()
				taken, err := a.Redeem(x, at)
				if x > model.count(active) {
					if !errors.Is(err, loyalty.NotEnough) || !sameLots(a.Lots, before.Lots) {
						t.Fatalf("redeem %s of %s: %v, lots %v", x, model.count(active), err, a.Lots)
					}
					return
				}
				var sum loyalty.Points
				for _, l := range taken {
					if l.Amount <= 0 || !l.Active(at) {
						t.Fatalf("took %+v at %d", l, at)
					}
					sum += l.Amount
				}
				if err != nil || sum != x {
					t.Fatalf("redeem %s took %s: %v", x, sum, err)
				}
				model.redeem(x, active)
			},
			"post": func(t *rapid.T) {
				now := at
				at = loyalty.Instant(rapid.IntRange(0, int(now)).Draw(t, "reserved at"))
				defer func() { at = now }()
				p := loyalty.Posting{Redeemed: loyalty.Points(rapid.Int64Range(0, 60).Draw(t, "points")), RedeemAt: at, Accrued: drawLots(t, 9)}
				before := a.Clone()
				err := a.Post(p)
				if p.Redeemed > model.count(all) {
					if !errors.Is(err, loyalty.NotEnough) || !sameLots(a.Lots, before.Lots) {
						t.Fatalf("post %s of %s: %v, lots %v", p.Redeemed, model.count(all), err, a.Lots)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				model.redeem(p.Redeemed, active, live, all)
				for _, l := range p.Accrued {
					model.accrue(l)
				}
			},
			"prune": func(*rapid.T) {
				a.Prune(at)
				model = slices.DeleteFunc(model, func(l loyalty.Lot) bool { return !live(l) })
			},
			"wait": func(t *rapid.T) { at += loyalty.Instant(rapid.IntRange(1, 2).Draw(t, "moments")) },
			"": func(t *rapid.T) {
				if err := a.Check(); err != nil {
					t.Fatal(err)
				}
				if want := model.lots(); !sameLots(a.Lots, want) {
					t.Fatalf("lots %v, want %v", a.Lots, want)
				}
				if a.Total(at) != model.count(live) || a.Spendable(at) != model.count(active) {
					t.Fatalf("total %s, spendable %s; want %s and %s", a.Total(at), a.Spendable(at), model.count(live), model.count(active))
				}
			},
		})
	})
}

func TestAccountRefusesAmountsOutOfRange(t *testing.T) {
	full := loyalty.Account{Lots: []loyalty.Lot{{Amount: loyalty.MaxAmount - 5}}}
	tests := []struct {
		name string
		do   func(*loyalty.Account) error
		want error
	}{
		{"accrue below zero", func(a *loyalty.Account) error { return a.Accrue(loyalty.Lot{Amount: -1}) }, loyalty.ErrAmount},
		{"accrue beyond the most", func(a *loyalty.Account) error { return a.Accrue(loyalty.Lot{Amount: 6}) }, loyalty.ErrAmount},
		{"accrue what wraps around", func(a *loyalty.Account) error { return a.Accrue(loyalty.Lot{Amount: math.MaxInt64}) }, loyalty.ErrAmount},
		{"redeem below zero", func(a *loyalty.Account) error { _, err := a.Redeem(-1, 0); return err }, loyalty.ErrAmount},
		{"post below zero", func(a *loyalty.Account) error { return a.Post(loyalty.Posting{Redeemed: -1}) }, loyalty.ErrAmount},
		{"post a lot below zero", func(a *loyalty.Account) error {
			return a.Post(loyalty.Posting{Accrued: []loyalty.Lot{{Amount: -1}}})
		}, loyalty.ErrAmount},
		{"post two lots beyond the most together", func(a *loyalty.Account) error {
			return a.Post(loyalty.Posting{Accrued: []loyalty.Lot{{Amount: 3}, {Amount: 3}}})
		}, loyalty.ErrAmount},
		{"post a lot that wraps around", func(a *loyalty.Account) error {
			return a.Post(loyalty.Posting{Redeemed: 1, Accrued: []loyalty.Lot{{Amount: math.MaxInt64}}})
		}, loyalty.ErrAmount},
		{"post more than there is", func(a *loyalty.Account) error {
			return a.Post(loyalty.Posting{Redeemed: loyalty.MaxAmount})
		}, loyalty.NotEnough},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := full.Clone()
			if err := tt.do(&a); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if !sameLots(a.Lots, full.Lots) {
				t.Errorf("an error changed the lots to %v", a.Lots)
			}
		})
	}
	t.Run("what is redeemed makes room for what is accrued", func(t *testing.T) {
		a := full.Clone()
		if err := a.Post(loyalty.Posting{Redeemed: 5, Accrued: []loyalty.Lot{{Amount: 10, Expires: 9}}}); err != nil || a.Total(1) != loyalty.MaxAmount {
			t.Errorf("got %v and %s", err, a.Total(1))
		}
	})
}

func TestAccountCheckFindsBrokenLots(t *testing.T) {
	for name, lots := range map[string][]loyalty.Lot{
		"empty lot":      {{Amount: 0}},
		"below zero":     {{Amount: -1}},
		"two alike":      {{Amount: 1, Expires: 4}, {Amount: 1, Expires: 4}},
		"never first":    {{Amount: 1}, {Amount: 1, Expires: 4}},
		"late first":     {{Amount: 1, Expires: 5}, {Amount: 1, Expires: 4}},
		"young first":    {{Amount: 1, ActiveFrom: 2}, {Amount: 1, ActiveFrom: 1}},
		"more than most": {{Amount: loyalty.MaxAmount, Expires: 1}, {Amount: 1}},
	} {
		if err := (&loyalty.Account{Lots: lots}).Check(); err == nil {
			t.Errorf("%s: Check found nothing in %v", name, lots)
		}
	}
}

func TestPostPaysWhatWasReservedEarlierFromLotsActiveLater(t *testing.T) {
	// At moment 1 a station reserves 100 while only the first lot is active. At moment 5 another reserves 100, and its
	// report arrives first: it takes the first lot, which has been active for longest.
	a := loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}, {Amount: 100, ActiveFrom: 4}}}
	for _, at := range []loyalty.Instant{5, 1} {
		if err := a.Post(loyalty.Posting{Redeemed: 100, RedeemAt: at}); err != nil {
			t.Fatalf("reserved at %d: %v", at, err)
		}
	}
	if len(a.Lots) != 0 {
		t.Errorf("left %v", a.Lots)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	a := loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}}}
	c := a.Clone()
	if _, err := c.Redeem(40, 1); err != nil || a.Total(1) != 100 {
		t.Errorf("redeeming from the copy left %s in the original: %v", a.Total(1), err)
	}
}

func TestStatesAndKindsReadWhatTheyWrite(t *testing.T) {
	for _, s := range []loyalty.State{loyalty.Active, loyalty.AccruesOnly, loyalty.Blocked, loyalty.Closed} {
		var got loyalty.State
		text, _ := s.MarshalText()
		if err := got.UnmarshalText(text); err != nil || got != s {
			t.Errorf("%s: got %s, %v", s, got, err)
		}
	}
	for _, k := range []loyalty.CardKind{loyalty.MainCard, loyalty.AdditionalCard, loyalty.VirtualCard, loyalty.StaffKind} {
		if got, err := loyalty.ParseCardKind(k.String()); err != nil || got != k {
			t.Errorf("%s: got %s, %v", k, got, err)
		}
	}
	for _, s := range []string{"", "Active", "state 9"} {
		_, err := loyalty.ParseState(s)
		refused(t, err, loyalty.BadRequest)
		_, err = loyalty.ParseCardKind(s)
		refused(t, err, loyalty.BadRequest)
	}
	if loyalty.State(9).String() != "state 9" || loyalty.CardKind(9).String() != "kind 9" {
		t.Error("a value out of range has no name")
	}
}
