//go:build linux

package agent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// shown is what a listener to the station's events reads of a scan.
type shown struct {
	Outcome  string `json:"outcome"`
	Customer struct {
		Account loyalty.AccountID `json:"account"`
		Total   loyalty.Points    `json:"total_points_x100"`
		Fresh   bool              `json:"fresh"`
	} `json:"customer"`
}

// plug makes a scanner of a pseudo-terminal; the port is a link to it, as udev makes one.
func plug(t testing.TB) (gun *os.File, port string) {
	t.Helper()
	gun, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gun.Close() })
	defer slave.Close()
	port = filepath.Join(t.TempDir(), "scanner")
	if err := os.Symlink(slave.Name(), port); err != nil {
		t.Fatal(err)
	}
	return gun, port
}

// listen follows the scans of a station until ctx is done. It returns when the stream is open.
func (l *live) listen(ctx context.Context, t testing.TB) <-chan shown {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.register.base+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	res, err := (&http.Client{}).Do(req) // without the time-out of calls: the stream has no end
	if err != nil {
		t.Fatal(err)
	}
	scans, open := make(chan shown, 16), make(chan struct{})
	go func() {
		defer res.Body.Close()
		name := ""
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			if v, ok := strings.CutPrefix(s.Text(), "event: "); ok {
				if name = v; name == "reset" {
					close(open)
				}
			}
			var x shown
			if v, ok := strings.CutPrefix(s.Text(), "data: "); ok && name == "scan" && json.Unmarshal([]byte(v), &x) == nil {
				select {
				case scans <- x:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	select {
	case <-open:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	return scans
}

// TestScanToCounter scans with a scanner and sees the customer on the event stream, with headquarters' word.
func TestScanToCounter(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	defer cancel()
	b := newBroker(t, "")
	newHeadquarters(ctx, t, t.TempDir(), b.URL(), 3, 1)
	gun, port := plug(t)
	l := liveConfig{folder: t.TempDir(), broker: b.URL(), scanner: port}.start(ctx, t)
	l.awaitOnline(ctx, t)
	scans := l.listen(ctx, t)
	if _, err := gun.WriteString(string(cardOf(2)) + "\r"); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case x := <-scans:
			if x.Outcome != "customer" {
				t.Fatalf("got %+v", x)
			}
			if !x.Customer.Fresh {
				continue // headquarters' word comes behind it
			}
			if x.Customer.Account != 2 || x.Customer.Total != opening {
				t.Fatalf("got %+v, want account 2 with %s points", x, opening)
			}
			return
		case <-ctx.Done():
			t.Fatal("no scan was shown")
		}
	}
}

// BenchmarkScan measures from the last byte that a scanner sends to the customer on a listener's event stream: with
// headquarters' fresh word, and alone.
func BenchmarkScan(b *testing.B) {
	for _, online := range []bool{false, true} {
		b.Run(map[bool]string{false: "alone", true: "with_headquarters"}[online], func(b *testing.B) { benchmarkScan(b, online) })
	}
}

func benchmarkScan(b *testing.B, online bool) {
	ctx := b.Context()
	const accounts = 1000
	folder := b.TempDir()
	bench := openBench(ctx, b, folder)
	learnAccounts(ctx, b, bench, accounts)
	if err := bench.Close(); err != nil {
		b.Fatal(err)
	}
	gun, port := plug(b)
	c := liveConfig{folder: folder, broker: "tcp://" + freeAddress(b), scanner: port}
	if online {
		broker, address := newMosquitto(b)
		if err := broker.start(); err != nil {
			b.Fatal(err)
		}
		listens(ctx, b, address)
		c.broker = "tcp://" + address
		newHeadquarters(ctx, b, b.TempDir(), c.broker, accounts, 1)
	}
	l := c.start(ctx, b)
	if online {
		l.awaitOnline(ctx, b)
	}
	await(ctx, b, "the scanner is connected", func() bool { return l.Status().Scanners[0].Connected })
	scans := l.listen(ctx, b)
	var took []time.Duration
	late := 0
	for n := 0; b.Loop(); n++ {
		account := 1 + loyalty.AccountID(n%accounts)
		began := time.Now()
		if _, err := gun.WriteString(string(cardOf(account)) + "\r"); err != nil {
			b.Fatal(err)
		}
		for first := true; ; first = false {
			x := <-scans
			if x.Customer.Account != account {
				b.Fatalf("got %+v, want account %d", x, account)
			}
			if first {
				took = append(took, time.Since(began))
			}
			if !online || x.Customer.Fresh {
				break
			}
			late++ // headquarters' word comes behind the station's own
		}
	}
	b.ReportMetric(microseconds(took, 0.5), "µs_p50")
	b.ReportMetric(microseconds(took, 0.99), "µs_p99")
	b.ReportMetric(float64(late), "answers_late")
}
