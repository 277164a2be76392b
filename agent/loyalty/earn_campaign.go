package loyalty

import "slices"

// byCampaigns adds what the campaigns that are running give, in the order of the file.
func (e *earning) byCampaigns() {
	if len(e.p.Campaigns) == 0 {
		e.codesLost(PromoUnknown)
		return
	}
	e.here = e.p.here(e.c.At, e.c.Station)
	e.index()
	codes := codesOf(e.c.Receipt)
	try := func(m *Campaign) {
		if m.Promo == nil && m.running(e.here) && m.open(e.tier) {
			e.byCampaign(m, "")
		}
	}
	if e.p.index != nil {
		for _, i := range e.p.index.candidates(e.c.Receipt.Lines) {
			try(&e.p.Campaigns[i])
		}
	} else {
		for i := range e.p.Campaigns {
			try(&e.p.Campaigns[i])
		}
	}
	for _, code := range codes {
		e.byCode(code)
	}
}

// index makes the receipt's lines that may earn findable by code and by group: hundreds of campaigns then cost a look-up
// for each of their codes, not a look at each line.
func (e *earning) index() {
	lines := e.c.Receipt.Lines
	e.links = make([]link, 0, 2*len(lines))
	e.heads = make(map[string]int32, 2*len(lines))
	e.marks = make([]int32, len(lines))
	add := func(name string, line int) {
		head, found := e.heads[name]
		if !found {
			head = -1
		}
		e.links = append(e.links, link{int32(line), head})
		e.heads[name] = int32(len(e.links) - 1)
	}
	for i := range lines {
		if e.money[i] == 0 {
			continue
		}
		add(lines[i].Code, i)
		if g := lines[i].Group; g != "" && g != lines[i].Code {
			add(g, i)
		}
	}
}

// link is a line of a code or group, and where the next one of it is; below zero: there is none.
type link struct{ line, next int32 }

// linesOf is the lines that may earn and that are covered, each once, in order.
func (e *earning) linesOf(covers []Cover) []int32 {
	e.mark++
	start := len(e.found)
	add := func(i int32, kind LineKind) {
		if e.marks[i] != e.mark && e.c.Receipt.Lines[i].Kind == kind && e.money[i] != 0 {
			e.marks[i] = e.mark
			e.found = append(e.found, i)
		}
	}
	if len(covers) == 0 {
		covers = everything
	}
	for j := range covers {
		if len(covers[j].Codes) == 0 {
			for i := range e.c.Receipt.Lines {
				add(int32(i), covers[j].Kind)
			}
		}
		for _, code := range covers[j].Codes {
			for at, found := e.heads[code]; found && at >= 0; at = e.links[at].next {
				add(e.links[at].line, covers[j].Kind)
			}
		}
	}
	lines := e.found[start:len(e.found):len(e.found)]
	slices.Sort(lines)
	return lines
}

var everything = []Cover{{Kind: Fuel}, {Kind: Goods}}

// codesOf is the receipt's promo codes as they are compared, each once.
func codesOf(r *Receipt) (codes []string) {
	for _, c := range r.Promo {
		if c = NormalCode(c); !slices.Contains(codes, c) {
			codes = append(codes, c)
		}
	}
	return codes
}

// codesLost says why no promo code brings anything.
func (e *earning) codesLost(why Refusal) {
	for i := range e.q.Promo {
		e.q.Promo[i] = why
		e.reason(why)
	}
}

// codeLost says why a promo code brings nothing, however often and in whatever form the receipt has it.
func (e *earning) codeLost(code string, why Refusal) {
	for i, c := range e.c.Receipt.Promo {
		if NormalCode(c) == code {
			e.q.Promo[i] = why
		}
	}
	e.reason(why)
}

