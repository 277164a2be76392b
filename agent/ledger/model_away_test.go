package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"pgregory.net/rapid"
)

// wideWorld is the model with what goes beyond one station: sales of another one, which are refunded there and here, and
// cards that are given out with forms.
type wideWorld struct {
	*world
	cells map[loyalty.AccountID]*loyalty.Cell // of the other station
	there loyalty.Seq                         // its journal
	sales []*wideSale
	cards int
	forms map[loyalty.FormHash]bool // that headquarters has
}

type wideSale struct {
	known                              loyalty.SaleElsewhere // headquarters' books
	earned, redeemed, clawed, returned loyalty.Points
	asked                              []*loyalty.RefundRequest // here
	there                              int                      // refunds asked for there, of the same ids
}

const modelOther loyalty.StationID = 99

// ship sends entries with their forms, as the uplink does.
func (a *wideWorld) ship(n int) {
	p := a.position()
	from := loyalty.Seq(1)
	if a.at.epoch == p.Epoch {
		from = a.at.seq + 1
	}
	if from > p.Last {
		return
	}
	through := min(from+loyalty.Seq(n)-1, p.Last)
	forms, err := a.l.Forms(context.Background(), p.Epoch, from, through)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range forms {
		a.forms[sha256.Sum256(f.Bytes)] = true
	}
	raw, err := a.l.Read(context.Background(), p.Epoch, from, n, 1<<20)
	if err != nil {
		a.t.Fatal(err)
	}
	for i, b := range raw {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			a.t.Fatal(err)
		}
		switch b := e.Body.(type) {
		case loyalty.CardIssued:
			if b.Form != (loyalty.FormHash{}) && !a.forms[b.Form] {
				a.t.Fatalf("entry %d gives out a card, its form has not come", from+loyalty.Seq(i))
			}
		case loyalty.SaleRefunded:
			if s := a.sale(b.Station, b.Sale); s != nil && !a.ops[e.Op] {
				s.known.Refunds = append(s.known.Refunds, loyalty.RefundElsewhere{Station: station, Epoch: p.Epoch, Seq: from + loyalty.Seq(i), Entry: e})
			}
		}
	}
	a.world.ship(n)
}

func (a *wideWorld) sale(at loyalty.StationID, id loyalty.SaleID) *wideSale {
	i := slices.IndexFunc(a.sales, func(s *wideSale) bool {
		return at == modelOther && s.known.Closed.Body.(loyalty.SaleClosed).Sale == id
	})
	if i < 0 {
		return nil
	}
	return a.sales[i]
}

// place is the next of the other station's journal.
func (a *wideWorld) place() loyalty.Place {
	a.there++
	at := a.now()
	return loyalty.Place{Epoch: 1, Seq: a.there, At: at, Op: loyalty.NewOpID(at, [10]byte{9, byte(a.there >> 8), byte(a.there)})}
}

// post has headquarters post an entry of the other station, and tells this one of the account.
func (a *wideWorld) post(id loyalty.AccountID, at loyalty.Place, body loyalty.Body) *loyalty.Entry {
	e := &loyalty.Entry{At: at.At, Op: at.Op, Programme: 3, Body: body}
	if _, err := a.hq[id].Post(loyalty.CellKey{Station: modelOther, Epoch: 1}, at.Seq, e); err != nil {
		a.t.Fatal(err)
	}
	a.learn(id, 0)
	return e
}

// sellThere closes a sale at the other station.
func (a *wideWorld) sellThere(t *rapid.T) {
	id := loyalty.AccountID(rapid.IntRange(1, modelAccounts).Draw(t, "account"))
	at, key := a.place(), loyalty.CellKey{Station: modelOther, Epoch: 1}
	if a.cells[id] == nil {
		a.cells[id] = &loyalty.Cell{}
	}
	c := a.cells[id]
	want := loyalty.Points(rapid.IntRange(0, 50).Draw(t, "redeem")) * 100
	c.Grant(a.hq[id].TopUp(key, c.Statement(), want, at.At))
	card := loyalty.Card{Number: cardOf(int(id)), Account: id, MayRedeem: true}
	b := loyalty.Books{
		Programme: a.l.Programme(), Station: modelOther, Card: card, Known: true, Cell: *c,
		Local: loyalty.Local{Snapshot: a.hq[id].Snapshot(key, at.Seq-1, at.At)},
	}
	r := &loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprint("x", len(a.sales))), Card: card.Number, Receipt: fuel(int64(rapid.IntRange(1, 9).Draw(t, "litres")))}
	r.Redeem = min(want, c.Left())
	s, body, err := b.Close(r, at)
	if _, refused := loyalty.RefusalOf(err); refused {
		a.learn(id, 0)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	*c = b.Cell
	x := &wideSale{earned: s.Quote.Earn, redeemed: s.Quote.Redeem}
	x.known = loyalty.SaleElsewhere{Station: modelOther, Closed: a.post(id, at, body)}
	a.sales = append(a.sales, x)
}

func (a *wideWorld) draw(t *rapid.T) *wideSale {
	if len(a.sales) == 0 {
		t.Skip("no sale elsewhere")
	}
	return rapid.SampledFrom(a.sales).Draw(t, "sale elsewhere")
}

