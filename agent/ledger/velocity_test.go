package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"pgregory.net/rapid"
)

const hastyProgramme = testProgramme + `velocity:
  - {name: same-card, per: [card, counter], count: sales, at_most: 2, within: 30m, then: alert}
  - {name: typed, per: [cashier], count: manual, at_most: 1, within: shift, then: alert}
  - {name: redeem-a-day, per: [account], count: redeemed, at_most: 300, within: day, then: refuse}
  - {name: refunds, per: [cashier], count: refunds, at_most: 1, within: 1h, then: refuse}
`

// hasty opens a ledger with velocity rules, at a time of the test's own.
func hasty(t *testing.T, cfg Config) (*Ledger, *hands) {
	t.Helper()
	l, err := openTuned(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		checkTest(t, cfg.Path)
	})
	h := &hands{wall: wallStart}
	l.clock = h.clock()
	if err := l.LoadProgramme(t.Context(), []byte(hastyProgramme)); err != nil {
		t.Fatal(err)
	}
	l.HQTime(loyalty.At(wallStart))
	know(t, l, 1, 900_00, 800_00)
	know(t, l, 2, 900_00, 800_00)
	return l, h
}

// alertsOf are the alerts of the journal as rule, count and whether they refused.
func alertsOf(t *testing.T, l *Ledger) (out []string) {
	t.Helper()
	for _, e := range entries(t, l) {
		if a, ok := e.Body.(loyalty.Alerted); ok {
			s := fmt.Sprintf("%s %s %d/%d", a.Rule, a.Sale, a.Count, a.AtMost)
			if a.Refused {
				s += " refused"
			}
			out = append(out, s)
		}
	}
	return out
}

func wantAlerts(t *testing.T, l *Ledger, want ...string) {
	t.Helper()
	if got := alertsOf(t, l); strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("alerts %q, want %q", got, want)
	}
}

func TestAlertsGoWithTheirSale(t *testing.T) {
	cfg := testConfig(t)
	l, h := hasty(t, cfg)
	who := loyalty.Who{Cashier: "Анна", Counter: "1"}
	ok := must[*loyalty.Sale](t)
	for i := range 4 {
		ok(sellIn(t, l, fmt.Sprint(i), 1, 1, who))
		ok(sellIn(t, l, fmt.Sprint(i), 1, 1, who)) // again: counts nothing
	}
	wantAlerts(t, l, "same-card 2 3/2") // one a minute
	all := entries(t, l)
	for i, e := range all {
		if a, alert := e.Body.(loyalty.Alerted); alert {
			c, sale := all[i-1].Body.(loyalty.SaleClosed)
			if !sale || c.Sale != a.Sale || all[i-1].At != e.At || all[i-1].Op == e.Op || e.Cashier != "Анна" || e.Counter != "1" || a.Card != cardOf(1) || a.Account != 1 {
				t.Errorf("alert %+v behind %+v", e, all[i-1])
			}
		}
	}
	ok(sellIn(t, l, "other counter", 1, 1, loyalty.Who{Counter: "2"}))
	ok(sellIn(t, l, "other card", 2, 1, who))
	h.pass(61 * time.Second)
	ok(sellIn(t, l, "5", 1, 1, who))
	wantAlerts(t, l, "same-card 2 3/2", "same-card 5 5/2")
	h.pass(2 * time.Hour)
	ok(sellIn(t, l, "late", 1, 1, who))
	wantAlerts(t, l, "same-card 2 3/2", "same-card 5 5/2")
}

// A sale of two steps counts once, when it is closed; what is voided counts nothing.
func TestASaleOfTwoStepsCountsOnce(t *testing.T) {
	l, _ := hasty(t, testConfig(t))
	who := loyalty.Who{Cashier: "Анна", Shift: 1, Counter: "1"}
	ok := must[*loyalty.Sale](t)
	for i := range 3 {
		id := loyalty.SaleID(fmt.Sprint("v", i))
		ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: id, Card: cardOf(1), Receipt: fuel(3), Redeem: 1_00, Who: who}))
		ok(l.VoidSale(t.Context(), &loyalty.VoidRequest{Sale: id, Who: who}))
	}
	for i := range 2 {
		id := loyalty.SaleID(fmt.Sprint("s", i))
		ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: id, Card: cardOf(1), Receipt: fuel(3), Manual: "порвана", Who: who}))
		ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: id, Receipt: fuel(3), Who: who}))
	}
	wantAlerts(t, l, "typed s1 2/1")
}

