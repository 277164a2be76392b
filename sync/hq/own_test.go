package hq_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// evidence is what an audit is given.
type evidence struct {
	lines    []*hq.Line
	stations map[loyalty.StationID]*hq.Station
	records  []*loyalty.Record
	openings map[loyalty.AccountID]*loyalty.Account
	nonces   map[loyalty.StationID]wire.Nonce
}

// gather makes books with a station's entry between two of headquarters' own, and takes them out.
func gather(t *testing.T) *evidence {
	t.Helper()
	store, err := embedded.Open(embedded.Config{Path: filepath.Join(t.TempDir(), "hq.db")})
	if err != nil {
		t.Fatal(err)
	}
	books := hq.NewBooks(hq.BooksConfig{Store: store, AutoEnrol: true, Now: hqtest.Start.Time})
	by := hq.By{Operator: "o", Reason: "r"}
	on := true
	j := hqtest.NewJournal(t, 17)
	j.Sell(5, 0, 7)
	_, err1 := books.ImportAccounts(t.Context(), []loyalty.Account{hqtest.Account(5, 100)})
	_, _, err2 := books.Adjust(t.Context(), hq.Correction{Account: 5, Points: 50, Ref: "1", By: by})
	_, err3 := books.Hello(t.Context(), j.Hello())
	_, err4 := books.Post(t.Context(), []*hq.Batch{j.All()})
	_, _, err5 := books.SetAccount(t.Context(), 5, hq.AccountChange{RedeemOn: &on, By: by})
	blocked := loyalty.Blocked
	_, _, err6 := books.SetAccount(t.Context(), 5, hq.AccountChange{State: &blocked, By: by})
	e := &evidence{nonces: map[loyalty.StationID]wire.Nonce{}}
	err7 := store.View(t.Context(), func(tx hq.Tx) (err error) {
		for _, id := range []loyalty.StationID{hq.Own, 17} {
			if e.nonces[id], _, err = tx.Nonce(id, 1); err != nil {
				return err
			}
		}
		if e.openings, err = tx.Openings([]loyalty.AccountID{5}); err != nil {
			return err
		}
		e.stations, err = tx.Stations([]loyalty.StationID{hq.Own, 17})
		return err
	})
	e.lines, err = store.Lines(t.Context(), 0, 100)
	records, err8 := store.Accounts(t.Context(), 0, 100)
	e.records = records
	if err := errors.Join(err, err1, err2, err3, err4, err5, err6, err7, err8, store.Close()); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *evidence) audit() error {
	a := hq.NewAudit(
		func(id loyalty.AccountID) (*loyalty.Account, error) { return e.openings[id], nil },
		func(s loyalty.StationID, _ loyalty.Epoch) (wire.Nonce, bool, error) {
			n, ok := e.nonces[s]
			return n, ok, nil
		})
	for _, l := range e.lines {
		if err := a.Line(l); err != nil {
			return err
		}
	}
	for _, s := range e.stations {
		if err := a.Station(s); err != nil {
			return err
		}
	}
	for _, r := range e.records {
		if err := a.Record(r); err != nil {
			return err
		}
	}
	return a.End()
}

// TestAuditOfOwnJournal: what was changed in headquarters' own journal, or what it comes to, is found.
func TestAuditOfOwnJournal(t *testing.T) {
	if err := gather(t).audit(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*evidence){
		"an entry was changed": func(e *evidence) { e.lines[0].Bytes[len(e.lines[0].Bytes)-1] ^= 1 },
		"the first was removed": func(e *evidence) {
			e.lines = e.lines[1:]
			for i, l := range e.lines {
				l.Pos = uint64(i + 1)
			}
		},
		"the last was removed":       func(e *evidence) { e.lines = e.lines[:len(e.lines)-1] },
		"an entry was put in":        func(e *evidence) { l := *e.lines[3]; l.Pos, l.Seq = 5, 4; e.lines = append(e.lines, &l) },
		"the journal is not there":   func(e *evidence) { delete(e.stations, hq.Own) },
		"its nonce is another":       func(e *evidence) { e.nonces[hq.Own] = wire.Nonce{9} },
		"its nonce is not there":     func(e *evidence) { delete(e.nonces, hq.Own) },
		"the account is active":      func(e *evidence) { e.records[0].Account.State = loyalty.Active },
		"the account may not redeem": func(e *evidence) { e.records[0].Account.RedeemOn = false },
		"the account holds more":     func(e *evidence) { e.records[0].Account.Lots[0].Amount++ },
	} {
		e := gather(t)
		spoil(e)
		if err := e.audit(); err == nil {
			t.Errorf("%s, and the audit is content", name)
		}
	}
}

