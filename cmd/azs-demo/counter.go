package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// What a register does beside selling: it gives out cards, works in shifts, and asks for statements.

// formCall is what a new customer says.
type formCall struct {
	Name     string  `json:"name"`
	Phone    string  `json:"phone"`
	Birth    string  `json:"birth,omitempty"`
	Language string  `json:"language,omitempty"`
	Consent  consent `json:"consent"`
}

type consent struct {
	Text    string    `json:"text"`
	GivenAt time.Time `json:"given_at"`
}

type issueCall struct {
	Card string    `json:"card"`
	Kind string    `json:"kind"`
	Form *formCall `json:"form"`
	attendant
}

// issued is what a register is answered of a card that it gave out.
type issued struct {
	CardMasked string       `json:"card_masked"`
	Known      bool         `json:"known"` // headquarters has opened the account
	State      string       `json:"state"`
	Message    loyalty.Text `json:"message"`
}

// issue gives out a card to a new customer.
func (r *register) issue(ctx context.Context, x *customer, a attendant) (out issued, err error) {
	form := *x.form
	form.Consent.GivenAt = time.Now()
	a.Counter = counterName
	_, err = r.call(ctx, http.MethodPost, "/v1/cards/issue", issueCall{string(x.card), "main", &form, a}, &out)
	return out, err
}

// totals are what a shift comes to.
type totals struct {
	Sales    int64           `json:"sales"`
	Refunds  int64           `json:"refunds"`
	Cards    int64           `json:"cards"`
	Gross    loyalty.Kopecks `json:"gross_kopecks"`
	Discount loyalty.Kopecks `json:"discount_kopecks"`
	Cashless loyalty.Kopecks `json:"cashless_kopecks"`
	Returned loyalty.Kopecks `json:"refunded_cashless_kopecks"`
	Redeemed loyalty.Points  `json:"redeemed_points_x100"`
	Earned   loyalty.Points  `json:"earned_points_x100"`
}

// shift is what a register is answered of a shift.
type shift struct {
	State      string `json:"state"`
	Totals     totals `json:"totals"`
	Differs    bool   `json:"differs"`
	Mismatches []struct {
		Message loyalty.Text `json:"message"`
	} `json:"mismatches"`
}

func shiftPath(number uint32) string { return fmt.Sprintf("/v1/shifts/%s/%d", counterName, number) }

func (r *register) openShift(ctx context.Context, number uint32, cashier string) (x shift, err error) {
	_, err = r.call(ctx, http.MethodPut, shiftPath(number), attendant{Cashier: cashier}, &x)
	return x, err
}

// closeShift closes a shift and states what the register comes to.
func (r *register) closeShift(ctx context.Context, number uint32, cashier string, t totals) (x shift, err error) {
	body := struct {
		Cashier  string `json:"cashier"`
		Register totals `json:"register"`
	}{cashier, t}
	_, err = r.call(ctx, http.MethodPost, shiftPath(number)+"/close", body, &x)
	return x, err
}

// statement is what was done with a card's account.
type statement struct {
	Everywhere bool        `json:"everywhere"`
	Operations []operation `json:"operations"`
}

type operation struct {
	Station  int            `json:"station"`
	Kind     string         `json:"kind"`
	Sale     string         `json:"sale"`
	Refund   string         `json:"refund"`
	Earned   loyalty.Points `json:"earned_points_x100"`
	Clawed   loyalty.Points `json:"clawed_points_x100"`
	Redeemed loyalty.Points `json:"redeemed_points_x100"`
	Returned loyalty.Points `json:"returned_points_x100"`
}

// net is what an operation has given to the account, less what it has taken.
func (o *operation) net() loyalty.Points { return o.Earned - o.Clawed - o.Redeemed + o.Returned }

// String is a line of a statement.
func (o *operation) String() string {
	what := o.Kind + " " + o.Sale
	if o.Kind == "refund" {
		what = "refund of " + o.Sale
	}
	text := fmt.Sprintf("station %d   %-18s", o.Station, what)
	for _, x := range []struct {
		what   string
		points loyalty.Points
	}{{"earned", o.Earned}, {"redeemed", -o.Redeemed}, {"came back", o.Returned}, {"taken back", -o.Clawed}} {
		if x.points != 0 {
			text += fmt.Sprintf("  %s %s", x.what, signed(x.points))
		}
	}
	return text
}

func signed(p loyalty.Points) string {
	if p < 0 {
		return "-" + (-p).String()
	}
	return "+" + p.String()
}

// statement asks what was done with a card's account everywhere.
func (r *register) statement(ctx context.Context, card loyalty.CardNumber) (x statement, err error) {
	_, err = r.call(ctx, http.MethodPost, "/v1/statement", map[string]any{"card": string(card), "everywhere": true}, &x)
	return x, err
}
