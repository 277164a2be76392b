package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// dayTime bounds the whole day on a machine that is busy.
const dayTime = 2 * time.Minute

// day is a working day of two stations. Registers and operators do in it what people do, and all that they are told is
// held against all that is kept.
type day struct {
	*field
	one, two *register
	balance  map[loyalty.CardNumber]loyalty.Points // by the registers' answers
	done     map[loyalty.CardNumber][]operation    // by the registers' answers, in their order
}

// The customers of the day. The first of them comes to get a card.
const (
	newcomer loyalty.CardNumber = "7005900000000017"
	passerby loyalty.CardNumber = "7005900000000033"
)

var (
	regular = cardOf(1)
	shopper = cardOf(2)
)

// TestDay plays a working day with everything as a process of its own: cards are given out, refunds made elsewhere, shifts
// closed, statements asked for, an account closed and its owner forgotten; the line to headquarters comes and goes.
func TestDay(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	ctx, cancel := context.WithTimeout(t.Context(), dayTime)
	defer cancel()
	k := newField(ctx, t, 2)
	d := &day{
		field: k, one: k.stations[0].register, two: k.stations[1].register,
		balance: map[loyalty.CardNumber]loyalty.Points{regular: opening, shopper: opening, newcomer: 0},
		done:    map[loyalty.CardNumber][]operation{},
	}
	k.startAll(ctx)
	k.awaitOnline(ctx)
	for _, part := range []struct {
		name string
		play func(context.Context)
	}{
		{"a card is given out while headquarters is out of reach", d.issued},
		{"a sale is refunded at the other station", d.refundedAway},
		{"a shift is closed and comes out equal", d.shiftEqual},
		{"a shift is closed and differs", d.shiftDiffers},
		{"statements are asked for", d.statements},
		{"an account is closed and its owner forgotten", d.forgotten},
		{"the books are compared", d.compared},
	} {
		began := time.Now()
		part.play(ctx)
		t.Logf("%6.1fs %s", time.Since(began).Seconds(), part.name)
	}
}

// operation is a line of a statement, as a register reads it.
type operation struct {
	Station  uint32          `json:"station"`
	Kind     string          `json:"kind"`
	Sale     loyalty.SaleID  `json:"sale"`
	Refund   string          `json:"refund"`
	Total    loyalty.Kopecks `json:"total_kopecks"`
	Redeemed loyalty.Points  `json:"redeemed_points_x100"`
	Earned   loyalty.Points  `json:"earned_points_x100"`
	Returned loyalty.Points  `json:"returned_points_x100"`
	Clawed   loyalty.Points  `json:"clawed_points_x100"`
}

// cut parts the stations from headquarters, and mend brings them together again.
func (d *day) cut(ctx context.Context) {
	d.t.Helper()
	d.broker.kill()
	d.awaitOffline(ctx)
}

func (d *day) mend(ctx context.Context) {
	d.t.Helper()
	if err := d.broker.start(); err != nil {
		d.t.Fatal(err)
	}
	listens(ctx, d.t, d.address)
	d.awaitOnline(ctx)
	d.awaitDrained(ctx)
}

// call makes a call that has to succeed.
func (d *day) call(ctx context.Context, r *register, method, path string, body, answer any) []byte {
	d.t.Helper()
	raw, err := r.call(ctx, method, path, body, answer)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return raw
}

// refused makes a call that has to be refused with a code.
func (d *day) refused(ctx context.Context, r *register, method, path string, body any, status int, code loyalty.Refusal) {
	d.t.Helper()
	raw, err := r.once(ctx, method, path, body, nil)
	var refused *refusal
	if !errors.As(err, &refused) || refused.Status != status || refused.Code != string(code) {
		d.t.Fatalf("%s %s: got %v, %s, want %d %s", method, path, err, raw, status, code)
	}
}

// equal fails unless the two are equal.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// ring is a sale in one step.
type ring struct {
	station loyalty.StationID
	id      loyalty.SaleID
	card    loyalty.CardNumber
	ml      int64 // at 66 roubles the litre
	goods   int64 // kopecks
	redeem  loyalty.Points
	cash    int64 // kopecks; what is left of the receipt is paid cashless
	cashier string
	shift   uint32
}

func (s *ring) total() int64 { return s.ml*66/10 + s.goods }

func (s *ring) pay() int64 { return s.total() - int64(s.redeem) } // a point is a rouble

