package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
)

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// TestWhoIsServed sends the same call from everywhere.
func TestWhoIsServed(t *testing.T) {
	s := newServer(t, config(newDesk(t)))
	cookie := signIn(t, s)
	for _, c := range []struct {
		name   string
		header map[string]string
		status int
		code   string
	}{
		{"the register", nil, 200, ""},
		{"the register by name", map[string]string{"Host": "localhost:8713"}, 200, ""},
		{"by IPv6", map[string]string{"Host": "[::1]:8713"}, 200, ""},
		{"by a configured name", map[string]string{"Host": "AZS-7.lan"}, 200, ""},
		{"a name rebound to this address", map[string]string{"Host": "evil.example:8713"}, 421, "forbidden_host"},
		{"a name that begins like ours", map[string]string{"Host": "localhost.evil.example"}, 421, "forbidden_host"},
		{"no name", map[string]string{"Host": ""}, 421, "forbidden_host"},
		{"no token", map[string]string{"Authorization": ""}, 401, "unauthorized"},
		{"wrong token", map[string]string{"Authorization": "Bearer " + token + "0"}, 401, "unauthorized"},
		{"token under another scheme", map[string]string{"Authorization": "Basic " + token}, 401, "unauthorized"},
		{"the page", map[string]string{"Authorization": "", "Cookie": cookie, "Origin": "http://127.0.0.1:8713"}, 200, ""},
		{"a forged session", map[string]string{"Authorization": "", "Cookie": cookie + "A"}, 401, "unauthorized"},
		{"a session of another number", map[string]string{"Authorization": "", "Cookie": strings.Replace(cookie, "=", "=A", 1)}, 401, "unauthorized"},
		{"a page on another port", map[string]string{"Authorization": "", "Cookie": cookie, "Origin": "http://127.0.0.1:9999"}, 403, "forbidden_origin"},
		{"a page elsewhere", map[string]string{"Origin": "https://evil.example"}, 403, "forbidden_origin"},
		{"a sandboxed page", map[string]string{"Origin": "null"}, 403, "forbidden_origin"},
		{"our host over TLS", map[string]string{"Origin": "https://127.0.0.1:8713"}, 403, "forbidden_origin"},
		{"an embedding page", map[string]string{"Authorization": "", "Cookie": cookie, "Sec-Fetch-Site": "cross-site"}, 403, "forbidden_origin"},
		{"an embedding page on another port", map[string]string{"Authorization": "", "Cookie": cookie, "Sec-Fetch-Site": "same-site"}, 403, "forbidden_origin"},
		{"a configured page", map[string]string{"Origin": "https://pos.example"}, 200, ""},
		{"a configured page without token", map[string]string{"Origin": "https://pos.example", "Authorization": "", "Cookie": cookie}, 401, "unauthorized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/v1/status", "/v1/sales?state=open"} {
				w := request{method: "GET", path: path, header: c.header}.do(t, s.Handler())
				if w.Code != c.status {
					t.Fatalf("%s: %d, want %d: %s", path, w.Code, c.status, w.Body)
				}
				if c.code != "" {
					want(t, decode(t, w.Body), map[string]any{"code": c.code})
				}
				allowed := w.Header().Get("Access-Control-Allow-Origin")
				if (allowed != "") != (c.header["Origin"] == "https://pos.example") || w.Header().Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("Access-Control-Allow-Origin %q", allowed)
				}
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	h := newServer(t, config(newDesk(t))).Handler()
	for origin, status := range map[string]int{"https://pos.example": 204, "https://evil.example": 403} {
		w := request{method: "OPTIONS", path: "/v1/quote", header: map[string]string{
			"Origin": origin, "Authorization": "", "Access-Control-Request-Method": "POST",
		}}.do(t, h)
		if w.Code != status {
			t.Errorf("%s: %d, want %d", origin, w.Code, status)
		}
	}
}

func TestFollowingALinkToThePage(t *testing.T) {
	h := newServer(t, config(newDesk(t))).Handler()
	link := map[string]string{"Authorization": "", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
	if w := (request{method: "GET", path: "/", header: link}).do(t, h); w.Code != 200 {
		t.Errorf("the page: %d %s", w.Code, w.Body)
	}
	if w := (request{method: "GET", path: "/v1/status", header: link}).do(t, h); w.Code != 403 {
		t.Errorf("a call: %d %s", w.Code, w.Body)
	}
	link["Sec-Fetch-Dest"] = "iframe"
	if w := (request{method: "GET", path: "/", header: link}).do(t, h); w.Code != 403 {
		t.Errorf("the page in a frame: %d %s", w.Code, w.Body)
	}
}

// signIn exchanges a code for the page's cookie.
func signIn(t *testing.T, s *api.Server) string {
	t.Helper()
	w := request{method: "POST", path: "/v1/session", body: fmt.Sprintf(`{"code":%q}`, s.SignInCode()), header: map[string]string{"Authorization": ""}}.do(t, s.Handler())
	if w.Code != http.StatusNoContent {
		t.Fatalf("sign in: %d %s", w.Code, w.Body)
	}
	set := w.Header().Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(set, part) {
			t.Errorf("cookie %q lacks %s", set, part)
		}
	}
	cookie, _, _ := strings.Cut(set, ";")
	return cookie
}

func TestSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, config(newDesk(t)))
		try := func(code string) int {
			return request{method: "POST", path: "/v1/session", body: fmt.Sprintf(`{"code":%q}`, code), header: map[string]string{"Authorization": ""}}.do(t, s.Handler()).Code
		}
		code := s.SignInCode()
		if got := try(strings.ToLower(code[:4] + "-" + code[4:])); got != 204 {
			t.Errorf("a code typed by hand: %d", got)
		}
		if got := try(code); got != 401 {
			t.Errorf("a code used twice: %d", got)
		}
		if got := try(token); got != 204 {
			t.Errorf("the token: %d", got)
		}
		code = s.SignInCode()
		for range 10 {
			if got := try("ZZZZZZZZ"); got != 401 {
				t.Fatalf("a wrong code: %d", got)
			}
		}
		if got := try(code); got != 401 {
			t.Errorf("the code after ten wrong ones: %d", got)
		}
		code = s.SignInCode()
		time.Sleep(5 * time.Minute)
		if got := try(code); got != 401 {
			t.Errorf("a code of five minutes ago: %d", got)
		}
		made := decode(t, request{method: "POST", path: "/v1/session/code"}.do(t, s.Handler()).Body)
		if got := try(made["code"].(string)); got != 204 {
			t.Errorf("a code made by the token's holder: %d", got)
		}
	})
}

