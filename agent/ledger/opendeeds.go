package ledger

import (
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// A rule that refuses adds the sales of the subject that are open, with all they have reserved, so that nobody gets past it
// by opening several before the first is closed. It looks back no further than [loyalty.Velocity.OpenSince]: a sale that a
// crash has left open is not held against its subject for ever. Open sales are listed by the identity of what opened them,
// which begins with the moment, so that older ones are not read. They are read only if such a rule concerns an operation, and
// kept for the other operations of the transaction.

// openDeed is a sale that stands open, as if it were closed now with all it has reserved.
type openDeed struct {
	loyalty.Deed
	sale loyalty.SaleID
	op   loyalty.OpID // that opened it
}

// openDeeds are the open sales since a moment, as far as the transaction has read them.
type openDeeds struct {
	since loyalty.Instant
	deeds []openDeed // the oldest first
}

// openDeeds returns the sales that stand open and were opened at the moment or later, the oldest first, and perhaps
// earlier ones.
func (t *txn) openDeeds(since loyalty.Instant) ([]openDeed, error) {
	if t.open != nil && t.open.since <= since {
		return t.open.deeds, nil
	}
	x := &openDeeds{since: since}
	from := loyalty.NewOpID(max(since, 0), [10]byte{})
	c := t.bucket(bucketOpen).Cursor()
	for k, v := c.Seek(from[:6]); k != nil; k, v = c.Next() {
		id, err := unseal(bucketOpen, k, v)
		if err != nil {
			return nil, err
		}
		s, err := t.sale(loyalty.SaleID(id))
		if err != nil {
			return nil, err
		}
		if s.Sale == nil || s.Open == nil {
			return nil, fmt.Errorf("%w: sale %q is listed as open and is not", ErrCorrupt, id)
		}
		x.deeds = append(x.deeds, deedOfOpen(s.Sale))
	}
	t.open = x
	return x.deeds, nil
}

func deedOfOpen(s *loyalty.Sale) openDeed {
	d := openDeed{sale: s.ID, op: s.OpOpen, Deed: loyalty.Deed{
		At: s.OpenedAt, Card: s.Card, Account: s.Account, Counter: s.Open.Counter, Cashier: s.Open.Cashier, Shift: s.Open.Shift,
		Sales: 1, Redeemed: s.Reserved,
	}}
	if s.Open.Manual != "" {
		d.Manual = 1
	}
	return d
}

// opened notes a sale that the transaction has opened.
func (x *openDeeds) opened(s *loyalty.Sale) {
	if x != nil {
		x.deeds = append(x.deeds, deedOfOpen(s))
	}
}

// ended notes that the transaction has ended a sale that was opened.
func (x *openDeeds) ended(op loyalty.OpID) {
	if x != nil {
		x.deeds = slices.DeleteFunc(x.deeds, func(d openDeed) bool { return d.op == op })
	}
}

// withOpen is a deed with those of the open sales that the rule counts together with it, and the oldest of these, nil if
// there are none.
func (c concern) withOpen(d loyalty.Deed, open []openDeed) (sum loyalty.Deed, oldest *openDeed) {
	sum = d
	since := c.rule.OpenSince(d.At)
	for i := range open {
		o := &open[i]
		if o.At < since {
			continue
		}
		if k, ok := c.rule.Key(&o.Deed); !ok || k != c.key {
			continue
		}
		sum.Sales, sum.Manual, sum.Redeemed = sum.Sales+o.Sales, sum.Manual+o.Manual, sum.Redeemed+o.Redeemed
		if oldest == nil || o.At < oldest.At {
			first := *o // what the transaction does next moves the others about
			oldest = &first
		}
	}
	return sum, oldest
}
