package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
)

// counterName is the one counter of each station.
const counterName = "1"

// station is an agent with its folder, its scanner and the register beside it.
type station struct {
	number   int
	settings config.Agent
	folder   string
	gun      *gun // nil: cards are typed in
	register *register
	log      *slog.Logger
	heard    func(*station, event) // every event of the API
	describe func(scanned) string

	scans chan scanned // what the scanner's customers turned out to be

	news sync.Mutex      // held while something is told
	told map[string]bool // steps of sales
	link bool            // headquarters is in reach, as was told

	open *sale // what was opened by hand and not closed yet; of the goroutine that plays

	mu      sync.Mutex
	running *agent.Running // nil: not running
	heeded  *agent.Running // whose events are followed
	end     context.CancelFunc
	changed chan struct{} // closed when running changes
}

// scanned is the event of a scan.
type scanned struct {
	Outcome    string   `json:"outcome"`
	CardMasked string   `json:"card_masked"`
	Customer   *holder  `json:"customer"`
	Refusal    *refusal `json:"refusal"`
	Reason     string   `json:"reason"`
}

// newStation writes the station's folder: its configuration, its token, its scanner.
func newStation(ctx context.Context, number int, folder, broker, formsKey string, n *network, log *slog.Logger) (*station, error) {
	s := &station{
		number: number, folder: folder, heard: n.heard, describe: n.scanText, log: log.With("station", number),
		scans: make(chan scanned, 16), changed: make(chan struct{}), told: map[string]bool{},
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of station %d: %w", number, err)
	}
	token := rand.Text()
	if err := os.WriteFile(s.path("api.token"), []byte(token+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write the token of station %d: %w", number, err)
	}
	var err error
	if s.gun, err = openGun(s.path("scanner")); err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	if s.settings, err = s.configure(address, broker, formsKey); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.register = newRegister(address, token)
	return s, nil
}

func (s *station) path(name string) string { return filepath.Join(s.folder, name) }

// close unplugs the scanner.
func (s *station) close() error {
	if s.gun == nil {
		return nil
	}
	return s.gun.unplug()
}

// freeAddress finds a port on loopback. The agent comes back to the same one when it is started again.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// configure writes the configuration as a technician would, and reads it back as the daemon does.
func (s *station) configure(address, broker, formsKey string) (config.Agent, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "station: {number: %d, name: %q}\n", s.number, fmt.Sprintf("АЗС %d", s.number))
	fmt.Fprintf(&b, "ledger: {path: %q}\n", s.path("ledger.db"))
	fmt.Fprintf(&b, "cards: {ranges: [{prefix: \"7005\", length: 16, check: luhn}], forms_key: %s}\n", formsKey)
	if s.gun != nil {
		// Commands are typed faster than a cashier scans: the same card twice at once is meant.
		fmt.Fprintf(&b, "scanners: [{name: scanner, counter: %q, port: %q, dedupe_ms: 0}]\n", counterName, s.gun.link)
	}
	fmt.Fprintf(&b, "api: {listen: %q, token_file: %q}\n", address, s.path("api.token"))
	fmt.Fprintf(&b, "hq: {brokers: [%q]}\n", broker)
	fmt.Fprintf(&b, "metrics: {listen: \"\"}\n")
	file := s.path("config.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return config.Agent{}, fmt.Errorf("write the configuration of station %d: %w", s.number, err)
	}
	return config.LoadAgent(file, nil)
}

