package loyalty_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// drawRich draws a programme with everything that can bound or add to what is earned. whole keeps out what asks about one
// receipt (fixed points, minima, caps of a receipt), where splitting a receipt is the customer's own affair.
func drawRich(t *rapid.T, whole bool) *loyalty.Programme {
	p := drawProgramme(t)
	p.RedeemStep, p.PointValue = 1, 100
	covers := func(t *rapid.T) []loyalty.Cover {
		return rapid.SampledFrom([][]loyalty.Cover{
			nil, {{Kind: loyalty.Goods}}, {{Kind: loyalty.Fuel, Codes: []string{"АИ-95"}}}, {{Kind: loyalty.Fuel}, {Kind: loyalty.Goods, Codes: []string{"coffee"}}},
		}).Draw(t, "covers")
	}
	cap := func(t *rapid.T, most int64, name string) int64 {
		if rapid.Bool().Draw(t, "has "+name) {
			return rapid.Int64Range(1, most).Draw(t, name)
		}
		return 0
	}
	if rapid.Bool().Draw(t, "tiers") {
		p.Tiers = []loyalty.Tier{{Name: "a"}, {Name: "b", From: 50_000}}
		p.TierBy = loyalty.TierBy{Unit: loyalty.Fuel, Window: loyalty.Window(rapid.IntRange(0, 3).Draw(t, "window")), Days: 90}
	}
	for i := range p.Earn {
		r := &p.Earn[i]
		r.Name = fmt.Sprint("r", i)
		r.AtMost = loyalty.Caps{Day: cap(t, 200_000, "day"), Week: cap(t, 200_000, "week"), Month: cap(t, 200_000, "month")}
		if !whole {
			r.AtMost.Receipt = cap(t, 100_000, "receipt")
		}
		if len(p.Tiers) > 0 {
			r.ByTier = []loyalty.Points{r.Points, r.Points * 2}
		}
		r.Tenders = rapid.SampledFrom([][]loyalty.Tender{nil, {loyalty.Cash}, {loyalty.Cashless}}).Draw(t, "tender")
	}
	p.Campaigns = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) loyalty.Campaign {
		m := loyalty.Campaign{From: 1, Until: noon(12, 31), Activation: -1, Covers: covers(t)}
		m.PerAccount, m.PerCard = loyalty.Points(cap(t, 5000, "account")), loyalty.Points(cap(t, 5000, "card"))
		if !whole {
			m.MinVolume = loyalty.Millilitres(cap(t, 50_000, "least volume"))
		}
		switch k := rapid.IntRange(0, 2).Draw(t, "effect"); {
		case k == 0:
			m.Multiply = rapid.Int64Range(101, 500).Draw(t, "multiply")
		case k == 1 && !whole:
			m.Points = loyalty.Points(rapid.Int64Range(1, 5000).Draw(t, "points"))
		default:
			m.PerKind = rapid.SampledFrom([]loyalty.LineKind{loyalty.Fuel, loyalty.Goods}).Draw(t, "unit")
			m.Points, m.Per = loyalty.Points(rapid.Int64Range(1, 500).Draw(t, "points")), rapid.Int64Range(1, 5000).Draw(t, "per")
		}
		if rapid.Bool().Draw(t, "own term") {
			m.LifeDays = rapid.IntRange(1, 60).Draw(t, "life")
		}
		return m
	}), 0, 3).Draw(t, "campaigns")
	for i := range p.Campaigns {
		p.Campaigns[i].Name = fmt.Sprint("c", i)
	}
	p.Limits.Points = loyalty.Caps{Day: cap(t, 20_000, "points"), Month: cap(t, 40_000, "points")}
	p.Limits.Balance = loyalty.Points(cap(t, 100_000, "balance"))
	if !whole && rapid.Bool().Draw(t, "shares") {
		p.RedeemShares = []loyalty.Share{{Cover: loyalty.Cover{Kind: loyalty.Fuel}, Part: rapid.Int64Range(0, 100_00).Draw(t, "fuel share")}}
	}
	p.Form = rapid.SampledFrom([]loyalty.FiscalForm{loyalty.DiscountForm, loyalty.CounterForm}).Draw(t, "form")
	return p
}

