package loyalty

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestShiftLife(t *testing.T) {
	id := ShiftID{Counter: "касса 1", Number: 7}
	at := func(seq Seq) Place { return Place{Epoch: 1, Seq: seq, At: Instant(1000 * seq)} }
	ask := func(cashier string, stated ...Figure) *ShiftRequest {
		return &ShiftRequest{ShiftID: id, Cashier: cashier, Stated: stated}
	}
	if _, _, err := CloseShift(nil, ask("Анна"), at(1)); !errors.Is(err, UnknownShift) {
		t.Errorf("closing a shift that never was: %v", err)
	}
	s, body, err := OpenShift(nil, ask("Анна"), at(1))
	if err != nil || body != (ShiftOpened{}) || s.OpenedBy != "Анна" || s.OpenedAt != 1000 || s.Implied {
		t.Fatalf("%+v %v %v", s, body, err)
	}
	if again, body, err := OpenShift(s, ask("Борис"), at(2)); err != nil || body != nil || again != s {
		t.Errorf("opened again: %+v %v %v", again, body, err)
	}
	sale := &Entry{At: 3000, Cashier: "Анна", Counter: id.Counter, Shift: id.Number, Body: SaleClosed{
		Receipt:  Receipt{Tender: Cashless, Lines: []Line{{Kind: Goods, Code: "1", Amount: 1000_00}}, Payments: []Payment{{Cash, 100_00}, {Cashless, 800_00}}},
		Discount: 100_00, Redeemed: 100_00, Earned: []Lot{{Amount: 9_00}}, Manual: "нет карты",
	}}
	s = NoteShift(s, 1, 3, sale)
	want := Totals{Sales: 1, Manual: 1, Gross: 1000_00, Discount: 100_00, Paid: [3]Kopecks{100_00, 800_00, 0}, Redeemed: 100_00, Earned: 9_00}
	if got := s.Totals(); got != want {
		t.Errorf("totals %+v", got)
	}
	refund := &Entry{At: 4000, Cashier: "Борис", Counter: id.Counter, Shift: id.Number, Body: SaleRefunded{
		Lines: []RefundLine{{Line: 1, Amount: 200_00}}, Discount: 20_00, Tender: Cash, Returned: []Lot{{Amount: 20_00}}, Undo: Undo{Clawed: []Lot{{Amount: 2_00}}},
	}}
	s = NoteShift(s, 1, 4, refund)
	want.Refunds, want.Refunded[0], want.Returned, want.Clawed = 1, 180_00, 20_00, 2_00
	if got := s.Totals(); got != want || len(s.Cashiers) != 2 || s.Cashiers[1].Totals.Sales != 0 {
		t.Errorf("totals %+v", s.Cashiers)
	}
	wrong := []Figure{{"cash", 100_00}, {"cashless", 801_00}, {"sales", 1}}
	closed, body, err := CloseShift(s, ask("Борис", wrong...), at(5))
	if err != nil || !closed.Closed || !closed.Differs || closed.ClosedBy != "Борис" || closed.Seq != 5 {
		t.Fatalf("%+v %v", closed, err)
	}
	if c := body.(ShiftClosed); !c.Differs || !reflect.DeepEqual(c.Cashiers, s.Cashiers) || c.OpenedAt != 1000 {
		t.Errorf("entry %+v", c)
	}
	if m := closed.Mismatches(); !reflect.DeepEqual(m, []Mismatch{{"cashless", 800_00, 801_00}}) {
		t.Errorf("mismatches %+v", m)
	}
	other := []Figure{wrong[2], wrong[0], wrong[1]} // the same in another order
	if again, body, err := CloseShift(closed, ask("Вера", other...), at(6)); err != nil || body != nil || again != closed {
		t.Errorf("closed again: %+v %v %v", again, body, err)
	}
	if _, _, err := CloseShift(closed, ask("Вера", wrong[:2]...), at(6)); !errors.Is(err, Conflict) {
		t.Errorf("closed with other figures: %v", err)
	}
	if _, _, err := OpenShift(closed, ask("Вера"), at(6)); !errors.Is(err, ShiftEnded) {
		t.Errorf("opened after it was closed: %v", err)
	}
}

func TestAnImpliedShiftIsOpenedLater(t *testing.T) {
	e := &Entry{At: 10, Cashier: "Анна", Shift: 3, Body: SaleVoided{}}
	s := NoteShift(nil, 1, 1, e)
	if !s.Implied || s.OpenedAt != 10 || s.Totals().Voids != 1 {
		t.Fatalf("%+v", s)
	}
	o, body, err := OpenShift(s, &ShiftRequest{ShiftID: s.ShiftID, Cashier: "Борис"}, Place{Epoch: 1, Seq: 2, At: 20})
	if err != nil || body == nil || o.Implied || o.OpenedAt != 10 || o.OpenedBy != "Борис" || o.Totals().Voids != 1 {
		t.Errorf("%+v %v %v", o, body, err)
	}
}

