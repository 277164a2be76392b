package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// What a velocity rule counts of one subject is a record of its own, written in the transaction of the operation that it
// counts. A sale of two steps is judged when it is opened, which can refuse it, and counted when it is closed, which
// cannot: the fuel is in the tank, and what was voided has not happened. What stands open counts meanwhile: see opendeeds.go.
// The record also says when the subject was last alerted of, so that a flood of operations is not one of alerts.

// alerted is the counter that stands for an alert, beside what the rule counts.
const alerted loyalty.Counter = "alerted"

const (
	alertEvery    = time.Minute      // one alert of a rule and its subject
	alertOwnEvery = 10 * time.Minute // one alert that the station raises by itself
)

// counted is a rule's counter with an operation counted into it.
type counted struct {
	key      string
	standing loyalty.Standing
}

// tooOften is the refusal of a velocity rule, with what headquarters is told of it.
type tooOften struct {
	key   string
	alert loyalty.Alerted
	who   loyalty.Who
	open  *openDeed // the oldest of the open sales that counted; nil: none
}

func (e *tooOften) Error() string {
	s := fmt.Sprintf("velocity rule %q allows %d: %v", e.alert.Rule, e.alert.AtMost, loyalty.TooOften)
	if e.open != nil {
		s += fmt.Sprintf("; sale %q stands open since %s: resolve it", e.open.sale, e.open.At)
	}
	return s
}

func (e *tooOften) Unwrap() error { return loyalty.TooOften }

// beside is what goes with an entry into its transaction, worked out before the first write.
type beside struct {
	shift   *noting
	counted []counted
	alerts  []chained
}

// beside works out what goes with an entry: how its shift and the velocity rules count it, and alerts, its own and those
// given. It refuses what the shift or a rule refuses, unless the entry puts down what has happened.
func (t *txn) beside(c chained, at loyalty.Place, r reading, own ...loyalty.Alerted) (*beside, error) {
	b := &beside{}
	var late bool
	var err error
	if b.shift, late, err = t.inShift(c, at); err != nil {
		return nil, err
	}
	if late {
		a := loyalty.Alerted{Rule: loyalty.AlertShiftLate, Sale: raisedBy(c.entry.Body)}
		a.Account, a.Card = loyalty.Subject(c.entry.Body)
		own = append(own, a)
	}
	alerts, err := t.watch(b, c.entry, loyalty.HasHappened(c.entry.Body))
	if err != nil {
		return nil, err
	}
	who := loyalty.Who{Cashier: c.entry.Cashier, Shift: c.entry.Shift, Counter: c.entry.Counter}
	for _, a := range append(own, alerts...) {
		if at, err = t.placeAfter(at); err != nil {
			return nil, err
		}
		c, err := prepare(at, r, who, c.entry.Programme, a)
		if err != nil {
			return nil, err
		}
		b.alerts = append(b.alerts, c)
	}
	return b, nil
}

// appendWith appends an entry and writes what goes with it.
func (t *txn) appendWith(c chained, r reading, b *beside) error {
	if err := t.append(c, r); err != nil {
		return err
	}
	for _, a := range b.alerts {
		if err := t.append(a, r); err != nil {
			return err
		}
	}
	for _, x := range b.counted {
		if err := t.putWatch(x.key, &x.standing); err != nil {
			return err
		}
	}
	return t.saveShift(b.shift)
}

// concern is a rule that an entry concerns, with the key of its counter.
type concern struct {
	rule *loyalty.Velocity
	key  string
}

