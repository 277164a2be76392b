package hqtest

import (
	"bytes"
	"context"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

const (
	good     = pb.Verdict_VERDICT_OK
	newEpoch = pb.Verdict_VERDICT_NEW_EPOCH
)

func testHello(b *Bench) {
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	if want := (hq.Cursor{Epoch: 1, Hash: j.Hashes[0]}); g.Cursor != want {
		b.Fatalf("cursor %+v, want %+v", g.Cursor, want)
	}
	b.Bring(Account(5, 0))
	j.Sell(5, 0, 100)
	j.Sell(5, 0, 100)
	b.Posts(j.Batch(1, 1))
	b.Reopen()
	g = b.Greets(j, good)
	if want := (hq.Cursor{Epoch: 1, Seq: 1, Hash: j.Hashes[1]}); g.Cursor != want {
		b.Fatalf("cursor %+v, want %+v", g.Cursor, want)
	}
	j.Replant(2, 1)
	if g = b.Greets(j, good); g.Cursor.Epoch != 2 || g.Cursor.Seq != 0 || g.Cursor.Hash != j.Hashes[0] {
		b.Fatalf("cursor of a new epoch: %+v", g.Cursor)
	}
	b.Raised()
}

func testStranger(b *Bench) {
	b.enrol = false
	b.Reopen()
	j := NewJournal(b, 17)
	b.Greets(j, pb.Verdict_VERDICT_UNKNOWN_STATION)
	j.Append(loyalty.Started{Version: "test"})
	if r := b.Posts(j.All()); r.Receipts[0].Verdict != hq.Stranger {
		b.Fatalf("a stranger's batch: %+v", r.Receipts[0])
	}
	b.Bring(Account(5, 100))
	if r := b.Asks(j, j.TopUp(5, 100)); r.Answer.Refusal == "" || r.Answer.Grant != nil {
		b.Fatalf("a stranger's question: %v", r.Answer)
	}
	if added, err := b.Enrol(context.Background(), 17); err != nil || !added {
		b.Fatal(added, err)
	}
	if added, err := b.Enrol(context.Background(), 17); err != nil || added {
		b.Fatal(added, err)
	}
	if _, err := b.Enrol(context.Background(), 0); err == nil {
		b.Fatal("station 0 was enrolled")
	}
	b.Greets(j, good)
	if r := b.Posts(j.All()); r.Receipts[0].Posted != 1 {
		b.Fatalf("%+v", r.Receipts[0])
	}
}

func testForkByNonce(b *Bench) {
	j := NewJournal(b, 17)
	b.Greets(j, good)
	other := j.Clone()
	other.Nonce[0]++
	other.Hashes[0] = wire.Genesis(17, 1, other.Nonce)
	b.Greets(other, newEpoch)
	b.Raised(hq.ForkAlarm)
	b.Bring(Account(5, 1000))
	if left := b.Grants(j, 5, 100); left != 0 {
		b.Fatalf("rights of %s were issued to a journal that forks", left)
	}
	b.Greets(j, good)
	if left := b.Grants(j, 5, 100); left != 100 {
		b.Fatalf("rights of %s, want 100", left)
	}
}

func testForkByHash(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Sell(5, 0, 100)
	clone := j.Clone()
	j.Sell(5, 0, 100)
	clone.Boot[1]++
	clone.Sell(5, 0, 300)
	b.Posts(j.All())
	b.Greets(clone, newEpoch)
	b.Raised(hq.ForkAlarm)
	// The clone writes what was not acknowledged again; what it shares with the first is applied once.
	clone.Replant(2, 0)
	b.Greets(clone, good)
	b.Posts(clone.All())
	b.Holds(5, 500)
	b.Greets(j, newEpoch) // the first is now the older one
}

func testRollback(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Sell(5, 0, 100)
	backup := j.Clone()
	j.Sell(5, 0, 100)
	b.Posts(j.All())
	backup.Boot[1]++
	b.Greets(backup, newEpoch)
	b.Raised(hq.RollbackAlarm)
	backup.Replant(2, 1)
	b.Greets(backup, good)
	backup.Sell(5, 0, 50)
	b.Posts(backup.All())
	b.Holds(5, 250)
}

func testLateHello(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Sell(5, 0, 100)
	late := j.Hello()
	j.Sell(5, 0, 100)
	b.Posts(j.All())
	g, err := b.Hello(context.Background(), late)
	b.ok(err)
	if g.Verdict != good || g.Cursor.Seq != 2 {
		b.Fatalf("%+v", g)
	}
	b.Raised()
}

func testTrimmed(b *Bench) {
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for range 3 {
		j.Append(loyalty.Started{Version: "test"})
	}
	h := j.Hello()
	h.First = 2
	g, err := b.Hello(context.Background(), h)
	b.ok(err)
	if g.Verdict != pb.Verdict_VERDICT_TRIMMED || g.Cursor.Seq != 0 {
		b.Fatalf("%+v", g)
	}
	b.Raised(hq.TrimmedAlarm)
	b.Posts(j.Batch(1, 2))
	h = j.Hello()
	h.First = 3 // exactly what is needed
	g, err = b.Hello(context.Background(), h)
	b.ok(err)
	if g.Verdict != good {
		b.Fatalf("%+v", g)
	}
}

func testApply(b *Bench) {
	b.Bring(Account(5, 10_000))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Append(loyalty.Started{Version: "test"})
	if left := b.Grants(j, 5, 3000); left != 3000 {
		b.Fatalf("rights of %s", left)
	}
	j.Sell(5, 2500, 400)
	j.Return(5)
	r := b.Posts(j.All())
	if rc := r.Receipts[0]; rc.Verdict != hq.Taken || rc.Posted != 3 || len(rc.SetAside) != 0 || rc.Cursor.Hash != j.Hashes[3] {
		b.Fatalf("%+v", rc)
	}
	b.Holds(5, 10_000-2500+400)
	c := b.Record(5).Cells[loyalty.CellKey{Station: 17, Epoch: 1}]
	if want := (loyalty.Rights{Issued: 3000, Statement: loyalty.Statement{Used: 2500, Returned: 500}, Posted: 2500}); c != want {
		b.Fatalf("cell %+v, want %+v", c, want)
	}
	lines, err := b.Store.Lines(context.Background(), 0, 10)
	b.ok(err)
	for i, l := range lines {
		if !bytes.Equal(l.Bytes, j.Entries[i]) || l.Hash != j.Hashes[i+1] || l.Pos != uint64(i+1) {
			b.Fatalf("line %d is not the station's entry", i+1)
		}
	}
	b.Raised()
}

func testAppliedOnce(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for range 5 {
		j.Sell(5, 0, 100)
	}
	b.Posts(j.All(), j.All(), j.Batch(2, 4))
	b.Reopen()
	for range 3 {
		if r := b.Posts(j.All(), j.Batch(1, 3)); r.Receipts[0].Verdict != hq.Taken || r.Receipts[0].Posted != 0 || r.Receipts[1].Cursor.Seq != 5 {
			b.Fatalf("%+v", r.Receipts)
		}
	}
	b.Holds(5, 500)
}

func testGap(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for range 5 {
		j.Sell(5, 0, 100)
	}
	r := b.Posts(j.Batch(3, 5), j.Batch(1, 2), j.Batch(4, 5))
	want := []hq.Verdict{hq.Gap, hq.Taken, hq.Gap}
	for i, v := range want {
		if r.Receipts[i].Verdict != v || r.Receipts[i].Cursor.Seq != 2 {
			b.Fatalf("batch %d: %+v", i, r.Receipts[i])
		}
	}
	b.Holds(5, 200)
	other := j.Batch(3, 5)
	other.Epoch = 2
	if r := b.Posts(other); r.Receipts[0].Verdict != hq.Gap {
		b.Fatalf("a batch of an epoch that was not greeted: %+v", r.Receipts[0])
	}
	b.Posts(j.Batch(3, 5))
	b.Holds(5, 500)
}

func testOverlap(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for range 6 {
		j.Sell(5, 0, 100)
	}
	b.Posts(j.Batch(1, 3))
	if r := b.Posts(j.Batch(2, 5), j.Batch(1, 6)); r.Receipts[0].Posted != 2 || r.Receipts[1].Posted != 1 {
		b.Fatalf("%+v", r.Receipts)
	}
	b.Holds(5, 600)
}

func testForkInBatch(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for range 3 {
		j.Sell(5, 0, 100)
	}
	clone := j.Clone()
	clone.Boot[1]++
	j.Sell(5, 0, 100)
	b.Posts(j.All())
	for range 2 {
		clone.Sell(5, 0, 900)
	}
	for _, batch := range []*hq.Batch{clone.Batch(4, 4), clone.Batch(5, 5), clone.All()} {
		if r := b.Posts(batch); r.Receipts[0].Verdict != hq.Forked || r.Receipts[0].Posted != 0 {
			b.Fatalf("%+v", r.Receipts[0])
		}
	}
	b.Holds(5, 400)
	b.Raised(hq.ForkAlarm)
	alarms, err := b.Store.Alarms(context.Background())
	b.ok(err)
	if alarms[0].Count != 3 || !bytes.Contains(alarms[0].Evidence, clone.Entries[3]) {
		b.Fatalf("the alarm counts %d and keeps %d bytes", alarms[0].Count, len(alarms[0].Evidence))
	}
	j.Sell(5, 0, 100)
	b.Posts(j.All())
	b.Holds(5, 500)
}

func testGroup(b *Bench) {
	b.Bring(Account(5, 0), Account(6, 0))
	var batches []*hq.Batch
	for s := range loyalty.StationID(10) {
		j := NewJournal(b, 100+s)
		b.Greets(j, good)
		for range 20 {
			j.Sell(5, 0, 1)
			j.Sell(6, 0, 2)
		}
		batches = append(batches, j.Batch(1, 15), j.Batch(16, 40))
	}
	r := b.Posts(batches...)
	if r.Counts[hq.Posted] != 400 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 200)
	b.Holds(6, 400)
}

