package screen_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/pos/api/apitest"
)

const (
	token = "3b5d5c3712955042212316173ccf37be"

	anna     = "7005990012349015"
	boris    = "7005990012340004"
	blocked  = "7005990012340012"
	stranger = "7005990012340053"
)

// browser finds a Chromium, or skips the test: a page that was not run is not tested, so where everything is required
// the skip is a failure.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const why = "no Chromium here: install it (apt install chromium) to test the cashier's page"
	if os.Getenv("AZS_TEST_REQUIRE") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// chrome starts one browser for all the tests below.
func chrome(t *testing.T) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(browser(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.WindowSize(1024, 768),
	}
	for flag, value := range map[string]any{
		"disable-background-networking": true, "disable-component-update": true, "disable-sync": true, "hide-scrollbars": true, "lang": "ru",
	} {
		options = append(options, chromedp.Flag(flag, value))
	}
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return ctx
}

// counter is a station with its page open in a browser.
type counter struct {
	t    *testing.T
	desk *apitest.Desk
	hub  *api.Hub
	api  *api.Server
	srv  *httptest.Server
	ctx  context.Context

	mu     sync.Mutex
	errors []string // what the page complained of
}

func newCounter(t *testing.T, chrome context.Context) *counter {
	t.Helper()
	d, err := apitest.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d.Add(loyalty.Card{Number: anna, Account: 1, MayRedeem: true}, loyalty.Active, 1_200_00, 50_50)
	d.Add(loyalty.Card{Number: boris, Account: 2, State: loyalty.AccruesOnly, MayRedeem: true}, loyalty.Active, 300_00, 0)
	d.Add(loyalty.Card{Number: blocked, Account: 3, State: loyalty.Blocked, MayRedeem: true}, loyalty.Active, 10_00, 0)
	c := &counter{t: t, desk: d}
	c.start("127.0.0.1:0")
	t.Cleanup(func() { c.stop() })

	ctx, cancel := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, c.listen); err != nil {
		t.Fatal(err)
	}
	c.ctx, cancel = context.WithTimeout(ctx, 30*time.Second)
	t.Cleanup(cancel)
	return c
}

