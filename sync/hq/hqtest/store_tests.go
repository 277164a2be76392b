package hqtest

import (
	"bytes"
	"context"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// testHistory: an account's lines come newest first and page by page, each where it took effect.
func testHistory(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 0), Account(6, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Append(j.Sale(0, "7005110000000011", 0, 100)) // 1, and when the card comes 6
	for _, id := range []loyalty.AccountID{5, 6, 5, 5} {
		j.Sell(id, 0, 10)
	}
	b.Posts(j.All())
	_, err := b.ImportCards(ctx, []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	b.Reopen()
	var got []uint64
	for before := uint64(0); ; {
		lines, err := b.Store.History(ctx, 5, before, 3)
		b.ok(err)
		if len(lines) == 0 {
			break
		}
		for _, l := range lines {
			if l.Account != 5 || l.Outcome != hq.Posted {
				b.Fatalf("%+v", l)
			}
			got, before = append(got, l.Pos), l.Pos
		}
	}
	if want := []uint64{6, 5, 4, 2}; !slices.Equal(got, want) {
		b.Fatalf("positions %v, want %v", got, want)
	}
	for _, id := range []loyalty.AccountID{4, 7} {
		if lines, err := b.Store.History(ctx, id, 0, 10); err != nil || len(lines) != 0 {
			b.Fatalf("account %d has a history of %d lines: %v", id, len(lines), err)
		}
	}
}

// testProgrammesKept: every version that was published is there, and the newest is in force.
func testProgrammesKept(b *Bench) {
	for v := range uint32(3) {
		_, err := b.Publish(context.Background(), Programme(v+1))
		b.ok(err)
	}
	b.Reopen()
	b.ok(b.Store.View(context.Background(), func(tx hq.Tx) error {
		all, err := tx.Programmes([]uint32{1, 3, 7})
		if err != nil {
			return err
		}
		if len(all) != 2 || !bytes.Equal(all[1], Programme(1)) || !bytes.Equal(all[3], Programme(3)) {
			b.Fatalf("%d programmes", len(all))
		}
		return nil
	}))
}

// testForms: forms go over to an account, are listed there, and when they are destroyed only that they were stays.
func testForms(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 0), Account(6, 0))
	one := hq.Form{Hash: loyalty.FormHash{1}, Card: "7005110000000011", At: Start, Sealed: []byte("sealed one")}
	two := hq.Form{Hash: loyalty.FormHash{2}, Account: 6, Card: "7005110000000012", At: Start, Sealed: []byte("sealed two")}
	save := func(c *hq.Changes) {
		b.Helper()
		b.ok(b.Store.Update(ctx, func(tx hq.Tx) error { return tx.Save(c) }))
		b.Reopen()
		b.CheckAll()
	}
	of := func(account loyalty.AccountID) (out []hq.Form) {
		b.Helper()
		b.ok(b.Store.View(ctx, func(tx hq.Tx) (err error) {
			out, err = tx.FormsOf(account, 10)
			return err
		}))
		return out
	}
	save(&hq.Changes{Forms: []hq.Form{one, two}})
	if f := of(0); len(f) != 1 || f[0].Card != one.Card || !bytes.Equal(f[0].Sealed, one.Sealed) {
		b.Fatalf("of no account: %+v", f)
	}
	one.Account = 5
	save(&hq.Changes{Forms: []hq.Form{one}})
	if len(of(0)) != 0 || len(of(5)) != 1 || len(of(6)) != 1 {
		b.Fatalf("%d, %d and %d forms", len(of(0)), len(of(5)), len(of(6)))
	}
	listed, err := b.Store.Forms(ctx, loyalty.FormHash{}, 10)
	if err != nil || len(listed) != 2 || listed[0].Account != 5 || listed[0].Sealed != nil {
		b.Fatalf("%+v %v", listed, err)
	}
	save(&hq.Changes{Forgotten: []loyalty.AccountID{5}})
	b.ok(b.Store.View(ctx, func(tx hq.Tx) error {
		found, err := tx.Forms([]loyalty.FormHash{{1}, {2}, {3}})
		if err != nil {
			return err
		}
		if len(found) != 2 || found[loyalty.FormHash{1}].Sealed != nil || !bytes.Equal(found[loyalty.FormHash{2}].Sealed, two.Sealed) {
			b.Fatalf("%+v", found)
		}
		return nil
	}))
	if listed, err = b.Store.Forms(ctx, loyalty.FormHash{}, 10); err != nil || len(listed) != 1 || len(of(5)) != 0 {
		b.Fatalf("%+v %v", listed, err)
	}
}

// testRefundsOf: the refunds of a sale are found, by whichever station.
func testRefundsOf(b *Bench) {
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	s := j.Sale(5, "", 0, 40)
	op := j.Append(s)
	other := j.Sale(5, "", 0, 40)
	op2 := j.Append(other)
	j.Append(Refund(op, &s, "r2", 100, 1, 0))
	j.Append(Refund(op2, &other, "r1", 100, 1, 0))
	away := Refund(op, &s, "r1", 100, 1, 0)
	away.Station = 17
	k.Append(away)
	b.Posts(j.All())
	b.Posts(k.All())
	b.Reopen()
	b.ok(b.Store.View(context.Background(), func(tx hq.Tx) error {
		lines, err := tx.RefundsOf(17, s.Sale, 10)
		if err != nil {
			return err
		}
		if len(lines) != 2 || lines[0].Refund != "r2" || lines[1].Place != (hq.Place{Station: 18, Epoch: 1, Seq: 1}) || lines[1].SaleAt != 17 {
			b.Fatalf("%+v", lines)
		}
		if lines, err = tx.RefundsOf(18, s.Sale, 10); err != nil || len(lines) != 0 {
			b.Fatalf("%+v %v", lines, err)
		}
		last, err := tx.LastAccount()
		if last != 5 {
			b.Fatalf("the last account is %d", last)
		}
		return err
	}))
	b.Holds(5, 80-3)
}
