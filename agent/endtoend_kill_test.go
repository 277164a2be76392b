package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
)

const (
	kills        = 32 // at random instants, of agents, headquarters and broker together
	killAccounts = 24
	quietTime    = time.Second     // of business before the first kill
	killTime     = 4 * time.Minute // bounds the whole test on a machine that is busy
)

// killed is the field of the kill test.
type killed struct {
	*field
	t *testing.T
}

// TestKill kills agents, headquarters and a real broker again and again while registers sell. In the end nothing that a
// register was answered is lost or doubled, headquarters' journal is the stations' byte for byte, and all balances equal
// those that the registers' answers add up to.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("AZS_KILL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (repeat the choices with AZS_KILL_SEED=%[1]d; the instants are the machine's)", seed)
	ctx, cancel := context.WithTimeout(t.Context(), killTime)
	defer cancel()
	began := time.Now()
	phase := func(name string) {
		t.Logf("%6.1fs %s", time.Since(began).Seconds(), name)
	}
	k := &killed{newField(ctx, t, killAccounts), t}
	phase("everything is built")
	k.startAll(ctx)
	k.awaitOnline(ctx)
	phase("the stations are online: business begins")

	selling, stop := context.WithCancel(ctx)
	clients := clientsOf(seed, slices.Concat(k.stations, k.stations, k.stations))
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.sell(selling, ctx) })
	}
	defer wg.Wait()
	defer stop()
	k.pause(ctx, quietTime)
	k.killAtRandom(ctx, rand.New(rand.NewPCG(seed, 0)))
	stop()
	wg.Wait()
	phase("the last kill")

	k.heal(ctx)
	phase("everything runs anew and headquarters has everything")
	m := modelOf(t, clients)
	k.awaitBalances(ctx, m)
	phase("the stations show the balances")
	k.stopAll()
	k.check(ctx, m)
	phase("the stores are compared")
	k.report(m)
}

// killAtRandom kills one process after the other, and has it started again after a random while.
func (k *killed) killAtRandom(ctx context.Context, r *rand.Rand) {
	for range kills {
		k.pause(ctx, time.Duration(50+r.IntN(900))*time.Millisecond)
		down := time.Duration(r.IntN(200)) * time.Millisecond
		switch n := r.IntN(10); n {
		case 0, 1, 2:
			k.broker.kill()
			k.pause(ctx, down)
			if err := k.broker.start(); err != nil {
				k.t.Fatal(err)
			}
		case 3, 4, 5:
			k.hq.kill()
			k.pause(ctx, down)
			if err := k.hq.start(); err != nil {
				k.t.Fatal(err)
			}
		default:
			s := k.stations[n%len(k.stations)]
			s.kill()
			k.pause(ctx, down)
			s.answers(ctx, k.t)
		}
	}
}

// heal starts everything anew, so that nobody is in a long wait for the next attempt, and waits until headquarters has
// everything.
func (k *killed) heal(ctx context.Context) {
	for _, p := range []*process{k.broker, k.hq} {
		p.kill()
		if err := p.start(); err != nil {
			k.t.Fatal(err)
		}
	}
	listens(ctx, k.t, k.address)
	for _, s := range k.stations {
		s.kill()
		s.answers(ctx, k.t)
	}
	k.awaitOnline(ctx)
	k.awaitDrained(ctx)
}

// awaitBalances waits until both stations show every customer what the answers add up to.
func (k *killed) awaitBalances(ctx context.Context, m *model) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, s := range k.stations {
		for _, card := range m.cards() {
			var shown struct {
				Total loyalty.Points `json:"total_points_x100"`
				Fresh bool           `json:"fresh"`
			}
			await(ctx, k.t, fmt.Sprintf("%s shows %s points of card %s", s.name, m.balance(card), card), func() bool {
				_, err := s.register.once(ctx, http.MethodPost, "/v1/identify", map[string]string{"card": string(card)}, &shown)
				return err == nil && shown.Fresh && shown.Total == m.balance(card)
			})
		}
	}
	k.awaitDrained(ctx)
}

