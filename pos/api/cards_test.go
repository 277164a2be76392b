package api_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/pos/api"
)

const (
	fresh  = "7005990012350013" // a blank card in the drawer
	fresh2 = "7005990012350021"
	fresh3 = "7005990012350039"
)

// filled is a form as a register sends it.
const filled = `{"name":"Вера Петровна Сидорова","phone":"+79031112233","birth":"1985-02-03","email":"vera@mail.example",
	"language":"ru","consent":{"text":"2026-03","given_at":"2026-11-21T12:29:00+03:00"}}`

// secrets are what of the form nobody but headquarters may ever see.
var secrets = []string{"Вера", "Сидорова", "9031112233", "1985-02-03", "vera@mail"}

func checkNoSecret(t *testing.T, where, text string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s tells %q: %s", where, s, text)
		}
	}
}

func issue(card, rest string) string { return fmt.Sprintf(`{"card":%q,%s}`, card, rest) }

// TestIssue gives out a main card, twice: the answer is the same, the card can be used at once, the form is sealed, and
// nothing of it shows in an answer, an event or the log.
func TestIssue(t *testing.T) {
	d := newDesk(t)
	var log bytes.Buffer
	c := config(d)
	c.Log = logTo(&log)
	h := newServer(t, c).Handler()
	body := issue(fresh, `"kind":"main","form":`+filled+`,"cashier":"Ольга","shift":12,"counter":"1"`)
	first := request{method: "POST", path: "/v1/cards/issue", body: body}.do(t, h)
	n := d.Entries()
	second := request{method: "POST", path: "/v1/cards/issue", body: body}.do(t, h)
	if first.Code != 200 || !bytes.Equal(first.Body.Bytes(), second.Body.Bytes()) || d.Entries() != n {
		t.Fatalf("%d %s\nand again: %d %s", first.Code, first.Body, second.Code, second.Body)
	}
	checkNoSecret(t, "the answer", first.Body.String())
	want(t, decode(t, first.Body), map[string]any{
		"card": fresh, "card_masked": "7005••••0013", "kind": "main", "replaces": false, "known": true, "state": "active",
		"customer.known": true, "customer.kind": "main", "message.ru": "Карта выдана, счёт открыт",
	})
	f, err := d.Form(fresh)
	if err != nil || f.Name != "Вера Петровна Сидорова" || f.Phone != "+79031112233" || f.Consent.Text != "2026-03" {
		t.Errorf("headquarters reads %q, %q of the form (%v)", f.Name, f.Phone, err)
	}
	want(t, call(t, h, 200, "POST", "/v1/sales/1/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, fresh, fuel(20_000, 130_000))), map[string]any{"total_points_x100": 1000})
	// Whoever asks for another card under the number gets nothing; what the form says does not matter.
	want(t, call(t, h, 409, "POST", "/v1/cards/issue", issue(fresh, `"kind":"additional","for":"`+anna+`"`)), map[string]any{"code": "conflict"})
	call(t, h, 200, "POST", "/v1/cards/issue", strings.Replace(body, "Вера", "Мария", 1))
	if f, _ := d.Form(fresh); f.Name != "Вера Петровна Сидорова" {
		t.Errorf("a repeated call put another form in its place: %q", f.Name)
	}
	want(t, call(t, h, 409, "POST", "/v1/cards/issue", issue(anna, `"kind":"main","form":`+filled)), map[string]any{"code": "card_taken"})
	checkNoSecret(t, "the log", log.String())
}

// TestIssueOffline: a card that begins an account needs nobody, one that joins one needs headquarters.
func TestIssueOffline(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	d.SetOnline(false)
	want(t, call(t, h, 200, "POST", "/v1/cards/issue", issue(fresh, `"kind":"main","form":`+filled)), map[string]any{
		"known": false, "state": "accrue_only", "customer": nil,
	})
	want(t, call(t, h, 200, "POST", "/v1/sales/1/close", fmt.Sprintf(`{"card":%q,"receipt":%s}`, fresh, fuel(20_000, 130_000))), map[string]any{
		"state": "closed", "account": nil, "quote.earn_points_x100": 1000,
	})
	// It is a card of this station, not one that nobody knows: it only cannot redeem yet.
	want(t, call(t, h, 200, "POST", "/v1/identify", `{"card":"`+fresh+`"}`), map[string]any{"known": false, "accrue_refused": nil, "redeem_refused.code": "not_confirmed"})
	if r := call(t, h, 200, "POST", "/v1/quote", fmt.Sprintf(`{"card":%q,"receipt":%s}`, fresh, fuel(20_000, 130_000)))["reasons"].([]any); len(r) != 1 || r[0].(map[string]any)["code"] != "not_confirmed" {
		t.Errorf("reasons %v", r)
	}
	want(t, call(t, h, 403, "PUT", "/v1/sales/2", fmt.Sprintf(`{"card":%q,"receipt":%s,"redeem_points_x100":100}`, fresh, fuel(20_000, 130_000))), map[string]any{"code": "not_confirmed"})
	want(t, call(t, h, 503, "POST", "/v1/cards/issue", issue(fresh2, `"kind":"additional","for":"`+anna+`"`)), map[string]any{"code": "hq_out_of_reach"})
	d.SetOnline(true)
	want(t, call(t, h, 200, "POST", "/v1/cards/issue", issue(fresh, `"kind":"main","form":`+filled)), map[string]any{"known": true, "customer.total_points_x100": 1000})
}

func TestIssueJoinsAndReplaces(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	want(t, call(t, h, 200, "POST", "/v1/cards/issue", issue(fresh, `"kind":"additional","for":"`+anna+`"`)), map[string]any{
		"known": true, "kind": "additional", "for_masked": "7005••••9015", "customer.total_points_x100": 125050, "customer.redeem_refused.code": "redeem_off",
		"message.ru": "Карта привязана к вашему счёту. Копить баллы можно сразу, списание включит владелец счёта или центр",
	})
	want(t, call(t, h, 200, "POST", "/v1/cards/issue", issue(fresh2, `"kind":"main","for":"`+anna+`","replaces":true`)), map[string]any{
		"known": true, "replaces": true, "customer.total_points_x100": 125050, "customer.redeem_refused.code": "redeem_off",
		"message.ru": "Карта заменена, баллы сохранены. Старая карта закрыта. Копить баллы можно сразу, списание включит центр",
	})
	want(t, call(t, h, 200, "POST", "/v1/identify", `{"card":"`+anna+`"}`), map[string]any{"card_state": "closed"})
	want(t, call(t, h, 404, "POST", "/v1/cards/issue", issue(fresh3, `"kind":"virtual","for":"`+stranger+`"`)), map[string]any{"code": "unknown_card"})
	want(t, call(t, h, 403, "POST", "/v1/cards/issue", issue(fresh3, `"kind":"virtual","for":"`+anna+`"`)), map[string]any{"code": "card_closed"})
}

func TestIssueWithoutKey(t *testing.T) {
	d := newDesk(t)
	d.WithoutKey()
	h := newServer(t, config(d)).Handler()
	for _, rest := range []string{`"kind":"main","form":` + filled, `"kind":"additional","for":"` + anna + `"`} {
		want(t, call(t, h, 403, "POST", "/v1/cards/issue", issue(fresh, rest)), map[string]any{"code": "no_forms_key"})
	}
	if d.Entries() != 0 {
		t.Errorf("%d entries", d.Entries())
	}
}

// TestBadForms: whatever is wrong with a form, the answer names the field and tells nothing of the customer, neither does
// the log, and nothing is written.
func TestBadForms(t *testing.T) {
	d := newDesk(t)
	var log bytes.Buffer
	c := config(d)
	c.Log = logTo(&log)
	h := newServer(t, c).Handler()
	change := func(old, new string) string {
		if !strings.Contains(filled, old) {
			t.Fatalf("%q is not in the form", old)
		}
		return strings.Replace(filled, old, new, 1)
	}
	for name, form := range map[string]string{
		"none":               `null`,
		"empty":              `{}`,
		"no consent":         `{"name":"Вера","phone":"+79031112233"}`,
		"consent to nothing": change(`"text":"2026-03",`, ``),
		"consent tomorrow":   change("2026-11-21T12", "2026-11-23T12"),
		"oversized name":     change("Вера", strings.Repeat("Вера", 60)),
		"name of 1 MB":       change("Вера", strings.Repeat("Вера", 100_000)),
		"oversized address":  change("vera@", strings.Repeat("vera", 80)+"@"),
		"phone as text":      change("+79031112233", "9031112233 Вера"),
		"control code":       change("Вера", `Вера\u0000`),
		"line break":         change("Вера", `Вера\nСидорова`),
		"writes backwards":   change("Вера", `\u202eВера`),
		"not UTF-8":          change("Вера", "Вера\xff"),
		"no such birthday":   change("1985-02-03", "1985-02-30"),
		"foreign language":   change(`"ru"`, `"Сидорова"`),
		"unknown member":     change(`"language"`, `"passport":"Сидорова","language"`),
		"number for a name":  change(`"Вера Петровна Сидорова"`, `9031112233`),
	} {
		w := request{method: "POST", path: "/v1/cards/issue", body: issue(fresh, `"kind":"main","form":`+form)}.do(t, h)
		if w.Code != 400 && w.Code != 422 && w.Code != 413 {
			t.Errorf("%s: %d %.300s", name, w.Code, w.Body)
		}
		checkNoSecret(t, name+": the answer", w.Body.String())
	}
	for name, body := range map[string]string{
		"staff":                 issue(fresh, `"kind":"staff","form":`+filled),
		"additional of nobody":  issue(fresh, `"kind":"additional","form":`+filled),
		"a second main card":    issue(fresh, `"kind":"main","for":"`+anna+`","form":`+filled),
		"replaces nothing":      issue(fresh, `"kind":"main","replaces":true,"form":`+filled),
		"itself":                issue(fresh, `"kind":"additional","for":"`+fresh+`"`),
		"no number":             issue("", `"kind":"main","form":`+filled),
		"a number with a space": issue("7005 9900", `"kind":"main","form":`+filled),
	} {
		w := request{method: "POST", path: "/v1/cards/issue", body: body}.do(t, h)
		if w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %.300s", name, w.Code, w.Body)
		}
		checkNoSecret(t, name+": the answer", w.Body.String())
	}
	checkNoSecret(t, "the log", log.String())
	if d.Entries() != 0 {
		t.Errorf("%d entries", d.Entries())
	}
	// Markup in a name is a name.
	want(t, call(t, h, 200, "POST", "/v1/cards/issue", issue(fresh, `"kind":"main","form":`+change("Вера", "<script>alert(1)</script>"))), map[string]any{"known": true})
}

// TestIssuePrinted holds that the slip of a new card fits the paper.
func TestIssuePrinted(t *testing.T) {
	d := newDesk(t)
	h := newServer(t, config(d)).Handler()
	var all strings.Builder
	add := func(title, body string) {
		t.Helper()
		text := call(t, h, 200, "POST", "/v1/cards/issue", body)["receipt_text"].(string)
		fmt.Fprintf(&all, "== %s\n%s", title, text)
		checkPrintable(t, title, text)
	}
	add("additional", issue(fresh2, `"kind":"additional","for":"`+anna+`"`))
	add("replaces a lost one", issue(fresh, `"kind":"main","for":"`+anna+`","replaces":true`))
	d.SetOnline(false)
	add("offline", issue(fresh3, `"kind":"main","form":`+filled))
	golden(t, "issued.txt", []byte(all.String()))
}

// TestInternalErrorOfIssue: an error that carries the request tells nothing of the form, whoever logs it.
func TestInternalErrorOfIssue(t *testing.T) {
	d := newDesk(t)
	var log bytes.Buffer
	c := config(d)
	c.Log = logTo(&log)
	h := newServer(t, c).Handler()
	r := &api.CardRequest{Card: fresh}
	d.Fail(fmt.Errorf("the disk is gone: %v %+v", r, *r))
	got := request{method: "POST", path: "/v1/cards/issue", body: issue(fresh, `"kind":"main","form":`+filled)}.do(t, h)
	if got.Code != 500 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	checkNoSecret(t, "the answer", got.Body.String())
	checkNoSecret(t, "the log", log.String())
}
