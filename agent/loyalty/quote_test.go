package loyalty_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func TestPrice(t *testing.T) {
	station := receipt(fuel("АИ-95", 30_000, 1800_00), goods("coffee", 200_00), goods("tobacco", 250_00))
	for _, tt := range []struct {
		name      string
		programme string
		receipt   loyalty.Receipt
		redeem    loyalty.Points
		available loyalty.Points
		earn      loyalty.Points
		most      loyalty.Points
		lines     []loyalty.Kopecks
		refusal   loyalty.Refusal
	}{
		{name: "earns on fuel and goods, not on tobacco", programme: simple, receipt: station, available: 9000_00,
			earn: 40_00, most: 2000_00, lines: []loyalty.Kopecks{0, 0, 0}},
		{name: "nothing earned on the part paid with points", programme: simple, receipt: station, redeem: 1000_00, available: 9000_00,
			earn: 20_00, most: 2000_00, lines: []loyalty.Kopecks{900_00, 100_00, 0}},
		{name: "all of what may be paid with points", programme: simple, receipt: station, redeem: 2000_00, available: 2000_00,
			most: 2000_00, lines: []loyalty.Kopecks{1800_00, 200_00, 0}},
		{name: "one hundredth too much for the receipt", programme: simple, receipt: station, redeem: 2000_01, available: 9000_00, refusal: loyalty.OverLimit},
		{name: "one hundredth too much for the balance", programme: simple, receipt: station, redeem: 100_01, available: 100_00, refusal: loyalty.NotEnough},
		{name: "below zero", programme: simple, receipt: station, redeem: -1, available: 100_00, refusal: loyalty.OverLimit},
		{name: "half of the fuel at most", programme: "earn: [{fuel: ['*'], points: 1}]\nredeem: {share: 50%}", receipt: receipt(fuel("ДТ", 10_000, 701_00)), redeem: 350_00, available: 9000_00,
			earn: 5_00, most: 350_00, lines: []loyalty.Kopecks{350_00}},
		{name: "only whole steps", programme: "redeem: {step: 10}", receipt: receipt(goods("", 99_00)), redeem: 85_00, available: 9000_00, refusal: loyalty.OverLimit},
		{name: "the most is a whole step", programme: "redeem: {step: 10}", receipt: receipt(goods("", 99_00)), redeem: 80_00, available: 85_00,
			most: 80_00, lines: []loyalty.Kopecks{80_00}},
		{name: "a rouble stays to be paid", programme: "redeem: {min_money: 1}", receipt: receipt(goods("", 99_00)), redeem: 98_00, available: 9000_00,
			most: 98_00, lines: []loyalty.Kopecks{98_00}},
		{name: "what others are sold counts as money", programme: "never_redeem: [tobacco]\nredeem: {min_money: 1}", receipt: receipt(goods("", 99_00), goods("tobacco", 1_00)), redeem: 99_00, available: 9000_00,
			most: 99_00, lines: []loyalty.Kopecks{99_00, 0}},
		{name: "a receipt below the least money", programme: "redeem: {min_money: 100}", receipt: receipt(goods("", 99_00)), available: 9000_00,
			lines: []loyalty.Kopecks{0}},
		{name: "a point of half a rouble", programme: "points: {value: 0.50}", receipt: receipt(goods("", 99_00)), redeem: 198_00, available: 9000_00,
			most: 198_00, lines: []loyalty.Kopecks{99_00}},
		{name: "kopecks left over go to the largest remainders, earlier lines first", programme: simple,
			receipt: receipt(goods("", 1_00), goods("", 1_00), goods("", 2_00), goods("", 1_00)), redeem: 1_02, available: 9000_00,
			earn: 19, most: 5_00, lines: []loyalty.Kopecks{21, 20, 41, 20}},
		{name: "full units only", programme: "earn: [{fuel: ['*'], points: 1, per_litres: 2, whole: true}]", receipt: receipt(fuel("ДТ", 3_999, 240_00)), available: 0,
			earn: 1_00, lines: []loyalty.Kopecks{0}},
		{name: "parts of a unit too", programme: "earn: [{fuel: ['*'], points: 1, per_litres: 2}]", receipt: receipt(fuel("ДТ", 3_999, 240_00)), available: 0,
			earn: 1_99, lines: []loyalty.Kopecks{0}},
		{name: "litres of two pumps are added first", programme: "earn: [{fuel: ['*'], points: 1, per_litres: 2, whole: true}]", receipt: receipt(fuel("ДТ", 1_000, 60_00), fuel("ДТ", 1_000, 60_00)), available: 0,
			earn: 1_00, lines: []loyalty.Kopecks{0, 0}},
		{name: "points are earned in steps", programme: "points: {step: 0.5}\nearn: [{fuel: ['*'], points: 1}]", receipt: receipt(fuel("ДТ", 3_999, 240_00)), available: 0,
			earn: 3_50, lines: []loyalty.Kopecks{0}},
		{name: "by grade", programme: "earn: [{fuel: [АИ-95, АИ-100], points: 1.25}, {fuel: [ДТ], points: 0.2}]", receipt: receipt(fuel("АИ-95", 10_000, 600_00), fuel("АИ-92", 10_000, 500_00), fuel("ДТ", 10_000, 700_00)), available: 0,
			earn: 14_50, lines: []loyalty.Kopecks{0, 0, 0}},
		{name: "two rules that cover a line both give", programme: "earn: [{goods: ['*'], points: 1, per_roubles: 20}, {goods: [coffee], points: 1, per_roubles: 10}]", receipt: receipt(goods("coffee", 100_00)), available: 0,
			earn: 15_00, lines: []loyalty.Kopecks{0}},
		{name: "excluded by article", programme: "earn: [{goods: ['*'], points: 1}]\nnever_earn: ['4601234567890']", receipt: receipt(goods("coffee", 100_00)), available: 0,
			lines: []loyalty.Kopecks{0}},
		{name: "fuel for nothing earns nothing", programme: simple, receipt: receipt(fuel("ДТ", 10_000, 0)), available: 9000_00,
			lines: []loyalty.Kopecks{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := programme(t, tt.programme).Price(loyalty.Case{Receipt: &tt.receipt, Redeem: tt.redeem, Available: tt.available, At: noon(3, 1)})
			if tt.refusal != "" {
				refused(t, err, tt.refusal)
				if !reflect.DeepEqual(q, loyalty.Quote{}) {
					t.Errorf("a refusal came with %+v", q)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.available == 0 {
				tt.most = 0
			}
			if q.Earn != tt.earn || q.MaxRedeem != tt.most || !slices.Equal(q.Lines, tt.lines) || q.Pay != tt.receipt.Total()-q.Discount || q.Programme != 7 {
				t.Errorf("quote %+v, want earn %s, most %s, lines %v", q, tt.earn, tt.most, tt.lines)
			}
			if got := booked(&q); got != q.Earn {
				t.Errorf("books %s, says %s", got, q.Earn)
			}
		})
	}
}

// booked is what the lots of a quote hold together.
func booked(q *loyalty.Quote) (sum loyalty.Points) {
	for _, l := range q.Booked() {
		sum += l.Amount
	}
	return sum
}

// lineEarned is what the lines of a quote earned together; below zero if one did.
func lineEarned(q *loyalty.Quote) (sum loyalty.Points) {
	for _, p := range q.LineEarn {
		if p < 0 {
			return -1
		}
		sum += p
	}
	return sum
}

// drawProgramme draws rules of every form.
func drawProgramme(t *rapid.T) *loyalty.Programme {
	p := &loyalty.Programme{
		Version: 1, PointValue: loyalty.Kopecks(rapid.SampledFrom([]int64{1, 33, 50, 100, 1000}).Draw(t, "value")),
		Step:        loyalty.Points(rapid.SampledFrom([]int64{1, 50, 100}).Draw(t, "step")),
		RedeemShare: rapid.Int64Range(0, 100_00).Draw(t, "share"), RedeemStep: 100,
		MinMoney: loyalty.Kopecks(rapid.Int64Range(0, 500).Draw(t, "least money")),
	}
	if p.PointValue == 100 {
		p.RedeemStep = loyalty.Points(rapid.SampledFrom([]int64{1, 100, 1000}).Draw(t, "redeem step"))
	}
	if rapid.Bool().Draw(t, "no tobacco") {
		p.NoEarn, p.NoRedeem = []string{"tobacco"}, []string{"tobacco"}
	}
	p.Earn = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) loyalty.EarnRule {
		return loyalty.EarnRule{
			Kind:   rapid.SampledFrom([]loyalty.LineKind{loyalty.Fuel, loyalty.Goods}).Draw(t, "kind"),
			Codes:  rapid.SampledFrom([][]string{nil, {"АИ-95", "coffee"}}).Draw(t, "codes"),
			Points: loyalty.Points(rapid.Int64Range(1, 1000).Draw(t, "points")), Per: rapid.Int64Range(1, 5000).Draw(t, "per"),
			Whole: rapid.Bool().Draw(t, "whole"),
		}
	}), 0, 4).Draw(t, "earn")
	return p
}

