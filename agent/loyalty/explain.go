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
	TenderStep                      // the tender Name never earns
	PurchasesStep                   // purchase number Base of the period Name, of which Per earn
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
	"redeem", "excluded", "tender", "purchases", "cap", "rule", "campaign", "campaign_cap", "round", "points_cap", "balance_cap", "promo",
}

// MarshalText is the kind's name.
func (k StepKind) MarshalText() ([]byte, error) { return []byte(name(stepNames, int(k))), nil }

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

func (s *Step) amount(v int64) string {
	switch s.Unit {
	case Fuel:
		return Millilitres(v).String() + " l"
	case Goods:
		return Kopecks(v).String() + " RUB"
	}
	return Points(v).String()
}

// Words tell the step in a sentence.
func (s *Step) Words() Text {
	en, ru := s.words()
	if len(s.Lines) > 0 {
		n := make([]string, len(s.Lines))
		for i, l := range s.Lines {
			n[i] = fmt.Sprint(l + 1)
		}
		lines := strings.Join(n, ", ")
		en, ru = en+" [line "+lines+"]", ru+" [строка "+lines+"]"
	}
	return Text{RU: strings.NewReplacer(" RUB", " руб.", " l ", " л ", " l:", " л:", " l;", " л;", " l,", " л,").Replace(ru + " ")[:], EN: en}.trimmed()
}

func (t Text) trimmed() Text { return Text{strings.TrimSpace(t.RU), strings.TrimSpace(t.EN)} }

func (s *Step) words() (en, ru string) {
	base, per := s.amount(s.Base), s.amount(s.Per)
	switch s.Kind {
	case RedeemStep:
		return fmt.Sprintf("of %s at most %s points may be redeemed", Kopecks(s.Base), s.Points), fmt.Sprintf("из %s руб. можно оплатить баллами: не больше %s", Kopecks(s.Base), s.Points)
	case ExcludedStep:
		return s.Name + " never earns", "за " + s.Name + " баллы не начисляются"
	case TenderStep:
		return "nothing is earned when paid by " + s.Name, "при оплате " + s.Name + " баллы не начисляются"
	case PurchasesStep:
		return fmt.Sprintf("purchase number %d of this %s: only %d earn", s.Base, s.Name, s.Per), fmt.Sprintf("покупка № %d за период (%s): баллы начисляются за %d", s.Base, s.Name, s.Per)
	case CapStep:
		return fmt.Sprintf("%s counts only %s of %s", s.rule(), per, base), fmt.Sprintf("%s: учитывается только %s из %s ", s.rule(), per, base)
	case RuleStep:
		whole, wholeRU := "", ""
		if s.Whole {
			whole, wholeRU = " full", " полных"
		}
		tier, tierRU := "", ""
		if s.Tier != "" {
			tier, tierRU = " as "+s.Title.EN, " (уровень "+s.Title.RU+")"
		}
		return fmt.Sprintf("%s%s: %s paid with money, %s for each%s %s = %s points", s.rule(), tier, base, s.Rate, whole, per, s.Points),
			fmt.Sprintf("%s%s: оплачено деньгами %s , по %s за каждые%s %s : %s", s.rule(), tierRU, base, s.Rate, wholeRU, per, s.Points)
	case CampaignStep:
		return fmt.Sprintf("campaign %q: %s points", s.Title.EN, s.Points), fmt.Sprintf("акция «%s»: %s", s.Title.RU, s.Points)
	case CampaignCapStep:
		return fmt.Sprintf("campaign %s may give %s more points, not %s", s.Name, s.Points, Points(s.Base)), fmt.Sprintf("по акции %s осталось %s баллов, а не %s", s.Name, s.Points, Points(s.Base))
	case RoundStep:
		return fmt.Sprintf("rounded down to steps of %s: %s", s.Rate, s.Points), fmt.Sprintf("округлено вниз до %s: %s", s.Rate, s.Points)
	case PointsCapStep:
		return fmt.Sprintf("the limits leave %s of %s points", s.Points, Points(s.Base)), fmt.Sprintf("лимиты оставляют %s из %s баллов", s.Points, Points(s.Base))
	case BalanceStep:
		return fmt.Sprintf("an account holds %s points at most: %s", Points(s.Base), s.Points), fmt.Sprintf("на счёте не больше %s баллов: %s", Points(s.Base), s.Points)
	case PromoStep:
		w := Words(s.Refusal)
		return "promo code " + s.Name + ": " + w.EN, "промокод " + s.Name + ": " + w.RU
	}
	return s.Name, s.Name
}

func (s *Step) rule() string {
	if s.Name == "" {
		return "rule"
	}
	return s.Name
}

func (e *earning) explain(s Step) {
	if e.c.Explain {
		e.q.Why = append(e.q.Why, s)
	}
}

func (e *earning) explainRedeem(limit Points) {
	e.explain(Step{Kind: RedeemStep, Base: int64(e.q.Total), Points: limit})
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

func (e *earning) explainCampaign(m *Campaign, base int64, points Points) {
	if !e.c.Explain {
		return
	}
	s := Step{Kind: CampaignStep, Name: m.Name, Title: m.Title, Unit: Goods, Base: base, Rate: m.Points, Per: m.Per, Points: points}
	for i := range e.c.Receipt.Lines {
		if e.money[i] != 0 && m.covers(&e.c.Receipt.Lines[i]) {
			s.Lines = append(s.Lines, i)
		}
	}
	e.explain(s)
}
