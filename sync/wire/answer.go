package wire

import (
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Bounds of what an [pb.Answer] holds, beside that it is within [MaxMessage].
const (
	MaxHistory     = 200 // operations of a page
	MaxSaleRefunds = 256 // refunds of a sale
)

// ToSaleElsewhere reads what headquarters has of a sale. Every entry of it is of the sale that closed names, or it is an
// [ErrMessage].
func ToSaleElsewhere(m *pb.SaleState) (*loyalty.SaleElsewhere, error) {
	d := &decoder{}
	d.saleState(m)
	if d.err != nil {
		return nil, d.err
	}
	e, err := DecodeEntry(m.Closed)
	if err != nil {
		return nil, err
	}
	sale, ok := e.Body.(loyalty.SaleClosed)
	if !ok {
		d.fail("a sale closed by %T", e.Body)
		return nil, d.err
	}
	s := &loyalty.SaleElsewhere{Station: loyalty.StationID(m.Station), Closed: e}
	for _, r := range m.Refunds {
		x := loyalty.RefundElsewhere{Station: loyalty.StationID(r.Station), Epoch: loyalty.Epoch(r.Epoch), Seq: loyalty.Seq(r.Seq)}
		if x.Entry, err = DecodeEntry(r.Entry); err != nil {
			return nil, err
		}
		b, ok := x.Entry.Body.(loyalty.SaleRefunded)
		at := b.Station
		if at == 0 {
			at = x.Station
		}
		if !ok || b.Sale != sale.Sale || at != s.Station {
			d.fail("a refund of another sale")
			return nil, d.err
		}
		s.Refunds = append(s.Refunds, x)
	}
	return s, nil
}

// ToOperations reads a page of a history, newest first.
func ToOperations(m *pb.HistoryPage) ([]loyalty.Operation, error) {
	d := &decoder{}
	d.most("operations", len(m.GetOperations()), MaxHistory)
	if d.err != nil {
		return nil, d.err
	}
	out := make([]loyalty.Operation, 0, len(m.GetOperations()))
	for _, o := range m.GetOperations() {
		op, err := ToOperation(o)
		if err != nil {
			return nil, err
		}
		out = append(out, op)
	}
	return out, nil
}

func (d *decoder) ask(m *pb.Ask) {
	d.account(m.Account)
	d.card(m.Card)
	if m.TopUp != nil {
		d.statement(m.TopUp.Statement)
		d.points(m.TopUp.Want)
	}
	if i := m.Issue; i != nil {
		d.kind(i.Kind)
		d.check(loyalty.CardNumber(i.Card).Check())
		if m.Card == "" {
			d.fail("a card for the account of no card")
		}
	}
	if s := m.Sale; s != nil {
		d.enrolled(s.Station)
		d.sale(s.Sale)
	}
	if h := m.History; h != nil {
		if h.Limit == 0 || h.Limit > MaxHistory {
			d.fail("a history of %d operations", h.Limit)
		}
	}
	if (m.TopUp != nil || m.Issue != nil || m.Card != "" || m.Account != 0) && m.Sale != nil || m.History != nil && (m.TopUp != nil || m.Issue != nil || m.Sale != nil) {
		d.fail("several questions in one")
	}
}

func (d *decoder) answer(m *pb.Answer) {
	d.most("refusal", len(m.Refusal), loyalty.MaxSaleID)
	if m.Sale != nil {
		d.saleState(m.Sale)
	}
	d.most("operations", len(m.GetHistory().GetOperations()), MaxHistory)
}

func (d *decoder) saleState(m *pb.SaleState) {
	d.enrolled(m.GetStation())
	d.entrySize(m.GetClosed())
	d.most("refunds", len(m.GetRefunds()), MaxSaleRefunds)
	for _, r := range m.GetRefunds() {
		d.enrolled(r.Station)
		d.place(r.Epoch, r.Seq)
		d.entrySize(r.Entry)
	}
}

func (d *decoder) entrySize(b []byte) {
	if len(b) == 0 || len(b) > MaxEntry {
		d.fail("an entry of %d bytes", len(b))
	}
}
