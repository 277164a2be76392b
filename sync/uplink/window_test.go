package uplink

import (
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// fly sends n full batches and has them acknowledged after the given time each.
func fly(w *window, seq *loyalty.Seq, n int, took time.Duration) {
	for range n {
		now := time.Unix(int64(*seq), 0)
		*seq++
		w.sent(parcel{last: *seq, bytes: wire.MaxMessage, at: now})
		w.acked(*seq, now.Add(took))
	}
}

func TestWindow(t *testing.T) {
	w, seq := newWindow(), loyalty.Seq(0)
	if w.size != minWindow || w.timeout() != firstRTO {
		t.Errorf("a new window has %d bytes and waits %s", w.size, w.timeout())
	}
	fly(&w, &seq, 20, 30*time.Millisecond)
	if w.size != maxWindow || w.bytes != 0 {
		t.Errorf("after quick acknowledgements it has %d bytes, %d under way", w.size, w.bytes)
	}
	if w.timeout() != minRTO {
		t.Errorf("it waits %s", w.timeout())
	}
	fly(&w, &seq, 3, time.Second)
	if w.size >= maxWindow || w.size < minWindow {
		t.Errorf("after slow ones it has %d bytes", w.size)
	}
	fly(&w, &seq, 20, time.Second)
	if w.size != minWindow || w.timeout() <= minRTO/2 {
		t.Errorf("after many slow ones it has %d bytes and waits %s", w.size, w.timeout())
	}
	for range 10 {
		w.timedOut()
	}
	if w.timeout() != maxRTO {
		t.Errorf("without progress it waits %s", w.timeout())
	}
	fly(&w, &seq, 1, time.Second)
	if w.timeout() >= maxRTO {
		t.Errorf("after progress it waits %s", w.timeout())
	}
	// A batch that was sent twice says nothing about time.
	before := w.smooth
	w.sent(parcel{last: seq + 1, bytes: 1, at: time.Unix(0, 0), again: true})
	w.acked(seq+1, time.Unix(1000, 0))
	if w.smooth != before {
		t.Error("it measured a batch that was sent before")
	}
}

func TestWindowRoom(t *testing.T) {
	w := newWindow()
	for _, c := range []struct {
		under  int
		credit uint64
		want   int
	}{
		{0, 0, 0},
		{0, 1 << 30, wire.MaxMessage},
		{0, 100, 100}, // a small credit lets a small batch pass
		{100, 100, 0},
		{wire.MaxMessage, 1 << 30, wire.MaxMessage},
		{wire.MaxMessage + 1, 1 << 30, 0},
		{50 << 10, 128 << 10, 0},
		{32 << 10, 128 << 10, wire.MaxMessage},
	} {
		w.clear()
		if c.under > 0 {
			w.sent(parcel{bytes: c.under})
		}
		if got := w.room(c.credit); got != c.want {
			t.Errorf("%d under way, credit %d: room for %d, want %d", c.under, c.credit, got, c.want)
		}
	}
}
