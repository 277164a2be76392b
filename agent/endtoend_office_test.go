package agent_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// What operators of headquarters do in the course of the day, each with the command that is there for it.

// openedForm is what an operator reads of a form.
type openedForm struct {
	Name  string `json:"name"`
	Phone string `json:"phone"`
	Email string `json:"email"`
	Birth string `json:"birth"`
	Hash  string `json:"hash"`
}

// formsOf opens the forms of a card's account with the operator's identity.
func (d *day) formsOf(ctx context.Context, card loyalty.CardNumber) (forms []openedForm) {
	d.t.Helper()
	out := d.must(ctx, "forms", "show", "--card", string(card), "--identity", d.path("hq.forms.identity"), "--json")
	for line := range strings.Lines(out) {
		var f openedForm
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			d.t.Fatal(err)
		}
		forms = append(forms, f)
	}
	return forms
}

// readForm has the operator read what the newcomer wrote: with her card, and with the additional one.
func (d *day) readForm(ctx context.Context) {
	d.t.Helper()
	forms := d.formsOf(ctx, newcomer)
	if len(forms) != 2 {
		d.t.Fatalf("headquarters keeps %d forms of the newcomer, want 2", len(forms))
	}
	for _, f := range forms {
		f.Hash = ""
		equal(d.t, "what the form says", f, openedForm{Name: herName, Phone: herPhone, Email: herEmail, Birth: "1990-12-31"})
	}
	// Without the identity there is nothing to read: neither in the store nor by the commands.
	if out, err := d.command(ctx, "forms", "show", "--card", string(newcomer)); err == nil || strings.Contains(out, herName) {
		d.t.Errorf("a form is read without the identity: %s", out)
	}
	if n := d.sealed(); n != 3 {
		d.t.Fatalf("%d sealed forms are found in headquarters' file, want 3", n)
	}
}

// sealed counts the sealed forms whose bytes are in headquarters' file, wherever in it.
func (d *day) sealed() int {
	d.t.Helper()
	rest, err := os.ReadFile(d.path("hq.db"))
	if err != nil {
		d.t.Fatal(err)
	}
	// What age seals begins with a line that is always the same, and one that never is.
	const head = "age-encryption.org/v1\n-> X25519 "
	shares := map[string]bool{}
	for {
		_, found, ok := bytes.Cut(rest, []byte(head))
		if !ok {
			return len(shares)
		}
		shares[string(found[:min(43, len(found))])] = true
		rest = found
	}
}

// destroyed makes sure that of the newcomer's forms no byte is left in headquarters' file; that of the passer-by is there.
func (d *day) destroyed() {
	d.t.Helper()
	equal(d.t, "sealed forms in headquarters' file", d.sealed(), 1)
}

// alerted looks for the one alert of the day: the shift that differed.
func (d *day) alerted(ctx context.Context) {
	d.t.Helper()
	out := d.must(ctx, "alerts", "--rule", loyalty.AlertShiftDiffers)
	if strings.Count(out, "\n") == 0 || !strings.Contains(out, "station 1") || !strings.Contains(out, "cashier Иван") || !strings.Contains(out, "shift 8") {
		d.t.Errorf("headquarters does not tell of the shift that differs: %q", out)
	}
	if strings.Contains(out, "shift 7") {
		d.t.Errorf("headquarters tells of the shift that came out equal: %q", out)
	}
}

// statementAnswer is a statement as a register reads it.
type statementAnswer struct {
	Everywhere bool        `json:"everywhere"`
	Operations []operation `json:"operations"`
	Stations   []struct {
		Station    uint32         `json:"station"`
		Operations int            `json:"operations"`
		Bought     int64          `json:"bought_kopecks"`
		Earned     loyalty.Points `json:"earned_points_x100"`
		Clawed     loyalty.Points `json:"clawed_points_x100"`
		Redeemed   loyalty.Points `json:"redeemed_points_x100"`
		Returned   loyalty.Points `json:"returned_points_x100"`
	} `json:"by_station"`
}

// statements asks for the statements of all customers: everywhere at both stations, here at each, and at headquarters.
func (d *day) statements(ctx context.Context) {
	d.awaitDrained(ctx)
	for _, card := range []loyalty.CardNumber{regular, shopper, newcomer} {
		for _, s := range d.stations {
			all := d.statement(ctx, s.register, card, true)
			d.sameOperations(fmt.Sprintf("%s everywhere, asked at %s", card, s.name), all.Operations, d.done[card])
			for _, sum := range all.Stations {
				d.sumsUp(card, sum.Station, sum.Earned-sum.Clawed-sum.Redeemed+sum.Returned, sum.Bought)
			}
			here := slices.DeleteFunc(slices.Clone(d.done[card]), func(o operation) bool { return o.Station != uint32(s.number) })
			d.sameOperations(fmt.Sprintf("%s at %s", card, s.name), d.statement(ctx, s.register, card, false).Operations, here)
		}
		d.statementAtHQ(ctx, card)
	}
}

