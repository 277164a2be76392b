package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

func open(t testing.TB, cfg embedded.Config) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill makes a store with some of everything in it, and closes it.
func fill(t testing.TB, path string) {
	t.Helper()
	s := open(t, embedded.Config{Path: path})
	b := hq.NewBooks(hq.BooksConfig{Store: s, AutoEnrol: true, Now: hqtest.Start.Time})
	ctx := context.Background()
	_, err1 := b.ImportAccounts(ctx, []loyalty.Account{hqtest.Account(5, 1000), hqtest.Account(6, 0)})
	_, err2 := b.ImportCards(ctx, []loyalty.Card{hqtest.Card("7005110000000011", 5)})
	_, err3 := b.Publish(ctx, hqtest.Programme(1))
	j := hqtest.NewJournal(t, 17)
	_, err4 := b.Hello(ctx, j.Hello())
	r, err5 := b.Answer(ctx, 17, j.TopUp(5, 300))
	j.Take(r)
	j.Sell(5, 200, 30)
	j.Sell(77, 0, 10)
	j.AppendBytes([]byte("unreadable"))
	j.Append(j.Sale(0, "7005110000000012", 0, 10))
	j.Append(j.Sale(0, "7005110000000013", 0, 10))
	j.Issue("7005110000000014", loyalty.MainCard, "", false, "a sealed form")
	j.Append(loyalty.Alerted{Rule: "rule", Card: "7005110000000014", Count: 1})
	_, err6 := b.Post(ctx, []*hq.Batch{j.All()})
	_, err9 := b.ImportCards(ctx, []loyalty.Card{hqtest.Card("7005110000000012", 5)})
	err7 := b.Saw(ctx, []hq.Sighting{{Station: 17, Session: 3, Online: true, At: hqtest.Start, Version: "1.2"}})
	_, err8 := s.Check(ctx)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9, forget(s), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// destroyed is the hash of a form that fill destroys.
var destroyed = loyalty.FormHash{7}

// forget destroys a form, of which its hash stays.
func forget(s *embedded.Store) error {
	save := func(c *hq.Changes) error {
		return s.Update(context.Background(), func(tx hq.Tx) error { return tx.Save(c) })
	}
	return errors.Join(
		save(&hq.Changes{Forms: []hq.Form{{Hash: destroyed, Account: 6, Card: "7005110000000015", Sealed: []byte("gone")}}}),
		save(&hq.Changes{Forgotten: []loyalty.AccountID{6}}),
	)
}

// TestEveryValueIsProtected: whichever value has a bit flipped or is gone, Check says so.
func TestEveryValueIsProtected(t *testing.T) {
	dir := memoryDir(t)
	whole := filepath.Join(dir, "hq.db")
	fill(t, whole)
	type value struct{ bucket, key string }
	var values []value
	edit(t, whole, func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, _ []byte) error {
				values = append(values, value{string(name), string(k)})
				return nil
			})
		})
	})
	if len(values) < 30 {
		t.Fatalf("only %d values", len(values))
	}
	path := filepath.Join(dir, "damaged.db")
	damages := map[string]func(b *bolt.Bucket, k []byte) error{
		"flipped": func(b *bolt.Bucket, k []byte) error {
			v := bytes.Clone(b.Get(k))
			v[len(v)/2] ^= 4
			return b.Put(k, v)
		},
		"gone": func(b *bolt.Bucket, k []byte) error { return b.Delete(k) },
	}
	for damage, do := range damages {
		for _, v := range values {
			switch v.bucket { // what has no other side that could miss it
			case "seen", "lives", "alarm", "awaited", "programme", "stream":
				if damage == "gone" {
					continue
				}
			case "form":
				if damage == "gone" && v.key == string(destroyed[:]) {
					continue
				}
			}
			copyFile(t, whole, path)
			edit(t, path, func(tx *bolt.Tx) error { return do(tx.Bucket([]byte(v.bucket)), []byte(v.key)) })
			if err := check(path); err == nil {
				t.Errorf("%s %x is %s, and nobody sees it", v.bucket, v.key, damage)
			}
		}
	}
	if err := check(whole); err != nil {
		t.Fatal(err)
	}
}

