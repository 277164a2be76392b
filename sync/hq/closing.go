package hq

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Closing says what closing an account, or forgetting its owner, has come to.
type Closing struct {
	Account   loyalty.AccountID
	Cards     []loyalty.Card
	Burned    loyalty.Points // now
	Left      loyalty.Points // that stations hold rights to: [Books.Advance] burns what they do not use
	Forms     int            // sealed forms that were destroyed now
	Forgotten bool
}

// The bounds of the cards of an account that is closed: in all, and in one transaction, so that stations' questions wait no
// longer than for a small batch.
const (
	maxClosed   = 5000
	closedGroup = 500
)

// CloseAccount closes an account and its cards for good and burns the points that no station holds rights to; the rest
// burns when the rights have come back or the sales they were for have been posted, see [Books.Advance]. Closed again, it
// only burns what can be burned by now, and closes cards that it was interrupted before. An account with more than 5000
// cards is refused.
func (b *Books) CloseAccount(ctx context.Context, id loyalty.AccountID, by By) (c Closing, err error) {
	if err := by.Check(); err != nil {
		return c, err
	}
	var burned loyalty.Points
	for more := true; more; {
		err := b.own(ctx, func(o *own) (err error) {
			c, more, err = o.close(id, by)
			return err
		})
		if err != nil {
			return Closing{}, err
		}
		burned += c.Burned
	}
	c.Burned = burned
	return c, nil
}

// close closes an account, and some of its cards; more if there are others.
func (o *own) close(id loyalty.AccountID, by By) (c Closing, more bool, err error) {
	c = Closing{Account: id}
	if c.Cards, err = allCards(o.tx, id); err != nil {
		return c, false, err
	}
	if err := o.load(nil, []loyalty.AccountID{id}); err != nil {
		return c, false, err
	}
	r, err := o.record(id)
	if err != nil {
		return c, false, err
	}
	if r.Account.State != loyalty.Closed {
		body := loyalty.AccountChanged{
			Account: id, State: loyalty.Closed, Joined: r.Account.Joined, RedeemOn: r.Account.RedeemOn, Reason: by.Reason, Operator: by.Operator,
		}
		if err := o.write(body, SaleStep{}); err != nil {
			return c, false, err
		}
	}
	if more, err = o.closeCards(c.Cards, by); err != nil {
		return c, false, err
	}
	c.Burned, err = o.burn(r, by)
	c.Left = live(&r.Account, o.at)
	return c, more, err
}

// allCards are the cards of an account that is closed.
func allCards(tx Tx, id loyalty.AccountID) ([]loyalty.Card, error) {
	cards, err := tx.CardsOf(id, maxClosed+1)
	if err == nil && len(cards) > maxClosed {
		err = fmt.Errorf("%w: account %d has more than %d cards, more than an act states: block it, and close its cards one by one", loyalty.BadRequest, id, maxClosed)
	}
	return cards, err
}

// closeCards closes cards that are not closed yet, at most so many at once; more if others are left.
func (o *own) closeCards(cards []loyalty.Card, by By) (more bool, err error) {
	closed := 0
	for i := range cards {
		switch {
		case cards[i].State == loyalty.Closed:
			continue
		case closed == closedGroup:
			return true, nil
		}
		cards[i].State = loyalty.Closed
		if err := o.setCard(cards[i], by); err != nil {
			return false, err
		}
		closed++
	}
	return false, nil
}

// maxForms bounds the forms that one forgetting destroys, and its entry names.
const maxForms = 1000

// Forget destroys the sealed forms of a closed account: what headquarters hold of its owner beside the numbers of the cards.
// An account that is not closed is refused. Forgotten again, it destroys only what has come since, and where there is
// nothing writes nothing.
func (b *Books) Forget(ctx context.Context, id loyalty.AccountID, by By) (c Closing, err error) {
	if err := by.Check(); err != nil {
		return c, err
	}
	err = b.own(ctx, func(o *own) error {
		c = Closing{Account: id, Forgotten: true}
		if err := o.load(nil, []loyalty.AccountID{id}); err != nil {
			return err
		}
		r, err := o.record(id)
		if err != nil {
			return err
		}
		if r.Account.State != loyalty.Closed {
			return fmt.Errorf("%w: account %d is not closed; close it first", loyalty.BadRequest, id)
		}
		forms, err := o.tx.FormsOf(id, maxForms+1)
		if err != nil {
			return err
		}
		c.Forms, c.Left = min(len(forms), maxForms), live(&r.Account, o.at)
		before, err := o.forgotten(id)
		if err != nil || before && len(forms) == 0 {
			return err
		}
		if len(forms) > maxForms {
			return fmt.Errorf("account %d has more than %d forms", id, maxForms)
		}
		body := loyalty.AccountForgotten{Account: id, Reason: by.Reason, Operator: by.Operator}
		for _, f := range forms {
			body.Forms = append(body.Forms, f.Hash)
		}
		o.changes.Forgotten = []loyalty.AccountID{id}
		return o.write(body, SaleStep{})
	})
	return c, err
}

