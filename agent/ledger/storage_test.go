//go:build unix

package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
	"golang.org/x/sys/unix"
)

func TestConcurrentCallersShareCommits(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	for i := 1; i <= 8; i++ {
		know(t, l, i, 900_00, 100_00)
	}
	var wg sync.WaitGroup
	var lost atomic.Int64
	const callers, each = 16, 12
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				id := loyalty.SaleID(fmt.Sprintf("s%d-%d", c%8, i)) // two callers ask for the same
				r := &loyalty.CloseRequest{Sale: id, Card: cardOf(c%8 + 1), Receipt: fuel(int64(i + 1)), Redeem: 1_00}
				if _, err := l.CloseSale(context.Background(), r); err != nil {
					t.Errorf("sale %s: %v", id, err)
				}
				if _, err := l.Lookup(cardOf(c%8 + 1)); err != nil {
					lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d look-ups failed", lost.Load())
	}
	st, err := l.Status()
	if err != nil || st.Sales != 8*each {
		t.Errorf("%d sales, want %d: %v", st.Sales, 8*each, err)
	}
	b, err := l.Lookup(cardOf(1))
	if err != nil || b.Cell.Used != each*1_00 {
		t.Errorf("used %s, want %d points: %v", b.Cell.Used, each, err)
	}
}

// TestARefusalLeavesTheRestOfItsGroup queues operations while the writer is held, so that they make one group.
func TestARefusalLeavesTheRestOfItsGroup(t *testing.T) {
	l := openTest(t, testConfig(t))
	know(t, l, 1, 900_00, 50_00)
	group := make([]*call, 0, 3)
	results := make([]error, 3)
	for i, redeem := range []loyalty.Points{30_00, 30_00, 20_00} { // 30 + 20 fit the rights, the second 30 does not
		r := &loyalty.OpenRequest{Sale: loyalty.SaleID(fmt.Sprint("g", i)), Card: cardOf(1), Receipt: fuel(10), Redeem: redeem}
		group = append(group, &call{do: func(tx *txn) error {
			_, err := tx.sell(r.Sale, r.Card, true, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) { return b.Open(r, at) })
			return err
		}})
	}
	done := make(chan struct{})
	if err := l.write(context.Background(), func(*txn) error { close(done); return nil }); err != nil {
		t.Fatal(err)
	}
	<-done // the writer is idle: its place is taken for one group
	l.commit(group)
	for i, c := range group {
		results[i] = c.err
	}
	if results[0] != nil || results[2] != nil {
		t.Errorf("the others: %v, %v", results[0], results[2])
	}
	wantRefusal(t, results[1], loyalty.NoRights)
}

func TestFullFileStopsRedeemingFirstAndRecovers(t *testing.T) {
	cfg := testConfig(t)
	cfg.MaxSize = 4 << 20
	cfg.Retain = time.Hour
	l := openTest(t, cfg, func(l *Ledger) { l.noSync, l.diskFree = true, roomyDisk })
	ctx := context.Background()
	const cards = 100
	for i := 1; i <= cards; i++ {
		know(t, l, i, 9000_00, 5000_00)
	}
	openSaleTest(t, l, "waits", 1, 10, 50_00)
	var redeemStopped, allStopped int
	for i := 0; allStopped == 0; i++ {
		if i > 20_000 {
			t.Fatal("the file never filled")
		}
		_, err := l.CloseSale(ctx, &loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprintf("r%d", i)), Card: cardOf(i%cards + 1), Receipt: fuel(10), Redeem: 1_00})
		switch {
		case errors.Is(err, loyalty.StorageFull) && redeemStopped == 0:
			redeemStopped = i
		case err != nil && !errors.Is(err, loyalty.StorageFull) && !errors.Is(err, loyalty.NoRights):
			t.Fatal(err)
		}
		_, err = l.CloseSale(ctx, &loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprintf("a%d", i)), Card: cardOf(i%cards + 1), Receipt: fuel(10)})
		switch {
		case errors.Is(err, loyalty.StorageFull):
			allStopped = i
		case err != nil:
			t.Fatal(err)
		}
	}
	if redeemStopped == 0 || redeemStopped >= allStopped {
		t.Errorf("redeeming stopped at %d, accruing at %d", redeemStopped, allStopped)
	}
	if st, _ := l.Status(); !st.Full {
		t.Error("the status does not say that the ledger is full")
	}
	closeSaleTest(t, l, "waits", 10, 50_00) // what was reserved is honoured from what is kept back
	ack(t, l, 0)
	if info, err := os.Stat(cfg.Path); err != nil || info.Size() > cfg.MaxSize {
		t.Errorf("the file has %d bytes, the limit is %d", info.Size(), cfg.MaxSize)
	}
	at, _ := l.Now()
	l.HQTime(at.Add(48 * time.Hour))
	if n, err := l.Trim(ctx); err != nil || n == 0 {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	sellTest(t, l, "again", 3, 10) // without a restart
	if _, err := l.CloseSale(ctx, &loyalty.CloseRequest{Sale: "redeems", Card: cardOf(2), Receipt: fuel(10), Redeem: 1_00}); err != nil {
		t.Errorf("redeeming again: %v", err)
	}
}

