package loyalty

import "slices"

// ParseScenario reads a scenario file as strictly as [ParseProgramme] reads a programme. What is wrong comes all at once;
// the error is of [ErrScenario].
func ParseScenario(src []byte) (*Scenario, error) {
	r := &programmeReader{first: "scenario: and what it shows"}
	doc := r.document(src)
	var s *Scenario
	if len(r.problems) == 0 {
		s = r.scenario(doc)
	}
	if len(r.problems) > 0 {
		_ = r.err() // sorts them
		return nil, scenarioProblems{r.problems}
	}
	return s, nil
}

const maxScenarioSales = 1000

func (r *programmeReader) scenario(doc *node) *Scenario {
	r.keys(doc, "scenario", "terms", "programme", "station", "card", "account", "sales")
	s := &Scenario{Title: r.text(r.required(doc, "scenario")), Terms: r.text(doc.get("terms")), Programme: r.text(doc.get("programme")), Station: 1}
	if n := doc.get("station"); n != nil {
		s.Station = StationID(r.whole(n, 1, uint64(MaxStation), ""))
	}
	r.scenarioCard(r.section(doc, "card", "number", "kind", "state", "may_redeem", "known"), s)
	r.scenarioAccount(r.section(doc, "account", "state", "joined", "redeem_on", "lots", "tallies"), s)
	r.each(r.required(doc, "sales"), maxScenarioSales, "sale", "at: 2026-03-14T12:00:00+03:00", func(n *node) {
		s.Sales = append(s.Sales, r.scenarioSale(n))
	})
	return s
}

func (r *programmeReader) text(n *node) string {
	if n == nil {
		return ""
	}
	s, ok := r.word(n)
	if ok && (len(s) > 1000 || plainText("text", s) != nil) {
		r.bad(n, "use plain text", "not a text of at most 1000 bytes")
	}
	return s
}

func (r *programmeReader) scenarioCard(n *node, s *Scenario) {
	s.Known = r.choice(n.get("known"), "true", "false") == 0
	s.Card = Card{Number: "7000000000000001", Account: 1}
	if x := n.get("number"); x != nil {
		if s.Card.Number = CardNumber(r.text(x)); s.Card.Number.Check() != nil {
			r.bad(x, "use 4 to 64 letters, digits and hyphens", "not a card number")
		}
	}
	s.Card.Kind = CardKind(r.choice(n.get("kind"), kindNames...))
	s.Card.State = State(r.choice(n.get("state"), stateNames...))
	s.Card.MayRedeem = r.choice(n.get("may_redeem"), "true", "false") == 0
}

func (r *programmeReader) scenarioAccount(n *node, s *Scenario) {
	a := &s.Account
	a.ID, a.State = 1, State(r.choice(n.get("state"), stateNames...))
	a.RedeemOn = r.choice(n.get("redeem_on"), "false", "true") == 1
	if x := n.get("joined"); x != nil {
		a.Joined = r.moment(x)
	}
	for _, l := range r.lots(n.get("lots")) {
		if err := a.Accrue(l); err != nil {
			r.bad(n.get("lots"), "", "more points than an account can hold")
		}
	}
	r.each(n.get("tallies"), MaxTallies, "tally", "{counter: tier, amount: 250000, from: ..., until: ...}", func(item *node) {
		r.keys(item, "counter", "amount", "from", "until")
		t := Tally{Counter: Counter(r.text(r.required(item, "counter")))}
		if x := r.required(item, "amount"); x != nil {
			t.Amount = int64(r.whole(x, 1, MaxAmount, ""))
		}
		if x := r.required(item, "from"); x != nil {
			t.From = r.moment(x)
		}
		if x := item.get("until"); x != nil {
			t.Until = r.moment(x)
		}
		if t.Check() != nil {
			r.bad(item, "give a counter's name, and until after from", "not a tally")
			return
		}
		a.Count(t)
	})
}

func (r *programmeReader) lots(n *node) (lots []Lot) {
	r.each(n, 1000, "lot", "{points: 300, expires: 2026-06-01T00:00:00+03:00}", func(item *node) {
		r.keys(item, "points", "active", "expires")
		l := Lot{Amount: Points(r.number(r.required(item, "points"), 2, 0, MaxAmount, "points", 0))}
		if x := item.get("active"); x != nil {
			l.ActiveFrom = r.moment(x)
		}
		if x := item.get("expires"); x != nil {
			l.Expires = r.moment(x)
		}
		lots = append(lots, l)
	})
	return lots
}

