package ledger

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

const other loyalty.StationID = 23

// soldThere is what headquarters has of a sale of another station: 20 litres for 1200 roubles, of which points paid 100.
func soldThere(id loyalty.SaleID, card int) *loyalty.SaleElsewhere {
	at := loyalty.At(wallStart.Add(-24 * time.Hour))
	return &loyalty.SaleElsewhere{Station: other, Closed: &loyalty.Entry{
		At: at, Op: loyalty.NewOpID(at, [10]byte{byte(card), 23}), Programme: 3, Cashier: "Олег", Body: loyalty.SaleClosed{
			Sale: id, OpenedAt: at, Account: loyalty.AccountID(card), Card: cardOf(card), Receipt: fuel(20), Redeemed: 100_00, Discount: 100_00,
			Earned: []loyalty.Lot{{Amount: 18_34}}, LineDiscounts: []loyalty.Kopecks{100_00}, LineEarned: []loyalty.Points{18_34},
		},
	}}
}

// refundThere asks for a refund of roubles of a sale of the other station; zero: of all that is left.
func refundThere(l *Ledger, sale loyalty.SaleID, id loyalty.RefundID, roubles loyalty.Kopecks, x *loyalty.SaleElsewhere) (*loyalty.Sale, error) {
	r := &loyalty.RefundRequest{Station: other, Sale: sale, Refund: id, Reason: "сдал обратно", Who: loyalty.Who{Cashier: "Вера"}}
	if roubles > 0 {
		r.Lines = []loyalty.RefundLine{{Line: 1, Amount: roubles * 100}}
	}
	return l.RefundSale(context.Background(), r, x)
}

