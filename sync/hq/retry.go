package hq

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Retried says what a retry has done.
type Retried struct {
	Tried   int `json:"tried"`   // entries that were set aside
	Applied int `json:"applied"` // of those, the ones that are set aside no more
}

// retryGroup bounds the entries of one transaction of a retry.
const retryGroup = 500

// Retry applies entries that were set aside once more, by the same rules and at their own places, in one transaction:
// the card may be known by now, or this program may read what an older one could not. An entry that is applied has its
// effect here, once: it stands at a second position of the stream, and is set aside no more. Places of entries that are
// not set aside (any more) are passed over.
func Retry(tx Tx, places []Place, programmes *Programmes, at loyalty.Instant) (r Retried, res *Result, err error) {
	lines, err := tx.LinesAt(places)
	if err != nil {
		return r, nil, err
	}
	lines = slices.DeleteFunc(lines, func(l *Line) bool { return l.Outcome != SetAside })
	if len(lines) == 0 {
		return r, &Result{}, nil
	}
	slices.SortFunc(lines, func(a, b *Line) int { return cmp.Compare(a.Pos, b.Pos) })
	poison := map[Place]*poisonError{}
	for {
		r, res, err = retry(tx, lines, programmes, poison, at)
		var bad *poisonError
		if !errors.As(err, &bad) || poison[bad.place] != nil {
			return r, res, err
		}
		poison[bad.place] = bad
	}
}

func retry(tx Tx, lines []*Line, programmes *Programmes, poison map[Place]*poisonError, at loyalty.Instant) (r Retried, res *Result, err error) {
	p := newPosting(tx, programmes, at)
	p.poison = poison
	stations := map[loyalty.StationID]bool{}
	for _, l := range lines {
		again := *l
		again.Outcome, again.Reason, again.Waits, again.Account = Posted, "", "", 0
		p.lines = append(p.lines, line{Line: &again, read: !l.Op.IsZero()})
		stations[l.Station] = true
	}
	if _, err := tx.Stations(slices.Sorted(maps.Keys(stations))); err != nil { // holds up who would post for them
		return r, nil, err
	}
	if err := p.read(nil); err != nil {
		return r, nil, err
	}
	p.changes.Alarms = nil // of what cannot be read still: they were raised when it came
	changed := map[loyalty.AccountID]bool{}
	for i := range p.lines {
		n, err := p.retry(&p.lines[i], lines[i], changed)
		if err != nil {
			return Retried{}, nil, err
		}
		r.Applied += n
	}
	r.Tried = len(lines)
	p.keep(changed)
	if err := p.file(nil); err != nil {
		return r, nil, err
	}
	if err := p.tell(nil); err != nil || p.changes.empty() {
		return r, p.result, err
	}
	return r, p.result, tx.Save(p.changes)
}

// retry tries one entry and counts one if it is set aside no more. Its alarms were raised when it came.
func (p *posting) retry(l *line, was *Line, changed map[loyalty.AccountID]bool) (int, error) {
	alarms := len(p.changes.Alarms)
	if err := p.settle(l, changed); err != nil {
		return 0, err
	}
	if l.Outcome == SetAside {
		p.changes.Alarms = p.changes.Alarms[:alarms]
		l.Reason = bounded(l.Reason)
		if l.Reason != was.Reason || l.Waits != was.Waits || l.Op != was.Op || l.Step != was.Step {
			p.changes.Retried = append(p.changes.Retried, l.Line)
		}
		return 0, nil
	}
	l.Reason, l.AgainAt = was.Reason, p.at
	p.changes.Retried = append(p.changes.Retried, l.Line)
	return 1, nil
}

// Retry applies entries that were set aside once more; see [Retry].
func (b *Books) Retry(ctx context.Context, places []Place) (r Retried, err error) {
	for group := range slices.Chunk(places, retryGroup) {
		var one Retried
		var res *Result
		err = b.cfg.Store.Update(ctx, func(tx Tx) error {
			one, res, err = Retry(tx, group, &b.programmes, b.Now())
			return err
		})
		if err != nil {
			return r, err
		}
		r.Tried, r.Applied = r.Tried+one.Tried, r.Applied+one.Applied
		b.wake.push(res.Touched...)
		applied, err := b.arrived(ctx, res.Given)
		if r.Applied += applied; err != nil {
			return r, err
		}
	}
	return r, nil
}

// RetryAll applies everything that was set aside once more, of one station or, with station zero, of all.
func (b *Books) RetryAll(ctx context.Context, c Catalogue, station loyalty.StationID) (sum Retried, err error) {
	after := Place{Station: station}
	for {
		lines, err := c.LinesSetAside(ctx, after, retryGroup)
		if err != nil {
			return sum, err
		}
		var places []Place
		for _, l := range lines {
			if station == 0 || l.Station == station {
				places = append(places, l.Place)
			}
		}
		r, err := b.Retry(ctx, places)
		sum.Tried, sum.Applied = sum.Tried+r.Tried, sum.Applied+r.Applied
		if err != nil || len(lines) < retryGroup || len(places) < len(lines) {
			return sum, err
		}
		after = lines[len(lines)-1].Place
	}
}

// arrived applies what was set aside until these cards are there, and counts it.
func (b *Books) arrived(ctx context.Context, cards []loyalty.CardNumber) (applied int, err error) {
	var before []Place
	for len(cards) > 0 {
		var places []Place
		err := b.cfg.Store.View(ctx, func(tx Tx) (err error) {
			places, err = tx.Waiting(cards, retryGroup)
			return err
		})
		if err != nil || len(places) == 0 || slices.Equal(places, before) {
			return applied, err
		}
		r, err := b.Retry(ctx, places)
		if applied += r.Applied; err != nil {
			return applied, err
		}
		before = places
	}
	return applied, nil
}

// CatchUp applies what was set aside until something came that is there: cards, and of refunds at other stations the sales.
// Headquarters was stopped between the two. It is to be called once, at the start.
func (b *Books) CatchUp(ctx context.Context, c Catalogue) (applied int, err error) {
	var after Place
	for {
		lines, err := c.LinesSetAside(ctx, after, retryGroup)
		if err != nil || len(lines) == 0 {
			return applied, err
		}
		var waited []loyalty.CardNumber
		var away []Place
		for _, l := range lines {
			switch {
			case l.Waits != "":
				waited = append(waited, l.Waits)
			case l.Step == Refunded && l.SaleAt != l.Station:
				away = append(away, l.Place)
			}
		}
		var there map[loyalty.CardNumber]loyalty.Card
		err = b.cfg.Store.View(ctx, func(tx Tx) (err error) {
			there, err = tx.Cards(sorted(waited))
			return err
		})
		if err != nil {
			return applied, err
		}
		n, err := b.arrived(ctx, slices.Sorted(maps.Keys(there)))
		if applied += n; err != nil {
			return applied, err
		}
		r, err := b.Retry(ctx, away)
		if applied += r.Applied; err != nil {
			return applied, err
		}
		after = lines[len(lines)-1].Place
	}
}
