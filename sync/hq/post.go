package hq

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Batch is a run of a station's journal, as a message brought it: whole and with its chain checked, by [wire.OpenBatch].
type Batch struct {
	Station loyalty.StationID
	*wire.Batch
}

// Receipt says what became of a batch.
type Receipt struct {
	Verdict Verdict
	Cursor  Cursor // of the station after the group
	Posted  int    // entries that are new with this batch
	// SetAside are the entries of this batch that could not be applied, of those that are new with it.
	SetAside []SetAsideEntry
}

// SetAsideEntry is an entry that was kept but not applied.
type SetAsideEntry struct {
	Seq    loyalty.Seq
	Op     loyalty.OpID
	Reason string
}

// Verdict is what headquarters thinks of a batch.
type Verdict uint8

// The verdicts.
const (
	Taken    Verdict = iota // committed, now or before
	Gap                     // something before it has not arrived: dropped
	Forked                  // it does not continue the journal that headquarters has: dropped
	Stranger                // the station is not enrolled: dropped
)

// Result is what a group has done.
type Result struct {
	Receipts []Receipt // one for each batch, in order
	Touched  []loyalty.StationID
	Counts   [outcomes]int // new entries by Outcome
	Alarms   []Alarm
	Given    []loyalty.CardNumber // cards that were given out: what has waited for them may be tried again
	Overdue  []Place              // refunds that were set aside before their sales came, which may be tried again
	Alerts   []string             // the rules of new alerts
	Standing int                  // sales that are priced otherwise here, by what the station had not heard
}

// Post applies a group of batches, of any stations and in any order, in one transaction. It changes nothing of a batch
// that does not continue its station's journal. What it returns is to be told to the stations only after the commit.
//
// Every sale is priced once more, see [loyalty.Recheck]: what differs is told, and posted as the station wrote it.
//
// An entry that makes the rules panic is set aside, so that it stops neither its own station nor those it shares the
// transaction with.
func Post(tx Tx, batches []*Batch, programmes *Programmes, at loyalty.Instant) (*Result, error) {
	poison := map[Place]*poisonError{}
	for {
		p := newPosting(tx, programmes, at)
		p.result.Receipts, p.poison = make([]Receipt, len(batches)), poison
		err := p.run(batches)
		var bad *poisonError
		if errors.As(err, &bad) && poison[bad.place] == nil {
			poison[bad.place] = bad // nothing is saved yet: once more, without it
			continue
		}
		if err != nil || p.changes.empty() {
			return p.result, err
		}
		return p.result, tx.Save(p.changes)
	}
}

func (p *posting) run(batches []*Batch) error {
	for _, step := range []func([]*Batch) error{p.place, p.read, p.apply, p.overdue, p.file, p.tell} {
		if err := step(batches); err != nil {
			return err
		}
	}
	return nil
}

// line is an entry on its way into the books.
type line struct {
	*Line
	entry   *loyalty.Entry
	receipt *Receipt
	read    bool // it is tried again, and could be read when it came
}

// posting is the working set of one group.
type posting struct {
	tx       Tx
	at       loyalty.Instant
	stations map[loyalty.StationID]*Station
	moved    map[loyalty.StationID]bool // stations to be written
	lines    []line
	ops      map[loyalty.OpID]*Line
	steps    map[SaleStep]*Line
	cards    map[loyalty.CardNumber]loyalty.Card
	records  map[loyalty.AccountID]*loyalty.Record
	poison   map[Place]*poisonError // entries that the rules cannot stand
	changes  *Changes
	result   *Result

	cache      *Programmes
	programmes map[uint32]*loyalty.Programme // that sales of the group name; nil: not to be had
	refunds    map[SaleStep]*returned        // what was refunded of sales, by their step Ended
	issues     issues
}

