package loyalty

import (
	"cmp"
	"fmt"
	"slices"
)

// ShiftRequest asks to open or to close a shift.
type ShiftRequest struct {
	ShiftID
	Cashier string   // who opens or closes it
	Stated  []Figure // to close: what the register says of the whole shift, each figure once; none: nothing
}

// Check returns [BadRequest] unless the request is well-formed.
func (r *ShiftRequest) Check() error {
	if err := firstError(r.ShiftID.Check, text("cashier", r.Cashier)); err != nil {
		return err
	}
	for i, f := range r.Stated {
		if slices.ContainsFunc(r.Stated[:i], func(o Figure) bool { return o.Name == f.Name }) {
			return fmt.Errorf("%w: total %.32q is stated twice", BadRequest, f.Name)
		}
	}
	_, err := TotalsOf(r.Stated)
	return err
}

// Who is at whose hands the shift is opened or closed.
func (r *ShiftRequest) Who() Who { return Who{Cashier: r.Cashier, Shift: r.Number, Counter: r.Counter} }

// OpenShift opens a shift; was is what the station has of it, nil if nothing. Asked again, of a shift that is open, it
// returns the shift as it stands and no body; of one that is closed, [ShiftEnded]. A shift that a sale has named before
// anybody opened it goes on as an opened one.
func OpenShift(was *Shift, r *ShiftRequest, at Place) (*Shift, Body, error) {
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("open shift: %w", err)
	}
	switch {
	case was == nil:
		was = &Shift{ShiftID: r.ShiftID, OpenedAt: at.At}
	case was.Closed:
		return nil, nil, fmt.Errorf("open shift %d: %w", r.Number, ShiftEnded)
	case !was.Implied:
		return was, nil, nil
	}
	s := *was
	s.Implied, s.OpenedBy, s.Epoch, s.Seq = false, r.Cashier, at.Epoch, at.Seq
	return &s, ShiftOpened{}, nil
}

// CloseShift closes a shift and compares what the register states with what the station has counted; was is what the
// station has of it, nil if nothing: [UnknownShift]. Asked again with the same figures it returns the shift as it stands
// and no body; with others [Conflict].
func CloseShift(was *Shift, r *ShiftRequest, at Place) (*Shift, Body, error) {
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("close shift: %w", err)
	}
	switch {
	case was == nil:
		return nil, nil, fmt.Errorf("close shift %d: %w", r.Number, UnknownShift)
	case was.Closed && sameFigures(was.Stated, r.Stated):
		return was, nil, nil
	case was.Closed:
		return nil, nil, fmt.Errorf("close shift %d with other figures: %w", r.Number, Conflict)
	}
	s := *was
	s.Closed, s.ClosedAt, s.ClosedBy, s.Stated, s.Epoch, s.Seq = true, at.At, r.Cashier, r.Stated, at.Epoch, at.Seq
	s.Differs = len(s.Mismatches()) > 0
	return &s, ShiftClosed{OpenedAt: s.OpenedAt, Implied: s.Implied, Cashiers: s.Cashiers, Stated: s.Stated, Differs: s.Differs}, nil
}

// sameFigures tells whether the same is stated, in whatever order.
func sameFigures(a, b []Figure) bool {
	byName := func(f []Figure) []Figure {
		return slices.SortedFunc(slices.Values(f), func(x, y Figure) int { return cmp.Compare(x.Name, y.Name) })
	}
	return slices.Equal(byName(a), byName(b))
}

// ShiftOf is the shift that an entry stands in; false if it stands in none: its operation was done outside of any shift,
// or is nothing that shifts count.
func ShiftOf(e *Entry) (ShiftID, bool) {
	id := ShiftID{Counter: e.Counter, Number: e.Shift}
	if id.Number == 0 {
		return ShiftID{}, false
	}
	switch e.Body.(type) {
	case SaleClosed, SaleRefunded, SaleVoided, CardIssued, ShiftOpened, ShiftClosed:
		return id, true
	}
	return ShiftID{}, false
}

// HasHappened tells whether a body only puts down what has happened, whatever has become of its shift and whatever rules
// say: it ends a sale that was opened, or settles one after a crash by what the POS's receipt log says.
func HasHappened(b Body) bool {
	switch b := b.(type) {
	case SaleClosed:
		return !b.Opened.IsZero() || b.Resolved
	case SaleVoided:
		return true
	}
	return false
}

// NoteShift counts an entry into its shift; was is what the station has of it, nil if nothing: the entry implies it. The
// result is new: was is not changed. An entry that opens or closes the shift makes it what the entry says. Any
// other one in a shift that is closed only becomes its last.
func NoteShift(was *Shift, epoch Epoch, seq Seq, e *Entry) *Shift {
	s := Shift{ShiftID: ShiftID{Counter: e.Counter, Number: e.Shift}, Implied: true, OpenedAt: e.At}
	if was != nil {
		s = *was
	}
	s.Epoch, s.Seq = epoch, seq
	switch b := e.Body.(type) {
	case ShiftOpened:
		s.Implied, s.OpenedBy = false, e.Cashier
	case ShiftClosed:
		s.Closed, s.ClosedAt, s.ClosedBy = true, e.At, e.Cashier
		s.OpenedAt, s.Implied, s.Cashiers, s.Stated, s.Differs = b.OpenedAt, b.Implied, b.Cashiers, b.Stated, b.Differs
	default:
		if s.Closed {
			break
		}
		s.Cashiers = slices.Clone(s.Cashiers)
		s.of(e.Cashier).Add(TotalsOfEntry(e))
	}
	return &s
}

// of are the totals of a cashier.
func (s *Shift) of(cashier string) *Totals {
	i := slices.IndexFunc(s.Cashiers, func(c CashierTotals) bool { return c.Cashier == cashier })
	if i < 0 && len(s.Cashiers) < MaxCashiers {
		s.Cashiers = append(s.Cashiers, CashierTotals{Cashier: cashier})
	}
	if i < 0 {
		i = len(s.Cashiers) - 1
	}
	return &s.Cashiers[i].Totals
}

// TotalsOfEntry is what one entry adds to the totals of its shift.
func TotalsOfEntry(e *Entry) (t Totals) {
	switch b := e.Body.(type) {
	case SaleClosed:
		t.Sales, t.Gross, t.Discount, t.Redeemed, t.Earned = 1, b.Receipt.Total(), b.Discount, b.Redeemed, b.Points()
		if b.Manual != "" {
			t.Manual = 1
		}
		for _, p := range b.Receipt.Payments {
			t.Paid[p.Tender-Cash] += p.Amount
		}
		if len(b.Receipt.Payments) == 0 {
			t.Paid[b.Receipt.Tender-Cash] = t.Gross - t.Discount
		}
	case SaleRefunded:
		t.Refunds, t.Returned, t.Clawed = 1, sumOf(b.Returned), sumOf(b.Clawed)
		if b.Tender != 0 {
			t.Refunded[b.Tender-Cash] = b.Money()
		}
	case SaleVoided:
		t.Voids = 1
	case CardIssued:
		t.Cards = 1
	}
	return t
}
