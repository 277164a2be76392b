package loyalty_test

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

var here = loyalty.CellKey{Station: 1, Epoch: 1}

func closed(redeemed loyalty.Points, at loyalty.Instant, st loyalty.Statement, earned loyalty.Lot) *loyalty.Entry {
	s := loyalty.SaleClosed{Account: account, Redeemed: redeemed, OpenedAt: at, Statement: st}
	if earned.Amount != 0 {
		s.Earned = []loyalty.Lot{earned}
	}
	return &loyalty.Entry{Body: s}
}

// HQ's lots are those of single hundredths, and its counters are sums over the entries.
func TestRecordAgainstUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r loyalty.Record
		var model units
		var st loyalty.Statement
		var posted loyalty.Points
		for _, l := range drawLots(t, 50) {
			if err := r.Account.Accrue(l); err != nil {
				t.Fatal(err)
			}
			model.accrue(l)
		}
		all := func(loyalty.Lot) bool { return true }
		for seq := loyalty.Seq(1); seq < 12; seq++ {
			at := loyalty.Instant(rapid.IntRange(0, 8).Draw(t, "reserved at"))
			r.TopUp(here, st, loyalty.Points(rapid.IntRange(0, 50).Draw(t, "want")), at)
			left := r.Cells[here].Issued - st.Returned - (st.Used - st.Voided)
			x := loyalty.Points(rapid.Int64Range(0, int64(left)).Draw(t, "redeem"))
			back := loyalty.Points(rapid.Int64Range(0, int64(x)).Draw(t, "of it given back"))
			st.Used, st.Voided = st.Used+x, st.Voided+back
			earned := loyalty.Lot{Amount: loyalty.Points(rapid.Int64Range(0, 20).Draw(t, "earn")), ActiveFrom: at, Expires: 9}

			over, err := r.Post(here, seq, closed(x-back, at, st, earned))
			if err != nil || over != 0 {
				t.Fatalf("entry %d: %s beyond its rights, %v", seq, over, err)
			}
			posted += x - back
			model.redeem(x-back, func(l loyalty.Lot) bool { return l.Active(at) }, func(l loyalty.Lot) bool { return l.Live(at) }, all)
			model.accrue(earned)
			if want := model.lots(); !sameLots(r.Account.Lots, want) {
				t.Fatalf("lots %v, want %v", r.Account.Lots, want)
			}
			if c := r.Cells[here]; c.Posted != posted || c.Statement != st || c.Outstanding() != c.Issued-st.Returned-posted {
				t.Fatalf("rights %+v, want posted %s and %+v", c, posted, st)
			}
			if err := r.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPostRefusesAndChangesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		entry *loyalty.Entry
		want  error
	}{
		"more than the lots hold":     {closed(101, 1, loyalty.Statement{Used: 101}, loyalty.Lot{}), loyalty.ErrOverspent},
		"an account that would burst": {closed(0, 1, loyalty.Statement{}, loyalty.Lot{Amount: loyalty.MaxAmount}), loyalty.ErrAmount},
		"more given back than used":   {closed(0, 1, loyalty.Statement{Used: 1, Voided: 2}, loyalty.Lot{}), loyalty.BadRequest},
		"a counter below zero":        {closed(0, 1, loyalty.Statement{Returned: -1}, loyalty.Lot{}), loyalty.BadRequest},
		"a counter beyond every sale": {closed(0, 1, loyalty.Statement{Used: math.MaxInt64}, loyalty.Lot{}), loyalty.BadRequest},
		"a redemption below zero":     {closed(-1, 1, loyalty.Statement{}, loyalty.Lot{}), loyalty.ErrAmount},
	} {
		t.Run(name, func(t *testing.T) {
			r := loyalty.Record{Version: 5, Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}}}}
			if over, err := r.Post(here, 1, tt.entry); !errors.Is(err, tt.want) || over != 0 {
				t.Errorf("got %s, %v; want %v", over, err, tt.want)
			}
			if r.Version != 5 || len(r.Cells) != 0 || r.Account.Total(1) != 100 {
				t.Errorf("the record is %+v", r)
			}
		})
	}
}

