package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func TestSaleRunsThroughAllItsSteps(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	ctx := context.Background()
	know(t, l, 5, 300_00, 200_00)

	b, err := l.Lookup(cardOf(5))
	if err != nil || !b.Known || b.Cell.Left() != 200_00 || b.Programme == nil {
		t.Fatalf("lookup: %+v, %v", b, err)
	}
	open := &loyalty.OpenRequest{Sale: "s1", Card: cardOf(5), Receipt: fuel(10), Redeem: 100_00}
	s, err := l.OpenSale(ctx, open)
	if err != nil {
		t.Fatal(err)
	}
	if s.Total != 300_00 || s.Avail != 200_00 {
		t.Errorf("open: total %s available %s", s.Total, s.Avail)
	}
	if again, err := l.OpenSale(ctx, open); err != nil || again.OpOpen != s.OpOpen {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	other := *open
	other.Redeem = 50_00
	_, err = l.OpenSale(ctx, &other)
	wantRefusal(t, err, loyalty.Conflict)
	if u, err := l.Unresolved(10); err != nil || len(u) != 1 || u[0].ID != "s1" {
		t.Errorf("unresolved: %v, %v", u, err)
	}
	if err := l.ReturnSurplus(ctx, 5); err != nil {
		t.Fatal(err)
	}
	if b, _ := l.Lookup(cardOf(5)); b.Cell.Left() != 100_00 {
		t.Errorf("an open sale does not keep the rights: %+v", b.Cell)
	}
	s, err = l.CloseSale(ctx, &loyalty.CloseRequest{Sale: "s1", Receipt: fuel(8), Redeem: 80_00})
	if err != nil {
		t.Fatal(err)
	}
	if s.State != loyalty.SaleDone || s.Quote.Redeem != 80_00 || s.Quote.Earn <= 0 {
		t.Errorf("close: %+v", s)
	}
	if err := l.ReturnSurplus(ctx, 0); err != nil {
		t.Fatal(err)
	}
	b, err = l.Lookup(cardOf(5))
	if err != nil || b.Cell != (loyalty.Cell{Issued: 200_00, Used: 100_00, Voided: 20_00, Returned: 120_00}) || b.Reserved != 0 {
		t.Errorf("cell afterwards: %+v, %v", b.Cell, err)
	}
	if got := b.Local.Current(); got.Total(s.EndedAt) != 220_00+s.Quote.Earn {
		t.Errorf("total %s, want %s", got.Total(s.EndedAt), 220_00+s.Quote.Earn)
	}
	_, err = l.VoidSale(ctx, &loyalty.VoidRequest{Sale: "s1"})
	wantRefusal(t, err, loyalty.SaleNotOpen)
	_, err = l.Sale("nobody")
	wantRefusal(t, err, loyalty.UnknownSale)

	var kinds []string
	for i, e := range entries(t, l) {
		kinds = append(kinds, fmt.Sprintf("%T", e.Body))
		if i > 0 && e.Op.String() <= entries(t, l)[i-1].Op.String() {
			t.Errorf("operation id %d is not greater than the one before", i)
		}
	}
	want := []string{"loyalty.Started", "loyalty.SaleOpened", "loyalty.SaleClosed", "loyalty.CellReturned"}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("journal %v, want %v", kinds, want)
	}
}

func TestReopenContinues(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	know(t, l, 5, 300_00, 0)
	s := sellTest(t, l, "a", 5, 20)
	before, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: "b", Card: cardOf(5), Receipt: fuel(1)}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	l = openTest(t, cfg)
	after, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if after.Epoch != before.Epoch || after.Last != before.Last+1 || after.Nonce != before.Nonce {
		t.Errorf("before %+v, after %+v", before, after)
	}
	again := sellTest(t, l, "a", 5, 20)
	if again.OpEnd != s.OpEnd || again.Total != s.Total {
		t.Errorf("the same sale after a restart: %+v, %+v", again, s)
	}
}
