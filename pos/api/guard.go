package api

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxBody bounds the body of a call, in bytes.
const MaxBody = 1 << 20

const (
	maxCalls = 32 // at once; the others are told to come back in a second
	bodyTime = 5 * time.Second
	callTime = 30 * time.Second // to write an answer
)

// guard stands before everything: it serves nobody who is not meant to be served, and bounds what the others may use.
type guard struct {
	next    *http.ServeMux
	keys    *keys
	hosts   []string // names without port
	origins []string
	slots   chan struct{} // a token for every call being served; listeners to events are counted by the hub
	calls   sync.WaitGroup
	log     *slog.Logger
}

// public are the routes without secrets, and the one where a session is made.
var public = []string{"GET /{$}", "GET /screen/", "GET /openapi.json", "POST /v1/session"}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.calls.Add(1)
	defer g.calls.Done()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if p := g.serve(w, r); p != nil {
		if p.Status >= 400 && p.Status < 500 {
			g.log.Info("request refused", "code", p.Code, "method", r.Method, "remote", r.RemoteAddr)
		}
		h.Set("Cache-Control", "no-store")
		writeProblem(w, p)
	}
}

// serve passes the request on, or says why not.
func (g *guard) serve(w http.ResponseWriter, r *http.Request) *Problem {
	if !g.hostServed(r.Host) {
		return problem(forbiddenHost, "call it 127.0.0.1 or localhost, with the port: no other name is served")
	}
	foreign, p := g.origin(w, r)
	if p != nil || (foreign && r.Method == http.MethodOptions) {
		return p
	}
	handler, pattern := g.next.Handler(r)
	if pattern == "" {
		return noSuchCall(handler, w, r)
	}
	if !slices.Contains(public, pattern) && !g.keys.bearer(r) && (foreign || !g.keys.session(r)) {
		return problem(unauthorized, "send the token as Authorization: Bearer")
	}
	if pattern == eventsPattern {
		g.next.ServeHTTP(w, r)
		return nil
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	default:
		return problem(busy, "")
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(callTime)) // not every writer has deadlines
	if p := readBody(w, r); p != nil {
		return p
	}
	g.next.ServeHTTP(w, r)
	return nil
}

// hostServed refuses other names for this address: a page whose name was rebound to it would otherwise be same-origin.
func (g *guard) hostServed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	return slices.ContainsFunc(g.hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// origin refuses pages of other origins, except those configured; foreign tells one of these. Origin is missing where a
// program calls, and where a browser fetches from the same origin; Sec-Fetch-Site tells these from images and scripts
// that a foreign page embeds. Following a link to the page is allowed: the page alone shows nothing.
func (g *guard) origin(w http.ResponseWriter, r *http.Request) (foreign bool, _ *Problem) {
	own := "http://" + r.Host
	switch o := r.Header.Get("Origin"); {
	case o == "":
		site := r.Header.Get("Sec-Fetch-Site")
		link := r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Dest") == "document"
		if site == "" || site == "same-origin" || site == "none" || link {
			return false, nil
		}
	case len(r.Header.Values("Origin")) > 1:
	case o == own:
		return false, nil
	case slices.Contains(g.origins, o):
		allow(w.Header(), o, r.Method == http.MethodOptions)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
		}
		return true, nil
	}
	return true, problem(forbiddenOrigin, "")
}

// allow answers CORS for a configured origin. It shows the token; cookies are not accepted from it.
func allow(h http.Header, origin string, preflight bool) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Add("Vary", "Origin")
	if preflight {
		h.Set("Access-Control-Allow-Methods", "GET, PUT, POST, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
		h.Set("Access-Control-Allow-Private-Network", "true")
		h.Set("Access-Control-Max-Age", "600")
	}
}

// noSuchCall learns from the mux whether the path or only the method is wrong.
func noSuchCall(h http.Handler, w http.ResponseWriter, r *http.Request) *Problem {
	var rec statusRecorder
	h.ServeHTTP(&rec, r)
	if rec.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", rec.Header().Get("Allow"))
		return problem(methodNotAllowed, "allowed: "+rec.Header().Get("Allow"))
	}
	return problem(notFound, "")
}

type statusRecorder struct {
	header http.Header
	status int
}

func (s *statusRecorder) Header() http.Header {
	if s.header == nil {
		s.header = make(http.Header)
	}
	return s.header
}
func (s *statusRecorder) WriteHeader(status int)      { s.status = status }
func (s *statusRecorder) Write(b []byte) (int, error) { return len(b), nil }

// readBody takes the whole body in before anything acts on it, so that a caller who stalls holds up nobody, and lifts
// the deadline afterwards: one left on the connection would cancel a call that waits for the disk.
func readBody(w http.ResponseWriter, r *http.Request) *Problem {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return problem(mediaType, "send Content-Type: application/json")
	}
	if r.ContentLength > MaxBody {
		return problem(tooLarge, "at most 1 MiB")
	}
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTime)) // not every writer has deadlines
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem(tooLarge, "at most 1 MiB")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem(tooSlow, "the body did not arrive within 5 seconds")
	case err != nil:
		return problem(tooSlow, "the body broke off")
	}
	_ = c.SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}
