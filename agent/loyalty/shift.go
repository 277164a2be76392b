package loyalty

import (
	"fmt"
	"slices"
)

// ShiftID names a shift: a register numbers its own.
type ShiftID struct {
	Counter string
	Number  uint32 // from 1
}

// Check returns [BadRequest] unless the id is well-formed.
func (s ShiftID) Check() error {
	if s.Number == 0 {
		return fmt.Errorf("%w: a shift's number is from 1", BadRequest)
	}
	w := Who{Counter: s.Counter}
	return w.check()
}

// Totals are what was done in a shift. All are counted up, so that none is ever negative.
type Totals struct {
	Sales, Refunds, Voids int64
	Manual                int64   // sales whose card was typed in
	Cards                 int64   // cards given out
	Gross                 Kopecks // receipts before points
	Discount              Kopecks // of it, what points paid
	Paid                  [3]Kopecks
	Refunded              [3]Kopecks // money that went back; both by tender: cash, cashless, fuel card
	Redeemed, Earned      Points
	Returned, Clawed      Points // by refunds
}

// Figure is one of the totals by its name: a count, kopecks or hundredths of a point.
type Figure struct {
	Name   string
	Amount int64
}

// fields lists the figures in the order in which people read them.
func (t *Totals) fields() []struct {
	name string
	at   *int64
} {
	return []struct {
		name string
		at   *int64
	}{
		{"sales", &t.Sales}, {"refunds", &t.Refunds}, {"voids", &t.Voids}, {"manual", &t.Manual}, {"cards", &t.Cards},
		{"gross", (*int64)(&t.Gross)}, {"discount", (*int64)(&t.Discount)},
		{"cash", (*int64)(&t.Paid[0])}, {"cashless", (*int64)(&t.Paid[1])}, {"fuel_card", (*int64)(&t.Paid[2])},
		{"refunded_cash", (*int64)(&t.Refunded[0])}, {"refunded_cashless", (*int64)(&t.Refunded[1])}, {"refunded_fuel_card", (*int64)(&t.Refunded[2])},
		{"redeemed", (*int64)(&t.Redeemed)}, {"earned", (*int64)(&t.Earned)}, {"returned", (*int64)(&t.Returned)}, {"clawed", (*int64)(&t.Clawed)},
	}
}

// Figures are the totals that are not zero, by name.
func (t *Totals) Figures() (figures []Figure) {
	for _, f := range t.fields() {
		if *f.at != 0 {
			figures = append(figures, Figure{f.name, *f.at})
		}
	}
	return figures
}

// Figure is one of the totals; false if there is none of the name.
func (t *Totals) Figure(name string) (int64, bool) {
	for _, f := range t.fields() {
		if f.name == name {
			return *f.at, true
		}
	}
	return 0, false
}

// FigureNames are the names of the totals, in the order in which people read them.
func FigureNames() (names []string) {
	for _, f := range new(Totals).fields() {
		names = append(names, f.name)
	}
	return names
}

// TotalsOf puts figures together. It returns [BadRequest] for a name there is not, or an amount below zero.
func TotalsOf(figures []Figure) (t Totals, err error) {
	fields := t.fields()
	for _, f := range figures {
		i := slices.IndexFunc(fields, func(x struct {
			name string
			at   *int64
		}) bool {
			return x.name == f.Name
		})
		if i < 0 || f.Amount < 0 || f.Amount > int64(MaxCounter) {
			return Totals{}, fmt.Errorf("%w: total %.32q of %d", BadRequest, f.Name, f.Amount)
		}
		*fields[i].at = f.Amount
	}
	return t, nil
}

// Add adds other totals, up to [MaxCounter] each.
func (t *Totals) Add(o Totals) {
	theirs := o.fields()
	for i, f := range t.fields() {
		*f.at = min(*f.at+*theirs[i].at, int64(MaxCounter))
	}
}

// CashierTotals are what one cashier did in a shift.
type CashierTotals struct {
	Cashier string
	Totals
}

// ShiftOpened begins a shift. Its counter, number and cashier are the entry's.
type ShiftOpened struct{}

// ShiftClosed ends a shift. Its counter, number and the cashier who closed it are the entry's.
type ShiftClosed struct {
	OpenedAt Instant
	Implied  bool            // no register had opened it
	Cashiers []CashierTotals // by the station's own entries
	Stated   []Figure        // what the register said of the whole shift; none: nothing
	Differs  bool            // it said otherwise than the station's entries come to
}

// MaxCashiers bounds the cashiers of a shift: what more of them do is counted with the last.
const MaxCashiers = 64

func (ShiftOpened) isBody() {}
func (ShiftClosed) isBody() {}

// Shift is what the station keeps of a shift.
type Shift struct {
	ShiftID
	Closed   bool
	Implied  bool // nobody opened it: a sale named it first
	OpenedAt Instant
	ClosedAt Instant
	OpenedBy string // cashiers
	ClosedBy string
	Cashiers []CashierTotals // in the order in which they came
	Stated   []Figure        // what the register said when it closed it
	Differs  bool
	Epoch    Epoch // of the entry that closed it
	Seq      Seq
}

// Totals are those of all cashiers.
func (s *Shift) Totals() (sum Totals) {
	for i := range s.Cashiers {
		sum.Add(s.Cashiers[i].Totals)
	}
	return sum
}

// Mismatch is a figure that the register states otherwise.
type Mismatch struct {
	Name           string
	Here, Register int64
}

// Mismatches are the figures that the register stated otherwise, in its order.
func (s *Shift) Mismatches() (out []Mismatch) {
	sum := s.Totals()
	for _, f := range s.Stated {
		if here, _ := sum.Figure(f.Name); here != f.Amount {
			out = append(out, Mismatch{f.Name, here, f.Amount})
		}
	}
	return out
}