// byCode gives what a promo code brings, or says why it brings nothing. A code is not used up by a receipt that it gives
// nothing for.
func (e *earning) byCode(code string) {
	why := PromoUnknown
	for i := range e.p.Campaigns {
		m := &e.p.Campaigns[i]
		if m.Promo == nil {
			continue
		}
		ours, sound := m.Promo.fits(code)
		if !ours {
			continue
		}
		switch {
		case !sound:
			why = PromoMistyped
		case !m.running(e.here):
			why = PromoNotNow
		case e.standing.counted(Tally{Counter: codeCounter(code), From: m.From, Until: m.Until}):
			why = PromoUsed
		case slices.ContainsFunc(e.grants, func(g grant) bool { return g.campaign == m }):
			why = PromoNotMet // one code of a campaign for a receipt
		case !m.open(e.tier) || !e.byCampaign(m, code):
			why = PromoNotMet
		default:
			return
		}
	}
	e.codeLost(code, why)
	e.explain(Step{Kind: PromoStep, Name: code, Refusal: why})
}

// byCampaign gives what a running campaign gives and tells whether that is anything.
func (e *earning) byCampaign(m *Campaign, code string) bool {
	part := e.portion(setOf(m.Tenders))
	if part.paid == 0 {
		return false
	}
	var volume Millilitres
	var amount Kopecks
	var money, litres int64
	lines := e.linesOf(m.Covers)
	for _, i := range lines {
		l := &e.c.Receipt.Lines[i]
		volume, amount = volume+l.Volume, amount+l.Amount
		money, litres = money+e.money[i], litres+e.volume[i]
	}
	if len(lines) == 0 || volume < m.MinVolume || amount < m.MinMoney {
		return false
	}
	g := grant{campaign: m, code: code, lines: lines}
	g.active, g.expires = m.term(e.p, e.c.At)
	base := money
	switch {
	case m.Multiply > 0:
		g.points = e.multiplied(m, lines)
		base = part.of(base)
	case m.Per > 0:
		if m.PerKind == Fuel {
			base = litres
		}
		base = e.partOf(base, part, m.Name, m.PerKind)
		g.points = Points(min(mulDiv(base, int64(m.Points), m.Per), maxEarned))
	default:
		g.points = Points(e.partOf(int64(m.Points), part, m.Name, 0))
		base = part.of(base)
	}
	e.explainCampaign(&g, base)
	g.points = e.campaignRoom(m, g.points)
	return e.grant(g) > 0
}

// multiplied is what the campaign adds to what the rules give for the lines that it covers. Where a cap cut a rule, the
// covered lines are taken to be those that were counted.
func (e *earning) multiplied(m *Campaign, lines []int32) (sum Points) {
	for j := range e.rules {
		rule, r := &e.p.Earn[j], e.rules[j]
		part := e.portion(setOf(rule.Tenders) & setOf(m.Tenders))
		if r.capped == 0 || part.paid == 0 {
			continue
		}
		var base int64
		for _, i := range lines {
			if rule.covers(&e.c.Receipt.Lines[i]) {
				base += e.base(int(i), rule.Kind)
			}
		}
		sum += rule.give(min(part.of(base), r.capped), e.tier)
	}
	return min(Points(mulDiv(int64(sum), m.Multiply-100, 100)), maxEarned)
}

// campaignRoom cuts what the campaign has given to the account or the card already.
func (e *earning) campaignRoom(m *Campaign, points Points) Points {
	left := points
	if m.PerAccount > 0 {
		left = min(left, max(0, m.PerAccount-Points(e.standing.Used(m.counter(), e.c.At))))
	}
	if m.PerCard > 0 && e.c.Card != nil {
		left = min(left, max(0, m.PerCard-Points(e.standing.Used(m.cardCounter(e.c.Card.Number), e.c.At))))
	} else if m.PerCard > 0 {
		left = min(left, m.PerCard)
	}
	if left < points {
		e.reason(CampaignLimit)
		e.explain(Step{Kind: CampaignCapStep, Name: m.Name, Base: int64(points), Points: left})
	}
	return left
}

// countCampaign counts what a campaign with a bound has given.
func (e *earning) countCampaign(g *grant) {
	m := g.campaign
	if m.PerAccount > 0 {
		e.countSpan(m.counter(), m.From, m.Until, int64(g.points))
	}
	if m.PerCard > 0 && e.c.Card != nil {
		e.countSpan(m.cardCounter(e.c.Card.Number), m.From, m.Until, int64(g.points))
	}
}
