package hq

import (
	"context"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Accrual is points that a partner gives to a customer, as a row of its file says.
type Accrual struct {
	Account loyalty.AccountID  `json:"account,omitempty"`
	Card    loyalty.CardNumber `json:"card,omitempty"` // instead of Account
	Points  loyalty.Points     `json:"points"`
	Ref     string             `json:"ref"` // the partner's own name for it, given once for ever
	// ActiveFrom and Expires are the terms; zero: the programme's for points accrued now.
	ActiveFrom loyalty.Instant `json:"active_from,omitempty"`
	Expires    loyalty.Instant `json:"expires,omitempty"`
}

// Check returns [loyalty.BadRequest] unless the row is well-formed.
func (a *Accrual) Check() error {
	switch {
	case (a.Card == "") == (a.Account == 0):
		return fmt.Errorf("%w: name a card or an account, not both", loyalty.BadRequest)
	case a.Account > loyalty.MaxAccount:
		return fmt.Errorf("%w: account %d", loyalty.BadRequest, a.Account)
	case a.Points <= 0 || a.Points > loyalty.MaxAmount:
		return fmt.Errorf("%w: %s points: a partner gives points, and takes none", loyalty.BadRequest, a.Points)
	case a.Expires != 0 && a.Expires <= a.ActiveFrom:
		return fmt.Errorf("%w: the points expire before they are active", loyalty.BadRequest)
	case a.Ref == "":
		return fmt.Errorf("%w: the reference is missing", loyalty.BadRequest)
	}
	return plain("reference", a.Ref, loyalty.MaxSaleID)
}

// Accrued counts what has become of a partner's accruals.
type Accrued struct {
	Added  int            `json:"added"`
	There  int            `json:"there"` // their references have been given to the same before
	Points loyalty.Points `json:"-"`     // of those that were added
}

// Add adds another count.
func (a *Accrued) Add(o Accrued) {
	a.Added += o.Added
	a.There += o.There
	a.Points += o.Points
}

// Accrue books a partner's accruals in one transaction: all or, with a [RowError], none. A reference is a partner's own,
// and taken for ever: the same row again changes nothing, another one under the same reference is [ErrDiffers]. So a file
// that was interrupted is simply brought in again. Accounts that are closed or blocked are refused.
//
// Dry, it says what would be done and does nothing.
func (b *Books) Accrue(ctx context.Context, partner string, rows []Accrual, operator string, dry bool) (n Accrued, err error) {
	by := By{Operator: operator, Reason: "accrual of the partner " + partner}
	if partner == "" {
		return n, fmt.Errorf("%w: the partner is missing", loyalty.BadRequest)
	}
	if err := plain("partner", partner, loyalty.MaxSaleID); err != nil {
		return n, err
	}
	if err := by.Check(); err != nil {
		return n, err
	}
	err = b.own(ctx, func(o *own) error {
		n = Accrued{}
		accruals, err := o.rows(partner, rows, by)
		if err != nil {
			return err
		}
		p, err := inForce(o.tx, o.at)
		if err != nil {
			return err
		}
		for i := range accruals {
			done, err := o.accrue(&accruals[i], p)
			switch {
			case err != nil:
				return &RowError{Row: i, Err: err}
			case done:
				n.Added++
				n.Points += accruals[i].points
			default:
				n.There++
			}
		}
		if dry {
			o.changes = Changes{}
		}
		return nil
	})
	if err != nil {
		return Accrued{}, err
	}
	return n, nil
}

// rows finds the accounts behind a partner's rows and what their references were given to.
func (o *own) rows(partner string, rows []Accrual, by By) ([]accrual, error) {
	var steps []SaleStep
	var cards []loyalty.CardNumber
	var ids []loyalty.AccountID
	out := make([]accrual, len(rows))
	for i, row := range rows {
		a := accrual{account: row.Account, points: row.Points, active: row.ActiveFrom, expires: row.Expires, partner: partner, ref: row.Ref, By: by}
		if err := row.Check(); err != nil {
			return nil, &RowError{Row: i, Err: err}
		}
		if row.Card != "" {
			cards = append(cards, row.Card)
		} else {
			ids = append(ids, row.Account)
		}
		out[i], steps = a, append(steps, a.step())
	}
	if err := o.loadSteps(steps); err != nil {
		return nil, err
	}
	if err := o.load(cards, ids); err != nil {
		return nil, err
	}
	var unknown *RowError
	for i, row := range rows {
		if row.Card == "" {
			continue
		}
		card, ok := o.cards[row.Card]
		err := RowError{Row: i, Err: fmt.Errorf("card %s: %w", row.Card, loyalty.UnknownCard)}
		switch {
		case ok:
			out[i].account = card.Account
		case unknown == nil:
			unknown = &err
		case len(unknown.More) < maxFaults:
			unknown.More = append(unknown.More, err)
		}
	}
	if unknown != nil {
		return nil, unknown
	}
	return out, nil
}
