package loyalty

import (
	"math"
	"slices"
)

// earning works out what one receipt earns. Each source of points (all rules together, then each campaign) rounds down
// to the programme's step by itself, limits then cut from the last source to the first, and only then the points are
// divided: over the rules in multiples of the step, and what a rule or campaign gives over its lines in hundredths.
type earning struct {
	p *Programme
	c *Case
	q *Quote

	standing *Standing
	tier     int
	earns    tenderSet
	money    []int64 // of each line, what is paid with money: kopecks; zero where it earns nothing
	volume   []int64 // of each fuel line the same part: millilitres
	weights  []int64 // scratch

	rules  []ruled // what each rule counted
	grants []grant

	here  here             // for campaigns, as are all below
	heads map[string]int32 // a code or group -> its last line in links
	links []link
	marks []int32 // of each line, when it was found last
	mark  int32
	found []int32
}

// ruled is what one rule gave.
type ruled struct {
	capped int64 // of what all lines come to that it covers, what its caps leave
	points Points
}

// grant is the points of one source.
type grant struct {
	campaign *Campaign // nil: the rules
	lines    []int32   // that the campaign covers
	code     string    // the promo code that brought it
	points   Points
	active   Instant
	expires  Instant
}

// maxEarned bounds what one rule or campaign gives for one receipt: all together stay within [MaxAmount].
const maxEarned = MaxAmount / (2 * (maxRules + maxCampaigns))

func (e *earning) run() {
	if e.c.Account != nil {
		e.standing = &e.c.Account.Standing
	} else {
		e.standing = &Standing{}
	}
	e.tier = e.p.TierAt(e.standing, e.c.At)
	if n := len(e.c.Receipt.Promo); n > 0 {
		e.q.Promo = make([]Refusal, n)
	}
	e.bases()
	e.payments()
	switch {
	case e.portion(allTenders).paid == 0:
		e.codesLost(PromoNotMet)
	case !e.purchase():
		e.codesLost(PromoNotMet)
		e.countTier()
	default:
		e.byRules()
		e.byCampaigns()
		e.cut()
		e.book()
		e.countTier()
	}
	slices.SortFunc(e.q.Counted, Tally.order)
	e.progress()
}

// bases is what each line may earn on: points are never earned on the part paid with points. Fuel earns by volume, reduced
// in proportion to the part paid with money.
func (e *earning) bases() {
	for i := range e.c.Receipt.Lines {
		l := &e.c.Receipt.Lines[i]
		e.money[i], e.volume[i] = 0, 0
		if l.among(e.p.NoEarn) {
			e.explainExcluded(i)
			continue
		}
		e.money[i] = int64(l.Amount - e.q.Lines[i])
		if l.Kind == Fuel && l.Amount > 0 {
			e.volume[i] = mulDiv(int64(l.Volume), e.money[i], int64(l.Amount))
		}
	}
}

// base is what a line counts for a rule of its kind.
func (e *earning) base(i int, kind LineKind) int64 {
	if kind == Fuel {
		return e.volume[i]
	}
	return e.money[i]
}

func (e *earning) reason(r Refusal) {
	if !slices.Contains(e.q.Reasons, r) {
		e.q.Reasons = append(e.q.Reasons, r)
	}
}

func (e *earning) count(c Counter, k period, amount int64) {
	from, until := e.p.span(k, e.c.At)
	e.countSpan(c, from, until, amount)
}

func (e *earning) countSpan(c Counter, from, until Instant, amount int64) {
	if amount > 0 {
		e.q.Counted = append(e.q.Counted, Tally{Counter: c, From: from, Until: until, Amount: min(amount, MaxAmount)})
	}
}

// purchase counts the purchase and tells whether it may earn.
func (e *earning) purchase() bool {
	may := true
	e.p.Limits.Purchases.each(func(k period, most int64) {
		c := Counter("purchases:" + periodNames[k])
		if used := e.standing.Used(c, e.c.At); used >= most && may {
			may = false
			e.reason(PurchaseLimit)
			e.explain(Step{Kind: PurchasesStep, Name: periodNames[k], Base: used + 1, Per: most})
		}
		e.count(c, k, 1)
	})
	return may
}

// left is what the caps of something leave of a base, with the counters of its name.
func (e *earning) left(c *Caps, name string, base int64) int64 {
	out := base
	if c.Receipt > 0 {
		out = min(out, c.Receipt)
	}
	c.each(func(k period, most int64) {
		out = min(out, max(0, most-e.standing.Used(Counter(name+":"+periodNames[k]), e.c.At)))
	})
	return out
}

