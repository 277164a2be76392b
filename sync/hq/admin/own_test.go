package admin_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

var by = hq.By{Operator: "o", Reason: "r"}

// TestOwnBadRequests: whatever is wrong with a change of accounts and cards, nothing is written.
func TestOwnBadRequests(t *testing.T) {
	books, srv, c := open(t)
	if _, err := books.ImportAccounts(t.Context(), []loyalty.Account{hqtest.Account(5, 100)}); err != nil {
		t.Fatal(err)
	}
	const who = `"operator":"o","reason":"r"`
	for _, tc := range []struct {
		method, path, body string
		want               int
		code               string
	}{
		{"POST", "/v1/cards/set", `{"card":"7005110000000099","state":"blocked",` + who + `}`, 404, "not_found"},
		{"POST", "/v1/cards/set", `{"card":"7005110000000099","state":"lost",` + who + `}`, 400, "bad_request"},
		{"POST", "/v1/cards/set", `{"card":"7005110000000099","state":"blocked"}`, 400, "bad_request"},
		{"POST", "/v1/cards/set", `{"card":"x",` + who + `}`, 400, "bad_request"},
		{"POST", "/v1/accounts/set", `{"account":6,"redeem_on":true,` + who + `}`, 404, "not_found"},
		{"POST", "/v1/accounts/set", `{"account":5,"state":"closed",` + who + `}`, 400, "bad_request"},
		{"POST", "/v1/accounts/adjust", `{"account":5,"points":-20000,"ref":"1",` + who + `}`, 409, "refused"},
		{"POST", "/v1/accounts/adjust", `{"account":5,"points":9223372036854775807,"ref":"1",` + who + `}`, 400, "bad_request"},
		{"POST", "/v1/accounts/adjust", `{"account":5,"points":-9223372036854775808,"ref":"1",` + who + `}`, 400, "bad_request"},
		{"POST", "/v1/accounts/adjust", `{"account":5,"points":1,"ref":"","operator":"o","reason":"r"}`, 400, "bad_request"},
		{"POST", "/v1/accounts/close", `{"account":6,` + who + `}`, 404, "not_found"},
		{"POST", "/v1/accounts/forget", `{"account":5,` + who + `}`, 400, "bad_request"},
		{"POST", "/v1/accounts/act", `5`, 400, "bad_request"},
		{"POST", "/v1/accounts/act", `6`, 404, "not_found"},
		{"GET", "/v1/accounts/expiring?days=0", "", 400, "bad_request"},
		{"GET", "/v1/accounts/expiring?days=100000", "", 400, "bad_request"},
		{"POST", "/v1/accounts/advance", `[]`, 400, "bad_request"},
		{"POST", "/v1/partners/accrue", `{"partner":"b","operator":"o","rows":[{"account":6,"points":1,"ref":"1"}]}`, 404, "not_found"},
		{"POST", "/v1/partners/accrue", `{"partner":"","operator":"o","rows":[{"account":5,"points":1,"ref":"1"}]}`, 400, "bad_request"},
		{"POST", "/v1/partners/accrue", `{"partner":"b","operator":"o","rows":[` + strings.Repeat("{},", admin.MaxRows) + `{}]}`, 400, "bad_request"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, srv.URL+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var p admin.Problem
		err = json.NewDecoder(res.Body).Decode(&p)
		if err != nil || res.StatusCode != tc.want || p.Code != tc.code {
			t.Errorf("%s %s %.60s: %s %+v, want %d %s: %v", tc.method, tc.path, tc.body, res.Status, p, tc.want, tc.code, err)
		}
		_ = res.Body.Close() // only read
	}
	err := c.Stream(t.Context(), 0, false, func(line json.RawMessage) error { return errors.New(string(line)) })
	if err != nil {
		t.Fatalf("something was written: %v", err)
	}
}

// TestForecastInPages: a forecast goes through all accounts, page by page, and adds up lots of one day.
func TestForecastInPages(t *testing.T) {
	books, _, c := open(t)
	const accounts = 1005
	var rows []loyalty.Account
	for id := range loyalty.AccountID(accounts) {
		a := loyalty.Account{ID: id + 1}
		for _, l := range []loyalty.Lot{
			{Amount: 100, Expires: hqtest.Start + hqtest.Day}, {Amount: 10, ActiveFrom: 1, Expires: hqtest.Start + hqtest.Day},
			{Amount: 1, Expires: hqtest.Start + 20*hqtest.Day}, {Amount: 1000, Expires: hqtest.Start + 40*hqtest.Day}, {Amount: 7, Expires: hqtest.Start - 1}, {Amount: 5},
		} {
			if err := a.Accrue(l); err != nil {
				t.Fatal(err)
			}
		}
		rows = append(rows, a)
	}
	if _, err := books.ImportAccounts(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if _, err := books.CloseAccount(t.Context(), 7, by); err != nil {
		t.Fatal(err)
	}
	sums, last := map[string]loyalty.Points{}, loyalty.AccountID(0)
	err := c.Expiring(t.Context(), 30, func(e admin.Expiring) error {
		if e.Account < last {
			t.Errorf("account %d after %d", e.Account, last)
		}
		sums[e.Day] += e.Points
		last = e.Account
		return nil
	})
	if err != nil || len(sums) != 2 || last != accounts {
		t.Fatalf("%v, to account %d: %v", sums, last, err)
	}
	for day, points := range sums {
		if points != 110*(accounts-1) && points != 1*(accounts-1) {
			t.Errorf("%s: %s", day, points)
		}
	}
}

// TestAdvanceTells: the last line of a long call says that it is done, or what went wrong.
func TestAdvanceTells(t *testing.T) {
	books, _, c := open(t)
	a := hqtest.Account(5, 100)
	a.Advanced = hqtest.Start - 60*hqtest.Day
	if _, err := books.ImportAccounts(t.Context(), []loyalty.Account{a}); err != nil {
		t.Fatal(err)
	}
	out, err := c.Advance(t.Context(), func(admin.Advanced) {})
	if err != nil || !out.Done || out.Changed != 1 || out.Activated != "1" {
		t.Fatalf("%+v, %v", out, err)
	}
	broken := &admin.Client{Base: "http://azs-hq", Transport: admin.InProcess(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"accounts":7}`+"\n"+`{"error":"the disk is full"}`)
	}))}
	if _, err := broken.Advance(t.Context(), func(admin.Advanced) {}); err == nil || err.Error() != "the disk is full" {
		t.Fatalf("%v", err)
	}
	cut := &admin.Client{Base: "http://azs-hq", Transport: admin.InProcess(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"accounts":7}`+"\n")
	}))}
	if _, err := cut.Advance(t.Context(), func(admin.Advanced) {}); err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Fatalf("%v", err)
	}
}

