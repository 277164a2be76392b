package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api/apitest"
)

// levels is a programme with tiers, promo codes with a term of their own, and two fiscal words; %s is what the tiers count.
const levels = `schema: azs-edge/programme/1
name: levels
version: 5
effective: 2026-01-01T00:00:00+03:00
title: {ru: Уровни, en: Levels}
fiscal_form: counter_payment
tiers:
  count: %s
  window: rolling
  days: 90
  levels:
    - {name: green, title: {ru: Зелёный, en: Green}, from: 0}
    - {name: gold, title: {ru: «Золотой» — для тех кто ездит далеко, en: Gold}, from: 300}
earn:
  - {fuel: ["*"], points: "1", per_litres: "2"}
expiry: {months: 12}
redeem: {share: 100%%, step: "1"}
unknown_card: accrue
campaigns:
  - {name: welcome, title: {ru: Привет, en: Hello}, from: 2026-01-01T00:00:00+03:00, until: 2027-01-01T00:00:00+03:00, points: 100, life_days: 20, promo: {codes: [ПРИВЕТ]}}
`

// longSale is as long as a sale's number may be.
const longSale = "2026-11-21T12.30.00-register-0000000012-shift-0000000345-no-0017"

func withLevels(t *testing.T, d *apitest.Desk, by string) {
	t.Helper()
	p, err := loyalty.ParseProgramme(fmt.Appendf(nil, levels, by))
	if err != nil {
		t.Fatal(err)
	}
	d.SetProgramme(p)
}

// elsewhere is a closed sale of another station: fuel for 2,600, of which points paid 100, and 15 points were earned.
func elsewhere() *loyalty.SaleElsewhere {
	at := loyalty.At(moment.Add(-24 * time.Hour))
	return &loyalty.SaleElsewhere{Station: 9, Closed: &loyalty.Entry{
		At: at, Op: loyalty.NewOpID(at, [10]byte{9}), Cashier: "Зоя", Programme: 3,
		Body: loyalty.SaleClosed{
			Sale: "чек-1", OpenedAt: at, Account: 1, Card: anna, Redeemed: 100_00, Discount: 100_00,
			Receipt: loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{
				{Kind: loyalty.Fuel, Code: "АИ-95", Volume: 40_000, Amount: 2600_00},
			}},
			Earned: []loyalty.Lot{{Amount: 15_00, ActiveFrom: at}}, LineDiscounts: []loyalty.Kopecks{100_00}, LineEarned: []loyalty.Points{15_00},
		},
	}}
}

