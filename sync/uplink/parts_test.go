package uplink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
	"github.com/azs-edge/azs-edge/sync/uplink"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

var (
	_ uplink.Journal = (*ledger.Ledger)(nil)
	_ uplink.Mirror  = (*ledger.Ledger)(nil)
)

// parts are a world of the real parts: agent/ledger and sync/hq on files, with the same carrier between them.
type parts struct {
	t    *testing.T
	dice *dice
	net  *simNet
	dir  string

	crashes, restored atomic.Uint64
	restores          bool // headquarters' books are put back from copies

	mu     sync.Mutex
	ledger *ledger.Ledger // of the process that runs, if one does
}

const simCard loyalty.CardNumber = "7005000000000042"

// now is a clock that shows a year the programme is in force in.
func now() time.Time {
	return hqtest.Start.Time().Add(time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
}

// mortal is a ledger whose process may die before or after any call.
type mortal struct {
	*ledger.Ledger
	p   *parts
	die func()
}

func (m *mortal) step() error {
	if m.p.dice.chance(m.p.net.now().crash) {
		m.die()
		return errDead
	}
	return nil
}

func (m *mortal) around(f func() error) error {
	if err := m.step(); err != nil {
		return err
	}
	return errors.Join(f(), m.step())
}

func (m *mortal) Acked(ctx context.Context, epoch loyalty.Epoch, seq loyalty.Seq, hash wire.Hash, q []*pb.Quarantined) error {
	return m.around(func() error { return m.Ledger.Acked(ctx, epoch, seq, hash, q) })
}

func (m *mortal) ApplyDown(ctx context.Context, d *pb.Down) error {
	return m.around(func() error { return m.Ledger.ApplyDown(ctx, d) })
}

func (m *mortal) Read(ctx context.Context, epoch loyalty.Epoch, from loyalty.Seq, _, most int) ([][]byte, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	return m.Ledger.Read(ctx, epoch, from, 4, most)
}

func (m *mortal) Forms(ctx context.Context, epoch loyalty.Epoch, from, through loyalty.Seq) ([]wire.Form, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	return m.Ledger.Forms(ctx, epoch, from, through)
}

// mortalStore is headquarters' store with the same fate.
type mortalStore struct {
	hq.Store
	p   *parts
	die func()
}

func (m *mortalStore) Update(ctx context.Context, fn func(hq.Tx) error) error {
	if err := m.step(); err != nil {
		return err
	}
	return errors.Join(m.Store.Update(ctx, fn), m.step())
}

func (m *mortalStore) step() error {
	if m.p.dice.chance(m.p.net.now().crash) {
		m.die()
		return hq.ErrBroken
	}
	return nil
}

type dialFunc func() (wire.Session, error)

func (f dialFunc) Dial(context.Context, wire.Message) (wire.Session, error) { return f() }

func (p *parts) dial(end loyalty.StationID, alive context.Context) dialFunc {
	return func() (wire.Session, error) {
		if alive.Err() != nil {
			return nil, errDead
		}
		return p.net.dial(end)
	}
}

// life makes a context that die ends as a crash does: the connection breaks, nothing more is said.
func (p *parts) life(ctx context.Context, end loyalty.StationID) (alive context.Context, die func(), bury func()) {
	alive, cancel := context.WithCancel(ctx)
	return alive, func() {
		p.crashes.Add(1)
		if s := p.net.end(end); s != nil {
			s.cut()
		}
		cancel()
	}, cancel
}

func (p *parts) station(ctx context.Context) {
	for ctx.Err() == nil {
		alive, die, bury := p.life(ctx, simStation)
		l, err := ledger.Open(ctx, ledger.Config{Path: filepath.Join(p.dir, "ledger.db"), Station: simStation, Version: "sim", Now: now, MaxSize: 64 << 20, Log: quiet})
		if err != nil {
			if ctx.Err() == nil {
				p.t.Errorf("open the ledger: %v", err)
			}
			bury()
			return
		}
		p.mu.Lock()
		p.ledger = l
		p.mu.Unlock()
		m := &mortal{l, p, die}
		u, err := uplink.New(uplink.Config{
			Station: simStation, Journal: m, Mirror: m, Dialer: p.dial(simStation, alive), Log: quiet, FirstWait: time.Second,
			BackoffMax: 5 * time.Second, Jitter: p.dice.span,
		})
		if err != nil {
			p.t.Error(err)
		}
		if err := u.Run(alive); err != nil {
			p.t.Error(err)
		}
		bury()
		p.mu.Lock()
		p.ledger = nil
		p.mu.Unlock()
		if err := l.Close(); err != nil {
			p.t.Errorf("close the ledger: %v", err)
		}
		sleep(ctx, p.dice.span(3*time.Second))
	}
}

func (p *parts) headquarters(ctx context.Context) {
	for ctx.Err() == nil {
		alive, die, bury := p.life(ctx, 0)
		store, err := embedded.Open(embedded.Config{Path: filepath.Join(p.dir, "hq.db"), Now: now})
		if err != nil {
			p.t.Errorf("open the books: %v", err)
			bury()
			return
		}
		books := hq.NewBooks(hq.BooksConfig{Store: &mortalStore{store, p, die}, Now: now, AutoEnrol: true, Random: func() uint64 { return 1 + uint64(p.dice.below(1<<40)) }})
		r := hq.NewReceiver(hq.Config{Books: books, Dialer: p.dial(0, alive), Log: quiet})
		if err := r.Run(alive); err != nil && !errors.Is(err, hq.ErrBroken) {
			p.t.Error(err)
		}
		bury()
		if err := store.Close(); err != nil && !errors.Is(err, hq.ErrBroken) {
			p.t.Errorf("close the books: %v", err)
		}
		if ctx.Err() == nil {
			p.shelve()
		}
		sleep(ctx, p.dice.span(2*time.Second))
	}
}

// shelve makes a copy of headquarters' file between two lives, or puts an older one back.
func (p *parts) shelve() {
	file, copied := filepath.Join(p.dir, "hq.db"), filepath.Join(p.dir, "hq.copy")
	if !p.restores || !p.dice.chance(0.5) {
		return
	}
	from, to := file, copied
	if p.dice.chance(0.5) {
		if _, err := os.Stat(copied); err == nil {
			from, to = copied, file
			p.restored.Add(1)
		}
	}
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// books runs f on headquarters' books while no process has them.
func (p *parts) books(f func(*embedded.Store, *hq.Books)) {
	store, err := embedded.Open(embedded.Config{Path: filepath.Join(p.dir, "hq.db"), Now: now})
	if err != nil {
		p.t.Fatal(err)
	}
	f(store, hq.NewBooks(hq.BooksConfig{Store: store, Now: now}))
	if err := store.Close(); err != nil {
		p.t.Error(err)
	}
}

// sell repeats a sale under its id until it is answered OK, as a till does; false if there was no agent to ask.
func (p *parts) sell(ctx context.Context, n int) bool {
	p.mu.Lock()
	l := p.ledger
	p.mu.Unlock()
	if l == nil {
		return false
	}
	if n%simGiven == 0 { // to a new customer, who pays with the new card
		card := givenCard(n)
		if _, err := l.IssueCard(ctx, &loyalty.IssueRequest{Card: card, Sealed: simForm(uint64(n))}); err != nil {
			return false
		}
		_, err := l.CloseSale(ctx, &loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprint("first sale ", n)), Card: card, Receipt: hqtest.Receipt()})
		if err != nil {
			return false
		}
	}
	_, err := l.CloseSale(ctx, &loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprint("sale ", n)), Card: simCard, Receipt: hqtest.Receipt()})
	return err == nil
}

