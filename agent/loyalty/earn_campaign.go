package loyalty

import "slices"

// byCampaigns adds what the campaigns that are running give, in the order of the file.
func (e *earning) byCampaigns() {
	codes := e.codes()
	for i := range e.p.Campaigns {
		m := &e.p.Campaigns[i]
		if m.Promo == nil && m.running(e.p, e.c.At, e.c.Station) && m.open(e.tier, e.c.Receipt.Tender) {
			e.byCampaign(m, "")
		}
	}
	for _, code := range codes {
		e.byCode(code)
	}
}

// codes is the receipt's promo codes as they are compared, each once.
func (e *earning) codes() (codes []string) {
	for _, c := range e.c.Receipt.Promo {
		if c = NormalCode(c); !slices.Contains(codes, c) {
			codes = append(codes, c)
		}
	}
	return codes
}

// codesLost says that promo codes were not used, since the receipt earns nothing at all.
func (e *earning) codesLost() {
	for range e.c.Receipt.Promo {
		e.reason(PromoNotMet)
	}
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
		case !m.running(e.p, e.c.At, e.c.Station):
			why = PromoNotNow
		case e.standing.counted(Tally{Counter: codeCounter(code), From: m.From, Until: m.Until}):
			why = PromoUsed
		case slices.ContainsFunc(e.grants, func(g grant) bool { return g.campaign == m }):
			why = PromoNotMet // one code of a campaign for a receipt
		case !m.open(e.tier, e.c.Receipt.Tender) || !e.byCampaign(m, code):
			why = PromoNotMet
		default:
			return
		}
	}
	e.reason(why)
	e.explain(Step{Kind: PromoStep, Name: code, Refusal: why})
}

// byCampaign gives what a running campaign gives and tells whether that is anything.
func (e *earning) byCampaign(m *Campaign, code string) bool {
	var volume Millilitres
	var amount Kopecks
	var money, litres int64
	any := false
	for i := range e.c.Receipt.Lines {
		l := &e.c.Receipt.Lines[i]
		if e.money[i] == 0 || !m.covers(l) {
			continue
		}
		any = true
		volume, amount = volume+l.Volume, amount+l.Amount
		money, litres = money+e.money[i], litres+e.volume[i]
	}
	if !any || volume < m.MinVolume || amount < m.MinMoney {
		return false
	}
	g := grant{campaign: m, code: code}
	g.active, g.expires = m.term(e.p, e.c.At)
	base := money
	switch {
	case m.Multiply > 0:
		g.points = e.multiplied(m)
	case m.Per > 0:
		if m.PerKind == Fuel {
			base = litres
		}
		g.points = Points(min(mulDiv(base, int64(m.Points), m.Per), maxEarned))
	default:
		g.points = m.Points
	}
	e.explainCampaign(m, base, g.points)
	g.points = e.campaignRoom(m, g.points)
	return e.grant(g) > 0
}

// multiplied is what the campaign adds to what the rules give for the lines that it covers. Where a cap cut a rule, the
// covered lines are taken to be those that were counted.
func (e *earning) multiplied(m *Campaign) (sum Points) {
	for j := range e.rules {
		rule, r := &e.p.Earn[j], e.rules[j]
		if r.capped == 0 {
			continue
		}
		base := e.covered(func(l *Line) bool { return rule.covers(l) && m.covers(l) }, rule.Kind)
		sum += rule.give(min(base, r.capped), e.tier)
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
