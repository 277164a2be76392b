package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/config"
)

// authority makes certificates for 127.0.0.1 and writes its own to a file.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	der, key := a.sign("authority", time.Hour, true)
	a.key = key
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(a.file, "CERTIFICATE", der)
	return a
}

// sign makes a certificate that ends after lasts, and its key.
func (a *authority) sign(name string, lasts time.Duration, ca bool) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(lasts), IsCA: ca, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

func (a *authority) write(path, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// files writes a certificate with its key as a station has them.
func (a *authority) files(name string, lasts time.Duration) (certFile, keyFile string) {
	a.t.Helper()
	der, key := a.sign(name, lasts, false)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(a.t.TempDir(), "cert.pem"), filepath.Join(a.t.TempDir(), "key.pem")
	a.write(certFile, "CERTIFICATE", der)
	a.write(keyFile, "PRIVATE KEY", keyDER)
	return certFile, keyFile
}

// tlsBroker listens with TLS and, as a broker does, says nothing before it is spoken to.
func (a *authority) tlsBroker(lasts time.Duration, clients bool) (address string) {
	a.t.Helper()
	der, key := a.sign("broker", lasts, false)
	c := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}
	if clients {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(a.cert)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		a.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1)) // makes the handshake, then waits for the end
			})
		}
	})
	a.t.Cleanup(func() {
		if err := l.Close(); err != nil {
			a.t.Error(err)
		}
		serving.Wait()
	})
	return "tls://" + l.Addr().String()
}

func TestProbeBroker(t *testing.T) {
	const year = 365 * 24 * time.Hour
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, key := ours.files("station 17", year)
	wrongCert, wrongKey := theirs.files("station 18", year)
	link := config.Link{CAFile: ours.file}
	withCert := config.Link{CAFile: ours.file, CertFile: cert, KeyFile: key}
	refused := config.Link{CAFile: ours.file, CertFile: wrongCert, KeyFile: wrongKey}
	for _, tt := range []struct {
		name    string
		link    config.Link
		address string
		step    brokerStep
		status  status
		text    string
	}{
		{"good", link, ours.tlsBroker(year, false), stepTLS, statusOK, "reached in"},
		{"certificate wanted and given", withCert, ours.tlsBroker(year, true), stepTLS, statusOK, "its certificate ends"},
		{"certificate ends soon", link, ours.tlsBroker(10*24*time.Hour, false), stepTLS, statusWarning, "must renew it"},
		{"certificate has ended", link, ours.tlsBroker(-time.Hour, false), stepTLS, statusFailed, "expired"},
		{"unknown authority", link, theirs.tlsBroker(year, false), stepTLS, statusFailed, "unknown authority"},
		{"our certificate is refused", refused, ours.tlsBroker(year, true), stepTLS, statusFailed, "after the handshake"},
		{"no authority file", config.Link{CAFile: "none.pem"}, ours.tlsBroker(year, false), stepFiles, statusFailed, "none.pem"},
		{"nobody listens", link, "tls://127.0.0.1:1", stepConnect, statusFailed, "refused"},
		{"no such name", link, "tls://no-such-host.invalid:8883", stepName, statusFailed, "no-such-host.invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := probeBroker(t.Context(), tt.link, tt.address)
			got := judgeBroker(onLinux, f, time.Now())
			if f.step != tt.step || got.Status != tt.status || !strings.Contains(got.Text, tt.text) || strings.Contains(got.Text, "\n") || (got.Hint == "") != (got.Status == statusOK) {
				t.Errorf("step %s: %+v", f.step, got)
			}
		})
	}
}

// TestOneBrokerOfTwoIsAWarning: the agent takes the one that can be reached.
func TestOneBrokerOfTwoIsAWarning(t *testing.T) {
	down := brokerFacts{address: "tls://a:8883", host: "a", port: "8883", step: stepConnect, err: errors.New("timeout")}
	up := brokerFacts{address: "tcp://127.0.0.1:1883", host: "127.0.0.1", port: "1883", step: stepConnect}
	local := up
	local.err = errors.New("refused")
	const tryA = "nc -vz -w 3 a 8883"
	expect(t, judgeBrokers(onLinux, []brokerFacts{down, up}, now), verdict{statusWarning, "timeout", tryA}, verdict{statusOK, "reached", ""})
	expect(t, judgeBrokers(onLinux, []brokerFacts{down, local}, now), verdict{statusFailed, "timeout", tryA}, verdict{statusFailed, "refused", "systemctl start mosquitto"})
}

func TestJudgeCertificate(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.files("station 17", time.Hour)
	d := &doctor{advice: onLinux, cfg: config.Agent{HQ: config.Link{CertFile: cert, KeyFile: key}}}
	show := "openssl x509 -noout -subject -dates -in " + cert
	expect(t, d.checkCertificate(t.Context()), verdict{statusWarning, `of "station 17" ends`, show})
	_, d.cfg.HQ.KeyFile = a.files("another", time.Hour)
	expect(t, d.checkCertificate(t.Context()), verdict{statusFailed, "private key does not match", show})
	d.cfg.HQ = config.Link{}
	expect(t, d.checkCertificate(t.Context()))

	f := certificateFacts{path: "/c", name: "s", begin: now, end: now.Add(60 * 24 * time.Hour)}
	of := func(at time.Time) []finding { return []finding{judgeCertificate(onLinux, f, at)} }
	show = "openssl x509 -noout -subject -dates -in /c"
	expect(t, of(now), verdict{statusOK, "valid until", ""})
	expect(t, of(now.Add(-time.Hour)), verdict{statusFailed, "is the clock right?", "timedatectl set-ntp true"})
	expect(t, of(f.end), verdict{statusFailed, "has ended", show})
}
