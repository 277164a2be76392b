package admin

import (
	"fmt"
	"net/http"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// StatementQuery asks for what was done with an account: a page of it, newest first, or all of it added up.
type StatementQuery struct {
	AccountQuery
	From   loyalty.Instant `json:"from,omitempty"`   // zero: no bound
	Until  loyalty.Instant `json:"until,omitempty"`  // not included; zero: no bound
	Before uint64          `json:"before,omitempty"` // the Next of the page before; zero: from the newest
	By     hq.Grouping     `json:"by,omitempty"`     // adds up instead
}

// Statement is a page of an account's statement, or what it comes to.
type Statement struct {
	Account    loyalty.AccountID `json:"account"`
	Operations []Operation       `json:"operations,omitempty"` // newest first
	Next       uint64            `json:"next,omitempty"`       // where an older page begins; a page may be empty and have one behind it
	Totals     []Totals          `json:"totals,omitempty"`
}

// Operation is a line of a statement. Amounts are decimal numbers; what is zero is left out.
type Operation struct {
	Pos        uint64            `json:"pos"` // in headquarters' stream
	At         string            `json:"at"`
	Station    loyalty.StationID `json:"station,omitempty"` // none: headquarters
	Epoch      loyalty.Epoch     `json:"epoch"`
	Seq        loyalty.Seq       `json:"seq"`
	Kind       string            `json:"kind"`
	Sale       string            `json:"sale,omitempty"`
	Refund     string            `json:"refund,omitempty"`
	Card       string            `json:"card,omitempty"`
	Partner    string            `json:"partner,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Total      string            `json:"total,omitempty"`
	Discount   string            `json:"discount,omitempty"`
	Redeemed   string            `json:"redeemed,omitempty"`
	Earned     string            `json:"earned,omitempty"`
	ActiveFrom string            `json:"active_from,omitempty"`
	Expires    string            `json:"expires,omitempty"`
	Returned   string            `json:"returned,omitempty"`
	Clawed     string            `json:"clawed,omitempty"`
	Activated  string            `json:"activated,omitempty"`
	Expired    string            `json:"expired,omitempty"`
	TierBefore string            `json:"tier_before,omitempty"`
	TierAfter  string            `json:"tier_after,omitempty"`
	Operator   string            `json:"operator,omitempty"` // of headquarters
	State      string            `json:"state,omitempty"`    // from here on, of the account or the card that was changed
	Joined     string            `json:"joined,omitempty"`
	RedeemOn   *bool             `json:"redeem_on,omitempty"`
	CardKind   string            `json:"card_kind,omitempty"`
	MayRedeem  *bool             `json:"may_redeem,omitempty"`
	Forms      int               `json:"forms,omitempty"` // that were destroyed
}

// Totals are operations that have something in common, added up.
type Totals struct {
	Key        string `json:"key"` // number of the station (0: headquarters), name of the partner (empty: none), or month
	Operations int    `json:"operations"`
	Sold       string `json:"sold"`     // receipts, before points
	Refunded   string `json:"refunded"` // of them, before points
	Discount   string `json:"discount"` // that points paid, less what went back
	Redeemed   string `json:"redeemed"`
	Returned   string `json:"returned"`
	Earned     string `json:"earned"`
	Clawed     string `json:"clawed"`
	Expired    string `json:"expired"`
}

func (h *handler) statement(w http.ResponseWriter, r *http.Request) error {
	var q StatementQuery
	if err := body(r, &q); err != nil {
		return err
	}
	if (q.Account == 0) == (q.Card == "") || q.From < 0 || q.Until < 0 {
		return fmt.Errorf("%w: name an account or a card, and moments that have been", loyalty.BadRequest)
	}
	out := Statement{}
	err := h.Books.Store().View(r.Context(), func(tx hq.Tx) (err error) {
		out.Account, err = q.find(tx)
		return err
	})
	if err != nil {
		return err
	}
	if q.By != "" {
		groups, err := h.Books.Turnovers(r.Context(), out.Account, q.By, q.From, q.Until)
		if err != nil {
			return err
		}
		for i := range groups {
			out.Totals = append(out.Totals, totalsOf(&groups[i]))
		}
		return answer(w, out)
	}
	page, next, err := h.Books.Statement(r.Context(), out.Account, hq.AskHistory{From: q.From, Until: q.Until, Before: q.Before, Limit: maxPage})
	if err != nil {
		return err
	}
	out.Next = next
	for i := range page {
		out.Operations = append(out.Operations, operationOf(&page[i], q.Full))
	}
	return answer(w, out)
}

func totalsOf(t *hq.Turnover) Totals {
	return Totals{
		Key: t.Key, Operations: t.Operations, Sold: t.Sold.String(), Refunded: t.Refunded.String(), Discount: t.Discount.String(),
		Redeemed: t.Redeemed.String(), Returned: t.Returned.String(), Earned: t.Earned.String(), Clawed: t.Clawed.String(), Expired: t.Expired.String(),
	}
}

func operationOf(p *hq.HistoryLine, full bool) Operation {
	o := Operation{
		Pos: p.Pos, At: p.At.String(), Station: p.Station, Epoch: p.Epoch, Seq: p.Seq, Kind: string(p.Kind), Sale: string(p.Sale),
		Refund: string(p.Refund), Partner: p.Partner, Reason: p.Reason, Total: some(p.Total), Discount: some(p.Discount),
		Redeemed: some(p.Redeemed), Earned: some(p.Earned), ActiveFrom: momentOf(p.ActiveFrom), Expires: momentOf(p.Expires),
		Returned: some(p.Returned), Clawed: some(p.Clawed), Activated: some(p.Activated), Expired: some(p.Expired),
		TierBefore: p.TierBefore, TierAfter: p.TierAfter,
	}
	o.Operator = p.Operator
	switch b := p.Change.(type) {
	case loyalty.AccountChanged:
		o.State, o.Joined, o.RedeemOn = b.State.String(), momentOf(b.Joined), &b.RedeemOn
	case loyalty.CardChanged:
		o.State, o.CardKind, o.MayRedeem = b.State.String(), b.Kind.String(), &b.MayRedeem
	case loyalty.AccountForgotten:
		o.Forms = len(b.Forms)
	}
	switch {
	case p.Card == "":
	case full:
		o.Card = string(p.Card)
	default:
		o.Card = p.Card.String()
	}
	return o
}

// some shows an amount; none as nothing.
func some[T interface {
	~int64
	fmt.Stringer
}](v T) string {
	if v == 0 {
		return ""
	}
	return v.String()
}
