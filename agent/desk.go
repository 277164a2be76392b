package agent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// headquarters is what the desk needs of HQ: the newest word on a card, and more rights.
type headquarters interface {
	// Ask returns HQ's answer after the ledger has learned it, or loyalty.Offline when none came in time; one that comes
	// later is still learned.
	Ask(ctx context.Context, q *pb.Ask) (*pb.Answer, error)
	// Online tells whether HQ answered lately, so that asking is worth the wait.
	Online() bool
}

// Desk serves the counters: it joins what the ledger knows with what HQ says in time. It is safe for concurrent use.
type Desk struct {
	ledger   *ledger.Ledger
	hq       headquarters
	log      *slog.Logger
	cards    card.Config   // which numbers are the network's cards
	forms    form.Key      // that forms of new customers are sealed to; zero: cards are not issued here
	patience time.Duration // how long headquarters' word is waited for where the work is done without it

	asked statements

	mu      sync.Mutex
	surplus map[loyalty.AccountID]struct{} // accounts whose unused rights are due to go back
	wake    chan struct{}
	all     chan struct{} // look through all cells
}

var _ api.Desk = (*Desk)(nil)

func newDesk(l *ledger.Ledger, hq headquarters, log *slog.Logger) *Desk {
	return &Desk{ledger: l, hq: hq, log: log, patience: 1500 * time.Millisecond, surplus: map[loyalty.AccountID]struct{}{}, wake: make(chan struct{}, 1), all: make(chan struct{}, 1)}
}

// Identify tells what the station knows of a card, with HQ's newest word if it comes in time.
func (d *Desk) Identify(ctx context.Context, card loyalty.CardNumber, who loyalty.Who) (api.Customer, error) {
	if err := errors.Join(card.Check(), who.Check()); err != nil {
		return api.Customer{}, err
	}
	if err := d.admit(card); err != nil {
		return api.Customer{}, err
	}
	fresh := d.refresh(ctx, card) == nil
	c, err := d.customer(card, fresh)
	d.watchStaff(ctx, c, who)
	return c, err
}

// watchStaff tells headquarters of a staff card that was shown at a counter.
func (d *Desk) watchStaff(ctx context.Context, c api.Customer, who loyalty.Who) {
	if !c.Known || c.Kind != loyalty.StaffKind {
		return
	}
	err := d.ledger.Alert(ctx, loyalty.Alerted{Rule: loyalty.AlertStaffCard, Account: c.Account, Card: c.Card}, who)
	if err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "the alert of a staff card could not be written", "card", c.Card, "err", err)
	}
}

// refusedStaff tells headquarters of the cards of a call that was refused, where they are staff's.
func (d *Desk) refusedStaff(ctx context.Context, err error, who loyalty.Who, cards ...loyalty.CardNumber) {
	if _, refused := loyalty.RefusalOf(err); !refused {
		return
	}
	for _, card := range cards {
		if card == "" {
			continue
		}
		b, err := d.ledger.Lookup(card)
		if err != nil {
			d.log.WarnContext(ctx, "a refused card could not be looked up", "card", card, "err", err)
			continue
		}
		d.watchStaff(ctx, api.Customer{Card: card, Known: b.Known, Account: b.Card.Account, Kind: b.Card.Kind}, who)
	}
}

// customer reads a customer out of the ledger as it is.
func (d *Desk) customer(card loyalty.CardNumber, fresh bool) (api.Customer, error) {
	b, err := d.ledger.Lookup(card)
	if err != nil {
		return api.Customer{}, err
	}
	now, _ := d.ledger.Now()
	return api.CustomerOf(card, &b, now, d.hq.Online(), fresh)
}

// refresh asks HQ about a card.
func (d *Desk) refresh(ctx context.Context, card loyalty.CardNumber) error {
	if !d.hq.Online() {
		return loyalty.Offline
	}
	a, err := d.hq.Ask(ctx, &pb.Ask{Card: string(card)})
	if err == nil && a.Refusal != "" {
		err = loyalty.Refusal(a.Refusal)
	}
	return err
}

// Quote prices a receipt against what could be redeemed at this moment.
func (d *Desk) Quote(_ context.Context, q api.QuoteRequest) (loyalty.Quote, error) {
	if err := q.Card.Check(); err != nil {
		return loyalty.Quote{}, err
	}
	if err := d.admit(q.Card); err != nil {
		return loyalty.Quote{}, err
	}
	b, err := d.ledger.Lookup(q.Card)
	if err != nil {
		return loyalty.Quote{}, err
	}
	now, _ := d.ledger.Now()
	out, err := b.Quote(&q.Receipt, q.Redeem, now)
	if err != nil {
		return loyalty.Quote{}, err
	}
	if left := b.Cell.Left(); !d.hq.Online() && out.MaxRedeem > left {
		if q.Redeem > left {
			return loyalty.Quote{}, loyalty.NoRights
		}
		out.MaxRedeem = left - left%b.Programme.RedeemStep
		out.Reasons = append(slices.Clone(out.Reasons), loyalty.NoRights)
	}
	return out, nil
}

// OpenSale reserves points and opens a sale.
func (d *Desk) OpenSale(ctx context.Context, r *loyalty.OpenRequest) (*loyalty.Sale, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if err := d.admitSale(r.Sale, r.Card); err != nil {
		return nil, d.logged(ctx, "open", r.Sale, err)
	}
	s, err := d.withRights(ctx, r.Card, r.Redeem, func() (*loyalty.Sale, error) { return d.ledger.OpenSale(ctx, r) })
	d.refusedStaff(ctx, err, r.Who, r.Card)
	return s, d.logged(ctx, "open", r.Sale, err)
}

