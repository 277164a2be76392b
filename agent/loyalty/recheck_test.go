package loyalty_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// drawSale sells a receipt from books, in one step or two, and returns the entry with the account as it stood before.
func drawSale(t *rapid.T, tb testing.TB) (*loyalty.Books, loyalty.Account, *loyalty.Entry) {
	b := books(tb)
	b.Programme = drawRich(t, false)
	b.Programme.Version = 7
	b.Programme.NoEarnBy = rapid.SampledFrom([][]loyalty.Tender{nil, {loyalty.FuelCard}}).Draw(t, "never earn by")
	b.Programme.Campaigns = append(b.Programme.Campaigns, loyalty.Campaign{
		Name: "code", From: 1, Until: noon(12, 31), Activation: -1, Points: 700, LifeDays: 3, Promo: &loyalty.Promo{Codes: []string{"HELLO", "HULLO"}},
	})
	b.Local.Snapshot.Account.Count(loyalty.Tally{Counter: "tier", From: 1, Amount: rapid.Int64Range(1, 100_000).Draw(t, "litres before")})
	for _, c := range []loyalty.Counter{"points:day", "rule:r0:day", "campaign:c0", "code:HELLO"} {
		if !rapid.Bool().Draw(t, "has "+string(c)) {
			continue
		}
		b.Local.Snapshot.Account.Count(loyalty.Tally{Counter: c, From: 1, Amount: rapid.Int64Range(1, 50_000).Draw(t, string(c))})
	}
	before := b.Local.Current()
	r := drawReceipt(t, 100_000)
	r.Tender = rapid.SampledFrom([]loyalty.Tender{loyalty.Cash, loyalty.Cashless}).Draw(t, "tender")
	r.Promo = rapid.SampledFrom([][]string{nil, {"hello"}, {"hullo", "HELLO"}}).Draw(t, "promo")
	q, err := b.Quote(&r, 0, place(2).At)
	if err != nil {
		t.Fatal(err)
	}
	redeem := loyalty.Points(rapid.Int64Range(0, int64(min(q.MaxRedeem, 300_00))).Draw(t, "redeem"))
	c := &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: r, Redeem: redeem}
	if rapid.Bool().Draw(t, "two steps") {
		if _, _, err := b.Open(&loyalty.OpenRequest{Sale: "s1", Card: card, Receipt: r, Redeem: redeem}, place(1)); err != nil {
			t.Fatal(err)
		}
		c.Card = ""
		c.Redeem = loyalty.Points(rapid.Int64Range(0, int64(redeem)).Draw(t, "of it"))
	}
	if rapid.Bool().Draw(t, "several pay") {
		drawPayments(t, &c.Receipt, r.Total()-loyalty.Kopecks(c.Redeem))
	}
	_, body, err := b.Close(c, place(2))
	if err != nil {
		t.Fatal(err)
	}
	return b, before, &loyalty.Entry{At: place(2).At, Op: place(2).Op, Programme: 7, Body: body}
}

func recheck(b *loyalty.Books, a *loyalty.Account, e *loyalty.Entry) loyalty.Finding {
	return loyalty.Recheck(b.Programme, b.Station, &b.Card, a, e)
}

func TestRecheckOfWhatBooksPriceIsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, before, e := drawSale(rt, t)
		if f := recheck(b, &before, e); f != (loyalty.Finding{}) {
			rt.Fatalf("%s: %s", f.Verdict, f)
		}
	})
}

// However the account has moved on, what an honest station wrote is never called mispriced.
func TestRecheckWithAnotherStanding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, _, e := drawSale(rt, t)
		a := loyalty.Account{ID: account}
		if held := rapid.Int64Range(0, 1_000_000).Draw(rt, "held"); held > 0 {
			a.Lots = []loyalty.Lot{{Amount: loyalty.Points(held)}}
		}
		for _, c := range []loyalty.Counter{"tier", "points:day", "points:month", "rule:r0:day", "rule:r1:month", "campaign:c0", "campaign:c1", "code:HELLO", "code:HULLO"} {
			if rapid.Bool().Draw(rt, string(c)) {
				a.Count(loyalty.Tally{Counter: c, From: 1, Amount: rapid.Int64Range(1, 100_000).Draw(rt, "stands at")})
			}
		}
		f := recheck(b, &a, e)
		if f.Verdict == loyalty.VerdictMispriced || (f.Verdict == loyalty.VerdictStanding) != (f.What != "") {
			rt.Fatalf("%s: %s", f.Verdict, f)
		}
		if f := loyalty.Recheck(b.Programme, b.Station, nil, nil, e); f.Verdict == loyalty.VerdictMispriced {
			rt.Fatalf("nobody's: %s", f)
		}
	})
}

