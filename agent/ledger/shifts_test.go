package ledger

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func shiftNo(n uint32) loyalty.ShiftID { return loyalty.ShiftID{Counter: "1", Number: n} }

func inShift(n uint32, cashier string) loyalty.Who {
	return loyalty.Who{Cashier: cashier, Shift: n, Counter: "1"}
}

func sellIn(t testing.TB, l *Ledger, id string, card int, litres int64, who loyalty.Who) (*loyalty.Sale, error) {
	t.Helper()
	return l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Card: cardOf(card), Receipt: fuel(litres), Who: who})
}

func turnTest(t testing.TB, do func(context.Context, *loyalty.ShiftRequest) (*loyalty.Shift, error), n uint32, stated ...loyalty.Figure) *loyalty.Shift {
	t.Helper()
	s, err := do(context.Background(), &loyalty.ShiftRequest{ShiftID: shiftNo(n), Cashier: "Анна", Stated: stated})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestAShiftCountsWhatIsDoneInIt(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	turnTest(t, l.OpenShift, 1)
	before := entries(t, l)
	turnTest(t, l.OpenShift, 1)
	if after := entries(t, l); len(after) != len(before) {
		t.Error("opening again appended")
	}
	ok := must[*loyalty.Sale](t)
	ok(sellIn(t, l, "a", 1, 10, inShift(1, "Анна")))
	ok(sellIn(t, l, "a", 1, 10, inShift(1, "Анна"))) // again
	ok(sellIn(t, l, "outside", 1, 10, loyalty.Who{}))
	ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "b", Card: cardOf(1), Receipt: fuel(5), Redeem: 100_00, Who: inShift(1, "Анна")}))
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "b", Receipt: fuel(4), Redeem: 100_00, Who: inShift(1, "Борис")}))
	ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "c", Card: cardOf(1), Receipt: fuel(5), Who: inShift(1, "Борис")}))
	ok(l.VoidSale(t.Context(), &loyalty.VoidRequest{Sale: "c", Who: inShift(1, "Борис")}))
	ok(l.RefundSale(t.Context(), &loyalty.RefundRequest{
		Sale: "a", Refund: "r", Lines: []loyalty.RefundLine{{Line: 1, Amount: 60_00, Volume: 1000}}, Tender: loyalty.Cashless, Who: inShift(1, "Анна"),
	}, nil))
	if _, err := l.IssueCard(t.Context(), &loyalty.IssueRequest{Card: cardOf(77), Who: inShift(1, "Борис")}); err != nil {
		t.Fatal(err)
	}
	s := must[*loyalty.Shift](t)(l.Shift(shiftNo(1)))
	want := loyalty.Totals{
		Sales: 2, Refunds: 1, Voids: 1, Cards: 1, Gross: 840_00, Discount: 100_00, Paid: [3]loyalty.Kopecks{740_00},
		Refunded: [3]loyalty.Kopecks{0, 60_00}, Redeemed: 100_00, Earned: 14_00, Clawed: 1_00,
	}
	got := s.Totals()
	want.Earned = got.Earned // the programme's own matter
	if got != want || len(s.Cashiers) != 2 || s.Cashiers[0].Sales != 1 || s.Cashiers[1].Voids != 1 {
		t.Errorf("totals %+v", s.Cashiers)
	}
	closed := turnTest(t, l.CloseShift, 1, loyalty.Figure{Name: "sales", Amount: 2}, loyalty.Figure{Name: "cash", Amount: 740_01})
	if !closed.Differs || len(closed.Mismatches()) != 1 {
		t.Errorf("closed %+v", closed)
	}
	all := entries(t, l)
	end, alert := all[len(all)-2], all[len(all)-1]
	if c, ok := end.Body.(loyalty.ShiftClosed); !ok || !c.Differs || !reflect.DeepEqual(c.Cashiers, s.Cashiers) || end.Shift != 1 || end.Counter != "1" {
		t.Errorf("entry %+v", end)
	}
	if a, ok := alert.Body.(loyalty.Alerted); !ok || a.Rule != loyalty.AlertShiftDiffers || a.Count != 1 || alert.Shift != 1 {
		t.Errorf("entry %+v", alert)
	}
	turnTest(t, l.CloseShift, 1, loyalty.Figure{Name: "cash", Amount: 740_01}, loyalty.Figure{Name: "sales", Amount: 2})
	_, err := l.CloseShift(t.Context(), &loyalty.ShiftRequest{ShiftID: shiftNo(1)})
	wantRefusal(t, err, loyalty.Conflict)
	_, err = l.OpenShift(t.Context(), &loyalty.ShiftRequest{ShiftID: shiftNo(1)})
	wantRefusal(t, err, loyalty.ShiftEnded)
	for name, try := range map[string]func() error{
		"sale": func() error { _, err := sellIn(t, l, "late", 1, 1, inShift(1, "")); return err },
		"open": func() error {
			_, err := l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "late", Card: cardOf(1), Receipt: fuel(1), Who: inShift(1, "")})
			return err
		},
		"refund": func() error {
			_, err := l.RefundSale(t.Context(), &loyalty.RefundRequest{Sale: "b", Refund: "r", Who: inShift(1, "")}, nil)
			return err
		},
		"card": func() error {
			_, err := l.IssueCard(t.Context(), &loyalty.IssueRequest{Card: cardOf(78), Who: inShift(1, "")})
			return err
		},
	} {
		if err := try(); !errors.Is(err, loyalty.ShiftEnded) {
			t.Errorf("%s in a closed shift: %v", name, err)
		}
	}
	if s, err := sellIn(t, l, "a", 1, 10, inShift(1, "Анна")); err != nil || s.ID != "a" {
		t.Errorf("asked again after the shift: %v", err)
	}
	if len(entries(t, l)) != len(all) {
		t.Error("refusals and repetitions appended")
	}
	ok(sellIn(t, l, "next", 1, 1, inShift(2, "")))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, cfg)
	list := must[[]*loyalty.Shift](t)(l.Shifts(10))
	if len(list) != 2 || list[0].Number != 2 || !list[0].Implied || !reflect.DeepEqual(list[1], closed) {
		t.Errorf("after a restart %+v", list)
	}
	if one := must[[]*loyalty.Shift](t)(l.Shifts(1)); len(one) != 1 || one[0].Number != 2 {
		t.Errorf("the last shift: %+v", one)
	}
	_, err = l.Shift(shiftNo(9))
	wantRefusal(t, err, loyalty.UnknownShift)
}

