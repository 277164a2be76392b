package hq

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// poisonError is that the rules panicked over an entry.
type poisonError struct {
	place Place
	cause any
	stack []byte
}

func (e *poisonError) Error() string {
	return fmt.Sprintf("%s makes this version of headquarters fail: %v", e.place, e.cause)
}

// maxStack bounds what is kept of where a panic was.
const maxStack = 8 << 10

// guard runs do, and turns a panic into an error that names the entry.
func guard(at Place, do func()) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			stack := debug.Stack()
			err = &poisonError{at, cause, stack[:min(len(stack), maxStack)]}
		}
	}()
	do()
	return nil
}

// decode reads an entry. One that cannot be read, or that the rules cannot stand, is set aside.
func (p *posting) decode(l *line) error {
	if bad := p.poison[l.Place]; bad != nil {
		l.entry, l.Outcome, l.Reason = nil, SetAside, bounded(bad.Error())
		p.alarm(Alarm{Station: l.Station, Kind: PoisonAlarm, Epoch: l.Epoch, Text: l.Reason, Evidence: bad.stack})
		return nil
	}
	var err error
	if panicked := guard(l.Place, func() { l.entry, err = wire.DecodeEntry(l.Bytes) }); panicked != nil {
		return panicked
	}
	if err != nil {
		l.entry, l.Outcome, l.Reason = nil, SetAside, err.Error()
		p.alarm(Alarm{Station: l.Station, Kind: UnreadAlarm, Epoch: l.Epoch, Text: fmt.Sprintf("entry %d: %s", l.Seq, err), Evidence: l.Bytes})
	}
	return nil
}

// settle gives an entry that could be read its effect, and notes whose books that changes.
func (p *posting) settle(l *line, changed map[loyalty.AccountID]bool) error {
	if l.entry == nil {
		return nil
	}
	if err := guard(l.Place, func() { p.applyOne(l) }); err != nil {
		return err
	}
	p.refunded(l)
	if l.Outcome == Posted || l.Outcome == Repeated && l.Account != 0 {
		changed[l.Account] = true
		l.Pruned = prune(p.records[l.Account], p.at)
	}
	return nil
}

// keepExpired is how long lots outlive their expiry in the books, and tallies their end: so late a station may report a
// sale that is to be paid from them, also one that these books had before an older copy of them was put back.
const keepExpired = 40 * 24 * time.Hour

// prune forgets what no station can need any more. Whether rights are out, on which it depends, does not follow from the
// entries alone: so the line says whether it was done, and [Audit] does the same there.
func prune(r *loyalty.Record, at loyalty.Instant) bool {
	if r.Outstanding() != 0 {
		return false
	}
	version := r.Version
	r.Prune(at.Add(-keepExpired))
	return r.Version != version
}
