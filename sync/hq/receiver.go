package hq

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Config is what [NewReceiver] needs; Books and Dialer are required.
type Config struct {
	Books *Books
	// Dialer opens sessions that subscribe to what the stations send; see wire.HQFilters.
	Dialer wire.Dialer
	// Log gets what happens. Default: slog.Default().
	Log *slog.Logger
	// Metrics are counted into. Default: none.
	Metrics *Metrics
	// Budget bounds the batches that wait for the store, in bytes; it is divided as credit. Default: 64 MiB.
	Budget uint64
	// Group bounds the entries of one transaction. Default: 2000.
	Group int
	// AskWorkers is how many questions are answered at once. Default: 16.
	AskWorkers int
}

// Receiver carries the books over MQTT. It keeps nothing that matters: killed at any instant, the next one goes on from
// the books.
type Receiver struct {
	cfg    Config
	books  *Books
	log    *slog.Logger
	queued atomic.Int64 // bytes of batches that wait for the store
	told   alarmLog
	linked atomic.Bool // connected to a broker

	mu     sync.Mutex
	peers  map[loyalty.StationID]*peer
	credit *credits
}

// NewReceiver makes a receiver; Run runs it.
func NewReceiver(cfg Config) *Receiver {
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	cfg.Budget = cmp.Or(cfg.Budget, 64<<20)
	cfg.Group = cmp.Or(cfg.Group, 2000)
	cfg.AskWorkers = cmp.Or(cfg.AskWorkers, 16)
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics()
	}
	return &Receiver{cfg: cfg, books: cfg.Books, log: cfg.Log, peers: map[loyalty.StationID]*peer{}, credit: newCredits(cfg.Budget)}
}

// Connected tells whether there is a connection to a broker now.
func (r *Receiver) Connected() bool { return r.linked.Load() }

// Waits between attempts to reach a broker: full jitter up to a bound that doubles.
const (
	firstWait = 500 * time.Millisecond
	maxWait   = 30 * time.Second
	healthy   = time.Minute // after which the bound begins anew
)

