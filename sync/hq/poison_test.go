package hq_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// badStore spoils what the rules read.
type badStore struct {
	hq.Store
	panics  atomic.Bool // over every entry that takes a step of a sale
	corrupt loyalty.AccountID
}

var errCorrupt = errors.New("the record is corrupt")

type badTx struct {
	hq.Tx
	s *badStore
}

func (s *badStore) Update(ctx context.Context, fn func(hq.Tx) error) error {
	return s.Store.Update(ctx, func(tx hq.Tx) error { return fn(&badTx{tx, s}) })
}

func (t *badTx) Steps(steps []hq.SaleStep) (map[hq.SaleStep]*hq.Line, error) {
	m, err := t.Tx.Steps(steps)
	if t.s.panics.Load() {
		m = nil // the rules write into it
	}
	return m, err
}

func (t *badTx) Records(ids []loyalty.AccountID) (map[loyalty.AccountID]*loyalty.Record, error) {
	for _, id := range ids {
		if id == t.s.corrupt {
			return nil, errCorrupt
		}
	}
	return t.Tx.Records(ids)
}

// TestPoison: an entry that makes the rules panic is set aside with an alarm, those around it are posted, and a later
// version applies it.
func TestPoison(t *testing.T) {
	var bad *badStore
	wrap := func(s hq.Store) hq.Store { bad = &badStore{Store: s}; return bad }
	inOffice(t, wrap, hq.Config{}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		j := hqtest.NewJournal(t, 17)
		o.greet(j)
		j.Append(loyalty.Started{Version: "test"})
		j.Sell(5, 0, 100)
		j.Append(loyalty.Started{Version: "test"})
		bad.panics.Store(true)
		o.up(j, 1, 3)
		acks := only[pb.Ack](t, wire.Ack, o.heard(17))
		if len(acks) != 1 || acks[0].Seq != 3 || len(acks[0].Quarantined) != 1 || acks[0].Quarantined[0].Seq != 2 {
			t.Fatalf("%v", acks)
		}
		alarms, err := o.store.Alarms(context.Background())
		if err != nil || len(alarms) != 1 || alarms[0].Kind != hq.PoisonAlarm || len(alarms[0].Evidence) == 0 {
			t.Fatalf("%+v %v", alarms, err)
		}
		for _, want := range []hq.Retried{{Tried: 1}, {Tried: 1, Applied: 1}} {
			if r, err := o.RetryAll(context.Background(), o.store, 0); err != nil || r != want {
				t.Fatalf("%+v, want %+v: %v", r, want, err)
			}
			bad.panics.Store(false)
		}
		if got := o.total(5); got != 100 {
			t.Fatalf("account holds %s", got)
		}
	})
}

// TestOneBadRecord: what is wrong with one account stops the stations that sell to it, and nobody who shares a
// transaction with them.
func TestOneBadRecord(t *testing.T) {
	wrap := func(s hq.Store) hq.Store {
		return &slowStore{Store: &badStore{Store: s, corrupt: 66}, delay: 50 * time.Millisecond}
	}
	metrics := hq.NewMetrics()
	inOffice(t, wrap, hq.Config{Metrics: metrics}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		var js []*hqtest.Journal
		for s := range loyalty.StationID(8) {
			j := hqtest.NewJournal(t, s+1)
			o.say(j.Station, wire.Hello, helloOf(j))
			time.Sleep(time.Second)
			js = append(js, j)
		}
		for _, j := range js {
			j.Sell(5, 0, 100)
			if j.Station == 3 {
				j.Sell(66, 0, 100)
			}
			o.up(j, 1, len(j.Entries))
		}
		time.Sleep(5 * time.Second)
		for _, j := range js {
			acks := only[pb.Ack](t, wire.Ack, o.heard(j.Station))
			if acked := len(acks) > 0; acked != (j.Station != 3) {
				t.Errorf("station %d: %v", j.Station, acks)
			}
		}
		if got := o.total(5); got != 700 {
			t.Fatalf("account holds %s", got)
		}
	})
}

// TestStandingAlarms: those who watch see what stands in the books.
func TestStandingAlarms(t *testing.T) {
	metrics := hq.NewMetrics()
	inOffice(t, nil, hq.Config{Metrics: metrics}, func(t *testing.T, o *office) {
		metrics.Watch(o.store)
		j := hqtest.NewJournal(t, 17)
		o.greet(j)
		j.Begin(2)
		o.greet(j)
		k := hqtest.NewJournal(t, 18)
		k.Begin(3)
		o.greet(k)
		families, err := metrics.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "azs_hq_alarms" {
				if m := f.GetMetric(); len(m) != 1 || m[0].GetGauge().GetValue() != 2 || m[0].GetLabel()[0].GetValue() != string(hq.EpochAlarm) {
					t.Fatalf("%v", m)
				}
				return
			}
		}
		t.Error("there is no azs_hq_alarms")
	})
}
