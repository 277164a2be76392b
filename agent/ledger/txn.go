package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	bolt "go.etcd.io/bbolt"
)

// txn is one transaction on the file, read or write, with the state as it will be after it. Operations of one group share
// a txn and see each other's writes. Nothing outside of it changes before the commit has returned.
type txn struct {
	tx       *bolt.Tx
	st       state
	rules    rules
	puts     int // writes so far: an operation is refused before its first
	appended bool
	room     room
	news     int64 // room that this group's news of headquarters may take
	read     func() reading
	random   func([]byte) error
	buckets  map[string]*bolt.Bucket
	seg      *bolt.Bucket // the segment being written
	open     *openDeeds   // nil: not read yet
}

func (t *txn) bucket(name string) *bolt.Bucket {
	if b, ok := t.buckets[name]; ok {
		return b
	}
	b := t.tx.Bucket([]byte(name))
	if b != nil {
		if name == bucketSale {
			b.FillPercent = salesFill
		}
		t.buckets[name] = b
	}
	return b
}

// salesFill is how full pages of sales are left when they are split. Where a register numbers its sales in order, what is
// left free is never used; where ids are random, too little left free makes many small pages: 345 and 375 bytes a sale,
// and with bbolt's own half 519 and 345.
const salesFill = 0.7

// get returns a record's value, nil if there is none. It holds only for the transaction.
func (t *txn) get(bucket string, key []byte) ([]byte, error) {
	b := t.bucket(bucket)
	if b == nil {
		return nil, fmt.Errorf("%w: bucket %s is missing", ErrCorrupt, bucket)
	}
	v := b.Get(key)
	if v == nil {
		return nil, nil
	}
	return unseal(bucket, key, v)
}

func (t *txn) has(bucket string, key []byte) (bool, error) {
	v, err := t.get(bucket, key)
	return v != nil, err
}

// put writes a stored value, which the caller does not touch again.
func (t *txn) put(bucket string, key, stored []byte) error {
	b := t.bucket(bucket)
	if b == nil {
		return fmt.Errorf("%w: bucket %s is missing", ErrCorrupt, bucket)
	}
	t.puts++
	if err := b.Put(key, stored); err != nil {
		return fmt.Errorf("write %s: %w", describeKey(bucket, key), err)
	}
	return nil
}

func (t *txn) putMessage(bucket string, key []byte, m message) error {
	stored, err := encode(bucket, key, m)
	if err != nil {
		return err
	}
	return t.put(bucket, key, stored)
}

func (t *txn) delete(bucket string, key []byte) error {
	b := t.bucket(bucket)
	if b == nil {
		return fmt.Errorf("%w: bucket %s is missing", ErrCorrupt, bucket)
	}
	t.puts++
	if err := b.Delete(key); err != nil {
		return fmt.Errorf("delete %s: %w", describeKey(bucket, key), err)
	}
	return nil
}

// saveState writes the state; it is the last thing a group does.
func (t *txn) saveState() error { return t.putMessage(bucketMeta, keyState, t.st.message()) }

// nextPlace is where the next entry will stand, with its moment and identity.
func (t *txn) nextPlace() (loyalty.Place, reading, error) {
	r := t.read()
	at := r.after(t.st.lastAt)
	op, err := t.mint(t.st.lastOp, at)
	return loyalty.Place{Epoch: t.st.epoch, Seq: t.st.last + 1, Op: op, At: at}, r, err
}

// placeAfter is where an entry will stand that is written together with the one at a place, behind it.
func (t *txn) placeAfter(at loyalty.Place) (loyalty.Place, error) {
	op, err := t.mint(at.Op, at.At)
	return loyalty.Place{Epoch: at.Epoch, Seq: at.Seq + 1, Op: op, At: at.At}, err
}

// mint makes the next operation id: greater than the one before unless the clock was put back, in which case the moment
// goes before the order.
func (t *txn) mint(last loyalty.OpID, at loyalty.Instant) (loyalty.OpID, error) {
	if at == last.At() && !last.IsZero() {
		low := binary.BigEndian.Uint64(last[8:]) &^ (3 << 62)
		if low < 1<<62-1 {
			id := last
			binary.BigEndian.PutUint64(id[8:], (low+1)|2<<62)
			return id, nil
		}
		at++
	}
	var random [10]byte
	if err := t.random(random[:]); err != nil {
		return loyalty.OpID{}, fmt.Errorf("random bytes for an operation id: %w", err)
	}
	random[2] &= 0x1f // of the low 62 bits a half is left for counting up
	return loyalty.NewOpID(at, random), nil
}

