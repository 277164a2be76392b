package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// A sealed form waits under the place of the entry that names it until headquarters has acknowledged the entry, and is
// deleted in the transaction that notes it. What bbolt frees it does not overwrite: the bytes stay in the file until the
// page is used again, sealed as they are to headquarters, so that nobody can read them here before or after.
//
// A form of no bytes stands for one that was lost with a part of the file.

var errForm = errors.New("a sealed form is not what its entry names")

// Forms returns the sealed forms that the entries of an epoch name, from a seq through another, in their order: those
// that headquarters has not acknowledged. An epoch that has ended has none any more: [ErrNoEntry]. The buffers belong to the
// caller.
func (l *Ledger) Forms(ctx context.Context, epoch loyalty.Epoch, from, through loyalty.Seq) ([]wire.Form, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var forms []wire.Form
	err := l.view(func(t *txn) error {
		if epoch != t.st.epoch {
			return fmt.Errorf("forms of epoch %d: %w", epoch, ErrNoEntry)
		}
		return t.eachForm(place{epoch, from}, place{epoch, through}, func(p place, sealed []byte) {
			if len(sealed) > 0 {
				forms = append(forms, wire.Form{Seq: p.seq, Bytes: slices.Clone(sealed)})
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return forms, nil
}

// eachForm calls fn for the forms from a place through another. The bytes hold only for the transaction.
func (t *txn) eachForm(from, through place, fn func(p place, sealed []byte)) error {
	b := t.bucket(bucketForm)
	if b == nil {
		return fmt.Errorf("%w: bucket form is missing", ErrCorrupt)
	}
	c := b.Cursor()
	for k, stored := c.Seek(from.key()); k != nil; k, stored = c.Next() {
		p := parsePlace(k)
		if through.before(p) {
			return nil
		}
		v, err := unseal(bucketForm, k, stored)
		if err != nil {
			return err
		}
		fn(p, v)
	}
	return nil
}

func (t *txn) putForm(p place, sealed []byte) error {
	return t.put(bucketForm, p.key(), seal(bucketForm, p.key(), append(make([]byte, 0, len(sealed)+sumSize), sealed...)))
}

// dropForms forgets the forms that headquarters has: of everything through a place.
func (t *txn) dropForms(through place) error {
	var places []place
	if err := t.eachForm(place{}, through, func(p place, _ []byte) { places = append(places, p) }); err != nil {
		return err
	}
	for _, p := range places {
		if err := t.delete(bucketForm, p.key()); err != nil {
			return err
		}
	}
	return nil
}

// moveForm moves a form to its entry's new place, and tells whether it is found to be lost.
func (t *txn) moveForm(hash loyalty.FormHash, from, to place) (lost bool, err error) {
	v, err := t.get(bucketForm, from.key())
	if err != nil {
		return false, err
	}
	if v == nil {
		return true, t.putForm(to, nil)
	}
	sealed := slices.Clone(v)
	if err := t.delete(bucketForm, from.key()); err != nil {
		return false, err
	}
	if lost = len(sealed) > 0 && sha256.Sum256(sealed) != hash; lost {
		sealed = nil
	}
	return lost, t.putForm(to, sealed)
}

// settleForms forgets what is left of an epoch's forms when its tail has moved, and raises an alarm if forms are lost:
// those that entries name and that are not there, and those of entries that are not there any more.
func (t *txn) settleForms(old place, missing int) error {
	orphans := 0
	err := t.eachForm(place{}, place{old.epoch, ^loyalty.Seq(0)}, func(p place, _ []byte) {
		if old.before(p) { // headquarters has not acknowledged it
			orphans++
		}
	})
	if err != nil {
		return err
	}
	if err := t.dropForms(place{old.epoch, ^loyalty.Seq(0)}); err != nil {
		return err
	}
	if missing+orphans == 0 {
		return nil
	}
	return t.raise(AlarmForms, fmt.Sprintf("forms of cards that were given out here are lost (%d), unless headquarters has them: "+
		"ask the holders to fill them in again", missing+orphans), "")
}

// form notes a form that the file keeps, to be held against the journal.
func (c *checker) form(key, v []byte) error {
	if len(key) != len(place{}.key()) || len(v) > loyalty.MaxForm {
		return errors.New("a key or a form of a wrong length")
	}
	c.report.Forms++
	c.forms[parsePlace(key)] = hashOf(v)
	return nil
}

// hashOf is zero for a form that is known to be lost.
func hashOf(sealed []byte) loyalty.FormHash {
	if len(sealed) == 0 {
		return loyalty.FormHash{}
	}
	return sha256.Sum256(sealed)
}

// cardIssued notes a record of a card given out.
func (c *checker) cardIssued(key, v []byte) error {
	i, err := parseIssued(loyalty.CardNumber(key), v)
	if err != nil {
		return err
	}
	c.report.Issued++
	c.issued[i.place] = i.CardIssued
	return i.Card.Check()
}

// compareIssued holds cards given out and their forms against the journal of the epoch.
func (c *checker) compareIssued() {
	for p, want := range c.names {
		if p.epoch != c.st.epoch {
			continue
		}
		if got, ok := c.issued[p]; !ok || got != want {
			c.found("entry %d of epoch %d gives out card %s, of which there is no such record", p.seq, p.epoch, want.Card)
		}
		hash, ok := c.forms[p]
		if waits := p.seq > c.st.acked && want.Form != (loyalty.FormHash{}); waits && !ok {
			c.found("the form of card %s, which headquarters does not have, is missing", want.Card)
		}
		if ok && hash != want.Form && hash != (loyalty.FormHash{}) {
			c.found("card %s: %v", want.Card, errForm)
		}
	}
	for p, i := range c.issued {
		if _, ok := c.names[p]; p.epoch == c.st.epoch && !ok && p.seq >= c.first {
			c.found("card %s was given out with entry %d of epoch %d, which does not say so", i.Card, p.seq, p.epoch)
		}
	}
	for p := range c.forms {
		if i, ok := c.names[p]; p.epoch != c.st.epoch || p.seq <= c.st.acked || !ok || i.Form == (loyalty.FormHash{}) {
			c.found("a form is kept under entry %d of epoch %d, which does not wait for one", p.seq, p.epoch)
		}
	}
}
