package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// RefundSale gives a closed sale back, or a part of it. A sale of this station is refunded with or without headquarters,
// and with it whatever other stations have given back of the sale counts as well; a sale of another station needs its
// word. A refund that was made before is answered without asking anybody.
func (d *Desk) RefundSale(ctx context.Context, r *loyalty.RefundRequest) (*loyalty.Sale, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	s, err := d.refund(ctx, r)
	return s, d.logged(ctx, "refund", r.Sale, err)
}

func (d *Desk) refund(ctx context.Context, r *loyalty.RefundRequest) (*loyalty.Sale, error) {
	origin := d.ledger.Station()
	if own := r.Station == 0 || r.Station == origin; own {
		if s, err := d.ledger.Sale(r.Sale); err == nil && s.Refund(r.Refund) != nil {
			return d.ledger.RefundSale(ctx, r, nil)
		}
	} else {
		if s, err := d.ledger.RefundSale(ctx, r, nil); !errors.Is(err, loyalty.Offline) {
			return s, err
		}
		origin = r.Station
	}
	if r.Card != "" {
		if err := d.admit(r.Card); err != nil {
			return nil, err
		}
	}
	x, err := d.elsewhere(ctx, origin, r.Sale)
	switch {
	case err == nil:
		d.learnHolder(ctx, x)
	case origin == d.ledger.Station() && !errors.Is(err, loyalty.RefundMore):
		d.log.InfoContext(ctx, "a sale is refunded by what this station knows of it", "sale", r.Sale, "err", err)
	default:
		return nil, err
	}
	return d.ledger.RefundSale(ctx, r, x)
}

// Sale returns a sale as it stands, with what other stations have given back of it if headquarters tells in time. Nothing
// of that is kept: what this station decides by, it asks for when it decides.
func (d *Desk) Sale(ctx context.Context, id loyalty.SaleID) (*loyalty.Sale, error) {
	s, err := d.ledger.Sale(id)
	if err != nil || s.State != loyalty.SaleDone || !d.hq.Online() {
		return s, err
	}
	x, err := d.elsewhere(ctx, d.ledger.Station(), id)
	b := loyalty.Books{Station: d.ledger.Station(), Sale: s}
	if err == nil {
		err = b.Hear(id, x)
	}
	if err != nil {
		d.log.InfoContext(ctx, "a sale is told by what this station knows of it", "sale", id, "err", err)
		return d.ledger.Sale(id)
	}
	return b.Sale, nil
}

// elsewhere asks headquarters what it has of a sale. That it has nothing is no error: nil is answered.
func (d *Desk) elsewhere(ctx context.Context, station loyalty.StationID, id loyalty.SaleID) (*loyalty.SaleElsewhere, error) {
	a, err := d.ask(ctx, &pb.Ask{Sale: &pb.SaleRef{Station: uint32(station), Sale: string(id)}})
	if err != nil {
		return nil, err
	}
	x := &loyalty.SaleElsewhere{Station: station}
	m := a.Sale
	if m == nil {
		return x, nil
	}
	if m.Station != uint32(station) {
		return nil, fmt.Errorf("headquarters answered of station %d, not %d: %w", m.Station, station, loyalty.Offline)
	}
	if x, err = wire.ToSaleElsewhere(m); err != nil { // as good as no answer
		return nil, fmt.Errorf("headquarters told of a sale that cannot be read (%w): %w", err, loyalty.Offline)
	}
	return x, nil
}

// learnHolder has the station learn the account of a sale that it does not know, so that the customer is told the balance.
func (d *Desk) learnHolder(ctx context.Context, x *loyalty.SaleElsewhere) {
	if x.Closed == nil {
		return
	}
	_, card := loyalty.Subject(x.Closed.Body)
	if b, err := d.ledger.Lookup(card); err != nil || b.Known {
		return
	}
	if err := d.refresh(ctx, card); err != nil {
		d.log.InfoContext(ctx, "headquarters said nothing of a card that is new here", "card", card, "err", err)
	}
}

// ask puts a question to headquarters and turns its refusal into an error.
func (d *Desk) ask(ctx context.Context, q *pb.Ask) (*pb.Answer, error) {
	if !d.hq.Online() {
		return nil, loyalty.Offline
	}
	a, err := d.hq.Ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if a.Refusal != "" {
		return nil, loyalty.Refusal(a.Refusal)
	}
	return a, nil
}
