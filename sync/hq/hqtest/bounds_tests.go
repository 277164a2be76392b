package hqtest

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// aged is an account with a lot for each age in days since it expired; below zero: it expires so much later.
func aged(id loyalty.AccountID, days ...loyalty.Instant) loyalty.Account {
	a := loyalty.Account{ID: id}
	for _, d := range days {
		if err := a.Accrue(loyalty.Lot{Amount: 100, ActiveFrom: Start - 300*Day, Expires: Start - d*Day}); err != nil {
			panic(err) // the test's own mistake
		}
	}
	a.Count(loyalty.Tally{Counter: "c", From: Start - 300*Day, Until: Start - 200*Day, Amount: 1})
	a.Count(loyalty.Tally{Counter: "c", From: Start - 10*Day, Until: Start + Day, Amount: 1})
	return a
}

// testPruned: books forget what expired long ago, but nothing that a station may still need, and their audit agrees.
func testPruned(b *Bench) {
	b.Bring(aged(5, 100, 50, 10, -30), aged(6, 100, 10, -1))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	lots := func(id loyalty.AccountID, lots, tallies int) {
		b.Helper()
		a := b.Record(id).Account
		if len(a.Lots) != lots || len(a.Tallies) != tallies {
			b.Fatalf("account %d has %d lots and %d tallies, want %d and %d", id, len(a.Lots), len(a.Tallies), lots, tallies)
		}
	}
	b.Grants(j, 6, 60)
	j.Sell(5, 0, 1)
	j.Sell(6, 0, 1)
	b.Posts(j.All())
	lots(5, 3, 1)
	lots(6, 4, 2) // rights are out
	// A sale that was reserved before its lot expired is told after it: the lot is there still.
	b.Clock = b.Clock.Add(20 * 24 * time.Hour)
	j.Sell(6, 60, 0)
	b.Posts(j.All())
	lots(6, 3, 1) // now that nothing is out
	b.Reopen()
	b.CheckAll()
	for range 3 {
		b.Clock = b.Clock.Add(30 * 24 * time.Hour)
		j.At = loyalty.At(b.Clock)
		j.Sell(5, 0, 1)
		j.Sell(6, 0, 1)
		b.Posts(j.All())
		b.CheckAll()
	}
	lots(5, 4, 0)
}

// testTooLarge: what fits no message holds nothing up, neither on the way down nor in an answer.
func testTooLarge(b *Bench) {
	ctx := context.Background()
	big := loyalty.Account{ID: 5}
	for i := range 3000 {
		if err := big.Accrue(loyalty.Lot{Amount: 1e9 + loyalty.Points(i), ActiveFrom: Start - 30*Day, Expires: Start + Day + loyalty.Instant(i)}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range loyalty.MaxTallies {
		name := loyalty.Counter(fmt.Sprintf("%0*d", loyalty.MaxCounterName, i))
		big.Count(loyalty.Tally{Counter: name, From: Start, Until: Start + Day, Amount: loyalty.MaxAmount})
	}
	b.Bring(big, Account(6, 10))
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	r := b.Asks(j, &hq.Ask{Account: 5})
	payload, err := wire.Encode(r.Answer)
	if err != nil {
		b.Fatalf("an answer of %d bytes: %v", len(payload), err)
	}
	s, err := wire.ToSnapshot(r.Answer.Snapshot)
	b.ok(err)
	if n := len(s.Account.Lots); n < 300 || n >= 3000 || len(s.Account.Tallies) != loyalty.MaxTallies || s.Account.Lots[n-1] != big.Lots[n-1] {
		b.Fatalf("%d lots and %d tallies are told", n, len(s.Account.Tallies))
	}
	b.ok(b.Store.Update(ctx, func(tx hq.Tx) error {
		return tx.Save(&hq.Changes{
			Programme: &hq.Programme{Version: 1, Source: bytes.Repeat([]byte("#"), wire.MaxMessage)},
			Touched:   []hq.Touch{{Station: 17, Key: hq.ItemKey{Kind: hq.ProgrammeItem}}},
		})
	}))
	j.Sell(5, 0, 1)
	j.Sell(6, 0, 1)
	b.Posts(j.All())
	var items []*pb.Item
	for after := g.Stream.Acked; ; {
		d, err := b.Down(ctx, 17, g.Stream, after)
		b.ok(err)
		if d == nil {
			break
		}
		if payload, err := wire.Encode(d); err != nil {
			b.Fatalf("a message of %d bytes: %v", len(payload), err)
		}
		items, after = append(items, d.Items...), d.Through
	}
	if len(items) != 2 || items[0].GetSnapshot() == nil || items[1].GetSnapshot() == nil {
		b.Fatalf("%d items are told, want both accounts", len(items))
	}
	b.Raised(hq.TooLargeAlarm)
}
