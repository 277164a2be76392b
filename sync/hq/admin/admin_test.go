package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

const token = "a-token-of-the-test"

// open makes headquarters with an API that wants the token, and a client of it over TCP.
func open(t *testing.T) (*hq.Books, *httptest.Server, *admin.Client) {
	t.Helper()
	store, err := embedded.Open(embedded.Config{Path: filepath.Join(t.TempDir(), "hq.db")})
	if err != nil {
		t.Fatal(err)
	}
	books := hq.NewBooks(hq.BooksConfig{Store: store, AutoEnrol: true, Now: hqtest.Start.Time})
	srv := httptest.NewServer(admin.NewHandler(admin.Config{
		Books: books, Catalogue: store, Token: token, Check: func(r *http.Request) (any, error) { return store.Check(r.Context()) },
	}))
	t.Cleanup(func() {
		srv.Close()
		if _, err := store.Check(context.Background()); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return books, srv, &admin.Client{Base: srv.URL, Token: token}
}

// TestStrangersAreRefused: without the token, from a page, or under another name, nothing is told.
func TestStrangersAreRefused(t *testing.T) {
	_, srv, c := open(t)
	paths := []string{"/v1/stream", "/v1/accounts", "/v1/stations", "/v1/quarantine", "/v1/alarms", "/v1/alerts", "/v1/forms", "/v1/check", "/", "/v1/nothing"}
	for _, path := range paths {
		for name, spoil := range map[string]func(*http.Request){
			"no token":       func(r *http.Request) { r.Header.Del("Authorization") },
			"wrong token":    func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") },
			"a page":         func(r *http.Request) { r.Header.Set("Origin", "http://localhost") },
			"a rebound name": func(r *http.Request) { r.Host = "evil.example:80" },
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			spoil(req)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close() // only read
			if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusForbidden {
				t.Errorf("%s, %s: %s", path, name, res.Status)
			}
		}
	}
	if _, err := c.Alarms(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBadRequests(t *testing.T) {
	_, srv, c := open(t)
	for _, tc := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/stream?after=minus", "", 400},
		{"GET", "/v1/quarantine?station=x", "", 400},
		{"POST", "/v1/account", "{", 400},
		{"POST", "/v1/account", `{"acount":5}`, 400},
		{"POST", "/v1/account", `{"account":5}`, 404},
		{"POST", "/v1/account", `{"card":"7005110000000099"}`, 404},
		{"POST", "/v1/stations", `[0]`, 400},
		{"POST", "/v1/stations/accept-gap", `77`, 404},
		{"POST", "/v1/quarantine/retry", `{}`, 400},
		{"POST", "/v1/quarantine/retry", `{"station":17,"all":true}`, 400},
		{"POST", "/v1/stations", "[1" + strings.Repeat(",1", 1000) + "]", 400},
		{"POST", "/v1/programme", "no programme", 400},
		{"POST", "/v1/import/accounts", `[{"ID":0}]`, 400},
		{"POST", "/v1/import/accounts", `[{"ID":1,"Lots":[{"Amount":-4}]}]`, 400},
		{"POST", "/v1/import/accounts", "[{}" + strings.Repeat(",{}", admin.MaxRows) + "]", 400},
		{"POST", "/v1/import/cards", `[{"number":"7005110000000011","account":9}]`, 404},
		{"POST", "/v1/import/cards", strings.Repeat(" ", 5<<20), 413},
		{"GET", "/v1/alerts?after=minus", "", 400},
		{"GET", "/v1/alerts?station=x", "", 400},
		{"GET", "/v1/alerts?rule=" + strings.Repeat("x", 65), "", 400},
		{"POST", "/v1/statement", "{}", 400},
		{"POST", "/v1/statement", `{"account":5,"card":"7005110000000099"}`, 400},
		{"POST", "/v1/statement", `{"account":5}`, 404},
		{"POST", "/v1/statement", `{"account":5,"from":-1}`, 400},
		{"POST", "/v1/statement", `{"account":5,"by":"week"}`, 400},
		{"POST", "/v1/statement", `{"card":"7005110000000099"}`, 404},
		{"GET", "/v1/forms?after=00", "", 400},
		{"POST", "/v1/forms/show", `{}`, 400},
		{"POST", "/v1/forms/show", `{"account":5}`, 404},
		{"POST", "/v1/forms/show", `{"hash":"00"}`, 400},
		{"POST", "/v1/forms/show", `{"account":5,"hash":"` + strings.Repeat("00", 32) + `"}`, 400},
		{"POST", "/v1/forms/show", `{"hash":"` + strings.Repeat("00", 32) + `"}`, 404},
		{"POST", "/v1/forms/destroy", `{"hash":"` + strings.Repeat("00", 32) + `","operator":"x"}`, 400},
		{"POST", "/v1/forms/destroy", `{"hash":"` + strings.Repeat("00", 32) + `","operator":"x","reason":"x"}`, 404},
		{"DELETE", "/v1/accounts", "", 405},
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
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != tc.want {
			t.Errorf("%s %s %.30s: %s, want %d: %s %v", tc.method, tc.path, tc.body, res.Status, tc.want, body, err)
		}
		_ = res.Body.Close() // only read
	}
	var p *admin.Problem
	_, err := c.ImportAccounts(t.Context(), []loyalty.Account{hqtest.Account(1, 5), {}})
	if !errors.As(err, &p) || p.Row == nil || *p.Row != 1 {
		t.Fatalf("%v", err)
	}
	if err := c.Accounts(t.Context(), func(a admin.Account) error { return errors.New("there is an account") }); err != nil {
		t.Fatal(err)
	}
}

// TestBothWays: the same calls over TCP and in process.
func TestBothWays(t *testing.T) {
	books, _, tcp := open(t)
	here := &admin.Client{Base: "http://azs-hq", Transport: admin.InProcess(admin.NewHandler(admin.Config{
		Books: books, Catalogue: books.Store().(hq.Catalogue), Check: func(*http.Request) (any, error) { return nil, errors.New("boom") },
	}))}
	ctx := t.Context()
	var accounts []loyalty.Account
	for id := loyalty.AccountID(1); id <= 1500; id++ {
		accounts = append(accounts, hqtest.Account(id, 100))
	}
	for _, c := range []*admin.Client{tcp, here} {
		n, err := c.ImportAccounts(ctx, accounts)
		if err != nil || n.Added+n.Unchanged != 1500 {
			t.Fatal(n, err)
		}
		seen := 0
		if err := c.Accounts(ctx, func(a admin.Account) error { seen++; return nil }); err != nil || seen != 1500 {
			t.Fatal(seen, err)
		}
		stop := errors.New("enough")
		if err := c.Accounts(ctx, func(admin.Account) error { return stop }); !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	if _, err := here.Check(ctx); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatal(err)
	}
	j := hqtest.NewJournal(t, 17)
	if _, err := books.Hello(ctx, j.Hello()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		j.Append(j.Sale(5, "7005110000000011", 0, 10))
	}
	if _, err := books.Post(ctx, []*hq.Batch{j.Batch(1, 2)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*admin.Client{tcp, here} {
		lines := 0
		err := c.Stream(ctx, 0, false, func(raw json.RawMessage) error {
			lines++
			if strings.Contains(string(raw), "7005110000000011") || !strings.Contains(string(raw), "7005••••0011") {
				t.Errorf("the card is not masked: %s", raw)
			}
			return nil
		})
		if err != nil || lines != 2 {
			t.Fatal(lines, err)
		}
	}
}

// TestFollow: who follows gets what comes, until it leaves.
func TestFollow(t *testing.T) {
	books, _, c := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.ImportAccounts(ctx, []loyalty.Account{hqtest.Account(5, 0)}); err != nil {
		t.Fatal(err)
	}
	j := hqtest.NewJournal(t, 17)
	if _, err := books.Hello(ctx, j.Hello()); err != nil {
		t.Fatal(err)
	}
	got := make(chan admin.Line)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Stream(ctx, 0, true, func(raw json.RawMessage) error {
			var l admin.Line
			if err := json.Unmarshal(raw, &l); err != nil {
				return err
			}
			got <- l
			return nil
		})
	}()
	for i := range uint64(3) {
		j.Sell(5, 0, 10)
		if _, err := books.Post(ctx, []*hq.Batch{j.All()}); err != nil {
			t.Fatal(err)
		}
		select {
		case l := <-got:
			if l.Pos != i+1 || l.Entry.Kind != "sale_closed" || l.Entry.Earned != "0.1" {
				t.Fatalf("%+v", l)
			}
		case err := <-ended:
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func FuzzAccounts(f *testing.F) {
	f.Add(admin.AccountsHeader + "\n1,active,100.5,,\n1,active,3,2026-01-01,2027-01-01\n2,blocked,0,,\n")
	f.Add("\ufeff" + admin.AccountsHeader + "\r\n\"1\",active,1,,\r\n")
	f.Add(admin.AccountsHeader + "\n" + strings.Repeat("9", 5000))
	f.Fuzz(func(t *testing.T, file string) {
		rows := admin.NewAccountRows(strings.NewReader(file))
		last := 0
		for {
			a, line, err := rows.Next()
			if err != nil {
				var le *admin.LineError
				if !errors.Is(err, io.EOF) && (!errors.As(err, &le) || le.Line < 1) {
					t.Fatalf("an error without its line: %v", err)
				}
				return
			}
			if line <= last {
				t.Fatalf("line %d after %d", line, last)
			}
			last = line
			if a.ID == 0 || a.ID > loyalty.MaxAccount || a.Check() != nil {
				t.Fatalf("%+v", a)
			}
		}
	})
}

func FuzzCards(f *testing.F) {
	f.Add(admin.CardsHeader + "\n7005110000000011,5,main,active,yes,2026-05-01\n")
	f.Add(admin.CardsHeader + "\n7005110000000011,5,main,active,perhaps,\n")
	f.Fuzz(func(t *testing.T, file string) {
		rows := admin.NewCardRows(strings.NewReader(file))
		for {
			c, _, err := rows.Next()
			if err != nil {
				var le *admin.LineError
				if !errors.Is(err, io.EOF) && (!errors.As(err, &le) || le.Line < 1) {
					t.Fatalf("an error without its line: %v", err)
				}
				return
			}
			if loyalty.CardNumber(c.Number).Check() != nil || c.Account == 0 || c.State > loyalty.Closed {
				t.Fatalf("%+v", c)
			}
		}
	})
}

func TestLinesOfFiles(t *testing.T) {
	for file, want := range map[string]string{
		"":      "line 1: the file is empty",
		"a,b\n": "line 1: not 5 columns",
		"account,state,points,active_from,until\n":                                "line 1: the header",
		admin.AccountsHeader + "\n1,active,1,,\n1,blocked,1,,\n":                  "line 3: account 1 was active on line 2",
		admin.AccountsHeader + "\n1,asleep,1,,\n":                                 "line 2: ",
		admin.AccountsHeader + "\n1,active,1.005,,\n":                             "line 2: ",
		admin.AccountsHeader + "\n1,active,1,2027-01-01,2026-01-01\n":             "line 2: ",
		admin.AccountsHeader + "\n1,active\n":                                     "line 2: not 5 columns",
		admin.AccountsHeader + "\n1,active,1,,\n" + strings.Repeat("x", 1<<20):    "line 3: longer than",
		admin.AccountsHeader + "\n0,active,1,,\n":                                 "line 2: ",
		admin.AccountsHeader + "\n1,active,1,," + strings.Repeat("7", 200) + "\n": "line 2: a column of 200 bytes",
	} {
		rows := admin.NewAccountRows(strings.NewReader(file))
		var err error
		for err == nil {
			_, _, err = rows.Next()
		}
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", file, err, want)
		}
	}
}
