package scanner

import (
	"sync"
	"time"
)

// State is what a health page says of a scanner. Times are wall-clock; counters grow for the life of the [Scanner].
type State struct {
	Name      string
	Connected bool      // the port is open and present
	Port      string    // the path that is, or was last, open; before the first opening the configured one
	Since     time.Time // of Connected, or of its being lost; zero before Run
	LastFrame time.Time // zero: none yet
	LastError string    // why it is, or was last, not connected; empty: never

	Opens     uint64 // times the port was opened
	Bytes     uint64 // read
	Frames    uint64 // handed on, those below included
	Gaps      uint64 // of them ended by silence: program a CR suffix
	Overflows uint64 // of them too long
	Dropped   uint64 // bytes of frames that unplugging cut short
}

// status is the State under its lock.
type status struct {
	mu sync.Mutex
	s  State
}

func (s *status) get() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.s
}

func (s *status) update(f func(*State)) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.s)
	return s.s
}
