package loyalty_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// A station writes entries, HQ applies some of them beside others', and sends snapshots that arrive in any order and any
// number of times. The view is always the newest of them with the entries behind it.
func TestViewIsSnapshotAndOwnEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			local   loyalty.Local
			hq      = loyalty.Record{Account: loyalty.Account{ID: account}}
			own     []loyalty.Posting
			sent    []loyalty.Snapshot
			applied loyalty.Seq
			newest  loyalty.Snapshot
		)
		entry := func(p loyalty.Posting) *loyalty.Entry {
			c := loyalty.SaleClosed{Account: account, Redeemed: p.Redeemed, OpenedAt: p.RedeemAt}
			if len(p.Accrued) > 0 {
				c.Earned = p.Accrued
			}
			return &loyalty.Entry{Body: c}
		}
		draw := func(t *rapid.T, most loyalty.Points) loyalty.Posting {
			p := loyalty.Posting{Epoch: 1, RedeemAt: loyalty.Instant(rapid.IntRange(0, 9).Draw(t, "reserved at"))}
			p.Redeemed = loyalty.Points(rapid.Int64Range(0, int64(most)).Draw(t, "redeem"))
			if lots := drawLots(t, 50); len(lots) > 0 && lots[0].Amount > 0 {
				p.Accrued = lots[:1]
			}
			return p
		}
		held := func(a loyalty.Account) (sum loyalty.Points) {
			for _, l := range a.Lots {
				sum += l.Amount
			}
			return sum
		}
		t.Repeat(map[string]func(*rapid.T){
			"own entry": func(t *rapid.T) {
				p := draw(t, held(local.Current()))
				p.Seq = loyalty.Seq(len(own) + 1)
				own = append(own, p)
				local.Add(p)
			},
			"HQ applies an own entry": func(t *rapid.T) {
				if int(applied) == len(own) {
					t.Skip("nothing to apply")
				}
				p := own[applied]
				p.Redeemed = min(p.Redeemed, held(hq.Account))
				if _, err := hq.Post(here, p.Seq, entry(p)); err != nil {
					t.Fatal(err)
				}
				applied++
			},
			"HQ applies another's entry": func(t *rapid.T) {
				p := draw(t, held(hq.Account))
				if _, err := hq.Post(loyalty.CellKey{Station: 2, Epoch: 1}, 1, entry(p)); err != nil {
					t.Fatal(err)
				}
			},
			"HQ sends a snapshot": func(*rapid.T) { sent = append(sent, hq.Snapshot(here, applied, 0)) },
			"a snapshot arrives": func(t *rapid.T) {
				if len(sent) == 0 {
					t.Skip("none was sent")
				}
				s := rapid.SampledFrom(sent).Draw(t, "snapshot")
				newer := s.Version >= newest.Version
				if local.Learn(s) != newer {
					t.Fatalf("version %d after %d: taken is %v", s.Version, newest.Version, !newer)
				}
				if newer {
					newest = s
				}
			},
			"": func(t *rapid.T) {
				want := newest.Account.Clone()
				for _, p := range own[newest.Applied:] {
					p.Redeemed = min(p.Redeemed, held(want))
					if err := want.Post(p); err != nil {
						t.Fatal(err)
					}
				}
				got := local.Current()
				if !sameLots(got.Lots, want.Lots) {
					t.Fatalf("the view is %v, want %v", got.Lots, want.Lots)
				}
				if err := got.Check(); err != nil {
					t.Fatal(err)
				}
				for at := range loyalty.Instant(10) {
					if a := local.Available(at, 5); a < 0 || a > got.Spendable(at) {
						t.Fatalf("available %s of %s", a, got.Spendable(at))
					}
				}
				if most := len(own) - int(newest.Applied); len(local.Own) > most {
					t.Fatalf("keeps %d own entries, HQ lacks %d", len(local.Own), most)
				}
			},
		})
	})
}

func TestLearnKeepsTheNewest(t *testing.T) {
	have := loyalty.Snapshot{Version: 5, Epoch: 2, Applied: 7}
	for _, tt := range []struct {
		name string
		s    loyalty.Snapshot
		want bool
	}{
		{"the same again", have, true},
		{"newer", loyalty.Snapshot{Version: 6, Epoch: 2, Applied: 7}, true},
		{"further in the journal", loyalty.Snapshot{Version: 5, Epoch: 2, Applied: 8}, true},
		{"in the next epoch", loyalty.Snapshot{Version: 5, Epoch: 3, Applied: 1}, true},
		{"older", loyalty.Snapshot{Version: 4, Epoch: 2, Applied: 7}, false},
		{"behind in the journal", loyalty.Snapshot{Version: 6, Epoch: 2, Applied: 6}, false},
		{"of an epoch before", loyalty.Snapshot{Version: 6, Epoch: 1, Applied: 9}, false},
	} {
		l := loyalty.Local{Snapshot: have}
		if got := l.Learn(tt.s); got != tt.want {
			t.Errorf("%s: taken is %v", tt.name, got)
		}
	}
}

func TestOwnEntriesOfAnEpochBeforeAreDropped(t *testing.T) {
	var l loyalty.Local
	for epoch := loyalty.Epoch(1); epoch <= 3; epoch++ {
		l.Add(loyalty.Posting{Epoch: epoch, Seq: 4, Accrued: []loyalty.Lot{{Amount: 1}}})
	}
	l.Add(loyalty.Posting{Epoch: 3, Seq: 5}) // does nothing to the lots
	l.Learn(loyalty.Snapshot{Version: 1, Epoch: 2, Applied: 3})
	if len(l.Own) != 2 || l.Own[0].Epoch != 2 || l.Own[1].Epoch != 3 {
		t.Errorf("keeps %+v", l.Own)
	}
	c := l.Clone()
	l.Own[0].Seq = 99
	if c.Own[0].Seq != 4 {
		t.Error("the copy changes with the original")
	}
}

func TestViewWithoutRoomForAnOwnLotLeavesItOut(t *testing.T) {
	l := loyalty.Local{Snapshot: loyalty.Snapshot{Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: loyalty.MaxAmount}}}}}
	l.Add(loyalty.Posting{Epoch: 1, Seq: 1, Redeemed: 10, Accrued: []loyalty.Lot{{Amount: 11, Expires: 5}}})
	if a := l.Current(); a.Total(1) != loyalty.MaxAmount-10 {
		t.Errorf("the view holds %s", a.Total(1))
	}
}
