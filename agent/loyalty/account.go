package loyalty

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Lot is points accrued together. A lot counts towards the total until it expires, and is available from ActiveFrom
// until then.
type Lot struct {
	Amount     Points  // never negative
	ActiveFrom Instant // spendable from this moment on
	Expires    Instant // gone at this moment; zero: never
}

// Active tells whether the lot may be redeemed at the moment.
func (l Lot) Active(at Instant) bool { return l.ActiveFrom <= at && l.Live(at) }

// Live tells whether the lot has not expired at the moment.
func (l Lot) Live(at Instant) bool { return l.Expires == 0 || at < l.Expires }

// before orders lots as they are redeemed: first to expire first, never-expiring last, older activation first.
func (l Lot) before(m Lot) int {
	switch {
	case l.Expires != m.Expires && l.Expires == 0:
		return 1
	case l.Expires != m.Expires && m.Expires == 0:
		return -1
	case l.Expires != m.Expires:
		return cmp.Compare(l.Expires, m.Expires)
	default:
		return cmp.Compare(l.ActiveFrom, m.ActiveFrom)
	}
}

// State says what an account or a card may do.
type State uint8

// The states.
const (
	Active      State = iota // accrue and redeem
	AccruesOnly              // accrue, not redeem
	Blocked                  // neither, may be unblocked
	Closed                   // neither, for good
)

var stateNames = []string{"active", "accrue_only", "blocked", "closed"}

// String is the state's name in files, API and pages.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// ParseState reads a state's name.
func ParseState(s string) (State, error) {
	if i := slices.Index(stateNames, s); i >= 0 {
		return State(i), nil
	}
	return 0, fmt.Errorf("%w: state %.32q, want one of %v", BadRequest, s, stateNames)
}

// MarshalText is the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state's name.
func (s *State) UnmarshalText(b []byte) (err error) {
	*s, err = ParseState(string(b))
	return err
}

// refuse turns a state into the refusal for accruing or redeeming, or nil.
func (s State) refuse(redeem bool) error {
	switch {
	case s == Blocked:
		return CardBlocked
	case s == Closed:
		return CardClosed
	case s == AccruesOnly && redeem:
		return AccrueOnly
	}
	return nil
}

// Card maps a number to an account.
type Card struct {
	Number     CardNumber
	Account    AccountID
	State      State
	Kind       CardKind
	MayRedeem  bool   // the owner's switch; always true for a main card unless switched off
	HQVersion  uint64 // HQ's version of this record: the newest wins
	Registered Instant
}

// CardKind tells what a card is on its account.
type CardKind uint8

// The kinds.
const (
	MainCard CardKind = iota
	AdditionalCard
	VirtualCard
	StaffKind
)

var kindNames = []string{"main", "additional", "virtual", "staff"}

