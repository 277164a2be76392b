package hq

import (
	"context"
	"sync"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// lanes is how many stations are sent to at once; a station has its own lane, so that what goes to it stays in order.
const lanes = 8

// wakeups remembers which stations may have something to get. A station is in it once, however often it is pushed.
type wakeups struct {
	mu    sync.Mutex
	lane  [lanes]lane
	every func() // called for "every station"
}

type lane struct {
	queue  []loyalty.StationID
	queued map[loyalty.StationID]bool
	signal chan struct{}
}

func newWakeups() *wakeups {
	w := &wakeups{}
	for i := range w.lane {
		w.lane[i] = lane{queued: map[loyalty.StationID]bool{}, signal: make(chan struct{}, 1)}
	}
	return w
}

// push adds stations.
func (w *wakeups) push(stations ...loyalty.StationID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range stations {
		l := &w.lane[s%lanes]
		if l.queued[s] {
			continue
		}
		l.queued[s] = true
		l.queue = append(l.queue, s)
		select {
		case l.signal <- struct{}{}:
		default:
		}
	}
}

// all pushes every station that the receiver has heard of.
func (w *wakeups) all() {
	w.mu.Lock()
	every := w.every
	w.mu.Unlock()
	if every != nil {
		every()
	}
}

// onAll says what all does.
func (w *wakeups) onAll(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.every = f
}

// pop takes a station of a lane, waiting for one; false when ctx is done.
func (w *wakeups) pop(ctx context.Context, n int) (loyalty.StationID, bool) {
	for {
		w.mu.Lock()
		l := &w.lane[n]
		if len(l.queue) > 0 {
			s := l.queue[0]
			l.queue = l.queue[1:]
			delete(l.queued, s)
			w.mu.Unlock()
			return s, true
		}
		w.mu.Unlock()
		select {
		case <-l.signal:
		case <-ctx.Done():
			return 0, false
		}
	}
}
