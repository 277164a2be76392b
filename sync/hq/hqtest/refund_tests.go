package hqtest

import (
	"bytes"
	"context"
	"fmt"
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
	cash := Refund(op, &s, "r2", 60_000, 10, 0)
	cash.Tender = loyalty.Cash
	back.Append(cash)
	if r := b.Posts(back.All()); r.Counts[hq.SetAside] != 2 {
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

// testRefundElsewhere: points of a sale come back to nobody but its customer, whoever says so and however often.
func testRefundElsewhere(b *Bench) {
	b.Bring(Account(5, 100), Account(6, 5))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	b.Grants(j, 5, 60)
	s := j.Sale(5, "", 60, 1)
	op := j.Append(s)
	nobody := j.Sale(0, "", 0, 0)
	plain := j.Append(nobody)
	theirs := away(17, Refund(op, &s, "r1", 240_000, 0, 60))
	theirs.Account = 6
	k.Append(theirs)
	theirs = Refund(plain, &nobody, "r1", 240_000, 0, 0)
	theirs.Account = 6
	theirs.Clawed = []loyalty.Lot{{Amount: 5}}
	j.Append(theirs)
	if r := b.Posts(j.All(), k.All()); r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 2, hq.NoAccount: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 41)
	b.Holds(6, 5)
	if a := b.alarmOf(18, hq.RefundAlarm); !strings.Contains(a.Text, "account 6 has no part in it") || string(a.Evidence) != string(k.Entries[0]) {
		b.Fatalf("%+v", a)
	}
	b.retries(0, hq.Retried{Tried: 2})
	// What was set aside has given nothing back: the customer's own refund has the whole sale.
	k.Append(away(17, Refund(op, &s, "r2", 240_000, 1, 60)))
	if r := b.Posts(k.All()); r.Counts != [4]int{hq.Posted: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 100)
	b.Holds(6, 5)
}

// testRefundOfAnother: a refund names the operation that closed its sale. Where the station had forgotten the sale and the
// register told it again, that is another operation of the same sale.
func testRefundOfAnother(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	back := j.Clone()
	s := j.Sale(5, "", 0, 40)
	j.Append(s)
	other := j.Sale(5, "", 0, 40)
	j.Append(Refund(j.Append(other), &s, "r1", 120_000, 20, 0))
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.Posted: 2, hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Raised(hq.RefundAlarm)
	b.Holds(5, 80)
	back.Boot[1]++
	back.Begin(2)
	b.Greets(back, good)
	again := back.Append(s)
	back.Append(Refund(again, &s, "r2", 120_000, 20, 0))
	if r := b.Posts(back.Batch(1, 1)); r.Counts != [4]int{hq.Repeated: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Reopen()
	if r := b.Posts(back.All()); r.Counts != [4]int{hq.Posted: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 60)
}

// testRefundTakes: all refunds together take back what the sale earned and counted, but for what stations round, and
// nothing of a sale that earned nothing.
func testRefundTakes(b *Bench) {
	b.Bring(Account(5, 100))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	none := j.Sale(5, "", 0, 0)
	op := j.Append(none)
	r1 := away(17, Refund(op, &none, "r1", 120_000, 0, 0))
	r1.Clawed = []loyalty.Lot{{Amount: 1}}
	k.Append(r1)
	tally := loyalty.Tally{Counter: "tier", From: Start - Day, Until: Start + Day, Amount: 7}
	s := j.Sale(5, "", 0, 3)
	s.Counted = []loyalty.Tally{tally}
	op = j.Append(s)
	k.Append(away(17, Refund(op, &s, "r1", 120_000, 2, 0))) // a half of three, rounded up
	k.Append(away(17, Refund(op, &s, "r2", 1, 4, 0)))
	j.Append(Refund(op, &s, "r1", 110_000, 2, 0)) // and once more, at a station that knows nothing of the first
	for i, t := range []loyalty.Tally{{Counter: "tier", From: tally.From, Until: tally.Until, Amount: 10}, {Counter: "other", From: tally.From, Until: tally.Until, Amount: 1}, {Counter: "tier", From: tally.From, Until: tally.Until, Amount: 7}} {
		r := Refund(op, &s, loyalty.RefundID(fmt.Sprint("t", i)), 10, 0, 0)
		r.Uncounted = []loyalty.Tally{t}
		j.Append(r)
	}
	r := b.Posts(j.All(), k.All())
	if r.Counts != [4]int{hq.Posted: 5, hq.SetAside: 4} {
		b.Fatalf("%v", r.Counts)
	}
	for i, want := range [][]string{{"counter tier counted 7", "counter other counted nothing"}, {"0 points were earned", "points were earned, of which"}} {
		for n, e := range r.Receipts[i].SetAside {
			if !strings.Contains(e.Reason, want[n]) {
				b.Errorf("%q, want %q", e.Reason, want[n])
			}
		}
	}
	b.Holds(5, 100+3-2-2)
	b.retries(0, hq.Retried{Tried: 4})
	b.Holds(5, 99)
}

// inSteps publishes a programme of whole points and is a sale by it, and what writes under it.
func inSteps(b *Bench, j *Journal, earned loyalty.Points) (s loyalty.SaleClosed, op loyalty.OpID, priced func(*Journal, loyalty.Body) loyalty.OpID) {
	whole := bytes.Replace(Programme(1), []byte(`step: "0.01"`), []byte(`step: "1"`), 1)
	_, err := b.Publish(context.Background(), whole)
	b.ok(err)
	b.Bring(Account(5, 1000))
	b.Greets(j, good)
	priced = func(j *Journal, body loyalty.Body) loyalty.OpID {
		e := &loyalty.Entry{At: j.At, Op: j.Op(), Programme: 1, Body: body}
		j.AppendEntry(e)
		return e.Op
	}
	s = j.Sale(5, "", 0, earned)
	s.Earned, s.LineEarned = []loyalty.Lot{{Amount: earned}}, []loyalty.Points{earned}
	return s, priced(j, s), priced
}

// testRefundsInSteps: where points are whole, stations round what they take up to whole ones, and two or three that do not
// know of each other may take one more for each further one than there was, and no more than that.
func testRefundsInSteps(b *Bench) {
	j, k, l := NewJournal(b, 17), NewJournal(b, 18), NewJournal(b, 19)
	s, op, priced := inSteps(b, j, 300)
	b.Greets(k, good)
	b.Greets(l, good)
	priced(j, Refund(op, &s, "r1", 120_000, 200, 0)) // a half of three, rounded up
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.Posted: 2} {
		b.Fatalf("%v", r.Counts)
	}
	priced(k, away(17, Refund(op, &s, "r1", 110_000, 200, 0)))
	priced(k, away(17, Refund(op, &s, "r2", 1, 100, 0))) // within what one station may take, and not all together
	r := b.Posts(k.All())
	if r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 1} || !strings.Contains(r.Receipts[0].SetAside[0].Reason, "taken back before by 2 stations") {
		b.Fatalf("%v, %+v", r.Counts, r.Receipts)
	}
	b.Raised(hq.RefundAlarm)
	b.Holds(5, 1000+300-200-200)
	priced(l, away(17, Refund(op, &s, "r1", 5_000, 200, 0))) // beyond what three may
	priced(l, away(17, Refund(op, &s, "r2", 5_000, 100, 0)))
	priced(j, Refund(op, &s, "r2", 1, 1, 0)) // there is none left for anybody
	if r := b.Posts(l.All(), j.All()); r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 2} {
		b.Fatalf("%v, %+v", r.Counts, r.Receipts)
	}
	b.Holds(5, 1000+300-200-200-100)
	b.retries(0, hq.Retried{Tried: 3})
	b.Holds(5, 800)
}

