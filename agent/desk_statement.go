package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// The keys of pages say whose they are: a statement is read on where it was begun.
const (
	pageHere  = "here:"
	pageOfHQ  = "hq:"
	noPageKey = ""
)

// statement is a page of what [Desk.Statement] tells.
func (d *Desk) statement(ctx context.Context, q api.StatementQuery) (api.Statement, error) {
	if err := q.Card.Check(); err != nil {
		return api.Statement{}, err
	}
	if err := d.admit(q.Card); err != nil {
		return api.Statement{}, err
	}
	b, err := d.ledger.Lookup(q.Card)
	if err != nil {
		return api.Statement{}, err
	}
	h := loyalty.HistoryQuery{Account: b.Card.Account, Card: q.Card, From: q.From, Until: q.Until, Limit: q.Limit}
	if err := h.Check(); err != nil {
		return api.Statement{}, err
	}
	key, here := strings.CutPrefix(q.Before, pageHere)
	if q.Before != noPageKey && !here {
		n, ofHQ := strings.CutPrefix(q.Before, pageOfHQ)
		before, err := strconv.ParseUint(n, 10, 64)
		if !ofHQ || err != nil || before == 0 {
			return api.Statement{}, fmt.Errorf("%w: before is not the next of a page", loyalty.BadRequest)
		}
		out, err := d.statementOfHQ(ctx, &h, before)
		out.Known = b.Known
		return out, err
	}
	if q.Everywhere && !here {
		out, err := d.statementOfHQ(ctx, &h, 0)
		if err == nil {
			out.Known = b.Known
			return out, nil
		}
		if code, _ := loyalty.RefusalOf(err); errors.Is(err, loyalty.BadRequest) || code == "" {
			return api.Statement{}, err
		}
		d.log.InfoContext(ctx, "a statement is told by what this station has done", "card", q.Card, "err", err)
	}
	h.Before = key
	page, err := d.ledger.History(ctx, h)
	if err != nil {
		return api.Statement{}, err
	}
	if page.Next != "" {
		page.Next = pageHere + page.Next
	}
	return api.Statement{HistoryPage: page, Known: b.Known}, nil
}

// statementOfHQ asks headquarters for a page.
func (d *Desk) statementOfHQ(ctx context.Context, h *loyalty.HistoryQuery, before uint64) (api.Statement, error) {
	a, err := d.ask(ctx, &pb.Ask{Card: string(h.Card), Account: uint64(h.Account), History: &pb.History{
		From: int64(h.From), Until: int64(h.Until), Before: before, Limit: uint32(h.Limit),
	}})
	if err != nil {
		return api.Statement{}, err
	}
	out := api.Statement{Everywhere: true}
	if out.Operations, err = wire.ToOperations(a.GetHistory()); err != nil {
		return api.Statement{}, fmt.Errorf("headquarters told of an operation that cannot be read (%w): %w", err, loyalty.Offline)
	}
	if n := a.GetHistory().GetNext(); n != 0 {
		out.Next = pageOfHQ + strconv.FormatUint(n, 10)
	}
	return out, nil
}
