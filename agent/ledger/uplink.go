package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
	bolt "go.etcd.io/bbolt"
)

// Position is where the journal and the copy of HQ's down-stream stand on the disk.
func (l *Ledger) Position(ctx context.Context) (wire.Position, error) {
	if err := ctx.Err(); err != nil {
		return wire.Position{}, err
	}
	var p wire.Position
	err := l.view(func(t *txn) (err error) {
		p, err = t.position()
		return err
	})
	p.Boot = l.boot
	return p, err
}

func (t *txn) position() (wire.Position, error) {
	s := &t.st
	p := wire.Position{
		Station: s.station, Epoch: s.epoch, Nonce: s.nonce, Last: s.last, LastHash: s.lastHash, LastAt: s.lastAt, Acked: s.acked,
		DownStream: s.downStream, DownSeq: s.downSeq,
	}
	var err error
	if p.First, err = t.first(s.epoch); err != nil || s.acked >= s.last {
		return p, err
	}
	_, b, err := t.entry(place{s.epoch, s.acked + 1})
	if err != nil {
		return p, err
	}
	e, err := wire.DecodeEntry(b)
	if err != nil {
		return p, err
	}
	p.UnsentAt = e.At
	return p, nil
}

// HashAt is the chain after an entry; of seq 0, the genesis of the current epoch. It returns [ErrNoEntry] for an entry
// that the journal does not hold.
func (l *Ledger) HashAt(epoch loyalty.Epoch, seq loyalty.Seq) (wire.Hash, error) {
	var h wire.Hash
	err := l.view(func(t *txn) (err error) {
		h, err = t.hashAt(place{epoch, seq})
		return err
	})
	return h, err
}

func (t *txn) hashAt(p place) (wire.Hash, error) {
	if p.seq == 0 && p.epoch == t.st.epoch {
		return wire.Genesis(t.st.station, t.st.epoch, t.st.nonce), nil
	}
	if p.epoch == t.st.epoch && p.seq == t.st.last {
		return t.st.lastHash, nil // holds also when everything has been trimmed
	}
	h, _, err := t.entry(p)
	return h, err
}