// watch judges an entry by the velocity rules in force and counts it into b. It returns the alerts that are due, or
// [tooOften]. settled says that the operation has happened, whatever a rule says.
func (t *txn) watch(b *beside, e *loyalty.Entry, settled bool) (alerts []loyalty.Alerted, err error) {
	p := t.rules.inForce(e.At)
	if p == nil || len(p.Velocity) == 0 {
		return nil, nil
	}
	d, ok := deedOf(e)
	if !ok {
		return nil, nil
	}
	_, prepares := e.Body.(loyalty.SaleOpened)
	var concerns []concern
	since := e.At // the earliest moment of which an open sale counts
	for i := range p.Velocity {
		v := &p.Velocity[i]
		key, ok := v.Key(&d)
		if !ok || prepares && !v.Refuse {
			continue
		}
		concerns = append(concerns, concern{v, key})
		if v.CountsOpen() {
			since = min(since, v.OpenSince(e.At))
		}
	}
	for _, c := range concerns {
		v := c.rule
		s, err := t.watched(c.key)
		if err != nil {
			return nil, err
		}
		judged, oldest := d, (*openDeed)(nil)
		if v.CountsOpen() && !settled {
			open, err := t.openDeeds(since)
			if err != nil {
				return nil, err
			}
			judged, oldest = c.withOpen(d, open)
		}
		n, exceeded := p.Judge(v, &s, &judged)
		if exceeded {
			a := loyalty.Alerted{Rule: v.Name, Account: d.Account, Card: d.Card, Sale: raisedBy(e.Body), Count: n, AtMost: v.AtMost}
			if v.Refuse && !settled {
				a.Refused = true
				return nil, &tooOften{c.key, a, loyalty.Who{Cashier: e.Cashier, Shift: e.Shift, Counter: e.Counter}, oldest}
			}
			if raise(&s, e.At, alertEvery) {
				alerts = append(alerts, a)
			}
		}
		if !prepares {
			p.Note(v, &s, &d)
			b.counted = append(b.counted, counted{c.key, s})
		}
	}
	return alerts, nil
}

// deedOf is an entry as velocity rules see it; false if they do not look at such.
func deedOf(e *loyalty.Entry) (loyalty.Deed, bool) {
	d := loyalty.Deed{At: e.At, Counter: e.Counter, Cashier: e.Cashier, Shift: e.Shift}
	d.Account, d.Card = loyalty.Subject(e.Body)
	manual := ""
	switch b := e.Body.(type) {
	case loyalty.SaleOpened:
		d.Sales, d.Redeemed, manual = 1, b.Reserved, b.Manual
	case loyalty.SaleClosed:
		d.Sales, d.Redeemed, manual = 1, b.Redeemed, b.Manual
	case loyalty.SaleRefunded:
		d.Refunds = 1
	case loyalty.CardIssued:
		d.Cards = 1
	default:
		return loyalty.Deed{}, false
	}
	if manual != "" {
		d.Manual = 1
	}
	return d, true
}

// oddCard is the alert of a refund that is asked for with a card of another account than the sale's, or with another card
// of which the station does not know whose it is.
func (t *txn) oddCard(r *loyalty.RefundRequest, s *loyalty.Sale) ([]loyalty.Alerted, error) {
	if r.Card == "" || r.Card == s.Card {
		return nil, nil
	}
	card, known, err := t.card(r.Card)
	if err != nil || known && card.Account != 0 && card.Account == s.Account {
		return nil, err
	}
	return []loyalty.Alerted{{Rule: loyalty.AlertRefundToCard, Account: s.Account, Card: r.Card, Sale: s.ID}}, nil
}

func raisedBy(b loyalty.Body) loyalty.SaleID {
	if o, ok := b.(loyalty.SaleOpened); ok {
		return o.Sale
	}
	return saleOf(b).id
}

// raise notes an alert in a standing; false if there has been one so shortly before that this one is not needed.
func raise(s *loyalty.Standing, at loyalty.Instant, every time.Duration) bool {
	if s.Used(alerted, at) > 0 {
		return false
	}
	s.Count(loyalty.Tally{Counter: alerted, From: at, Until: at.Add(every), Amount: 1})
	return true
}

// tellRefused tells headquarters of what a velocity rule has refused, in a transaction of its own: the refusal itself has
// changed nothing. It returns the refusal.
func (l *Ledger) tellRefused(ctx context.Context, refusal error) error {
	var x *tooOften
	if !errors.As(refusal, &x) {
		return refusal
	}
	err := l.write(ctx, func(t *txn) error { return t.alert(x.key, x.alert, x.who, alertEvery) })
	if err != nil {
		l.log.Warn("an alert could not be written", "rule", x.alert.Rule, "error", err)
	}
	return refusal
}

