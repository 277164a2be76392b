package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Report is what a check has looked at.
type Report struct {
	Entries  uint64 `json:"entries"`
	SetAside int    `json:"quarantined"`
	Accounts int    `json:"accounts"`
	Cards    int    `json:"cards"`
	Stations int    `json:"stations"`
	Items    int    `json:"down_items"`
	Alerts   int    `json:"alerts"`
	Forms    int    `json:"forms"`
	// FormsMissing are forms of cards that were given out which never came; those that were destroyed are not among them.
	FormsMissing int `json:"forms_missing"`
}

// Check reads the whole store: the checksum of every value, the chain of every journal, every lot and posted point
// computed again from the entries (see [hq.Audit]), and every index in both directions. It is one read transaction: on a
// store in use it makes the file grow while it runs.
func (s *Store) Check(ctx context.Context) (r Report, err error) {
	err = s.read(ctx, func(t *tx) error {
		audit := hq.NewAudit(t.opening, t.Nonce)
		steps := []func(*hq.Audit, *Report) error{t.checkSums, t.checkStream, t.checkStations, t.checkAccounts, t.checkCards, t.checkForms, t.checkDown}
		for _, step := range steps {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := step(audit, &r); err != nil {
				return err
			}
		}
		return audit.End()
	})
	if err != nil {
		return r, fmt.Errorf("check of the store: %w", err)
	}
	return r, nil
}

func (t *tx) opening(id loyalty.AccountID) (*loyalty.Account, error) {
	m, err := t.Openings([]loyalty.AccountID{id})
	return m[id], err
}

