package hqtest

import (
	"context"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// statement is all operations of an account from a moment on, newest first.
func (b *Bench) statement(id loyalty.AccountID, from loyalty.Instant, limit int) (all []loyalty.Operation) {
	b.Helper()
	for before := uint64(0); ; {
		page, next, err := b.Statement(context.Background(), id, hq.AskHistory{From: from, Before: before, Limit: limit})
		b.ok(err)
		for i := range page {
			all = append(all, page[i].Operation)
		}
		if before = next; next == 0 {
			return all
		}
	}
}

// testDenied: a promo code that the account had used before earned nothing, and its refund takes nothing back, whatever the
// station has promised: neither statement nor turnover nor the stream says otherwise, and what they say comes to what the
// account holds.
func testDenied(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	lot := loyalty.Lot{Amount: 500, ActiveFrom: Start - Day, Expires: Start + 400*Day}
	claim := loyalty.Claim{Tally: loyalty.Tally{Counter: "code:X", From: Start - Day, Until: Start + Day, Amount: 1}, Lot: lot}
	var sales []loyalty.SaleClosed
	var ops []loyalty.OpID
	for _, earned := range []loyalty.Points{30, 30, 0} {
		s := j.Sale(5, "", 0, earned)
		s.Claims = []loyalty.Claim{claim}
		sales, ops = append(sales, s), append(ops, j.Append(s))
	}
	r := Refund(ops[1], &sales[1], "r1", 120_000, 15, 0)
	r.Clawed = append(r.Clawed, loyalty.Lot{Amount: 250, ActiveFrom: lot.ActiveFrom, Expires: lot.Expires})
	j.Append(r)
	late := j.Sale(0, "7005110000000011", 0, 0)
	late.Claims = []loyalty.Claim{claim}
	j.Append(late)
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.Posted: 4, hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	n, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5)})
	if err != nil || n.Applied != 1 {
		b.Fatalf("%+v %v", n, err)
	}
	b.Reopen()
	var earned, clawed []loyalty.Points
	for _, o := range b.statement(5, 0, 2) {
		earned, clawed = append(earned, o.Earned), append(clawed, o.Clawed)
		if (o.Expires != 0) != (o.Earned != 0) {
			b.Errorf("%s earned %s, which expire at %s", o.Sale, o.Earned, o.Expires)
		}
	}
	// Of what the refund takes, what was denied is forgiven first.
	for i, want := range [][2]loyalty.Points{{0, 0}, {0, 0}, {0, 0}, {30, 0}, {530, 0}} {
		if earned[i] != want[0] || clawed[i] != want[1] {
			b.Errorf("operation %d: earned %s, clawed %s, want %s", i, earned[i], clawed[i], want)
		}
	}
	b.Holds(5, 560)
	turnovers, err := b.Turnovers(context.Background(), 5, hq.ByStation, 0, 0)
	b.ok(err)
	if len(turnovers) != 1 || turnovers[0].Earned-turnovers[0].Clawed != 560 {
		b.Fatalf("%+v", turnovers)
	}
	lines, err := b.Store.Lines(context.Background(), 0, 10)
	b.ok(err)
	for i, want := range []loyalty.Points{0, 500, 500, 265, 0, 500} {
		if lines[i].Denied != want {
			b.Errorf("position %d: denied %s, want %s", i+1, lines[i].Denied, want)
		}
	}
}

// testClockBehind: headquarters' clock was years behind for a while, and a station brought old entries late. Neither hides
// from a statement what was posted before.
func testClockBehind(b *Bench) {
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	k.At = Start - 90*Day
	for i := range 3 {
		b.Clock = Start.Time().Add(time.Duration(i) * time.Minute)
		if i == 1 {
			b.Clock = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
			k.Sell(5, 0, 10)
			b.Posts(k.All())
		}
		j.Sell(5, 0, 10)
		b.Posts(j.All())
	}
	for _, limit := range []int{1, 100} {
		if got := b.statement(5, Start.Add(-time.Hour), limit); len(got) != 3 {
			b.Fatalf("%d of 3 sales, in pages of %d", len(got), limit)
		}
	}
	a := b.Asks(j, &hq.Ask{Account: 5, History: &hq.AskHistory{From: Start.Add(-time.Hour), Limit: 100}}).Answer
	if len(a.History.Operations) != 3 {
		b.Fatalf("%v", a)
	}
}
