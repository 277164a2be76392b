package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/sync/mqtt"
	"github.com/azs-edge/azs-edge/sync/mqtt/broker"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

const limit = 10 * time.Second // of any wait in these tests

func newBroker(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	b, err := broker.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// station and headquarters are the two kinds of clients.
func station(t *testing.T, change func(*mqtt.Config), brokers ...string) *mqtt.Dialer {
	return dialer(t, mqtt.Config{Brokers: brokers, ClientID: "azs-7", Subscribe: wire.StationFilters(7)}, change)
}

func headquarters(t *testing.T, change func(*mqtt.Config), brokers ...string) *mqtt.Dialer {
	return dialer(t, mqtt.Config{Brokers: brokers, ClientID: "hq", Subscribe: wire.HQFilters(0, 31)}, change)
}

func dialer(t *testing.T, cfg mqtt.Config, change func(*mqtt.Config)) *mqtt.Dialer {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	if change != nil {
		change(&cfg)
	}
	d, err := mqtt.NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func dial(t *testing.T, d *mqtt.Dialer, will wire.Message) wire.Session {
	t.Helper()
	s, err := d.Dial(t.Context(), will)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func receive(t *testing.T, s wire.Session) wire.Message {
	t.Helper()
	select {
	case m, ok := <-s.Messages():
		if !ok {
			t.Fatal("the session has ended")
		}
		return m
	case <-time.After(limit):
		t.Fatal("nothing arrived")
	}
	panic("unreachable")
}

func publish(t *testing.T, s wire.Session, topic, payload string) {
	t.Helper()
	if err := s.Publish(t.Context(), topic, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func ended(t *testing.T, s wire.Session, within time.Duration) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(within):
		t.Fatalf("the session has not ended within %s", within)
	}
}

var up, state, ack = wire.Topic(7, wire.Up), wire.Topic(7, wire.State), wire.Topic(7, wire.Ack)

func TestBothWays(t *testing.T) {
	b := newBroker(t, broker.Config{})
	hq, st := dial(t, headquarters(t, nil, b.URL()), wire.Message{}), dial(t, station(t, nil, b.URL()), wire.Message{})
	for i := range 200 {
		publish(t, st, up, fmt.Sprint(i))
	}
	for i := range 200 {
		if m := receive(t, hq); m.Topic != up || string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s %q", i, m.Topic, m.Payload)
		}
	}
	publish(t, hq, wire.Topic(8, wire.Ack), "for another")
	publish(t, hq, ack, strings.Repeat("x", wire.MaxMessage))
	if m := receive(t, st); m.Topic != ack || len(m.Payload) != wire.MaxMessage {
		t.Errorf("%s, %d bytes", m.Topic, len(m.Payload))
	}
	if err := st.Publish(t.Context(), up, make([]byte, wire.MaxMessage+1)); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("a message above the limit: %v", err)
	}
	if err := st.Publish(t.Context(), "elsewhere", nil); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("a topic that is none: %v", err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if _, ok := <-st.Messages(); ok {
		t.Error("messages after Close")
	}
	if err := st.Publish(t.Context(), up, nil); !errors.Is(err, mqtt.ErrEnded) {
		t.Errorf("publish after Close: %v", err)
	}
}

// TestWill: the will is published when the connection breaks and not when the station leaves in order; the last state is
// kept for who comes later.
func TestWill(t *testing.T) {
	b := newBroker(t, broker.Config{})
	will := wire.Message{Topic: state, Payload: []byte("gone")}
	hq := dial(t, headquarters(t, nil, b.URL()), wire.Message{})
	d := station(t, nil, b.URL())
	st := dial(t, d, will)
	publish(t, st, state, "here")
	if m := receive(t, hq); string(m.Payload) != "here" {
		t.Fatalf("birth: %q", m.Payload)
	}
	if !b.Cut("azs-7") {
		t.Fatal("no such client")
	}
	ended(t, st, limit)
	if m := receive(t, hq); string(m.Payload) != "gone" {
		t.Fatalf("will: %q", m.Payload)
	}
	st = dial(t, d, will)
	publish(t, st, state, "here again")
	publish(t, st, state, "goodbye")
	st.Close()
	for _, want := range []string{"here again", "goodbye"} {
		if m := receive(t, hq); string(m.Payload) != want {
			t.Fatalf("%q, want %q", m.Payload, want)
		}
	}
	late := dial(t, headquarters(t, func(c *mqtt.Config) { c.ClientID = "late" }, b.URL()), wire.Message{})
	if m := receive(t, late); string(m.Payload) != "goodbye" {
		t.Errorf("kept: %q", m.Payload)
	}
}

// TestTakeover: a new connection of the same client ends the old one, which its station may have forgotten.
func TestTakeover(t *testing.T) {
	b := newBroker(t, broker.Config{})
	d := station(t, nil, b.URL())
	old := dial(t, d, wire.Message{})
	dial(t, d, wire.Message{})
	ended(t, old, limit)
}

func TestFaults(t *testing.T) {
	b := newBroker(t, broker.Config{})
	hq := dial(t, headquarters(t, nil, b.URL()), wire.Message{})
	d := station(t, func(c *mqtt.Config) { c.PublishTimeout = 300 * time.Millisecond }, b.URL())
	st := dial(t, d, wire.Message{})
	b.SetFaults(func(p broker.Packet) broker.Fate {
		if p.Client != "azs-7" || p.Topic != up {
			t.Errorf("asked about %s of %s", p.Topic, p.Client)
		}
		switch string(p.Payload) {
		case "lose":
			return broker.Fate{Lose: true}
		case "double":
			return broker.Fate{Copies: 1}
		case "delay":
			return broker.Fate{Delay: 50 * time.Millisecond}
		case "refuse":
			return broker.Fate{Refuse: true}
		case "cut":
			return broker.Fate{Cut: true}
		}
		return broker.Fate{}
	})
	for _, p := range []string{"lose", "double", "delay", "last"} {
		publish(t, st, up, p)
	}
	var got []string
	for range 4 {
		got = append(got, string(receive(t, hq).Payload))
	}
	if got[3] != "delay" || slices.Contains(got, "lose") {
		t.Errorf("arrived: %q", got)
	}
	slices.Sort(got)
	if want := []string{"delay", "double", "double", "last"}; !slices.Equal(got, want) {
		t.Errorf("arrived: %q", got)
	}
	if err := st.Publish(t.Context(), up, []byte("refuse")); err == nil {
		t.Error("no receipt, and no error")
	}
	if err := st.Publish(t.Context(), up, []byte("cut")); err == nil {
		t.Error("cut, and no error")
	}
	ended(t, st, limit)
	b.SetFaults(nil)
	publish(t, dial(t, d, wire.Message{}), up, "healed")
	if m := receive(t, hq); string(m.Payload) != "healed" {
		t.Errorf("arrived: %q", m.Payload)
	}
}

// TestBrokersInTurn: what does not answer is passed over, and after a session the next broker has its turn.
func TestBrokersInTurn(t *testing.T) {
	a, b := newBroker(t, broker.Config{}), newBroker(t, broker.Config{})
	dead := newBroker(t, broker.Config{})
	dead.Close()
	d := station(t, nil, dead.URL(), a.URL(), b.URL())
	for i, want := range []*broker.Broker{a, b, a} {
		s := dial(t, d, wire.Message{})
		if len(want.Clients()) != 1 {
			t.Errorf("session %d is not with the broker whose turn it is", i)
		}
		s.Close()
	}
	a.Close()
	b.Close()
	if _, err := d.Dial(t.Context(), wire.Message{}); err == nil || !strings.Contains(err.Error(), dead.Addr()) || !strings.Contains(err.Error(), b.Addr()) {
		t.Errorf("no broker at all: %v", err)
	}
}

func TestRefused(t *testing.T) {
	b := newBroker(t, broker.Config{})
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.SetAdmission(func(v broker.Visitor) bool {
		return v == broker.Visitor{Client: "azs-7", Username: "seven", Password: "open sesame"}
	})
	with := func(c *mqtt.Config) { c.Username, c.PasswordFile = "seven", secret }
	dial(t, station(t, with, b.URL()), wire.Message{}).Close()
	if err := os.WriteFile(secret, []byte("guess\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := station(t, with, b.URL()).Dial(t.Context(), wire.Message{}); err == nil {
		t.Error("let in with a wrong password")
	}
	if time.Since(began) > 5*time.Second {
		t.Error("a refusal took as long as silence")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := station(t, with, b.URL()).Dial(ctx, wire.Message{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestConfig(t *testing.T) {
	good := func() mqtt.Config {
		return mqtt.Config{Brokers: []string{"tls://mq.example.org"}, ClientID: "azs-7", Subscribe: wire.StationFilters(7)}
	}
	if _, err := mqtt.NewDialer(good()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*mqtt.Config){
		"no broker":            func(c *mqtt.Config) { c.Brokers = nil },
		"a bare host":          func(c *mqtt.Config) { c.Brokers = []string{"localhost:1883"} },
		"another protocol":     func(c *mqtt.Config) { c.Brokers = []string{"https://mq.example.org"} },
		"no host":              func(c *mqtt.Config) { c.Brokers = []string{"tcp://:1883"} },
		"no client id":         func(c *mqtt.Config) { c.ClientID = "" },
		"long client id":       func(c *mqtt.Config) { c.ClientID = strings.Repeat("x", 65) },
		"nothing to subscribe": func(c *mqtt.Config) { c.Subscribe = nil },
		"certificate alone":    func(c *mqtt.Config) { c.TLS.CertFile = "cert.pem" },
		"hasty keep-alive":     func(c *mqtt.Config) { c.KeepAlive = time.Millisecond },
	} {
		c := good()
		change(&c)
		if _, err := mqtt.NewDialer(c); !errors.Is(err, mqtt.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSlowReader: an end that does not read holds the network up, not the memory, and Close ends it nevertheless.
func TestSlowReader(t *testing.T) {
	b := newBroker(t, broker.Config{})
	hq := dial(t, headquarters(t, func(c *mqtt.Config) { c.Buffer = 2 }, b.URL()), wire.Message{})
	st := dial(t, station(t, nil, b.URL()), wire.Message{})
	for range 50 {
		publish(t, st, up, "x")
	}
	began := time.Now()
	hq.Close()
	if time.Since(began) > 5*time.Second {
		t.Errorf("Close took %s", time.Since(began))
	}
	if n := len(drain(hq)); n > 3 {
		t.Errorf("%d messages were buffered", n)
	}
}

func drain(s wire.Session) (all []wire.Message) {
	for m := range s.Messages() {
		all = append(all, m)
	}
	return all
}

func BenchmarkPublish(b *testing.B) {
	br, err := broker.Open(broker.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer br.Close()
	d, err := mqtt.NewDialer(mqtt.Config{Brokers: []string{br.URL()}, ClientID: "azs-7", Subscribe: wire.StationFilters(7), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	s, err := d.Dial(b.Context(), wire.Message{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	payload, err := wire.Encode(&pb.Ack{Epoch: 1, Seq: 1000, Hash: make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := s.Publish(b.Context(), wire.Topic(8, wire.Ack), payload); err != nil {
			b.Fatal(err)
		}
	}
}
