package loyalty_test

import (
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

const warned = `schema: azs-edge/programme/1
name: summer
version: 1
effective: 2026-06-01T00:00:00+03:00
title: {ru: Лето, en: Summer}
earn:
  - {fuel: [АИ-92, АИ-95], points: 1}
`

// TestWarnings: what is allowed and seldom meant is told; what looks like it and is meant is not.
func TestWarnings(t *testing.T) {
	const campaign = "  - {name: %, from: 2026-06-01T00:00:00+03:00, until: 2026-07-01T00:00:00+03:00, points: 1"
	promo := func(name, codes string) string {
		return strings.Replace(campaign, "%", name, 1) + ", promo: {" + codes + "}}\n"
	}
	for _, tc := range []struct {
		name, more string
		want       []string
	}{
		{"good", "never_redeem: [tobacco]\ncampaigns:\n" + promo("a", "codes: [SUMMER]") + promo("b", "codes: [WINTER]"), nil},
		{"a hyphen", "redeem: {shares: [{fuel: [АИ95], share: 50%}]}\n", []string{"“АИ95” is written almost like “АИ-95”", "fuel “АИ95”: no rule"}},
		{"an alphabet", "never_redeem: [\"AИ-92\"]\n", []string{"“AИ-92” is written almost like “АИ-92”"}}, // a Latin A
		{"a stranger", "redeem: {shares: [{fuel: [ДТ], share: 50%}]}\n", []string{"fuel “ДТ”: no rule earns on it"}},
		{"a code twice", "campaigns:\n" + promo("a", "codes: [SUMMER, WINTER]") + promo("b", "codes: [summer]"), []string{"promo code SUMMER is in the campaigns a and b"}},
		{"a code and a pattern", "campaigns:\n" + promo("a", "codes: [RN123456]") + promo("b", "pattern: \"RN######\""), []string{"promo code RN123456 is in the campaigns a and b"}},
		{"a pattern and a code", "campaigns:\n" + promo("a", "pattern: \"RN######\"") + promo("b", "codes: [RN123456]"), []string{"promo code RN123456 is in the campaigns a and b"}},
		{"a pattern twice", "campaigns:\n" + promo("a", "pattern: \"RN######\"") + promo("b", "pattern: \"RN######\""), []string{"promo code RN###### is in the campaigns a and b"}},
		{"over", "campaigns:\n  - {name: a, from: 2026-01-01T00:00:00+03:00, until: 2026-06-01T00:00:00+03:00, points: 1}\n",
			[]string{"campaign a is over since 2026-06-01T00:00:00+03:00"}},
	} {
		p, err := loyalty.ParseProgramme([]byte(warned + tc.more))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		got := p.Warnings(loyalty.At(time.Date(2026, 5, 31, 21, 0, 0, 0, time.UTC)))
		if len(got) != len(tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i].EN, tc.want[i]) || got[i].RU == "" {
				t.Errorf("%s: %v, want %s", tc.name, got[i], tc.want[i])
			}
		}
	}
}

// TestShiftWords: a rule for a shift within a shift names it once.
func TestShiftWords(t *testing.T) {
	for per, want := range map[string]string{
		"[shift]":          "r: возвратов не больше 20 за смену; сверх того сообщение в центр",
		"[shift, counter]": "r: возвратов не больше 20 за смену на кассу; сверх того сообщение в центр",
		"[cashier]":        "r: возвратов не больше 20 за смену на кассира; сверх того сообщение в центр",
	} {
		p, err := loyalty.ParseProgramme([]byte(warned + "velocity:\n  - {name: r, per: " + per + ", count: refunds, at_most: 20, within: shift, then: alert}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Velocity[0].Words().RU; got != want {
			t.Errorf("%s: %s, want %s", per, got, want)
		}
	}
}
