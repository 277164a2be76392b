package uplink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// The first and the longest wait for the cursor that answers a hello, and the bounds of what waits for the disk.
const (
	helloWait    = 2 * time.Second
	helloWaitMax = 30 * time.Second
	maxDowns     = 32
	maxAnswers   = 2 * maxAsks
	farewell     = 2 * time.Second
)

// loop is one session: everything it knows is forgotten with the connection. One goroutine owns it; the workers do what
// takes time and hand their outcomes back to it.
type loop struct {
	u       *Uplink
	carrier wire.Session
	ctx     context.Context // of the jobs
	results chan func()
	broken  error // why the session cannot go on

	control *worker // publishes asks, hellos, receipts, states
	drain   *worker // reads, seals and publishes batches
	book    *worker // notes acknowledgements, applies the down-stream
	learn   *worker // learns answers

	// The greeting.
	connection uint64    // number of the connection, which its will bears
	session    uint64    // of the last hello
	greet      bool      // a hello is due
	greeted    time.Time // when the last one went out; zero: it was answered
	patience   time.Duration
	heard      time.Time // when headquarters last said anything
	silent     bool
	firstOpen  time.Time

	// The journal's way up; valid while open.
	open     bool
	epoch    loyalty.Epoch
	next     loyalty.Seq // the first entry of the next batch
	prev     wire.Hash   // before it
	acked    loyalty.Seq
	highest  loyalty.Seq // the last entry ever sent over this connection
	returned loyalty.Seq // sending has gone back to behind this without progress since
	going    bool        // a return is being prepared
	gen      int         // grows with every return: outcomes of older batches do not count
	credit   uint64
	window   window
	held     time.Time // since when questions hold the journal up; zero: they do not
	due      bool      // there may be entries to send
	fresh    bool      // entries were appended since the last look

	// Waiting for the workers.
	ack     *pendingAck
	downs   []*pb.Down
	cursor  *whereTo
	answers []*pb.Answer
	receipt *pb.DownAck

	postponed bool // the last of the down-stream found no room

	// Timers; zero: not running.
	lingerAt, rtoAt, stateAt time.Time
}

// pendingAck joins acknowledgements while the disk is busy.
type pendingAck struct {
	epoch       loyalty.Epoch
	seq         loyalty.Seq
	hash        wire.Hash
	quarantined []*pb.Quarantined
}

// whereTo is a cursor that is to be compared with the journal.
type whereTo struct {
	*pb.Cursor
	hello    uint64 // the last hello when it came
	repeated bool   // not the answer to a hello: headquarters misses something
}

func newLoop(u *Uplink, carrier wire.Session) *loop {
	now := time.Now()
	return &loop{
		u: u, carrier: carrier, results: make(chan func()), connection: u.session, session: u.session,
		greet: true, patience: helloWait, heard: now, window: newWindow(),
	}
}

// run is the session from the first hello to the end of everything it started.
func (l *loop) run(ctx context.Context) error {
	jobs, cancel := context.WithCancel(ctx)
	l.ctx = jobs
	var wg sync.WaitGroup
	stop := make(chan struct{})
	workers := []**worker{&l.control, &l.drain, &l.book, &l.learn}
	for _, w := range workers {
		*w = start(&wg, l.results, stop)
	}
	err := l.loop(ctx)
	cancel()
	close(stop)
	for _, w := range workers {
		close((*w).jobs)
	}
	l.u.hangUp()
	wg.Wait()
	if ctx.Err() != nil {
		l.sayGoodbye(context.WithoutCancel(ctx))
	}
	return errors.Join(err, l.carrier.Close())
}

func (l *loop) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.onTime(time.Now())
		l.startJobs()
		if l.broken != nil {
			return l.broken
		}
		timer.Reset(time.Until(l.nextTime()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.carrier.Done():
			return errors.New("the connection to the broker ended")
		case m, ok := <-l.carrier.Messages():
			if !ok {
				return errors.New("the connection to the broker ended")
			}
			l.receive(m)
		case outcome := <-l.results:
			outcome()
		case <-l.u.cfg.Journal.Appended():
			l.fresh = true
			if l.lingerAt.IsZero() && !l.due {
				l.lingerAt = time.Now().Add(l.u.cfg.Linger)
			}
		case <-l.u.kick:
			if l.u.wentSilent() {
				l.hush("a question was not answered in time")
				l.greet = true
			}
		case <-timer.C:
		}
	}
}

// sayGoodbye tells everybody that the station leaves on purpose: the will is not published then.
func (l *loop) sayGoodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	pos, err := l.u.cfg.Journal.Position(ctx)
	if err != nil {
		return
	}
	if m, err := l.u.state(pos, l.connection, false); err == nil {
		_ = l.carrier.Publish(ctx, m.Topic, m.Payload) // nobody depends on it
	}
}

// onTime does what the clock asks for.
func (l *loop) onTime(now time.Time) {
	past := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	if past(l.lingerAt) {
		l.lingerAt, l.due = time.Time{}, true
	}
	if past(l.rtoAt) {
		// Only a cursor says where to go on: headquarters may have gone, or come back with other books.
		l.rtoAt = time.Time{}
		l.window.timedOut()
		l.greet = true
	}
	if past(l.helloAt()) {
		l.hush("it does not answer")
		l.patience = min(2*l.patience, helloWaitMax)
		l.greet = true
	}
	if l.greeted.IsZero() && now.Sub(l.heard) >= l.u.cfg.Heartbeat {
		l.greet = true
	}
	if now.Sub(l.heard) >= l.u.cfg.GiveUp {
		l.broken = fmt.Errorf("headquarters has not been heard for %s", l.u.cfg.GiveUp)
	}
}

// helloAt is when a hello without an answer is repeated.
func (l *loop) helloAt() time.Time {
	if l.greeted.IsZero() || l.greet {
		return time.Time{}
	}
	return l.greeted.Add(l.patience)
}

func (l *loop) nextTime() time.Time {
	next := l.heard.Add(l.u.cfg.GiveUp)
	times := []time.Time{l.lingerAt, l.rtoAt, l.helloAt()}
	if !l.control.busy {
		times = append(times, l.stateAt)
	}
	for _, t := range times {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if t := l.heard.Add(l.u.cfg.Heartbeat); l.greeted.IsZero() && !l.greet && t.Before(next) {
		next = t
	}
	return next
}

// hush notes that headquarters does not answer.
func (l *loop) hush(why string) {
	l.silent = true
	l.u.setOnline(false, why)
}

// hears notes that headquarters has said something.
func (l *loop) hears(at int64) {
	now := time.Now()
	l.heard, l.silent = now, false
	l.u.update(func(s *Status) { s.LastHeard = now })
	if l.open {
		l.u.setOnline(true, "")
	}
	if at > 0 {
		l.u.cfg.Mirror.HQTime(loyalty.Instant(at))
	}
}

func (l *loop) fail(action string, err error) {
	if l.broken == nil {
		l.broken = fmt.Errorf("%s: %w", action, err)
	}
}
