package hqtest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// runOwn tests what headquarters do of their own accord.
func runOwn(t *testing.T, newLab func(tb testing.TB) Lab) {
	for _, c := range []struct {
		name string
		run  func(*Bench)
	}{
		{"own journal", testOwnJournal},
		{"own journal is nobody's to speak", testOwnStranger},
		{"correction", testAdjust},
		{"partner's accruals", testAccrue},
		{"card changed", testSetCard},
		{"account changed", testSetAccount},
		{"cards of an account are limited", testCardLimit},
		{"advance", testAdvance},
		{"advance by tiers", testAdvanceTiers},
		{"closing", testClose},
		{"forgetting", testForget},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(NewBench(t, newLab(t))) })
	}
	t.Run("advance in pieces", func(t *testing.T) { testAdvanceInPieces(t, newLab) })
	t.Run("advance at any time", func(t *testing.T) { testAdvanceAnyTime(t, newLab) })
}

var operator = hq.By{Operator: "Иванова", Reason: "обращение 12"}

func ptr[T any](v T) *T { return &v }

// Adjusts corrects an account.
func (b *Bench) Adjusts(id loyalty.AccountID, points loyalty.Points, ref string) {
	b.Helper()
	_, done, err := b.Adjust(context.Background(), hq.Correction{Account: id, Points: points, Ref: ref, By: operator})
	b.ok(err)
	if !done {
		b.Fatalf("correction %s of account %d was there", ref, id)
	}
}

// OwnEntries are what headquarters' own journal says, in its order.
func (b *Bench) OwnEntries() (out []*loyalty.Entry) {
	b.Helper()
	lines, err := b.Store.Lines(context.Background(), 0, 100_000)
	b.ok(err)
	for _, l := range lines {
		if l.Station != hq.Own {
			continue
		}
		e, err := wire.DecodeEntry(l.Bytes)
		b.ok(err)
		if out = append(out, e); l.Seq != loyalty.Seq(len(out)) || l.Epoch != 1 || l.Outcome != hq.Posted {
			b.Fatalf("%s is the %d. entry: %s", l.Place, len(out), l.Outcome)
		}
	}
	return out
}

// testOwnJournal: its entries have their effect at once, are told to stations, and stand in the stream; no list of stations
// shows it.
func testOwnJournal(b *Bench) {
	b.Bring(Account(5, 100), Account(6, 0))
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	b.Asks(j, &hq.Ask{Account: 5})
	b.Adjusts(5, 50, "1")
	b.Reopen()
	j.Sell(5, 0, 7)
	b.Posts(j.All())
	b.Clock = b.Clock.Add(-time.Hour) // headquarters' clock was put back: the journal's does not go back
	b.Adjusts(5, -20, "2")
	b.Holds(5, 137)
	own := b.OwnEntries()
	if len(own) != 2 || own[1].At < own[0].At || own[0].Op == own[1].Op || !own[1].Op.Valid() {
		b.Fatalf("%d entries: %+v", len(own), own)
	}
	items, _ := b.Drain(17, g.Stream)
	if len(items) != 1 || len(items[0].GetSnapshot().GetAccount().GetLots()) == 0 {
		b.Fatalf("the station is told %v", items)
	}
	states, err := b.Store.AllStations(context.Background(), 0, 10)
	b.ok(err)
	if len(states) != 1 || states[0].ID != 17 {
		b.Fatalf("stations %+v", states)
	}
	if _, err := b.Publish(context.Background(), Programme(1)); err != nil {
		b.Fatal(err)
	}
	if items, err := itemsOf(b, hq.Own); err != nil || len(items) != 0 {
		b.Fatalf("headquarters are to be told %v, %v", items, err)
	}
	_, _, err = b.Adjust(context.Background(), hq.Correction{Account: 7, Points: 1, Ref: "3", By: operator})
	if !errors.Is(err, hq.ErrNoAccount) {
		b.Fatalf("no account: %v", err)
	}
	b.Raised()
}

