package hq_test

import (
	"errors"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// TestAuditOfForged: books that have applied an entry of the wrong journal do not pass an audit, whatever became of it and
// though its chain is whole.
func TestAuditOfForged(t *testing.T) {
	for name, c := range map[string]struct {
		station loyalty.StationID
		body    loyalty.Body
		forged  bool
	}{
		"headquarters adjust":    {hq.Own, loyalty.Adjusted{Account: 5, Accrued: []loyalty.Lot{{Amount: 1}}, Reason: "r", Operator: "o"}, false},
		"a station adjusts":      {17, loyalty.Adjusted{Account: 5, Accrued: []loyalty.Lot{{Amount: 1}}, Reason: "r", Operator: "o"}, true},
		"a station changes":      {17, loyalty.AccountChanged{Account: 5, Reason: "r", Operator: "o"}, true},
		"a station sells":        {17, loyalty.SaleClosed{Sale: "s", Account: 5, Receipt: hqtest.Receipt()}, false},
		"headquarters sell":      {hq.Own, loyalty.SaleClosed{Sale: "s", Account: 5, Receipt: hqtest.Receipt()}, true},
		"headquarters give back": {hq.Own, loyalty.CellReturned{Account: 5}, true},
	} {
		b, err := wire.EncodeEntry(&loyalty.Entry{At: hqtest.Start, Op: loyalty.NewOpID(hqtest.Start, [10]byte{1}), Body: c.body})
		if err != nil {
			t.Fatal(err)
		}
		for _, outcome := range []hq.Outcome{hq.Posted, hq.NoAccount, hq.SetAside} {
			open := hqtest.Account(5, 100)
			a := hq.NewAudit(func(loyalty.AccountID) (*loyalty.Account, error) { return &open, nil },
				func(loyalty.StationID, loyalty.Epoch) (wire.Nonce, bool, error) { return wire.Nonce{}, true, nil })
			l := &hq.Line{
				Pos: 1, Place: hq.Place{Station: c.station, Epoch: 1, Seq: 1}, Account: 5, Outcome: outcome,
				Hash: wire.Genesis(c.station, 1, wire.Nonce{}).Next(b), Bytes: b,
			}
			err := a.Line(l)
			if want := c.forged && outcome != hq.SetAside; errors.Is(err, hq.ErrForged) != want || !want && err != nil {
				t.Errorf("%s, %s: %v", name, outcome, err)
			}
		}
	}
}
