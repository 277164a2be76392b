package hq

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// The errors of those who keep the books, beside [ErrBroken].
var (
	// ErrOldProgramme means that a programme's version is not above the published one's.
	ErrOldProgramme = errors.New("the programme's version has to grow")
	// ErrDiffers means that a record to be brought in differs from the one that is there.
	ErrDiffers = errors.New("differs from what is there")
	// ErrNoAccount means that there is no such account.
	ErrNoAccount = errors.New("no such account")
	// ErrNoStation means that the station is not enrolled.
	ErrNoStation = errors.New("no such station")
)

// BooksConfig is what [NewBooks] needs; only Store is required.
type BooksConfig struct {
	Store Store
	// Now is headquarters' clock. Default: time.Now.
	Now func() time.Time
	// Random makes the identity of a down-stream. Default: crypto/rand.
	Random func() uint64
	// AutoEnrol enrols a station with its first hello: for demonstrations and tests. Default: a station must be added.
	AutoEnrol bool
}

// Books are headquarters' books: the rules, run in the transactions of a store. They are safe for concurrent use, and
// everything that changes something returns after it is durable.
type Books struct {
	cfg        BooksConfig
	wake       *wakeups
	programmes Programmes
}

// NewBooks opens the books on a store. They own nothing: the store's owner closes it.
func NewBooks(cfg BooksConfig) *Books {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = randomID
	}
	return &Books{cfg: cfg, wake: newWakeups()}
}

func randomID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the process instead
	return binary.BigEndian.Uint64(b[:]) | 1
}

// Now is headquarters' clock.
func (b *Books) Now() loyalty.Instant { return loyalty.At(b.cfg.Now()) }

// Store is where the books are kept.
func (b *Books) Store() Store { return b.cfg.Store }

// Hello answers a station's greeting; see [Greet].
func (b *Books) Hello(ctx context.Context, h *Hello) (g Greeting, err error) {
	fresh := b.cfg.Random()
	err = b.cfg.Store.Update(ctx, func(tx Tx) error {
		g, err = Greet(tx, h, b.cfg.AutoEnrol, fresh, b.Now())
		return err
	})
	return g, err
}

// Post applies a group of batches in one transaction; see [Post]. Behind it, entries that waited for a card which was given
// out, or refunds for their sales, are applied; if that is interrupted, [Books.CatchUp] does it.
func (b *Books) Post(ctx context.Context, batches []*Batch) (r *Result, err error) {
	err = b.cfg.Store.Update(ctx, func(tx Tx) error {
		r, err = Post(tx, batches, &b.programmes, b.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	b.wake.push(r.Touched...)
	if _, err = b.arrived(ctx, r.Given); err == nil && len(r.Overdue) > 0 {
		_, err = b.Retry(ctx, r.Overdue)
	}
	return r, err
}

// Answer answers a station's question; see [Answer].
func (b *Books) Answer(ctx context.Context, station loyalty.StationID, a *Ask) (r Reply, err error) {
	run := b.cfg.Store.Update
	if a.History != nil {
		run = b.cfg.Store.View // it may look at much, and nobody waits behind it
	}
	err = run(ctx, func(tx Tx) error {
		r, err = Answer(tx, station, a, &b.programmes, b.Now())
		return err
	})
	if err == nil {
		b.wake.push(r.Touched...)
	}
	return r, err
}

// Down is the next message of a station's down-stream, or nil; see [NextDown].
func (b *Books) Down(ctx context.Context, station loyalty.StationID, st Stream, after uint64) (d *pb.Down, err error) {
	var alarms []Alarm
	err = b.cfg.Store.View(ctx, func(tx Tx) error {
		d, alarms, err = NextDown(tx, station, st, after, b.Now())
		return err
	})
	if err == nil && len(alarms) > 0 {
		err = b.cfg.Store.Update(ctx, func(tx Tx) error { return tx.Save(&Changes{Alarms: alarms}) })
	}
	return d, err
}

// DownAcked notes what a station has committed of its down-stream; see [DownAcked].
func (b *Books) DownAcked(ctx context.Context, station loyalty.StationID, said Stream) (ok bool, err error) {
	err = b.cfg.Store.Update(ctx, func(tx Tx) error {
		ok, err = DownAcked(tx, station, said)
		return err
	})
	return ok, err
}

// RestartDown begins a station's down-stream anew: the station is not where the old one could go on from.
func (b *Books) RestartDown(ctx context.Context, station loyalty.StationID) (Stream, error) {
	st := Stream{ID: b.cfg.Random()}
	err := b.cfg.Store.Update(ctx, func(tx Tx) error {
		return tx.Save(&Changes{Restarted: map[loyalty.StationID]uint64{station: st.ID}})
	})
	return st, err
}

// About is what the books have of a station; known is false if it is not enrolled.
func (b *Books) About(ctx context.Context, station loyalty.StationID) (s Station, st Stream, seen Sighting, known bool, err error) {
	err = b.cfg.Store.View(ctx, func(tx Tx) error {
		stations, err := tx.Stations([]loyalty.StationID{station})
		if err != nil || stations[station] == nil {
			known = false
			return err
		}
		s, known = *stations[station], true
		if st, err = tx.Stream(station); err != nil {
			return err
		}
		seen, err = tx.Sighting(station)
		return err
	})
	return s, st, seen, known, err
}

// Saw notes what stations have said of themselves.
func (b *Books) Saw(ctx context.Context, seen []Sighting) error {
	return b.cfg.Store.Update(ctx, func(tx Tx) error { return See(tx, seen, b.Now()) })
}

// Enrol adds a station; added is false if it was there.
func (b *Books) Enrol(ctx context.Context, station loyalty.StationID) (added bool, err error) {
	if station == 0 || station > loyalty.MaxStation {
		return false, fmt.Errorf("%w: station %d, want 1 to %d", loyalty.BadRequest, station, loyalty.MaxStation)
	}
	err = b.cfg.Store.Update(ctx, func(tx Tx) error {
		known, err := tx.Stations([]loyalty.StationID{station})
		if err != nil {
			return err
		}
		if added = known[station] == nil; !added {
			return nil
		}
		return tx.Save(&Changes{Stations: []*Station{{ID: station}}})
	})
	return added, err
}
