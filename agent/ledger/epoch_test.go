package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	bolt "go.etcd.io/bbolt"
)

func openSaleTest(t testing.TB, l *Ledger, id string, card int, litres int64, redeem loyalty.Points) *loyalty.Sale {
	t.Helper()
	s, err := l.OpenSale(context.Background(), &loyalty.OpenRequest{Sale: loyalty.SaleID(id), Card: cardOf(card), Receipt: fuel(litres), Redeem: redeem})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeSaleTest(t testing.TB, l *Ledger, id string, litres int64, redeem loyalty.Points) *loyalty.Sale {
	t.Helper()
	s, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Receipt: fuel(litres), Redeem: redeem})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewEpochWritesTheTailAgain(t *testing.T) {
	l := openTest(t, testConfig(t))
	ctx := context.Background()
	know(t, l, 1, 900_00, 500_00)
	openSaleTest(t, l, "old", 1, 10, 100_00) // acknowledged while open
	openSaleTest(t, l, "ends", 1, 10, 90_00) // acknowledged, ends in the tail
	ack(t, l, 0)
	first := closeSaleTest(t, l, "ends", 10, 60_00)
	openSaleTest(t, l, "new", 1, 10, 80_00)
	before := entries(t, l)
	old, err := l.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	total := func() loyalty.Points {
		b, err := l.Lookup(cardOf(1))
		if err != nil {
			t.Fatal(err)
		}
		a := b.Local.Current()
		return a.Total(first.EndedAt)
	}
	was := total()

	if err := l.NewEpochAbove(ctx, 6, "a test"); err != nil {
		t.Fatal(err)
	}
	p, err := l.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if p.Epoch != 7 || p.First != 1 || p.Last != 3 || p.Acked != 0 || p.Nonce == old.Nonce {
		t.Fatalf("position %+v", p)
	}
	after := entries(t, l)
	for i, e := range before[3:] {
		if got := after[1+i]; got.Op != e.Op || got.At != e.At {
			t.Errorf("entry %d: %+v, was %+v", i, got, e)
		}
	}
	// 100 and 90 were reserved when the tail began; 30 of the 90 came back; then 80 more.
	want := []loyalty.Statement{{Used: 190_00, Voided: 30_00}, {Used: 270_00, Voided: 30_00}}
	for i, w := range want {
		if got, _ := statementOf(after[1+i].Body); got != w {
			t.Errorf("statement %d: %+v, want %+v", i, got, w)
		}
	}
	b, err := l.Lookup(cardOf(1))
	if err != nil || b.Cell != (loyalty.Cell{Issued: 240_00, Used: 270_00, Voided: 30_00}) || b.Reserved != 180_00 || !b.Frozen {
		t.Errorf("books %+v, %v", b, err)
	}
	if total() != was {
		t.Errorf("total %s, was %s", total(), was)
	}
	if s, err := l.Sale("ends"); err != nil || s.SeqEnd != 2 || s.OpEnd != first.OpEnd {
		t.Errorf("the sale that moved: %+v, %v", s, err)
	}

	_, err = l.OpenSale(ctx, &loyalty.OpenRequest{Sale: "x", Card: cardOf(1), Receipt: fuel(10), Redeem: 10_00})
	wantRefusal(t, err, loyalty.RedeemFrozen)
	closeSaleTest(t, l, "old", 10, 100_00) // what was reserved is honoured
	sellTest(t, l, "accrues", 1, 5)
	ack(t, l, 2)
	if st, _ := l.Status(); st.Frozen == "" {
		t.Error("thawed before headquarters has the whole tail")
	}
	ack(t, l, 3)
	if st, _ := l.Status(); st.Frozen != "" {
		t.Errorf("still frozen: %s", st.Frozen)
	}
	if h, err := l.HashAt(old.Epoch, old.Last); err != nil || h != old.LastHash {
		t.Errorf("the old life is kept as evidence: %v, %v", h, err)
	}
}

func TestAnAcknowledgementThatDiffersIsAFork(t *testing.T) {
	l := openTest(t, testConfig(t))
	ctx := context.Background()
	know(t, l, 1, 900_00, 0)
	sellTest(t, l, "a", 1, 5)
	p, err := l.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Acked(ctx, p.Epoch, p.Last, wire.Hash{1}, nil); !errors.Is(err, ErrFork) {
		t.Errorf("another hash: %v", err)
	}
	if err := l.Acked(ctx, p.Epoch, p.Last+1, p.LastHash, nil); !errors.Is(err, ErrFork) {
		t.Errorf("an entry that was never written: %v", err)
	}
	if err := l.Acked(ctx, p.Epoch+1, 1, wire.Hash{1}, nil); err != nil {
		t.Errorf("another epoch: %v", err)
	}
	if err := l.Acked(ctx, p.Epoch, p.Last, p.LastHash, nil); err != nil {
		t.Error(err)
	}
	if err := l.Acked(ctx, p.Epoch, 1, wire.Hash{}, nil); !errors.Is(err, ErrFork) {
		t.Errorf("an old acknowledgement with another hash: %v", err)
	}
	if after, _ := l.Position(ctx); after.Acked != p.Last {
		t.Errorf("acked %d, want %d", after.Acked, p.Last)
	}
	if _, err := l.HashAt(p.Epoch, p.Last+5); !errors.Is(err, ErrNoEntry) {
		t.Errorf("hash of no entry: %v", err)
	}
	if _, err := l.Read(ctx, p.Epoch+3, 1, 10, 1000); !errors.Is(err, ErrNoEntry) {
		t.Errorf("entries of no epoch: %v", err)
	}
	if raw, err := l.Read(ctx, p.Epoch, p.Last+1, 10, 1000); err != nil || len(raw) != 0 {
		t.Errorf("behind the end: %d, %v", len(raw), err)
	}
	if raw, err := l.Read(ctx, p.Epoch, 1, 10, 1); err != nil || len(raw) != 1 {
		t.Errorf("at least one: %d, %v", len(raw), err)
	}
}