// TestSessionOutlivesRestart holds that another server with the same token knows the session, and one with a new token
// does not.
func TestSessionOutlivesRestart(t *testing.T) {
	header := map[string]string{"Authorization": "", "Cookie": signIn(t, newServer(t, config(newDesk(t))))}
	if w := (request{method: "GET", path: "/v1/status", header: header}).do(t, newServer(t, config(newDesk(t))).Handler()); w.Code != 200 {
		t.Errorf("after a restart: %d %s", w.Code, w.Body)
	}
	c := config(newDesk(t))
	c.Token = []byte("another token, long enough")
	if w := (request{method: "GET", path: "/v1/status", header: header}).do(t, newServer(t, c).Handler()); w.Code != 401 {
		t.Errorf("after a new token: %d", w.Code)
	}
	c.Token = []byte("short")
	if _, err := api.New(c); err == nil {
		t.Error("a token of five bytes was taken")
	}
}

func TestBadBodies(t *testing.T) {
	d := newDesk(t)
	var log bytes.Buffer
	c := config(d)
	c.Log = logTo(&log)
	h := newServer(t, c).Handler()
	receipt := fuel(20_000, 130_000)
	for name, body := range map[string]string{
		"empty object":     `{}`,
		"not JSON":         `{"card":`,
		"no object":        `[1,2]`,
		"null":             `null`,
		"deep":             strings.Repeat(`{"a":`, 50_000) + `1` + strings.Repeat(`}`, 50_000),
		"deep list":        strings.Repeat(`[`, 200_000),
		"unknown member":   `{"card":"` + anna + `","receipt":` + receipt + `,"redeem":100}`,
		"number as text":   `{"card":"` + anna + `","receipt":` + receipt + `,"redeem_points_x100":"100"}`,
		"fraction":         `{"card":"` + anna + `","receipt":` + receipt + `,"redeem_points_x100":1.5}`,
		"negative":         `{"card":"` + anna + `","receipt":` + receipt + `,"redeem_points_x100":-1}`,
		"huge":             `{"card":"` + anna + `","receipt":` + receipt + `,"redeem_points_x100":1e300}`,
		"card as number":   `{"card":7005990012349015,"receipt":` + receipt + `}`,
		"card with markup": `{"card":"<script>1</script>","receipt":` + receipt + `}`,
		"no lines":         `{"card":"` + anna + `","receipt":{"tender":"cash","lines":[]}}`,
		"null lines":       `{"card":"` + anna + `","receipt":{"tender":"cash","lines":null}}`,
		"unknown tender":   `{"card":"` + anna + `","receipt":{"tender":"gold","lines":[{"kind":"fuel","code":"x","amount_kopecks":1}]}}`,
		"unknown kind":     `{"card":"` + anna + `","receipt":{"tender":"cash","lines":[{"kind":"air","code":"x","amount_kopecks":1}]}}`,
		"count of fuel":    `{"card":"` + anna + `","receipt":{"tender":"cash","lines":[{"kind":"fuel","code":"x","count_x1000":1,"amount_kopecks":1}]}}`,
		"control code":     `{"card":"` + anna + `","receipt":` + receipt + `,"cashier":"a\u0007b"}`,
		"not UTF-8":        `{"card":"` + anna + `","receipt":` + receipt + `,"cashier":"` + "\xff\xfe" + `"}`,
	} {
		w := request{method: "PUT", path: "/v1/sales/x", body: body}.do(t, h)
		if w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %.300s", name, w.Code, w.Body)
			continue
		}
		got := w.Body.String()
		want(t, decode(t, strings.NewReader(got)), map[string]any{"code": "bad_request", "status": w.Code})
		if strings.Contains(got, anna) || strings.Contains(log.String(), anna) {
			t.Errorf("%s: the card number is told in the answer or the log: %s", name, got)
		}
	}
	for name, c := range map[string]struct {
		q      request
		status int
		code   string
	}{
		"too large":       {request{method: "PUT", path: "/v1/sales/x", body: `{"cashier":"` + strings.Repeat("a", api.MaxBody) + `"}`}, 413, "too_large"},
		"a form":          {request{method: "POST", path: "/v1/identify", body: "card=1", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, "unsupported_media_type"},
		"plain text":      {request{method: "POST", path: "/v1/identify", body: `{"card":"` + anna + `"}`, header: map[string]string{"Content-Type": "text/plain"}}, 415, "unsupported_media_type"},
		"no body":         {request{method: "POST", path: "/v1/identify"}, 400, "bad_request"},
		"no such call":    {request{method: "GET", path: "/v1/nothing"}, 404, "not_found"},
		"wrong method":    {request{method: "DELETE", path: "/v1/status"}, 405, "method_not_allowed"},
		"long sale id":    {request{method: "GET", path: "/v1/sales/" + strings.Repeat("x", 65)}, 422, "bad_request"},
		"long in bytes":   {request{method: "GET", path: "/v1/sales/" + strings.Repeat("%D1%87", 40)}, 400, "bad_request"},
		"control in id":   {request{method: "GET", path: "/v1/sales/a%00b"}, 400, "bad_request"},
		"unknown query":   {request{method: "GET", path: "/v1/sales?state=open&all=1"}, 422, "bad_request"},
		"unknown state":   {request{method: "GET", path: "/v1/sales?state=closed"}, 422, "bad_request"},
		"unknown sale":    {request{method: "GET", path: "/v1/sales/none"}, 404, "unknown_sale"},
		"too high limit":  {request{method: "GET", path: "/v1/sales?state=open&limit=100000"}, 422, "bad_request"},
		"short card":      {request{method: "POST", path: "/v1/identify", body: `{"card":"12"}`}, 422, "bad_request"},
		"card with space": {request{method: "POST", path: "/v1/identify", body: `{"card":"7005 9900"}`}, 400, "bad_request"},
	} {
		w := c.q.do(t, h)
		if w.Code != c.status {
			t.Errorf("%s: %d, want %d: %.300s", name, w.Code, c.status, w.Body)
			continue
		}
		want(t, decode(t, w.Body), map[string]any{"code": c.code})
	}
	if d.Entries() != 0 {
		t.Errorf("bad requests wrote %d entries", d.Entries())
	}
}

