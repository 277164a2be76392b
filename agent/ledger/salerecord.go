package ledger

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// sale is a sale with the epoch in which it ended.
type sale struct {
	*loyalty.Sale
	epochEnd loyalty.Epoch
}

func (s sale) message() (*ledgerpb.Sale, error) {
	m := &ledgerpb.Sale{
		State: uint32(s.State), SeqEnd: uint64(s.SeqEnd), Account: uint64(s.Account), Card: string(s.Card),
		OpenedAt: int64(s.OpenedAt), EndedAt: int64(s.EndedAt), Reserved: uint64(s.Reserved), Quote: quoteMessage(&s.Quote),
		Total: int64(s.Total), Avail: int64(s.Avail), Cashier: s.Cashier, Shift: s.Shift, EpochEnd: uint32(s.epochEnd),
	}
	if !s.OpOpen.IsZero() {
		m.OpOpen = s.OpOpen[:]
	}
	if !s.OpEnd.IsZero() {
		m.OpEnd = s.OpEnd[:]
	}
	var err error
	if m.Quote.Counted, err = tallyMessages(s.Quote.Counted); err != nil {
		return nil, err
	}
	m.Paid = lotMessages(s.Paid)
	if s.Expiring.Amount > 0 {
		m.Expiring = &ledgerpb.Lot{Amount: int64(s.Expiring.Amount), Expires: int64(s.Expiring.Expires)}
	}
	if m.Refunds, err = refundMessages(s.Refunds); err != nil {
		return nil, err
	}
	if o := s.Open; o != nil {
		m.Open = &ledgerpb.Request{Card: string(o.Card), Redeem: uint64(o.Redeem), Manual: o.Manual, Cashier: o.Cashier, Shift: o.Shift, Counter: o.Counter}
		if m.Open.Receipt, err = wire.FromReceipt(&o.Receipt).MarshalVT(); err != nil {
			return nil, fmt.Errorf("encode receipt: %w", err)
		}
	}
	if c := s.Close; c != nil {
		m.Close = &ledgerpb.Request{
			Card: string(c.Card), Redeem: uint64(c.Redeem), Manual: c.Manual, Resolved: c.Resolved, Cashier: c.Cashier, Shift: c.Shift,
			Counter: c.Counter,
		}
		if m.Close.Receipt, err = wire.FromReceipt(&c.Receipt).MarshalVT(); err != nil {
			return nil, fmt.Errorf("encode receipt: %w", err)
		}
	}
	if v := s.Void; v != nil {
		m.Void = &ledgerpb.Request{Reason: v.Reason, Resolved: v.Resolved, Cashier: v.Cashier, Shift: v.Shift, Counter: v.Counter}
	}
	return m, nil
}

func parseSale(id loyalty.SaleID, b []byte) (sale, error) {
	var m ledgerpb.Sale
	if err := m.UnmarshalVT(b); err != nil {
		return sale{}, fmt.Errorf("%w: sale %q: %w", ErrCorrupt, id, err)
	}
	s := sale{epochEnd: loyalty.Epoch(m.EpochEnd), Sale: &loyalty.Sale{
		ID: id, State: loyalty.SaleState(m.State & 0xff), OpOpen: parseOp(m.OpOpen), OpEnd: parseOp(m.OpEnd), SeqEnd: loyalty.Seq(m.SeqEnd),
		Account: loyalty.AccountID(m.Account), Card: loyalty.CardNumber(m.Card), OpenedAt: loyalty.Instant(m.OpenedAt),
		EndedAt: loyalty.Instant(m.EndedAt), Reserved: loyalty.Points(m.Reserved), Quote: parseQuote(m.Quote),
		Total: loyalty.Points(m.Total), Avail: loyalty.Points(m.Avail), Cashier: m.Cashier, Shift: m.Shift, Paid: parseLots(m.Paid),
	}}
	if e := m.Expiring; e != nil {
		s.Expiring = loyalty.Lot{Amount: loyalty.Points(e.Amount), Expires: loyalty.Instant(e.Expires)}
	}
	var err error
	if s.Quote.Counted, err = parseTallies(m.GetQuote().GetCounted()); err != nil {
		return sale{}, fmt.Errorf("sale %q: %w", id, err)
	}
	if s.Refunds, err = parseRefunds(m.Refunds); err != nil {
		return sale{}, fmt.Errorf("sale %q: %w", id, err)
	}
	if o := m.Open; o != nil {
		r, err := parseReceipt(o.Receipt)
		if err != nil {
			return sale{}, fmt.Errorf("sale %q: %w", id, err)
		}
		s.Open = &loyalty.OpenRequest{
			Sale: id, Card: loyalty.CardNumber(o.Card), Receipt: r, Redeem: loyalty.Points(o.Redeem), Manual: o.Manual,
			Who: loyalty.Who{Cashier: o.Cashier, Shift: o.Shift, Counter: o.Counter},
		}
	}
	if c := m.Close; c != nil {
		r, err := parseReceipt(c.Receipt)
		if err != nil {
			return sale{}, fmt.Errorf("sale %q: %w", id, err)
		}
		s.Close = &loyalty.CloseRequest{
			Sale: id, Card: loyalty.CardNumber(c.Card), Receipt: r, Redeem: loyalty.Points(c.Redeem), Manual: c.Manual, Resolved: c.Resolved,
			Who: loyalty.Who{Cashier: c.Cashier, Shift: c.Shift, Counter: c.Counter},
		}
	}
	if v := m.Void; v != nil {
		s.Void = &loyalty.VoidRequest{
			Sale: id, Reason: v.Reason, Resolved: v.Resolved, Who: loyalty.Who{Cashier: v.Cashier, Shift: v.Shift, Counter: v.Counter},
		}
	}
	return s, nil
}