func TestARefusedOperationChangesNothingAndIsToldOnce(t *testing.T) {
	cfg := testConfig(t)
	l, h := hasty(t, cfg)
	ok := must[*loyalty.Sale](t)
	redeem := func(id string, points loyalty.Points) error {
		_, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Card: cardOf(1), Receipt: fuel(20), Redeem: points, Who: inShift(1, "")})
		return err
	}
	if err := redeem("a", 200_00); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		err := redeem(fmt.Sprint("b", i), 200_00)
		wantRefusal(t, err, loyalty.TooOften)
		if !strings.Contains(err.Error(), "redeem-a-day") {
			t.Errorf("error %v does not name the rule", err)
		}
	}
	_, err := l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "c", Card: cardOf(1), Receipt: fuel(20), Redeem: 101_00})
	wantRefusal(t, err, loyalty.TooOften)
	_, err = l.Sale("b0")
	wantRefusal(t, err, loyalty.UnknownSale)
	wantAlerts(t, l, "redeem-a-day b0 40000/30000 refused")
	// What was opened in time is closed, whatever has come since: it passes, with an alert.
	ok(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "d", Card: cardOf(1), Receipt: fuel(20), Redeem: 100_00}))
	h.pass(2 * time.Minute)
	wantRefusal(t, redeem("e", 100_00), loyalty.TooOften) // what is open counts
	h.pass(2 * time.Minute)
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{ // the register's log says that it has happened
		Sale: "e", Card: cardOf(1), Receipt: fuel(20), Redeem: 100_00, Resolved: true, Who: inShift(1, ""),
	}))
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "d", Receipt: fuel(20), Redeem: 100_00}))
	if err := redeem("a", 200_00); err != nil {
		t.Errorf("asked again: %v", err)
	}
	wantAlerts(t, l, "redeem-a-day b0 40000/30000 refused", "redeem-a-day e 40000/30000 refused", "redeem-a-day d 40000/30000")
	if s := must[*loyalty.Shift](t)(l.Shift(shiftNo(1))); s.Totals().Sales != 2 {
		t.Errorf("the shift counts %+v", s.Totals())
	}
	h.pass(24 * time.Hour)
	if err := redeem("next day", 200_00); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

// Nobody gets past a rule that refuses by opening sales before the first is closed.
func TestWhatIsOpenCountsWhereARuleRefuses(t *testing.T) {
	l, h := hasty(t, testConfig(t))
	ok := must[*loyalty.Sale](t)
	open := func(id string, card int, points loyalty.Points) (*loyalty.Sale, error) {
		return l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: loyalty.SaleID(id), Card: cardOf(card), Receipt: fuel(10), Redeem: points})
	}
	ok(open("a", 1, 250_00))
	ok(open("a", 1, 250_00)) // again: the same
	_, err := open("b", 1, 250_00)
	wantRefusal(t, err, loyalty.TooOften)
	ok(open("other account", 2, 250_00))
	ok(open("just enough", 1, 50_00))
	wantAlerts(t, l, "redeem-a-day b 50000/30000 refused")
	ok(l.VoidSale(t.Context(), &loyalty.VoidRequest{Sale: "just enough"}))
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "a", Receipt: fuel(10), Redeem: 100_00}))
	ok(open("c", 1, 200_00)) // what was reserved and not redeemed does not count any longer
	h.pass(24 * time.Hour)
	_, err = open("d", 1, 200_00) // the open sale is of yesterday, and will count when it is closed
	wantRefusal(t, err, loyalty.TooOften)
	ok(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "c", Receipt: fuel(10), Redeem: 200_00}))
	ok(open("e", 1, 100_00))
}

