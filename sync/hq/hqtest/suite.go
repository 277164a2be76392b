package hqtest

import (
	"context"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Store is what the suite tests.
type Store interface {
	hq.Store
	hq.Catalogue
	Close() error
}

// Lab is one store on its disk or in its database, for one test.
type Lab interface {
	// Open opens the store at the moment given: empty the first time, as it was left afterwards.
	Open(tb testing.TB, now time.Time) Store
	// Check proves the whole open store.
	Check(tb testing.TB, s Store)
	// Save copies the closed store away, and Restore puts the copy back.
	Save(tb testing.TB)
	Restore(tb testing.TB)
}

// Bench is an open store with books on it, and a clock that stands still unless it is moved.
type Bench struct {
	testing.TB
	*hq.Books
	Lab   Lab
	Store Store
	Clock time.Time
	ids   uint64
	enrol bool
}

// NewBench opens a lab. At its end the store is checked and closed.
func NewBench(tb testing.TB, lab Lab) *Bench {
	b := &Bench{TB: tb, Lab: lab, Clock: Start.Time(), enrol: true}
	b.open()
	tb.Cleanup(func() {
		if b.Store != nil {
			b.CheckAll()
			b.ok(b.Store.Close())
		}
	})
	return b
}

func (b *Bench) open() {
	b.Helper()
	b.Store = b.Lab.Open(b.TB, b.Clock)
	b.Books = hq.NewBooks(hq.BooksConfig{
		Store: b.Store, AutoEnrol: b.enrol, Now: func() time.Time { return b.Clock },
		Random: func() uint64 { b.ids++; return b.ids },
	})
}

// CheckAll proves the whole store.
func (b *Bench) CheckAll() {
	b.Helper()
	b.Lab.Check(b.TB, b.Store)
}

// Reopen closes the store and opens it again a second later.
func (b *Bench) Reopen() {
	b.Helper()
	b.ok(b.Store.Close())
	b.Clock = b.Clock.Add(time.Second)
	b.open()
}

func (b *Bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// Bring brings accounts in.
func (b *Bench) Bring(accounts ...loyalty.Account) {
	b.Helper()
	_, err := b.ImportAccounts(context.Background(), accounts)
	b.ok(err)
}

// Greets greets and expects a verdict.
func (b *Bench) Greets(j *Journal, want pb.Verdict) hq.Greeting {
	b.Helper()
	g, err := b.Hello(context.Background(), j.Hello())
	b.ok(err)
	if g.Verdict != want {
		b.Fatalf("verdict %s, want %s", g.Verdict, want)
	}
	return g
}

// Posts posts batches in one group.
func (b *Bench) Posts(batches ...*hq.Batch) *hq.Result {
	b.Helper()
	r, err := b.Post(context.Background(), batches)
	b.ok(err)
	return r
}

// Asks asks.
func (b *Bench) Asks(j *Journal, a *hq.Ask) hq.Reply {
	b.Helper()
	r, err := b.Answer(context.Background(), j.Station, a)
	b.ok(err)
	return r
}

// Grants tops a station's cell up and returns what is left to use there.
func (b *Bench) Grants(j *Journal, account loyalty.AccountID, want loyalty.Points) loyalty.Points {
	b.Helper()
	j.Take(b.Asks(j, j.TopUp(account, want)))
	return j.Cell(account).Left()
}

// Record is an account's record.
func (b *Bench) Record(id loyalty.AccountID) *loyalty.Record {
	b.Helper()
	rs, err := b.Store.Accounts(context.Background(), id-1, 1)
	b.ok(err)
	if len(rs) == 0 || rs[0].Account.ID != id {
		b.Fatalf("no account %d", id)
	}
	return rs[0]
}

// Holds expects the points of an account.
func (b *Bench) Holds(id loyalty.AccountID, want loyalty.Points) {
	b.Helper()
	r := b.Record(id)
	if got := r.Account.Total(b.Now()); got != want {
		b.Fatalf("account %d holds %s, want %s", id, got, want)
	}
}

// Raised expects alarms of these kinds, and no others but those of new epochs, which every one raises.
func (b *Bench) Raised(want ...hq.AlarmKind) {
	b.Helper()
	alarms, err := b.Store.Alarms(context.Background())
	b.ok(err)
	left := map[hq.AlarmKind]bool{}
	for _, k := range want {
		left[k] = true
	}
	for _, a := range alarms {
		if !left[a.Kind] && a.Kind != hq.EpochAlarm {
			b.Errorf("alarm %s: %s", a.Kind, a.Text)
		}
		delete(left, a.Kind)
	}
	for k := range left {
		b.Errorf("no alarm %s", k)
	}
}

// Drain reads a station's down-stream to its end and returns its items, without acknowledging them.
func (b *Bench) Drain(station loyalty.StationID, st hq.Stream) (items []*pb.Item, through uint64) {
	b.Helper()
	through = st.Acked
	for {
		d, err := b.Down(context.Background(), station, st, through)
		b.ok(err)
		if d == nil {
			return items, through
		}
		if d.After != through || d.Through <= through || d.Stream != st.ID {
			b.Fatalf("down-stream %d from %d to %d, asked for %d after %d", d.Stream, d.After, d.Through, st.ID, through)
		}
		items, through = append(items, d.Items...), d.Through
	}
}

// Run runs the whole suite; newLab makes an empty lab.
func Run(t *testing.T, newLab func(tb testing.TB) Lab) {
	for _, c := range []struct {
		name string
		run  func(*Bench)
	}{
		{"hello", testHello},
		{"hello of a stranger", testStranger},
		{"fork by nonce", testForkByNonce},
		{"fork by hash", testForkByHash},
		{"rollback", testRollback},
		{"hello that comes late", testLateHello},
		{"trimmed", testTrimmed},
		{"apply", testApply},
		{"applied once", testAppliedOnce},
		{"gap", testGap},
		{"overlap", testOverlap},
		{"fork in a batch", testForkInBatch},
		{"group of stations", testGroup},
		{"set aside", testSetAside},
		{"card without account", testCardOnly},
		{"operation under a new epoch", testReplanted},
		{"rights used before", testUsedBefore},
		{"sale told twice", testSaleTwice},
		{"sale told twice, otherwise", testSaleTwiceOtherwise},
		{"operation taken", testOperationTaken},
		{"refund", testRefund},
		{"refund told again", testRefundTwice},
		{"refund of what is not counted", testRefundOfNothing},
		{"cards that arrive later", testCardsArrive},
		{"card of a refund that arrives later", testCardOfRefund},
		{"retry of what was not read", testRetryUnread},
		{"retry of what was repeated", testRetryRepeated},
		{"top-up", testTopUp},
		{"top-up refused", testTopUpRefused},
		{"top-ups at once", testTopUpsAtOnce},
		{"down-stream", testDown},
		{"down-stream compacted", testDownCompacted},
		{"down-stream begins anew", testDownRestarts},
		{"down-stream in messages", testDownMessages},
		{"what expired is forgotten", testPruned},
		{"too large for a message", testTooLarge},
		{"programme", testProgramme},
		{"import of accounts", testImportAccounts},
		{"import of cards", testImportCards},
		{"older copy", testOlderCopy},
		{"versions after an older copy", testVersionsGrow},
		{"rights after an older copy", testRestoredWaits},
		{"rights after an older copy, accepted", testRestoreAccepted},
		{"new epoch after an older copy", testNewEpochAfterRestore},
		{"gap accepted", testGapAccepted},
		{"hello of an earlier boot that comes late", testLateBoot},
		{"failed rule", testFailedRule},
		{"catalogue", testCatalogue},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(NewBench(t, newLab(t))) })
	}
	runOwn(t, newLab)
	runCounter(t, newLab)
	runForms(t, newLab)
	runClosing(t, newLab)
	runGuard(t, newLab)
	t.Run("model", func(t *testing.T) { testModel(t, newLab) })
}