// Read returns the bytes of consecutive entries of an epoch from a seq on: at most maxEntries, and no more than maxBytes
// together, but always at least one if there is one. Behind the journal's end the result is empty; an entry that was
// trimmed is [ErrNoEntry]. The buffers belong to the caller.
func (l *Ledger) Read(ctx context.Context, epoch loyalty.Epoch, from loyalty.Seq, maxEntries, maxBytes int) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out [][]byte
	err := l.view(func(t *txn) error {
		next, size := from, 0
		err := t.each(place{epoch, from}, func(p place, _ wire.Hash, b []byte) (bool, error) {
			if p.epoch != epoch {
				return false, nil
			}
			if p.seq != next {
				return false, fmt.Errorf("entry %d of epoch %d: %w", next, epoch, ErrNoEntry)
			}
			if len(out) > 0 && (len(out) >= maxEntries || size+len(b) > maxBytes) {
				return false, nil
			}
			out = append(out, slices.Clone(b))
			next, size = next+1, size+len(b)
			return true, nil
		})
		if err == nil && len(out) == 0 && (epoch != t.st.epoch || from <= t.st.last) {
			err = fmt.Errorf("entry %d of epoch %d: %w", from, epoch, ErrNoEntry)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Acked notes durably that HQ has committed everything of the epoch through seq, where the chain is hash. What is behind
// what was noted before changes nothing, nor does the word of another epoch. A hash that differs from the journal's, or a
// seq that was never written, is [ErrFork] and changes nothing. Entries that HQ set aside are noted and counted.
// The sealed forms that the entries named are deleted, also of those set aside: HQ keeps a form with its entry.
func (l *Ledger) Acked(ctx context.Context, epoch loyalty.Epoch, seq loyalty.Seq, hash wire.Hash, quarantined []*pb.Quarantined) error {
	return l.write(ctx, func(t *txn) error {
		if epoch != t.st.epoch {
			return nil
		}
		if seq > t.st.last {
			return fmt.Errorf("entry %d acknowledged, the last is %d: %w", seq, t.st.last, ErrFork)
		}
		switch own, err := t.hashAt(place{epoch, seq}); {
		case err == nil && own != hash:
			return fmt.Errorf("entry %d: chain %s here, %s there: %w", seq, own, hash, ErrFork)
		case err != nil && seq > t.st.acked:
			return err
		}
		before := t.st.count.quarantined
		for _, q := range quarantined {
			if err := t.quarantine(q); err != nil {
				return err
			}
		}
		if n := t.st.count.quarantined; n != before {
			last, err := t.setAside()
			if err == nil {
				err = t.raise(AlarmQuarantine, fmt.Sprintf("headquarters has set aside %d entries, the last is %s", n, last), "")
			}
			if err != nil {
				return err
			}
		}
		if seq <= t.st.acked {
			return nil
		}
		t.st.acked = seq
		if err := t.dropForms(place{epoch, seq}); err != nil {
			return err
		}
		if t.st.thaw != 0 && seq >= t.st.thaw {
			t.st.thaw, t.st.freeze = 0, ""
		}
		return t.saveState()
	})
}

func (t *txn) quarantine(q *pb.Quarantined) error {
	p := place{t.st.epoch, loyalty.Seq(q.Seq)}
	if p.seq == 0 || p.seq > t.st.last {
		return nil
	}
	key := p.key()
	if known, err := t.has(bucketQuar, key); err != nil || known {
		return err
	}
	reason := q.Reason[:min(len(q.Reason), loyalty.MaxReason)]
	t.st.count.quarantined++
	return t.putMessage(bucketQuar, key, &ledgerpb.Quarantined{Op: q.Op[:min(len(q.Op), 16)], Reason: string(bytes.ToValidUTF8([]byte(reason), nil))})
}

// Trim drops entries that HQ has acknowledged and that are older than Retain, with the sales and shifts that they are the
// last of, and what velocity rules no longer count, in slices of one transaction each, and returns how many entries went.
// It does nothing until HQ has been heard in this run: what is old is not decided by a clock that may be wrong. Open sales,
// and entries that HQ has not acknowledged, are never dropped.
func (l *Ledger) Trim(ctx context.Context) (int, error) {
	total, err := l.trimJournal(ctx)
	return total, errors.Join(err, l.trimWatches(ctx))
}

func (l *Ledger) trimJournal(ctx context.Context) (int, error) {
	total := 0
	for {
		dropped, slice := 0, 0
		err := l.write(ctx, func(t *txn) (err error) {
			r := l.clock.read()
			if !r.heard {
				return nil
			}
			slice = t.trimSlice()
			dropped, err = t.trim(r.at.Add(-l.cfg.Retain), slice)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += dropped; dropped < slice || slice == 0 {
			return total, nil
		}
	}
}

// trimSlice keeps the transaction short enough that a sale which waits behind it is not noticed, and, when room is short,
// small enough to fit: dropping a record writes new copies of the pages around it.
func (t *txn) trimSlice() int { return int(min(max(t.room.left/(4*4096), 10), 1000)) }

// trim drops up to a slice. Entries are in the order of their seq; where the clock was once ahead, an entry is as old as
// any entry behind it.
func (t *txn) trim(before loyalty.Instant, slice int) (int, error) {
	horizon, err := t.horizon(before)
	if err != nil || horizon == (place{}) {
		return 0, err
	}
	type victim struct {
		p     place
		body  loyalty.Body
		shift loyalty.ShiftID
	}
	var victims []victim
	err = t.each(place{}, func(p place, _ wire.Hash, b []byte) (bool, error) {
		if !p.before(horizon) || len(victims) == slice {
			return false, nil
		}
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return false, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, p.seq, err)
		}
		shift, _ := loyalty.ShiftOf(e)
		victims = append(victims, victim{p, e.Body, shift})
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	jrn := t.bucket(bucketJrn)
	for _, v := range victims {
		if err := t.dropEntry(jrn, v.p.key()); err != nil {
			return 0, err
		}
		if k := saleOf(v.body); k.id != "" {
			if err := t.dropSale(k, v.p); err != nil {
				return 0, err
			}
		}
		if c, ok := v.body.(loyalty.CardIssued); ok {
			if err := t.dropIssued(c.Card, v.p); err != nil {
				return 0, err
			}
		}
		if v.shift.Number != 0 {
			if err := t.dropShift(v.shift, v.p); err != nil {
				return 0, err
			}
		}
	}
	t.seg = nil
	return len(victims), nil
}

// horizon is the place before which everything may go: the newest entry that is old enough, acknowledged or of an earlier
// epoch, and not the last one, whose hash the chain needs.
func (t *txn) horizon(before loyalty.Instant) (place, error) {
	end := place{t.st.epoch, min(t.st.acked+1, t.st.last)}
	var h place
	jrn := t.bucket(bucketJrn)
	c := jrn.Cursor()
	for name, _ := c.Last(); name != nil; name, _ = c.Prev() {
		if !parsePlace(name).before(end) {
			continue
		}
		k, v := jrn.Bucket(name).Cursor().First()
		if k == nil {
			continue
		}
		_, b, err := parseEntry(k, v)
		if err != nil {
			return h, err
		}
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return h, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if e.At >= before {
			continue
		}
		return t.scanHorizon(parsePlace(k), end, before)
	}
	return h, nil
}

// scanHorizon goes on from the start of the newest segment that begins old enough to the first entry that is not.
func (t *txn) scanHorizon(from, end place, before loyalty.Instant) (h place, err error) {
	h = from
	err = t.each(from, func(p place, _ wire.Hash, b []byte) (bool, error) {
		h = p
		if !p.before(end) {
			return false, nil
		}
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return e.At < before, nil
	})
	return h, err
}

func (t *txn) dropEntry(jrn *bolt.Bucket, key []byte) error {
	seg := segmentOf(jrn, key)
	if seg == nil {
		return fmt.Errorf("%w: the segment of %s is missing", ErrCorrupt, describeKey(bucketJrn, key))
	}
	t.puts++
	if err := seg.Delete(key); err != nil {
		return fmt.Errorf("trim %s: %w", describeKey(bucketJrn, key), err)
	}
	t.st.count.entries--
	if k, _ := seg.Cursor().First(); k == nil {
		return t.dropSegment(jrn, key)
	}
	return nil
}

func (t *txn) dropSegment(jrn *bolt.Bucket, key []byte) error {
	c := jrn.Cursor()
	name, _ := c.Seek(key)
	switch {
	case name == nil:
		name, _ = c.Last()
	case !bytes.Equal(name, key):
		name, _ = c.Prev()
	}
	if err := jrn.DeleteBucket(slices.Clone(name)); err != nil {
		return fmt.Errorf("drop the segment of %s: %w", describeKey(bucketJrn, key), err)
	}
	return nil
}

// dropSale forgets a sale of which the entry was the last. A sale of the same id that ended in another life of the journal
// stays until that entry goes.
func (t *txn) dropSale(k saleKey, p place) error {
	s, err := t.saleAt(k)
	if err != nil || s.Sale == nil || s.State == loyalty.SaleOpen || s.last() != p {
		return err
	}
	if k.station == 0 {
		t.st.count.sales--
	}
	bucket, key := k.record()
	return t.delete(bucket, key)
}