// checkQuote is what holds for every quote.
func checkQuote(p *loyalty.Programme, r *loyalty.Receipt, q *loyalty.Quote, redeem, available loyalty.Points) error {
	var sum, payable loyalty.Kopecks
	for i, l := range r.Lines {
		d := q.Lines[i]
		sum += d
		excluded := slices.Contains(p.NoRedeem, l.Code) || slices.Contains(p.NoRedeem, l.Group)
		if d < 0 || d > l.Amount || excluded && d != 0 {
			return fmt.Errorf("line %d of %s has a discount of %s", i, l.Amount, d)
		}
		if !excluded {
			payable += l.Amount
		}
	}
	paid := new(big.Int).Div(new(big.Int).Mul(big.NewInt(int64(redeem)), big.NewInt(int64(p.PointValue))), big.NewInt(100))
	share := new(big.Int).Div(new(big.Int).Mul(big.NewInt(int64(payable)), big.NewInt(p.RedeemShare)), big.NewInt(100_00))
	switch {
	case sum != q.Discount || q.Redeem != redeem || big.NewInt(int64(q.Discount)).Cmp(paid) != 0:
		return fmt.Errorf("redeeming %s gives %s, in lines %s", redeem, q.Discount, sum)
	case lineEarned(q) != q.Earn:
		return fmt.Errorf("lines earned %s of %s", lineEarned(q), q.Earn)
	case q.Total != r.Total() || q.Pay != q.Total-q.Discount || q.Pay < 0:
		return fmt.Errorf("of %s, %s are left to pay", q.Total, q.Pay)
	case redeem > 0 && q.Pay < p.MinMoney:
		return fmt.Errorf("%s are paid with money, at least %s must be", q.Pay, p.MinMoney)
	case redeem > available || paid.Cmp(share) > 0:
		return fmt.Errorf("redeemed %s of %s, of a share of %s", redeem, available, share)
	case q.MaxRedeem < redeem || q.MaxRedeem > available || q.MaxRedeem%p.RedeemStep != 0:
		return fmt.Errorf("at most %s of %s, and %s are redeemed", q.MaxRedeem, available, redeem)
	case q.Earn < 0 || q.Earn > loyalty.MaxAmount || q.Earn%p.Step != 0 || booked(q) != q.Earn:
		return fmt.Errorf("earns %s, books %s", q.Earn, booked(q))
	}
	return nil
}

func TestQuotesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawProgramme(t), drawReceipt(t, 100_000)
		available := loyalty.Points(rapid.Int64Range(0, 200_000).Draw(t, "available"))
		before := receipt(slices.Clone(r.Lines)...)
		q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: 0, Available: available, At: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := checkQuote(p, &r, &q, 0, available); err != nil {
			t.Fatal(err)
		}
		// Whatever is within the limit can be redeemed, and nothing beyond it.
		x := p.RedeemStep * loyalty.Points(rapid.Int64Range(0, int64(q.MaxRedeem/p.RedeemStep)).Draw(t, "steps"))
		q2, err := p.Price(loyalty.Case{Receipt: &r, Redeem: x, Available: available, At: 1})
		if err != nil {
			t.Fatalf("redeem %s of at most %s: %v", x, q.MaxRedeem, err)
		}
		if err := checkQuote(p, &r, &q2, x, available); err != nil {
			t.Fatal(err)
		}
		if q2.MaxRedeem != q.MaxRedeem || q2.Earn > q.Earn {
			t.Fatalf("with %s redeemed: at most %s and earns %s; without: %s and %s", x, q2.MaxRedeem, q2.Earn, q.MaxRedeem, q.Earn)
		}
		if _, err := p.Price(loyalty.Case{Receipt: &r, Redeem: q.MaxRedeem + p.RedeemStep, Available: available, At: 1}); !errors.Is(err, loyalty.OverLimit) && !errors.Is(err, loyalty.NotEnough) {
			t.Fatalf("a step beyond the most: %v", err)
		}
		if !reflect.DeepEqual(r, before) {
			t.Fatal("pricing changed the receipt")
		}
	})
}