// One kopeck, or a hundredth of a point, anywhere.
func TestRecheckFindsEveryChange(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, before, e := drawSale(rt, t)
		body := e.Body.(loyalty.SaleClosed)
		lines := len(body.Receipt.Lines)
		line := rapid.IntRange(0, lines-1).Draw(rt, "line")
		up := rapid.Bool().Draw(rt, "up")
		by := func(x int64) int64 {
			if up {
				return x + 1
			}
			return x - 1
		}
		discounts := append(slices.Clone(body.LineDiscounts), make([]loyalty.Kopecks, lines-len(body.LineDiscounts))...)
		earned := append(slices.Clone(body.LineEarned), make([]loyalty.Points, lines-len(body.LineEarned))...)
		lots := slices.Clone(body.Earned)
		counted := slices.Clone(body.Counted)
		changes := map[string]func(s *loyalty.SaleClosed){
			"discount": func(s *loyalty.SaleClosed) { s.Discount = loyalty.Kopecks(by(int64(s.Discount))) },
			"line discount": func(s *loyalty.SaleClosed) {
				discounts[line] = loyalty.Kopecks(by(int64(discounts[line])))
				s.LineDiscounts = discounts
			},
			"line earned": func(s *loyalty.SaleClosed) {
				earned[line] = loyalty.Points(by(int64(earned[line])))
				s.LineEarned = earned
			},
			"redeemed": func(s *loyalty.SaleClosed) { s.Redeemed = loyalty.Points(by(int64(s.Redeemed))) },
			"a lot": func(s *loyalty.SaleClosed) {
				if len(lots) == 0 {
					lots = append(lots, loyalty.Lot{})
				}
				lots[0].Amount += 1
				s.Earned = lots
			},
			"terms": func(s *loyalty.SaleClosed) {
				if len(lots) == 0 {
					lots = append(lots, loyalty.Lot{Amount: 1})
				}
				lots[0].Expires += 1
				s.Earned = lots
			},
			"a counter": func(s *loyalty.SaleClosed) {
				s.Counted = append(counted, loyalty.Tally{Counter: "tier", From: 1, Until: 2, Amount: 1_000_000})
			},
			"a promo code": func(s *loyalty.SaleClosed) {
				s.Claims = append(slices.Clone(s.Claims), loyalty.Claim{Tally: loyalty.Tally{Counter: "code:X", From: 1, Amount: 1}})
			},
		}
		names := []string{"a counter", "a lot", "a promo code", "discount", "line discount", "line earned", "redeemed", "terms"}
		what := rapid.SampledFrom(names).Draw(rt, "what")
		changes[what](&body)
		f := recheck(b, &before, &loyalty.Entry{At: e.At, Op: e.Op, Programme: 7, Body: body})
		if f.Verdict != loyalty.VerdictMispriced || f.What == "" || f.Stated == f.Right {
			rt.Fatalf("another %s: %s: %s", what, f.Verdict, f)
		}
	})
}

