package loyalty_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// bigEarn is what rules without caps give for a quoted receipt, in integers without bounds.
func bigEarn(p *loyalty.Programme, r *loyalty.Receipt, q *loyalty.Quote) *big.Int {
	n := func(x int64) *big.Int { return big.NewInt(x) }
	part := func(x, a, b *big.Int) *big.Int { // x*a/b, rounded down
		return new(big.Int).Quo(new(big.Int).Mul(x, a), b)
	}
	pays := func(tenders []loyalty.Tender) (paid, pay *big.Int) {
		paid, pay = n(0), n(0)
		payments := r.Payments
		if len(payments) == 0 {
			payments = []loyalty.Payment{{Tender: r.Tender, Amount: 1}}
		}
		for _, x := range payments {
			pay.Add(pay, n(int64(x.Amount)))
			if !slices.Contains(p.NoEarnBy, x.Tender) && (len(tenders) == 0 || slices.Contains(tenders, x.Tender)) {
				paid.Add(paid, n(int64(x.Amount)))
			}
		}
		return paid, pay
	}
	sum := n(0)
	for _, rule := range p.Earn {
		base := n(0)
		for i, l := range r.Lines {
			money := n(int64(l.Amount - q.Lines[i]))
			switch {
			case l.Kind != rule.Kind || slices.Contains(p.NoEarn, l.Group):
			case l.Kind == loyalty.Goods:
				base.Add(base, money)
			case l.Amount > 0:
				base.Add(base, part(n(int64(l.Volume)), money, n(int64(l.Amount))))
			}
		}
		paid, pay := pays(rule.Tenders)
		base = part(base, paid, pay)
		if rule.Whole {
			base.Sub(base, new(big.Int).Rem(base, n(rule.Per)))
		}
		points := part(base, n(int64(rule.Points)), n(rule.Per))
		if most := n(loyalty.MaxAmount / 800); points.Cmp(most) > 0 { // 200 rules and 200 campaigns stay below half of the bound
			points = most
		}
		sum.Add(sum, points)
	}
	return sum.Sub(sum, new(big.Int).Rem(sum, n(int64(p.Step))))
}