// An end that names no shift counts in that of the opening, with the cashier and counter of it, for shifts and velocity rules
// alike, and the entry says so.
func TestAnEndCountsWhereTheSaleWasOpened(t *testing.T) {
	cfg := testConfig(t)
	l, _ := hasty(t, cfg)
	ok := must[*loyalty.Sale](t)
	for _, id := range []loyalty.SaleID{"closed", "typed too", "resolved", "void"} {
		ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: id, Card: cardOf(1), Receipt: fuel(5), Manual: "порвана", Who: inShift(1, "Анна")}))
	}
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "closed", Receipt: fuel(4)}))
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "typed too", Receipt: fuel(4)}))
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "resolved", Receipt: fuel(4), Resolved: true, Who: loyalty.Who{Cashier: "Борис"}}))
	ok(l.VoidSale(t.Context(), &loyalty.VoidRequest{Sale: "void"}))
	s := must[*loyalty.Shift](t)(l.Shift(shiftNo(1)))
	if sum := s.Totals(); sum.Sales != 3 || sum.Voids != 1 || sum.Manual != 3 || len(s.Cashiers) != 2 || s.Cashiers[1].Cashier != "Борис" || s.Cashiers[1].Sales != 1 {
		t.Errorf("shift %+v", s)
	}
	wantAlerts(t, l, "typed typed too 2/1", "same-card resolved 3/2")
	for _, e := range entries(t, l) {
		if _, started := e.Body.(loyalty.Started); !started && (e.Shift != 1 || e.Counter != "1" || e.Cashier == "") {
			t.Errorf("entry %+v", e)
		}
	}
	// A refund is another day's: it counts where it says.
	ok(l.RefundSale(t.Context(), &loyalty.RefundRequest{Sale: "closed", Refund: "r"}, nil))
	if s := must[*loyalty.Shift](t)(l.Shift(shiftNo(1))); s.Totals().Refunds != 0 {
		t.Errorf("a refund of no shift counts: %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, cfg)
	for id, cashier := range map[loyalty.SaleID]string{"closed": "Анна", "resolved": "Борис", "void": "Анна"} {
		if s := ok(l.Sale(id)); s.By() != inShift(1, cashier) || s.Cashier != cashier || s.Shift != 1 {
			t.Errorf("sale %s by %+v", id, s.By())
		}
	}
}

// A sale that was opened in a shift, or is resolved, ends in it also when the shift has been closed meanwhile: it has happened. The totals
// that were compared stay as they were, and headquarters is told.
func TestAnOpenSaleEndsInAClosedShift(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	ok := must[*loyalty.Sale](t)
	turnTest(t, l.OpenShift, 1)
	ok(sellIn(t, l, "counts", 1, 3, inShift(1, "Анна")))
	for _, id := range []loyalty.SaleID{"closed", "resolved", "void"} {
		ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: id, Card: cardOf(1), Receipt: fuel(5), Redeem: 100_00, Who: inShift(1, "Анна")}))
	}
	closed := turnTest(t, l.CloseShift, 1, loyalty.Figure{Name: "sales", Amount: 1})
	if closed.Differs {
		t.Errorf("shift %+v", closed)
	}
	settled := &loyalty.CloseRequest{Sale: "never opened", Card: cardOf(1), Receipt: fuel(4), Resolved: true, Who: inShift(1, "Анна")}
	for range 2 { // asked again: told once
		ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "closed", Receipt: fuel(4), Redeem: 100_00, Who: inShift(1, "Анна")}))
		ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "resolved", Receipt: fuel(4), Redeem: 50_00, Resolved: true, Who: inShift(1, "Анна")}))
		ok(l.VoidSale(t.Context(), &loyalty.VoidRequest{Sale: "void", Who: inShift(1, "Анна")}))
		ok(l.CloseSale(t.Context(), settled))
	}
	wantAlerts(t, l, "shift-late closed 0/0", "shift-late resolved 0/0", "shift-late void 0/0", "shift-late never opened 0/0")
	_, err := l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "new", Card: cardOf(1), Receipt: fuel(4), Who: inShift(1, "")})
	wantRefusal(t, err, loyalty.ShiftEnded)
	same := func(when string) {
		t.Helper()
		s := must[*loyalty.Shift](t)(l.Shift(shiftNo(1)))
		if s.Totals() != closed.Totals() || !s.Closed || s.ClosedAt != closed.ClosedAt || s.Differs {
			t.Errorf("%s the shift is %+v, was %+v", when, s, closed)
		}
		checkTest(t, cfg.Path)
	}
	same("afterwards")
	turnTest(t, l.CloseShift, 1, loyalty.Figure{Name: "sales", Amount: 1})
	if err := l.NewEpoch(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	same("in a new epoch")
}

