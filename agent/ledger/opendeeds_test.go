package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// refusing loads a programme with one rule, which refuses.
func refusing(t *testing.T, rule string) (*Ledger, *hands) {
	t.Helper()
	l, h := hasty(t, testConfig(t))
	programme := strings.Replace(testProgramme, "version: 3", "version: 4", 1) + "velocity:\n  - {name: rule, " + rule + ", then: refuse}\n"
	if err := l.LoadProgramme(t.Context(), []byte(programme)); err != nil {
		t.Fatal(err)
	}
	return l, h
}

// What a crash has left open is in the way for the rule's stretch or a day, and not for ever; the refusal names it.
func TestWhatIsOpenLongIsNotInTheWay(t *testing.T) {
	const counts = 24 * time.Hour
	for name, test := range map[string]struct {
		rule  string
		until time.Duration // it counts
	}{
		"a short stretch":  {"per: [card], count: sales, at_most: 2, within: 30m", counts},
		"a long stretch":   {"per: [card], count: sales, at_most: 2, within: 3d", 3 * counts},
		"a day":            {"per: [account], count: redeemed, at_most: 2, within: day", counts},
		"a shift":          {"per: [cashier], count: manual, at_most: 2, within: shift", loyalty.MaxWithin},
		"a counter's hour": {"per: [counter], count: sales, at_most: 2, within: 1h", counts},
	} {
		t.Run(name, func(t *testing.T) {
			l, h := refusing(t, test.rule)
			for i := range 2 {
				r := &loyalty.OpenRequest{
					Sale: loyalty.SaleID(fmt.Sprint("left open ", i)), Card: cardOf(1), Receipt: fuel(10), Redeem: 1_00, Manual: "порвана", Who: inShift(1, "Анна"),
				}
				must[*loyalty.Sale](t)(l.OpenSale(t.Context(), r))
				h.pass(time.Minute)
			}
			next := func(id string) error {
				r := &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Card: cardOf(1), Receipt: fuel(10), Redeem: 1_00, Manual: "порвана", Who: inShift(1, "Анна")}
				_, err := l.CloseSale(t.Context(), r)
				return err
			}
			for _, pass := range []time.Duration{0, test.until - 3*time.Minute} {
				h.pass(pass)
				err := next("refused")
				wantRefusal(t, err, loyalty.TooOften)
				if want := fmt.Sprintf("sale %q stands open since %s: resolve it", "left open 0", must[*loyalty.Sale](t)(l.Sale("left open 0")).OpenedAt); !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %s", err, want)
				}
			}
			h.pass(90 * time.Second) // the first is too old, the second is not
			if err := next("one more"); err != nil {
				t.Error(err)
			}
			err := next("refused")
			wantRefusal(t, err, loyalty.TooOften)
			if !strings.Contains(err.Error(), `sale "left open 1" stands open since`) {
				t.Errorf("error %v", err)
			}
			h.pass(time.Minute)
			if err := next("another"); err != nil {
				t.Error(err)
			}
			must[*loyalty.Sale](t)(l.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "left open 0", Receipt: fuel(10), Redeem: 1_00}))
			wantRefusal(t, next("refused"), loyalty.TooOften) // it counts when it is closed
		})
	}
}

// A refusal that no open sale has a part in names none, and an open sale of another shift has none.
func TestARefusalNamesNoSaleOfAnotherShift(t *testing.T) {
	l, _ := refusing(t, "per: [cashier], count: sales, at_most: 1, within: shift")
	must[*loyalty.Sale](t)(l.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "open", Card: cardOf(1), Receipt: fuel(3), Who: inShift(1, "Анна")}))
	must[*loyalty.Sale](t)(sellIn(t, l, "a", 1, 3, inShift(2, "Анна")))
	_, err := sellIn(t, l, "b", 1, 3, inShift(2, "Анна"))
	wantRefusal(t, err, loyalty.TooOften)
	if strings.Contains(err.Error(), "stands open") {
		t.Errorf("error %v", err)
	}
}

// Open sales are read where a rule that refuses counts what the operation adds, and no older ones than it counts.
func TestOpenSalesAreReadOnlyWhereARuleCountsThem(t *testing.T) {
	const none = -1
	sale := &loyalty.CloseRequest{Sale: "x", Card: cardOf(1), Receipt: fuel(10)}
	redeeming := &loyalty.CloseRequest{Sale: "x", Card: cardOf(1), Receipt: fuel(10), Redeem: 1_00}
	settled := &loyalty.CloseRequest{Sale: "x", Card: cardOf(1), Receipt: fuel(10), Redeem: 1_00, Resolved: true}
	ended := &loyalty.CloseRequest{Sale: "open 4", Receipt: fuel(10)}
	redeemed := "per: [account], count: redeemed, at_most: 100, within: day"
	for name, test := range map[string]struct {
		rule string
		do   *loyalty.CloseRequest
		read int
	}{
		"a sale that redeems nothing":  {redeemed, sale, none},
		"one that redeems":             {redeemed, redeeming, 2},
		"one that has happened":        {redeemed, settled, none},
		"the end of an open one":       {redeemed, ended, none},
		"three days":                   {"per: [card], count: sales, at_most: 9, within: 3d", sale, 4},
		"whose cashier is not known":   {"per: [cashier], count: sales, at_most: 9, within: 3d", sale, none},
		"a rule that counts refunds":   {"per: [card], count: refunds, at_most: 9, within: 3d", sale, none},
		"a rule that counts new cards": {"per: [counter], count: cards, at_most: 9, within: 3d", sale, none},
	} {
		t.Run(name, func(t *testing.T) {
			l, h := refusing(t, test.rule)
			for i := range 5 { // one a day, the last an hour ago
				h.pass(23 * time.Hour)
				r := &loyalty.OpenRequest{Sale: loyalty.SaleID(fmt.Sprint("open ", i)), Card: cardOf(1), Receipt: fuel(3), Redeem: 1_00}
				must[*loyalty.Sale](t)(l.OpenSale(t.Context(), r))
			}
			h.pass(time.Hour)
			err := l.write(t.Context(), func(x *txn) error {
				_, err := x.sell(test.do.Sale, test.do.Card, test.do.Redeem > 0, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) {
					return b.Close(test.do, at)
				})
				read := none
				if x.open != nil {
					read = len(x.open.deeds)
				}
				if read != test.read {
					t.Errorf("%d open sales were read, want %d", read, test.read)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Operations of one transaction see which sales the ones before have opened and ended.
func TestOpenSalesOfOneTransaction(t *testing.T) {
	l, _ := refusing(t, "per: [account], count: redeemed, at_most: 300, within: day")
	err := l.write(t.Context(), func(x *txn) error {
		open := func(id loyalty.SaleID, points loyalty.Points) error {
			_, err := x.sell(id, cardOf(1), true, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) {
				return b.Open(&loyalty.OpenRequest{Sale: id, Card: cardOf(1), Receipt: fuel(20), Redeem: points}, at)
			})
			return err
		}
		if err := open("a", 200_00); err != nil {
			return err
		}
		refusal := open("b", 200_00)
		wantRefusal(t, refusal, loyalty.TooOften)
		if err := open("c", 100_00); err != nil {
			return err
		}
		_, err := x.sell("a", "", false, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) {
			return b.Cancel(&loyalty.VoidRequest{Sale: "a"}, at)
		})
		if err != nil {
			return err
		}
		if !strings.Contains(refusal.Error(), `sale "a" stands open`) {
			t.Errorf("the refusal says %v", refusal)
		}
		return open("b", 200_00)
	})
	if err != nil {
		t.Fatal(err)
	}
}
