package loyalty

import "cmp"

// PaymentWords tell in sentences what the programme makes of ways to pay; none where it makes no difference.
func (p *Programme) PaymentWords() (words []Text) {
	for _, t := range p.NoEarnBy {
		words = append(words, both("%s: баллы не начисляются", "%s: nothing is earned on what it pays", tenderWords[t.String()]))
	}
	for _, t := range p.NoRedeemBy {
		words = append(words, both("%s: баллы не списываются, если так оплачена хотя бы часть", "%s: nothing is redeemed where it pays any part", tenderWords[t.String()]))
	}
	for i := range p.Earn {
		r := &p.Earn[i]
		name := Text{cmp.Or(r.Name, "правило без имени"), cmp.Or(r.Name, "a rule without a name")}
		for _, t := range r.Tenders {
			words = append(words, both("%s: %s", "%s: %s", name, forWhatPays(t)))
		}
	}
	for i := range p.Campaigns {
		for _, t := range p.Campaigns[i].Tenders {
			words = append(words, both("акция %s: %s", "campaign %s: %s", p.Campaigns[i].Name, forWhatPays(t)))
		}
	}
	return words
}

func forWhatPays(t Tender) Text {
	return both("начисляется за часть, оплаченную так: %s", "earns on the part paid so: %s", tenderWords[t.String()])
}

// CompareVelocity tells what another version changes in the velocity rules, in the order of their names in the files: what
// each says before and after, in words.
func CompareVelocity(before, after *Programme) (changes []Difference) {
	said := func(p *Programme, name string) string {
		for i := range p.Velocity {
			if p.Velocity[i].Name == name {
				return p.Velocity[i].Words().EN
			}
		}
		return "none"
	}
	seen := map[string]bool{}
	for _, p := range []*Programme{before, after} {
		for i := range p.Velocity {
			name := p.Velocity[i].Name
			was, is := said(before, name), said(after, name)
			if !seen[name] && was != is {
				changes = append(changes, Difference{What: "velocity " + name, Before: was, After: is})
			}
			seen[name] = true
		}
	}
	return changes
}
