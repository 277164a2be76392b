package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/wire"
)

const (
	kills        = 32 // at random instants, of agents, headquarters and broker together
	killAccounts = 24
	quietTime    = time.Second     // of business before the first kill
	killTime     = 4 * time.Minute // bounds the whole test on a machine that is busy
	startLimit   = 5 * time.Second // an agent is meant to answer within two; the rest is for a busy machine
)

// killed is the field of the kill test: everything as a process of its own.
type killed struct {
	t        *testing.T
	dir      string
	broker   *process
	address  string // of the broker
	hq       *process
	stations []*killedStation
}

type killedStation struct {
	*process
	number   loyalty.StationID
	ledger   string
	register *register

	started []time.Duration // how long it took to answer after each start
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
	k := newKilled(ctx, t)
	phase("everything is built")
	k.startAll(ctx)
	k.awaitOnline(ctx)
	phase("the stations are online: business begins")

	selling, stop := context.WithCancel(ctx)
	var clients []*client
	var wg sync.WaitGroup
	for i, s := range slices.Concat(k.stations, k.stations, k.stations) {
		c := newClient(i, s, rand.New(rand.NewPCG(seed, uint64(i)+1)))
		clients = append(clients, c)
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

// newKilled builds the programs and writes everything they need.
func newKilled(ctx context.Context, t *testing.T) *killed {
	k := &killed{t: t, dir: t.TempDir()}
	k.broker, k.address = newMosquitto(t)
	programs := buildPrograms(ctx, t, "azs-agent", "azs-hq")
	store, err := embedded.Open(embedded.Config{Path: k.path("hq.db")})
	if err != nil {
		t.Fatal(err)
	}
	fillBooks(ctx, t, store, killAccounts, 1, 2)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, k.path("api.token"), apiToken+"\n")
	writeFile(t, k.path("hq.yaml"), fmt.Sprintf(`
brokers: ["tcp://%s"]
store: {path: %q}
http: {listen: "%s", token_file: %q}
metrics: {listen: ""}
`, k.address, k.path("hq.db"), freeAddress(t), k.path("api.token")))
	k.hq = newProcess(t, "azs-hq", filepath.Join(programs, "azs-hq"), "run", "--config", k.path("hq.yaml"))
	for number := loyalty.StationID(1); number <= 2; number++ {
		k.stations = append(k.stations, k.newStation(number, filepath.Join(programs, "azs-agent")))
	}
	return k
}

func (k *killed) path(name string) string { return filepath.Join(k.dir, name) }

func (k *killed) newStation(number loyalty.StationID, program string) *killedStation {
	name := fmt.Sprintf("station%d", number)
	address := freeAddress(k.t)
	s := &killedStation{number: number, ledger: k.path(name + ".db"), register: newRegister(address)}
	writeFile(k.t, k.path(name+".yaml"), fmt.Sprintf(`
station: {number: %d}
ledger: {path: %q}
api: {listen: %q, token_file: %q}
hq: {brokers: ["tcp://%s"]}
metrics: {listen: ""}
`, number, s.ledger, address, k.path("api.token"), k.address))
	s.process = newProcess(k.t, name, program, "run", "--config", k.path(name+".yaml"))
	return s
}

func (k *killed) startAll(ctx context.Context) {
	k.t.Helper()
	if err := errors.Join(k.broker.start(), k.hq.start()); err != nil {
		k.t.Fatal(err)
	}
	listens(ctx, k.t, k.address)
	for _, s := range k.stations {
		s.answers(ctx, k.t)
	}
}

// answers starts the agent and measures how long it takes until it answers.
func (s *killedStation) answers(ctx context.Context, t *testing.T) {
	t.Helper()
	began := time.Now()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, s.name+" answers", func() bool {
		_, err := s.register.status(ctx)
		return err == nil
	})
	took := time.Since(began)
	s.started = append(s.started, took)
	if took > startLimit {
		t.Errorf("%s answered %s after its start", s.name, took)
	}
}

