package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/mqtt"
	"github.com/azs-edge/azs-edge/sync/wire"
)

func newRunCmd() *cobra.Command {
	var brokers []string
	var shards, metrics, enrol string
	var restored bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Receive the stations' journals until told to stop",
		Long: `Takes in what the stations send, applies it, and acknowledges it after it is on the disk;
answers their questions; tells them what changes. It may be killed at any moment: the stations
send again whatever was not acknowledged.

After an older copy of the store was put back, rights to redeem wait until the stations have come
back. Headquarters notice that by the file STORE.mark beside the store, and by what stations show.
If the mark was put back as well, start once with --restored.

Everything has a key in the configuration file; the flags are for a first try. Metrics for
Prometheus are at /metrics and the health at /healthz of --metrics (default 127.0.0.1:9714).`,
		Example: `  azs-hq run
  azs-hq run --store ./hq.db --broker tcp://127.0.0.1:1883 --enrol auto`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if enrol != "auto" && enrol != "list" {
				return withHint(fmt.Errorf("--enrol %q", enrol), "list takes the stations that were added (`azs-hq stations add`), auto takes every station that says hello")
			}
			var extra []string
			for name, value := range map[string]string{
				"AZSHQ_BROKERS": strings.Join(brokers, ","), "AZSHQ_SHARDS": shards, "AZSHQ_METRICS_LISTEN": metrics,
			} {
				if value != "" {
					extra = append(extra, name+"="+value)
				}
			}
			c, err := loadSettings(cmd, extra...)
			if err != nil {
				return err
			}
			return runHQ(cmd.Context(), c, runMode{autoEnrol: enrol == "auto", restored: restored}, newLogger(cmd, c.Log))
		},
	}
	cmd.Flags().StringSliceVar(&brokers, "broker", nil, "`address` of a broker, as tls://host:8883; may be given several times")
	cmd.Flags().StringVar(&shards, "shards", "", "`shards` to serve, as 0-31; default all")
	cmd.Flags().StringVar(&metrics, "metrics", "", "loopback `address` of /metrics and /healthz")
	cmd.Flags().StringVar(&enrol, "enrol", "list", "which stations may speak: `list` or auto")
	cmd.Flags().BoolVar(&restored, "restored", false, "the store was put back to an older copy: issue no rights before the stations have come back")
	return cmd
}

func newLogger(cmd *cobra.Command, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), opt))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), opt))
}

// clientID names the process to the broker: two that serve the same shards end each other, which is right.
func clientID(s config.Shards) string { return fmt.Sprintf("azs-hq-%016x", uint64(s)) }

// filters are what the shards' stations publish to.
func filters(s config.Shards) (out []string) {
	if s == config.AllShards {
		return wire.HQFilters(0, wire.Shards-1)
	}
	for n := range wire.Shards {
		if s.Has(n) {
			out = append(out, wire.HQFilters(n, n)...)
		}
	}
	return out
}

// runMode is what only the command line says.
type runMode struct {
	autoEnrol bool // stations are enrolled by their first hello
	restored  bool // the store was put back to an older copy
}

