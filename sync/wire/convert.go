package wire

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// decoder turns message fields into domain values and keeps the first error, so that a long message reads as a list of
// its fields.
type decoder struct{ err error }

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMessage, fmt.Sprintf(format, args...))
	}
}

func (d *decoder) check(err error) {
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("%w: %w", ErrMessage, err)
	}
}

func (d *decoder) points(v uint64) loyalty.Points {
	if v > loyalty.MaxAmount {
		d.fail("amount %d", v)
		return 0
	}
	return loyalty.Points(v)
}

func (d *decoder) counter(v uint64) loyalty.Points {
	if v > 1<<62 {
		d.fail("counter %d", v)
		return 0
	}
	return loyalty.Points(v)
}

func (d *decoder) account(v uint64) loyalty.AccountID {
	if v > uint64(loyalty.MaxAccount) {
		d.fail("account %d", v)
		return 0
	}
	return loyalty.AccountID(v)
}

func (d *decoder) card(s string) loyalty.CardNumber {
	if s != "" {
		d.check(loyalty.CardNumber(s).Check())
	}
	return loyalty.CardNumber(s)
}

func (d *decoder) sale(s string) loyalty.SaleID {
	d.check(loyalty.SaleID(s).Check())
	return loyalty.SaleID(s)
}

func (d *decoder) text(s string) string {
	if len(s) > loyalty.MaxReason {
		d.fail("text of %d bytes", len(s))
		return ""
	}
	return s
}

func (d *decoder) op(b []byte) loyalty.OpID {
	if len(b) == 0 {
		return loyalty.OpID{}
	}
	op, err := toOp(b)
	d.check(err)
	return op
}

func (d *decoder) state(v uint32) loyalty.State {
	if v > uint32(loyalty.Closed) {
		d.fail("state %d", v)
		return loyalty.Blocked
	}
	return loyalty.State(v)
}

func (d *decoder) lot(m *pb.Lot) loyalty.Lot {
	if m == nil {
		return loyalty.Lot{}
	}
	return loyalty.Lot{Amount: d.points(m.Amount), ActiveFrom: loyalty.Instant(m.ActiveFrom), Expires: loyalty.Instant(m.Expires)}
}

func (d *decoder) statement(m *pb.Statement) loyalty.Statement {
	if m == nil {
		return loyalty.Statement{}
	}
	return loyalty.Statement{Used: d.counter(m.Used), Voided: d.counter(m.Voided), Returned: d.counter(m.Returned)}
}

func (d *decoder) receipt(m *pb.Receipt) loyalty.Receipt {
	if m == nil {
		d.fail("no receipt")
		return loyalty.Receipt{}
	}
	r := loyalty.Receipt{Tender: loyalty.Tender(min(m.Tender, 255)), Lines: make([]loyalty.Line, 0, min(len(m.Lines), loyalty.MaxLines))}
	for _, l := range m.Lines {
		r.Lines = append(r.Lines, loyalty.Line{
			Kind: loyalty.LineKind(min(l.Kind, 255)), Code: l.Code, Group: l.Group,
			Volume: loyalty.Millilitres(d.points(l.Volume)), Count: int64(d.points(l.Count)), Amount: loyalty.Kopecks(d.points(l.Amount)),
		})
	}
	d.check(r.Check())
	return r
}

func toOp(b []byte) (loyalty.OpID, error) {
	if len(b) != len(loyalty.OpID{}) {
		return loyalty.OpID{}, fmt.Errorf("%w: operation id of %d bytes", ErrMessage, len(b))
	}
	op := loyalty.OpID(b)
	if !op.Valid() {
		return loyalty.OpID{}, fmt.Errorf("%w: operation id %s is not a UUID version 7", ErrMessage, op)
	}
	return op, nil
}

func opBytes(o loyalty.OpID) []byte {
	if o.IsZero() {
		return nil
	}
	return o[:]
}

func fromLot(l loyalty.Lot) *pb.Lot {
	if l == (loyalty.Lot{}) {
		return nil
	}
	return &pb.Lot{Amount: uint64(l.Amount), ActiveFrom: int64(l.ActiveFrom), Expires: int64(l.Expires)}
}

// FromStatement is the message of a statement; none for an empty one.
func FromStatement(s loyalty.Statement) *pb.Statement {
	if s == (loyalty.Statement{}) {
		return nil
	}
	return &pb.Statement{Used: uint64(s.Used), Voided: uint64(s.Voided), Returned: uint64(s.Returned)}
}

// ToStatement reads a statement; none is the empty one.
func ToStatement(m *pb.Statement) (loyalty.Statement, error) {
	d := &decoder{}
	s := d.statement(m)
	return s, d.err
}

