package mqtt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/azs-edge/azs-edge/sync/wire"
)

// Config says where the brokers are and who we are to them. Brokers, ClientID and Subscribe are required.
type Config struct {
	// Brokers are tried in turn: tcp://host:1883 or tls://host:8883 (mqtt:// and mqtts:// mean the same).
	Brokers []string
	// ClientID is fixed: a broker that still holds the half-dead connection before this one then ends that one.
	ClientID string
	// Subscribe lists the topic filters; see wire.StationFilters and wire.HQFilters.
	Subscribe []string

	// Username for the broker. Default: none.
	Username string
	// PasswordFile holds the password; it is read at every connection, so that it can be changed in place. Default: none.
	PasswordFile string
	// TLS names the files; it is used for tls:// only.
	TLS TLS

	// KeepAlive is the longest silence before a ping, in whole seconds. Default: 20 s.
	KeepAlive time.Duration
	// PingTimeout is how long the answer to a ping may take. Default: 5 s.
	PingTimeout time.Duration
	// WriteTimeout bounds each write to the network and the wait for each PUBACK's turn. Default: 5 s.
	WriteTimeout time.Duration
	// ConnectTimeout bounds each step of connecting: TCP and TLS, CONNECT, SUBSCRIBE. Default: 10 s.
	ConnectTimeout time.Duration
	// PublishTimeout bounds the wait for the broker's PUBACK. Default: 15 s.
	PublishTimeout time.Duration
	// Buffer is how many received messages may wait for the reader before the network has to. Default: 128.
	Buffer int
	// Log gets connections and what ended them. Default: slog.Default().
	Log *slog.Logger
}

// ErrConfig means that the configuration cannot work, whatever the network does.
var ErrConfig = errors.New("MQTT configuration")

// Dialer opens sessions. It is safe for concurrent use, but two sessions of one client id end each other.
type Dialer struct {
	cfg     Config
	brokers []*url.URL

	mu   sync.Mutex
	next int // where the next Dial begins: behind the broker that was used last
}

var _ wire.Dialer = (*Dialer)(nil)

// NewDialer checks the configuration; it does not connect. Errors are [ErrConfig].
func NewDialer(cfg Config) (*Dialer, error) {
	cfg.KeepAlive = cmp.Or(cfg.KeepAlive, 20*time.Second)
	cfg.PingTimeout = cmp.Or(cfg.PingTimeout, 5*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 5*time.Second)
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 10*time.Second)
	cfg.PublishTimeout = cmp.Or(cfg.PublishTimeout, 15*time.Second)
	cfg.Buffer = cmp.Or(cfg.Buffer, 128)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	d := &Dialer{cfg: cfg}
	switch {
	case len(cfg.Brokers) == 0:
		return nil, fmt.Errorf("%w: no broker address", ErrConfig)
	case cfg.ClientID == "" || len(cfg.ClientID) > 64:
		return nil, fmt.Errorf("%w: client id of %d bytes, want 1 to 64", ErrConfig, len(cfg.ClientID))
	case len(cfg.Subscribe) == 0:
		return nil, fmt.Errorf("%w: nothing to subscribe to", ErrConfig)
	case cfg.KeepAlive < time.Second || cfg.KeepAlive > 5*time.Minute:
		return nil, fmt.Errorf("%w: keep-alive of %s, want 1 s to 5 min", ErrConfig, cfg.KeepAlive)
	}
	for _, b := range cfg.Brokers {
		u, err := parseBroker(b)
		if err != nil {
			return nil, err
		}
		d.brokers = append(d.brokers, u)
	}
	if err := cfg.TLS.check(); err != nil {
		return nil, err
	}
	return d, nil
}

// parseBroker brings an address to tcp://host:port or tls://host:port.
func parseBroker(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%w: broker %q is not like tls://host:8883", ErrConfig, s)
	}
	port := "1883"
	switch u.Scheme {
	case "tcp", "mqtt":
		u.Scheme = "tcp"
	case "tls", "ssl", "mqtts":
		u.Scheme, port = "tls", "8883"
	default:
		return nil, fmt.Errorf("%w: broker %q: scheme %q is neither tls nor tcp", ErrConfig, s, u.Scheme)
	}
	return &url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))}, nil
}

