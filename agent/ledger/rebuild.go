package ledger

import (
	"errors"
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// rebuilt is what salvage has made of the records: sales and accounts brought up to the journal.
type rebuilt struct {
	order    []place // of the journal's readable entries
	sales    map[loyalty.SaleID]sale
	away     map[saleKey]sale
	issued   map[loyalty.CardNumber]issued
	accounts map[loyalty.AccountID]*loyalty.Local
	shifts   *rebuiltShifts
}

// rebuild goes through the journal once more, on top of the records that were found.
func (r *records) rebuild() *rebuilt {
	b := &rebuilt{
		sales: make(map[loyalty.SaleID]sale), away: make(map[saleKey]sale), issued: make(map[loyalty.CardNumber]issued),
		accounts: make(map[loyalty.AccountID]*loyalty.Local), shifts: readShifts(r.plain[bucketShift]),
	}
	b.readAway(r.plain[bucketAway])
	b.readIssued(r.plain[bucketIssued])
	for key, v := range r.plain[bucketSale] {
		if s, err := parseSale(loyalty.SaleID(key), v); err == nil {
			b.sales[s.ID] = s
		}
	}
	for key, v := range r.plain[bucketAcct] {
		id, err := accountOf([]byte(key))
		if err != nil {
			continue
		}
		if l, err := parseLocal(v); err == nil && l.Snapshot.Account.ID == id {
			b.accounts[id] = &l
		}
	}
	for p := range r.journal {
		b.order = append(b.order, p)
	}
	slices.SortFunc(b.order, place.compare)
	for _, p := range b.order {
		if e, err := wire.DecodeEntry(r.journal[p].bytes); err == nil {
			b.follow(p, e)
		}
	}
	return b
}

func (p place) compare(q place) int {
	switch {
	case p.before(q):
		return -1
	case q.before(p):
		return 1
	}
	return 0
}

// follow brings the sale and the account of an entry up to it.
func (b *rebuilt) follow(p place, e *loyalty.Entry) {
	b.shifts.follow(p, e)
	switch body := e.Body.(type) {
	case loyalty.SaleOpened:
		b.opened(e, body)
	case loyalty.SaleClosed:
		b.closed(p, e, body)
	case loyalty.SaleVoided:
		b.voided(p, e, body)
	case loyalty.SaleRefunded:
		b.refunded(p, e, body)
	case loyalty.CardIssued:
		b.cardIssued(p, e, body)
	}
	id, _ := loyalty.Subject(e.Body)
	x, ok := loyalty.PostingOf(p.epoch, p.seq, e)
	if !ok || id == 0 {
		return
	}
	l := b.accounts[id]
	if l == nil { // HQ's word of the account is lost: until it comes again there is only what was done here
		l = &loyalty.Local{}
		l.Snapshot.Account.ID = id
		b.accounts[id] = l
	}
	if (place{l.Snapshot.Epoch, l.Snapshot.Applied}).before(p) {
		has := slices.ContainsFunc(l.Own, func(o loyalty.Posting) bool { return o.Epoch == p.epoch && o.Seq == p.seq })
		if !has {
			l.Add(x)
			slices.SortStableFunc(l.Own, func(a, b loyalty.Posting) int {
				return place{a.Epoch, a.Seq}.compare(place{b.Epoch, b.Seq})
			})
		}
	}
}

// opened makes the record of a sale from its entry; what the entry does not say (the balances that were shown) is lost.
func (b *rebuilt) opened(e *loyalty.Entry, o loyalty.SaleOpened) {
	if b.sales[o.Sale].Sale != nil {
		return
	}
	b.sales[o.Sale] = sale{Sale: &loyalty.Sale{
		ID: o.Sale, State: loyalty.SaleOpen, OpOpen: e.Op, Account: o.Account, Card: o.Card, OpenedAt: e.At, Reserved: o.Reserved,
		Open: &loyalty.OpenRequest{
			Sale: o.Sale, Card: o.Card, Receipt: o.Receipt, Redeem: o.Reserved, Manual: o.Manual, Who: loyalty.Who{Cashier: e.Cashier, Shift: e.Shift, Counter: e.Counter},
		},
		Quote:   loyalty.Quote{Programme: e.Programme, Total: o.Receipt.Total(), Redeem: o.Reserved, Pay: o.Receipt.Total()},
		Cashier: e.Cashier, Shift: e.Shift,
	}}
}

func (b *rebuilt) closed(p place, e *loyalty.Entry, c loyalty.SaleClosed) {
	s, was := loyalty.ClosedSale(e, p.seq), b.sales[c.Sale].Sale
	switch {
	case was == nil:
	case was.State == loyalty.SaleOpen:
		s.Open, s.Reserved = was.Open, was.Reserved
	case was.OpEnd != e.Op:
		return // another sale of this id, long ago
	default:
		s = was
		s.SeqEnd = p.seq
	}
	b.sales[c.Sale] = sale{s, p.epoch}
}

func (b *rebuilt) voided(p place, e *loyalty.Entry, v loyalty.SaleVoided) {
	s := b.sales[v.Sale].Sale
	switch {
	case s == nil:
		s = &loyalty.Sale{ID: v.Sale, OpOpen: v.Opened, Account: v.Account, OpenedAt: e.At}
	case s.State != loyalty.SaleOpen && s.OpEnd != e.Op:
		return
	}
	s.State, s.OpEnd, s.SeqEnd, s.EndedAt = loyalty.SaleCancelled, e.Op, p.seq, e.At
	s.Cashier, s.Shift = e.Cashier, e.Shift
	s.Void = &loyalty.VoidRequest{Sale: v.Sale, Reason: v.Reason, Resolved: v.Resolved, Who: loyalty.Who{Cashier: e.Cashier, Shift: e.Shift, Counter: e.Counter}}
	b.sales[v.Sale] = sale{s, p.epoch}
}

// write puts the rebuilt records into a fresh file, with the indexes that follow from them. A sale that ended with an
// entry which is lost is kept all the same: it answers whoever asks for it again.
func (b *rebuilt) write(t *txn) error {
	ids := make([]loyalty.AccountID, 0, len(b.accounts))
	for id := range b.accounts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if err := t.putAccount(b.accounts[id]); err != nil {
			return err
		}
	}
	if err := errors.Join(b.writeAway(t), b.writeIssued(t), b.shifts.write(t)); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(b.sales)) {
		s := b.sales[id]
		m, err := s.message()
		if err != nil {
			return err
		}
		if err := t.putMessage(bucketSale, []byte(id), m); err != nil {
			return err
		}
		t.st.count.sales++
		if s.State != loyalty.SaleOpen {
			continue
		}
		t.st.count.openSales++
		if err := t.put(bucketOpen, s.OpOpen[:], seal(bucketOpen, s.OpOpen[:], []byte(id))); err != nil {
			return err
		}
	}
	return nil
}

// restoreJournal writes the readable entries, in their order, at their places.
func (r *records) restoreJournal(t *txn, order []place) error {
	end := t.st
	hash := wire.Hash{}
	for _, p := range order {
		e, err := wire.DecodeEntry(r.journal[p].bytes)
		if err != nil || !p.before(place{end.epoch, end.last + 1}) {
			continue
		}
		t.st.epoch, t.st.last, t.st.lastHash = p.epoch, p.seq-1, hash
		if err := t.appendBytes(e.At, r.journal[p].bytes); err != nil {
			return err
		}
		hash = t.st.lastHash
		end.lastAt, end.bound, end.lastOp = e.At, max(end.bound, e.At), e.Op
	}
	end.count, end.segment, end.segmentLen, end.segmentDay = t.st.count, t.st.segment, t.st.segmentLen, t.st.segmentDay
	t.st = end
	return nil
}