// FromReceipt is the message of a receipt.
func FromReceipt(r *loyalty.Receipt) *pb.Receipt {
	m := &pb.Receipt{Tender: uint32(r.Tender), Lines: make([]*pb.Line, len(r.Lines))}
	lines := make([]pb.Line, len(r.Lines))
	for i, l := range r.Lines {
		lines[i].Kind, lines[i].Code, lines[i].Group = uint32(l.Kind), l.Code, l.Group
		lines[i].Volume, lines[i].Count, lines[i].Amount = uint64(l.Volume), uint64(l.Count), uint64(l.Amount)
		m.Lines[i] = &lines[i]
	}
	return m
}

// FromAccount is the message of an account.
func FromAccount(a *loyalty.Account) *pb.Account {
	m := &pb.Account{Id: uint64(a.ID), State: uint32(a.State), Lots: make([]*pb.Lot, len(a.Lots))}
	for i, l := range a.Lots {
		m.Lots[i] = fromLot(l)
	}
	return m
}

// ToAccount reads an account and checks its lots.
func ToAccount(m *pb.Account) (loyalty.Account, error) {
	if m == nil {
		return loyalty.Account{}, fmt.Errorf("%w: no account", ErrMessage)
	}
	d := &decoder{}
	a := loyalty.Account{ID: d.account(m.Id), State: d.state(m.State)}
	for _, l := range m.Lots {
		a.Lots = append(a.Lots, d.lot(l))
	}
	d.check(a.Check())
	return a, d.err
}

// FromSnapshot is the message of a snapshot.
func FromSnapshot(s *loyalty.Snapshot) *pb.Snapshot {
	return &pb.Snapshot{
		Account: FromAccount(&s.Account), Version: s.Version, AsOf: int64(s.AsOf), Elsewhere: uint64(s.Elsewhere),
		Epoch: uint32(s.Epoch), Applied: uint64(s.Applied),
	}
}

// ToSnapshot reads a snapshot.
func ToSnapshot(m *pb.Snapshot) (loyalty.Snapshot, error) {
	if m == nil {
		return loyalty.Snapshot{}, fmt.Errorf("%w: no snapshot", ErrMessage)
	}
	a, err := ToAccount(m.Account)
	if err != nil {
		return loyalty.Snapshot{}, err
	}
	d := &decoder{}
	return loyalty.Snapshot{
		Account: a, Version: m.Version, AsOf: loyalty.Instant(m.AsOf), Elsewhere: d.counter(m.Elsewhere),
		Epoch: loyalty.Epoch(m.Epoch), Applied: loyalty.Seq(m.Applied),
	}, d.err
}

// FromCard is the message of a card.
func FromCard(c *loyalty.Card) *pb.Card {
	return &pb.Card{
		Number: string(c.Number), Account: uint64(c.Account), State: uint32(c.State), Kind: uint32(c.Kind),
		MayRedeem: c.MayRedeem, Version: c.HQVersion, Registered: int64(c.Registered),
	}
}

// ToCard reads a card.
func ToCard(m *pb.Card) (loyalty.Card, error) {
	if m == nil {
		return loyalty.Card{}, fmt.Errorf("%w: no card", ErrMessage)
	}
	d := &decoder{}
	if m.Kind > uint32(loyalty.StaffKind) {
		d.fail("card kind %d", m.Kind)
	}
	d.check(loyalty.CardNumber(m.Number).Check())
	return loyalty.Card{
		Number: loyalty.CardNumber(m.Number), Account: d.account(m.Account), State: d.state(m.State), Kind: loyalty.CardKind(m.Kind & 0xff),
		MayRedeem: m.MayRedeem, HQVersion: m.Version, Registered: loyalty.Instant(m.Registered),
	}, d.err
}

// FromLocal is the message of a station's view of an account.
func FromLocal(l *loyalty.Local) *pb.Local {
	m := &pb.Local{Snapshot: FromSnapshot(&l.Snapshot)}
	for _, p := range l.Own {
		o := &pb.Posting{Epoch: uint32(p.Epoch), Seq: uint64(p.Seq), Redeemed: uint64(p.Redeemed), RedeemAt: int64(p.RedeemAt)}
		for _, lot := range p.Accrued {
			o.Accrued = append(o.Accrued, fromLot(lot))
		}
		m.Own = append(m.Own, o)
	}
	return m
}

// ToLocal reads a station's view of an account.
func ToLocal(m *pb.Local) (loyalty.Local, error) {
	s, err := ToSnapshot(m.GetSnapshot())
	if err != nil {
		return loyalty.Local{}, err
	}
	d := &decoder{}
	l := loyalty.Local{Snapshot: s}
	for _, o := range m.Own {
		p := loyalty.Posting{
			Epoch: loyalty.Epoch(o.Epoch), Seq: loyalty.Seq(o.Seq), Redeemed: d.points(o.Redeemed), RedeemAt: loyalty.Instant(o.RedeemAt),
		}
		for _, lot := range o.Accrued {
			p.Accrued = append(p.Accrued, d.lot(lot))
		}
		l.Own = append(l.Own, p)
	}
	return l, d.err
}
