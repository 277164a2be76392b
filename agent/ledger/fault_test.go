//go:build linux

package ledger

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// TestSyncErrorsLoseNoAnswer lets the operating system fail fsync, once here and there, in a real process that goes on.
func TestSyncErrorsLoseNoAnswer(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("AZS_TEST_REQUIRE") == "1" {
			t.Fatal("strace is required: apt install strace")
		}
		t.Skip("install strace (apt install strace) to inject errors of fsync")
	}
	dir := t.TempDir()
	l, err := openTuned(crashConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.LoadProgramme(context.Background(), []byte(watchedProgramme)); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 4; i++ {
		know(t, l, i, 900_00, 500_00)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strace, "-f", "-o", os.DevNull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=5+9", os.Args[0])
	cmd.Env = append(os.Environ(), envCrashDir+"="+dir, envCrashRetry+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("FAILED")) {
		t.Fatalf("the process: %v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("again")) {
		t.Error("no error was injected: the test proves nothing")
	}
	var answers []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "again" {
			answers = append(answers, line)
		}
	}
	if len(answers) < 100 {
		t.Errorf("%d answers", len(answers))
	}
	if err := judge(readAll(t, crashConfig(dir).Path), answers); err != nil {
		t.Error(err)
	}
}

// TestCorruptionUnderARunningLedger breaks pages of the file while it is open.
func TestCorruptionUnderARunningLedger(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg, func(l *Ledger) { l.noSync = true })
	const cards = 300
	for i := 1; i <= cards; i++ {
		know(t, l, i, 900_00, 0)
	}
	for i := range 60 {
		sellTest(t, l, fmt.Sprint("s", i), i+1, 3)
	}
	f, err := os.OpenFile(cfg.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := readAll(t, cfg.Path)
	broken := 0
	for at := 2 * 4096; at+4096 <= len(b); at += 4096 {
		if bytes.Contains(b[at:at+4096], []byte(cardOf(150))) {
			if _, err := f.WriteAt(bytes.Repeat([]byte{0xA5}, 4096), int64(at)); err != nil {
				t.Fatal(err)
			}
			broken++
		}
	}
	if broken == 0 {
		t.Fatal("no page was found to break")
	}
	_, err = l.Lookup(cardOf(150))
	wantRefusal(t, err, loyalty.StorageFailed)
	// The writer has been asked to look: with its next group the file is moved aside and salvaged.
	r := &loyalty.CloseRequest{Sale: "goes on", Card: cardOf(1), Receipt: fuel(3)}
	for range 3 {
		if _, err = l.CloseSale(context.Background(), r); err == nil {
			break
		}
		wantRefusal(t, err, loyalty.StorageFailed)
	}
	if err != nil {
		t.Fatal(err)
	}
	st, err := l.Status()
	if err != nil || alarmOf(st) == "" || st.Frozen == "" || keptOf(st) == "" || st.Position.Epoch != 2 {
		t.Errorf("status %+v, %v", st, err)
	}
	for i := range 60 {
		if _, err := l.Sale(loyalty.SaleID(fmt.Sprint("s", i))); err != nil {
			t.Errorf("sale s%d: %v", i, err)
		}
	}
}

// TestAPanicInASoundFileDoesNotLockItForGood: what took bbolt down may be gone when the file is read again. Its mapping,
// which cannot be taken away from a bbolt that panicked, must not keep the file locked.
func TestAPanicInASoundFileDoesNotLockItForGood(t *testing.T) {
	l := openTest(t, testConfig(t), func(l *Ledger) { l.noSync = true })
	know(t, l, 1, 900_00, 0)
	sellTest(t, l, "before", 1, 3)
	r := &loyalty.CloseRequest{Sale: "after", Card: cardOf(1), Receipt: fuel(4)}
	c := &call{do: func(*txn) error { panic("a page that cannot be") }}
	if err := l.write(t.Context(), func(*txn) error { return nil }); err != nil { // the writer is idle
		t.Fatal(err)
	}
	l.commit([]*call{c})
	wantRefusal(t, c.err, loyalty.StorageFailed)
	if _, err := l.CloseSale(t.Context(), r); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if st, err := l.Status(); err != nil || len(st.Alarms) != 0 || st.Position.Epoch != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestFreelistIsWrittenOnlyWhileShort pins that the setting may be changed between transactions: opening what either
// leaves behind, and going on.
func TestFreelistIsWrittenOnlyWhileShort(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg, func(l *Ledger) { l.noSync = true })
	for i := 1; i <= 50; i++ {
		know(t, l, i, 900_00, 0)
	}
	written := func() bool {
		f, err := os.Open(cfg.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p, err := newPageFile(f, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		return p.newest().freelist != noFreelist
	}
	for i := range 12 {
		l.longList = 1000 * ((i + 1) % 2) // any list is a long one every other time
		sellTest(t, l, fmt.Sprint(i), i+1, 3)
		if got := written(); got != (i%2 == 0) {
			t.Errorf("transaction %d: the list of free pages written: %v", i, got)
		}
		if i%5 == 4 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			checkTest(t, cfg.Path)
			l = openTest(t, cfg, func(l *Ledger) { l.noSync = true })
		}
	}
}
