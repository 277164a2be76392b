package hq

import (
	"context"
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// settle is how long a station has, after its first greeting since a restoration, to hand back the rights that no sale
// needs: it looks through its cells when headquarters are back, and every minute after that.
const settle = 3 * time.Minute

// history is what a greeting has to know of the store's own past.
type history struct {
	Restoration
	awaited bool
	greeted loyalty.Instant // first, since the restoration
	stray   bool            // the station has a down-stream number that a lost life has given out
}

func lookBack(tx Tx, h *Hello) (p history, err error) {
	if p.Restoration, err = tx.Restored(); err != nil || p.At == 0 {
		return p, err
	}
	if p.greeted, p.awaited, err = tx.Awaited(h.Station); err != nil || h.DownSeq == 0 {
		return p, err
	}
	issued, err := tx.Issued(h.DownSeq)
	p.stray = !issued && h.DownSeq <= p.Through
	return p, err
}

// missed tells whether the station may have been acknowledged entries by a life that is lost, and not have greeted since.
func (p *history) missed() bool { return p.stray || p.awaited && p.greeted == 0 }

// distrust notes that the store is an older copy.
func (p *history) distrust(c *Changes, evidence string, at loyalty.Instant) {
	p.At, p.Open = at, true
	c.Distrusted = at
	c.Alarms = append(c.Alarms, Alarm{
		Kind: CopyAlarm, First: at, Last: at,
		Text: "these books were put back to an older copy: " + evidence + "; rights to redeem are issued again when the stations " +
			"that `azs-hq stations list` shows as awaited have come back, or with `azs-hq stations accept-restore`",
	})
}

// confirm notes that a station which is waited for has greeted, and later that everything it has written is here: by then
// it has handed back what no sale needs, and these books know again what it may use.
func (g *greeter) confirm() error {
	if g.past.Open {
		confirm(&g.changes, g.s, &g.past, g.h.Last, true, g.at)
	}
	return nil
}

func confirm(c *Changes, s *Station, p *history, last loyalty.Seq, greets bool, at loyalty.Instant) {
	switch {
	case !p.awaited && c.Distrusted == 0:
	case p.greeted == 0 && greets:
		c.Greeted = map[loyalty.StationID]loyalty.Instant{s.ID: at}
	case p.greeted != 0 && at >= p.greeted.Add(settle) && last == s.Cursor.Seq:
		c.Confirmed = append(c.Confirmed, s.ID)
	}
}

// Distrust notes that the store was put back to an older copy, with what shows it. A store that finds it out for itself
// when it is opened calls it then.
func Distrust(tx Tx, evidence string, at loyalty.Instant) error {
	c := &Changes{}
	(&history{}).distrust(c, evidence, at)
	return tx.Save(c)
}

// See notes what stations say of themselves.
func See(tx Tx, seen []Sighting, at loyalty.Instant) error {
	c := &Changes{Seen: seen}
	r, err := tx.Restored()
	if err != nil {
		return err
	}
	if r.Open {
		ids := make([]loyalty.StationID, 0, len(seen))
		for i := range seen {
			ids = append(ids, seen[i].Station)
		}
		stations, err := tx.Stations(sorted(ids))
		if err != nil {
			return err
		}
		for i := range seen {
			s := stations[seen[i].Station]
			if s == nil || !seen[i].Online {
				continue
			}
			p := history{Restoration: r}
			if p.greeted, p.awaited, err = tx.Awaited(s.ID); err != nil {
				return err
			}
			confirm(c, s, &p, seen[i].LastSeq, false, at)
		}
	}
	return tx.Save(c)
}

// Distrust makes headquarters wait for the stations, because an operator says that the store was put back to an older
// copy; see [Restoration]. Said again while they wait, it changes nothing.
func (b *Books) Distrust(ctx context.Context) error {
	return b.cfg.Store.Update(ctx, func(tx Tx) error {
		r, err := tx.Restored()
		if err != nil || r.Open {
			return err
		}
		return Distrust(tx, "an operator says so", b.Now())
	})
}

// AcceptRestore lets rights be issued again though stations have not come back: an operator takes it upon himself that
// points may be spent twice. It tells whether any were waited for.
func (b *Books) AcceptRestore(ctx context.Context) (waited bool, err error) {
	err = b.cfg.Store.Update(ctx, func(tx Tx) error {
		r, err := tx.Restored()
		if waited = r.Open; err != nil || !waited {
			return err
		}
		return tx.Save(&Changes{Accepted: true})
	})
	return waited, err
}

// AcceptGap lets a station go on whose journal has a gap: headquarters lack entries that it no longer keeps. With its next
// hello it is asked to begin a new epoch, and the gap is noted with its size. It takes effect once, if there is a gap.
func (b *Books) AcceptGap(ctx context.Context, station loyalty.StationID) error {
	return b.cfg.Store.Update(ctx, func(tx Tx) error {
		known, err := tx.Stations([]loyalty.StationID{station})
		if err != nil {
			return err
		}
		s := known[station]
		if s == nil || s.ID == Own {
			return fmt.Errorf("station %d: %w", station, ErrNoStation)
		}
		s.GapAccepted = true
		return tx.Save(&Changes{Stations: []*Station{s}})
	})
}