func TestEntriesThatTouchNoAccountChangeNothing(t *testing.T) {
	r := loyalty.Record{Version: 5}
	if over, err := r.Post(here, 1, &loyalty.Entry{Body: loyalty.Started{}}); over != 0 || err != nil || r.Version != 5 || len(r.Cells) != 0 {
		t.Errorf("got %s, %v and %+v", over, err, r)
	}
}

// Books restored from a backup have forgotten what they issued; what stations say of it is believed and reported.
func TestRestoredBooksBelieveTheStations(t *testing.T) {
	r := loyalty.Record{Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}}}}
	opened := &loyalty.Entry{Body: loyalty.SaleOpened{Account: account, Reserved: 70, Statement: loyalty.Statement{Used: 70}}}
	if over, err := r.Post(here, 1, opened); err != nil || over != 70 {
		t.Fatalf("the reservation is %s beyond the books' rights, %v", over, err)
	}
	there := loyalty.CellKey{Station: 2, Epoch: 1}
	if i := r.TopUp(there, loyalty.Statement{}, 100, 1); i != 30 {
		t.Errorf("issued %s to another station, want the 30 that nobody has reserved", i)
	}
	if over, err := r.Post(here, 2, closed(70, 1, loyalty.Statement{Used: 70}, loyalty.Lot{})); err != nil || over != 0 {
		t.Errorf("closing is %s beyond the books' rights again, %v", over, err)
	}
	if r.Outstanding() != 30 || r.Account.Total(1) != 30 {
		t.Errorf("outstanding %s, total %s", r.Outstanding(), r.Account.Total(1))
	}
}

func TestTopUpCountsWhatRestoredBooksNeverIssued(t *testing.T) {
	r := loyalty.Record{Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}}}}
	there := loyalty.CellKey{Station: 2, Epoch: 1}
	if i := r.TopUp(there, loyalty.Statement{Used: 80}, 0, 1); i != 0 {
		t.Errorf("nothing was asked for, and issued is %s", i)
	}
	if i := r.TopUp(here, loyalty.Statement{}, 100, 1); i != 20 {
		t.Errorf("issued %s, want the 20 that the other station has not used", i)
	}
}

func TestTopUp(t *testing.T) {
	record := func() loyalty.Record {
		return loyalty.Record{Version: 5, Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}, {Amount: 50, ActiveFrom: 9}}}}
	}
	for _, tt := range []struct {
		name    string
		st      loyalty.Statement
		want    loyalty.Points
		given   func(*loyalty.Record)
		issued  loyalty.Points
		version uint64
	}{
		{"what is wanted", loyalty.Statement{}, 40, nil, 40, 6},
		{"not more than is active", loyalty.Statement{}, 140, nil, 100, 6},
		{"nothing", loyalty.Statement{}, 0, nil, 0, 5},
		{"below zero", loyalty.Statement{}, -1, nil, 0, 5},
		{"beyond every amount", loyalty.Statement{}, loyalty.MaxAmount + 1, nil, 0, 5},
		{"a statement that cannot be", loyalty.Statement{Voided: 1}, 40, nil, 0, 5},
		{"a counter that would overflow", loyalty.Statement{Used: math.MaxInt64, Returned: math.MaxInt64}, 40, nil, 0, 5},
		{"a blocked account", loyalty.Statement{}, 40, func(r *loyalty.Record) { r.Account.State = loyalty.Blocked }, 0, 5},
		{"an account that only accrues", loyalty.Statement{}, 40, func(r *loyalty.Record) { r.Account.State = loyalty.AccruesOnly }, 0, 5},
		{"what others leave", loyalty.Statement{}, 40, func(r *loyalty.Record) {
			r.TopUp(loyalty.CellKey{Station: 2, Epoch: 1}, loyalty.Statement{}, 90, 1)
		}, 10, 7},
		{"asked again", loyalty.Statement{}, 40, func(r *loyalty.Record) { r.TopUp(here, loyalty.Statement{}, 40, 1) }, 40, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := record()
			if tt.given != nil {
				tt.given(&r)
			}
			if got := r.TopUp(here, tt.st, tt.want, 1); got != tt.issued || r.Version != tt.version {
				t.Errorf("issued %s, version %d; want %s and %d", got, r.Version, tt.issued, tt.version)
			}
			if err := r.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSnapshotTellsWhatIsElsewhere(t *testing.T) {
	r := loyalty.Record{Account: loyalty.Account{ID: account, Lots: []loyalty.Lot{{Amount: 100}}}}
	r.TopUp(here, loyalty.Statement{}, 30, 1)
	r.TopUp(loyalty.CellKey{Station: 1, Epoch: 2}, loyalty.Statement{}, 20, 1) // another life of the same station
	r.TopUp(loyalty.CellKey{Station: 2, Epoch: 1}, loyalty.Statement{}, 10, 1)
	want := loyalty.Snapshot{Account: r.Account.Clone(), Version: r.Version, AsOf: 7, Elsewhere: 30, Epoch: 1, Applied: 9}
	got := r.Snapshot(here, 9, 7)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	r.Account.Lots[0].Amount = 1
	if got.Account.Total(1) != 100 {
		t.Error("the snapshot changes with the record")
	}
}

// TestWhatStationsSayIsBounded: whatever they state, the books can be added up.
func TestWhatStationsSayIsBounded(t *testing.T) {
	r := loyalty.Record{Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: 100}}}}
	for s := range loyalty.StationID(20_000) {
		r.TopUp(loyalty.CellKey{Station: s + 1, Epoch: 1}, loyalty.Statement{Used: loyalty.MaxCounter}, 10, 1)
	}
	if out := r.Outstanding(); out != loyalty.MaxCounter {
		t.Errorf("%d are outstanding", out)
	}
	if s := r.Snapshot(loyalty.CellKey{Station: 1, Epoch: 1}, 0, 1); s.Elsewhere != loyalty.MaxCounter {
		t.Errorf("%d are elsewhere", s.Elsewhere)
	}
	if got := r.TopUp(here, loyalty.Statement{}, 10, 1); got != 0 {
		t.Errorf("%s are issued", got)
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	if err := (loyalty.Statement{Used: loyalty.MaxCounter + 1}).Check(); err == nil {
		t.Error("a statement beyond the bound is believed")
	}
}

