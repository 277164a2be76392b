package loyalty

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Moment shows a moment in the programme's calendar, with its distance from UTC, to the second; none as nothing.
func (p *Programme) Moment(at Instant) string {
	if at == 0 {
		return ""
	}
	return at.Time().In(time.FixedZone("", int(p.Offset/time.Second))).Format(time.RFC3339)
}

// EarnWords tell in sentences what the rules give, tier by tier.
func (p *Programme) EarnWords() []Text {
	words := make([]Text, 0, len(p.Earn))
	for i := range p.Earn {
		r := &p.Earn[i]
		name := Text{cmp.Or(r.Name, fmt.Sprintf("правило %d", i+1)), cmp.Or(r.Name, fmt.Sprintf("rule %d", i+1))}
		s := Step{Whole: r.Whole}
		t := both("%s: за каждые%s %s (%s) %s", "%s: for each%s %s of %s, %s",
			name, s.whole(), measure(r.Kind, r.Per), coverWords([]Cover{{Kind: r.Kind, Codes: r.Codes}}), p.rates(r))
		if caps := capWords(&r.AtMost, r.Kind); caps.EN != "" {
			t = both("%s; учитывается не больше %s", "%s; counts at most %s", t, caps)
		}
		words = append(words, t)
	}
	return words
}

// rates are the points of a rule, for each tier if they differ.
func (p *Programme) rates(r *EarnRule) Text {
	if len(r.ByTier) == 0 || len(p.Tiers) == 0 {
		return both("баллов: %s", "points: %s", points(r.Points))
	}
	parts := make([]Text, len(p.Tiers))
	for i := range p.Tiers {
		parts[i] = both("%s (%s)", "%s as %s", points(r.rate(i)), p.Tiers[i].Title)
	}
	return both("баллов: %s", "points: %s", joined(parts, ", "))
}

// CampaignWords tell in sentences what the campaigns give, to whom, when and for which codes.
func (p *Programme) CampaignWords() []Text {
	words := make([]Text, 0, len(p.Campaigns))
	for i := range p.Campaigns {
		words = append(words, p.campaignWords(&p.Campaigns[i]))
	}
	return words
}

func (p *Programme) campaignWords(m *Campaign) Text {
	name := both("%s «%s»", "%s “%s”", m.Name, m.Title)
	if m.Title.RU == m.Name {
		name = Text{m.Name, m.Name}
	}
	parts := []Text{both("акция %s: %s", "campaign %s: %s", name, m.effect())}
	add := func(t Text) { parts = append(parts, t) }
	add(both("с %s", "from %s", p.Moment(m.From)))
	if m.Until != 0 {
		add(both("до %s", "until %s", p.Moment(m.Until)))
	}
	if m.Weekdays != 0 {
		var days []Text
		for d, w := range weekdayWords {
			if m.Weekdays>>d&1 == 1 {
				days = append(days, w)
			}
		}
		add(joined(days, ", "))
	}
	if m.Hours[0] != m.Hours[1] {
		h := fmt.Sprintf("%02d:%02d–%02d:%02d", m.Hours[0]/60, m.Hours[0]%60, m.Hours[1]/60, m.Hours[1]%60)
		add(Text{h, h})
	}
	if len(m.Stations) > 0 {
		numbers := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(m.Stations)), ", "), "[]")
		add(both("станции %s", "stations %s", numbers))
	}
	if m.Tiers != 0 {
		var tiers []Text
		for j := range p.Tiers {
			if m.Tiers>>j&1 == 1 {
				tiers = append(tiers, p.Tiers[j].Title)
			}
		}
		add(both("уровни: %s", "tiers: %s", joined(tiers, ", ")))
	}
	if m.MinVolume > 0 {
		add(both("от %s", "from %s on", measure(Fuel, int64(m.MinVolume))))
	}
	if m.MinMoney > 0 {
		add(both("от %s", "from %s on", measure(Goods, int64(m.MinMoney))))
	}
	if m.PerAccount > 0 {
		add(both("не больше %s баллов на счёт", "at most %s points for an account", points(m.PerAccount)))
	}
	if m.PerCard > 0 {
		add(both("не больше %s баллов на карту", "at most %s points for a card", points(m.PerCard)))
	}
	if m.Promo != nil {
		codes := slices.Clone(m.Promo.Codes)
		if m.Promo.Pattern != "" {
			codes = append(codes, m.Promo.Pattern)
		}
		add(both("по промокоду: %s", "with the promo code: %s", strings.Join(codes, ", ")))
	}
	return joined(parts, "; ")
}

