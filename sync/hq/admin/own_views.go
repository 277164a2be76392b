package admin

import (
	"encoding/hex"
	"strconv"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// OwnEntry is what only entries of headquarters' own journal say.
type OwnEntry struct {
	Partner    string   `json:"partner,omitempty"`
	Ref        string   `json:"ref,omitempty"`
	State      string   `json:"state,omitempty"`
	CardKind   string   `json:"card_kind,omitempty"`
	MayRedeem  *bool    `json:"may_redeem,omitempty"`
	RedeemOn   *bool    `json:"redeem_on,omitempty"`
	Joined     string   `json:"joined,omitempty"`
	ActiveFrom string   `json:"active_from,omitempty"`
	Expires    string   `json:"expires,omitempty"`
	Through    string   `json:"through,omitempty"`
	Activated  string   `json:"activated,omitempty"`
	Expired    string   `json:"expired,omitempty"`
	TierBefore string   `json:"tier_before,omitempty"`
	TierAfter  string   `json:"tier_after,omitempty"`
	Burned     string   `json:"burned,omitempty"`
	Forms      []string `json:"forms,omitempty"` // SHA-256 of what was destroyed, in hexadecimal
	Operator   string   `json:"operator,omitempty"`
	Name       string   `json:"name,omitempty"`   // of a programme
	Hash       string   `json:"sha256,omitempty"` // of its file, in hexadecimal
	Effective  string   `json:"effective,omitempty"`
}

// ownEntry shows an entry that headquarters have written; it tells whether it is one.
func (v *Entry) ownEntry(b loyalty.Body) bool {
	o := &OwnEntry{}
	switch b := b.(type) {
	case loyalty.Adjusted:
		v.Kind, v.Earned, v.Clawed, v.Why = "adjusted", sum(b.Accrued).String(), sum(b.Clawed).String(), b.Reason
		o.Partner, o.Ref, o.Operator = b.Partner, b.Ref, b.Operator
		for _, l := range b.Accrued {
			o.ActiveFrom, o.Expires = momentOf(l.ActiveFrom), momentOf(l.Expires)
		}
	case loyalty.AccountChanged:
		v.Kind, v.Why = "account_changed", b.Reason
		o.State, o.RedeemOn, o.Joined, o.Operator = b.State.String(), &b.RedeemOn, momentOf(b.Joined), b.Operator
	case loyalty.CardChanged:
		v.Kind, v.Why = "card_changed", b.Reason
		o.State, o.CardKind, o.MayRedeem, o.Operator = b.State.String(), b.Kind.String(), &b.MayRedeem, b.Operator
	case loyalty.AccountAdvanced:
		v.Kind, o.Through, o.Activated, o.Expired = "account_advanced", b.Through.String(), b.Activated.String(), b.Expired.String()
		o.TierBefore, o.TierAfter = b.Before, b.After
	case loyalty.AccountBurned:
		v.Kind, o.Burned, v.Why, o.Operator = "account_burned", b.Burned.String(), b.Reason, b.Operator
	case loyalty.AccountForgotten:
		v.Kind, v.Why, o.Operator = "account_forgotten", b.Reason, b.Operator
		for _, h := range b.Forms {
			o.Forms = append(o.Forms, hex.EncodeToString(h[:]))
		}
	case loyalty.ProgrammePublished:
		v.Kind, v.Programme, v.Why, o.Operator = "programme_published", b.Version, b.Reason, b.Operator
		o.Name, o.Hash, o.Effective = b.Name, hex.EncodeToString(b.Hash[:]), momentOf(b.Effective)
	default:
		return false
	}
	v.OwnEntry = o
	return true
}

// MoreEntry is what entries of stations say that are not of a sale's course.
type MoreEntry struct {
	Counter  string `json:"counter,omitempty"`
	For      string `json:"for,omitempty"` // a card of the account that a new one joins, masked
	Replaces bool   `json:"replaces,omitempty"`
	Form     string `json:"form,omitempty"` // SHA-256 of the sealed form, in hexadecimal
	OpenedAt string `json:"opened_at,omitempty"`
	Implied  bool   `json:"implied,omitempty"`
	Differs  bool   `json:"differs,omitempty"` // the register's totals are others
	Rule     string `json:"rule,omitempty"`
	Count    int64  `json:"count,omitempty"`
	AtMost   int64  `json:"at_most,omitempty"`
	Refused  bool   `json:"refused,omitempty"`
	// Mismatches are the figures of a shift that the register states otherwise.
	Mismatches []Mismatch `json:"mismatches,omitempty"`
}

// Mismatch is a figure of a shift: a count, roubles or points, as decimal numbers.
type Mismatch struct {
	Figure   string `json:"figure"`
	Here     string `json:"here"`     // what the station's entries come to
	Register string `json:"register"` // what the register states
}

func mismatchesOf(b *loyalty.ShiftClosed) (out []Mismatch) {
	shift := loyalty.Shift{Cashiers: b.Cashiers, Stated: b.Stated}
	for _, m := range shift.Mismatches() {
		out = append(out, Mismatch{m.Name, figure(m.Name, m.Here), figure(m.Name, m.Register)})
	}
	return out
}

// figure shows one of the totals of a shift.
func figure(name string, v int64) string {
	switch name {
	case "sales", "refunds", "voids", "manual", "cards":
		return strconv.FormatInt(v, 10)
	case "redeemed", "earned", "returned", "clawed":
		return loyalty.Points(v).String()
	}
	return loyalty.Kopecks(v).String()
}

// moreEntry shows an entry of a card that was given out, a shift or an alert; it tells whether it is one.
func (v *Entry) moreEntry(b loyalty.Body) bool {
	m := &MoreEntry{}
	if v.MoreEntry != nil {
		m = v.MoreEntry
	}
	switch b := b.(type) {
	case loyalty.CardIssued:
		v.Kind, m.Replaces = "card_issued", b.Replaces
		if b.For != "" {
			m.For = b.For.String()
		}
		if b.Form != (loyalty.FormHash{}) {
			m.Form = hex.EncodeToString(b.Form[:])
		}
		v.OwnEntry = &OwnEntry{CardKind: b.Kind.String()}
	case loyalty.ShiftOpened:
		v.Kind = "shift_opened"
	case loyalty.ShiftClosed:
		v.Kind, m.OpenedAt, m.Implied, m.Differs = "shift_closed", momentOf(b.OpenedAt), b.Implied, b.Differs
		m.Mismatches = mismatchesOf(&b)
	case loyalty.Alerted:
		v.Kind, v.Sale, m.Rule, m.Count, m.AtMost, m.Refused = "alerted", b.Sale, b.Rule, b.Count, b.AtMost, b.Refused
	default:
		return false
	}
	v.MoreEntry = m
	return true
}

// momentOf shows a moment; none as nothing.
func momentOf(at loyalty.Instant) string {
	if at == 0 {
		return ""
	}
	return at.String()
}
