package uplink_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// dice are a seeded source of chance that many goroutines may use.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, 0x617a73))} }

func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64() < p
}

func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// span is a duration between nothing and limit, to the nanosecond: no two things happen at the same instant.
func (d *dice) span(limit time.Duration) time.Duration {
	return 1 + time.Duration(d.below(int(limit)))
}

// faults are how bad a world is; the zero value is a perfect one.
type faults struct {
	lose, double, late, cut, deaf float64 // of a message; deaf: taken, but the publisher is told otherwise
	refuse                        float64 // of a connection
	crash                         float64 // at a step of a process
	commit                        float64 // of a commit at headquarters, that it fails
}

// simNet is a carrier that does whatever the protocol must survive.
type simNet struct {
	dice *dice

	mu     sync.Mutex
	faults faults
	ends   map[loyalty.StationID]*simSession // 0: headquarters
}

func newSimNet(d *dice, f faults) *simNet {
	return &simNet{dice: d, faults: f, ends: make(map[loyalty.StationID]*simSession)}
}

func (n *simNet) set(f faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

func (n *simNet) now() faults {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults
}

type simSession struct {
	net      *simNet
	end      loyalty.StationID
	mu       sync.Mutex
	closed   bool
	messages chan wire.Message
	done     chan struct{}
}

var errCut = errors.New("cut")

// dial connects an end; what was connected there before is cut, as a broker does with a client id that comes twice.
func (n *simNet) dial(end loyalty.StationID) (*simSession, error) {
	if n.dice.chance(n.now().refuse) {
		return nil, errors.New("connection refused")
	}
	s := &simSession{net: n, end: end, messages: make(chan wire.Message, 64), done: make(chan struct{})}
	n.mu.Lock()
	old := n.ends[end]
	n.ends[end] = s
	n.mu.Unlock()
	if old != nil {
		old.cut()
	}
	return s, nil
}

// end is who is connected there now, or was last.
func (n *simNet) end(id loyalty.StationID) *simSession {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ends[id]
}

func (s *simSession) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.messages)
		close(s.done)
	}
}

func (s *simSession) Close() error                  { s.cut(); return nil }
func (s *simSession) Done() <-chan struct{}         { return s.done }
func (s *simSession) Messages() <-chan wire.Message { return s.messages }

func (s *simSession) Publish(ctx context.Context, topic string, payload []byte) error {
	select {
	case <-s.done:
		return errCut
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	station, kind, err := wire.ParseTopic(topic)
	if err != nil {
		return err
	}
	to := loyalty.StationID(0)
	for _, k := range wire.ToStation() {
		if k == kind {
			to = station
		}
	}
	f, d := s.net.now(), s.net.dice
	if d.chance(f.cut) {
		s.cut()
	}
	m := wire.Message{Topic: topic, Payload: payload}
	if !d.chance(f.lose) {
		s.net.deliver(to, m, d, f)
	}
	if d.chance(f.double) {
		s.net.deliver(to, m, d, f)
	}
	if d.chance(f.deaf) {
		return errors.New("no receipt from the broker")
	}
	// The broker's receipt.
	t := time.NewTimer(d.span(2 * time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.done:
		return errCut
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver hands a message to whoever is connected when it arrives. A late one may find another session, or another life
// of the process.
func (n *simNet) deliver(to loyalty.StationID, m wire.Message, d *dice, f faults) {
	delay := d.span(3 * time.Millisecond)
	if d.chance(f.late) {
		delay = d.span(200 * time.Millisecond)
		if d.chance(0.2) {
			delay = d.span(20 * time.Second)
		}
	}
	time.AfterFunc(delay, func() {
		s := n.end(to)
		if s == nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return
		}
		select {
		case s.messages <- m:
		default: // the end does not keep up: dropped, as brokers do
		}
	})
}
