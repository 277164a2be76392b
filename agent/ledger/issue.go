package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// IssueCard gives out a card: see [loyalty.Books.Issue]. Entry and sealed form are written in one transaction, so that
// neither is ever without the other. Durability and repetition are as in [Ledger.OpenSale]: the card's number is the key,
// and a request asked again keeps the form of the first. From then on the card may accrue here, although headquarters has
// not told of it yet. Whoever asks for a card that joins an account has headquarters' word for it.
func (l *Ledger) IssueCard(ctx context.Context, r *loyalty.IssueRequest) (*loyalty.Issued, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	var answer *loyalty.Issued
	err := l.write(ctx, func(t *txn) (err error) {
		answer, err = t.issue(r)
		return err
	})
	if err != nil {
		return nil, l.tellRefused(ctx, err)
	}
	return answer, nil
}

// Issued reads what was given out under a card's number at this station; nil if nothing.
func (l *Ledger) Issued(card loyalty.CardNumber) (*loyalty.Issued, error) {
	if err := card.Check(); err != nil {
		return nil, err
	}
	var i issued
	err := l.view(func(t *txn) (err error) {
		i, err = t.issued(card)
		return err
	})
	return i.Issued, err
}

// issue gives a card out: everything that can refuse comes before the first write.
func (t *txn) issue(r *loyalty.IssueRequest) (*loyalty.Issued, error) {
	at, reading, err := t.nextPlace()
	if err != nil {
		return nil, err
	}
	b, err := t.books(r.Card, at.At)
	if err != nil {
		return nil, err
	}
	was, err := t.issued(r.Card)
	if err != nil {
		return nil, err
	}
	i, body, err := b.Issue(r, was.Issued, at)
	if err != nil || body == nil {
		return i, err
	}
	if err := t.admitNew(false); err != nil {
		return nil, err
	}
	c, err := prepare(at, reading, r.Who, 0, body)
	if err != nil {
		return nil, err
	}
	with, err := t.beside(c, at, reading)
	if err != nil {
		return nil, err
	}
	if err := t.appendWith(c, reading, with); err != nil {
		return nil, err
	}
	p := place{at.Epoch, at.Seq}
	if err := t.putIssued(issued{i, p}); err != nil {
		return nil, err
	}
	if len(r.Sealed) > 0 {
		if err := t.putForm(p, r.Sealed); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// issued is a card that was given out here, with the place of its entry.
type issued struct {
	*loyalty.Issued
	place
}

func (t *txn) issued(card loyalty.CardNumber) (issued, error) {
	v, err := t.get(bucketIssued, []byte(card))
	if v == nil || err != nil {
		return issued{}, err
	}
	return parseIssued(card, v)
}

func (t *txn) putIssued(i issued) error {
	return t.putMessage(bucketIssued, []byte(i.Card), i.message())
}

func (i issued) message() *ledgerpb.Issued {
	m := &ledgerpb.Issued{
		Op: i.Op[:], At: int64(i.At), Kind: uint32(i.Kind), For: string(i.For), Replaces: i.Replaces, Epoch: uint32(i.epoch), Seq: uint64(i.seq),
	}
	if i.Form != (loyalty.FormHash{}) {
		m.Form = i.Form[:]
	}
	return m
}

func parseIssued(card loyalty.CardNumber, v []byte) (issued, error) {
	var m ledgerpb.Issued
	if err := m.UnmarshalVT(v); err != nil {
		return issued{}, fmt.Errorf("%w: card given out: %w", ErrCorrupt, err)
	}
	if len(m.Op) != len(loyalty.OpID{}) || (len(m.Form) != 0 && len(m.Form) != len(loyalty.FormHash{})) || m.Kind > uint32(loyalty.VirtualCard) {
		return issued{}, fmt.Errorf("%w: card given out: a field that cannot be", ErrCorrupt)
	}
	i := &loyalty.Issued{Op: parseOp(m.Op), At: loyalty.Instant(m.At), CardIssued: loyalty.CardIssued{
		Card: card, Kind: loyalty.CardKind(m.Kind), For: loyalty.CardNumber(m.For), Replaces: m.Replaces,
	}}
	if len(m.Form) != 0 {
		i.Form = loyalty.FormHash(m.Form)
	}
	return issued{i, place{loyalty.Epoch(m.Epoch), loyalty.Seq(m.Seq)}}, nil
}

// givenOut tells whether a card was given out here.
func (t *txn) givenOut(card loyalty.CardNumber) (bool, error) {
	return t.has(bucketIssued, []byte(card))
}

// moveIssued moves a card given out to its entry's new place, and its form with it. It tells whether the form is lost.
func (t *txn) moveIssued(c loyalty.CardIssued, from, to place) (lost bool, err error) {
	i, err := t.issued(c.Card)
	if err != nil {
		return false, err
	}
	if i.Issued != nil && i.place == from {
		i.place = to
		if err := t.putIssued(i); err != nil {
			return false, err
		}
	}
	if c.Form == (loyalty.FormHash{}) {
		return false, nil
	}
	return t.moveForm(c.Form, from, to)
}

// dropIssued forgets that a card was given out, of which the entry goes, if headquarters has told of the card.
func (t *txn) dropIssued(card loyalty.CardNumber, p place) error {
	i, err := t.issued(card)
	if err != nil || i.Issued == nil || i.place != p {
		return err
	}
	known, err := t.has(bucketCard, []byte(card))
	if err != nil || !known {
		return err
	}
	return t.delete(bucketIssued, []byte(card))
}

// becameKnown forgets that a card was given out, of which headquarters tells after the entry has gone.
func (t *txn) becameKnown(card loyalty.CardNumber) error {
	i, err := t.issued(card)
	if err != nil || i.Issued == nil {
		return err
	}
	if _, _, err := t.entry(i.place); !errors.Is(err, ErrNoEntry) {
		return err
	}
	return t.delete(bucketIssued, []byte(card))
}

// cardIssued makes the record of a card given out from its entry, or moves it to the entry's place in a later epoch.
func (b *rebuilt) cardIssued(p place, e *loyalty.Entry, c loyalty.CardIssued) {
	if i, ok := b.issued[c.Card]; ok && i.Op != e.Op {
		return
	}
	b.issued[c.Card] = issued{&loyalty.Issued{Op: e.Op, At: e.At, CardIssued: c}, p}
}

// readIssued takes over the records that were found of cards given out.
func (b *rebuilt) readIssued(records map[string][]byte) {
	for card, v := range records {
		if i, err := parseIssued(loyalty.CardNumber(card), v); err == nil {
			b.issued[i.Card] = i
		}
	}
}

// writeIssued puts the cards given out into a fresh file. Where the entry is lost, headquarters never hears of the card
// from this ledger; the record answers whoever asks to give it out again.
func (b *rebuilt) writeIssued(t *txn) error {
	for _, card := range slices.Sorted(maps.Keys(b.issued)) {
		if err := t.putIssued(b.issued[card]); err != nil {
			return err
		}
	}
	return nil
}
