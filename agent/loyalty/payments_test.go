package loyalty_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func paid(r loyalty.Receipt, payments ...loyalty.Payment) loyalty.Receipt {
	r.Payments = payments
	r.Tender = slices.MaxFunc(payments, func(a, b loyalty.Payment) int { return int(a.Amount - b.Amount) }).Tender
	return r
}

func TestPaymentsOutOfBounds(t *testing.T) {
	type pay = loyalty.Payment
	for name, tt := range map[string]struct {
		tender   loyalty.Tender
		payments []pay
	}{
		"a tender twice":              {loyalty.Cash, []pay{{loyalty.Cash, 1}, {loyalty.Cash, 1}}},
		"out of order":                {loyalty.Cash, []pay{{loyalty.Cashless, 1}, {loyalty.Cash, 1}}},
		"no tender":                   {loyalty.Cash, []pay{{0, 1}}},
		"unknown tender":              {loyalty.Cash, []pay{{loyalty.FuelCard + 1, 1}}},
		"nothing":                     {loyalty.Cash, []pay{{loyalty.Cash, 0}}},
		"below zero":                  {loyalty.Cash, []pay{{loyalty.Cash, -1}}},
		"too much":                    {loyalty.Cash, []pay{{loyalty.Cash, loyalty.MaxAmount + 1}}},
		"the receipt's is not there":  {loyalty.FuelCard, []pay{{loyalty.Cash, 1}, {loyalty.Cashless, 1}}},
		"another one pays more":       {loyalty.Cash, []pay{{loyalty.Cash, 1}, {loyalty.Cashless, 2}}},
		"more tenders than there are": {loyalty.Cash, []pay{{loyalty.Cash, 1}, {loyalty.Cashless, 1}, {loyalty.FuelCard, 1}, {loyalty.FuelCard + 1, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := receipt(goods("", 2))
			r.Tender, r.Payments = tt.tender, tt.payments
			refused(t, r.Check(), loyalty.BadRequest)
		})
	}
}

func TestPaymentsComeToWhatIsLeftToPay(t *testing.T) {
	p := programme(t, simple)
	r := paid(receipt(goods("coffee", 100_00)), loyalty.Payment{Tender: loyalty.Cash, Amount: 30_00}, loyalty.Payment{Tender: loyalty.Cashless, Amount: 40_00})
	price := func(redeem loyalty.Points) error {
		_, err := p.Price(loyalty.Case{Receipt: &r, Redeem: redeem, Available: 500_00, At: noon(3, 1)})
		return err
	}
	if err := price(30_00); err != nil {
		t.Error(err)
	}
	for redeem, want := range map[loyalty.Points]string{0: "100.00", 29_00: "71.00", 31_00: "69.00", 100_00: "0.00"} {
		err := price(redeem)
		refused(t, err, loyalty.BadRequest)
		if !strings.Contains(err.Error(), "70.00") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name 70.00 and %s", err, want)
		}
	}
}