// FuzzReceipt prices receipts of up to 10,000 lines with whatever amounts an int64 holds, paid with one tender or two: what is
// out of range is refused, and the rest is priced as integers without bounds say.
func FuzzReceipt(f *testing.F) {
	const line = loyalty.MaxAmount / loyalty.MaxLines
	raw := func(xs ...int64) (out []byte) {
		for _, x := range xs {
			out = binary.BigEndian.AppendUint64(out, uint64(x))
		}
		return out
	}
	f.Add(raw(1), uint16(1), int64(0), int64(0), int64(0), uint8(0))
	f.Add(raw(math.MaxInt64), uint16(2), int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), uint8(0x80))
	f.Add(raw(math.MinInt64, line), uint16(2), int64(math.MinInt64), int64(math.MinInt64), int64(0), uint8(0x81))
	f.Add(raw(line), uint16(loyalty.MaxLines), int64(0), int64(1), int64(loyalty.MaxAmount), uint8(0x42))
	f.Add(raw(line), uint16(loyalty.MaxLines), int64(100), int64(loyalty.MaxAmount/2), int64(loyalty.MaxAmount), uint8(0x41))
	f.Add(raw(line, line-1, 7), uint16(loyalty.MaxLines), int64(loyalty.MaxAmount), int64(0), int64(loyalty.MaxAmount), uint8(3))
	f.Add(raw(line), uint16(loyalty.MaxLines+1), int64(0), int64(0), int64(0), uint8(0))
	programmes := []*loyalty.Programme{
		programme(f, simple),
		programme(f, "earn: [{fuel: ['*'], points: 10000, per_litres: 0.001}, {goods: ['*'], points: 10000, per_roubles: 0.01, tender: [cashless]}]\nredeem: {step: 0.01}"),
		programme(f, "points: {value: 10000}\nearn: [{fuel: ['*'], points: 0.01, per_litres: 100000000000, whole: true}, {goods: ['*'], points: 1, tender: [cash]}]\nredeem: {step: 0.01}"),
		programme(f, "points: {step: 10000}\nnever_earn_by: [cash]\nearn: [{fuel: ['*'], points: 3}, {goods: ['*'], points: 0.01, per_roubles: 0.03}]\nredeem: {share: 33.33%}"),
	}
	f.Fuzz(func(t *testing.T, data []byte, lines uint16, redeem, cash, available int64, how uint8) {
		p := programmes[int(how&0x0f)%len(programmes)]
		r := loyalty.Receipt{Tender: loyalty.Cashless, Lines: make([]loyalty.Line, min(int(lines), loyalty.MaxLines+1))}
		sound := 0 < len(r.Lines) && len(r.Lines) <= loyalty.MaxLines
		next := func(i int) int64 {
			if len(data) < 8 {
				return line
			}
			x := int64(binary.BigEndian.Uint64(data[8*(i%(len(data)/8)):]))
			if how&0x80 != 0 {
				sound = sound && 0 <= x && x <= line
				return x
			}
			return int64(uint64(x) % (line + 1))
		}
		for i := range r.Lines {
			if l := &r.Lines[i]; i%2 == 0 {
				*l = fuel("АИ-95", loyalty.Millilitres(next(3*i)), loyalty.Kopecks(next(3*i+1)))
			} else {
				*l = goods([]string{"", "tobacco", "coffee"}[i%3], loyalty.Kopecks(next(3*i+2)))
			}
		}
		if err := r.Check(); (err == nil) != sound {
			t.Fatalf("sound is %v, and it is told %v", sound, err)
		}
		if !sound {
			return
		}
		available = min(max(available, 0), loyalty.MaxAmount)
		c := loyalty.Case{Receipt: &r, Redeem: loyalty.Points(redeem), Available: loyalty.Points(available), At: noon(3, 1)}
		q, err := p.Price(c)
		if err == nil && how&0x40 != 0 && q.Pay > 1 { // two tenders pay it
			x := loyalty.Kopecks(1 + uint64(cash)%uint64(q.Pay-1))
			r = paid(r, loyalty.Payment{Tender: loyalty.Cash, Amount: x}, loyalty.Payment{Tender: loyalty.Cashless, Amount: q.Pay - x})
			if err := r.Check(); err != nil {
				t.Fatal(err)
			}
			if q, err = p.Price(c); err != nil {
				t.Fatalf("payments of %s and %s of %s: %v", x, q.Pay-x, q.Pay, err)
			}
			wrong := r
			wrong.Payments = []loyalty.Payment{{Tender: loyalty.Cash, Amount: x}, {Tender: loyalty.Cashless, Amount: q.Pay - x + 1}}
			c.Receipt = &wrong
			if _, err := p.Price(c); !errors.Is(err, loyalty.BadRequest) {
				t.Fatalf("a kopeck too much is paid: %v", err)
			}
		}
		if err != nil {
			if code, ok := loyalty.RefusalOf(err); !ok || code != loyalty.OverLimit && code != loyalty.NotEnough {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if err := checkQuote(p, &r, &q, loyalty.Points(redeem), loyalty.Points(available)); err != nil {
			t.Fatal(err)
		}
		if want := bigEarn(p, &r, &q); want.Cmp(big.NewInt(int64(q.Earn))) != 0 {
			t.Fatalf("earns %d, want %s", q.Earn, want)
		}
	})
}

// FuzzRecheck takes the entry of an honest sale, puts anything into it, and rechecks it: it never panics, what is unchanged
// is the same, and a discount other than the right one is always found.
func FuzzRecheck(f *testing.F) {
	b := books(f)
	b.Programme = programme(f, dated+"\ntiers: {window: this_month, levels: [{name: a, from: 0}, {name: b, from: 10}]}\n"+
		"campaigns: [{name: c, from: 2026-01-01T00:00:00+03:00, until: 2027-01-01T00:00:00+03:00, points: 5, promo: {codes: [HELLO]}}]\n")
	before := b.Local.Current()
	r := receipt(fuel("АИ-95", 40_000, 2400_00), goods("coffee", 400_00))
	r.Promo = []string{"hello"}
	honest := mustClose(f, b, &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: r, Redeem: 140_00})
	at := place(2).At
	f.Add(int64(honest.Redeemed), int64(honest.Discount), int64(honest.LineDiscounts[0]), int64(honest.LineEarned[0]), int64(honest.Earned[0].Amount), int64(honest.Earned[0].Expires),
		int64(honest.Claims[0].Lot.Amount), string(honest.Claims[0].Counter), int64(honest.Counted[0].Amount), string(honest.Counted[0].Counter), int64(at), int64(r.Lines[0].Amount), uint8(2))
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64), int64(-1), int64(math.MaxInt64), "", int64(math.MinInt64), "tier",
		int64(math.MaxInt64), int64(math.MaxInt64), uint8(0))
	f.Add(int64(0), int64(0), int64(0), int64(0), int64(math.MaxInt64), int64(0), int64(math.MaxInt64), "code:HELLO", int64(1), "campaign:c", int64(math.MinInt64), int64(0), uint8(9))
	f.Fuzz(func(t *testing.T, redeemed, discount, line, earned, lot, expires, claim int64, code string, count int64, counter string, when, amount int64, lines uint8) {
		s := honest
		s.Receipt.Lines = slices.Clone(s.Receipt.Lines)
		s.Receipt.Lines[0].Amount = loyalty.Kopecks(amount)
		s.Redeemed, s.Discount = loyalty.Points(redeemed), loyalty.Kopecks(discount)
		s.LineDiscounts, s.LineEarned, s.Earned = slices.Clone(s.LineDiscounts), slices.Clone(s.LineEarned), slices.Clone(s.Earned)
		s.Claims, s.Counted = slices.Clone(s.Claims), slices.Clone(s.Counted)
		s.LineDiscounts[0], s.LineEarned[0], s.Earned[0] = loyalty.Kopecks(line), loyalty.Points(earned), loyalty.Lot{Amount: loyalty.Points(lot), ActiveFrom: s.Earned[0].ActiveFrom, Expires: loyalty.Instant(expires)}
		s.Claims[0].Lot.Amount, s.Claims[0].Counter = loyalty.Points(claim), loyalty.Counter(code)
		s.Counted[0].Amount, s.Counted[0].Counter = count, loyalty.Counter(counter)
		for len(s.LineEarned) < int(lines) {
			s.LineEarned = append(s.LineEarned, 0)
		}
		found := loyalty.Recheck(b.Programme, b.Station, &b.Card, &before, &loyalty.Entry{At: loyalty.Instant(when), Programme: 7, Body: s})
		text := found.String()
		if found.Verdict != loyalty.VerdictSame && (found.What == "" || !strings.Contains(text, found.What)) {
			t.Fatalf("%s, and says %q", found.Verdict, text)
		}
		if found.Verdict == loyalty.VerdictSame && (s.Discount != loyalty.Kopecks(redeemed) || s.Points() != s.LineEarned[0]+s.LineEarned[1]) {
			t.Fatalf("finds nothing in %+v", s)
		}
	})
}

