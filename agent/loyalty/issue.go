package loyalty

import (
	"crypto/sha256"
	"fmt"
)

// FormHash is the SHA-256 of a sealed form. The form itself travels beside its entry, not in it, so that it can be
// destroyed and the journal still be proven.
type FormHash [sha256.Size]byte

// MaxForm bounds a sealed form, in bytes.
const MaxForm = 8 << 10

// IssueRequest asks to give out a card. The card's number is its idempotency key: asked again with the same Kind, For and
// Replaces it is the same request, whatever the form, since the station cannot read the one it has sealed.
type IssueRequest struct {
	Card     CardNumber
	Kind     CardKind   // main, additional or virtual
	For      CardNumber // a card of the account that it joins; empty: it begins an account
	Replaces bool       // For is lost: it is closed, and the new card takes its place
	Sealed   []byte     // the form, sealed to headquarters; empty: none
	Who
}

// Check returns [BadRequest] unless the request is well-formed.
func (r *IssueRequest) Check() error {
	if err := firstError(r.Card.Check, r.Who.check); err != nil {
		return err
	}
	if r.For != "" {
		if err := r.For.Check(); err != nil {
			return err
		}
	}
	switch {
	case r.Kind > VirtualCard:
		return fmt.Errorf("%w: a %s card is not issued at a counter", BadRequest, r.Kind)
	case r.For == "" && (r.Kind != MainCard || r.Replaces):
		return fmt.Errorf("%w: which card's account the new card joins is missing", BadRequest)
	case r.For != "" && r.Kind == MainCard && !r.Replaces:
		return fmt.Errorf("%w: an account gets another main card only in place of a lost one", BadRequest)
	case r.For == r.Card:
		return fmt.Errorf("%w: a card cannot join itself", BadRequest)
	case len(r.Sealed) > MaxForm:
		return fmt.Errorf("%w: a sealed form of %d bytes, at most %d", BadRequest, len(r.Sealed), MaxForm)
	}
	return nil
}

// Hash is the hash of the sealed form; zero if there is none.
func (r *IssueRequest) Hash() FormHash {
	if len(r.Sealed) == 0 {
		return FormHash{}
	}
	return sha256.Sum256(r.Sealed)
}

// CardIssued gives out a card at a counter. Headquarters makes it a card when it posts the entry: the station does not
// say which account a card belongs to.
type CardIssued struct {
	Card     CardNumber
	Kind     CardKind
	For      CardNumber // a card of the account that it joins; empty: it begins an account
	Replaces bool
	Form     FormHash // zero: none
}

// Issued is what the station keeps of a card that it gave out.
type Issued struct {
	Op OpID
	At Instant
	CardIssued
}

// same tells whether a request asks for what was issued.
func (i *Issued) same(r *IssueRequest) bool {
	return i.Card == r.Card && i.Kind == r.Kind && i.For == r.For && i.Replaces == r.Replaces
}

// Issue gives out a card. The books are those of the card to be issued; issued is what was given out under its number
// before, nil if nothing. Asked again it returns what was issued and no body; with other content [Conflict]. The other
// refusals are [CardTaken], [NoProgramme] and [BadRequest].
//
// Whether a card may join an account is headquarters' to say: whoever calls this for a request with For has asked it.
func (b *Books) Issue(r *IssueRequest, issued *Issued, at Place) (*Issued, Body, error) {
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("issue card: %w", err)
	}
	switch {
	case issued != nil && issued.same(r):
		return issued, nil, nil
	case issued != nil:
		return nil, nil, fmt.Errorf("issue card %s: %w", r.Card, Conflict)
	case b.Known:
		return nil, nil, fmt.Errorf("issue card %s: %w", r.Card, CardTaken)
	case b.Programme == nil:
		return nil, nil, NoProgramme
	}
	body := CardIssued{Card: r.Card, Kind: r.Kind, For: r.For, Replaces: r.Replaces, Form: r.Hash()}
	return &Issued{Op: at.Op, At: at.At, CardIssued: body}, body, nil
}

func (CardIssued) isBody() {}
