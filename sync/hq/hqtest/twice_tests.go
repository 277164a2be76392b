package hqtest

import (
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// backedUp is a station whose ledger was copied while sale S was open; after that S was closed and T sold, and all of it
// is in the books. It returns the station as it comes back: with the older copy, in a new epoch that it began itself.
func backedUp(b *Bench) *Journal {
	b.Bring(Account(5, 1000))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	b.Grants(j, 5, 60)
	cell := j.Cell(5)
	b.ok(cell.Use(60))
	open := j.Append(loyalty.SaleOpened{Sale: "S", Account: 5, Receipt: Receipt(), Reserved: 60, Statement: cell.Statement()})
	back := j.Clone()
	b.ok(cell.Void(10))
	j.Append(endOfS(j, open, 50, 8))
	j.Append(saleT(j, 7))
	b.Posts(j.All())
	b.Holds(5, 1000-50+8+7)
	back.Boot[1]++
	back.Begin(2)
	back.Append(loyalty.Started{Boot: back.Boot, Version: "test"})
	back.Cell(5).Used, back.Cell(5).Issued = 60, 60 // what open sales have reserved comes with it
	b.Greets(back, good)
	return back
}

func endOfS(j *Journal, opened loyalty.OpID, redeemed, earned loyalty.Points) loyalty.SaleClosed {
	return loyalty.SaleClosed{
		Sale: "S", Opened: opened, OpenedAt: Start, Account: 5, Receipt: Receipt(), Redeemed: redeemed, Discount: loyalty.Kopecks(redeemed),
		Earned: []loyalty.Lot{{Amount: earned, ActiveFrom: j.At, Expires: j.At + Day}}, Statement: j.Cell(5).Statement(),
	}
}

func saleT(j *Journal, earned loyalty.Points) loyalty.SaleClosed {
	s := j.Sale(5, "", 0, earned)
	s.Sale = "T"
	return s
}

// testSaleTwice: the register settles S from its own log and tells T again. The goods were sold once.
func testSaleTwice(b *Bench) {
	j := backedUp(b)
	j.At += 3 * Day
	b.ok(j.Cell(5).Void(10))
	closed := endOfS(j, j.Op(), 50, 8)
	closed.Resolved = true
	j.Append(closed)
	j.Append(saleT(j, 7))
	j.Return(5)
	r := b.Posts(j.Batch(1, 2))
	b.Reopen()
	more := b.Posts(j.All())
	if r.Counts[hq.Repeated] != 1 || more.Counts[hq.Repeated] != 1 {
		b.Fatalf("%v, then %v", r.Counts, more.Counts)
	}
	b.Holds(5, 1000-50+8+7)
	if c := b.Record(5).Cells[loyalty.CellKey{Station: 17, Epoch: 2}]; c.Outstanding() != 0 || c.Posted != 50 {
		b.Fatalf("the new epoch's cell is %+v", c)
	}
	// The same operations once more, in yet another epoch: by their own identities now.
	j.Replant(3, 0)
	b.Greets(j, good)
	if r := b.Posts(j.All()); r.Counts[hq.Posted] != 0 || r.Counts[hq.SetAside] != 0 {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 1000-50+8+7)
}

// testSaleTwiceOtherwise: what differs is kept for somebody to look at, and changes nothing.
func testSaleTwiceOtherwise(b *Bench) {
	j := backedUp(b)
	b.ok(j.Cell(5).Void(20))
	j.Append(endOfS(j, j.Op(), 40, 8))
	j.Append(saleT(j, 70))
	j.Append(loyalty.SaleVoided{Sale: "S", Account: 5, Statement: j.Cell(5).Statement()})
	j.Sell(5, 0, 3)
	r := b.Posts(j.All())
	if r.Counts[hq.SetAside] != 3 || r.Counts[hq.Posted] != 1 {
		b.Fatalf("%v", r.Counts)
	}
	for _, q := range r.Receipts[0].SetAside {
		if !strings.Contains(q.Reason, "ended otherwise before: station 17, epoch 1, entry ") {
			b.Fatalf("the reason is %q", q.Reason)
		}
	}
	b.Holds(5, 1000-50+8+7+3)
	b.Raised(hq.TwiceAlarm, hq.RestoredAlarm) // what S took in the new epoch is not posted there
}