func mustEarn(t *rapid.T, p *loyalty.Programme, r loyalty.Receipt) loyalty.Points {
	q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: 0, Available: 0, At: 1})
	if err != nil {
		t.Fatal(err)
	}
	return q.Earn
}

func TestMoreLitresAndRoublesNeverEarnLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawProgramme(t), drawReceipt(t, 100_000)
		more := receipt(slices.Clone(r.Lines)...)
		i := rapid.IntRange(0, len(r.Lines)-1).Draw(t, "line")
		more.Lines[i].Amount += loyalty.Kopecks(rapid.Int64Range(0, 10_000).Draw(t, "kopecks more"))
		if more.Lines[i].Kind == loyalty.Fuel {
			more.Lines[i].Volume += loyalty.Millilitres(rapid.Int64Range(0, 10_000).Draw(t, "millilitres more"))
		}
		if less, more := mustEarn(t, p, r), mustEarn(t, p, more); more < less {
			t.Fatalf("earns %s, and with more on line %d only %s", less, i, more)
		}
	})
}

// Whoever asks for many receipts instead of one, or for many lines instead of one, has nothing of it.
func TestSplittingAReceiptNeverEarnsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawProgramme(t), drawReceipt(t, 100_000)
		parts := make([]loyalty.Receipt, rapid.IntRange(2, 4).Draw(t, "parts"))
		for i := range parts {
			parts[i].Tender = r.Tender
		}
		for _, l := range r.Lines {
			for i := range parts {
				part := l
				if i < len(parts)-1 {
					part.Amount = loyalty.Kopecks(rapid.Int64Range(0, int64(l.Amount)).Draw(t, "kopecks"))
					part.Volume = loyalty.Millilitres(rapid.Int64Range(0, int64(l.Volume)).Draw(t, "millilitres"))
				}
				l.Amount -= part.Amount
				l.Volume -= part.Volume
				parts[i].Lines = append(parts[i].Lines, part)
			}
		}
		var split loyalty.Points
		for _, part := range parts {
			split += mustEarn(t, p, part)
		}
		if whole := mustEarn(t, p, r); split > whole {
			t.Fatalf("one receipt earns %s, the same in %d earns %s", whole, len(parts), split)
		}
	})
}

