package loyalty

import (
	"slices"
	"strings"
	"unicode"
)

// Warnings tell what a good programme probably does not mean: a code that is written like another one but for its letters, a
// grade of which no rule knows, one promo code in two campaigns, a campaign that is over at the moment.
func (p *Programme) Warnings(at Instant) (words []Text) {
	words = append(words, p.lookalikes()...)
	words = append(words, p.strangers()...)
	words = append(words, p.sharedCodes()...)
	for i := range p.Campaigns {
		m := &p.Campaigns[i]
		if m.Until != 0 && m.Until <= at {
			words = append(words, both("акция %s закончилась: %s", "campaign %s is over since %s", m.Name, p.Moment(m.Until)))
		}
	}
	return words
}

// written calls f for every code and group of the file, in the order in which the programme has them.
func (p *Programme) written(f func(kind LineKind, code string)) {
	covers := func(cs ...Cover) {
		for _, c := range cs {
			for _, code := range c.Codes {
				f(c.Kind, code)
			}
		}
	}
	for i := range p.Earn {
		covers(Cover{p.Earn[i].Kind, p.Earn[i].Codes})
	}
	covers(p.TierBy.Covers...)
	for i := range p.RedeemShares {
		covers(p.RedeemShares[i].Cover)
	}
	for i := range p.Campaigns {
		covers(p.Campaigns[i].Covers...)
	}
	for _, code := range slices.Concat(p.NoEarn, p.NoRedeem) {
		f(0, code)
	}
}

// lookalikes are codes that differ only in capitals, spaces and hyphens, or in letters that look the same in two alphabets.
func (p *Programme) lookalikes() (words []Text) {
	times, forms := map[string]int{}, map[string][]string{}
	var order []string
	p.written(func(_ LineKind, code string) {
		if times[code]++; times[code] == 1 {
			k := folded(code)
			if forms[k] = append(forms[k], code); len(forms[k]) == 1 {
				order = append(order, k)
			}
		}
	})
	for _, k := range order {
		codes := forms[k]
		if len(codes) == 1 {
			continue
		}
		slices.SortStableFunc(codes, func(a, b string) int { return times[b] - times[a] })
		for _, code := range codes[1:] {
			words = append(words, both("“%s” написано почти как “%s”: коды сравниваются буква в букву", "“%s” is written almost like “%s”: codes are compared letter by letter", code, codes[0]))
		}
	}
	return words
}

// alike are Cyrillic letters that look like the Latin ones.
var alike = strings.NewReplacer("A", "А", "B", "В", "C", "С", "E", "Е", "H", "Н", "K", "К", "M", "М", "O", "О", "P", "Р", "T", "Т", "X", "Х", "Y", "У")

func folded(code string) string {
	return alike.Replace(strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '.' || r == '_' {
			return -1
		}
		return r
	}, code)))
}

// earnsBy tells whether a rule names the grade, or fuel of all grades.
func (p *Programme) earnsBy(grade string) bool {
	return slices.ContainsFunc(p.Earn, func(r EarnRule) bool {
		return r.Kind == Fuel && (len(r.Codes) == 0 || slices.Contains(r.Codes, grade))
	})
}

// strangers are grades for which something is said though no rule earns on them.
func (p *Programme) strangers() (words []Text) {
	seen := map[string]bool{}
	p.written(func(kind LineKind, code string) {
		if kind != Fuel || seen[code] || p.earnsBy(code) {
			return
		}
		seen[code] = true
		words = append(words, both("топливо “%s”: ни одно правило за него не начисляет", "fuel “%s”: no rule earns on it", code))
	})
	return words
}

// Knows tells whether the programme says anything of a fuel grade, or of fuel of all grades.
func (p *Programme) Knows(grade string) bool {
	known := p.earnsBy(grade)
	p.written(func(kind LineKind, code string) { known = known || kind != Goods && code == grade })
	return known
}

// Grades are the fuel grades that the rules name, each once.
func (p *Programme) Grades() (grades []string) {
	for i := range p.Earn {
		for _, code := range p.Earn[i].Codes {
			if p.Earn[i].Kind == Fuel && !slices.Contains(grades, code) {
				grades = append(grades, code)
			}
		}
	}
	return grades
}

// sharedCodes are promo codes that two campaigns have.
func (p *Programme) sharedCodes() (words []Text) {
	for i := range p.Campaigns {
		for j := range i {
			for _, code := range p.Campaigns[j].Promo.shared(p.Campaigns[i].Promo) {
				words = append(words, both("промокод %s есть в акциях %s и %s", "promo code %s is in the campaigns %s and %s", code, p.Campaigns[j].Name, p.Campaigns[i].Name))
			}
		}
	}
	return words
}

// shared are the codes that two campaigns' codes have in common: those in the lists, and a pattern that both have.
func (m *Promo) shared(o *Promo) (codes []string) {
	if m == nil || o == nil {
		return nil
	}
	for _, code := range m.Codes {
		if ours, _ := o.fits(code); ours {
			codes = append(codes, code)
		}
	}
	for _, code := range o.Codes {
		if ours, _ := m.fits(code); ours && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	if m.Pattern != "" && m.Pattern == o.Pattern {
		codes = append(codes, m.Pattern)
	}
	return codes
}