// TestMarkupStaysText holds that markup in any text comes back as the same text, in JSON that no browser takes for a page.
func TestMarkupStaysText(t *testing.T) {
	const script = `<img src=x onerror="alert(1)">`
	h := newServer(t, config(newDesk(t))).Handler()
	w := request{method: "PUT", path: "/v1/sales/%3Cscript%3E", body: fmt.Sprintf(
		`{"card":%q,"cashier":%q,"receipt":{"tender":"cash","lines":[{"kind":"goods","code":%q,"group":%q,"amount_kopecks":100}]}}`, anna, script, script, script)}.do(t, h)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	want(t, decode(t, w.Body), map[string]any{"id": "<script>", "cashier": script})
}

// pipes is a network in memory, for servers in a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8713} }
func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

// TestStallingCallers holds that neither half a header nor half a body holds up anything for long, and that a stop of
// the server is orderly with both of them there.
func TestStallingCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		c := config(newDesk(t))
		c.Listener = l
		s := newServer(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()

		for name, part := range map[string]string{
			"half a header": "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-",
			"half a body": "POST /v1/identify HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + token +
				"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"card\":",
		} {
			conn, start := l.dial(), time.Now()
			if _, err := io.WriteString(conn, part); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if took := time.Since(start); err != nil || took > 11*time.Second {
				t.Errorf("%s: held for %v (%v)", name, took, err)
			}
			if name == "half a body" && !strings.Contains(string(answer), `"code":"too_slow"`) {
				t.Errorf("%s: answer %s", name, answer)
			}
			_ = conn.Close()
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// slowDesk lets quotes wait until they are let go.
type slowDesk struct {
	api.Desk
	entered chan struct{}
	release chan struct{}
}

func (d *slowDesk) Quote(context.Context, api.QuoteRequest) (loyalty.Quote, error) {
	d.entered <- struct{}{}
	<-d.release
	return loyalty.Quote{}, loyalty.NotEnough
}

func TestTooManyCallsAtOnce(t *testing.T) {
	d := &slowDesk{Desk: newDesk(t), entered: make(chan struct{}), release: make(chan struct{})}
	c := config(newDesk(t))
	c.Desk = d
	h := newServer(t, c).Handler()
	quote := request{method: "POST", path: "/v1/quote", body: fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(1000, 6500))}
	answers := make(chan *httptest.ResponseRecorder)
	const most = 32
	for range most {
		go func() { answers <- quote.do(t, h) }()
		<-d.entered
	}
	w := request{method: "GET", path: "/v1/status"}.do(t, h)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("one call more: %d %s", w.Code, w.Body)
	}
	close(d.release)
	for range most {
		if w := <-answers; w.Code != 422 {
			t.Errorf("a call that waited: %d %s", w.Code, w.Body)
		}
	}
	if w := (request{method: "GET", path: "/v1/status"}).do(t, h); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}
