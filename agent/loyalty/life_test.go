package loyalty_test

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// life is a customer's years at one station: receipts paid in every way, refunds of parts of them whenever it pleases, points
// that expire and levels that change in between. What the station writes headquarters recomputes and posts.
type life struct {
	books   *loyalty.Books
	hq      loyalty.Record
	first   loyalty.Account
	at      loyalty.Instant
	journal []*loyalty.Entry
	sales   []*loyalty.Sale
	taken   map[loyalty.SaleID]*given // what refunds of a sale have come to
}

type given struct {
	clawed, returned loyalty.Points
	money            loyalty.Kopecks
}

func newLife(t *rapid.T, tb testing.TB) *life {
	b := books(tb)
	p := drawRich(t, false)
	p.Version = 7
	p.PointValue = loyalty.Kopecks(rapid.SampledFrom([]int64{100, 300}).Draw(t, "value"))
	p.LifeMonths = rapid.IntRange(0, 3).Draw(t, "months")
	p.Activation = time.Duration(rapid.IntRange(0, 14).Draw(t, "days")) * 24 * time.Hour
	p.NoEarnBy = rapid.SampledFrom([][]loyalty.Tender{nil, {loyalty.FuelCard}}).Draw(t, "never earn by")
	p.Campaigns = append(p.Campaigns, loyalty.Campaign{
		Name: "code", From: 1, Until: noon(12, 31), Activation: -1, Points: 700, Promo: &loyalty.Promo{Codes: []string{"HELLO", "HULLO"}},
	})
	b.Programme = p
	b.Cell.Issued = loyalty.MaxAmount
	first := b.Local.Snapshot.Account.Clone()
	return &life{
		books: b, hq: loyalty.Record{Account: first.Clone(), Cells: map[loyalty.CellKey]loyalty.Rights{here: {Issued: loyalty.MaxAmount}}},
		first: first, at: noon(1, 10), taken: map[loyalty.SaleID]*given{},
	}
}

func (l *life) place() loyalty.Place {
	n := len(l.journal) + 1
	return loyalty.Place{Epoch: 1, Seq: loyalty.Seq(n), Op: loyalty.NewOpID(l.at, [10]byte{byte(n >> 8), byte(n)}), At: l.at}
}

// write keeps an entry at the station and posts it at headquarters.
func (l *life) write(t *rapid.T, at loyalty.Place, body loyalty.Body) {
	e := &loyalty.Entry{At: at.At, Op: at.Op, Programme: 7, Body: body}
	l.journal = append(l.journal, e)
	if f := loyalty.Recheck(l.books.Programme, l.books.Station, &l.books.Card, &l.hq.Account, e); f.Verdict != loyalty.VerdictSame {
		t.Fatalf("headquarters finds entry %d %s: %s", at.Seq, f.Verdict, f)
	}
	if over, err := l.hq.Post(here, at.Seq, e); err != nil || over != 0 {
		t.Fatalf("headquarters: %s over, %v", over, err)
	}
}

func (l *life) sell(t *rapid.T) {
	r := drawReceipt(t, 30_000)
	r.Tender = rapid.SampledFrom([]loyalty.Tender{loyalty.Cash, loyalty.Cashless, loyalty.FuelCard}).Draw(t, "tender")
	r.Promo = rapid.SampledFrom([][]string{nil, {"hello"}, {"hullo", "HELLO"}}).Draw(t, "promo")
	q, err := l.books.Quote(&r, 0, l.at)
	if err != nil {
		t.Fatal(err)
	}
	redeem := loyalty.Points(rapid.Int64Range(0, int64(q.MaxRedeem)).Draw(t, "redeem"))
	if rapid.Bool().Draw(t, "several pay") {
		drawPayments(t, &r, r.Total()-loyalty.Kopecks(redeem)*l.books.Programme.PointValue/100)
	}
	at := l.place()
	l.books.Sale = nil
	s, body, err := l.books.Close(&loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprint("s", at.Seq)), Card: card, Receipt: r, Redeem: redeem}, at)
	if err != nil {
		t.Fatal(err)
	}
	l.sales = append(l.sales, s)
	l.taken[s.ID] = &given{}
	l.write(t, at, body)
}

