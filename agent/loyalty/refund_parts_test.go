package loyalty_test

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// drawPart draws a part of what is left of some lines.
func drawPart(t *rapid.T, left []loyalty.RefundLine) []loyalty.RefundLine {
	var lines []loyalty.RefundLine
	for i, l := range left {
		x := loyalty.RefundLine{
			Line: i + 1, Amount: loyalty.Kopecks(rapid.Int64Range(0, int64(l.Amount)).Draw(t, "amount")),
			Volume: loyalty.Millilitres(rapid.Int64Range(0, int64(l.Volume)).Draw(t, "volume")), Count: rapid.Int64Range(0, l.Count).Draw(t, "count"),
		}
		if rapid.Bool().Draw(t, "named") && x != (loyalty.RefundLine{Line: x.Line}) {
			lines = append(lines, x)
		}
	}
	return lines
}

// Whatever a sale is, and into whatever parts its refund is cut: at no moment has more come back than one refund of the
// same lines would bring, and when all is refunded exactly what was earned is taken and what was redeemed is back.
func TestRefundInPartsIsOneRefund(t *testing.T) {
	tb := t
	rapid.Check(t, func(t *rapid.T) {
		b := books(tb)
		b.Programme = programme(tb, rapid.SampledFrom([]string{simple, dated, halves, wholePoints}).Draw(t, "programme"))
		r := &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: drawReceipt(t, 5000_00)}
		q, err := b.Quote(&r.Receipt, 0, place(2).At)
		if err != nil {
			t.Fatal(err)
		}
		r.Redeem = loyalty.Points(rapid.Int64Range(0, int64(min(q.MaxRedeem, 300_00))).Draw(t, "redeem"))
		r.Redeem -= r.Redeem % b.Programme.RedeemStep
		s, _, err := b.Close(r, place(2))
		if err != nil {
			t.Fatal(err)
		}
		earned, redeemed, pay := s.Quote.Earn, s.Quote.Redeem, s.Quote.Pay
		start := b.Local.Clone()
		left := make([]loyalty.RefundLine, len(r.Receipt.Lines))
		for i, l := range r.Receipt.Lines {
			left[i] = loyalty.RefundLine{Line: i + 1, Amount: l.Amount, Volume: l.Volume, Count: l.Count}
		}
		var clawed, returned loyalty.Points
		var money loyalty.Kopecks
		for n := range 6 {
			req := refunding(loyalty.RefundID(fmt.Sprint("r", n)), drawPart(t, left)...)
			if len(req.Lines) == 0 && n < 5 {
				continue
			}
			s, body, err := b.Refund(req, place(loyalty.Seq(3+n)))
			if n == 5 && err != nil {
				break // nothing is left
			}
			if err != nil {
				t.Fatal(err)
			}
			f := s.Refund(req.Refund)
			for _, l := range f.Lines {
				x := &left[l.Line-1]
				x.Amount, x.Volume, x.Count = x.Amount-l.Amount, x.Volume-l.Volume, x.Count-l.Count
			}
			clawed, returned, money = clawed+f.Clawed, returned+f.Returned, money+f.Money()
			if f.Clawed < 0 || f.Returned < 0 || f.Money() < 0 || f.Discount < 0 || f.Debt != 0 {
				t.Fatalf("refund %+v", f)
			}
			if sumLots(body.(loyalty.SaleRefunded).Clawed) != f.Clawed || sumLots(body.(loyalty.SaleRefunded).Returned) != f.Returned {
				t.Fatalf("the entry %+v is not the refund %+v", body, f)
			}
			if clawed > earned || returned > redeemed || money > pay {
				t.Fatalf("took %s of %s, gave %s of %s and %s of %s roubles", clawed, earned, returned, redeemed, money, pay)
			}
			if kept, own := earned-clawed, ownLeft(s, left); kept != own-own%b.Programme.Step {
				t.Fatalf("%s of %s are left in steps of %s, the lines have %s left", kept, earned, b.Programme.Step, own)
			}
			one := loyalty.Books{Programme: b.Programme, Card: b.Card, Known: true, Local: start.Clone(), Sale: unrefunded(s)}
			var lines []loyalty.RefundLine
			for i, l := range r.Receipt.Lines {
				if x := (loyalty.RefundLine{Line: i + 1, Amount: l.Amount - left[i].Amount, Volume: l.Volume - left[i].Volume, Count: l.Count - left[i].Count}); x != (loyalty.RefundLine{Line: x.Line}) {
					lines = append(lines, x)
				}
			}
			whole, _ := mustRefund(tb, &one, refunding("one", lines...), place(90))
			if whole.Clawed != clawed || whole.Returned != returned || whole.Money() != money {
				t.Fatalf("in parts: took %s, gave %s and %s roubles; at once %+v", clawed, returned, money, whole)
			}
		}
		if all := s.Refunds; len(all) > 0 && all[len(all)-1].All && (clawed != earned || returned != redeemed || money != pay) {
			t.Fatalf("all in all took %s of %s, gave %s of %s and %s of %s roubles", clawed, earned, returned, redeemed, money, pay)
		}
	})
}

