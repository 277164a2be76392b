package loyalty

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// name reads a name that is not among those there are.
func (r *programmeReader) name(n *node, names map[string]bool) string {
	s, ok := r.word(n)
	switch {
	case ok && !plainName(s):
		r.bad(n, "use 1 to 32 lower-case letters, digits and hyphens", "%.64q cannot be a name", s)
	case ok && names[s]:
		r.bad(n, "take another name", "the name %s is there twice", s)
	}
	names[s] = true
	return s
}

// covers is the lines that fuel and goods of a mapping name: none for all.
func (r *programmeReader) covers(n *node) (covers []Cover) {
	if f := n.get("fuel"); f != nil {
		covers = append(covers, Cover{Fuel, r.covered(f)})
	}
	if g := n.get("goods"); g != nil {
		covers = append(covers, Cover{Goods, r.covered(g)})
	}
	return covers
}

func (r *programmeReader) caps(n *node, digits int, unit string) Caps {
	read := func(name string) int64 {
		return r.number(n.get(name), digits, 1, MaxAmount, unit, 0)
	}
	return Caps{Receipt: read("receipt"), Day: read("day"), Week: read("week"), Month: read("month")}
}

func (r *programmeReader) tiers(n *node, p *Programme) {
	if n == nil {
		return
	}
	by := &p.TierBy
	digits, unit := 3, "litres"
	if by.Unit = Fuel; r.choice(n.get("count"), "litres", "roubles") == 1 {
		by.Unit, digits, unit = Goods, 2, "roubles"
	}
	by.Covers = r.covers(n)
	by.Window = Window(r.choice(n.get("window"), windowNames...))
	days := n.get("days")
	switch inDays := by.Window == RollingDays || by.Window == NextDays; {
	case inDays && days == nil:
		r.required(n, "days")
	case inDays:
		by.Days = int(r.whole(days, 1, 366, " days"))
	case days != nil:
		r.bad(days, "remove it", "a window of a month has no days")
	}
	names := map[string]bool{}
	levels := r.required(n, "levels")
	r.each(levels, 32, "level", "{name: gold, title: {ru: Золотой, en: Gold}, from: 300}", func(item *node) {
		r.keys(item, "name", "title", "from")
		t := Tier{From: r.number(r.required(item, "from"), digits, 0, MaxAmount, unit, 0)}
		if m := r.required(item, "name"); m != nil {
			t.Name = r.name(m, names)
		}
		if m := r.section(item, "title", "ru", "en"); m != nil {
			t.Title = Text{r.title(m, "ru"), r.title(m, "en")}
		} else {
			t.Title = Text{t.Name, t.Name}
		}
		switch n := len(p.Tiers); {
		case n == 0 && t.From != 0:
			r.bad(item, "write from: 0", "everybody has the lowest level")
		case n > 0 && t.From <= p.Tiers[n-1].From:
			r.bad(item, "order the levels from the lowest to the highest", "this level begins where the one before does, or below")
		}
		p.Tiers = append(p.Tiers, t)
	})
	if levels != nil && levels.kind == list && len(levels.items) == 0 {
		r.bad(levels, "add levels, or remove tiers", "tiers without levels")
	}
}

var windowNames = []string{"rolling", "this_month", "next_month", "next_days"}

// byTier is an amount of points for each tier.
func (r *programmeReader) byTier(n *node, p *Programme) (points []Points) {
	known := make([]string, len(p.Tiers))
	for i, t := range p.Tiers {
		known[i] = t.Name
	}
	if len(known) == 0 {
		r.bad(n, "write one number, or add tiers", "points by level, and there are no levels")
		return nil
	}
	r.keys(n, known...)
	for i, name := range known {
		if slices.Contains(known[:i], name) {
			continue // that it is there twice has been said
		}
		points = append(points, Points(r.number(r.required(n, name), 2, 0, 1_000_000, "points", 0)))
	}
	return points
}

func (r *programmeReader) limits(n *node, p *Programme) {
	if c := r.section(n, "purchases", "day", "week", "month"); c != nil {
		p.Limits.Purchases = r.caps(c, 0, "purchases")
	}
	if c := r.section(n, "points", "receipt", "day", "week", "month"); c != nil {
		p.Limits.Points = r.caps(c, 2, "points")
	}
	p.Limits.Balance = Points(r.number(n.get("balance"), 2, 1, MaxAmount, "points", 0))
}