func (s *ring) body() map[string]any {
	lines := []map[string]any{{"kind": "fuel", "code": "АИ-95", "volume_ml": s.ml, "amount_kopecks": s.ml * 66 / 10}}
	if s.goods > 0 {
		lines = append(lines, map[string]any{"kind": "goods", "code": "coffee", "count_x1000": 1000, "amount_kopecks": s.goods})
	}
	receipt := map[string]any{"tender": "cashless", "lines": lines}
	switch rest := s.pay() - s.cash; {
	case rest == 0:
		receipt["tender"] = "cash"
	case s.cash > 0:
		if s.cash > rest {
			receipt["tender"] = "cash"
		}
		receipt["payments"] = []map[string]any{{"tender": "cash", "amount_kopecks": s.cash}, {"tender": "cashless", "amount_kopecks": rest}}
	}
	b := map[string]any{"card": string(s.card), "receipt": receipt, "redeem_points_x100": int64(s.redeem), "counter": "1"}
	if s.shift > 0 {
		b["shift"] = s.shift
	}
	if s.cashier != "" {
		b["cashier"] = s.cashier
	}
	return b
}

// sell rings a sale up and notes what it has come to.
func (d *day) sell(ctx context.Context, s ring) (a saleAnswer) {
	d.t.Helper()
	d.call(ctx, d.stations[s.station-1].register, http.MethodPost, salePath(s.id, "/close"), s.body(), &a)
	equal(d.t, fmt.Sprintf("redeemed by %s", s.id), a.Quote.Redeem, s.redeem)
	if s.redeem == 0 { // a point for two full litres, and one for twenty roubles of goods
		equal(d.t, fmt.Sprintf("earned by %s", s.id), a.Quote.Earn, loyalty.Points(s.ml/2000*100+s.goods/20_00*100))
	}
	d.balance[s.card] += a.Quote.Earn - a.Quote.Redeem
	d.note(s.card, operation{
		Station: uint32(s.station), Kind: "sale", Sale: s.id, Total: loyalty.Kopecks(s.total()), Redeemed: a.Quote.Redeem, Earned: a.Quote.Earn,
	})
	return a
}

func (d *day) note(card loyalty.CardNumber, o operation) { d.done[card] = append(d.done[card], o) }

// shows waits until a station shows a card's balance as the answers add up to.
func (d *day) shows(ctx context.Context, r *register, card loyalty.CardNumber) {
	d.t.Helper()
	var shown struct {
		Total loyalty.Points `json:"total_points_x100"`
		Known bool           `json:"known"`
	}
	await(ctx, d.t, fmt.Sprintf("the balance of %s is %s", card, d.balance[card]), func() bool {
		_, err := r.once(ctx, http.MethodPost, "/v1/identify", map[string]string{"card": string(card)}, &shown)
		return err == nil && shown.Known && shown.Total == d.balance[card]
	})
}

// What the newcomer says of herself. Nobody but headquarters' operator may ever read it again.
const (
	herName  = "Зинаида Непомнящая"
	herPhone = "+79031112233"
	herEmail = "zinaida.n@example.com"
)

type issuedAnswer struct {
	Card  string `json:"card"`
	Known bool   `json:"known"`
	State string `json:"state"`
}

func issueCall(card loyalty.CardNumber, name, phone string) map[string]any {
	return map[string]any{
		"card": string(card), "kind": "main", "counter": "1",
		"form": map[string]any{
			"name": name, "phone": phone, "birth": "1990-12-31", "email": herEmail, "language": "ru",
			"consent": map[string]any{"text": "2026-03", "given_at": time.Now().Add(-time.Minute).Format(time.RFC3339)},
		},
	}
}

func (d *day) issued(ctx context.Context) {
	d.cut(ctx)
	var a issuedAnswer
	d.call(ctx, d.one, http.MethodPost, "/v1/cards/issue", issueCall(newcomer, herName, herPhone), &a)
	equal(d.t, "the new card while headquarters is away", a, issuedAnswer{Card: string(newcomer), State: "accrue_only"})
	d.call(ctx, d.one, http.MethodPost, "/v1/cards/issue", issueCall(newcomer, herName, herPhone), &a) // the first answer was lost, say
	additional := issueCall("7005900000000025", herName, herPhone)
	additional["kind"], additional["for"] = "additional", string(newcomer)
	d.refused(ctx, d.one, http.MethodPost, "/v1/cards/issue", additional, http.StatusServiceUnavailable, loyalty.Offline)
	d.note(newcomer, operation{Station: 1, Kind: "card"})
	d.sell(ctx, ring{station: 1, id: "1-first", card: newcomer, ml: 20_000})
	d.mend(ctx)

	d.shows(ctx, d.two, newcomer)
	d.shows(ctx, d.one, newcomer)
	// Now that headquarters has the account, it can have another card.
	d.call(ctx, d.two, http.MethodPost, "/v1/cards/issue", additional, &a)
	d.awaitDrained(ctx)
	d.issuedToNobody(ctx)
	d.readForm(ctx)
	d.unread(herName, herPhone, herPhone[1:], herEmail, "Прохожий", "79039998877")
}

