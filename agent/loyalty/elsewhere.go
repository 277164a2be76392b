package loyalty

import (
	"fmt"
	"slices"
)

// SaleElsewhere is what headquarters has of a closed sale, whichever station it was at: the station that refunds it
// decides by that, since it does not have the sale itself or does not know what other stations have given back of it.
type SaleElsewhere struct {
	Station StationID // where the sale was
	Closed  *Entry    // that closed it; nil: headquarters has none
	Refunds []RefundElsewhere
}

// RefundElsewhere is a refund that headquarters has posted, with its place in the journal of the station that made it.
type RefundElsewhere struct {
	Station StationID
	Epoch   Epoch
	Seq     Seq
	Entry   *Entry
}

// ClosedSale is the sale that an entry closed, as far as the entry tells: not what opened it, nor the balances that were
// shown, nor the lots that paid. It is nil where the entry closed none.
func ClosedSale(e *Entry, seq Seq) *Sale {
	c, ok := e.Body.(SaleClosed)
	if !ok {
		return nil
	}
	card := c.Card
	if !c.Opened.IsZero() {
		card = ""
	}
	return &Sale{
		ID: c.Sale, State: SaleDone, OpOpen: c.Opened, OpEnd: e.Op, SeqEnd: seq, Account: c.Account, Card: c.Card,
		OpenedAt: c.OpenedAt, EndedAt: e.At, Reserved: c.Redeemed, Cashier: e.Cashier, Shift: e.Shift,
		Close: &CloseRequest{
			Sale: c.Sale, Card: card, Receipt: c.Receipt, Redeem: c.Redeemed, Manual: c.Manual, Resolved: c.Resolved,
			Who: Who{Cashier: e.Cashier, Shift: e.Shift, Counter: e.Counter},
		},
		Quote: Quote{
			Programme: e.Programme, Total: c.Receipt.Total(), Redeem: c.Redeemed, Discount: c.Discount, Pay: c.Receipt.Total() - c.Discount,
			Lines: c.LineDiscounts, Earn: c.Points(), LineEarn: c.LineEarned, Lots: c.Earned, Counted: c.Counted, Claims: c.Claims,
		},
	}
}

// RefundOf is the refund that an entry made, as far as the entry tells: not the balances that were shown. It is nil where
// the entry made none. The station is zero for one that was made here.
func RefundOf(station StationID, epoch Epoch, seq Seq, e *Entry) *Refund {
	r, ok := e.Body.(SaleRefunded)
	if !ok {
		return nil
	}
	return &Refund{
		ID: r.Refund, Station: station, Op: e.Op, Epoch: epoch, Seq: seq, At: e.At, Lines: r.Lines, Amount: r.Money() + r.Discount,
		Discount: r.Discount, Clawed: sumOf(r.Clawed), Returned: sumOf(r.Returned), Tender: r.Tender, Reason: r.Reason,
		Cashier: e.Cashier, Shift: e.Shift,
	}
}

// Hear takes in what headquarters has of the sale that is to be refunded: the sale itself, where these books have none or
// have lost what it was, and the refunds that they do not know. What headquarters says of another sale is [BadRequest].
func (b *Books) Hear(id SaleID, x *SaleElsewhere) error {
	if x == nil {
		return nil
	}
	if x.Closed != nil {
		s := ClosedSale(x.Closed, 0)
		if s == nil || s.ID != id || x.Station == 0 || s.Close.Receipt.Check() != nil {
			return fmt.Errorf("%w: headquarters answered of another sale than %q", BadRequest, id)
		}
		s.Station = x.Station
		switch {
		case b.Sale == nil:
			b.Sale = s
		case b.Sale.Close == nil && b.Sale.Station == x.Station:
			for _, f := range b.Sale.Refunds {
				s.AddRefund(f)
			}
			b.Sale = s
		}
	}
	if s := b.Sale; s != nil && s.State == SaleDone && s.Close != nil {
		for _, r := range x.Refunds {
			if err := s.hear(r, b.Station); err != nil {
				return err
			}
		}
	}
	return nil
}

// hear adds a refund that the sale does not have: refunds are told apart by the station that made them and its id for
// them. One that was made here and is forgotten stands in another life of the journal.
func (s *Sale) hear(r RefundElsewhere, here StationID) error {
	body, ok := r.Entry.Body.(SaleRefunded)
	if !ok || body.Sale != s.ID || r.Station == 0 || len(body.Lines) == 0 {
		return fmt.Errorf("%w: headquarters answered with a refund of another sale than %q", BadRequest, s.ID)
	}
	by := r.Station
	if by == here {
		by = 0
	}
	known := slices.ContainsFunc(s.Refunds, func(f *Refund) bool { return f.ID == body.Refund && f.Station == by })
	if !known {
		f := RefundOf(by, r.Epoch, r.Seq, r.Entry)
		f.Past = by == 0
		s.AddRefund(f)
	}
	return nil
}