// Salvage does not count what came behind the shift's end, whatever is left of record and journal.
func TestSalvageKeepsClosedShifts(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, Config, place){
		"the record": func(t *testing.T, cfg Config, _ place) { breakRecord(t, cfg, bucketShift, shiftKey(shiftNo(1))) },
		"the end": func(t *testing.T, cfg Config, p place) {
			tamper(t, cfg, func(x *txn) error {
				seg := segmentOf(x.bucket(bucketJrn), p.key())
				return seg.Put(p.key(), []byte("what is left of it"))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			l, err := openTuned(cfg)
			if err == nil {
				err = l.LoadProgramme(t.Context(), []byte(testProgramme))
			}
			if err != nil {
				t.Fatal(err)
			}
			know(t, l, 1, 900_00, 500_00)
			ok := must[*loyalty.Sale](t)
			ok(sellIn(t, l, "counts", 1, 3, inShift(1, "Анна")))
			ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "late", Card: cardOf(1), Receipt: fuel(5), Who: inShift(1, "Анна")}))
			closed := turnTest(t, l.CloseShift, 1)
			ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "late", Receipt: fuel(4), Who: inShift(1, "Анна")}))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			lose(t, cfg, place{closed.Epoch, closed.Seq})
			l = openTest(t, cfg)
			if st, err := l.Status(); err != nil || st.Position.Epoch != 2 {
				t.Fatalf("status %+v, %v", st, err)
			}
			checkTest(t, cfg.Path)
			if s, err := l.Shift(shiftNo(1)); err != nil || s.Totals() != closed.Totals() || !s.Closed {
				t.Errorf("shift %+v, %v; was %+v", s, err, closed)
			}
		})
	}
}

