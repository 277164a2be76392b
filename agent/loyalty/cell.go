package loyalty

import "fmt"

// A cell is the right of one station to spend points of one account in one epoch of its journal. It is four counters,
// each of which only ever grows:
//
//	Issued    I  written by HQ alone      rights given to the station, cumulative
//	Used      U  written by the station   points taken for sales, cumulative
//	Voided    V  written by the station   of those, given back by voids and by closing for less
//	Returned  R  written by the station   rights handed back to HQ
//
// The station may use x only if U - V + R + x <= i, where i is the highest I it has seen, and notes it in the same
// transaction as the sale. HQ raises I only if afterwards the sum over the account's cells of (I - r) is at most the
// account's points, where r is the last R it was told.
//
// Why nothing is overspent: U - V <= i - R <= I - R <= I - r, because R only grows and r is a past value of it. So the
// points really spent, the sum of U - V over all stations, never exceed the account's points. No clock and no promise
// of delivery appears in it: grants and statements may be lost, repeated, late or out of order, since the station keeps
// the highest I and HQ the highest R.
//
// It needs one writer per epoch, fsync before the answer, and HQ's books of one account changed by one at a time.

// Cell is the station's side.
type Cell struct {
	Issued   Points
	Used     Points
	Voided   Points
	Returned Points
}

// Statement is what the station tells HQ of a cell. Each counter only grows, so the highest of each is the newest.
type Statement struct {
	Used     Points
	Voided   Points
	Returned Points
}

// MaxCounter bounds the counters of a cell, and what HQ counts of all cells of an account together: sums of thousands of
// them still fit in an int64. It is eleven times [MaxAmount], more than a station can sell.
const MaxCounter = 1 << 50

// Check returns [BadRequest] for a statement that no cell can make: a counter below zero or over [MaxCounter], or more
// given back than was used.
func (s Statement) Check() error {
	if s.Voided < 0 || s.Returned < 0 || s.Used < s.Voided || s.Used > MaxCounter || s.Returned > MaxCounter {
		return fmt.Errorf("%w: a cell cannot have used %s, voided %s, returned %s", BadRequest, s.Used, s.Voided, s.Returned)
	}
	return nil
}

// Statement is what to tell HQ.
func (c Cell) Statement() Statement { return Statement{c.Used, c.Voided, c.Returned} }

// Left is what may still be used: I - R - (U - V).
func (c Cell) Left() Points { return c.Issued - c.Returned - (c.Used - c.Voided) }

// Grant takes in the highest I that HQ has sent; an older one changes nothing.
func (c *Cell) Grant(issued Points) { c.Issued = max(c.Issued, issued) }

// Use takes rights for a sale, or returns [NoRights] and changes nothing.
func (c *Cell) Use(x Points) error {
	if x < 0 || x > c.Left() {
		return fmt.Errorf("use %s of %s: %w", x, c.Left(), NoRights)
	}
	c.Used += x
	return nil
}

// Void gives back rights of a sale that was voided or closed for less.
func (c *Cell) Void(x Points) error {
	if x < 0 || x > c.Used-c.Voided {
		return fmt.Errorf("void %s of %s in use: %w", x, c.Used-c.Voided, ErrAmount)
	}
	c.Voided += x
	return nil
}

// Return hands all that is left back to HQ and says how much that was.
func (c *Cell) Return() Points {
	x := c.Left()
	c.Returned += x
	return x
}

// Check returns an error if the cell breaks 0 <= U - V and U - V + R <= I.
func (c Cell) Check() error {
	if c.Used < c.Voided || c.Left() < 0 || c.Voided < 0 || c.Returned < 0 {
		return fmt.Errorf("cell issued %s used %s voided %s returned %s is not possible", c.Issued, c.Used, c.Voided, c.Returned)
	}
	return nil
}

// Rights is HQ's side of a cell. Posted is the net redemptions already taken from the account's lots.
type Rights struct {
	Issued Points
	Statement
	Posted Points
}

// Outstanding is what the station may still spend, or has spent and not yet reported, as far as HQ can know: I - r - P.
// A station that states more than it was issued, since these books were restored from an older backup, is believed.
func (r Rights) Outstanding() Points { return max(r.Issued, r.taken()) - r.Returned - r.Posted }

// taken is the least that must have been issued for the statement and the postings to be possible.
func (r Rights) taken() Points { return max(r.Used-r.Voided, r.Posted) + r.Returned }

// Report takes in a statement, in any order: each counter keeps its highest value.
func (r *Rights) Report(s Statement) {
	r.Used = max(r.Used, s.Used)
	r.Voided = max(r.Voided, s.Voided)
	r.Returned = max(r.Returned, s.Returned)
}

// Raise lifts I towards what the station would need to use want more, by at most room (the account's spendable points
// less everything outstanding), and returns the new I. The target U + R - V + want is absolute: asking twice gives once.
func (r *Rights) Raise(s Statement, want, room Points) Points {
	target := s.Used - s.Voided + s.Returned + want
	if up := min(target-r.Issued, room); up > 0 {
		r.Issued += up
	}
	return r.Issued
}
