package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/mqtt"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// background is something that runs until it is stopped.
type background struct {
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func runInBackground(ctx context.Context, run func(context.Context) error) *background {
	ctx, stop := context.WithCancel(ctx)
	b := &background{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.err = run(ctx)
	}()
	return b
}

// end stops it and returns what it came to.
func (b *background) end() error {
	b.stop()
	<-b.done
	return b.err
}

// headquarters is HQ in this process.
type headquarters struct {
	store *embedded.Store
	books *hq.Books
	*background
}

// newHeadquarters opens books with customers in them in the folder and serves them through the broker.
func newHeadquarters(ctx context.Context, t testing.TB, folder, broker string, accounts int, stations ...loyalty.StationID) *headquarters {
	t.Helper()
	store, err := embedded.Open(embedded.Config{Path: filepath.Join(folder, "hq.db")})
	if err != nil {
		t.Fatal(err)
	}
	h := &headquarters{store: store, books: fillBooks(ctx, t, store, accounts, stations...)}
	dialer, err := mqtt.NewDialer(mqtt.Config{
		Brokers: []string{broker}, ClientID: "azs-hq", Subscribe: wire.HQFilters(0, wire.Shards-1), Log: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.background = runInBackground(ctx, hq.NewReceiver(hq.Config{Books: h.books, Dialer: dialer, Log: quiet()}).Run)
	t.Cleanup(func() {
		if err := errors.Join(h.end(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// cursor is how far headquarters has a station's journal.
func (h *headquarters) cursor(ctx context.Context, t testing.TB, station loyalty.StationID) hq.Cursor {
	t.Helper()
	s, _, _, _, err := h.books.About(ctx, station)
	if err != nil {
		t.Fatal(err)
	}
	return s.Cursor
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// live is an agent in this process.
type live struct {
	*agent.Running
	register *register
	*background
}

// liveConfig is what a test says of an agent.
type liveConfig struct {
	folder  string // of the ledger
	broker  string
	scanner string // port; empty: none
}

// settings are the settings of an agent, by way of the file that a technician writes.
func (c liveConfig) settings(t testing.TB, address string) config.Agent {
	t.Helper()
	token := filepath.Join(c.folder, "api.token")
	writeFile(t, token, apiToken+"\n")
	text := fmt.Sprintf(`
station: {number: 1}
ledger: {path: %q}
cards: {ranges: [{prefix: "7005", length: 16, check: none}]}
api: {listen: %q, token_file: %q}
hq: {brokers: [%q]}
metrics: {listen: ""}
`, filepath.Join(c.folder, "ledger.db"), address, token, c.broker)
	if c.scanner != "" {
		text += fmt.Sprintf("scanners: [{port: %q, dedupe_ms: 0}]\n", c.scanner)
	}
	s, err := config.ParseAgent("test.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newAgent makes an agent; ready is called when it answers.
func (c liveConfig) newAgent(t testing.TB, address string, ready func(*agent.Running)) *agent.Agent {
	t.Helper()
	source, err := programmes.File(programmes.Default)
	if err != nil {
		t.Fatal(err)
	}
	return agent.New(agent.Config{Settings: c.settings(t, address), Version: "test", Programme: source, Eager: true, Ready: ready})
}

// start runs an agent until the test or the caller ends it, and returns when it answers.
func (c liveConfig) start(ctx context.Context, t testing.TB) *live {
	t.Helper()
	address := freeAddress(t)
	ready := make(chan *agent.Running, 1)
	l := &live{register: newRegister(address)}
	l.background = runInBackground(ctx, c.newAgent(t, address, func(r *agent.Running) { ready <- r }).Run)
	t.Cleanup(func() {
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
	select {
	case l.Running = <-ready:
	case <-l.done:
		t.Fatalf("the agent has ended: %v", l.err)
	}
	// The API answers from the moment its listener is open, which Run opens last.
	await(ctx, t, "the API answers", func() bool {
		_, err := l.register.status(ctx)
		return err == nil
	})
	return l
}

func (l *live) awaitOnline(ctx context.Context, t testing.TB) {
	t.Helper()
	await(ctx, t, "headquarters is in reach", func() bool { return l.Status().HQ.Online })
}

func (l *live) awaitDrained(ctx context.Context, t testing.TB) {
	t.Helper()
	await(ctx, t, "headquarters has everything", func() bool { s := l.Status().HQ; return s.Online && s.Backlog == 0 })
}

// tap is a TCP relay that can stop passing anything on while its connections stay open, as a line does when something on
// its way hangs.
type tap struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	open   chan struct{} // closed while it passes on
	conns  []net.Conn
	closed bool
	wg     sync.WaitGroup
}

func newTap(t testing.TB, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{listener: l, to: to, open: make(chan struct{})}
	close(p.open)
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *tap) url() string { return "tcp://" + p.listener.Addr().String() }

func (p *tap) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.DialTimeout("tcp", p.to, time.Second)
		if err != nil {
			in.Close()
			continue
		}
		if !p.keep(in, out) {
			return
		}
		p.wg.Go(func() { p.pass(in, out) })
		p.wg.Go(func() { p.pass(out, in) })
	}
}

// keep remembers connections so that close ends them; false if that has happened already.
func (p *tap) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		for _, c := range conns {
			c.Close()
		}
		return false
	}
	p.conns = append(p.conns, conns...)
	return true
}

func (p *tap) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		<-open
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hang stops passing on; flow begins again.
func (p *tap) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

func (p *tap) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

func (p *tap) close() {
	p.flow()
	p.mu.Lock()
	p.closed = true
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.listener.Close()
	p.wg.Wait()
}
