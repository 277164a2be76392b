package wire

import (
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// setMore sets the message of what is neither a sale nor a cell: cards, shifts, alerts, and what headquarters does of its
// own accord. It tells whether the body is one of them.
func setMore(m *pb.Entry, body loyalty.Body) bool {
	switch b := body.(type) {
	case loyalty.CardIssued:
		m.Body = &pb.Entry_CardIssued{CardIssued: &pb.CardIssued{
			Card: string(b.Card), Kind: uint32(b.Kind), For: string(b.For), Replaces: b.Replaces, Form: hashBytes(b.Form),
		}}
	case loyalty.ShiftOpened:
		m.Body = &pb.Entry_ShiftOpened{ShiftOpened: &pb.ShiftOpened{}}
	case loyalty.ShiftClosed:
		s := &pb.ShiftClosed{OpenedAt: int64(b.OpenedAt), Implied: b.Implied, Stated: FromFigures(b.Stated), Differs: b.Differs}
		for i := range b.Cashiers {
			s.Cashiers = append(s.Cashiers, FromCashier(&b.Cashiers[i]))
		}
		m.Body = &pb.Entry_ShiftClosed{ShiftClosed: s}
	case loyalty.Alerted:
		m.Body = &pb.Entry_Alerted{Alerted: &pb.Alerted{
			Rule: b.Rule, Account: uint64(b.Account), Card: string(b.Card), Sale: string(b.Sale),
			Count: uint64(b.Count), AtMost: uint64(b.AtMost), Refused: b.Refused,
		}}
	default:
		return setOwn(m, body)
	}
	return true
}

func setOwn(m *pb.Entry, body loyalty.Body) bool {
	switch b := body.(type) {
	case loyalty.Adjusted:
		m.Body = &pb.Entry_Adjusted{Adjusted: &pb.Adjusted{
			Account: uint64(b.Account), Partner: b.Partner, Ref: b.Ref, Accrued: fromLots(b.Accrued), Clawed: fromLots(b.Clawed),
			Uncounted: fromTallies(b.Uncounted), Reason: b.Reason, Operator: b.Operator,
		}}
	case loyalty.AccountChanged:
		m.Body = &pb.Entry_AccountChanged{AccountChanged: &pb.AccountChanged{
			Account: uint64(b.Account), State: uint32(b.State), Joined: int64(b.Joined), RedeemOn: b.RedeemOn, Reason: b.Reason, Operator: b.Operator,
		}}
	case loyalty.CardChanged:
		m.Body = &pb.Entry_CardChanged{CardChanged: &pb.CardChanged{
			Account: uint64(b.Account), Card: string(b.Card), Kind: uint32(b.Kind), State: uint32(b.State), MayRedeem: b.MayRedeem,
			Reason: b.Reason, Operator: b.Operator,
		}}
	case loyalty.AccountAdvanced:
		m.Body = &pb.Entry_AccountAdvanced{AccountAdvanced: &pb.AccountAdvanced{
			Account: uint64(b.Account), Through: int64(b.Through), Activated: uint64(b.Activated), Expired: uint64(b.Expired),
			Before: b.Before, After: b.After,
		}}
	case loyalty.AccountBurned:
		m.Body = &pb.Entry_AccountBurned{AccountBurned: &pb.AccountBurned{
			Account: uint64(b.Account), Burned: uint64(b.Burned), Reason: b.Reason, Operator: b.Operator,
		}}
	case loyalty.AccountForgotten:
		f := &pb.AccountForgotten{Account: uint64(b.Account), Reason: b.Reason, Operator: b.Operator}
		for _, h := range b.Forms {
			f.Forms = append(f.Forms, h[:])
		}
		m.Body = &pb.Entry_AccountForgotten{AccountForgotten: f}
	case loyalty.ProgrammePublished:
		m.Body = &pb.Entry_ProgrammePublished{ProgrammePublished: &pb.ProgrammePublished{
			Version: b.Version, Name: b.Name, Hash: b.Hash[:], Effective: int64(b.Effective), Reason: b.Reason, Operator: b.Operator,
		}}
	default:
		return false
	}
	return true
}

// more reads what setMore sets; nil if the message is nothing of it.
func (d *decoder) more(m *pb.Entry) loyalty.Body {
	switch b := m.Body.(type) {
	case *pb.Entry_CardIssued:
		return d.cardIssued(b.CardIssued)
	case *pb.Entry_ShiftOpened:
		return loyalty.ShiftOpened{}
	case *pb.Entry_ShiftClosed:
		return d.shiftClosed(b.ShiftClosed)
	case *pb.Entry_Alerted:
		a := loyalty.Alerted{
			Rule: b.Alerted.Rule, Account: d.account(b.Alerted.Account), Card: d.card(b.Alerted.Card), Sale: loyalty.SaleID(d.text(b.Alerted.Sale)),
			Count: int64(d.counter(b.Alerted.Count)), AtMost: int64(d.counter(b.Alerted.AtMost)), Refused: b.Alerted.Refused,
		}
		d.check(a.Check())
		return a
	case *pb.Entry_Adjusted:
		a := b.Adjusted
		return loyalty.Adjusted{
			Account: d.account(a.Account), Partner: d.text(a.Partner), Ref: d.text(a.Ref), Accrued: d.lots(a.Accrued),
			Undo: loyalty.Undo{Clawed: d.lots(a.Clawed), Uncounted: d.tallies(a.Uncounted)}, Reason: d.text(a.Reason), Operator: d.text(a.Operator),
		}
	case *pb.Entry_AccountChanged:
		a := b.AccountChanged
		return loyalty.AccountChanged{
			Account: d.account(a.Account), State: d.state(a.State), Joined: loyalty.Instant(a.Joined), RedeemOn: a.RedeemOn,
			Reason: d.text(a.Reason), Operator: d.text(a.Operator),
		}
	case *pb.Entry_CardChanged:
		c := b.CardChanged
		return loyalty.CardChanged{
			Account: d.account(c.Account), Card: d.card(c.Card), Kind: d.kind(c.Kind), State: d.state(c.State), MayRedeem: c.MayRedeem,
			Reason: d.text(c.Reason), Operator: d.text(c.Operator),
		}
	case *pb.Entry_AccountAdvanced:
		a := b.AccountAdvanced
		return loyalty.AccountAdvanced{
			Account: d.account(a.Account), Through: loyalty.Instant(a.Through), Activated: d.counter(a.Activated), Expired: d.counter(a.Expired),
			Before: d.text(a.Before), After: d.text(a.After),
		}
	case *pb.Entry_AccountBurned:
		a := b.AccountBurned
		return loyalty.AccountBurned{Account: d.account(a.Account), Burned: d.points(a.Burned), Reason: d.text(a.Reason), Operator: d.text(a.Operator)}
	case *pb.Entry_AccountForgotten:
		return d.forgotten(b.AccountForgotten)
	case *pb.Entry_ProgrammePublished:
		return d.published(b.ProgrammePublished)
	}
	return nil
}

func (d *decoder) cardIssued(m *pb.CardIssued) loyalty.Body {
	c := loyalty.CardIssued{Card: d.card(m.Card), Kind: d.kind(m.Kind), For: d.card(m.For), Replaces: m.Replaces, Form: d.hash(m.Form)}
	if c.Card == "" {
		d.fail("a card without a number")
	}
	return c
}

func (d *decoder) shiftClosed(m *pb.ShiftClosed) loyalty.Body {
	s := loyalty.ShiftClosed{OpenedAt: loyalty.Instant(m.OpenedAt), Implied: m.Implied, Stated: d.figures(m.Stated), Differs: m.Differs}
	if len(m.Cashiers) > loyalty.MaxCashiers {
		d.fail("%d cashiers", len(m.Cashiers))
		return s
	}
	for _, c := range m.Cashiers {
		t, err := ToCashier(c)
		d.check(err)
		s.Cashiers = append(s.Cashiers, t)
	}
	return s
}

func (d *decoder) forgotten(m *pb.AccountForgotten) loyalty.Body {
	f := loyalty.AccountForgotten{Account: d.account(m.Account), Reason: d.text(m.Reason), Operator: d.text(m.Operator)}
	for _, h := range m.Forms {
		f.Forms = append(f.Forms, d.hash(h))
	}
	return f
}

func (d *decoder) published(m *pb.ProgrammePublished) loyalty.Body {
	p := loyalty.ProgrammePublished{
		Version: m.Version, Name: d.text(m.Name), Effective: loyalty.Instant(m.Effective), Reason: d.text(m.Reason), Operator: d.text(m.Operator),
	}
	if len(m.Hash) != len(p.Hash) || m.Version == 0 {
		d.fail("version %d of a programme, with a hash of %d bytes", m.Version, len(m.Hash))
		return p
	}
	copy(p.Hash[:], m.Hash)
	return p
}

func (d *decoder) kind(v uint32) loyalty.CardKind {
	if v > uint32(loyalty.StaffKind) {
		d.fail("card kind %d", v)
		return loyalty.MainCard
	}
	return loyalty.CardKind(v)
}

func (d *decoder) hash(b []byte) (h loyalty.FormHash) {
	if len(b) != 0 && len(b) != len(h) {
		d.fail("the hash of a form has %d bytes", len(b))
		return h
	}
	copy(h[:], b)
	return h
}

func hashBytes(h loyalty.FormHash) []byte {
	if h == (loyalty.FormHash{}) {
		return nil
	}
	return h[:]
}

// figures reads figures as they were stated, without putting them together: their order is the register's.
func (d *decoder) figures(ms []*pb.Figure) (figures []loyalty.Figure) {
	if len(ms) > len(loyalty.FigureNames()) {
		d.fail("%d figures", len(ms))
		return nil
	}
	for _, m := range ms {
		figures = append(figures, loyalty.Figure{Name: m.Name, Amount: int64(d.counter(m.Amount))})
	}
	_, err := loyalty.TotalsOf(figures)
	d.check(err)
	return figures
}

// FromFigures is the messages of figures.
func FromFigures(figures []loyalty.Figure) (ms []*pb.Figure) {
	for _, f := range figures {
		ms = append(ms, &pb.Figure{Name: f.Name, Amount: uint64(f.Amount)})
	}
	return ms
}

// ToFigures reads figures.
func ToFigures(ms []*pb.Figure) ([]loyalty.Figure, error) {
	d := &decoder{}
	f := d.figures(ms)
	return f, d.err
}

// FromCashier is the message of a cashier's totals.
func FromCashier(c *loyalty.CashierTotals) *pb.CashierTotals {
	return &pb.CashierTotals{Cashier: c.Cashier, Figures: FromFigures(c.Figures())}
}

// ToCashier reads a cashier's totals.
func ToCashier(m *pb.CashierTotals) (loyalty.CashierTotals, error) {
	d := &decoder{}
	t, err := loyalty.TotalsOf(d.figures(m.GetFigures()))
	d.check(err)
	return loyalty.CashierTotals{Cashier: d.text(m.GetCashier()), Totals: t}, d.err
}

// FromOperation is the message of a statement's line.
func FromOperation(o *loyalty.Operation) *pb.Operation {
	return &pb.Operation{
		At: int64(o.At), Station: uint32(o.Station), Epoch: uint32(o.Epoch), Seq: uint64(o.Seq), Kind: string(o.Kind), Sale: string(o.Sale),
		Refund: string(o.Refund), Card: string(o.Card), Partner: o.Partner, Reason: o.Reason, Total: uint64(o.Total), Discount: uint64(o.Discount),
		Redeemed: uint64(o.Redeemed), Earned: uint64(o.Earned), ActiveFrom: int64(o.ActiveFrom), Expires: int64(o.Expires),
		Returned: uint64(o.Returned), Clawed: uint64(o.Clawed), Activated: uint64(o.Activated), Expired: uint64(o.Expired),
		TierBefore: o.TierBefore, TierAfter: o.TierAfter,
	}
}

// ToOperation reads a statement's line.
func ToOperation(m *pb.Operation) (loyalty.Operation, error) {
	d := &decoder{}
	o := loyalty.Operation{
		At: loyalty.Instant(m.GetAt()), Station: d.station(m.GetStation()), Epoch: loyalty.Epoch(m.GetEpoch()), Seq: loyalty.Seq(m.GetSeq()),
		Kind: loyalty.OperationKind(d.text(m.GetKind())), Sale: loyalty.SaleID(d.text(m.GetSale())), Refund: loyalty.RefundID(d.text(m.GetRefund())),
		Card: d.card(m.GetCard()), Partner: d.text(m.GetPartner()), Reason: d.text(m.GetReason()),
		Total: loyalty.Kopecks(d.counter(m.GetTotal())), Discount: loyalty.Kopecks(d.counter(m.GetDiscount())), Redeemed: d.counter(m.GetRedeemed()),
		Earned: d.counter(m.GetEarned()), ActiveFrom: loyalty.Instant(m.GetActiveFrom()), Expires: loyalty.Instant(m.GetExpires()),
		Returned: d.counter(m.GetReturned()), Clawed: d.counter(m.GetClawed()), Activated: d.counter(m.GetActivated()), Expired: d.counter(m.GetExpired()),
		TierBefore: d.text(m.GetTierBefore()), TierAfter: d.text(m.GetTierAfter()),
	}
	return o, d.err
}
