package hq

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Imported counts what an import has done.
type Imported struct {
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Applied   int `json:"applied"` // entries that were set aside until the cards came
}

// Add adds another count.
func (i *Imported) Add(o Imported) {
	i.Added += o.Added
	i.Changed += o.Changed
	i.Unchanged += o.Unchanged
	i.Applied += o.Applied
}

// RowError says which of the rows given to an import was refused; Row counts from zero. Nothing of the call was done.
type RowError struct {
	Row int
	Err error
	// More are other rows with the same fault, in their order; at most maxFaults.
	More []RowError
}

const maxFaults = 50

// Error names the row and the reason.
func (e *RowError) Error() string { return fmt.Sprintf("row %d: %v", e.Row, e.Err) }

// Unwrap is the reason.
func (e *RowError) Unwrap() error { return e.Err }

// ImportAccounts brings accounts in, with the lots they begin with, in one transaction: all or, with a [RowError], none.
// An account is brought in once: again with the same content it is unchanged, whatever has been posted since; with other
// content it is [ErrDiffers]. So an import that was interrupted is simply run again.
func (b *Books) ImportAccounts(ctx context.Context, accounts []loyalty.Account) (n Imported, err error) {
	ids := make([]loyalty.AccountID, 0, len(accounts))
	for i := range accounts {
		a := &accounts[i]
		if a.ID == 0 || a.ID > loyalty.MaxAccount {
			return n, &RowError{Row: i, Err: fmt.Errorf("%w: account %d", loyalty.BadRequest, a.ID)}
		}
		if err := a.Check(); err != nil {
			return n, &RowError{Row: i, Err: fmt.Errorf("%w: %w", loyalty.BadRequest, err)}
		}
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	err = b.cfg.Store.Update(ctx, func(tx Tx) error {
		n = Imported{}
		there, err := tx.Openings(ids)
		if err != nil {
			return err
		}
		c := &Changes{}
		for i := range accounts {
			a := accounts[i].Clone()
			old, same := there[a.ID], false
			if a.Advanced == 0 { // what comes about from here on is told
				if a.Advanced = b.Now(); old != nil {
					a.Advanced = old.Advanced
				}
			}
			if old != nil && old.State == a.State {
				if same, err = sameHoldings(old, &a); err != nil {
					return err
				}
			}
			switch {
			case old == nil:
				there[a.ID] = &a
				c.Openings = append(c.Openings, &a)
				c.Records = append(c.Records, &loyalty.Record{Account: a.Clone(), Version: 1})
				n.Added++
			case same:
				n.Unchanged++
			default:
				return &RowError{Row: i, Err: fmt.Errorf("account %d was brought in with other content: %w", a.ID, ErrDiffers)}
			}
		}
		if c.empty() {
			return nil
		}
		return tx.Save(c)
	})
	return n, err
}

// ImportCards brings cards in, or changes state, kind and permission of those that are there, in one transaction: all
// or, with a [RowError], none. A card stays with its account: another one is [ErrDiffers]. One that is closed stays closed:
// [ErrForGood]. Stations that know the account
// are told. More cards of a kind than the programme allows on an account are [ErrCardLimit]; those that are there stay.
//
// Behind it, entries that were set aside because a card was not known are applied. If that is interrupted, the cards are
// there, and bringing them in once more goes on with it.
func (b *Books) ImportCards(ctx context.Context, cards []loyalty.Card) (n Imported, err error) {
	var numbers []loyalty.CardNumber
	var ids []loyalty.AccountID
	for i := range cards {
		if err := cards[i].Number.Check(); err != nil {
			return n, &RowError{Row: i, Err: err}
		}
		numbers, ids = append(numbers, cards[i].Number), append(ids, cards[i].Account)
	}
	slices.Sort(numbers)
	slices.Sort(ids)
	numbers, ids = slices.Compact(numbers), slices.Compact(ids)
	var touched []loyalty.StationID
	err = b.cfg.Store.Update(ctx, func(tx Tx) error {
		n = Imported{}
		c, err := importCards(tx, &b.programmes, cards, numbers, ids, &n)
		if err != nil || c.empty() {
			return err
		}
		touched = c.stationsTouched()
		return tx.Save(c)
	})
	if err != nil {
		return Imported{}, err
	}
	b.wake.push(touched...)
	n.Applied, err = b.arrived(ctx, numbers)
	return n, err
}

func importCards(
	tx Tx, programmes *Programmes, cards []loyalty.Card, numbers []loyalty.CardNumber, ids []loyalty.AccountID, n *Imported,
) (*Changes, error) {
	there, err := tx.Cards(numbers)
	if err != nil {
		return nil, err
	}
	records, err := tx.Records(ids)
	if err != nil {
		return nil, err
	}
	knowing, err := tx.Knowing(ids)
	if err != nil {
		return nil, err
	}
	limit, err := newCardLimit(tx, programmes)
	if err != nil {
		return nil, err
	}
	c := &Changes{}
	for i, card := range cards {
		old, ok := there[card.Number]
		card.HQVersion = old.HQVersion
		switch {
		case records[card.Account] == nil:
			return nil, &RowError{Row: i, Err: fmt.Errorf("account %d: %w", card.Account, ErrNoAccount)}
		case ok && old.Account != card.Account:
			return nil, &RowError{Row: i, Err: fmt.Errorf("card %s belongs to account %d: %w", card.Number, old.Account, ErrDiffers)}
		case ok && reflect.DeepEqual(old, card):
			n.Unchanged++
			continue
		case ok && old.State == loyalty.Closed && card.State != loyalty.Closed:
			return nil, &RowError{Row: i, Err: fmt.Errorf("card %s: %w", card.Number, ErrForGood)}
		case ok:
			n.Changed++
		default:
			n.Added++
		}
		if err := limit.add(card, old); err != nil {
			return nil, &RowError{Row: i, Err: err}
		}
		card.HQVersion++
		there[card.Number] = card
		c.Cards = append(c.Cards, card)
		for _, s := range knowing[card.Account] {
			c.Touched = append(c.Touched, Touch{s, ItemKey{Kind: CardItem, Card: card.Number}})
		}
	}
	return c, nil
}
