package hq

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// The bounds of one reading of a history: how many lines are looked at, after how many in a row that are too old it is
// taken that nothing newer is behind them, and how much a clock may be off for that. The order is that in which
// headquarters posted, and either clock may have been behind for a while, or an entry late: one line says nothing.
const (
	maxLooked  = 2000
	historyRun = 200
	clockSlack = 24 * time.Hour
)

// readHistory gives take the operations of an account, newest first in the order in which headquarters posted them, with
// their positions, until it does not take one or there are as many as asked for. Headquarters' own changes are among them if
// they are wanted. It returns where to go on; zero: there is no more.
func readHistory(tx Tx, account loyalty.AccountID, h *AskHistory, changes bool, take func(*HistoryLine) bool) (next uint64, err error) {
	next = h.Before
	for taken, looked, old := 0, 0, 0; looked < maxLooked; looked += historyRun {
		lines, err := tx.History(account, next, historyRun)
		if err != nil {
			return 0, err
		}
		for _, l := range lines {
			o, ok := historyLine(l)
			if old++; h.From == 0 || max(l.At, o.At) >= h.From.Add(-clockSlack) {
				old = 0
			}
			if old == historyRun {
				return 0, nil
			}
			if ok && (changes || o.Change == nil) && o.At >= h.From && (h.Until == 0 || o.At < h.Until) {
				if taken == h.Limit || !take(&o) {
					return next, nil
				}
				taken++
			}
			next = l.Pos
		}
		if len(lines) < historyRun {
			return 0, nil
		}
	}
	return next, nil
}

// historyLine is what a line says in a statement; false for what concerns nobody.
func historyLine(l *Line) (h HistoryLine, ok bool) {
	e, err := wire.DecodeEntry(l.Bytes)
	if err != nil {
		return h, false
	}
	h.Pos = l.Pos
	if h.Operation, ok = operationOf(l, e); !ok {
		h.Operation = loyalty.Operation{At: e.At, Station: l.Station, Epoch: l.Epoch, Seq: l.Seq}
		h.Change = e.Body
	}
	switch b := e.Body.(type) {
	case loyalty.Adjusted:
		h.Operator = b.Operator
	case loyalty.AccountBurned:
		h.Operator = b.Operator
	case loyalty.AccountChanged:
		h.Kind, h.Operator, h.Reason = AccountChangedLine, b.Operator, b.Reason
	case loyalty.CardChanged:
		h.Kind, h.Operator, h.Reason, h.Card = CardChangedLine, b.Operator, b.Reason, b.Card
	case loyalty.AccountForgotten:
		h.Kind, h.Operator, h.Reason = ForgottenLine, b.Operator, b.Reason
	}
	return h, h.Kind != ""
}

// operationOf is what an entry says to the customer; false for what concerns none. What was denied was neither earned nor
// taken back.
func operationOf(l *Line, e *loyalty.Entry) (loyalty.Operation, bool) {
	o, ok := loyalty.OperationOf(l.Station, l.Epoch, l.Seq, e)
	if l.Denied == 0 {
		return o, ok
	}
	switch o.Kind {
	case loyalty.SaleOperation:
		if o.Earned -= l.Denied; o.Earned == 0 {
			o.ActiveFrom, o.Expires = 0, 0
		}
	case loyalty.RefundOperation:
		o.Clawed -= l.Denied
	}
	return o, ok
}

// HistoryLine is a line of a customer's statement, with its place in headquarters' stream.
type HistoryLine struct {
	Pos uint64
	loyalty.Operation
	// Operator is who did it, where headquarters did.
	Operator string
	// Change is what headquarters changed: how the account, or a card of it, is from then on. Nil: it is an operation, and
	// stations tell customers of it as well.
	Change loyalty.Body
}

// The kinds of changes, beside those of operations.
const (
	AccountChangedLine loyalty.OperationKind = "account_changed"
	CardChangedLine    loyalty.OperationKind = "card_changed"
	ForgottenLine      loyalty.OperationKind = "forgotten"
)