// A shift stays as long as the last entry that stands in it, whether anybody closes it or not.
func TestShiftsAreTrimmedWithTheirLastEntry(t *testing.T) {
	cfg := testConfig(t)
	cfg.Retain = 24 * time.Hour
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 0)
	ok := must[*loyalty.Sale](t)
	turnTest(t, l.OpenShift, 1)
	ok(sellIn(t, l, "a", 1, 3, inShift(1, "")))
	turnTest(t, l.CloseShift, 1)
	ok(sellIn(t, l, "b", 1, 3, inShift(2, ""))) // nobody ever closes it
	ok(sellIn(t, l, "c", 1, 3, inShift(3, "")))
	at, _ := l.Now()
	l.HQTime(at.Add(72 * time.Hour))
	ok(sellIn(t, l, "d", 1, 3, inShift(3, "")))
	ok(sellIn(t, l, "e", 1, 3, loyalty.Who{}))
	ack(t, l, 0)
	if n, err := l.Trim(t.Context()); err != nil || n == 0 {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	list := must[[]*loyalty.Shift](t)(l.Shifts(10))
	if len(list) != 1 || list[0].Number != 3 || list[0].Totals().Sales != 2 {
		t.Errorf("shifts %+v", list)
	}
}

// What headquarters has not acknowledged moves to the new epoch, and the shifts with it; nothing counts twice.
func TestShiftsMoveToANewEpoch(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 0)
	ok := must[*loyalty.Sale](t)
	ok(sellIn(t, l, "a", 1, 3, inShift(1, "")))
	turnTest(t, l.CloseShift, 1)
	ok(sellIn(t, l, "b", 1, 3, inShift(2, "")))
	ack(t, l, 0)
	ok(sellIn(t, l, "c", 1, 3, inShift(2, "")))
	turnTest(t, l.OpenShift, 3)
	before := must[[]*loyalty.Shift](t)(l.Shifts(10))
	if err := l.NewEpoch(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	after := must[[]*loyalty.Shift](t)(l.Shifts(10))
	for i, s := range after {
		if want := loyalty.Epoch(2); s.Number > 1 && s.Epoch != want || s.Number == 1 && s.Epoch != 1 {
			t.Errorf("shift %d stands in epoch %d", s.Number, s.Epoch)
		}
		if s.Totals() != before[i].Totals() {
			t.Errorf("shift %d: %+v, was %+v", s.Number, s.Totals(), before[i].Totals())
		}
	}
	ok(sellIn(t, l, "d", 1, 3, inShift(2, "")))
	if s := must[*loyalty.Shift](t)(l.Shift(shiftNo(2))); s.Totals().Sales != 3 {
		t.Errorf("%+v", s.Totals())
	}
}

// Salvage counts shifts again by the journal, whether their records are lost, old or whole.
func TestSalvageRebuildsShifts(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 0)
	ok := must[*loyalty.Sale](t)
	turnTest(t, l.OpenShift, 1)
	ok(sellIn(t, l, "a", 1, 3, inShift(1, "Анна")))
	turnTest(t, l.CloseShift, 1, loyalty.Figure{Name: "sales", Amount: 7})
	ok(sellIn(t, l, "b", 1, 3, inShift(2, "Анна")))
	ack(t, l, 0)
	old := must[*records](t)(collect(cfg.Path)).plain[bucketShift]
	ok(sellIn(t, l, "c", 1, 3, inShift(2, "Борис")))
	if err := l.NewEpoch(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	ok(sellIn(t, l, "d", 1, 3, inShift(2, "Анна")))
	want := must[[]*loyalty.Shift](t)(l.Shifts(10))
	for name, shifts := range map[string]map[string][]byte{"lost": nil, "old": old, "whole": nil} {
		recs := must[*records](t)(collect(cfg.Path))
		if name != "whole" {
			recs.plain[bucketShift] = shifts
		}
		b := recs.rebuild()
		for _, w := range want {
			got := *b.shifts.shifts[w.ShiftID]
			got.Epoch, got.Seq = b.shifts.last[w.ShiftID].epoch, b.shifts.last[w.ShiftID].seq
			if !reflect.DeepEqual(&got, w) {
				t.Errorf("%s: shift %d is %+v, want %+v", name, w.Number, got, *w)
			}
		}
	}
}

