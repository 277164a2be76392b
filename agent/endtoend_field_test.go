package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// startLimit is how long an agent may take to answer: it is meant to do within two seconds; the rest is for a busy machine.
const startLimit = 5 * time.Second

// field is two stations, headquarters and a real broker, everything as a process of its own.
type field struct {
	t        testing.TB
	dir      string
	programs string // folder of the built programs
	broker   *process
	address  string // of the broker
	line     *tap   // from headquarters to the broker
	hq       *process
	stations []*fieldStation
	operator form.Identity // whoever reads the forms of new customers
}

type fieldStation struct {
	*process
	number   loyalty.StationID
	ledger   string
	register *register

	started []time.Duration // how long it took to answer after each start
}

// newField builds the programs and writes everything they need: accounts 1 to count, and the operator's keys.
func newField(ctx context.Context, t testing.TB, count int) *field {
	t.Helper()
	k := &field{t: t, dir: t.TempDir()}
	k.broker, k.address = newMosquitto(t)
	k.line = newTap(t, k.address)
	k.programs = buildPrograms(ctx, t, "azs-agent", "azs-hq")
	key := k.begin(ctx)
	store, err := embedded.Open(embedded.Config{Path: k.path("hq.db")})
	if err != nil {
		t.Fatal(err)
	}
	fillBooks(ctx, t, store, count, 1, 2)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, k.path("api.token"), apiToken+"\n")
	writeFile(t, k.path("hq.yaml"), fmt.Sprintf(`
brokers: [%q]
store: {path: %q}
http: {listen: "%s", token_file: %q}
accounts: {act_key_file: %q}
metrics: {listen: ""}
`, k.line.url(), k.path("hq.db"), freeAddress(t), k.path("api.token"), k.path("hq.acts.key")))
	k.hq = newProcess(t, "azs-hq", filepath.Join(k.programs, "azs-hq"), "run", "--config", k.path("hq.yaml"))
	for number := loyalty.StationID(1); number <= 2; number++ {
		k.stations = append(k.stations, k.newStation(number, key))
	}
	return k
}

func (k *field) path(name string) string { return filepath.Join(k.dir, name) }

// begin has azs-hq make an empty store and the operators' keys, and returns the key that stations seal forms to.
func (k *field) begin(ctx context.Context) (formsKey string) {
	k.t.Helper()
	k.must(ctx, "init", "--broker", "tcp://"+k.address)
	secret, err := os.ReadFile(k.path("hq.forms.identity"))
	if err != nil {
		k.t.Fatal(err)
	}
	if k.operator, err = form.ParseIdentity(secret); err != nil {
		k.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(secret), "# public key: ")
	formsKey, _, _ = strings.Cut(rest, "\n")
	return formsKey
}

func (k *field) newStation(number loyalty.StationID, formsKey string) *fieldStation {
	name := fmt.Sprintf("station%d", number)
	address := freeAddress(k.t)
	s := &fieldStation{number: number, ledger: k.path(name + ".db"), register: newRegister(address)}
	writeFile(k.t, k.path(name+".yaml"), fmt.Sprintf(`
station: {number: %d}
ledger: {path: %q}
cards: {ranges: [{prefix: "7005", length: 16, check: none}], forms_key: %s}
api: {listen: %q, token_file: %q}
hq: {brokers: ["tcp://%s"]}
metrics: {listen: ""}
log: {level: debug}
`, number, s.ledger, formsKey, address, k.path("api.token"), k.address))
	s.process = newProcess(k.t, name, filepath.Join(k.programs, "azs-agent"), "run", "--config", k.path(name+".yaml"))
	return s
}

func (k *field) startAll(ctx context.Context) {
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
func (s *fieldStation) answers(ctx context.Context, t testing.TB) {
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

func (k *field) awaitOnline(ctx context.Context) {
	k.t.Helper()
	for _, s := range k.stations {
		await(ctx, k.t, s.name+" is online and has the programme", func() bool {
			st, err := s.register.status(ctx)
			return err == nil && st.HQ.Online && st.Programme != nil
		})
	}
}

// awaitOffline waits until every station has noticed that headquarters is out of reach.
func (k *field) awaitOffline(ctx context.Context) {
	k.t.Helper()
	for _, s := range k.stations {
		await(ctx, k.t, s.name+" is offline", func() bool {
			st, err := s.register.status(ctx)
			return err == nil && !st.HQ.Online
		})
	}
}

func (k *field) awaitDrained(ctx context.Context) {
	k.t.Helper()
	for _, s := range k.stations {
		await(ctx, k.t, "headquarters has everything of "+s.name, func() bool {
			st, err := s.register.status(ctx)
			return err == nil && st.HQ.Online && st.HQ.Backlog == 0
		})
	}
}

// pause lets time pass: killing at random instants is what the kill test does.
func (k *field) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		k.t.Fatal(ctx.Err())
	}
}

func (k *field) stopAll() {
	k.t.Helper()
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

// command runs a command of azs-hq as an operator does, and returns what it printed.
func (k *field) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(k.programs, "azs-hq"), append(args, "--config", k.path("hq.yaml"))...)
	cmd.Dir = k.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("azs-hq %v: %w\n%s%s", args, err, &out, &errs)
	}
	return out.String(), nil
}

// must runs a command that has to succeed.
func (k *field) must(ctx context.Context, args ...string) string {
	k.t.Helper()
	out, err := k.command(ctx, args...)
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

// contents are the bytes of every file of the field whose name begins so, and of what the process said.
func (k *field) contents(p *process) map[string][]byte {
	k.t.Helper()
	files, err := filepath.Glob(k.path(p.name + "*"))
	if err != nil {
		k.t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range append(files, p.log) {
		b, err := os.ReadFile(name)
		if err != nil {
			k.t.Fatal(err)
		}
		out[name] = b
	}
	return out
}

// openStore opens headquarters' store, which nobody else has open.
func (k *field) openStore() *embedded.Store {
	k.t.Helper()
	store, err := embedded.Open(embedded.Config{Path: k.path("hq.db"), ReadOnly: true})
	if err != nil {
		k.t.Fatal(err)
	}
	return store
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
