package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Journal is what is sent. Its methods are called by several goroutines, and what they write is durable when they
// return. An error of any ends the session; the next one begins with a new hello.
type Journal interface {
	// Position is where the journal stands on the disk.
	Position(ctx context.Context) (wire.Position, error)
	// HashAt is the chain after an entry that is still kept.
	HashAt(epoch loyalty.Epoch, seq loyalty.Seq) (wire.Hash, error)
	// Read returns the bytes of consecutive entries: as many as the two limits allow but at least one, none only if there
	// are none.
	Read(ctx context.Context, epoch loyalty.Epoch, from loyalty.Seq, maxEntries, maxBytes int) ([][]byte, error)
	// Forms returns the sealed forms that go with the entries from a seq through another, in their order: those that are
	// not acknowledged. Of an epoch that has ended it is an error.
	Forms(ctx context.Context, epoch loyalty.Epoch, from, through loyalty.Seq) ([]wire.Form, error)
	// Acked notes that headquarters has committed everything through seq, where it has this hash. Older and repeated
	// news change nothing; a hash that is not the journal's is an error.
	Acked(ctx context.Context, epoch loyalty.Epoch, seq loyalty.Seq, hash wire.Hash, quarantined []*pb.Quarantined) error
	// NewEpochAbove begins a new life of the journal, numbered above the one given, with everything that is not
	// acknowledged in it.
	NewEpochAbove(ctx context.Context, above loyalty.Epoch, reason string) error
	// Appended receives after entries were appended; signals may join.
	Appended() <-chan struct{}
}

// Mirror is the station's copy of what headquarters knows.
type Mirror interface {
	// ApplyDown takes in items of the down-stream together with its cursor, or ignores what does not follow on.
	ApplyDown(ctx context.Context, d *pb.Down) error
	// Learn takes in an answer, however late and often.
	Learn(ctx context.Context, a *pb.Answer) error
	// HQTime says what headquarters' clock showed a moment ago.
	HQTime(at loyalty.Instant)
}

// Config of an uplink. Station, Journal, Mirror and Dialer are required.
type Config struct {
	Station loyalty.StationID
	Journal Journal
	Mirror  Mirror
	Dialer  wire.Dialer
	// Version of the agent, told to headquarters.
	Version string
	// Health fills in what only the agent knows of its state: clock, disk, scanners. Default: nothing.
	Health func(*pb.State)
	// Log gets what changes: connected, online, alarms. Default: slog.Default().
	Log *slog.Logger

	// AskDeadline is the longest an Ask takes. Default: 1.5 s.
	AskDeadline time.Duration
	// Linger is how long entries are gathered into a batch. Default: 50 ms; below zero: not at all.
	Linger time.Duration
	// FirstWait bounds the random wait before the first connection, so that a whole network that gets its power back
	// does not return in one second. Default: 5 s; below zero: none.
	FirstWait time.Duration
	// BackoffMin and BackoffMax bound the random wait before further connections: between nothing and a limit that
	// doubles from the one to the other, and falls back after a minute of health. Default: 500 ms and 60 s.
	BackoffMin, BackoffMax time.Duration
	// Heartbeat is the longest silence of headquarters before it is greeted again. Default: 30 s.
	Heartbeat time.Duration
	// StateEvery is how often the station's state is published. Default: 60 s.
	StateEvery time.Duration
	// PublishTimeout bounds the wait for the broker's receipt. Default: 20 s.
	PublishTimeout time.Duration
	// GiveUp is how long headquarters may be silent before the connection is made anew, perhaps to another broker.
	// Default: 5 min.
	GiveUp time.Duration
	// Jitter picks a wait up to the limit. Default: uniformly at random.
	Jitter func(limit time.Duration) time.Duration
}

// healthy is how long a session must last for the waits to start small again.
const healthy = time.Minute

// dialTimeout bounds a Dial over all brokers.
const dialTimeout = time.Minute

