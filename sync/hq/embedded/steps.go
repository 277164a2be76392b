package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// Steps finds the entries that first took steps. See [hq.Tx].
func (t *tx) Steps(steps []hq.SaleStep) (map[hq.SaleStep]*hq.Line, error) {
	out := make(map[hq.SaleStep]*hq.Line)
	for _, s := range steps {
		l, err := t.first(bStep, stepKey(s))
		if err != nil {
			return nil, err
		}
		if l != nil {
			out[s] = l
		}
	}
	return out, nil
}

// stepKey is the key under which the index has a step.
func stepKey(s hq.SaleStep) []byte {
	k := append(append(u32(s.Station), byte(s.Step)), s.Sale...)
	if named(s.Step) {
		k = append(append(k, 0), s.Refund...) // no id holds a zero
	}
	return k
}

// RefundsOf lists the refunds of a sale. See [hq.Tx].
func (t *tx) RefundsOf(station loyalty.StationID, sale loyalty.SaleID, limit int) ([]*hq.Line, error) {
	prefix := stepKey(hq.SaleStep{Station: station, Sale: sale, Step: hq.Refunded})
	var out []*hq.Line
	c := t.Bucket(bStep).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(out) < limit; k, v = c.Next() {
		l, err := t.pointed(bStep, k, v)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *hq.Line) int { return cmp.Compare(a.Pos, b.Pos) })
	return out, nil
}

// pointed is the line that a value of an index points at.
func (t *tx) pointed(bucket, k, sealed []byte) (*hq.Line, error) {
	v, err := unseal(k, sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bucket, err)
	}
	at, err := placeOf(v)
	if err != nil {
		return nil, err
	}
	l, err := t.line(at)
	if err == nil && l == nil {
		err = fmt.Errorf("%w: %s points at %s, which is not there", ErrCorrupt, bucket, at)
	}
	return l, err
}

// History lists what was posted to an account. See [hq.Tx].
func (t *tx) History(account loyalty.AccountID, before uint64, limit int) ([]*hq.Line, error) {
	prefix := u64(account)
	end := before
	if end == 0 {
		end = 1<<64 - 1 // no line is there
	}
	c := t.Bucket(bHistory).Cursor()
	k, v := c.Seek(append(slices.Clone(prefix), u64(end)...))
	if k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	var out []*hq.Line
	for ; len(k) == 16 && bytes.HasPrefix(k, prefix) && len(out) < limit; k, v = c.Prev() {
		l, err := t.pointed(bHistory, k, v)
		if err != nil {
			return nil, err
		}
		pos := binary.BigEndian.Uint64(k[8:])
		if effect(l) != pos {
			return nil, fmt.Errorf("%w: position %d of account %d is not at %s", ErrCorrupt, pos, account, l.Place)
		}
		out = append(out, l.As(pos))
	}
	return out, nil
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

// historyKey is the key under which an account has a line; nil if it has not.
func historyKey(l *hq.Line) []byte {
	pos := effect(l)
	if l.Account == 0 || pos == 0 {
		return nil
	}
	return append(u64(l.Account), u64(pos)...)
}