// simGiven is with every how many sales a card is given out.
const simGiven = 6

func givenCard(n int) loyalty.CardNumber { return loyalty.CardNumber(fmt.Sprintf("7006%012d", n)) }

// settled tells whether the journal is empty of news.
func (p *parts) settled() bool {
	p.mu.Lock()
	l := p.ledger
	p.mu.Unlock()
	if l == nil {
		return false
	}
	pos, err := l.Position(context.Background())
	if err != nil || pos.Acked != pos.Last {
		return false
	}
	b, err := l.Lookup(simCard)
	given, err2 := l.Lookup(givenCard(0))
	// Every sale is in headquarters' snapshot, and it has told of the first card that was given out.
	return err == nil && err2 == nil && b.Known && len(b.Local.Own) == 0 && given.Known && !given.Issued
}

func simulateParts(t *testing.T, seed uint64) (crashes, restored uint64) {
	dir, err := os.MkdirTemp(fastDir(), "azs-sim-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		d := newDice(seed)
		f := stormy
		f.crash, f.commit = 0.02, 0
		p := &parts{t: t, dice: d, net: newSimNet(d, f), dir: dir, restores: seed%2 == 0}
		p.books(func(_ *embedded.Store, b *hq.Books) {
			if _, err := b.ImportAccounts(t.Context(), []loyalty.Account{hqtest.Account(simAccount, 0)}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.ImportCards(t.Context(), []loyalty.Card{hqtest.Card(simCard, simAccount)}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Publish(t.Context(), hqtest.Programme(1)); err != nil {
				t.Fatal(err)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { p.headquarters(ctx) })
		wg.Go(func() { p.station(ctx) })
		const sales = 30
		tries := 0
		for n := 0; n < sales; tries++ {
			time.Sleep(d.span([]time.Duration{30 * time.Millisecond, 2 * time.Second}[d.below(2)]))
			if p.sell(ctx, n) && !d.chance(0.2) { // otherwise the answer got lost, and the till asks again
				n++
			}
			if tries > 5000 {
				t.Fatal("the counter gets no answers")
			}
		}
		p.net.set(faults{})
		time.Sleep(time.Minute) // a heartbeat: until then a station need not know that the books were put back
		for i := 0; !p.settled(); i++ {
			if i > 600 {
				t.Errorf("nothing moves any more")
				break
			}
			time.Sleep(time.Second)
		}
		cancel()
		wg.Wait()
		p.compare(sales)
		crashes, restored = p.crashes.Load(), p.restored.Load()
		time.Sleep(time.Minute)
	})
	return crashes, restored
}

// compare holds headquarters' books against the station's journal.
func (p *parts) compare(sales int) {
	t, ctx := p.t, context.Background()
	l, err := ledger.Open(ctx, ledger.Config{Path: filepath.Join(p.dir, "ledger.db"), Station: simStation, Version: "sim", Now: now, MaxSize: 64 << 20, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pos, err := l.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	journal, err := l.Read(ctx, pos.Epoch, 1, 100_000, 100<<20)
	if err != nil {
		t.Fatal(err)
	}
	journal = journal[:pos.Acked] // not the start that this very Open has written
	p.books(func(s *embedded.Store, _ *hq.Books) {
		lines, err := s.Lines(ctx, 0, 100_000)
		lines = slices.DeleteFunc(lines, func(l *hq.Line) bool { return l.Station == hq.Own })
		if err != nil || len(lines) != len(journal) {
			t.Errorf("headquarters has %d lines, the journal %d: %v", len(lines), len(journal), err)
			return
		}
		seen := map[loyalty.SaleID]int{}
		for i, line := range lines {
			if line.Seq != loyalty.Seq(i+1) || !bytes.Equal(line.Bytes, journal[i]) {
				t.Errorf("line %d differs", i+1)
			}
			e, err := wire.DecodeEntry(line.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if c, ok := e.Body.(loyalty.SaleClosed); ok {
				seen[c.Sale]++
			}
		}
		for n := range sales {
			if k := seen[loyalty.SaleID(fmt.Sprint("sale ", n))]; k != 1 {
				t.Errorf("sale %d was booked %d times", n, k)
			}
		}
		accounts, err := s.Accounts(ctx, 0, 100)
		if err != nil || len(accounts) != 1+(sales+simGiven-1)/simGiven {
			t.Fatalf("%d accounts, %v", len(accounts), err)
		}
		for _, a := range accounts[1:] {
			if got := a.Account.Total(hqtest.Start); got != 40_00 {
				t.Errorf("account %d of a card that was given out holds %s", a.Account.ID, got)
			}
		}
		p.compareForms(s, sales)
		var held loyalty.Points
		for _, lot := range accounts[0].Account.Lots {
			held += lot.Amount
		}
		if want := loyalty.Points(sales) * 40_00; held != want {
			t.Errorf("the account holds %s, the sales earn %s", held, want)
		}
		if _, err := s.Check(ctx); err != nil {
			t.Errorf("the books' own check: %v", err)
		}
	})
}

// compareForms looks for the form of every card that was given out. Where the books were put back to an older copy, those
// that it had acknowledged since are gone: the station has them no more.
func (p *parts) compareForms(s *embedded.Store, sales int) {
	kept, err := s.Forms(context.Background(), loyalty.FormHash{}, 100)
	if err != nil {
		p.t.Error(err)
	}
	has := map[loyalty.FormHash]loyalty.CardNumber{}
	for _, f := range kept {
		has[f.Hash] = f.Card
	}
	for n := 0; n < sales; n += simGiven {
		if card := has[sha256.Sum256(simForm(uint64(n)))]; card != givenCard(n) && p.restored.Load() == 0 {
			p.t.Errorf("card %s was given out, headquarters does not have the form", givenCard(n))
		}
	}
}

// fastDir is a folder in memory where there is one: these worlds are about the protocol, not about disks.
func fastDir() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// TestSimulationOfParts runs a few worlds of the real ledger and the real headquarters.
func TestSimulationOfParts(t *testing.T) {
	worlds := max(*simSeeds/20, 1)
	if testing.Short() {
		worlds /= 10
	}
	first, last := uint64(1), worlds
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	began, seeded := time.Now(), first
	defer func() {
		if t.Failed() {
			t.Logf("replay with: go test ./sync/uplink -run TestSimulationOfParts -sim.seed=%d", seeded)
		}
	}()
	var crashes, restored uint64
	for seed := first; seed <= last; seed++ {
		seeded = seed
		c, r := simulateParts(t, seed)
		crashes, restored = crashes+c, restored+r
	}
	t.Logf("%d worlds in %s, %d crashes, books put back %d times", last-first+1, time.Since(began).Round(time.Millisecond), crashes, restored)
}