// Stations that refund different parts of a sale and do not know of each other take back at most what was earned and a
// step more for each further station, and return no more than was redeemed: headquarters count on it.
func TestRefundsThatDoNotKnowOfEachOther(t *testing.T) {
	tb := t
	rapid.Check(t, func(t *rapid.T) {
		b := books(tb)
		b.Programme = programme(tb, rapid.SampledFrom([]string{simple, halves, wholePoints}).Draw(t, "programme"))
		r := &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: drawReceipt(t, 5000_00)}
		s, _, err := b.Close(r, place(2))
		if err != nil {
			t.Fatal(err)
		}
		left := make([]loyalty.RefundLine, len(r.Receipt.Lines))
		for i, l := range r.Receipt.Lines {
			left[i] = loyalty.RefundLine{Line: i + 1, Amount: l.Amount, Volume: l.Volume, Count: l.Count}
		}
		var clawed, returned loyalty.Points
		stations := loyalty.Points(0)
		for range 3 {
			lines := drawPart(t, left)
			if len(lines) == 0 {
				continue
			}
			for _, l := range lines {
				x := &left[l.Line-1]
				x.Amount, x.Volume, x.Count = x.Amount-l.Amount, x.Volume-l.Volume, x.Count-l.Count
			}
			one := loyalty.Books{Programme: b.Programme, Card: b.Card, Known: true, Local: b.Local.Clone(), Sale: unrefunded(s)}
			f, _ := mustRefund(tb, &one, refunding("r1", lines...), place(3))
			clawed, returned, stations = clawed+f.Clawed, returned+f.Returned, stations+1
		}
		if stations > 0 && (clawed > s.Quote.Earn+(stations-1)*b.Programme.Step || returned > s.Quote.Redeem) {
			t.Fatalf("%d stations took %s of %s, gave %s of %s", stations, clawed, s.Quote.Earn, returned, s.Quote.Redeem)
		}
	})
}

// ownLeft is what is left of the lines' points together, by each one's money, or by its quantity where it costs nothing:
// rounded down once.
func ownLeft(s *loyalty.Sale, left []loyalty.RefundLine) loyalty.Points {
	sum := new(big.Rat)
	for i, l := range s.Close.Receipt.Lines {
		rest, of := int64(left[i].Amount), int64(l.Amount)
		if of == 0 {
			rest, of = int64(left[i].Volume)+left[i].Count, int64(l.Volume)+l.Count
		}
		if i < len(s.Quote.LineEarn) && of > 0 {
			sum.Add(sum, big.NewRat(int64(s.Quote.LineEarn[i])*rest, of))
		}
	}
	return loyalty.Points(new(big.Int).Quo(sum.Num(), sum.Denom()).Int64())
}