func (s *wideSale) request(t *rapid.T, id loyalty.RefundID) *loyalty.RefundRequest {
	r := &loyalty.RefundRequest{Station: modelOther, Sale: s.known.Closed.Body.(loyalty.SaleClosed).Sale, Refund: id}
	if rapid.Bool().Draw(t, "a part") {
		r.Lines = []loyalty.RefundLine{{Line: 1, Amount: loyalty.Kopecks(rapid.IntRange(1, 200).Draw(t, "roubles")) * 100}}
	}
	return r
}

// count holds a refund against what the sale took, at whichever station.
func (s *wideSale) count(t *rapid.T, f *loyalty.Refund) {
	s.clawed, s.returned = s.clawed+f.Clawed, s.returned+f.Returned
	if s.clawed > s.earned || s.returned > s.redeemed || f.All && (s.clawed != s.earned || s.returned != s.redeemed) {
		t.Fatalf("%s of %s taken back, %s of %s returned: %+v", s.clawed, s.earned, s.returned, s.redeemed, f)
	}
}

// refundThere has the other station give something back; headquarters has everything of this one before, so that it knows.
func (a *wideWorld) refundThere(t *rapid.T) {
	s := a.draw(t)
	a.ship(1000)
	at := a.place()
	b := loyalty.Books{Programme: a.l.Programme(), Station: modelOther}
	if err := b.Hear(s.known.Closed.Body.(loyalty.SaleClosed).Sale, &s.known); err != nil {
		t.Fatal(err)
	}
	b.Sale.Station = 0 // its own
	s.there++
	r := s.request(t, loyalty.RefundID(fmt.Sprint("r", s.there)))
	got, body, err := b.Refund(r, at)
	if errors.Is(err, loyalty.RefundMore) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	s.count(t, got.Refund(r.Refund))
	e := a.post(got.Account, at, body)
	s.known.Refunds = append(s.known.Refunds, loyalty.RefundElsewhere{Station: modelOther, Epoch: 1, Seq: at.Seq, Entry: e})
}

// refundHere gives a part of the other station's sale back at this one, with what headquarters has of it.
func (a *wideWorld) refundHere(t *rapid.T) {
	s := a.draw(t)
	r := s.request(t, loyalty.RefundID(fmt.Sprint("r", len(s.asked)+1)))
	got, err := a.l.RefundSale(context.Background(), r, &s.known)
	if errors.Is(err, loyalty.RefundMore) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	s.count(t, got.Refund(r.Refund))
	s.asked = append(s.asked, r)
}

// refundAgain asks for what was refunded here before, also if the ledger was put back since.
func (a *wideWorld) refundAgain(t *rapid.T) {
	s := a.draw(t)
	before := a.position()
	for _, r := range s.asked {
		got, err := a.l.RefundSale(context.Background(), r, &s.known)
		if err != nil || got.Refund(r.Refund) == nil {
			t.Fatalf("again %+v: %+v, %v", r, got, err)
		}
		content := *r
		content.Lines = []loyalty.RefundLine{{Line: 1, Amount: 99_999_00}}
		if _, err := a.l.RefundSale(context.Background(), &content, &s.known); !errors.Is(err, loyalty.Conflict) {
			t.Fatalf("another content: %v", err)
		}
		content = *r
		content.Tender = loyalty.FuelCard
		if _, err := a.l.RefundSale(context.Background(), &content, &s.known); !errors.Is(err, loyalty.Conflict) {
			t.Fatalf("another tender: %v", err)
		}
	}
	if after := a.position(); after.Last != before.Last {
		t.Fatalf("asking again appended: %d, %d", before.Last, after.Last)
	}
}

func (a *wideWorld) issue(t *rapid.T) {
	a.cards++
	r := &loyalty.IssueRequest{Card: newCard(a.cards)}
	if rapid.Bool().Draw(t, "with a form") {
		r.Sealed = sealedForm(a.cards)
	}
	first, err := a.l.IssueCard(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.l.IssueCard(context.Background(), r)
	if err != nil || again.Op != first.Op {
		t.Fatalf("again %+v, %v; was %+v", again, err, first)
	}
	if rapid.Bool().Draw(t, "is used") {
		_, err := a.l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(r.Card), Card: r.Card, Receipt: fuel(3)})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestWideModel is [TestModel] with another station, and with cards given out.
func TestWideModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		d := filepath.Join(dir, fmt.Sprint(n))
		a := &wideWorld{world: newWorld(t, d), cells: make(map[loyalty.AccountID]*loyalty.Cell), forms: make(map[loyalty.FormHash]bool)}
		defer func() { _ = a.l.Close(); _ = os.RemoveAll(d) }()
		t.Repeat(map[string]func(*rapid.T){
			"sell": a.oneStep, "refund": a.refund, "down": a.downStream,
			"sell there": a.sellThere, "refund there": a.refundThere, "refund here": a.refundHere, "again": a.refundAgain,
			"give out": a.issue,
			"ship":     func(t *rapid.T) { a.ship(rapid.IntRange(1, 5).Draw(t, "n")) },
			"restart":  func(*rapid.T) { a.shut(); a.open() },
			"epoch": func(t *rapid.T) {
				if err := a.l.NewEpoch(context.Background(), "model"); err != nil {
					t.Fatal(err)
				}
			},
			"rollback": func(t *rapid.T) { a.ship(1000); a.rollBack(t) },
			"":         a.check,
		})
		a.ship(1000)
		end := a.position()
		if forms, err := a.l.Forms(context.Background(), end.Epoch, 1, end.Last); err != nil || len(forms) > 0 {
			t.Fatalf("%d forms wait that headquarters has, %v", len(forms), err)
		}
		a.shut()
	})
}
