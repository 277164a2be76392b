package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// listener reads a stream of events from a server in memory.
type listener struct {
	t      *testing.T
	w      *pipeWriter
	lines  *bufio.Scanner
	cancel context.CancelFunc
	done   chan struct{}
	lastID string
}

// pipeWriter is a ResponseWriter whose reader sees every byte at once, and which can be made to stall.
type pipeWriter struct {
	header http.Header
	pipe   net.Conn
}

func (w *pipeWriter) Header() http.Header                { return w.header }
func (w *pipeWriter) WriteHeader(int)                    {}
func (w *pipeWriter) Write(b []byte) (int, error)        { return w.pipe.Write(b) }
func (w *pipeWriter) FlushError() error                  { return nil }
func (w *pipeWriter) SetWriteDeadline(t time.Time) error { return w.pipe.SetWriteDeadline(t) }

func listen(t *testing.T, h *Hub, stop chan struct{}, counter, lastID string) *listener {
	t.Helper()
	sub, ok := h.subscribe(counter, lastID)
	if !ok {
		t.Fatal("no room for a listener")
	}
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{t: t, w: &pipeWriter{header: make(http.Header), pipe: theirs}, lines: bufio.NewScanner(ours), cancel: cancel, done: make(chan struct{})}
	t.Cleanup(func() { cancel(); _ = ours.Close(); <-l.done })
	go func() {
		defer close(l.done)
		(&stream{hub: h, stop: stop}).serve(ctx, l.w, sub)
		_ = theirs.Close()
	}()
	return l
}

// next reads one event, or a comment as ":"; at the end of the stream it returns "".
func (l *listener) next() (name, data string) {
	for l.lines.Scan() {
		key, value, _ := strings.Cut(l.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case l.lines.Text() == ":":
			name = ":"
		case key == "id":
			l.lastID = value
		case key == "event":
			name = value
		case key == "data":
			data = value
		case l.lines.Text() == "" && name != "":
			return name, data
		}
	}
	return "", ""
}

func (l *listener) expect(names ...string) {
	l.t.Helper()
	for _, n := range names {
		if got, data := l.next(); got != n {
			l.t.Fatalf("event %q (%s), want %q", got, data, n)
		}
	}
}

func scan(counter string) Scan {
	return Scan{At: time.Unix(1_800_000_000, 0), Counter: counter, Outcome: ScanReject, Reason: "checksum"}
}

func TestStreamResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := newHub(4, 8), make(chan struct{})
		first := listen(t, h, stop, "", "")
		first.expect("reset")
		h.Publish(scan("1"))
		first.expect("scan")
		first.cancel()
		<-first.done

		h.Publish(LinkChanged{})
		h.Publish(scan("2"))
		h.Publish(ScannerChanged{Scanner{Counter: "1"}})
		again := listen(t, h, stop, "1", first.lastID)
		again.expect("hq", "scanner") // not the scan of the other counter
		h.Publish(StatusChanged{})
		again.expect("status")

		current := listen(t, h, stop, "", again.lastID)
		h.Publish(StatusChanged{})
		current.expect("status") // and nothing before it

		for range 5 {
			h.Publish(StatusChanged{})
		}
		for name, id := range map[string]string{
			"too old": first.lastID, "of another life": "abcdefgh-3", "of the future": h.id(1000), "garbage": "\x00-", "overflow": h.life + "-99999999999999999999999",
		} {
			l := listen(t, h, stop, "", id)
			if got, _ := l.next(); got != "reset" {
				t.Errorf("id %s: %s, want reset", name, got)
			}
		}
	})
}

func TestStreamHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := NewHub(), make(chan struct{})
		l := listen(t, h, stop, "", "")
		l.expect("reset")
		start := time.Now()
		l.expect(":", ":")
		if took := time.Since(start); took != 2*heartbeat {
			t.Errorf("two heartbeats took %v", took)
		}
		close(stop)
		if got, _ := l.next(); got != "" {
			t.Errorf("after the stop: %s", got)
		}
		if n := h.listeners(); n != 0 {
			t.Errorf("%d listeners left", n)
		}
	})
}

// TestSlowListener holds that one who does not read is cut off, neither the publisher nor the others notice, and resuming
// gives what was missed.
func TestSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := NewHub(), make(chan struct{})
		slow, quick := listen(t, h, stop, "", ""), listen(t, h, stop, "", "")
		slow.expect("reset")
		quick.expect("reset")
		id := slow.lastID
		const many = 3 * hubQueue
		start := time.Now()
		for range many {
			h.Publish(scan("1"))
			quick.expect("scan")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("publishing took %v", took)
		}
		<-slow.done // its write ran into the deadline
		if n := h.listeners(); n != 1 {
			t.Errorf("%d listeners, want 1", n)
		}
		back := listen(t, h, stop, "", id)
		for range many {
			back.expect("scan")
		}
	})
}

func TestListenersAreBounded(t *testing.T) {
	h := newHub(4, 2)
	for range 2 {
		if _, ok := h.subscribe("", ""); !ok {
			t.Fatal("refused below the bound")
		}
	}
	if _, ok := h.subscribe("", ""); ok {
		t.Error("one listener too many")
	}
}

// TestStreamOverHTTP follows a sale over a real connection, and a stop of the server ends the stream.
func TestStreamOverHTTP(t *testing.T) {
	h := NewHub()
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sub, _ := h.subscribe(r.URL.Query().Get("counter"), r.Header.Get("Last-Event-ID"))
		(&stream{hub: h, stop: stop}).serve(r.Context(), w, sub)
	}))
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		t.Errorf("content type %s", ct)
	}
	c := Customer{Card: "7005990012349015", Known: true, Total: 100, Redeem: loyalty.NoRights}
	h.Publish(Scan{At: time.Unix(1_800_000_000, 0), Counter: "1", Outcome: ScanCustomer, Customer: &c})
	var got strings.Builder
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		fmt.Fprintln(&got, lines.Text())
		if strings.HasPrefix(lines.Text(), "data: ") && strings.Contains(got.String(), "event: scan\n") {
			close(stop) // and the body ends
			break
		}
	}
	if _, err := io.Copy(&got, res.Body); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"retry: 2000\n", "event: reset\n", "id: " + h.id(1) + "\nevent: scan\n", `"card_masked":"7005••••9015"`, `"code":"no_rights"`} {
		if !strings.Contains(got.String(), part) {
			t.Errorf("the stream lacks %q: %s", part, got.String())
		}
	}
}
