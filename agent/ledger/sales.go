package ledger

import (
	"context"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// OpenSale reserves points and opens a sale. When it returns the sale, the sale is on the disk. Asked again with the same
// content it returns the sale as it stands; with other content, [loyalty.Conflict]. Any other refusal of package loyalty
// changes nothing and does not use up the id. [loyalty.StorageFailed] means that the outcome is not known: ask again.
func (l *Ledger) OpenSale(ctx context.Context, r *loyalty.OpenRequest) (*loyalty.Sale, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return l.sell(ctx, r.Sale, r.Card, r.Redeem > 0, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) {
		return b.Open(r, at)
	})
}

// CloseSale books what was really sold, of an open sale or of one that was never opened. Durability, repetition and
// refusals are as in [Ledger.OpenSale].
func (l *Ledger) CloseSale(ctx context.Context, r *loyalty.CloseRequest) (*loyalty.Sale, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return l.sell(ctx, r.Sale, r.Card, r.Redeem > 0, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) {
		return b.Close(r, at)
	})
}

// VoidSale voids an open sale. Durability, repetition and refusals are as in [Ledger.OpenSale].
func (l *Ledger) VoidSale(ctx context.Context, r *loyalty.VoidRequest) (*loyalty.Sale, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return l.sell(ctx, r.Sale, "", false, func(b *loyalty.Books, at loyalty.Place) (*loyalty.Sale, loyalty.Body, error) {
		return b.Cancel(r, at)
	})
}

type step func(*loyalty.Books, loyalty.Place) (*loyalty.Sale, loyalty.Body, error)

func (l *Ledger) sell(ctx context.Context, id loyalty.SaleID, card loyalty.CardNumber, redeems bool, do step) (*loyalty.Sale, error) {
	var answer *loyalty.Sale
	err := l.write(ctx, func(t *txn) (err error) {
		answer, err = t.sell(id, card, redeems, do)
		return err
	})
	if err != nil {
		return nil, l.tellRefused(ctx, err)
	}
	return answer, nil
}

// sell carries out one step of a sale: everything that can refuse comes before the first write.
func (t *txn) sell(id loyalty.SaleID, card loyalty.CardNumber, redeems bool, do step) (*loyalty.Sale, error) {
	at, r, err := t.nextPlace()
	if err != nil {
		return nil, err
	}
	b, err := t.saleBooks(id, card, at.At)
	if err != nil {
		return nil, err
	}
	isNew := b.Sale == nil
	s, body, err := do(&b, at)
	if err != nil || body == nil {
		return s, err
	}
	if isNew {
		if err := t.admitNew(redeems); err != nil {
			return nil, err
		}
	}
	programme := uint32(0)
	if _, void := body.(loyalty.SaleVoided); !void {
		programme = s.Quote.Programme
	}
	c, err := prepare(at, r, s.By(), programme, body)
	if err != nil {
		return nil, err
	}
	with, err := t.beside(c, at, r)
	if err != nil {
		return nil, err
	}
	w := sale{Sale: s}
	if s.State != loyalty.SaleOpen {
		w.epochEnd = at.Epoch
	}
	m, err := w.message()
	if err != nil {
		return nil, err
	}
	if err := t.appendWith(c, r, with); err != nil {
		return nil, err
	}
	if err := t.putMessage(bucketSale, []byte(id), m); err != nil {
		return nil, err
	}
	return s, t.saveBooks(&b, s, isNew)
}

// saveBooks writes what a step of a sale changed beside the sale itself.
func (t *txn) saveBooks(b *loyalty.Books, s *loyalty.Sale, isNew bool) error {
	if isNew {
		t.st.count.sales++
	}
	switch open := s.State == loyalty.SaleOpen; {
	case open:
		t.st.count.openSales++
		id := []byte(s.ID)
		if err := t.put(bucketOpen, s.OpOpen[:], seal(bucketOpen, s.OpOpen[:], id)); err != nil {
			return err
		}
		t.open.opened(s)
	case !s.OpOpen.IsZero():
		t.st.count.openSales--
		if err := t.delete(bucketOpen, s.OpOpen[:]); err != nil {
			return err
		}
		t.open.ended(s.OpOpen)
	}
	if s.Account == 0 {
		return nil
	}
	if b.Known && s.State == loyalty.SaleDone {
		if err := t.putAccount(&b.Local); err != nil {
			return err
		}
	}
	old, err := t.cell(s.Account)
	if err != nil {
		return err
	}
	if now := (cell{b.Cell, b.Reserved}); now != old {
		return t.putCell(s.Account, now)
	}
	return nil
}