// TestNewsLeavesTheReserve has headquarters tell of ever more accounts and answer ever more questions.
func TestNewsLeavesTheReserve(t *testing.T) {
	cfg := testConfig(t)
	cfg.MaxSize = 4 << 20
	l := openTest(t, cfg, func(l *Ledger) { l.noSync, l.diskFree = true, roomyDisk })
	ctx := context.Background()
	know(t, l, 1, 9000_00, 5000_00)
	openSaleTest(t, l, "waits", 1, 10, 50_00)
	reserve := reserveOf(cfg.MaxSize)
	left := func() int64 { // as the next writer would find it
		sellTest(t, l, fmt.Sprint("probe", l.state().last), 1, 1)
		return l.lastRoom.Load()
	}
	rng, seq := seeded(3), uint64(0)
	card := func() *pb.Card {
		n := rng.IntN(1 << 40)
		return &pb.Card{Number: string(cardOf(n + 10)), Account: uint64(n + 10), MayRedeem: true, Version: 1}
	}
	var err error
	for err == nil && seq < 1_000_000 {
		down := &pb.Down{Stream: 1, After: seq, Through: seq + 100}
		for range 100 {
			down.Items = append(down.Items, &pb.Item{Item: &pb.Item_Card{Card: card()}})
		}
		if err = l.ApplyDown(ctx, down); err == nil {
			seq += 100
		}
	}
	wantRefusal(t, err, loyalty.StorageFull)
	if p, _ := l.Position(ctx); p.DownSeq != seq || seq == 0 {
		t.Errorf("the cursor is %d, want %d", p.DownSeq, seq)
	}
	if n := left(); n < downReserves*reserve {
		t.Errorf("%d bytes are left by news, the reserve is %d", n, reserve)
	}
	if _, err := l.CloseSale(ctx, &loyalty.CloseRequest{Sale: "redeems", Card: cardOf(1), Receipt: fuel(10), Redeem: 1_00}); err != nil {
		t.Errorf("redeeming: %v", err)
	}
	for err = nil; err == nil; {
		err = l.Learn(ctx, &pb.Answer{Card: card()})
	}
	wantRefusal(t, err, loyalty.StorageFull)
	if n := left(); n < answerReserves*reserve {
		t.Errorf("%d bytes are left by answers, the reserve is %d", n, reserve)
	}
	closeSaleTest(t, l, "waits", 10, 50_00)
	ack(t, l, 0)
}

func TestFullDiskStopsSalesAndRecovers(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	l := openTest(t, testConfig(t), func(l *Ledger) { l.diskFree = func(string) (int64, error) { return free.Load(), nil } })
	know(t, l, 1, 900_00, 500_00)
	openSaleTest(t, l, "waits", 1, 10, 50_00)
	free.Store(0)
	_, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: "x", Card: cardOf(1), Receipt: fuel(3)})
	wantRefusal(t, err, loyalty.StorageFull)
	closeSaleTest(t, l, "waits", 10, 50_00)
	refundTest(t, l, "waits", "r1", 0)
	free.Store(1 << 40)
	sellTest(t, l, "x", 1, 3)
}

