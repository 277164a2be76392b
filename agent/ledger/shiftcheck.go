package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// recount is a shift counted again by the journal.
type recount struct {
	shift  *loyalty.Shift // nil: nothing that counts
	last   place          // of its entries
	closed bool           // the journal says so: what comes behind does not count
	unsure bool           // which entries came behind its end was in entries that are gone
}

// shiftChecker holds shifts against the journal.
type shiftChecker struct {
	kept    map[loyalty.ShiftID]*loyalty.Shift
	counted map[loyalty.ShiftID]*recount
	seen    map[loyalty.OpID]bool // an entry that a later epoch has written again counts once
	first   place                 // of the journal
}

func newShiftChecker() *shiftChecker {
	return &shiftChecker{
		kept: make(map[loyalty.ShiftID]*loyalty.Shift), counted: make(map[loyalty.ShiftID]*recount), seen: make(map[loyalty.OpID]bool),
	}
}

func (s *shiftChecker) record(key, v []byte) error {
	x, err := parseShift(shiftOfKey(key), v)
	if err != nil {
		return err
	}
	s.kept[x.ShiftID] = x
	return nil
}

func (s *shiftChecker) follow(p place, e *loyalty.Entry) {
	if s.first == (place{}) {
		s.first = p
	}
	id, ok := loyalty.ShiftOf(e)
	if !ok {
		return
	}
	x := s.counted[id]
	if x == nil {
		x = &recount{}
		s.counted[id] = x
	}
	from := x.last.epoch
	x.last = p
	if s.seen[e.Op] {
		return
	}
	s.seen[e.Op] = true
	if _, end := e.Body.(loyalty.ShiftClosed); end { // it says what was counted: not to be believed here
		x.closed, x.unsure = true, from != 0 && from != p.epoch
	} else if !x.closed {
		x.shift = loyalty.NoteShift(x.shift, p.epoch, p.seq, e)
	}
}

// compare holds the shifts of one life of the journal against it. Of a journal that has been trimmed or salvaged the shifts
// may know more, but nothing else.
func (s *shiftChecker) compare(st *state, gaps bool, found func(string, ...any)) {
	whole := s.first == place{1, 1} && st.epoch == 1 && !gaps
	for _, id := range slices.SortedFunc(maps.Keys(s.kept), compareShifts) {
		kept, x := s.kept[id], s.counted[id]
		at := place{kept.Epoch, kept.Seq}
		switch {
		case x == nil && at.epoch == st.epoch:
			found("%s stands at entry %d, and the journal does not name it", describeShift(id), at.seq)
			continue
		case x == nil:
			continue
		case at != x.last:
			found("%s stands at entry %d of epoch %d, its last is entry %d of epoch %d", describeShift(id), at.seq, at.epoch, x.last.seq, x.last.epoch)
		}
		switch unsure := x.unsure || x.closed != kept.Closed; {
		case whole && x.closed != kept.Closed:
			found("%s: whether it is closed is wrong", describeShift(id))
		case !unsure || whole:
			if diff := differs(kept, x.shift, whole); diff != "" {
				found("%s: %s", describeShift(id), diff)
			}
		}
		if kept.Differs != (len(kept.Mismatches()) > 0) {
			found("%s: whether the register's figures differ is wrong", describeShift(id))
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(s.counted), compareShifts) {
		if x := s.counted[id]; s.kept[id] == nil && x.last.epoch == st.epoch {
			found("entry %d counts in %s, of which there is no record", x.last.seq, describeShift(id))
		}
	}
}

func compareShifts(a, b loyalty.ShiftID) int {
	return cmp.Or(cmp.Compare(a.Counter, b.Counter), cmp.Compare(a.Number, b.Number))
}

// differs says what a shift has counted otherwise than the journal; empty: nothing.
func differs(kept, journal *loyalty.Shift, whole bool) string {
	var is, want loyalty.Totals
	is = kept.Totals()
	if journal != nil {
		want = journal.Totals()
	}
	done := func(t *loyalty.Totals) int64 { return t.Sales + t.Refunds + t.Voids + t.Cards }
	if whole || done(&is) == done(&want) {
		if is != want {
			return fmt.Sprintf("it counts %v, the journal %v", is.Figures(), want.Figures())
		}
		return ""
	}
	for _, f := range want.Figures() {
		if n, _ := is.Figure(f.Name); n < f.Amount {
			return fmt.Sprintf("it counts %d of %s, the journal %d", n, f.Name, f.Amount)
		}
	}
	return ""
}

// rebuiltShifts are the shifts of a salvaged ledger, brought up to the journal.
type rebuiltShifts struct {
	shifts map[loyalty.ShiftID]*loyalty.Shift
	last   map[loyalty.ShiftID]place
	seen   map[loyalty.OpID]bool
}

// readShifts takes the records that were found.
func readShifts(records map[string][]byte) *rebuiltShifts {
	b := &rebuiltShifts{
		shifts: make(map[loyalty.ShiftID]*loyalty.Shift), last: make(map[loyalty.ShiftID]place), seen: make(map[loyalty.OpID]bool),
	}
	for key, v := range records {
		if s, err := parseShift(shiftOfKey([]byte(key)), v); err == nil {
			b.shifts[s.ShiftID] = s
		}
	}
	return b
}

// follow counts an entry that its shift does not know. One that was written again by a later epoch counts once.
func (b *rebuiltShifts) follow(p place, e *loyalty.Entry) {
	id, ok := loyalty.ShiftOf(e)
	if !ok {
		return
	}
	s := b.shifts[id]
	if !b.seen[e.Op] && (s == nil || (place{s.Epoch, s.Seq}).before(p)) {
		b.shifts[id] = loyalty.NoteShift(s, p.epoch, p.seq, e)
	}
	b.seen[e.Op] = true
	b.last[id] = p
}

// write puts the shifts into a fresh file, each at the last of its entries that could be read. One that has none left is
// forgotten: no trimming would ever meet it.
func (b *rebuiltShifts) write(t *txn) error {
	for _, id := range slices.SortedFunc(maps.Keys(b.last), compareShifts) {
		s := *b.shifts[id]
		s.Epoch, s.Seq = b.last[id].epoch, b.last[id].seq
		m, err := shiftMessage(&s)
		if err != nil {
			return err
		}
		if err := t.putMessage(bucketShift, shiftKey(id), m); err != nil {
			return err
		}
	}
	return nil
}
