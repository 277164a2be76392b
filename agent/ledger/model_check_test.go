package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"pgregory.net/rapid"
)

// rollBack puts an earlier copy of the file back, as a restored backup would; the witness knows better.
func (w *world) rollBack(*rapid.T) {
	if len(w.copies) == 0 {
		w.copies = append(w.copies, w.copyAside())
		return
	}
	// What headquarters does not have is gone with the file: the model forgets it too, so let it all be sent first.
	for range 100 {
		if p := w.position(); w.at.epoch == p.Epoch && w.at.seq >= p.Last {
			break
		}
		w.ship(1000)
	}
	before := w.position()
	w.shut()
	if err := errors.Join(os.Remove(w.cfg.Path), copyFile(w.copies[0], w.cfg.Path)); err != nil {
		w.t.Fatal(err)
	}
	w.copies = nil
	w.open()
	if after := w.position(); after.Epoch <= before.Epoch {
		w.t.Fatalf("epoch %d after a roll-back of epoch %d", after.Epoch, before.Epoch)
	}
	for range 3 {
		w.ship(1000)
	}
	for id := range w.hq {
		w.learn(id, 0)
	}
	w.forget()
	w.takeShifts()
}

func (w *world) copyAside() string {
	to := fmt.Sprintf("%s.copy", w.cfg.Path)
	w.shut()
	if err := errors.Join(removeIfThere(to), copyFile(w.cfg.Path, to)); err != nil {
		w.t.Fatal(err)
	}
	w.open()
	return to
}

// forget takes the sales of the model from the file that was put back: those behind it are headquarters' only. One that
// was open in the copy and has ended since is ended again, as the register's own log says; headquarters counts it once.
func (w *world) forget() {
	for _, id := range slices.Sorted(maps.Keys(w.sales)) {
		m := w.sales[id]
		s, err := w.l.Sale(id)
		if err != nil && !errors.Is(err, loyalty.UnknownSale) {
			w.t.Fatal(err)
		}
		if err == nil && s.State == m.state && len(s.Refunds) == len(m.refunds) {
			continue
		}
		delete(w.sales, id)
		switch {
		case err != nil || (s.State != loyalty.SaleOpen && len(m.refunds) == 0):
			continue
		case m.close != nil:
			_, err = w.l.CloseSale(context.Background(), m.close)
			for _, r := range m.refunds {
				if err == nil {
					_, err = w.l.RefundSale(context.Background(), r, nil)
				}
			}
		default:
			_, err = w.l.VoidSale(context.Background(), &loyalty.VoidRequest{Sale: id, Reason: "restored", Resolved: true})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.ship(1000)
	for id := range w.hq {
		w.learn(id, 0)
	}
}

// check holds the station's view against headquarters' books with everything that is not acknowledged posted on top.
func (w *world) check(t *rapid.T) {
	w.checkShifts(t)
	p := w.position()
	at := w.now()
	books := make(map[loyalty.AccountID]loyalty.Account)
	for id, r := range w.hq {
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		books[id] = r.Account.Clone()
	}
	from := loyalty.Seq(1)
	if w.at.epoch == p.Epoch {
		from = w.at.seq + 1
	}
	raw, err := w.l.Read(context.Background(), p.Epoch, from, 1_000_000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range raw {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := loyalty.Subject(e.Body)
		if x, ok := loyalty.PostingOf(p.Epoch, from+loyalty.Seq(i), e); ok && id != 0 && !w.ops[e.Op] {
			a := books[id]
			if err := a.Post(x); err != nil {
				t.Fatalf("account %d cannot pay for entry %d: %v", id, from+loyalty.Seq(i), err)
			}
			books[id] = a
		}
	}
	for id, a := range books {
		b, err := w.l.Lookup(cardOf(int(id)))
		if err != nil {
			t.Fatal(err)
		}
		local := b.Local.Current()
		if got, want := local.Total(at), a.Total(at); got != want {
			t.Fatalf("account %d: the station says %s, headquarters and the journal %s", id, got, want)
		}
		var reserved loyalty.Points
		for _, m := range w.sales {
			if m.state == loyalty.SaleOpen && m.card == int(id) {
				reserved += m.reserved
			}
		}
		if b.Reserved != reserved {
			t.Fatalf("account %d: %s reserved, the model says %s", id, b.Reserved, reserved)
		}
	}
	open, err := w.l.Unresolved(1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range open {
		if m := w.sales[s.ID]; m == nil || m.state != loyalty.SaleOpen {
			t.Fatalf("sale %s is open, the model says %+v", s.ID, m)
		}
	}
}

func TestModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		d := filepath.Join(dir, fmt.Sprint(n))
		w := newWorld(t, d)
		defer func() { _ = w.l.Close(); _ = os.RemoveAll(d) }()
		t.Repeat(map[string]func(*rapid.T){
			"open":  w.openSale,
			"close": w.closeSale,
			"sell":  w.oneStep,
			"void":  w.voidSale, "refund": w.refund,
			"again": w.again,
			"shift": w.turnShift,
			"ship":  func(t *rapid.T) { w.ship(rapid.IntRange(1, 5).Draw(t, "n")) },
			"ask": func(t *rapid.T) {
				w.learn(loyalty.AccountID(rapid.IntRange(1, modelAccounts).Draw(t, "account")), loyalty.Points(rapid.IntRange(1, 300).Draw(t, "want"))*100)
			},
			"down": w.downStream,
			"surplus": func(t *rapid.T) {
				if err := w.l.ReturnSurplus(context.Background(), 0); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(*rapid.T) { w.shut(); w.open() },
			"epoch": func(t *rapid.T) {
				if err := w.l.NewEpoch(context.Background(), "model"); err != nil {
					t.Fatal(err)
				}
			},
			"rollback": w.rollBack,
			"":         w.check,
		})
		w.shut()
	})
}
