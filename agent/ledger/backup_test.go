package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

func TestBackupAndCheckWhileSalesGoOn(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 1, 900_00, 0)
	stop := busy(t, l)
	var b bytes.Buffer
	if _, err := l.Backup(t.Context(), &b); err != nil {
		t.Error(err)
	}
	_, err := l.Check(t.Context(), nil)
	for i := 0; errors.Is(err, errMoved) && i < 20; i++ {
		_, err = l.Check(t.Context(), nil)
	}
	if err != nil {
		t.Error(err)
	}
	stop()
	copied := damaged(t, cfg, b.Bytes())
	checkTest(t, copied.Path)
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
	to := filepath.Join(t.TempDir(), "backup.db")
	if r, err := o.CopyTo(t.Context(), to); err != nil || r.Last != 2 {
		t.Errorf("copy: %+v, %v", r, err)
	}
	if _, err := o.CopyTo(t.Context(), to); err == nil {
		t.Error("a backup was overwritten")
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
	var b bytes.Buffer
	if _, err := l.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(from, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Lock(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte(nil), b.Bytes()...)
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
