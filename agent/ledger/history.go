package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// History reads what was done for an account, or with a card, at this station: a page of it, the newest first, as far as
// the journal is kept. It goes through the journal backwards and has no index: what nobody asks for often is not worth a
// write with every sale. It reads a segment of the journal in one short transaction, so that it holds up no writer
// however far it has to go, and ends when ctx does.
//
// An entry that a later epoch has written again is told once.
func (l *Ledger) History(ctx context.Context, q loyalty.HistoryQuery) (loyalty.HistoryPage, error) {
	if err := q.Check(); err != nil {
		return loyalty.HistoryPage{}, err
	}
	s := &statement{q: q, marks: marksOf(&q)}
	var err error
	if s.before, err = parseHistoryKey(q.Before); err != nil {
		return loyalty.HistoryPage{}, err
	}
	if err := l.view(s.begin); err != nil {
		return loyalty.HistoryPage{}, err
	}
	for i := len(s.segments) - 1; i >= 0 && s.page.Next == ""; i-- {
		if err := ctx.Err(); err != nil {
			return loyalty.HistoryPage{}, err
		}
		if !s.reaches(s.segments[i]) {
			continue
		}
		if err := l.view(func(t *txn) error { return s.segment(t, s.segments[i].key) }); err != nil {
			return loyalty.HistoryPage{}, err
		}
	}
	return s.page, nil
}

// statement is a history that is being put together.
type statement struct {
	q        loyalty.HistoryQuery
	marks    [][]byte // one of them is in the bytes of every entry that is asked for
	before   place
	segments []segment
	again    map[loyalty.Epoch]loyalty.Seq // from which seq on an epoch's entries were written again by a later one
	page     loyalty.HistoryPage
}

// segment is one of the journal, of which all entries are of one day by the clock of the world.
type segment struct {
	key   []byte
	place place
	day   int64
}

// marksOf is what to look for before an entry is decoded: the account's number as a varint, or the card's digits. Nearly
// no entry of others has them.
func marksOf(q *loyalty.HistoryQuery) (marks [][]byte) {
	if q.Account != 0 {
		marks = append(marks, binary.AppendUvarint(nil, uint64(q.Account)))
	}
	if q.Card != "" {
		marks = append(marks, []byte(q.Card))
	}
	return marks
}

// begin lists the segments and finds what was written again.
func (s *statement) begin(t *txn) error {
	jrn := t.bucket(bucketJrn)
	if jrn == nil {
		return fmt.Errorf("%w: bucket jrn is missing", ErrCorrupt)
	}
	c := jrn.Cursor()
	for name, _ := c.First(); name != nil; name, _ = c.Next() {
		k, v := jrn.Bucket(name).Cursor().First()
		if k == nil {
			continue
		}
		_, b, err := parseEntry(k, v)
		if err != nil {
			return err
		}
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if len(s.segments) == 0 {
			s.page.Oldest = e.At
		}
		s.segments = append(s.segments, segment{slices.Clone(name), parsePlace(k), dayOf(e.At)})
	}
	return s.findAgain(t)
}

// findAgain finds, for each epoch but the last, the entry from which on the next one has written it again: what stands
// behind the next one's Started entry, under the same operation id.
func (s *statement) findAgain(t *txn) error {
	s.again = make(map[loyalty.Epoch]loyalty.Seq)
	for i := 1; i < len(s.segments); i++ {
		was, is := s.segments[i-1].place.epoch, s.segments[i].place.epoch
		if was == is {
			continue
		}
		_, b, err := t.entry(place{is, 2})
		if err != nil { // it has written nothing yet
			continue
		}
		first, err := wire.DecodeEntry(slices.Clone(b))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		for j := i - 1; j >= 0 && s.segments[j].place.epoch == was && s.again[was] == 0; j-- {
			if s.segments[j].day < dayOf(first.At) {
				break
			}
			err := t.eachBack(s.segments[j].key, place{was, ^loyalty.Seq(0)}, func(p place, b []byte) (bool, error) {
				if !bytes.Contains(b, first.Op[:]) {
					return true, nil
				}
				e, err := wire.DecodeEntry(b)
				if err != nil {
					return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
				}
				if e.Op != first.Op {
					return true, nil
				}
				s.again[was] = p.seq
				return false, nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// dayOf is the day by which the journal is cut into segments.
func dayOf(at loyalty.Instant) int64 { return int64(at) / dayMillis }

// reaches tells whether a segment can hold anything that is asked for.
func (s *statement) reaches(g segment) bool {
	return g.place.before(s.before) && g.day >= dayOf(s.q.From) && (s.q.Until == 0 || g.day <= dayOf(s.q.Until-1))
}

// segment takes what is asked for out of one segment.
func (s *statement) segment(t *txn, key []byte) error {
	return t.eachBack(key, s.before, func(p place, b []byte) (bool, error) {
		if from := s.again[p.epoch]; from != 0 && p.seq >= from {
			return true, nil
		}
		if !slices.ContainsFunc(s.marks, func(m []byte) bool { return bytes.Contains(b, m) }) {
			return true, nil
		}
		e, err := wire.DecodeEntry(slices.Clone(b)) // the operations outlive the transaction
		if err != nil {
			return false, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, p.seq, err)
		}
		if e.At < s.q.From || (s.q.Until != 0 && e.At >= s.q.Until) || !s.q.Concerns(e.Body) {
			return true, nil
		}
		o, ok := loyalty.OperationOf(t.st.station, p.epoch, p.seq, e)
		switch {
		case !ok:
			return true, nil
		case len(s.page.Operations) == s.q.Limit:
			last := s.page.Operations[len(s.page.Operations)-1]
			s.page.Next = historyKey(place{last.Epoch, last.Seq})
			return false, nil
		}
		s.page.Operations = append(s.page.Operations, o)
		return true, nil
	})
}

// eachBack calls fn for the entries of a segment before a place, the last first, until it returns false. The bytes hold
// only for the transaction. A segment that has been trimmed meanwhile has none.
func (t *txn) eachBack(segment []byte, before place, fn func(p place, entry []byte) (bool, error)) error {
	jrn := t.bucket(bucketJrn)
	if jrn == nil {
		return fmt.Errorf("%w: bucket jrn is missing", ErrCorrupt)
	}
	seg := jrn.Bucket(segment)
	if seg == nil {
		return nil
	}
	c := seg.Cursor()
	var v []byte
	k, _ := c.Seek(before.key())
	if k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	for ; k != nil; k, v = c.Prev() {
		_, b, err := parseEntry(k, v)
		if err != nil {
			return err
		}
		if more, err := fn(parsePlace(k), b); err != nil || !more {
			return err
		}
	}
	return nil
}

func historyKey(p place) string { return fmt.Sprintf("%d:%d", p.epoch, p.seq) }

// parseHistoryKey reads what [historyKey] has made; empty is the place behind all.
func parseHistoryKey(s string) (place, error) {
	if s == "" {
		return place{^loyalty.Epoch(0), ^loyalty.Seq(0)}, nil
	}
	epoch, seq, _ := strings.Cut(s, ":")
	e, err1 := strconv.ParseUint(epoch, 10, 32)
	q, err2 := strconv.ParseUint(seq, 10, 64)
	if err1 != nil || err2 != nil {
		return place{}, fmt.Errorf("%w: %.32q is not the key of a page", loyalty.BadRequest, s)
	}
	return place{loyalty.Epoch(e), loyalty.Seq(q)}, nil
}
