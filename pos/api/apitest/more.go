package apitest

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"filippo.io/age"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
)

func newKey() (form.Key, form.Identity, error) {
	secret, err := age.GenerateX25519Identity()
	if err != nil {
		return form.Key{}, form.Identity{}, fmt.Errorf("make a key: %w", err)
	}
	key, err := form.ParseKey(secret.Recipient().String())
	if err != nil {
		return form.Key{}, form.Identity{}, err
	}
	identity, err := form.ParseIdentity([]byte(secret.String()))
	return key, identity, err
}

// WithoutKey takes the desk's key for forms away.
func (d *Desk) WithoutKey() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.key = form.Key{}
}

// Form opens the form that a card was given out with, as headquarters' operator could.
func (d *Desk) Form(card loyalty.CardNumber) (form.Form, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return form.Open(d.secret, d.sealed[card])
}

// Elsewhere has headquarters know a sale of another station.
func (d *Desk) Elsewhere(x *loyalty.SaleElsewhere) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.other[saleKey{x.Station, loyalty.ClosedSale(x.Closed, 0).ID}] = x
}

// Heard has headquarters know operations that this station does not.
func (d *Desk) Heard(all ...loyalty.Operation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, all...)
}

// Alerts is the alerts in the journal, oldest first.
func (d *Desk) Alerts() (all []loyalty.Alerted) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.journal {
		if a, ok := e.Body.(loyalty.Alerted); ok {
			all = append(all, a)
		}
	}
	return all
}

// Programme is the programme in force.
func (d *Desk) Programme() *loyalty.Programme {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.programme
}

// refundAway refunds a sale of another station.
func (d *Desk) refundAway(r *loyalty.RefundRequest, refund step) (*loyalty.Sale, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	key := saleKey{r.Station, r.Sale}
	was := d.away[key]
	if !d.status.HQ.Online && (was == nil || was.Refund(r.Refund) == nil) {
		return nil, loyalty.Offline
	}
	x := d.other[key]
	if x == nil {
		return nil, loyalty.UnknownSale
	}
	card := loyalty.ClosedSale(x.Closed, 0).Card
	b := d.books(card, "")
	if was != nil {
		c := *was
		b.Sale = &c
	}
	if err := b.Hear(r.Sale, x); err != nil {
		return nil, err
	}
	at := d.place()
	sale, body, err := refund(&b, at)
	if err != nil {
		return nil, err
	}
	if body != nil {
		if err := d.append(at, r.Who, sale.Quote.Programme, body); err != nil {
			return nil, err
		}
		c := *sale
		d.away[key] = &c
		if b.Known {
			*d.local[b.Card.Account] = b.Local
		}
		d.ship()
	}
	c := *sale
	return &c, nil
}

// IssueCard gives out a card. Headquarters opens the account at once while it is in reach.
func (d *Desk) IssueCard(_ context.Context, r *api.CardRequest) (api.GivenCard, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return api.GivenCard{}, d.fail
	}
	req, err := r.Seal(d.key, d.now)
	if err != nil {
		return api.GivenCard{}, err
	}
	was := d.issued[r.Card]
	if was == nil && r.For != "" {
		if err := d.mayJoin(r); err != nil {
			return api.GivenCard{}, err
		}
	}
	b, at := d.books(r.Card, ""), d.place()
	i, body, err := b.Issue(req, was, at)
	if err != nil {
		return api.GivenCard{}, err
	}
	if body != nil {
		if err := d.append(at, r.Who, 0, body); err != nil {
			return api.GivenCard{}, err
		}
		d.issued[r.Card], d.sealed[r.Card] = i, req.Sealed
		d.ship()
	}
	out := api.GivenCard{Issued: *i}
	if b := d.books(r.Card, ""); b.Known {
		c, err := api.CustomerOf(r.Card, &b, d.now, d.status.HQ.Online, d.status.HQ.Online)
		if err != nil {
			return api.GivenCard{}, err
		}
		out.Customer = &c
	}
	return out, nil
}

// mayJoin is headquarters' word on a card that joins an account.
func (d *Desk) mayJoin(r *api.CardRequest) error {
	lost, ok := d.cards[r.For]
	switch {
	case !d.status.HQ.Online:
		return loyalty.Offline
	case !ok:
		return loyalty.UnknownCard
	case lost.State == loyalty.Closed:
		return loyalty.CardClosed
	case r.Replaces || d.programme == nil:
		return nil
	}
	n := 0
	for _, c := range d.cards {
		if c.Account == lost.Account && c.Kind == r.Kind && c.State != loyalty.Closed {
			n++
		}
	}
	if most := d.programme.Cards.Most(r.Kind); most > 0 && n >= most {
		return loyalty.CardLimit
	}
	return nil
}

