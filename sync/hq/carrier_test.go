package hq_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// carrier is a broker in memory: what headquarters publish goes to the stations' handlers.
type carrier struct {
	mu      sync.Mutex
	session *fakeSession
	dials   int
	refuse  bool
	deliver func(wire.Message) // what headquarters publish
}

type fakeSession struct {
	c        *carrier
	messages chan wire.Message
	done     chan struct{}
	once     sync.Once
}

func (c *carrier) Dial(context.Context, wire.Message) (wire.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dials++
	if c.refuse {
		return nil, errors.New("no broker")
	}
	c.session = &fakeSession{c: c, messages: make(chan wire.Message, 10_000), done: make(chan struct{})}
	return c.session, nil
}

func (s *fakeSession) Publish(_ context.Context, topic string, payload []byte) error {
	select {
	case <-s.done:
		return errors.New("the session has ended")
	default:
	}
	s.c.deliver(wire.Message{Topic: topic, Payload: payload})
	return nil
}

func (s *fakeSession) Messages() <-chan wire.Message { return s.messages }
func (s *fakeSession) Done() <-chan struct{}         { return s.done }
func (s *fakeSession) Close() error                  { s.once.Do(func() { close(s.done) }); return nil }

// put hands a message to headquarters.
func (c *carrier) put(station loyalty.StationID, kind wire.Kind, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		c.session.messages <- wire.Message{Topic: wire.Topic(station, kind), Payload: payload}
	}
}

// cut ends the session as a broker's crash does.
func (c *carrier) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.session.Close() // never fails
}

// office is headquarters under test: a store, books, a receiver that runs, and what was published to each station.
type office struct {
	testing.TB
	*carrier
	*hq.Books
	store *embedded.Store
	cfg   hq.Config
	stop  context.CancelFunc
	ended chan error

	mu  sync.Mutex
	got map[loyalty.StationID][]wire.Message
}

// slowStore takes some time for every commit, and can break.
type slowStore struct {
	hq.Store
	delay  time.Duration
	mu     sync.Mutex
	broken bool
}

func (s *slowStore) Update(ctx context.Context, fn func(hq.Tx) error) error {
	time.Sleep(s.delay)
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	if broken {
		return hq.ErrBroken
	}
	return s.Store.Update(ctx, fn)
}

// inOffice runs a test in a bubble of time, with a receiver that runs, and stops it.
func inOffice(t *testing.T, wrap func(hq.Store) hq.Store, cfg hq.Config, test func(*testing.T, *office)) {
	dir := memory(t)
	synctest.Test(t, func(t *testing.T) {
		store, err := embedded.Open(embedded.Config{Path: filepath.Join(dir, "hq.db")})
		if err != nil {
			t.Fatal(err)
		}
		o := &office{TB: t, carrier: &carrier{}, store: store, got: map[loyalty.StationID][]wire.Message{}}
		o.deliver = o.note
		var s hq.Store = store
		if wrap != nil {
			s = wrap(store)
		}
		began := time.Now()
		now := func() time.Time { return hqtest.Start.Time().Add(time.Since(began)) }
		o.Books = hq.NewBooks(hq.BooksConfig{Store: s, AutoEnrol: true, Now: now})
		cfg.Books, cfg.Dialer, cfg.Log = o.Books, o.carrier, slog.New(slog.NewTextHandler(io.Discard, nil))
		o.cfg = cfg
		o.start()
		defer func() { // also when the test has failed: a bubble waits for all that runs in it
			o.halt()
			if _, err := store.Check(context.Background()); err != nil {
				t.Error(err)
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, o)
	})
}

// memory is a folder in memory, where there is one.
func memory(t testing.TB) string {
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "hq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what stays behind is gone with the machine
	return dir
}

func (o *office) start() {
	ctx, stop := context.WithCancel(context.Background())
	o.stop, o.ended = stop, make(chan error, 1)
	r := hq.NewReceiver(o.cfg)
	go func() { o.ended <- r.Run(ctx) }()
	synctest.Wait()
}

func (o *office) halt() {
	o.Helper()
	o.stop()
	if err := <-o.ended; err != nil && !errors.Is(err, hq.ErrBroken) {
		o.Error(err)
	}
}

func (o *office) note(m wire.Message) {
	s, _, err := wire.ParseTopic(m.Topic)
	if err != nil {
		o.Error(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got[s] = append(o.got[s], m)
}

type encoded interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}

// say sends a message from a station and lets everything settle.
func (o *office) say(s loyalty.StationID, kind wire.Kind, m encoded) {
	o.Helper()
	payload, err := wire.Encode(m)
	if err != nil {
		o.Fatal(err)
	}
	o.put(s, kind, payload)
}

// heard takes what a station was sent since the last call.
func (o *office) heard(s loyalty.StationID) []wire.Message {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.got[s]
	delete(o.got, s)
	return out
}

// only takes the messages of one kind.
func only[T any, P interface {
	*T
	UnmarshalVT([]byte) error
}](tb testing.TB, kind wire.Kind, messages []wire.Message) (out []P) {
	tb.Helper()
	for _, m := range messages {
		_, k, err := wire.ParseTopic(m.Topic)
		if err != nil {
			tb.Fatal(err)
		}
		if k != kind {
			continue
		}
		v, err := wire.Decode[T, P](m.Payload)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func helloOf(j *hqtest.Journal) *pb.Hello {
	h := j.Hello()
	return &pb.Hello{
		Station: uint32(h.Station), Epoch: uint32(h.Epoch), Nonce: h.Nonce[:], FirstSeq: uint64(h.First), LastSeq: uint64(h.Last),
		LastHash: h.LastHash[:], Boot: h.Boot[:], Version: h.Version, Schema: h.Schema, Session: h.Session,
		DownStream: h.DownStream, DownSeq: h.DownSeq,
	}
}

// up sends entries first through last.
func (o *office) up(j *hqtest.Journal, first, last int) {
	o.Helper()
	payload, n, _, err := wire.SealBatch(j.Epoch, loyalty.Seq(first), j.Hashes[first-1], j.Entries[first-1:last])
	if err != nil || n != last-first+1 {
		o.Fatalf("seal %d to %d: %d taken, %v", first, last, n, err)
	}
	o.put(j.Station, wire.Up, payload)
}

// greet says hello and returns the cursor that answers.
func (o *office) greet(j *hqtest.Journal) *pb.Cursor {
	o.Helper()
	o.say(j.Station, wire.Hello, helloOf(j))
	cs := only[pb.Cursor](o, wire.Cursor, o.heard(j.Station))
	if len(cs) != 1 || cs[0].Session != j.Session {
		o.Fatalf("a hello was answered with %v", cs)
	}
	return cs[0]
}

func (o *office) bring(accounts ...loyalty.Account) {
	o.Helper()
	if _, err := o.ImportAccounts(context.Background(), accounts); err != nil {
		o.Fatal(err)
	}
}

func (o *office) total(id loyalty.AccountID) loyalty.Points {
	o.Helper()
	rs, err := o.store.Accounts(context.Background(), id-1, 1)
	if err != nil || len(rs) != 1 {
		o.Fatal(rs, err)
	}
	var sum loyalty.Points
	for _, l := range rs[0].Account.Lots {
		sum += l.Amount
	}
	return sum
}
