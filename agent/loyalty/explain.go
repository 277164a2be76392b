package loyalty

import (
	"fmt"
	"strings"
)

// StepKind is what a [Step] tells.
type StepKind uint8

// The kinds of steps, in the order in which a price comes about.
const (
	RedeemStep      StepKind = iota // the most that may be redeemed: Base kopecks of the receipt, Points
	ExcludedStep                    // lines that never earn
	PaymentStep                     // the tender Name pays Base of Per kopecks
	TenderStep                      // the tender Name never earns
	PurchasesStep                   // purchase number Base of the period Name, of which Per earn
	PartStep                        // of Base, what the rule or campaign Name counts is the Per that its tenders pay
	CapStep                         // of Base, what the rule Name counts is cut to Per
	RuleStep                        // the rule Name gives Rate for every Per of Base: Points
	CampaignStep                    // the campaign Name gives Points on Base
	CampaignCapStep                 // of Base points, the campaign Name may still give Points
	RoundStep                       // down to a multiple of Rate: Points
	PointsCapStep                   // of Base points the limits leave Points
	BalanceStep                     // an account holds Base points at most, which leaves Points
	PromoStep                       // the promo code Name gave nothing: Refusal
)

var stepNames = []string{
	"redeem", "excluded", "payment", "tender", "purchases", "part", "cap", "rule", "campaign", "campaign_cap", "round", "points_cap", "balance_cap", "promo",
}

// String is the kind's name.
func (k StepKind) String() string {
	if int(k) < len(stepNames) {
		return stepNames[k]
	}
	return fmt.Sprintf("step %d", uint8(k))
}