// plainEarn is what a receipt of which nothing is paid with points earns, worked out the long way: what each rule counts,
// rule by rule, then campaign by campaign, then what the limits leave.
func plainEarn(p *loyalty.Programme, r *loyalty.Receipt, a *loyalty.Account, c *loyalty.Card, at loyalty.Instant) loyalty.Points {
	among := func(l loyalty.Line, codes []string) bool {
		return slices.Contains(codes, l.Code) || l.Group != "" && slices.Contains(codes, l.Group)
	}
	tier := p.TierAt(&a.Standing, at)
	used := func(name string) int64 { return a.Used(loyalty.Counter(name), at) }
	base := func(kind loyalty.LineKind, covers func(loyalty.Line) bool) (sum int64) {
		for _, l := range r.Lines {
			switch {
			case l.Amount == 0 || among(l, p.NoEarn) || !covers(l):
			case kind == loyalty.Goods:
				sum += int64(l.Amount)
			case l.Kind == loyalty.Fuel:
				sum += int64(l.Volume)
			}
		}
		return sum
	}
	give := func(rule loyalty.EarnRule, base int64) int64 {
		rate := int64(rule.Points)
		if len(rule.ByTier) > 0 {
			rate = int64(rule.ByTier[tier])
		}
		if rule.Whole {
			return base / rule.Per * rate
		}
		return base * rate / rule.Per
	}
	bound := func(x, most, used int64) int64 {
		if most == 0 {
			return x
		}
		return min(x, max(0, most-used))
	}
	step := func(x int64) int64 { return x / int64(p.Step) * int64(p.Step) }
	var sum int64
	counted := make([]int64, len(p.Earn))
	for j, rule := range p.Earn {
		if len(rule.Tenders) > 0 && !slices.Contains(rule.Tenders, r.Tender) {
			continue
		}
		x := base(rule.Kind, func(l loyalty.Line) bool {
			return l.Kind == rule.Kind && (len(rule.Codes) == 0 || among(l, rule.Codes))
		})
		x = bound(x, rule.AtMost.Receipt, 0)
		x = bound(x, rule.AtMost.Day, used("rule:"+rule.Name+":day"))
		x = bound(x, rule.AtMost.Week, used("rule:"+rule.Name+":week"))
		x = bound(x, rule.AtMost.Month, used("rule:"+rule.Name+":month"))
		counted[j] = x
		sum += give(rule, x)
	}
	all := step(sum)
	for _, m := range p.Campaigns {
		covered := func(l loyalty.Line) bool {
			for _, v := range m.Covers {
				if l.Kind == v.Kind && (len(v.Codes) == 0 || among(l, v.Codes)) {
					return true
				}
			}
			return len(m.Covers) == 0
		}
		if base(loyalty.Goods, covered) == 0 || base(loyalty.Fuel, covered) < int64(m.MinVolume) {
			continue
		}
		var x int64
		switch {
		case m.Multiply > 0:
			for j, rule := range p.Earn {
				y := base(rule.Kind, func(l loyalty.Line) bool {
					return covered(l) && l.Kind == rule.Kind && (len(rule.Codes) == 0 || among(l, rule.Codes))
				})
				x += give(rule, min(y, counted[j]))
			}
			x = x * (m.Multiply - 100) / 100
		case m.Per > 0:
			x = base(m.PerKind, covered) * int64(m.Points) / m.Per
		default:
			x = int64(m.Points)
		}
		x = bound(x, int64(m.PerAccount), used("campaign:"+m.Name))
		for _, t := range a.Tallies { // one card has it all
			if m.PerCard > 0 && len(t.Counter) == len("campaign:"+m.Name)+17 && string(t.Counter[:len("campaign:"+m.Name)]) == "campaign:"+m.Name {
				x = min(x, max(0, int64(m.PerCard)-t.Amount))
			}
		}
		all += step(bound(x, int64(m.PerCard), 0))
	}
	all = bound(all, p.Limits.Points.Day, used("points:day"))
	all = bound(all, p.Limits.Points.Month, used("points:month"))
	all = bound(all, int64(p.Limits.Balance), int64(a.Total(at)))
	return loyalty.Points(step(all))
}