// Fuel that earned a point is given back, and no part of it stays with the water that earned none.
func TestRefundLeavesNoFraction(t *testing.T) {
	b := books(t)
	b.Programme = programme(t, wholePoints)
	mustClose(t, b, &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: receipt(goods("water", 19_00), fuel("АИ-95", 2000, 120_00))})
	f, _ := mustRefund(t, b, refunding("r1", loyalty.RefundLine{Line: 2, Volume: 2000, Amount: 120_00}), place(3))
	if f.Clawed != 1_00 || f.All {
		t.Errorf("refund %+v", f)
	}
	b = books(t)
	b.Programme = programme(t, wholePoints)
	mustClose(t, b, &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: receipt(fuel("АИ-95", 40_000, 2400_00))})
	for i, want := range []loyalty.Points{1_00, 1_00, 1_00, 1_00, 1_00, 0} { // 0.83, 1.67, 2.5, 3.33, 4.17 and 5 of 20 points
		f, _ := mustRefund(t, b, refunding(loyalty.RefundID(fmt.Sprint(i)), loyalty.RefundLine{Line: 1, Amount: 100_00}), place(loyalty.Seq(3+i)))
		if f.Clawed != want {
			t.Errorf("refund %d takes %s, want %s", i, f.Clawed, want)
		}
	}
}

// Lines that earned their points only together lose them together.
func TestRefundOfLinesThatEarnedTogether(t *testing.T) {
	many := make([]loyalty.Line, 200)
	for i := range many {
		many[i] = goods("snacks", 1_00)
	}
	small := func(from, to int) (lines []loyalty.RefundLine) {
		for i := from; i <= to; i++ {
			lines = append(lines, loyalty.RefundLine{Line: i, Count: 1000, Amount: 1_00})
		}
		return lines
	}
	tank := []loyalty.Line{fuel("АИ-95", 10_000, 600_00)}
	for name, tt := range map[string]struct {
		lines   []loyalty.Line
		refunds [][]loyalty.RefundLine
		clawed  []loyalty.Points // by each refund
	}{
		"190 of 200 lines":     {many, [][]loyalty.RefundLine{small(11, 200)}, []loyalty.Points{10_00}},
		"20 of 200 lines":      {many, [][]loyalty.RefundLine{small(1, 20)}, []loyalty.Points{1_00}},
		"21 of 200 lines":      {many, [][]loyalty.RefundLine{small(1, 21)}, []loyalty.Points{2_00}},
		"one by one":           {many, [][]loyalty.RefundLine{small(1, 1), small(2, 2), small(3, 20), small(21, 21), nil}, []loyalty.Points{1_00, 0, 0, 1_00, 8_00}},
		"half a tank":          {tank, [][]loyalty.RefundLine{{{Line: 1, Volume: 5000, Amount: 300_00}}, nil}, []loyalty.Points{3_00, 2_00}},
		"water that earned no": {[]loyalty.Line{goods("water", 19_00), tank[0]}, [][]loyalty.RefundLine{{{Line: 1, Count: 1000, Amount: 19_00}}}, []loyalty.Points{0}},
	} {
		t.Run(name, func(t *testing.T) {
			b := books(t)
			b.Programme = programme(t, wholePoints)
			closed := mustClose(t, b, &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: receipt(tt.lines...)})
			if want := loyalty.Points(5); len(tt.lines) == len(many) && closed.LineEarned[199] != want {
				t.Errorf("the last line earns %s, want %s", closed.LineEarned[199], want)
			}
			for i, lines := range tt.refunds {
				f, _ := mustRefund(t, b, refunding(loyalty.RefundID(fmt.Sprint(i)), lines...), place(loyalty.Seq(3+i)))
				if f.Clawed != tt.clawed[i] {
					t.Errorf("refund %d takes %s, want %s", i, f.Clawed, tt.clawed[i])
				}
			}
		})
	}
}

