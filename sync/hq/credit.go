package hq

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// The share of a station in what may be on the way to headquarters, in bytes.
const (
	leastCredit = 128 << 10 // one full batch
	mostCredit  = 1 << 20
)

// smallBacklog is what a station may always send at once, in entries: waiting is for those that return after days.
const smallBacklog = 500

// idle is after how long without a batch a draining station loses its turn.
const idle = 15 * time.Second

// credits divides a budget of bytes over the stations that drain a backlog. Those for which there is none wait in the
// order in which they came. It is not safe for concurrent use.
type credits struct {
	total    uint64
	draining map[loyalty.StationID]time.Time // when it was last heard
	waiting  []loyalty.StationID
	inQueue  map[loyalty.StationID]bool
}

func newCredits(total uint64) *credits {
	return &credits{total: max(total, leastCredit), draining: map[loyalty.StationID]time.Time{}, inQueue: map[loyalty.StationID]bool{}}
}

// give is the credit of a station that has so many entries to send.
func (c *credits) give(s loyalty.StationID, backlog uint64, now time.Time) uint64 {
	_, drains := c.draining[s]
	if backlog <= smallBacklog {
		delete(c.draining, s)
		c.leave(s)
		return leastCredit
	}
	if !drains {
		if c.inQueue[s] || uint64(len(c.draining)+1)*leastCredit > c.total {
			c.wait(s)
			return 0
		}
	}
	c.draining[s] = now
	return min(max(c.total/uint64(len(c.draining)), leastCredit), mostCredit)
}

func (c *credits) wait(s loyalty.StationID) {
	if !c.inQueue[s] {
		c.inQueue[s] = true
		c.waiting = append(c.waiting, s)
	}
}

func (c *credits) leave(s loyalty.StationID) {
	if !c.inQueue[s] {
		return
	}
	delete(c.inQueue, s)
	for i, w := range c.waiting {
		if w == s {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return
		}
	}
}

// next takes the stations out of the queue whose turn has come, after those that have gone quiet have lost theirs.
func (c *credits) next(now time.Time) (turn []loyalty.StationID) {
	for s, heard := range c.draining {
		if now.Sub(heard) > idle {
			delete(c.draining, s)
		}
	}
	for len(c.waiting) > 0 && uint64(len(c.draining)+1)*leastCredit <= c.total {
		s := c.waiting[0]
		c.waiting = c.waiting[1:]
		delete(c.inQueue, s)
		c.draining[s] = now
		turn = append(turn, s)
	}
	return turn
}

// drop forgets a station that has gone.
func (c *credits) drop(s loyalty.StationID) {
	delete(c.draining, s)
	c.leave(s)
}