// CloseSale books what was really sold.
func (d *Desk) CloseSale(ctx context.Context, r *loyalty.CloseRequest) (*loyalty.Sale, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	do := func() (*loyalty.Sale, error) { return d.ledger.CloseSale(ctx, r) }
	if r.Card == "" {
		s, err := do()
		d.due(s)
		return s, d.logged(ctx, "close", r.Sale, err)
	}
	if err := d.admitSale(r.Sale, r.Card); err != nil {
		return nil, d.logged(ctx, "close", r.Sale, err)
	}
	s, err := d.withRights(ctx, r.Card, r.Redeem, do)
	d.refusedStaff(ctx, err, r.Who, r.Card)
	d.due(s)
	return s, d.logged(ctx, "close", r.Sale, err)
}

// VoidSale says that an opened sale never happened.
func (d *Desk) VoidSale(ctx context.Context, r *loyalty.VoidRequest) (*loyalty.Sale, error) {
	s, err := d.ledger.VoidSale(ctx, r)
	d.due(s)
	return s, d.logged(ctx, "void", r.Sale, err)
}

// Unresolved lists the sales that were opened and not ended.
func (d *Desk) Unresolved(limit int) ([]*loyalty.Sale, error) { return d.ledger.Unresolved(limit) }

// withRights carries an operation out, and where it fails for want of rights or of knowing the card, asks HQ and tries
// again. The ledger alone decides: an answer that comes too late, or rights that another sale took meanwhile, only mean
// another refusal. Trying first keeps a repeated request, and every sale that redeems nothing, from waiting for HQ.
//
// A card that the station has never met is the exception: HQ is asked first, since it may say that the card is blocked.
func (d *Desk) withRights(ctx context.Context, card loyalty.CardNumber, redeem loyalty.Points, do func() (*loyalty.Sale, error)) (*loyalty.Sale, error) {
	if b, err := d.ledger.Lookup(card); err == nil && !b.Known {
		if err := d.refresh(ctx, card); err != nil {
			d.log.InfoContext(ctx, "headquarters said nothing of a card that is new here", "card", card, "err", err)
		}
	}
	for try := 0; ; try++ {
		s, err := do()
		lacking := errors.Is(err, loyalty.NoRights) || errors.Is(err, loyalty.UnknownCard) || errors.Is(err, loyalty.NotConfirmed)
		if !lacking || try == 2 || !d.hq.Online() {
			return s, err
		}
		if asked := d.topUp(ctx, card, redeem); asked != nil {
			d.log.InfoContext(ctx, "headquarters gave no rights", "card", card, "err", asked)
			return s, err
		}
	}
}

// topUp asks HQ for rights to redeem so much at this station.
func (d *Desk) topUp(ctx context.Context, card loyalty.CardNumber, want loyalty.Points) error {
	b, err := d.ledger.Lookup(card)
	if err != nil {
		return err
	}
	q := &pb.Ask{Card: string(card), Account: uint64(b.Card.Account)}
	if want > 0 {
		epoch, statement, err := d.ledger.Statement(b.Card.Account)
		if err != nil {
			return err
		}
		q.Epoch, q.TopUp = uint32(epoch), &pb.TopUp{Statement: wire.FromStatement(statement), Want: uint64(want)}
	}
	a, err := d.hq.Ask(ctx, q)
	if err == nil && a.Refusal != "" {
		err = loyalty.Refusal(a.Refusal)
	}
	return err
}

func (d *Desk) logged(ctx context.Context, what string, id loyalty.SaleID, err error) error {
	if err == nil {
		return nil
	}
	if code, ok := loyalty.RefusalOf(err); ok {
		d.log.InfoContext(ctx, "refused", "step", what, "sale", id, "code", code)
	} else {
		d.log.ErrorContext(ctx, "failed", "step", what, "sale", id, "err", err)
	}
	return err
}

// due notes that a sale has ended and its account may have rights to give back.
func (d *Desk) due(s *loyalty.Sale) {
	if s == nil || s.Account == 0 || s.Reserved == 0 {
		return
	}
	d.mu.Lock()
	if len(d.surplus) < 10_000 { // more are found by the sweep
		d.surplus[s.Account] = struct{}{}
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// sweepEvery is how often all cells are looked through for rights that a lost signal left behind.
const sweepEvery = time.Minute

// returnSurplus hands unused rights back while HQ is in reach, until ctx is done. While it is not, they stay usable here.
func (d *Desk) returnSurplus(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		var accounts []loyalty.AccountID
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
			if !d.hq.Online() {
				continue // the sweep when HQ is back finds them
			}
			accounts = d.takeDue()
		case <-tick.C:
			d.sweep()
		case <-d.all:
			if !d.hq.Online() {
				continue
			}
			d.takeDue()
			accounts = []loyalty.AccountID{0}
		}
		for _, a := range accounts {
			if err := d.ledger.ReturnSurplus(ctx, a); err != nil && ctx.Err() == nil {
				d.log.WarnContext(ctx, "unused rights are not returned yet", "account", a, "err", err)
			}
		}
	}
}

// sweep has all cells looked through soon: every minute, and when HQ is back in reach.
func (d *Desk) sweep() {
	select {
	case d.all <- struct{}{}:
	default:
	}
}

func (d *Desk) takeDue() []loyalty.AccountID {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []loyalty.AccountID
	for a := range d.surplus {
		all = append(all, a)
	}
	clear(d.surplus)
	slices.Sort(all)
	return all
}
