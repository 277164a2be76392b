package wire_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// entryBytes encodes an entry of a body.
func entryBytes(t testing.TB, body loyalty.Body) []byte {
	t.Helper()
	b, err := wire.EncodeEntry(&loyalty.Entry{At: 5, Op: op, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// saleState is a sale of station 7 with a refund there and another at station 8.
func saleState(t testing.TB) *pb.SaleState {
	here := loyalty.SaleRefunded{Sale: "x", Closed: op, Refund: "r1", Lines: []loyalty.RefundLine{{Line: 1, Amount: 1}}}
	away := here
	away.Station, away.Refund = 7, "r2"
	return &pb.SaleState{
		Station: 7, Closed: entryBytes(t, loyalty.SaleClosed{Sale: "x", Receipt: fuel}),
		Refunds: []*pb.RefundState{
			{Station: 7, Epoch: 1, Seq: 3, Entry: entryBytes(t, here)}, {Station: 8, Epoch: 2, Seq: 9, Entry: entryBytes(t, away)},
		},
	}
}

// TestSaleElsewhere: a sale comes back with its refunds, and what is of another sale or no sale at all is refused.
func TestSaleElsewhere(t *testing.T) {
	x, err := wire.ToSaleElsewhere(saleState(t))
	if err != nil {
		t.Fatal(err)
	}
	if x.Station != 7 || x.Closed.Body.(loyalty.SaleClosed).Sale != "x" || len(x.Refunds) != 2 || x.Refunds[1].Station != 8 || x.Refunds[1].Epoch != 2 || x.Refunds[1].Seq != 9 {
		t.Fatalf("%+v", x)
	}
	for name, spoil := range map[string]func(*pb.SaleState){
		"no station":         func(m *pb.SaleState) { m.Station = 0 },
		"nothing closed":     func(m *pb.SaleState) { m.Closed = nil },
		"closed by a refund": func(m *pb.SaleState) { m.Closed = m.Refunds[0].Entry },
		"refunded by a sale": func(m *pb.SaleState) { m.Refunds[0].Entry = m.Closed },
		"of another sale": func(m *pb.SaleState) {
			m.Closed = entryBytes(t, loyalty.SaleClosed{Sale: "y", Receipt: fuel})
		},
		"of another station's":  func(m *pb.SaleState) { m.Refunds[0].Station = 9 },
		"of no station":         func(m *pb.SaleState) { m.Refunds[1].Station = 0 },
		"unreadable":            func(m *pb.SaleState) { m.Refunds[1].Entry = []byte("entry") },
		"more than a sale has":  func(m *pb.SaleState) { m.Refunds = slices.Repeat(m.Refunds, wire.MaxSaleRefunds) },
		"an entry of a message": func(m *pb.SaleState) { m.Closed = make([]byte, wire.MaxEntry+1) },
	} {
		m := saleState(t)
		spoil(m)
		if _, err := wire.ToSaleElsewhere(m); !errors.Is(err, wire.ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wire.ToSaleElsewhere(nil); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("none: %v", err)
	}
}

// TestAskBounds: a question asks one thing, within bounds.
func TestAskBounds(t *testing.T) {
	const card = "7005000000009015"
	for name, c := range map[string]struct {
		ask *pb.Ask
		ok  bool
	}{
		"card":                  {&pb.Ask{Card: card}, true},
		"issue":                 {&pb.Ask{Card: card, Issue: &pb.Issue{Card: card, Kind: 1}}, true},
		"issue of no card":      {&pb.Ask{Card: card, Issue: &pb.Issue{Kind: 1}}, false},
		"issue for no card":     {&pb.Ask{Account: 5, Issue: &pb.Issue{Card: card}}, false},
		"issue of another kind": {&pb.Ask{Card: card, Issue: &pb.Issue{Card: card, Kind: 9}}, false},
		"sale":                  {&pb.Ask{Sale: &pb.SaleRef{Station: 7, Sale: "x"}}, true},
		"sale of no station":    {&pb.Ask{Sale: &pb.SaleRef{Sale: "x"}}, false},
		"sale without a name":   {&pb.Ask{Sale: &pb.SaleRef{Station: 7}}, false},
		"sale and card":         {&pb.Ask{Card: card, Sale: &pb.SaleRef{Station: 7, Sale: "x"}}, false},
		"history":               {&pb.Ask{Account: 5, History: &pb.History{Limit: wire.MaxHistory}}, true},
		"history without end":   {&pb.Ask{Account: 5, History: &pb.History{Limit: wire.MaxHistory + 1}}, false},
		"history of nothing":    {&pb.Ask{Account: 5, History: &pb.History{}}, false},
		"history before 1970":   {&pb.Ask{Account: 5, History: &pb.History{Limit: 1, From: -1}}, true},
		"history and rights":    {&pb.Ask{Account: 5, History: &pb.History{Limit: 1}, TopUp: &pb.TopUp{Want: 5}}, false},
	} {
		b, err := c.ask.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Decode[pb.Ask](b); (err == nil) != c.ok || err != nil && !errors.Is(err, wire.ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOperationsBounds: a page has no more operations than one may.
func TestOperationsBounds(t *testing.T) {
	m := &pb.HistoryPage{Operations: slices.Repeat([]*pb.Operation{{Kind: "sale", Earned: 5}}, wire.MaxHistory)}
	if ops, err := wire.ToOperations(m); err != nil || len(ops) != wire.MaxHistory || ops[0].Earned != 5 {
		t.Fatalf("%d operations: %v", len(ops), err)
	}
	m.Operations = append(m.Operations, m.Operations[0])
	b, err := (&pb.Answer{History: m}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := wire.ToOperations(m)
	_, err2 := wire.Decode[pb.Answer](b)
	if !errors.Is(err1, wire.ErrMessage) || !errors.Is(err2, wire.ErrMessage) {
		t.Fatalf("%v, %v", err1, err2)
	}
	if ops, err := wire.ToOperations(nil); err != nil || len(ops) != 0 {
		t.Fatalf("%v %v", ops, err)
	}
}