func (r *programmeReader) cards(n *node, p *Programme) {
	read := func(name string) int {
		if m := n.get(name); m != nil {
			return int(r.whole(m, 1, 1000, " cards"))
		}
		return 0
	}
	p.Cards = CardRules{Main: read("main"), Additional: read("additional"), Virtual: read("virtual")}
	p.Cards.OwnerAllows = r.choice(n.get("additional_redeem"), "always", "owner") == 1
}

func (r *programmeReader) campaigns(n *node, p *Programme) {
	names := map[string]bool{}
	r.each(n, maxCampaigns, "campaign", "name: summer", func(item *node) { p.Campaigns = append(p.Campaigns, r.campaign(item, p, names)) })
}

func (r *programmeReader) campaign(n *node, p *Programme, names map[string]bool) Campaign {
	r.keys(n, "name", "title", "from", "until", "stations", "weekdays", "hours", "tiers", "tender", "fuel", "goods", "min_litres", "min_roubles",
		"multiply", "points", "per_litres", "per_roubles", "at_most", "promo", "activation_days", "life_days", "expires")
	m := Campaign{Activation: -1, Covers: r.covers(n), Tenders: r.tenders(n.get("tender"))}
	if x := r.required(n, "name"); x != nil {
		m.Name = r.name(x, names)
	}
	if x := r.section(n, "title", "ru", "en"); x != nil {
		m.Title = Text{r.title(x, "ru"), r.title(x, "en")}
	} else if n.get("title") == nil {
		m.Title = Text{m.Name, m.Name}
	}
	if x := r.required(n, "from"); x != nil {
		m.From = r.moment(x)
	}
	if x := n.get("until"); x != nil {
		if m.Until = r.moment(x); m.Until <= m.From {
			r.bad(x, "", "the campaign ends before it begins")
		}
	}
	r.where(n, p, &m)
	m.MinVolume = Millilitres(r.number(n.get("min_litres"), 3, 1, MaxAmount, "litres", 0))
	m.MinMoney = Kopecks(r.number(n.get("min_roubles"), 2, 1, MaxAmount, "roubles", 0))
	r.effect(n, &m)
	if x := r.section(n, "at_most", "account", "card"); x != nil {
		m.PerAccount = Points(r.number(x.get("account"), 2, 1, MaxAmount, "points", 0))
		m.PerCard = Points(r.number(x.get("card"), 2, 1, MaxAmount, "points", 0))
	}
	r.term(n, p, &m)
	r.promo(n, &m)
	return m
}