func edit(t testing.TB, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	if err == nil {
		err = errors.Join(db.Update(fn), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func check(path string) error {
	s, err := embedded.Open(embedded.Config{Path: path, ReadOnly: true})
	if err != nil {
		return err
	}
	_, err = s.Check(context.Background())
	return errors.Join(err, s.Close())
}

// TestBalancesAreProven: a balance that its entries do not come to is found, though its checksum is right.
func TestBalancesAreProven(t *testing.T) {
	path := filepath.Join(memoryDir(t), "hq.db")
	fill(t, path)
	s := open(t, embedded.Config{Path: path})
	err := s.Update(t.Context(), func(tx hq.Tx) error {
		rs, err := tx.Records([]loyalty.AccountID{5})
		if err != nil {
			return err
		}
		rs[5].Account.Lots[0].Amount++
		return tx.Save(&hq.Changes{Records: []*loyalty.Record{rs[5]}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context()); err == nil {
		t.Error("an account with a hundredth too much is not found")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := memoryDir(t)
	path := filepath.Join(dir, "hq.db")
	s := open(t, embedded.Config{Path: path})
	if _, err := embedded.Open(embedded.Config{Path: path, Wait: 20 * time.Millisecond}); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("a second process: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(hq.Tx) error { return nil }); !errors.Is(err, embedded.ErrClosed) {
		t.Errorf("update after close: %v", err)
	}
	if err := s.View(t.Context(), func(hq.Tx) error { return nil }); !errors.Is(err, embedded.ErrClosed) {
		t.Errorf("view after close: %v", err)
	}
	edit(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("meta")) })
	if _, err := embedded.Open(embedded.Config{Path: path, ReadOnly: true}); !errors.Is(err, embedded.ErrSchema) {
		t.Errorf("another program's file: %v", err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("not a store\n"), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Open(embedded.Config{Path: text}); err == nil {
		t.Error("a text was opened")
	}
}

// TestCommitsAreShared: rules that run at once share transactions, and one that fails in the middle of writing takes
// nothing of the others with it.
func TestCommitsAreShared(t *testing.T) {
	s := open(t, embedded.Config{Path: filepath.Join(memoryDir(t), "hq.db")})
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range loyalty.StationID(60) {
		wg.Go(func() {
			err := s.Update(context.Background(), func(tx hq.Tx) error {
				if err := tx.Save(&hq.Changes{Stations: []*hq.Station{{ID: i + 1}}}); err != nil {
					return err
				}
				if i%3 == 0 {
					return boom
				}
				return nil
			})
			if (i%3 == 0) != errors.Is(err, boom) {
				t.Errorf("station %d: %v", i+1, err)
			}
		})
	}
	wg.Wait()
	states, err := s.AllStations(t.Context(), 0, 100)
	if err != nil || len(states) != 40 {
		t.Errorf("%d stations, want 40: %v", len(states), err)
	}
	if _, err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkPost is entries a second, in groups as they come when a backlog drains; the floor is the same bytes put under
// rising keys by a bare bbolt, one transaction a group.
func BenchmarkPost(b *testing.B) {
	const group, accounts = 2000, 10_000
	j := hqtest.NewJournal(b, 17)
	for i := range group {
		j.Sell(loyalty.AccountID(i*7919%accounts+1), 0, 100)
	}
	b.Run("floor", func(b *testing.B) {
		db, err := bolt.Open(filepath.Join(b.TempDir(), "floor.db"), 0o600, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = db.Close() }() // measured is what came before
		n := 0
		for b.Loop() {
			err := db.Update(func(tx *bolt.Tx) error {
				k, err := tx.CreateBucketIfNotExists([]byte("x"))
				for _, e := range j.Entries {
					n++
					err = errors.Join(err, k.Put([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, e))
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Run("post", func(b *testing.B) { benchmarkPost(b, group, accounts, 0) })
	b.Run("post with prices", func(b *testing.B) { benchmarkPost(b, group, accounts, 1) })
}

// benchmarkPost posts sales by a version of the programme; zero: they name none that could price them once more.
func benchmarkPost(b *testing.B, group, accounts int, programme uint32) {
	s := open(b, embedded.Config{Path: filepath.Join(b.TempDir(), "hq.db")})
	defer func() { _ = s.Close() }() // measured is what came before
	books := hq.NewBooks(hq.BooksConfig{Store: s, AutoEnrol: true, Now: hqtest.Start.Time})
	var rows []loyalty.Account
	for id := range loyalty.AccountID(accounts) {
		rows = append(rows, hqtest.Account(id+1, 100))
	}
	k, n := hqtest.NewJournal(b, 100), 0
	_, err1 := books.ImportAccounts(b.Context(), rows)
	_, err2 := books.Publish(b.Context(), hqtest.Programme(1))
	_, err3 := books.Hello(b.Context(), k.Hello())
	p, err4 := loyalty.ParseProgramme(hqtest.Programme(1))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		for i := range group {
			sale := k.Sale(loyalty.AccountID((n+i)*7919%accounts+1), "", 0, 0)
			q, err := p.Price(loyalty.Case{Receipt: &sale.Receipt, At: k.At, Station: 100})
			if err != nil {
				b.Fatal(err)
			}
			sale.Earned, sale.Counted, sale.LineEarned = q.Lots, q.Counted, q.LineEarn
			k.AppendEntry(&loyalty.Entry{At: k.At, Op: k.Op(), Programme: programme, Body: sale})
		}
		var batches []*hq.Batch
		for first := n + 1; first <= n+group; first += 500 {
			batches = append(batches, k.Batch(first, first+499))
		}
		b.StartTimer()
		if _, err := books.Post(b.Context(), batches); err != nil {
			b.Fatal(err)
		}
		n += group
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
}
