package embedded

import (
	"bytes"
	"cmp"
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
	if !named(s.Step) {
		return k
	}
	k = append(k, 0) // no id holds a zero
	if s.Step == hq.Refunded {
		k = append(k, u32(s.By)...)
	}
	return append(k, s.Refund...)
}

// refundsKey is what the keys of a sale's refunds begin with.
func refundsKey(station loyalty.StationID, sale loyalty.SaleID) []byte {
	return append(append(append(u32(station), byte(hq.Refunded)), sale...), 0)
}

// RefundsOf lists the refunds of a sale. See [hq.Tx].
func (t *tx) RefundsOf(station loyalty.StationID, sale loyalty.SaleID, limit int) ([]*hq.Line, error) {
	prefix := refundsKey(station, sale)
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