func itemsOf(b *Bench, station loyalty.StationID) (items []hq.Item, err error) {
	err = b.Store.View(context.Background(), func(tx hq.Tx) error {
		items, err = tx.Items(station, 0, 100)
		return err
	})
	return items, err
}

// testOwnStranger: whoever speaks under the number of headquarters is nobody, before the journal begins and after.
func testOwnStranger(b *Bench) {
	b.Bring(Account(5, 100))
	j := NewJournal(b, hq.Own)
	j.Sell(5, 0, 7)
	for range 2 {
		b.Greets(j, pb.Verdict_VERDICT_UNKNOWN_STATION)
		if r := b.Posts(j.All()); r.Receipts[0].Verdict != hq.Stranger || r.Receipts[0].Cursor != (hq.Cursor{}) {
			b.Fatalf("%+v", r.Receipts[0])
		}
		if r := b.Asks(j, j.TopUp(5, 10)); r.Answer.Refusal != string(loyalty.Offline) || r.Granted != 0 {
			b.Fatalf("%v", r.Answer)
		}
		if err := b.AcceptGap(context.Background(), hq.Own); !errors.Is(err, hq.ErrNoStation) {
			b.Fatal(err)
		}
		b.Adjusts(5, 50, fmt.Sprint(len(b.OwnEntries())))
	}
	b.Holds(5, 200)
}

// testAdjust: a correction is made once, whatever is tried again under its reference.
func testAdjust(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100), Account(6, 0))
	b.Adjusts(5, 50, "1")
	for _, c := range []struct {
		account loyalty.AccountID
		points  loyalty.Points
		ref     string
		want    error
	}{
		{5, 50, "1", nil}, {5, 51, "1", hq.ErrDiffers}, {6, 50, "1", hq.ErrDiffers}, {5, -50, "1", hq.ErrDiffers},
		{5, -151, "2", loyalty.NotEnough}, {6, -1, "2", loyalty.NotEnough}, {6, loyalty.MaxAmount + 1, "2", loyalty.BadRequest},
		{6, 0, "2", loyalty.BadRequest}, {6, 1, "", loyalty.BadRequest}, {6, 1, "a\x00b", loyalty.BadRequest}, {6, 1, strings.Repeat("x", 65), loyalty.BadRequest},
	} {
		_, done, err := b.Adjust(ctx, hq.Correction{Account: c.account, Points: c.points, Ref: c.ref, By: operator})
		if done || !errors.Is(err, c.want) || c.want == nil && err != nil {
			b.Errorf("%+v: %v, %v", c, done, err)
		}
		b.Reopen()
	}
	for _, by := range []hq.By{{}, {Operator: "a"}, {Reason: "b"}, {Operator: "a", Reason: strings.Repeat("x", loyalty.MaxReason+1)}, {Operator: "a\n", Reason: "b"}} {
		if _, _, err := b.Adjust(ctx, hq.Correction{Account: 5, Points: 1, Ref: "9", By: by}); !errors.Is(err, loyalty.BadRequest) {
			b.Errorf("%+v: %v", by, err)
		}
	}
	if n := len(b.OwnEntries()); n != 1 {
		b.Fatalf("%d entries", n)
	}
	b.Holds(5, 150)
}