func testSetAside(b *Bench) {
	b.Bring(Account(5, 1000))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.AppendBytes([]byte("not an entry"))
	j.Sell(77, 0, 100) // no such account
	body := j.Sale(0, "7005998877660000", 0, 100)
	j.Append(body) // no such card
	j.Cell(5).Grant(5000)
	over := j.Sell(5, 2000, 0) // more than there is
	j.Sell(5, 0, 100)
	r := b.Posts(j.All()).Receipts[0]
	if r.Verdict != hq.Taken || r.Posted != 5 || len(r.SetAside) != 4 || r.Cursor.Seq != 5 {
		b.Fatalf("%+v", r)
	}
	if q := r.SetAside[3]; q.Seq != 4 || q.Op != over || !strings.Contains(q.Reason, "more than the account holds") {
		b.Fatalf("%+v", q)
	}
	b.Holds(5, 1100)
	b.Raised(hq.UnreadAlarm, hq.OverspentAlarm, hq.RestoredAlarm)
	b.Reopen()
	if g := b.Greets(j, good); len(g.SetAside) != 4 || g.SetAside[3] != r.SetAside[3] {
		b.Fatalf("a greeting repeats %+v", g.SetAside)
	}
	lines, err := b.Store.LinesSetAside(context.Background(), hq.Place{}, 3)
	b.ok(err)
	more, err := b.Store.LinesSetAside(context.Background(), lines[2].Place, 3)
	b.ok(err)
	if len(lines) != 3 || len(more) != 1 || more[0].Seq != 4 || more[0].Reason == "" {
		b.Fatalf("%d and %d set aside", len(lines), len(more))
	}
}