// customer is an account and its card, to which receipts are sold one after the other.
type customer struct {
	programme *loyalty.Programme
	account   loyalty.Account
	card      loyalty.Card
	at        loyalty.Instant
}

func newCustomer(p *loyalty.Programme) *customer {
	return &customer{p, loyalty.Account{ID: account}, loyalty.Card{Number: card, Account: account, MayRedeem: true}, noon(3, 1)}
}

func (c *customer) sell(r *loyalty.Receipt, redeem loyalty.Points) (loyalty.Quote, error) {
	q, err := c.programme.Price(loyalty.Case{
		Receipt: r, Redeem: redeem, Available: c.account.Spendable(c.at), At: c.at, Station: 1, Card: &c.card, Account: &c.account,
	})
	if err != nil {
		return q, err
	}
	p := loyalty.Posting{Redeemed: redeem, RedeemAt: c.at, Accrued: q.Lots, Counted: q.Counted, Claims: q.Claims}
	if err := c.account.Post(p); err != nil {
		return q, err
	}
	return q, c.account.Check()
}

// Whatever the programme, what is earned is what the plain model says, sale after sale; the lines and lots add up; and
// no counter ever passes its cap.
func TestEarningIsWhatTheRulesGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCustomer(drawRich(t, false))
		for range rapid.IntRange(1, 5).Draw(t, "sales") {
			r := drawReceipt(t, 100_000)
			r.Tender = rapid.SampledFrom([]loyalty.Tender{loyalty.Cash, loyalty.Cashless}).Draw(t, "tender")
			want := plainEarn(c.programme, &r, &c.account, &c.card, c.at)
			q, err := c.sell(&r, 0)
			if err != nil {
				t.Fatal(err)
			}
			if q.Earn != want || booked(&q) != q.Earn || lineEarned(&q) != q.Earn {
				t.Fatalf("earns %s in lots of %s and lines of %s, want %s", q.Earn, booked(&q), lineEarned(&q), want)
			}
			for i, l := range r.Lines {
				if q.LineEarn[i] > 0 && (l.Amount == 0 || slices.Contains(c.programme.NoEarn, l.Group)) {
					t.Fatalf("line %d earns %s", i, q.LineEarn[i])
				}
			}
			checkCaps(t, c)
			c.at = c.at.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hours later")) * time.Hour)
		}
	})
}

// wholePoints gives whole points, some of them for full units only.
const wholePoints = `
points: {step: 1}
earn:
  - {fuel: ["*"], points: 1, per_litres: 2, whole: true}
  - {goods: ["*"], points: 1, per_roubles: 20, whole: true}
campaigns:
  - {name: coffee, from: 2026-03-01T00:00:00+03:00, until: 2026-04-01T00:00:00+03:00, goods: [coffee], points: 20, per_roubles: 100}
  - {name: twice, from: 2026-04-01T00:00:00+03:00, until: 2026-05-01T00:00:00+03:00, multiply: 2}
redeem: {step: 0.01}
`