func mustRefundThere(t testing.TB, l *Ledger, sale loyalty.SaleID, id loyalty.RefundID, roubles loyalty.Kopecks, x *loyalty.SaleElsewhere) *loyalty.Sale {
	t.Helper()
	s, err := refundThere(l, sale, id, roubles, x)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestARefundOfAnotherStationsSale(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	ctx := context.Background()
	know(t, l, 1, 900_00, 500_00)
	own := sellTest(t, l, "s", 1, 10) // of the same id
	before, x := total(t, l, 1), soldThere("s", 1)

	_, err := refundThere(l, "s", "r1", 300, nil)
	wantRefusal(t, err, loyalty.Offline)
	_, err = refundThere(l, "s", "r1", 300, &loyalty.SaleElsewhere{Station: other})
	wantRefusal(t, err, loyalty.SaleNotHere)
	_, err = refundThere(l, "s", "r1", 300, &loyalty.SaleElsewhere{Station: other + 1, Closed: x.Closed})
	wantRefusal(t, err, loyalty.BadRequest)

	s := mustRefundThere(t, l, "s", "r1", 300, x) // a quarter
	f := s.Refund("r1")
	if f.Returned != 25_00 || f.Clawed != 4_59 || f.Money() != 275_00 || f.Total != before+25_00-4_59 || s.Station != other || f.Station != 0 {
		t.Errorf("refund %+v of %+v", f, s)
	}
	all := entries(t, l)
	e := all[len(all)-1]
	if b := e.Body.(loyalty.SaleRefunded); b.Station != other || b.Closed != x.Closed.Op || b.Account != 1 || e.Programme != 3 || e.Cashier != "Вера" {
		t.Errorf("entry %+v", e)
	}
	if got, err := l.Sale("s"); err != nil || !reflect.DeepEqual(got, own) {
		t.Errorf("the own sale is %+v, was %+v, %v", got, own, err)
	}
	// Another station has given back a half meanwhile: a quarter is left.
	there := *e
	body := e.Body.(loyalty.SaleRefunded)
	body.Station, body.Refund, body.Lines = 0, "r9", []loyalty.RefundLine{{Line: 1, Amount: 600_00}}
	there.Op, there.Body = loyalty.NewOpID(e.At, [10]byte{99}), body
	x.Refunds = []loyalty.RefundElsewhere{{Station: station, Epoch: 1, Seq: f.Seq, Entry: e}, {Station: other, Epoch: 4, Seq: 9, Entry: &there}}
	_, err = refundThere(l, "s", "r2", 301, x)
	wantRefusal(t, err, loyalty.RefundMore)
	_, err = refundThere(l, "s", "r9", 600, x)
	wantRefusal(t, err, loyalty.RefundMore)    // of the other station's id, and not its refund
	s = mustRefundThere(t, l, "s", "r9", 0, x) // which may be used here as well
	if f := s.Refund("r9"); len(s.Refunds) != 3 || !f.All || f.Amount != 300_00 {
		t.Errorf("the rest %+v of %+v", f, s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	checkTest(t, cfg.Path)
	l = openTest(t, cfg)
	for _, known := range []*loyalty.SaleElsewhere{nil, x} { // what was answered once is answered again without headquarters
		if again := mustRefundThere(t, l, "s", "r1", 300, known); !reflect.DeepEqual(again, s) {
			t.Errorf("again\n%+v, was\n%+v", again, s)
		}
	}
	_, err = refundThere(l, "s", "r1", 0, nil)
	wantRefusal(t, err, loyalty.Conflict)
	if p, err := l.Position(ctx); err != nil || p.Last != loyalty.Seq(len(all))+2 { // the second refund, and the start
		t.Errorf("position %+v, %v", p, err)
	}
	if st, err := l.Status(); err != nil || st.Sales != 1 {
		t.Errorf("status %+v, %v", st, err)
	}
}

// What other stations have given back of an own sale is not given back again.
func TestAnOwnSaleRefundedElsewhere(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	sellTest(t, l, "s", 1, 20)
	all := entries(t, l)
	closed := all[len(all)-1]
	body := loyalty.SaleRefunded{Station: station, Sale: "s", Closed: closed.Op, Refund: "r1", Account: 1, Lines: []loyalty.RefundLine{{Line: 1, Amount: 900_00}}}
	x := &loyalty.SaleElsewhere{Station: station, Closed: closed, Refunds: []loyalty.RefundElsewhere{{
		Station: other, Epoch: 2, Seq: 5, Entry: &loyalty.Entry{At: closed.At, Op: loyalty.OpID{9}, Body: body},
	}}}
	ask := func(id loyalty.RefundID, roubles loyalty.Kopecks, x *loyalty.SaleElsewhere) (*loyalty.Sale, error) {
		r := &loyalty.RefundRequest{Sale: "s", Refund: id}
		if roubles > 0 {
			r.Lines = []loyalty.RefundLine{{Line: 1, Amount: roubles * 100}}
		}
		return l.RefundSale(context.Background(), r, x)
	}
	_, err := ask("r1", 400, x) // of the other station's id
	wantRefusal(t, err, loyalty.RefundMore)
	if s, err := l.Sale("s"); err != nil || len(s.Refunds) != 0 {
		t.Errorf("a refusal has changed the sale: %+v, %v", s, err)
	}
	s, err := ask("r1", 100, x)
	if err != nil || len(s.Refunds) != 2 || s.Refund("r1").Amount != 100_00 {
		t.Fatalf("sale %+v, %v", s, err)
	}
	_, err = ask("r3", 300, nil) // what was heard once is kept
	wantRefusal(t, err, loyalty.RefundMore)
	if s, err = ask("r3", 0, nil); err != nil || s.Refund("r3").Amount != 200_00 || !s.Refund("r3").All {
		t.Errorf("the rest %+v, %v", s, err)
	}
	if err := l.NewEpoch(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	moved, err := l.Sale("s")
	if err != nil || moved.Refunds[0].Epoch != 2 || moved.Refunds[0].Seq != 5 || moved.Refunds[0].Station != other || moved.Refunds[1].Epoch != 2 {
		t.Errorf("refunds %+v, %v", moved.Refunds, err)
	}
	checkTest(t, cfg.Path)
}

// An own sale that is not kept any more is refunded by what headquarters has of it, once.
func TestAForgottenOwnSaleIsRefunded(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	x := soldThere("long ago", 1)
	x.Station = station
	r := &loyalty.RefundRequest{Sale: "long ago", Refund: "r1"}
	_, err := l.RefundSale(context.Background(), r, nil)
	wantRefusal(t, err, loyalty.SaleNotHere)
	s, err := l.RefundSale(context.Background(), r, x)
	if err != nil || s.Refund("r1").Returned != 100_00 {
		t.Fatalf("sale %+v, %v", s, err)
	}
	r.Station = station // the same sale
	again, err := l.RefundSale(context.Background(), r, nil)
	if err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("again %+v, %v", again, err)
	}
	checkTest(t, cfg.Path)
}

// The account has never come here: the refund is only an entry, and headquarters' later word of the account does not lose it.
func TestARefundForAnAccountFromElsewhere(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	x := soldThere("s", 5)
	f := mustRefundThere(t, l, "s", "r1", 0, x).Refund("r1")
	if f.Returned != 100_00 || f.Total != 0 || f.Avail != 0 || f.Debt != 0 {
		t.Errorf("refund %+v", f)
	}
	checkTest(t, cfg.Path)
	know(t, l, 5, 50_00, 0) // of before the refund has come to headquarters
	if got := total(t, l, 5); got != 50_00+100_00-18_34 {
		t.Errorf("the account has %s", got)
	}
	checkTest(t, cfg.Path)
	if err := l.NewEpoch(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	if got := total(t, l, 5); got != 50_00+100_00-18_34 {
		t.Errorf("in the new epoch the account has %s", got)
	}
	again := mustRefundThere(t, l, "s", "r1", 0, nil)
	if p, err := l.Position(context.Background()); err != nil || again.Refund("r1").Epoch != p.Epoch || again.Refund("r1").Seq != p.Last {
		t.Errorf("the refund stands at %+v, the journal at %+v, %v", again.Refund("r1"), p, err)
	}
}

// The record of a sale elsewhere goes with its last refund made here.
func TestTrimForgetsSalesElsewhere(t *testing.T) {
	cfg := testConfig(t)
	cfg.Retain = 24 * time.Hour
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	x := soldThere("s", 1)
	mustRefundThere(t, l, "s", "r1", 100, x)
	at, _ := l.Now()
	l.HQTime(at.Add(72 * time.Hour))
	mustRefundThere(t, l, "s", "r2", 100, x)
	ack(t, l, 0)
	if _, err := l.Trim(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustRefundThere(t, l, "s", "r1", 100, nil)
	checkTest(t, cfg.Path)
	l.HQTime(at.Add(200 * time.Hour))
	sellTest(t, l, "more", 1, 1)
	ack(t, l, 0)
	if _, err := l.Trim(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, err := refundThere(l, "s", "r1", 100, nil)
	wantRefusal(t, err, loyalty.Offline)
	checkTest(t, cfg.Path)
}

// A lost record comes back from the journal with its refunds, and from headquarters with what was sold.
func TestRebuildOfSalesElsewhere(t *testing.T) {
	cfg := testConfig(t)
	l, err := openTuned(cfg)
	if err == nil {
		err = l.LoadProgramme(context.Background(), []byte(testProgramme))
	}
	if err != nil {
		t.Fatal(err)
	}
	know(t, l, 1, 900_00, 500_00)
	x := soldThere("s", 1)
	mustRefundThere(t, l, "s", "r1", 300, x)
	kept := mustRefundThere(t, l, "s", "r2", 0, x)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, key := saleKey{other, "s"}.record()
	breakRecord(t, cfg, bucketAway, key)
	l = openTest(t, cfg)
	if st, err := l.Status(); err != nil || st.Position.Epoch != 2 {
		t.Fatalf("status %+v, %v", st, err)
	}
	checkTest(t, cfg.Path)
	_, err = refundThere(l, "s", "r1", 300, nil)
	wantRefusal(t, err, loyalty.Offline) // what was sold is not known here any more
	for _, id := range []loyalty.RefundID{"r1", "r2"} {
		roubles := loyalty.Kopecks(300)
		if id == "r2" {
			roubles = 0
		}
		s := mustRefundThere(t, l, "s", id, roubles, x)
		if got, want := s.Refund(id), kept.Refund(id); got.Op != want.Op || got.Clawed != want.Clawed || got.Returned != want.Returned || got.All != want.All {
			t.Errorf("refund %+v, was %+v", got, want)
		}
	}
	_, err = refundThere(l, "s", "r3", 1, x)
	wantRefusal(t, err, loyalty.RefundMore)
}

func TestTheCheckFindsSalesElsewhereThatDiffer(t *testing.T) {
	for name, change := range map[string]func(*txn, sale) error{
		"the record is missing": func(t *txn, _ sale) error {
			bucket, key := saleKey{other, "s"}.record()
			return t.delete(bucket, key)
		},
		"a refund that no entry makes": func(t *txn, s sale) error { s.Refunds[0].Seq++; return t.putSale(s) },
		"a refund that is missing":     func(t *txn, s sale) error { s.Refunds = nil; return t.putSale(s) },
		"another station's":            func(t *txn, s sale) error { s.Refunds[0].Station = other; return t.putSale(s) },
		"a sale that is open":          func(t *txn, s sale) error { s.State = loyalty.SaleOpen; return t.putSale(s) },
		"under another number": func(t *txn, s sale) error {
			bucket, key := saleKey{other, "s"}.record()
			s.Station++
			return errors.Join(t.delete(bucket, key), t.putSale(s))
		},
		"under no number": func(t *txn, s sale) error {
			return t.put(bucketAway, []byte{0, 0, 0, 0, 's'}, seal(bucketAway, []byte{0, 0, 0, 0, 's'}, []byte{8, 2}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			l, err := openTuned(cfg)
			if err == nil {
				err = l.LoadProgramme(context.Background(), []byte(testProgramme))
			}
			if err != nil {
				t.Fatal(err)
			}
			mustRefundThere(t, l, "s", "r1", 300, soldThere("s", 1))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			checkTest(t, cfg.Path)
			tamper(t, cfg, func(t *txn) error {
				s, err := t.saleAt(saleKey{other, "s"})
				if err != nil {
					return err
				}
				return change(t, s)
			})
			if r, err := CheckFile(context.Background(), cfg.Path, nil); !errors.Is(err, ErrCorrupt) || len(r.Findings) == 0 {
				t.Errorf("nothing was found: %+v, %v", r, err)
			}
		})
	}
}