func (r *programmeReader) scenarioSale(n *node) (s ScenarioSale) {
	r.keys(n, "at", "tender", "payments", "lines", "redeem", "promo", "expect")
	if x := r.required(n, "at"); x != nil {
		s.At = r.moment(x)
	}
	s.Receipt.Tender = Tender(r.choice(n.get("tender"), "cash", "cashless", "fuel_card") + 1)
	r.payments(n, &s.Receipt)
	s.Redeem = Points(r.number(n.get("redeem"), 2, 0, MaxAmount, "points", 0))
	s.Receipt.Promo = r.list(n.get("promo"))
	lines := r.required(n, "lines")
	r.each(lines, MaxLines, "line", "{fuel: АИ-95, litres: 30, roubles: 1800}", func(item *node) {
		s.Receipt.Lines = append(s.Receipt.Lines, r.scenarioLine(item))
	})
	if err := s.Receipt.Check(); err != nil && lines != nil {
		r.bad(lines, "", "no receipt: %v", err)
	}
	r.expect(r.section(n, "expect", "refusal", "earn", "most", "discount", "pay", "total", "available", "lines", "line_earn", "lots", "reasons", "level", "to_next"), &s.Expect)
	return s
}

// payments reads what each tender pays. The receipt's tender is the one that pays most, if it is not named.
func (r *programmeReader) payments(n *node, out *Receipt) {
	x := r.section(n, "payments", tenders[1:]...)
	if x == nil {
		return
	}
	most := Payment{}
	for t := Cash; t <= FuelCard; t++ {
		if y := x.get(t.String()); y != nil {
			p := Payment{t, Kopecks(r.number(y, 2, 1, MaxAmount, "roubles", 1))}
			if out.Payments = append(out.Payments, p); p.Amount > most.Amount {
				most = p
			}
		}
	}
	switch {
	case most.Tender == 0:
		r.bad(x, "write them like {cash: 500, cashless: 700.50}", "payments without any")
	case n.get("tender") == nil:
		out.Tender = most.Tender
	default:
		if err := out.checkPayments(); err != nil {
			r.bad(x, "leave tender out, or name the one that pays most", "%s pays most", most.Tender)
		}
	}
}

func (r *programmeReader) scenarioLine(n *node) (l Line) {
	r.keys(n, "fuel", "goods", "group", "code", "litres", "count", "roubles")
	fuel, goods := n.get("fuel"), n.get("goods")
	if (fuel == nil) == (goods == nil) {
		r.bad(n, "give fuel: a grade, or goods: a group", "a line is either fuel or goods")
	}
	if fuel != nil {
		l = Line{Kind: Fuel, Code: r.text(fuel), Group: r.text(n.get("group"))}
		l.Volume = Millilitres(r.number(r.required(n, "litres"), 3, 0, MaxAmount/MaxLines, "litres", 0))
	} else {
		l = Line{Kind: Goods, Code: "article", Group: r.text(goods), Count: r.number(n.get("count"), 3, 0, MaxAmount/MaxLines, "pieces", 1000)}
		if x := n.get("code"); x != nil {
			l.Code = r.text(x)
		}
	}
	l.Amount = Kopecks(r.number(r.required(n, "roubles"), 2, 0, MaxAmount/MaxLines, "roubles", 0))
	return l
}

// optional is a number that may be left out.
func optional[T ~int64](r *programmeReader, n *node, digits int, unit string) *T {
	if n == nil {
		return nil
	}
	v := T(r.number(n, digits, 0, MaxAmount, unit, 0))
	return &v
}

func (r *programmeReader) expect(n *node, x *Expect) {
	if n == nil {
		return
	}
	x.Refusal = Refusal(r.text(n.get("refusal")))
	x.Earn, x.MaxRedeem = optional[Points](r, n.get("earn"), 2, "points"), optional[Points](r, n.get("most"), 2, "points")
	x.Discount, x.Pay = optional[Kopecks](r, n.get("discount"), 2, "roubles"), optional[Kopecks](r, n.get("pay"), 2, "roubles")
	x.Total, x.Available = optional[Points](r, n.get("total"), 2, "points"), optional[Points](r, n.get("available"), 2, "points")
	x.Lines, x.LineEarn = amounts[Kopecks](r, n.get("lines"), "roubles"), amounts[Points](r, n.get("line_earn"), "points")
	if lots := n.get("lots"); lots != nil {
		x.Lots = append([]Lot{}, r.lots(lots)...)
	}
	x.Tier = r.text(n.get("level"))
	x.Need = optional[int64](r, n.get("to_next"), 3, "litres or thousands")
	if reasons := n.get("reasons"); reasons != nil {
		x.Reasons = []Refusal{}
		for i, s := range r.list(reasons) {
			if !slices.Contains(Refusals(), Refusal(s)) {
				r.bad(reasons.items[i], "", "there is no reason %.64q", s)
			}
			x.Reasons = append(x.Reasons, Refusal(s))
		}
	}
}

// amounts is a list of numbers of two decimals.
func amounts[T ~int64](r *programmeReader, n *node, unit string) (out []T) {
	if n == nil {
		return nil
	}
	if n.kind != list {
		r.bad(n, "write it in brackets: [1, 2.50]", "want a list of numbers")
		return nil
	}
	out = make([]T, 0, len(n.items))
	for _, i := range n.items {
		out = append(out, T(r.number(i, 2, 0, MaxAmount, unit, 0)))
	}
	return out
}
