package hq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// The refusals of what an operator asks for, beside those of the books.
var (
	// ErrForGood means that an account or a card is closed, which nothing undoes.
	ErrForGood = errors.New("closed for good")
	// ErrCardLimit means that the programme lets an account have no more cards of the kind.
	ErrCardLimit = errors.New("the account has as many cards of this kind as the programme allows")
)

// CardChange is what a card is from now on; nil leaves it as it is.
type CardChange struct {
	State     *loyalty.State
	Kind      *loyalty.CardKind
	MayRedeem *bool
	By
}

// SetCard changes what a card is and tells the stations that know its account. changed is false if it was so already:
// then nothing is written. It returns [loyalty.UnknownCard], [ErrForGood] for a card that is closed, and [ErrCardLimit].
func (b *Books) SetCard(ctx context.Context, number loyalty.CardNumber, c CardChange) (card loyalty.Card, changed bool, err error) {
	if err := cmp.Or(number.Check(), c.Check()); err != nil {
		return card, false, err
	}
	err = b.own(ctx, func(o *own) error {
		if err := o.loadCards([]loyalty.CardNumber{number}); err != nil {
			return err
		}
		old, ok := o.cards[number]
		if !ok {
			return fmt.Errorf("card %s: %w", number, loyalty.UnknownCard)
		}
		card = old
		set(&card.State, c.State)
		set(&card.Kind, c.Kind)
		set(&card.MayRedeem, c.MayRedeem)
		if changed = card != old; !changed {
			return nil
		}
		if old.State == loyalty.Closed {
			return fmt.Errorf("card %s: %w", number, ErrForGood)
		}
		limit, err := newCardLimit(o.tx, &b.programmes)
		if err != nil {
			return err
		}
		if err := limit.add(card, old); err != nil {
			return err
		}
		if err := o.load(nil, []loyalty.AccountID{card.Account}); err != nil {
			return err
		}
		return o.setCard(card, c.By)
	})
	return card, changed, err
}

// set changes what is to be changed.
func set[T any](to, v *T) {
	if v != nil {
		*to = *v
	}
}

// AccountChange is what an account is from now on; nil leaves it as it is.
type AccountChange struct {
	State    *loyalty.State // not closed: that is [Books.CloseAccount]
	Joined   *loyalty.Instant
	RedeemOn *bool // the customer has switched redeeming on
	By
}

// SetAccount changes what an account may do and knows of itself, and tells the stations that know it. changed is false if
// it was so already: then nothing is written. It returns [ErrNoAccount], and [ErrForGood] for an account that is closed.
func (b *Books) SetAccount(ctx context.Context, id loyalty.AccountID, c AccountChange) (r *loyalty.Record, changed bool, err error) {
	if err := c.Check(); err != nil {
		return nil, false, err
	}
	if c.State != nil && *c.State == loyalty.Closed {
		return nil, false, fmt.Errorf("%w: state closed is for good: an account is closed with `azs-hq accounts close`", loyalty.BadRequest)
	}
	err = b.own(ctx, func(o *own) error {
		if err := o.load(nil, []loyalty.AccountID{id}); err != nil {
			return err
		}
		if r, err = o.record(id); err != nil {
			return err
		}
		a := &r.Account
		body := loyalty.AccountChanged{Account: id, State: a.State, Joined: a.Joined, RedeemOn: a.RedeemOn}
		was := body
		set(&body.State, c.State)
		set(&body.Joined, c.Joined)
		set(&body.RedeemOn, c.RedeemOn)
		if changed = body != was; !changed {
			return nil
		}
		if a.State == loyalty.Closed {
			return fmt.Errorf("account %d: %w", id, ErrForGood)
		}
		body.Reason, body.Operator = c.Reason, c.Operator
		return o.write(body, SaleStep{})
	})
	return r, changed, err
}

// Correction gives an account points or takes some, on an operator's word.
type Correction struct {
	Account loyalty.AccountID
	Points  loyalty.Points // below zero: taken
	// ActiveFrom and Expires are the terms of points that are given; zero: the programme's for points accrued now.
	ActiveFrom loyalty.Instant
	Expires    loyalty.Instant
	Ref        string // the operator's own name for it, given once for ever
	By
}

