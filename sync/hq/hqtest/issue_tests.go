package hqtest

import (
	"context"
	"slices"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// runCounter tests what stations do at their counters beside sales: cards given out, refunds of other stations' sales,
// alerts; and what they ask about it.
func runCounter(t *testing.T, newLab func(tb testing.TB) Lab) {
	for _, c := range []struct {
		name string
		run  func(*Bench)
	}{
		{"history of an account", testHistory},
		{"programmes of all versions", testProgrammesKept},
		{"forms", testForms},
		{"refunds of a sale", testRefundsOf},
		{"card of a new customer", testNewCustomer},
		{"cards that join an account", testJoin},
		{"card in place of a lost one", testReplace},
		{"card refused", testIssueRefused},
		{"card told again", testIssueTwice},
		{"card of a card that comes later", testIssueWaits},
		{"card that headquarters died behind", testCatchUp},
		{"cards after an older copy", testIssueRestored},
		{"form that does not come", testFormMissing},
		{"may a card be given out", testAskIssue},
		{"refunds of two stations", testRefundsTogether},
		{"refund away", testRefundAway},
		{"refund before its sale", testRefundBeforeSale},
		{"sale asked about", testAskSale},
		{"history asked about", testAskHistory},
		{"alerts", testAlerts},
		{"sales priced once more", testRecheck},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(NewBench(t, newLab(t))) })
	}
}

// fewCards is a programme that lets an account have one main card, two additional ones and a virtual one.
func fewCards(version uint32) []byte {
	return append(Programme(version), "cards: {main: 1, additional: 2, virtual: 1, additional_redeem: owner}\n"...)
}

// has is a card as the books have it.
func (b *Bench) has(number loyalty.CardNumber) (card loyalty.Card, ok bool) {
	b.Helper()
	b.ok(b.Store.View(context.Background(), func(tx hq.Tx) error {
		cards, err := tx.Cards([]loyalty.CardNumber{number})
		card, ok = cards[number]
		return err
	}))
	return card, ok
}

// formsOf are what is kept of an account's customer.
func (b *Bench) formsOf(id loyalty.AccountID) (out []string) {
	b.Helper()
	b.ok(b.Store.View(context.Background(), func(tx hq.Tx) error {
		forms, err := tx.FormsOf(id, 100)
		for _, f := range forms {
			out = append(out, string(f.Sealed))
		}
		return err
	}))
	return out
}

const (
	newCard    = "7005220000000011"
	secondCard = "7005220000000012"
	thirdCard  = "7005220000000013"
)

// testNewCustomer: a card that was given out becomes one, with an account; what was sold to it in the same batch and what
// another station had sold to it before is posted, and the form is kept beside.
func testNewCustomer(b *Bench) {
	b.Bring(Account(5, 10))
	k := NewJournal(b, 18)
	b.Greets(k, good)
	k.Append(k.Sale(0, newCard, 0, 7))
	if r := b.Posts(k.All()); r.Counts[hq.SetAside] != 1 {
		b.Fatalf("%v", r.Counts)
	}
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	j.Issue(newCard, loyalty.MainCard, "", false, "sealed")
	j.Append(j.Sale(0, newCard, 0, 100))
	j.Issue(secondCard, loyalty.MainCard, "", false, "another")
	r := b.Posts(j.All())
	if r.Counts != [4]int{hq.Posted: 3} {
		b.Fatalf("%v", r.Counts)
	}
	b.Reopen()
	card, ok := b.has(newCard)
	if !ok || card.Account < hq.FirstGiven || !card.MayRedeem || card.State != loyalty.Active || card.Kind != loyalty.MainCard || card.Registered < Start {
		b.Fatalf("%+v", card)
	}
	b.Holds(card.Account, 107)
	if a := b.Record(card.Account).Account; a.Joined != card.Registered || a.RedeemOn {
		b.Fatalf("%+v", a)
	}
	if other, _ := b.has(secondCard); other.Account == card.Account || other.Account < hq.FirstGiven {
		b.Fatalf("%+v", other)
	}
	if f := b.formsOf(card.Account); !slices.Equal(f, []string{"sealed"}) {
		b.Fatalf("forms %q", f)
	}
	items, _ := b.Drain(17, g.Stream)
	if len(items) != 4 {
		b.Fatalf("the station is told %v", items)
	}
	b.Raised()
	b.CheckAll()
}

