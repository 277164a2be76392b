package loyalty

import (
	"slices"
	"strings"
	"time"
)

// ProgrammeSchema is the value of a file's first key.
const ProgrammeSchema = "azs-edge/programme/1"

// ParseProgramme reads a programme file strictly: an unknown key, a wrong unit or a value out of range is a problem that
// names the place and what to write instead, all of them at once, as [ProgrammeProblems]. The file's bytes are kept as
// Source.
func ParseProgramme(src []byte) (*Programme, error) {
	r := &programmeReader{first: "schema: " + ProgrammeSchema}
	doc := r.document(src)
	if err := r.err(); err != nil {
		return nil, err
	}
	p := r.programme(doc)
	if err := r.err(); err != nil {
		return nil, err
	}
	p.Source = slices.Clone(src)
	p.index = indexCampaigns(p.Campaigns)
	return p, nil
}

func (r *programmeReader) programme(doc *node) *Programme {
	r.keys(doc, "schema", "name", "version", "effective", "title", "utc_offset", "points", "fiscal_form", "tiers", "earn", "never_earn",
		"never_earn_by", "never_redeem", "never_redeem_by", "activation", "expiry", "limits", "redeem", "campaigns", "cards", "unknown_card", "velocity")
	p := &Programme{}
	if n := r.required(doc, "schema"); n != nil {
		if s, ok := r.word(n); ok && s != ProgrammeSchema {
			r.bad(n, "write "+ProgrammeSchema, "%.64q is not a version of the format that this agent reads", s)
		}
	}
	if n := r.required(doc, "name"); n != nil {
		s, ok := r.word(n)
		if p.Name = s; ok && !plainName(s) {
			r.bad(n, "use 1 to 32 lower-case letters, digits and hyphens", "%.64q cannot be a programme's name", s)
		}
	}
	if n := r.required(doc, "version"); n != nil {
		p.Version = uint32(r.whole(n, 1, 1<<32-1, ""))
	}
	if n := r.required(doc, "effective"); n != nil {
		p.Effective = r.moment(n)
	}
	if t := r.section(doc, "title", "ru", "en"); t != nil {
		p.Title = Text{r.title(t, "ru"), r.title(t, "en")}
	} else if doc.get("title") == nil {
		r.required(doc, "title")
	}
	p.Offset = r.offset(doc.get("utc_offset"))
	r.points(r.section(doc, "points", "value", "step"), p)
	p.Form = FiscalForm(r.choice(doc.get("fiscal_form"), formNames...))
	r.tiers(r.section(doc, "tiers", "count", "fuel", "goods", "window", "days", "levels"), p)
	r.earn(doc.get("earn"), p)
	p.NoEarn, p.NoRedeem = r.excluded(doc.get("never_earn")), r.excluded(doc.get("never_redeem"))
	p.NoEarnBy, p.NoRedeemBy = r.tenders(doc.get("never_earn_by")), r.tenders(doc.get("never_redeem_by"))
	if n := r.section(doc, "activation", "days").get("days"); n != nil {
		p.Activation = r.days(n, 0)
	}
	r.expiry(r.section(doc, "expiry", "months", "yearly", "spare_days"), p)
	r.limits(r.section(doc, "limits", "purchases", "points", "balance"), p)
	r.redeem(r.section(doc, "redeem", "share", "shares", "step", "min_money", "activation"), p)
	r.campaigns(doc.get("campaigns"), p)
	r.cards(r.section(doc, "cards", "main", "additional", "virtual", "additional_redeem"), p)
	p.AcceptUnknown = r.choice(doc.get("unknown_card"), "refuse", "accrue") == 1
	r.velocity(doc.get("velocity"), p)
	return p
}

