package loyalty_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// dated earns as simple does, spendable after 14 days and gone after 12 months.
const dated = simple + `
activation: {days: 14}
expiry: {months: 12}
`

// halves pays half a rouble a point and earns thirds of one.
const halves = `
points: {value: 0.5, step: 0.01}
earn:
  - {fuel: ["*"], points: 1, per_litres: 3}
  - {goods: ["*"], points: 1, per_roubles: 30}
never_redeem: [tobacco]
redeem: {step: 0.02}
`

// sold is a closed sale of fuel for 2400 and coffee for 400 roubles, of which points paid some.
func sold(t testing.TB, b *loyalty.Books, redeem loyalty.Points) loyalty.SaleClosed {
	t.Helper()
	return mustClose(t, b, &loyalty.CloseRequest{
		Sale: "s1", Card: card, Receipt: receipt(fuel("АИ-95", 40_000, 2400_00), goods("coffee", 400_00)), Redeem: redeem,
	})
}

func refunding(id loyalty.RefundID, lines ...loyalty.RefundLine) *loyalty.RefundRequest {
	return &loyalty.RefundRequest{Sale: "s1", Refund: id, Lines: lines, Reason: "товар возвращён", Who: loyalty.Who{Cashier: "Анна", Shift: 3}}
}

func mustRefund(t testing.TB, b *loyalty.Books, r *loyalty.RefundRequest, at loyalty.Place) (*loyalty.Refund, loyalty.SaleRefunded) {
	t.Helper()
	s, body, err := b.Refund(r, at)
	if err != nil {
		t.Fatal(err)
	}
	return s.Refund(r.Refund), body.(loyalty.SaleRefunded)
}

func TestRefundOfALine(t *testing.T) {
	b := books(t)
	closed := sold(t, b, 280_00) // 240 roubles of the fuel and 40 of the coffee
	cell := b.Cell
	f, body := mustRefund(t, b, refunding("r1", loyalty.RefundLine{Line: 2, Count: 1000, Amount: 400_00}), place(3))
	want := loyalty.SaleRefunded{
		Sale: "s1", Closed: place(2).Op, Refund: "r1", Account: account, Card: card, Lines: []loyalty.RefundLine{{Line: 2, Count: 1000, Amount: 400_00}},
		Discount: 40_00, Tender: loyalty.Cashless, Returned: []loyalty.Lot{{Amount: 40_00}}, Undo: loyalty.Undo{Clawed: []loyalty.Lot{{Amount: closed.LineEarned[1]}}}, Reason: "товар возвращён",
	}
	if !reflect.DeepEqual(body, want) {
		t.Errorf("refunded\n%+v, want\n%+v", body, want)
	}
	if f.Money() != 360_00 || body.Money() != 360_00 || f.Clawed != closed.LineEarned[1] || f.Returned != 40_00 || f.All || f.Total != 500_00-280_00+closed.Points()-f.Clawed+40_00 {
		t.Errorf("refund %+v", f)
	}
	if b.Cell != cell || b.Reserved != 0 {
		t.Errorf("the cell was %+v and is %+v", cell, b.Cell)
	}
	rest, _ := mustRefund(t, b, refunding("r2"), place(4))
	if !rest.All || rest.Clawed != closed.LineEarned[0] || rest.Returned != 240_00 || rest.Money() != 2160_00 || rest.Total != 500_00 || rest.Debt != 0 {
		t.Errorf("the rest %+v", rest)
	}
}

func TestRefundAgain(t *testing.T) {
	b := books(t)
	sold(t, b, 0)
	part := loyalty.RefundLine{Line: 1, Volume: 10_000, Amount: 600_00}
	mustRefund(t, b, refunding("r1", part), place(3))
	local := b.Local.Clone()
	again := refunding("r1", part)
	again.Cashier, again.Reason = "Вера", ""
	if s, body, err := b.Refund(again, place(4)); err != nil || body != nil || len(s.Refunds) != 1 {
		t.Errorf("again: %v, %v", body, err)
	}
	other := part
	other.Amount--
	for name, r := range map[string]*loyalty.RefundRequest{"another amount": refunding("r1", other), "the rest": refunding("r1")} {
		t.Run(name, func(t *testing.T) {
			_, _, err := b.Refund(r, place(4))
			refused(t, err, loyalty.Conflict)
		})
	}
	mustRefund(t, b, refunding("r2"), place(5))
	if _, body, err := b.Refund(refunding("r2"), place(6)); err != nil || body != nil {
		t.Errorf("the rest again: %v, %v", body, err)
	}
	if _, body, err := b.Refund(refunding("r2", loyalty.RefundLine{Line: 1, Volume: 30_000, Amount: 1800_00}, loyalty.RefundLine{Line: 2, Count: 1000, Amount: 400_00}), place(6)); err != nil || body != nil {
		t.Errorf("the rest again, named: %v, %v", body, err)
	}
	if len(local.Own) != 2 || len(b.Local.Own) != 3 {
		t.Errorf("posts %d entries, then %d", len(local.Own), len(b.Local.Own))
	}
}

