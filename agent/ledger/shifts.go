package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// A shift's record follows the journal: every entry that stands in the shift counts into it in the entry's own
// transaction, and the record names the last of them. It goes when that entry is trimmed: a shift that nobody closes is
// forgotten with the rest.
//
// A shift that is closed takes nothing new. What ends a sale that was opened, or is resolved, is taken all the same, since it
// has happened: it stands in the shift, changes none of the totals that were compared with the register's, and headquarters
// is told.

// OpenShift opens a shift of a counter: see [loyalty.OpenShift]. When it returns the shift, the shift is on the disk.
// [loyalty.StorageFailed] means that the outcome is not known: ask again.
func (l *Ledger) OpenShift(ctx context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error) {
	return l.turnShift(ctx, r, loyalty.OpenShift)
}

// CloseShift closes a shift of a counter and compares what the register states with what the ledger has counted: see
// [loyalty.CloseShift]. Where they differ an alert goes to headquarters. Durability is as in [Ledger.OpenShift].
func (l *Ledger) CloseShift(ctx context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error) {
	return l.turnShift(ctx, r, loyalty.CloseShift)
}

type shiftStep func(*loyalty.Shift, *loyalty.ShiftRequest, loyalty.Place) (*loyalty.Shift, loyalty.Body, error)

