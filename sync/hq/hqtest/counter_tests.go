package hqtest

import (
	"context"
	"slices"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// away is the refund of another station's sale.
func away(at loyalty.StationID, r loyalty.SaleRefunded) loyalty.SaleRefunded {
	r.Station = at
	return r
}

// testRefundsTogether: two stations that did not know of each other give back more than there was. The second is not
// posted, also when it is tried again; what is left after the first is.
func testRefundsTogether(b *Bench) {
	b.Bring(Account(5, 100))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	b.Grants(j, 5, 60)
	s := j.Sale(5, "", 60, 40)
	op := j.Append(s)
	j.Append(Refund(op, &s, "r1", 200_000, 30, 50))
	k.Append(away(17, Refund(op, &s, "r2", 40_001, 1, 0))) // the line has 40,000 left
	k.Append(away(17, Refund(op, &s, "r3", 20_000, 5, 11)))
	k.Append(away(17, Refund(op, &s, "r4", 20_000, 5, 5)))
	r := b.Posts(j.All(), k.All())
	if r.Counts != [4]int{hq.Posted: 3, hq.SetAside: 2} {
		b.Fatalf("%v", r.Counts)
	}
	for _, e := range r.Receipts[1].SetAside {
		if !strings.HasPrefix(e.Reason, string(loyalty.RefundMore)) {
			b.Errorf("%s", e.Reason)
		}
	}
	b.Raised(hq.RefundAlarm)
	b.Holds(5, 100-60+40-30+50-5+5)
	b.Reopen()
	b.retries(0, hq.Retried{Tried: 2})
	k.Append(away(17, Refund(op, &s, "r5", 20_000, 5, 5)))
	k.Append(away(17, Refund(op, &s, "r6", 1, 0, 0)))
	if r := b.Posts(k.All()); r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 100)
	b.Raised(hq.RefundAlarm)
}

// testRefundsOfOneName: registers of two stations give refunds of one sale the same name. They are two refunds, and together
// within the sale; a station that forgot its own and tells it again has made one.
func testRefundsOfOneName(b *Bench) {
	const id = "2026-11-22.3"
	b.Bring(Account(5, 100))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	b.Grants(j, 5, 60)
	s := j.Sale(5, "", 60, 40)
	op := j.Append(s)
	b.Posts(j.All())
	back := k.Clone()
	k.Append(away(17, Refund(op, &s, id, 120_000, 20, 30)))
	j.Append(Refund(op, &s, id, 80_000, 14, 20))
	if r := b.Posts(k.All(), j.All()); r.Counts != [4]int{hq.Posted: 2} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 100-60+40-20+30-14+20)
	b.Raised()
	b.Reopen()
	back.Begin(2)
	back.Boot[1]++
	b.Greets(back, good)
	back.Append(away(17, Refund(op, &s, id, 120_000, 20, 30)))
	back.Append(away(17, Refund(op, &s, "2026-11-22.4", 40_001, 6, 10))) // more than both have left
	back.Append(away(17, Refund(op, &s, "2026-11-22.5", 40_000, 6, 10)))
	if r := b.Posts(back.All()); r.Counts != [4]int{hq.Posted: 1, hq.Repeated: 1, hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 100)
	b.Raised(hq.RefundAlarm)
	j.Append(Refund(op, &s, id, 80_000, 14, 19)) // its own, otherwise
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Raised(hq.RefundAlarm, hq.TwiceAlarm)
	a := b.Asks(k, &hq.Ask{Sale: &hq.AskSale{Station: 17, Sale: s.Sale}}).Answer
	x, err := wire.ToSaleElsewhere(a.Sale)
	b.ok(err)
	var made []loyalty.StationID
	for _, r := range x.Refunds {
		made = append(made, r.Station)
	}
	if !slices.Equal(made, []loyalty.StationID{18, 17, 18}) {
		b.Fatalf("refunds by %v", made)
	}
}