// historyPage is how many lines of an account are read at once.
const historyPage = 200

// forgotten tells whether the account's owner has been forgotten before.
func (o *own) forgotten(id loyalty.AccountID) (bool, error) {
	found := false
	err := ownLines(o.tx.History, id, func(_ *Line, e *loyalty.Entry) {
		if _, ok := e.Body.(loyalty.AccountForgotten); ok {
			found = true
		}
	})
	return found, err
}

// ownLines gives fn what headquarters' own journal has of an account, newest first.
func ownLines(history func(loyalty.AccountID, uint64, int) ([]*Line, error), id loyalty.AccountID, fn func(*Line, *loyalty.Entry)) error {
	for before := uint64(0); ; {
		lines, err := history(id, before, historyPage)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if before = l.Pos; l.Station != Own {
				continue
			}
			e, err := wire.DecodeEntry(l.Bytes)
			if err != nil {
				return fmt.Errorf("%s: %w", l.Place, err)
			}
			fn(l, e)
		}
		if len(lines) < historyPage {
			return nil
		}
	}
}

// Act gathers what an act of a closed account states: from the journal, so that it can be made again at any time. An
// account that is not closed is refused.
func (b *Books) Act(ctx context.Context, c Catalogue, id loyalty.AccountID) (*Act, error) {
	a := &Act{Kind: ActKind, Account: id, Made: b.Now().String()}
	err := b.cfg.Store.View(ctx, func(tx Tx) error {
		records, err := tx.Records([]loyalty.AccountID{id})
		if err != nil {
			return err
		}
		r := records[id]
		switch {
		case r == nil:
			return fmt.Errorf("account %d: %w", id, ErrNoAccount)
		case r.Account.State != loyalty.Closed:
			return fmt.Errorf("%w: account %d is not closed", loyalty.BadRequest, id)
		}
		a.Left = live(&r.Account, b.Now()).String()
		cards, err := allCards(tx, id)
		if err != nil {
			return err
		}
		for _, card := range cards {
			a.Cards = append(a.Cards, card.Number.String())
		}
		forms, err := tx.FormsOf(id, maxForms)
		a.FormsLeft = len(forms)
		return err
	})
	if err != nil {
		return nil, err
	}
	offset, err := b.Calendar(ctx)
	if err != nil {
		return nil, err
	}
	a.UTCOffset = time.Unix(0, 0).In(time.FixedZone("", int(offset/time.Second))).Format("-07:00")
	var burned loyalty.Points
	history := func(id loyalty.AccountID, before uint64, limit int) ([]*Line, error) {
		return c.History(ctx, id, before, limit)
	}
	err = ownLines(history, id, func(l *Line, e *loyalty.Entry) { burned += a.state(l, e) })
	slices.Reverse(a.Entries)
	slices.Reverse(a.Forms)
	a.Burned = burned.String()
	a.Text = a.text()
	return a, err
}

// state takes an entry into the act, if it is of what the act is about, and says what it burned.
func (a *Act) state(l *Line, e *loyalty.Entry) (burned loyalty.Points) {
	entry := ActEntry{Place: l.Place, At: e.At.String(), Op: e.Op.String(), Hash: fmt.Sprintf("%x", l.Hash[:])}
	switch b := e.Body.(type) {
	case loyalty.AccountChanged:
		if b.State != loyalty.Closed {
			return 0
		}
		entry.Kind, entry.Operator, entry.Reason = "account_closed", b.Operator, b.Reason
	case loyalty.CardChanged:
		if b.State != loyalty.Closed {
			return 0
		}
		entry.Kind, entry.Card, entry.Operator, entry.Reason = "card_closed", b.Card.String(), b.Operator, b.Reason
	case loyalty.AccountBurned:
		entry.Kind, entry.Points, entry.Operator, entry.Reason = "account_burned", b.Burned.String(), b.Operator, b.Reason
		burned = b.Burned
	case loyalty.AccountForgotten:
		entry.Kind, entry.Operator, entry.Reason = "account_forgotten", b.Operator, b.Reason
		for _, h := range slices.Backward(b.Forms) {
			a.Forms = append(a.Forms, fmt.Sprintf("%x", h[:]))
		}
	default:
		return 0
	}
	a.Entries = append(a.Entries, entry)
	return burned
}