func TestARestoredCopyIsFoundByTheWitness(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 500_00)
	sellTest(t, l, "a", 1, 5)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	old := readAll(t, cfg.Path)
	l = openTest(t, cfg)
	sellTest(t, l, "b", 1, 5)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	restored := damaged(t, cfg, old)
	restored.WitnessPath = cfg.Path + ".witness"
	l = openTest(t, restored)
	st, err := l.Status()
	if err != nil || st.Position.Epoch != 2 || !strings.Contains(st.Frozen, "witness") || alarmOf(st) == "" {
		t.Fatalf("status %+v, %v", st, err)
	}
	_, err = l.OpenSale(context.Background(), &loyalty.OpenRequest{Sale: "c", Card: cardOf(1), Receipt: fuel(10), Redeem: 10_00})
	wantRefusal(t, err, loyalty.RedeemFrozen)
	sellTest(t, l, "d", 1, 5)
}

func TestASecondProcessIsRefusedWithTheFirstsNumber(t *testing.T) {
	cfg := testConfig(t)
	openTest(t, cfg)
	_, err := Open(context.Background(), cfg)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d,", os.Getpid())) {
		t.Errorf("second opening: %v", err)
	}
}

func TestRunsThatDidNotCloseAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	for want := range 3 {
		l, err := lockFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if l.crashes != want {
			t.Errorf("%d runs did not close, want %d", l.crashes, want)
		}
		if err := l.f.Close(); err != nil { // as the system does for a process that was killed
			t.Fatal(err)
		}
	}
	for _, want := range []int{3, 0} {
		l, err := lockFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if l.crashes != want {
			t.Errorf("%d runs did not close, want %d", l.crashes, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnotherStationsLedgerIsRefused(t *testing.T) {
	cfg := testConfig(t)
	if err := openTest(t, cfg).Close(); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.Station++
	if _, err := Open(context.Background(), other); !errors.Is(err, ErrStation) {
		t.Errorf("another station: %v", err)
	}
	openTest(t, cfg)
}

func TestMigrationsRunInTheirOrderOnce(t *testing.T) {
	cfg := testConfig(t)
	if err := openTest(t, cfg).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(cfg.Path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	setSchema := func(v uint32) error {
		return db.Update(func(tx *bolt.Tx) error { return (&txn{tx: tx, buckets: map[string]*bolt.Bucket{}}).putSchema(v) })
	}
	if err := setSchema(1); err != nil {
		t.Fatal(err)
	}
	var ran []int
	step := func(i int) migration {
		return func(tx *bolt.Tx) error {
			ran = append(ran, i)
			_, err := tx.CreateBucket([]byte{byte('a' + i)})
			return err
		}
	}
	failing := []migration{step(2), func(*bolt.Tx) error { return errors.New("no") }}
	if err := migrate(db, failing); err == nil {
		t.Fatal("a failing migration passed")
	}
	steps := []migration{step(2), step(3), step(4)}
	for range 2 {
		if err := migrate(db, steps); err != nil {
			t.Fatal(err)
		}
	}
	if len(ran) != 3 || ran[0] != 2 || ran[1] != 3 || ran[2] != 4 {
		t.Errorf("ran %v, want 2 3 4 once each", ran)
	}
	if err := migrate(db, nil); !errors.Is(err, ErrSchema) {
		t.Errorf("a newer file: %v", err)
	}
	// The extra buckets are not the ledger's: leave the file as it was made.
	if err := db.Update(func(tx *bolt.Tx) error {
		for i := 2; i <= 4; i++ {
			if err := tx.DeleteBucket([]byte{byte('a' + i)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := setSchema(schemaVersion); err != nil {
		t.Fatal(err)
	}
}

// A ledger of the first layout goes on with what the second has added.
func TestALedgerOfTheFirstSchemaGoesOn(t *testing.T) {
	cfg := testConfig(t)
	if err := openTest(t, cfg).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(cfg.Path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range bucketNames()[11:] {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return (&txn{tx: tx, buckets: map[string]*bolt.Bucket{}}).putSchema(1)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	l := openTest(t, cfg)
	if _, err := l.OpenShift(t.Context(), &loyalty.ShiftRequest{ShiftID: loyalty.ShiftID{Number: 1}}); err != nil {
		t.Error(err)
	}
}
