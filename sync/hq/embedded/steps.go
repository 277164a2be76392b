package embedded

import "github.com/azs-edge/azs-edge/sync/hq"

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
	if s.Step >= hq.Refunded {
		k = append(append(k, 0), s.Refund...) // no id holds a zero
	}
	return k
}