// issuedToNobody gives out a card while headquarters seems to be there and hears nothing any more. It ends so, and the
// card and its form are told to the next one.
func (d *day) issuedToNobody(ctx context.Context) {
	d.line.hang()
	var a issuedAnswer
	d.call(ctx, d.one, http.MethodPost, "/v1/cards/issue", issueCall(passerby, "Прохожий", "+79039998877"), &a)
	equal(d.t, "headquarters has heard of the card", a.Known, false)
	d.hq.kill()
	d.line.flow()
	if err := d.hq.start(); err != nil {
		d.t.Fatal(err)
	}
	d.awaitDrained(ctx)
	if forms := d.formsOf(ctx, passerby); len(forms) != 1 || forms[0].Name != "Прохожий" {
		d.t.Errorf("headquarters has %d forms of the passer-by", len(forms))
	}
}

// unread makes sure that what was typed into a form stands in no file of anybody in plain words, escaped or not.
func (d *day) unread(words ...string) {
	d.t.Helper()
	for _, w := range slices.Clone(words) {
		escaped, _ := json.Marshal(w)
		words = append(words, strings.Trim(string(escaped), `"`), strings.Trim(fmt.Sprintf("%+q", w), `"`))
	}
	for _, p := range []*process{d.stations[0].process, d.stations[1].process, d.hq, d.broker} {
		files := d.contents(p)
		for name, b := range files {
			for _, w := range words {
				if bytes.Contains(b, []byte(w)) {
					d.t.Errorf("%s has %q in plain words", name, w)
				}
			}
		}
		for _, card := range []loyalty.CardNumber{newcomer, regular, shopper} {
			if bytes.Contains(files[p.log], []byte(card)) {
				d.t.Errorf("the log of %s has a whole card number", p.name)
			}
		}
	}
	// That the search finds what is there: the card's number is no secret of the ledger's.
	b, err := os.ReadFile(d.stations[0].ledger)
	if err != nil || !bytes.Contains(b, []byte(newcomer)) {
		d.t.Fatalf("the ledger does not even have the card's number: the search does not search (%v)", err)
	}
}

type refundAnswer struct {
	All      bool            `json:"all"`
	Amount   loyalty.Kopecks `json:"amount_kopecks"`
	Money    loyalty.Kopecks `json:"money_kopecks"`
	Returned loyalty.Points  `json:"returned_points_x100"`
	Clawed   loyalty.Points  `json:"clawed_points_x100"`
}

// refund refunds and notes what that has come to.
func (d *day) refund(ctx context.Context, at loyalty.StationID, card loyalty.CardNumber, sale loyalty.SaleID, body map[string]any) (a refundAnswer, raw []byte) {
	d.t.Helper()
	raw = d.call(ctx, d.stations[at-1].register, http.MethodPost, salePath(sale, "/refunds"), body, &a)
	d.balance[card] += a.Returned - a.Clawed
	d.note(card, operation{
		Station: uint32(at), Kind: "refund", Sale: sale, Refund: fmt.Sprint(body["refund"]), Total: a.Amount, Returned: a.Returned, Clawed: a.Clawed,
	})
	return a, raw
}

