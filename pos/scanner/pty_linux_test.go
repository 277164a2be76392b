package scanner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

const patience = 10 * time.Second // of a test, not of the code under test

// gun is a scanner made of pseudo-terminals: plugging it in makes a new one and a stable link to it, as udev does.
type gun struct {
	t      testing.TB
	link   string
	master *os.File
}

func newGun(t testing.TB) *gun {
	g := &gun{t: t, link: filepath.Join(t.TempDir(), "by-id")}
	t.Cleanup(g.unplug)
	return g
}

func (g *gun) plug() {
	g.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		g.t.Fatal(err)
	}
	defer slave.Close()
	if err := os.Symlink(slave.Name(), g.link); err != nil {
		g.t.Fatal(err)
	}
	g.master = master
}

func (g *gun) unplug() {
	if g.master != nil {
		_ = os.Remove(g.link)
		g.master.Close()
		g.master = nil
	}
}

func (g *gun) send(s string) {
	g.t.Helper()
	if _, err := g.master.WriteString(s); err != nil {
		g.t.Fatal(err)
	}
}

// rig is a running scanner and what it says.
type rig struct {
	*Scanner
	frames chan Frame
	states chan State
	stop   func()
}

func run(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{frames: make(chan Frame, 16), states: make(chan State, 16)}
	cfg.OnFrame = func(f Frame) { r.frames <- f }
	cfg.OnState = func(s State) { r.states <- s }
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Scanner = s
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := receive(t, done); err != nil {
			t.Error(err)
		}
	}
	return r
}

func receive[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

func (r *rig) until(t testing.TB, connected bool) State {
	t.Helper()
	for {
		if s := receive(t, r.states); s.Connected == connected {
			return s
		}
	}
}

func quick(port string) Config {
	return Config{Port: port, Reopen: Reopen{Min: 2 * time.Millisecond, Max: 10 * time.Millisecond}}
}

func descriptors(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func TestAHundredReplugs(t *testing.T) {
	g := newGun(t)
	// Once around before counting: the runtime keeps a poller and some threads for itself.
	g.plug()
	r := run(t, quick(g.link))
	r.until(t, true)
	r.stop()
	g.unplug()
	fds, goroutines := descriptors(t), runtime.NumGoroutine()

	r = run(t, quick(g.link))
	for i := range 100 {
		g.plug()
		r.until(t, true)
		want := fmt.Sprintf("%016d", i)
		g.send(want + "\r")
		if f := receive(t, r.frames); string(f.Data) != want || f.End != EndTerminator {
			t.Fatalf("replug %d: got %q, %s", i, f.Data, f.End)
		}
		g.send("half")
		g.unplug()
		r.until(t, false)
	}
	r.stop()
	st := r.State()
	if st.Opens != 100 || st.Frames != 100 || st.Connected {
		t.Errorf("%+v", st)
	}
	if n := descriptors(t); n > fds {
		t.Errorf("%d descriptors, %d before", n, fds)
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

func TestNoiseThenAFrame(t *testing.T) {
	g := newGun(t)
	g.plug()
	r := run(t, quick(g.link))
	defer r.stop()
	r.until(t, true)
	g.send("\xf8\x80\xfe\x00\xe0\x98" + strings.Repeat("\x80\xf8", 3000) + "\r7005123456789015\r\n")
	for {
		if f := receive(t, r.frames); f.End == EndTerminator && string(f.Data) == "7005123456789015" {
			break
		}
	}
	if f := receive(t, r.frames); f.End != EndTail {
		t.Errorf("after the frame came %q, %s", f.Data, f.End)
	}
}

func TestWhatWasScannedWhileNobodyListenedIsForgotten(t *testing.T) {
	g := newGun(t)
	g.plug()
	g.send("7005000000000000\r")
	r := run(t, quick(g.link))
	defer r.stop()
	r.until(t, true)
	g.send("7005123456789015\r")
	if f := receive(t, r.frames); string(f.Data) != "7005123456789015" {
		t.Errorf("got %q", f.Data)
	}
}

func TestALinkThatMovesIsFollowed(t *testing.T) {
	g := newGun(t)
	g.plug()
	r := run(t, quick(g.link))
	defer r.stop()
	r.until(t, true)
	old := g.master
	defer old.Close() // the first port stays alive: only its name goes
	if err := os.Remove(g.link); err != nil {
		t.Fatal(err)
	}
	r.until(t, false)
	g.plug()
	r.until(t, true)
	g.send("7005123456789015\r")
	if f := receive(t, r.frames); string(f.Data) != "7005123456789015" {
		t.Errorf("got %q", f.Data)
	}
}

func TestASecondReaderIsRefused(t *testing.T) {
	g := newGun(t)
	g.plug()
	dev, err := openDevice(g.link, Line{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	// The exclusive mode does not hold back root, the lock does; both must be there.
	if _, err := openDevice(g.link, Line{}.withDefaults()); !errors.Is(err, ErrBusy) {
		t.Errorf("second opening: %v, want ErrBusy", err)
	}
	if excl, err := unix.IoctlGetInt(dev.(*port).guard, unix.TIOCGEXCL); err != nil || excl != 1 {
		t.Errorf("exclusive mode %d, %v", excl, err)
	}
	if holder, ok := (Host{}).LockHolder(g.link); !ok || holder.PID != os.Getpid() {
		t.Errorf("lock holder %v %v, want this process", holder, ok)
	}
	if owners := (Host{}).Owners(g.link); len(owners) != 1 || owners[0].PID != os.Getpid() {
		t.Errorf("owners %v, want this process", owners)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	dev, err = openDevice(g.link, Line{}.withDefaults())
	if err != nil {
		t.Fatalf("after closing: %v", err)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpeningFailsWithAWordOfAdvice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{"/dev/azs-no-such-port": ErrNoPort, file: ErrConfig, "/dev/null": ErrConfig} {
		dev, err := openDevice(path, Line{}.withDefaults())
		if !errors.Is(err, want) {
			t.Errorf("%s: %v %v, want %v", path, dev, err, want)
		}
	}
}

// BenchmarkLastByteToFrame is the time from writing a code and its terminator at the scanner's side to having the frame.
func BenchmarkLastByteToFrame(b *testing.B) {
	g := newGun(b)
	g.plug()
	r := run(b, quick(g.link))
	defer r.stop()
	r.until(b, true)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		g.send("7005123456789015\r")
		receive(b, r.frames)
		took = append(took, time.Since(start))
	}
	percentiles(b, took)
}

// BenchmarkUnplugSeen is the time from pulling the cable to saying so.
func BenchmarkUnplugSeen(b *testing.B) {
	g := newGun(b)
	r := run(b, quick(g.link))
	defer r.stop()
	var took []time.Duration
	for b.Loop() {
		g.plug()
		r.until(b, true)
		start := time.Now()
		g.unplug()
		r.until(b, false)
		took = append(took, time.Since(start))
	}
	percentiles(b, took)
}

func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
}
