package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

// counter plays the counters of two stations into a store that nobody has open: a new customer with a form sealed to the key
// whose identity it writes into a file (and another one beside it, which ends with .other), sales, a refund away, alerts, and
// a card that may not be given out.
func counter(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: counter STORE IDENTITY")
	}
	identity := newIdentity(ts, ts.MkAbs(args[1]))
	newIdentity(ts, ts.MkAbs(args[1])+".other")
	key, err := form.ParseKey(identity.Recipient().String())
	ts.Check(err)
	now := hqtest.Start.Time()
	sealed, err := form.Seal(key, &form.Form{
		Name: "Мария Соколова", Phone: "+79991234567", Language: "ru", Consent: form.Consent{Text: "2026-03", GivenAt: now},
	}, now)
	ts.Check(err)
	again, err := form.Seal(key, &form.Form{
		Name: "Пётр Белов", Phone: "+79997654321", Language: "ru", Consent: form.Consent{Text: "2026-03", GivenAt: now},
	}, now)
	ts.Check(err)
	store, err := embedded.Open(embedded.Config{Path: ts.MkAbs(args[0])})
	ts.Check(err)
	defer func() { ts.Check(store.Close()) }()
	books := hq.NewBooks(hq.BooksConfig{Store: store, AutoEnrol: true, Now: func() time.Time { return now }})
	ts.Check(playCounters(t, books, string(sealed), string(again)))
}

// formHash sets $FORM to the hash of the form in the line of a file that holds a text.
func formHash(ts *testscript.TestScript, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if strings.Contains(line, args[1]) {
			var f admin.Form
			ts.Check(json.Unmarshal([]byte(line), &f))
			ts.Setenv("FORM", f.Hash)
			return
		}
	}
	ts.Fatalf("no form has %s", args[1])
}

// newIdentity writes an identity as age-keygen does.
func newIdentity(ts *testscript.TestScript, path string) *age.X25519Identity {
	identity, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(path, []byte("# public key: "+identity.Recipient().String()+"\n"+identity.String()+"\n"), 0o600))
	return identity
}

func playCounters(t *testing.T, books *hq.Books, sealed, again string) error {
	ctx := context.Background()
	const card = "7005220000000011"
	j, k := hqtest.NewJournal(t, 17), hqtest.NewJournal(t, 18)
	_, err1 := books.Hello(ctx, j.Hello())
	_, err2 := books.Hello(ctx, k.Hello())
	j.Issue(card, loyalty.MainCard, "", false, sealed)
	sale := j.Sale(0, card, 0, 100_00)
	op := j.Append(sale)
	j.Issue("7005220000000012", loyalty.AdditionalCard, "7005999999999999", false, "")
	j.AppendEntry(&loyalty.Entry{At: j.At, Op: j.Op(), Cashier: "Petrova", Counter: "2", Shift: 7, Body: loyalty.Alerted{
		Rule: "same-card", Card: card, Sale: sale.Sale, Count: 5, AtMost: 4, Refused: true,
	}})
	j.AppendEntry(&loyalty.Entry{At: j.At, Op: j.Op(), Counter: "2", Shift: 7, Body: loyalty.ShiftClosed{
		OpenedAt: hqtest.Start, Differs: true,
		Cashiers: []loyalty.CashierTotals{{Cashier: "Petrova", Totals: loyalty.Totals{Sales: 3, Gross: 500_00, Redeemed: 12_50}}},
		Stated:   []loyalty.Figure{{Name: "sales", Amount: 4}, {Name: "gross", Amount: 500_00}, {Name: "refunded_cash", Amount: 30_00}, {Name: "redeemed", Amount: 12_00}},
	}})
	j.AppendEntry(&loyalty.Entry{At: j.At, Op: j.Op(), Counter: "2", Shift: 7, Body: loyalty.Alerted{Rule: loyalty.AlertShiftDiffers}})
	_, err3 := books.Post(ctx, []*hq.Batch{j.All()})
	refund := hqtest.Refund(op, &sale, "r1", 120_000, 40_00, 0)
	refund.Station = 17
	k.Append(refund)
	k.Append(k.Sale(0, card, 0, 7_50))
	k.Issue(card, loyalty.MainCard, "", false, again)
	k.Append(loyalty.Alerted{Rule: loyalty.AlertStaffCard, Card: "7005999999999990", Count: 1})
	_, err4 := books.Post(ctx, []*hq.Batch{k.All()})
	return errors.Join(err1, err2, err3, err4)
}