func testCardOnly(b *Bench) {
	b.Bring(Account(5, 0))
	_, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	j.Append(loyalty.SaleOpened{Sale: "x", Card: "7005110000000012", Receipt: Receipt()})
	j.Append(loyalty.SaleVoided{Sale: "x", Reason: "changed their mind"})
	j.Append(j.Sale(0, "7005110000000011", 0, 250))
	r := b.Posts(j.All())
	if r.Counts[hq.Posted] != 1 || r.Counts[hq.NoAccount] != 2 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 250)
	items, _ := b.Drain(17, g.Stream)
	if len(items) != 2 || items[0].GetCard().GetAccount() != 5 || items[1].GetSnapshot().GetApplied() != 3 {
		b.Fatalf("the station is told %v", items)
	}
}

func testReplanted(b *Bench) {
	b.Bring(Account(5, 10_000))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	b.Grants(j, 5, 1000)
	j.Sell(5, 600, 10)
	j.Return(5)
	j.Sell(5, 0, 10)
	b.Posts(j.Batch(1, 2))
	j.Replant(2, 0) // no acknowledgement has come
	j.Boot[1]++
	j.Sell(5, 0, 10)
	b.Greets(j, good)
	r := b.Posts(j.All())
	if r.Counts != [4]int{hq.Posted: 2, hq.Repeated: 2} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 10_000-600+30)
	b.Raised()
	if left := b.Grants(j, 5, 9430); left != 9430 {
		b.Fatalf("rights of %s: the old epoch returned its rest, and all else is free", left)
	}
}

func testOperationTaken(b *Bench) {
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	op := j.Sell(5, 0, 100)
	j.AppendEntry(&loyalty.Entry{At: j.At, Op: op, Body: j.Sale(5, "", 0, 200)})
	k.AppendBytes(j.Entries[0])
	r := b.Posts(j.All(), k.All())
	if r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 2} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 100)
	b.Reopen()
	k.AppendBytes(j.Entries[1])
	if r := b.Posts(k.All()); r.Counts[hq.SetAside] != 1 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 100)
}

// testUsedBefore: rights used in one epoch, told in the next. They are believed, and stay held in the first.
func testUsedBefore(b *Bench) {
	b.Bring(Account(5, 1000))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	b.Grants(j, 5, 400)
	j.Sell(5, 400, 0)
	j.Replant(2, 0)
	b.Greets(j, good)
	b.Posts(j.All())
	b.Holds(5, 600)
	b.Raised()
	if left := b.Grants(j, 5, 600); left != 200 {
		b.Fatalf("rights of %s, 200 of 600 are not held by the first epoch", left)
	}
}
