package loyalty

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ProgrammeSchema is the value of a file's first key.
const ProgrammeSchema = "azs-edge/programme/1"

// ParseProgramme reads a programme file strictly: an unknown key, a wrong unit or a value out of range is a problem that
// names the place and what to write instead, all of them at once, as [ProgrammeProblems]. The file's bytes are kept as
// Source.
func ParseProgramme(src []byte) (*Programme, error) {
	r := &programmeReader{}
	doc := r.document(src)
	if err := r.err(); err != nil {
		return nil, err
	}
	p := r.programme(doc)
	if err := r.err(); err != nil {
		return nil, err
	}
	p.Source = slices.Clone(src)
	return p, nil
}

func (r *programmeReader) programme(doc *node) *Programme {
	r.keys(doc, "schema", "name", "version", "effective", "title", "utc_offset", "points", "earn", "never_earn", "never_redeem",
		"activation", "expiry", "redeem", "unknown_card")
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
	r.earn(doc.get("earn"), p)
	p.NoEarn, p.NoRedeem = r.list(doc.get("never_earn")), r.list(doc.get("never_redeem"))
	for _, n := range []*node{doc.get("never_earn"), doc.get("never_redeem")} {
		if n != nil && slices.ContainsFunc(n.items, func(i *node) bool { return i.text == "*" }) {
			r.bad(n, "name the groups", "* is for rules that earn")
		}
	}
	if n := r.section(doc, "activation", "days").get("days"); n != nil {
		p.Activation = time.Duration(r.whole(n, 0, 366, " days")) * 24 * time.Hour
	}
	r.expiry(r.section(doc, "expiry", "months", "yearly", "spare_days"), p)
	r.redeem(r.section(doc, "redeem", "share", "step", "min_money"), p)
	if n := doc.get("unknown_card"); n != nil {
		s, ok := r.word(n)
		if p.AcceptUnknown = s == "accrue"; ok && s != "accrue" && s != "refuse" {
			r.bad(n, "write accrue or refuse", "%.32q is not what can be done with an unknown card", s)
		}
	}
	return p
}

func (r *programmeReader) points(n *node, p *Programme) {
	p.PointValue = Kopecks(r.number(n.get("value"), 2, 1, 1_000_000, "roubles", 100))
	p.Step = Points(r.number(n.get("step"), 2, 1, 1_000_000, "points", 1))
}

func (r *programmeReader) earn(n *node, p *Programme) {
	if n == nil {
		return
	}
	if n.kind != list {
		r.bad(n, "begin each rule with a hyphen", "want a list of rules")
		return
	}
	if len(n.items) > maxRules {
		r.bad(n, "", "%d rules, at most %d", len(n.items), maxRules)
		return
	}
	for _, item := range n.items {
		if item.kind != mapping {
			r.bad(item, "write it like fuel: [\"*\"]", "a rule is a mapping of keys to values")
			continue
		}
		p.Earn = append(p.Earn, r.rule(item))
	}
}

