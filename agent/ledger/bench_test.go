//go:build linux

package ledger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// benchLedger is a ledger in TMPDIR, which must be on a disk for the figures to mean anything.
func benchLedger(b *testing.B, accounts int) *Ledger {
	b.Helper()
	cfg := testConfig(b)
	cfg.MaxSize = 4 << 30
	l, err := openTuned(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := l.LoadProgramme(context.Background(), []byte(testProgramme)); err != nil {
		b.Fatal(err)
	}
	fill(b, l, 1, accounts)
	return l
}

// fill teaches accounts in the order of their numbers, many a transaction.
func fill(b *testing.B, l *Ledger, from, to int) {
	b.Helper()
	const slice = 20_000
	for ; from <= to; from += slice {
		err := l.write(context.Background(), func(t *txn) error {
			for i := from; i < from+slice && i <= to; i++ {
				id := loyalty.AccountID(i)
				card := loyalty.Card{Number: cardOf(i), Account: id, MayRedeem: true, HQVersion: uint64(1_000_000 + i), Registered: loyalty.At(wallStart)}
				local := loyalty.Local{Snapshot: loyalty.Snapshot{
					Account: loyalty.Account{ID: id, Lots: []loyalty.Lot{{Amount: loyalty.Points(i%90_000 + 1), ActiveFrom: loyalty.At(wallStart), Expires: loyalty.At(wallStart) + 31_536_000_000}}},
					Version: uint64(1_000_000 + i), AsOf: loyalty.At(wallStart), Epoch: 1, Applied: 1,
				}}
				for _, name := range []string{bucketAcct, bucketCard} {
					t.bucket(name).FillPercent = 0.9
				}
				if err := t.putCard(&card); err != nil {
					return err
				}
				if err := t.putAccount(&local); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func quantile(d []time.Duration, q float64) float64 {
	slices.Sort(d)
	return float64(d[min(len(d)-1, int(q*float64(len(d))))].Microseconds())
}

// BenchmarkLedgerOperation interleaves, in one run on one disk: one sale of one step, the floor (4 KiB overwritten and
// fdatasync), and a bare bbolt Update of one key.
func BenchmarkLedgerOperation(b *testing.B) {
	l := benchLedger(b, 10_000)
	floor, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer floor.Close()
	page := make([]byte, 4096)
	if _, err := floor.WriteAt(make([]byte, 1<<20), 0); err != nil {
		b.Fatal(err)
	}
	bare, err := bolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(bare.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err }))
	bareOp := func(i int) {
		must(bare.Update(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("b")).Put(accountKey(loyalty.AccountID(i)), page[:100])
		}))
	}
	sell := func(i int) {
		_, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(strconv.Itoa(i)), Card: cardOf(i%10_000 + 1), Receipt: fuel(30)})
		must(err)
	}
	// Files that have just been made write to blocks that the disk has yet to find: not what a station sees.
	const warm = 300
	for i := range warm {
		bareOp(i)
		sell(i)
	}
	ours, floors, bares := make([]time.Duration, 0, b.N), make([]time.Duration, 0, b.N), make([]time.Duration, 0, b.N)
	i := warm
	for b.Loop() {
		start := time.Now()
		_, err := floor.WriteAt(page, int64(i%256)*4096)
		must(err)
		must(unix.Fdatasync(int(floor.Fd())))
		floors = append(floors, time.Since(start))

		start = time.Now()
		bareOp(i)
		bares = append(bares, time.Since(start))

		start = time.Now()
		sell(i)
		ours = append(ours, time.Since(start))
		i++
	}
	f50, f99, u50, o50, o99 := quantile(floors, .5), quantile(floors, .99), quantile(bares, .5), quantile(ours, .5), quantile(ours, .99)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(f50, "floor-p50-us")
	b.ReportMetric(f99, "floor-p99-us")
	b.ReportMetric(u50, "bbolt-p50-us")
	b.ReportMetric(o50, "p50-us")
	b.ReportMetric(o99, "p99-us")
	b.ReportMetric(o50/f50, "p50/floor")
	b.ReportMetric(o99/f99, "p99/floor-p99")
	b.ReportMetric(o50/u50, "p50/bbolt")
}

