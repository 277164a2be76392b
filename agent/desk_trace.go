package agent

import (
	"context"
	"sync/atomic"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
)

// statements counts what was asked for of customers' histories, since the agent began.
type statements struct{ here, everywhere atomic.Uint64 }

// The scopes of a statement, in the log and in the metric.
const (
	scopeStation    = "station"
	scopeEverywhere = "everywhere"
)

// Statement lists what was done with a card's account: by headquarters' word where everywhere is asked and it answers, and
// otherwise by this station's own journal. Whoever asks leaves a trace in the log, also where it is refused: what somebody
// buys, and where, is nobody's business who does not serve them.
func (d *Desk) Statement(ctx context.Context, q api.StatementQuery) (api.Statement, error) {
	scope, n := scopeStation, &d.asked.here
	if q.Everywhere {
		scope, n = scopeEverywhere, &d.asked.everywhere
	}
	n.Add(1)
	out, err := d.statement(ctx, q)
	about := []any{"cashier", q.Cashier, "counter", q.Counter, "shift", q.Shift, "card", q.Card, "scope", scope}
	if code, refused := loyalty.RefusalOf(err); refused {
		about = append(about, "code", code)
	} else {
		about = append(about, "operations", len(out.Operations))
	}
	d.log.InfoContext(ctx, "a statement was asked for", about...)
	return out, err
}
