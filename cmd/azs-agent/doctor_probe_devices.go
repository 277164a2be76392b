package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/scanner"
	"github.com/azs-edge/azs-edge/sync/mqtt"
)

func (d *doctor) checkScanner(s config.Scanner) []finding {
	return []finding{judgeScanner(d.advice, d.probeScanner(s))}
}

// probeScanner looks at a port without opening it: that would take bytes from the agent, and resets some scanners.
func (d *doctor) probeScanner(s config.Scanner) scannerFacts {
	f := scannerFacts{name: s.Name, port: s.Port}
	if st := d.agent.status; st != nil {
		for _, live := range st.Scanners {
			if live.Name == s.Name {
				f.live, f.online, f.reason = true, live.Connected, live.Reason
			}
		}
	}
	c, err := agent.ScannerConfig(s)
	if err != nil {
		f.err = err
		return f
	}
	if c.Port == scanner.Auto {
		p, err := d.host.Find(c.Match)
		if err != nil {
			f.err = err
			return f
		}
		f.port = p.Path
	}
	if f.err = scanner.Access(f.port); f.err != nil {
		return f
	}
	if d.account != nil {
		f.service = true
		f.denied = d.account.stoppedAt(f.port, mayWrite)
	}
	f.owners = slices.DeleteFunc(d.host.Owners(f.port), func(p scanner.Process) bool { return p.PID == d.service.PID && p.PID != 0 })
	if p, held := d.host.LockHolder(f.port); held && (p.PID != d.service.PID || !f.live) {
		f.lock = p.String()
	}
	return f
}

func (d *doctor) checkModemManager(context.Context) []finding {
	if d.advice.windows {
		return nil
	}
	f := modemFacts{rule: scannerRuleInstalled()}
	f.process, f.runs = d.host.ModemManager()
	return []finding{judgeModemManager(f)}
}

// stepTime bounds each step on the way to a broker.
const stepTime = 3 * time.Second

func (d *doctor) checkBrokers(ctx context.Context) []finding {
	list := make([]brokerFacts, len(d.cfg.HQ.Brokers))
	var wg sync.WaitGroup
	for i, address := range d.cfg.HQ.Brokers {
		wg.Go(func() { list[i] = probeBroker(ctx, d.cfg.HQ, address) })
	}
	wg.Wait()
	return judgeBrokers(d.advice, list, time.Now())
}

// probeBroker goes the agent's way to a broker, up to where MQTT would begin: a second session of the same client would
// end the running agent's.
func probeBroker(ctx context.Context, c config.Link, address string) (f brokerFacts) {
	f = brokerFacts{address: address, step: stepName, caFile: c.CAFile}
	u, err := url.Parse(address)
	if err != nil {
		f.err = err
		return f
	}
	f.host, f.port = u.Hostname(), u.Port()
	start := time.Now()
	defer func() { f.took = time.Since(start) }()

	addresses, err := lookup(ctx, f.host)
	if err != nil {
		f.err = err
		return f
	}
	f.step = stepConnect
	conn, err := dialFirst(ctx, addresses, f.port)
	if err != nil {
		f.err = err
		return f
	}
	defer func() { _ = conn.Close() }() // nothing but TLS was sent over it
	if u.Scheme != "tls" {
		return f
	}
	f.step = stepFiles
	files := mqtt.TLS{CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}
	t, err := files.ClientConfig(f.host)
	if err != nil {
		f.err = err
		return f
	}
	f.step = stepTLS
	f.expires, f.err = handshake(ctx, conn, t)
	return f
}

func lookup(ctx context.Context, host string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, host)
}

// dialFirst connects to the first address that answers.
func dialFirst(ctx context.Context, addresses []string, port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	var errs []error
	for _, a := range addresses {
		conn, err := (&net.Dialer{Timeout: stepTime / time.Duration(min(len(addresses), 3))}).DialContext(ctx, "tcp", net.JoinHostPort(a, port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errs[0]
}

// refusal is how long a broker may take to say that it does not like our certificate. With TLS 1.3 it says so only after our
// side of the handshake is done.
const refusal = 300 * time.Millisecond

// handshake makes TLS and returns when the broker's certificate ends, also where it has ended already.
func handshake(ctx context.Context, conn net.Conn, c *tls.Config) (expires time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	t := tls.Client(conn, c)
	if err := t.HandshakeContext(ctx); err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			expires = invalid.Cert.NotAfter
		}
		return expires, err
	}
	expires = t.ConnectionState().PeerCertificates[0].NotAfter
	if err := conn.SetReadDeadline(time.Now().Add(refusal)); err != nil {
		return expires, err
	}
	// A broker says nothing before it is spoken to: only an alert or the end of the connection can come.
	if _, err := t.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return expires, fmt.Errorf("the broker ends the connection after the handshake: %w", err)
	}
	return expires, nil
}

func (d *doctor) checkCertificate(context.Context) []finding {
	c := d.cfg.HQ
	if c.CertFile == "" {
		return nil
	}
	f := certificateFacts{path: c.CertFile}
	own, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		f.err = fmt.Errorf("reading the station's certificate: %w", err)
	} else {
		f.name, f.begin, f.end = own.Leaf.Subject.CommonName, own.Leaf.NotBefore, own.Leaf.NotAfter
	}
	return []finding{judgeCertificate(d.advice, f, time.Now())}
}
