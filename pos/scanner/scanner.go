package scanner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// The times of the read loop.
const (
	readTimeout = 100 * time.Millisecond // the finest that a POSIX serial port has
	tooSoon     = readTimeout / 2        // an empty read before this is no timeout
	probePause  = 20 * time.Millisecond  // between empty reads that the port's liveness does not explain
	probes      = 3                      // so many of them mean that the port is gone
	healthy     = 10 * time.Second       // open for so long, a port has earned a quick reopening
	chunkSize   = 4096                   // the kernel's buffer
)

// device is an open port. Read waits at most readTimeout. Close must not be called before Read has returned.
type device interface {
	Read(b []byte) (int, error)
	Probe() error   // nil if the port is alive; sends nothing
	Present() error // nil if the path it was opened by still leads to it
	Flush() error   // forgets what was received and not read
	Close() error
}

// Scanner reads one scanner. Make it with [New]; let it work with Run.
type Scanner struct {
	cfg    Config
	framer *Framer
	status status
	open   func(path string, line Line) (device, error)
}

// New returns a scanner that is not reading yet, or [ErrConfig].
func New(cfg Config) (*Scanner, error) {
	cfg, err := cfg.Resolve()
	if err != nil {
		return nil, err
	}
	if cfg.OnFrame == nil {
		return nil, fmt.Errorf("%w: no receiver for frames", ErrConfig)
	}
	framer, err := NewFramer(cfg.Framing)
	if err != nil {
		return nil, err
	}
	s := &Scanner{cfg: cfg, framer: framer, open: openDevice}
	s.status.s = State{Name: cfg.Name, Port: cfg.Port}
	return s, nil
}

// State says how the scanner is. It may be called by any goroutine, before, during and after Run.
func (s *Scanner) State() State { return s.status.get() }

// Run reads until the context ends, opening the port again whenever it is lost, and returns nil after everything it
// started has ended and the port is closed: at most about 100 ms after the context. It may be called once at a time.
func (s *Scanner) Run(ctx context.Context) error {
	wait := s.cfg.Reopen.Min
	s.status.update(func(st *State) { st.Since = time.Now() })
	for ctx.Err() == nil {
		dev, path, err := s.connect()
		if err != nil {
			s.failed(err)
		} else {
			good := s.session(ctx, dev, path)
			if good {
				wait = s.cfg.Reopen.Min
			}
		}
		if !sleep(ctx, wait) {
			break
		}
		wait = min(2*wait, s.cfg.Reopen.Max)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (s *Scanner) connect() (device, string, error) {
	path := s.cfg.Port
	if path == Auto {
		p, err := s.cfg.Host.Find(s.cfg.Match)
		if err != nil {
			return nil, "", err
		}
		path = p.Path
	}
	dev, err := s.open(path, s.cfg.Line)
	if err != nil {
		return nil, "", err
	}
	// What was scanned while nobody listened belongs to a customer who has left.
	if err := dev.Flush(); err != nil {
		return nil, "", errors.Join(fmt.Errorf("flush %s: %w", path, err), dev.Close())
	}
	return dev, path, nil
}

// failed notes that the port could not be opened; it is said once for each reason, not at every try.
func (s *Scanner) failed(err error) {
	var news bool
	st := s.status.update(func(st *State) {
		news = st.LastError != err.Error()
		st.LastError = err.Error()
	})
	if news {
		s.cfg.Logger.Warn("scanner not available", "scanner", s.cfg.Name, "port", s.cfg.Port, "err", err)
		s.changed(st)
	}
}

func (s *Scanner) changed(st State) {
	if s.cfg.OnState != nil {
		s.cfg.OnState(st)
	}
}

type chunk struct {
	b  []byte
	at time.Time
}

// session reads an open port until it is gone or the context ends, and closes it. It tells whether the port proved good.
func (s *Scanner) session(ctx context.Context, dev device, path string) (good bool) {
	opened := time.Now()
	s.changed(s.status.update(func(st *State) {
		st.Connected, st.Port, st.Since = true, path, opened
		st.Opens++
	}))
	s.cfg.Logger.Info("scanner connected", "scanner", s.cfg.Name, "port", path, "line", s.cfg.Line.String())
	frames := s.status.get().Frames

	chunks := make(chan chunk)
	cause := make(chan error, 1)
	go func() {
		cause <- read(ctx, dev, chunks)
		close(chunks)
	}()
	s.frame(chunks)
	err := <-cause
	if cerr := dev.Close(); cerr != nil && err == nil {
		err = cerr
	}
	dropped := s.framer.Reset()
	st := s.status.update(func(st *State) {
		st.Connected, st.Since = false, time.Now()
		st.Dropped += uint64(dropped)
		if err != nil {
			st.LastError = err.Error()
		}
	})
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("scanner lost", "scanner", s.cfg.Name, "port", path, "err", err, "dropped_bytes", dropped)
	}
	s.changed(st)
	return st.Frames > frames || time.Since(opened) >= healthy
}

// read hands on what the port gives until it is gone (the error says how) or the context ends (nil). An unplugged port
// answers as a silent one does, with nothing, only sooner.
func read(ctx context.Context, dev device, out chan<- chunk) error {
	buf := make([]byte, chunkSize)
	for early := 0; ctx.Err() == nil; {
		start := time.Now()
		n, err := dev.Read(buf)
		now := time.Now()
		if n > 0 {
			early = 0
			select {
			case out <- chunk{append([]byte(nil), buf[:n]...), now}:
			case <-ctx.Done():
			}
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
		if now.Sub(start) >= tooSoon {
			early = 0
			if err := dev.Present(); err != nil {
				return fmt.Errorf("%w: %w", ErrGone, err)
			}
			continue
		}
		if err := dev.Probe(); err != nil {
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
		if early++; early == probes {
			return fmt.Errorf("%w: it answers at once with nothing", ErrGone)
		}
		sleep(ctx, probePause)
	}
	return nil
}

// frame feeds the framer until chunks is closed. Silence is measured between the reads, and by a timer only when
// nothing follows: a receiver that takes long must not split a frame that is waiting whole.
func (s *Scanner) frame(chunks <-chan chunk) {
	gap := s.cfg.Framing.Gap
	timer := time.NewTimer(gap)
	timer.Stop()
	defer timer.Stop()
	var last time.Time
	take := func(c chunk) {
		if s.framer.Pending() && c.at.Sub(last) >= gap {
			s.framer.Gap(s.emit(last))
		}
		last = c.at
		s.status.update(func(st *State) { st.Bytes += uint64(len(c.b)) })
		if s.cfg.OnChunk != nil {
			s.cfg.OnChunk(c.at, c.b)
		}
		s.framer.Push(c.b, s.emit(c.at))
		clear(c.b)
	}
	for {
		if s.framer.Pending() {
			timer.Reset(max(0, gap-time.Since(last)))
		}
		select {
		case c, ok := <-chunks:
			if !ok {
				return
			}
			timer.Stop()
			take(c)
		case <-timer.C:
			runtime.Gosched() // let a reader that has bytes in hand offer them
			select {
			case c, ok := <-chunks:
				if !ok {
					return
				}
				take(c)
			default:
				s.framer.Gap(s.emit(last))
			}
		}
	}
}

func (s *Scanner) emit(at time.Time) func(Frame) {
	return func(f Frame) {
		f.At = at
		if f.End != EndTail {
			s.status.update(func(st *State) {
				st.LastFrame = at
				st.Frames++
				switch f.End {
				case EndGap:
					st.Gaps++
				case EndOverflow:
					st.Overflows++
				}
			})
		}
		s.cfg.OnFrame(f)
	}
}
