package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
)

// What the end-to-end tests share: programs as processes, a real broker, headquarters' books with customers in them, and
// a cash register that knows of the station what an integrator knows.

// apiToken is the token of every station in these tests.
const apiToken = "end-to-end-token-of-the-register"

// process is a program that can be killed and started again.
type process struct {
	name string
	path string
	args []string
	log  string // file of everything it says

	mu  sync.Mutex
	cmd *exec.Cmd
}

// newProcess makes a process that is ended with the test; what it said last is shown if the test fails.
func newProcess(t testing.TB, name, path string, args ...string) *process {
	p := &process{name: name, path: path, args: args, log: filepath.Join(t.TempDir(), name+".log")}
	t.Cleanup(func() {
		p.kill()
		if words := p.lastWords(); t.Failed() && words != "" {
			t.Logf("the last words of %s:\n%s", name, words)
		}
	})
	return p
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	p.cmd = exec.Command(p.path, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	return nil
}

// kill is SIGKILL; it returns when the process is gone.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // it may be dead already
		_ = p.cmd.Wait()         // and was killed: its status says nothing
		p.cmd = nil
	}
}

// stop asks it to end and returns when it has, with an error unless it ended in order.
func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	err := p.cmd.Wait()
	p.cmd = nil
	if err != nil {
		return fmt.Errorf("%s did not end in order: %w", p.name, err)
	}
	return nil
}

func (p *process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return "" // it never ran
	}
	return string(b[max(0, len(b)-4000):])
}

// buildPrograms builds programs of this module and returns the folder that they are in.
func buildPrograms(ctx context.Context, t testing.TB, names ...string) string {
	t.Helper()
	folder := t.TempDir()
	args := []string{"build", "-o", folder + string(filepath.Separator)}
	for _, n := range names {
		args = append(args, "./cmd/"+n)
	}
	build := exec.CommandContext(ctx, "go", args...)
	build.Dir = ".." // the module's root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	return folder
}

// missing skips the test, or fails it where every real part must be there.
func missing(t testing.TB, sentence string) {
	t.Helper()
	if os.Getenv("AZS_TEST_REQUIRE") == "1" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}

// newMosquitto makes a real broker with its default queue limits; it does not run yet.
func newMosquitto(t testing.TB) (broker *process, address string) {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mosquitto") // where only root's PATH has it
	}
	if err != nil {
		missing(t, "mosquitto is not installed; install the Debian package mosquitto")
	}
	address = freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	writeFile(t, file, fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n", port))
	return newProcess(t, "mosquitto", path, "-c", file), address
}

// listens waits until something accepts connections.
func listens(ctx context.Context, t testing.TB, address string) {
	t.Helper()
	await(ctx, t, address+" is listened on", func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// await waits until the condition holds.
func await(ctx context.Context, t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s: %v", what, ctx.Err())
		}
	}
}

// opening is what every account of these tests begins with.
const opening loyalty.Points = 500_25

// cardOf is the card of an account of these tests.
func cardOf(id loyalty.AccountID) loyalty.CardNumber {
	return loyalty.CardNumber(fmt.Sprintf("7005%012d", id))
}

// fillBooks brings accounts 1 to count in, with a card each, publishes the shipped programme and enrols the stations.
func fillBooks(ctx context.Context, t testing.TB, store *embedded.Store, count int, stations ...loyalty.StationID) *hq.Books {
	t.Helper()
	b := hq.NewBooks(hq.BooksConfig{Store: store})
	const day = 24 * time.Hour
	var accounts []loyalty.Account
	var cards []loyalty.Card
	for id := loyalty.AccountID(1); id <= loyalty.AccountID(count); id++ {
		accounts = append(accounts, loyalty.Account{ID: id, Lots: []loyalty.Lot{{
			Amount: opening, ActiveFrom: b.Now().Add(-day), Expires: b.Now().Add(365 * day),
		}}})
		cards = append(cards, loyalty.Card{Number: cardOf(id), Account: id, MayRedeem: true, HQVersion: 1})
	}
	_, errAccounts := b.ImportAccounts(ctx, accounts)
	_, errCards := b.ImportCards(ctx, cards)
	source, errFile := programmes.File(programmes.Default)
	_, errPublish := b.Publish(ctx, source)
	if err := errors.Join(errAccounts, errCards, errFile, errPublish); err != nil {
		t.Fatal(err)
	}
	for _, s := range stations {
		if _, err := b.Enrol(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// register is a cash register beside a station.
type register struct {
	base string
	http *http.Client
}

func newRegister(address string) *register {
	return &register{base: "http://" + address, http: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
}

// saleAnswer is what a register reads of a sale.
type saleAnswer struct {
	State string `json:"state"`
	Quote struct {
		Redeem loyalty.Points `json:"redeem_points_x100"`
		Earn   loyalty.Points `json:"earn_points_x100"`
	} `json:"quote"`
	// Of a refund.
	All      bool            `json:"all"`
	Money    loyalty.Kopecks `json:"money_kopecks"`
	Clawed   loyalty.Points  `json:"clawed_points_x100"`
	Returned loyalty.Points  `json:"returned_points_x100"`
}

// refusal is an answer that the same call will get again.
type refusal struct {
	Status int
	Code   string          `json:"code"`
	Detail string          `json:"detail"`
	Errors json.RawMessage `json:"errors"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%d %s %s %s", r.Status, r.Code, r.Detail, r.Errors)
}

// once calls; the error is a *refusal where the station has answered, and anything else where nobody knows what became
// of the call. A refusal of 500 and above decides nothing either.
func (r *register) once(ctx context.Context, method, path string, body, answer any) ([]byte, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		refused := &refusal{Status: res.StatusCode}
		_ = json.Unmarshal(raw, refused) // the status is enough
		return nil, refused
	}
	if answer == nil {
		return raw, nil
	}
	return raw, json.Unmarshal(raw, answer)
}

// call repeats a call until the station has decided, as a register does after any failure.
func (r *register) call(ctx context.Context, method, path string, body, answer any) ([]byte, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		raw, err := r.once(ctx, method, path, body, answer)
		var refused *refusal
		if err == nil || errors.As(err, &refused) && refused.Status < 500 {
			return raw, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

func salePath(id loyalty.SaleID, action string) string {
	return "/v1/sales/" + url.PathEscape(string(id)) + action
}

// body is the body of a call about a sale of fuel.
func saleCall(card loyalty.CardNumber, ml int64, redeem loyalty.Points) map[string]any {
	b := map[string]any{
		"receipt": map[string]any{"tender": "cash", "lines": []map[string]any{
			{"kind": "fuel", "code": "АИ-95", "volume_ml": ml, "amount_kopecks": ml * 66 / 10},
		}},
		"redeem_points_x100": int64(redeem),
	}
	if card != "" {
		b["card"] = string(card)
	}
	return b
}

// linkStatus is how a station stands to headquarters.
type linkStatus struct {
	HQ struct {
		Online  bool   `json:"online"`
		Backlog uint64 `json:"backlog_entries"`
	} `json:"hq"`
	Programme *struct {
		Version uint32 `json:"version"`
	} `json:"programme"`
}

func (r *register) status(ctx context.Context) (s linkStatus, err error) {
	_, err = r.once(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}