// books reads the records of a card.
func (t *txn) books(card loyalty.CardNumber, at loyalty.Instant) (loyalty.Books, error) {
	b := loyalty.Books{Programme: t.rules.inForce(at), Station: t.st.station, Card: loyalty.Card{Number: card}, Frozen: t.st.thaw != 0}
	if card == "" {
		return b, nil
	}
	var err error
	if b.Card, b.Known, err = t.card(card); err != nil {
		return b, err
	}
	if !b.Known {
		b.Issued, err = t.givenOut(card)
		return b, err
	}
	return b, t.accountBooks(&b, b.Card.Account)
}

func (t *txn) accountBooks(b *loyalty.Books, id loyalty.AccountID) (err error) {
	if id == 0 {
		return nil
	}
	if b.Local, _, err = t.account(id); err != nil {
		return err
	}
	c, err := t.cell(id)
	b.Cell, b.Reserved = c.Cell, c.reserved
	return err
}

// saleBooks reads the records that a step of the sale touches. A sale stays with the account it was opened for, whatever
// has become of the card since.
func (t *txn) saleBooks(id loyalty.SaleID, card loyalty.CardNumber, at loyalty.Instant) (loyalty.Books, error) {
	s, err := t.sale(id)
	if err != nil {
		return loyalty.Books{}, err
	}
	if s.Sale == nil {
		return t.books(card, at)
	}
	b := loyalty.Books{Programme: t.rules.inForce(at), Station: t.st.station, Sale: s.Sale, Frozen: t.st.thaw != 0}
	if opened := t.rules.version(s.Quote.Programme); opened != nil && s.State == loyalty.SaleOpen {
		b.Programme = opened // what was agreed at the pump holds, whatever came into force since
	}
	if b.Card, _, err = t.card(s.Card); err != nil {
		return b, err
	}
	b.Known = s.Account != 0
	return b, t.accountBooks(&b, s.Account)
}

// ReturnSurplus hands rights that no open sale needs back to HQ: of one account, or with account 0 of up to
// [surplusBatch] accounts that have some. It does nothing where an open sale of the account is running, since closing it
// may use what is left, and nothing where nothing is left. When it returns the entries are on the disk.
func (l *Ledger) ReturnSurplus(ctx context.Context, account loyalty.AccountID) error {
	accounts := []loyalty.AccountID{account}
	if account == 0 {
		var err error
		if accounts, err = l.surplus(surplusBatch); err != nil || len(accounts) == 0 {
			return err
		}
	}
	return l.write(ctx, func(t *txn) error {
		for _, id := range accounts {
			if err := t.returnSurplus(id); err != nil {
				return err
			}
		}
		return nil
	})
}

const surplusBatch = 64

func (t *txn) returnSurplus(id loyalty.AccountID) error {
	c, err := t.cell(id)
	if err != nil || c.reserved != 0 || c.Left() <= 0 {
		return err
	}
	at, r, err := t.nextPlace()
	if err != nil {
		return err
	}
	c.Return()
	e, err := prepare(at, r, loyalty.Who{}, 0, loyalty.CellReturned{Account: id, Statement: c.Statement()})
	if err != nil {
		return err
	}
	if err := t.append(e, r); err != nil {
		return err
	}
	return t.putCell(id, c)
}

// admitNew refuses new sales when the file is nearly full: those that redeem first. Open sales can always be ended, and
// acknowledgements always be noted, from what is kept back.
func (t *txn) admitNew(redeems bool) error {
	switch {
	case t.room.stopsAll():
		return fmt.Errorf("%d bytes of room are left: %w", t.room.left, loyalty.StorageFull)
	case redeems && t.room.stopsRedeeming():
		return fmt.Errorf("%d bytes of room are left, redeeming stops first: %w", t.room.left, loyalty.StorageFull)
	}
	return nil
}