func TestPruneWaitsForRightsToComeBack(t *testing.T) {
	r := loyalty.Record{Account: loyalty.Account{Lots: []loyalty.Lot{{Amount: 100, Expires: 5}}}}
	r.TopUp(here, loyalty.Statement{}, 60, 1)
	r.Prune(6)
	if _, err := r.Post(here, 1, closed(60, 4, loyalty.Statement{Used: 60}, loyalty.Lot{})); err != nil {
		t.Fatalf("reserved before the expiry, reported after it: %v", err)
	}
	version := r.Version
	r.Prune(6)
	if len(r.Account.Lots) != 0 || r.Version != version+1 {
		t.Errorf("left %v at version %d", r.Account.Lots, r.Version)
	}
	if r.Prune(6); r.Version != version+1 {
		t.Error("pruning nothing is a new version")
	}
}

func TestCellRefuses(t *testing.T) {
	c := loyalty.Cell{Issued: 100, Used: 60, Voided: 10, Returned: 20}
	for name, err := range map[string]error{
		"use more than is left": c.Use(31),
		"use below zero":        c.Use(-1),
	} {
		t.Run(name, func(t *testing.T) { refused(t, err, loyalty.NoRights) })
	}
	for name, err := range map[string]error{"void more than is in use": c.Void(51), "void below zero": c.Void(-1)} {
		if !errors.Is(err, loyalty.ErrAmount) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c != (loyalty.Cell{Issued: 100, Used: 60, Voided: 10, Returned: 20}) {
		t.Errorf("refusals changed the cell to %+v", c)
	}
	if c.Grant(99); c.Issued != 100 {
		t.Errorf("an older grant lowered the rights to %s", c.Issued)
	}
	if x := c.Return(); x != 30 || c.Left() != 0 || c.Return() != 0 {
		t.Errorf("returned %s and then has %s", x, c.Left())
	}
	for _, broken := range []loyalty.Cell{{Used: 1}, {Issued: 5, Voided: 1}, {Issued: 5, Returned: 6}, {Issued: 5, Returned: -1}, {Issued: 5, Used: -1, Voided: -1}} {
		if broken.Check() == nil {
			t.Errorf("Check found nothing wrong with %+v", broken)
		}
	}
}