func TestLinesEarnWhatTheRulesGiveThem(t *testing.T) {
	water, tank := goods("water", 19_00), fuel("АИ-95", 2000, 120_00)
	for name, tt := range map[string]struct {
		at    loyalty.Instant
		lines []loyalty.Line
		want  []loyalty.Points
	}{
		"a rule that gives nothing":   {noon(1, 10), []loyalty.Line{water, tank}, []loyalty.Points{0, 1_00}},
		"fractions of several rules":  {noon(1, 10), []loyalty.Line{goods("", 59_00), fuel("ДТ", 3999, 200_00)}, []loyalty.Points{2_00, 1_00}},
		"lines that earn it together": {noon(1, 10), []loyalty.Line{fuel("ДТ", 1000, 60_00), fuel("АИ-95", 1000, 60_00)}, []loyalty.Points{50, 50}},
		"one that had it by itself":   {noon(1, 10), []loyalty.Line{goods("", 19_00), goods("", 60_00)}, []loyalty.Points{72, 2_28}},
		"what is over of both":        {noon(1, 10), []loyalty.Line{goods("", 29_00), goods("", 35_00)}, []loyalty.Points{1_36, 1_64}},
		"a campaign":                  {noon(3, 10), []loyalty.Line{goods("coffee", 104_00), goods("coffee", 3_00), tank}, []loyalty.Points{4_86 + 20_41, 14 + 59, 1_00}},
		"a multiple":                  {noon(4, 10), []loyalty.Line{water, tank, goods("", 61_00)}, []loyalty.Points{95 + 95, 1_00 + 1_00, 3_05 + 3_05}},
	} {
		t.Run(name, func(t *testing.T) {
			r := receipt(tt.lines...)
			q, err := programme(t, wholePoints).Price(loyalty.Case{Receipt: &r, At: tt.at})
			if err != nil || !slices.Equal(q.LineEarn, tt.want) {
				t.Errorf("lines earn %v of %s, want %v; %v", q.LineEarn, q.Earn, tt.want, err)
			}
		})
	}
}

// Where nothing is cut each rule has what it comes to by itself, to a step, and its lines have their parts of that, to a
// hundredth.
func TestNoLineEarnsForAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &loyalty.Programme{
			Step: loyalty.Points(rapid.SampledFrom([]int64{1, 25, 1_00}).Draw(t, "step")), RedeemStep: 1, PointValue: 100, RedeemShare: 100_00,
			Earn: []loyalty.EarnRule{
				{Kind: loyalty.Fuel, Points: loyalty.Points(rapid.Int64Range(0, 300).Draw(t, "fuel")), Per: 1000},
				{Kind: loyalty.Goods, Points: loyalty.Points(rapid.Int64Range(0, 300).Draw(t, "goods")), Per: 20_00},
			},
		}
		r := drawReceipt(t, 10_000)
		q, err := p.Price(loyalty.Case{Receipt: &r, At: noon(1, 10)})
		if err != nil {
			t.Fatal(err)
		}
		within := func(got loyalty.Points, base int64, rule loyalty.EarnRule) {
			own := loyalty.Points(base * int64(rule.Points) / rule.Per)
			least := own - own%p.Step
			most := least
			if base*int64(rule.Points)%(rule.Per*int64(p.Step)) != 0 {
				most += p.Step
			}
			if got < least || got > most {
				t.Fatalf("%s earns %s in steps of %s, %s by itself", rule.Kind, got, p.Step, own)
			}
		}
		for _, rule := range p.Earn {
			var all loyalty.Points
			var base int64
			bases := make([]int64, len(r.Lines))
			for i, l := range r.Lines {
				if l.Kind != rule.Kind {
					continue
				}
				x := int64(l.Amount)
				if l.Kind == loyalty.Fuel {
					if x = int64(l.Volume); l.Amount == 0 {
						x = 0
					}
				}
				bases[i] = x
				all, base = all+q.LineEarn[i], base+x
			}
			within(all, base, rule)
			for i, x := range bases {
				if off := int64(q.LineEarn[i])*base - int64(all)*x; r.Lines[i].Kind == rule.Kind && base > 0 && (off <= -base || off >= base) {
					t.Fatalf("line %d of %s earns %s, which is not its part of %s", i+1, rule.Kind, q.LineEarn[i], all)
				}
			}
		}
	})
}

func checkCaps(t *rapid.T, c *customer) {
	p := c.programme
	hold := func(name string, most int64) {
		if used := c.account.Used(loyalty.Counter(name), c.at); most > 0 && used > most {
			t.Fatalf("%s stands at %d, at most %d", name, used, most)
		}
	}
	for _, r := range p.Earn {
		hold("rule:"+r.Name+":day", r.AtMost.Day)
		hold("rule:"+r.Name+":week", r.AtMost.Week)
		hold("rule:"+r.Name+":month", r.AtMost.Month)
	}
	for _, m := range p.Campaigns {
		hold("campaign:"+m.Name, int64(m.PerAccount))
	}
	hold("points:day", p.Limits.Points.Day)
	hold("points:month", p.Limits.Points.Month)
	if most := p.Limits.Balance; most > 0 && c.account.Total(c.at) > most {
		t.Fatalf("the account holds %s, at most %s", c.account.Total(c.at), most)
	}
}