// Whoever buys lines only to give them back is left with no more than the lines that stay would have earned alone: exactly so
// where one rule gave it all, and to less than a step above what they come to before rounding where two made a step
// together. Lines that earn fractions of a hundredth may each have one of it more.
func TestBuyingToRefundBringsNothing(t *testing.T) {
	tb := t
	rapid.Check(t, func(t *rapid.T) {
		step := loyalty.Points(rapid.SampledFrom([]int64{1, 50, 1_00}).Draw(t, "step"))
		fine := rapid.Bool().Draw(t, "lines earn fractions of a hundredth")
		p := &loyalty.Programme{Version: 1, Step: step, RedeemStep: 1, PointValue: 100, RedeemShare: 100_00}
		for _, kind := range []loyalty.LineKind{loyalty.Fuel, loyalty.Goods} {
			rule := loyalty.EarnRule{Name: kind.String(), Kind: kind, Points: loyalty.Points(rapid.Int64Range(1, 300).Draw(t, "points")), Per: 1000}
			if kind == loyalty.Goods {
				rule.Per = 1_00
			}
			if !fine && rapid.Bool().Draw(t, "whole") { // points for whole litres or roubles, one step each time
				rule.Points, rule.Whole = step, true
			}
			p.Earn = append(p.Earn, rule)
		}
		var lines []loyalty.Line
		for range rapid.IntRange(1, 60).Draw(t, "lines") {
			n, unit, per := rapid.Int64Range(1, 3).Draw(t, "units"), int64(1000), loyalty.Kopecks(1_00)
			if fine {
				n, unit, per = rapid.Int64Range(1, 400).Draw(t, "hundredths"), 10, 1
			}
			if rapid.IntRange(0, 3).Draw(t, "fuel") == 0 {
				lines = append(lines, fuel("АИ-95", loyalty.Millilitres(n*unit), loyalty.Kopecks(n)*per))
			} else {
				lines = append(lines, goods("", loyalty.Kopecks(n)*per))
			}
		}
		b := books(tb)
		b.Programme = p
		closed := mustClose(tb, b, &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: receipt(lines...)})
		earned := closed.Points()
		var kept []loyalty.Line
		var back []loyalty.RefundLine
		for i, l := range lines {
			if rapid.Bool().Draw(t, "keep") {
				kept = append(kept, l)
			} else {
				back = append(back, loyalty.RefundLine{Line: i + 1, Volume: l.Volume, Count: l.Count, Amount: l.Amount})
			}
		}
		if len(back) == 0 || len(kept) == 0 {
			return
		}
		f, _ := mustRefund(tb, b, refunding("r1", back...), place(3))
		r := receipt(kept...)
		alone, err := p.Price(loyalty.Case{Receipt: &r, At: place(2).At})
		if err != nil {
			t.Fatal(err)
		}
		left, most := earned-f.Clawed, alone.Earn
		if slices.ContainsFunc(lines, func(l loyalty.Line) bool { return l.Kind != lines[0].Kind }) {
			finer := *p
			finer.Step = 1
			q, err := finer.Price(loyalty.Case{Receipt: &r, At: place(2).At})
			if err != nil {
				t.Fatal(err)
			}
			most = q.Earn + step - 1
		}
		if fine {
			most += loyalty.Points(len(kept))
			most += (step - most%step) % step
		}
		if left > most {
			t.Fatalf("of %s earned %s are left with %d of %d lines, which alone earn %s", earned, left, len(kept), len(lines), alone.Earn)
		}
	})
}

// A sale of which the step is not known is refunded in that of the programme in force, and whatever comes into force
// between two refunds, they never take back more than was earned.
func TestRefundsInSeveralSteps(t *testing.T) {
	for name, programmes := range map[string][2]string{"finer": {wholePoints, simple}, "coarser": {simple, wholePoints}} {
		b := books(t)
		sold(t, b, 0)
		b.Sale.Quote.Step = 0
		earned := b.Sale.Quote.Earn
		var clawed loyalty.Points
		for i, lines := range [][]loyalty.RefundLine{{{Line: 1, Amount: 1_00}}, {{Line: 1, Amount: 1_00}}, {{Line: 2, Amount: 1}}, nil} {
			b.Programme = programme(t, programmes[i%2])
			f, body := mustRefund(t, b, refunding(loyalty.RefundID(fmt.Sprint(i)), lines...), place(loyalty.Seq(3+i)))
			if clawed += f.Clawed; clawed > earned || f.Clawed < 0 || sumLots(body.Clawed) != f.Clawed {
				t.Errorf("%s: refund %d takes %s, all of them %s of %s", name, i, f.Clawed, clawed, earned)
			}
		}
		if clawed != earned {
			t.Errorf("%s: %s of %s were taken back", name, clawed, earned)
		}
	}
}

func unrefunded(s *loyalty.Sale) *loyalty.Sale {
	c := *s
	c.Refunds = nil
	return &c
}

