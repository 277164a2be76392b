package mqtt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/azs-edge/azs-edge/sync/wire"
)

// ErrEnded means that the session is over.
var ErrEnded = errors.New("the MQTT session has ended")

// subscribeAtOnce bounds a SUBSCRIBE: AWS IoT Core takes no more.
const subscribeAtOnce = 8

// drainTimeout is how long Close waits for publishes under way, and farewell how long it tries to say DISCONNECT.
const (
	drainTimeout = 2 * time.Second
	farewell     = 500 * time.Millisecond
)

// session is one connection with a Paho client of its own.
type session struct {
	cfg      Config
	client   paho.Client
	conn     *conn
	messages chan wire.Message
	done     chan struct{} // closed after messages

	receiving sync.RWMutex // held by receive while it waits for room, and to close messages
	closed    bool         // guarded by receiving

	mu         sync.Mutex
	closing    bool           // guarded by mu
	publishing sync.WaitGroup // added to under mu
}

var _ wire.Session = (*session)(nil)

func newSession(cfg Config, c *conn) *session {
	s := &session{cfg: cfg, conn: c, messages: make(chan wire.Message, cfg.Buffer), done: make(chan struct{})}
	go s.watch()
	return s
}

// start says CONNECT and SUBSCRIBE. Subscriptions are made in every session: the broker keeps none.
func (s *session) start(ctx context.Context) error {
	if err := s.wait(ctx, s.client.Connect(), s.cfg.ConnectTimeout); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	for some := range slices.Chunk(s.cfg.Subscribe, subscribeAtOnce) {
		if err := s.subscribe(ctx, some); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	return nil
}

func (s *session) subscribe(ctx context.Context, topics []string) error {
	filters := make(map[string]byte, len(topics))
	for _, f := range topics {
		filters[f] = 1
	}
	t := s.client.SubscribeMultiple(filters, nil)
	if err := s.wait(ctx, t, s.cfg.ConnectTimeout); err != nil {
		return err
	}
	if t, ok := t.(*paho.SubscribeToken); ok {
		for f, code := range t.Result() {
			if code > 2 {
				return fmt.Errorf("the broker refuses %s: check its access control", f)
			}
		}
	}
	return nil
}

// wait ends with the token, the session, the context or the time-out, whichever is first. A token may never complete.
func (s *session) wait(ctx context.Context, t paho.Token, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-s.conn.gone:
		select { // the token knows why, if it was first
		case <-t.Done():
			if err := t.Error(); err != nil {
				return err
			}
		default:
		}
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("no answer from the broker within %s", d)
	}
}

// receive is Paho's handler. It only hands off: the network waits while the buffer is full, and if that lasts longer than
// the keep-alive, the session ends.
func (s *session) receive(_ paho.Client, m paho.Message) {
	s.receiving.RLock()
	defer s.receiving.RUnlock()
	if s.closed {
		return
	}
	select {
	case s.messages <- wire.Message{Topic: m.Topic(), Payload: m.Payload()}:
	case <-s.conn.gone:
	}
}

func (s *session) lost(_ paho.Client, err error) {
	s.cfg.Log.Warn("connection to broker lost", "broker", s.conn.RemoteAddr().String(), "error", err)
}

// watch ends the session when its connection is closed, by whomever: Paho closes it before it reports the loss, and while
// a handler still holds Paho up.
func (s *session) watch() {
	<-s.conn.gone
	s.receiving.Lock()
	s.closed = true
	close(s.messages)
	s.receiving.Unlock()
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	close(s.done)
}

// Publish returns when the broker has taken the message. The wait is bounded by PublishTimeout also without a deadline.
func (s *session) Publish(ctx context.Context, topic string, payload []byte) error {
	if len(payload) > wire.MaxMessage {
		return fmt.Errorf("publish %s: %w: %d bytes", topic, wire.ErrMessage, len(payload))
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return fmt.Errorf("publish %s: %w", topic, ErrEnded)
	}
	s.publishing.Add(1)
	s.mu.Unlock()
	_, kind, err := wire.ParseTopic(topic)
	if err != nil {
		s.publishing.Done()
		return fmt.Errorf("publish: %w", err)
	}
	// Paho's Publish may wait a whole write time-out for its turn; the caller need not.
	sent := make(chan paho.Token, 1)
	go func() {
		defer s.publishing.Done()
		t := s.client.Publish(topic, 1, kind.Retained(), payload)
		sent <- t
		_ = s.wait(context.Background(), t, s.cfg.PublishTimeout) // so that Close drains
	}()
	select {
	case t := <-sent:
		err = s.wait(ctx, t, s.cfg.PublishTimeout)
	case <-s.conn.gone:
		err = ErrEnded
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", topic, err)
	}
	return nil
}

func (s *session) Messages() <-chan wire.Message { return s.messages }

func (s *session) Done() <-chan struct{} { return s.done }

// Close waits for publishes under way, says DISCONNECT, so that the broker publishes no will, and ends the session. All
// waits are bounded.
func (s *session) Close() error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	drained := make(chan struct{})
	go func() { s.publishing.Wait(); close(drained) }()
	timer := time.NewTimer(drainTimeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-s.conn.gone:
	case <-timer.C:
	}
	s.abandon()
	return nil
}

// abandon ends whatever there is and waits for it.
func (s *session) abandon() {
	s.client.Disconnect(uint(farewell.Milliseconds()))
	_ = s.conn.Close() // closed already, or cut off now
	<-s.done
	s.publishing.Wait() // ends with the connection, at the latest after Paho's write time-out
}
