package uplink

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// The bounds of what may be under way, in bytes, and of the wait for an acknowledgement.
const (
	minWindow = 2 * wire.MaxMessage
	maxWindow = 16 * wire.MaxMessage
	minRTO    = 2 * time.Second
	firstRTO  = 5 * time.Second
	maxRTO    = time.Minute
)

// parcel is a batch under way.
type parcel struct {
	last  loyalty.Seq
	bytes int
	at    time.Time
	again bool // sent before: its acknowledgement may be the first one's
}

// window counts what is under way, and learns how much that may be and how long an acknowledgement takes. It grows while
// acknowledgements come as fast as they ever did and shrinks when they take longer: then a queue is building up
// somewhere, and what is behind it, a cashier's question, waits for it.
type window struct {
	parcels []parcel
	bytes   int // sum of parcels
	size    int

	best    time.Duration // the least an acknowledgement took, slowly forgotten
	smooth  time.Duration
	spread  time.Duration
	doubled uint // times the time-out ran out without progress
}

func newWindow() window { return window{size: minWindow} }

// room is how many bytes another batch may have; zero: none may be sent. credit is what headquarters allows.
func (w *window) room(credit uint64) int {
	if credit == 0 {
		return 0
	}
	limit := min(uint64(w.size), credit)
	if w.bytes == 0 {
		return int(min(limit, wire.MaxMessage)) // a credit below one batch lets one small one pass
	}
	if uint64(w.bytes)+wire.MaxMessage > limit {
		return 0
	}
	return wire.MaxMessage
}

func (w *window) sent(p parcel) {
	w.parcels = append(w.parcels, p)
	w.bytes += p.bytes
}

// clear forgets what is under way: it will be sent again.
func (w *window) clear() { w.parcels, w.bytes = w.parcels[:0], 0 }

// acked takes out what has arrived.
func (w *window) acked(seq loyalty.Seq, now time.Time) {
	w.doubled = 0
	for len(w.parcels) > 0 && w.parcels[0].last <= seq {
		p := w.parcels[0]
		w.parcels = w.parcels[1:]
		w.bytes -= p.bytes
		if !p.again {
			w.measure(now.Sub(p.at))
		}
	}
}

func (w *window) measure(took time.Duration) {
	if w.smooth == 0 {
		w.best, w.smooth, w.spread = took, took, took/2
	}
	w.spread += ((took - w.smooth).Abs() - w.spread) / 4
	w.smooth += (took - w.smooth) / 8
	if took < w.best {
		w.best = took
	} else {
		w.best += (took - w.best) / 64
	}
	switch {
	case took <= 2*w.best+20*time.Millisecond:
		w.size = min(w.size+wire.MaxMessage, maxWindow)
	case took > 4*w.best+100*time.Millisecond:
		w.size = max(w.size*3/4, minWindow)
	}
}

// timeout is how long to wait for progress.
func (w *window) timeout() time.Duration {
	d := firstRTO
	if w.smooth > 0 {
		d = max(minRTO, w.smooth+4*w.spread)
	}
	return min(d<<w.doubled, maxRTO)
}

func (w *window) timedOut() {
	if w.doubled < 5 {
		w.doubled++
	}
	w.size = minWindow
}
