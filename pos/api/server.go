package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/pos/screen"
)

const (
	maxConns     = 128
	headerTime   = 5 * time.Second
	idleTime     = 2 * time.Minute
	shutdownTime = 10 * time.Second
	maxHeader    = 16 << 10
)

// Config of a [Server].
type Config struct {
	// Listener to serve; it is closed when Run returns. nil: Run listens on Address.
	Listener net.Listener
	// Address to listen on without a Listener, as 127.0.0.1:8713.
	Address string

	Desk    Desk    // required
	Monitor Monitor // required
	Hub     *Hub    // where events are published; required

	// Token that callers show, at least MinToken bytes; its caller reads it from a file. Required.
	Token []byte
	// Hosts are the names, without port, by which the server may be called besides 127.0.0.1, ::1 and localhost.
	Hosts []string
	// Origins of foreign pages whose scripts may call with the token, as https://pos.example.
	Origins []string

	Zone  *time.Location // of receipts and answers; nil: UTC
	Fuels []string       // grades offered by the page's own form; nil: АИ-92, АИ-95, АИ-100, ДТ
	Log   *slog.Logger   // nil: nothing is logged
}

// Server serves the API and the cashier's page.
type Server struct {
	desk    Desk
	monitor Monitor
	hub     *Hub
	keys    *keys
	zone    *time.Location
	fuels   []string
	log     *slog.Logger

	listener net.Listener
	address  string
	guard    *guard
	stream   *stream
	stop     chan struct{} // closed when Run ends: it ends the streams
	stopOnce sync.Once
}

// New makes a server. It returns [ErrToken] for a token that is too short, and an error for an origin that is not one.
func New(c Config) (*Server, error) {
	if c.Desk == nil || c.Monitor == nil || c.Hub == nil {
		return nil, errors.New("API server: desk, monitor and hub are required")
	}
	k, err := newKeys(c.Token)
	if err != nil {
		return nil, err
	}
	for _, o := range c.Origins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != o {
			return nil, fmt.Errorf("API server: allowed origin %.100q is not of the form https://host or https://host:port", o)
		}
	}
	s := &Server{
		desk: c.Desk, monitor: c.Monitor, hub: c.Hub, keys: k, zone: c.Zone, fuels: c.Fuels, log: c.Log,
		listener: c.Listener, address: c.Address, stop: make(chan struct{}),
	}
	if s.zone == nil {
		s.zone = time.UTC
	}
	if s.fuels == nil {
		s.fuels = []string{"АИ-92", "АИ-95", "АИ-100", "ДТ"}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.stream = &stream{hub: c.Hub, stop: s.stop}
	mux := http.NewServeMux()
	doc, err := s.mount(mux)
	if err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		_, _ = w.Write(doc) // the caller has gone; there is nobody to tell
	})
	s.guard = &guard{
		next: mux, keys: k, hosts: append([]string{"127.0.0.1", "::1", "localhost"}, c.Hosts...), origins: c.Origins,
		slots: make(chan struct{}, maxCalls), log: s.log,
	}
	return s, nil
}

// mount puts page and calls on the mux and returns the OpenAPI document.
func (s *Server) mount(mux *http.ServeMux) ([]byte, error) {
	page := screen.Handler()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /screen/", page)
	doc, err := json.MarshalIndent(s.routes(mux).OpenAPI(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write OpenAPI document: %w", err)
	}
	return append(doc, '\n'), nil
}

// Handler is what Run serves: everything, guarded.
func (s *Server) Handler() http.Handler { return s.guard }

// SignInCode makes the code that signs the cashier's page in, once, within five minutes; it replaces the one before. In
// a link it belongs behind the #, which browsers keep to themselves: http://127.0.0.1:8713/#code=K7PMQ2XA.
func (s *Server) SignInCode() string {
	code, _ := s.keys.mint(time.Now())
	return code
}

// Run serves until the context ends, then lets calls finish for ten seconds, and returns when all of it has ended. It
// returns nil for an orderly stop. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	l := s.listener
	if l == nil {
		var err error
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.address); err != nil {
			return fmt.Errorf("listen for the API: %w (is another program on %s? azs-agent doctor tells)", err, s.address)
		}
	}
	srv := &http.Server{
		Handler: s.guard, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(limit(l, maxConns)) }()
	s.log.Info("API is served", "address", l.Addr().String())
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	s.stopOnce.Do(func() { close(s.stop) })
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close() // calls that did not end in time are cancelled; their callers repeat them
	}
	s.guard.calls.Wait()
	if err == nil {
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = fmt.Errorf("serve the API: %w", end)
		}
	}
	return err
}
