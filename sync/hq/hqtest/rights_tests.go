package hqtest

import (
	"context"
	"errors"
	"sync"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

func testTopUp(b *Bench) {
	b.Bring(Account(5, 1000))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	ask := j.TopUp(5, 700)
	for range 3 { // lost, repeated, late
		r := b.Asks(j, ask)
		j.Take(r)
		if r.Answer.Grant.Issued != 700 {
			b.Fatalf("%v", r.Answer.Grant)
		}
		b.Reopen()
	}
	if left := b.Grants(k, 5, 700); left != 300 {
		b.Fatalf("rights of %s, only 300 are left", left)
	}
	r := b.Asks(k, &hq.Ask{Account: 5})
	if s := r.Answer.Snapshot; s.Elsewhere != 700 || r.Answer.Grant != nil {
		b.Fatalf("%v", r.Answer)
	}
	j.Return(5)
	b.Posts(j.All())
	if left := b.Grants(k, 5, 700); left != 700 {
		b.Fatalf("rights of %s after the other has returned its own", left)
	}
	b.Raised()
}

func testTopUpRefused(b *Bench) {
	blocked := Account(6, 1000)
	blocked.State = loyalty.Blocked
	b.Bring(Account(5, 1000), blocked)
	off, stopped := Card("7005110000000011", 5), Card("7005110000000012", 5)
	off.MayRedeem = false
	stopped.State = loyalty.Blocked
	_, err := b.ImportCards(context.Background(), []loyalty.Card{off, stopped, Card("7005110000000013", 5), Card("7005110000000014", 6)})
	b.ok(err)
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for _, c := range []struct {
		card loyalty.CardNumber
		want uint64
	}{{"7005110000000011", 0}, {"7005110000000012", 0}, {"7005110000000014", 0}, {"7005110000000013", 100}} {
		r := b.Asks(j, &hq.Ask{Card: c.card, Epoch: 1, TopUp: true, Want: 100})
		if r.Answer.Refusal != "" || r.Answer.Card == nil || r.Answer.Grant.Issued != c.want {
			b.Fatalf("card %s: %v", string(c.card), r.Answer)
		}
	}
	if r := b.Asks(j, &hq.Ask{Card: "7005110000000099"}); r.Answer.Refusal != string(loyalty.UnknownCard) {
		b.Fatalf("%v", r.Answer)
	}
	if r := b.Asks(j, &hq.Ask{Account: 99}); r.Answer.Refusal != string(loyalty.UnknownCard) {
		b.Fatalf("%v", r.Answer)
	}
	other := j.TopUp(5, 100)
	other.Epoch = 2
	if r := b.Asks(j, other); r.Answer.Grant != nil || r.Answer.Snapshot == nil {
		b.Fatalf("an epoch that was not greeted: %v", r.Answer)
	}
	impossible := j.TopUp(5, 100)
	impossible.Statement = loyalty.Statement{Voided: 5}
	if r := b.Asks(j, impossible); r.Answer.Grant.GetIssued() > 100 {
		b.Fatalf("an impossible statement: %v", r.Answer)
	}
}

// testTopUpsAtOnce: however many ask at once, all rights together are covered.
func testTopUpsAtOnce(b *Bench) {
	b.Bring(Account(5, 1000))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var sum loyalty.Points
	for i := range 16 {
		j := NewJournal(b, loyalty.StationID(100+i))
		b.Greets(j, good)
		wg.Go(func() {
			for n := range 4 {
				r, err := b.Answer(context.Background(), j.Station, j.TopUp(5, loyalty.Points(30*(n+1))))
				if err != nil {
					b.Error(err)
					return
				}
				j.Take(r)
			}
			mu.Lock()
			defer mu.Unlock()
			sum += j.Cell(5).Left()
		})
	}
	wg.Wait()
	if sum != 1000 {
		b.Fatalf("rights of %s were issued for 1000", sum)
	}
}

func testDown(b *Bench) {
	b.Bring(Account(5, 1000))
	_, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5), Card("7005110000000012", 5)})
	b.ok(err)
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	gj, gk := b.Greets(j, good), b.Greets(k, good)
	if items, _ := b.Drain(17, gj.Stream); len(items) != 0 {
		b.Fatalf("a new station is told %v", items)
	}
	b.Asks(j, &hq.Ask{Card: "7005110000000011"})
	b.Asks(k, &hq.Ask{Account: 5})
	items, through := b.Drain(17, gj.Stream)
	if len(items) != 2 || items[0].GetCard().GetNumber() != "7005110000000011" || items[1].GetCard().GetNumber() != "7005110000000012" {
		b.Fatalf("a station that has met the account is told %v", items)
	}
	if ok, err := b.DownAcked(context.Background(), 17, hq.Stream{ID: gj.Stream.ID, Acked: through}); err != nil || !ok {
		b.Fatal(ok, err)
	}
	k.Sell(5, 0, 50)
	r := b.Posts(k.All())
	if len(r.Touched) != 2 {
		b.Fatalf("touched %v", r.Touched)
	}
	j.Sell(5, 0, 7) // not here yet: the snapshot does not count it
	items, next := b.Drain(17, hq.Stream{ID: gj.Stream.ID, Acked: through})
	if len(items) != 1 || next <= through {
		b.Fatalf("%v", items)
	}
	s, err := wire.ToSnapshot(items[0].GetSnapshot())
	b.ok(err)
	if s.Account.Total(b.Now()) != 1050 || s.Applied != 0 || s.Epoch != 1 {
		b.Fatalf("%+v", s)
	}
	b.Posts(j.All())
	items, _ = b.Drain(17, hq.Stream{ID: gj.Stream.ID, Acked: through})
	if s, err = wire.ToSnapshot(items[0].GetSnapshot()); err != nil || s.Account.Total(b.Now()) != 1057 || s.Applied != 1 {
		b.Fatalf("%+v %v", s, err)
	}
	if items, _ := b.Drain(18, gk.Stream); len(items) != 3 {
		b.Fatalf("the other station is told %v", items)
	}
}