// A digit of a code that is typed wrong is told as mistyped, and two neighbours in the wrong order as well, but for the 0 and
// 9 that the check digit cannot tell.
func TestPromoCodesFindTypingErrors(t *testing.T) {
	p := programme(t, "campaigns: [{name: c, from: 2026-01-01T00:00:00+03:00, until: 2027-01-01T00:00:00+03:00, points: 5, promo: {pattern: \"ML######\", check: luhn}}]")
	price := func(code string) loyalty.Quote {
		r := receipt(goods("", 100_00))
		r.Promo = []string{code}
		q, err := p.Price(loyalty.Case{Receipt: &r, At: noon(3, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.IntRange(0, 99_999).Draw(t, "digits")
		var sound string
		for check := range 10 {
			if code := fmt.Sprintf("ML%05d%d", head, check); len(price(code).Claims) == 1 {
				if sound != "" {
					t.Fatalf("%s and %s are both sound", sound, code)
				}
				sound = code
			}
		}
		if sound == "" {
			t.Fatalf("no check digit fits %05d", head)
		}
		wrong := []byte(sound)
		i := rapid.IntRange(2, 7).Draw(t, "place")
		if rapid.Bool().Draw(t, "swapped") && i < 7 {
			wrong[i], wrong[i+1] = wrong[i+1], wrong[i]
			if a, b := wrong[i], wrong[i+1]; a == b || a+b == '0'+'9' && (a == '0' || b == '0') {
				return
			}
		} else {
			wrong[i] = '0' + (wrong[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "off")))%10
		}
		if q := price(string(wrong)); len(q.Claims) != 0 || !slices.Contains(q.Reasons, loyalty.PromoMistyped) {
			t.Fatalf("%s instead of %s: %v", wrong, sound, q.Reasons)
		}
		spaced := strings.ToLower(sound[:2]) + " " + sound[2:5] + "-" + sound[5:]
		if len(price(spaced).Claims) != 1 {
			t.Fatalf("%q is not taken", spaced)
		}
	})
}