func TestRefundRefuses(t *testing.T) {
	closed := func(t *testing.T) *loyalty.Books { b := books(t); sold(t, b, 0); return b }
	opened := func(t *testing.T) *loyalty.Books { b := books(t); mustOpen(t, b, opening(0)); return b }
	void := func(t *testing.T) *loyalty.Books {
		b := opened(t)
		if _, _, err := b.Cancel(voiding(), place(2)); err != nil {
			t.Fatal(err)
		}
		return b
	}
	line := func(l loyalty.RefundLine) *loyalty.RefundRequest { return refunding("r1", l) }
	for name, tt := range map[string]struct {
		books func(*testing.T) *loyalty.Books
		r     *loyalty.RefundRequest
		want  loyalty.Refusal
	}{
		"a sale of another station":   {books: func(t *testing.T) *loyalty.Books { return books(t) }, r: refunding("r1"), want: loyalty.SaleNotHere},
		"an open sale":                {opened, refunding("r1"), loyalty.SaleNotClosed},
		"a void sale":                 {void, refunding("r1"), loyalty.SaleNotClosed},
		"no programme":                {func(t *testing.T) *loyalty.Books { b := closed(t); b.Programme = nil; return b }, refunding("r1"), loyalty.NoProgramme},
		"no id":                       {closed, refunding(""), loyalty.BadRequest},
		"a line of another receipt":   {closed, line(loyalty.RefundLine{Line: 3, Amount: 1}), loyalty.BadRequest},
		"line zero":                   {closed, line(loyalty.RefundLine{Amount: 1}), loyalty.BadRequest},
		"nothing of a line":           {closed, line(loyalty.RefundLine{Line: 1}), loyalty.BadRequest},
		"an amount below zero":        {closed, line(loyalty.RefundLine{Line: 1, Amount: -1}), loyalty.BadRequest},
		"a line twice":                {closed, refunding("r1", loyalty.RefundLine{Line: 1, Amount: 1}, loyalty.RefundLine{Line: 1, Amount: 1}), loyalty.BadRequest},
		"more money than was charged": {closed, line(loyalty.RefundLine{Line: 1, Amount: 2400_01}), loyalty.RefundMore},
		"more fuel than flowed":       {closed, line(loyalty.RefundLine{Line: 1, Volume: 40_001, Amount: 1}), loyalty.RefundMore},
		"more pieces than were sold":  {closed, line(loyalty.RefundLine{Line: 2, Count: 1001, Amount: 1}), loyalty.RefundMore},
		"what is refunded already": {func(t *testing.T) *loyalty.Books {
			b := closed(t)
			mustRefund(t, b, refunding("r0"), place(3))
			return b
		}, refunding("r1"), loyalty.RefundMore},
		"too many times": {func(t *testing.T) *loyalty.Books {
			b := closed(t)
			for i := range loyalty.MaxRefunds {
				mustRefund(t, b, refunding(loyalty.RefundID(fmt.Sprint(i)), loyalty.RefundLine{Line: 1, Amount: 1}), place(loyalty.Seq(3+i)))
			}
			return b
		}, refunding("r1"), loyalty.RefundMore},
	} {
		t.Run(name, func(t *testing.T) {
			b := tt.books(t)
			before, refunds := b.Local.Clone(), 0
			if b.Sale != nil {
				refunds = len(b.Sale.Refunds)
			}
			s, body, err := b.Refund(tt.r, place(90))
			refused(t, err, tt.want)
			if s != nil || body != nil || !reflect.DeepEqual(b.Local, before) || (b.Sale != nil && len(b.Sale.Refunds) != refunds) {
				t.Error("the refusal changed something")
			}
		})
	}
}

// A card that is blocked since, or a station that may not redeem, does not keep anybody's money.
func TestRefundToABlockedCard(t *testing.T) {
	b := books(t)
	sold(t, b, 100_00)
	b.Card.State, b.Local.Snapshot.Account.State, b.Frozen = loyalty.Blocked, loyalty.Blocked, true
	if f, _ := mustRefund(t, b, refunding("r1"), place(3)); f.Returned != 100_00 || f.Total != 500_00 {
		t.Errorf("refund %+v", f)
	}
}