// BenchmarkLedgerWatched interleaves sales outside of any shift, and sales that count in a shift of five cashiers and in
// three velocity rules: what those cost.
func BenchmarkLedgerWatched(b *testing.B) {
	plain, watched := benchLedger(b, 10_000), benchLedger(b, 10_000)
	rules := strings.Replace(testProgramme, "version: 3", "version: 4", 1) + `velocity:
  - {name: same-card, per: [card, counter], count: sales, at_most: 4, within: 30m, then: alert}
  - {name: manual-entries, per: [cashier], count: manual, at_most: 10, within: shift, then: alert}
  - {name: sales-a-day, per: [account], count: sales, at_most: 50, within: day, then: refuse}
`
	if err := watched.LoadProgramme(context.Background(), []byte(rules)); err != nil {
		b.Fatal(err)
	}
	sell := func(l *Ledger, i int, who loyalty.Who) time.Duration {
		r := &loyalty.CloseRequest{Sale: loyalty.SaleID(strconv.Itoa(i)), Card: cardOf(i%10_000 + 1), Receipt: fuel(30), Who: who}
		start := time.Now()
		if _, err := l.CloseSale(context.Background(), r); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	who := func(i int) loyalty.Who {
		return loyalty.Who{Cashier: fmt.Sprint("Кассир ", i%5), Shift: uint32(i/500 + 1), Counter: "1"}
	}
	plains, watcheds := make([]time.Duration, 0, b.N), make([]time.Duration, 0, b.N)
	i := 0
	for ; i < 300; i++ {
		sell(plain, i, loyalty.Who{})
		sell(watched, i, who(i))
	}
	for b.Loop() {
		plains = append(plains, sell(plain, i, loyalty.Who{}))
		watcheds = append(watcheds, sell(watched, i, who(i)))
		i++
	}
	p50, w50 := quantile(plains, .5), quantile(watcheds, .5)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(p50, "plain-p50-us")
	b.ReportMetric(w50, "watched-p50-us")
	b.ReportMetric(w50/p50, "watched/plain")
}

// BenchmarkLedgerCallers counts operations a second of 1, 8 and 64 callers at once.
func BenchmarkLedgerCallers(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			l := benchLedger(b, 10_000)
			var mu sync.Mutex
			times := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			var wg sync.WaitGroup
			start := time.Now()
			for c := range callers {
				wg.Go(func() {
					for i := c; i < b.N; i += callers {
						at := time.Now()
						r := &loyalty.CloseRequest{Sale: loyalty.SaleID(strconv.Itoa(i)), Card: cardOf(i%10_000 + 1), Receipt: fuel(30)}
						if _, err := l.CloseSale(context.Background(), r); err != nil {
							b.Error(err)
							return
						}
						d := time.Since(at)
						mu.Lock()
						times = append(times, d)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "op/s")
			b.ReportMetric(quantile(times, .5), "p50-us")
			b.ReportMetric(quantile(times, .99), "p99-us")
		})
	}
}

// BenchmarkLedgerLookup is a scan's reading of the books.
func BenchmarkLedgerLookup(b *testing.B) {
	l := benchLedger(b, 100_000)
	i := 0
	for b.Loop() {
		if _, err := l.Lookup(cardOf(i*7919%100_000 + 1)); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkLedgerEntry is the size of a journal entry of a fuel sale on the disk of the station, hash and sums included.
func BenchmarkLedgerEntry(b *testing.B) {
	l := benchLedger(b, 10)
	sellTest(b, l, "2026-11-03/000123", 1, 30)
	p, err := l.Position(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	raw, err := l.Read(context.Background(), p.Epoch, p.Last, 1, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	e, err := wire.DecodeEntry(raw[0])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := wire.EncodeEntry(e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(raw[0])), "bytes/entry")
	b.ReportMetric(float64(len(raw[0])+len(wire.Hash{})+sumSize+12+16), "stored-bytes/entry")
}

// BenchmarkLedgerMillion fills 1,000,000 accounts with a card each, and measures the file and a cold opening.
func BenchmarkLedgerMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("a million accounts take half a minute")
	}
	const accounts = 1_000_000
	cfg := testConfig(b)
	cfg.MaxSize = 4 << 30
	l, err := openTuned(cfg, func(l *Ledger) { l.noSync = true })
	if err != nil {
		b.Fatal(err)
	}
	if err := l.LoadProgramme(context.Background(), []byte(testProgramme)); err != nil {
		b.Fatal(err)
	}
	fill(b, l, 1, accounts)
	var used int64
	if err := l.view(func(t *txn) error {
		for _, name := range []string{bucketAcct, bucketCard} {
			s := t.bucket(name).Stats()
			used += int64(s.LeafAlloc + s.BranchAlloc)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	var whole, lazy time.Duration
	var rss int64
	for b.Loop() {
		whole = openTime(b, cfg, 0)
		lazy = openTime(b, cfg, 1)
		l, err := openTuned(cfg)
		if err != nil {
			b.Fatal(err)
		}
		rss = residentKB(b)
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(used)/accounts, "bytes/account")
	b.ReportMetric(float64(whole.Microseconds())/1000, "open-verified-ms")
	b.ReportMetric(float64(lazy.Microseconds())/1000, "open-ms")
	b.ReportMetric(float64(rss)/1024, "rss-MB")
}

func openTime(b *testing.B, cfg Config, verify int64) time.Duration {
	cfg.VerifyBytes = verify
	start := time.Now()
	l, err := openTuned(cfg)
	if err != nil {
		b.Fatal(err)
	}
	d := time.Since(start)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	return d
}

// residentKB is the memory of this process, without pages of mapped files, which the system takes back when it needs them.
func residentKB(b *testing.B) int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "RssAnon:"); ok {
			var kb int64
			if _, err := fmt.Sscan(rest, &kb); err != nil {
				b.Fatal(err)
			}
			return kb
		}
	}
	return 0
}

// BenchmarkLedgerWork is an operation without fsync: what the processor does.
func BenchmarkLedgerWork(b *testing.B) {
	cfg := testConfig(b)
	cfg.MaxSize = 4 << 30
	l := openTest(b, cfg, func(l *Ledger) { l.noSync = true })
	fill(b, l, 1, 10_000)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		r := &loyalty.CloseRequest{Sale: loyalty.SaleID(strconv.Itoa(i)), Card: cardOf(i%10_000 + 1), Receipt: fuel(30)}
		if _, err := l.CloseSale(context.Background(), r); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