func (e *earning) byRules() {
	var sum Points
	if n := len(e.p.Earn); n > 0 {
		e.rules = make([]ruled, n)
	}
	for j := range e.p.Earn {
		rule := &e.p.Earn[j]
		part := e.portion(setOf(rule.Tenders))
		if part.paid == 0 {
			continue
		}
		base := e.partOf(e.covered(func(l *Line) bool { return rule.covers(l) }, rule.Kind), part, rule.Name, rule.Kind)
		if base == 0 {
			continue
		}
		capped := e.left(&rule.AtMost, "rule:"+rule.Name, base)
		if capped < base {
			e.reason(EarnLimit)
			e.explain(Step{Kind: CapStep, Name: rule.Name, Unit: rule.Kind, Base: base, Per: capped})
		}
		rule.AtMost.each(func(k period, _ int64) { e.count(Counter("rule:"+rule.Name+":"+periodNames[k]), k, capped) })
		points := rule.give(capped, e.tier)
		e.rules[j] = ruled{capped, points}
		sum += points
		e.explainRule(rule, j, capped, points)
	}
	e.grant(grant{points: sum, active: e.p.activation(e.c.At), expires: e.p.expiry(e.c.At)})
}

// covered is the sum of the bases of some lines.
func (e *earning) covered(covers func(*Line) bool, kind LineKind) (sum int64) {
	for i := range e.c.Receipt.Lines {
		if b := e.base(i, kind); b != 0 && covers(&e.c.Receipt.Lines[i]) {
			sum += b
		}
	}
	return sum
}

// grant notes the points of a source, rounded down to the programme's step.
func (e *earning) grant(g grant) Points {
	if rounded := g.points - g.points%e.p.Step; rounded != g.points {
		e.explain(Step{Kind: RoundStep, Name: g.name(), Rate: e.p.Step, Points: rounded})
		g.points = rounded
	}
	if g.points > 0 {
		e.grants = append(e.grants, g)
	}
	return g.points
}

func (g *grant) name() string {
	if g.campaign != nil {
		return g.campaign.Name
	}
	return ""
}

// tenders is which tenders the source is for.
func (g *grant) tenders() tenderSet {
	if g.campaign != nil {
		return setOf(g.campaign.Tenders)
	}
	return allTenders
}

// cut applies the limits of all points together, to the last source first, so that what the rules give stays longest.
func (e *earning) cut() {
	var all Points
	for i := range e.grants {
		all += e.grants[i].points
	}
	allowed := Points(e.left(&e.p.Limits.Points, "points", int64(all)))
	if allowed < all {
		e.reason(EarnLimit)
		e.explain(Step{Kind: PointsCapStep, Base: int64(all), Points: allowed})
	}
	if most := e.p.Limits.Balance; most > 0 && e.c.Account != nil {
		if room := max(0, most-(e.c.Account.Total(e.c.At)-e.q.Redeem)); room < allowed {
			allowed = room
			e.reason(BalanceLimit)
			e.explain(Step{Kind: BalanceStep, Base: int64(most), Points: allowed})
		}
	}
	allowed -= allowed % e.p.Step
	for i := len(e.grants) - 1; i >= 0 && all > allowed; i-- {
		x := min(e.grants[i].points, all-allowed)
		e.grants[i].points -= x
		all -= x
	}
	e.p.Limits.Points.each(func(k period, _ int64) { e.count(Counter("points:"+periodNames[k]), k, int64(all)) })
}

// book turns the sources into lots, claims and the points of each line.
func (e *earning) book() {
	for i := range e.grants {
		g := &e.grants[i]
		e.q.Earn += g.points
		e.divide(g)
		lot := Lot{Amount: g.points, ActiveFrom: g.active, Expires: g.expires}
		switch {
		case g.points == 0 && g.code != "":
			e.codeLost(g.code, PromoNotMet) // a limit left nothing of it: the code is not used up
		case g.points == 0:
		case g.code != "":
			t := Tally{Counter: codeCounter(g.code), From: g.campaign.From, Until: g.campaign.Until, Amount: 1}
			e.q.Claims = append(e.q.Claims, Claim{t, lot})
		default:
			e.putLot(lot)
		}
		if g.campaign != nil {
			e.countCampaign(g)
		}
	}
	slices.SortFunc(e.q.Lots, Lot.before)
}

func (e *earning) putLot(l Lot) {
	for i := range e.q.Lots {
		if e.q.Lots[i].ActiveFrom == l.ActiveFrom && e.q.Lots[i].Expires == l.Expires {
			e.q.Lots[i].Amount += l.Amount
			return
		}
	}
	e.q.Lots = append(e.q.Lots, l)
}

