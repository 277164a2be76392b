package hqtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// advances advances all accounts.
func (b *Bench) advances(through loyalty.Instant) hq.Advanced {
	b.Helper()
	n, err := b.Advance(context.Background(), b.Store, through, nil)
	b.ok(err)
	return n
}

// testAdvance: what becomes spendable and what expires is written down once, and later forgotten.
func testAdvance(b *Bench) {
	a := loyalty.Account{ID: 5}
	for _, l := range []loyalty.Lot{{Amount: 10, ActiveFrom: Start + 2*Day}, {Amount: 20, ActiveFrom: Start - Day, Expires: Start + 4*Day}} {
		b.ok(a.Accrue(l))
	}
	b.Bring(a, Account(6, 0))
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	b.Asks(j, &hq.Ask{Account: 5})
	for i, c := range []struct {
		days int
		want hq.Advanced
	}{
		{0, hq.Advanced{Accounts: 2}}, {1, hq.Advanced{Accounts: 2}},
		{2, hq.Advanced{Accounts: 2, Changed: 1, Activated: 10}}, {2, hq.Advanced{Accounts: 2}},
		{5, hq.Advanced{Accounts: 2, Changed: 1, Expired: 20}}, {43, hq.Advanced{Accounts: 2}}, {45, hq.Advanced{Accounts: 2, Changed: 1}}, {90, hq.Advanced{Accounts: 2}},
	} {
		b.Clock = Start.Add(time.Duration(c.days) * 24 * time.Hour).Add(time.Duration(i) * time.Second).Time()
		if got := b.advances(b.Now()); got != c.want {
			b.Errorf("round %d: %+v, want %+v", i, got, c.want)
		}
		b.Reopen()
	}
	if lots := b.Record(5).Account.Lots; len(lots) != 1 || lots[0].Amount != 10 {
		b.Fatalf("left are %v", lots)
	}
	if items, _ := b.Drain(17, g.Stream); len(items) != 1 {
		b.Fatalf("the station is told %v", items)
	}
	if got := b.advances(b.Now() + 1000*Day); got.Changed != 0 {
		b.Fatalf("the future has come: %+v", got)
	}
}

// testAdvanceTiers: a tier is lost when what was bought counts no more.
func testAdvanceTiers(b *Bench) {
	tiers := "tiers:\n  count: litres\n  window: rolling\n  days: 90\n  levels:\n    - {name: green, title: {ru: Зелёный, en: Green}, from: \"0\"}\n    - {name: gold, title: {ru: Золотой, en: Gold}, from: \"300\"}\n"
	p, err := b.Publish(context.Background(), append(Programme(1), tiers...))
	b.ok(err)
	a := Account(5, 0)
	a.Count(loyalty.Tally{Counter: "tier", From: Start - 80*Day, Until: Start + 10*Day, Amount: 400_000})
	b.Bring(a)
	if p.TierAt(&a.Standing, Start) != 1 {
		b.Fatal("the account is not gold")
	}
	b.advances(b.Now())
	b.Clock = b.Clock.Add(11 * 24 * time.Hour)
	if got := b.advances(b.Now()); got.Tiers != 1 || got.Changed != 1 {
		b.Fatalf("%+v", got)
	}
	own := b.OwnEntries()
	if e, ok := own[len(own)-1].Body.(loyalty.AccountAdvanced); !ok || e.Before != "gold" || e.After != "green" {
		b.Fatalf("%+v", own[len(own)-1].Body)
	}
	if got := b.advances(b.Now()); got.Changed != 0 {
		b.Fatalf("again: %+v", got)
	}
}

// pieces is a catalogue with small pages, of which one cannot be read.
type pieces struct {
	hq.Catalogue
	size  int
	fails int // the page that fails, from 1; zero: none
}

var errPiece = errors.New("interrupted")

// Accounts is a smaller page.
func (p *pieces) Accounts(ctx context.Context, after loyalty.AccountID, limit int) ([]*loyalty.Record, error) {
	if p.fails--; p.fails == 0 {
		return nil, errPiece
	}
	return p.Catalogue.Accounts(ctx, after, min(limit, p.size))
}