// testAccrue: a partner's rows go wholly or not at all, each reference once and for each partner its own.
func testAccrue(b *Bench) {
	ctx := context.Background()
	blocked := Account(7, 0)
	blocked.State = loyalty.Blocked
	b.Bring(Account(5, 0), Account(6, 0), blocked)
	_, err := b.ImportCards(ctx, []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	rows := []hq.Accrual{{Card: "7005110000000011", Points: 10, Ref: "a"}, {Account: 6, Points: 20, Ref: "b", Expires: Start + 5*Day}, {Account: 5, Points: 1, Ref: "c"}, {Account: 5, Points: 1, Ref: "c"}}
	for i, want := range []hq.Accrued{{Added: 3, There: 1, Points: 31}, {Added: 3, There: 1, Points: 31}, {There: 4}} {
		n, err := b.Accrue(ctx, "Банк", rows, "Иванова", i == 0)
		if b.ok(err); n != want {
			b.Fatalf("round %d: %+v, want %+v", i, n, want)
		}
		b.Clock = b.Clock.Add(48 * time.Hour) // the programme's terms are others by now; the rows are the same
		b.Reopen()
	}
	b.Holds(5, 11)
	b.Holds(6, 0) // expired by now
	n, err := b.Accrue(ctx, "Другой банк", rows[:1], "Иванова", false)
	if b.ok(err); n.Added != 1 {
		b.Fatalf("%+v", n)
	}
	for _, c := range []struct {
		row  hq.Accrual
		want error
	}{
		{hq.Accrual{Account: 5, Points: 11, Ref: "a"}, hq.ErrDiffers}, {hq.Accrual{Account: 9, Points: 11, Ref: "x"}, hq.ErrNoAccount},
		{hq.Accrual{Card: "7005110000000099", Points: 11, Ref: "x"}, loyalty.UnknownCard}, {hq.Accrual{Account: 7, Points: 11, Ref: "x"}, loyalty.CardBlocked},
		{hq.Accrual{Account: 5, Points: -11, Ref: "x"}, loyalty.BadRequest}, {hq.Accrual{Points: 11, Ref: "x"}, loyalty.BadRequest},
		{hq.Accrual{Account: 5, Points: 11, Ref: "x", Expires: Start}, loyalty.BadRequest},
	} {
		var row *hq.RowError
		_, err := b.Accrue(ctx, "Банк", []hq.Accrual{{Account: 5, Points: 1, Ref: "new"}, c.row}, "Иванова", false)
		if !errors.Is(err, c.want) || !errors.As(err, &row) || row.Row != 1 {
			b.Errorf("%+v: %v", c.row, err)
		}
	}
	b.Holds(5, 21)
}

// testSetCard: a card that was lost is blocked and unblocked, and closed for good; stations are told.
func testSetCard(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100))
	_, err := b.ImportCards(ctx, []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	j := NewJournal(b, 17)
	g := b.Greets(j, good)
	b.Asks(j, &hq.Ask{Card: "7005110000000011"})
	for i, c := range []struct {
		change  hq.CardChange
		changed bool
		want    error
	}{
		{hq.CardChange{State: ptr(loyalty.Blocked)}, true, nil},
		{hq.CardChange{State: ptr(loyalty.Blocked)}, false, nil},
		{hq.CardChange{State: ptr(loyalty.Active), MayRedeem: ptr(false), Kind: ptr(loyalty.VirtualCard)}, true, nil},
		{hq.CardChange{State: ptr(loyalty.Closed)}, true, nil},
		{hq.CardChange{State: ptr(loyalty.Active)}, true, hq.ErrForGood},
	} {
		c.change.By = operator
		_, changed, err := b.SetCard(ctx, "7005110000000011", c.change)
		if changed != c.changed || !errors.Is(err, c.want) || c.want == nil && err != nil {
			b.Errorf("round %d: %v, %v", i, changed, err)
		}
		b.Reopen()
	}
	if n := len(b.OwnEntries()); n != 3 {
		b.Fatalf("%d entries", n)
	}
	items, _ := b.Drain(17, g.Stream)
	if len(items) != 1 || items[0].GetCard().GetState() != uint32(loyalty.Closed) || items[0].GetCard().GetMayRedeem() {
		b.Fatalf("the station is told %v", items)
	}
	if _, _, err := b.SetCard(ctx, "7005110000000099", hq.CardChange{By: operator}); !errors.Is(err, loyalty.UnknownCard) {
		b.Fatal(err)
	}
}