// choice is which of some words a value is; the first where there is none.
func (r *programmeReader) choice(n *node, words ...string) int {
	if n == nil {
		return 0
	}
	s, ok := r.word(n)
	i := slices.Index(words, s)
	if ok && i < 0 {
		last := len(words) - 1
		r.bad(n, "write "+strings.Join(words[:last], ", ")+" or "+words[last], "%.32q is not known here", s)
	}
	return max(0, i)
}

// excluded is a list of codes and groups that may not be all.
func (r *programmeReader) excluded(n *node) []string {
	if n != nil && slices.ContainsFunc(n.items, func(i *node) bool { return i.text == "*" }) {
		r.bad(n, "name the groups", "* is for rules that earn")
	}
	return r.list(n)
}

func (r *programmeReader) tenders(n *node) (out []Tender) {
	for i, s := range r.list(n) {
		t, err := ParseTender(s)
		if err != nil {
			r.bad(n.items[i], "write "+strings.Join(tenders[1:], ", "), "%.32q is not a way of paying", s)
			continue
		}
		out = append(out, t)
	}
	return out
}

func (r *programmeReader) days(n *node, lo uint64) time.Duration {
	return time.Duration(r.whole(n, lo, 366, " days")) * 24 * time.Hour
}

func (r *programmeReader) points(n *node, p *Programme) {
	p.PointValue = Kopecks(r.number(n.get("value"), 2, 1, 1_000_000, "roubles", 100))
	p.Step = Points(r.number(n.get("step"), 2, 1, 1_000_000, "points", 1))
}

// each calls f for every mapping of a list.
func (r *programmeReader) each(n *node, most int, what, example string, f func(*node)) {
	if n == nil {
		return
	}
	if n.kind != list {
		r.bad(n, "begin each "+what+" with a hyphen", "want a list of %ss", what)
		return
	}
	if len(n.items) > most {
		r.bad(n, "", "%d %ss, at most %d", len(n.items), what, most)
		return
	}
	for _, item := range n.items {
		if item.kind != mapping {
			r.bad(item, "write it like "+example, "a %s is a mapping of keys to values", what)
			continue
		}
		f(item)
	}
}

func (r *programmeReader) earn(n *node, p *Programme) {
	names := map[string]bool{}
	r.each(n, maxRules, "rule", "fuel: [\"*\"]", func(item *node) { p.Earn = append(p.Earn, r.rule(item, p, names)) })
}

func (r *programmeReader) rule(n *node, p *Programme, names map[string]bool) (rule EarnRule) {
	r.keys(n, "name", "fuel", "goods", "tender", "points", "per_litres", "per_roubles", "whole", "at_most")
	fuel, goods, litres, roubles := n.get("fuel"), n.get("goods"), n.get("per_litres"), n.get("per_roubles")
	switch {
	case (fuel == nil) == (goods == nil):
		r.bad(n, "give fuel: [grades] or goods: [groups], or [\"*\"] for all; what covers both is two rules", "a rule covers either fuel or goods")
	case fuel != nil && roubles != nil:
		r.bad(roubles, "write per_litres", "fuel earns by the litre")
	case goods != nil && litres != nil:
		r.bad(litres, "write per_roubles", "goods earn by the rouble")
	}
	if m := n.get("name"); m != nil {
		rule.Name = r.name(m, names)
	}
	digits := 3
	if fuel != nil {
		rule.Kind, rule.Codes = Fuel, r.covered(fuel)
		rule.Per = r.number(litres, 3, 1, MaxAmount, "litres", 1000)
	} else {
		rule.Kind, rule.Codes = Goods, r.covered(goods)
		rule.Per = r.number(roubles, 2, 1, MaxAmount, "roubles", 100)
		digits = 2
	}
	rule.Tenders = r.tenders(n.get("tender"))
	if points := r.required(n, "points"); points != nil && points.kind == mapping {
		rule.ByTier = r.byTier(points, p)
	} else if points != nil {
		rule.Points = Points(r.number(points, 2, 1, 1_000_000, "points", 0))
	}
	rule.Whole = r.choice(n.get("whole"), "false", "true") == 1
	if c := r.section(n, "at_most", "receipt", "day", "week", "month"); c != nil {
		rule.AtMost = r.caps(c, digits, "units")
		if rule.Name == "" && rule.AtMost != (Caps{Receipt: rule.AtMost.Receipt}) {
			r.bad(c, "give the rule a name, which the counter is kept under", "what counts over several receipts needs a name")
		}
	}
	return rule
}