// TestAct: an act verifies with the key that signed it, however it is indented, and not when a character has changed.
func TestAct(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	act := hq.Act{
		Kind: hq.ActKind, Account: 5, Cards: []string{"7005••••9015"}, Burned: "12.5", Left: "0", Forms: []string{"ab"}, Made: "2026-06-01T00:00:00Z",
		Entries: []hq.ActEntry{{Place: hq.Place{Epoch: 1, Seq: 3}, Kind: "account_forgotten", At: "2026-06-01T00:00:00Z", Hash: "cd", Operator: "<o>", Reason: "заявление"}},
	}
	signed, err := hq.SignAct(act, "Иванова", key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.MarshalIndent(signed, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got, err := hq.VerifyAct(file, public)
	if err != nil || got.Operator != "Иванова" {
		t.Fatalf("%+v, %v", got, err)
	}
	text := strings.Join(got.Text, "\n")
	for _, want := range []string{"уничтожении персональных данных", "Счёт: 5", "7005••••9015", "12.5", "SHA-256", "заявление", "Иванова", "хэш цепочки cd"} {
		if !strings.Contains(text, want) {
			t.Errorf("the act does not say %q:\n%s", want, text)
		}
	}
	if _, err := hq.VerifyAct(file, other); !errors.Is(err, hq.ErrAct) {
		t.Errorf("another key: %v", err)
	}
	for _, change := range [][2]string{{`"burned": "12.5"`, `"burned": "12.6"`}, {"Списано баллов: 12.5", "Списано баллов: 12.6"}, {`"seq": 3`, `"seq": 4`}, {`"kind": "azs-edge/act/1"`, `"kind": "x"`}, {`"account": 5`, `"account": 5, "more": 1`}} {
		bad := strings.Replace(string(file), change[0], change[1], 1)
		if bad == string(file) {
			t.Fatalf("%q is not in the file", change[0])
		}
		if _, err := hq.VerifyAct([]byte(bad), public); !errors.Is(err, hq.ErrAct) {
			t.Errorf("%q: %v", change[1], err)
		}
	}
	act.Text = []string{"other words"}
	if signed, err = hq.SignAct(act, "x", key); err != nil || signed.Act.Text[0] == "other words" {
		t.Errorf("the words are the caller's: %v, %v", signed.Act.Text, err)
	}
}

// FuzzVerifyAct: whatever the file, it is verified or [hq.ErrAct].
func FuzzVerifyAct(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	signed, err := hq.SignAct(hq.Act{Kind: hq.ActKind, Account: 5}, "x", key)
	if err != nil {
		f.Fatal(err)
	}
	file, err := json.Marshal(signed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := hq.VerifyAct(b, public)
		if (err == nil) == (a == nil) || err != nil && !errors.Is(err, hq.ErrAct) {
			t.Fatalf("%v, %v", a, err)
		}
	})
}

// TestAdvanceByTwo: two that run at once write nothing twice.
func TestAdvanceByTwo(t *testing.T) {
	store, err := embedded.Open(embedded.Config{Path: filepath.Join(t.TempDir(), "hq.db")})
	if err != nil {
		t.Fatal(err)
	}
	now := hqtest.Start
	books := hq.NewBooks(hq.BooksConfig{Store: store, Now: now.Time})
	var rows []loyalty.Account
	for id := range loyalty.AccountID(500) {
		a := hqtest.Account(id+1, 10)
		a.Advanced = now - 60*hqtest.Day
		rows = append(rows, a)
	}
	if _, err := books.ImportAccounts(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	changed := make(chan int, 2)
	for range 2 {
		go func() {
			sum, err := books.Advance(context.Background(), store, now, nil)
			changed <- sum.Changed
			ended <- err
		}()
	}
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	if n := <-changed + <-changed; n != 500 {
		t.Errorf("%d accounts were changed, want 500 once", n)
	}
	if _, err := store.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
