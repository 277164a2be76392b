package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/pos/api"
)

func statement(rest string) string { return fmt.Sprintf(`{"card":%q%s}`, anna, rest) }

// November covers the day on which the tests' station stands still.
const november = `,"from":"2026-11-01","until":"2026-11-30"`

func TestStatement(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	call(t, h, 200, "POST", "/v1/sales/1/close", mixed(t, d))
	d.SetNow(moment.Add(time.Hour))
	call(t, h, 200, "POST", "/v1/sales/1/refunds", `{"refund":"a","lines":[{"line":2,"count_x1000":1000,"amount_kopecks":18900}]}`)
	call(t, h, 200, "POST", "/v1/sales/2/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, boris, fuel(1000, 6500))) // of another account
	d.Heard(
		loyalty.Operation{At: loyalty.At(moment.Add(-time.Hour)), Station: 9, Epoch: 1, Seq: 4, Kind: loyalty.SaleOperation, Sale: "x", Card: anna, Total: 1000_00, Earned: 7_00},
		loyalty.Operation{At: loyalty.At(moment.Add(-2 * time.Hour)), Kind: loyalty.PartnerOperation, Partner: "пекарня", Earned: 50_00},
		loyalty.Operation{At: loyalty.At(moment.AddDate(0, -2, 0)), Kind: loyalty.PartnerOperation, Partner: "пекарня", Earned: 1_00},
	)
	here := call(t, h, 200, "POST", "/v1/statement", statement(november))
	want(t, here, map[string]any{
		"card_masked": "7005••••9015", "known": true, "everywhere": false, "next": nil, "from": "2026-11-01T00:00:00+03:00", "until": "2026-12-01T00:00:00+03:00",
	})
	all := here["operations"].([]any)
	if len(all) != 2 {
		t.Fatalf("%d operations: %v", len(all), all)
	}
	want(t, all[0].(map[string]any), map[string]any{
		"kind": "refund", "station": 7, "sale": "1", "refund": "a", "total_kopecks": 18900, "discount_kopecks": 3199, "returned_points_x100": 3199, "clawed_points_x100": 785,
	})
	want(t, all[1].(map[string]any), map[string]any{
		"kind": "sale", "at": "2026-11-21T12:30:00+03:00", "total_kopecks": 265900, "discount_kopecks": 45000, "redeemed_points_x100": 45000, "earned_points_x100": 2285,
		"active_from": "2026-12-05T00:00:00+03:00", "card_masked": "7005••••9015",
	})
	by := here["by_station"].([]any)
	want(t, by[0].(map[string]any), map[string]any{"station": 7, "operations": 2, "bought_kopecks": 247000, "discount_kopecks": 41801, "earned_points_x100": 2285, "clawed_points_x100": 785})
	if strings.Contains(fmt.Sprint(here), anna) {
		t.Errorf("the whole number is told: %v", here)
	}

	everywhere := call(t, h, 200, "POST", "/v1/statement", statement(november+`,"everywhere":true`))
	want(t, everywhere, map[string]any{"everywhere": true})
	if n := len(everywhere["operations"].([]any)); n != 4 {
		t.Errorf("%d operations everywhere", n)
	}
	by = everywhere["by_station"].([]any)
	if len(by) != 3 || by[0].(map[string]any)["station"] != 0.0 || by[2].(map[string]any)["station"] != 9.0 {
		t.Errorf("by station %v", by)
	}
	if p := everywhere["by_partner"].([]any); len(p) != 1 || p[0].(map[string]any)["earned_points_x100"] != 50_00.0 {
		t.Errorf("by partner %v", p)
	}
	want(t, call(t, h, 200, "POST", "/v1/statement", statement(`,"from":"2026-01-01","until":"2026-11-30","everywhere":true`)), map[string]any{"known": true})
	d.SetOnline(false)
	want(t, call(t, h, 200, "POST", "/v1/statement", statement(november+`,"everywhere":true`)), map[string]any{"everywhere": false})
	want(t, call(t, h, 200, "POST", "/v1/statement", fmt.Sprintf(`{"card":%q%s}`, stranger, november)), map[string]any{"known": false, "operations": "[]", "by_station": "[]"})
}

func TestStatementPages(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	for i := range 7 {
		d.SetNow(moment.Add(time.Duration(i) * time.Minute))
		call(t, h, 200, "POST", fmt.Sprintf("/v1/sales/%d/close", i), fmt.Sprintf(`{"card":%q,"receipt":%s}`, anna, fuel(2000, 13_000)))
	}
	var got []string
	next, pages := "", 0
	for {
		rest := november + `,"limit":3`
		if next != "" {
			rest += fmt.Sprintf(`,"before":%q`, next)
		}
		page := call(t, h, 200, "POST", "/v1/statement", statement(rest))
		pages++
		for _, o := range page["operations"].([]any) {
			got = append(got, o.(map[string]any)["sale"].(string))
		}
		if page["next"] == nil {
			break
		}
		next = page["next"].(string)
	}
	if s := strings.Join(got, ""); s != "6543210" || pages != 3 {
		t.Errorf("%d pages of %s", pages, s)
	}
}

func TestBadStatements(t *testing.T) {
	h := newServer(t, config(newDesk(t))).Handler()
	for _, rest := range []string{
		`,"from":"2026-11-02","until":"2026-11-01"`, `,"from":"2025-11-01","until":"2026-11-30"`, `,"from":"01.11.2026"`, `,"from":"2026-02-30"`,
		`,"from":"0001-01-01","until":"0001-01-02"`, `,"from":"9999-12-31","until":"9999-12-31"`, `,"limit":0.5`, `,"limit":101`, `,"limit":-1`,
		`,"before":"<script>"`, `,"before":"` + strings.Repeat("9", 81) + `"`, `,"station":7`,
	} {
		w := request{method: "POST", path: "/v1/statement", body: statement(rest)}.do(t, h)
		if w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %.300s", rest, w.Code, w.Body)
		}
	}
	// A year and a day is all that may be asked for, and is.
	call(t, h, 200, "POST", "/v1/statement", statement(`,"from":"2025-11-22","until":"2026-11-22"`))
}

