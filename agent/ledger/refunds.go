package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// RefundSale gives a closed sale back, or a part of it: see [loyalty.Books.Refund]. It returns the sale with the refund
// among its refunds. Durability, repetition and refusals are as in [Ledger.OpenSale]. A sale can be refunded, and a refund
// asked for again, as long as the sale's last entry is kept: see [Config].
//
// elsewhere is what headquarters has just said of the sale, nil if it has not been asked: without it, a sale of this
// station is refunded by what this station knows, and one of another station is [loyalty.Offline], unless the refund was
// made here before. With it a sale of this station that is not kept any more is refunded too.
func (l *Ledger) RefundSale(ctx context.Context, r *loyalty.RefundRequest, elsewhere *loyalty.SaleElsewhere) (*loyalty.Sale, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	var answer *loyalty.Sale
	err := l.write(ctx, func(t *txn) (err error) {
		answer, err = t.refund(r, elsewhere)
		return err
	})
	if err != nil {
		return nil, l.tellRefused(ctx, err)
	}
	return answer, nil
}

// refund carries a refund out: everything that can refuse comes before the first write. Cells are not touched.
func (t *txn) refund(r *loyalty.RefundRequest, elsewhere *loyalty.SaleElsewhere) (*loyalty.Sale, error) {
	at, reading, err := t.nextPlace()
	if err != nil {
		return nil, err
	}
	b, epochEnd, err := t.refundBooks(r, elsewhere, at.At)
	if err != nil {
		return nil, err
	}
	s, body, err := b.Refund(r, at)
	if err != nil || body == nil {
		return s, err
	}
	c, err := prepare(at, reading, r.Who, s.Quote.Programme, body)
	if err != nil {
		return nil, err
	}
	odd, err := t.oddCard(r, s)
	if err != nil {
		return nil, err
	}
	with, err := t.beside(c, at, reading, odd...)
	if err != nil {
		return nil, err
	}
	if err := t.appendWith(c, reading, with); err != nil {
		return nil, err
	}
	if err := t.putSale(sale{s, epochEnd}); err != nil || !b.Known {
		return s, err
	}
	return s, t.putAccount(&b.Local)
}

// last is the place of the sale's last entry in this journal; nowhere if there is none.
func (s sale) last() place {
	for _, f := range slices.Backward(s.Refunds) {
		if inJournal(f) {
			return place{f.Epoch, f.Seq}
		}
	}
	return place{s.epochEnd, s.SeqEnd}
}

// inJournal tells whether this journal has the refund's entry.
func inJournal(f *loyalty.Refund) bool { return f.Station == 0 && !f.Past }

// moveRefund moves a refund to its entry's new place.
func (t *txn) moveRefund(r loyalty.SaleRefunded, from, to place) error {
	s, err := t.saleAt(saleKey{r.Station, r.Sale})
	if err != nil || s.Sale == nil {
		return err
	}
	f := s.Refund(r.Refund)
	if f == nil || !inJournal(f) || (place{f.Epoch, f.Seq}) != from {
		return nil
	}
	f.Epoch, f.Seq = to.epoch, to.seq
	return t.putSale(s)
}

// refunded adds the refund of an entry to its sale. What the entry does not say (the balances that were shown) is lost.
func (b *rebuilt) refunded(p place, e *loyalty.Entry, r loyalty.SaleRefunded) {
	s := b.sales[r.Sale].Sale
	if r.Station != 0 {
		s = b.awayOf(r)
	}
	if s == nil || s.OpEnd != r.Closed {
		return // without its sale it says nothing that a register could ask for
	}
	if f := s.Refund(r.Refund); f != nil {
		if f.Op == e.Op {
			f.Epoch, f.Seq, f.Past = p.epoch, p.seq, false
		}
		return
	}
	s.AddRefund(loyalty.RefundOf(0, p.epoch, p.seq, e))
}