func (t *tx) checkSums(*hq.Audit, *Report) error {
	for _, b := range buckets {
		if err := t.each(b, func(_, _ []byte) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) count(bucket []byte) (n int) {
	c := t.Bucket(bucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}

// checkStream follows the stream and finds every line in every index; equal counts then say that no index has more.
func (t *tx) checkStream(audit *hq.Audit, r *Report) error {
	var n indexed
	h := histories{}
	c := t.Bucket(bPos).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		l, err := t.lineAt(k, v)
		if err != nil {
			return err
		}
		if err := audit.Line(l); err != nil {
			return err
		}
		if err := h.line(l); err != nil {
			return err
		}
		if l.Late() {
			continue
		}
		if err := t.checkIndexes(l, &n); err != nil {
			return err
		}
		if l.Step == hq.Given || l.Outcome == hq.SetAside && l.Alert {
			if err := t.checkGiven(l, r); err != nil {
				return err
			}
		}
	}
	r.Entries, r.SetAside, r.Alerts = audit.Entries(), n.aside, n.alerts
	last, err := t.number(bMeta, kPos)
	if err != nil {
		return err
	}
	has := indexed{t.count(bOp), t.count(bStep), t.count(bAside), t.count(bWaiting), t.count(bAlert)}
	if last != audit.Position() || t.count(bJournal) != int(r.Entries) || has != n {
		return fmt.Errorf("%w: the stream has %d lines and ends at %d, the journal has %d of %d entries, the indexes %+v of %+v", ErrCorrupt,
			audit.Position(), last, t.count(bJournal), r.Entries, has, n)
	}
	return t.each(bAccount, func(k, v []byte) error {
		id := loyalty.AccountID(binary.BigEndian.Uint64(k))
		newest, _, err := decodeRecord(id, v)
		if err != nil {
			return err
		}
		return h.record(id, newest)
	})
}

// indexed counts what points at entries.
type indexed struct{ ops, steps, aside, waiting, alerts int }

// checkIndexes finds an entry in every index that it belongs to.
func (t *tx) checkIndexes(l *hq.Line, n *indexed) error {
	key := placeKey(l.Place)
	if !l.Op.IsZero() {
		n.ops++
		if v, err := t.get(bOp, l.Op[:]); err != nil || !slices.Equal(v, key) {
			return fmt.Errorf("%w: operation %s is not at %s", ErrCorrupt, l.Op, l.Place)
		}
	}
	if l.Step != hq.NoStep {
		n.steps++
		if v, err := t.get(bStep, stepKey(l.SaleStep())); err != nil || !slices.Equal(v, key) {
			return fmt.Errorf("%w: that %s is not at %s", ErrCorrupt, l.SaleStep(), l.Place)
		}
	}
	if l.Alert {
		n.alerts++
		if v, err := t.get(bAlert, u64(l.Pos)); err != nil || !slices.Equal(v, key) {
			return fmt.Errorf("%w: %s is not in the list of alerts", ErrCorrupt, l.Place)
		}
	}
	if l.Outcome != hq.SetAside || l.Again != 0 {
		return nil
	}
	n.aside++
	if t.Bucket(bAside).Get(key) == nil {
		return fmt.Errorf("%w: %s is not in the list of what was set aside", ErrCorrupt, l.Place)
	}
	if l.Waits != "" {
		n.waiting++
		if t.Bucket(bWaiting).Get(waitingKey(l.Waits, key)) == nil {
			return fmt.Errorf("%w: %s is not in the list of what waits for card %s", ErrCorrupt, l.Place, l.Waits)
		}
	}
	return nil
}

// checkGiven finds the card that was given out, and counts the form that has not come, also where the card was refused.
func (t *tx) checkGiven(l *hq.Line, r *Report) error {
	now, err := t.line(l.Place)
	if err != nil {
		return err
	}
	if l.Step == hq.Given && now.Outcome == hq.Posted {
		v, err := t.get(bCard, []byte(l.Sale))
		if err != nil {
			return err
		}
		if card, err := decodeCard(v); err != nil || card.Account != now.Account {
			return fmt.Errorf("%w: %s, which is not there, or at another account than %d", ErrCorrupt, l.SaleStep(), now.Account)
		}
	}
	e, err := wire.DecodeEntry(l.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", l.Place, err)
	}
	if b, ok := e.Body.(loyalty.CardIssued); ok && b.Form != (loyalty.FormHash{}) && t.Bucket(bForm).Get(b.Form[:]) == nil {
		r.FormsMissing++
	}
	return nil
}

func (t *tx) checkStations(audit *hq.Audit, r *Report) error {
	return t.each(bStation, func(k, v []byte) error {
		s, err := decodeStation(loyalty.StationID(binary.BigEndian.Uint32(k)), v)
		if err != nil {
			return err
		}
		if s.ID != hq.Own {
			r.Stations++
		}
		return audit.Station(s)
	})
}

func (t *tx) checkAccounts(audit *hq.Audit, r *Report) error {
	err := t.each(bAccount, func(k, v []byte) error {
		r.Accounts++
		_, rec, err := decodeRecord(loyalty.AccountID(binary.BigEndian.Uint64(k)), v)
		if err != nil {
			return err
		}
		return audit.Record(rec)
	})
	if err != nil {
		return err
	}
	if n := t.count(bOpening); n != r.Accounts {
		return fmt.Errorf("%w: %d accounts, %d of them brought in", ErrCorrupt, r.Accounts, n)
	}
	return nil
}

func (t *tx) checkCards(_ *hq.Audit, r *Report) error {
	err := t.each(bCard, func(k, v []byte) error {
		r.Cards++
		card, err := decodeCard(v)
		switch {
		case err != nil:
			return err
		case string(card.Number) != string(k):
			return fmt.Errorf("%w: card %s under another number", ErrCorrupt, card.Number)
		case t.Bucket(bAccount).Get(u64(card.Account)) == nil:
			return fmt.Errorf("%w: card %s of no account", ErrCorrupt, card.Number)
		case t.Bucket(bCardOf).Get(append(u64(card.Account), k...)) == nil:
			return fmt.Errorf("%w: card %s is not listed at account %d", ErrCorrupt, card.Number, card.Account)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n := t.count(bCardOf); n != r.Cards {
		return fmt.Errorf("%w: %d cards, %d listed at accounts", ErrCorrupt, r.Cards, n)
	}
	return nil
}

// checkDown compares both directions of what stations know and of what they have to be told.
func (t *tx) checkDown(_ *hq.Audit, r *Report) error {
	last, err := t.number(bMeta, kDown)
	if err != nil {
		return err
	}
	if life, err := t.number(bMeta, kLife); err != nil || life == 0 || life > last {
		return fmt.Errorf("%w: the life begins at %d, the down-streams are at %d", errors.Join(ErrCorrupt, err), life, last)
	}
	err = t.each(bDown, func(k, v []byte) error {
		r.Items++
		if _, err := itemKeyOf(v); err != nil || len(k) != 12 || binary.BigEndian.Uint64(k[4:]) > last {
			return fmt.Errorf("%w: item %s of a down-stream", ErrCorrupt, masked(k))
		}
		seq, err := t.number(bDownKey, append(slices.Clone(k[:4]), v...))
		if err == nil && seq != binary.BigEndian.Uint64(k[4:]) {
			err = fmt.Errorf("%w: item %s of a down-stream is listed at %d", ErrCorrupt, masked(k), seq)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = t.each(bKnows, func(k, _ []byte) error {
		if len(k) != 12 || t.Bucket(bKnown).Get(append(slices.Clone(k[8:]), k[:8]...)) == nil {
			return fmt.Errorf("%w: acquaintance %s goes one way", ErrCorrupt, masked(k))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if a, b := t.count(bDownKey), t.count(bKnown); a != r.Items || b != t.count(bKnows) {
		return fmt.Errorf("%w: %d items of %d keys, %d acquaintances of %d", ErrCorrupt, r.Items, a, b, t.count(bKnows))
	}
	return nil
}