// Run runs the agent, starts it anew whenever it was ended by restart, and follows its events, until ctx is done.
func (s *station) Run(ctx context.Context) error {
	var following sync.WaitGroup
	following.Go(func() { s.follow(ctx) })
	defer following.Wait()
	for {
		life, end := context.WithCancel(ctx)
		s.mu.Lock()
		s.end = end
		s.mu.Unlock()
		err := agent.New(agent.Config{
			Settings: s.settings, Version: "demo", Log: s.log, Eager: true, Ready: s.set,
		}).Run(life)
		end()
		s.set(nil)
		if err != nil {
			return fmt.Errorf("station %d: %w", s.number, err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (s *station) set(r *agent.Running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = r
	close(s.changed)
	s.changed = make(chan struct{})
}

// agent waits until the agent answers.
func (s *station) agent(ctx context.Context) (*agent.Running, error) {
	for {
		s.mu.Lock()
		r, changed := s.running, s.changed
		s.mu.Unlock()
		if r != nil {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("station %d does not answer: %w", s.number, ctx.Err())
		}
	}
}

// restart ends the agent in order and returns when the next one, over the same folder, answers.
func (s *station) restart(ctx context.Context) error {
	s.mu.Lock()
	end, changed := s.end, s.changed
	s.mu.Unlock()
	end()
	select {
	case <-changed:
	case <-ctx.Done():
		return fmt.Errorf("station %d does not end: %w", s.number, ctx.Err())
	}
	_, err := s.attentive(ctx)
	return err
}

// page is the address of the cashier's page, with a code behind the # that signs in once.
func (s *station) page(ctx context.Context) (string, error) {
	r, err := s.agent(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/#code=%s", s.register.base, r.SignIn()), nil
}

// follow hands on the station's events until ctx is done, and goes on where it was after every restart.
func (s *station) follow(ctx context.Context) {
	last := ""
	for ctx.Err() == nil {
		r, err := s.agent(ctx)
		if err != nil {
			return
		}
		err = s.register.follow(ctx, &last, func() { s.heed(r) }, s.hear)
		if ctx.Err() == nil {
			s.log.Debug("events broke off", "err", err)
			again := time.NewTimer(10 * time.Millisecond)
			select {
			case <-again.C:
			case <-ctx.Done():
				again.Stop()
			}
		}
	}
}

func (s *station) heed(r *agent.Running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heeded = r
}

// attentive waits until the agent answers, its events are followed and its scanner is open: a card shown before that is
// seen by nobody.
func (s *station) attentive(ctx context.Context) (*agent.Running, error) {
	r, err := s.agent(ctx)
	if err != nil {
		return nil, err
	}
	err = await(ctx, fmt.Sprintf("station %d is attentive", s.number), func() (bool, error) {
		s.mu.Lock()
		followed := s.heeded == r
		s.mu.Unlock()
		for _, c := range r.Status().Scanners {
			followed = followed && (c.Connected || !s.gun.plugged())
		}
		return followed, nil
	})
	return r, err
}

func (s *station) hear(e event) {
	s.heard(s, e)
	if e.name == "scan" {
		var x scanned
		if json.Unmarshal(e.data, &x) == nil {
			select {
			case s.scans <- x:
			default: // nobody waits for it
			}
		}
	}
}

// once tells of a step of a sale, unless it was told already: a repeated call is answered, and nothing has happened.
func (s *station) once(step string, tell func()) {
	s.news.Lock()
	defer s.news.Unlock()
	if !s.told[step] {
		tell()
		s.told[step] = true
	}
}

// turned tells that headquarters has come into reach or out of it, unless it was told already.
func (s *station) turned(online bool, tell func()) {
	s.news.Lock()
	defer s.news.Unlock()
	if s.link != online {
		tell()
		s.link = online
	}
}

// heeds waits until a step of a sale has been told.
func (s *station) heeds(ctx context.Context, a *sale) error {
	return await(ctx, fmt.Sprintf("station %d tells that sale %s is %s", s.number, a.ID, a.State), func() (bool, error) {
		s.news.Lock()
		defer s.news.Unlock()
		return s.told[a.step()], nil
	})
}

// linked tells whether it was told that headquarters is in reach.
func (s *station) linked() bool {
	s.news.Lock()
	defer s.news.Unlock()
	return s.link
}

// scan presents a card and returns what the station shows the cashier: the first thing that will do, as headquarters'
// word may come after the station's own. Where there is no scanner the number is typed in.
func (s *station) scan(ctx context.Context, card loyalty.CardNumber, will func(scanned) bool) (scanned, error) {
	if s.gun == nil {
		return s.typed(ctx, card)
	}
	for len(s.scans) > 0 {
		<-s.scans
	}
	if err := s.gun.scan(card); err != nil {
		return scanned{}, err
	}
	shown := "nothing"
	for {
		select {
		case x := <-s.scans:
			if x.CardMasked == card.String() && will(x) {
				return x, nil
			}
			shown = s.describe(x)
		case <-ctx.Done():
			return scanned{}, fmt.Errorf("station %d has shown %s: %w", s.number, shown, ctx.Err())
		}
	}
}

func (s *station) typed(ctx context.Context, card loyalty.CardNumber) (scanned, error) {
	h, err := s.register.identify(ctx, card)
	if p := refusedAs(err); p != nil {
		return scanned{Outcome: "refused", CardMasked: card.String(), Refusal: &refusal{p.Code, p.Message}}, nil
	}
	return scanned{Outcome: "customer", CardMasked: card.String(), Customer: &h}, err
}
