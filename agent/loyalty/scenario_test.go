package loyalty_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
)

const coffeeBreak = `scenario: A coffee
terms: a point for every 20 roubles
card: {number: "7005990012349015", kind: additional, may_redeem: false}
station: 12
account:
  joined: 2026-01-01T00:00:00+03:00
  redeem_on: true
  lots: [{points: 5, active: 2026-01-01T00:00:00+03:00, expires: 2026-06-01T00:00:00+03:00}]
  tallies: [{counter: tier, amount: 1000, from: 2026-01-01T00:00:00+03:00, until: 2026-06-01T00:00:00+03:00}]
sales:
  - at: 2026-03-14T12:00:00+03:00
    tender: cashless
    lines: [{goods: coffee, code: "4607001771562", count: 2, roubles: 100}, {fuel: АИ-95, group: petrol, litres: 1.5, roubles: 90}]
    promo: [SUMMER]
    expect: {earn: 6.50, most: 0, discount: 0, pay: 190, total: 11.50, available: 11.50, lines: [0, 0], line_earn: [5, 1.5], reasons: [redeem_off, promo_unknown], lots: [{points: 6.5}]}
`

func scenario(t testing.TB, src string) *loyalty.Scenario {
	t.Helper()
	s, err := loyalty.ParseScenario([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScenario(t *testing.T) {
	s := scenario(t, coffeeBreak)
	outcomes, err := s.Run(programme(t, simple))
	if err != nil || len(outcomes) != 1 || len(outcomes[0].Wrong) != 0 {
		t.Fatalf("%+v, %v", outcomes, err)
	}
	if len(outcomes[0].Quote.Why) == 0 {
		t.Error("nothing is explained")
	}
	// Each expectation can fail: changed, it is the one that is reported.
	for old, changed := range map[string]string{
		"earn: 6.50,": "earn: 6.51,", "most: 0": "most: 1", "discount: 0": "discount: 1", "pay: 190": "pay: 191", "total: 11.50": "total: 12",
		"available: 11.50": "available: 0", "lines: [0, 0]": "lines: [0, 1]", "line_earn: [5, 1.5]": "line_earn: [6, 0.5]",
		"reasons: [redeem_off, promo_unknown]": "reasons: []", "lots: [{points: 6.5}]": "lots: []", "expect: {": "expect: {level: Gold, ", "sales:": "sales:",
	} {
		outcomes, err := scenario(t, strings.Replace(coffeeBreak, old, changed, 1)).Run(programme(t, simple))
		if err != nil {
			t.Fatal(err)
		}
		if wrong := outcomes[0].Wrong; old == changed && len(wrong) != 0 || old != changed && len(wrong) != 1 {
			t.Errorf("with %s: %q", changed, wrong)
		}
	}
	outcomes, err = scenario(t, strings.Replace(coffeeBreak, "expect: {", "expect: {refusal: card_blocked, ", 1)).Run(programme(t, simple))
	if err != nil || len(outcomes[0].Wrong) != 1 {
		t.Errorf("a refusal that did not come: %q, %v", outcomes[0].Wrong, err)
	}
}

func TestCompare(t *testing.T) {
	s := scenario(t, coffeeBreak)
	before := programme(t, simple)
	if same, err := s.Compare(before, before); err != nil || len(same) != 0 {
		t.Errorf("%v, %v", same, err)
	}
	changes, err := s.Compare(before, programme(t, strings.Replace(simple, "per_roubles: 20", "per_roubles: 10", 1)))
	if err != nil || len(changes) == 0 || changes[0] != (loyalty.Difference{Sale: 1, What: "earn", Before: "6.5", After: "11.5"}) {
		t.Errorf("%v, %v", changes, err)
	}
}

func TestWrongScenarios(t *testing.T) {
	for src, want := range map[string]string{
		"":                            "1:1: the file is empty; begin with scenario: and what it shows",
		"scenario: x\n":               "1:1: sales: the key is missing",
		"scenario: x\nsales: [1]\n":   "2:9: sales[0]: a sale is a mapping of keys to values; write it like at: 2026-03-14T12:00:00+03:00",
		"scenario: x\nsales: {}\n":    "2:1: sales: want a list of sales; begin each sale with a hyphen",
		"scenario: x\nsale: []\n":     "2:1: sale: there is no such key; did you mean sales?",
		"scenario: x\nsales:\n- {}\n": "3:3: sales[0].at: the key is missing",
		"scenario: x\nsales:\n- {at: 2026-03-14T12:00:00+03:00, lines: [{roubles: 1}]}\n":                                                            "either fuel or goods",
		"scenario: x\nsales:\n- {at: 2026-03-14T12:00:00+03:00, lines: [{goods: a, roubles: 1}], expect: {reasons: [a]}}\n":                          `there is no reason "a"`,
		"scenario: x\nsales:\n- {at: 2026-03-14T12:00:00+03:00, lines: []}\n":                                                                        "a receipt of 0 lines",
		"scenario: x\nsales:\n- {at: 2026-03-14T12:00:00+03:00, payments: {}, lines: [{goods: a, roubles: 1}]}\n":                                    "3:35: sales[0].payments: payments without any; write them like {cash: 500, cashless: 700.50}",
		"scenario: x\nsales:\n- {at: 2026-03-14T12:00:00+03:00, tender: cash, payments: {cash: 1, cashless: 2}, lines: [{goods: a, roubles: 3}]}\n":  "cashless pays most; leave tender out, or name the one that pays most",
		"scenario: x\nsales:\n- {at: 2026-03-14T12:00:00+03:00, payments: {cheque: 1}, lines: [{goods: a, roubles: 1}]}\n":                           "sales[0].payments.cheque: there is no such key; one of cash, cashless, fuel_card",
		"scenario: x\ncard: {number: '1'}\nsales: []\n":                                                                                              "not a card number",
		"scenario: x\naccount: {tallies: [{counter: a, amount: 1, from: 2026-03-14T12:00:00+03:00, until: 2026-03-14T12:00:00+03:00}]}\nsales: []\n": "not a tally",
	} {
		s, err := loyalty.ParseScenario([]byte(src))
		var problems loyalty.ProgrammeProblems
		if s != nil || !errors.Is(err, loyalty.ErrScenario) || !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", src, err, want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "scenario: ") {
			t.Errorf("%q: the error begins %q", src, err)
		}
	}
}

// FuzzScenario reads anything as a case and sells it under every shipped programme: problems with places, refusals, or
// quotes that add up, and an account that keeps its own rules.
func FuzzScenario(f *testing.F) {
	files, err := filepath.Glob("../../packaging/programmes/scenarios/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(coffeeBreak))
	f.Add([]byte(strings.NewReplacer("roubles: 100", "roubles: 100000000", "litres: 1.5", "litres: 10000000").Replace(coffeeBreak)))
	var all []*loyalty.Programme
	for _, name := range programmes.Names() {
		src, err := programmes.File(name)
		if err != nil {
			f.Fatal(err)
		}
		p, err := loyalty.ParseProgramme(src)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, p)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := loyalty.ParseScenario(src)
		if err != nil {
			var problems loyalty.ProgrammeProblems
			if s != nil || !errors.Is(err, loyalty.ErrScenario) || !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("got %v, %v", s, err)
			}
			return
		}
		for _, p := range all {
			outcomes, err := s.Run(p)
			if err != nil {
				t.Fatal(err)
			}
			a := s.Account.Clone()
			for i := range outcomes {
				o, sale := &outcomes[i], &s.Sales[i]
				if o.Refusal != "" {
					continue
				}
				if booked(&o.Quote) != o.Quote.Earn || lineEarned(&o.Quote) != o.Quote.Earn {
					t.Fatalf("%s: earns %s in lots of %s and lines of %s", p.Name, o.Quote.Earn, booked(&o.Quote), lineEarned(&o.Quote))
				}
				var lines loyalty.Kopecks
				for j, d := range o.Quote.Lines {
					if d < 0 || d > sale.Receipt.Lines[j].Amount {
						t.Fatalf("%s: line %d of %s is reduced by %s", p.Name, j, sale.Receipt.Lines[j].Amount, d)
					}
					lines += d
				}
				if lines != o.Quote.Discount || o.Quote.Pay != sale.Receipt.Total()-lines || o.Quote.Pay < 0 {
					t.Fatalf("%s: %+v", p.Name, o.Quote)
				}
				for j := range o.Quote.Why {
					if w := o.Quote.Why[j].Words(); w.RU == "" || w.EN == "" || strings.Contains(w.RU+w.EN, "%!") {
						t.Fatalf("%+v is told as %q", o.Quote.Why[j], w)
					}
				}
				if posting, ok := loyalty.PostingOf(1, 1, &loyalty.Entry{Body: o.Body}); ok && s.Known {
					if err := a.Post(posting); err != nil && !errors.Is(err, loyalty.ErrAmount) {
						t.Fatal(err)
					}
				}
				if err := a.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// FuzzPromoCode types anything as a code: it is taken or refused with a reason, and taken once.
func FuzzPromoCode(f *testing.F) {
	for _, s := range []string{"WELCOME", "привет", "ML-123455", "ml 123454", "\u00a0", "ſ", "ΐ", strings.Repeat("9", 64)} {
		f.Add(s)
	}
	src, err := programmes.File("monthly-tiers")
	if err != nil {
		f.Fatal(err)
	}
	p, err := loyalty.ParseProgramme(src)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, code string) {
		c := newCustomer(p)
		r := receipt(goods("tools", 1000_00))
		r.Promo = []string{code, code}
		if r.Check() != nil {
			return
		}
		q, err := c.sell(&r, 0)
		if err != nil || len(q.Claims) > 1 {
			t.Fatalf("%+v, %v", q.Claims, err)
		}
		if again := loyalty.NormalCode(loyalty.NormalCode(code)); again != loyalty.NormalCode(again) {
			t.Fatalf("%q is written %q", code, again)
		}
		claims := len(q.Claims)
		if claims == 0 && len(q.Reasons) == 0 {
			t.Fatal("neither taken nor refused")
		}
		if q, err = c.sell(&r, 0); err != nil || len(q.Claims) != 0 {
			t.Fatalf("again: %+v, %v", q.Claims, err)
		}
	})
}
