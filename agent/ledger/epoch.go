package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	bolterrors "go.etcd.io/bbolt/errors"
)

// NewEpoch begins a new life of the journal, in one transaction: a new number, a new nonce and so a new chain, a Started
// entry, and behind it everything that HQ has not acknowledged, written again. It is due when HQ's journal of this station
// and the station's own differ. Redeeming is frozen until HQ has acknowledged all of it; accruing goes on.
//
// An entry keeps its operation id, so that HQ, where it has the operation from the epoch before, does not apply it twice.
// Its statement of the cell changes: rights belong to one epoch, and a new one begins with none but those that open sales
// have reserved. (Rights of the old epoch stay held at HQ until an operator writes the old epoch off, so that whoever
// else may be writing it overspends nothing.)
func (l *Ledger) NewEpoch(ctx context.Context, reason string) error {
	return l.NewEpochAbove(ctx, 0, reason)
}

// NewEpochAbove is [Ledger.NewEpoch] with a number greater than above as well: the highest epoch that HQ has seen of this
// station.
func (l *Ledger) NewEpochAbove(ctx context.Context, above loyalty.Epoch, reason string) error {
	err := l.write(ctx, func(t *txn) error {
		if err := t.newEpoch(above, reason, l.started()); err != nil {
			return err
		}
		return t.raise(AlarmEpoch, reason, "")
	})
	if err == nil {
		l.log.Warn("a new epoch of the journal has begun; redeeming is frozen until headquarters has it all", "reason", reason, "epoch", l.state().epoch)
	}
	return err
}

// tailEntry is an entry that moves to the new epoch.
type tailEntry struct {
	entry *loyalty.Entry
	old   place
}

func (t *txn) newEpoch(above loyalty.Epoch, reason string, started loyalty.Started) error {
	tail, err := t.tail()
	if err != nil {
		return err
	}
	return t.replant(tail, above, reason, started)
}

// tail reads what HQ has not acknowledged.
func (t *txn) tail() ([]tailEntry, error) {
	var tail []tailEntry
	err := t.each(place{t.st.epoch, t.st.acked + 1}, func(p place, _ wire.Hash, b []byte) (bool, error) {
		if p.epoch != t.st.epoch {
			return false, nil
		}
		e, err := wire.DecodeEntry(slices.Clone(b))
		if err != nil {
			return false, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, p.seq, err)
		}
		tail = append(tail, tailEntry{e, p})
		return true, nil
	})
	return tail, err
}

// replant begins the epoch with the given tail.
func (t *txn) replant(tail []tailEntry, above loyalty.Epoch, reason string, started loyalty.Started) error {
	cells, err := t.freshCells(tail)
	if err != nil {
		return err
	}
	if err := t.clearCells(); err != nil {
		return err
	}
	if err := t.forgetOwn(tail); err != nil {
		return err
	}
	old := place{t.st.epoch, t.st.acked}
	t.st.epoch = max(t.st.epoch, above) + 1
	if err := t.random(t.st.nonce[:]); err != nil {
		return fmt.Errorf("random bytes for a nonce: %w", err)
	}
	t.st.last, t.st.acked = 0, 0
	t.st.lastHash = wire.Genesis(t.st.station, t.st.epoch, t.st.nonce)
	t.st.segment, t.st.segmentLen, t.seg = place{}, 0, nil
	if err := t.start(started); err != nil {
		return err
	}
	lostForms := 0
	for _, x := range tail {
		if err := t.plant(x, cells, &lostForms); err != nil {
			return fmt.Errorf("entry %d again: %w", x.old.seq, err)
		}
	}
	if err := t.settleForms(old, lostForms); err != nil {
		return err
	}
	for id, c := range cells {
		c.Issued = c.Used - c.Voided + c.Returned // nothing is left to use
		if *c == (cell{}) {
			continue
		}
		if err := t.putCell(id, *c); err != nil {
			return err
		}
	}
	t.st.thaw, t.st.freeze = t.st.last, reason
	return t.saveState()
}

// start appends a Started entry.
func (t *txn) start(s loyalty.Started) error {
	at, r, err := t.nextPlace()
	if err != nil {
		return err
	}
	c, err := prepare(at, r, loyalty.Who{}, 0, s)
	if err != nil {
		return err
	}
	return t.append(c, r)
}

