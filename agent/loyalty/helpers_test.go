package loyalty_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// rules is a programme with every key that a test needs to vary; %s takes more keys.
const rules = `schema: azs-edge/programme/1
name: test
version: 7
effective: 2026-01-01T00:00:00+03:00
title: {ru: Проверка, en: Test}
%s`

// simple earns a point a litre and a point for 20 roubles, and never expires.
const simple = `
earn:
  - {fuel: ["*"], points: 1}
  - {goods: ["*"], points: 1, per_roubles: 20}
never_earn: [tobacco]
never_redeem: [tobacco]
redeem: {step: 0.01}
unknown_card: accrue
`

func programme(t testing.TB, more string) *loyalty.Programme {
	t.Helper()
	p, err := loyalty.ParseProgramme([]byte(fmt.Sprintf(rules, more)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// noon is a moment of 2026 in Moscow.
func noon(month time.Month, day int) loyalty.Instant {
	return loyalty.At(time.Date(2026, month, day, 9, 0, 0, 0, time.UTC))
}

func fuel(grade string, volume loyalty.Millilitres, amount loyalty.Kopecks) loyalty.Line {
	return loyalty.Line{Kind: loyalty.Fuel, Code: grade, Volume: volume, Amount: amount}
}

func goods(group string, amount loyalty.Kopecks) loyalty.Line {
	return loyalty.Line{Kind: loyalty.Goods, Code: "4601234567890", Group: group, Count: 1000, Amount: amount}
}

func receipt(lines ...loyalty.Line) loyalty.Receipt {
	return loyalty.Receipt{Lines: lines, Tender: loyalty.Cashless}
}

// refused fails the test unless err is the refusal.
func refused(t testing.TB, err error, want loyalty.Refusal) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want the refusal %s", err, want)
	}
	if code, ok := loyalty.RefusalOf(err); !ok || code != want {
		t.Fatalf("RefusalOf(%v) is %q, want %q", err, code, want)
	}
}

// drawLots draws lots of few activations and expiries, so that they meet and join.
func drawLots(t *rapid.T, most int64) []loyalty.Lot {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) loyalty.Lot {
		return loyalty.Lot{
			Amount:     loyalty.Points(rapid.Int64Range(0, most).Draw(t, "amount")),
			ActiveFrom: loyalty.Instant(rapid.IntRange(0, 5).Draw(t, "from")),
			Expires:    loyalty.Instant(rapid.IntRange(0, 9).Draw(t, "expires")),
		}
	}), 0, 8).Draw(t, "lots")
}

func drawReceipt(t *rapid.T, most int64) loyalty.Receipt {
	lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) loyalty.Line {
		amount := loyalty.Kopecks(rapid.Int64Range(0, most).Draw(t, "amount"))
		if rapid.Bool().Draw(t, "fuel") {
			return fuel(rapid.SampledFrom([]string{"АИ-92", "АИ-95", "ДТ"}).Draw(t, "grade"), loyalty.Millilitres(rapid.Int64Range(0, most).Draw(t, "volume")), amount)
		}
		return goods(rapid.SampledFrom([]string{"", "coffee", "tobacco"}).Draw(t, "group"), amount)
	}), 1, 12).Draw(t, "lines")
	return receipt(lines...)
}
