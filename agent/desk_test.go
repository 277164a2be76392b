package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

const guest = loyalty.CardNumber("7005123456789015")

// hqBooks is an HQ of one account, with the real books behind it.
type hqBooks struct {
	mu     sync.Mutex
	ledger *ledger.Ledger
	online bool
	record loyalty.Record
	asks   int
	card   loyalty.State
}

func (h *hqBooks) Online() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.online
}

func (h *hqBooks) set(online bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.online = online
}

func (h *hqBooks) Ask(ctx context.Context, q *pb.Ask) (*pb.Answer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.online {
		return nil, loyalty.Offline
	}
	h.asks++
	if q.Card != string(guest) {
		return &pb.Answer{Refusal: string(loyalty.UnknownCard)}, nil
	}
	pos, err := h.ledger.Position(ctx)
	if err != nil {
		return nil, err
	}
	now, _ := h.ledger.Now()
	key := loyalty.CellKey{Station: 7, Epoch: pos.Epoch}
	a := &pb.Answer{Time: int64(now)}
	if q.TopUp != nil {
		st, err := wire.ToStatement(q.TopUp.Statement)
		if err != nil {
			return nil, err
		}
		issued := h.record.TopUp(key, st, loyalty.Points(q.TopUp.Want), now)
		a.Grant = &pb.Grant{Account: 42, Epoch: uint32(pos.Epoch), Issued: uint64(issued)}
	}
	h.record.Version++
	s := h.record.Snapshot(key, 0, now)
	a.Snapshot = wire.FromSnapshot(&s)
	a.Card = wire.FromCard(&loyalty.Card{Number: guest, Account: 42, State: h.card, MayRedeem: true, HQVersion: 1})
	return a, h.ledger.Learn(ctx, a)
}