func (r *programmeReader) rule(n *node) (rule EarnRule) {
	r.keys(n, "fuel", "goods", "points", "per_litres", "per_roubles", "whole")
	fuel, goods, litres, roubles := n.get("fuel"), n.get("goods"), n.get("per_litres"), n.get("per_roubles")
	switch {
	case (fuel == nil) == (goods == nil):
		r.bad(n, "give fuel: [grades] or goods: [groups], or [\"*\"] for all; what covers both is two rules", "a rule covers either fuel or goods")
	case fuel != nil && roubles != nil:
		r.bad(roubles, "write per_litres", "fuel earns by the litre")
	case goods != nil && litres != nil:
		r.bad(litres, "write per_roubles", "goods earn by the rouble")
	}
	if fuel != nil {
		rule.Kind, rule.Codes = Fuel, r.covered(fuel)
		rule.Per = r.number(litres, 3, 1, MaxAmount, "litres", 1000)
	} else {
		rule.Kind, rule.Codes = Goods, r.covered(goods)
		rule.Per = r.number(roubles, 2, 1, MaxAmount, "roubles", 100)
	}
	if points := r.required(n, "points"); points != nil {
		rule.Points = Points(r.number(points, 2, 1, 1_000_000, "points", 0))
	}
	if w := n.get("whole"); w != nil {
		s, ok := r.word(w)
		if rule.Whole = s == "true"; ok && s != "true" && s != "false" {
			r.bad(w, "write true or false", "%.32q is neither true nor false", s)
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
	p.RedeemShare = 100_00
	if share := n.get("share"); share != nil {
		s, ok := r.word(share)
		if number, percent := strings.CutSuffix(s, "%"); percent {
			plain := *share
			plain.text = number
			p.RedeemShare = r.number(&plain, 2, 0, 100_00, "per cent", 100_00)
		} else if ok {
			r.bad(share, "write it like 50%", "%.32q is not per cent", s)
		}
	}
	step := n.get("step")
	p.RedeemStep = Points(r.number(step, 2, 1, 100_000_000, "points", 1_00))
	if step != nil && int64(p.RedeemStep)*int64(p.PointValue)%100 != 0 {
		r.bad(step, "make it so large that each step pays whole kopecks", "%s points pay %s roubles each, which leaves a part of a kopeck", p.RedeemStep, p.PointValue)
	}
	p.MinMoney = Kopecks(r.number(n.get("min_money"), 2, 0, MaxAmount, "roubles", 0))
}

// keys refuses keys that are not among the known, each once.
func (r *programmeReader) keys(n *node, known ...string) {
	seen := map[string]bool{}
	for _, f := range n.items {
		switch {
		case !slices.Contains(known, f.name):
			hint := "one of " + strings.Join(known, ", ")
			if near := nearest(f.name, known); near != "" {
				hint = "did you mean " + near + "?"
			}
			r.bad(f.at, hint, "there is no such key")
		case seen[f.name]:
			r.bad(f.at, "keep one", "the key is there twice")
		}
		seen[f.name] = true
	}
}

// nearest is the word that was probably meant: one that shares the beginning or the end of what was written.
func nearest(s string, known []string) string {
	for n := len(s); n >= 3; n-- {
		for _, k := range known {
			if strings.HasPrefix(k, s[:n]) || strings.HasSuffix(k, s[len(s)-n:]) {
				return k
			}
		}
	}
	return ""
}

// section is a mapping with its keys checked; nil: it is not there, or not a mapping.
func (r *programmeReader) section(doc *node, name string, known ...string) *node {
	n := doc.get(name)
	if n == nil {
		return nil
	}
	if n.kind != mapping {
		r.bad(n, "write its keys below it, indented: "+strings.Join(known, ", "), "want a mapping of keys to values")
		return nil
	}
	r.keys(n, known...)
	return n
}

// required is the value of a key that has no default.
func (r *programmeReader) required(n *node, name string) *node {
	v := n.get(name)
	if v == nil {
		at := *n
		if at.key = name; n.key != "" {
			at.key = n.key + "." + name
		}
		r.bad(&at, "", "the key is missing")
	}
	return v
}

// word is the text of a value. An empty one is refused: whoever leaves it empty may not know the default.
func (r *programmeReader) word(n *node) (s string, ok bool) {
	switch n.kind {
	case scalar:
		return n.text, true
	case empty:
		r.bad(n, "give a value, or remove the key to take the default", "the value is empty")
	default:
		r.bad(n, "", "want one value")
	}
	return "", false
}

func (r *programmeReader) number(n *node, digits int, lo, hi int64, unit string, fallback int64) int64 {
	if n == nil {
		return fallback
	}
	s, ok := r.word(n)
	if !ok {
		return fallback
	}
	v, err := ParseDecimal(s, digits)
	if err != nil {
		r.bad(n, "", "%.32q is not a number of %s with at most %d decimals", s, unit, digits)
		return fallback
	}
	if v < lo || v > hi {
		r.bad(n, "", "%.32q is out of range: from %s to %s %s", s, decimal(lo, digits, true), decimal(hi, digits, true), unit)
		return fallback
	}
	return v
}

func (r *programmeReader) whole(n *node, lo, hi uint64, unit string) uint64 {
	s, ok := r.word(n)
	if !ok {
		return lo
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil || v < lo || v > hi {
		r.bad(n, "", "%.32q is not a whole number from %d to %d%s", s, lo, hi, unit)
		return lo
	}
	return v
}

func (r *programmeReader) moment(n *node) Instant {
	s, ok := r.word(n)
	if !ok {
		return 0
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || at.Year() < 2000 || at.Year() > 2200 {
		r.bad(n, "write it like 2026-01-01T00:00:00+03:00", "%.40q is not a moment between 2000 and 2200", s)
		return 0
	}
	return At(at)
}

func (r *programmeReader) title(n *node, name string) string {
	t := r.required(n, name)
	if t == nil {
		return ""
	}
	s, ok := r.word(t)
	if ok && (s == "" || len(s) > maxTitleBytes || plainText("title", s) != nil) {
		r.bad(t, fmt.Sprintf("use 1 to %d bytes of plain text", maxTitleBytes), "not a title")
	}
	return s
}

// list is a list of fuel grades or goods groups.
func (r *programmeReader) list(n *node) []string {
	if n == nil {
		return nil
	}
	if n.kind != list {
		r.bad(n, "write it in brackets: [a, b]", "want a list")
		return nil
	}
	codes := make([]string, 0, min(len(n.items), maxCodes))
	seen := make(map[string]bool)
	for _, i := range n.items {
		if r.codes++; r.codes > maxCodes {
			r.bad(n, "", "more than %d codes and groups in this file", maxCodes)
			return codes
		}
		s, ok := r.word(i)
		switch {
		case !ok:
			continue
		case s == "" || len(s) > MaxLineText || plainText("code", s) != nil:
			r.bad(i, fmt.Sprintf("use 1 to %d bytes of plain text", MaxLineText), "not a code or group")
		case seen[s]:
			r.bad(i, "keep one", "%.64q is there twice", s)
		}
		seen[s] = true
		codes = append(codes, s)
	}
	return codes
}

// offset reads "+03:00".
func (r *programmeReader) offset(n *node) time.Duration {
	if n == nil {
		return 3 * time.Hour
	}
	s, ok := r.word(n)
	if !ok {
		return 0
	}
	t, err := time.Parse("-07:00", s)
	_, sec := t.Zone()
	d := time.Duration(sec) * time.Second
	if err != nil || d < -12*time.Hour || d > 14*time.Hour {
		r.bad(n, "write an offset like +03:00", "%.16q is not an offset from UTC", s)
		return 0
	}
	return d
}

func plainName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) < 0
}