func (d *day) refundedAway(ctx context.Context) {
	s := ring{station: 1, id: "1-away", card: regular, ml: 40_000, goods: 400_00, redeem: 100_00}
	sold := d.sell(ctx, s)
	d.sell(ctx, ring{station: 1, id: "1-later", card: regular, ml: 10_000})
	d.awaitDrained(ctx)

	coffee := map[string]any{"refund": "A", "station": 1, "lines": []map[string]any{{"line": 2, "count_x1000": 1000, "amount_kopecks": s.goods}}}
	away, raw := d.refund(ctx, 2, regular, s.id, coffee)
	equal(d.t, "refunded at station 2", away.Amount, 400_00)
	if again := d.call(ctx, d.two, http.MethodPost, salePath(s.id, "/refunds"), coffee, nil); !bytes.Equal(again, raw) {
		d.t.Errorf("asked again it is answered\n%s\nand was answered\n%s", again, raw)
	}
	d.awaitDrained(ctx)
	// Station 1 asks headquarters before it decides: the coffee is gone.
	d.refused(ctx, d.one, http.MethodPost, salePath(s.id, "/refunds"), map[string]any{
		"refund": "B", "lines": []map[string]any{{"line": 2, "count_x1000": 1000, "amount_kopecks": s.goods}},
	}, http.StatusUnprocessableEntity, loyalty.RefundMore)
	rest, _ := d.refund(ctx, 1, regular, s.id, map[string]any{"refund": "B"})
	equal(d.t, "nothing is left", rest.All, true)
	equal(d.t, "all money that went back", away.Money+rest.Money, loyalty.Kopecks(s.pay()))
	equal(d.t, "all points that came back", away.Returned+rest.Returned, s.redeem)
	equal(d.t, "all points that were taken back", away.Clawed+rest.Clawed, sold.Quote.Earn)
	d.awaitDrained(ctx)
	d.refused(ctx, d.two, http.MethodPost, salePath(s.id, "/refunds"), map[string]any{"refund": "C", "station": 1}, http.StatusUnprocessableEntity, loyalty.RefundMore)
	d.refused(ctx, d.one, http.MethodPost, salePath(s.id, "/refunds"), map[string]any{"refund": "C"}, http.StatusUnprocessableEntity, loyalty.RefundMore)
	d.refused(ctx, d.two, http.MethodPost, salePath("nobody's", "/refunds"), map[string]any{"refund": "C", "station": 1}, http.StatusNotFound, loyalty.UnknownSale)

	d.cut(ctx)
	d.refused(ctx, d.two, http.MethodPost, salePath("1-later", "/refunds"), map[string]any{"refund": "A", "station": 1}, http.StatusServiceUnavailable, loyalty.Offline)
	d.refund(ctx, 1, regular, "1-later", map[string]any{"refund": "A"}) // its own sale needs nobody
	d.mend(ctx)
	d.shows(ctx, d.one, regular)
	d.shows(ctx, d.two, regular)
}

// shiftAnswer is a shift as a register reads it; figures are by their names.
type shiftAnswer struct {
	State      string           `json:"state"`
	Totals     map[string]int64 `json:"totals"`
	Differs    bool             `json:"differs"`
	Mismatches []struct {
		Figure   string `json:"figure"`
		Station  int64  `json:"station"`
		Register int64  `json:"register"`
	} `json:"mismatches"`
	Cashiers []struct {
		Cashier string           `json:"cashier"`
		Totals  map[string]int64 `json:"totals"`
	} `json:"cashiers"`
}

func (d *day) shiftEqual(ctx context.Context) {
	const path = "/v1/shifts/1/7"
	var a shiftAnswer
	d.call(ctx, d.one, http.MethodPut, path, map[string]any{"cashier": "Ольга"}, &a)
	equal(d.t, "the shift", a.State, "open")

	cash := ring{station: 1, id: "7-cash", card: regular, ml: 30_000, goods: 100_00, cashier: "Ольга", shift: 7}
	cash.cash = cash.pay()
	cashless := ring{station: 1, id: "7-cashless", card: shopper, ml: 12_000, cashier: "Иван", shift: 7}
	split := ring{station: 1, id: "7-split", card: shopper, ml: 25_000, goods: 250_00, redeem: 50_00, cash: 700_00, cashier: "Иван", shift: 7}
	var earned, redeemed loyalty.Points
	var gross int64
	for _, s := range []ring{cash, cashless, split} {
		q := d.sell(ctx, s).Quote
		earned, redeemed, gross = earned+q.Earn, redeemed+q.Redeem, gross+s.total()
	}
	attendant := func(cashier string, body map[string]any) map[string]any {
		body["counter"], body["shift"], body["cashier"] = "1", 7, cashier
		return body
	}
	back, _ := d.refund(ctx, 1, regular, cash.id, attendant("Ольга", map[string]any{
		"refund": "1", "lines": []map[string]any{{"line": 2, "count_x1000": 1000, "amount_kopecks": cash.goods}},
	}))
	gone := ring{station: 1, id: "7-void", card: shopper, ml: 50_000, redeem: 20_00, cashier: "Иван", shift: 7}
	d.call(ctx, d.one, http.MethodPut, salePath(gone.id, ""), gone.body(), nil)
	d.call(ctx, d.one, http.MethodPost, salePath(gone.id, "/void"), attendant("Иван", map[string]any{"reason": "the customer has left"}), nil)

	register := map[string]int64{
		"sales": 3, "refunds": 1, "voids": 1, "cards": 0, "manual": 0, "gross_kopecks": gross, "discount_kopecks": int64(split.redeem),
		"cash_kopecks": cash.pay() + split.cash, "cashless_kopecks": cashless.pay() + split.pay() - split.cash, "fuel_card_kopecks": 0,
		"refunded_cash_kopecks": int64(back.Money), "redeemed_points_x100": int64(redeemed), "earned_points_x100": int64(earned),
		"returned_points_x100": int64(back.Returned), "clawed_points_x100": int64(back.Clawed),
	}
	closing := map[string]any{"cashier": "Ольга", "register": register}
	raw := d.call(ctx, d.one, http.MethodPost, path+"/close", closing, &a)
	if a.State != "closed" || a.Differs || len(a.Mismatches) > 0 {
		d.t.Errorf("the register's totals are not the station's: %s", raw)
	}
	for figure, want := range register {
		equal(d.t, "of the shift: "+figure, a.Totals[figure], want)
	}
	if len(a.Cashiers) != 2 || a.Cashiers[0].Cashier != "Ольга" || a.Cashiers[0].Totals["cash_kopecks"] != cash.pay() || a.Cashiers[1].Totals["voids"] != 1 {
		d.t.Errorf("by cashier: %s", raw)
	}
	if again := d.call(ctx, d.one, http.MethodPost, path+"/close", closing, nil); !bytes.Equal(again, raw) {
		d.t.Errorf("asked again it is answered\n%s\nand was answered\n%s", again, raw)
	}
	late := ring{id: "7-late", card: shopper, ml: 10_000, shift: 7}
	d.refused(ctx, d.one, http.MethodPost, salePath(late.id, "/close"), late.body(), http.StatusConflict, loyalty.ShiftEnded)
}