// testSetAccount: what an account may do is changed, and the books prove it.
func testSetAccount(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100))
	for i, c := range []struct {
		change  hq.AccountChange
		changed bool
		want    error
	}{
		{hq.AccountChange{RedeemOn: ptr(true), Joined: ptr(Start)}, true, nil},
		{hq.AccountChange{RedeemOn: ptr(true)}, false, nil},
		{hq.AccountChange{State: ptr(loyalty.AccruesOnly)}, true, nil},
		{hq.AccountChange{State: ptr(loyalty.Closed)}, false, loyalty.BadRequest},
	} {
		c.change.By = operator
		_, changed, err := b.SetAccount(ctx, 5, c.change)
		if changed != c.changed || !errors.Is(err, c.want) || c.want == nil && err != nil {
			b.Errorf("round %d: %v, %v", i, changed, err)
		}
		b.Reopen()
	}
	if a := b.Record(5).Account; a.State != loyalty.AccruesOnly || !a.RedeemOn || a.Joined != Start {
		b.Fatalf("%+v", a)
	}
}

const limited = "cards: {main: 1, additional: 2, virtual: 1, additional_redeem: owner}\n"

// testCardLimit: neither an import nor an operator gives an account more cards than the programme allows; those that are
// there stay.
func testCardLimit(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 0), Account(6, 0))
	kind := func(n string, a loyalty.AccountID, k loyalty.CardKind) loyalty.Card {
		c := Card(loyalty.CardNumber("70051100000000"+n), a)
		c.Kind = k
		return c
	}
	before := []loyalty.Card{kind("10", 6, loyalty.MainCard), kind("11", 6, loyalty.MainCard)}
	_, err := b.ImportCards(ctx, before)
	b.ok(err)
	if _, err := b.Publish(ctx, append(Programme(1), limited...)); err != nil {
		b.Fatal(err)
	}
	n, err := b.ImportCards(ctx, append(before, kind("20", 5, loyalty.MainCard), kind("21", 5, loyalty.AdditionalCard), kind("22", 5, loyalty.AdditionalCard)))
	if b.ok(err); n.Added != 3 || n.Unchanged != 2 {
		b.Fatalf("%+v", n)
	}
	var row *hq.RowError
	_, err = b.ImportCards(ctx, []loyalty.Card{kind("23", 5, loyalty.VirtualCard), kind("24", 5, loyalty.AdditionalCard)})
	if !errors.Is(err, hq.ErrCardLimit) || !errors.As(err, &row) || row.Row != 1 {
		b.Fatalf("%v", err)
	}
	if _, _, err := b.SetCard(ctx, "7005110000000021", hq.CardChange{Kind: ptr(loyalty.MainCard), By: operator}); !errors.Is(err, hq.ErrCardLimit) {
		b.Fatalf("%v", err)
	}
	closed := kind("20", 5, loyalty.MainCard)
	closed.State = loyalty.Closed
	_, err = b.ImportCards(ctx, []loyalty.Card{closed, kind("25", 5, loyalty.MainCard)})
	b.ok(err)
	if _, err := b.ImportCards(ctx, []loyalty.Card{kind("20", 5, loyalty.MainCard)}); !errors.Is(err, hq.ErrForGood) {
		b.Fatalf("a closed card was opened by an import: %v", err)
	}
}

// correct gives an account points, or takes some of those that the books know of.
func (n *network) correct(rt *rapid.T) {
	id, x := account(rt), loyalty.Points(rapid.IntRange(-50, 50).Draw(rt, "correction"))
	if x == 0 || -x > n.Record(id).Account.Total(n.Now()) {
		rt.Skip("nothing to correct")
	}
	n.Adjusts(id, x, fmt.Sprint(len(n.OwnEntries())))
	n.truth[id] += x
	n.clawed[id] += max(0, -x)
}