// Left out, the days are the last thirty and today, by the station's clock.
func TestStatementsUsualDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where it is 2000-01-01
		time.Sleep(40*24*time.Hour + 22*time.Hour) // 10 February at 22:00 UTC, 11 February at the station
		h := newServer(t, config(newDesk(t))).Handler()
		want(t, call(t, h, 200, "POST", "/v1/statement", statement("")), map[string]any{"from": "2000-01-12T00:00:00+03:00", "until": "2000-02-12T00:00:00+03:00"})
	})
}

func TestBenefit(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	got := call(t, h, 200, "POST", "/v1/benefit", `{"volume_ml":160000,"price_kopecks":6500,"goods_kopecks":200000}`)
	// A point for 2 full litres and one for 20 roubles, in four receipts a month: 80 and 100 points.
	want(t, got, map[string]any{"programme_version": 3, "points_x100": 2160_00, "worth_kopecks": 2160_00})
	if got["spent_kopecks"] != 12*1_240_000.0 {
		t.Errorf("spent %v", got["spent_kopecks"])
	}
	if months := got["months"].([]any); len(months) != 12 || months[0].(map[string]any)["points_x100"] != 180_00.0 || months[0].(map[string]any)["tier"] != nil {
		t.Errorf("months %v", months)
	}
	src, err := programmes.File("bp-club")
	if err != nil {
		t.Fatal(err)
	}
	p, err := loyalty.ParseProgramme(src)
	if err != nil {
		t.Fatal(err)
	}
	d.SetProgramme(p)
	months := call(t, h, 200, "POST", "/v1/benefit", `{"volume_ml":160000,"price_kopecks":6500}`)["months"].([]any)
	first, last := months[0].(map[string]any)["tier"].(map[string]any)["en"], months[11].(map[string]any)["tier"].(map[string]any)["en"]
	if first == last {
		t.Errorf("the tier stays %v", first)
	}
	for _, body := range []string{`{}`, `{"volume_ml":-1,"price_kopecks":1}`, `{"volume_ml":1,"price_kopecks":1,"visits":311}`, `{"volume_ml":1e12,"price_kopecks":1}`,
		`{"volume_ml":1000,"price_kopecks":1,"tender":"gold"}`, `{"volume_ml":1000,"price_kopecks":1,"grade":"a\u0000b"}`} {
		if w := (request{method: "POST", path: "/v1/benefit", body: body}).do(t, h); w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	d.SetProgramme(nil)
	want(t, call(t, h, 503, "POST", "/v1/benefit", `{"volume_ml":1000,"price_kopecks":1}`), map[string]any{"code": "no_programme"})
}

// askedDesk remembers who asked for a statement.
type askedDesk struct {
	api.Desk
	who loyalty.Who
}

func (d *askedDesk) Statement(ctx context.Context, q api.StatementQuery) (api.Statement, error) {
	d.who = q.Who
	return d.Desk.Statement(ctx, q)
}

func TestStatementTellsTheDeskWhoAsks(t *testing.T) {
	c := config(newDesk(t))
	d := &askedDesk{Desk: c.Desk}
	c.Desk = d
	h := newServer(t, c).Handler()
	call(t, h, 200, "POST", "/v1/statement", statement(november+`,"cashier":"Ольга","shift":12,"counter":"2"`))
	if d.who != (loyalty.Who{Cashier: "Ольга", Shift: 12, Counter: "2"}) {
		t.Errorf("asked by %+v", d.who)
	}
	call(t, h, 400, "POST", "/v1/statement", statement(november+`,"cashier":"a\u0007b"`))
}
