package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/pos/api/apitest"
)

const (
	token = "3b5d5c3712955042212316173ccf37be"

	anna     = "7005990012349015" // active, 1,200 points to spend and 50.5 that are not active yet
	boris    = "7005990012340004" // may only accrue
	blocked  = "7005990012340012"
	child    = "7005990012340020" // additional card on anna's account that may not redeem
	staff    = "7005990012340038"
	gone     = "7005990012340046" // closed
	stranger = "7005990012340053" // not known
)

// moment is when the tests' station stands still.
var moment = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

func newDesk(t testing.TB) *apitest.Desk {
	t.Helper()
	d, err := apitest.New(moment)
	if err != nil {
		t.Fatal(err)
	}
	d.Add(loyalty.Card{Number: anna, Account: 1, MayRedeem: true}, loyalty.Active, 1_200_00, 50_50)
	d.Add(loyalty.Card{Number: child, Account: 1, Kind: loyalty.AdditionalCard}, loyalty.Active, 0, 0)
	d.Add(loyalty.Card{Number: boris, Account: 2, State: loyalty.AccruesOnly, MayRedeem: true}, loyalty.Active, 300_00, 0)
	d.Add(loyalty.Card{Number: blocked, Account: 3, State: loyalty.Blocked, MayRedeem: true}, loyalty.Active, 10_00, 0)
	d.Add(loyalty.Card{Number: staff, Account: 4, Kind: loyalty.StaffKind, MayRedeem: true}, loyalty.Active, 0, 0)
	d.Add(loyalty.Card{Number: gone, Account: 5, State: loyalty.Closed, MayRedeem: true}, loyalty.Active, 0, 0)
	return d
}

func config(d *apitest.Desk) api.Config {
	return api.Config{
		Desk: d, Monitor: d, Hub: api.NewHub(), Token: []byte(token), Zone: time.FixedZone("MSK", 3*3600),
		Hosts: []string{"azs-7.lan"}, Origins: []string{"https://pos.example"},
	}
}