// Statement is a page of what was done with an account and changed of it, newest first, and where an older page begins; zero: there is none.
// A page may have few lines, or none, and another behind it.
func (b *Books) Statement(ctx context.Context, account loyalty.AccountID, h AskHistory) (page []HistoryLine, next uint64, err error) {
	err = b.cfg.Store.View(ctx, func(tx Tx) error {
		page = nil
		records, err := tx.Records([]loyalty.AccountID{account})
		if err != nil {
			return err
		}
		if records[account] == nil {
			return fmt.Errorf("account %d: %w", account, ErrNoAccount)
		}
		next, err = readHistory(tx, account, &h, true, func(l *HistoryLine) bool {
			page = append(page, *l)
			return true
		})
		return err
	})
	return page, next, err
}

// Grouping says by what the operations of an account are added up.
type Grouping string

// The groupings.
const (
	ByStation Grouping = "station"
	ByPartner Grouping = "partner"
	ByMonth   Grouping = "month" // of the newest programme's calendar
)

// Turnover is the operations of an account that have something in common, added up.
type Turnover struct {
	Key        string // number of the station, name of the partner, or month as 2026-05; empty: no partner
	Operations int
	Sold       loyalty.Kopecks // receipts, before points
	Refunded   loyalty.Kopecks // of them, before points
	Discount   loyalty.Kopecks // that points paid, less what went back
	Redeemed   loyalty.Points
	Returned   loyalty.Points
	Earned     loyalty.Points
	Clawed     loyalty.Points
	Expired    loyalty.Points
}

func (t *Turnover) add(o *loyalty.Operation) {
	t.Operations++
	switch o.Kind {
	case loyalty.SaleOperation:
		t.Sold += o.Total
		t.Discount += o.Discount
	case loyalty.RefundOperation:
		t.Refunded += o.Total
		t.Discount -= o.Discount
	}
	t.Redeemed += o.Redeemed
	t.Returned += o.Returned
	t.Earned += o.Earned
	t.Clawed += o.Clawed
	t.Expired += o.Expired
}

// Turnovers adds the operations of an account up, in the order of their keys. It reads in many short transactions.
func (b *Books) Turnovers(ctx context.Context, account loyalty.AccountID, by Grouping, from, until loyalty.Instant) ([]Turnover, error) {
	key, err := b.keyOf(ctx, by)
	if err != nil {
		return nil, err
	}
	groups := map[string]*Turnover{}
	for before := uint64(0); ; {
		page, next, err := b.Statement(ctx, account, AskHistory{From: from, Until: until, Before: before, Limit: historyRun})
		if err != nil {
			return nil, err
		}
		for i := range page {
			if page[i].Change != nil {
				continue
			}
			o := &page[i].Operation
			k := key(o)
			if groups[k] == nil {
				groups[k] = &Turnover{Key: k}
			}
			groups[k].add(o)
		}
		if before = next; next == 0 {
			break
		}
	}
	out := make([]Turnover, 0, len(groups))
	for _, t := range groups {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(x, y Turnover) int { return cmp.Or(cmp.Compare(len(x.Key), len(y.Key)), cmp.Compare(x.Key, y.Key)) })
	return out, nil
}

func (b *Books) keyOf(ctx context.Context, by Grouping) (func(*loyalty.Operation) string, error) {
	switch by {
	case ByStation:
		return func(o *loyalty.Operation) string { return fmt.Sprint(o.Station) }, nil
	case ByPartner:
		return func(o *loyalty.Operation) string { return o.Partner }, nil
	case ByMonth:
		var offset time.Duration
		err := b.cfg.Store.View(ctx, func(tx Tx) error {
			version, _, err := tx.Programme()
			if err != nil {
				return err
			}
			found, err := b.programmes.find(tx, []uint32{version})
			if p := found[version]; p != nil {
				offset = p.Offset
			}
			return err
		})
		return func(o *loyalty.Operation) string { return o.At.Add(offset).Time().UTC().Format("2006-01") }, err
	}
	return nil, fmt.Errorf("%w: by %q, want station, partner or month", loyalty.BadRequest, by)
}