func refundMessages(refunds []*loyalty.Refund) (ms []*ledgerpb.Refund, err error) {
	for _, f := range refunds {
		m := &ledgerpb.Refund{
			Id: string(f.ID), Op: f.Op[:], Epoch: uint32(f.Epoch), Seq: uint64(f.Seq), At: int64(f.At), All: f.All, Amount: int64(f.Amount),
			Discount: int64(f.Discount), Clawed: int64(f.Clawed), Returned: int64(f.Returned), Total: int64(f.Total), Avail: int64(f.Avail),
			Debt: int64(f.Debt), Reason: f.Reason, Cashier: f.Cashier, Shift: f.Shift, Station: uint32(f.Station),
			Tender: uint32(f.Tender), Past: f.Past,
		}
		for _, l := range wire.FromRefundLines(f.Lines) {
			b, err := l.MarshalVT()
			if err != nil {
				return nil, fmt.Errorf("encode a refund's line: %w", err)
			}
			m.Lines = append(m.Lines, b)
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func parseRefunds(ms []*ledgerpb.Refund) (refunds []*loyalty.Refund, err error) {
	for _, m := range ms {
		f := &loyalty.Refund{
			ID: loyalty.RefundID(m.Id), Op: parseOp(m.Op), Epoch: loyalty.Epoch(m.Epoch), Seq: loyalty.Seq(m.Seq), At: loyalty.Instant(m.At),
			All: m.All, Amount: loyalty.Kopecks(m.Amount), Discount: loyalty.Kopecks(m.Discount), Clawed: loyalty.Points(m.Clawed),
			Returned: loyalty.Points(m.Returned), Total: loyalty.Points(m.Total), Avail: loyalty.Points(m.Avail), Debt: loyalty.Points(m.Debt),
			Reason: m.Reason, Cashier: m.Cashier, Shift: m.Shift, Station: loyalty.StationID(m.Station),
			Tender: loyalty.Tender(m.Tender & 0xff), Past: m.Past,
		}
		for _, b := range m.Lines {
			var l pb.RefundLine
			if err := l.UnmarshalVT(b); err != nil {
				return nil, fmt.Errorf("%w: refund %q: %w", ErrCorrupt, m.Id, err)
			}
			f.Lines = append(f.Lines, loyalty.RefundLine{
				Line: int(l.Line), Volume: loyalty.Millilitres(l.Volume), Count: int64(l.Count), Amount: loyalty.Kopecks(l.Amount),
			})
		}
		if err := loyalty.CheckRefundLines(f.Lines); err != nil {
			return nil, fmt.Errorf("%w: refund %q: %w", ErrCorrupt, m.Id, err)
		}
		refunds = append(refunds, f)
	}
	return refunds, nil
}

func lotMessages(lots []loyalty.Lot) (ms []*ledgerpb.Lot) {
	for _, l := range lots {
		ms = append(ms, &ledgerpb.Lot{Amount: int64(l.Amount), ActiveFrom: int64(l.ActiveFrom), Expires: int64(l.Expires)})
	}
	return ms
}

func parseLots(ms []*ledgerpb.Lot) (lots []loyalty.Lot) {
	for _, m := range ms {
		lots = append(lots, loyalty.Lot{Amount: loyalty.Points(m.Amount), ActiveFrom: loyalty.Instant(m.ActiveFrom), Expires: loyalty.Instant(m.Expires)})
	}
	return lots
}

func tallyMessages(tallies []loyalty.Tally) (ms [][]byte, err error) {
	for _, t := range tallies {
		m := pb.Tally{Counter: string(t.Counter), Amount: uint64(t.Amount), From: int64(t.From), Until: int64(t.Until)}
		b, err := m.MarshalVT()
		if err != nil {
			return nil, fmt.Errorf("encode a tally: %w", err)
		}
		ms = append(ms, b)
	}
	return ms, nil
}

func parseTallies(ms [][]byte) (tallies []loyalty.Tally, err error) {
	for _, b := range ms {
		var m pb.Tally
		if err := m.UnmarshalVT(b); err != nil {
			return nil, fmt.Errorf("%w: tally: %w", ErrCorrupt, err)
		}
		t := loyalty.Tally{Counter: loyalty.Counter(m.Counter), Amount: int64(m.Amount), From: loyalty.Instant(m.From), Until: loyalty.Instant(m.Until)}
		if err := t.Check(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		tallies = append(tallies, t)
	}
	return tallies, nil
}