// testJoin: cards join an account as far as the programme goes, and redeem once the owner has said so.
func testJoin(b *Bench) {
	ctx := context.Background()
	_, err := b.Publish(ctx, fewCards(1))
	b.ok(err)
	b.Bring(Account(5, 10))
	_, err = b.ImportCards(ctx, []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	g := b.Greets(j, good)
	h := b.Greets(k, good)
	k.Sell(5, 0, 1)
	b.Posts(k.All())
	_, through := b.Drain(18, h.Stream)
	h.Stream.Acked = through
	j.Issue(newCard, loyalty.AdditionalCard, "7005110000000011", false, "")
	j.Issue(secondCard, loyalty.VirtualCard, newCard, false, "form")
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.Posted: 2} {
		b.Fatalf("%v", r.Counts)
	}
	one, _ := b.has(newCard)
	two, _ := b.has(secondCard)
	if one.Account != 5 || one.MayRedeem || one.Kind != loyalty.AdditionalCard || two.Account != 5 || two.MayRedeem || two.Kind != loyalty.VirtualCard {
		b.Fatalf("%+v %+v", one, two)
	}
	if f := b.formsOf(5); !slices.Equal(f, []string{"form"}) {
		b.Fatalf("forms %q", f)
	}
	for name, at := range map[string]struct {
		station loyalty.StationID
		stream  hq.Stream
		cards   int
	}{"here": {17, g.Stream, 3}, "elsewhere": {18, h.Stream, 2}} {
		items, _ := b.Drain(at.station, at.stream)
		n := 0
		for _, i := range items {
			if i.GetCard() != nil {
				n++
			}
		}
		if n != at.cards {
			b.Fatalf("%s the station is told of %d cards: %v", name, n, items)
		}
	}
	j.Issue(thirdCard, loyalty.AdditionalCard, "7005110000000011", false, "")
	j.Issue("7005220000000014", loyalty.AdditionalCard, "7005110000000011", false, "")
	r := b.Posts(j.All())
	if r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 1} || r.Receipts[0].SetAside[0].Reason != string(loyalty.CardLimit) {
		b.Fatalf("%v %+v", r.Counts, r.Receipts)
	}
	if r := b.Record(5); r.Account.Total(b.Now()) != 11 {
		b.Fatalf("%+v", r.Account)
	}
	b.Raised()
}

// testReplace: a lost card is closed, and the one in its place is not counted as one more.
func testReplace(b *Bench) {
	_, err := b.Publish(context.Background(), fewCards(1))
	b.ok(err)
	b.Bring(Account(5, 10))
	_, err = b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Issue(newCard, loyalty.MainCard, "7005110000000011", true, "")
	j.Issue(secondCard, loyalty.MainCard, newCard, true, "")
	j.Issue(thirdCard, loyalty.MainCard, newCard, true, "") // it has been replaced
	r := b.Posts(j.All())
	if r.Counts != [4]int{hq.Posted: 2, hq.SetAside: 1} || r.Receipts[0].SetAside[0].Reason != string(loyalty.CardClosed) {
		b.Fatalf("%v %+v", r.Counts, r.Receipts)
	}
	b.Reopen()
	for number, want := range map[loyalty.CardNumber]loyalty.State{"7005110000000011": loyalty.Closed, newCard: loyalty.Closed, secondCard: loyalty.Active} {
		c, ok := b.has(number)
		if !ok || c.State != want || c.Account != 5 || c.MayRedeem != (number == "7005110000000011") {
			b.Fatalf("%+v, want %s", c, want)
		}
	}
	if _, ok := b.has(thirdCard); ok {
		b.Fatal("a lost card was replaced twice")
	}
}

// testIssueRefused: what may not be is kept with its reason, for a person to look at.
func testIssueRefused(b *Bench) {
	staff := Card("7005110000000013", 5)
	staff.Kind = loyalty.StaffKind
	blocked := Card("7005110000000014", 5)
	blocked.State = loyalty.Blocked
	b.Bring(Account(5, 0), Account(6, 0))
	_, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5), Card("7005110000000012", 6), staff, blocked})
	b.ok(err)
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Issue("7005110000000011", loyalty.MainCard, "", false, "")
	j.Issue("7005110000000011", loyalty.AdditionalCard, "7005110000000012", false, "")
	j.Issue(newCard, loyalty.AdditionalCard, "7005999999999999", false, "")
	j.Issue(secondCard, loyalty.AdditionalCard, staff.Number, false, "")
	j.Issue(thirdCard, loyalty.AdditionalCard, blocked.Number, false, "")
	j.Append(loyalty.CardIssued{Card: "7005220000000019", Kind: loyalty.VirtualCard})
	r := b.Posts(j.All())
	want := []loyalty.Refusal{loyalty.CardTaken, loyalty.CardTaken, loyalty.UnknownCard, loyalty.StaffCard, loyalty.CardBlocked, loyalty.BadRequest}
	if r.Counts[hq.SetAside] != len(want) {
		b.Fatalf("%v", r.Counts)
	}
	for i, w := range want {
		if got := r.Receipts[0].SetAside[i].Reason; got != string(w) {
			b.Errorf("entry %d: %s, want %s", i+1, got, w)
		}
	}
	lines, err := b.Store.AlertLines(context.Background(), 0, 10)
	if err != nil || len(lines) != len(want) {
		b.Fatalf("%d alerts: %v", len(lines), err)
	}
	if c, _ := b.has("7005110000000011"); c.Account != 5 {
		b.Fatalf("%+v", c)
	}
}