// covered is the codes of a rule: none for all.
func (r *programmeReader) covered(n *node) []string {
	codes := r.list(n)
	if n != nil && n.kind == list && len(n.items) == 0 {
		r.bad(n, "write [\"*\"] for all", "a rule that covers nothing")
	}
	if slices.Contains(codes, "*") {
		if len(codes) > 1 {
			r.bad(n, "write [\"*\"] alone, or leave it out", "* covers the others already")
		}
		return nil
	}
	return codes
}

func (r *programmeReader) expiry(n *node, p *Programme) {
	months, yearly, spare := n.get("months"), n.get("yearly"), n.get("spare_days")
	if months != nil {
		p.LifeMonths = int(r.whole(months, 0, 120, " months"))
	}
	if yearly != nil {
		p.Annul = r.yearDay(yearly)
		if months != nil {
			r.bad(months, "keep one of months and yearly", "points expire either so long after they were earned or on a day of the year")
		}
	}
	if spare != nil {
		if p.SpareDays = int(r.whole(spare, 0, 366, " days")); yearly == nil {
			r.bad(spare, "add yearly, or remove it", "there is no day of the year to spare points from")
		}
	}
}

func (r *programmeReader) yearDay(n *node) YearDay {
	s, ok := r.word(n)
	if !ok {
		return YearDay{}
	}
	day, err := time.Parse("01-02", s)
	switch d := (YearDay{day.Month(), day.Day()}); {
	case err != nil:
		r.bad(n, "write month and day like 06-01", "%.16q is not a day of the year", s)
	case d == YearDay{time.February, 29}:
		r.bad(n, "take 03-01", "not every year has this day")
	default:
		return d
	}
	return YearDay{}
}

func (r *programmeReader) redeem(n *node, p *Programme) {
	p.RedeemShare = r.share(n.get("share"))
	r.each(n.get("shares"), maxRules, "share", "{fuel: [\"*\"], share: 50%}", func(item *node) {
		r.keys(item, "fuel", "goods", "share")
		if covers := r.covers(item); len(covers) != 1 {
			r.bad(item, "give fuel: [grades] or goods: [groups]", "a share covers either fuel or goods")
		} else if share := r.required(item, "share"); share != nil {
			p.RedeemShares = append(p.RedeemShares, Share{covers[0], r.share(share)})
		}
	})
	p.RedeemAsked = r.choice(n.get("activation"), "none", "required") == 1
	step := n.get("step")
	p.RedeemStep = Points(r.number(step, 2, 1, 100_000_000, "points", 1_00))
	if step != nil && int64(p.RedeemStep)*int64(p.PointValue)%100 != 0 {
		r.bad(step, "make it so large that each step pays whole kopecks", "%s points pay %s roubles each, which leaves a part of a kopeck", p.RedeemStep, p.PointValue)
	}
	p.MinMoney = Kopecks(r.number(n.get("min_money"), 2, 0, MaxAmount, "roubles", 0))
}

// share reads "50%"; without one it is all.
func (r *programmeReader) share(n *node) int64 {
	if n == nil {
		return 100_00
	}
	s, ok := r.word(n)
	if number, percent := strings.CutSuffix(s, "%"); percent {
		plain := *n
		plain.text = number
		return r.number(&plain, 2, 0, 100_00, "per cent", 100_00)
	}
	if ok {
		r.bad(n, "write it like 50%", "%.32q is not per cent", s)
	}
	return 100_00
}
