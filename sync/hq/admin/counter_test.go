package admin_test

import (
	"encoding/json"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

// TestStatement: an account's operations come page by page, each once, and add up to what they are.
func TestStatement(t *testing.T) {
	books, _, c := open(t)
	ctx := t.Context()
	if _, err := c.ImportAccounts(ctx, []loyalty.Account{hqtest.Account(5, 0), hqtest.Account(6, 0)}); err != nil {
		t.Fatal(err)
	}
	j, k := hqtest.NewJournal(t, 17), hqtest.NewJournal(t, 18)
	const sales = 1203 // more than a page, and than is looked at for one
	for _, at := range []*hqtest.Journal{j, k} {
		if _, err := books.Hello(ctx, at.Hello()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range sales {
		j.Append(j.Sale(5, "7005110000000011", 0, loyalty.Points(i+1)))
		j.Append(loyalty.CellReturned{Account: 5})
		j.Sell(6, 0, 1)
	}
	k.At += 40 * hqtest.Day // of the next month
	k.Sell(5, 0, 50)
	for first := 1; first <= len(j.Entries); first += 500 {
		if _, err := books.Post(ctx, []*hq.Batch{j.Batch(first, min(first+499, len(j.Entries)))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := books.Post(ctx, []*hq.Batch{k.All()}); err != nil {
		t.Fatal(err)
	}
	last, n := uint64(1<<62), 0
	var ends [2]admin.Operation
	err := c.Statement(ctx, admin.StatementQuery{AccountQuery: admin.AccountQuery{Account: 5}}, func(o admin.Operation) error {
		if o.Pos >= last || o.Kind != "sale" || o.Card == "7005110000000011" {
			t.Fatalf("%+v behind %d", o, last)
		}
		if n == 0 {
			ends[0] = o
		}
		last, ends[1] = o.Pos, o
		n++
		return nil
	})
	if err != nil || n != sales+1 || ends[0].Station != 18 || ends[0].Earned != "0.5" || ends[1].Earned != "0.01" || ends[1].Card != "7005••••0011" {
		t.Fatalf("%d operations from %+v to %+v: %v", n, ends[0], ends[1], err)
	}
	q := admin.StatementQuery{AccountQuery: admin.AccountQuery{Account: 5}, By: hq.ByStation}
	totals, err := c.Totals(ctx, q)
	if err != nil || len(totals) != 2 || totals[0].Key != "17" || totals[0].Operations != sales || totals[0].Sold != "2887200.00" || totals[1].Key != "18" {
		t.Fatalf("%+v %v", totals, err)
	}
	q.By = hq.ByMonth
	if totals, err = c.Totals(ctx, q); err != nil || len(totals) != 2 || totals[0].Key != "2026-05" || totals[1].Key != "2026-07" {
		t.Fatalf("%+v %v", totals, err)
	}
	q.Until = hqtest.Start + 30*hqtest.Day
	if totals, err = c.Totals(ctx, q); err != nil || len(totals) != 1 || totals[0].Operations != sales {
		t.Fatalf("%+v %v", totals, err)
	}
}

// TestAlertsAndForms: alerts are told by station and rule, and forms come out as they were sealed.
func TestAlertsAndForms(t *testing.T) {
	books, _, c := open(t)
	ctx := t.Context()
	j := hqtest.NewJournal(t, 17)
	if _, err := books.Hello(ctx, j.Hello()); err != nil {
		t.Fatal(err)
	}
	j.Issue("7005220000000011", loyalty.MainCard, "", false, "sealed")
	j.Issue("7005220000000012", loyalty.MainCard, "", false, "another")
	j.Append(loyalty.Alerted{Rule: "one", Card: "7005220000000011", Count: 3, AtMost: 2})
	j.Append(loyalty.Alerted{Rule: "two", Count: 3, AtMost: 2})
	if _, err := books.Post(ctx, []*hq.Batch{j.All()}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		station loyalty.StationID
		rule    string
		after   uint64
		want    int
	}{{0, "", 0, 2}, {17, "", 0, 2}, {18, "", 0, 0}, {0, "two", 0, 1}, {17, "", 3, 1}, {0, "", 4, 0}} {
		n := 0
		err := c.Alerts(ctx, tc.station, tc.rule, tc.after, false, func(raw json.RawMessage) error {
			var l admin.Line
			n++
			if err := json.Unmarshal(raw, &l); err != nil || !l.Alert || l.Rule() == "" || l.Pos <= tc.after {
				t.Errorf("%s: %v", raw, err)
			}
			return nil
		})
		if err != nil || n != tc.want {
			t.Errorf("%+v: %d alerts: %v", tc, n, err)
		}
	}
	var all []admin.Form
	if err := c.Forms(ctx, func(f admin.Form) error { all = append(all, f); return nil }); err != nil || len(all) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	for _, f := range all {
		if f.Sealed != nil || f.Card != "7005••••0011" && f.Card != "7005••••0012" {
			t.Errorf("%+v", f)
		}
	}
	forms, err := c.FormsOf(ctx, admin.FormQuery{AccountQuery: admin.AccountQuery{Card: "7005220000000011"}, Operator: "Ivanova"})
	if err != nil || len(forms) != 1 || string(forms[0].Sealed) != "sealed" || forms[0].Account < hq.FirstGiven {
		t.Fatalf("%+v %v", forms, err)
	}
}
