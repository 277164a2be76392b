package loyalty_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func TestOpIDKeepsItsMoment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := loyalty.Instant(rapid.Int64Range(0, 1<<48-1).Draw(t, "at"))
		var random [10]byte
		copy(random[:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "random"))
		id := loyalty.NewOpID(at, random)
		if !id.Valid() || id.IsZero() || id.At() != at {
			t.Fatalf("%s: valid %v, at %d, want %d", id, id.Valid(), id.At(), at)
		}
		text, _ := id.MarshalText()
		var back loyalty.OpID
		if err := back.UnmarshalText(text); err != nil || back != id {
			t.Fatalf("%s is read as %s, %v", id, back, err)
		}
	})
}

func TestOpIDsSortByTime(t *testing.T) {
	var full [10]byte
	for i := range full {
		full[i] = 0xff
	}
	early, late := loyalty.NewOpID(noon(1, 1), full), loyalty.NewOpID(noon(1, 1)+1, [10]byte{})
	if bytes.Compare(early[:], late[:]) >= 0 || early.String() >= late.String() {
		t.Errorf("%s is not before %s", early, late)
	}
}

func TestParseOpIDRefuses(t *testing.T) {
	for _, s := range []string{
		"", "0190163d", "0190163d-8694-739b-aea5-966c26f8ad9", "0190163d_8694-739b-aea5-966c26f8ad91",
		"0190163d-8694-739b-aea5-966c26f8ad9g", "0190163d-8694-439b-aea5-966c26f8ad91", // version 4
		"0190163d-8694-739b-cea5-966c26f8ad91", // another variant
		"0190163d-8694-7-9b-aea5-966c26f8ad91", "00000000-0000-0000-0000-000000000000",
	} {
		_, err := loyalty.ParseOpID(s)
		refused(t, err, loyalty.BadRequest)
	}
}

func TestIdentifiersRefuse(t *testing.T) {
	for name, err := range map[string]error{
		"no sale id":                   loyalty.SaleID("").Check(),
		"a long sale id":               loyalty.SaleID(strings.Repeat("9", loyalty.MaxSaleID+1)).Check(),
		"a sale id with a line feed":   loyalty.SaleID("1\n2").Check(),
		"a sale id that is not UTF-8":  loyalty.SaleID("1\xff").Check(),
		"a sale id with C1 control":    loyalty.SaleID("1\u0085").Check(),
		"a short card":                 loyalty.CardNumber("123").Check(),
		"a long card":                  loyalty.CardNumber(strings.Repeat("1", loyalty.MaxCard+1)).Check(),
		"a card with a space":          loyalty.CardNumber("7005 9015").Check(),
		"a card with a letter of ours": loyalty.CardNumber("7005Ж9015").Check(),
		"a card with a direction mark": loyalty.CardNumber("7005\u202e9015").Check(),
	} {
		t.Run(name, func(t *testing.T) { refused(t, err, loyalty.BadRequest) })
	}
	for name, err := range map[string]error{
		"a sale id":   loyalty.SaleID("АЗС-12/касса 1/000017").Check(),
		"a card":      loyalty.CardNumber("7005990012349015").Check(),
		"a short one": loyalty.CardNumber("A-12").Check(),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever prints a card number by mistake prints a mask.
func TestCardNumberIsMaskedWhereverItIsPrinted(t *testing.T) {
	const number = "7005990012349015"
	card := loyalty.CardNumber(number)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("scan", "card", card, "request", loyalty.OpenRequest{Card: card})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("scan", "card", card)
	printed := []string{
		log.String(), card.String(), fmt.Sprint(card), fmt.Sprintf("%v %s %q %x", card, card, card, card), fmt.Sprintf("%#v", card),
		fmt.Sprintf("%+v", loyalty.OpenRequest{Card: card}), fmt.Sprintf("%#v", loyalty.Card{Number: card}), fmt.Errorf("card %v", card).Error(),
	}
	for _, s := range printed {
		if strings.Contains(s, "99001234") {
			t.Errorf("printed in full: %s", s)
		}
	}
	if card.String() != "7005••••9015" {
		t.Errorf("masked as %s", card)
	}
	if got := loyalty.CardNumber("12345678901").String(); strings.ContainsAny(got, "0123456789") {
		t.Errorf("a short number shows %s", got)
	}
	if b, _ := json.Marshal(card); string(b) != `"`+number+`"` {
		t.Errorf("the API gets %s, not the number", b)
	}
}

func TestNamesReadWhatTheyWrite(t *testing.T) {
	for _, k := range []loyalty.LineKind{loyalty.Fuel, loyalty.Goods} {
		if got, err := loyalty.ParseLineKind(k.String()); err != nil || got != k {
			t.Errorf("%s: got %s, %v", k, got, err)
		}
	}
	for _, tender := range []loyalty.Tender{loyalty.Cash, loyalty.Cashless, loyalty.FuelCard} {
		if got, err := loyalty.ParseTender(tender.String()); err != nil || got != tender {
			t.Errorf("%s: got %s, %v", tender, got, err)
		}
	}
	for _, s := range []string{"", "Fuel", "unknown 0"} {
		_, err := loyalty.ParseLineKind(s)
		refused(t, err, loyalty.BadRequest)
		_, err = loyalty.ParseTender(s)
		refused(t, err, loyalty.BadRequest)
	}
	if got := loyalty.SaleState(0).String() + loyalty.Tender(9).String(); got != "unknown 0unknown 9" {
		t.Errorf("values out of range are called %q", got)
	}
}

func TestEveryRefusalHasWordsOfItsOwn(t *testing.T) {
	seen := map[string]loyalty.Refusal{}
	all := loyalty.Refusals()
	for i, r := range all {
		w := loyalty.Words(r)
		if !strings.ContainsAny(w.RU, "абвгдеиклмнорстуя") || w.EN == "" || strings.ContainsAny(w.EN, "абвгдеиклмнорстуя") {
			t.Errorf("%s: %+v", r, w)
		}
		if other, twice := seen[w.RU]; twice {
			t.Errorf("%s and %s say the same", r, other)
		}
		seen[w.RU] = r
		if i > 0 && all[i-1] >= r {
			t.Errorf("%s stands before %s", all[i-1], r)
		}
	}
	if len(all) < 19 {
		t.Errorf("only %d refusals are published", len(all))
	}
	if w := loyalty.Words("of tomorrow"); w.RU == "" || w.EN == "" {
		t.Error("an unknown code has no words")
	}
	if _, ok := loyalty.RefusalOf(loyalty.ErrOverspent); ok {
		t.Error("an error that is no refusal was taken for one")
	}
}
