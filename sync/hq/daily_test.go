package hq_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

// TestDaily: the work is done at its time of day, once at the start if a day was missed, and again soon after it failed.
func TestDaily(t *testing.T) {
	dir := memory(t)
	synctest.Test(t, func(t *testing.T) {
		store, err := embedded.Open(embedded.Config{Path: filepath.Join(dir, "hq.db")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		books := hq.NewBooks(hq.BooksConfig{Store: store})
		zone := time.FixedZone("", 3*60*60)
		time.Sleep(time.Until(time.Date(2026, 6, 1, 12, 0, 0, 0, zone)))
		year, month, day := time.Now().In(zone).Date()
		midnight := time.Date(year, month, day, 0, 0, 0, 0, zone)
		account := loyalty.Account{ID: 5}
		for n := range 10 {
			if err := account.Accrue(loyalty.Lot{Amount: 100, ActiveFrom: loyalty.At(midnight.AddDate(0, 0, n))}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := books.ImportAccounts(t.Context(), []loyalty.Account{account}); err != nil {
			t.Fatal(err)
		}
		var log lockedBuffer
		catalogue := &pages{Catalogue: store}
		start := func() func() {
			ctx, stop := context.WithCancel(t.Context())
			d := hq.NewDaily(hq.DailyConfig{
				Books: books, Catalogue: catalogue, At: 3*time.Hour + 30*time.Minute, Zone: zone, File: filepath.Join(dir, "done"),
				Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			ended := make(chan error)
			go func() { ended <- d.Run(ctx) }()
			synctest.Wait()
			return func() {
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		}
		runs := func() int { return strings.Count(log.String(), "accounts are advanced") }
		sleep := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		halt := start()
		if runs() != 1 {
			t.Fatalf("%d runs at the first start", runs())
		}
		sleep(time.Until(midnight.AddDate(0, 0, 1).Add(3*time.Hour + 29*time.Minute)))
		if runs() != 1 {
			t.Fatalf("%d runs before the time", runs())
		}
		sleep(2 * time.Minute)
		if runs() != 2 {
			t.Fatalf("%d runs after the time", runs())
		}
		halt()
		halt = start()
		sleep(time.Hour)
		if runs() != 2 {
			t.Fatalf("%d runs after a start on the same day", runs())
		}
		halt()
		sleep(72 * time.Hour)
		halt = start()
		if runs() != 3 {
			t.Fatalf("%d runs at the start after three days", runs())
		}
		catalogue.broken.Store(true)
		sleep(24 * time.Hour)
		if runs() != 3 || !strings.Contains(log.String(), "was not done") {
			t.Fatalf("%d runs on a catalogue that fails", runs())
		}
		catalogue.broken.Store(false)
		sleep(15 * time.Minute)
		halt()
		if runs() != 4 {
			t.Fatalf("%d runs when the catalogue works again\n%s", runs(), log.String())
		}
		if err := os.WriteFile(filepath.Join(dir, "done"), []byte("?"), 0o600); err != nil {
			t.Fatal(err)
		}
		start()()
		if runs() != 5 {
			t.Fatalf("%d runs where nobody knows of the last", runs())
		}
	})
}

// lockedBuffer is what was logged, for one who reads while others write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// pages is a catalogue that fails when it is told to.
type pages struct {
	hq.Catalogue
	broken atomic.Bool
}

func (p *pages) Accounts(ctx context.Context, after loyalty.AccountID, limit int) ([]*loyalty.Record, error) {
	if p.broken.Load() {
		return nil, errCorrupt
	}
	return p.Catalogue.Accounts(ctx, after, limit)
}

// BenchmarkAdvance is a night of a hundred thousand accounts, of each of which something is to be written down.
func BenchmarkAdvance(b *testing.B) {
	const accounts = 100_000
	for b.Loop() {
		b.StopTimer()
		now := hqtest.Start
		store, err := embedded.Open(embedded.Config{Path: filepath.Join(b.TempDir(), "hq.db")})
		if err != nil {
			b.Fatal(err)
		}
		books := hq.NewBooks(hq.BooksConfig{Store: store, Now: func() time.Time { return now.Time() }})
		for first := 1; first <= accounts; first += 2000 {
			var rows []loyalty.Account
			for id := first; id < first+2000; id++ {
				a := hqtest.Account(loyalty.AccountID(id), 1000)
				a.Advanced = now - 1
				a.Lots = append(a.Lots, loyalty.Lot{Amount: 500, ActiveFrom: now + hqtest.Day, Expires: now + 500*hqtest.Day})
				rows = append(rows, a)
			}
			if _, err := books.ImportAccounts(b.Context(), rows); err != nil {
				b.Fatal(err)
			}
		}
		now += 2 * hqtest.Day
		b.StartTimer()
		sum, err := books.Advance(b.Context(), store, now, nil)
		b.StopTimer()
		if err != nil || sum.Changed != accounts || sum.Activated != 500*accounts {
			b.Fatalf("%+v, %v", sum, err)
		}
		began := time.Now()
		if sum, err := books.Advance(b.Context(), store, now, nil); err != nil || sum.Changed != 0 {
			b.Fatalf("again: %+v, %v", sum, err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/idle")
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(accounts)*float64(b.N)/b.Elapsed().Seconds(), "accounts/s")
}