// chained is an entry that is ready to be appended.
type chained struct {
	entry *loyalty.Entry
	bytes []byte
}

// prepare encodes an entry for the place: the last step that may refuse.
func prepare(p loyalty.Place, r reading, who loyalty.Who, programme uint32, body loyalty.Body) (chained, error) {
	e := &loyalty.Entry{
		At: p.At, Mono: uint64(r.mono.Milliseconds()), Clock: r.mark, Op: p.Op, Cashier: who.Cashier, Shift: who.Shift, Counter: who.Counter,
		Programme: programme, Body: body,
	}
	b, err := wire.EncodeEntry(e)
	return chained{e, b}, err
}

// append writes a prepared entry at the journal's end and moves the clock's bound with it.
func (t *txn) append(c chained, r reading) error {
	if err := t.appendBytes(c.entry.At, c.bytes); err != nil {
		return err
	}
	t.st.lastOp = c.entry.Op
	t.st.bound = c.entry.At
	if r.heard {
		t.st.heard = max(t.st.heard, c.entry.At)
		if t.st.heard > c.entry.At.Add(smallStep) { // HQ's clock was put right
			t.st.heard = c.entry.At
		}
	}
	return nil
}

func (t *txn) appendBytes(at loyalty.Instant, entry []byte) error {
	p := place{t.st.epoch, t.st.last + 1}
	if err := t.openSegment(p, at); err != nil {
		return err
	}
	hash := t.st.lastHash.Next(entry)
	key := p.key()
	v := make([]byte, 0, len(hash)+len(entry)+sumSize)
	v = append(append(v, hash[:]...), entry...)
	t.puts++
	if err := t.seg.Put(key, seal(bucketJrn, key, v)); err != nil {
		return fmt.Errorf("append entry %d: %w", p.seq, err)
	}
	t.st.last, t.st.lastHash, t.st.lastAt = p.seq, hash, at
	t.st.segmentLen++
	t.st.count.entries++
	t.appended = true
	return nil
}

const (
	segmentEntries = 4096
	dayMillis      = 24 * 60 * 60 * 1000
)

// openSegment makes t.seg the segment for an entry: a new one with every epoch, day and [segmentEntries].
func (t *txn) openSegment(p place, at loyalty.Instant) error {
	day := int64(at) / dayMillis
	fresh := t.st.segment.epoch != p.epoch || t.st.segmentDay != day || t.st.segmentLen >= segmentEntries
	if !fresh && t.seg != nil {
		return nil
	}
	jrn := t.bucket(bucketJrn)
	if jrn == nil {
		return fmt.Errorf("%w: bucket jrn is missing", ErrCorrupt)
	}
	if !fresh {
		t.seg = jrn.Bucket(t.st.segment.key())
	}
	if fresh || t.seg == nil { // trimmed empty
		t.puts++
		seg, err := jrn.CreateBucketIfNotExists(p.key())
		if err != nil {
			return fmt.Errorf("begin a journal segment: %w", err)
		}
		t.seg, t.st.segment, t.st.segmentLen, t.st.segmentDay = seg, p, 0, day
	}
	t.seg.FillPercent = 0.95 // entries come in the order of their keys
	return nil
}

// entry returns the chain after an entry and its bytes, or [ErrNoEntry].
func (t *txn) entry(p place) (wire.Hash, []byte, error) {
	jrn := t.bucket(bucketJrn)
	if jrn == nil {
		return wire.Hash{}, nil, fmt.Errorf("%w: bucket jrn is missing", ErrCorrupt)
	}
	key := p.key()
	seg := segmentOf(jrn, key)
	if seg == nil {
		return wire.Hash{}, nil, fmt.Errorf("entry %d of epoch %d: %w", p.seq, p.epoch, ErrNoEntry)
	}
	v := seg.Get(key)
	if v == nil {
		return wire.Hash{}, nil, fmt.Errorf("entry %d of epoch %d: %w", p.seq, p.epoch, ErrNoEntry)
	}
	return parseEntry(key, v)
}

// segmentOf finds the segment that holds the key if any does: the last whose name is not after it.
func segmentOf(jrn *bolt.Bucket, key []byte) *bolt.Bucket {
	c := jrn.Cursor()
	name, _ := c.Seek(key)
	switch {
	case name == nil:
		name, _ = c.Last()
	case !bytes.Equal(name, key):
		name, _ = c.Prev()
	}
	if name == nil {
		return nil
	}
	return jrn.Bucket(name)
}

