package agent

import (
	"context"
	"errors"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// presenters are all calls that take a card's number.
func presenters(d *Desk) map[string]func(context.Context, loyalty.CardNumber) error {
	return map[string]func(context.Context, loyalty.CardNumber) error{
		"identify": func(ctx context.Context, c loyalty.CardNumber) error {
			_, err := d.Identify(ctx, c, loyalty.Who{})
			return err
		},
		"quote": func(ctx context.Context, c loyalty.CardNumber) error {
			_, err := d.Quote(ctx, api.QuoteRequest{Card: c, Receipt: fuel(40, 2400)})
			return err
		},
		"open": func(ctx context.Context, c loyalty.CardNumber) error {
			_, err := d.OpenSale(ctx, &loyalty.OpenRequest{Sale: "open " + loyalty.SaleID(c), Card: c, Receipt: fuel(40, 2400)})
			return err
		},
		"close": func(ctx context.Context, c loyalty.CardNumber) error {
			_, err := d.CloseSale(ctx, &loyalty.CloseRequest{Sale: "close " + loyalty.SaleID(c), Card: c, Receipt: fuel(40, 2400)})
			return err
		},
		"statement": func(ctx context.Context, c loyalty.CardNumber) error {
			now, _ := d.ledger.Now()
			_, err := d.Statement(ctx, api.StatementQuery{Card: c, From: now - 1000, Until: now, Everywhere: true, Limit: 10})
			return err
		},
	}
}

const (
	ours    = loyalty.CardNumber("7005990012349017")
	blank   = loyalty.CardNumber("7005990012350015")
	mistype = loyalty.CardNumber("7005990012349071") // two digits of ours exchanged
	bank    = loyalty.CardNumber("4111111111111111")
	foreign = loyalty.CardNumber("9990000000000001")
)

// TestWhatIsNoCard: a number that cannot be a card of the network is refused everywhere, leaves no entry, and nobody is
// asked of it.
func TestWhatIsNoCard(t *testing.T) {
	d, hq, _, _, _ := counterDesk(t)
	hq.answer = func(*pb.Ask) (*pb.Answer, error) { return &pb.Answer{Refusal: string(loyalty.UnknownCard)}, nil }
	for _, x := range []struct {
		cards  card.Config
		number loyalty.CardNumber
		want   loyalty.Refusal
	}{
		{card.Example(), mistype, loyalty.NotACard}, {card.Example(), bank, loyalty.NotACard}, {card.Example(), foreign, loyalty.NotACard},
		{card.Config{}, bank, loyalty.NotACard},
		{card.Example(), ours, ""}, {card.Config{}, mistype, ""}, {card.Config{}, foreign, ""},
	} {
		d.cards, hq.asked = x.cards, nil
		before := len(journal(t, d))
		for name, present := range presenters(d) {
			err := present(t.Context(), x.number)
			if x.want == "" && err != nil || x.want != "" && !errors.Is(err, x.want) {
				t.Errorf("%s of %s with %d ranges: %v", name, string(x.number), len(x.cards.Ranges), err)
			}
		}
		if n := len(journal(t, d)) - before; x.want != "" && (n != 0 || len(hq.asked) != 0) {
			t.Errorf("%s: %d entries, headquarters was asked %d times", string(x.number), n, len(hq.asked))
		}
	}
	for _, r := range []api.CardRequest{
		{Card: mistype, Form: newCustomer(ours).Form},
		{Card: bank, Form: newCustomer(ours).Form},
		{Card: blank, Kind: loyalty.AdditionalCard, For: bank},
	} {
		d.cards, hq.asked = card.Example(), nil
		if _, err := d.IssueCard(t.Context(), &r); !errors.Is(err, loyalty.NotACard) || len(hq.asked) != 0 {
			t.Errorf("issue %s for %s: %v, headquarters was asked %d times", string(r.Card), string(r.For), err, len(hq.asked))
		}
	}
}

// TestWhatIsACardWhateverItsNumber: what the station knows or has given out, and a call that is repeated.
func TestWhatIsACardWhateverItsNumber(t *testing.T) {
	d, _, _, _, _ := counterDesk(t)
	opened := &loyalty.OpenRequest{Sale: "1", Card: foreign, Receipt: fuel(40, 2400)}
	closed := &loyalty.CloseRequest{Sale: "2", Card: foreign, Receipt: fuel(40, 2400)}
	if _, err := d.OpenSale(t.Context(), opened); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CloseSale(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	given := newCustomer(mistype)
	if _, err := d.IssueCard(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	d.cards = card.Example() // the ranges were configured afterwards
	if s, err := d.OpenSale(t.Context(), opened); err != nil || s.State != loyalty.SaleOpen {
		t.Errorf("opened again: %v", err)
	}
	if s, err := d.CloseSale(t.Context(), closed); err != nil || s.State != loyalty.SaleDone {
		t.Errorf("closed again: %v", err)
	}
	if _, err := d.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "1", Receipt: fuel(40, 2400)}); err != nil {
		t.Errorf("what was opened is closed: %v", err)
	}
	if _, err := d.IssueCard(t.Context(), given); err != nil {
		t.Errorf("given out again: %v", err)
	}
	learn := func(c loyalty.CardNumber) {
		t.Helper()
		if err := d.ledger.Learn(t.Context(), &pb.Answer{
			Card:     wire.FromCard(&loyalty.Card{Number: c, Account: 5, MayRedeem: true, HQVersion: 1}),
			Snapshot: wire.FromSnapshot(&loyalty.Snapshot{Account: loyalty.Account{ID: 5}, Version: 1}),
		}); err != nil {
			t.Fatal(err)
		}
	}
	learn(bank)
	for _, c := range []loyalty.CardNumber{mistype, bank} {
		for name, present := range presenters(d) {
			if err := present(t.Context(), c); err != nil {
				t.Errorf("%s of %s: %v", name, string(c), err)
			}
		}
	}
}