// check compares the stores themselves.
func (k *killed) check(ctx context.Context, m *model) {
	store, err := embedded.Open(embedded.Config{Path: k.path("hq.db"), ReadOnly: true})
	if err != nil {
		k.t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Check(ctx); err != nil {
		k.t.Errorf("headquarters' store: %v", err)
	}
	alarms, err := store.Alarms(ctx)
	if err != nil || len(alarms) > 0 {
		k.t.Errorf("alarms at headquarters: %+v, %v", alarms, err)
	}
	lines := linesOf(ctx, k.t, store)
	k.checkOperations(lines, m)
	k.checkRecords(ctx, store, m)
	k.checkCounters(ctx, store, lines, m)
	for _, s := range k.stations {
		k.checkStation(ctx, s, lines[s.number], m)
	}
}

// checkRecords compares headquarters' balances with what the answers add up to.
func (k *killed) checkRecords(ctx context.Context, store *embedded.Store, m *model) {
	at := loyalty.At(time.Now())
	accounts, err := store.Accounts(ctx, 0, 10_000)
	first := slices.DeleteFunc(m.cards(), func(c loyalty.CardNumber) bool { return m.owner(c) != c })
	if err != nil || len(accounts) != len(first) {
		k.t.Fatalf("headquarters has %d accounts, want %d: %v", len(accounts), len(first), err)
	}
	err = store.View(ctx, func(tx hq.Tx) error {
		cards, err := tx.Cards(m.cards())
		if err != nil {
			return err
		}
		for _, number := range m.cards() {
			if cards[number].Account != cards[m.owner(number)].Account {
				k.t.Errorf("card %s has joined another account than %s", number, m.owner(number))
			}
		}
		for _, number := range first {
			records, err := tx.Records([]loyalty.AccountID{cards[number].Account})
			if err != nil {
				return err
			}
			r := records[cards[number].Account]
			if r == nil {
				k.t.Errorf("card %s has no account at headquarters", number)
			} else if got, want := r.Account.Total(at), m.balance(number); got != want {
				k.t.Errorf("card %s has %s points at headquarters, the answers add up to %s", number, got, want)
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

// checkStation compares a station's journal with headquarters', byte for byte, and its balances.
func (k *killed) checkStation(ctx context.Context, s *fieldStation, lines []*hq.Line, m *model) {
	if r, err := ledger.CheckFile(ctx, s.ledger, nil); err != nil {
		k.t.Errorf("%s: %v: %v", s.name, err, r)
	}
	l, err := ledger.Open(ctx, ledger.Config{Path: s.ledger, Station: s.number, Version: "test"})
	if err != nil {
		k.t.Fatal(err)
	}
	defer l.Close()
	pos, err := l.Position(ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	// Opening the ledger has written an entry of its own.
	if want := pos.Last - 1; pos.Epoch != 1 || pos.First != 1 || loyalty.Seq(len(lines)) != want {
		k.t.Fatalf("%s has entries %d to %d in epoch %d, headquarters has %d", s.name, pos.First, want, pos.Epoch, len(lines))
	}
	own := journalOf(ctx, k.t, l, pos)
	for i, line := range lines {
		if line.Epoch != 1 || line.Seq != loyalty.Seq(i+1) || !bytes.Equal(line.Bytes, own[i]) {
			k.t.Fatalf("%s: entry %d differs from headquarters' %d", s.name, i+1, line.Seq)
		}
	}
	at := loyalty.At(time.Now())
	if forms, err := l.Forms(ctx, pos.Epoch, 1, pos.Last); err != nil || len(forms) > 0 {
		k.t.Errorf("%s still has %d sealed forms, which headquarters has: %v", s.name, len(forms), err)
	}
	for _, card := range m.cards() {
		b, err := l.Lookup(card)
		if err != nil {
			k.t.Fatal(err)
		}
		account := b.Local.Current()
		if got, want := account.Total(at), m.balance(card); got != want {
			k.t.Errorf("card %s has %s points at %s, the answers add up to %s", card, got, s.name, want)
		}
	}
}

func (k *killed) report(m *model) {
	var started []time.Duration
	for _, s := range k.stations {
		started = append(started, s.started...)
	}
	slices.Sort(started)
	k.t.Logf("%d kills and the last restart of all; %s; an agent answers after its start: p50 %s, max %s of %d starts",
		kills, m.summary(), started[len(started)/2].Round(time.Millisecond), started[len(started)-1].Round(time.Millisecond), len(started))
}
