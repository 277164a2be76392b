package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// populated makes a closed ledger with a bit of everything, and returns its sales by id.
func populated(t testing.TB) (Config, map[loyalty.SaleID]*loyalty.Sale) {
	t.Helper()
	cfg := testConfig(t)
	l, err := openTuned(cfg, func(l *Ledger) { l.noSync = true })
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := l.LoadProgramme(ctx, []byte(testProgramme)); err != nil {
		t.Fatal(err)
	}
	sales := make(map[loyalty.SaleID]*loyalty.Sale)
	for i := 1; i <= 30; i++ {
		know(t, l, i, 500_00, 100_00)
		id := loyalty.SaleID(fmt.Sprintf("sale-%d", i))
		s, err := l.OpenSale(ctx, &loyalty.OpenRequest{Sale: id, Card: cardOf(i), Receipt: fuel(20), Redeem: 50_00})
		if err == nil && i%3 != 0 {
			s, err = l.CloseSale(ctx, &loyalty.CloseRequest{Sale: id, Receipt: fuel(15), Redeem: 40_00})
		}
		if err != nil {
			t.Fatal(err)
		}
		sales[id] = s
		if i%5 == 0 {
			issueTest(t, l, i)
			mustRefundThere(t, l, loyalty.SaleID(fmt.Sprintf("there-%d", i)), "r1", 300, soldThere(loyalty.SaleID(fmt.Sprintf("there-%d", i)), i))
		}
		if i == 12 {
			ack(t, l, 0)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	checkTest(t, cfg.Path)
	return cfg, sales
}

// survive opens what has become of a populated ledger and holds it against what was answered: no panic, and nothing is
// missing without an alarm.
func survive(t *testing.T, what string, cfg Config, sales map[loyalty.SaleID]*loyalty.Sale) (salvaged bool) {
	t.Helper()
	l, err := openTuned(cfg, func(l *Ledger) { l.noSync, l.diskFree = true, roomyDisk })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	st, err := l.Status()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	missing := 0
	for id, want := range sales {
		got, err := l.Sale(id)
		switch {
		case errors.Is(err, loyalty.UnknownSale):
			missing++
		case err != nil:
			t.Errorf("%s: sale %s: %v", what, id, err)
		case got.State != want.State || got.Reserved != want.Reserved || (got.Account != want.Account):
			if alarmOf(st) == "" {
				t.Errorf("%s: sale %s is %+v, was %+v, and there is no alarm", what, id, got, want)
			}
		}
	}
	lost := 0
	for _, i := range []int{5, 10, 15, 20, 25, 30} {
		is, err := l.Issued(newCard(i))
		_, again := refundThere(l, loyalty.SaleID(fmt.Sprintf("there-%d", i)), "r1", 300, nil)
		if err != nil || (again != nil && !errors.Is(again, loyalty.Offline) && !errors.Is(again, loyalty.NoProgramme)) {
			t.Errorf("%s: card %d: %v, %v", what, i, err, again)
		}
		if is == nil || again != nil {
			lost++
		}
	}
	if alarmOf(st) == "" && (lost > 0 || len(waiting(t, l)) != 4) {
		t.Errorf("%s: %d cards or refunds are missing, %d forms wait, and there is no alarm", what, lost, len(waiting(t, l)))
	}
	if alarmOf(st) == "" && (missing > 0 || st.Accounts != 30 || st.Cards != 30 || st.Position.Epoch != 1) {
		t.Errorf("%s: %d sales are missing, %d accounts, and there is no alarm", what, missing, st.Accounts)
	}
	if alarmOf(st) != "" {
		if st.Frozen == "" || st.Position.Epoch == 1 {
			t.Errorf("%s: alarm %q, but redeeming goes on in epoch %d", what, alarmOf(st), st.Position.Epoch)
		}
		if keptOf(st) == "" {
			t.Errorf("%s: alarm %q, and the file was not kept", what, alarmOf(st))
		} else if _, err := os.Stat(keptOf(st)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: "after", Card: cardOf(1), Receipt: fuel(3)}); err != nil && !errors.Is(err, loyalty.NoProgramme) && !errors.Is(err, loyalty.UnknownCard) {
			t.Errorf("%s: accruing afterwards: %v", what, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if _, err := CheckFile(context.Background(), cfg.Path, nil); err != nil {
		t.Errorf("%s: check after salvage: %v", what, err)
	}
	return alarmOf(st) != ""
}

func damaged(t *testing.T, cfg Config, content []byte) Config {
	t.Helper()
	cfg.Path = filepath.Join(t.TempDir(), "ledger.db")
	cfg.WitnessPath = cfg.Path + ".witness"
	if err := os.WriteFile(cfg.Path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestBitFlipsNeverTakeTheProcessDownNorLoseSilently(t *testing.T) {
	cfg, sales := populated(t)
	good := readAll(t, cfg.Path)
	rng := seeded(7)
	flips := 150
	if testing.Short() {
		flips = 40
	}
	found := 0
	for i := range flips {
		b := append([]byte(nil), good...)
		at := rng.IntN(len(b))
		if i%10 == 0 {
			at = rng.IntN(2) * os.Getpagesize() // the heads
			at += rng.IntN(80)
		}
		b[at] ^= 1 << rng.IntN(8)
		if survive(t, fmt.Sprintf("bit flip at %d", at), damaged(t, cfg, b), sales) {
			found++
		}
	}
	if found == 0 {
		t.Error("no flip was ever found: the test proves nothing")
	}
	t.Logf("%d of %d flips hit something in use", found, flips)
}

func TestTruncationsAndTornPagesAreSurvived(t *testing.T) {
	cfg, sales := populated(t)
	good := readAll(t, cfg.Path)
	rng := seeded(8)
	n := 40
	if testing.Short() {
		n = 10
	}
	for i := range n {
		cut := rng.IntN(len(good))
		if i == 0 {
			cut = 1
		}
		survive(t, fmt.Sprintf("cut to %d", cut), damaged(t, cfg, good[:cut]), sales)
		b := append([]byte(nil), good...)
		page := rng.IntN(len(b) / 4096)
		for j := range 4096 {
			b[page*4096+j] = byte(rng.Uint32())
		}
		survive(t, fmt.Sprintf("page %d of noise", page), damaged(t, cfg, b), sales)
	}
}

func TestSalvageKeepsWhatCanBeRead(t *testing.T) {
	cfg, sales := populated(t)
	b := readAll(t, cfg.Path)
	// The record stands in older pages too, which are not in use any more: the flip has to hit the one that counts.
	const record = "sale-7\x08"
	var c Config
	hit := false
	for at := strings.Index(string(b), record); at >= 0 && !hit; {
		flipped := slices.Clone(b)
		flipped[at+8] ^= 0x40
		c = damaged(t, cfg, flipped)
		hit = survive(t, "one broken record", c, sales)
		next := strings.Index(string(b[at+1:]), record)
		if next < 0 {
			break
		}
		at += 1 + next
	}
	if !hit {
		t.Fatal("no flip hit the record that is in use")
	}
	l := openTest(t, c)
	for id, want := range sales {
		got, err := l.Sale(id)
		if err != nil || got.State != want.State || got.Quote.Redeem != want.Quote.Redeem {
			t.Errorf("sale %s: %+v, %v", id, got, err)
		}
	}
}

func TestLostLedgerIsAnAlarm(t *testing.T) {
	cfg, _ := populated(t)
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	l := openTest(t, cfg)
	st, err := l.Status()
	if err != nil || alarmOf(st) == "" || st.Frozen == "" || st.Position.Epoch != 2 {
		t.Errorf("status %+v, %v", st, err)
	}
	ack(t, l, 0)
	if st, _ := l.Status(); st.Frozen != "" {
		t.Errorf("still frozen after headquarters has it all: %s", st.Frozen)
	}
}

// FuzzFile damages a ledger: a patch somewhere, the end cut off, and the heads' checksums made to hold, so that what they
// say is followed.
func FuzzFile(f *testing.F) {
	cfg, _ := populated(f)
	good := readAll(f, cfg.Path)
	f.Add(uint32(8192), uint32(len(good)), []byte{1, 2, 3, 4})
	f.Add(uint32(16+40), uint32(len(good)), []byte{0xff, 0xff, 0xff, 0xff, 0x7f}) // the end of the file, as a head says it
	f.Add(uint32(16+16), uint32(4096*3), []byte{9})
	f.Fuzz(func(t *testing.T, at, size uint32, patch []byte) {
		b := append([]byte(nil), good...)
		copy(b[int(at)%len(b):], patch)
		for _, head := range []int{0, os.Getpagesize()} {
			h := fnv.New64a()
			h.Write(b[head+pageHeader : head+pageHeader+56])
			binary.LittleEndian.PutUint64(b[head+pageHeader+56:], h.Sum64())
		}
		b = b[:int(size)%(len(b)+1)]
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := verifyFile(path); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if _, err := CheckFile(context.Background(), path, nil); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		recs, err := collect(path)
		if err != nil {
			t.Fatal(err)
		}
		recs.rebuild()
	})
}

// TestALostHeadLosesNoAnswer breaks the head of the last transaction: what it answered lies in pages that no head reaches.
func TestALostHeadLosesNoAnswer(t *testing.T) {
	cfg, sales := populated(t)
	b := readAll(t, cfg.Path)
	p, err := newPageFile(strings.NewReader(string(b)), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	head := 0
	if p.newest() == p.metas[1] {
		head = int(p.pageSize)
	}
	b[head+40] ^= 0x10
	c := damaged(t, cfg, b)
	l := openTest(t, c, func(l *Ledger) { l.noSync = true })
	if st, err := l.Status(); err != nil || !strings.Contains(alarmOf(st), " 0 entries") {
		t.Errorf("status %+v, %v", st, err)
	}
	for id, want := range sales {
		got, err := l.Sale(id)
		if err != nil || got.State != want.State || got.OpEnd != want.OpEnd || got.Quote.Redeem != want.Quote.Redeem {
			t.Errorf("sale %s: %+v, %v; was %+v", id, got, err, want)
		}
	}
}