func newTestDesk(t *testing.T, points loyalty.Points) (*Desk, *hqBooks) {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{Path: filepath.Join(t.TempDir(), "ledger.db"), Station: 7, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	src, err := programmes.File(programmes.Default)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.LoadProgramme(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	hq := &hqBooks{ledger: l, online: true, record: loyalty.Record{Account: loyalty.Account{ID: 42}}}
	if err := hq.record.Account.Accrue(loyalty.Lot{Amount: points}); err != nil {
		t.Fatal(err)
	}
	return newDesk(l, hq, slog.New(slog.DiscardHandler)), hq
}

func fuel(litres, roubles int64) loyalty.Receipt {
	return loyalty.Receipt{Tender: loyalty.Cashless, Lines: []loyalty.Line{{
		Kind: loyalty.Fuel, Code: "АИ-95", Volume: loyalty.Millilitres(litres * 1000), Amount: loyalty.Kopecks(roubles * 100),
	}}}
}

func sale(id string, redeem loyalty.Points) *loyalty.CloseRequest {
	return &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Card: guest, Receipt: fuel(40, 2400), Redeem: redeem}
}

func TestIdentifyAsksHQAndThenRemembers(t *testing.T) {
	d, hq := newTestDesk(t, 300_00)
	c, err := d.Identify(t.Context(), guest, loyalty.Who{})
	if err != nil || !c.Known || !c.Fresh || c.Total != 300_00 || c.Redeemable != 300_00 {
		t.Fatalf("online: %+v, %v", c, err)
	}
	hq.set(false)
	c, err = d.Identify(t.Context(), guest, loyalty.Who{})
	if err != nil || !c.Known || c.Fresh || c.Total != 300_00 {
		t.Fatalf("offline: %+v, %v", c, err)
	}
	if c.Redeemable != 0 || c.Redeem != loyalty.NoRights {
		t.Fatalf("offline without rights the page must say so: %+v", c)
	}
}

func TestRedeemingTakesRightsFromHQ(t *testing.T) {
	d, hq := newTestDesk(t, 300_00)
	s, err := d.CloseSale(t.Context(), sale("a", 100_00))
	if err != nil || s.Quote.Redeem != 100_00 {
		t.Fatalf("%+v, %v", s, err)
	}
	if key := (loyalty.CellKey{Station: 7, Epoch: 1}); hq.record.Cells[key].Issued != 100_00 {
		t.Fatalf("HQ issued %v", hq.record.Cells)
	}
	asked := hq.asks
	again, err := d.CloseSale(t.Context(), sale("a", 100_00))
	if err != nil || again.OpEnd != s.OpEnd || hq.asks != asked {
		t.Fatalf("a repeated sale must give the same answer without asking HQ: %+v, %v, %d asks", again, err, hq.asks-asked)
	}
}

func TestOfflineRedeemsWhatIsHeldAndNoMore(t *testing.T) {
	d, hq := newTestDesk(t, 300_00)
	open := &loyalty.OpenRequest{Sale: "prepaid", Card: guest, Receipt: fuel(40, 2400), Redeem: 100_00}
	if _, err := d.OpenSale(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	hq.set(false)
	if _, err := d.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "prepaid", Receipt: fuel(30, 1800), Redeem: 60_00}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CloseSale(t.Context(), sale("much", 50_00)); !errors.Is(err, loyalty.NoRights) {
		t.Fatalf("40 points are held, 50 were redeemed: %v", err)
	}
	q, err := d.Quote(t.Context(), api.QuoteRequest{Card: guest, Receipt: fuel(40, 2400)})
	if err != nil || q.MaxRedeem != 40_00 || len(q.Reasons) == 0 {
		t.Fatalf("quote: %+v, %v", q, err)
	}
	if _, err := d.CloseSale(t.Context(), sale("held", 40_00)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CloseSale(t.Context(), sale("earn", 0)); err != nil {
		t.Fatalf("accruing must work offline: %v", err)
	}
}

func TestSurplusGoesBackWhileHQIsInReach(t *testing.T) {
	d, _ := newTestDesk(t, 300_00)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.returnSurplus(ctx) }()
	if _, err := d.OpenSale(ctx, &loyalty.OpenRequest{Sale: "p", Card: guest, Receipt: fuel(40, 2400), Redeem: 100_00}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CloseSale(ctx, &loyalty.CloseRequest{Sale: "p", Receipt: fuel(30, 1800), Redeem: 60_00}); err != nil {
		t.Fatal(err)
	}
	for {
		b, err := d.ledger.Lookup(guest)
		if err != nil {
			t.Fatal(err)
		}
		if b.Cell.Left() == 0 {
			break
		}
		select {
		case <-d.ledger.Appended():
		case <-ctx.Done():
			t.Fatal("the surplus was not returned")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestSurplusOfAnOutageGoesBackWhenHQIsInReach(t *testing.T) {
	d, hq := newTestDesk(t, 300_00)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := d.OpenSale(ctx, &loyalty.OpenRequest{Sale: "p", Card: guest, Receipt: fuel(40, 2400), Redeem: 100_00}); err != nil {
		t.Fatal(err)
	}
	hq.set(false)
	if _, err := d.VoidSale(ctx, &loyalty.VoidRequest{Sale: "p", Reason: "the pump is broken"}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.returnSurplus(ctx) }()
	if b, err := d.ledger.Lookup(guest); err != nil || b.Cell.Left() != 100_00 {
		t.Fatalf("%+v, %v", b.Cell, err)
	}
	hq.set(true)
	d.sweep()
	for left := loyalty.Points(1); left > 0; {
		<-d.ledger.Appended()
		b, err := d.ledger.Lookup(guest)
		if err != nil {
			t.Fatal(err)
		}
		left = b.Cell.Left()
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestParallelSalesNeverOverspend(t *testing.T) {
	d, _ := newTestDesk(t, 55_00)
	var wg sync.WaitGroup
	results := make([]error, 12)
	for i := range results {
		wg.Go(func() { _, results[i] = d.CloseSale(t.Context(), sale(fmt.Sprint("s", i), 10_00)) })
	}
	wg.Wait()
	sold := 0
	for _, err := range results {
		switch {
		case err == nil:
			sold++
		case !errors.Is(err, loyalty.NotEnough) && !errors.Is(err, loyalty.NoRights):
			t.Errorf("unexpected: %v", err)
		}
	}
	if sold == 0 || sold > 5 {
		t.Fatalf("%d sales of 10 points were paid from 55", sold)
	}
}

func TestCardThatIsNewHereIsAskedAboutBeforeASale(t *testing.T) {
	d, hq := newTestDesk(t, 0)
	hq.card = loyalty.Blocked
	if _, err := d.CloseSale(t.Context(), sale("one step", 0)); !errors.Is(err, loyalty.CardBlocked) {
		t.Errorf("a blocked card that was never scanned here collected points: %v", err)
	}
	open := &loyalty.OpenRequest{Sale: "prepaid", Card: guest, Receipt: fuel(40, 2400)}
	if _, err := d.OpenSale(t.Context(), open); !errors.Is(err, loyalty.CardBlocked) {
		t.Errorf("a blocked card opened a sale: %v", err)
	}
}

func TestUnknownCards(t *testing.T) {
	d, hq := newTestDesk(t, 0)
	if _, err := d.Identify(t.Context(), "x", loyalty.Who{}); !errors.Is(err, loyalty.BadRequest) {
		t.Errorf("malformed: %v", err)
	}
	stranger := loyalty.CardNumber("7005000000000009")
	c, err := d.Identify(t.Context(), stranger, loyalty.Who{})
	if err == nil && c.Known {
		t.Errorf("a stranger was known: %+v", c)
	}
	hq.set(false)
	r := sale("s", 10_00)
	r.Card = stranger
	if _, err := d.CloseSale(t.Context(), r); !errors.Is(err, loyalty.UnknownCard) {
		t.Errorf("a stranger redeemed offline: %v", err)
	}
}