// start runs the server at the address, as a restarted agent would at its old one.
func (c *counter) start(address string) {
	c.t.Helper()
	c.hub = api.NewHub()
	s, err := api.New(api.Config{Desk: c.desk, Monitor: c.desk, Hub: c.hub, Token: []byte(token), Zone: time.Local})
	if err != nil {
		c.t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.api = s
	c.srv = &httptest.Server{Listener: l, Config: &http.Server{Handler: s.Handler()}}
	c.srv.Start()
}

func (c *counter) stop() {
	c.srv.CloseClientConnections()
	c.srv.Close()
}

// listen notes everything that a page must never do: throw, break its policy, call another host.
func (c *counter) listen(ev any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		c.errors = append(c.errors, fmt.Sprint(ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if ev.Entry.Source != log.EntrySourceNetwork { // answers that are refusals are logged there
			c.errors = append(c.errors, ev.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(ev.Request.URL, "http://127.0.0.1:") {
			c.errors = append(c.errors, "request to "+ev.Request.URL)
		}
	}
}

func (c *counter) run(actions ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	if err := chromedp.Do(c.ctx, actions...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *counter) types(sel, keys string) {
	c.t.Helper()
	c.run(chromedp.SendKeys(chromedp.CSS(sel), keys))
}
func (c *counter) click(sel string) { c.t.Helper(); c.run(chromedp.Click(chromedp.CSS(sel))) }
func (c *counter) key(keys string)  { c.t.Helper(); c.run(chromedp.KeyEvent(keys)) }
func (c *counter) does(js string)   { c.t.Helper(); c.run(chromedp.Evaluate[chromedp.Void](js)) }

func (c *counter) visit(path string) {
	c.t.Helper()
	c.run(chromedp.EmulateViewport(1024, 768), chromedp.Navigate(c.srv.URL+path))
}

// open signs the page in by its link and waits until it is ready.
func (c *counter) open() {
	c.t.Helper()
	c.visit("/?counter=1#code=" + c.api.SignInCode())
	c.sees("headline", "Отсканируйте карту")
	c.connected()
}

// connected waits until the page follows the events: what is published before is not for it.
func (c *counter) connected() {
	c.t.Helper()
	c.until(`document.querySelector("#chip-hq[data-tone]:not([data-tone=stop])") !== null`)
}

// until waits for a fact of the page. The page's policy forbids it to compile text, so this is not left to chromedp.Poll.
func (c *counter) until(js string) {
	c.t.Helper()
	wait := fmt.Sprintf(`new Promise(done => { const look = () => (%s) ? done(true) : setTimeout(look, 20); look(); setTimeout(() => done(false), 10000) })`, js)
	if ok, err := chromedp.Run(c.ctx, chromedp.Evaluate[bool](wait, chromedp.EvalAwaitPromise)); err != nil || !ok {
		c.t.Fatalf("did not come true: %s (%v)", js, err)
	}
}

// sees waits until an element shows the text.
func (c *counter) sees(id, text string) {
	c.t.Helper()
	c.until(fmt.Sprintf(`document.getElementById(%q).textContent.replace(/[\u00a0\u202f]/g, " ").includes(%q)`, id, text))
}

// holds checks a fact of the page now.
func (c *counter) holds(js string) {
	c.t.Helper()
	if ok, err := chromedp.Run(c.ctx, chromedp.Evaluate[bool](js)); err != nil || !ok {
		c.t.Errorf("does not hold: %s (%v)", js, err)
	}
}

// shot saves a picture where AZS_SCREENS says.
func (c *counter) shot(name string) {
	c.t.Helper()
	dir := os.Getenv("AZS_SCREENS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(c.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// clean holds at the end of a test that the page did nothing it must not.
func (c *counter) clean() {
	c.t.Helper()
	c.holds(`document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth`)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.errors {
		c.t.Errorf("the page: %s", e)
	}
}

// still holds that nothing that is touched has moved: a finger may be on its way to it.
func (c *counter) still() {
	c.t.Helper()
	moved, err := chromedp.Run(c.ctx, chromedp.Evaluate[string](`new Promise(done => {
		const moved = [];
		new PerformanceObserver(l => {
			for (const e of l.getEntries()) for (const s of e.sources) {
				const n = s.node;
				if (n && n.nodeType === 1 && (n.matches("button, input") || n.querySelector("button, input"))) moved.push(n.id || n.className || n.textContent);
			}
		}).observe({ type: "layout-shift", buffered: true });
		setTimeout(() => done(moved.join("\n")), 50);
	})`, chromedp.EvalAwaitPromise))
	if err != nil || moved != "" {
		c.t.Errorf("moved on the screen (%v):\n%s", err, moved)
	}
}

// scan presents a card at the counter, as the agent does.
func (c *counter) scan(card loyalty.CardNumber) {
	c.t.Helper()
	c.scanAt(time.Now(), card)
}

// scanAt tells of a scan at the moment; told again, it is the same scan.
func (c *counter) scanAt(at time.Time, card loyalty.CardNumber) {
	c.t.Helper()
	e := api.Scan{At: at, Counter: "1", Scanner: "scanner1", Outcome: api.ScanCustomer}
	customer, err := c.desk.Identify(c.ctx, card, loyalty.Who{Counter: "1"})
	if code, ok := loyalty.RefusalOf(err); ok {
		e.Outcome, e.Card, e.Refusal = api.ScanRefused, card, code
	} else {
		e.Customer = &customer
	}
	c.hub.Publish(e)
}

// fill types a sale of fuel.
func (c *counter) fill(litres, amount, redeem string) {
	c.t.Helper()
	for sel, keys := range map[string]string{"#litres": litres, "#amount": amount, "#redeem": redeem} {
		if keys != "" {
			c.types(sel, keys)
		}
	}
}

// post calls the API as the register does.
func (c *counter) post(method, path, body string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.ctx, method, c.srv.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
}