// Uplink sends a station's journal and asks its questions. Ask and Status may be called at any time, by any number of
// goroutines, also when Run is not running: then nothing can be reached.
type Uplink struct {
	cfg  Config
	kick chan struct{} // tells the session's loop that asks have changed

	mu     sync.Mutex
	status Status
	asks   asks

	session uint64 // the last session number used; touched by Run only
}

// New makes an uplink; Run connects it.
func New(cfg Config) (*Uplink, error) {
	if cfg.Journal == nil || cfg.Mirror == nil || cfg.Dialer == nil || cfg.Station == 0 {
		return nil, errors.New("uplink: station, journal, mirror and dialer are required")
	}
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if cfg.Health == nil {
		cfg.Health = func(*pb.State) {}
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func(limit time.Duration) time.Duration {
			if limit <= 0 {
				return 0
			}
			return rand.N(limit)
		}
	}
	for d, v := range map[*time.Duration]time.Duration{
		&cfg.AskDeadline: 1500 * time.Millisecond, &cfg.Linger: 50 * time.Millisecond, &cfg.FirstWait: 5 * time.Second,
		&cfg.BackoffMin: 500 * time.Millisecond, &cfg.BackoffMax: time.Minute, &cfg.Heartbeat: 30 * time.Second,
		&cfg.StateEvery: time.Minute, &cfg.PublishTimeout: 20 * time.Second, &cfg.GiveUp: 5 * time.Minute,
	} {
		*d = max(0, cmp.Or(*d, v))
	}
	u := &Uplink{cfg: cfg, kick: make(chan struct{}, 1)}
	u.status.Since = time.Now()
	u.asks.init()
	return u, nil
}

// Run connects and keeps connected until ctx is done; it returns nil then. Everything it started has ended when it
// returns.
func (u *Uplink) Run(ctx context.Context) error {
	limit, backoff := u.cfg.FirstWait, time.Duration(0)
	for {
		if !wait(ctx, u.cfg.Jitter(limit)) {
			return nil
		}
		lasted, err := u.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		u.update(func(s *Status) { s.LastError = err.Error() })
		if lasted >= healthy {
			backoff = 0
		}
		backoff = min(max(2*backoff, u.cfg.BackoffMin), u.cfg.BackoffMax)
		limit = backoff
		u.cfg.Log.Warn("no link to headquarters", "error", err, "again_within", limit)
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect runs one session and tells how long headquarters was in reach of it.
func (u *Uplink) connect(ctx context.Context) (online time.Duration, err error) {
	pos, err := u.cfg.Journal.Position(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the journal's position: %w", err)
	}
	// Every start appends an entry, so that the numbers grow across restarts without being kept anywhere.
	u.session = max(u.session, uint64(pos.Epoch)<<48|uint64(pos.Last)<<20) + 1
	will, err := u.state(pos, u.session, false)
	if err != nil {
		return 0, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	carrier, err := u.cfg.Dialer.Dial(dialCtx, will)
	cancel()
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	u.update(func(s *Status) { s.Connected, s.Session, s.Connections = true, u.session, s.Connections+1 })
	l := newLoop(u, carrier)
	err = l.run(ctx)
	u.update(func(s *Status) { s.Connected = false })
	u.setOnline(false, "")
	if !l.firstOpen.IsZero() {
		online = time.Since(l.firstOpen)
	}
	return online, err
}

// state makes the message of the station's state: the birth, the will, and what comes between.
func (u *Uplink) state(pos wire.Position, session uint64, online bool) (wire.Message, error) {
	m := &pb.State{}
	u.cfg.Health(m)
	m.Station, m.Session, m.Online, m.Version = uint32(u.cfg.Station), session, online, u.cfg.Version
	m.Backlog, m.OldestUnsent = uint64(pos.Last-min(pos.Acked, pos.Last)), int64(pos.UnsentAt)
	m.Epoch, m.LastSeq = uint32(pos.Epoch), uint64(pos.Last)
	b, err := wire.Encode(m)
	return wire.Message{Topic: wire.Topic(u.cfg.Station, wire.State), Payload: b}, err
}