// Run serves the stations until ctx is done, connecting again whenever a session ends, and returns after everything it
// started has ended. It returns nil when ctx is done, and [ErrBroken] when the store has failed.
func (r *Receiver) Run(ctx context.Context) error {
	wait := firstWait
	for {
		began := time.Now()
		err := r.session(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrBroken):
			return err
		case time.Since(began) > healthy:
			wait = firstWait
		}
		pause := rand.N(wait)
		r.log.Warn("no connection to the broker", "error", err, "next_try", pause.Round(time.Millisecond))
		wait = min(2*wait, maxWait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// outgoing is a message on its way to a station.
type outgoing struct {
	station loyalty.StationID
	kind    wire.Kind
	payload []byte
}

// link is the receiver's work on one connection.
type link struct {
	*Receiver
	session wire.Session
	control [lanes]chan wire.Message // hellos and downacks, each station's in order
	batches chan *arrival
	asks    chan wire.Message
	out     [lanes]chan outgoing // each station's in order
	failed  chan error
}

// arrival is a batch that waits for the store.
type arrival struct {
	*Batch
	size int64
}

// session serves one connection.
func (r *Receiver) session(ctx context.Context) error {
	s, err := r.cfg.Dialer.Dial(ctx, wire.Message{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &link{
		Receiver: r, session: s, batches: make(chan *arrival, 4096), asks: make(chan wire.Message, 1024), failed: make(chan error, 1),
	}
	for i := range lanes {
		l.control[i], l.out[i] = make(chan wire.Message, 512), make(chan outgoing, 512)
	}
	r.queued.Store(0)
	r.log.Debug("connected to the broker")
	r.books.wake.onAll(r.wakeAll)
	r.reconnected()
	r.linked.Store(true)
	defer r.linked.Store(false)
	var wg sync.WaitGroup
	for i := range lanes {
		wg.Go(func() { l.controls(ctx, l.control[i]) })
		wg.Go(func() { l.sends(ctx, l.out[i]) })
		wg.Go(func() { l.pumps(ctx, i) })
	}
	for range r.cfg.AskWorkers {
		wg.Go(func() { l.answers(ctx) })
	}
	wg.Go(func() { l.posts(ctx) })
	wg.Go(func() { l.sweeps(ctx) })
	err = l.reads(ctx)
	cancel()
	closed := s.Close()
	wg.Wait()
	r.saveSightings(context.WithoutCancel(ctx))
	return errors.Join(err, closed)
}

var errSessionEnded = errors.New("the session has ended")

// reads hands every message on, without ever waiting for anything but the carrier.
func (l *link) reads(ctx context.Context) error {
	for {
		select {
		case m, ok := <-l.session.Messages():
			if !ok {
				return errSessionEnded
			}
			l.handle(ctx, m)
		case err := <-l.failed:
			return err
		case <-l.session.Done():
			return errSessionEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fail ends the session if the store has failed.
func (l *link) fail(err error) {
	if errors.Is(err, ErrBroken) {
		select {
		case l.failed <- err:
		default:
		}
	}
}

// handle takes a message that may hold anything. What does not fit a queue is dropped: the protocol sends it again.
func (l *link) handle(ctx context.Context, m wire.Message) {
	station, kind, err := wire.ParseTopic(m.Topic)
	if err != nil || len(m.Payload) > wire.MaxMessage {
		l.refused(station, kind, cmp.Or(err, error(wire.ErrMessage)))
		return
	}
	switch kind {
	case wire.Hello, wire.DownAck:
		offer(l, l.control[station%lanes], m, station, kind)
	case wire.Up:
		l.takeBatch(station, m.Payload)
	case wire.Ask:
		offer(l, l.asks, m, station, kind)
	case wire.State:
		if len(m.Payload) > 0 { // an empty one deletes a retained message
			l.takeState(ctx, station, m.Payload)
		}
	}
}

func offer[T any](l *link, queue chan T, v T, station loyalty.StationID, kind wire.Kind) bool {
	select {
	case queue <- v:
		return true
	default:
		l.cfg.Metrics.dropped.WithLabelValues(string(kind)).Inc()
		l.log.Debug("dropped: the queue is full", "station", station, "kind", kind)
		return false
	}
}

// refused notes a message that makes no sense.
func (l *link) refused(station loyalty.StationID, kind wire.Kind, err error) {
	l.cfg.Metrics.refused.Inc()
	l.log.Warn("refused a message", "station", station, "kind", kind, "error", err)
}

func (l *link) takeBatch(station loyalty.StationID, payload []byte) {
	b, err := wire.OpenBatch(payload)
	if err != nil {
		l.refused(station, wire.Up, err)
		return
	}
	a := &arrival{Batch: &Batch{Station: station, Batch: b}}
	for _, e := range b.Entries {
		a.size += int64(len(e)) + 64
	}
	if l.queued.Add(a.size) > 2*int64(l.cfg.Budget) || !offer(l, l.batches, a, station, wire.Up) {
		l.queued.Add(-a.size)
	}
}

func (l *link) takeState(ctx context.Context, station loyalty.StationID, payload []byte) {
	m, err := wire.Decode[pb.State](payload)
	if err != nil || loyalty.StationID(m.Station) != station {
		l.refused(station, wire.State, cmp.Or(err, error(wire.ErrMessage)))
		return
	}
	taken := false
	known := l.with(ctx, station, func(p *peer) {
		if taken = p.state(m, l.books.Now()); taken && !m.Online {
			l.credit.drop(station)
		}
	})
	if known && taken {
		l.books.wake.push(station)
		l.countOnline()
	}
}

// with runs f on a station's peer with the lock held; false if the station is not enrolled.
func (r *Receiver) with(ctx context.Context, station loyalty.StationID, f func(*peer)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[station]
	if p == nil {
		r.mu.Unlock()
		s, st, seen, known, err := r.books.About(ctx, station)
		r.mu.Lock()
		if err != nil || !known {
			return false
		}
		if p = r.peers[station]; p == nil {
			seen.Station = station
			p = &peer{seen: seen, cursor: s.Cursor}
			p.resume(st, time.Now())
			r.peers[station] = p
		}
	}
	f(p)
	return true
}

// reconnected forgets what was on the way over a connection that has ended.
func (r *Receiver) reconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.peers {
		p.resume(p.stream, time.Now())
		r.books.wake.push(id)
	}
}

// wakeAll looks whether anybody has something to get.
func (r *Receiver) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.peers {
		r.books.wake.push(id)
	}
}

func (r *Receiver) countOnline() {
	r.mu.Lock()
	defer r.mu.Unlock()
	online, backlog := 0, uint64(0)
	for _, p := range r.peers {
		if p.seen.Online {
			online++
		}
		backlog += p.backlog()
	}
	r.cfg.Metrics.online.Set(float64(online))
	r.cfg.Metrics.backlog.Set(float64(backlog))
}