// TestAFailedCommitIsUnknownAndTheLedgerGoesOn takes the file away under a commit: the descriptor is replaced by one that
// cannot be written.
func TestAFailedCommitIsUnknownAndTheLedgerGoesOn(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	ctx := context.Background()
	know(t, l, 1, 900_00, 500_00)
	sellTest(t, l, "before", 1, 3)
	readOnly, err := os.Open(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if err := unix.Dup2(int(readOnly.Fd()), int(l.file.Fd())); err != nil {
		t.Fatal(err)
	}
	r := &loyalty.CloseRequest{Sale: "during", Card: cardOf(1), Receipt: fuel(4)}
	_, err = l.CloseSale(ctx, r)
	wantRefusal(t, err, loyalty.StorageFailed)
	if st, err := l.Status(); err != nil || st.StorageErrors != 1 {
		t.Errorf("status %+v, %v", st, err)
	}
	s, err := l.CloseSale(ctx, r) // the same id answers
	if err != nil || s.State != loyalty.SaleDone {
		t.Errorf("again: %+v, %v", s, err)
	}
	sellTest(t, l, "before", 1, 3)
	n := 0
	for _, e := range entries(t, l) {
		if c, ok := e.Body.(loyalty.SaleClosed); ok && c.Sale == "during" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the sale stands %d times in the journal", n)
	}
}

func TestAFileThatCannotBeReopenedAnswersAndIsTriedAgain(t *testing.T) {
	cfg := testConfig(t)
	var broken atomic.Bool
	l := openTest(t, cfg, func(l *Ledger) {
		l.openFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
			if broken.Load() {
				return nil, errors.New("the disk is gone")
			}
			return os.OpenFile(name, flag, perm)
		}
	})
	know(t, l, 1, 900_00, 0)
	broken.Store(true)
	l.reopen(l.db, errors.New("a test"))
	_, err := l.Lookup(cardOf(1))
	wantRefusal(t, err, loyalty.StorageFailed)
	r := &loyalty.CloseRequest{Sale: "x", Card: cardOf(1), Receipt: fuel(4)}
	_, err = l.CloseSale(context.Background(), r)
	wantRefusal(t, err, loyalty.StorageFailed)
	broken.Store(false)
	l.mu.Lock()
	l.tried = time.Time{} // a second later
	l.mu.Unlock()
	if _, err = l.CloseSale(context.Background(), r); err != nil {
		t.Errorf("after the disk is back: %v", err)
	}
}

func TestTrimDropsOnlyWhatIsAcknowledgedAndOld(t *testing.T) {
	cfg := testConfig(t)
	cfg.Retain = 24 * time.Hour
	l := openTest(t, cfg, func(l *Ledger) { l.noSync = true })
	ctx := context.Background()
	for i := 1; i <= 100; i++ {
		know(t, l, i, 900_00, 500_00)
	}
	openSaleTest(t, l, "open", 1, 10, 10_00)
	for i := range 2500 {
		sellTest(t, l, fmt.Sprintf("old%d", i), i%100+1, 1)
	}
	ack(t, l, 2000)
	if n, err := l.Trim(ctx); err != nil || n != 0 {
		t.Errorf("headquarters was not heard: %d, %v", n, err)
	}
	at, _ := l.Now()
	l.HQTime(at)
	if n, err := l.Trim(ctx); err != nil || n != 0 {
		t.Errorf("nothing is old: %d, %v", n, err)
	}
	l.HQTime(at.Add(72 * time.Hour))
	sellTest(t, l, "fresh", 1, 1)
	if n, err := l.Trim(ctx); err != nil || n != 2000 {
		t.Errorf("trimmed %d, want 2000: %v", n, err)
	}
	p, err := l.Position(ctx)
	if err != nil || p.First != 2001 {
		t.Errorf("first %d, want 2001: %v", p.First, err)
	}
	if _, err := l.Sale("open"); err != nil {
		t.Errorf("an open sale was dropped: %v", err)
	}
	_, err = l.Sale("old5")
	wantRefusal(t, err, loyalty.UnknownSale)
	if _, err := l.Sale("old2400"); err != nil {
		t.Errorf("a sale whose entry is not acknowledged was dropped: %v", err)
	}
	if _, err := l.Read(ctx, p.Epoch, 2000, 1, 100); !errors.Is(err, ErrNoEntry) {
		t.Errorf("a trimmed entry: %v", err)
	}
	ack(t, l, 0)
	l.HQTime(at.Add(200 * time.Hour))
	if n, err := l.Trim(ctx); err != nil || n == 0 {
		t.Errorf("trimmed %d: %v", n, err)
	}
	sellTest(t, l, "goes on", 1, 1)
}