// Dial tries each broker once, beginning behind the one used last: if headquarters cannot be reached through one, the
// next attempt goes through another. The error joins what each said.
func (d *Dialer) Dial(ctx context.Context, will wire.Message) (wire.Session, error) {
	d.mu.Lock()
	first := d.next
	d.mu.Unlock()
	var errs []error
	for i := range d.brokers {
		at := (first + i) % len(d.brokers)
		s, err := d.dial(ctx, d.brokers[at], will)
		if err == nil {
			d.mu.Lock()
			d.next = (at + 1) % len(d.brokers)
			d.mu.Unlock()
			d.cfg.Log.Info("connected to broker", "broker", d.brokers[at].Host)
			return s, nil
		}
		errs = append(errs, fmt.Errorf("broker %s: %w", d.brokers[at].Host, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (d *Dialer) dial(ctx context.Context, broker *url.URL, will wire.Message) (*session, error) {
	c, err := d.connect(ctx, broker)
	if err != nil {
		return nil, err
	}
	password, err := d.password()
	if err != nil {
		_ = c.Close() // nothing was sent on it
		return nil, err
	}
	s := newSession(d.cfg, c)
	s.client = paho.NewClient(d.options(broker, will, password, s))
	if err := s.start(ctx); err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

// options are all settings on which a session's life depends. Each line is here because another value loses messages or
// hangs.
func (d *Dialer) options(broker *url.URL, will wire.Message, password string, s *session) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker(broker.String())
	o.SetClientID(d.cfg.ClientID)
	o.SetUsername(d.cfg.Username)
	o.SetPassword(password)
	// 3.1.1 is what every broker speaks; set explicitly, Paho does not try 3.1 after a refusal.
	o.SetProtocolVersion(4)
	// The broker keeps nothing for us: what it would keep is bounded, and thrown away silently.
	o.SetCleanSession(true)
	// A client lives for one connection. Reconnecting, Paho would resend from its store behind the journal's back.
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	// The journal is the store. Paho's file store does not sync, and panics on a bad file.
	o.SetStore(noStore{})
	// Without it a peer that stops reading is never noticed: the ping waits behind the write. conn applies it to every
	// packet, Paho only to publishes.
	o.SetWriteTimeout(d.cfg.WriteTimeout)
	o.SetKeepAlive(d.cfg.KeepAlive)
	o.SetPingTimeout(d.cfg.PingTimeout)
	o.SetConnectTimeout(d.cfg.ConnectTimeout)
	// Messages are handed over in the order in which they came. The handler must then never publish: it would wait for
	// itself. Ours does nothing but hand off.
	o.SetOrderMatters(true)
	o.SetDefaultPublishHandler(s.receive)
	o.SetConnectionLostHandler(s.lost)
	// Our own connection: already open, bounded in packet size and in time.
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return s.conn, nil })
	if will.Topic != "" {
		o.SetBinaryWill(will.Topic, will.Payload, 1, true)
	}
	return o
}

func (d *Dialer) password() (string, error) {
	if d.cfg.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(d.cfg.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read broker password: %w", err)
	}
	p := strings.TrimRight(string(b), "\r\n")
	if len(p) > math.MaxUint16 {
		return "", fmt.Errorf("%w: password file %s is too long", ErrConfig, d.cfg.PasswordFile)
	}
	return p, nil
}

// noStore keeps nothing.
type noStore struct{}

var _ paho.Store = noStore{}

func (noStore) Open()                             {}
func (noStore) Put(string, packets.ControlPacket) {}
func (noStore) Get(string) packets.ControlPacket  { return nil }
func (noStore) All() []string                     { return nil }
func (noStore) Del(string)                        {}
func (noStore) Close()                            {}
func (noStore) Reset()                            {}