// What the sale earned has been spent elsewhere: the account owes it, shows zero, and pays it first.
func TestRefundOfSpentPoints(t *testing.T) {
	b := books(t)
	closed := sold(t, b, 0)
	earned := closed.Points()
	if err := b.Local.Snapshot.Account.Post(loyalty.Posting{Redeemed: 495_00}); err != nil {
		t.Fatal(err)
	}
	f, body := mustRefund(t, b, refunding("r1"), place(3))
	if f.Debt != 0 || f.Total != 5_00 { // 5 points are left beside what was earned
		t.Fatalf("refund %+v", f)
	}
	if body.Clawed[0].Amount != earned {
		t.Errorf("clawed %v", body.Clawed)
	}
}

func TestDebt(t *testing.T) {
	at := noon(6, 1)
	a := loyalty.Account{Lots: []loyalty.Lot{{Amount: 10, Expires: at + 100}, {Amount: 20, ActiveFrom: at + 50}}}
	take := func(x loyalty.Points) loyalty.Posting {
		return loyalty.Posting{RedeemAt: at, Undo: loyalty.Undo{Clawed: []loyalty.Lot{{Amount: x, Expires: 7}}}}
	}
	post := func(p loyalty.Posting) {
		t.Helper()
		if err := a.Post(p); err != nil {
			t.Fatal(err)
		}
		if err := a.Check(); err != nil {
			t.Fatal(err)
		}
	}
	post(take(15)) // the active lot first
	if want := []loyalty.Lot{{Amount: 15, ActiveFrom: at + 50}}; !sameLots(a.Lots, want) || a.Debt != 0 {
		t.Fatalf("lots %v, debt %s", a.Lots, a.Debt)
	}
	post(take(40))
	if a.Debt != 25 || a.Total(at) != 0 || a.Spendable(at+60) != 0 || len(a.Lots) != 0 {
		t.Fatalf("lots %v, debt %s", a.Lots, a.Debt)
	}
	post(loyalty.Posting{Accrued: []loyalty.Lot{{Amount: 10, Expires: at + 9}, {Amount: 20, Expires: at + 10}}})
	if want := []loyalty.Lot{{Amount: 5, Expires: at + 10}}; !sameLots(a.Lots, want) || a.Debt != 0 {
		t.Fatalf("lots %v, debt %s", a.Lots, a.Debt)
	}
	// 55 have been taken back while rights may have been out: sales within them are paid, as debt. Beyond, they are not.
	if err := a.Post(loyalty.Posting{Redeemed: 61}); err == nil {
		t.Error("redeemed 61 of 5 with 55 taken back")
	}
	post(loyalty.Posting{Redeemed: 60})
	if a.Debt != 55 || a.Total(at) != 0 {
		t.Errorf("lots %v, debt %s", a.Lots, a.Debt)
	}
	if err := a.Post(loyalty.Posting{Undo: loyalty.Undo{Clawed: []loyalty.Lot{{Amount: -1}}}}); err == nil || a.Debt != 55 {
		t.Error("took back less than nothing")
	}
}

// Points are taken from the lots they were earned into, also those that are not active yet.
func TestRefundTakesTheLotsThatWereEarned(t *testing.T) {
	b := books(t)
	b.Programme = programme(t, dated)
	before := b.Local.Current()
	sold(t, b, 0)
	mustRefund(t, b, refunding("r1"), place(3))
	if a := b.Local.Current(); !sameLots(a.Lots, before.Lots) {
		t.Errorf("lots %v, want %v", a.Lots, before.Lots)
	}
}

// Where they have expired unspent, there are other points to take: expired ones pay for nothing.
func TestRefundAfterExpiry(t *testing.T) {
	b := books(t)
	b.Programme = programme(t, dated)
	closed := sold(t, b, 0)
	late := place(3)
	late.At = loyalty.At(late.At.Time().AddDate(2, 0, 0))
	if f, _ := mustRefund(t, b, refunding("r1"), late); f.Clawed != closed.Points() || f.Total != 500_00-closed.Points() {
		t.Errorf("refund %+v", f)
	}
}