// freshCells are the cells of a new epoch before the tail: they count as used what sales had reserved at its beginning.
func (t *txn) freshCells(tail []tailEntry) (map[loyalty.AccountID]*cell, error) {
	cells := make(map[loyalty.AccountID]*cell)
	openedInTail := make(map[loyalty.OpID]bool)
	for _, x := range tail {
		if id, _ := loyalty.Subject(x.entry.Body); id != 0 && cells[id] == nil {
			cells[id] = &cell{}
		}
		if _, ok := x.entry.Body.(loyalty.SaleOpened); ok {
			openedInTail[x.entry.Op] = true
		}
	}
	count := func(s sale, open bool) {
		if s.Sale == nil || s.Account == 0 {
			return
		}
		if cells[s.Account] == nil {
			cells[s.Account] = &cell{}
		}
		c := cells[s.Account]
		if open {
			c.reserved += s.Reserved
		}
		if !s.OpOpen.IsZero() && !openedInTail[s.OpOpen] {
			c.Used += s.Reserved
		}
	}
	err := t.bucket(bucketOpen).ForEach(func(k, stored []byte) error {
		id, err := unseal(bucketOpen, k, stored)
		if err != nil {
			return err
		}
		s, err := t.sale(loyalty.SaleID(id))
		count(s, true)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, x := range tail {
		id := endedSale(x.entry.Body)
		if id == "" {
			continue
		}
		s, err := t.sale(id)
		if err != nil {
			return nil, err
		}
		count(s, false)
	}
	return cells, nil
}

func endedSale(b loyalty.Body) loyalty.SaleID {
	switch b := b.(type) {
	case loyalty.SaleClosed:
		return b.Sale
	case loyalty.SaleVoided:
		return b.Sale
	}
	return ""
}

// saleOf is the sale that the entry ended or refunded.
func saleOf(b loyalty.Body) saleKey {
	if r, ok := b.(loyalty.SaleRefunded); ok {
		return saleKey{r.Station, r.Sale}
	}
	return saleKey{0, endedSale(b)}
}

// clearCells forgets the rights of the epoch before.
func (t *txn) clearCells() error {
	for _, name := range []string{bucketCell, bucketLeft} {
		if err := t.tx.DeleteBucket([]byte(name)); err != nil && !errors.Is(err, bolterrors.ErrBucketNotFound) {
			return fmt.Errorf("forget cells: %w", err)
		}
		b, err := t.tx.CreateBucket([]byte(name))
		if err != nil {
			return fmt.Errorf("forget cells: %w", err)
		}
		t.buckets[name] = b
		t.puts++
	}
	return nil
}

// forgetOwn takes the tail's postings out of the accounts: they come back with their new places.
func (t *txn) forgetOwn(tail []tailEntry) error {
	gone := make(map[loyalty.AccountID]map[place]bool)
	for _, x := range tail {
		if id, _ := loyalty.Subject(x.entry.Body); id != 0 {
			if gone[id] == nil {
				gone[id] = make(map[place]bool)
			}
			gone[id][x.old] = true
		}
	}
	for id, places := range gone {
		l, known, err := t.account(id)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		l.Own = slices.DeleteFunc(l.Own, func(p loyalty.Posting) bool { return places[place{p.Epoch, p.Seq}] })
		if err := t.putAccount(&l); err != nil {
			return err
		}
	}
	return nil
}

// plant writes one entry of the tail again, with the statement of the new cell, and moves what points at its old place.
func (t *txn) plant(x tailEntry, cells map[loyalty.AccountID]*cell, lostForms *int) error {
	e := *x.entry
	id, _ := loyalty.Subject(e.Body)
	c := cells[id]
	if c == nil {
		c = &cell{}
	}
	p := place{t.st.epoch, t.st.last + 1}
	switch b := e.Body.(type) {
	case loyalty.SaleOpened:
		c.Used += b.Reserved
		b.Statement = c.Statement()
		e.Body = b
	case loyalty.SaleClosed:
		s, err := t.moveSale(b.Sale, x.old, p)
		if err != nil {
			return err
		}
		switch {
		case b.Opened.IsZero():
			c.Used += b.Redeemed
		case s.Sale != nil:
			c.Voided += s.Reserved - b.Redeemed
		default: // the sale's record is lost: what it reserved is not known, what it redeemed is
			c.Used += b.Redeemed
		}
		b.Statement = c.Statement()
		e.Body = b
	case loyalty.SaleVoided:
		s, err := t.moveSale(b.Sale, x.old, p)
		if err != nil {
			return err
		}
		if s.Sale != nil {
			c.Voided += s.Reserved
		}
		b.Statement = c.Statement()
		e.Body = b
	case loyalty.SaleRefunded:
		if err := t.moveRefund(b, x.old, p); err != nil {
			return err
		}
	case loyalty.CardIssued:
		lost, err := t.moveIssued(b, x.old, p)
		if err != nil {
			return err
		}
		if lost {
			*lostForms++
		}
	case loyalty.CellReturned:
		b.Statement = c.Statement()
		e.Body = b
	}
	if err := t.moveShift(&e, x.old, p); err != nil {
		return err
	}
	bytes, err := wire.EncodeEntry(&e)
	if err != nil {
		return err
	}
	if err := t.appendBytes(e.At, bytes); err != nil {
		return err
	}
	return t.ownAgain(id, &e)
}

func (t *txn) moveSale(id loyalty.SaleID, from, to place) (sale, error) {
	s, err := t.sale(id)
	if err != nil || s.Sale == nil || s.epochEnd != from.epoch || s.SeqEnd != from.seq {
		return s, err
	}
	s.epochEnd, s.SeqEnd = to.epoch, to.seq
	m, err := s.message()
	if err != nil {
		return s, err
	}
	return s, t.putMessage(bucketSale, []byte(id), m)
}

func (t *txn) ownAgain(id loyalty.AccountID, e *loyalty.Entry) error {
	p, ok := loyalty.PostingOf(t.st.epoch, t.st.last, e)
	if !ok || id == 0 {
		return nil
	}
	l, known, err := t.account(id)
	if err != nil || !known {
		return err
	}
	l.Add(p)
	return t.putAccount(&l)
}