// testRefundAway: the sale's account gets it, whoever gives it back, also if the sale names a card alone; and a station
// that forgot it and tells it again changes nothing.
func testRefundAway(b *Bench) {
	b.Bring(Account(5, 0))
	_, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	s := j.Sale(0, "7005110000000011", 0, 40)
	op := j.Append(s)
	k.Append(Refund(op, &s, "r0", 100, 1, 0)) // of its own sale of that name, which it does not have
	k.Append(away(17, Refund(op, &s, "r1", 120_000, 20, 0)))
	if r := b.Posts(j.All(), k.All()); r.Counts != [4]int{hq.Posted: 2, hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 20)
	back := k.Clone()
	back.Begin(2)
	back.Boot[1]++
	b.Greets(back, good)
	back.Append(away(17, Refund(op, &s, "r1", 120_000, 20, 0)))
	if r := b.Posts(back.All()); r.Counts != [4]int{hq.Repeated: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(5, 20)
	b.Raised()
}

// testRefundBeforeSale: after an older copy was put back, the station that gave the money back is heard before the one that
// sold.
func testRefundBeforeSale(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	b.ok(b.Saw(ctx, []hq.Sighting{{Station: 17, Session: 1, Online: true, At: Start}, {Station: 18, Session: 1, Online: true, At: Start}}))
	b.ok(b.Distrust(ctx))
	s := j.Sale(5, "", 0, 40)
	op := j.Append(s)
	k.Append(away(17, Refund(op, &s, "r1", 120_000, 20, 0)))
	other := j.Sale(5, "", 0, 8)
	op = j.Append(other)
	k.Append(away(17, Refund(op, &other, "r1", 60_000, 2, 0)))
	if r := b.Posts(k.Batch(1, 1)); r.Counts != [4]int{hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Posts(j.Batch(1, 1))
	b.Holds(5, 20)
	b.Posts(k.All(), j.All()) // in one group, in the same order
	b.Holds(5, 26)
	last := j.Sale(5, "", 0, 8)
	op = j.Append(last)
	k.Append(away(17, Refund(op, &last, "r1", 60_000, 4, 0)))
	b.Posts(k.All())
	b.ok(b.Store.Update(ctx, func(tx hq.Tx) error {
		_, err := hq.Post(tx, []*hq.Batch{j.All()}, &hq.Programmes{}, b.Now())
		return err
	}))
	b.Holds(5, 34)
	if n, err := b.CatchUp(ctx, b.Store); err != nil || n != 1 {
		b.Fatalf("%d %v", n, err)
	}
	b.Holds(5, 30)
}

// testAskSale: a station that refunds another one's sale is told all that was given back of it.
func testAskSale(b *Bench) {
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	g := b.Greets(k, good)
	s := j.Sale(5, "", 0, 40)
	op := j.Append(s)
	void := j.Sale(5, "", 0, 40)
	j.Append(loyalty.SaleOpened{Sale: void.Sale, Account: 5, Receipt: Receipt()})
	j.Append(loyalty.SaleVoided{Sale: void.Sale, Account: 5, Reason: "changed their mind"})
	j.Append(Refund(op, &s, "r1", 120_000, 20, 0))
	b.Posts(j.All())
	k.Append(away(17, Refund(op, &s, "r2", 60_000, 10, 0)))
	k.Append(away(17, Refund(op, &s, "r3", 90_000, 10, 0))) // too much
	b.Posts(k.All())
	ask := func(station loyalty.StationID, sale loyalty.SaleID) *pb.Answer {
		return b.Asks(k, &hq.Ask{Sale: &hq.AskSale{Station: station, Sale: sale}}).Answer
	}
	for i, c := range []struct {
		station loyalty.StationID
		sale    loyalty.SaleID
		want    loyalty.Refusal
	}{{18, s.Sale, loyalty.UnknownSale}, {17, "nobody's", loyalty.UnknownSale}, {17, void.Sale, loyalty.SaleNotClosed}} {
		if a := ask(c.station, c.sale); a.Refusal != string(c.want) || a.Sale != nil {
			b.Errorf("question %d: %v, want %s", i, a, c.want)
		}
	}
	a := ask(17, s.Sale)
	x, err := wire.ToSaleElsewhere(a.Sale)
	b.ok(err)
	if body := x.Closed.Body.(loyalty.SaleClosed); x.Station != 17 || body.Sale != s.Sale || len(x.Refunds) != 2 || x.Refunds[0].Station != 17 || x.Refunds[1].Station != 18 || x.Refunds[1].Seq != 1 {
		b.Fatalf("%+v", x)
	}
	if a.Snapshot.GetAccount().GetId() != 5 {
		b.Fatalf("the balance is not told: %v", a)
	}
	_, _ = b.Drain(18, g.Stream)
	b.Raised(hq.RefundAlarm)
}

// testAskHistory: all pages together are the account's operations, newest first, however small the pages are.
func testAskHistory(b *Bench) {
	b.Bring(Account(5, 0), Account(6, 0))
	_, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	var want []loyalty.SaleID
	for i := range 30 {
		at, id := []*Journal{j, k}[i%2], loyalty.AccountID(5+i%3/2)
		s := at.Sale(id, "", 0, loyalty.Points(i+1))
		at.Append(s)
		if id == 5 {
			want = append(want, s.Sale)
		}
		if i%5 == 0 {
			at.Append(loyalty.CellReturned{Account: 5})
		}
		b.Posts(at.All())
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 3, 200} {
		var got []loyalty.SaleID
		for before := uint64(0); ; {
			a := b.Asks(k, &hq.Ask{Card: "7005110000000011", History: &hq.AskHistory{Limit: limit, Before: before}}).Answer
			_, err := wire.Encode(a)
			b.ok(err)
			ops, err := wire.ToOperations(a.History)
			b.ok(err)
			if len(ops) > limit {
				b.Fatalf("%d operations of at most %d", len(ops), limit)
			}
			for _, o := range ops {
				got = append(got, o.Sale)
			}
			if before = a.History.Next; before == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			b.Fatalf("pages of %d: %v, want %v", limit, got, want)
		}
	}
	a := b.Asks(k, &hq.Ask{Account: 5, History: &hq.AskHistory{Limit: 10, From: Start + 5*Day}}).Answer
	if len(a.History.Operations) != 0 || a.History.Next != 0 {
		b.Fatalf("%v", a.History)
	}
	a = b.Asks(k, &hq.Ask{Account: 5, History: &hq.AskHistory{Limit: 200, Until: Start + 3}}).Answer
	if n := len(a.History.Operations); n == 0 || n >= len(want) {
		b.Fatalf("%d operations before a moment, of %d", n, len(want))
	}
	if a := b.Asks(k, &hq.Ask{Card: "7005999999999999", History: &hq.AskHistory{Limit: 5}}).Answer; a.Refusal != string(loyalty.UnknownCard) {
		b.Fatalf("%v", a)
	}
}

// testAlerts: what a station wants looked at is listed in the order of the stream, once.
func testAlerts(b *Bench) {
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Append(loyalty.Alerted{Rule: "same-card", Account: 5, Count: 5, AtMost: 4})
	j.Sell(5, 0, 1)
	j.Append(loyalty.ShiftClosed{OpenedAt: Start})
	j.Append(loyalty.ShiftClosed{OpenedAt: Start, Differs: true})
	j.Append(loyalty.Alerted{Rule: loyalty.AlertStaffCard, Card: "7005999999999999", Count: 1})
	r := b.Posts(j.All())
	if !slices.Equal(r.Alerts, []string{"same-card", loyalty.AlertStaffCard}) || r.Counts[hq.SetAside] != 0 {
		b.Fatalf("%+v", r)
	}
	j.Replant(2, 0)
	b.Greets(j, good)
	b.Posts(j.All())
	b.Reopen()
	var got []uint64
	for after := uint64(0); ; {
		lines, err := b.Store.AlertLines(context.Background(), after, 2)
		b.ok(err)
		if len(lines) == 0 {
			break
		}
		for _, l := range lines {
			got, after = append(got, l.Pos), l.Pos
		}
	}
	if !slices.Equal(got, []uint64{1, 4, 5}) {
		b.Fatalf("alerts at %v", got)
	}
	b.Holds(5, 1)
}

// testRecheck: what no station may have priced is told, and posted as it is; what an account explains is only counted.
func testRecheck(b *Bench) {
	b.Bring(Account(5, 100_000))
	for v := range uint32(2) {
		_, err := b.Publish(context.Background(), Programme(v+1))
		b.ok(err)
	}
	j := NewJournal(b, 17)
	b.Greets(j, good)
	p, err := loyalty.ParseProgramme(Programme(1))
	b.ok(err)
	sell := func(version uint32, change func(*loyalty.SaleClosed)) *hq.Result {
		b.Helper()
		s := j.Sale(5, "", 0, 0)
		q, err := p.Price(loyalty.Case{Receipt: &s.Receipt, At: j.At, Station: 17, Account: &loyalty.Account{ID: 5}})
		b.ok(err)
		s.Earned, s.Counted, s.LineEarned = q.Lots, q.Counted, q.LineEarn
		change(&s)
		j.AppendEntry(&loyalty.Entry{At: j.At, Op: j.Op(), Programme: version, Body: s})
		return b.Posts(j.All())
	}
	if r := sell(1, func(*loyalty.SaleClosed) {}); r.Standing != 0 || len(r.Alarms) != 0 || r.Counts[hq.Posted] != 1 {
		b.Fatalf("%+v", r)
	}
	if r := sell(9, func(*loyalty.SaleClosed) {}); r.Standing != 1 || len(r.Alarms) != 0 {
		b.Fatalf("a programme that was not published: %+v", r)
	}
	b.Raised()
	was := b.Record(5).Account.Total(b.Now())
	r := sell(2, func(s *loyalty.SaleClosed) {
		s.Earned[0].Amount += 100
		s.LineEarned[0] += 100
	})
	if len(r.Alarms) != 1 || r.Alarms[0].Kind != hq.PriceAlarm || r.Counts[hq.Posted] != 1 {
		b.Fatalf("%+v", r)
	}
	if got := b.Record(5).Account.Total(b.Now()); got <= was {
		b.Fatalf("it was not posted: %s", got)
	}
	b.Raised(hq.PriceAlarm)
}
