// Package apitest is a station in memory for tests of the API and of the cashier's page: a [Desk] that decides by the
// same loyalty code as the real one, with a headquarters that can be cut off. It keeps nothing on a disk.
package apitest

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
)

// Desk is a station in memory, with its headquarters. Its methods are safe for concurrent use.
type Desk struct {
	mu        sync.Mutex
	now       loyalty.Instant
	programme *loyalty.Programme
	frozen    bool
	fail      error
	lose      error
	status    api.Status

	cards map[loyalty.CardNumber]loyalty.Card
	hq    map[loyalty.AccountID]*loyalty.Record
	local map[loyalty.AccountID]*loyalty.Local
	cells map[loyalty.AccountID]loyalty.Cell
	sales map[loyalty.SaleID]*loyalty.Sale
	order []loyalty.SaleID
	away  map[saleKey]*loyalty.Sale          // of other stations, that were refunded here
	other map[saleKey]*loyalty.SaleElsewhere // what headquarters has of other stations' sales
	seq   loyalty.Seq
	held  []entry // what HQ has not had yet

	journal []entry
	issued  map[loyalty.CardNumber]*loyalty.Issued
	shifts  map[loyalty.ShiftID]*loyalty.Shift
	sealed  map[loyalty.CardNumber][]byte
	heard   []loyalty.Operation // that only headquarters has
	key     form.Key
	secret  form.Identity
}

type saleKey struct {
	station loyalty.StationID
	id      loyalty.SaleID
}

type entry struct {
	seq loyalty.Seq
	loyalty.Entry
}

var (
	_ api.Desk    = (*Desk)(nil)
	_ api.Monitor = (*Desk)(nil)
)

// Epoch is that of the desk's journal.
const Epoch loyalty.Epoch = 1

// Programme is the desk's: a point for 2 full litres, one for 20 roubles of goods, spendable after 14 days.
const Programme = `schema: azs-edge/programme/1
name: semeynaya
version: 3
effective: 2026-01-01T00:00:00+03:00
title: {ru: Семейная команда, en: Family team}
earn:
  - {fuel: ["*"], points: "1", per_litres: "2", whole: true}
  - {goods: ["*"], points: "1", per_roubles: "20"}
never_earn: [tobacco]
never_redeem: [tobacco]
activation: {days: 14}
expiry: {months: 12}
redeem: {share: 100%, step: "1", min_money: "1"}
unknown_card: accrue
cards: {additional_redeem: owner}
`

// New makes a desk of station 7 in reach of its headquarters, at the moment.
func New(at time.Time) (*Desk, error) {
	p, err := loyalty.ParseProgramme([]byte(Programme))
	if err != nil {
		return nil, err
	}
	key, secret, err := newKey()
	if err != nil {
		return nil, err
	}
	return &Desk{
		now: loyalty.At(at), programme: p,
		status: api.Status{
			Station: 7, Name: "АЗС 7, Калужское шоссе", Version: "test", Started: at,
			HQ:        api.Link{Configured: true, Online: true, Since: at},
			Cards:     true,
			Scanners:  []api.Scanner{{Name: "scanner1", Counter: "1", Connected: true, Since: at}},
			Programme: &api.Programme{Name: p.Name, Version: p.Version, Title: p.Title},
		},
		cards: make(map[loyalty.CardNumber]loyalty.Card), hq: make(map[loyalty.AccountID]*loyalty.Record),
		local: make(map[loyalty.AccountID]*loyalty.Local), cells: make(map[loyalty.AccountID]loyalty.Cell),
		sales: make(map[loyalty.SaleID]*loyalty.Sale), away: make(map[saleKey]*loyalty.Sale), other: make(map[saleKey]*loyalty.SaleElsewhere),
		issued: make(map[loyalty.CardNumber]*loyalty.Issued), shifts: make(map[loyalty.ShiftID]*loyalty.Shift),
		sealed: make(map[loyalty.CardNumber][]byte), key: key, secret: secret,
	}, nil
}

// Add makes a card and, if it is new, its account with so many points to spend and so many that are not active yet.
func (d *Desk) Add(c loyalty.Card, state loyalty.State, active, pending loyalty.Points) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cards[c.Number] = c
	if d.hq[c.Account] != nil {
		return
	}
	a := loyalty.Account{ID: c.Account, State: state}
	year := d.now.Add(365 * 24 * time.Hour)
	for _, l := range []loyalty.Lot{
		{Amount: active, ActiveFrom: d.now.Add(-24 * time.Hour), Expires: year},
		{Amount: pending, ActiveFrom: d.now.Add(10 * 24 * time.Hour), Expires: year},
	} {
		if err := a.Accrue(l); err != nil {
			panic(err) // a test's own numbers
		}
	}
	d.hq[c.Account] = &loyalty.Record{Account: a, Version: 1}
	d.local[c.Account] = &loyalty.Local{}
	d.learn(c.Account)
}

