package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/sync/mqtt"
	"github.com/azs-edge/azs-edge/sync/mqtt/broker"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// proxy is a line that can freeze: connections stay open and nothing passes, as behind a router that lost its memory.
type proxy struct {
	ln net.Listener
	to string

	mu     sync.Mutex
	frozen chan struct{} // closed when the line freezes
	conns  []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: to, frozen: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "tcp://" + p.ln.Addr().String() }

func (p *proxy) freeze() { close(p.frozen) }

func (p *proxy) carry(in net.Conn) {
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		in.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, in, out)
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, d := range [][2]net.Conn{{in, out}, {out, in}} {
		wg.Go(func() {
			buf := make([]byte, 4096)
			for {
				n, err := d[0].Read(buf)
				select {
				case <-p.frozen:
					return // neither read nor closed any more
				default:
				}
				if _, werr := d[1].Write(buf[:n]); err != nil || werr != nil {
					d[1].Close()
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestFrozenLine: a peer that is there and says nothing is noticed, both by who only listens and by who writes.
func TestFrozenLine(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]bool{"listening": false, "writing": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quick := func(c *mqtt.Config) {
				c.KeepAlive, c.PingTimeout = time.Second, 300*time.Millisecond
				if write { // nothing but the write can notice
					c.KeepAlive, c.WriteTimeout = time.Minute, 300*time.Millisecond
				}
			}
			b := newBroker(t, broker.Config{})
			p := newProxy(t, b.Addr())
			s := dial(t, station(t, quick, p.url()), wire.Message{})
			publish(t, s, up, "before")
			p.freeze()
			began := time.Now()
			var wg sync.WaitGroup
			if write {
				for range 200 { // more than the socket's buffers hold
					wg.Go(func() {
						if s.Publish(t.Context(), up, make([]byte, wire.MaxMessage)) == nil {
							t.Error("published over a frozen line")
						}
					})
				}
			}
			ended(t, s, 5*time.Second)
			wg.Wait()
			s.Close()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s to end", took)
			}
		})
	}
}

// TestFrozenBroker: somebody accepts the connection and never says a word.
func TestFrozenBroker(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := station(t, func(c *mqtt.Config) { c.ConnectTimeout = 300 * time.Millisecond }, "tcp://"+ln.Addr().String(), "tls://"+ln.Addr().String())
	began := time.Now()
	if _, err := d.Dial(t.Context(), wire.Message{}); err == nil {
		t.Error("connected to nobody")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to give up", took)
	}
}

// TestHugePacket: a broker that announces more than a message may have is left before it can send it.
func TestHugePacket(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Write([]byte{0x20, 2, 0, 0})                      // CONNACK
		c.Write([]byte{0x90, 3, 0, 1, 1})                   // SUBACK, by chance of the right id
		c.Write([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1}) // PUBLISH of 256 MiB
		io.Copy(io.Discard, c)
	})
	s, err := station(t, func(c *mqtt.Config) { c.Subscribe = c.Subscribe[:1] }, "tcp://"+ln.Addr().String()).Dial(t.Context(), wire.Message{})
	if err == nil {
		ended(t, s, 5*time.Second)
		s.Close()
	}
	ln.Close()
	wg.Wait()
}

// TestTLS: files are read anew at every connection; a broker of another authority is refused.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca := certificate(t, dir, "ca", nil)
	server := certificate(t, dir, "server", ca)
	client := certificate(t, dir, "client", ca)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	b := newBroker(t, broker.Config{TLS: &tls.Config{Certificates: []tls.Certificate{*server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}})
	with := func(c *mqtt.Config) {
		c.TLS = mqtt.TLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "client.pem"), KeyFile: filepath.Join(dir, "client.key")}
	}
	_ = client
	d := station(t, with, b.URL())
	dial(t, d, wire.Message{}).Close()
	certificate(t, dir, "client", certificate(t, t.TempDir(), "other", nil)) // of another authority, in the same place
	if s, err := d.Dial(t.Context(), wire.Message{}); err == nil {
		s.Close()
		t.Error("let in with a certificate of another authority")
	}
	certificate(t, dir, "client", ca)
	dial(t, d, wire.Message{}).Close()
	certificate(t, dir, "ca", nil)
	if s, err := d.Dial(t.Context(), wire.Message{}); err == nil {
		s.Close()
		t.Error("trusted a broker of another authority")
	}
}

