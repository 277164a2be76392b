package hqtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// runClosing tests the end of accounts.
func runClosing(t *testing.T, newLab func(tb testing.TB) Lab) {
	for _, c := range []struct {
		name string
		run  func(*Bench)
	}{
		{"account closed with expired points", testCloseExpired},
		{"account closed, its rest expires", testCloseRestExpires},
		{"account closed with many cards", testCloseManyCards},
		{"operators' words stay at headquarters", testReasonsStay},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(NewBench(t, newLab(t))) })
	}
}

// gone is what an account's statement says of points that went without being used.
func (b *Bench) gone(id loyalty.AccountID) (sum loyalty.Points) {
	b.Helper()
	totals, err := b.Turnovers(context.Background(), id, hq.ByStation, 0, 0)
	b.ok(err)
	for _, t := range totals {
		sum += t.Expired
	}
	return sum
}

// testCloseExpired: points that have expired are told once, as expired, whether that was before the account was closed or
// after; what is burned, and stands in the act, is what was left.
func testCloseExpired(b *Bench) {
	ctx := context.Background()
	for i, advanceFirst := range []bool{true, false} {
		id := loyalty.AccountID(5 + i)
		a := Account(id, 0)
		a.Lots = []loyalty.Lot{{Amount: 300, Expires: Start - 1000}, {Amount: 60, Expires: Start + 90*Day}, {Amount: 40}}
		a.Advanced = Start - 5000
		b.Bring(a)
		if advanceFirst {
			b.advances(b.Now())
		}
		c, err := b.CloseAccount(ctx, id, operator)
		if b.ok(err); c.Burned != 100 || c.Left != 0 {
			b.Errorf("account %d: %+v", id, c)
		}
		b.Reopen()
		b.advances(b.Now())
		if got := b.gone(id); got != 400 {
			b.Errorf("account %d: %s are told as gone of 4", id, got)
		}
		act, err := b.Act(ctx, b.Store, id)
		if b.ok(err); act.Burned != "1" || act.Left != "0" {
			b.Errorf("account %d: the act says %s burned, %s left", id, act.Burned, act.Left)
		}
	}
	b.Clock = b.Clock.Add(41 * 24 * time.Hour)
	b.advances(b.Now())
	for id := loyalty.AccountID(5); id <= 6; id++ {
		if lots := b.Record(id).Account.Lots; len(lots) != 0 || b.gone(id) != 400 {
			b.Errorf("account %d: left are %v, %s are told as gone", id, lots, b.gone(id))
		}
	}
	if got := b.advances(b.Now()); got.Changed != 0 {
		b.Errorf("%+v", got)
	}
}

// testCloseRestExpires: what stations hold rights to when the account is closed may expire before they give them up. Then it
// is not burned as well, and a sale that was reserved in time is still paid.
func testCloseRestExpires(b *Bench) {
	ctx := context.Background()
	a := Account(5, 0)
	a.Lots = []loyalty.Lot{{Amount: 300, ActiveFrom: Start - Day, Expires: Start + Day}, {Amount: 100}}
	a.Advanced = Start - Day
	b.Bring(a)
	j := NewJournal(b, 17)
	b.Greets(j, good)
	b.Grants(j, 5, 50)
	j.Sell(5, 20, 0)
	c, err := b.CloseAccount(ctx, 5, operator)
	if b.ok(err); c.Burned != 350 || c.Left != 50 {
		b.Fatalf("%+v", c)
	}
	b.Clock = b.Clock.Add(48 * time.Hour)
	b.advances(b.Now())
	j.Return(5)
	b.Posts(j.All())
	b.advances(b.Now())
	act, err := b.Act(ctx, b.Store, 5)
	if b.ok(err); act.Burned != "3.5" || act.Left != "0" || b.gone(5) != 400 {
		b.Fatalf("the act says %s burned, %s left; %s are told as gone", act.Burned, act.Left, b.gone(5))
	}
	b.Raised()
}

// testCloseManyCards: an account is closed with all its cards, and one with more than an act states is not closed at all.
func testCloseManyCards(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100), Account(6, 100))
	number := func(id loyalty.AccountID, n int) loyalty.CardNumber {
		return loyalty.CardNumber(fmt.Sprintf("70051%d0000%06d", id, n))
	}
	bring := func(id loyalty.AccountID, n int) {
		var cards []loyalty.Card
		for i := range n {
			cards = append(cards, Card(number(id, i), id))
		}
		_, err := b.ImportCards(ctx, cards)
		b.ok(err)
	}
	const many = 1201
	bring(5, many)
	c, err := b.CloseAccount(ctx, 5, operator)
	if b.ok(err); len(c.Cards) != many || c.Burned != 100 {
		b.Fatalf("%d cards, burned %s", len(c.Cards), c.Burned)
	}
	for _, n := range []int{0, 999, 1000, many - 1} {
		if card, _ := b.has(number(5, n)); card.State != loyalty.Closed {
			b.Errorf("card %d is %s", n, card.State)
		}
	}
	act, err := b.Act(ctx, b.Store, 5)
	if b.ok(err); len(act.Cards) != many || len(act.Entries) != many+2 {
		b.Errorf("the act names %d cards and %d entries", len(act.Cards), len(act.Entries))
	}
	entries := len(b.OwnEntries())
	if _, err := b.CloseAccount(ctx, 5, operator); err != nil || len(b.OwnEntries()) != entries {
		b.Errorf("closed again it writes %d entries: %v", len(b.OwnEntries())-entries, err)
	}
	bring(6, 5001)
	if _, err := b.CloseAccount(ctx, 6, operator); !errors.Is(err, loyalty.BadRequest) || b.Record(6).Account.State != loyalty.Active {
		b.Errorf("5001 cards: %v", err)
	}
}

// testReasonsStay: what an operator wrote about a customer is not told to counters, and what a cashier wrote is.
func testReasonsStay(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	sale := j.Sale(5, "", 0, 10)
	op := j.Append(sale)
	j.Append(Refund(op, &sale, "r1", 100, 1, 0))
	b.Posts(j.All())
	b.Adjusts(5, 7, "letter 4")
	_, err := b.CloseAccount(ctx, 5, operator)
	b.ok(err)
	a := b.Asks(j, &hq.Ask{Account: 5, History: &hq.AskHistory{Limit: 10}}).Answer
	ops, err := wire.ToOperations(a.History)
	if b.ok(err); len(ops) != 4 {
		b.Fatalf("%+v", ops)
	}
	for _, o := range ops {
		want := ""
		if o.Kind == loyalty.RefundOperation {
			want = "test"
		}
		if o.Reason != want {
			b.Errorf("a counter is told %q of a %s", o.Reason, o.Kind)
		}
	}
	page, _, err := b.Statement(ctx, 5, hq.AskHistory{Limit: 10})
	if b.ok(err); len(page) != 5 || page[0].Reason != operator.Reason || page[1].Reason != operator.Reason ||
		page[1].Kind != hq.AccountChangedLine || page[1].Operator != operator.Operator {
		b.Errorf("the statement at headquarters: %+v", page)
	}
}
