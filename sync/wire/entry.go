package wire

import (
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// ErrMessage means that bytes are not a message of this protocol, or break one of its bounds.
var ErrMessage = errors.New("malformed message")

// MaxEntry bounds an entry, in bytes, so that every entry fits a batch.
const MaxEntry = MaxMessage - 1024

// EncodeEntry makes the bytes of an entry. It is called once in an entry's life, by the station that writes it; an entry
// over [MaxEntry] is [loyalty.BadRequest].
func EncodeEntry(e *loyalty.Entry) ([]byte, error) {
	m := &pb.Entry{
		At: int64(e.At), Mono: e.Mono, Clock: uint32(e.Clock), Op: e.Op[:],
		Cashier: e.Cashier, Shift: e.Shift, Counter: e.Counter, Programme: e.Programme,
	}
	switch b := e.Body.(type) {
	case loyalty.Started:
		m.Body = &pb.Entry_Started{Started: &pb.Started{Boot: b.Boot[:], Version: b.Version, Wall: int64(b.Wall)}}
	case loyalty.SaleOpened:
		m.Body = &pb.Entry_SaleOpened{SaleOpened: &pb.SaleOpened{
			Sale: string(b.Sale), Account: uint64(b.Account), Card: string(b.Card), Receipt: FromReceipt(&b.Receipt),
			Reserved: uint64(b.Reserved), Statement: FromStatement(b.Statement), Manual: b.Manual,
		}}
	case loyalty.SaleClosed:
		m.Body = &pb.Entry_SaleClosed{SaleClosed: &pb.SaleClosed{
			Sale: string(b.Sale), Opened: opBytes(b.Opened), OpenedAt: int64(b.OpenedAt), Account: uint64(b.Account),
			Card: string(b.Card), Receipt: FromReceipt(&b.Receipt), Redeemed: uint64(b.Redeemed), Discount: uint64(b.Discount),
			Earned: fromLots(b.Earned), Statement: FromStatement(b.Statement), Manual: b.Manual, Resolved: b.Resolved,
			Counted: fromTallies(b.Counted), Claims: fromClaims(b.Claims), LineDiscounts: fromPerLine(b.LineDiscounts), LineEarned: fromPerLine(b.LineEarned),
		}}
	case loyalty.SaleVoided:
		m.Body = &pb.Entry_SaleVoided{SaleVoided: &pb.SaleVoided{
			Sale: string(b.Sale), Opened: opBytes(b.Opened), Account: uint64(b.Account),
			Statement: FromStatement(b.Statement), Reason: b.Reason, Resolved: b.Resolved,
		}}
	case loyalty.SaleRefunded:
		m.Body = &pb.Entry_SaleRefunded{SaleRefunded: fromRefunded(&b)}
	case loyalty.CellReturned:
		m.Body = &pb.Entry_CellReturned{CellReturned: &pb.CellReturned{
			Account: uint64(b.Account), Statement: FromStatement(b.Statement),
		}}
	default:
		if setMore(m, e.Body) {
			break
		}
		return nil, fmt.Errorf("encode an entry of type %T: %w", b, ErrMessage)
	}
	if n := m.SizeVT(); n > MaxEntry {
		return nil, fmt.Errorf("%w: the receipt makes an entry of %d bytes, at most %d", loyalty.BadRequest, n, MaxEntry)
	}
	return m.MarshalVT()
}

// DecodeEntry reads the bytes of an entry and checks the domain's bounds.
func DecodeEntry(b []byte) (*loyalty.Entry, error) {
	if len(b) > MaxEntry {
		return nil, fmt.Errorf("%w: entry of %d bytes", ErrMessage, len(b))
	}
	var m pb.Entry
	if err := m.UnmarshalVT(b); err != nil {
		return nil, fmt.Errorf("%w: entry: %w", ErrMessage, err)
	}
	op, err := toOp(m.Op)
	if err != nil {
		return nil, err
	}
	e := &loyalty.Entry{
		At: loyalty.Instant(m.At), Mono: m.Mono, Clock: loyalty.ClockMark(m.Clock), Op: op,
		Cashier: m.Cashier, Shift: m.Shift, Counter: m.Counter, Programme: m.Programme,
	}
	if m.Clock > uint32(loyalty.ClockAhead) {
		return nil, fmt.Errorf("%w: clock mark %d", ErrMessage, m.Clock)
	}
	if len(e.Cashier) > loyalty.MaxReason {
		return nil, fmt.Errorf("%w: cashier of %d bytes", ErrMessage, len(e.Cashier))
	}
	if len(e.Counter) > loyalty.MaxCounterText {
		return nil, fmt.Errorf("%w: counter of %d bytes", ErrMessage, len(e.Counter))
	}
	e.Body, err = toBody(&m)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func toBody(m *pb.Entry) (loyalty.Body, error) {
	d := &decoder{}
	var body loyalty.Body
	switch b := m.Body.(type) {
	case *pb.Entry_Started:
		s := loyalty.Started{Version: d.text(b.Started.Version), Wall: loyalty.Instant(b.Started.Wall)}
		if len(b.Started.Boot) != len(s.Boot) {
			return nil, fmt.Errorf("%w: boot id of %d bytes", ErrMessage, len(b.Started.Boot))
		}
		copy(s.Boot[:], b.Started.Boot)
		body = s
	case *pb.Entry_SaleOpened:
		o := b.SaleOpened
		body = loyalty.SaleOpened{
			Sale: d.sale(o.Sale), Account: d.account(o.Account), Card: d.card(o.Card), Receipt: d.receipt(o.Receipt),
			Reserved: d.points(o.Reserved), Statement: d.statement(o.Statement), Manual: d.text(o.Manual),
		}
	case *pb.Entry_SaleClosed:
		c := b.SaleClosed
		body = loyalty.SaleClosed{
			Sale: d.sale(c.Sale), Opened: d.op(c.Opened), OpenedAt: loyalty.Instant(c.OpenedAt), Account: d.account(c.Account),
			Card: d.card(c.Card), Receipt: d.receipt(c.Receipt), Redeemed: d.points(c.Redeemed),
			Discount: loyalty.Kopecks(d.points(c.Discount)), Earned: d.lots(c.Earned), Statement: d.statement(c.Statement),
			Manual: d.text(c.Manual), Resolved: c.Resolved, Counted: d.tallies(c.Counted), Claims: d.claims(c.Claims),
			LineDiscounts: perLine[loyalty.Kopecks](d, c.LineDiscounts, len(c.GetReceipt().GetLines())),
			LineEarned:    perLine[loyalty.Points](d, c.LineEarned, len(c.GetReceipt().GetLines())),
		}
	case *pb.Entry_SaleVoided:
		v := b.SaleVoided
		body = loyalty.SaleVoided{
			Sale: d.sale(v.Sale), Opened: d.op(v.Opened), Account: d.account(v.Account),
			Statement: d.statement(v.Statement), Reason: d.text(v.Reason), Resolved: v.Resolved,
		}
	case *pb.Entry_SaleRefunded:
		body = d.refunded(b.SaleRefunded)
	case *pb.Entry_CellReturned:
		body = loyalty.CellReturned{Account: d.account(b.CellReturned.Account), Statement: d.statement(b.CellReturned.Statement)}
	default:
		if body = d.more(m); body != nil {
			break
		}
		return nil, fmt.Errorf("%w: entry of a kind this version does not know", ErrMessage)
	}
	return body, d.err
}
