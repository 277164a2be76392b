package hq

import (
	"context"
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// ErrNoForm means that no such form is kept.
var ErrNoForm = errors.New("no such form is kept")

// DestroyForm destroys a sealed form that belongs to no account: the card it came with was refused, or its entry cannot be
// read. An account's form is refused: it goes with the account, see [Books.Forget].
func (b *Books) DestroyForm(ctx context.Context, hash loyalty.FormHash, by By) (f Form, err error) {
	if err := by.Check(); err != nil {
		return f, err
	}
	err = b.own(ctx, func(o *own) error {
		forms, err := o.tx.Forms([]loyalty.FormHash{hash})
		switch {
		case err != nil:
			return err
		case forms[hash] == nil || forms[hash].Sealed == nil:
			return fmt.Errorf("form %x: %w", hash[:], ErrNoForm)
		case forms[hash].Account != 0:
			return fmt.Errorf("%w: the form belongs to account %d, and is destroyed when its owner is forgotten", loyalty.BadRequest, forms[hash].Account)
		}
		f = *forms[hash]
		o.changes.Destroyed = []loyalty.FormHash{hash}
		return o.writeNews(loyalty.AccountForgotten{Forms: []loyalty.FormHash{hash}, Reason: by.Reason, Operator: by.Operator}, SaleStep{})
	})
	return f, err
}

// WhyUnclaimed says of each form that belongs to no account why it does not.
func WhyUnclaimed(tx Tx, forms []Form) (map[loyalty.FormHash]string, error) {
	var places []Place
	for _, f := range forms {
		if f.Account == 0 && f.From.Seq != 0 {
			places = append(places, f.From)
		}
	}
	lines, err := tx.LinesAt(places)
	if err != nil {
		return nil, err
	}
	reasons := map[Place]string{}
	for _, l := range lines {
		reasons[l.Place] = l.Reason
	}
	why := map[loyalty.FormHash]string{}
	for _, f := range forms {
		switch {
		case f.Account != 0:
		case f.From.Seq == 0:
			why[f.Hash] = "no entry names it that can be read"
		default:
			why[f.Hash] = reasons[f.From]
		}
	}
	return why, nil
}
