package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"pgregory.net/rapid"
)

// who draws at whose hands something is done: in no shift, or in one of three of either counter.
func (w *world) who(t *rapid.T) loyalty.Who {
	who := loyalty.Who{Cashier: rapid.SampledFrom([]string{"", "Анна", "Борис"}).Draw(t, "cashier")}
	who.Shift = uint32(rapid.IntRange(0, 3).Draw(t, "shift"))
	who.Counter = rapid.SampledFrom([]string{"", "2"}).Draw(t, "counter")
	return who
}

// ending is in whose hands a sale ends: what is left out is as it was opened, and a shift is its counter's own.
func ending(who, opened loyalty.Who) loyalty.Who {
	if who.Cashier == "" {
		who.Cashier = opened.Cashier
	}
	switch {
	case who.Counter == "" && who.Shift == 0:
		who.Counter, who.Shift = opened.Counter, opened.Shift
	case who.Counter == "":
		who.Counter = opened.Counter
	case who.Shift == 0 && who.Counter == opened.Counter:
		who.Shift = opened.Shift
	}
	return who
}

// shift is the model's shift of an operation; nil: it has none.
func (w *world) shift(who loyalty.Who) *modelShift {
	if who.Shift == 0 {
		return nil
	}
	id := loyalty.ShiftID{Counter: who.Counter, Number: who.Shift}
	if w.shifts[id] == nil {
		w.shifts[id] = &modelShift{}
	}
	return w.shifts[id]
}

// ended tells whether the shift of an operation is closed, so that it was refused; it fails unless the ledger agrees.
func (w *world) ended(who loyalty.Who, err error) bool {
	s := w.shifts[loyalty.ShiftID{Counter: who.Counter, Number: who.Shift}]
	closed := who.Shift != 0 && s != nil && s.closed
	if refused := errors.Is(err, loyalty.ShiftEnded); refused && !closed || closed && err == nil {
		w.t.Fatalf("shift %d of %q, closed %v: %v", who.Shift, who.Counter, closed, err)
	}
	return closed
}

// count adds to the totals of a shift; one that is closed has them as they are.
func (w *world) count(who loyalty.Who, totals loyalty.Totals) {
	if s := w.shift(who); s != nil && !s.closed {
		s.Add(totals)
	}
}

// soldTotals is what a sale adds, by its answer.
func soldTotals(s *loyalty.Sale) loyalty.Totals {
	q := &s.Quote
	return loyalty.Totals{
		Sales: 1, Gross: q.Total, Discount: q.Discount, Paid: [3]loyalty.Kopecks{q.Pay}, Redeemed: q.Redeem, Earned: q.Earn,
	}
}

// turnShift opens or closes a shift, with the right figures or wrong ones, and asks again.
func (w *world) turnShift(t *rapid.T) {
	who := w.who(t)
	if who.Shift == 0 {
		who.Shift = 1
	}
	id := loyalty.ShiftID{Counter: who.Counter, Number: who.Shift}
	m := w.shifts[id]
	r := &loyalty.ShiftRequest{ShiftID: id, Cashier: who.Cashier}
	ctx := context.Background()
	if rapid.Bool().Draw(t, "open") {
		_, err := w.l.OpenShift(ctx, r)
		switch closed := m != nil && m.closed; {
		case closed && !errors.Is(err, loyalty.ShiftEnded), !closed && err != nil:
			t.Fatalf("open shift: %v, closed %v", err, closed)
		case !closed:
			w.shift(who)
		}
		return
	}
	if m != nil {
		r.Stated = m.Figures()
	}
	wrong := rapid.Bool().Draw(t, "wrong")
	if wrong {
		r.Stated = []loyalty.Figure{{Name: "cash", Amount: 1}}
	}
	s, err := w.l.CloseShift(ctx, r)
	switch {
	case m == nil:
		if !errors.Is(err, loyalty.UnknownShift) {
			t.Fatalf("close a shift that is not: %v", err)
		}
	case m.closed && errors.Is(err, loyalty.Conflict):
	case err != nil || s.Differs != wrong || s.Totals() != m.Totals:
		t.Fatalf("close shift: %+v, %v; model %+v", s, err, m)
	default:
		m.closed = true
	}
}

// checkShifts holds the ledger's shifts against the model's.
func (w *world) checkShifts(t *rapid.T) {
	list, err := w.l.Shifts(100)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range list {
		m := w.shifts[s.ShiftID]
		if m == nil || s.Totals() != m.Totals || s.Closed != m.closed {
			t.Fatalf("shift %+v is %+v, model %+v", s.ShiftID, s, m)
		}
		found++
	}
	if found != len(w.shifts) {
		t.Fatalf("%d shifts, the model has %d: %s", found, len(w.shifts), fmt.Sprint(w.shifts))
	}
}

// takeShifts has the model begin again with the shifts of a file that was put back.
func (w *world) takeShifts() {
	list, err := w.l.Shifts(100)
	if err != nil {
		w.t.Fatal(err)
	}
	clear(w.shifts)
	for _, s := range list {
		w.shifts[s.ShiftID] = &modelShift{s.Totals(), s.Closed}
	}
}
