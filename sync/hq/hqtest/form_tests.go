package hqtest

import (
	"context"
	"slices"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// runForms tests what headquarters keep of new customers where it does not go as it should: forms whose entries cannot be
// read, and numbers that two stations gave out.
func runForms(t *testing.T, newLab func(tb testing.TB) Lab) {
	for _, c := range []struct {
		name string
		run  func(*Bench)
	}{
		{"form of what was not read", testFormOfUnread},
		{"form missing of what was not read", testFormMissingOfUnread},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(NewBench(t, newLab(t))) })
	}
}

// unread puts a journal's first entry into the books as a version would that cannot read it, with what came beside it.
func (b *Bench) unread(j *Journal, forms ...hq.Form) {
	b.Helper()
	b.ok(b.Store.Update(context.Background(), func(tx hq.Tx) error {
		return tx.Save(&hq.Changes{
			Stations: []*hq.Station{{ID: j.Station, Cursor: hq.Cursor{Epoch: 1, Seq: 1, Hash: j.Hashes[1]}}},
			Lines: []*hq.Line{{
				Place: hq.Place{Station: j.Station, Epoch: 1, Seq: 1}, At: Start, Outcome: hq.SetAside, Reason: "a body this version does not know",
				Hash: j.Hashes[1], Bytes: j.Entries[0],
			}},
			Forms: forms,
		})
	}))
}

// testFormOfUnread: a form whose entry cannot be read is kept, and belongs to the account once the entry can be.
func testFormOfUnread(b *Bench) {
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	j.Issue(newCard, 9, "", false, "form of a newer agent") // no kind of this version
	j.Issue(secondCard, loyalty.MainCard, "", false, "form")
	for range 2 { // the acknowledgement is lost: it comes again
		r := b.Posts(j.All())
		if got := r.Receipts[0]; got.Verdict != hq.Taken || got.Cursor.Seq != 2 {
			b.Fatalf("%+v", got)
		}
		b.Reopen()
	}
	b.Raised(hq.UnreadAlarm)
	if f := b.formsOf(0); !slices.Equal(f, []string{"form of a newer agent"}) {
		b.Fatalf("forms of nobody: %q", f)
	}
	stray := b.strays()[0]
	if stray.Card != "" || stray.From != (hq.Place{Station: 17, Epoch: 1}) {
		b.Fatalf("%+v", stray)
	}

	k.Issue(thirdCard, loyalty.MainCard, "", false, "read later")
	form := hq.Form{At: Start, From: hq.Place{Station: 18, Epoch: 1}, Sealed: []byte("read later")}
	form.Hash = (&loyalty.IssueRequest{Sealed: form.Sealed}).Hash()
	b.unread(k, form)
	b.retries(18, hq.Retried{Tried: 1, Applied: 1})
	card, _ := b.has(thirdCard)
	if f := b.formsOf(card.Account); !slices.Equal(f, []string{"read later"}) || len(b.strays()) != 1 {
		b.Fatalf("forms %q, strays %+v", f, b.strays())
	}
	b.Raised(hq.UnreadAlarm)
}

// strays are the forms of no account.
func (b *Bench) strays() (forms []hq.Form) {
	b.Helper()
	b.ok(b.Store.View(context.Background(), func(tx hq.Tx) (err error) {
		forms, err = tx.FormsOf(0, 100)
		return err
	}))
	return forms
}

// testFormMissingOfUnread: that a form has not come is also said of an entry which is read only later.
func testFormMissingOfUnread(b *Bench) {
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Issue(newCard, loyalty.MainCard, "", false, "form")
	b.unread(j)
	b.Raised()
	b.retries(17, hq.Retried{Tried: 1, Applied: 1})
	b.Raised(hq.FormAlarm)
}
