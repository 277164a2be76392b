package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// form reads a form; nil if there never was one.
func (t *tx) form(hash loyalty.FormHash) (*hq.Form, error) {
	v, err := t.get(bForm, hash[:])
	if err != nil || v == nil {
		return nil, err
	}
	return decodeForm(hash, v)
}

// Forms finds forms. See [hq.Tx].
func (t *tx) Forms(hashes []loyalty.FormHash) (map[loyalty.FormHash]*hq.Form, error) {
	out := make(map[loyalty.FormHash]*hq.Form)
	for _, h := range hashes {
		f, err := t.form(h)
		if err != nil {
			return nil, err
		}
		if f != nil {
			out[h] = f
		}
	}
	return out, nil
}

// FormsOf lists the forms of an account. See [hq.Tx].
func (t *tx) FormsOf(account loyalty.AccountID, limit int) (out []hq.Form, err error) {
	for _, h := range t.hashesOf(account, limit) {
		f, err := t.form(h)
		if err != nil {
			return nil, err
		}
		if f == nil {
			return nil, fmt.Errorf("%w: account %d has a form that is not there", ErrCorrupt, account)
		}
		out = append(out, *f)
	}
	return out, nil
}

func (t *tx) hashesOf(account loyalty.AccountID, limit int) (out []loyalty.FormHash) {
	prefix := u64(account)
	c := t.Bucket(bFormOf).Cursor()
	for k, _ := c.Seek(prefix); len(k) == 40 && slices.Equal(k[:8], prefix) && len(out) < limit; k, _ = c.Next() {
		out = append(out, loyalty.FormHash(k[8:]))
	}
	return out
}

// Forms are all forms that are kept. See [hq.Catalogue].
func (s *Store) Forms(ctx context.Context, after loyalty.FormHash, limit int) (out []hq.Form, err error) {
	err = s.read(ctx, func(t *tx) error {
		c := t.Bucket(bForm).Cursor()
		for k, v := c.Seek(after[:]); k != nil && len(out) < limit; k, v = c.Next() {
			f, err := formAt(k, v)
			if err != nil {
				return err
			}
			if f.Hash == after || f.Sealed == nil {
				continue
			}
			f.Sealed = nil
			out = append(out, *f)
		}
		return nil
	})
	return out, err
}

func formAt(k, sealed []byte) (*hq.Form, error) {
	v, err := unseal(k, sealed)
	if err != nil {
		return nil, err
	}
	if len(k) != len(loyalty.FormHash{}) {
		return nil, fmt.Errorf("%w: a form under %d bytes", ErrCorrupt, len(k))
	}
	return decodeForm(loyalty.FormHash(k), v)
}

// saveForms writes forms, and destroys those of accounts.
func (t *tx) saveForms(c *hq.Changes) error {
	for i := range c.Forms {
		f := &c.Forms[i]
		old, err := t.form(f.Hash)
		if err != nil {
			return err
		}
		if old != nil && old.Account != f.Account {
			if err := t.delete(bFormOf, formKey(old.Account, f.Hash)); err != nil {
				return err
			}
		}
		if err := t.put(bForm, slices.Clone(f.Hash[:]), encodeForm(f)); err != nil {
			return err
		}
		if err := t.put(bFormOf, formKey(f.Account, f.Hash), nil); err != nil {
			return err
		}
	}
	return t.destroyForms(c)
}

// destroyForms leaves the hashes of forms, and has what was sealed written over.
func (t *tx) destroyForms(c *hq.Changes) error {
	if len(c.Forgotten)+len(c.Destroyed) == 0 {
		return nil
	}
	if err := t.toScrub(); err != nil {
		return err
	}
	hashes := slices.Clone(c.Destroyed)
	for _, account := range c.Forgotten {
		hashes = append(hashes, t.hashesOf(account, 1<<31-1)...)
	}
	for _, h := range hashes {
		f, err := t.form(h)
		if err != nil || f == nil || f.Sealed == nil {
			return errors.Join(err, fmt.Errorf("%w: form %x is to be destroyed and is not there", ErrCorrupt, h[:]))
		}
		if err := t.put(bForm, slices.Clone(h[:]), nil); err != nil {
			return err
		}
		if err := t.delete(bFormOf, formKey(f.Account, h)); err != nil {
			return err
		}
	}
	return nil
}

func formKey(account loyalty.AccountID, h loyalty.FormHash) []byte {
	return append(u64(account), h[:]...)
}

// checkForms finds every form that is kept at its account, and no others.
func (t *tx) checkForms(_ *hq.Audit, r *Report) error {
	err := t.each(bForm, func(k, v []byte) error {
		if len(k) != len(loyalty.FormHash{}) {
			return fmt.Errorf("%w: a form under %d bytes", ErrCorrupt, len(k))
		}
		f, err := decodeForm(loyalty.FormHash(k), v)
		if err != nil || len(f.Sealed) == 0 {
			return err
		}
		r.Forms++
		if t.Bucket(bFormOf).Get(formKey(f.Account, f.Hash)) == nil {
			return fmt.Errorf("%w: a form is not listed at account %d", ErrCorrupt, f.Account)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n := t.count(bFormOf); n != r.Forms {
		return fmt.Errorf("%w: %d forms, %d listed at accounts", ErrCorrupt, r.Forms, n)
	}
	return nil
}
