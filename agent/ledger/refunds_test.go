package ledger

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	bolt "go.etcd.io/bbolt"
)

func refundTest(t testing.TB, l *Ledger, sale loyalty.SaleID, id loyalty.RefundID, roubles loyalty.Kopecks) *loyalty.Sale {
	t.Helper()
	r := &loyalty.RefundRequest{Sale: sale, Refund: id, Reason: "спорный налив", Who: loyalty.Who{Cashier: "Вера", Shift: 4}}
	if roubles > 0 {
		r.Lines = []loyalty.RefundLine{{Line: 1, Amount: roubles * 100}}
	}
	s, err := l.RefundSale(context.Background(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func total(t testing.TB, l *Ledger, card int) loyalty.Points {
	t.Helper()
	b, err := l.Lookup(cardOf(card))
	if err != nil {
		t.Fatal(err)
	}
	at, _ := l.Now()
	a := b.Local.Current()
	return a.Total(at)
}

func TestRefundIsKept(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	openSaleTest(t, l, "s", 1, 20, 100_00)
	closed := closeSaleTest(t, l, "s", 20, 100_00)
	cellBefore, err := l.Lookup(cardOf(1))
	if err != nil {
		t.Fatal(err)
	}
	s := refundTest(t, l, "s", "r1", 300) // a quarter
	f := s.Refund("r1")
	if f.Returned != 25_00 || f.Clawed != (closed.Quote.Earn+3)/4 || f.Money() != 275_00 || f.All {
		t.Errorf("refund %+v of %+v", f, closed.Quote)
	}
	all := entries(t, l)
	if e := all[len(all)-1]; e.Op != f.Op || e.Cashier != "Вера" || e.Shift != 4 || e.Programme != s.Quote.Programme || e.Body.(loyalty.SaleRefunded).Closed != s.OpEnd {
		t.Errorf("entry %+v", e)
	}
	refundTest(t, l, "s", "r2", 0)
	if got := total(t, l, 1); got != 900_00 {
		t.Errorf("after a refund of all the account has %s", got)
	}
	after, err := l.Lookup(cardOf(1))
	if err != nil || after.Cell != cellBefore.Cell || after.Reserved != 0 {
		t.Errorf("the cell was %+v and is %+v, %v", cellBefore.Cell, after.Cell, err)
	}
	kept, err := l.Sale("s")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	checkTest(t, cfg.Path)
	l = openTest(t, cfg)
	if again := refundTest(t, l, "s", "r1", 300); !reflect.DeepEqual(again, kept) {
		t.Errorf("after a restart\n%+v, was\n%+v", again, kept)
	}
	_, err = l.RefundSale(context.Background(), &loyalty.RefundRequest{Sale: "s", Refund: "r1"}, nil)
	wantRefusal(t, err, loyalty.Conflict)
	_, err = l.RefundSale(context.Background(), &loyalty.RefundRequest{Sale: "another", Refund: "r1"}, nil)
	wantRefusal(t, err, loyalty.SaleNotHere)
	if st, err := l.Status(); err != nil || st.OpenSales != 0 || st.Sales != 1 {
		t.Errorf("status %+v, %v", st, err)
	}
}

func TestRefundInANewEpoch(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	sellTest(t, l, "s", 1, 20)
	ack(t, l, 0)
	refundTest(t, l, "s", "r1", 300)
	sellTest(t, l, "t", 1, 10)
	refundTest(t, l, "t", "r1", 0)
	want := total(t, l, 1)
	if err := l.NewEpoch(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	if got := total(t, l, 1); got != want {
		t.Errorf("the account has %s, had %s", got, want)
	}
	p, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []loyalty.SaleID{"s", "t"} {
		s, err := l.Sale(id)
		if err != nil || s.Refund("r1").Epoch != p.Epoch || s.Refund("r1").Seq == 0 || s.Refund("r1").Seq > p.Last {
			t.Errorf("sale %s: %+v, %v", id, s.Refund("r1"), err)
		}
	}
	refundTest(t, l, "s", "r2", 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	checkTest(t, cfg.Path)
}

// A sale stays as long as its last refund, so that the refund can be asked for again.
func TestARefundKeepsItsSale(t *testing.T) {
	cfg := testConfig(t)
	cfg.Retain = 24 * time.Hour
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	sellTest(t, l, "s", 1, 20)
	sellTest(t, l, "t", 1, 20)
	at, _ := l.Now()
	l.HQTime(at.Add(72 * time.Hour))
	refundTest(t, l, "s", "r1", 0)
	sellTest(t, l, "last", 1, 1)
	ack(t, l, 0)
	if n, err := l.Trim(context.Background()); err != nil || n != 3 {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	refundTest(t, l, "s", "r1", 0)
	_, err := l.Sale("t")
	wantRefusal(t, err, loyalty.UnknownSale)
	checkTest(t, l.cfg.Path)
	l.HQTime(at.Add(200 * time.Hour))
	sellTest(t, l, "more", 1, 1)
	ack(t, l, 0)
	if _, err := l.Trim(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, err = l.Sale("s")
	wantRefusal(t, err, loyalty.UnknownSale)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	checkTest(t, cfg.Path)
}

// Where the records of sales are lost, the journal brings the refunds back with their sales.
func TestRebuildBringsRefundsBack(t *testing.T) {
	l := openTest(t, testConfig(t))
	know(t, l, 1, 900_00, 500_00)
	openSaleTest(t, l, "s", 1, 20, 100_00)
	closeSaleTest(t, l, "s", 20, 100_00)
	refundTest(t, l, "s", "r1", 300)
	kept := refundTest(t, l, "s", "r2", 0)
	r := &records{plain: map[string]map[string][]byte{}, journal: map[place]link{}}
	err := l.view(func(t *txn) error {
		return t.each(place{}, func(p place, h wire.Hash, b []byte) (bool, error) {
			r.journal[p] = link{h, append([]byte(nil), b...)}
			return true, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	again := r.rebuild().sales["s"]
	if len(again.Refunds) != 2 {
		t.Fatalf("rebuilt %+v", again.Sale)
	}
	for i, f := range again.Refunds {
		want := *kept.Refunds[i]
		want.Total, want.Avail = 0, 0 // what the entries do not say
		if !reflect.DeepEqual(*f, want) {
			t.Errorf("rebuilt\n%+v, want\n%+v", *f, want)
		}
	}
}

func TestARefundThatTheJournalDoesNotSayIsFound(t *testing.T) {
	cfg := testConfig(t)
	l, err := openTuned(cfg, func(*Ledger) {})
	if err == nil {
		err = l.LoadProgramme(context.Background(), []byte(testProgramme))
	}
	if err != nil {
		t.Fatal(err)
	}
	know(t, l, 1, 900_00, 500_00)
	sellTest(t, l, "s", 1, 20)
	s := refundTest(t, l, "s", "r1", 300)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(cfg.Path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		tt, err := readTxn(tx)
		if err != nil {
			return err
		}
		s.Refunds[0].Seq++
		m, err := sale{s, 1}.message()
		if err != nil {
			return err
		}
		return tt.putMessage(bucketSale, []byte("s"), m)
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	if r, err := CheckFile(context.Background(), cfg.Path, nil); err == nil || len(r.Findings) == 0 {
		t.Errorf("nothing was found: %+v, %v", r, err)
	}
}

// By which tender the money goes back is part of a refund's content, and is kept with it.
func TestARefundOfAnotherTenderIsAnother(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	sellTest(t, l, "a", 1, 10) // for cash
	refund := func(id loyalty.RefundID, tender loyalty.Tender) (*loyalty.Sale, error) {
		return l.RefundSale(t.Context(), &loyalty.RefundRequest{Sale: "a", Refund: id, Tender: tender, Lines: []loyalty.RefundLine{{Line: 1, Amount: 60_00}}}, nil)
	}
	ok := must[*loyalty.Sale](t)
	ok(refund("as it was paid", 0))
	ok(refund("by another", loyalty.Cashless))
	again := func() {
		t.Helper()
		for id, tenders := range map[loyalty.RefundID][]loyalty.Tender{
			"as it was paid": {0, loyalty.Cash}, "by another": {loyalty.Cashless},
		} {
			for _, tender := range []loyalty.Tender{0, loyalty.Cash, loyalty.Cashless, loyalty.FuelCard} {
				s, err := refund(id, tender)
				if !slices.Contains(tenders, tender) {
					wantRefusal(t, err, loyalty.Conflict)
				} else if err != nil || len(s.Refunds) != 2 || s.Refund(id).Tender != tenders[len(tenders)-1] {
					t.Errorf("%s by %s: %+v, %v", id, tender, s, err)
				}
			}
		}
	}
	again()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	breakRecord(t, cfg, bucketSale, []byte("a")) // the journal says it as well
	l = openTest(t, cfg)
	again()
}