// firstAccount is the first that headquarters opens for cards given out at counters.
const firstAccount = loyalty.AccountID(1 << 39)

// open does at headquarters what a card given out says.
func (d *Desk) open(i loyalty.CardIssued) {
	c := loyalty.Card{Number: i.Card, Kind: i.Kind, MayRedeem: !i.Replaces && (i.For == "" || !d.programme.Cards.OwnerAllows)}
	if i.For != "" {
		lost := d.cards[i.For]
		c.Account = lost.Account
		if i.Replaces {
			lost.State = loyalty.Closed
			d.cards[i.For] = lost
		}
		d.cards[i.Card] = c
		return
	}
	c.Account = firstAccount
	for d.hq[c.Account] != nil {
		c.Account++
	}
	d.cards[i.Card] = c
	d.hq[c.Account] = &loyalty.Record{Account: loyalty.Account{ID: c.Account, Standing: loyalty.Standing{Joined: d.now}}, Version: 1}
	d.local[c.Account] = &loyalty.Local{}
	d.learn(c.Account)
}

// OpenShift opens a shift.
func (d *Desk) OpenShift(_ context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error) {
	return d.turn(r, loyalty.OpenShift)
}

// CloseShift closes a shift.
func (d *Desk) CloseShift(_ context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error) {
	return d.turn(r, loyalty.CloseShift)
}

func (d *Desk) turn(r *loyalty.ShiftRequest, do func(*loyalty.Shift, *loyalty.ShiftRequest, loyalty.Place) (*loyalty.Shift, loyalty.Body, error)) (*loyalty.Shift, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	at := d.place()
	s, body, err := do(d.shifts[r.ShiftID], r, at)
	if err != nil || body == nil {
		return s, err
	}
	if err := d.append(at, r.Who(), 0, body); err != nil {
		return nil, err
	}
	if s.Differs {
		m := s.Mismatches()
		alert := loyalty.Alerted{Rule: loyalty.AlertShiftDiffers, Count: int64(len(m))}
		if err := d.append(d.place(), loyalty.Who{Cashier: r.Cashier, Counter: r.Counter}, 0, alert); err != nil {
			return nil, err
		}
	}
	d.ship()
	return d.shifts[r.ShiftID], nil
}

// Shift tells a shift as it stands.
func (d *Desk) Shift(id loyalty.ShiftID) (*loyalty.Shift, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.shifts[id]; s != nil && d.fail == nil {
		return s, nil
	}
	if d.fail != nil {
		return nil, d.fail
	}
	return nil, loyalty.UnknownShift
}

// Statement lists what the journal says of a card, and what headquarters alone has if that is asked and it is in reach.
func (d *Desk) Statement(_ context.Context, q api.StatementQuery) (api.Statement, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return api.Statement{}, d.fail
	}
	c, known := d.cards[q.Card]
	h := loyalty.HistoryQuery{Account: c.Account, Card: q.Card, From: q.From, Until: q.Until, Limit: q.Limit}
	if err := h.Check(); err != nil {
		return api.Statement{}, err
	}
	out := api.Statement{Known: known, Everywhere: q.Everywhere && d.status.HQ.Online}
	var all []loyalty.Operation
	for _, e := range slices.Backward(d.journal) {
		if o, ok := loyalty.OperationOf(d.status.Station, Epoch, e.seq, &e.Entry); ok && h.Concerns(e.Body) {
			all = append(all, o)
		}
	}
	if out.Everywhere {
		all = append(all, d.heard...)
		slices.SortStableFunc(all, func(a, b loyalty.Operation) int { return int(b.At - a.At) })
	}
	all = slices.DeleteFunc(all, func(o loyalty.Operation) bool { return o.At < q.From || o.At >= q.Until })
	from := 0
	if q.Before != "" {
		n, err := strconv.Atoi(q.Before)
		if err != nil || n < 0 || n > len(all) {
			return api.Statement{}, fmt.Errorf("%w: no such page", loyalty.BadRequest)
		}
		from = n
	}
	until := min(from+q.Limit, len(all))
	out.Operations = all[from:until]
	if until < len(all) {
		out.Next = strconv.Itoa(until)
	}
	return out, nil
}