// effect is what a campaign gives, on what.
func (m *Campaign) effect() Text {
	on := Text{"весь чек", "the whole receipt"}
	if len(m.Covers) > 0 {
		on = coverWords(m.Covers)
	}
	switch {
	case m.Multiply > 0:
		return both("баллы по правилам × %s (%s)", "%s times what the rules give (%s)", points(Points(m.Multiply)), on)
	case m.Per > 0:
		return both("баллов %s за каждые %s (%s)", "%s points for each %s (%s)", points(m.Points), measure(m.PerKind, m.Per), on)
	}
	return both("баллов %s за чек (%s)", "%s points for a receipt (%s)", points(m.Points), on)
}

// LimitWords tell in sentences what bounds earning and redeeming, and how long points live.
func (p *Programme) LimitWords() (words []Text) {
	add := func(ru, en string, args ...any) { words = append(words, both(ru, en, args...)) }
	if len(p.NoEarn) > 0 {
		add("не начисляется за: %s", "nothing is earned on: %s", strings.Join(p.NoEarn, ", "))
	}
	for i, w := range periodWords {
		if n := [...]int64{p.Limits.Purchases.Day, p.Limits.Purchases.Week, p.Limits.Purchases.Month}[i]; n > 0 {
			add("покупок с начислением: не больше %d %s", "purchases that earn: at most %d %s", n, w)
		}
	}
	if caps := capWords(&p.Limits.Points, 0); caps.EN != "" {
		add("начисляется баллов не больше: %s", "points that are earned: at most %s", caps)
	}
	if p.Limits.Balance > 0 {
		add("на счёте не больше %s баллов", "an account holds at most %s points", points(p.Limits.Balance))
	}
	if len(p.NoRedeem) > 0 {
		add("баллами не оплачивается: %s", "points do not pay for: %s", strings.Join(p.NoRedeem, ", "))
	}
	add("баллами оплачивается не больше %s%%", "points pay at most %s%%", points(Points(p.RedeemShare)))
	for i := range p.RedeemShares {
		s := &p.RedeemShares[i]
		add("баллами оплачивается не больше %s%% (%s)", "points pay at most %s%% of %s", points(Points(s.Part)), coverWords([]Cover{s.Cover}))
	}
	if p.MinMoney > 0 {
		add("деньгами остаётся не меньше %s", "at least %s is paid with money", measure(Goods, int64(p.MinMoney)))
	}
	if p.RedeemAsked {
		add("баллы списываются, когда владелец включит списание", "points pay only after the customer has switched redeeming on")
	}
	if p.Activation > 0 {
		add("баллы можно тратить через %d дн.", "points may be spent after %d days", int64(p.Activation/(24*time.Hour)))
	}
	switch {
	case p.LifeMonths > 0:
		add("баллы сгорают через %d мес.", "points expire after %d months", p.LifeMonths)
	case p.Annul != (YearDay{}):
		add("баллы сгорают %02d.%02d каждого года", "points expire every year on %02[2]d-%02[1]d (month and day)", p.Annul.Day, int(p.Annul.Month))
	default:
		add("баллы не сгорают", "points do not expire")
	}
	return words
}

var (
	weekdayWords = [...]Text{{"вс", "Sun"}, {"пн", "Mon"}, {"вт", "Tue"}, {"ср", "Wed"}, {"чт", "Thu"}, {"пт", "Fri"}, {"сб", "Sat"}}
	periodWords  = [...]Text{{"в день", "a day"}, {"в неделю", "a week"}, {"в месяц", "a month"}}
)

// measure is an amount with its unit: millilitres of fuel, kopecks of goods, else points.
func measure(kind LineKind, v int64) Text { return (&Step{Unit: kind}).amount(v) }

// capWords are the bounds of a receipt and of periods.
func capWords(c *Caps, kind LineKind) Text {
	var parts []Text
	if c.Receipt > 0 {
		parts = append(parts, both("%s в чеке", "%s a receipt", measure(kind, c.Receipt)))
	}
	c.each(func(k period, most int64) {
		parts = append(parts, both("%s %s", "%s %s", measure(kind, most), periodWords[k]))
	})
	return joined(parts, ", ")
}

// coverWords are which lines are meant.
func coverWords(covers []Cover) Text {
	parts := make([]Text, len(covers))
	for i, c := range covers {
		what := Text{"товары", "goods"}
		if c.Kind == Fuel {
			what = Text{"топливо", "fuel"}
		}
		if len(c.Codes) > 0 {
			what = both("%s %s", "%s %s", what, strings.Join(c.Codes, ", "))
		}
		parts[i] = what
	}
	return joined(parts, "; ")
}

func joined(parts []Text, sep string) (t Text) {
	for i, p := range parts {
		if i > 0 {
			t.RU, t.EN = t.RU+sep, t.EN+sep
		}
		t.RU, t.EN = t.RU+p.RU, t.EN+p.EN
	}
	return t
}
