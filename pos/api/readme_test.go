package api_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// TestREADMEExamples makes the calls of the integrator's page, one after the other, as they stand there: each is
// answered with 200.
func TestREADMEExamples(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	const card = "7005990012349017"
	d.Add(loyalty.Card{Number: card, Account: 500, MayRedeem: true, Registered: 1}, loyalty.Active, 2000_00, 0)
	h := newServer(t, config(d)).Handler()

	receipt := regexp.MustCompile(`(?m)^R='(.*)'$`).FindSubmatch(page)
	if receipt == nil {
		t.Fatal("the page has no receipt")
	}
	for _, left := range []string{"18", "19"} { // what a crash has left open
		call(t, h, 200, "PUT", "/v1/sales/2026-11-21."+left, `{"card":"`+card+`",`+string(receipt[1])+`,"redeem_points_x100":50000}`)
	}
	calls := regexp.MustCompile(`(?s)curl -s (?:-X (\w+) )?\$A(/\S+) -H "\$T"(?: -H "\$J"[\s\\]+-d '(.*?)')?\n`).FindAllSubmatch(page, -1)
	if n := strings.Count(string(page), "curl -s "); n < 15 || n != len(calls) {
		t.Fatalf("%d of the page's %d calls could be read", len(calls), n)
	}
	for _, c := range calls {
		method, path, body := string(c[1]), string(c[2]), strings.ReplaceAll(string(c[3]), `'"$R"'`, string(receipt[1]))
		if method == "" {
			method = "POST"
			if body == "" {
				method = "GET"
			}
		}
		got := call(t, h, 200, method, "/v1"+path, body)
		if strings.HasSuffix(path, "/12/close") {
			want(t, got, map[string]any{"state": "closed", "differs": false, "totals.sales": 1, "totals.refunds": 1})
		}
	}
}