func (d *day) statement(ctx context.Context, r *register, card loyalty.CardNumber, everywhere bool) (a statementAnswer) {
	d.t.Helper()
	raw := d.call(ctx, r, http.MethodPost, "/v1/statement", map[string]any{"card": string(card), "everywhere": everywhere}, &a)
	if a.Everywhere != everywhere {
		d.t.Errorf("asked for a statement everywhere (%v): %s", everywhere, raw)
	}
	// The additional card belongs to the newcomer's account: of operations with it nobody was told here.
	a.Operations = slices.DeleteFunc(a.Operations, func(o operation) bool { return o.Kind == "card" && o.Station == 2 })
	return a
}

// sameOperations fails unless a statement has exactly these operations, the newest first.
func (d *day) sameOperations(what string, got, want []operation) {
	d.t.Helper()
	byName := func(a, b operation) int {
		return cmp.Or(cmp.Compare(a.Station, b.Station), cmp.Compare(a.Sale, b.Sale), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Refund, b.Refund))
	}
	got, want = slices.SortedFunc(slices.Values(got), byName), slices.SortedFunc(slices.Values(want), byName)
	if !slices.Equal(got, want) {
		d.t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

// sumsUp fails unless a station's sums are those of the operations that its registers were answered.
func (d *day) sumsUp(card loyalty.CardNumber, station uint32, gained loyalty.Points, bought int64) {
	d.t.Helper()
	var points loyalty.Points
	var kopecks loyalty.Kopecks
	for _, o := range d.done[card] {
		if o.Station != station {
			continue
		}
		points += o.Earned - o.Clawed - o.Redeemed + o.Returned
		if kopecks += o.Total; o.Kind == "refund" {
			kopecks -= 2 * o.Total
		}
	}
	if points != gained || int64(kopecks) != bought {
		d.t.Errorf("station %d gave %s %s points for %d kopecks by the statement, %s for %d by its answers", station, card, gained, bought, points, kopecks)
	}
}

// statementAtHQ reads the same at headquarters.
func (d *day) statementAtHQ(ctx context.Context, card loyalty.CardNumber) {
	d.t.Helper()
	var got, want []string
	out := d.must(ctx, "statement", "--card", string(card), "--json")
	for line := range strings.Lines(out) {
		var o struct {
			Station uint32 `json:"station"`
			Kind    string `json:"kind"`
			Sale    string `json:"sale"`
			Refund  string `json:"refund"`
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			d.t.Fatal(err)
		}
		if o.Kind != "card" || o.Station == 1 {
			got = append(got, fmt.Sprintln(o))
		}
	}
	for _, o := range d.done[card] {
		want = append(want, fmt.Sprintln(struct {
			Station            uint32
			Kind, Sale, Refund string
		}{o.Station, o.Kind, string(o.Sale), o.Refund}))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		d.t.Errorf("the statement of %s at headquarters:\ngot  %q\nwant %q", card, got, want)
	}
}

// forgotten closes the newcomer's account at her wish and has everything destroyed that names her.
func (d *day) forgotten(ctx context.Context) {
	var account struct {
		ID uint64 `json:"account"`
	}
	out := d.must(ctx, "accounts", "show", "--card", string(newcomer), "--json")
	if err := json.Unmarshal([]byte(out), &account); err != nil || account.ID < 1<<39 {
		d.t.Fatalf("the newcomer's account: %s, %v", out, err)
	}
	id := fmt.Sprint(account.ID)
	forms := d.formsOf(ctx, newcomer)
	d.must(ctx, "accounts", "close", id, "--reason", "letter 118", "--operator", "Ivanova")
	for _, s := range d.stations {
		await(ctx, d.t, s.name+" has heard that the card is closed", func() bool {
			var a struct {
				Accrue *refusal `json:"accrue_refused"`
			}
			_, err := s.register.once(ctx, http.MethodPost, "/v1/identify", map[string]string{"card": string(newcomer)}, &a)
			return err == nil && a.Accrue != nil && a.Accrue.Code == string(loyalty.CardClosed)
		})
		late := ring{id: loyalty.SaleID("late at " + s.name), card: newcomer, ml: 20_000}
		d.refused(ctx, s.register, http.MethodPost, salePath(late.id, "/close"), late.body(), http.StatusForbidden, loyalty.CardClosed)
	}

	d.must(ctx, "accounts", "forget", id, "--reason", "letter 118", "--operator", "Ivanova", "--out", d.path("act.json"))
	verified := d.must(ctx, "act", "verify", d.path("act.json"), "--key", d.path("hq.acts.pub"))
	for _, f := range forms {
		if !strings.Contains(verified, f.Hash) {
			d.t.Errorf("the act does not name the form %s that was destroyed:\n%s", f.Hash, verified)
		}
	}
	act, err := os.ReadFile(d.path("act.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	writeFile(d.t, d.path("forged.json"), strings.Replace(string(act), "Ivanova", "Petrova", 1))
	if out, err := d.command(ctx, "act", "verify", d.path("forged.json"), "--key", d.path("hq.acts.pub")); err == nil {
		d.t.Errorf("an act that was changed is good:\n%s", out)
	}
	if out, err := d.command(ctx, "forms", "show", "--card", string(newcomer), "--identity", d.path("hq.forms.identity"), "--json"); err == nil && out != "" {
		d.t.Errorf("forms of who was forgotten: %s", out)
	}
	if out := d.must(ctx, "verify"); !strings.HasPrefix(out, "good:") {
		d.t.Errorf("headquarters verifies: %s", out)
	}
}