// Alert tells headquarters of something that a person should look at, such as a staff card shown at a counter: at most once
// in ten minutes for one rule and card, or account where there is no card. It returns when the alert is on the disk, or is
// not needed; [loyalty.StorageFull] where the room is kept for sales.
func (l *Ledger) Alert(ctx context.Context, a loyalty.Alerted, who loyalty.Who) error {
	if err := a.Check(); err != nil {
		return err
	}
	if a.Card != "" {
		if err := a.Card.Check(); err != nil {
			return err
		}
	}
	if a.Sale != "" {
		if err := a.Sale.Check(); err != nil {
			return err
		}
	}
	if err := who.Check(); err != nil {
		return err
	}
	return l.write(ctx, func(t *txn) error { return t.alert(ownAlertKey(&a), a, who, alertOwnEvery) })
}

// ownAlertKey is the watch of an alert that no rule raises. No rule's name begins so. It holds no card number.
func ownAlertKey(a *loyalty.Alerted) string {
	subject := sha256.Sum256(fmt.Appendf(nil, "%d/%s", a.Account, string(a.Card)))
	return "!" + a.Rule + "/" + hex.EncodeToString(subject[:16])
}

// alert appends an alert unless there was one shortly before.
func (t *txn) alert(key string, a loyalty.Alerted, who loyalty.Who, every time.Duration) error {
	at, r, err := t.nextPlace()
	if err != nil {
		return err
	}
	s, err := t.watched(key)
	if err != nil || !raise(&s, at.At, every) {
		return err
	}
	if err := t.admitNew(true); err != nil {
		return err
	}
	c, err := prepare(at, r, who, 0, a)
	if err != nil {
		return err
	}
	if err := t.append(c, r); err != nil {
		return err
	}
	s.Tallies = slices.DeleteFunc(s.Tallies, func(x loyalty.Tally) bool { return x.Until != 0 && x.Until <= at.At })
	return t.putWatch(key, &s)
}

func (t *txn) watched(key string) (s loyalty.Standing, err error) {
	v, err := t.get(bucketWatch, []byte(key))
	if v == nil || err != nil {
		return s, err
	}
	return parseWatch(v)
}

func (t *txn) putWatch(key string, s *loyalty.Standing) error {
	tallies, err := tallyMessages(s.Tallies)
	if err != nil {
		return err
	}
	return t.putMessage(bucketWatch, []byte(key), &ledgerpb.Watch{Tallies: tallies})
}

func parseWatch(b []byte) (s loyalty.Standing, err error) {
	var m ledgerpb.Watch
	if err := m.UnmarshalVT(b); err != nil {
		return s, fmt.Errorf("%w: watch: %w", ErrCorrupt, err)
	}
	s.Tallies, err = parseTallies(m.Tallies)
	return s, err
}

// watchSlice is how many records are looked at in one transaction.
const watchSlice = 2000

// trimWatches drops the records of which nothing counts any longer, in slices of one transaction each.
func (l *Ledger) trimWatches(ctx context.Context) error {
	r := l.clock.read()
	for from := []byte(nil); r.heard; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var idle [][]byte
		var next []byte
		err := l.view(func(t *txn) (err error) {
			idle, next, err = t.idleWatches(from, r.at)
			return err
		})
		if err != nil {
			return err
		}
		if len(idle) > 0 {
			err = l.write(ctx, func(t *txn) error { return t.dropWatches(idle, r.at) })
		}
		if from = next; err != nil || from == nil {
			return err
		}
	}
	return nil
}

// idleWatches lists what may be dropped of the next records, and where to go on; nil: there are no more.
func (t *txn) idleWatches(from []byte, at loyalty.Instant) (idle [][]byte, next []byte, err error) {
	c := t.bucket(bucketWatch).Cursor()
	n := 0
	for k, stored := c.Seek(from); k != nil; k, stored = c.Next() {
		if n++; n > watchSlice {
			return idle, slices.Clone(k), nil
		}
		v, err := unseal(bucketWatch, k, stored)
		if err != nil {
			return nil, nil, err
		}
		s, err := parseWatch(v)
		if err != nil {
			return nil, nil, err
		}
		if s.Idle(at) {
			idle = append(idle, slices.Clone(k))
		}
	}
	return idle, nil, nil
}

// dropWatches drops those that are idle still.
func (t *txn) dropWatches(keys [][]byte, at loyalty.Instant) error {
	for _, k := range keys {
		s, err := t.watched(string(k))
		if err != nil {
			return err
		}
		if !s.Idle(at) {
			continue
		}
		if err := t.delete(bucketWatch, k); err != nil {
			return err
		}
	}
	return nil
}