// divide spreads the points of a source over the lines that they were earned on. It does so in hundredths: a line that
// earned its part of a step must not be left with nothing, for then it could be refunded with nothing taken back.
func (e *earning) divide(g *grant) {
	switch {
	case g.points == 0:
	case g.campaign == nil:
		e.divideRules(g)
	default:
		e.divideCampaign(g)
	}
}

// ownUnit is what one hundredth of a point weighs where lines are weighed by what they earn: so much that all lines of a
// receipt together weigh something if they earn anything.
const ownUnit = 1_000_000

// maxWeight bounds the weight of a line, so that the weights of all lines still add up in an int64.
const maxWeight = math.MaxInt64 / MaxLines

// divideRules gives each rule's own points to the lines that it covers. Between the rules they stay in whole steps, so that
// goods that came to no step take nothing from the fuel that did.
func (e *earning) divideRules(g *grant) {
	n := len(e.rules)
	shares, weights := make([]Points, n), make([]int64, n)
	for j := range e.rules {
		weights[j] = int64(e.rules[j].points)
	}
	divideOwn(shares, g.points, e.p.Step, weights)
	for j, share := range shares {
		if share == 0 {
			continue
		}
		clear(e.weights)
		for i := range e.c.Receipt.Lines {
			e.weigh(i, j, allTenders)
		}
		divide(e.q.LineEarn, share, 1, e.weights)
	}
}

// divideCampaign gives a campaign's points to the lines that it covers: by what they add to each where that is known, and
// fixed ones by what money paid for.
func (e *earning) divideCampaign(g *grant) {
	m := g.campaign
	clear(e.weights)
	part := e.portion(g.tenders())
	for _, i := range g.lines {
		switch {
		case m.Multiply > 0:
			for j := range e.rules {
				e.weigh(int(i), j, g.tenders())
			}
			e.weights[i] = min(mulDiv(e.weights[i], m.Multiply-100, 100), maxWeight)
		case m.Per > 0:
			e.weights[i] = min(part.of(mulDiv(e.base(int(i), m.PerKind), int64(m.Points)*ownUnit, m.Per)), maxWeight)
		}
	}
	if !slices.ContainsFunc(e.weights, func(w int64) bool { return w > 0 }) {
		for _, i := range g.lines {
			e.weights[i] = e.base(int(i), Goods)
		}
	}
	divide(e.q.LineEarn, g.points, 1, e.weights)
}

// weigh adds to a line's weight what a rule gives for it, as far as some tenders pay.
func (e *earning) weigh(i, j int, tenders tenderSet) {
	rule := &e.p.Earn[j]
	if e.rules[j].capped == 0 || !rule.covers(&e.c.Receipt.Lines[i]) {
		return
	}
	if b := e.base(i, rule.Kind); b != 0 {
		w := e.portion(setOf(rule.Tenders) & tenders).of(mulDiv(b, int64(rule.rate(e.tier))*ownUnit, rule.Per))
		e.weights[i] = min(e.weights[i]+min(w, maxWeight), maxWeight)
	}
}

// countTier counts what was bought towards the tiers.
func (e *earning) countTier() {
	if len(e.p.Tiers) == 0 {
		return
	}
	by := &e.p.TierBy
	var sum int64
	for i := range e.c.Receipt.Lines {
		l := &e.c.Receipt.Lines[i]
		if l.among(e.p.NoEarn) || !coveredBy(by.Covers, l) {
			continue
		}
		if by.Unit == Fuel {
			sum += int64(l.Volume)
		} else {
			sum += int64(l.Amount - e.q.Lines[i])
		}
	}
	from, until := e.p.tierSpan(e.standing.Joined, e.c.At)
	e.countSpan(counterOfTiers, from, until, e.portion(allTenders).of(sum))
}

func coveredBy(covers []Cover, l *Line) bool {
	if len(covers) == 0 {
		return true
	}
	return slices.ContainsFunc(covers, func(c Cover) bool { return c.covers(l) })
}

// progress says where the receipt brings the customer.
func (e *earning) progress() {
	if len(e.p.Tiers) == 0 {
		return
	}
	from, _ := e.p.tierSpan(e.standing.Joined, e.c.At)
	counts := max(from, e.c.At)
	now, ahead := e.standing.Used(counterOfTiers, e.c.At), e.standing.Used(counterOfTiers, counts)
	for _, t := range e.q.Counted {
		if t.Counter == counterOfTiers && t.Live(e.c.At) {
			now += t.Amount
		}
		if t.Counter == counterOfTiers && t.Live(counts) {
			ahead += t.Amount
		}
	}
	e.q.Progress = e.p.progress(now, ahead)
}
