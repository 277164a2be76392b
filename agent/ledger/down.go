package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// ApplyDown takes in items of HQ's down-stream and moves the cursor, in one transaction. A message that does not continue
// where the ledger stands is ignored, so that any may be lost, repeated or reordered: HQ sends again from the cursor. A
// message of a new stream is taken from its beginning. An item that is malformed is logged and passed over: it must not
// hold up the items behind it. Where the file is nearly full it returns [loyalty.StorageFull] and takes nothing in: what
// headquarters does not hear of it sends again later.
func (l *Ledger) ApplyDown(ctx context.Context, down *pb.Down) error {
	return l.write(ctx, func(t *txn) error {
		cursor := t.st.downSeq
		if down.Stream != t.st.downStream {
			cursor = 0
		}
		if down.After > cursor || (down.Through <= cursor && down.Stream == t.st.downStream) {
			return nil
		}
		if err := t.admitNews(len(down.Items), down.SizeVT(), downReserves); err != nil {
			return fmt.Errorf("news of headquarters has to wait: %w", err)
		}
		for i, item := range down.Items {
			if err := t.applyItem(item); errors.Is(err, wire.ErrMessage) || errors.Is(err, loyalty.ErrProgramme) {
				l.log.Warn("an item from headquarters was passed over", "stream", down.Stream, "through", down.Through, "index", i, "error", err)
			} else if err != nil {
				return err
			}
		}
		t.st.downStream, t.st.downSeq = down.Stream, down.Through
		return t.saveState()
	})
}

func (t *txn) applyItem(item *pb.Item) error {
	switch i := item.GetItem().(type) {
	case *pb.Item_Snapshot:
		return t.learnSnapshot(i.Snapshot)
	case *pb.Item_Card:
		return t.learnCard(i.Card)
	case *pb.Item_Programme:
		return t.learnProgramme(i.Programme)
	case *pb.Item_Notice:
		return t.learnNotice(i.Notice)
	default:
		return fmt.Errorf("%w: item of a kind this version does not know", wire.ErrMessage)
	}
}

// Learn takes in what an answer of HQ says: card, snapshot, grant. Answers may come late, twice and in any order: what is
// older than what the ledger knows changes nothing. A malformed answer changes nothing and is an error of
// [wire.ErrMessage]; where the file is nearly full, of [loyalty.StorageFull].
func (l *Ledger) Learn(ctx context.Context, a *pb.Answer) error {
	if a.Card == nil && a.Snapshot == nil && a.Grant == nil {
		return nil
	}
	if a.Card != nil {
		if _, err := wire.ToCard(a.Card); err != nil {
			return err
		}
	}
	if a.Snapshot != nil {
		if _, err := wire.ToSnapshot(a.Snapshot); err != nil {
			return err
		}
	}
	if g := a.Grant; g != nil && (g.Account == 0 || g.Account > uint64(loyalty.MaxAccount) || g.Issued > 1<<62) {
		return fmt.Errorf("%w: grant of %d to account %d", wire.ErrMessage, g.Issued, g.Account)
	}
	return l.write(ctx, func(t *txn) error {
		if err := t.admitNews(4, a.SizeVT(), answerReserves); err != nil { // card, account, cell, index of cells
			return fmt.Errorf("what headquarters answered cannot be kept: %w", err)
		}
		if a.Card != nil {
			if err := t.learnCard(a.Card); err != nil {
				return err
			}
		}
		if a.Snapshot != nil {
			if err := t.learnSnapshot(a.Snapshot); err != nil {
				return err
			}
		}
		if a.Grant != nil {
			return t.learnGrant(a.Grant)
		}
		return nil
	})
}

func (t *txn) learnCard(m *pb.Card) error {
	c, err := wire.ToCard(m)
	if err != nil {
		return err
	}
	old, known, err := t.card(c.Number)
	if err != nil || (known && old.HQVersion >= c.HQVersion) {
		return err
	}
	if !known {
		if err := t.becameKnown(c.Number); err != nil {
			return err
		}
	}
	return t.putCard(&c)
}

func (t *txn) learnSnapshot(m *pb.Snapshot) error {
	s, err := wire.ToSnapshot(m)
	if err != nil {
		return err
	}
	if s.Account.ID == 0 {
		return fmt.Errorf("%w: snapshot of no account", wire.ErrMessage)
	}
	l, known, err := t.account(s.Account.ID)
	if err != nil {
		return err
	}
	was := l.Snapshot
	if !l.Learn(s) || (known && was.Version == s.Version && was.Epoch == s.Epoch && was.Applied == s.Applied && was.AsOf == s.AsOf) {
		return nil
	}
	return t.putAccount(&l)
}

// learnGrant raises the cell. A grant of another epoch is for another life of the journal and is ignored.
func (t *txn) learnGrant(g *pb.Grant) error {
	if loyalty.Epoch(g.Epoch) != t.st.epoch {
		return nil
	}
	id := loyalty.AccountID(g.Account)
	c, err := t.cell(id)
	if err != nil {
		return err
	}
	was := c
	c.Grant(loyalty.Points(g.Issued))
	if c == was {
		return nil
	}
	return t.putCell(id, c)
}

func (t *txn) learnProgramme(m *pb.Programme) error {
	p, err := loyalty.ParseProgramme(m.GetSource())
	if err != nil {
		return err
	}
	if p.Version != m.Version {
		return fmt.Errorf("%w: programme %d says that it is version %d", wire.ErrMessage, m.Version, p.Version)
	}
	return t.putProgramme(p, slices.Clone(m.Source), true)
}

const keptNotices = 64

func (t *txn) learnNotice(m *pb.Notice) error {
	if m == nil || len(m.Ru) > loyalty.MaxReason*4 || len(m.En) > loyalty.MaxReason*4 {
		return fmt.Errorf("%w: notice is too long", wire.ErrMessage)
	}
	key := binary.BigEndian.AppendUint64(nil, m.Id)
	if known, err := t.has(bucketNote, key); err != nil || known {
		return err
	}
	if err := t.putMessage(bucketNote, key, m); err != nil {
		return err
	}
	c := t.bucket(bucketNote).Cursor()
	var keys [][]byte
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		keys = append(keys, slices.Clone(k))
	}
	for len(keys) > keptNotices {
		if err := t.delete(bucketNote, keys[0]); err != nil {
			return err
		}
		keys = keys[1:]
	}
	return nil
}

// HQTime notes what HQ's clock said in a message that has just come. It is kept in memory; the bound that follows from it
// reaches the disk with the next entry.
func (l *Ledger) HQTime(at loyalty.Instant) { l.clock.hear(at) }

// Now is the moment that an entry written now would carry, and how far it is to be trusted.
func (l *Ledger) Now() (loyalty.Instant, loyalty.ClockMark) {
	r := l.clock.read()
	return r.after(l.state().lastAt), r.mark
}