// The whole-store check finds a shift that says otherwise than the journal.
func TestCheckFindsWrongShifts(t *testing.T) {
	for name, spoil := range map[string]func(*txn, *loyalty.Shift) error{
		"totals": func(_ *txn, s *loyalty.Shift) error { s.Cashiers[0].Earned++; return nil },
		"place":  func(_ *txn, s *loyalty.Shift) error { s.Seq--; return nil },
		"gone":   func(t *txn, s *loyalty.Shift) error { return t.delete(bucketShift, shiftKey(s.ShiftID)) },
		"differs": func(_ *txn, s *loyalty.Shift) error {
			s.Differs = true
			return nil
		},
		"made up": func(t *txn, s *loyalty.Shift) error {
			m, err := shiftMessage(&loyalty.Shift{ShiftID: shiftNo(9), Epoch: s.Epoch, Seq: s.Seq})
			return errors.Join(err, t.putMessage(bucketShift, shiftKey(shiftNo(9)), m))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			l, err := openTuned(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.LoadProgramme(t.Context(), []byte(testProgramme)); err != nil {
				t.Fatal(err)
			}
			must[*loyalty.Sale](t)(sellIn(t, l, "a", 1, 3, inShift(1, "Анна")))
			err = l.write(t.Context(), func(x *txn) error {
				s, err := x.shift(shiftNo(1))
				if err != nil {
					return err
				}
				if err := spoil(x, s); err != nil || name == "gone" || name == "made up" {
					return err
				}
				m, err := shiftMessage(s)
				if err != nil {
					return err
				}
				return x.putMessage(bucketShift, shiftKey(s.ShiftID), m)
			})
			if err := errors.Join(err, l.Close()); err != nil {
				t.Fatal(err)
			}
			if r, err := CheckFile(t.Context(), cfg.Path, nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(r.Findings[0], "shift") {
				t.Errorf("found %v, %v", r.Findings, err)
			}
		})
	}
}

func TestShiftRecordRefusesWhatCannotBe(t *testing.T) {
	s := &loyalty.Shift{ShiftID: shiftNo(4), OpenedAt: 5, Cashiers: []loyalty.CashierTotals{{Cashier: "Анна", Totals: loyalty.Totals{Sales: 2}}}}
	m, err := shiftMessage(s)
	if err != nil {
		t.Fatal(err)
	}
	m.Cashiers = append(m.Cashiers, []byte{0xff})
	b, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseShift(shiftNo(4), b); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a broken cashier: %v", err)
	}
	if _, err := parseShift(loyalty.ShiftID{}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no number: %v", err)
	}
}

// FuzzShiftRecord reads records of shifts and velocity counters of any content: what is read is written again the same.
func FuzzShiftRecord(f *testing.F) {
	m, err := shiftMessage(&loyalty.Shift{
		ShiftID: shiftNo(4), Closed: true, OpenedAt: 5, ClosedAt: 6, OpenedBy: "Анна", Epoch: 1, Seq: 9, Stated: []loyalty.Figure{{Name: "cash", Amount: 7}},
		Cashiers: []loyalty.CashierTotals{{Cashier: "Анна", Totals: loyalty.Totals{Sales: 2, Gross: 100}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	b, err := m.MarshalVT()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shiftKey(shiftNo(4)), b)
	f.Fuzz(func(t *testing.T, key, v []byte) {
		_, _ = parseWatch(v)
		s, err := parseShift(shiftOfKey(key), v)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if string(shiftKey(s.ShiftID)) != string(key) {
			t.Fatalf("key %x of %+v", key, s.ShiftID)
		}
		m, err := shiftMessage(s)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseShift(s.ShiftID, b); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%+v, %v; was %+v", again, err, s)
		}
	})
}