func TestShiftRequestCheck(t *testing.T) {
	good := ShiftID{Number: 1}
	for name, r := range map[string]ShiftRequest{
		"no number":      {},
		"control":        {ShiftID: ShiftID{Counter: "a\x00", Number: 1}},
		"long counter":   {ShiftID: ShiftID{Counter: strings.Repeat("a", MaxCounterText+1), Number: 1}},
		"long cashier":   {ShiftID: good, Cashier: strings.Repeat("a", MaxReason+1)},
		"unknown figure": {ShiftID: good, Stated: []Figure{{"tips", 1}}},
		"below zero":     {ShiftID: good, Stated: []Figure{{"cash", -1}}},
		"twice":          {ShiftID: good, Stated: []Figure{{"cash", 1}, {"cash", 2}}},
	} {
		if err := r.Check(); !errors.Is(err, BadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever comes beyond the bound is counted with the last, and nothing is lost of the sum.
func TestMoreCashiersThanAShiftNames(t *testing.T) {
	var s *Shift
	for i := range MaxCashiers + 10 {
		s = NoteShift(s, 1, Seq(i+1), &Entry{Cashier: fmt.Sprint(i), Shift: 1, Body: SaleVoided{}})
	}
	if len(s.Cashiers) != MaxCashiers || s.Totals().Voids != MaxCashiers+10 || s.Cashiers[MaxCashiers-1].Voids != 11 {
		t.Errorf("%d cashiers, %d voids", len(s.Cashiers), s.Totals().Voids)
	}
}

// The totals of a shift are the sums over its entries, however they are spread over cashiers, and counting one leaves the
// shift before it as it was.
func TestShiftTotalsAreSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s *Shift
		var want Totals
		for i := range rapid.IntRange(1, 40).Draw(t, "entries") {
			e := drawShiftEntry(t)
			want.Add(TotalsOfEntry(e))
			before := Totals{}
			if s != nil {
				before = s.Totals()
			}
			next := NoteShift(s, 1, Seq(i+1), e)
			if s != nil && s.Totals() != before {
				t.Fatal("counting changed the shift before")
			}
			s = next
		}
		got := s.Totals()
		if got != want {
			t.Fatalf("totals %+v, want %+v", got, want)
		}
		var money Kopecks
		for _, k := range got.Paid {
			money += k
		}
		if money != got.Gross-got.Discount {
			t.Fatalf("paid %s of %s less %s", money, got.Gross, got.Discount)
		}
		back, err := TotalsOf(got.Figures())
		if err != nil || back != got {
			t.Fatalf("figures put together: %+v %v", back, err)
		}
		stated := got.Figures()
		closed, _, err := CloseShift(s, &ShiftRequest{ShiftID: s.ShiftID, Stated: stated}, Place{Epoch: 1, Seq: 99})
		if err != nil || closed.Differs {
			t.Fatalf("closed with its own figures: %+v %v", closed, err)
		}
	})
}

func drawShiftEntry(t *rapid.T) *Entry {
	e := &Entry{Cashier: rapid.SampledFrom([]string{"Анна", "Борис", ""}).Draw(t, "cashier"), Shift: 5, Counter: "1"}
	amount := func(name string, most int64) int64 { return rapid.Int64Range(0, most).Draw(t, name) }
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		total := amount("total", 1_000_00)
		discount := amount("discount", total)
		r := Receipt{Tender: Tender(rapid.IntRange(1, 3).Draw(t, "tender")), Lines: []Line{{Amount: Kopecks(total)}}}
		if pay := total - discount; pay > 1 && rapid.Bool().Draw(t, "split") {
			part := rapid.Int64Range(1, pay-1).Draw(t, "part")
			r.Payments = []Payment{{Cash, Kopecks(part)}, {FuelCard, Kopecks(pay - part)}}
		}
		e.Body = SaleClosed{Receipt: r, Discount: Kopecks(discount), Redeemed: Points(discount), Earned: []Lot{{Amount: Points(amount("earned", 100))}}}
	case 1:
		e.Body = SaleRefunded{
			Lines: []RefundLine{{Line: 1, Amount: Kopecks(amount("refunded", 500_00))}}, Tender: Tender(rapid.IntRange(1, 3).Draw(t, "by")),
			Returned: []Lot{{Amount: Points(amount("returned", 100))}},
		}
	case 2:
		e.Body = SaleVoided{}
	case 3:
		e.Body = CardIssued{Card: "700512345678"}
	}
	return e
}

func TestHistoryQueryCheck(t *testing.T) {
	for name, q := range map[string]HistoryQuery{
		"nobody":       {Limit: 1},
		"no limit":     {Account: 1},
		"high limit":   {Account: 1, Limit: MaxHistory + 1},
		"high account": {Account: MaxAccount + 1, Limit: 1},
		"long key":     {Account: 1, Limit: 1, Before: strings.Repeat("1", MaxHistoryKey+1)},
		"bad card":     {Card: "?", Limit: 1},
	} {
		if err := q.Check(); !errors.Is(err, BadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := HistoryQuery{Account: 5, Card: "700512345678", Limit: 1}
	for _, c := range []struct {
		body Body
		want bool
	}{
		{SaleClosed{Account: 5}, true},
		{SaleClosed{Account: 6, Card: q.Card}, false}, // the card has changed hands
		{SaleClosed{Card: q.Card}, true},
		{SaleClosed{Card: "7005"}, false},
		{CardIssued{Card: q.Card}, true},
		{Started{}, false},
	} {
		if got := q.Concerns(c.body); got != c.want {
			t.Errorf("%+v: %v", c.body, got)
		}
	}
}
