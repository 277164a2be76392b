package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/azs-edge/azs-edge/pos/api/apitest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed. If that is on purpose: go test ./pos/api -update, and raise api.Version\n%s", path, firstDifference(want, got))
	}
}

func firstDifference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, were %d", len(g), len(w))
}

// TestPublishedAPI holds that what integrators rely on changes only on purpose.
func TestPublishedAPI(t *testing.T) {
	h := newServer(t, config(newDesk(t))).Handler()
	w := request{method: "GET", path: "/openapi.json", header: map[string]string{"Authorization": ""}}.do(t, h)
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	golden(t, "openapi.json", w.Body.Bytes())
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("not an OpenAPI 3.1 document (%v)", err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID == "" || op.Responses["default"] == nil || !strings.HasPrefix(path, "/v1/") {
				t.Errorf("%s %s: no operation id, no problem among the answers, or not under /v1", method, path)
			}
		}
	}
}

// TestREADME holds that the integrator's page names every code.
func TestREADME(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("testdata", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct{ Code struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal(doc, &api); err != nil {
		t.Fatal(err)
	}
	codes := api.Components.Schemas.Problem.Properties.Code.Enum
	if len(codes) < 20 {
		t.Fatalf("only %d codes are published", len(codes))
	}
	for _, c := range codes {
		if !bytes.Contains(page, []byte("`"+c+"`")) {
			t.Errorf("README.md does not tell of %s", c)
		}
	}
}

// TestReceiptText compares what is printed with golden text, and holds that a receipt printer can print it.
func TestReceiptText(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	var all strings.Builder
	add := func(title, method, path, body string) {
		t.Helper()
		text := call(t, h, 200, method, path, body)["receipt_text"].(string)
		fmt.Fprintf(&all, "== %s\n%s", title, text)
		checkPrintable(t, title, text)
	}
	order := fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":50000}`, anna, fuel(40_000, 260_000))
	add("opened", "PUT", "/v1/sales/1", order)
	add("closed", "POST", "/v1/sales/1/close", fmt.Sprintf(`{"receipt":%s,"redeem_points_x100":45000}`, fuel(38_000, 247_000)))
	add("accrued only", "POST", "/v1/sales/2/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, boris, fuel(38_000, 247_000)))
	add("nothing earned", "POST", "/v1/sales/3/close", fmt.Sprintf(`{"card":%q,"receipt":{"tender":"cash","lines":[{"kind":"goods","code":"1","group":"tobacco","count_x1000":1000,"amount_kopecks":20000}]}}`, anna))
	add("card not known", "POST", "/v1/sales/4/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, stranger, fuel(38_000, 247_000)))
	call(t, h, 200, "PUT", "/v1/sales/5", order)
	add("void", "POST", "/v1/sales/5/void", `{}`)
	call(t, h, 200, "POST", "/v1/sales/6/close", mixed(t, d))
	add("part refunded", "POST", "/v1/sales/6/refunds", `{"refund":"1","lines":[{"line":2,"count_x1000":1000,"amount_kopecks":18900}]}`)
	add("rest refunded", "POST", "/v1/sales/6/refunds", `{"refund":"2"}`)
	add("refund to a card not known", "POST", "/v1/sales/4/refunds", `{"refund":"1"}`)
	call(t, h, 200, "POST", "/v1/sales/7/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(600_000, 3_900_000)))
	d.SetNow(moment.AddDate(0, 1, 0))
	_, spendable := d.Balance(1)
	all100 := int(spendable) / 100 * 100
	call(t, h, 200, "POST", "/v1/sales/8/close", fmt.Sprintf(`{"card":%q,"redeem_points_x100":%d,"receipt":%s}`, anna, all100, fuel(200_000, all100+100)))
	add("refund of points that are spent", "POST", "/v1/sales/7/refunds", `{"refund":"1"}`)
	golden(t, "receipts.txt", []byte(all.String()))
}

// checkPrintable holds that a receipt printer can print a text.
func checkPrintable(t *testing.T, title, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 40 {
			t.Errorf("%s: %d columns: %s", title, n, line)
		}
		for _, r := range line {
			cp866 := r < 0x7f || (r >= 'А' && r <= 'я') || r == 'Ё' || r == 'ё'
			if !cp866 {
				t.Errorf("%s: %q is not in code page 866", title, r)
			}
		}
	}
}

// FuzzCalls sends any body to every call: the answer is a success or a problem of the table, in time, and a problem
// leaves no entry.
func FuzzCalls(f *testing.F) {
	calls := []request{
		{method: "POST", path: "/v1/identify"}, {method: "POST", path: "/v1/quote"}, {method: "PUT", path: "/v1/sales/x"},
		{method: "POST", path: "/v1/sales/x/close"}, {method: "POST", path: "/v1/sales/x/void"}, {method: "POST", path: "/v1/sales/x/resolve"},
		{method: "POST", path: "/v1/session"}, {method: "POST", path: "/v1/sales/sold/refunds"}, {method: "POST", path: "/v1/cards/issue"},
		{method: "PUT", path: "/v1/shifts/1/1"}, {method: "POST", path: "/v1/shifts/1/1/close"}, {method: "POST", path: "/v1/statement"},
		{method: "POST", path: "/v1/benefit"},
	}
	sale := fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":10000,"manual_reason":"x","cashier":"y","shift":1}`, anna, fuel(20_000, 130_000))
	for i := range calls {
		f.Add(uint8(i), []byte(sale))
	}
	f.Add(uint8(0), []byte(`{"card":"`+anna+`"}`))
	f.Add(uint8(3), []byte(fmt.Sprintf(`{"receipt":%s}`, fuel(1, 1))))
	f.Add(uint8(5), []byte(fmt.Sprintf(`{"outcome":"closed","receipt":%s}`, fuel(1, 1))))
	f.Add(uint8(5), []byte(`{"outcome":"void"}`))
	f.Add(uint8(6), []byte(`{"code":"`+token+`"}`))
	f.Add(uint8(7), []byte(`{"refund":"1"}`))
	f.Add(uint8(7), []byte(`{"refund":"1","lines":[{"line":1,"volume_ml":1000,"amount_kopecks":6500}],"reason":"x"}`))
	f.Add(uint8(7), []byte(`{"refund":"1","station":9,"card":"`+boris+`","tender":"cashless"}`))
	f.Add(uint8(8), []byte(issue(fresh, `"kind":"main","form":`+filled)))
	f.Add(uint8(9), []byte(`{"cashier":"y"}`))
	f.Add(uint8(10), []byte(`{"register":{"sales":1,"cash_kopecks":130000}}`))
	f.Add(uint8(11), []byte(`{"card":"`+anna+`","from":"2026-11-01","until":"2026-11-30","everywhere":true,"limit":1,"before":"1"}`))
	f.Add(uint8(12), []byte(`{"volume_ml":160000,"price_kopecks":6500,"goods_kopecks":1,"group":"coffee","visits":310,"tender":"cash"}`))
	sold := fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":10000}`, anna, fuel(20_000, 130_000))
	at := &struct{ *apitest.Desk }{newDesk(f)}
	c := config(at.Desk)
	c.Desk = at
	h := newServer(f, c).Handler()
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		d := newDesk(t)
		at.Desk = d
		call(t, h, 200, "POST", "/v1/sales/sold/close", sold)
		q := calls[int(which)%len(calls)]
		q.body = string(body)
		w := q.do(t, h)
		if w.Code >= 200 && w.Code < 300 {
			checkBalance(t, d)
			return
		}
		p := decode(t, w.Body)
		if w.Code >= 500 || p["code"] == nil || p["status"] != float64(w.Code) {
			t.Errorf("%d %v", w.Code, p)
		}
		if d.Entries() != 1 {
			t.Errorf("refused with %d %v, but wrote an entry", w.Code, p)
		}
	})
}

// checkBalance holds that nobody is overdrawn.
func checkBalance(t *testing.T, d *apitest.Desk) {
	t.Helper()
	if total, spendable := d.Balance(1); total < 0 || spendable < 0 || spendable > 1_200_00 {
		t.Errorf("balance %s, spendable %s", total, spendable)
	}
}
