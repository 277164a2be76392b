package ledger

import (
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// clock gives the moments that entries carry. The wall clock of a station is not to be trusted: batteries die, technicians
// mistype the year, and a wrong moment in an entry activates or expires points wrongly. So:
//
//   - Once HQ has been heard in this run, the moment is HQ's plus what a clock that nobody sets has counted since. The wall
//     clock is only compared with it.
//   - Until then it is the wall clock, but never below the bound: the highest moment written before, carried on by the
//     same counting. And if HQ was ever heard, never more than [furthest] past HQ's last word: a year that a station may
//     really have been switched off, and not the ten years of a mistyped date.
//   - The mark on each entry says which of these it was.
//
// A jump of ten years, either way, does not poison the ledger for good. Back: the bound holds, time goes on from it.
// Forward: with HQ's word on the disk it is not believed at all; without, or within the year, it is written, marked unsure,
// and raises the bound. HQ's next word takes the bound back down: a step back of more than [smallStep] is taken, as the
// only way in which moments of one epoch may go backwards, while the jitter of HQ's messages (less than that) never moves
// them back. Nothing that lasts is decided by an unsure clock: the order of entries is their seq, segments of the journal
// are named by seq, and trimming waits for HQ's word.
type clock struct {
	wall func() time.Time
	mono func() time.Duration // since the start of this run

	mu        sync.Mutex
	isHeard   bool
	hq        loyalty.Instant // HQ's clock at hqMono
	hqMono    time.Duration
	bound     loyalty.Instant // as committed, at boundMono
	boundMono time.Duration
	heard     loyalty.Instant // the highest of HQ's moments ever heard, as committed
}

const (
	furthest  = 366 * 24 * time.Hour
	smallStep = time.Hour
	tolerance = 2 * time.Minute

	// earliest is before any moment that a station could mean: a clock that says less has lost its battery.
	earliest loyalty.Instant = 1_767_225_600_000 // 2026-01-01
)

// reading is what the clock says at one moment.
type reading struct {
	at    loyalty.Instant
	mono  time.Duration
	mark  loyalty.ClockMark
	heard bool // at is HQ's time
}

func newClock(wall func() time.Time) *clock {
	start := time.Now()
	return &clock{wall: wall, mono: func() time.Duration { return time.Since(start) }, bound: earliest}
}

// restart begins from what the file says.
func (c *clock) restart(bound, heard loyalty.Instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound, c.boundMono, c.heard = max(bound, earliest), c.mono(), heard
}

// committed notes the bound that is now on the disk.
func (c *clock) committed(bound, heard loyalty.Instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.mono()
	if carried := c.bound.Add(m - c.boundMono); bound > carried || bound < c.bound {
		c.bound, c.boundMono = bound, m
	}
	c.heard = heard
}

// hear takes in what HQ's clock said just now. Messages arrive late by different amounts, so that the highest word is the
// nearest; but a word far below means that HQ's own clock has been put right.
func (c *clock) hear(at loyalty.Instant) {
	if at < earliest {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.mono()
	if est := c.hq.Add(m - c.hqMono); c.isHeard && at < est && at > est.Add(-smallStep) {
		return
	}
	c.isHeard, c.hq, c.hqMono = true, at, m
}

func (c *clock) read() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, m := loyalty.At(c.wall()), c.mono()
	r := reading{mono: m, heard: c.isHeard, mark: loyalty.ClockUnsure}
	if c.isHeard {
		r.at = c.hq.Add(m - c.hqMono)
		switch {
		case wall < r.at.Add(-tolerance):
			r.mark = loyalty.ClockBehind
		case wall > r.at.Add(tolerance):
			r.mark = loyalty.ClockAhead
		default:
			r.mark = loyalty.ClockGood
		}
		return r
	}
	floor := c.bound.Add(m - c.boundMono)
	switch {
	case wall < floor:
		r.at = floor
		if wall < floor.Add(-tolerance) {
			r.mark = loyalty.ClockBehind
		}
	case c.heard != 0 && wall > max(c.heard, earliest).Add(furthest+m):
		r.at, r.mark = floor, loyalty.ClockAhead
	default:
		r.at = wall
	}
	return r
}

// after is the moment to write behind an entry of moment last.
func (r reading) after(last loyalty.Instant) loyalty.Instant {
	if r.at >= last || (r.heard && r.at < last.Add(-smallStep)) {
		return r.at
	}
	return last
}