// testIssueTwice: a station that forgot that it gave a card out tells it again, and another one cannot have given it out.
func testIssueTwice(b *Bench) {
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	j.Issue(newCard, loyalty.MainCard, "", false, "form")
	b.Posts(j.All())
	card, _ := b.has(newCard)
	back := j.Clone()
	back.Begin(2)
	back.Boot[1]++
	b.Greets(back, good)
	back.Append(loyalty.Started{Boot: back.Boot, Version: "test"})
	back.Issue(newCard, loyalty.MainCard, "", false, "form, sealed again")
	k.Issue(newCard, loyalty.MainCard, "", false, "somebody else's")
	r := b.Posts(back.All(), k.All())
	if r.Counts != [4]int{hq.NoAccount: 1, hq.Repeated: 1, hq.SetAside: 1} || r.Receipts[1].SetAside[0].Reason != string(loyalty.CardTaken) {
		b.Fatalf("%v %+v", r.Counts, r.Receipts)
	}
	b.Reopen()
	if now, _ := b.has(newCard); now.Account != card.Account {
		b.Fatalf("%+v, was %+v", now, card)
	}
	if f := b.formsOf(card.Account); len(f) != 2 {
		b.Fatalf("forms %q", f)
	}
	if f := b.formsOf(0); !slices.Equal(f, []string{"somebody else's"}) {
		b.Fatalf("forms of nobody: %q", f)
	}
	accounts, err := b.Store.Accounts(context.Background(), 0, 10)
	if err != nil || len(accounts) != 1 {
		b.Fatalf("%d accounts: %v", len(accounts), err)
	}
}

// testIssueWaits: a card that joins the account of one that nobody has heard of waits for it, and others for that.
func testIssueWaits(b *Bench) {
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	j.Issue(secondCard, loyalty.AdditionalCard, newCard, false, "second")
	j.Issue(thirdCard, loyalty.AdditionalCard, secondCard, false, "third")
	j.Append(j.Sale(0, thirdCard, 0, 40))
	if r := b.Posts(j.All()); r.Counts[hq.SetAside] != 3 {
		b.Fatalf("%v", r.Counts)
	}
	if f := b.formsOf(0); len(f) != 2 {
		b.Fatalf("forms of nobody: %q", f)
	}
	k.Issue(newCard, loyalty.MainCard, "", false, "first")
	b.Posts(k.All())
	b.Reopen()
	card, _ := b.has(thirdCard)
	b.Holds(card.Account, 40)
	if f := b.formsOf(card.Account); len(f) != 3 || len(b.formsOf(0)) != 0 {
		b.Fatalf("forms %q", f)
	}
	b.Raised()
}

// testCatchUp: headquarters was stopped after the commit that made the card, before what waited for it was tried again.
func testCatchUp(b *Bench) {
	ctx := context.Background()
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	k.Append(k.Sale(0, newCard, 0, 7))
	k.Append(k.Sale(0, "7005999999999999", 0, 7))
	b.Posts(k.All())
	j.Issue(newCard, loyalty.MainCard, "", false, "")
	b.ok(b.Store.Update(ctx, func(tx hq.Tx) error {
		_, err := hq.Post(tx, []*hq.Batch{j.All()}, &hq.Programmes{}, b.Now())
		return err
	}))
	card, _ := b.has(newCard)
	b.Holds(card.Account, 0)
	b.Reopen()
	for round, want := range []int{1, 0} {
		if n, err := b.CatchUp(ctx, b.Store); err != nil || n != want {
			b.Fatalf("round %d: %d %v", round, n, err)
		}
		b.Holds(card.Account, 7)
	}
}