// testRefundsInPieces: one station takes back what the sale earned and not a point more, into however many refunds it cuts
// it, in however many groups they come, and in another life of its journal as well.
func testRefundsInPieces(b *Bench) {
	j := NewJournal(b, 17)
	s, op, priced := inSteps(b, j, 100)
	for i := range 100 {
		priced(j, Refund(op, &s, loyalty.RefundID(fmt.Sprint("r", i)), 1, 100, 0))
	}
	if r := b.Posts(j.Batch(1, 51)); r.Counts != [4]int{hq.Posted: 2, hq.SetAside: 49} || !strings.Contains(r.Receipts[0].SetAside[0].Reason, "taken back before by this station") {
		b.Fatalf("%v, %+v", r.Counts, r.Receipts)
	}
	b.Reopen()
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.SetAside: 50} {
		b.Fatalf("%v", r.Counts)
	}
	if a := b.alarmOf(17, hq.RefundAlarm); a.Count != 99 {
		b.Fatalf("%+v", a)
	}
	b.Raised(hq.RefundAlarm)
	b.Holds(5, 1000)
	j.Boot[1]++
	j.Begin(2)
	b.Greets(j, good)
	priced(j, Refund(op, &s, "again", 1, 1, 0))
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 1000)
}

// testRefundsWithoutEnd: of a sale with more refunds than are added up nothing is refunded any more, and no station is told a
// part of them.
func testRefundsWithoutEnd(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	s := j.Sale(5, "", 0, 40)
	op := j.Append(s)
	for i := range 8*loyalty.MaxRefunds + 1 {
		j.Append(Refund(op, &s, loyalty.RefundID(fmt.Sprint(i)), 1, 0, 0))
	}
	all := len(j.Entries)
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.Posted: all} {
		b.Fatalf("%v", r.Counts)
	}
	j.Append(Refund(op, &s, "more", 1, 0, 0))
	if r := b.Posts(j.Batch(all+1, all+1)); r.Counts != [4]int{hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	if a := b.Asks(j, &hq.Ask{Sale: &hq.AskSale{Station: 17, Sale: s.Sale}}).Answer; a.Refusal != string(loyalty.RefundMore) {
		b.Fatalf("%v", a)
	}
	b.Raised(hq.RefundAlarm)
}