// SetNow sets the station's clock.
func (d *Desk) SetNow(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = loyalty.At(at)
}

// SetOnline brings headquarters into reach or out of it; what happened meanwhile is posted there when it is back.
func (d *Desk) SetOnline(online bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.HQ.Online, d.status.HQ.Since = online, d.now.Time()
	d.ship()
}

// Grant gives the station rights of an account, as if it had asked while headquarters was in reach.
func (d *Desk) Grant(id loyalty.AccountID, want loyalty.Points) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.topUp(id, want)
	d.learn(id)
}

// SetFrozen suspends redeeming.
func (d *Desk) SetFrozen(frozen bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen, d.status.Ledger.Frozen = frozen, frozen
}

// SetProgramme puts a programme in force; nil: none.
func (d *Desk) SetProgramme(p *loyalty.Programme) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.programme, d.status.Programme = p, nil
	if p != nil {
		d.status.Programme = &api.Programme{Name: p.Name, Version: p.Version, Title: p.Title}
	}
}

// Fail makes every call of the desk fail with the error and change nothing; nil: none does.
func (d *Desk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

// Lose makes every step of a sale be recorded and its answer be lost: the caller gets the error; nil: none is.
func (d *Desk) Lose(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose = err
}

// Update changes what Status tells.
func (d *Desk) Update(f func(*api.Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.status)
}

// Balance is headquarters' word on an account: total, and spendable now.
func (d *Desk) Balance(id loyalty.AccountID) (total, spendable loyalty.Points) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.hq[id].Account
	return a.Total(d.now), a.Spendable(d.now)
}

// Entries is the number of entries in the journal.
func (d *Desk) Entries() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.seq)
}

// Status tells what was set.
func (d *Desk) Status(context.Context) api.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.status
	s.Scanners = slices.Clone(s.Scanners)
	s.HQ.Backlog = uint64(len(d.held))
	return s
}

// Identify tells who holds a card.
func (d *Desk) Identify(_ context.Context, card loyalty.CardNumber, _ loyalty.Who) (api.Customer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return api.Customer{}, d.fail
	}
	b := d.books(card, "")
	return api.CustomerOf(card, &b, d.now, d.status.HQ.Online, d.status.HQ.Online)
}

// Quote prices a receipt.
func (d *Desk) Quote(_ context.Context, q api.QuoteRequest) (loyalty.Quote, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return loyalty.Quote{}, d.fail
	}
	b := d.books(q.Card, "")
	quote, err := b.Quote(&q.Receipt, q.Redeem, d.now)
	if err != nil || d.status.HQ.Online {
		return quote, err
	}
	left := b.Cell.Left()
	if q.Redeem > left {
		return loyalty.Quote{}, loyalty.NoRights
	}
	if quote.MaxRedeem > left {
		quote.MaxRedeem = left - left%b.Programme.RedeemStep
		quote.Reasons = append(quote.Reasons, loyalty.NoRights)
	}
	return quote, nil
}

// OpenSale opens a sale.
func (d *Desk) OpenSale(_ context.Context, r *loyalty.OpenRequest) (*loyalty.Sale, error) {
	return d.do(r.Sale, r.Card, r.Redeem, r.Who, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) { return b.Open(r, at) })
}

// CloseSale closes a sale.
func (d *Desk) CloseSale(_ context.Context, r *loyalty.CloseRequest) (*loyalty.Sale, error) {
	return d.do(r.Sale, r.Card, r.Redeem, r.Who, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) { return b.Close(r, at) })
}

// VoidSale voids a sale.
func (d *Desk) VoidSale(_ context.Context, r *loyalty.VoidRequest) (*loyalty.Sale, error) {
	return d.do(r.Sale, "", 0, r.Who, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) { return b.Cancel(r, at) })
}

// RefundSale refunds a sale: of another station, what headquarters has of it.
func (d *Desk) RefundSale(_ context.Context, r *loyalty.RefundRequest) (*loyalty.Sale, error) {
	refund := func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) { return b.Refund(r, at) }
	if r.Station == 0 || r.Station == d.status.Station {
		return d.do(r.Sale, "", 0, r.Who, refund)
	}
	return d.refundAway(r, refund)
}

// Sale tells a sale as it stands.
func (d *Desk) Sale(_ context.Context, id loyalty.SaleID) (*loyalty.Sale, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	if s := d.sales[id]; s != nil {
		c := *s
		return &c, nil
	}
	return nil, loyalty.UnknownSale
}

// Unresolved lists the open sales.
func (d *Desk) Unresolved(limit int) ([]*loyalty.Sale, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	var open []*loyalty.Sale
	for _, id := range d.order {
		if s := d.sales[id]; s.State == loyalty.SaleOpen && len(open) < limit {
			c := *s
			open = append(open, &c)
		}
	}
	return open, nil
}