// Adjust corrects an account. Its reference is taken for ever: the same correction again changes nothing (done is false),
// another one under the same reference is [ErrDiffers]. It takes no more than the account holds: [loyalty.NotEnough].
func (b *Books) Adjust(ctx context.Context, c Correction) (r *loyalty.Record, done bool, err error) {
	a := accrual{account: c.Account, points: c.Points, active: c.ActiveFrom, expires: c.Expires, ref: c.Ref, By: c.By}
	if err := cmp.Or(c.Check(), a.check()); err != nil {
		return nil, false, err
	}
	err = b.own(ctx, func(o *own) error {
		if err := o.loadSteps([]SaleStep{a.step()}); err != nil {
			return err
		}
		if err := o.load(nil, []loyalty.AccountID{c.Account}); err != nil {
			return err
		}
		if r, err = o.record(c.Account); err != nil {
			return err
		}
		p, err := inForce(o.tx, o.at)
		if err != nil {
			return err
		}
		done, err = o.accrue(&a, p)
		return err
	})
	return r, done, err
}

// accrual is points that come or go under a reference.
type accrual struct {
	account loyalty.AccountID
	points  loyalty.Points
	active  loyalty.Instant
	expires loyalty.Instant
	partner string
	ref     string
	By
}

// step is the reference, which is taken for ever.
func (a *accrual) step() SaleStep {
	return SaleStep{Station: Own, Sale: loyalty.SaleID(a.partner), Step: Referred, Refund: loyalty.RefundID(a.ref)}
}

func (a *accrual) check() error {
	switch {
	case a.account == 0 || a.account > loyalty.MaxAccount:
		return fmt.Errorf("%w: account %d", loyalty.BadRequest, a.account)
	case a.points == 0 || a.points > loyalty.MaxAmount || a.points < -loyalty.MaxAmount:
		return fmt.Errorf("%w: %s points", loyalty.BadRequest, a.points)
	case a.expires != 0 && a.expires <= a.active:
		return fmt.Errorf("%w: the points expire before they are active", loyalty.BadRequest)
	case a.ref == "":
		return fmt.Errorf("%w: the reference is missing", loyalty.BadRequest)
	}
	return cmp.Or(plain("reference", a.ref, loyalty.MaxSaleID), plain("partner", a.partner, loyalty.MaxSaleID))
}

// loadSteps finds what references were given to.
func (o *own) loadSteps(steps []SaleStep) error {
	slices.SortFunc(steps, SaleStep.compare)
	found, err := o.tx.Steps(slices.Compact(steps))
	for s, l := range found {
		o.steps[s] = l
	}
	return err
}

// accrue books what comes or goes; done is false if the reference says the same already.
func (o *own) accrue(a *accrual, p *loyalty.Programme) (done bool, err error) {
	if first := o.steps[a.step()]; first != nil {
		same, err := a.same(first)
		if err == nil && !same {
			err = fmt.Errorf("reference %q was given to something else, %s: %w", a.ref, first.Place, ErrDiffers)
		}
		return false, err
	}
	r, err := o.record(a.account)
	if err != nil {
		return false, err
	}
	if err := mayAccrue(&r.Account); err != nil {
		return false, err
	}
	body := loyalty.Adjusted{Account: a.account, Partner: a.partner, Ref: a.ref, Reason: a.Reason, Operator: a.Operator}
	if a.points < 0 {
		if has := r.Account.Total(o.at); -a.points > has {
			return false, fmt.Errorf("account %d: take %s of %s: %w", a.account, -a.points, has, loyalty.NotEnough)
		}
		body.Clawed = []loyalty.Lot{{Amount: -a.points}}
		return true, o.write(body, a.step())
	}
	lot := loyalty.Lot{Amount: a.points}
	lot.ActiveFrom, lot.Expires = p.Term(o.at)
	if a.active != 0 {
		lot.ActiveFrom = a.active
	}
	if a.expires != 0 {
		lot.Expires = a.expires
	}
	if lot.Expires != 0 && lot.Expires <= max(lot.ActiveFrom, o.at) {
		return false, fmt.Errorf("%w: the points would expire at %s, before they can be used", loyalty.BadRequest, lot.Expires)
	}
	body.Accrued = []loyalty.Lot{lot}
	return true, o.write(body, a.step())
}

// mayAccrue refuses an account that is closed or blocked.
func mayAccrue(a *loyalty.Account) error {
	switch a.State {
	case loyalty.Closed:
		return fmt.Errorf("account %d: %w", a.ID, ErrForGood)
	case loyalty.Blocked:
		return fmt.Errorf("account %d is blocked: %w", a.ID, loyalty.CardBlocked)
	}
	return nil
}