// Redeeming keeps within each line's share, in both forms alike, and never earns more than without.
func TestRedeemingKeepsItsShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawRich(t, false), drawReceipt(t, 100_000)
		available := loyalty.Points(rapid.Int64Range(0, 200_000).Draw(t, "available"))
		price := func(redeem loyalty.Points) loyalty.Quote {
			q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: redeem, Available: available, At: noon(3, 1)})
			if err != nil {
				t.Fatal(err)
			}
			if err := checkQuote(p, &r, &q, redeem, available); err != nil {
				t.Fatal(err)
			}
			return q
		}
		none := price(0)
		q := price(loyalty.Points(rapid.Int64Range(0, int64(none.MaxRedeem)).Draw(t, "redeem")))
		for i, l := range r.Lines {
			for _, s := range p.RedeemShares {
				if l.Kind == s.Kind && int64(q.Lines[i]) > int64(l.Amount)*s.Part/100_00 {
					t.Fatalf("line %d of %s is reduced by %s, its share is %d", i, l.Amount, q.Lines[i], s.Part)
				}
			}
		}
		if q.Earn > none.Earn {
			t.Fatalf("earns %s with %s redeemed, %s without", q.Earn, q.Redeem, none.Earn)
		}
		other := *p
		other.Form = loyalty.CounterForm - p.Form
		o, err := other.Price(loyalty.Case{Receipt: &r, Redeem: q.Redeem, Available: available, At: noon(3, 1)})
		if err != nil || !slices.Equal(o.Lines, q.Lines) || o.Pay != q.Pay || o.Earn != q.Earn || o.Form == q.Form {
			t.Fatalf("as %s: %+v; as %s: %+v, %v", q.Form, q, o.Form, o, err)
		}
	})
}

func TestMoreNeverEarnsLessUnderAnyRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawRich(t, false), drawReceipt(t, 100_000)
		more := receipt(slices.Clone(r.Lines)...)
		i := rapid.IntRange(0, len(r.Lines)-1).Draw(t, "line")
		more.Lines[i].Amount += loyalty.Kopecks(rapid.Int64Range(0, 10_000).Draw(t, "kopecks more"))
		if more.Lines[i].Kind == loyalty.Fuel {
			more.Lines[i].Volume += loyalty.Millilitres(rapid.Int64Range(0, 10_000).Draw(t, "millilitres more"))
		}
		if less, more := mustEarn(t, p, r), mustEarn(t, p, more); more < less {
			t.Fatalf("earns %s, and with more on line %d only %s", less, i, more)
		}
	})
}

// Ten small sales never earn more than one large one, and caps hold however a day is split up.
func TestSplittingNeverEarnsMoreUnderAnyRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawRich(t, true)
		p.Tiers = nil // reaching a level by many sales is what levels are for
		r := drawReceipt(t, 100_000)
		one, many := newCustomer(p), newCustomer(p)
		whole, err := one.sell(&r, 0)
		if err != nil {
			t.Fatal(err)
		}
		var split loyalty.Points
		n := int64(rapid.IntRange(2, 10).Draw(t, "sales"))
		for k := range n {
			part := receipt(slices.Clone(r.Lines)...)
			for i := range part.Lines {
				l := &part.Lines[i]
				l.Amount = l.Amount*loyalty.Kopecks(k+1)/loyalty.Kopecks(n) - l.Amount*loyalty.Kopecks(k)/loyalty.Kopecks(n)
				l.Volume = l.Volume*loyalty.Millilitres(k+1)/loyalty.Millilitres(n) - l.Volume*loyalty.Millilitres(k)/loyalty.Millilitres(n)
			}
			q, err := many.sell(&part, 0)
			if err != nil {
				t.Fatal(err)
			}
			split += q.Earn
			checkCaps(t, many)
		}
		if split > whole.Earn {
			t.Fatalf("one sale earns %s, %d earn %s", whole.Earn, n, split)
		}
	})
}