func (l *Ledger) turnShift(ctx context.Context, r *loyalty.ShiftRequest, do shiftStep) (*loyalty.Shift, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	var answer *loyalty.Shift
	err := l.write(ctx, func(t *txn) (err error) {
		answer, err = t.turnShift(r, do)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// turnShift carries out one step of a shift: everything that can refuse comes before the first write.
func (t *txn) turnShift(r *loyalty.ShiftRequest, do shiftStep) (*loyalty.Shift, error) {
	at, reading, err := t.nextPlace()
	if err != nil {
		return nil, err
	}
	was, err := t.shift(r.ShiftID)
	if err != nil {
		return nil, err
	}
	s, body, err := do(was, r, at)
	if err != nil || body == nil {
		return s, err
	}
	if was == nil {
		if err := t.admitNew(false); err != nil {
			return nil, err
		}
	}
	c, err := prepare(at, reading, r.Who(), 0, body)
	if err != nil {
		return nil, err
	}
	all := []chained{c}
	if s.Closed && s.Differs {
		if at, err = t.placeAfter(at); err != nil {
			return nil, err
		}
		a := loyalty.Alerted{Rule: loyalty.AlertShiftDiffers, Count: int64(len(s.Mismatches()))}
		if c, err = prepare(at, reading, r.Who(), 0, a); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	m, err := shiftMessage(s)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if err := t.append(c, reading); err != nil {
			return nil, err
		}
	}
	return s, t.putMessage(bucketShift, shiftKey(s.ShiftID), m)
}

// Shift reads a shift, open or closed, with its totals. It returns [loyalty.UnknownShift] if there is none of the id, or it
// was trimmed.
func (l *Ledger) Shift(id loyalty.ShiftID) (*loyalty.Shift, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	var s *loyalty.Shift
	err := l.view(func(t *txn) (err error) {
		s, err = t.shift(id)
		return err
	})
	if err == nil && s == nil {
		err = fmt.Errorf("shift %d: %w", id.Number, loyalty.UnknownShift)
	}
	return s, err
}

// Shifts lists the shifts that are kept, the one that was opened last first, at most limit of them.
func (l *Ledger) Shifts(limit int) ([]*loyalty.Shift, error) {
	var all []*loyalty.Shift
	err := l.view(func(t *txn) error {
		return t.bucket(bucketShift).ForEach(func(k, stored []byte) error {
			v, err := unseal(bucketShift, k, stored)
			if err != nil {
				return err
			}
			s, err := parseShift(shiftOfKey(k), v)
			all = append(all, s)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	sortShifts(all)
	return all[:min(len(all), max(limit, 0))], nil
}

// sortShifts puts the one that was opened last first.
func sortShifts(all []*loyalty.Shift) {
	slices.SortFunc(all, func(a, b *loyalty.Shift) int {
		return cmp.Or(cmp.Compare(b.OpenedAt, a.OpenedAt), cmp.Compare(b.Number, a.Number), cmp.Compare(a.Counter, b.Counter))
	})
}

func shiftKey(id loyalty.ShiftID) []byte {
	return binary.BigEndian.AppendUint32([]byte(id.Counter), id.Number)
}

func shiftOfKey(k []byte) loyalty.ShiftID {
	n := max(len(k)-4, 0)
	if n == 0 && len(k) < 4 {
		return loyalty.ShiftID{}
	}
	return loyalty.ShiftID{Counter: string(k[:n]), Number: binary.BigEndian.Uint32(k[n:])}
}

func describeShift(id loyalty.ShiftID) string {
	return fmt.Sprintf("shift %d of counter %q", id.Number, id.Counter)
}

// shift reads a shift, nil if there is none.
func (t *txn) shift(id loyalty.ShiftID) (*loyalty.Shift, error) {
	v, err := t.get(bucketShift, shiftKey(id))
	if v == nil || err != nil {
		return nil, err
	}
	return parseShift(id, v)
}

// noting is what an entry does to its shift, worked out before it is written.
type noting struct {
	id loyalty.ShiftID
	m  *ledgerpb.Shift
}

// inShift works out what an entry that is about to be appended does to its shift, nil if it stands in none. An entry of a
// shift that is closed is refused, and so is one that only prepares something which would be counted later; late is one
// that is taken all the same, since it has happened.
func (t *txn) inShift(c chained, at loyalty.Place) (n *noting, late bool, err error) {
	if c.entry.Shift == 0 {
		return nil, false, nil
	}
	id := loyalty.ShiftID{Counter: c.entry.Counter, Number: c.entry.Shift}
	was, err := t.shift(id)
	if err != nil {
		return nil, false, err
	}
	if late = was != nil && was.Closed; late && !loyalty.HasHappened(c.entry.Body) {
		return nil, false, fmt.Errorf("shift %d: %w", id.Number, loyalty.ShiftEnded)
	}
	if _, counts := loyalty.ShiftOf(c.entry); !counts {
		return nil, late, nil
	}
	m, err := shiftMessage(loyalty.NoteShift(was, at.Epoch, at.Seq, c.entry))
	return &noting{id, m}, late, err
}

// saveShift writes what inShift has worked out.
func (t *txn) saveShift(n *noting) error {
	if n == nil {
		return nil
	}
	return t.putMessage(bucketShift, shiftKey(n.id), n.m)
}

// moveShift moves a shift to its last entry's new place.
func (t *txn) moveShift(e *loyalty.Entry, from, to place) error {
	id, ok := loyalty.ShiftOf(e)
	if !ok {
		return nil
	}
	s, err := t.shift(id)
	if err != nil || s == nil || (place{s.Epoch, s.Seq}) != from {
		return err
	}
	s.Epoch, s.Seq = to.epoch, to.seq
	m, err := shiftMessage(s)
	if err != nil {
		return err
	}
	return t.putMessage(bucketShift, shiftKey(id), m)
}

// dropShift forgets a shift of which the entry was the last.
func (t *txn) dropShift(id loyalty.ShiftID, p place) error {
	s, err := t.shift(id)
	if err != nil || s == nil || (place{s.Epoch, s.Seq}) != p {
		return err
	}
	return t.delete(bucketShift, shiftKey(id))
}

func shiftMessage(s *loyalty.Shift) (*ledgerpb.Shift, error) {
	m := &ledgerpb.Shift{
		Closed: s.Closed, Implied: s.Implied, OpenedAt: int64(s.OpenedAt), ClosedAt: int64(s.ClosedAt), OpenedBy: s.OpenedBy, ClosedBy: s.ClosedBy,
		Differs: s.Differs, Epoch: uint32(s.Epoch), Seq: uint64(s.Seq),
	}
	for i := range s.Cashiers {
		b, err := wire.FromCashier(&s.Cashiers[i]).MarshalVT()
		if err != nil {
			return nil, fmt.Errorf("encode a cashier's totals: %w", err)
		}
		m.Cashiers = append(m.Cashiers, b)
	}
	for _, f := range wire.FromFigures(s.Stated) {
		b, err := f.MarshalVT()
		if err != nil {
			return nil, fmt.Errorf("encode a figure: %w", err)
		}
		m.Stated = append(m.Stated, b)
	}
	return m, nil
}

func parseShift(id loyalty.ShiftID, b []byte) (*loyalty.Shift, error) {
	if err := id.Check(); err != nil {
		return nil, fmt.Errorf("%w: shift: %w", ErrCorrupt, err)
	}
	bad := func(err error) (*loyalty.Shift, error) {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, describeShift(id), err)
	}
	var m ledgerpb.Shift
	if err := m.UnmarshalVT(b); err != nil {
		return bad(err)
	}
	s := &loyalty.Shift{
		ShiftID: id, Closed: m.Closed, Implied: m.Implied, OpenedAt: loyalty.Instant(m.OpenedAt), ClosedAt: loyalty.Instant(m.ClosedAt),
		OpenedBy: m.OpenedBy, ClosedBy: m.ClosedBy, Differs: m.Differs, Epoch: loyalty.Epoch(m.Epoch), Seq: loyalty.Seq(m.Seq),
	}
	if len(m.Cashiers) > loyalty.MaxCashiers {
		return bad(fmt.Errorf("%d cashiers", len(m.Cashiers)))
	}
	for _, b := range m.Cashiers {
		var c pb.CashierTotals
		if err := c.UnmarshalVT(b); err != nil {
			return bad(err)
		}
		t, err := wire.ToCashier(&c)
		if err != nil {
			return bad(err)
		}
		s.Cashiers = append(s.Cashiers, t)
	}
	stated := make([]*pb.Figure, len(m.Stated))
	for i, b := range m.Stated {
		stated[i] = &pb.Figure{}
		if err := stated[i].UnmarshalVT(b); err != nil {
			return bad(err)
		}
	}
	var err error
	if s.Stated, err = wire.ToFigures(stated); err != nil {
		return bad(err)
	}
	return s, nil
}