// certificate writes name.pem and name.key, signed by the parent or by itself.
func certificate(t *testing.T, dir, name string, parent *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: parent == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer, issuerKey := tmpl, any(key)
	if parent != nil {
		issuer, issuerKey = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"pem": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name+"."+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// mosquitto is a real broker with its default limits.
type mosquitto struct {
	path, conf string
	addr       string
	cmd        *exec.Cmd
}

// lookMosquitto finds the broker, also where only root's PATH has it.
func lookMosquitto(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	const sentence = "mosquitto is not installed; install the Debian package mosquitto"
	if os.Getenv("AZS_TEST_REQUIRE") == "1" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
	return ""
}

func newMosquitto(t *testing.T, more string) *mosquitto {
	t.Helper()
	path := lookMosquitto(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{path: path, addr: ln.Addr().String(), conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	ln.Close()
	_, port, _ := net.SplitHostPort(m.addr)
	text := fmt.Sprintf("listener %s 127.0.0.1\nset_tcp_nodelay true\npersistence false\n%s\n", port, more)
	if err := os.WriteFile(m.conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	m.start(t)
	t.Cleanup(m.kill)
	return m
}

func (m *mosquitto) url() string { return "tcp://" + m.addr }

// start runs the broker and returns when it accepts connections.
func (m *mosquitto) start(t *testing.T) {
	t.Helper()
	m.cmd = exec.Command(m.path, "-c", m.conf)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-tick.C {
		if c, err := net.Dial("tcp", m.addr); err == nil {
			c.Close()
			return
		}
	}
	t.Fatal("mosquitto does not listen")
}

func (m *mosquitto) kill() {
	_ = m.cmd.Process.Kill() // it may be dead
	_ = m.cmd.Wait()
}

func TestMosquitto(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true")
	hqDialer, stDialer := headquarters(t, nil, m.url()), station(t, nil, m.url())
	for life := range 3 {
		hq, st := dial(t, hqDialer, wire.Message{}), dial(t, stDialer, wire.Message{Topic: state, Payload: []byte("gone")})
		began := time.Now()
		for i := range 100 {
			publish(t, st, up, fmt.Sprint(i))
			publish(t, hq, ack, fmt.Sprint(i))
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("200 messages took %s: is Nagle's algorithm on?", took)
		}
		for i := range 100 {
			if a, b := receive(t, hq), receive(t, st); string(a.Payload) != fmt.Sprint(i) || string(b.Payload) != fmt.Sprint(i) {
				t.Fatalf("life %d, message %d: %q and %q", life, i, a.Payload, b.Payload)
			}
		}
		m.kill()
		ended(t, hq, limit)
		ended(t, st, limit)
		if _, err := stDialer.Dial(t.Context(), wire.Message{}); err == nil {
			t.Error("connected to a dead broker")
		}
		m.start(t)
	}
}

func TestMosquittoFrozenLine(t *testing.T) {
	t.Parallel()
	m := newMosquitto(t, "allow_anonymous true")
	p := newProxy(t, m.addr)
	hq := dial(t, headquarters(t, nil, m.url()), wire.Message{})
	s := dial(t, station(t, func(c *mqtt.Config) {
		c.KeepAlive, c.PingTimeout, c.WriteTimeout = time.Second, 300*time.Millisecond, 300*time.Millisecond
	}, p.url()), wire.Message{Topic: state, Payload: []byte("gone")})
	publish(t, s, up, "before")
	if r := receive(t, hq); string(r.Payload) != "before" {
		t.Fatalf("%q", r.Payload)
	}
	p.freeze()
	ended(t, s, 5*time.Second)
	// The broker notices for itself after one and a half keep-alives, and publishes the will.
	if r := receive(t, hq); string(r.Payload) != "gone" {
		t.Errorf("%q", r.Payload)
	}
}

func TestMosquittoRefuses(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous false")
	began := time.Now()
	if _, err := station(t, nil, m.url()).Dial(t.Context(), wire.Message{}); err == nil {
		t.Error("let in without a password")
	}
	if time.Since(began) > 5*time.Second {
		t.Error("a refusal took as long as silence")
	}
}
