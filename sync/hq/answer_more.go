package hq

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// sale answers with the entry that closed a sale and everything that was given back of it since, by all stations: whoever
// gives more back decides by that. What was set aside because a card is not known yet counts, since it will be posted.
// Where it does not fit a message, nothing more is given back of the sale. A sale that headquarters does not have is
// [loyalty.UnknownSale], and one that was void [loyalty.SaleNotClosed].
func (q *asking) sale(a *Ask) error {
	key := SaleStep{Station: a.Sale.Station, Sale: a.Sale.Sale, Step: Ended}
	steps, err := q.tx.Steps([]SaleStep{key})
	if err != nil {
		return err
	}
	closed := steps[key]
	if closed == nil {
		q.refuse(loyalty.UnknownSale)
		return nil
	}
	e, err := wire.DecodeEntry(closed.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", closed.Place, err)
	}
	body, ok := e.Body.(loyalty.SaleClosed)
	if !ok {
		q.refuse(loyalty.SaleNotClosed)
		return nil
	}
	refunds, err := q.tx.RefundsOf(key.Station, key.Sale, mostRefunds+1)
	if err != nil {
		return err
	}
	m := &pb.SaleState{Station: uint32(key.Station), Closed: closed.Bytes}
	for _, l := range refunds {
		if l.Outcome == SetAside && l.Waits == "" {
			continue
		}
		m.Refunds = append(m.Refunds, &pb.RefundState{Station: uint32(l.Station), Epoch: uint32(l.Epoch), Seq: uint64(l.Seq), Entry: l.Bytes})
	}
	if len(refunds) > mostRefunds || len(m.Refunds) > wire.MaxSaleRefunds || m.SizeVT() > maxItem {
		q.refuse(loyalty.RefundMore)
		return nil
	}
	q.Answer.Sale = m
	return q.owner(closed, &body)
}

// owner adds the account of a sale, if headquarters has it: a station that refunds the sale shows its balance.
func (q *asking) owner(closed *Line, sale *loyalty.SaleClosed) error {
	if closed.Account == 0 {
		return nil
	}
	records, err := q.tx.Records([]loyalty.AccountID{closed.Account})
	if err != nil || records[closed.Account] == nil {
		return err
	}
	if sale.Card != "" {
		cards, err := q.tx.Cards([]loyalty.CardNumber{sale.Card})
		if err != nil {
			return err
		}
		if c, ok := cards[sale.Card]; ok && c.Account == closed.Account {
			q.Answer.Card = wire.FromCard(&c)
		}
	}
	return q.fill(&Ask{}, loyalty.Card{}, records[closed.Account])
}

// history answers with a page of what was done with an account, without the reasons that operators wrote. A page may have
// few operations, or none, and another behind it.
func (q *asking) history(account loyalty.AccountID, h *AskHistory) (err error) {
	page := &pb.HistoryPage{}
	q.Answer.History = page
	size := q.Answer.SizeVT()
	page.Next, err = readHistory(q.tx, account, h, false, func(l *HistoryLine) bool {
		o := &l.Operation
		if o.Station == Own {
			o.Reason = "" // an operator's words are not for counters
		}
		m := wire.FromOperation(o)
		n := m.SizeVT() + 8
		if size+n > maxItem {
			return false
		}
		size += n
		page.Operations = append(page.Operations, m)
		return true
	})
	return err
}