func TestRecheck(t *testing.T) {
	const levels = `
tiers: {count: litres, fuel: ["*"], window: rolling, days: 90, levels: [{name: green, from: 0}, {name: gold, from: 100}]}
earn: [{fuel: ["*"], points: {green: 1, gold: 2}}]
expiry: {months: 12}
redeem: {share: 50%}
campaigns:
  - {name: welcome, from: 2026-01-01T00:00:00+03:00, until: 2027-01-01T00:00:00+03:00, points: 100, promo: {codes: [HELLO]}}
`
	sell := func(promo ...string) (*loyalty.Books, loyalty.Account, *loyalty.Entry, loyalty.SaleClosed) {
		b := books(t)
		b.Programme = programme(t, levels)
		before := b.Local.Current()
		r := receipt(fuel("ДТ", 50_000, 3000_00))
		r.Promo = promo
		body := mustClose(t, b, &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: r, Redeem: 300_00})
		return b, before, &loyalty.Entry{At: place(2).At, Op: place(2).Op, Programme: 7, Body: body}, body
	}
	gold := func(a *loyalty.Account) {
		a.Count(loyalty.Tally{Counter: "tier", From: 1, Until: 1 << 60, Amount: 100_000})
	}
	for name, tt := range map[string]struct {
		promo  []string
		change func(a *loyalty.Account, s *loyalty.SaleClosed)
		want   string
	}{
		"as it was":                            {nil, func(*loyalty.Account, *loyalty.SaleClosed) {}, "same: same"},
		"a level the station had not heard of": {nil, func(a *loyalty.Account, _ *loyalty.SaleClosed) { gold(a) }, "standing: earned: stated 45 points, comes to 90 points"},
		"a code used at another station": {[]string{"hello"}, func(a *loyalty.Account, s *loyalty.SaleClosed) { a.Count(s.Claims[0].Tally) },
			"standing: earned: stated 145 points, comes to 45 points"},
		"twice the points": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) {
			s.Earned[0].Amount, s.LineEarned[0] = 90_00, 90_00
		}, "standing: earned: stated 90 points, comes to 45 points"},
		"more than gold gives": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) {
			s.Earned[0].Amount, s.LineEarned[0] = 90_01, 90_01
		}, "mispriced: earned: stated 90.01 points, comes to at most 90 points"},
		"redeemed beyond the share": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Redeemed = 1501_00 },
			"mispriced: redeemed: stated 1501 points, comes to redeem 1501 of at most 1500: over_limit"},
		"points that never expire": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Earned[0].Expires = 0 }, "mispriced: terms of a lot: "},
		"a code that was not typed": {[]string{"hello"}, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Receipt.Promo = nil },
			"mispriced: earned: stated 145 points, comes to at most 90 points"},
		"litres that were not sold": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Counted[0].Amount++ },
			"mispriced: counter tier: stated 50001, comes to 50000"},
		"no litres": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Counted = nil }, "mispriced: counter tier: stated 0, comes to 50000"},
		"a counter unheard of": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) {
			s.Counted = append(s.Counted, loyalty.Tally{Counter: "x", From: 1, Amount: 1})
		}, "mispriced: counter x: stated 1, comes to at most 0"},
		"the same litres twice": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Counted = append(s.Counted, s.Counted[0]) },
			"mispriced: counter tier: stated 50000, comes to no tally"},
		"less than nothing": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) {
			s.Earned = append(s.Earned, loyalty.Lot{Amount: -45_00})
			s.LineEarned[0] = 0
		}, "mispriced: lot: stated -4500 hundredths of a point, comes to no amount"},
		"no receipt":          {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Receipt.Lines = nil }, "mispriced: receipt: "},
		"redeemed below zero": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.Redeemed = -1 }, "mispriced: redeemed: "},
		"more lines than the receipt": {nil, func(_ *loyalty.Account, s *loyalty.SaleClosed) { s.LineEarned = append(s.LineEarned, 0) },
			"mispriced: lines: stated 2, comes to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			b, before, e, body := sell(tt.promo...)
			tt.change(&before, &body)
			e.Body = body
			f := recheck(b, &before, e)
			if got := fmt.Sprintf("%s: %s", f.Verdict, f); got != tt.want && (len(got) <= len(tt.want) || got[:len(tt.want)] != tt.want) {
				t.Errorf("finds %q, want %q", got, tt.want)
			}
		})
	}
	b, before, e, _ := sell()
	if f := loyalty.Recheck(nil, b.Station, nil, &before, e); f.Verdict != loyalty.VerdictStanding {
		t.Errorf("without a programme: %s", f)
	}
	if f := recheck(b, &before, &loyalty.Entry{Body: loyalty.SaleVoided{}}); f.Verdict != loyalty.VerdictSame {
		t.Errorf("of what prices nothing: %s", f)
	}
}

// A station that did not know the card priced it as nobody's: headquarters, which knows whose it is, sees that.
func TestRecheckOfACardTheStationDidNotKnow(t *testing.T) {
	b := books(t)
	b.Programme = programme(t, "unknown_card: accrue\ntiers: {window: this_month, levels: [{name: a, from: 0}, {name: b, from: 10}]}\nearn: [{fuel: ['*'], points: {a: 1, b: 2}}]")
	b.Known, b.Card = false, loyalty.Card{Number: card}
	known := b.Local.Current()
	known.Count(loyalty.Tally{Counter: "tier", From: 1, Amount: 1 << 40})
	body := mustClose(t, b, &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: receipt(fuel("ДТ", 10_000, 700_00))})
	e := &loyalty.Entry{At: place(2).At, Programme: 7, Body: body}
	c := loyalty.Card{Number: card, Account: account}
	if f := loyalty.Recheck(b.Programme, b.Station, &c, &known, e); f.Verdict != loyalty.VerdictSame {
		t.Errorf("%s: %s", f.Verdict, f)
	}
	body.Account = account // and one that says it knew
	e.Body = body
	if f := loyalty.Recheck(b.Programme, b.Station, &c, &known, e); f.Verdict != loyalty.VerdictStanding {
		t.Errorf("%s: %s", f.Verdict, f)
	}
}