func (l *life) refund(t *rapid.T) {
	if len(l.sales) == 0 {
		t.Skip("nothing has been sold")
	}
	s := rapid.SampledFrom(l.sales).Draw(t, "sale")
	left := make([]loyalty.RefundLine, len(s.Close.Receipt.Lines))
	for i, x := range s.Close.Receipt.Lines {
		left[i] = loyalty.RefundLine{Line: i + 1, Amount: x.Amount, Volume: x.Volume, Count: x.Count}
	}
	for _, f := range s.Refunds {
		for _, x := range f.Lines {
			y := &left[x.Line-1]
			y.Amount, y.Volume, y.Count = y.Amount-x.Amount, y.Volume-x.Volume, y.Count-x.Count
		}
	}
	at := l.place()
	l.books.Sale = s
	r := &loyalty.RefundRequest{Sale: s.ID, Refund: loyalty.RefundID(fmt.Sprint(at.Seq)), Lines: drawPart(t, left)}
	_, body, err := l.books.Refund(r, at)
	if err != nil {
		if code, _ := loyalty.RefusalOf(err); code != loyalty.RefundMore {
			t.Fatal(err)
		}
		return
	}
	f, g := s.Refund(r.Refund), l.taken[s.ID]
	if f.Clawed < 0 || f.Returned < 0 || f.Discount < 0 || f.Money() < 0 || f.Total < 0 || f.Avail < 0 || f.Debt < 0 {
		t.Fatalf("refund %+v", f)
	}
	g.clawed, g.returned, g.money = g.clawed+f.Clawed, g.returned+f.Returned, g.money+f.Money()
	if q := &s.Quote; g.clawed > q.Earn || g.returned > q.Redeem || g.money > q.Pay || f.All && *g != (given{q.Earn, q.Redeem, q.Pay}) {
		t.Fatalf("of a sale that earned %s for %s points and %s roubles refunds have come to %+v, all %v", q.Earn, q.Redeem, q.Pay, *g, f.All)
	}
	if want := plainGiven(s); *g != want {
		t.Fatalf("refunds have come to %+v, want %+v", *g, want)
	}
	l.write(t, at, body)
}

// plainGiven is what all refunds of a sale come to, worked out line by line: money and points that paid go back rounded down,
// of the points that were earned the whole steps of what the lines together have left are kept, and when nothing is left exactly all of it.
func plainGiven(s *loyalty.Sale) (g given) {
	q := &s.Quote
	var discount int64
	left := new(big.Rat).SetInt64(int64(q.Earn))
	all := true
	for i, line := range s.Close.Receipt.Lines {
		var amount, rest int64
		for _, f := range s.Refunds {
			for _, x := range f.Lines {
				if x.Line == i+1 {
					amount, rest = amount+int64(x.Amount), rest+int64(x.Volume)+x.Count
				}
			}
		}
		part, of := amount, int64(line.Amount)
		if of == 0 {
			part, of = rest, int64(line.Volume)+line.Count
		}
		all = all && part == of
		back := int64(q.Lines[i])
		taken := new(big.Rat).SetInt64(int64(q.LineEarn[i]))
		if part != of {
			back, taken = back*part/of, big.NewRat(int64(q.LineEarn[i])*part, of)
		}
		left.Sub(left, taken)
		discount += back
		g.money += loyalty.Kopecks(amount - back)
	}
	kept := loyalty.Points(new(big.Int).Quo(left.Num(), left.Denom()).Int64())
	g.clawed = q.Earn - kept + kept%q.Step
	if g.returned = q.Redeem; !all && q.Discount > 0 {
		g.returned = loyalty.Points(int64(q.Redeem) * discount / int64(q.Discount))
	}
	return g
}

// check compares the station's account with headquarters', and both with the journal walked again.
func (l *life) check(t *rapid.T) {
	station := l.books.Local.Current()
	if err := station.Check(); err != nil {
		t.Fatal(err)
	}
	if station.Total(l.at) < 0 || station.Spendable(l.at) < 0 {
		t.Fatalf("the account holds %s, %s of it spendable", station.Total(l.at), station.Spendable(l.at))
	}
	if !sameAccounts(station, l.hq.Account) {
		t.Fatalf("the station has\n%+v, headquarters\n%+v", station, l.hq.Account)
	}
	again := loyalty.Record{Account: l.first.Clone(), Cells: map[loyalty.CellKey]loyalty.Rights{here: {Issued: loyalty.MaxAmount}}}
	for i, e := range l.journal {
		if _, err := again.Post(here, loyalty.Seq(i+1), e); err != nil {
			t.Fatal(err)
		}
	}
	if !sameAccounts(again.Account, l.hq.Account) || !reflect.DeepEqual(again.Cells, l.hq.Cells) {
		t.Fatalf("walked again the journal comes to\n%+v, headquarters has\n%+v", again.Account, l.hq.Account)
	}
}

func sameAccounts(a, b loyalty.Account) bool {
	return sameLots(a.Lots, b.Lots) && a.Owing == b.Owing && slices.Equal(a.Tallies, b.Tallies)
}

// However long it goes on: refunds of a sale, in parts and whenever they come, never bring more than the sale took, and all
// of it when all is refunded; nothing is below zero; and the station, headquarters and the journal walked again have the
// same lots, debt and counters, to the last hundredth.
func TestStationAndHeadquartersComeToTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := newLife(rt, t)
		for range rapid.IntRange(1, 8).Draw(rt, "operations") {
			if len(l.sales) == 0 || rapid.Bool().Draw(rt, "sell") {
				l.sell(rt)
			} else {
				l.refund(rt)
			}
			l.at = l.at.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 14 * 24, 40 * 24}).Draw(rt, "hours later")) * time.Hour)
		}
		l.check(rt)
	})
}
