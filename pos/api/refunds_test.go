package api_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/azs-edge/azs-edge/pos/api/apitest"
)

// mixed is a sale of fuel for 2,470 and coffee for 189 roubles, of which points paid 450.
func mixed(t testing.TB, d *apitest.Desk) string {
	t.Helper()
	return fmt.Sprintf(`{"card":%q,"redeem_points_x100":45000,"receipt":{"tender":"cash","lines":[
		{"kind":"fuel","code":"АИ-95","volume_ml":38000,"amount_kopecks":247000},{"kind":"goods","code":"1","group":"coffee","count_x1000":1000,"amount_kopecks":18900}]}}`, anna)
}

// TestRefund walks a sale's refunds, every call twice: the second answer is the first, byte for byte, and the journal
// does not grow.
func TestRefund(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	call(t, h, 200, "POST", "/v1/sales/r-1/close", mixed(t, d))
	twice := func(body string) map[string]any {
		t.Helper()
		first := request{method: "POST", path: "/v1/sales/r-1/refunds", body: body}.do(t, h)
		n := d.Entries()
		second := request{method: "POST", path: "/v1/sales/r-1/refunds", body: body}.do(t, h)
		if first.Code != 200 || !bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) || d.Entries() != n {
			t.Fatalf("%d %s\nand again: %d %s", first.Code, first.Body, second.Code, second.Body)
		}
		return decode(t, first.Body)
	}
	before, _ := d.Balance(1)
	coffee := twice(`{"refund":"b-1","lines":[{"line":2,"count_x1000":1000,"amount_kopecks":18900}],"reason":"остыл","cashier":"Ольга","shift":12}`)
	want(t, coffee, map[string]any{
		"refund": "b-1", "sale": "r-1", "all": false, "amount_kopecks": 18900, "discount_kopecks": 3199, "money_kopecks": 15701,
		"returned_points_x100": 3199, "clawed_points_x100": 785, "debt_points_x100": 0, "cashier": "Ольга", "shift": 12,
	})
	if total, _ := d.Balance(1); total != before+31_99-7_85 {
		t.Errorf("headquarters counts %s, had %s", total, before)
	}
	call(t, h, 409, "POST", "/v1/sales/r-1/refunds", `{"refund":"b-1","lines":[{"line":2,"count_x1000":1000,"amount_kopecks":18800}]}`)
	want(t, call(t, h, 422, "POST", "/v1/sales/r-1/refunds", `{"refund":"b-2","lines":[{"line":2,"amount_kopecks":1}]}`), map[string]any{"code": "refund_more"})
	want(t, call(t, h, 400, "POST", "/v1/sales/r-1/refunds", `{"refund":"b-2","lines":[{"line":3,"amount_kopecks":1}]}`), map[string]any{"code": "bad_request"})
	want(t, call(t, h, 404, "POST", "/v1/sales/of-another-station/refunds", `{"refund":"b-1"}`), map[string]any{"code": "sale_not_here"})
	d.SetOnline(false) // it works without headquarters
	rest := twice(`{"refund":"b-2"}`)
	want(t, rest, map[string]any{"all": true, "amount_kopecks": 247000, "discount_kopecks": 41801, "returned_points_x100": 41801, "total_points_x100": 125050, "available_points_x100": 120000})
	want(t, call(t, h, 422, "POST", "/v1/sales/r-1/refunds", `{"refund":"b-3"}`), map[string]any{"code": "refund_more"})
	d.SetOnline(true)
	if total, spendable := d.Balance(1); total != 1250_50 || spendable != 1200_00 {
		t.Errorf("headquarters counts %s and %s after a refund of all, want what there was before", total, spendable)
	}
	sale := call(t, h, 200, "GET", "/v1/sales/r-1", "")
	if all := sale["refunds"].([]any); len(all) != 2 || all[0].(map[string]any)["receipt_text"] != coffee["receipt_text"] {
		t.Errorf("the sale lists %v", all)
	}
	call(t, h, 200, "PUT", "/v1/sales/r-2", fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(1000, 6500)))
	want(t, call(t, h, 409, "POST", "/v1/sales/r-2/refunds", `{"refund":"b-1"}`), map[string]any{"code": "sale_not_closed"})
}

// Lines may be named in any order; a line named twice is a mistake.
func TestRefundLines(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	call(t, h, 200, "POST", "/v1/sales/r-1/close", mixed(t, d))
	want(t, call(t, h, 400, "POST", "/v1/sales/r-1/refunds", `{"refund":"b","lines":[{"line":1,"amount_kopecks":1},{"line":1,"amount_kopecks":1}]}`), map[string]any{"code": "bad_request"})
	for _, lines := range []string{`{"line":2,"amount_kopecks":1},{"line":1,"amount_kopecks":2}`, `{"line":1,"amount_kopecks":2},{"line":2,"amount_kopecks":1}`} {
		want(t, call(t, h, 200, "POST", "/v1/sales/r-1/refunds", `{"refund":"b","lines":[`+lines+`]}`), map[string]any{"amount_kopecks": 3})
	}
	if d.Entries() != 2 {
		t.Errorf("%d entries, want a sale and a refund", d.Entries())
	}
}
