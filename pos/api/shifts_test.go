package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// TestShift walks a shift: sales of two cashiers, a refund, a void and a card, then the register's figures, of which two
// are wrong.
func TestShift(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	twice := func(method, path, body string) map[string]any {
		t.Helper()
		first := request{method: method, path: path, body: body}.do(t, h)
		n := d.Entries()
		second := request{method: method, path: path, body: body}.do(t, h)
		if first.Code != 200 || !bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) || d.Entries() != n {
			t.Fatalf("%d %s\nand again: %d %s", first.Code, first.Body, second.Code, second.Body)
		}
		return decode(t, first.Body)
	}
	const shift = "/v1/shifts/1/12"
	want(t, call(t, h, 404, "GET", shift, ""), map[string]any{"code": "unknown_shift"})
	want(t, call(t, h, 404, "POST", shift+"/close", `{}`), map[string]any{"code": "unknown_shift"})
	want(t, twice("PUT", shift, `{"cashier":"Ольга"}`), map[string]any{
		"counter": "1", "number": 12, "state": "open", "implied": false, "opened_by": "Ольга", "opened_at": "2026-11-21T12:30:00+03:00",
		"totals.sales": 0, "cashiers": "[]", "mismatches": "[]", "register": nil,
	})
	at := func(cashier string) string {
		return fmt.Sprintf(`"cashier":%q,"shift":12,"counter":"1"`, cashier)
	}
	call(t, h, 200, "POST", "/v1/sales/1/close", fmt.Sprintf(`{"card":%q,"redeem_points_x100":10000,"receipt":%s,%s}`, anna, fuel(40_000, 260_000), at("Ольга")))
	call(t, h, 200, "POST", "/v1/sales/2/close", fmt.Sprintf(`{"card":%q,"manual_reason":"не читается","receipt":{"tender":"cashless",
		"payments":[{"tender":"cashless","amount_kopecks":100000},{"tender":"cash","amount_kopecks":30000}],
		"lines":[{"kind":"fuel","code":"АИ-95","volume_ml":20000,"amount_kopecks":130000}]},%s}`, boris, at("Пётр")))
	call(t, h, 200, "POST", "/v1/sales/1/refunds", fmt.Sprintf(`{"refund":"a","lines":[{"line":1,"volume_ml":20000,"amount_kopecks":130000}],%s}`, at("Пётр")))
	call(t, h, 200, "PUT", "/v1/sales/3", fmt.Sprintf(`{"card":%q,"receipt":%s,%s}`, anna, fuel(1000, 6500), at("Ольга")))
	call(t, h, 200, "POST", "/v1/sales/3/void", fmt.Sprintf(`{%s}`, at("Ольга")))
	call(t, h, 200, "POST", "/v1/cards/issue", issue(fresh, `"kind":"main","form":`+filled+`,`+at("Ольга")))
	call(t, h, 200, "POST", "/v1/sales/4/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(40_000, 260_000))) // in no shift
	for _, id := range []string{"7", "8", "9"} {
		// The fuel flows until after the shift.
		call(t, h, 200, "PUT", "/v1/sales/"+id, fmt.Sprintf(`{"card":%q,"receipt":%s,%s}`, anna, fuel(1000, 6500), at("Ольга")))
	}
	totals := map[string]any{
		"totals.sales": 2, "totals.refunds": 1, "totals.voids": 1, "totals.manual": 1, "totals.cards": 1, "totals.gross_kopecks": 390000,
		"totals.discount_kopecks": 10000, "totals.cash_kopecks": 280000, "totals.cashless_kopecks": 100000, "totals.redeemed_points_x100": 10000,
		"totals.refunded_cash_kopecks": 125000, "totals.returned_points_x100": 5000,
	}
	open := call(t, h, 200, "GET", shift, "")
	want(t, open, totals)
	if all := open["cashiers"].([]any); len(all) != 2 || all[0].(map[string]any)["cashier"] != "Ольга" || all[1].(map[string]any)["cashier"] != "Пётр" {
		t.Errorf("cashiers %v", open["cashiers"])
	}
	closed := twice("POST", shift+"/close", `{"cashier":"Пётр","register":{"sales":3,"cash_kopecks":280000,"cashless_kopecks":99050}}`)
	want(t, closed, totals)
	want(t, closed, map[string]any{"state": "closed", "closed_by": "Пётр", "differs": true, "register.sales": 3, "register.cash_kopecks": 280000, "register.refunds": nil})
	wrong := closed["mismatches"].([]any)
	if len(wrong) != 2 {
		t.Fatalf("mismatches %v", wrong)
	}
	want(t, wrong[0].(map[string]any), map[string]any{"figure": "sales", "station": 2, "register": 3, "message.ru": "Продажи: на кассе 3, по данным АЗС 2"})
	want(t, wrong[1].(map[string]any), map[string]any{
		"figure": "cashless_kopecks", "station": 100000, "register": 99050,
		"message.ru": "Безналичные, руб.: на кассе 990,50, по данным АЗС 1000,00", "message.en": "Cashless, roubles: 990.50 at the register, 1000.00 by the station",
	})
	if a := d.Alerts(); len(a) != 1 || a[0].Rule != loyalty.AlertShiftDiffers {
		t.Errorf("alerts %v", a)
	}
	want(t, call(t, h, 409, "POST", shift+"/close", `{"register":{"sales":2}}`), map[string]any{"code": "conflict"})
	want(t, call(t, h, 409, "PUT", shift, ""), map[string]any{"code": "shift_closed"})
	want(t, call(t, h, 409, "PUT", "/v1/sales/6", fmt.Sprintf(`{"card":%q,"receipt":%s,%s}`, anna, fuel(1000, 6500), at("Ольга"))), map[string]any{"code": "shift_closed"})
	want(t, twice("POST", "/v1/sales/7/close", fmt.Sprintf(`{"receipt":%s,%s}`, fuel(1000, 6500), at("Ольга"))), map[string]any{"state": "closed", "shift": 12})
	want(t, twice("POST", "/v1/sales/8/void", fmt.Sprintf(`{%s}`, at("Ольга"))), map[string]any{"state": "void"})
	want(t, twice("POST", "/v1/sales/9/resolve", fmt.Sprintf(`{"outcome":"closed","receipt":%s,%s}`, fuel(1000, 6500), at("Ольга"))), map[string]any{"state": "closed"})
	want(t, call(t, h, 200, "GET", shift, ""), totals)
	want(t, call(t, h, 409, "POST", "/v1/sales/5/close", fmt.Sprintf(`{"card":%q,"receipt":%s,%s}`, anna, fuel(1000, 6500), at("Ольга"))), map[string]any{"code": "shift_closed"})
	want(t, call(t, h, 200, "POST", "/v1/sales/5/close", fmt.Sprintf(`{"card":%q,"receipt":%s,"shift":13,"counter":"1"}`, anna, fuel(1000, 6500))), map[string]any{"shift": 13, "counter": "1"})
	want(t, call(t, h, 200, "GET", "/v1/shifts/1/13", ""), map[string]any{"implied": true, "totals.sales": 1})
	want(t, call(t, h, 200, "POST", "/v1/shifts/1/13/close", ""), map[string]any{"state": "closed", "differs": false, "register": nil})
}