func parseOp(b []byte) loyalty.OpID {
	if len(b) != len(loyalty.OpID{}) {
		return loyalty.OpID{}
	}
	return loyalty.OpID(b)
}

func parseReceipt(b []byte) (loyalty.Receipt, error) {
	var m pb.Receipt
	if err := m.UnmarshalVT(b); err != nil {
		return loyalty.Receipt{}, fmt.Errorf("%w: receipt: %w", ErrCorrupt, err)
	}
	r := loyalty.Receipt{Tender: loyalty.Tender(m.Tender & 0xff), Lines: make([]loyalty.Line, len(m.Lines)), Promo: m.Promo}
	for i, l := range m.Lines {
		r.Lines[i] = loyalty.Line{
			Kind: loyalty.LineKind(l.Kind & 0xff), Code: l.Code, Group: l.Group,
			Volume: loyalty.Millilitres(l.Volume), Count: int64(l.Count), Amount: loyalty.Kopecks(l.Amount),
		}
	}
	for _, p := range m.Payments {
		r.Payments = append(r.Payments, loyalty.Payment{Tender: loyalty.Tender(p.Tender & 0xff), Amount: loyalty.Kopecks(p.Amount)})
	}
	if err := r.Check(); err != nil {
		return loyalty.Receipt{}, fmt.Errorf("%w: receipt: %w", ErrCorrupt, err)
	}
	return r, nil
}

func quoteMessage(q *loyalty.Quote) *ledgerpb.Quote {
	m := &ledgerpb.Quote{
		Programme: q.Programme, Total: int64(q.Total), Redeem: int64(q.Redeem), Discount: int64(q.Discount), Pay: int64(q.Pay),
		Earn: int64(q.Earn), Form: uint32(q.Form), MaxRedeem: int64(q.MaxRedeem), Step: int64(q.Step),
	}
	for _, k := range q.Lines {
		m.Lines = append(m.Lines, int64(k))
	}
	for _, p := range q.LineEarn {
		m.LineEarn = append(m.LineEarn, int64(p))
	}
	m.Lots = lotMessages(q.Booked())
	for _, r := range q.Promo {
		m.Promo = append(m.Promo, string(r))
	}
	for _, r := range q.Reasons {
		m.Reasons = append(m.Reasons, string(r))
	}
	if p := q.Progress; p != (loyalty.Progress{}) {
		m.Progress = &ledgerpb.Progress{
			TierRu: p.Tier.RU, TierEn: p.Tier.EN, NextRu: p.Next.RU, NextEn: p.Next.EN, Unit: uint32(p.Unit), Have: p.Have, Need: p.Need,
		}
	}
	return m
}

func parseQuote(m *ledgerpb.Quote) loyalty.Quote {
	if m == nil {
		return loyalty.Quote{}
	}
	q := loyalty.Quote{
		Programme: m.Programme, Total: loyalty.Kopecks(m.Total), Redeem: loyalty.Points(m.Redeem), Discount: loyalty.Kopecks(m.Discount),
		Pay: loyalty.Kopecks(m.Pay), Earn: loyalty.Points(m.Earn), Form: loyalty.FiscalForm(m.Form & 0xff), MaxRedeem: loyalty.Points(m.MaxRedeem),
		Step: loyalty.Points(max(m.Step, 0)),
	}
	for _, k := range m.Lines {
		q.Lines = append(q.Lines, loyalty.Kopecks(k))
	}
	for _, p := range m.LineEarn {
		q.LineEarn = append(q.LineEarn, loyalty.Points(p))
	}
	q.Lots = parseLots(m.Lots)
	for _, r := range m.Promo {
		q.Promo = append(q.Promo, loyalty.Refusal(r))
	}
	for _, r := range m.Reasons {
		q.Reasons = append(q.Reasons, loyalty.Refusal(r))
	}
	if p := m.Progress; p != nil {
		q.Progress = loyalty.Progress{
			Tier: loyalty.Text{RU: p.TierRu, EN: p.TierEn}, Next: loyalty.Text{RU: p.NextRu, EN: p.NextEn},
			Unit: loyalty.LineKind(p.Unit & 0xff), Have: p.Have, Need: p.Need,
		}
	}
	return q
}
