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

// station is a station, or zero for none.
func (d *decoder) station(v uint32) loyalty.StationID {
	if v > uint32(loyalty.MaxStation) {
		d.fail("station %d", v)
		return 0
	}
	return loyalty.StationID(v)
}

func (d *decoder) enrolled(v uint32) {
	if d.station(v) == 0 {
		d.fail("station %d", v)
	}
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

func (d *decoder) lots(ms []*pb.Lot) (lots []loyalty.Lot) {
	for _, m := range ms {
		lots = append(lots, d.lot(m))
	}
	return lots
}

func (d *decoder) tally(m *pb.Tally) loyalty.Tally {
	t := loyalty.Tally{
		Counter: loyalty.Counter(m.GetCounter()), Amount: int64(d.points(m.GetAmount())),
		From: loyalty.Instant(m.GetFrom()), Until: loyalty.Instant(m.GetUntil()),
	}
	d.check(t.Check())
	return t
}

func (d *decoder) tallies(ms []*pb.Tally) (tallies []loyalty.Tally) {
	if len(ms) > loyalty.MaxTallies {
		d.fail("%d tallies", len(ms))
		return nil
	}
	for _, m := range ms {
		tallies = append(tallies, d.tally(m))
	}
	return tallies
}

func (d *decoder) claims(ms []*pb.Claim) (claims []loyalty.Claim) {
	if len(ms) > loyalty.MaxPromo {
		d.fail("%d claims", len(ms))
		return nil
	}
	for _, m := range ms {
		claims = append(claims, loyalty.Claim{Tally: d.tally(m.Tally), Lot: d.lot(m.Lot)})
	}
	return claims
}

// perLine reads amounts of which there is one for each line, or none.
func perLine[T ~int64](d *decoder, values []uint64, lines int) []T {
	if len(values) == 0 {
		return nil
	}
	if len(values) != lines {
		d.fail("%d amounts for %d lines", len(values), lines)
		return nil
	}
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = T(d.points(v))
	}
	return out
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
	r := loyalty.Receipt{Tender: loyalty.Tender(min(m.Tender, 255)), Lines: make([]loyalty.Line, 0, min(len(m.Lines), loyalty.MaxLines)), Promo: m.Promo}
	for _, l := range m.Lines {
		r.Lines = append(r.Lines, loyalty.Line{
			Kind: loyalty.LineKind(min(l.Kind, 255)), Code: l.Code, Group: l.Group,
			Volume: loyalty.Millilitres(d.points(l.Volume)), Count: int64(d.points(l.Count)), Amount: loyalty.Kopecks(d.points(l.Amount)),
		})
	}
	if len(m.Payments) > loyalty.MaxPayments {
		d.fail("%d payments", len(m.Payments))
		return r
	}
	for _, p := range m.Payments {
		r.Payments = append(r.Payments, loyalty.Payment{Tender: loyalty.Tender(min(p.Tender, 255)), Amount: loyalty.Kopecks(d.points(p.Amount))})
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

func fromLots(lots []loyalty.Lot) (ms []*pb.Lot) {
	for _, l := range lots {
		ms = append(ms, &pb.Lot{Amount: uint64(l.Amount), ActiveFrom: int64(l.ActiveFrom), Expires: int64(l.Expires)})
	}
	return ms
}

func fromTally(t loyalty.Tally) *pb.Tally {
	return &pb.Tally{Counter: string(t.Counter), Amount: uint64(t.Amount), From: int64(t.From), Until: int64(t.Until)}
}

func fromTallies(tallies []loyalty.Tally) (ms []*pb.Tally) {
	for _, t := range tallies {
		ms = append(ms, fromTally(t))
	}
	return ms
}

func fromClaims(claims []loyalty.Claim) (ms []*pb.Claim) {
	for _, c := range claims {
		ms = append(ms, &pb.Claim{Tally: fromTally(c.Tally), Lot: fromLot(c.Lot)})
	}
	return ms
}

func fromPerLine[T ~int64](values []T) (out []uint64) {
	for _, v := range values {
		out = append(out, uint64(v))
	}
	return out
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
	m := &pb.Receipt{Tender: uint32(r.Tender), Lines: make([]*pb.Line, len(r.Lines)), Promo: r.Promo}
	lines := make([]pb.Line, len(r.Lines))
	for i, l := range r.Lines {
		lines[i].Kind, lines[i].Code, lines[i].Group = uint32(l.Kind), l.Code, l.Group
		lines[i].Volume, lines[i].Count, lines[i].Amount = uint64(l.Volume), uint64(l.Count), uint64(l.Amount)
		m.Lines[i] = &lines[i]
	}
	for _, p := range r.Payments {
		m.Payments = append(m.Payments, &pb.Payment{Tender: uint32(p.Tender), Amount: uint64(p.Amount)})
	}
	return m
}

// FromAccount is the message of an account.
func FromAccount(a *loyalty.Account) *pb.Account {
	return &pb.Account{
		Id: uint64(a.ID), State: uint32(a.State), Lots: fromLots(a.Lots), Joined: int64(a.Joined), RedeemOn: a.RedeemOn,
		Advanced: int64(a.Advanced), Tallies: fromTallies(a.Tallies), Debt: uint64(a.Debt), Clawed: uint64(a.Clawed),
	}
}

// ToAccount reads an account and checks its lots.
func ToAccount(m *pb.Account) (loyalty.Account, error) {
	if m == nil {
		return loyalty.Account{}, fmt.Errorf("%w: no account", ErrMessage)
	}
	d := &decoder{}
	a := loyalty.Account{ID: d.account(m.Id), State: d.state(m.State), Lots: d.lots(m.Lots)}
	a.Joined, a.RedeemOn, a.Advanced = loyalty.Instant(m.Joined), m.RedeemOn, loyalty.Instant(m.Advanced)
	a.Tallies = d.tallies(m.Tallies)
	a.Debt, a.Clawed = d.counter(m.Debt), d.counter(m.Clawed)
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
		m.Own = append(m.Own, &pb.Posting{
			Epoch: uint32(p.Epoch), Seq: uint64(p.Seq), Redeemed: uint64(p.Redeemed), RedeemAt: int64(p.RedeemAt),
			Accrued: fromLots(p.Accrued), Counted: fromTallies(p.Counted), Claims: fromClaims(p.Claims),
			Sale: opBytes(p.Sale), Clawed: fromLots(p.Clawed), Uncounted: fromTallies(p.Uncounted),
		})
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
			Accrued: d.lots(o.Accrued), Counted: d.tallies(o.Counted), Claims: d.claims(o.Claims), Sale: d.op(o.Sale),
			Undo: loyalty.Undo{Clawed: d.lots(o.Clawed), Uncounted: d.tallies(o.Uncounted)},
		}
		l.Own = append(l.Own, p)
	}
	return l, d.err
}
