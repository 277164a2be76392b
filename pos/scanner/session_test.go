package scanner

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a port under a synthetic clock: what arrives comes from in, and silence lasts as long as on a real one.
type wire struct {
	in      chan []byte
	gone    chan struct{} // closed: reads answer at once with nothing, as an unplugged port does
	probe   error         // what Probe says
	present func() error
	mu      sync.Mutex
	closed  bool
	probed  int
}

func newWire() *wire {
	return &wire{in: make(chan []byte), gone: make(chan struct{}), present: func() error { return nil }}
}

func (w *wire) Read(b []byte) (int, error) {
	t := time.NewTimer(readTimeout)
	defer t.Stop()
	select {
	case c := <-w.in:
		return copy(b, c), nil
	case <-w.gone:
		return 0, io.EOF
	case <-t.C:
		return 0, io.EOF
	}
}

func (w *wire) Probe() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probed++
	return w.probe
}
func (w *wire) Present() error { return w.present() }
func (w *wire) Flush() error   { return nil }
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return nil
}

var _ device = (*wire)(nil)

// start runs a scanner on the ports that open returns, in a bubble.
func start(t *testing.T, cfg Config, open func() (device, error)) (s *Scanner, frames chan Frame, stop func()) {
	t.Helper()
	frames = make(chan Frame, 100)
	cfg.Port = "COM9"
	cfg.OnFrame = func(f Frame) { frames <- f }
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.open = func(string, Line) (device, error) { return open() }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	return s, frames, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestSilenceEndsAFrameOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		_, frames, stop := start(t, Config{}, func() (device, error) { return w, nil })
		defer stop()
		w.in <- []byte("7005")
		time.Sleep(99 * time.Millisecond)
		w.in <- []byte("1234")
		begun := time.Now()
		f := <-frames
		if string(f.Data) != "70051234" || f.End != EndGap || time.Since(begun) != DefaultGap {
			t.Errorf("%q %s after %v, want 70051234 gap after %v", f.Data, f.End, time.Since(begun), DefaultGap)
		}
	})
}

func TestASlowReceiverDoesNotSplitFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		var got []string
		first := true
		s, _, stop := start(t, Config{}, func() (device, error) { return w, nil })
		s.cfg.OnFrame = func(f Frame) {
			got = append(got, string(f.Data)+"|"+string(f.End))
			if first {
				first = false
				time.Sleep(time.Second)
			}
		}
		w.in <- []byte("one\rtw")
		w.in <- []byte("o\r") // waits for the receiver, though it came at once
		time.Sleep(2 * time.Second)
		synctest.Wait()
		stop()
		if len(got) != 2 || got[1] != "two|terminator" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAPortThatAnswersNothingAtOnceIsGone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		probe  error
		probes int
		within time.Duration
	}{
		{"the probe fails", errors.New("input/output error"), 1, 0},
		{"the probe says nothing", nil, probes, (probes - 1) * probePause},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				w.probe = tc.probe
				opened := 0
				s, _, stop := start(t, Config{}, func() (device, error) {
					if opened++; opened > 1 {
						return nil, ErrNoPort
					}
					return w, nil
				})
				defer stop()
				w.in <- []byte("half a fra")
				unplugged := time.Now()
				close(w.gone)
				time.Sleep(tc.within + time.Millisecond)
				synctest.Wait()
				st := s.State()
				if st.Connected || st.Since.Sub(unplugged) != tc.within || w.probed != tc.probes || !w.closed {
					t.Errorf("after %v: %+v, probed %d, closed %v", tc.within, st, w.probed, w.closed)
				}
				if st.Dropped != 10 || st.Frames != 0 {
					t.Errorf("dropped %d bytes, handed on %d frames; want 10 and 0", st.Dropped, st.Frames)
				}
			})
		})
	}
}

func TestAPathThatLeadsElsewhereIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		w.present = func() error { return errors.New("the link is gone") }
		opened := 0
		s, _, stop := start(t, Config{}, func() (device, error) {
			if opened++; opened > 1 {
				return newWire(), nil
			}
			return w, nil
		})
		defer stop()
		time.Sleep(readTimeout + 250*time.Millisecond + time.Millisecond)
		synctest.Wait()
		if st := s.State(); !w.closed || !st.Connected || st.Opens != 2 {
			t.Errorf("closed %v, %+v", w.closed, st)
		}
	})
}

func TestReopeningBacksOffAndStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var tries []time.Duration
		var w *wire
		_, _, stop := start(t, Config{}, func() (device, error) {
			tries = append(tries, time.Since(begun))
			if len(tries) == 5 {
				w = newWire()
				return w, nil
			}
			return nil, ErrNoPort
		})
		time.Sleep(4 * time.Second) // tries at 0, 250, 750, 1750, 2750 ms
		synctest.Wait()
		w.in <- []byte("7\r") // a frame proves the port good
		w.probe = ErrGone
		synctest.Wait()
		lost := time.Since(begun)
		close(w.gone)
		time.Sleep(300 * time.Millisecond)
		stop()
		ms := time.Millisecond
		want := []time.Duration{0, 250 * ms, 750 * ms, 1750 * ms, 2750 * ms, lost + 250*ms}
		if len(tries) != len(want) {
			t.Fatalf("tries at %v, want %v", tries, want)
		}
		for i := range want {
			if tries[i] != want[i] {
				t.Errorf("try %d at %v, want %v", i, tries[i], want[i])
			}
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		s, _, stop := start(t, Config{}, func() (device, error) { return w, nil })
		synctest.Wait()
		if !s.State().Connected {
			t.Fatal("not connected")
		}
		begun := time.Now()
		stop()
		if !w.closed || time.Since(begun) > readTimeout || s.State().Connected {
			t.Errorf("closed %v after %v", w.closed, time.Since(begun))
		}
	})
}

func TestConfigResolve(t *testing.T) {
	c, err := Config{Preset: "honeywell_rs232", Line: Line{Parity: ParityEven, DataBits: 7}}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Line.String(); got != "115200 7E1" {
		t.Errorf("line %s, want 115200 7E1", got)
	}
	for name, c := range map[string]Config{
		"preset": {Preset: "symbol"}, "baud": {Line: Line{Baud: 128000}}, "bits": {Line: Line{DataBits: 9}},
		"parity": {Line: Line{Parity: "mark"}}, "stop": {Line: Line{StopBits: 3}}, "gap": {Framing: Framing{Gap: 1}},
		"reopen": {Reopen: Reopen{Min: time.Second, Max: time.Millisecond}}, "match": {Port: "COM1", Match: Match{VID: 1}},
	} {
		if _, err := c.Resolve(); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
	if _, err := New(Config{}); !errors.Is(err, ErrConfig) {
		t.Errorf("no receiver: %v", err)
	}
	for _, p := range Presets() {
		if _, err := (Config{Preset: p.Name}).Resolve(); err != nil {
			t.Errorf("preset %s: %v", p.Name, err)
		}
	}
}