// FuzzPrice prices receipts of up to the most lines and amounts: a refusal or a quote that adds up, never a panic.
func FuzzPrice(f *testing.F) {
	const line = loyalty.MaxAmount / loyalty.MaxLines
	f.Add([]byte("\x01\x02\x03"), uint16(1), int64(100), int64(100), uint8(0))
	f.Add([]byte{}, uint16(loyalty.MaxLines), int64(0), int64(loyalty.MaxAmount), uint8(1))
	most := binary.BigEndian.AppendUint64(nil, line)
	f.Add(most, uint16(loyalty.MaxLines), int64(loyalty.MaxAmount), int64(loyalty.MaxAmount), uint8(2))
	f.Add(most, uint16(loyalty.MaxLines), int64(loyalty.MaxAmount-1), int64(loyalty.MaxAmount), uint8(3))
	f.Add(slices.Repeat(most, 9), uint16(3), int64(3*line), int64(loyalty.MaxAmount), uint8(2))
	f.Add(most, uint16(loyalty.MaxLines), int64(0), int64(loyalty.MaxAmount), uint8(4))
	f.Add(slices.Repeat(most, 3), uint16(loyalty.MaxLines), int64(100), int64(loyalty.MaxAmount), uint8(4))
	programmes := []*loyalty.Programme{
		programme(f, simple),
		programme(f, "points: {value: 0.01}\nearn: [{fuel: ['*'], points: 10000, per_litres: 0.001}, {goods: ['*'], points: 10000, per_roubles: 0.01}]"),
		programme(f, "points: {value: 10000}\nearn: [{fuel: ['*'], points: 0.01, per_litres: 100000000000, whole: true}]\nredeem: {step: 0.01}"),
		programme(f, "points: {step: 10000}\nearn: [{fuel: ['*'], points: 3}]\nredeem: {share: 33.33%, min_money: 1000000000000}"),
		programme(f, "earn: [{fuel: ['*'], points: 10000, per_litres: 0.001, at_most: {receipt: 100000000000}}, {goods: ['*'], points: 1}]\n"+
			"tiers: {window: this_month, count: roubles, levels: [{name: a, from: 0}, {name: b, from: 1000000000000}]}\n"+
			"limits: {points: {day: 1000000000000, month: 999999999999}, balance: 1000000000000}\n"+
			"redeem: {shares: [{fuel: ['*'], share: 0.01%}, {goods: [coffee], share: 99.99%}]}\n"+
			"campaigns: [{name: a, from: 2026-01-01T00:00:00+03:00, multiply: 100}, {name: b, from: 2026-01-01T00:00:00+03:00, points: 100000, per_litres: 0.001},"+
			" {name: c, from: 2026-01-01T00:00:00+03:00, points: 100000, per_roubles: 0.01, at_most: {account: 1000000000000}}, {name: d, from: 2026-01-01T00:00:00+03:00, points: 100000}]\n"),
	}
	f.Fuzz(func(t *testing.T, data []byte, lines uint16, redeem, available int64, which uint8) {
		p := programmes[int(which)%len(programmes)]
		r := loyalty.Receipt{Tender: loyalty.Cash, Lines: make([]loyalty.Line, min(int(lines), loyalty.MaxLines))}
		next := func(i int) int64 {
			if len(data) < 8 {
				return line
			}
			at := 8 * (i % (len(data) / 8))
			return int64(binary.BigEndian.Uint64(data[at:])>>1) % (line + 1)
		}
		for i := range r.Lines {
			l := goods([]string{"", "tobacco", "coffee"}[next(i)%3], loyalty.Kopecks(next(3*i)))
			if next(3*i+1)%2 == 0 {
				l = fuel("АИ-95", loyalty.Millilitres(next(3*i+2)), loyalty.Kopecks(next(3*i)))
			}
			r.Lines[i] = l
		}
		if r.Check() != nil {
			return
		}
		available = min(max(available, 0), loyalty.MaxAmount)
		q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: loyalty.Points(redeem), Available: loyalty.Points(available), At: noon(3, 1)})
		if err != nil {
			if code, ok := loyalty.RefusalOf(err); !ok || code != loyalty.OverLimit && code != loyalty.NotEnough {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if err := checkQuote(p, &r, &q, loyalty.Points(redeem), loyalty.Points(available)); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkPrice(b *testing.B) {
	p := programme(b, simple)
	long := receipt()
	for i := range loyalty.MaxLines {
		long.Lines = append(long.Lines, goods("coffee", loyalty.Kopecks(100+i)))
	}
	thirty := receipt(append([]loyalty.Line{fuel("АИ-95", 40_000, 2400_00)}, long.Lines[:29]...)...)
	for _, bb := range []struct {
		name    string
		receipt loyalty.Receipt
		redeem  loyalty.Points
	}{
		{"30 lines, earn", thirty, 0},
		{"30 lines, redeem", thirty, 1000_01},
		{"10000 lines, redeem", long, 1000_01},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Price(loyalty.Case{Receipt: &bb.receipt, Redeem: bb.redeem, Available: 5000_00, At: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
