package hqtest

import (
	"context"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// retries tries everything that was set aside again and expects the counts.
func (b *Bench) retries(station loyalty.StationID, want hq.Retried) {
	b.Helper()
	if r, err := b.RetryAll(context.Background(), b.Store, station); err != nil || r != want {
		b.Fatalf("retried %+v, want %+v: %v", r, want, err)
	}
}

// testCardsArrive: what two stations sold to cards that nobody had heard of is posted when the cards come, once.
func testCardsArrive(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	for range 2 {
		j.Append(j.Sale(0, "7005110000000011", 0, 100))
		k.Append(k.Sale(0, "7005110000000011", 0, 30))
		k.Append(k.Sale(0, "7005110000000012", 0, 7))
	}
	b.Posts(j.All(), k.All())
	b.retries(0, hq.Retried{Tried: 6})
	b.Reopen()
	cards := []loyalty.Card{Card("7005110000000011", 5)}
	for i, want := range []hq.Imported{{Added: 1, Applied: 4}, {Unchanged: 1}} {
		if n, err := b.ImportCards(ctx, cards); err != nil || n != want {
			b.Fatalf("round %d: %+v %v", i, n, err)
		}
		b.Holds(5, 260)
		b.Reopen()
		b.CheckAll()
	}
	b.retries(0, hq.Retried{Tried: 2})
	if g := b.Greets(j, good); len(g.SetAside) != 0 {
		b.Fatalf("the station is told still of %+v", g.SetAside)
	}
	lines, err := b.Store.Lines(ctx, 0, 20)
	b.ok(err)
	for i, l := range lines {
		late := i >= 6
		if l.Pos != uint64(i+1) || l.Late() != late || (l.Outcome == hq.Posted) != late || l.Reason != string(loyalty.UnknownCard) {
			b.Fatalf("position %d: %+v", i+1, l)
		}
	}
	if len(lines) != 10 {
		b.Fatalf("the stream has %d positions, want 6 and 4", len(lines))
	}
	if st := b.Record(5); st.Account.Total(b.Now()) != 260 {
		b.Fatalf("%+v", st)
	}
	if _, err := b.ImportCards(ctx, []loyalty.Card{Card("7005110000000012", 5)}); err != nil {
		b.Fatal(err)
	}
	b.Holds(5, 274)
	b.Posts(j.All(), k.All()) // the stations send it all again
	b.Holds(5, 274)
	b.retries(0, hq.Retried{})
}

// testCardOfRefund: a sale to a card that nobody had heard of, and its refund, are posted together.
func testCardOfRefund(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	s := j.Sale(0, "7005110000000011", 0, 100)
	op := j.Append(s)
	j.Append(Refund(op, &s, "r1", 120_000, 60, 0))
	if r := b.Posts(j.All()); r.Counts[hq.SetAside] != 2 {
		b.Fatalf("%v", r.Counts)
	}
	n, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5)})
	if err != nil || n.Applied != 2 {
		b.Fatalf("%+v %v", n, err)
	}
	b.Holds(5, 40)
}

// testRetryUnread: what an older program could not read is applied by one that can, at its own place, and only of the
// station that was asked for.
func testRetryUnread(b *Bench) {
	b.Bring(Account(5, 100))
	for _, s := range []loyalty.StationID{17, 18} {
		j := NewJournal(b, s)
		b.Greets(j, good)
		j.Sell(5, 0, 40)
		b.ok(b.Store.Update(context.Background(), func(tx hq.Tx) error {
			return tx.Save(&hq.Changes{
				Stations: []*hq.Station{{ID: s, Cursor: hq.Cursor{Epoch: 1, Seq: 1, Hash: j.Hashes[1]}}},
				Lines: []*hq.Line{{
					Place: hq.Place{Station: s, Epoch: 1, Seq: 1}, At: Start, Outcome: hq.SetAside, Reason: "a body this version does not know",
					Hash: j.Hashes[1], Bytes: j.Entries[0],
				}},
			})
		}))
	}
	b.CheckAll()
	b.retries(18, hq.Retried{Tried: 1, Applied: 1})
	b.Holds(5, 140)
	b.retries(0, hq.Retried{Tried: 1, Applied: 1})
	b.Holds(5, 180)
	b.retries(0, hq.Retried{})
	if knowing := b.stationsOf(5); len(knowing) != 2 {
		b.Fatalf("the account is known to %v", knowing)
	}
}

func (b *Bench) stationsOf(id loyalty.AccountID) (out []loyalty.StationID) {
	b.Helper()
	b.ok(b.Store.View(context.Background(), func(tx hq.Tx) error {
		known, err := tx.Knowing([]loyalty.AccountID{id})
		out = known[id]
		return err
	}))
	return out
}

// testRetryRepeated: an entry and its repetition under a new epoch were both set aside. Tried again, one is posted.
func testRetryRepeated(b *Bench) {
	b.Bring(Account(5, 100))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Append(j.Sale(0, "7005110000000011", 0, 40))
	j.Sell(77, 0, 5) // no such account, now or later
	b.Posts(j.All())
	j.Replant(2, 0)
	b.Greets(j, good)
	b.Posts(j.All())
	k := NewJournal(b, 17)
	k.Begin(3)
	s := k.Sale(0, "7005110000000011", 0, 40)
	s.Sale = "s-17-1-1-1" // told again by the register after all was lost
	k.Append(s)
	b.Greets(k, good)
	b.Posts(k.All())
	n, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5)})
	if err != nil || n.Applied != 3 {
		b.Fatalf("%+v %v", n, err)
	}
	b.Holds(5, 140)
	b.retries(0, hq.Retried{Tried: 2})
}