func parseEntry(key, stored []byte) (wire.Hash, []byte, error) {
	v, err := unseal(bucketJrn, key, stored)
	if err != nil {
		return wire.Hash{}, nil, err
	}
	if len(v) < len(wire.Hash{}) {
		return wire.Hash{}, nil, fmt.Errorf("%w: %s is too short", ErrCorrupt, describeKey(bucketJrn, key))
	}
	return wire.Hash(v[:len(wire.Hash{})]), v[len(wire.Hash{}):], nil
}

// each calls fn for the entries from a place on, in order, until it returns false. The bytes hold only for the transaction.
func (t *txn) each(from place, fn func(p place, hash wire.Hash, entry []byte) (bool, error)) error {
	jrn := t.bucket(bucketJrn)
	if jrn == nil {
		return fmt.Errorf("%w: bucket jrn is missing", ErrCorrupt)
	}
	segs := jrn.Cursor()
	key := from.key()
	name, _ := segs.Seek(key)
	switch {
	case name == nil:
		name, _ = segs.Last()
	case !bytes.Equal(name, key):
		if prev, _ := segs.Prev(); prev != nil {
			name = prev
		} else {
			name, _ = segs.First()
		}
	}
	for ; name != nil; name, _ = segs.Next() {
		seg := jrn.Bucket(name)
		if seg == nil {
			return fmt.Errorf("%w: jrn holds a plain value", ErrCorrupt)
		}
		c := seg.Cursor()
		for k, v := c.Seek(key); k != nil; k, v = c.Next() {
			hash, b, err := parseEntry(k, v)
			if err != nil {
				return err
			}
			if more, err := fn(parsePlace(k), hash, b); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// first is the oldest entry of an epoch that is kept; zero if there is none.
func (t *txn) first(e loyalty.Epoch) (seq loyalty.Seq, err error) {
	err = t.each(place{e, 1}, func(p place, _ wire.Hash, _ []byte) (bool, error) {
		if p.epoch == e {
			seq = p.seq
		}
		return false, nil
	})
	return seq, err
}

// account reads the station's view of an account; known tells whether there is one.
func (t *txn) account(id loyalty.AccountID) (l loyalty.Local, known bool, err error) {
	l.Snapshot.Account.ID = id
	v, err := t.get(bucketAcct, accountKey(id))
	if v == nil || err != nil {
		return l, false, err
	}
	l, err = parseLocal(v)
	if err == nil && l.Snapshot.Account.ID != id {
		err = fmt.Errorf("%w: account %d stands in the place of %d", ErrCorrupt, l.Snapshot.Account.ID, id)
	}
	return l, true, err
}

func (t *txn) putAccount(l *loyalty.Local) error {
	key := accountKey(l.Snapshot.Account.ID)
	known, err := t.has(bucketAcct, key)
	if err != nil {
		return err
	}
	if !known {
		t.st.count.accounts++
	}
	return t.putMessage(bucketAcct, key, wire.FromLocal(l))
}

func (t *txn) card(n loyalty.CardNumber) (loyalty.Card, bool, error) {
	v, err := t.get(bucketCard, []byte(n))
	if v == nil || err != nil {
		return loyalty.Card{Number: n}, false, err
	}
	c, err := parseCard(n, v)
	return c, true, err
}

func (t *txn) putCard(c *loyalty.Card) error {
	known, err := t.has(bucketCard, []byte(c.Number))
	if err != nil {
		return err
	}
	if !known {
		t.st.count.cards++
	}
	return t.putMessage(bucketCard, []byte(c.Number), cardMessage(c))
}

func (t *txn) cell(id loyalty.AccountID) (cell, error) {
	v, err := t.get(bucketCell, accountKey(id))
	if v == nil || err != nil {
		return cell{}, err
	}
	return parseCell(v)
}

// putCell writes a cell and keeps the index of those that hold rights.
func (t *txn) putCell(id loyalty.AccountID, c cell) error {
	key := accountKey(id)
	if err := c.Check(); err != nil {
		return fmt.Errorf("account %d: %w", id, err)
	}
	listed, err := t.has(bucketLeft, key)
	if err != nil {
		return err
	}
	if err := t.putMessage(bucketCell, key, c.message()); err != nil {
		return err
	}
	switch left := c.Left() > 0; {
	case left && !listed:
		return t.put(bucketLeft, key, seal(bucketLeft, key, nil))
	case !left && listed:
		return t.delete(bucketLeft, key)
	}
	return nil
}

// sale reads a sale of this station.
func (t *txn) sale(id loyalty.SaleID) (sale, error) { return t.saleAt(saleKey{0, id}) }

// errLate marks an error of an operation that had written already: the group is rolled back.
var errLate = errors.New("failed after its first write")