func TestPaymentsInProportion(t *testing.T) {
	const rules = `
points: {step: 0.01}
never_earn_by: [fuel_card]
never_redeem_by: [fuel_card]
tiers: {count: litres, fuel: ["*"], window: rolling, days: 90, levels: [{name: green, from: 0}, {name: gold, from: 1000}]}
earn:
  - {name: fuel, fuel: ["*"], points: 1}
  - {name: card, fuel: ["*"], tender: [cashless], points: 0.5}
`
	const campaigns = rules + `
campaigns:
  - {name: fixed, from: 2026-01-01T00:00:00+03:00, tender: [cashless], points: 100}
  - {name: double, from: 2026-01-01T00:00:00+03:00, tender: [cash], multiply: 2}
  - {name: roubles, from: 2026-01-01T00:00:00+03:00, points: 1, per_roubles: 100}
`
	type pay = loyalty.Payment
	for name, tt := range map[string]struct {
		programme string
		payments  []pay
		redeem    loyalty.Points
		earn      loyalty.Points
		litres    int64 // that count towards the levels
		refusal   loyalty.Refusal
		reasons   []loyalty.Refusal
	}{
		"one tender pays all":         {rules, []pay{{loyalty.Cashless, 1000_00}}, 0, 15_00, 10_000, "", nil},
		"half of it cashless":         {rules, []pay{{loyalty.Cash, 500_00}, {loyalty.Cashless, 500_00}}, 0, 12_50, 10_000, "", nil},
		"a third, rounded down":       {rules, []pay{{loyalty.Cash, 666_67}, {loyalty.Cashless, 333_33}}, 0, 11_66, 10_000, "", nil}, // 3,333 ml
		"what a fuel card pays":       {rules, []pay{{loyalty.Cashless, 600_00}, {loyalty.FuelCard, 400_00}}, 0, 9_00, 6_000, "", []loyalty.Refusal{loyalty.TenderEarnsNot}},
		"all by fuel card":            {rules, []pay{{loyalty.FuelCard, 1000_00}}, 0, 0, 0, "", []loyalty.Refusal{loyalty.TenderEarnsNot}},
		"points beside a fuel card":   {rules, []pay{{loyalty.Cashless, 500_00}, {loyalty.FuelCard, 400_00}}, 100_00, 0, 0, loyalty.TenderRedeemsNot, nil},
		"points, and half of the two": {rules, []pay{{loyalty.Cash, 250_00}, {loyalty.Cashless, 250_00}}, 500_00, 6_25, 10_000, "", nil},
		// 12.50 by the rules, 50 of 100 fixed, 5 doubled (the litres paid in cash), 10 for the roubles.
		"campaigns likewise": {campaigns, []pay{{loyalty.Cash, 500_00}, {loyalty.Cashless, 500_00}}, 0, 77_50, 10_000, "", nil},
		// 9 by the rules, 60 fixed, 6 for the roubles that earn.
		"campaigns beside a fuel card": {campaigns, []pay{{loyalty.Cashless, 600_00}, {loyalty.FuelCard, 400_00}}, 0, 75_00, 6_000, "", []loyalty.Refusal{loyalty.TenderEarnsNot}},
	} {
		t.Run(name, func(t *testing.T) {
			p := programme(t, tt.programme)
			r := paid(receipt(fuel("ДТ", 10_000, 1000_00)), tt.payments...)
			if err := r.Check(); err != nil {
				t.Fatal(err)
			}
			q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: tt.redeem, Available: 500_00, At: noon(3, 1), Explain: true})
			if tt.refusal != "" {
				refused(t, err, tt.refusal)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var litres int64
			for _, c := range q.Counted {
				if c.Counter == "tier" {
					litres = c.Amount
				}
			}
			reasons := slices.DeleteFunc(slices.Clone(q.Reasons), func(r loyalty.Refusal) bool { return r == loyalty.NotEnough || r == loyalty.TenderRedeemsNot })
			if q.Earn != tt.earn || lineEarned(&q) != tt.earn || litres != tt.litres || !slices.Equal(reasons, tt.reasons) {
				t.Errorf("earns %s, lines %s, counts %d, %v; want %s, %d, %v\n%s", q.Earn, lineEarned(&q), litres, reasons, tt.earn, tt.litres, tt.reasons, told(&q))
			}
		})
	}
}

// told is how a price came about, in words.
func told(q *loyalty.Quote) string {
	var b strings.Builder
	for i := range q.Why {
		w := q.Why[i].Words()
		fmt.Fprintf(&b, "%s\n%s\n", w.EN, w.RU)
	}
	return b.String()
}