func (d *day) shiftDiffers(ctx context.Context) {
	// Nobody has opened it: the first sale does.
	s := ring{station: 1, id: "8-1", card: shopper, ml: 10_000, cashier: "Иван", shift: 8}
	s.cash = s.pay()
	d.sell(ctx, s)
	var a shiftAnswer
	raw := d.call(ctx, d.one, http.MethodPost, "/v1/shifts/1/8/close", map[string]any{
		"cashier": "Иван", "register": map[string]int64{"sales": 1, "cash_kopecks": s.pay() - 100_00},
	}, &a)
	if !a.Differs || len(a.Mismatches) != 1 || a.Mismatches[0].Figure != "cash_kopecks" || a.Mismatches[0].Station-a.Mismatches[0].Register != 100_00 {
		d.t.Errorf("a hundred roubles are missing, and nobody says so: %s", raw)
	}
	d.awaitDrained(ctx)
	d.alerted(ctx)
}

// compared stops everybody and holds the stores against each other and against what the registers were answered.
func (d *day) compared(ctx context.Context) {
	d.awaitDrained(ctx)
	d.stopAll()
	store := d.openStore()
	defer store.Close()
	if _, err := store.Check(ctx); err != nil {
		d.t.Errorf("headquarters' store: %v", err)
	}
	alarms, err := store.Alarms(ctx)
	if err != nil || len(alarms) > 0 {
		d.t.Errorf("alarms at headquarters: %+v, %v", alarms, err)
	}
	d.destroyed()
	lines := linesOf(ctx, d.t, store)
	for _, s := range d.stations {
		d.compareStation(ctx, s, lines[s.number])
	}
}

func (d *day) compareStation(ctx context.Context, s *fieldStation, lines []*hq.Line) {
	if r, err := ledger.CheckFile(ctx, s.ledger, nil); err != nil {
		d.t.Errorf("%s: %v: %v", s.name, err, r)
	}
	l, err := ledger.Open(ctx, ledger.Config{Path: s.ledger, Station: s.number, Version: "test"})
	if err != nil {
		d.t.Fatal(err)
	}
	defer l.Close()
	pos, err := l.Position(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	own := journalOf(ctx, d.t, l, pos)
	if len(own) != len(lines)+1 { // opening the ledger has written an entry
		d.t.Fatalf("%s has %d entries, headquarters has %d", s.name, len(own)-1, len(lines))
	}
	for i, line := range lines {
		if !bytes.Equal(line.Bytes, own[i]) {
			d.t.Errorf("%s: entry %d differs from headquarters'", s.name, i+1)
		}
	}
	if forms, err := l.Forms(ctx, pos.Epoch, 1, pos.Last); err != nil || len(forms) > 0 {
		d.t.Errorf("%s still has %d sealed forms, which headquarters has: %v", s.name, len(forms), err)
	}
}
