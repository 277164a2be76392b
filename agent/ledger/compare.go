package ledger

import (
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// compare holds the parts against each other.
func (c *checker) compare() {
	if !c.haveState {
		c.found("meta/state is missing")
		return
	}
	c.compareJournal()
	c.compareSales()
	c.compareEnds()
	c.shifts.compare(&c.st, len(c.gaps) > 0, c.found)
	c.compareIssued()
	for _, id := range slices.Sorted(maps.Keys(c.cells)) {
		x := c.cells[id]
		if x.reserved != c.reserved[id] {
			c.found("account %d: %s reserved, its open sales say %s", id, x.reserved, c.reserved[id])
		}
		if c.left[id] != (x.Left() > 0) {
			c.found("account %d: the index of cells with rights is wrong", id)
		}
		if st, ok := c.stated[id]; ok && st != x.Statement() {
			c.found("account %d: the cell says %+v, the journal %+v", id, x.Statement(), st)
		}
		delete(c.left, id)
		delete(c.stated, id)
	}
	for id := range c.left {
		c.found("account %d is listed with rights and has no cell", id)
	}
	for id, st := range c.stated {
		if st != (loyalty.Statement{}) {
			c.found("account %d: the journal says %+v and there is no cell", id, st)
		}
	}
	for id, amount := range c.reserved {
		if _, ok := c.cells[id]; !ok && amount != 0 {
			c.found("account %d: open sales reserve %s and there is no cell", id, amount)
		}
	}
	c.comparePostings()
	r := c.report
	r.Station, r.Epoch, r.First, r.Last, r.Acked, r.Hash = c.st.station, c.st.epoch, c.first, c.st.last, c.st.acked, c.st.lastHash.String()
	r.Frozen, r.Quarantined = c.st.freeze, c.count.quarantined
	r.Entries, r.Accounts, r.Cards, r.Sales, r.Open = c.count.entries, c.count.accounts, c.count.cards, c.count.sales, c.count.openSales
}

func (c *checker) compareJournal() {
	if c.count != c.st.count {
		c.found("the counters say %+v, the records %+v", c.st.count, c.count)
	}
	// An epoch that was left behind may have been salvaged with gaps: what was readable of it has been written again.
	for _, p := range c.gaps {
		if p.epoch == c.st.epoch {
			c.found("the journal has a gap before entry %d", p.seq)
		}
	}
	switch {
	case c.st.acked > c.st.last:
		c.found("entry %d is acknowledged, the last is %d", c.st.acked, c.st.last)
	case c.st.last == 0:
		if c.st.lastHash != wire.Genesis(c.st.station, c.st.epoch, c.st.nonce) {
			c.found("the chain's beginning is not that of the epoch")
		}
	case !c.chained || c.prev != place{c.st.epoch, c.st.last}:
		c.found("the journal ends at entry %d of epoch %d, the state says entry %d of epoch %d", c.prev.seq, c.prev.epoch, c.st.last, c.st.epoch)
	case c.chain != c.st.lastHash:
		c.found("the chain's end is %s, the state says %s", c.chain, c.st.lastHash)
	case c.first > c.st.acked+1:
		c.found("entries %d to %d are not acknowledged and missing", c.st.acked+1, c.first-1)
	}
}

func (c *checker) compareSales() {
	for id, op := range c.open {
		if c.listed[id] != op {
			c.found("sale %q is open and not listed as open", id)
		}
	}
	for id := range c.listed {
		if _, ok := c.open[id]; !ok {
			c.found("sale %q is listed as open and is not", id)
		}
	}
}

// compareEnds holds the ends and refunds of sales against the journal of the epoch. An entry that a later epoch has written again ends
// nothing any more: the sale has moved on to the new one. Of a sale that was refunded later, the end may be trimmed.
func (c *checker) compareEnds() {
	for p, id := range c.ended {
		trimmed := p.seq < c.first && !c.lasts[p]
		if p.epoch == c.st.epoch && c.ends[p] != id && !trimmed {
			c.found("sale %s stands at entry %d of epoch %d, which the journal does not say", id, p.seq, p.epoch)
		}
	}
	for p, id := range c.ends {
		if p.epoch == c.st.epoch && c.ended[p] != id {
			c.found("entry %d of epoch %d ended or refunded sale %s, which does not say so", p.seq, p.epoch, id)
		}
	}
}

// comparePostings holds what accounts carry as the station's own entries against the journal.
func (c *checker) comparePostings() {
	for _, id := range slices.Sorted(maps.Keys(c.accounts)) {
		for p, want := range c.owed[id] {
			if got, ok := c.own[id][p]; !ok || got != want {
				c.found("account %d: entry %d of epoch %d posts %+v, the account says %+v", id, p.seq, p.epoch, want, got)
			}
			delete(c.own[id], p)
		}
		for p := range c.own[id] {
			if p.epoch == c.st.epoch && p.seq >= c.first {
				c.found("account %d counts entry %d of epoch %d, which does not post to it", id, p.seq, p.epoch)
			}
		}
	}
}