// TestASaleAsTheReadmeDoesIt: the close of the README's sale names neither cashier nor shift nor counter, and counts where it
// was opened.
func TestASaleAsTheReadmeDoesIt(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	const sale = "/v1/sales/2026-11-21.17"
	who := map[string]any{"cashier": "Ольга", "shift": 12, "counter": "1"}
	want(t, call(t, h, 200, "PUT", sale, fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":50000,"cashier":"Ольга","shift":12,"counter":"1"}`, anna, fuel(40_000, 260_000))), who)
	want(t, call(t, h, 200, "POST", sale+"/close", fmt.Sprintf(`{"receipt":%s,"redeem_points_x100":45000}`, fuel(38_000, 247_000))), who)
	want(t, call(t, h, 200, "GET", sale, ""), who)
	call(t, h, 200, "PUT", sale+".a", fmt.Sprintf(`{"card":%q,"receipt":%s,"cashier":"Ольга","shift":12,"counter":"1"}`, anna, fuel(1000, 6500)))
	want(t, call(t, h, 200, "POST", sale+".a/void", ""), who)
	call(t, h, 200, "PUT", sale+".b", fmt.Sprintf(`{"card":%q,"receipt":%s,"cashier":"Ольга","shift":12,"counter":"1"}`, anna, fuel(1000, 6500)))
	want(t, call(t, h, 200, "POST", sale+".b/resolve", `{"outcome":"void"}`), who)
	want(t, call(t, h, 200, "POST", sale+"/refunds", `{"refund":"a"}`), map[string]any{"cashier": nil, "shift": nil})
	want(t, call(t, h, 200, "GET", "/v1/shifts/1/12", ""), map[string]any{
		"totals.sales": 1, "totals.voids": 2, "totals.refunds": 0, "totals.gross_kopecks": 247000, "totals.redeemed_points_x100": 45000,
	})
}

func TestBadShifts(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	for _, q := range []request{
		{method: "PUT", path: "/v1/shifts/1/0"}, {method: "PUT", path: "/v1/shifts/1/-1"}, {method: "PUT", path: "/v1/shifts/1/x"},
		{method: "PUT", path: "/v1/shifts/1/4294967296"}, {method: "PUT", path: "/v1/shifts/%00/1"},
		{method: "PUT", path: "/v1/shifts/1/1", body: `{"cashier":"a\u0007b"}`},
		{method: "POST", path: "/v1/shifts/1/1/close", body: `{"register":{"sales":-1}}`},
		{method: "POST", path: "/v1/shifts/1/1/close", body: `{"register":{"sales":1.5}}`},
		{method: "POST", path: "/v1/shifts/1/1/close", body: `{"register":{"tips":1}}`},
		{method: "POST", path: "/v1/shifts/1/1/close", body: `{"register":{"cash_kopecks":1e30}}`},
	} {
		if w := q.do(t, h); w.Code != 400 && w.Code != 422 {
			t.Errorf("%s %s %s: %d %s", q.method, q.path, q.body, w.Code, w.Body)
		}
	}
	if d.Entries() != 0 {
		t.Errorf("%d entries", d.Entries())
	}
	// A counter may have any name.
	want(t, call(t, h, 200, "PUT", "/v1/shifts/%D0%BA%D0%B0%D1%81%D1%81%D0%B0%201%2F2/7", ""), map[string]any{"counter": "касса 1/2", "number": 7})
}

// TestEveryFigureHasAName holds the figures of the domain to the fields of the published schema.
func TestEveryFigureHasAName(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	for _, schema := range []string{"Totals", "Stated"} {
		if n := len(doc.Components.Schemas[schema].Properties); n != len(loyalty.FigureNames()) {
			t.Errorf("%s has %d fields, the domain %d figures", schema, n, len(loyalty.FigureNames()))
		}
	}
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	call(t, h, 200, "PUT", "/v1/shifts/1/1", "")
	var all bytes.Buffer
	fields := doc.Components.Schemas["Stated"].Properties
	for name := range fields {
		fmt.Fprintf(&all, `,%q:1`, name)
	}
	wrong := call(t, h, 200, "POST", "/v1/shifts/1/1/close", `{"register":{`+all.String()[1:]+`}}`)["mismatches"].([]any)
	if len(wrong) != len(fields) {
		t.Errorf("%d of %d figures differ", len(wrong), len(fields))
	}
	seen := map[string]bool{}
	for _, w := range wrong {
		m := w.(map[string]any)
		figure, title := m["figure"].(string), m["title"].(map[string]any)
		if fields[figure] == nil || title["ru"] == title["en"] || seen[title["ru"].(string)] {
			t.Errorf("figure %v", m)
		}
		seen[title["ru"].(string)] = true
	}
}