// TestAccountsHeaders: files with and without the columns joined and redeem_on.
func TestAccountsHeaders(t *testing.T) {
	for file, want := range map[string]string{
		admin.AccountsHeaderLong + "\n1,active,1,,,2026-05-01,yes\n1,active,2,2026-06-01,,2026-05-01,yes\n":       "",
		"\ufeff" + strings.ReplaceAll(admin.AccountsHeaderLong, ",", ";") + "\r\n1;active;1;;;2026-05-01;yes\r\n": "",
		admin.AccountsHeaderLong + "\n1,active,1,,,2026-05-01,yes\n1,active,2,2026-06-01,,2026-05-01,no\n":        "line 3: account 1 had another joined or redeem_on on line 2",
		admin.AccountsHeaderLong + "\n1,active,1,,,2026-05-01,yes\n1,active,2,2026-06-01,,,yes\n":                 "line 3: account 1 had another joined or redeem_on on line 2",
		admin.AccountsHeaderLong + "\n1,active,1,,,2026-05-01,perhaps\n":                                          `line 2: redeem_on "perhaps", want yes or no`,
		admin.AccountsHeaderLong + "\n1,active,1,,\n":                                                             "line 2: not 7 columns",
		admin.AccountsHeader + "\n1,active,1,,,2026-05-01,yes\n":                                                  "line 2: not 5 columns",
		"account,state,points,active_from,expires,joined\n1,active,1,,,2026-05-01\n":                              "line 1: not 5 columns",
	} {
		rows := admin.NewAccountRows(strings.NewReader(file))
		a, _, err := rows.Next()
		if want == "" && (err != nil || !a.RedeemOn || a.Joined.String() != "2026-05-01T00:00:00Z") {
			t.Errorf("%.60q: %+v, %v", file, a, err)
		}
		if want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%.60q: %v, want %s", file, err, want)
		}
	}
}

func FuzzAccruals(f *testing.F) {
	f.Add(admin.AccrualsHeader + "\n7005110000000011,,20.50,may-1,,\n,1,10,may-2,2026-01-01,2199-12-31\n")
	f.Add(strings.ReplaceAll(admin.AccrualsHeader, ",", ";") + "\n;1;10;\"a;b\";;\n")
	f.Add(admin.AccrualsHeader + "\n7005110000000011,1,0,,,\n")
	f.Fuzz(func(t *testing.T, file string) {
		rows := admin.NewAccrualRows(strings.NewReader(file))
		for {
			a, _, err := rows.Next()
			if err != nil {
				var le *admin.LineError
				if !errors.Is(err, io.EOF) && (!errors.As(err, &le) || le.Line < 1) {
					t.Fatalf("an error without its line: %v", err)
				}
				return
			}
			if err := a.Check(); err != nil || (a.Card != "") == (a.Account != 0) {
				t.Fatalf("%+v: %v", a, err)
			}
		}
	})
}