func newServer(t testing.TB, c api.Config) *api.Server {
	t.Helper()
	s, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// request is one call and what it must give.
type request struct {
	method, path string
	body         string
	header       map[string]string
}

func (q request) do(t testing.TB, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(q.method, "http://127.0.0.1:8713"+q.path, strings.NewReader(q.body))
	if q.body == "" {
		r = httptest.NewRequest(q.method, "http://127.0.0.1:8713"+q.path, nil)
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for k, v := range q.header {
		switch {
		case k == "Host":
			r.Host = v
		case v == "":
			r.Header.Del(k)
		default:
			r.Header.Set(k, v)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// call sends a request and decodes its answer, which must have the status.
func call(t testing.TB, h http.Handler, status int, method, path, body string) map[string]any {
	t.Helper()
	w := request{method: method, path: path, body: body}.do(t, h)
	if w.Code != status {
		t.Fatalf("%s %s %s\n%d, want %d: %s", method, path, body, w.Code, status, w.Body)
	}
	return decode(t, w.Body)
}

func decode(t testing.TB, r io.Reader) map[string]any {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return v
}

// want compares some members of an answer; a dotted name goes down.
func want(t testing.TB, got map[string]any, members map[string]any) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		var at any = got
		for part := range strings.SplitSeq(name, ".") {
			m, _ := at.(map[string]any)
			at = m[part]
		}
		if g, w := fmt.Sprint(at), fmt.Sprint(members[name]); g != w {
			t.Errorf("%s is %s, want %s", name, g, w)
		}
	}
}

// fuel is a receipt of one line.
func fuel(ml, kopecks int) string {
	return fmt.Sprintf(`{"tender":"cash","lines":[{"kind":"fuel","code":"АИ-95","volume_ml":%d,"amount_kopecks":%d}]}`, ml, kopecks)
}

func TestIdentify(t *testing.T) {
	h := newServer(t, config(newDesk(t))).Handler()
	for card, members := range map[string]map[string]any{
		anna: {
			"card": anna, "card_masked": "7005••••9015", "known": true, "account": 1, "kind": "main", "card_state": "active",
			"total_points_x100": 125050, "available_points_x100": 120000, "redeemable_points_x100": 120000,
			"accrue_refused": nil, "redeem_refused": nil, "fresh": true, "as_of": "2026-11-21T09:30:00Z",
		},
		boris:    {"card_state": "accrue_only", "accrue_refused": nil, "redeem_refused.code": "accrue_only", "redeemable_points_x100": 0, "available_points_x100": 30000},
		blocked:  {"card_state": "blocked", "accrue_refused.code": "card_blocked", "redeem_refused.ru": "Карта заблокирована"},
		gone:     {"accrue_refused.code": "card_closed"},
		child:    {"kind": "additional", "accrue_refused": nil, "redeem_refused.code": "redeem_off", "total_points_x100": 125050},
		staff:    {"kind": "staff", "accrue_refused.code": "staff_card"},
		stranger: {"known": false, "account": nil, "kind": nil, "accrue_refused": nil, "redeem_refused.code": "unknown_card", "total_points_x100": 0},
	} {
		want(t, call(t, h, 200, "POST", "/v1/identify", `{"card":"`+card+`"}`), members)
	}
}

func TestIdentifyOffline(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	d.Grant(1, 400_00)
	d.SetOnline(false)
	want(t, call(t, h, 200, "POST", "/v1/identify", `{"card":"`+anna+`"}`), map[string]any{
		"available_points_x100": 120000, "redeemable_points_x100": 40000, "redeem_refused": nil, "fresh": false,
	})
	want(t, call(t, h, 200, "POST", "/v1/identify", `{"card":"`+boris+`"}`), map[string]any{"redeem_refused.code": "accrue_only"})
}

func TestQuote(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	body := func(card string, redeem int) string {
		return fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":%d}`, card, fuel(31_000, 201_300), redeem)
	}
	want(t, call(t, h, 200, "POST", "/v1/quote", body(anna, 0)), map[string]any{
		"total_kopecks": 201300, "pay_kopecks": 201300, "earn_points_x100": 1500, "max_redeem_points_x100": 120000,
		"earn_active_from": "2026-12-05T00:00:00+03:00", "earn_expires": "2027-11-22T00:00:00+03:00", "line_discounts_kopecks": "[0]",
	})
	want(t, call(t, h, 200, "POST", "/v1/quote", body(anna, 100_00)), map[string]any{
		"redeem_points_x100": 10000, "discount_kopecks": 10000, "pay_kopecks": 191300, "line_discounts_kopecks": "[10000]",
	})
	reasons := call(t, h, 200, "POST", "/v1/quote", body(boris, 0))["reasons"].([]any)
	if len(reasons) != 1 || reasons[0].(map[string]any)["code"] != "accrue_only" {
		t.Errorf("reasons %v, want accrue_only", reasons)
	}
	want(t, call(t, h, 422, "POST", "/v1/quote", body(anna, 1_201_00)), map[string]any{"code": "not_enough"})
	d.SetOnline(false)
	want(t, call(t, h, 422, "POST", "/v1/quote", body(anna, 100_00)), map[string]any{"code": "no_rights"})
	want(t, call(t, h, 200, "POST", "/v1/quote", body(anna, 0)), map[string]any{"max_redeem_points_x100": 0})
	if d.Entries() != 0 {
		t.Errorf("quoting wrote %d entries", d.Entries())
	}
}

// TestSale walks a sale of two steps, every call twice: the second answer is the first, byte for byte, and the journal
// does not grow.
func TestSale(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	twice := func(method, path, body string) map[string]any {
		t.Helper()
		first := request{method: method, path: path, body: body}.do(t, h)
		n := d.Entries()
		second := request{method: method, path: path, body: body}.do(t, h)
		if first.Code != 200 || !bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) || d.Entries() != n {
			t.Fatalf("%s %s: %d %s\nand again: %d %s", method, path, first.Code, first.Body, second.Code, second.Body)
		}
		return decode(t, first.Body)
	}
	open := fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":50000,"cashier":"Ольга","shift":12}`, anna, fuel(40_000, 260_000))
	want(t, twice("PUT", "/v1/sales/r-1", open), map[string]any{
		"id": "r-1", "state": "open", "reserved_points_x100": 50000, "available_points_x100": 70000, "total_points_x100": 125050, "cashier": "Ольга", "shift": 12,
	})
	want(t, call(t, h, 409, "PUT", "/v1/sales/r-1", strings.Replace(open, "50000", "40000", 1)), map[string]any{"code": "conflict"})
	list := call(t, h, 200, "GET", "/v1/sales?state=open", "")["sales"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["id"] != "r-1" {
		t.Fatalf("open sales %v, want r-1", list)
	}
	want(t, call(t, h, 200, "GET", "/v1/status", ""), map[string]any{"unresolved_sales": 1})
	want(t, call(t, h, 422, "POST", "/v1/sales/r-1/close", fmt.Sprintf(`{"receipt":%s,"redeem_points_x100":60000}`, fuel(38_000, 247_000))), map[string]any{"code": "redeem_more"})

	closing := fmt.Sprintf(`{"receipt":%s,"redeem_points_x100":45000,"cashier":"Ольга"}`, fuel(38_000, 247_000))
	closed := twice("POST", "/v1/sales/r-1/close", closing)
	want(t, closed, map[string]any{
		"state": "closed", "quote.redeem_points_x100": 45000, "quote.pay_kopecks": 202000, "quote.earn_points_x100": 1500,
		"total_points_x100": 81550, "available_points_x100": 75000,
	})
	if total, spendable := d.Balance(1); total != 815_50 || spendable != 750_00 {
		t.Errorf("headquarters counts %s and %s, want 815.5 and 750", total, spendable)
	}
	want(t, call(t, h, 200, "GET", "/v1/sales/r-1", ""), map[string]any{"state": "closed", "receipt_text": closed["receipt_text"]})
	want(t, call(t, h, 409, "POST", "/v1/sales/r-1/close", strings.Replace(closing, "45000", "44000", 1)), map[string]any{"code": "conflict"})
	want(t, call(t, h, 409, "POST", "/v1/sales/r-1/void", `{}`), map[string]any{"code": "sale_not_open"})

	call(t, h, 200, "PUT", "/v1/sales/r-2", open)
	want(t, twice("POST", "/v1/sales/r-2/void", `{"reason":"покупатель передумал"}`), map[string]any{"state": "void", "available_points_x100": 75000})
	call(t, h, 200, "PUT", "/v1/sales/r-3", open)
	want(t, twice("POST", "/v1/sales/r-3/void", ""), map[string]any{"state": "void", "available_points_x100": 75000})
}

func TestSaleOfOneStep(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	body := fmt.Sprintf(`{"card":%q,"receipt":%s,"manual_reason":"карта не читается"}`, anna, fuel(20_000, 130_000))
	want(t, call(t, h, 200, "POST", "/v1/sales/%D1%87%D0%B5%D0%BA%2F7/close", body), map[string]any{"id": "чек/7", "state": "closed", "quote.earn_points_x100": 1000})
	want(t, call(t, h, 200, "GET", "/v1/sales/%D1%87%D0%B5%D0%BA%2F7", ""), map[string]any{"id": "чек/7"})
	want(t, call(t, h, 404, "POST", "/v1/sales/r-9/close", fmt.Sprintf(`{"receipt":%s}`, fuel(20_000, 130_000))), map[string]any{"code": "unknown_sale"})
	if d.Entries() != 1 {
		t.Errorf("%d entries, want 1: a refusal writes nothing", d.Entries())
	}
	// A refusal does not use up the id.
	call(t, h, 200, "POST", "/v1/sales/r-9/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(20_000, 130_000)))
}

func TestResolve(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	for _, id := range []string{"a", "b"} {
		call(t, h, 200, "PUT", "/v1/sales/"+id, fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":10000}`, anna, fuel(20_000, 130_000)))
	}
	want(t, call(t, h, 400, "POST", "/v1/sales/a/resolve", `{"outcome":"closed"}`), map[string]any{"code": "bad_request"})
	want(t, call(t, h, 422, "POST", "/v1/sales/a/resolve", `{"outcome":"forgotten"}`), map[string]any{"code": "bad_request"})
	want(t, call(t, h, 200, "POST", "/v1/sales/a/resolve", fmt.Sprintf(`{"outcome":"closed","receipt":%s,"redeem_points_x100":10000}`, fuel(20_000, 130_000))), map[string]any{"state": "closed"})
	want(t, call(t, h, 200, "POST", "/v1/sales/b/resolve", `{"outcome":"void","reason":"чека нет"}`), map[string]any{"state": "void"})
	for id, resolved := range map[loyalty.SaleID]func(*loyalty.Sale) bool{
		"a": func(s *loyalty.Sale) bool { return s.Close.Resolved },
		"b": func(s *loyalty.Sale) bool { return s.Void.Resolved },
	} {
		if s, err := d.Sale(t.Context(), id); err != nil || !resolved(s) {
			t.Errorf("sale %s is not marked as resolved (%v)", id, err)
		}
	}
}

// TestRefusals calls for every code of the domain, and holds that each has a status of its own choosing, both sentences,
// and leaves no entry behind.
func TestRefusals(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	sale := fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(20_000, 130_000))
	for _, code := range loyalty.Refusals() {
		d.Fail(fmt.Errorf("close sale: %w", code))
		w := request{method: "POST", path: "/v1/sales/x/close", body: sale}.do(t, h)
		if w.Code < 400 || w.Code == 500 || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: status %d, type %s", code, w.Code, w.Header().Get("Content-Type"))
		}
		words := loyalty.Words(code)
		want(t, decode(t, w.Body), map[string]any{
			"code": code, "type": "urn:azs-edge:problem:" + code, "status": w.Code, "title": words.EN, "message.ru": words.RU, "message.en": words.EN,
		})
	}
	d.Fail(nil)
	buy := func(card string, redeem int) string {
		return fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":%d}`, card, fuel(20_000, 130_000), redeem)
	}
	for _, c := range []struct {
		body string
		code loyalty.Refusal
		want int
	}{
		{buy(blocked, 0), loyalty.CardBlocked, 403}, {buy(gone, 0), loyalty.CardClosed, 403}, {buy(staff, 0), loyalty.StaffCard, 403},
		{buy(boris, 100), loyalty.AccrueOnly, 403}, {buy(child, 100), loyalty.RedeemOff, 403}, {buy(stranger, 100), loyalty.UnknownCard, 404},
		{buy(anna, 1_200_00+100), loyalty.NotEnough, 422}, {buy(anna, 1_300_00), loyalty.OverLimit, 422}, {buy(anna, 50), loyalty.OverLimit, 422},
	} {
		want(t, call(t, h, c.want, "PUT", "/v1/sales/x", c.body), map[string]any{"code": c.code})
	}
	d.SetFrozen(true)
	want(t, call(t, h, 403, "PUT", "/v1/sales/x", buy(anna, 100)), map[string]any{"code": "redeem_frozen"})
	d.SetProgramme(nil)
	want(t, call(t, h, 503, "POST", "/v1/identify", `{"card":"`+anna+`"}`), map[string]any{"code": "no_programme"})
	if d.Entries() != 0 {
		t.Errorf("refusals wrote %d entries", d.Entries())
	}
	d = newDesk(t)
	d.SetOnline(false)
	h = newServer(t, config(d)).Handler()
	want(t, call(t, h, 422, "PUT", "/v1/sales/x", buy(anna, 100)), map[string]any{"code": "no_rights"})
	want(t, call(t, h, 200, "PUT", "/v1/sales/x", buy(anna, 0)), map[string]any{"state": "open"})
}

func TestInternalErrorIsNotTold(t *testing.T) {
	d := newDesk(t)
	var log bytes.Buffer
	c := config(d)
	c.Log = logTo(&log)
	h := newServer(t, c).Handler()
	d.Fail(io.ErrUnexpectedEOF)
	got := call(t, h, 500, "POST", "/v1/identify", `{"card":"`+anna+`"}`)
	want(t, got, map[string]any{"code": "internal", "detail": nil})
	if !strings.Contains(log.String(), "unexpected EOF") || strings.Contains(log.String(), anna) {
		t.Errorf("the log must tell the error and not the card: %s", &log)
	}
}

// TestRedeemableIsInSteps: what a customer is told to redeem is what a quote will take.
func TestRedeemableIsInSteps(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	const card = "7005990000000337"
	d.Add(loyalty.Card{Number: card, Account: 33, MayRedeem: true}, loyalty.Active, 330_50, 0)
	identify := fmt.Sprintf(`{"card":%q}`, card)
	want(t, call(t, h, 200, "POST", "/v1/identify", identify), map[string]any{
		"available_points_x100": 33050, "redeemable_points_x100": 33000, "redeem_refused": nil,
	})
	d.Grant(33, 50)
	d.SetOnline(false)
	want(t, call(t, h, 200, "POST", "/v1/identify", identify), map[string]any{
		"available_points_x100": 33050, "redeemable_points_x100": 0, "redeem_refused.code": "no_rights",
	})
}

func TestStatus(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	d.SetOnline(false)
	d.Update(func(s *api.Status) {
		s.Scanners[0].Connected, s.Scanners[0].Reason, s.Clock, s.Ledger.Full = false, "no such device", loyalty.ClockBehind, true
	})
	call(t, h, 200, "POST", "/v1/sales/x/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(20_000, 130_000)))
	got := call(t, h, 200, "GET", "/v1/status", "")
	want(t, got, map[string]any{
		"station.number": 7, "hq.online": false, "hq.backlog_entries": 1, "clock": "behind", "ledger.full": true, "cards_configured": true,
		"programme.title.ru": "Семейная команда", "unresolved_sales": 0,
	})
	want(t, got["scanners"].([]any)[0].(map[string]any), map[string]any{"connected": false, "reason": "no such device", "counter": "1"})
}