// testClose: points that no station holds rights to burn at once, the rest when the station has told or given back.
func testClose(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100))
	_, err := b.ImportCards(ctx, []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	j := NewJournal(b, 17)
	b.Greets(j, good)
	b.Grants(j, 5, 30)
	j.Sell(5, 10, 3)
	c, err := b.CloseAccount(ctx, 5, operator)
	if b.ok(err); c.Burned != 70 || c.Left != 30 || len(c.Cards) != 1 || c.Cards[0].State != loyalty.Closed {
		b.Fatalf("%+v", c)
	}
	b.Reopen()
	b.CheckAll()
	if _, _, err := b.Adjust(ctx, hq.Correction{Account: 5, Points: 1, Ref: "1", By: operator}); !errors.Is(err, hq.ErrForGood) {
		b.Fatal(err)
	}
	if _, _, err := b.SetAccount(ctx, 5, hq.AccountChange{State: ptr(loyalty.Active), By: operator}); !errors.Is(err, hq.ErrForGood) {
		b.Fatal(err)
	}
	b.Posts(j.All())
	if got := b.advances(b.Now()); got.Burned != 3 {
		b.Fatalf("%+v", got)
	}
	j.Return(5)
	b.Posts(j.All())
	if got := b.advances(b.Now()); got.Burned != 20 {
		b.Fatalf("%+v", got)
	}
	again, err := b.CloseAccount(ctx, 5, operator)
	if b.ok(err); again.Burned != 0 || again.Left != 0 {
		b.Fatalf("%+v", again)
	}
	b.Holds(5, 0)
	b.Raised()
}

// testForget: the sealed forms of a closed account are destroyed, the chain still proves, and a signed act says so.
func testForget(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100), Account(6, 0))
	_, err := b.ImportCards(ctx, []loyalty.Card{Card("7005110000000011", 5)})
	b.ok(err)
	forms := []hq.Form{
		{Hash: loyalty.FormHash{1}, Account: 5, Card: "7005110000000011", At: Start, Sealed: []byte("one")},
		{Hash: loyalty.FormHash{2}, Account: 6, Card: "7005110000000012", At: Start, Sealed: []byte("another's")},
	}
	b.ok(b.Store.Update(ctx, func(tx hq.Tx) error { return tx.Save(&hq.Changes{Forms: forms}) }))
	if _, err := b.Forget(ctx, 5, operator); !errors.Is(err, loyalty.BadRequest) {
		b.Fatalf("forgotten before it was closed: %v", err)
	}
	if _, err := b.Act(ctx, b.Store, 5); !errors.Is(err, loyalty.BadRequest) {
		b.Fatalf("an act before it was closed: %v", err)
	}
	_, err = b.CloseAccount(ctx, 5, operator)
	b.ok(err)
	for i, want := range []int{1, 0} {
		c, err := b.Forget(ctx, 5, operator)
		if b.ok(err); c.Forms != want {
			b.Fatalf("round %d: %+v", i, c)
		}
		b.Reopen()
	}
	b.ok(b.Store.View(ctx, func(tx hq.Tx) error {
		mine, err1 := tx.FormsOf(5, 10)
		other, err2 := tx.FormsOf(6, 10)
		if len(mine) != 0 || len(other) != 1 {
			b.Errorf("%d forms of the forgotten, %d of the other", len(mine), len(other))
		}
		return errors.Join(err1, err2)
	}))
	act, err := b.Act(ctx, b.Store, 5)
	b.ok(err)
	var kinds []string
	for _, e := range act.Entries {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Equal(kinds, []string{"account_closed", "card_closed", "account_burned", "account_forgotten"}) || act.Burned != "1" || len(act.Forms) != 1 || act.FormsLeft != 0 {
		b.Fatalf("%+v", act)
	}
	if strings.Contains(strings.Join(act.Text, "\n"), "7005110000000011") {
		b.Fatal("the act names a whole card number")
	}
	public, key, err := ed25519.GenerateKey(nil)
	b.ok(err)
	if _, err := hq.SignAct(*act, "Иванова", key); err != nil || len(public) == 0 {
		b.Fatal(err)
	}
}
