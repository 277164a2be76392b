package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
)

func newRunCmd() *cobra.Command {
	var signIn bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent until it is told to stop",
		Long: `Runs the agent in the foreground, as the service manager does: scanners, ledger, API and
the cashier's page, the way to headquarters. It stops in order on Ctrl-C or SIGTERM: calls
finish, the ledger is closed. What was answered OK is on the disk at any moment, also when it is
killed.

Exit status: 0 stopped in order, 78 the configuration is wrong, or a file that it names (a service
manager must not restart it), 1 anything else.`,
		Example: `  azs-agent run
  azs-agent run --config ./station7.yaml --sign-in`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return runAgent(cmd.Context(), c, signIn, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&signIn, "sign-in", false, "print a link that opens the cashier's page signed in, once, within five minutes")
	return cmd
}

func runAgent(ctx context.Context, c config.Agent, signIn bool, stderr io.Writer) error {
	log := newLogger(stderr, c.Log)
	var ready atomic.Pointer[agent.Running]
	a := agent.New(agent.Config{
		Settings: c, Version: buildVersion().Version, Log: log,
		Ready: func(r *agent.Running) {
			ready.Store(r)
			tell(log, notifyReady)
			if signIn {
				_, _ = fmt.Fprintf(stderr, "cashier's page: http://%s/#code=%s\n", c.API.Listen, r.SignIn())
			}
		},
	})
	run := func(ctx context.Context) error {
		// The watchdog is fed until the agent has stopped, not only until it is told to.
		fed, stop := context.WithCancel(context.WithoutCancel(ctx))
		var feeding sync.WaitGroup
		feeding.Go(func() { watchdog(fed, log, &ready) })
		defer feeding.Wait()
		defer stop()
		defer context.AfterFunc(ctx, func() { tell(log, notifyStopping) })()
		return a.Run(ctx)
	}
	var err error
	if runtime.GOOS == "windows" && !service.Interactive() {
		err = runService(run)
	} else {
		err = run(ctx)
	}
	switch {
	case errors.Is(err, agent.ErrSettings):
		return withStatus(exitConfig, withHint(err, settingsHint(c, err)))
	case errors.Is(err, ledger.ErrInUse):
		return withHint(err, "stop the other agent first: azs-agent service stop")
	case errors.Is(err, os.ErrPermission):
		return withHint(err, "run it as the user azs-agent: azs-agent service start")
	}
	return err
}

// settingsHint says what to do about a file that the configuration names.
func settingsHint(c config.Agent, err error) string {
	again := "then `azs-agent service start`"
	if errors.Is(err, loyalty.ErrProgramme) {
		return fmt.Sprintf("`azs-agent programme check %s` shows every problem with its line; mend them, %s", c.Programme.File, again)
	}
	return "`sudo azs-agent doctor` names the command that mends it; run that, " + again
}

// watchdog tells the service manager that the agent is alive for as long as its ledger answers: a process that hangs on
// its disk is to be started anew.
func watchdog(ctx context.Context, log *slog.Logger, ready *atomic.Pointer[agent.Running]) {
	every := watchdogInterval()
	if every == 0 {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if r := ready.Load(); r != nil {
			if _, err := r.Ledger.Status(); err != nil {
				log.Error("the ledger does not answer", "err", err)
				continue
			}
		}
		tell(log, notifyWatchdog)
	}
}

func tell(log *slog.Logger, state string) {
	if err := notify(state); err != nil {
		log.Warn("the service manager was not told", "state", state, "err", err)
	}
}

// program lets the service manager of Windows, which calls back instead of sending signals, run the agent.
type program struct {
	run    func(context.Context) error
	cancel context.CancelFunc
	done   chan error
}

// Start begins and returns at once, as the service manager demands.
func (p *program) Start(service.Service) error {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan error, 1)
	go func() {
		err := p.run(ctx)
		p.done <- err
		if err != nil {
			// The manager restarts a service that ends with a failure, not one that says it has stopped.
			os.Exit(exitStatus(err))
		}
	}()
	return nil
}

// stopTime is how long an orderly stop may take before the process is ended: nothing answered OK is lost by that.
const stopTime = 15 * time.Second

// Stop ends in order.
func (p *program) Stop(service.Service) error {
	p.cancel()
	select {
	case err := <-p.done:
		return err
	case <-time.After(stopTime):
		return fmt.Errorf("the agent did not stop within %s", stopTime)
	}
}

func runService(run func(context.Context) error) error {
	s, err := service.New(&program{run: run}, &service.Config{Name: serviceName})
	if err != nil {
		return fmt.Errorf("register with the service manager: %w", err)
	}
	return s.Run()
}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration has been validated
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