// same tells whether a reference was given to the same points of the same account. Terms that were not named do not
// count: those of the programme follow from the day.
func (a *accrual) same(first *Line) (bool, error) {
	e, err := wire.DecodeEntry(first.Bytes)
	if err != nil {
		return false, fmt.Errorf("%s: %w", first.Place, err)
	}
	was, ok := e.Body.(loyalty.Adjusted)
	if !ok || was.Account != a.account || points(was.Accrued)-points(was.Clawed) != a.points {
		return false, nil
	}
	for _, l := range was.Accrued {
		if a.active != 0 && l.ActiveFrom != a.active || a.expires != 0 && l.Expires != a.expires {
			return false, nil
		}
	}
	return true, nil
}

// maxVersions is how many programmes before the newest are looked at for the one in force.
const maxVersions = 1000

// inForce is the programme that counts at the moment: the newest that has begun. Before any has, it is one without rules.
func inForce(tx Tx, at loyalty.Instant) (*loyalty.Programme, error) {
	version, source, err := tx.Programme()
	if err != nil || version == 0 {
		return &loyalty.Programme{}, err
	}
	p, err := loyalty.ParseProgramme(source)
	if err != nil || p.Effective <= at {
		return p, err
	}
	var before []uint32
	for v := version - 1; v > 0 && len(before) < maxVersions; v-- {
		before = append(before, v)
	}
	slices.Reverse(before)
	sources, err := tx.Programmes(before)
	if err != nil {
		return nil, err
	}
	for _, v := range slices.Backward(before) {
		if sources[v] == nil {
			continue
		}
		if p, err := loyalty.ParseProgramme(sources[v]); err != nil || p.Effective <= at {
			return p, err
		}
	}
	return &loyalty.Programme{}, nil
}

// InForce is the version of the programme in force; zero: none is.
func (b *Books) InForce(ctx context.Context) (version uint32, err error) {
	err = b.cfg.Store.View(ctx, func(tx Tx) error {
		p, err := inForce(tx, b.Now())
		if err == nil {
			version = p.Version
		}
		return err
	})
	return version, err
}

// Calendar is how far the calendar of the programme in force is from UTC.
func (b *Books) Calendar(ctx context.Context) (offset time.Duration, err error) {
	err = b.cfg.Store.View(ctx, func(tx Tx) error {
		p, err := inForce(tx, b.Now())
		if err == nil {
			offset = p.Offset
		}
		return err
	})
	return offset, err
}

// cardLimit counts the cards of accounts against what the programme lets them have.
type cardLimit struct {
	tx    Tx
	rules loyalty.CardRules
	has   map[loyalty.AccountID]map[loyalty.CardKind]int
}

// maxCounted bounds the cards of an account that are counted.
const maxCounted = 1000

func newCardLimit(tx Tx, programmes *Programmes) (*cardLimit, error) {
	rules, err := programmes.cardRules(tx)
	return &cardLimit{tx: tx, rules: rules, has: map[loyalty.AccountID]map[loyalty.CardKind]int{}}, err
}

// add counts a card that comes or becomes another; old is the zero value for one that was not there. A card that is
// closed counts nowhere. What was there before the programme's limit stays: only more is refused.
func (l *cardLimit) add(card, old loyalty.Card) error {
	counts := func(c loyalty.Card) bool { return c.Number != "" && c.State != loyalty.Closed }
	if l.rules == (loyalty.CardRules{}) || counts(card) == counts(old) && (card.Kind == old.Kind || !counts(card)) {
		return nil
	}
	has := l.has[card.Account]
	if has == nil {
		has = map[loyalty.CardKind]int{}
		l.has[card.Account] = has
		there, err := l.tx.CardsOf(card.Account, maxCounted)
		if err != nil {
			return err
		}
		for _, c := range there {
			if counts(c) {
				has[c.Kind]++
			}
		}
	}
	if counts(card) {
		if most := l.rules.Most(card.Kind); most > 0 && has[card.Kind] >= most {
			return fmt.Errorf("card %s: %w: %d %s on account %d", card.Number, ErrCardLimit, most, card.Kind, card.Account)
		}
		has[card.Kind]++
	}
	if counts(old) {
		has[old.Kind]--
	}
	return nil
}