// String is the kind's name in files, API and pages.
func (k CardKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseCardKind reads a kind's name.
func ParseCardKind(s string) (CardKind, error) {
	if i := slices.Index(kindNames, s); i >= 0 {
		return CardKind(i), nil
	}
	return 0, fmt.Errorf("%w: card kind %.32q, want one of %v", BadRequest, s, kindNames)
}

// refuse says why the card may not accrue or redeem, or nil.
func (c Card) refuse(redeem bool) error {
	if c.Kind == StaffKind {
		return StaffCard
	}
	if err := c.State.refuse(redeem); err != nil {
		return err
	}
	if redeem && !c.MayRedeem {
		return RedeemOff
	}
	return nil
}

// Account is where points live. Its lots are sorted as they are redeemed, with no two of the same activation and
// expiry, and none of zero or less.
type Account struct {
	ID    AccountID
	State State
	Lots  []Lot
	Owing
	Standing
}

// Total is all live points, active or not, less what the account owes.
func (a *Account) Total(at Instant) Points {
	return max(0, a.sum(func(l Lot) bool { return l.Live(at) })-a.Debt)
}

// Spendable is all points that are active, less what the account owes, whoever holds rights to them.
func (a *Account) Spendable(at Instant) Points {
	return max(0, a.sum(func(l Lot) bool { return l.Active(at) })-a.Debt)
}

func (a *Account) sum(counts func(Lot) bool) (sum Points) {
	for _, l := range a.Lots {
		if counts(l) {
			sum += l.Amount
		}
	}
	return sum
}

// Accrue adds a lot, joining it with one of the same activation and expiry. It returns [ErrAmount] for an amount that
// is negative or would carry the account over [MaxAmount]; nothing is changed then. A zero lot changes nothing. What the
// account owes is paid first.
func (a *Account) Accrue(l Lot) error {
	if l.Amount == 0 {
		return nil
	}
	if l.Amount < 0 || l.Amount > MaxAmount || a.held() > MaxAmount-l.Amount {
		return fmt.Errorf("accrue %s: %w", l.Amount, ErrAmount)
	}
	a.credit(l)
	return nil
}

// put joins a lot that has been checked with the others.
func (a *Account) put(l Lot) {
	i, found := slices.BinarySearchFunc(a.Lots, l, Lot.before)
	if found {
		a.Lots[i].Amount += l.Amount
		return
	}
	a.Lots = slices.Insert(a.Lots, i, l)
}

// held is all points of all lots, whatever the time.
func (a *Account) held() Points { return a.sum(func(Lot) bool { return true }) }

// Redeem takes points from the lots that are active at the moment, first to expire first, and returns what it took from
// each. It returns [NotEnough] if they do not hold so much; nothing is changed then.
func (a *Account) Redeem(amount Points, at Instant) ([]Lot, error) {
	if amount < 0 {
		return nil, fmt.Errorf("redeem %s: %w", amount, ErrAmount)
	}
	if a.Spendable(at) < amount {
		return nil, fmt.Errorf("redeem %s of %s: %w", amount, a.Spendable(at), NotEnough)
	}
	taken, _ := a.take(nil, amount, func(l Lot) bool { return l.Active(at) })
	a.Lots = slices.DeleteFunc(a.Lots, func(l Lot) bool { return l.Amount == 0 })
	return taken, nil
}

// take moves points out of the lots that may pay, in their order, appends what it took from each to taken and says how
// much is still missing. Lots it empties stay, with nothing in them.
func (a *Account) take(taken []Lot, amount Points, pays func(Lot) bool) ([]Lot, Points) {
	for i := range a.Lots {
		if amount == 0 {
			break
		}
		l := &a.Lots[i]
		if !pays(*l) || l.Amount == 0 {
			continue
		}
		x := min(amount, l.Amount)
		l.Amount -= x
		amount -= x
		taken = append(taken, Lot{Amount: x, ActiveFrom: l.ActiveFrom, Expires: l.Expires})
	}
	return taken, amount
}

// Prune forgets lots that have expired, and tallies that no longer count. The caller makes sure that no rights to them are out: see [Record.Prune].
func (a *Account) Prune(at Instant) {
	a.Lots = slices.DeleteFunc(a.Lots, func(l Lot) bool { return !l.Live(at) })
	a.forget(at)
}

// Clone copies the account, its lots and its tallies.
func (a *Account) Clone() Account {
	c := *a
	c.Lots, c.Tallies = slices.Clone(a.Lots), slices.Clone(a.Tallies)
	return c
}

// Check returns an error if the account breaks its own rules: order, joined lots, positive amounts, no more than
// [MaxAmount] in all.
func (a *Account) Check() error {
	var held Points
	for i, l := range a.Lots {
		if l.Amount <= 0 || l.Amount > MaxAmount-held {
			return fmt.Errorf("account %d: lot %d holds %s", a.ID, i, l.Amount)
		}
		held += l.Amount
		if i > 0 && a.Lots[i-1].before(l) >= 0 {
			return fmt.Errorf("account %d: lots %d and %d are out of order", a.ID, i-1, i)
		}
	}
	if err := errors.Join(a.Standing.check(), a.Owing.check()); err != nil {
		return fmt.Errorf("account %d: %w", a.ID, err)
	}
	return nil
}

// Posting is what one entry does to an account.
type Posting struct {
	Epoch    Epoch
	Seq      Seq
	Redeemed Points  // taken from the lots active at RedeemAt as long as they last
	RedeemAt Instant // when the redemption was reserved: a lot that expires while fuel flows still pays; of a refund, its moment
	Accrued  []Lot
	Counted  []Tally
	Claims   []Claim // those that the account has used already give nothing
	Sale     OpID    // that closed the sale: of a posting with claims, and of a refund
	Undo
}

// moves tells whether the posting does anything at all.
func (p *Posting) moves() bool {
	return p.Redeemed != 0 || len(p.Accrued) != 0 || len(p.Counted) != 0 || len(p.Claims) != 0 || len(p.Clawed) != 0 || len(p.Uncounted) != 0
}

// Post applies a posting. If all lots together do not hold what was redeemed it returns [NotEnough], unless it was a
// refund that took the points, see [Owing]; if the account would hold more than [MaxAmount] or an amount is negative
// [ErrAmount]. Nothing is changed then.
//
// The lots that were active when the points were reserved pay first. They may be gone, although nobody spent too much:
// stations report late, and a sale reserved later but posted earlier may have taken a lot that this one needed, leaving
// one that it could not have used itself. What was reserved within its rights is therefore always paid: next by the lots
// that were alive then, last by those that had expired.
func (a *Account) Post(p Posting) error {
	if p.Redeemed < 0 {
		return fmt.Errorf("redeem %s: %w", p.Redeemed, ErrAmount)
	}
	held := a.held()
	if a.payable() < p.Redeemed {
		return fmt.Errorf("redeem %s of %s: %w", p.Redeemed, held, NotEnough)
	}
	if err := a.mayTake(p); err != nil {
		return err
	}
	held -= min(held, p.Redeemed)
	accrued, claims := p.Accrued, p.granted(&a.Standing)
	for _, c := range claims {
		accrued = append(accrued[:len(accrued):len(accrued)], c.Lot)
	}
	for _, l := range accrued {
		if l.Amount < 0 || l.Amount > MaxAmount-held {
			return fmt.Errorf("accrue %s: %w", l.Amount, ErrAmount)
		}
		held += l.Amount
	}
	if p.Redeemed > 0 {
		_, rest := a.take(nil, p.Redeemed, func(l Lot) bool { return l.Active(p.RedeemAt) })
		_, rest = a.take(nil, rest, func(l Lot) bool { return l.Live(p.RedeemAt) })
		_, rest = a.take(nil, rest, func(Lot) bool { return true })
		a.Debt += rest
		a.Lots = slices.DeleteFunc(a.Lots, func(l Lot) bool { return l.Amount == 0 })
	}
	for _, l := range accrued {
		a.credit(l)
	}
	a.takeBack(p)
	a.Tallies = slices.Grow(a.Tallies, len(p.Counted)+len(claims))
	for _, t := range p.Counted {
		a.Count(t)
	}
	for _, c := range claims {
		a.Count(c.Tally)
	}
	a.noteDenied(p, claims)
	return nil
}

// granted is the claims that the account has not used before.
func (p *Posting) granted(s *Standing) (claims []Claim) {
	for _, c := range p.Claims {
		again := slices.ContainsFunc(claims, func(d Claim) bool { return d.Counter == c.Counter })
		if !again && !s.counted(c.Tally) {
			claims = append(claims, c)
		}
	}
	return claims
}