// testIssueRestored: when an older copy was put back, cards come again in another order. Entries that name the lost
// account go to the account that the card has now, and to nobody else's.
func testIssueRestored(b *Bench) {
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	b.ok(b.Store.Close())
	b.Lab.Save(b)
	b.open()
	j.Issue(newCard, loyalty.MainCard, "", false, "")
	b.Posts(j.All())
	was, _ := b.has(newCard)
	j.Append(j.Sale(was.Account, newCard, 0, 100))
	k.Append(k.Sale(was.Account, newCard, 0, 30))
	b.ok(b.Store.Close())
	b.Lab.Restore(b)
	b.Clock = b.Clock.Add(60_000_000_000)
	b.open()
	k.Issue(secondCard, loyalty.MainCard, "", false, "") // takes the number that the lost life gave out, if numbers had no moment
	b.Greets(k, good)
	if r := b.Posts(k.All()); r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Greets(j, good)
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.Posted: 2} {
		b.Fatalf("%v", r.Counts)
	}
	now, _ := b.has(newCard)
	other, _ := b.has(secondCard)
	if now.Account == was.Account || other.Account == was.Account {
		b.Fatalf("the number %d is given out again", was.Account)
	}
	b.Holds(now.Account, 130)
	b.Holds(other.Account, 0)
}

// testFormMissing: a form that does not come with its entry is missed, and one that was destroyed is not and stays so.
func testFormMissing(b *Bench) {
	ctx := context.Background()
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Issue(newCard, loyalty.MainCard, "", false, "form")
	forms := j.Forms
	j.Forms = nil
	b.Posts(j.All())
	b.Raised(hq.FormAlarm)
	b.ok(b.Store.Update(ctx, func(tx hq.Tx) error {
		card, err := tx.Cards([]loyalty.CardNumber{newCard})
		if err != nil {
			return err
		}
		h := (&loyalty.IssueRequest{Sealed: forms[0].Bytes}).Hash()
		return tx.Save(&hq.Changes{Forms: []hq.Form{{Hash: h, Account: card[newCard].Account, Sealed: forms[0].Bytes}}})
	}))
	card, _ := b.has(newCard)
	b.ok(b.Store.Update(ctx, func(tx hq.Tx) error { return tx.Save(&hq.Changes{Forgotten: []loyalty.AccountID{card.Account}}) }))
	j.Replant(2, 0)
	j.Forms = forms
	b.Greets(j, good)
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.Repeated: 1} {
		b.Fatalf("%v", r.Counts)
	}
	if f := b.formsOf(card.Account); len(f) != 0 {
		b.Fatalf("what was destroyed is back: %q", f)
	}
}

// testAskIssue: a station is told beforehand what the posting will say.
func testAskIssue(b *Bench) {
	_, err := b.Publish(context.Background(), fewCards(1))
	b.ok(err)
	b.Bring(Account(5, 10), Account(6, 0))
	closed := Card("7005110000000013", 6)
	closed.State = loyalty.Closed
	_, err = b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000011", 5), Card("7005110000000012", 6), closed})
	b.ok(err)
	j := NewJournal(b, 17)
	b.Greets(j, good)
	j.Issue("7005220000000021", loyalty.AdditionalCard, "7005110000000011", false, "")
	j.Issue("7005220000000022", loyalty.AdditionalCard, "7005110000000011", false, "")
	b.Posts(j.All())
	for i, c := range []struct {
		of       loyalty.CardNumber
		card     loyalty.CardNumber
		kind     loyalty.CardKind
		replaces bool
		want     loyalty.Refusal
	}{
		{"7005110000000012", newCard, loyalty.AdditionalCard, false, ""},
		{"7005110000000011", newCard, loyalty.AdditionalCard, false, loyalty.CardLimit},
		{"7005110000000011", newCard, loyalty.VirtualCard, false, ""},
		{"7005110000000011", newCard, loyalty.MainCard, true, ""},
		{"7005110000000011", newCard, loyalty.MainCard, false, loyalty.BadRequest},
		{"7005110000000011", "7005110000000012", loyalty.VirtualCard, false, loyalty.CardTaken},
		{"7005110000000013", newCard, loyalty.AdditionalCard, false, loyalty.CardClosed},
		{"7005999999999999", newCard, loyalty.AdditionalCard, false, loyalty.UnknownCard},
	} {
		r := b.Asks(j, &hq.Ask{Card: c.of, Issue: &hq.AskIssue{Card: c.card, Kind: c.kind, Replaces: c.replaces}})
		if got := loyalty.Refusal(r.Answer.Refusal); got != c.want {
			b.Errorf("question %d: %q, want %q", i, got, c.want)
		}
		_, err := wire.Encode(r.Answer)
		b.ok(err)
	}
}