// MarshalText is the kind's name.
func (k StepKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Step is one step by which a price came about. What its amounts are depends on its kind.
type Step struct {
	Kind    StepKind `json:"step"`
	Name    string   `json:"name,omitempty"`
	Title   Text     `json:"title,omitzero"`
	Lines   []int    `json:"lines,omitempty"` // from zero
	Unit    LineKind `json:"-"`               // Fuel: Base and Per are millilitres; Goods: kopecks; zero: neither
	Base    int64    `json:"base,omitempty"`
	Rate    Points   `json:"rate_points_x100,omitempty"`
	Per     int64    `json:"per,omitempty"`
	Whole   bool     `json:"whole,omitempty"`
	Tier    string   `json:"tier,omitempty"`
	Points  Points   `json:"points_x100"`
	Refusal Refusal  `json:"refusal,omitempty"`
}

// Words tell the step in a sentence.
func (s *Step) Words() Text {
	t := s.words()
	if len(s.Lines) > 0 {
		n := make([]string, len(s.Lines))
		for i, l := range s.Lines {
			n[i] = fmt.Sprint(l + 1)
		}
		lines := strings.Join(n, ", ")
		t.RU, t.EN = t.RU+" [строка "+lines+"]", t.EN+" [line "+lines+"]"
	}
	return t
}

// amount is a number with its unit.
func (s *Step) amount(v int64) Text {
	switch s.Unit {
	case Fuel:
		return Text{comma(Millilitres(v).String()) + " л", Millilitres(v).String() + " l"}
	case Goods:
		return Text{comma(Kopecks(v).String()) + " руб.", Kopecks(v).String() + " RUB"}
	}
	return points(Points(v))
}

// tenderWords are the tenders as people call them, by their names in files.
var tenderWords = map[string]Text{
	"cash": {"наличные", "cash"}, "cashless": {"банковская карта", "bank card"}, "fuel_card": {"топливная карта", "fuel card"},
}

func points(p Points) Text { return Text{comma(p.String()), p.String()} }

// comma writes a decimal number the Russian way.
func comma(s string) string { return strings.Replace(s, ".", ",", 1) }

// both fills in the two languages' sentences with texts, numbers and the like.
func both(ru, en string, args ...any) Text {
	r, e := make([]any, len(args)), make([]any, len(args))
	for i, a := range args {
		r[i], e[i] = a, a
		if t, ok := a.(Text); ok {
			r[i], e[i] = t.RU, t.EN
		}
	}
	return Text{fmt.Sprintf(ru, r...), fmt.Sprintf(en, e...)}
}

func (s *Step) words() Text {
	base, per, got := s.amount(s.Base), s.amount(s.Per), points(s.Points)
	switch s.Kind {
	case RedeemStep:
		return both("из %s баллами можно оплатить не больше %s", "of %s at most %s points may be redeemed", base, got)
	case ExcludedStep:
		return both("%s: баллы не начисляются", "%s never earns", s.Name)
	case PaymentStep:
		return both("%s: оплачено %s из %s", "%s: %s of %s are paid", tenderWords[s.Name], base, per)
	case PartStep:
		return both("%s: способами оплаты, за которые начисляется, оплачено %s из %s", "%s: %s of %s are paid in a way that earns by it", s.Name, per, base)
	case TenderStep:
		return both("%s: баллы не начисляются", "%s: nothing is earned on what it pays", tenderWords[s.Name])
	case PurchasesStep:
		return both("покупка № %d (%s): баллы начисляются за %d", "purchase number %d of the %s: %d earn", s.Base, s.Name, s.Per)
	case CapStep:
		return both("%s: учитывается %s из %s", "%s counts %s of %s", s.Name, per, base)
	case RuleStep:
		return both("%s%s: оплачено деньгами %s, по %s за каждые%s %s = %s", "%s%s: %s paid with money, %s for each%s %s = %s points",
			s.Name, s.level(), base, points(s.Rate), s.whole(), per, got)
	case CampaignStep:
		return both("акция «%s»: %s", "campaign “%s”: %s points", s.Title, got)
	case CampaignCapStep:
		return both("акция %s: осталось %s из %s", "campaign %s: %s of %s points are left", s.Name, got, base)
	case RoundStep:
		return both("округлено вниз с шагом %s: %s", "rounded down in steps of %s: %s", points(s.Rate), got)
	case PointsCapStep:
		return both("лимиты оставляют %s из %s", "the limits leave %s of %s points", got, base)
	case BalanceStep:
		return both("на счёте может быть не больше %s: начислено %s", "an account holds at most %s points: %s are earned", base, got)
	case PromoStep:
		return both("промокод %s: %s", "promo code %s: %s", s.Name, Words(s.Refusal))
	}
	return Text{s.Name, s.Name}
}

func (s *Step) level() Text {
	if s.Tier == "" {
		return Text{}
	}
	return both(" (уровень %s)", " as %s", s.Title)
}

func (s *Step) whole() Text {
	if !s.Whole {
		return Text{}
	}
	return Text{" полные", " full"}
}

func (e *earning) explain(s Step) {
	if e.c.Explain {
		e.q.Why = append(e.q.Why, s)
	}
}

func (e *earning) explainRedeem(limit Points) {
	e.explain(Step{Kind: RedeemStep, Unit: Goods, Base: int64(e.q.Total), Points: limit})
}

func (e *earning) explainExcluded(line int) {
	if e.c.Explain {
		e.explain(Step{Kind: ExcludedStep, Lines: []int{line}, Name: e.c.Receipt.Lines[line].Code})
	}
}

func (e *earning) explainRule(rule *EarnRule, j int, base int64, points Points) {
	if !e.c.Explain {
		return
	}
	s := Step{Kind: RuleStep, Name: rule.Name, Unit: rule.Kind, Base: base, Rate: rule.rate(e.tier), Per: rule.Per, Whole: rule.Whole, Points: points}
	if s.Name == "" {
		s.Name = fmt.Sprintf("rule %d", j+1)
	}
	if len(rule.ByTier) > 0 && len(e.p.Tiers) > 0 {
		s.Tier, s.Title = e.p.Tiers[e.tier].Name, e.p.Tiers[e.tier].Title
	}
	for i := range e.c.Receipt.Lines {
		if l := &e.c.Receipt.Lines[i]; e.base(i, rule.Kind) != 0 && rule.covers(l) {
			s.Lines = append(s.Lines, i)
		}
	}
	e.explain(s)
}

func (e *earning) explainCampaign(g *grant, base int64) {
	if !e.c.Explain {
		return
	}
	m := g.campaign
	s := Step{Kind: CampaignStep, Name: m.Name, Title: m.Title, Unit: Goods, Base: base, Rate: m.Points, Per: m.Per, Points: g.points}
	if m.PerKind == Fuel {
		s.Unit = Fuel
	}
	for _, i := range g.lines {
		s.Lines = append(s.Lines, int(i))
	}
	e.explain(s)
}
