package api

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// The bounds of a [Hub].
const (
	hubRing        = 512 // events kept for those who resume
	hubSubscribers = 32
	hubQueue       = 64 // events a listener may be behind before it is cut off
)

// Hub hands events to the listeners of the event stream. It is safe for concurrent use. Publishing never waits: a
// listener that does not keep up is cut off, and resumes from the ring by the id of the last event it saw.
//
// Ids read "life-n": n grows by one with every event, life is drawn anew by every Hub. So an id from before a restart is
// recognised as such, whatever the clock did, and its listener is told to begin afresh.
type Hub struct {
	life string
	size int // of the ring
	most int // subscribers

	mu   sync.Mutex
	last uint64
	ring []*frame // of the events last-len(ring)+1 to last, oldest first
	subs map[*subscription]struct{}
}

// frame is an event as it goes over the wire.
type frame struct {
	n       uint64
	name    string
	counter string
	data    []byte
}

// NewHub makes a hub without listeners.
func NewHub() *Hub { return newHub(hubRing, hubSubscribers) }

func newHub(size, most int) *Hub {
	return &Hub{life: strings.ToLower(rand.Text()[:8]), size: size, most: most, subs: make(map[*subscription]struct{})}
}

// Publish hands the event to every listener of its counter, without waiting for any of them.
func (h *Hub) Publish(e Event) {
	name, counter, body := e.describe()
	data, err := json.Marshal(body)
	if err != nil {
		// The bodies are plain structs of strings, numbers and times; only a time beyond the year 9999 gets here.
		data, name = []byte("{}"), "status"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	f := &frame{n: h.last, name: name, counter: counter, data: data}
	if len(h.ring) == h.size {
		copy(h.ring, h.ring[1:])
		h.ring = h.ring[:h.size-1]
	}
	h.ring = append(h.ring, f)
	for s := range h.subs {
		if !f.concerns(s.counter) {
			continue
		}
		select {
		case s.queue <- f:
		default:
			delete(h.subs, s)
			close(s.queue)
		}
	}
}

// concerns tells whether a listener at the counter should see the event; a listener without one sees all.
func (f *frame) concerns(counter string) bool {
	return counter == "" || f.counter == "" || f.counter == counter
}

// subscription is one listener. Its queue is closed when it is cut off.
type subscription struct {
	counter string
	queue   chan *frame
	missed  []*frame // what it has missed since lastID
	reset   bool     // what it missed is not known: it begins afresh
	start   uint64   // the last event before it
}

// subscribe adds a listener that saw lastID last (empty: nothing yet), or returns false if there are too many.
func (h *Hub) subscribe(counter, lastID string) (*subscription, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) >= h.most {
		return nil, false
	}
	s := &subscription{counter: counter, queue: make(chan *frame, hubQueue), start: h.last}
	seen, ok := h.parse(lastID)
	if !ok || seen > h.last || h.last-seen > uint64(len(h.ring)) {
		s.reset = true
	} else {
		for _, f := range h.ring[uint64(len(h.ring))-(h.last-seen):] {
			if f.concerns(counter) {
				s.missed = append(s.missed, f)
			}
		}
	}
	h.subs[s] = struct{}{}
	return s, true
}

// unsubscribe removes a listener; one that was cut off is gone already.
func (h *Hub) unsubscribe(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

// listeners is how many there are.
func (h *Hub) listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

func (h *Hub) id(n uint64) string { return fmt.Sprintf("%s-%d", h.life, n) }

// parse reads an id of this life.
func (h *Hub) parse(id string) (uint64, bool) {
	life, num, ok := strings.Cut(id, "-")
	if !ok || life != h.life || len(num) > 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(num, 10, 64)
	return n, err == nil
}
