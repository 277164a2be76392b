package uplink_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/uplink"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// rig is one uplink over a perfect carrier; the test plays headquarters.
type rig struct {
	*testing.T
	w     *world
	hq    *simSession
	up    *uplink.Uplink
	life  *life
	stop  context.CancelFunc
	ended chan struct{}

	mu      sync.Mutex
	learned []*pb.Answer
	will    wire.Message
	dials   []time.Time
	noLine  bool
}

// inRig runs a test in a time of its own, in which everything that was started has to end.
func inRig(t *testing.T, change func(*uplink.Config), test func(*rig)) {
	synctest.Test(t, func(t *testing.T) {
		d := newDice(1)
		r := &rig{T: t, w: &world{dice: d, net: newSimNet(d, faults{}), ok: map[uint64]bool{}}, ended: make(chan struct{})}
		r.w.hqRestored.Store(true) // there are no books to compare with
		r.w.st = &station{w: r.w, disk: &disk{}, atOnce: wire.MaxBatch}
		r.hq, _ = r.w.net.dial(0)
		ctx, stop := context.WithCancel(t.Context())
		r.stop = stop
		r.life = r.w.st.start(stop)
		cfg := uplink.Config{Station: simStation, Journal: r.life, Mirror: r, Dialer: r, Version: "1.2.3", Log: quiet, FirstWait: -1}
		if change != nil {
			change(&cfg)
		}
		var err error
		if r.up, err = uplink.New(cfg); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(r.ended)
			if err := r.up.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		defer func() {
			stop()
			<-r.ended
			for _, b := range r.w.broken {
				t.Error(b)
			}
			time.Sleep(time.Minute) // the carrier's last messages
		}()
		test(r)
	})
}

func (r *rig) Dial(ctx context.Context, will wire.Message) (wire.Session, error) {
	r.mu.Lock()
	r.will = will
	r.dials = append(r.dials, time.Now())
	noLine := r.noLine
	r.mu.Unlock()
	if noLine {
		return nil, errors.New("no line")
	}
	return r.life.Dial(ctx, will)
}

func (r *rig) ApplyDown(ctx context.Context, d *pb.Down) error { return r.life.ApplyDown(ctx, d) }
func (r *rig) HQTime(loyalty.Instant)                          {}
func (r *rig) Learn(_ context.Context, a *pb.Answer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learned = append(r.learned, a)
	return nil
}

// answers are what the station has learned.
func (r *rig) answers() []*pb.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.learned)
}

// station reads or changes what the station has on its disk.
func (r *rig) station(f func(*station)) {
	r.w.st.mu.Lock()
	defer r.w.st.mu.Unlock()
	f(r.w.st)
}

// next is the next message of the station, which must come within a time and be of a kind.
func (r *rig) next(k wire.Kind, within time.Duration) []byte {
	r.Helper()
	select {
	case m := <-r.hq.messages:
		if m.Topic != wire.Topic(simStation, k) {
			r.Fatalf("%s came, want %s", m.Topic, k)
		}
		return m.Payload
	case <-time.After(within):
		r.Fatalf("no %s within %s", k, within)
	}
	panic("unreachable")
}

func (r *rig) nothing(during time.Duration) {
	r.Helper()
	select {
	case m := <-r.hq.messages:
		r.Fatalf("%s came", m.Topic)
	case <-time.After(during):
	}
}

func (r *rig) send(k wire.Kind, m interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}) {
	r.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		r.Fatal(err)
	}
	if err := r.hq.Publish(r.Context(), wire.Topic(simStation, k), b); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) hello(within time.Duration) *pb.Hello {
	r.Helper()
	h, err := wire.Decode[pb.Hello](r.next(wire.Hello, within))
	if err != nil {
		r.Fatal(err)
	}
	return h
}

func (r *rig) batch(within time.Duration) *wire.Batch {
	r.Helper()
	b, err := wire.OpenBatch(r.next(wire.Up, within))
	if err != nil {
		r.Fatal(err)
	}
	return b
}

func (r *rig) state(within time.Duration) *pb.State {
	r.Helper()
	s, err := wire.Decode[pb.State](r.next(wire.State, within))
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// cursor answers a hello: headquarters has everything through seq.
func (r *rig) cursor(h *pb.Hello, seq loyalty.Seq, credit uint64) {
	r.Helper()
	hash, err := r.hashAt(seq)
	if err != nil {
		r.Fatal(err)
	}
	r.send(wire.Cursor, &pb.Cursor{Epoch: h.Epoch, Seq: uint64(seq), Hash: hash[:], Credit: credit, Session: h.Session})
}

func (r *rig) hashAt(seq loyalty.Seq) (wire.Hash, error) {
	pos, err := r.life.Position(r.Context())
	if seq == 0 || err != nil {
		return wire.Genesis(simStation, pos.Epoch, pos.Nonce), err
	}
	return r.life.HashAt(pos.Epoch, seq)
}

func (r *rig) ack(seq loyalty.Seq, credit uint64) {
	r.Helper()
	hash, err := r.hashAt(seq)
	if err != nil {
		r.Fatal(err)
	}
	r.send(wire.Ack, &pb.Ack{Epoch: 1, Seq: uint64(seq), Hash: hash[:], Credit: credit})
}

const plenty = 1 << 20

// opening is what follows the first cursor of a connection: the birth and the first batch, which may overtake each other.
func (r *rig) opening() (b *wire.Batch) {
	r.Helper()
	births := 0
	for range 2 {
		m := <-r.hq.messages
		switch m.Topic {
		case wire.Topic(simStation, wire.Up):
			var err error
			if b, err = wire.OpenBatch(m.Payload); err != nil {
				r.Fatal(err)
			}
		case wire.Topic(simStation, wire.State):
			births++
		}
	}
	if b == nil || births != 1 {
		r.Fatal("after the cursor came something else than a birth and a batch")
	}
	return b
}

// online greets and takes the first entry, the one that says that the agent has started.
func (r *rig) online() *pb.Hello {
	r.Helper()
	h := r.hello(time.Second)
	r.cursor(h, 0, plenty)
	r.opening()
	r.ack(1, plenty)
	time.Sleep(time.Second)
	if s := r.up.Status(); !s.Online || s.Backlog != 0 {
		r.Fatalf("status %+v", s)
	}
	return h
}
