package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	heartbeat    = 15 * time.Second // a comment, so that proxies and half-open connections are noticed
	writeTimeout = 10 * time.Second // for one event
	retryAfter   = 2 * time.Second  // when a browser should reconnect
)

// stream writes events to one listener until it leaves, is cut off, or the server stops.
type stream struct {
	hub  *Hub
	stop <-chan struct{} // closed when the server stops
}

func (s *stream) serve(ctx context.Context, w http.ResponseWriter, sub *subscription) {
	defer s.hub.unsubscribe(sub)
	head := w.Header()
	head.Set("Content-Type", "text/event-stream; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	out := &eventWriter{w: w, c: http.NewResponseController(w)}
	fmt.Fprintf(&out.buf, "retry: %d\n", retryAfter.Milliseconds())
	if sub.reset {
		fmt.Fprintf(&out.buf, "id: %s\nevent: reset\ndata: {\"life\":%q}\n", s.hub.id(sub.start), s.hub.life)
	}
	out.buf.WriteByte('\n')
	for _, f := range sub.missed {
		out.add(s.hub.id(f.n), f)
	}
	if out.flush() != nil {
		return
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case f, ok := <-sub.queue:
			if !ok {
				return
			}
			out.add(s.hub.id(f.n), f)
		case <-tick.C:
			out.buf.WriteString(":\n\n")
		case <-s.stop:
			return
		case <-ctx.Done():
			return
		}
		if out.flush() != nil {
			return
		}
	}
}

// eventWriter gathers events and writes them with one deadline.
type eventWriter struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	buf bytes.Buffer
}

// add appends an event. JSON holds no line breaks, so the data is one line.
func (o *eventWriter) add(id string, f *frame) {
	fmt.Fprintf(&o.buf, "id: %s\nevent: %s\ndata: %s\n\n", id, f.name, f.data)
}

func (o *eventWriter) flush() error {
	if err := o.c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("set deadline of an event: %w", err)
	}
	if _, err := o.w.Write(o.buf.Bytes()); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	o.buf.Reset()
	return o.c.Flush()
}