func TestPaymentsAreExplained(t *testing.T) {
	p := programme(t, "never_earn_by: [fuel_card]\nearn: [{name: card, fuel: ['*'], tender: [cashless], points: 1}]")
	r := paid(receipt(fuel("ДТ", 10_000, 1000_00)),
		loyalty.Payment{Tender: loyalty.Cash, Amount: 100_00}, loyalty.Payment{Tender: loyalty.Cashless, Amount: 600_00}, loyalty.Payment{Tender: loyalty.FuelCard, Amount: 300_00})
	q, err := p.Price(loyalty.Case{Receipt: &r, At: noon(3, 1), Explain: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cash: 100.00 RUB of 1000.00 RUB are paid\n", "банковская карта: оплачено 600,00 руб. из 1000,00 руб.\n",
		"топливная карта: баллы не начисляются\n", "card: 6 l of 10 l are paid in a way that earns by it\n",
		"card: способами оплаты, за которые начисляется, оплачено 6 л из 10 л\n", "card: 6 l paid with money, 1 for each 1 l = 6 points [line 1]\n",
	} {
		if !strings.Contains(told(&q), want) {
			t.Errorf("does not say %q:\n%s", want, told(&q))
		}
	}
}

// drawPayments splits an amount between tenders.
func drawPayments(t *rapid.T, r *loyalty.Receipt, pay loyalty.Kopecks) {
	r.Payments = nil
	left := pay
	for tender := loyalty.Cash; tender <= loyalty.FuelCard; tender++ {
		x := loyalty.Kopecks(rapid.Int64Range(0, int64(left)).Draw(t, tender.String()))
		if tender == loyalty.FuelCard {
			x = left
		}
		if left -= x; x > 0 {
			r.Payments = append(r.Payments, loyalty.Payment{Tender: tender, Amount: x})
		}
	}
	if len(r.Payments) > 0 {
		*r = paid(*r, r.Payments...)
	}
}

// Whoever pays what: sums are exact, nothing is below zero; what one tender alone pays is what naming only the tender gives;
// and no way of splitting gives more than the most favourable tender for all of it, or less than the least favourable.
func TestPaymentsLieBetweenTheirTenders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawRich(t, false)
		p.NoEarnBy = rapid.SampledFrom([][]loyalty.Tender{nil, {loyalty.FuelCard}, {loyalty.Cash, loyalty.FuelCard}}).Draw(t, "never earn by")
		for i := range p.Campaigns {
			p.Campaigns[i].Tenders = rapid.SampledFrom([][]loyalty.Tender{nil, {loyalty.Cash}, {loyalty.Cashless, loyalty.FuelCard}}).Draw(t, "campaign tender")
		}
		r := drawReceipt(t, 100_000)
		available := loyalty.Points(rapid.Int64Range(0, 200_000).Draw(t, "available"))
		price := func(r *loyalty.Receipt, redeem loyalty.Points) loyalty.Quote {
			q, err := p.Price(loyalty.Case{Receipt: r, Redeem: redeem, Available: available, At: noon(3, 1)})
			if err != nil {
				t.Fatal(err)
			}
			if err := checkQuote(p, r, &q, redeem, available); err != nil {
				t.Fatal(err)
			}
			return q
		}
		one := price(&r, 0)
		redeem := loyalty.Points(rapid.Int64Range(0, int64(one.MaxRedeem)).Draw(t, "redeem"))
		split := r
		drawPayments(t, &split, price(&r, redeem).Pay)
		if err := split.Check(); err != nil {
			t.Fatal(err)
		}
		got := price(&split, redeem)
		for i, l := range got.Counted {
			if l.Amount <= 0 {
				t.Fatalf("counter %d: %+v", i, l)
			}
		}
		if len(split.Payments) == 1 {
			r.Tender = split.Payments[0].Tender
			if want := price(&r, redeem); want.Earn != got.Earn || !slices.Equal(want.LineEarn, got.LineEarn) || !slices.Equal(want.Counted, got.Counted) {
				t.Fatalf("one payment earns %s, its tender alone %s", got.Earn, want.Earn)
			}
		}
		all := r
		all.Tender = loyalty.Cashless // what never earns and what is for some tenders only, left out
		free := *p
		free.NoEarnBy, free.Earn, free.Campaigns = nil, slices.Clone(p.Earn), slices.Clone(p.Campaigns)
		for i := range free.Earn {
			free.Earn[i].Tenders = nil
		}
		for i := range free.Campaigns {
			free.Campaigns[i].Tenders = nil
		}
		most, err := free.Price(loyalty.Case{Receipt: &all, Redeem: redeem, Available: available, At: noon(3, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if got.Earn > most.Earn {
			t.Fatalf("split in %v earns %s, all of it by any tender %s", split.Payments, got.Earn, most.Earn)
		}
	})
}

// Paying more of the same receipt by the tender that earns never earns less.
func TestMoreByTheTenderThatEarnsNeverEarnsLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawRich(t, false)
		for i := range p.Earn {
			p.Earn[i].Tenders = []loyalty.Tender{loyalty.Cashless}
		}
		for i := range p.Campaigns {
			p.Campaigns[i].Tenders = []loyalty.Tender{loyalty.Cashless}
		}
		r := drawReceipt(t, 100_000)
		total := int64(r.Total())
		earn := func(cashless int64) loyalty.Points {
			x := receipt(r.Lines...)
			var payments []loyalty.Payment
			if cash := total - cashless; cash > 0 {
				payments = append(payments, loyalty.Payment{Tender: loyalty.Cash, Amount: loyalty.Kopecks(cash)})
			}
			if cashless > 0 {
				payments = append(payments, loyalty.Payment{Tender: loyalty.Cashless, Amount: loyalty.Kopecks(cashless)})
			}
			if len(payments) > 0 {
				x = paid(x, payments...)
			}
			return mustEarn(t, p, x)
		}
		less := rapid.Int64Range(0, total).Draw(t, "less")
		more := rapid.Int64Range(less, total).Draw(t, "more")
		if a, b := earn(less), earn(more); a > b {
			t.Fatalf("%d kopecks of %d earn %s, %d earn %s", less, total, a, more, b)
		}
	})
}

// Ten equal receipts, each paid in the proportion of the large one, never earn more than it.
func TestSplittingPaidReceiptsNeverEarnsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawRich(t, true)
		p.Tiers = nil
		for i := range p.Earn {
			p.Earn[i].ByTier = nil
		}
		p.NoEarnBy = rapid.SampledFrom([][]loyalty.Tender{nil, {loyalty.FuelCard}}).Draw(t, "never earn by")
		part := drawReceipt(t, 10_000)
		drawPayments(t, &part, part.Total())
		n := rapid.IntRange(2, 10).Draw(t, "sales")
		whole := receipt(slices.Clone(part.Lines)...)
		whole.Tender, whole.Payments = part.Tender, slices.Clone(part.Payments)
		for i := range whole.Lines {
			whole.Lines[i].Amount *= loyalty.Kopecks(n)
			whole.Lines[i].Volume *= loyalty.Millilitres(n)
		}
		for i := range whole.Payments {
			whole.Payments[i].Amount *= loyalty.Kopecks(n)
		}
		one, many := newCustomer(p), newCustomer(p)
		q, err := one.sell(&whole, 0)
		if err != nil {
			t.Fatal(err)
		}
		var sum loyalty.Points
		for range n {
			x, err := many.sell(&part, 0)
			if err != nil {
				t.Fatal(err)
			}
			sum += x.Earn
		}
		if sum > q.Earn {
			t.Fatalf("%d receipts earn %s, one %s", n, sum, q.Earn)
		}
	})
}
