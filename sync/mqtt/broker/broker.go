// Package broker is an MQTT broker in this process (mochi-mqtt), for tests and the demo. Its faults can be switched on and
// off while it runs: it loses, delays, repeats and refuses messages on demand, and cuts connections.
//
// It promises raised limits (65,535 messages under way per client), a bounded packet size, and that Close ends. It keeps
// nothing on the disk, checks no certificate of clients, and is not for the field.
package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/azs-edge/azs-edge/sync/wire"
)

// Config of a broker; the zero value listens on a free port of the loopback interface.
type Config struct {
	// Listen is the TCP address. Default: 127.0.0.1:0.
	Listen string
	// TLS, if given, is what the listener speaks. Default: plain TCP.
	TLS *tls.Config
	// Log gets what mochi says. Default: nothing is logged.
	Log *slog.Logger
}

// Packet is a message that a client has published.
type Packet struct {
	Client  string // its client id
	Topic   string
	Payload []byte
}

// Fate is what becomes of a message; the zero value is delivered, once, at once.
type Fate struct {
	Lose   bool          // the publisher gets its PUBACK, nobody gets the message
	Refuse bool          // nobody gets the message and the publisher no PUBACK
	Cut    bool          // the publisher's connection ends, before anything else is done
	Delay  time.Duration // the message waits; later ones overtake it
	Copies int           // delivered this many times more
}

// Visitor is who asks to connect.
type Visitor struct {
	Client, Username, Password string
}

// Broker is a running broker. Its methods are safe for concurrent use.
type Broker struct {
	server *mochi.Server
	addr   net.Addr
	scheme string

	fate  atomic.Pointer[func(Packet) Fate]
	admit atomic.Pointer[func(Visitor) bool]

	mu      sync.Mutex
	closed  bool
	late    map[*time.Timer]struct{}
	serving chan struct{}
}

// closeTimeout bounds Close: mochi waits for every client's goroutine.
const closeTimeout = 5 * time.Second

// Open starts a broker.
func Open(cfg Config) (*Broker, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", cmp.Or(cfg.Listen, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	b := &Broker{addr: ln.Addr(), scheme: "tcp", late: make(map[*time.Timer]struct{}), serving: make(chan struct{})}
	if cfg.TLS != nil {
		ln, b.scheme = tls.NewListener(ln, cfg.TLS), "tls"
	}
	log := cmp.Or(cfg.Log, slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.Level(math.MaxInt)})))
	limits := mochi.NewDefaultServerCapabilities()
	limits.MaximumClientWritesPending = 1 << 16
	limits.MaximumInflight = math.MaxUint16
	limits.ReceiveMaximum = math.MaxUint16
	limits.MaximumPacketSize = wire.MaxMessage + 1024
	b.server = mochi.New(&mochi.Options{
		Capabilities: limits, Logger: log, InlineClient: true,
		ClientNetReadBufferSize: 16 << 10, ClientNetWriteBufferSize: 16 << 10,
		SysTopicResendInterval: 3600,
	})
	err = b.server.AddHook(&hook{broker: b}, nil)
	if err == nil {
		err = b.server.AddListener(listeners.NewNet("tcp", ln))
	}
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("start broker: %w", err)
	}
	go func() {
		defer close(b.serving)
		_ = b.server.Serve() // returns at once; its errors are of stores, and there is none
	}()
	<-b.serving
	return b, nil
}

// Addr is where it listens: host:port.
func (b *Broker) Addr() string { return b.addr.String() }

// URL is where it listens, as a Dialer wants it.
func (b *Broker) URL() string { return b.scheme + "://" + b.Addr() }

// SetFaults decides about every message from now on; nil delivers all. The function is called by many at once.
func (b *Broker) SetFaults(f func(Packet) Fate) {
	if f == nil {
		b.fate.Store(nil)
		return
	}
	b.fate.Store(&f)
}

// SetAdmission decides who may connect from now on; nil lets all in.
func (b *Broker) SetAdmission(f func(Visitor) bool) {
	if f == nil {
		b.admit.Store(nil)
		return
	}
	b.admit.Store(&f)
}

// Cut ends the connection of a client as a broken line does: its will is published. It tells whether there was one.
func (b *Broker) Cut(client string) bool {
	c, ok := b.server.Clients.Get(client)
	if ok {
		c.Stop(errCut)
	}
	return ok
}

var errCut = errors.New("cut")

// Clients lists the client ids connected now.
func (b *Broker) Clients() (ids []string) {
	for _, c := range b.server.Clients.GetAll() {
		if !c.Net.Inline && !c.Closed() {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Close cuts all clients and stops. It waits at most five seconds for mochi to end.
func (b *Broker) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	for t := range b.late {
		t.Stop()
	}
	b.mu.Unlock()
	// Closing the server with clients connected deadlocks when one of them is being written to.
	for _, c := range b.server.Clients.GetAll() {
		if !c.Net.Inline {
			c.Stop(packets.ErrServerShuttingDown)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.server.Close()
	}()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("broker at %s did not stop within %s", b.Addr(), closeTimeout)
	}
}

// later publishes after a delay, unless the broker has been closed by then.
func (b *Broker) later(d time.Duration, pk packets.Packet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		b.mu.Lock()
		delete(b.late, t)
		closed := b.closed
		b.mu.Unlock()
		if !closed {
			_ = b.server.Publish(pk.TopicName, pk.Payload, pk.FixedHeader.Retain, pk.FixedHeader.Qos)
		}
	})
	b.late[t] = struct{}{}
}