func TestReturnedPointsKeepTheirTerms(t *testing.T) {
	day := loyalty.Instant(24 * time.Hour / time.Millisecond)
	soon, later := place(2).At+day, place(2).At+30*day
	b := books(t)
	b.Programme = programme(t, dated)
	b.Local.Snapshot.Account.Lots = []loyalty.Lot{{Amount: 100_00, Expires: soon}, {Amount: 400_00, Expires: later}}
	sold(t, b, 140_00)
	part, body := mustRefund(t, b, refunding("r1", loyalty.RefundLine{Line: 1, Volume: 20_000, Amount: 1200_00}), place(3))
	if want := []loyalty.Lot{{Amount: 20_00, Expires: soon}, {Amount: 40_00, Expires: later}}; !sameLots(body.Returned, want) || part.Returned != 60_00 {
		t.Errorf("half of the fuel gives back %v, want %v", body.Returned, want)
	}
	late := place(4)
	late.At = soon
	fresh := loyalty.At(soon.Time().Add(3*time.Hour).AddDate(1, 0, 1).Truncate(24 * time.Hour).Add(-3 * time.Hour)) // the end of the day a year later, in Moscow
	if _, body = mustRefund(t, b, refunding("r2"), late); !sameLots(body.Returned, []loyalty.Lot{{Amount: 80_00, Expires: fresh}}) {
		t.Errorf("after the lot's expiry %v, want until %s", body.Returned, fresh)
	}
	b.Sale.Paid = nil // as after a rebuild from the journal
	b.Sale.Refunds = b.Sale.Refunds[:0]
	if _, body = mustRefund(t, b, refunding("r1"), place(3)); len(body.Returned) != 1 || body.Returned[0].Amount != 140_00 || body.Returned[0].ActiveFrom != 0 {
		t.Errorf("not known where from: %v", body.Returned)
	}
}

// A promo code that the account had used before gives nothing at HQ, and a refund takes nothing for it.
func TestRefundOfAClaimThatWasDenied(t *testing.T) {
	claim := loyalty.Claim{Tally: loyalty.Tally{Counter: "code:X", From: 1, Amount: 1}, Lot: loyalty.Lot{Amount: 70}}
	used := loyalty.Account{}
	used.Count(claim.Tally)
	for name, tt := range map[string]struct {
		account loyalty.Account
		earned  loyalty.Points
	}{"granted": {loyalty.Account{}, 100}, "denied": {used, 30}} {
		t.Run(name, func(t *testing.T) {
			op := place(1).Op
			r := loyalty.Record{Account: tt.account.Clone()}
			if _, err := r.Post(here, 1, &loyalty.Entry{Op: op, Body: loyalty.SaleClosed{Earned: []loyalty.Lot{{Amount: 30}}, Claims: []loyalty.Claim{claim}, OpenedAt: 5}}); err != nil {
				t.Fatal(err)
			}
			if r.Account.Total(9) != tt.earned {
				t.Fatalf("earned %s", r.Account.Total(9))
			}
			for seq, x := range []loyalty.Points{40, 60} {
				if _, err := r.Post(here, loyalty.Seq(seq+2), &loyalty.Entry{At: 9, Body: loyalty.SaleRefunded{Closed: op, Undo: loyalty.Undo{Clawed: []loyalty.Lot{{Amount: x}}}}}); err != nil {
					t.Fatal(err)
				}
			}
			if r.Account.Total(9) != 0 || r.Account.Debt != 0 {
				t.Errorf("left %s, debt %s", r.Account.Total(9), r.Account.Debt)
			}
			want := tt.account.Tallies
			if name == "granted" {
				want = []loyalty.Tally{claim.Tally}
			}
			if !reflect.DeepEqual(r.Account.Tallies, want) {
				t.Errorf("tallies %v, want %v", r.Account.Tallies, want)
			}
		})
	}
}

// A refund of which the tender is not known any longer is the same request by whichever tender it is asked for again.
func TestARefundOfAnUnknownTenderMatchesAny(t *testing.T) {
	b, _ := soldAtHome(t, 0)
	r := refunding("c", coffee)
	r.Tender = loyalty.Cash
	mustRefund(t, b, r, place(5))
	ask := func(tender loyalty.Tender) error {
		again := *r
		again.Tender = tender
		_, body, err := b.Refund(&again, place(6))
		if body != nil {
			t.Errorf("by %s: refunded twice", tender)
		}
		return err
	}
	if err := ask(loyalty.FuelCard); !errors.Is(err, loyalty.Conflict) {
		t.Errorf("by another: %v", err)
	}
	b.Sale.Refunds[0].Tender = 0
	for _, tender := range []loyalty.Tender{0, loyalty.Cash, loyalty.Cashless, loyalty.FuelCard} {
		if err := ask(tender); err != nil {
			t.Errorf("by %s: %v", tender, err)
		}
	}
}
