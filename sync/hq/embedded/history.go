package embedded

import (
	"encoding/binary"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// An account's history is a chain: the record has the position of the newest line that was posted to it, and every line
// that of the one before. Both are written anyway; an index of its own would dirty a page of the file for every line.

// History lists what was posted to an account. See [hq.Tx].
func (t *tx) History(account loyalty.AccountID, before uint64, limit int) ([]*hq.Line, error) {
	pos, err := t.newest(account)
	if err != nil {
		return nil, err
	}
	if before != 0 && before <= pos { // the page before ended there
		if l, err := t.posted(before); err == nil && l.Account == account {
			pos = before
		}
	}
	var out []*hq.Line
	for pos != 0 && len(out) < limit {
		l, err := t.posted(pos)
		switch {
		case err != nil:
			return nil, err
		case l.Account != account || l.Prev >= pos:
			return nil, fmt.Errorf("%w: the history of account %d leads to position %d and on to %d", ErrCorrupt, account, pos, l.Prev)
		case before == 0 || pos < before:
			out = append(out, l.As(pos))
		}
		pos = l.Prev
	}
	return out, nil
}

// newest is where the newest line of an account was posted; zero if there is none.
func (t *tx) newest(account loyalty.AccountID) (uint64, error) {
	v, err := t.get(bAccount, u64(account))
	if err != nil || v == nil {
		return 0, err
	}
	r := &reader{b: v}
	pos := r.uint()
	return pos, r.err
}

// posted is the line that took effect at a position of the stream.
func (t *tx) posted(pos uint64) (*hq.Line, error) {
	v, err := t.get(bPos, u64(pos))
	if err != nil {
		return nil, err
	}
	at, err := placeOf(v)
	if err != nil {
		return nil, err
	}
	l, err := t.line(at)
	if err == nil && (l == nil || effect(l) != pos) {
		err = fmt.Errorf("%w: nothing was posted at %d, by %s", ErrCorrupt, pos, at)
	}
	return l, err
}

// effect is the position of the stream at which a line was posted; zero if it was not.
func effect(l *hq.Line) uint64 {
	switch {
	case l.Outcome != hq.Posted:
		return 0
	case l.Again != 0:
		return l.Again
	}
	return l.Pos
}

// chain puts a line that was posted at a position at the end of its account's history.
func (t *tx) chain(l *hq.Line, pos uint64) error {
	if l.Outcome != hq.Posted || l.Account == 0 {
		return nil
	}
	last, ok := t.heads[l.Account]
	if !ok {
		var err error
		if last, err = t.newest(l.Account); err != nil {
			return err
		}
		if t.heads == nil {
			t.heads = map[loyalty.AccountID]uint64{}
		}
	}
	l.Prev, t.heads[l.Account] = last, pos
	return nil
}

// saveRecords writes accounts, and of those whose lines alone were posted, where the newest is.
func (t *tx) saveRecords(c *hq.Changes) error {
	for _, r := range c.Records {
		last, ok := t.heads[r.Account.ID]
		if !ok {
			var err error
			if last, err = t.newest(r.Account.ID); err != nil {
				return err
			}
		}
		delete(t.heads, r.Account.ID)
		v, err := encodeRecord(last, r)
		if err != nil {
			return err
		}
		if err := t.put(bAccount, u64(r.Account.ID), v); err != nil {
			return err
		}
	}
	for id, last := range t.heads {
		v, err := t.get(bAccount, u64(id))
		if err != nil {
			return err
		}
		r := &reader{b: v}
		if r.uint(); r.err != nil {
			return fmt.Errorf("%w: a line of account %d, which is not there", ErrCorrupt, id)
		}
		if err := t.put(bAccount, u64(id), append(binary.AppendUvarint(nil, last), r.b...)); err != nil {
			return err
		}
	}
	t.heads = nil
	return nil
}

// histories follows the histories of all accounts through the stream.
type histories map[loyalty.AccountID]uint64

// line takes the next line of the stream, as it stands there.
func (h histories) line(l *hq.Line) error {
	if l.Outcome != hq.Posted || l.Account == 0 {
		return nil
	}
	if l.Prev != h[l.Account] {
		return fmt.Errorf("%w: before %s account %d has the position %d, not %d", ErrCorrupt, l.Place, l.Account, h[l.Account], l.Prev)
	}
	h[l.Account] = l.Pos
	return nil
}

// record compares where an account's history ends.
func (h histories) record(id loyalty.AccountID, newest uint64) error {
	if h[id] != newest {
		return fmt.Errorf("%w: the history of account %d ends at %d, not %d", ErrCorrupt, id, h[id], newest)
	}
	return nil
}
