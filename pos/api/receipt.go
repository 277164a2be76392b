package api

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// receiptColumns is the width of the narrowest common receipt paper.
const receiptColumns = 40

// receiptText is what to print under a receipt, in Russian. It depends on the sale alone, so that a repeated call gives
// the same text, and every character of it is in code page 866, which most receipt printers are limited to.
func receiptText(s *loyalty.Sale, zone *time.Location) string {
	var t text
	t.row("Карта лояльности", printable(s.Card))
	switch s.State {
	case loyalty.SaleOpen:
		t.row("Зарезервировано баллов", points(s.Reserved))
		t.row("Будет начислено баллов", points(s.Quote.Earn))
	case loyalty.SaleDone:
		t.closed(&s.Quote, s.EndedAt, zone)
		t.promo(&s.Quote, promoOf(s))
	case loyalty.SaleCancelled:
		t.row("Чек отменён, возвращено баллов", points(s.Reserved))
	}
	if s.Account == 0 {
		t.row("Баланс будет известен позже", "")
		return t.String()
	}
	t.row("Всего баллов", points(s.Total))
	t.row("Доступно для списания", points(s.Avail))
	if e := s.Expiring; e.Amount > 0 {
		// The points are gone at this moment, the start of a day: the day before is the last one.
		t.row("Сгорит после "+day(e.Expires.Add(-time.Millisecond), zone), points(e.Amount))
	}
	if s.State != loyalty.SaleCancelled {
		t.tier(s.Quote.Progress)
	}
	return t.String()
}

// tier says where the customer stands, and how far the next tier is.
func (t *text) tier(p loyalty.Progress) {
	if p.Tier.RU == "" {
		return
	}
	t.row("Уровень", title(p.Tier.RU))
	if p.Next.RU == "" {
		return
	}
	need := loyalty.Kopecks(p.Need).String() + " руб."
	if p.Unit == loyalty.Fuel {
		need = loyalty.Millilitres(p.Need).String() + " л"
	}
	t.row("До уровня "+title(p.Next.RU), comma(need))
}

// title is a programme's own word as a receipt printer can print it.
func title(s string) string {
	runes := []rune(drawn(s))
	const most = 24
	return strings.TrimSpace(string(runes[:min(len(runes), most)]))
}

// drawn is a text with what a receipt printer cannot print replaced.
func drawn(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r < 0x7f, r >= 'А' && r <= 'я', r == 'Ё', r == 'ё':
			return r
		case r == '«', r == '»':
			return '"'
		case r == '–', r == '—':
			return '-'
		}
		return '?'
	}, s)
}

type text struct{ strings.Builder }

func (t *text) closed(q *loyalty.Quote, ended loyalty.Instant, zone *time.Location) {
	if q.Redeem > 0 {
		t.row("Списано баллов", points(q.Redeem))
		t.row("Оплачено баллами, руб.", comma(q.Discount.String()))
	}
	t.row("Начислено баллов", points(q.Earn))
	if q.Earn == 0 {
		return
	}
	lots := q.Booked()
	for _, l := range lots {
		if len(lots) > 1 {
			t.row("  из них", points(l.Amount))
		}
		if l.ActiveFrom > ended {
			t.row("  можно списать с", day(l.ActiveFrom, zone))
		}
		if l.Expires != 0 {
			// The lot is gone at this moment, the start of a day: the day before is the last one.
			t.row("  действуют по", day(l.Expires.Add(-time.Millisecond), zone))
		}
	}
}

// promo says of each promo code of the receipt whether it has brought something, or why not.
func (t *text) promo(q *loyalty.Quote, codes []string) {
	for i, code := range codes {
		said := "применён"
		if i < len(q.Promo) && q.Promo[i] != "" {
			said = promoRefused(q.Promo[i])
		}
		t.row("Промокод "+title(code), said)
	}
}

// promoRefused is why a promo code has brought nothing, in as few words as a receipt has room for.
func promoRefused(why loyalty.Refusal) string {
	switch why {
	case loyalty.PromoUnknown:
		return "не найден"
	case loyalty.PromoMistyped:
		return "набран с ошибкой"
	case loyalty.PromoNotNow:
		return "сейчас не действует"
	case loyalty.PromoUsed:
		return "уже использован"
	case loyalty.PromoNotMet:
		return "условия не выполнены"
	}
	return "не применён"
}

// name puts a label and a name that has to be read in full, on as many lines as it takes.
func (t *text) name(label, name string) {
	runes := []rune(drawn(name))
	if utf8.RuneCountInString(label)+1+len(runes) <= receiptColumns {
		t.row(label, string(runes))
		return
	}
	t.row(label, "")
	for part := range slices.Chunk(runes, receiptColumns) {
		t.row(string(part), "")
	}
}

// row puts a label at the left edge and a value at the right one, on two lines where one is too short.
func (t *text) row(label, value string) {
	room := receiptColumns - utf8.RuneCountInString(label) - utf8.RuneCountInString(value)
	t.WriteString(label)
	switch {
	case value == "":
	case room < 1:
		t.WriteString("\n" + strings.Repeat(" ", max(0, receiptColumns-utf8.RuneCountInString(value))))
	default:
		t.WriteString(strings.Repeat(" ", room))
	}
	t.WriteString(value + "\n")
}

// printable masks a card number as CardNumber.String does, with asterisks: the bullet is not in code page 866.
func printable(c loyalty.CardNumber) string { return strings.ReplaceAll(c.String(), "•", "*") }

// points are whole, or have both digits after the comma, as money has.
func points(p loyalty.Points) string {
	if p%100 == 0 {
		return p.String()
	}
	return comma(loyalty.Kopecks(p).String())
}

// comma writes a decimal number the Russian way.
func comma(s string) string { return strings.Replace(s, ".", ",", 1) }

func day(at loyalty.Instant, zone *time.Location) string {
	return at.Time().In(zone).Format("02.01.2006")
}