func testDownCompacted(b *Bench) {
	b.Bring(Account(5, 0), Account(6, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	g := b.Greets(j, good)
	b.Greets(k, good)
	b.Asks(j, &hq.Ask{Account: 5})
	b.Asks(j, &hq.Ask{Account: 6})
	for range 10 {
		k.Sell(5, 0, 1)
		b.Posts(k.All())
	}
	k.Sell(6, 0, 1)
	k.Sell(5, 0, 1)
	b.Posts(k.All())
	items, _ := b.Drain(17, g.Stream)
	if len(items) != 2 {
		b.Fatalf("%d items for two accounts", len(items))
	}
	states, err := b.Store.AllStations(context.Background(), 0, 10)
	b.ok(err)
	if states[0].Items != 2 || states[0].Stream != g.Stream {
		b.Fatalf("%+v", states[0])
	}
}

func testDownRestarts(b *Bench) {
	b.Bring(Account(5, 0))
	_, err := b.Publish(context.Background(), Programme(1))
	b.ok(err)
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	b.Asks(j, &hq.Ask{Account: 5})
	j.Sell(5, 0, 10)
	b.Posts(j.All())
	items, through := b.Drain(17, g.Stream)
	if len(items) != 2 {
		b.Fatalf("%v", items)
	}
	hello := func(st hq.Stream) hq.Greeting {
		b.Helper()
		h := j.Hello()
		h.DownStream, h.DownSeq = st.ID, st.Acked
		g, err := b.Hello(context.Background(), h)
		b.ok(err)
		return g
	}
	has := hq.Stream{ID: g.Stream.ID, Acked: through}
	if g := hello(has); g.Stream != has {
		b.Fatalf("the stream goes on at %+v, the station is at %+v", g.Stream, has)
	}
	if items, _ := b.Drain(17, has); len(items) != 0 {
		b.Fatalf("what was acknowledged is told again: %v", items)
	}
	for _, st := range []hq.Stream{
		{ID: has.ID},                               // the station was restored from an older copy
		{ID: 999, Acked: 3},                        // of headquarters that are no more
		{ID: has.ID, Acked: through + 1<<40},       // never given out
		{ID: has.ID, Acked: has.Acked>>16<<16 - 1}, // before this life
	} {
		g := hello(st)
		items, end := b.Drain(17, g.Stream)
		if g.Stream.ID == has.ID || g.Stream.Acked != 0 || len(items) != 2 {
			b.Fatalf("after %+v the stream goes on at %+v with %d items", st, g.Stream, len(items))
		}
		has = hq.Stream{ID: g.Stream.ID, Acked: end}
		for _, stale := range []hq.Stream{{ID: st.ID + 1, Acked: end}, {ID: has.ID, Acked: end + 1}} {
			if ok, err := b.DownAcked(context.Background(), 17, stale); err != nil || ok {
				b.Fatalf("%+v was acknowledged: %v", stale, err)
			}
		}
		if ok, err := b.DownAcked(context.Background(), 17, has); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

func testDownMessages(b *Bench) {
	var accounts []loyalty.Account
	for id := loyalty.AccountID(1); id <= 450; id++ {
		accounts = append(accounts, Account(id, 100))
	}
	huge := Account(1000, 0)
	for i := range 3000 { // some expired, more alive than a message takes
		huge.Lots = append(huge.Lots, loyalty.Lot{Amount: 100, ActiveFrom: Start - 9*Day, Expires: Start + loyalty.Instant(i-500)*Day})
	}
	b.Bring(append(accounts, huge)...)
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	for _, a := range append(accounts, huge) {
		j.Sell(a.ID, 0, 1)
	}
	b.Posts(j.Batch(1, 200), j.Batch(201, 451))
	seen, after := map[uint64]bool{}, uint64(0)
	for {
		d, err := b.Down(context.Background(), 17, g.Stream, after)
		b.ok(err)
		if d == nil {
			break
		}
		if payload, err := wire.Encode(d); err != nil || len(d.Items) > wire.MaxItems {
			b.Fatalf("a message of %d bytes: %v", len(payload), err)
		}
		for _, it := range d.Items {
			s, err := wire.ToSnapshot(it.GetSnapshot())
			b.ok(err)
			seen[uint64(s.Account.ID)] = true
			if s.Account.ID == 1000 && s.Account.Total(b.Now()) > b.Record(1000).Account.Total(b.Now()) {
				b.Fatal("a cut account shows more than there is")
			}
		}
		after = d.Through
	}
	if len(seen) != 451 {
		b.Fatalf("%d accounts were told", len(seen))
	}
}

func testProgramme(b *Bench) {
	ctx := context.Background()
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	for range 2 {
		p, err := b.Publish(ctx, Programme(3))
		if err != nil || p.Version != 3 {
			b.Fatal(err)
		}
	}
	items, _ := b.Drain(17, g.Stream)
	if len(items) != 1 || items[0].GetProgramme().GetVersion() != 3 || string(items[0].GetProgramme().GetSource()) != string(Programme(3)) {
		b.Fatalf("%v", items)
	}
	for _, old := range [][]byte{Programme(2), append(Programme(3), '\n')} {
		if _, err := b.Publish(ctx, old); !errors.Is(err, hq.ErrOldProgramme) {
			b.Fatalf("%v", err)
		}
	}
	if _, err := b.Publish(ctx, []byte("version: 9")); !errors.Is(err, loyalty.ErrProgramme) {
		b.Fatalf("%v", err)
	}
	_, err := b.Publish(ctx, Programme(4))
	b.ok(err)
	if items, _ := b.Drain(17, g.Stream); len(items) != 1 || items[0].GetProgramme().GetVersion() != 4 {
		b.Fatalf("%v", items)
	}
	k := NewJournal(b, 18)
	if items, _ := b.Drain(18, b.Greets(k, good).Stream); len(items) != 1 {
		b.Fatalf("a station that comes later is told %v", items)
	}
}

func testImportAccounts(b *Bench) {
	ctx := context.Background()
	rows := []loyalty.Account{Account(5, 100), Account(6, 0)}
	for i, want := range []hq.Imported{{Added: 2}, {Unchanged: 2}} {
		if n, err := b.ImportAccounts(ctx, rows); err != nil || n != want {
			b.Fatalf("round %d: %+v %v", i, n, err)
		}
		j := NewJournal(b, loyalty.StationID(17+i))
		b.Greets(j, good)
		j.Sell(5, 0, 10)
		b.Posts(j.All())
	}
	b.Holds(5, 120)
	bad := Account(7, 10)
	bad.Lots[0].Amount = -1
	for _, rows := range [][]loyalty.Account{
		{Account(8, 1), Account(5, 200)}, {Account(8, 1), bad}, {Account(8, 1), Account(0, 1)}, {Account(8, 1), Account(8, 2)},
	} {
		var row *hq.RowError
		if _, err := b.ImportAccounts(ctx, rows); !errors.As(err, &row) || row.Row != 1 {
			b.Fatalf("%v", err)
		}
	}
	if rs, err := b.Store.Accounts(ctx, 6, 10); err != nil || len(rs) != 0 {
		b.Fatalf("a refused import has left %d accounts: %v", len(rs), err)
	}
}

func testImportCards(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100), Account(6, 100))
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	b.Asks(j, &hq.Ask{Account: 5})
	card := Card("7005110000000011", 5)
	for i, want := range []hq.Imported{{Added: 1}, {Unchanged: 1}, {Changed: 1}} {
		if i == 2 {
			card.State = loyalty.Blocked
		}
		if n, err := b.ImportCards(ctx, []loyalty.Card{card}); err != nil || n != want {
			b.Fatalf("round %d: %+v %v", i, n, err)
		}
	}
	items, _ := b.Drain(17, g.Stream)
	if len(items) != 1 || items[0].GetCard().GetState() != uint32(loyalty.Blocked) {
		b.Fatalf("%v", items)
	}
	moved := card
	moved.Account = 6
	for want, c := range map[error]loyalty.Card{
		hq.ErrDiffers: moved, hq.ErrNoAccount: Card("7005110000000012", 99), loyalty.BadRequest: Card("x", 5),
	} {
		var row *hq.RowError
		if _, err := b.ImportCards(ctx, []loyalty.Card{Card("7005110000000077", 5), c}); !errors.Is(err, want) || !errors.As(err, &row) || row.Row != 1 {
			b.Fatalf("%v, want %v", err, want)
		}
	}
	if r := b.Asks(j, &hq.Ask{Card: "7005110000000077"}); r.Answer.Refusal == "" {
		b.Fatal("a refused import has left a card")
	}
}

// testOlderCopy: headquarters are put back to an older copy; the station sends again what the copy lacks, nothing is
// applied twice, and the down-stream begins anew.
func testOlderCopy(b *Bench) {
	b.Bring(Account(5, 1000))
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	j.Sell(5, 0, 10)
	b.Posts(j.All())
	_, through := b.Drain(17, g.Stream)
	b.ok(b.Store.Close())
	b.Lab.Save(b)
	b.Clock = b.Clock.Add(1e9)
	b.open()
	b.Grants(j, 5, 300)
	j.Sell(5, 200, 20)
	b.Posts(j.All())
	_, lost := b.Drain(17, g.Stream)
	b.ok(b.Store.Close())
	b.Lab.Restore(b)
	b.Clock = b.Clock.Add(1e9)
	b.open()
	b.Holds(5, 1010)
	k := NewJournal(b, 18) // so much happens before the station comes that its number is given out again, for other items
	b.Greets(k, good)
	for range 20 {
		k.Sell(5, 0, 1)
		b.Posts(k.All())
	}
	h := j.Hello()
	h.DownStream, h.DownSeq = g.Stream.ID, lost
	again, err := b.Hello(context.Background(), h)
	b.ok(err)
	if again.Verdict != pb.Verdict_VERDICT_OK || again.Cursor.Seq != 1 || again.Stream.ID == g.Stream.ID {
		b.Fatalf("%+v, the station had %d and %d", again, through, lost)
	}
	b.Posts(j.All())
	b.Holds(5, 850)
	b.Raised(hq.RestoredAlarm, hq.CopyAlarm)
	c := b.Record(5).Cells[loyalty.CellKey{Station: 17, Epoch: 1}]
	if c.Issued < 200 || c.Outstanding() < 0 {
		b.Fatalf("%+v", c)
	}
}

func testFailedRule(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 0))
	boom := errors.New("boom")
	for range 2 {
		err := b.Store.Update(ctx, func(tx hq.Tx) error {
			if err := tx.Save(&hq.Changes{Stations: []*hq.Station{{ID: 99}}}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			b.Fatalf("%v", err)
		}
	}
	if added, err := b.Enrol(ctx, 99); err != nil || !added {
		b.Fatalf("a rule that failed has left a station: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Store.View(cancelled, func(hq.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		b.Fatalf("%v", err)
	}
}

func testCatalogue(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 1), Account(7, 2), Account(9, 3))
	rs, err := b.Store.Accounts(ctx, 5, 1)
	if err != nil || len(rs) != 1 || rs[0].Account.ID != 7 {
		b.Fatal(rs, err)
	}
	for s := range loyalty.StationID(3) {
		b.Greets(NewJournal(b, s+1), good)
	}
	b.ok(b.Saw(ctx, []hq.Sighting{{Station: 2, Session: 9, Online: true, At: Start, Version: "1.2", Backlog: 4, DiskFree: 5, LastSeq: 6}}))
	b.Reopen()
	st, err := b.Store.AllStations(ctx, 1, 10)
	if err != nil || len(st) != 2 || st[0].ID != 2 || st[0].Seen.Version != "1.2" || st[0].Seen.LastSeq != 6 {
		b.Fatal(st, err)
	}
	if lines, err := b.Store.Lines(ctx, 0, 10); err != nil || len(lines) != 0 {
		b.Fatal(lines, err)
	}
}