// someAccounts are accounts with lots that begin and end within about a hundred days.
func someAccounts(rt *rapid.T) (out []loyalty.Account) {
	for id := range rapid.IntRange(1, 6).Draw(rt, "accounts") {
		a := loyalty.Account{ID: loyalty.AccountID(id + 1)}
		for range rapid.IntRange(0, 4).Draw(rt, "lots") {
			from := loyalty.Instant(rapid.IntRange(-5, 60).Draw(rt, "from"))
			l := loyalty.Lot{Amount: loyalty.Points(rapid.IntRange(1, 100).Draw(rt, "amount")), ActiveFrom: Start + from*Day}
			if rapid.Bool().Draw(rt, "expires") {
				l.Expires = l.ActiveFrom + loyalty.Instant(rapid.IntRange(1, 40).Draw(rt, "life"))*Day
			}
			if err := a.Accrue(l); err != nil {
				rt.Fatal(err)
			}
		}
		out = append(out, a)
	}
	return out
}

// drawn is a bench for a property; its end is the caller's.
func drawn(t *testing.T, rt *rapid.T, lab Lab, accounts []loyalty.Account) *Bench {
	b := &Bench{TB: rt2tb{t, rt}, Lab: lab, Clock: Start.Time(), enrol: true}
	b.open()
	b.Bring(accounts...)
	return b
}

func (b *Bench) end() {
	b.Helper()
	b.CheckAll()
	b.ok(b.Store.Close())
	b.Store = nil
}

// advancedEntries is what was written, in a form that can be compared.
func (b *Bench) advancedEntries() (out []string) {
	b.Helper()
	for _, e := range b.OwnEntries() {
		out = append(out, fmt.Sprintf("%+v", e.Body))
	}
	slices.Sort(out)
	return out
}

// testAdvanceInPieces: however a run is cut, interrupted and begun again, it writes what one run in one piece writes.
func testAdvanceInPieces(t *testing.T, newLab func(tb testing.TB) Lab) {
	rapid.Check(t, func(rt *rapid.T) {
		accounts := someAccounts(rt)
		whole, cut := drawn(t, rt, newLab(t), accounts), drawn(t, rt, newLab(t), accounts)
		for range 3 {
			days := rapid.IntRange(1, 60).Draw(rt, "days")
			for _, b := range []*Bench{whole, cut} {
				b.Clock = b.Clock.Add(time.Duration(days) * 24 * time.Hour)
			}
			through := whole.Now()
			whole.advances(through)
			for range rapid.IntRange(0, 3).Draw(rt, "interruptions") {
				p := &pieces{Catalogue: cut.Store, size: rapid.IntRange(1, 3).Draw(rt, "size"), fails: rapid.IntRange(1, 7).Draw(rt, "fails")}
				if _, err := cut.Advance(context.Background(), p, through, nil); err != nil && !errors.Is(err, errPiece) {
					rt.Fatal(err)
				}
				cut.ok(cut.Store.Close())
				cut.open()
			}
			cut.advances(through)
			if got := cut.advances(through); got.Changed != 0 {
				rt.Fatalf("once more writes %+v", got)
			}
		}
		if a, b := whole.advancedEntries(), cut.advancedEntries(); !slices.Equal(a, b) {
			rt.Fatalf("in one piece\n%s\nin several\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		for _, a := range accounts {
			x, y := whole.Record(a.ID), cut.Record(a.ID)
			if fmt.Sprintf("%+v", x.Account) != fmt.Sprintf("%+v", y.Account) {
				rt.Fatalf("in one piece %+v, in several %+v", x.Account, y.Account)
			}
		}
		whole.end()
		cut.end()
	})
}

// testAdvanceAnyTime: whenever it is run, every lot that was not there from the beginning is told to have become spendable
// and to have expired once, unless it did both between two runs: then only that it expired.
func testAdvanceAnyTime(t *testing.T, newLab func(tb testing.TB) Lab) {
	rapid.Check(t, func(rt *rapid.T) {
		accounts := someAccounts(rt)
		b := drawn(t, rt, newLab(t), accounts)
		b.advances(b.Now())
		last, want := b.Now(), hq.Advanced{}
		var got hq.Advanced
		for range rapid.IntRange(1, 5).Draw(rt, "runs") {
			b.Clock = b.Clock.Add(time.Duration(rapid.IntRange(0, 30*24).Draw(rt, "hours")) * time.Hour)
			n := b.advances(b.Now())
			got.Activated, got.Expired = got.Activated+n.Activated, got.Expired+n.Expired
			for _, a := range accounts {
				for _, l := range a.Lots {
					switch now := b.Now(); {
					case l.Expires > last && l.Expires <= now:
						want.Expired += l.Amount
					case l.ActiveFrom > last && l.ActiveFrom <= now:
						want.Activated += l.Amount
					}
				}
			}
			last = b.Now()
		}
		if got != want {
			rt.Fatalf("told %+v, want %+v", got, want)
		}
		b.end()
	})
}