func (k *killed) awaitOnline(ctx context.Context) {
	k.t.Helper()
	for _, s := range k.stations {
		await(ctx, k.t, s.name+" is online and has the programme", func() bool {
			st, err := s.register.status(ctx)
			return err == nil && st.HQ.Online && st.Programme != nil
		})
	}
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

// pause lets time pass: killing at random instants is what this test does.
func (k *killed) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		k.t.Fatal(ctx.Err())
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

func (k *killed) awaitDrained(ctx context.Context) {
	for _, s := range k.stations {
		await(ctx, k.t, "headquarters has everything of "+s.name, func() bool {
			st, err := s.register.status(ctx)
			return err == nil && st.HQ.Online && st.HQ.Backlog == 0
		})
	}
}

// awaitBalances waits until both stations show every customer what the answers add up to.
func (k *killed) awaitBalances(ctx context.Context, m *model) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, s := range k.stations {
		for id := loyalty.AccountID(1); id <= killAccounts; id++ {
			var shown struct {
				Total loyalty.Points `json:"total_points_x100"`
				Fresh bool           `json:"fresh"`
			}
			await(ctx, k.t, fmt.Sprintf("%s shows %s points of account %d", s.name, m.balance(id), id), func() bool {
				_, err := s.register.once(ctx, http.MethodPost, "/v1/identify", map[string]string{"card": string(cardOf(id))}, &shown)
				return err == nil && shown.Fresh && shown.Total == m.balance(id)
			})
		}
	}
	k.awaitDrained(ctx)
}

func (k *killed) stopAll() {
	for _, s := range k.stations {
		if err := s.stop(); err != nil {
			k.t.Error(err)
		}
	}
	if err := k.hq.stop(); err != nil {
		k.t.Error(err)
	}
	k.broker.kill()
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
	for _, s := range k.stations {
		k.checkStation(ctx, s, lines[s.number], m)
	}
}

// linesOf is headquarters' journal of every station.
func linesOf(ctx context.Context, t testing.TB, store *embedded.Store) map[loyalty.StationID][]*hq.Line {
	t.Helper()
	out := map[loyalty.StationID][]*hq.Line{}
	for after := uint64(0); ; {
		lines, err := store.Lines(ctx, after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 {
			return out
		}
		for _, l := range lines {
			out[l.Station] = append(out[l.Station], l)
			after = l.Pos
		}
	}
}

// checkRecords compares headquarters' balances with what the answers add up to.
func (k *killed) checkRecords(ctx context.Context, store *embedded.Store, m *model) {
	at := loyalty.At(time.Now())
	records, err := store.Accounts(ctx, 0, killAccounts+1)
	if err != nil || len(records) != killAccounts {
		k.t.Fatalf("headquarters has %d accounts, want %d: %v", len(records), killAccounts, err)
	}
	for _, r := range records {
		if got, want := r.Account.Total(at), m.balance(r.Account.ID); got != want {
			k.t.Errorf("account %d has %s points at headquarters, the answers add up to %s", r.Account.ID, got, want)
		}
	}
}

// checkStation compares a station's journal with headquarters', byte for byte, and its balances.
func (k *killed) checkStation(ctx context.Context, s *killedStation, lines []*hq.Line, m *model) {
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
	for id := loyalty.AccountID(1); id <= killAccounts; id++ {
		b, err := l.Lookup(cardOf(id))
		if err != nil {
			k.t.Fatal(err)
		}
		account := b.Local.Current()
		if got, want := account.Total(at), m.balance(id); got != want {
			k.t.Errorf("account %d has %s points at %s, the answers add up to %s", id, got, s.name, want)
		}
	}
}

// journalOf is every entry of a station's journal.
func journalOf(ctx context.Context, t testing.TB, l *ledger.Ledger, pos wire.Position) (all [][]byte) {
	t.Helper()
	for loyalty.Seq(len(all)) < pos.Last {
		part, err := l.Read(ctx, pos.Epoch, loyalty.Seq(len(all)+1), 1000, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	return all
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