func sumLots(lots []loyalty.Lot) (sum loyalty.Points) {
	for _, l := range lots {
		sum += l.Amount
	}
	return sum
}

// Rights to points that a refund has taken are honoured, and become debt, whatever comes first.
func TestRefundUnderRights(t *testing.T) {
	r := loyalty.Record{Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}}}}
	there := loyalty.CellKey{Station: 2, Epoch: 1}
	if i := r.TopUp(there, loyalty.Statement{}, 100, 1); i != 100 {
		t.Fatalf("issued %s", i)
	}
	refund := &loyalty.Entry{At: 2, Body: loyalty.SaleRefunded{Undo: loyalty.Undo{Clawed: []loyalty.Lot{{Amount: 30}}}}}
	if _, err := r.Post(here, 1, refund); err != nil {
		t.Fatal(err)
	}
	if i := r.TopUp(here, loyalty.Statement{}, 10, 3); i != 0 {
		t.Errorf("issued %s of points that are promised", i)
	}
	if over, err := r.Post(there, 1, closed(100, 1, loyalty.Statement{Used: 100}, loyalty.Lot{})); err != nil || over != 0 {
		t.Fatalf("within its rights: %s beyond, %v", over, err)
	}
	if r.Account.Debt != 30 || r.Account.Total(3) != 0 || r.Outstanding() != 0 {
		t.Errorf("debt %s, total %s, outstanding %s", r.Account.Debt, r.Account.Total(3), r.Outstanding())
	}
	if _, err := r.Post(there, 2, closed(1, 1, loyalty.Statement{Used: 101}, loyalty.Lot{})); !errors.Is(err, loyalty.ErrOverspent) {
		t.Errorf("beyond every right: %v", err)
	}
}

// atOnce earns points that are spendable at once, and never expire.
const atOnce = `
earn:
  - {fuel: ["*"], points: 1}
redeem: {step: 0.01}
`

// The network of TestNobodyOverspendsOnABadNetwork where points are spent at once, so that refunds find them gone.
func TestRefundsOnABadNetwork(t *testing.T) {
	debts := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		often := []int{0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 9, 9, 9, 9, 10, 12, 12, 12, 12, 14, 14, 14, 14} // customers and refunds, and entries that arrive
		n := newNetwork(t, func(k int) int {
			if k == 16 {
				return often[r.IntN(len(often))]
			}
			return r.IntN(k)
		}, asDesigned)
		n.prog = programme(t, atOnce)
		n.hq.Account.Lots, n.credits = []loyalty.Lot{{Amount: 20}}, 20
		for _, s := range n.stations {
			s.local.Learn(n.hq.Snapshot(s.key(), 0, n.now))
		}
		owed := 0
		for range 200 {
			if err := errors.Join(n.step(), n.check()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for _, s := range n.stations {
				current := s.local.Current()
				owed = max(owed, int(n.hq.Account.Debt), int(current.Debt))
			}
		}
		if err := n.heal(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		debts += min(owed, 1)
	}
	if debts < 3 {
		t.Errorf("only %d of 200 runs were ever in debt: they exercise too little", debts)
	}
}

// refund gives a part of a closed sale back, or what is left of it.
func (n *network) refund(s *station) error {
	var closed []*loyalty.Sale
	all := n.choose(2) == 0 // or only what earned and redeemed nothing
	for _, sale := range s.sales {
		if sale.State == loyalty.SaleDone && (all || sale.Quote.Redeem == 0) {
			closed = append(closed, sale)
		}
	}
	if len(closed) == 0 {
		return nil
	}
	b, at := s.books(n.prog), n.place(s)
	b.Sale = closed[n.choose(len(closed))]
	r := &loyalty.RefundRequest{Sale: b.Sale.ID, Refund: loyalty.RefundID(fmt.Sprint(at.Seq))}
	if n.choose(2) == 0 {
		r.Lines = []loyalty.RefundLine{{Line: 2, Amount: loyalty.Kopecks(1 + n.choose(20_00))}}
	}
	switch _, body, err := b.Refund(r, at); {
	case err == nil:
		s.write(b, body, at.At)
	case !errors.Is(err, loyalty.RefundMore):
		return fmt.Errorf("refund: %w", err)
	}
	return nil
}
