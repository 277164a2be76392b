package hqtest

import (
	"context"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// later lets time pass and opens the store again; between closing and opening, do is done.
func (b *Bench) later(d time.Duration, do func()) {
	b.Helper()
	b.ok(b.Store.Close())
	if do != nil {
		do()
	}
	b.Clock = b.Clock.Add(d)
	b.open()
}

// testVersionsGrow: what a station is told after an older copy was put back is newer, by its version, than what it was
// told before, however much had happened in the life that is lost.
func testVersionsGrow(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100))
	card := Card("7005110000000011", 5)
	bring := func(s loyalty.State) {
		b.Helper()
		card.State = s
		if _, err := b.ImportCards(ctx, []loyalty.Card{card}); err != nil {
			b.Fatal(err)
		}
	}
	bring(loyalty.Active)
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	told := func() *pb.Answer {
		b.Helper()
		return b.Asks(j, &hq.Ask{Card: card.Number}).Answer
	}
	first := told()
	b.later(time.Second, func() { b.Lab.Save(b) })
	for range 20 {
		bring(loyalty.Blocked)
		bring(loyalty.Active)
		k.Sell(5, 0, 1)
		b.Posts(k.All())
	}
	lost := told()
	b.later(time.Second, func() { b.Lab.Restore(b) })
	bring(loyalty.Blocked)
	after := told()
	if first.Card.Version >= lost.Card.Version || lost.Card.Version >= after.Card.Version {
		b.Fatalf("a card's versions are %d, %d and, after the restore, %d", first.Card.Version, lost.Card.Version, after.Card.Version)
	}
	if first.Snapshot.Version >= lost.Snapshot.Version || lost.Snapshot.Version >= after.Snapshot.Version {
		b.Fatalf("an account's versions are %d, %d and, after the restore, %d", first.Snapshot.Version, lost.Snapshot.Version, after.Snapshot.Version)
	}
	if again := told(); again.Card.Version != after.Card.Version || again.Snapshot.Version != after.Snapshot.Version {
		b.Fatal("versions grow without a change")
	}
}