// sorted sorts identities and drops doubles.
func sorted[T cmp.Ordered](ids []T) []T {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func newPosting(tx Tx, programmes *Programmes, at loyalty.Instant) *posting {
	return &posting{tx: tx, at: at, cache: programmes, moved: map[loyalty.StationID]bool{}, changes: &Changes{}, result: &Result{}}
}

// place puts every batch where its station's journal stands.
func (p *posting) place(batches []*Batch) (err error) {
	ids := make([]loyalty.StationID, 0, len(batches))
	for _, b := range batches {
		ids = append(ids, b.Station)
	}
	if p.stations, err = p.tx.Stations(sorted(ids)); err != nil {
		return err
	}
	for i, b := range batches {
		r := &p.result.Receipts[i]
		s := p.stations[b.Station]
		if s == nil || s.ID == Own {
			r.Verdict = Stranger
			continue
		}
		if err := p.placeOne(b, s, r); err != nil {
			return err
		}
		if r.Posted > 0 {
			s.Forked = false
			p.moved[s.ID] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.moved)) {
		p.changes.Stations = append(p.changes.Stations, p.stations[id])
	}
	for i, b := range batches {
		if s := p.stations[b.Station]; s != nil && s.ID != Own {
			p.result.Receipts[i].Cursor = s.Cursor
		}
	}
	return nil
}

func (p *posting) placeOne(b *Batch, s *Station, r *Receipt) error {
	switch {
	case b.Epoch != s.Cursor.Epoch || b.First > s.Cursor.Seq+1:
		r.Verdict = Gap
		return nil
	case b.Last() <= s.Cursor.Seq:
		return p.again(b, s, r)
	}
	known := int(s.Cursor.Seq + 1 - b.First)
	before := b.Prev
	if known > 0 {
		before = b.Hashes[known-1]
	}
	if before != s.Cursor.Hash {
		p.fork(b, s, r, s.Cursor.Seq)
		return nil
	}
	lines := make([]Line, len(b.Entries)-known)
	for i := range lines {
		lines[i] = Line{
			Place: Place{Station: s.ID, Epoch: b.Epoch, Seq: s.Cursor.Seq + loyalty.Seq(i) + 1}, At: p.at,
			Hash: b.Hashes[known+i], Bytes: b.Entries[known+i],
		}
		p.lines = append(p.lines, line{Line: &lines[i], receipt: r})
	}
	r.Posted = len(lines)
	s.Cursor.Seq, s.Cursor.Hash = b.Last(), b.LastHash()
	return nil
}

// again is a batch that headquarters has: the same, or a fork.
func (p *posting) again(b *Batch, s *Station, r *Receipt) error {
	place := Place{s.ID, b.Epoch, b.Last()}
	has, ok := s.Cursor.Hash, true
	if b.Last() < s.Cursor.Seq {
		// An entry of this same group is not in the store yet.
		if i := slices.IndexFunc(p.lines, func(l line) bool { return l.Place == place }); i >= 0 {
			has = p.lines[i].Hash
		} else {
			var err error
			if has, ok, err = p.tx.HashAt(place); err != nil {
				return err
			}
		}
	}
	if !ok || has != b.LastHash() {
		p.fork(b, s, r, b.Last())
	}
	return nil
}

func (p *posting) fork(b *Batch, s *Station, r *Receipt, at loyalty.Seq) {
	r.Verdict = Forked
	s.Forked = true
	p.moved[s.ID] = true
	var evidence []byte
	for _, e := range b.Entries {
		evidence = append(evidence, e...)
	}
	p.alarm(Alarm{
		Station: s.ID, Kind: ForkAlarm, Epoch: b.Epoch, Evidence: evidence,
		Text: fmt.Sprintf("a batch of entries %d to %d does not continue the journal at %d", b.First, b.Last(), at),
	})
}

func (p *posting) alarm(a Alarm) {
	a.First, a.Last = p.at, p.at
	p.changes.Alarms = append(p.changes.Alarms, a)
	p.result.Alarms = append(p.result.Alarms, a)
}

// apply gives every new entry its effect, in the order of arrival.
func (p *posting) apply([]*Batch) error {
	changed := map[loyalty.AccountID]bool{}
	for i := range p.lines {
		l := &p.lines[i]
		if err := p.settle(l, changed); err != nil {
			return err
		}
		if l.Outcome == SetAside {
			op := loyalty.OpID{}
			if l.entry != nil {
				op = l.entry.Op
			}
			l.Reason = bounded(l.Reason)
			l.receipt.SetAside = append(l.receipt.SetAside, SetAsideEntry{Seq: l.Seq, Op: op, Reason: l.Reason})
		}
		p.result.Counts[l.Outcome]++
		p.changes.Lines = append(p.changes.Lines, l.Line)
	}
	p.keep(changed)
	return nil
}

// keep writes the books that have changed.
func (p *posting) keep(changed map[loyalty.AccountID]bool) {
	for _, id := range slices.Sorted(maps.Keys(changed)) {
		p.changes.Records = append(p.changes.Records, p.records[id])
	}
	for _, n := range slices.Sorted(maps.Keys(p.issues.dealt)) {
		p.changes.Cards = append(p.changes.Cards, p.cards[n])
	}
}

func (p *posting) applyOne(l *line) {
	if p.forged(l) {
		return
	}
	l.Account = p.whose(l)
	if first := p.ops[l.entry.Op]; first != nil && first.Place != l.Place {
		p.repeat(l, first)
		return
	}
	l.Op = l.entry.Op
	p.ops[l.Op] = l.Line
	if step := stepOf(l.Station, l.entry.Body); step.Step != NoStep {
		if first := p.steps[step]; first != nil && first.Place != l.Place {
			p.restate(l, first, step)
			return
		}
		if step.Step == Given {
			// What was refused while nobody has the number leaves it free for whoever gives it out next.
			if p.give(l); l.Outcome != SetAside || l.Reason == string(loyalty.CardTaken) {
				p.take(l, step)
			}
			return
		}
		p.take(l, step)
		if step.Step == Refunded && !p.refundable(l) {
			return
		}
	}
	p.alert(l)
	if p.doubled(l) {
		return
	}
	r := p.records[l.Account]
	switch {
	case r == nil && moves(l.entry.Body):
		l.Outcome, l.Reason = SetAside, "no such account"
		if _, card := loyalty.Subject(l.entry.Body); l.Account == 0 || l.Account >= FirstGiven && card != "" {
			l.Reason, l.Waits = string(loyalty.UnknownCard), card
		}
		l.Account = 0
	case r == nil:
		l.Outcome, l.Account = NoAccount, 0
	default:
		p.post(l, r)
	}
}

// take notes that an entry is the first to take a step.
func (p *posting) take(l *line, step SaleStep) {
	l.SaleAt, l.Sale, l.Step, l.Refund = step.Station, step.Sale, step.Step, step.Refund
	p.steps[step] = l.Line
}

func (p *posting) post(l *line, r *loyalty.Record) {
	key := loyalty.CellKey{Station: l.Station, Epoch: l.Epoch}
	p.recheck(l, r)
	l.Denied = denied(r, l.Line, l.entry)
	over, err := r.Post(key, l.Seq, l.entry)
	if err != nil {
		l.Outcome, l.Reason, l.Denied = SetAside, err.Error(), 0
		if errors.Is(err, loyalty.ErrOverspent) {
			p.alarm(Alarm{Station: l.Station, Kind: OverspentAlarm, Epoch: l.Epoch, Text: fmt.Sprintf("entry %d of account %d: %s", l.Seq, l.Account, err), Evidence: l.Bytes})
		}
		return
	}
	if over > 0 && !heldBefore(r, key, over) {
		p.alarm(Alarm{Station: l.Station, Kind: RestoredAlarm, Epoch: l.Epoch, Text: fmt.Sprintf("entry %d of account %d uses %s more than these books have issued", l.Seq, l.Account, over), Evidence: l.Bytes})
	}
}

// denied is what an entry tells of that it will not move; see [Line.Denied].
func denied(r *loyalty.Record, l *Line, e *loyalty.Entry) loyalty.Points {
	posting, ok := loyalty.PostingOf(l.Epoch, l.Seq, e)
	if !ok || posting.Sale.IsZero() {
		return 0
	}
	return r.Account.Denied(posting)
}

// heldBefore tells whether rights that an entry uses were issued to an earlier epoch of its station: it is of the tail
// that a new epoch begins with. They stay held there, since whoever else writes the earlier epoch may use them.
func heldBefore(r *loyalty.Record, key loyalty.CellKey, x loyalty.Points) bool {
	var held loyalty.Points
	for k, c := range r.Cells {
		if k.Station == key.Station && k.Epoch < key.Epoch {
			held += c.Outstanding()
		}
	}
	return held >= x
}

// repeat is an operation that was received before. A station whose journal was found to fork writes what was not
// acknowledged again under a new epoch, with the statements of the new epoch's cells; anything else under a known
// operation id is somebody else's identity. The lots count it already; the new cell counts it now.
func (p *posting) repeat(l *line, first *Line) {
	if first.Station != l.Station || !sameOperation(first.Bytes, l.entry) {
		l.Outcome, l.Reason = SetAside, "its operation id is that of another operation: "+first.String()
		return
	}
	p.countAgain(l, first)
}

// countAgain is an entry that says what another one has said: it becomes what that one became.
func (p *posting) countAgain(l *line, first *Line) {
	r := p.records[l.Account]
	switch {
	case first.Outcome == SetAside:
		l.Outcome, l.Reason, l.Waits = SetAside, first.Reason+" (first as "+first.String()+")", first.Waits
	case r == nil:
		l.Outcome, l.Account = Repeated, 0
	default:
		l.Outcome = Repeated
		recount(r, l.Line, l.entry)
	}
}

// recount lets the cell of a new epoch count what the lots count already.
func recount(r *loyalty.Record, l *Line, e *loyalty.Entry) {
	key := loyalty.CellKey{Station: l.Station, Epoch: l.Epoch}
	c := r.Cells[key]
	c.Report(statementOf(e.Body))
	if posting, ok := loyalty.PostingOf(l.Epoch, l.Seq, e); ok {
		c.Posted += posting.Redeemed
	}
	c.Issued += unissued(c)
	if c == (loyalty.Rights{}) {
		return
	}
	if r.Cells == nil {
		r.Cells = map[loyalty.CellKey]loyalty.Rights{}
	}
	r.Cells[key] = c
	r.Version++
}

// sameOperation tells whether an entry says what the first one of its operation said, but for the statement of the cell.
func sameOperation(first []byte, again *loyalty.Entry) bool {
	e, err := wire.DecodeEntry(first)
	if err != nil {
		return false
	}
	a, b := *e, *again
	a.Body, b.Body = unstated(a.Body), unstated(b.Body)
	return reflect.DeepEqual(a, b)
}

// bounded cuts a text to what a message may hold, at the start of a character.
func bounded(s string) string {
	if len(s) <= loyalty.MaxReason {
		return s
	}
	n := loyalty.MaxReason
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// tell notes whom the changes concern: the stations that know the accounts, and those that have met them now.
func (p *posting) tell([]*Batch) error {
	pairs := map[Knowledge]bool{}
	for _, l := range slices.Concat(p.changes.Lines, p.changes.Retried) {
		if l.Outcome == Posted {
			pairs[Knowledge{l.Account, l.Station}] = true
		}
	}
	met := slices.SortedFunc(maps.Keys(pairs), Knowledge.compare)
	ids := make([]loyalty.AccountID, 0, len(p.changes.Records))
	for _, r := range p.changes.Records {
		ids = append(ids, r.Account.ID)
	}
	var err error
	p.result.Touched, err = spread(p.tx, p.changes, ids, met, 0)
	return err
}

// Message is the acknowledgement's list of entries that could not be applied.
func (e SetAsideEntry) Message() *pb.Quarantined {
	m := &pb.Quarantined{Seq: uint64(e.Seq), Reason: e.Reason}
	if !e.Op.IsZero() {
		m.Op = e.Op[:]
	}
	return m
}