// TestReceiptsOfLevels compares what is printed of tiers, several lots, points about to expire, and refunds of other
// stations' sales with golden text, and the answers with the text.
func TestReceiptsOfLevels(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	var all strings.Builder
	add := func(title, method, path, body string) map[string]any {
		t.Helper()
		got := call(t, h, 200, method, path, body)
		again := call(t, h, 200, method, path, body)
		text := got["receipt_text"].(string)
		if again["receipt_text"] != text {
			t.Errorf("%s: another text when asked again:\n%s\n%s", title, text, again["receipt_text"])
		}
		fmt.Fprintf(&all, "== %s\n%s", title, text)
		checkPrintable(t, title, text)
		return got
	}
	d.Elsewhere(elsewhere())
	away := add("refund of another station's sale", "POST", "/v1/sales/%D1%87%D0%B5%D0%BA-1/refunds", `{"refund":"a","station":9,"lines":[{"line":1,"volume_ml":20000,"amount_kopecks":130000}]}`)
	want(t, away, map[string]any{"station": 9, "sale": "чек-1", "card_masked": "7005••••9015", "money_kopecks": 125000, "returned_points_x100": 5000, "clawed_points_x100": 750})

	withLevels(t, d, "litres")
	promo := strings.Replace(fuel(40_000, 260_000), `"tender":"cash"`, `"tender":"cash","promo":["привет","НЕТ ТАКОГО"]`, 1)
	got := add("several lots, a tier and what expires", "POST", "/v1/sales/1/close", fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":10000}`, anna, promo))
	want(t, got, map[string]any{
		"quote.fiscal_form": "counter_payment", "quote.tier.title.ru": "Зелёный", "quote.tier.unit": "litres", "quote.tier.have": 40000, "quote.tier.need": 260000,
		"quote.tier.next.en": "Gold", "quote.line_earn_points_x100": "[11923]",
	})
	codes := got["quote"].(map[string]any)["promo"].([]any)
	want(t, codes[0].(map[string]any), map[string]any{"code": "привет", "used": true, "refused": nil})
	want(t, codes[1].(map[string]any), map[string]any{"code": "НЕТ ТАКОГО", "used": false, "refused.code": "promo_unknown"})
	if lots := got["quote"].(map[string]any)["earned"].([]any); len(lots) != 2 || lots[0].(map[string]any)["amount_points_x100"] != 100_00.0 || lots[0].(map[string]any)["expires"] == nil {
		t.Errorf("earned %v", lots)
	}
	who := call(t, h, 200, "POST", "/v1/identify", `{"card":"`+anna+`"}`)
	want(t, who, map[string]any{"tier.have": 40000, "tier.title.en": "Green", "debt_points_x100": 0})
	if e := who["expiring"].([]any); len(e) != 1 || e[0].(map[string]any)["amount_points_x100"] != 100_00.0 {
		t.Errorf("expiring %v", e)
	}
	add("the highest tier", "POST", "/v1/sales/2/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(300_000, 1_950_000)))
	call(t, h, 200, "PUT", "/v1/sales/3", fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":10000}`, anna, fuel(40_000, 260_000)))
	add("void with what expires", "POST", "/v1/sales/3/void", "")

	withLevels(t, d, "roubles")
	add("roubles to the next tier", "POST", "/v1/sales/4/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, boris, fuel(2000, 13_050)))
	add("a promo code that cannot be printed", "POST", "/v1/sales/1-2/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, boris, strings.Replace(promo, "НЕТ ТАКОГО", "ЖДЁМ—В—ГОСТИ, ДОРОГОЙ КЛИЕНТ ☕", 1)))
	add("a promo code that is used", "POST", "/v1/sales/1-3/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, boris, promo))
	call(t, h, 200, "POST", "/v1/sales/"+longSale+"/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, boris, fuel(2000, 13_000)))
	add("refund of a sale with a long number", "POST", "/v1/sales/"+longSale+"/refunds", `{"refund":"a"}`)
	golden(t, "levels.txt", []byte(all.String()))
}

// TestRefundElsewhere: another station's sale is refunded by headquarters' word, and never without it.
func TestRefundElsewhere(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	const path = "/v1/sales/%D1%87%D0%B5%D0%BA-1/refunds"
	d.Elsewhere(elsewhere())
	d.SetOnline(false)
	want(t, call(t, h, 503, "POST", path, `{"refund":"a","station":9}`), map[string]any{"code": "hq_out_of_reach"})
	d.SetOnline(true)
	want(t, call(t, h, 404, "POST", path, `{"refund":"a","station":8}`), map[string]any{"code": "unknown_sale"})
	want(t, call(t, h, 404, "POST", path, `{"refund":"a"}`), map[string]any{"code": "sale_not_here"})
	first := call(t, h, 200, "POST", path, `{"refund":"a","station":9,"tender":"cashless","card":"`+boris+`"}`)
	want(t, first, map[string]any{"all": true, "tender": "cashless", "returned_points_x100": 10000, "money_kopecks": 250000})
	d.SetOnline(false) // a refund that was made is answered again without anybody
	want(t, call(t, h, 200, "POST", path, `{"refund":"a","station":9,"tender":"cashless"}`), map[string]any{"receipt_text": first["receipt_text"]})
	want(t, call(t, h, 409, "POST", path, `{"refund":"a","station":9}`), map[string]any{"code": "conflict"}) // as it was paid: cash
	want(t, call(t, h, 503, "POST", path, `{"refund":"b","station":9}`), map[string]any{"code": "hq_out_of_reach"})
	for _, body := range []string{`{"refund":"c","station":16777216}`, `{"refund":"c","tender":"gold"}`, `{"refund":"c","card":"1 2"}`, `{"refund":"c","station":-1}`} {
		if w := (request{method: "POST", path: path, body: body}).do(t, h); w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestPayments: several tenders pay what points do not, exactly; a repeated sale may name them in any order.
func TestPayments(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	body := func(payments string) string {
		return fmt.Sprintf(`{"card":%q,"redeem_points_x100":10000,"receipt":{"tender":"cashless","payments":[%s],
			"lines":[{"kind":"fuel","code":"АИ-95","volume_ml":20000,"amount_kopecks":130000}]}}`, anna, payments)
	}
	const card, cash = `{"tender":"cashless","amount_kopecks":70000}`, `{"tender":"cash","amount_kopecks":50000}`
	got := call(t, h, 200, "POST", "/v1/sales/1/close", body(card+","+cash))
	want(t, got, map[string]any{"quote.pay_kopecks": 120000})
	if p := got["receipt"].(map[string]any)["payments"].([]any); len(p) != 2 || p[0].(map[string]any)["tender"] != "cash" {
		t.Errorf("payments %v", p)
	}
	call(t, h, 200, "POST", "/v1/sales/1/close", body(cash+","+card))
	for name, payments := range map[string]string{
		"too little": card, "too much": card + `,{"tender":"cash","amount_kopecks":50001}`, "twice": cash + "," + cash,
		"nothing": card + "," + cash + `,{"tender":"fuel_card","amount_kopecks":0}`, "by gold": card + `,{"tender":"gold","amount_kopecks":50000}`,
	} {
		if w := (request{method: "POST", path: "/v1/sales/2/close", body: body(payments)}).do(t, h); w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// A refund is told to the counter's listeners, without its lines.
func TestRefundIsTold(t *testing.T) {
	d := newDesk(t)
	s := newServer(t, config(d))
	call(t, s.Handler(), 200, "POST", "/v1/sales/1/close", mixed(t, d))
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events?counter=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	stream, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	call(t, s.Handler(), 200, "POST", "/v1/sales/1/refunds", `{"refund":"other counter","counter":"1","lines":[{"line":1,"amount_kopecks":100}]}`)
	call(t, s.Handler(), 200, "POST", "/v1/sales/1/refunds", `{"refund":"a","counter":"2"}`)
	for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
		if lines.Text() != "event: refund" {
			continue
		}
		lines.Scan()
		want(t, decode(t, strings.NewReader(strings.TrimPrefix(lines.Text(), "data: "))), map[string]any{
			"counter": "2", "refund.refund": "a", "refund.all": true, "refund.lines": "[]",
		})
		return
	}
	t.Error("no refund was told")
}
