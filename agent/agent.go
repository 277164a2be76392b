package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// ErrSettings means that the agent cannot begin because of what the configuration says, or of a file that it names: the
// token, the first programme. Starting again does not help until somebody mends it.
var ErrSettings = errors.New("wrong settings")

// settingsError is an error of ErrSettings. Its message is that of its cause.
type settingsError struct{ error }

func (e settingsError) Unwrap() error        { return e.error }
func (e settingsError) Is(target error) bool { return target == ErrSettings }

// Config is what an agent is made of.
type Config struct {
	// Settings as the configuration file says; they must have passed their Validate.
	Settings config.Agent
	// Version of the program, told to HQ and to the page.
	Version string
	// Log takes what a technician should know. Default: nothing is logged.
	Log *slog.Logger

	// Dialer carries messages to HQ. Default: MQTT by the settings, or no HQ at all where they name no broker.
	Dialer wire.Dialer
	// Listener serves the API; it is closed when Run returns. Default: the settings' address.
	Listener net.Listener
	// Programme is the file of the first programme. Default: the settings' file; one from HQ goes before it.
	Programme []byte
	// Eager makes the first connection to HQ at once instead of within half a second: for tests and the demo, where no
	// fleet starts at the same moment.
	Eager bool
	// Ready is called once, when the agent answers. Default: nothing.
	Ready func(*Running)
}

// Running is the handle on an agent that answers. It is valid until Run returns.
type Running struct {
	Desk   *Desk
	Hub    *api.Hub
	Ledger *ledger.Ledger
	Status func() api.Status
	// SignIn makes the code that signs the cashier's page in, once, within five minutes.
	SignIn func() string
}

// Agent is one station. Make it with New; it lives as long as Run.
type Agent struct {
	cfg Config
	log *slog.Logger
}

// New returns an agent that is not running yet.
func New(cfg Config) *Agent {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{cfg: cfg, log: cfg.Log}
}

// Run opens the ledger and serves until ctx is done, then ends in order: calls finish, sessions close, the ledger is
// closed. It returns nil for an orderly end, and otherwise the first error of a part, after all others have ended; one of
// [ErrSettings] where it could not even begin.
func (a *Agent) Run(ctx context.Context) (err error) {
	s := a.cfg.Settings
	l, err := a.openLedger(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()

	hub := api.NewHub()
	h := &health{
		station: loyalty.StationID(s.Station.Number), name: s.Station.Name, version: a.cfg.Version, started: time.Now(),
		ledger: l, hub: hub, cards: len(s.Cards.Ranges) > 0,
	}
	if h.link, err = newLink(&a.cfg, l, h.state); err != nil {
		return settingsError{err}
	}
	desk := newDesk(l, h.link, a.log)
	desk.patience, desk.cards = s.HQ.AskDeadline, CardConfig(s.Cards, config.Scanner{})
	if desk.forms, err = FormsKey(s.Cards); err != nil {
		return settingsError{err}
	}
	h.desk = desk
	for _, c := range s.Scanners {
		k, err := newCounter(c, s.Cards, desk, hub, a.log)
		if err != nil {
			return settingsError{err}
		}
		h.counters = append(h.counters, k)
	}
	server, err := a.server(desk, h, hub)
	if err != nil {
		return err
	}
	metrics, err := listenMetrics(ctx, s.Metrics.Listen)
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.link.Run(ctx) })
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error { return desk.returnSurplus(ctx) })
	g.Go(func() error { return h.watch(ctx) })
	if metrics != nil {
		g.Go(func() error { return h.serve(ctx, metrics) })
	}
	for _, k := range h.counters {
		g.Go(func() error { return k.scanner.Run(ctx) })
		g.Go(func() error { return k.handle(ctx) })
	}
	if a.cfg.Ready != nil {
		a.cfg.Ready(&Running{
			Desk: desk, Hub: hub, Ledger: l, SignIn: server.SignInCode,
			Status: func() api.Status { return h.Status(ctx) },
		})
	}
	return g.Wait()
}

func (a *Agent) openLedger(ctx context.Context) (*ledger.Ledger, error) {
	s := a.cfg.Settings
	l, err := ledger.Open(ctx, ledger.Config{
		Path: s.Ledger.Path, WitnessPath: s.Ledger.Witness, Station: loyalty.StationID(s.Station.Number),
		Version: a.cfg.Version, Log: a.log, MaxSize: int64(s.Ledger.MaxSize), Retain: s.Ledger.Retain,
	})
	if err != nil {
		return nil, err
	}
	src := a.cfg.Programme
	if src == nil && s.Programme.File != "" {
		if src, err = os.ReadFile(s.Programme.File); err != nil {
			return nil, errors.Join(settingsError{fmt.Errorf("read the first programme: %w", err)}, l.Close())
		}
	}
	if src != nil {
		err := l.LoadProgramme(ctx, src)
		if errors.Is(err, loyalty.ErrProgramme) && s.Programme.File != "" {
			err = settingsError{fmt.Errorf("%s: %w", s.Programme.File, err)}
		}
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

func (a *Agent) server(desk *Desk, h *health, hub *api.Hub) (*api.Server, error) {
	s := a.cfg.Settings
	token, err := config.ReadSecret(s.API.TokenFile)
	if err != nil {
		return nil, settingsError{fmt.Errorf("read the API's token: %w", err)}
	}
	server, err := api.New(api.Config{
		Listener: a.cfg.Listener, Address: s.API.Listen, Desk: desk, Monitor: h, Hub: hub,
		Token: []byte(token), Origins: s.API.AllowedOrigins, Zone: s.Station.Zone.Location(), Log: a.log,
	})
	if err != nil {
		return nil, settingsError{err}
	}
	return server, nil
}
