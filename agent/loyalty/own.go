package loyalty

import (
	"errors"
	"fmt"
)

// What headquarters does of its own accord stands in a journal of its own, with the same chain and posted by the same
// rules as a station's, so that whoever walks the stream again comes to the same accounts.

// Adjusted gives an account points or takes some: a partner's accrual, or an operator's correction.
type Adjusted struct {
	Account  AccountID
	Partner  string // whose accrual it is; empty: a correction
	Ref      string // the partner's or the operator's own name for it, given once
	Accrued  []Lot
	Undo            // what is taken, as a refund takes it
	Reason   string // for a correction
	Operator string
}

// AccountChanged sets what an account may do and knows of itself.
type AccountChanged struct {
	Account  AccountID
	State    State
	Joined   Instant
	RedeemOn bool
	Reason   string
	Operator string
}

// CardChanged sets what a card may do. It does nothing to its account's books.
type CardChanged struct {
	Account   AccountID
	Card      CardNumber
	Kind      CardKind
	State     State
	MayRedeem bool
	Reason    string
	Operator  string
}

// AccountAdvanced says what has changed for an account by itself, since time has passed: see [Record.Advance].
type AccountAdvanced struct {
	Account   AccountID
	Through   Instant
	Activated Points
	Expired   Points
	Before    string // names of the tiers; empty: the programme has none
	After     string
}

// AccountBurned takes points of a closed account for good: all that no station holds rights to.
type AccountBurned struct {
	Account  AccountID
	Burned   Points
	Reason   string
	Operator string
}

// AccountForgotten says that what headquarters knew of an account's owner has been destroyed.
type AccountForgotten struct {
	Account  AccountID
	Forms    []FormHash // of the sealed forms that were destroyed
	Reason   string
	Operator string
}

// ProgrammeHash is the SHA-256 of a programme's file.
type ProgrammeHash [32]byte

// ProgrammePublished says that a programme was sent to all stations. It concerns no account.
type ProgrammePublished struct {
	Version   uint32
	Name      string
	Hash      ProgrammeHash // of the file, byte for byte
	Effective Instant
	Reason    string // may be empty
	Operator  string
}

func (Adjusted) isBody()           {}
func (AccountChanged) isBody()     {}
func (CardChanged) isBody()        {}
func (AccountAdvanced) isBody()    {}
func (AccountBurned) isBody()      {}
func (AccountForgotten) isBody()   {}
func (ProgrammePublished) isBody() {}

// postOwn applies what only headquarters writes and no posting says; done is false for everything else.
func (r *Record) postOwn(b Body) (done bool, err error) {
	a := &r.Account
	switch b := b.(type) {
	case AccountChanged:
		a.State, a.Joined, a.RedeemOn = b.State, b.Joined, b.RedeemOn
	case AccountAdvanced:
		if b.Through <= a.Advanced {
			return true, nil
		}
		a.Advanced = b.Through
	case AccountBurned:
		if err := a.burn(b.Burned); err != nil {
			return true, err
		}
	default:
		return false, nil
	}
	r.Version++
	return true, nil
}

// burn takes points for good, those that would have been redeemed last first: what stations hold rights to is redeemed
// from the others. What was counted is forgotten.
func (a *Account) burn(amount Points) error {
	if amount < 0 {
		return fmt.Errorf("burn %s: %w", amount, ErrAmount)
	}
	if held := a.held(); amount > held {
		return errors.Join(ErrOverspent, fmt.Errorf("burn %s of %s", amount, held))
	}
	for i := len(a.Lots) - 1; i >= 0 && amount > 0; i-- {
		x := min(amount, a.Lots[i].Amount)
		a.Lots[i].Amount -= x
		amount -= x
		if a.Lots[i].Amount == 0 {
			a.Lots = a.Lots[:i]
		}
	}
	a.Tallies = nil
	return nil
}

// Held is all points that the account's lots hold, whatever the time: those that have expired and are not yet forgotten
// are among them.
func (a *Account) Held() Points { return a.held() }

// Term is from when until when points accrued at the moment count, where nothing else is said: expires zero is never.
func (p *Programme) Term(at Instant) (active, expires Instant) { return p.activation(at), p.expiry(at) }
