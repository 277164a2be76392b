package agent

import (
	"context"
	"errors"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// askAgain is how long the desk waits before it asks once more whether headquarters has opened an account: about as long
// as an entry takes there.
const askAgain = 100 * time.Millisecond

// IssueCard gives out a card. The form is sealed here, before anything of it is handed on: neither the ledger nor the log
// ever sees it. A card that joins an account needs headquarters' word first; one that begins an account does not, and
// headquarters' word on it is waited for only so that the cashier sees the account.
func (d *Desk) IssueCard(ctx context.Context, r *api.CardRequest) (api.GivenCard, error) {
	now, _ := d.ledger.Now()
	req, err := r.Seal(d.forms, now)
	if err != nil {
		return api.GivenCard{}, d.issued(ctx, r, err)
	}
	was, err := d.ledger.Issued(r.Card)
	if err == nil && was == nil {
		err = d.mayBeIssued(ctx, r)
	}
	if err != nil {
		return api.GivenCard{}, d.issued(ctx, r, err)
	}
	i, err := d.ledger.IssueCard(ctx, req)
	if err != nil {
		return api.GivenCard{}, d.issued(ctx, r, err)
	}
	out := api.GivenCard{Issued: *i}
	if c, ok := d.awaitAccount(ctx, r.Card); ok {
		out.Customer = &c
	}
	return out, nil
}

// mayBeIssued decides of a card that was not given out here before.
func (d *Desk) mayBeIssued(ctx context.Context, r *api.CardRequest) error {
	if err := d.admit(r.Card); err != nil {
		return err
	}
	if r.For != "" {
		if err := d.admit(r.For); err != nil {
			return err
		}
	}
	return d.mayIssue(ctx, r)
}

// mayIssue asks headquarters whether a card may be given out that was not given out here before. It must say so of a card
// that joins an account; of one that begins one it may say that somebody has it already.
func (d *Desk) mayIssue(ctx context.Context, r *api.CardRequest) error {
	if r.For != "" {
		issue := &pb.Issue{Card: string(r.Card), Kind: uint32(r.Kind), Replaces: r.Replaces}
		_, err := d.ask(ctx, &pb.Ask{Card: string(r.For), Issue: issue})
		return err
	}
	b, err := d.ledger.Lookup(r.Card)
	if err != nil || b.Known {
		return err // the ledger refuses what it knows
	}
	switch err := d.refresh(ctx, r.Card); {
	case err == nil:
		return loyalty.CardTaken
	case !errors.Is(err, loyalty.UnknownCard):
		d.log.InfoContext(ctx, "a card is issued without headquarters' word", "card", r.Card, "err", err)
	}
	return nil
}

// awaitAccount waits for headquarters to tell of a card, as long as a counter waits for anything. It does not while
// headquarters is out of reach.
func (d *Desk) awaitAccount(ctx context.Context, card loyalty.CardNumber) (api.Customer, bool) {
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	for {
		b, err := d.ledger.Lookup(card)
		if err != nil {
			return api.Customer{}, false
		}
		if b.Known {
			c, err := d.customer(card, d.hq.Online())
			return c, err == nil
		}
		if !d.hq.Online() {
			return api.Customer{}, false
		}
		if err := d.refresh(ctx, card); err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return api.Customer{}, false
		case <-time.After(askAgain):
		}
	}
}

// issued logs why a card was not given out, and tells headquarters where it was asked with a staff card.
func (d *Desk) issued(ctx context.Context, r *api.CardRequest, err error) error {
	d.refusedStaff(ctx, err, r.Who, r.Card, r.For)
	if code, ok := loyalty.RefusalOf(err); ok {
		d.log.InfoContext(ctx, "refused", "step", "issue", "card", r.Card, "code", code)
	} else {
		d.log.ErrorContext(ctx, "failed", "step", "issue", "card", r.Card, "err", err)
	}
	return err
}

// OpenShift opens a shift of a counter.
func (d *Desk) OpenShift(ctx context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error) {
	return d.ledger.OpenShift(ctx, r)
}

// CloseShift closes a shift of a counter and compares its totals with the register's.
func (d *Desk) CloseShift(ctx context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error) {
	return d.ledger.CloseShift(ctx, r)
}

// Shift returns a shift as it stands.
func (d *Desk) Shift(id loyalty.ShiftID) (*loyalty.Shift, error) { return d.ledger.Shift(id) }

// Programme is the programme in force.
func (d *Desk) Programme() *loyalty.Programme { return d.ledger.Programme() }
