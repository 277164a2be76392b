package hqtest

import (
	"context"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// Refund is the body of a refund of a sale that op closed.
func Refund(op loyalty.OpID, s *loyalty.SaleClosed, id loyalty.RefundID, amount loyalty.Kopecks, clawed, returned loyalty.Points) loyalty.SaleRefunded {
	r := loyalty.SaleRefunded{
		Sale: s.Sale, Closed: op, Refund: id, Account: s.Account, Card: s.Card, Discount: loyalty.Kopecks(returned), Reason: "test",
		Lines: []loyalty.RefundLine{{Line: 1, Amount: amount}},
	}
	if clawed > 0 {
		r.Clawed = []loyalty.Lot{{Amount: clawed, ActiveFrom: s.Earned[0].ActiveFrom, Expires: s.Earned[0].Expires}}
	}
	if returned > 0 {
		r.Returned = []loyalty.Lot{{Amount: returned, ActiveFrom: Start - 30*Day, Expires: Start + 365*Day}}
	}
	return r
}

// testRefund: points come back and are taken back, what is missing is owed and paid first, and rights stay as they are.
func testRefund(b *Bench) {
	b.Bring(Account(5, 100))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	b.Grants(j, 5, 100)
	s := j.Sale(5, "", 60, 40)
	op := j.Append(s)
	j.Append(Refund(op, &s, "r1", 120_000, 20, 30))
	if r := b.Posts(j.All()); r.Counts[hq.Posted] != 2 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 100-60+40-20+30)
	if c := b.Record(5).Cells[loyalty.CellKey{Station: 17, Epoch: 1}]; c.Used != 60 || c.Posted != 60 || c.Outstanding() != 40 {
		b.Fatalf("the cell is %+v", c)
	}
	// Another station may now have what came back; it spends all there is, before the rest of the refund is told.
	other := NewJournal(b, 18)
	b.Greets(other, good)
	if left := b.Grants(other, 5, 1000); left != 50 {
		b.Fatalf("rights to %s", left)
	}
	other.Sell(5, 50, 0)
	b.Posts(other.All())
	j.Sell(5, 40, 0)
	b.Posts(j.All())
	b.Holds(5, 0)
	j.Append(Refund(op, &s, "r2", 60_000, 20, 5))
	b.Posts(j.All())
	b.Reopen()
	b.Holds(5, 0)
	if a := b.Record(5).Account; a.Debt != 15 || a.Clawed != 40 {
		b.Fatalf("owes %+v", a.Owing)
	}
	j.Sell(5, 0, 18)
	b.Posts(j.All())
	b.Holds(5, 3)
	b.Raised()
}

// testRefundTwice: a refund that an older copy of the ledger has forgotten, told again by the register.
func testRefundTwice(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	s := j.Sale(5, "", 0, 40)
	op := j.Append(s)
	back := j.Clone()
	j.Append(Refund(op, &s, "r1", 120_000, 20, 0))
	b.Posts(j.All())
	b.Holds(5, 20)
	back.Boot[1]++
	back.Begin(2)
	back.Append(loyalty.Started{Boot: back.Boot, Version: "test"})
	b.Greets(back, good)
	back.Append(Refund(op, &s, "r1", 120_000, 20, 0))
	back.Append(Refund(op, &s, "r2", 60_000, 10, 0))
	r := b.Posts(back.All())
	if r.Counts[hq.Repeated] != 1 || r.Counts[hq.Posted] != 1 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 10)
	b.Raised()
	back.Append(Refund(op, &s, "r2", 60_000, 9, 0))
	if r := b.Posts(back.All()); r.Counts[hq.SetAside] != 1 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 10)
	b.Raised(hq.TwiceAlarm)
	back.Replant(3, 0)
	b.Greets(back, good)
	if r := b.Posts(back.All()); r.Counts[hq.Posted] != 0 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 10)
}

// testRefundOfNothing: where the lots do not count the sale, its refund changes nothing. A sale by a card alone is refunded
// from the account that got it.
func testRefundOfNothing(b *Bench) {
	b.Bring(Account(5, 100))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	s := j.Sale(5, "", 0, 40)
	j.Append(Refund(j.Op(), &s, "r1", 120_000, 20, 0))
	lost := j.Sale(0, "7005999999999999", 0, 40)
	op := j.Append(lost)
	j.Append(Refund(op, &lost, "r1", 120_000, 20, 0))
	r := b.Posts(j.All())
	if r.Counts[hq.SetAside] != 3 {
		b.Fatalf("%v", r.Counts)
	}
	for i, want := range []string{"does not have", "unknown_card", "was set aside"} {
		if got := r.Receipts[0].SetAside[i].Reason; !strings.Contains(got, want) {
			b.Errorf("reason %q, want %q", got, want)
		}
	}
	b.Holds(5, 100)
	const number = "7005000000000005"
	_, err := b.ImportCards(context.Background(), []loyalty.Card{Card(number, 5)})
	b.ok(err)
	known := j.Sale(0, number, 0, 40)
	op = j.Append(known)
	b.Posts(j.All())
	j.Append(Refund(op, &known, "r1", 120_000, 20, 0))
	if r := b.Posts(j.All()); r.Counts[hq.Posted] != 1 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 120)
	b.Raised()
}