func runHQ(ctx context.Context, c config.HQ, mode runMode, log *slog.Logger) (err error) {
	dialer, err := mqtt.NewDialer(mqtt.Config{
		Brokers: c.Brokers, ClientID: clientID(c.Shards), Subscribe: filters(c.Shards), Username: c.Username, PasswordFile: c.PasswordFile,
		TLS:       mqtt.TLS{CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile},
		KeepAlive: c.KeepAlive, Buffer: 4096, Log: log,
	})
	if err != nil {
		return err
	}
	token, err := ensureToken(c.HTTP.TokenFile, rand.Text)
	if err != nil {
		return err
	}
	store, err := embedded.Open(embedded.Config{Path: c.Store.Path})
	if err != nil {
		if errors.Is(err, embedded.ErrInUse) {
			return withHint(err, "another azs-hq runs on it, or a command is just at work; stop it, or name another file with --store")
		}
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	books := hq.NewBooks(hq.BooksConfig{Store: store, AutoEnrol: mode.autoEnrol})
	if mode.restored {
		if err := books.Distrust(ctx); err != nil {
			return err
		}
	}
	if err := firstProgramme(ctx, books, c.Programme.File, log); err != nil {
		return err
	}
	metrics := hq.NewMetrics()
	metrics.Watch(store)
	receiver := hq.NewReceiver(hq.Config{Books: books, Dialer: dialer, Log: log, Metrics: metrics})
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return receiver.Run(ctx) })
	work.Go(func() error { return catchUp(ctx, books, store, log) })
	work.Go(func() error { return serve(ctx, c.HTTP.Listen, newAdmin(store, books, token, log)) })
	if daily := newDaily(c, store, books, metrics, log); daily != nil {
		work.Go(func() error { return daily.Run(ctx) })
	}
	if c.Metrics.Listen != "" {
		work.Go(func() error { return serve(ctx, c.Metrics.Listen, watch(receiver, books, metrics)) })
	}
	log.Info("headquarters run", "store", c.Store.Path, "api", c.HTTP.Listen, "metrics", c.Metrics.Listen, "shards", c.Shards.String(), "version", buildVersion().Version)
	err = work.Wait()
	log.Info("headquarters have stopped")
	return err
}

// newDaily is the scheduled work, or nil if the configuration wants none.
func newDaily(c config.HQ, store *embedded.Store, books *hq.Books, m *hq.Metrics, log *slog.Logger) *hq.Daily {
	at, err := time.Parse("15:04", c.Accounts.AdvanceAt)
	if err != nil { // the configuration has been checked: it is empty
		return nil
	}
	return hq.NewDaily(hq.DailyConfig{
		Books: books, Catalogue: store, At: time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute,
		File: c.Store.Path + ".advanced", Log: log, Metrics: hq.NewDailyMetrics(m.Registry),
	})
}

// catchUp applies what waited for cards that are there: headquarters may have been stopped between the two.
func catchUp(ctx context.Context, books *hq.Books, c hq.Catalogue, log *slog.Logger) error {
	applied, err := books.CatchUp(ctx, c)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, hq.ErrBroken):
		return err
	case err != nil: // an operator's retry finds it again
		log.Error("entries that waited for cards were not all tried", "error", err)
	case applied > 0:
		log.Info("entries that waited for cards were applied", "entries", applied)
	}
	return nil
}

// firstProgramme publishes the configured programme if it is newer than the one in force.
func firstProgramme(ctx context.Context, books *hq.Books, file string, log *slog.Logger) error {
	if file == "" {
		return nil
	}
	source, err := readProgramme(file)
	if err != nil {
		return err
	}
	p, err := books.Publish(ctx, source)
	switch {
	case errors.Is(err, hq.ErrOldProgramme):
		log.Info("the programme in force is newer than the configured file", "file", file)
	case err != nil:
		return err
	default:
		log.Info("programme in force", "name", p.Name, "version", p.Version)
	}
	return nil
}

// The bounds of a call. Answers are not bounded in time: a stream may be followed for days.
const (
	readTimeout = time.Minute
	idleTimeout = 2 * time.Minute
	goodbye     = 5 * time.Second
)

// serve serves until ctx is done, and then lets calls finish.
func serve(ctx context.Context, address string, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return withHint(err, "another program has the address; give --listen or --metrics another one")
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	err = s.Shutdown(bye)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close()
	}
	if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// Health is what /healthz answers, with status 503 if the store cannot be read.
type health struct {
	OK        bool `json:"ok"`
	Connected bool `json:"connected"` // to a broker
}

// watch is for those who watch: metrics and health.
func watch(r *hq.Receiver, books *hq.Books, m *hq.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, req *http.Request) {
		err := books.Store().View(req.Context(), func(tx hq.Tx) error {
			_, _, err := tx.Programme()
			return err
		})
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(health{OK: err == nil, Connected: r.Connected()}) // the caller has gone
	})
	return mux
}
