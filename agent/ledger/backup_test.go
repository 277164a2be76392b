package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// busy sells until the test says stop; the first sale is done when it returns.
func busy(t *testing.T, l *Ledger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	n, begun := make(chan struct{}), make(chan struct{})
	defer func() { <-begun }()
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprint("busy", i)), Card: cardOf(1), Receipt: fuel(1)}); err != nil {
				t.Error(err)
			}
			if i == 0 {
				close(begun)
			}
		}
		close(n)
	}()
	return func() { cancel(); <-n }
}

func TestBackupWhileSalesGoOn(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 0)
	stop := busy(t, l)
	to := filepath.Join(t.TempDir(), "backup.db")
	r, err := Backup(t.Context(), cfg.Path, to, CopyRate)
	stop()
	if err != nil || r.Sales == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	checkTest(t, to)
	if r, err := Backup(t.Context(), cfg.Path, to, CopyRate); err == nil {
		t.Errorf("a backup was overwritten: %+v", r)
	}
}

// sellingFile is a ledger in which sales end each time that its first pages have been read, for some times.
type sellingFile struct {
	*os.File
	sell func()
	left int
}

func (f *sellingFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	if len(b) == copyChunk && at == 0 && f.left > 0 {
		f.left--
		f.sell()
	}
	return n, err
}

func TestACopyCatchesUpOrSaysThatItCannot(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg, func(l *Ledger) { l.noSync = true })
	for i := range 300 {
		know(t, l, i+1, 900_00, 0)
	}
	n := 0
	for _, tt := range []struct {
		times int
		want  error
	}{{0, nil}, {2, nil}, {1 << 30, ErrBusy}} {
		src, err := os.Open(cfg.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		dst, err := createTemp(filepath.Join(t.TempDir(), "copy"))
		if err != nil {
			t.Fatal(err)
		}
		defer dst.Close()
		f := &sellingFile{src, func() {
			for range 5 {
				n++
				sellTest(t, l, fmt.Sprint("s", n), n%300+1, 1)
			}
		}, tt.times}
		if err := copySlowly(dst, f, newPace(t.Context(), 0)); err != nil {
			t.Fatal(err)
		}
		if err := catchUp(t.Context(), dst, f, 0); !errors.Is(err, tt.want) {
			t.Errorf("sales that end %d times: %v, want %v", tt.times, err, tt.want)
		}
		if tt.want != nil {
			continue
		}
		if r, err := CheckFile(t.Context(), dst.Name(), nil); err != nil || r.Sales != uint64(n) {
			t.Errorf("sales that end %d times: %+v, %v", tt.times, r, err)
		}
	}
}

func TestACopyKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPace(t.Context(), 1_000_000)
		for range 20 {
			if err := p.wait(100_000); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("2 MB at 1 MB/s took %s", took)
		}
	})
}

func TestInspectARunningLedger(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 0)
	sellTest(t, l, "a", 1, 3)
	o, err := Inspect(t.Context(), cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	sellTest(t, l, "b", 1, 3)
	n := 0
	if err := o.Journal(t.Context(), func(JournalEntry) error { n++; return nil }); err != nil || n != 2 {
		t.Errorf("%d entries, want 2: %v", n, err)
	}
	if r, err := o.Check(t.Context(), nil); err != nil || r.Last != 2 {
		t.Errorf("check: %+v, %v", r, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(cfg.Path + ".copy*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := Lock(cfg.Path); !errors.Is(err, ErrInUse) {
		t.Errorf("compact and restore of a running ledger: %v", err)
	}
}

func TestRestoreBeginsANewEpoch(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 0)
	sellTest(t, l, "a", 1, 3)
	from := filepath.Join(t.TempDir(), "backup.db")
	if _, err := Backup(t.Context(), cfg.Path, from, 0); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := Lock(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	broken := readAll(t, from)
	for i := 8192; i < len(broken); i += 512 {
		broken[i] ^= 0xff
	}
	bad := filepath.Join(t.TempDir(), "bad.db")
	if err := os.WriteFile(bad, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.Restore(t.Context(), bad); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a broken backup: %v", err)
	}
	kept, r, err := o.Restore(t.Context(), from)
	if err != nil || r.Last != 2 {
		t.Fatalf("restore: %+v, %v", r, err)
	}
	checkTest(t, kept)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, cfg)
	st, err := l.Status()
	if err != nil || st.Position.Epoch != 2 || !strings.Contains(st.Frozen, "restored") {
		t.Errorf("status %+v, %v", st, err)
	}
}

func TestCompactKeepsEverything(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg, func(l *Ledger) { l.noSync = true })
	know(t, l, 1, 900_00, 0)
	for i := range 200 {
		sellTest(t, l, fmt.Sprint(i), 1, 3)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	was, err := CheckFile(t.Context(), cfg.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := Lock(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	before, after, err := o.Compact(t.Context())
	if err != nil || after >= before {
		t.Errorf("compacted %d to %d, %v", before, after, err)
	}
	is, err := o.Check(t.Context(), nil)
	if err != nil || is.Hash != was.Hash || is.Sales != was.Sales || is.Accounts != was.Accounts {
		t.Errorf("was %+v, is %+v, %v", was, is, err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, cfg)
}