// However sales are opened, closed, voided and made in one step: together they redeem no more than a rule that refuses
// allows, and a sale that keeps to it is not refused.
func TestNoOrderOfSalesGetsPastARule(t *testing.T) {
	tb := t
	l, _ := hasty(t, testConfig(t))
	n, customer := 0, 10
	rapid.Check(t, func(t *rapid.T) {
		customer++ // whose day begins, with points and rights for more than the rule allows
		know(tb, l, customer, 900_00, 900_00)
		redeemed, open := loyalty.Points(0), map[loyalty.SaleID]loyalty.Points{}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			n++
			id, want := loyalty.SaleID(fmt.Sprint(n)), loyalty.Points(rapid.IntRange(1, 200).Draw(t, "points"))*100
			held := redeemed
			for _, p := range open {
				held += p
			}
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				_, err := l.OpenSale(context.Background(), &loyalty.OpenRequest{Sale: id, Card: cardOf(customer), Receipt: fuel(20), Redeem: want})
				if errors.Is(err, loyalty.TooOften) != (held+want > 300_00) || err != nil && held+want <= 300_00 {
					t.Fatalf("open %s with %s held: %v", want, held, err)
				}
				if err == nil {
					open[id] = want
				}
			case 1:
				_, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: id, Card: cardOf(customer), Receipt: fuel(20), Redeem: want})
				if errors.Is(err, loyalty.TooOften) != (held+want > 300_00) || err != nil && held+want <= 300_00 {
					t.Fatalf("sell %s with %s held: %v", want, held, err)
				}
				if err == nil {
					redeemed += want
				}
			default:
				if len(open) == 0 {
					continue
				}
				id := rapid.SampledFrom(slices.Sorted(maps.Keys(open))).Draw(t, "sale")
				want = min(want, open[id])
				if _, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: id, Receipt: fuel(20), Redeem: want}); err != nil {
					t.Fatal(err)
				}
				redeemed += want
				delete(open, id)
			}
			if redeemed > 300_00 {
				t.Fatalf("%s were redeemed", redeemed)
			}
		}
		for id := range open {
			if _, err := l.VoidSale(context.Background(), &loyalty.VoidRequest{Sale: id}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRefundsAreWatched(t *testing.T) {
	l, h := hasty(t, testConfig(t))
	ok := must[*loyalty.Sale](t)
	for _, id := range []string{"a", "b"} {
		ok(sellIn(t, l, id, 1, 3, loyalty.Who{}))
	}
	refund := func(sale, id string, card loyalty.CardNumber) error {
		_, err := l.RefundSale(t.Context(), &loyalty.RefundRequest{
			Sale: loyalty.SaleID(sale), Refund: loyalty.RefundID(id), Card: card, Lines: []loyalty.RefundLine{{Line: 1, Amount: 60_00}},
			Who: loyalty.Who{Cashier: "Анна"},
		}, nil)
		return err
	}
	if err := refund("a", "r1", cardOf(2)); err != nil { // another account's card
		t.Fatal(err)
	}
	if err := refund("a", "r1", cardOf(2)); err != nil {
		t.Fatal(err)
	}
	wantAlerts(t, l, "refund-card a 0/0")
	wantRefusal(t, refund("b", "r1", cardOf(1)), loyalty.TooOften)
	wantAlerts(t, l, "refund-card a 0/0", "refunds b 2/1 refused")
	h.pass(2 * time.Hour)
	if err := refund("b", "r1", cardOf(1)); err != nil { // the sale's own
		t.Fatal(err)
	}
	wantAlerts(t, l, "refund-card a 0/0", "refunds b 2/1 refused")
}

func TestOwnAlertsAreRare(t *testing.T) {
	cfg := testConfig(t)
	l, h := hasty(t, cfg)
	who := loyalty.Who{Cashier: "Анна", Counter: "1"}
	tell := func(card int) {
		t.Helper()
		if err := l.Alert(t.Context(), loyalty.Alerted{Rule: loyalty.AlertStaffCard, Card: cardOf(card)}, who); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		tell(1)
	}
	tell(2)
	if n := len(alertsOf(t, l)); n != 2 {
		t.Fatalf("%d alerts", n)
	}
	h.pass(11 * time.Minute)
	tell(1)
	if n := len(alertsOf(t, l)); n != 3 {
		t.Errorf("%d alerts", n)
	}
	for name, a := range map[string]loyalty.Alerted{
		"no rule": {}, "card": {Rule: "x", Card: "?"}, "sale": {Rule: "x", Sale: "\x00"}, "below": {Rule: "x", Count: -1},
	} {
		if err := l.Alert(t.Context(), a, who); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if strings.Contains(string(readAll(t, cfg.Path)), "!staff-card/") == false {
		t.Error("the alert is not remembered: it could come again after a restart")
	}
}

// Cards given out are counted as sales are: by cashier, with the alert in their own transaction, and refused by a rule.
func TestCardsGivenOutAreWatched(t *testing.T) {
	l, h := hasty(t, testConfig(t))
	err := l.LoadProgramme(t.Context(), []byte(strings.Replace(hastyProgramme, "version: 3", "version: 4", 1)+`
  - {name: cards-a-day, per: [cashier], count: cards, at_most: 2, within: day, then: alert}
  - {name: cards-at-a-counter, per: [counter], count: cards, at_most: 4, within: day, then: refuse}
`))
	if err != nil {
		t.Fatal(err)
	}
	give := func(n int, cashier string) error {
		_, err := l.IssueCard(t.Context(), &loyalty.IssueRequest{Card: newCard(n), Who: loyalty.Who{Cashier: cashier, Counter: "1"}})
		return err
	}
	for i := range 3 {
		for range 2 { // again: counts nothing
			if err := give(i, "Анна"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := give(3, "Вера"); err != nil {
		t.Fatal(err)
	}
	wantAlerts(t, l, "cards-a-day  3/2")
	all := entries(t, l)
	for i, e := range all {
		if a, ok := e.Body.(loyalty.Alerted); ok {
			if c, ok := all[i-1].Body.(loyalty.CardIssued); !ok || c.Card != a.Card || e.Cashier != "Анна" {
				t.Errorf("alert %+v behind %+v", e, all[i-1])
			}
		}
	}
	wantRefusal(t, give(4, "Вера"), loyalty.TooOften)
	if i, err := l.Issued(newCard(4)); err != nil || i != nil {
		t.Errorf("a card that was refused is given out: %+v, %v", i, err)
	}
	wantAlerts(t, l, "cards-a-day  3/2", "cards-at-a-counter  5/4 refused")
	h.pass(24 * time.Hour)
	if err := give(4, "Вера"); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

// What no rule counts any longer is forgotten, and only that.
func TestIdleCountersAreTrimmed(t *testing.T) {
	l, h := hasty(t, testConfig(t))
	count := func() (n int) {
		t.Helper()
		if err := l.view(func(x *txn) error { n = x.bucket(bucketWatch).Stats().KeyN; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 3 {
		must[*loyalty.Sale](t)(sellIn(t, l, fmt.Sprint(i), 1, 1, loyalty.Who{Counter: fmt.Sprint(i)}))
	}
	if n := count(); n != 3 {
		t.Fatalf("%d counters", n)
	}
	h.pass(20 * time.Minute)
	must[*loyalty.Sale](t)(sellIn(t, l, "again", 1, 1, loyalty.Who{Counter: "1"}))
	h.pass(15 * time.Minute)
	if _, err := l.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d counters after trimming", n)
	}
}

// An operation that no rule counts writes no counter.
func TestNothingIsWrittenWhereNothingIsCounted(t *testing.T) {
	l := openTest(t, testConfig(t))
	know(t, l, 1, 900_00, 0)
	sellTest(t, l, "a", 1, 3)
	err := l.view(func(x *txn) error {
		if w, s := x.bucket(bucketWatch).Stats().KeyN, x.bucket(bucketShift).Stats().KeyN; w != 0 || s != 0 {
			t.Errorf("%d counters, %d shifts", w, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
