package hqtest

import (
	"context"
	"errors"
	"slices"
	"strings"
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
		{"number given out twice", testTwoCards},
		{"number of an imported card given out", testCardOfAnother},
		{"number given out twice, after an older copy", testTwoCardsRestored},
		{"form destroyed", testDestroyForm},
		{"card with a number that is none", testNoNumber},
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

// takenAside expects that entries of a batch were set aside since their card is somebody else's, and alerts to say where
// the station gave it out.
func (b *Bench) takenAside(r *hq.Receipt, given loyalty.Seq, want ...loyalty.Seq) {
	b.Helper()
	var got []loyalty.Seq
	place := hq.Place{Station: 18, Epoch: 1, Seq: given}.String()
	for _, e := range r.SetAside {
		if got = append(got, e.Seq); !strings.HasPrefix(e.Reason, string(loyalty.CardTaken)) || e.Seq != given && !strings.Contains(e.Reason, place) {
			b.Errorf("entry %d: %s", e.Seq, e.Reason)
		}
	}
	if !slices.Equal(got, want) {
		b.Fatalf("set aside are %v, want %v", got, want)
	}
	lines, err := b.Store.AlertLines(context.Background(), 0, 100)
	b.ok(err)
	alerts := 0
	for _, l := range lines {
		if l.Station == 18 && slices.Contains(want, l.Seq) {
			alerts++
		}
	}
	if alerts != len(want) {
		b.Errorf("%d alerts, want %d", alerts, len(want))
	}
}

// testTwoCards: two stations gave out one number while headquarters was away. What the second one sold to it by the number
// alone goes to neither customer: it is set aside for a person, whenever it comes, and the second form is kept.
func testTwoCards(b *Bench) {
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	g := b.Greets(k, good)
	j.Issue(newCard, loyalty.MainCard, "", false, "form of the first")
	j.Append(j.Sale(0, newCard, 0, 100))
	k.Issue(newCard, loyalty.MainCard, "", false, "form of the second")
	sale := k.Sale(0, newCard, 0, 777)
	op := k.Append(sale)
	k.Append(Refund(op, &sale, "r1", 1000, 5, 0))
	b.Posts(j.All())
	b.takenAside(&b.Posts(k.Batch(1, 2)).Receipts[0], 1, 1, 2)
	b.Reopen()
	k.Append(k.Sale(0, newCard, 0, 5))
	k.Append(loyalty.SaleOpened{Sale: "pump", Card: newCard, Receipt: Receipt()})
	k.Append(k.Sale(0, secondCard, 0, 5)) // another number has nothing to do with it
	r := b.Posts(k.Batch(3, 6))
	if r.Counts != [4]int{hq.NoAccount: 1, hq.SetAside: 3} || r.Receipts[0].SetAside[2].Reason != string(loyalty.UnknownCard) {
		b.Fatalf("%v %+v", r.Counts, r.Receipts)
	}
	r.Receipts[0].SetAside = r.Receipts[0].SetAside[1:2] // the refund follows its sale
	b.takenAside(&r.Receipts[0], 1, 4)
	first, _ := b.has(newCard)
	b.Holds(first.Account, 100)
	if items, _ := b.Drain(18, g.Stream); len(items) != 0 {
		b.Fatalf("the second station is told of the first customer: %v", items)
	}
	if s := b.strays(); len(s) != 1 || string(s[0].Sealed) != "form of the second" || s[0].Card != newCard || s[0].From != (hq.Place{Station: 18, Epoch: 1, Seq: 1}) {
		b.Fatalf("%+v", s)
	}
	back := k.Clone() // the second station forgot it all, and does it again
	back.Begin(2)
	back.Boot[1]++
	b.Greets(back, good)
	back.Issue(newCard, loyalty.MainCard, "", false, "")
	back.Append(back.Sale(0, newCard, 0, 9))
	if r := b.Posts(back.All()); r.Counts != [4]int{hq.SetAside: 2} {
		b.Fatalf("%v", r.Counts)
	}
	b.retries(0, hq.Retried{Tried: 7})
	third := NewJournal(b, 19) // which gave nothing out: its customer is the first
	b.Greets(third, good)
	third.Append(third.Sale(0, newCard, 0, 50))
	b.Posts(third.All())
	b.Holds(first.Account, 150)
	b.Raised()
}

// testCardOfAnother: the same where the number is that of a card which was brought in.
func testCardOfAnother(b *Bench) {
	b.Bring(Account(5, 10))
	_, err := b.ImportCards(context.Background(), []loyalty.Card{Card(newCard, 5)})
	b.ok(err)
	k := NewJournal(b, 18)
	b.Greets(k, good)
	k.Issue(newCard, loyalty.MainCard, "", false, "form")
	b.Posts(k.All())
	k.Append(k.Sale(0, newCard, 0, 777))
	b.takenAside(&b.Posts(k.Batch(2, 2)).Receipts[0], 1, 2)
	b.Holds(5, 10)
}

// testTwoCardsRestored: when an older copy was put back, the number may be the other customer's. What the first station
// wrote for its own, whose account is lost, does not go there.
func testTwoCardsRestored(b *Bench) {
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	b.ok(b.Store.Close())
	b.Lab.Save(b)
	b.open()
	k.Issue(newCard, loyalty.MainCard, "", false, "")
	b.Posts(k.All())
	was, _ := b.has(newCard)
	k.Append(k.Sale(was.Account, newCard, 0, 100))
	b.Posts(k.All())
	b.ok(b.Store.Close())
	b.Lab.Restore(b)
	b.Clock = b.Clock.Add(60_000_000_000)
	b.open()
	j.Issue(newCard, loyalty.MainCard, "", false, "")
	b.Greets(j, good)
	b.Posts(j.All())
	b.Greets(k, good)
	b.takenAside(&b.Posts(k.All()).Receipts[0], 1, 1, 2)
	now, _ := b.has(newCard)
	b.Holds(now.Account, 0)
}

// testDestroyForm: a form that belongs to no account is destroyed, once, with an entry of headquarters' own, and does not come
// back with its batch. One that belongs to an account is not destroyed so.
func testDestroyForm(b *Bench) {
	ctx := context.Background()
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Issue(newCard, loyalty.MainCard, "", false, "form")
	j.Issue(secondCard, 9, "", false, "of a newer agent")
	forms := j.Forms
	b.Posts(j.All())
	card, _ := b.has(newCard)
	hash := (&loyalty.IssueRequest{Sealed: []byte("of a newer agent")}).Hash()
	owned := (&loyalty.IssueRequest{Sealed: []byte("form")}).Hash()
	if _, err := b.DestroyForm(ctx, hash, hq.By{Operator: "x"}); !errors.Is(err, loyalty.BadRequest) {
		b.Errorf("without a reason: %v", err)
	}
	if _, err := b.DestroyForm(ctx, owned, operator); !errors.Is(err, loyalty.BadRequest) {
		b.Errorf("of an account: %v", err)
	}
	f, err := b.DestroyForm(ctx, hash, operator)
	if b.ok(err); f.From.Station != 17 || len(b.strays()) != 0 {
		b.Fatalf("%+v, left are %+v", f, b.strays())
	}
	b.Reopen()
	if _, err := b.DestroyForm(ctx, hash, operator); !errors.Is(err, hq.ErrNoForm) {
		b.Errorf("once more: %v", err)
	}
	own := b.OwnEntries()
	if e, ok := own[len(own)-1].Body.(loyalty.AccountForgotten); !ok || e.Account != 0 || !slices.Equal(e.Forms, []loyalty.FormHash{hash}) || e.Reason != operator.Reason {
		b.Errorf("%+v", own[len(own)-1].Body)
	}
	j.Replant(2, 0)
	j.Forms = forms
	b.Greets(j, good)
	b.Posts(j.All())
	if f := b.formsOf(card.Account); len(b.strays()) != 0 || len(f) != 1 {
		b.Fatalf("what was destroyed is back: %+v; of the account %q", b.strays(), f)
	}
}

// testNoNumber: what is no number of a card does not become one.
func testNoNumber(b *Bench) {
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for _, number := range []loyalty.CardNumber{"12", "7005 2200", "7005/2200000000", loyalty.CardNumber(strings.Repeat("7", loyalty.MaxCard+1))} {
		j.Issue(number, loyalty.MainCard, "", false, "")
		if r := b.Posts(j.All()); r.Counts != [4]int{hq.SetAside: 1} {
			b.Errorf("%d characters: %v", len(number), r.Counts)
		}
		if _, ok := b.has(number); ok {
			b.Errorf("a card of %d characters", len(number))
		}
	}
	accounts, err := b.Store.Accounts(context.Background(), 0, 10)
	if b.ok(err); len(accounts) != 0 {
		b.Errorf("%d accounts", len(accounts))
	}
}
