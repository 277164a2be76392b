package card_test

import (
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/card"
)

func TestRefuses(t *testing.T) {
	for number, want := range map[loyalty.CardNumber][2]card.Reason{ // with the example's ranges, and with none
		"7005990012349017":    {"", ""},
		"2780000000015":       {card.CheckDigit, ""},
		"2780000000016":       {"", ""},
		"7005990012349015":    {card.CheckDigit, ""},
		"70059900123490":      {card.Length, ""},
		"4111111111111111":    {card.PaymentCard, card.PaymentCard},
		"4111-1111-1111-1111": {card.PaymentCard, card.PaymentCard},
		"2200000000000004":    {card.PaymentCard, card.PaymentCard},
		"8600000000000007":    {card.PaymentCard, card.PaymentCard},
		"9990000000000001":    {card.Unknown, ""},
		"CLUB-0001":           {card.Unknown, ""},
		"":                    {card.Unknown, ""},
	} {
		if got := card.Example().Refuses(number); got != want[0] {
			t.Errorf("%q with ranges: %q, want %q", string(number), got, want[0])
		}
		if got := (card.Config{}).Refuses(number); got != want[1] {
			t.Errorf("%q without ranges: %q, want %q", string(number), got, want[1])
		}
	}
	pan := card.Config{Ranges: []card.Range{{Prefix: "4111", Length: 16}}}
	if got := pan.Refuses("4111111111111111"); got != "" {
		t.Errorf("a card of the operator's own range is refused: %q", got)
	}
}
