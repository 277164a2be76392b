//go:build linux

package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	bolt "go.etcd.io/bbolt"
)

// The crash test records what a real process asks of the operating system (strace: writes, truncations, syncs, and the
// answers it gives), rebuilds the file as a power cut could have left it at every point, and holds it against the answers:
// whatever was answered must be there, and the whole store must pass its check.
var crashStates = flag.Int("crash.states", 3000, "states of a crash that TestCrash rebuilds")

const (
	envCrashDir    = "AZS_LEDGER_CRASH_DIR"
	envCrashNoSync = "AZS_LEDGER_CRASH_NOSYNC"
	envCrashRetry  = "AZS_LEDGER_CRASH_RETRY" // ask again when the outcome is unknown
	envCrashTrust  = "AZS_LEDGER_CRASH_TRUST" // take what an opened file shows for what is on the disk
	envCrashFull   = "AZS_LEDGER_CRASH_FULL"  // only ask again for the sale of this id, where nothing can be written
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envCrashDir); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// The model test restarts ledgers, and restarting syncs: fewer rounds than rapid's hundred; the flag goes before.
	if err := flag.Set("rapid.checks", "40"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func crashConfig(dir string) Config {
	return Config{Path: filepath.Join(dir, "ledger.db"), Station: station, Version: "crash", MaxSize: 4 << 20}
}

// crashChild sells with several callers at once and says on standard output what was answered.
func crashChild(dir string) error {
	l, err := openTuned(crashConfig(dir), func(l *Ledger) {
		l.noSync = os.Getenv(envCrashNoSync) != ""
		if os.Getenv(envCrashTrust) != "" {
			l.settle = func(*bolt.DB, *os.File) error { return nil }
		}
		if os.Getenv(envCrashFull) != "" {
			l.reborn = true // writes no Started entry, as if there were no room for it
		}
	})
	if err != nil {
		return err
	}
	defer l.Close()
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	if id := os.Getenv(envCrashFull); id != "" {
		if _, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Card: cardOf(1), Receipt: fuel(3)}); err != nil {
			return err
		}
		say("closed %s", id)
		return nil
	}
	read := make(chan struct{})
	defer func() { <-read }()
	selling, sold := context.WithCancel(context.Background())
	defer sold()
	go func() {
		defer close(read)
		crashReader(selling, l, say)
	}()
	again := func(do func() error) error {
		err := do()
		for errors.Is(err, loyalty.StorageFailed) && os.Getenv(envCrashRetry) != "" {
			say("again")
			err = do()
		}
		return err
	}
	var wg sync.WaitGroup
	ctx := context.Background()
	for c := range 4 {
		wg.Go(func() {
			for i := range 15 {
				id := loyalty.SaleID(fmt.Sprintf("c%d-%d", c, i))
				if err := again(func() error {
					_, err := l.OpenSale(ctx, &loyalty.OpenRequest{Sale: id, Card: cardOf(c + 1), Receipt: fuel(9), Redeem: 3_00})
					return err
				}); err != nil {
					say("FAILED %v", err)
					return
				}
				say("open %s", id)
				who := loyalty.Who{Cashier: "Анна", Shift: uint32(1 + i/5), Counter: fmt.Sprint("c", c)}
				if err := again(func() error {
					_, err := l.CloseSale(ctx, &loyalty.CloseRequest{Sale: id, Receipt: fuel(8), Redeem: 2_00, Who: who})
					return err
				}); err != nil {
					say("FAILED %v", err)
					return
				}
				say("closed %s", id)
				if i == 7 {
					card := newCard(100*c + i)
					if err := again(func() error {
						_, err := l.IssueCard(ctx, &loyalty.IssueRequest{Card: card, Sealed: sealedForm(100*c + i)})
						return err
					}); err != nil {
						say("FAILED %v", err)
						return
					}
					say("card %s", string(card))
				}
				if i%5 == 4 {
					stated := []loyalty.Figure{{Name: "sales", Amount: 5}, {Name: "cash", Amount: 1}}
					if err := again(func() error {
						_, err := l.CloseShift(ctx, &loyalty.ShiftRequest{
							ShiftID: loyalty.ShiftID{Counter: who.Counter, Number: who.Shift}, Cashier: who.Cashier, Stated: stated,
						})
						return err
					}); err != nil {
						say("FAILED %v", err)
						return
					}
					say("shift %s/%d", who.Counter, who.Shift)
				}
				if i%5 == 4 && c == 0 {
					if p, err := l.Position(ctx); err == nil && l.Acked(ctx, p.Epoch, p.Last, p.LastHash, nil) == nil {
						say("acked %d", p.Last)
					}
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// crashReader looks the sales up while they are made, one after the other: what it is shown is an answer too.
func crashReader(ctx context.Context, l *Ledger, say func(string, ...any)) {
	for c := range 4 {
		for i := 0; i < 15 && ctx.Err() == nil; {
			id := loyalty.SaleID(fmt.Sprintf("c%d-%d", c, i))
			if s, err := l.Sale(id); err == nil && s.State == loyalty.SaleDone {
				say("closed %s", id)
				i++
			}
			runtime.Gosched()
		}
	}
}

// sysEvent is one thing that the process did.
type sysEvent struct {
	write  []byte
	off    int64
	size   int64 // of a truncation
	sync   bool
	failed bool // the sync
	answer string
}

var (
	sysLine = regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?(\w+)(.*)$`)
	sysArgs = regexp.MustCompile(`^\((\d+), "((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?, (\d+)(?:, (\d+))?`)
	sysPath = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
	sysFd   = regexp.MustCompile(`^\((\d+)(?:, (\d+))?`)
	sysRet  = regexp.MustCompile(`= (\d+)$`)
)

func findStrace(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("AZS_TEST_REQUIRE") == "1" {
			t.Fatal("strace is required: apt install strace")
		}
		t.Skip("install strace (apt install strace) to run the crash test")
	}
	return strace
}

// record makes a ledger, runs the child on it and reads what it did.
func record(t *testing.T, env ...string) (base []byte, events []sysEvent) {
	t.Helper()
	strace := findStrace(t)
	dir := t.TempDir()
	cfg := crashConfig(dir)
	l, err := openTuned(cfg)
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
	return readAll(t, cfg.Path), trace(t, strace, dir, env...)
}

// injected are the syncs that fail in a run that asks again.
const injected = "fdatasync,fsync:error=EIO:when=5+9"

// trace runs the child under strace and reads what it did.
func trace(t *testing.T, strace, dir string, env ...string) []sysEvent {
	t.Helper()
	trace := filepath.Join(dir, "trace")
	args := []string{"-f", "-xx", "-s", "10000000", "-o", trace, "-e", "trace=openat,pwrite64,ftruncate,fdatasync,fsync,write"}
	if slices.Contains(env, envCrashRetry+"=1") {
		args = append(args, "-e", "inject="+injected)
	}
	cmd := exec.Command(strace, append(args, os.Args[0])...)
	cmd.Env = append(append(os.Environ(), envCrashDir+"="+dir), env...)
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("FAILED")) {
		t.Fatalf("the traced process: %v\n%s", err, out)
	}
	return parseTrace(t, trace, crashConfig(dir).Path)
}

func parseTrace(t *testing.T, trace, path string) (events []sysEvent) {
	t.Helper()
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := make(map[string]bool)     // descriptors of the ledger
	pending := make(map[string]string) // arguments of unfinished calls by thread
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		m := sysLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		thread, call, rest := m[1], m[2], m[3]
		resumed := strings.HasPrefix(rest, " resumed>")
		unfinished := strings.HasSuffix(rest, "<unfinished ...>")
		args := rest
		if resumed {
			args = pending[thread]
		} else if unfinished {
			pending[thread] = rest
		}
		switch call {
		case "openat":
			ret := sysRet.FindStringSubmatch(rest)
			name := sysPath.FindStringSubmatch(args)
			if unfinished || ret == nil || name == nil {
				continue
			}
			if unhex(t, name[1]) == path {
				files[ret[1]] = true
			} else {
				delete(files, ret[1])
			}
		case "pwrite64", "write":
			a := sysArgs.FindStringSubmatch(args)
			if resumed || a == nil { // a write is in flight from its beginning
				continue
			}
			data := unhex(t, a[2])
			switch {
			case call == "pwrite64" && files[a[1]]:
				off, err := strconv.ParseInt(a[4], 10, 64)
				if err != nil || strconv.Itoa(len(data)) != a[3] {
					t.Fatalf("trace: write of %s bytes at %q, %d traced", a[3], a[4], len(data))
				}
				events = append(events, sysEvent{write: []byte(data), off: off})
			case call == "write" && a[1] == "1":
				events = append(events, sysEvent{answer: strings.TrimSpace(data)})
			}
		case "ftruncate":
			if a := sysFd.FindStringSubmatch(args); !resumed && a != nil && files[a[1]] {
				size, err := strconv.ParseInt(a[2], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, sysEvent{size: size})
			}
		case "fdatasync", "fsync":
			if a := sysFd.FindStringSubmatch(args); !unfinished && a != nil && files[a[1]] {
				events = append(events, sysEvent{sync: true, failed: !strings.HasSuffix(rest, "= 0")})
			}
		}
	}
}

func unhex(t *testing.T, s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