type step func(*loyalty.Books, loyalty.Place) (*loyalty.Sale, loyalty.Body, error)

// do runs one operation as the ledger does: on a private copy of the books, written back only if it is accepted.
func (d *Desk) do(id loyalty.SaleID, card loyalty.CardNumber, want loyalty.Points, who loyalty.Who, op step) (*loyalty.Sale, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	if s := d.sales[id]; s != nil {
		card = s.Card
	} else if c, ok := d.cards[card]; ok && d.status.HQ.Online {
		d.topUp(c.Account, want)
	}
	b := d.books(card, id)
	at := d.place()
	sale, body, err := op(&b, at)
	if err != nil {
		return nil, err
	}
	if body != nil {
		if _, refund := body.(loyalty.SaleRefunded); !refund {
			who = sale.By()
		}
		if err := d.append(at, who, sale.Quote.Programme, body); err != nil {
			return nil, err
		}
		if d.sales[id] == nil {
			d.order = append(d.order, id)
		}
		c := *sale
		d.sales[id] = &c
		if b.Known {
			d.cells[b.Card.Account] = b.Cell
			*d.local[b.Card.Account] = b.Local
		}
		d.ship()
	}
	if d.lose != nil {
		return nil, d.lose
	}
	c := *sale
	return &c, nil
}

func (d *Desk) place() loyalty.Place {
	var random [10]byte
	binary.BigEndian.PutUint64(random[:], uint64(d.seq+1))
	return loyalty.Place{Epoch: Epoch, Seq: d.seq + 1, Op: loyalty.NewOpID(d.now, random), At: d.now}
}

// append writes an entry and counts it into its shift; a shift that is closed refuses it, unless it puts down
// what has happened.
func (d *Desk) append(at loyalty.Place, who loyalty.Who, programme uint32, body loyalty.Body) error {
	e := entry{at.Seq, loyalty.Entry{
		At: at.At, Op: at.Op, Cashier: who.Cashier, Shift: who.Shift, Counter: who.Counter, Programme: programme, Body: body,
	}}
	named := loyalty.ShiftID{Counter: who.Counter, Number: who.Shift}
	if s := d.shifts[named]; s != nil && s.Closed && !loyalty.HasHappened(body) {
		return loyalty.ShiftEnded
	}
	if id, ok := loyalty.ShiftOf(&e.Entry); ok {
		d.shifts[id] = loyalty.NoteShift(d.shifts[id], Epoch, at.Seq, &e.Entry)
	}
	d.seq++
	d.journal, d.held = append(d.journal, e), append(d.held, e)
	return nil
}

func (d *Desk) books(card loyalty.CardNumber, id loyalty.SaleID) loyalty.Books {
	b := loyalty.Books{Station: d.status.Station, Programme: d.programme, Frozen: d.frozen, Issued: d.issued[card] != nil}
	b.Card, b.Known = d.cards[card]
	if b.Known {
		b.Local, b.Cell = d.local[b.Card.Account].Clone(), d.cells[b.Card.Account]
	}
	for _, s := range d.sales {
		if s.State == loyalty.SaleOpen && s.Account == b.Card.Account && b.Known {
			b.Reserved += s.Reserved
		}
	}
	if s := d.sales[id]; s != nil {
		c := *s
		b.Sale = &c
	}
	return b
}

func (d *Desk) cell() loyalty.CellKey {
	return loyalty.CellKey{Station: d.status.Station, Epoch: Epoch}
}

func (d *Desk) topUp(id loyalty.AccountID, want loyalty.Points) {
	c := d.cells[id]
	c.Grant(d.hq[id].TopUp(d.cell(), c.Statement(), want, d.now))
	d.cells[id] = c
}

// ship posts what headquarters has not had, if it is in reach.
func (d *Desk) ship() {
	if !d.status.HQ.Online {
		return
	}
	for _, e := range d.held {
		if c, ok := e.Body.(loyalty.CardIssued); ok {
			d.open(c)
			continue
		}
		id, card := loyalty.Subject(e.Body)
		if id == 0 {
			id = d.cards[card].Account // the station did not know the card when it wrote the entry
		}
		if _, alert := e.Body.(loyalty.Alerted); alert || d.hq[id] == nil {
			continue
		}
		if _, err := d.hq[id].Post(d.cell(), e.seq, &e.Entry); err != nil {
			panic(err) // the domain has accepted the entry: headquarters, by the same code, must
		}
		d.learn(id)
	}
	d.held = nil
}

func (d *Desk) learn(id loyalty.AccountID) {
	applied := d.seq
	if n := len(d.held); n > 0 && !d.status.HQ.Online {
		applied = d.held[0].seq - 1
	}
	d.local[id].Learn(d.hq[id].Snapshot(d.cell(), applied, d.now))
}