// where reads at which stations, at what times and for whom a campaign runs.
func (r *programmeReader) where(n *node, p *Programme, m *Campaign) {
	for i, s := range r.list(n.get("stations")) {
		var id uint32
		if _, err := fmt.Sscanf(s, "%d", &id); err != nil || fmt.Sprint(id) != s || id == 0 || id > uint32(MaxStation) {
			r.bad(n.get("stations").items[i], "", "%.32q is not a station's number", s)
		}
		m.Stations = append(m.Stations, StationID(id))
	}
	slices.Sort(m.Stations)
	for i, s := range r.list(n.get("weekdays")) {
		d := slices.Index(weekdays, s)
		if d < 0 {
			r.bad(n.get("weekdays").items[i], "write "+strings.Join(weekdays, ", "), "%.32q is not a day of the week", s)
			continue
		}
		m.Weekdays |= 1 << d
	}
	if x := n.get("hours"); x != nil {
		s, ok := r.word(x)
		from, until, dash := strings.Cut(s, "-")
		f, err1 := time.Parse("15:04", from)
		u, err2 := time.Parse("15:04", until)
		if ok && (!dash || err1 != nil || err2 != nil || from == until) {
			r.bad(x, "write them like 22:00-06:00", "%.32q are not hours of a day", s)
		}
		m.Hours = [2]int{f.Hour()*60 + f.Minute(), u.Hour()*60 + u.Minute()}
	}
	for i, s := range r.list(n.get("tiers")) {
		t := slices.IndexFunc(p.Tiers, func(t Tier) bool { return t.Name == s })
		if t < 0 {
			r.bad(n.get("tiers").items[i], "", "there is no level %.32q", s)
			continue
		}
		m.Tiers |= 1 << t
	}
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// effect reads what a campaign gives: exactly one thing.
func (r *programmeReader) effect(n *node, m *Campaign) {
	multiply, points, litres, roubles := n.get("multiply"), n.get("points"), n.get("per_litres"), n.get("per_roubles")
	switch {
	case (multiply == nil) == (points == nil):
		r.bad(n, "give multiply: 2, or points: 50 for the receipt, or points with per_litres or per_roubles", "a campaign gives one thing")
	case multiply != nil && (litres != nil || roubles != nil):
		r.bad(multiply, "give points with per_litres or per_roubles instead", "a multiple has no unit")
	case litres != nil && roubles != nil:
		r.bad(roubles, "keep one", "points either for litres or for roubles")
	}
	m.Multiply = r.number(multiply, 2, 101, 100_00, "times", 0)
	m.Points = Points(r.number(points, 2, 1, 10_000_000, "points", 0))
	switch {
	case litres != nil:
		m.PerKind, m.Per = Fuel, r.number(litres, 3, 1, MaxAmount, "litres", 1000)
	case roubles != nil:
		m.PerKind, m.Per = Goods, r.number(roubles, 2, 1, MaxAmount, "roubles", 100)
	}
}

// term reads when a campaign's points may pay and when they expire.
func (r *programmeReader) term(n *node, p *Programme, m *Campaign) {
	if x := n.get("activation_days"); x != nil {
		m.Activation = r.days(x, 0)
	}
	life, expires := n.get("life_days"), n.get("expires")
	wait := p.Activation
	if m.Activation >= 0 {
		wait = m.Activation
	}
	if life != nil {
		if m.LifeDays = int(r.whole(life, 1, 3660, " days")); time.Duration(m.LifeDays)*24*time.Hour < wait {
			r.bad(life, "make it longer, or set activation_days", "the points expire before they may pay")
		}
	}
	if expires != nil {
		m.Expires = r.moment(expires)
		if life != nil {
			r.bad(expires, "keep one of life_days and expires", "points expire either so long after they were earned or at a moment")
		}
		if m.Until == 0 || m.Expires < m.Until {
			r.bad(expires, "let the campaign end first", "points could be earned that have expired already")
		}
	}
}

func (r *programmeReader) promo(n *node, m *Campaign) {
	x := r.section(n, "promo", "codes", "pattern", "check")
	if x == nil {
		return
	}
	m.Promo = &Promo{}
	for i, s := range r.list(x.get("codes")) {
		code := NormalCode(s)
		if !plainCode(code) {
			r.bad(x.get("codes").items[i], "use 3 to 32 Latin or Russian letters and digits", "%.64q cannot be a promo code", s)
		}
		m.Promo.Codes = append(m.Promo.Codes, code)
	}
	slices.Sort(m.Promo.Codes)
	if y := x.get("pattern"); y != nil {
		s, ok := r.word(y)
		m.Promo.Pattern = NormalCode(s)
		if ok && (!plainCode(strings.ReplaceAll(m.Promo.Pattern, "#", "0")) || strings.Count(s, "#") < 4) {
			r.bad(y, "write it like RN######, a # for each digit, at least four", "%.64q is not a pattern of promo codes", s)
		}
	}
	m.Promo.Luhn = r.choice(x.get("check"), "none", "luhn") == 1
	switch {
	case len(m.Promo.Codes) == 0 && m.Promo.Pattern == "":
		r.bad(x, "give codes or pattern", "a promo code campaign without codes")
	case m.Promo.Luhn && m.Promo.Pattern == "":
		r.bad(x.get("check"), "give a pattern, or remove it", "listed codes have no check digit")
	case m.Until == 0:
		r.bad(x, "add until to the campaign", "used codes are remembered while the campaign runs, so it has to end")
	}
}

func plainCode(s string) bool {
	n := 0
	for _, c := range s {
		if n++; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'А' || c > 'Я') {
			return false
		}
	}
	return 3 <= n && n <= 32
}
