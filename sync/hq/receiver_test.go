package hq_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

func TestHelloUpAck(t *testing.T) {
	inOffice(t, nil, hq.Config{}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		j := hqtest.NewJournal(t, 17)
		if c := o.greet(j); c.Verdict != pb.Verdict_VERDICT_OK || c.Seq != 0 || c.Credit == 0 || c.Epoch != 1 {
			t.Fatalf("%v", c)
		}
		for range 10 {
			j.Sell(5, 0, 100)
		}
		j.Sell(99, 0, 100) // no such account
		o.up(j, 1, 11)
		acks := only[pb.Ack](t, wire.Ack, o.heard(17))
		if len(acks) != 1 || acks[0].Seq != 11 || wire.Hash(acks[0].Hash) != j.Hashes[11] || len(acks[0].Quarantined) != 1 || acks[0].Quarantined[0].Seq != 11 {
			t.Fatalf("%v", acks)
		}
		if got := o.total(5); got != 1000 {
			t.Fatalf("account holds %s", got)
		}
		// The acknowledgement is lost: the batch comes again, or the station says hello.
		o.up(j, 1, 11)
		if acks = only[pb.Ack](t, wire.Ack, o.heard(17)); len(acks) != 1 || acks[0].Seq != 11 {
			t.Fatalf("%v", acks)
		}
		o.say(17, wire.Hello, helloOf(j))
		again := o.heard(17)
		if acks = only[pb.Ack](t, wire.Ack, again); len(acks) != 1 || len(acks[0].Quarantined) != 1 {
			t.Fatalf("a hello does not repeat what was set aside: %v", acks)
		}
		if got := o.total(5); got != 1000 {
			t.Fatalf("account holds %s", got)
		}
	})
}

func TestGapRepeatsTheCursor(t *testing.T) {
	inOffice(t, nil, hq.Config{}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		j := hqtest.NewJournal(t, 17)
		o.greet(j)
		for range 9 {
			j.Sell(5, 0, 100)
		}
		o.up(j, 4, 6)
		o.up(j, 7, 9)
		got := o.heard(17)
		cs := only[pb.Cursor](t, wire.Cursor, got)
		if len(cs) == 0 || cs[0].Seq != 0 || cs[0].Verdict != pb.Verdict_VERDICT_OK || len(only[pb.Ack](t, wire.Ack, got)) != 0 {
			t.Fatalf("%v", got)
		}
		o.up(j, 1, 9)
		if acks := only[pb.Ack](t, wire.Ack, o.heard(17)); len(acks) != 1 || acks[0].Seq != 9 {
			t.Fatalf("%v", acks)
		}
	})
}

// TestAckAfterCommit: whatever is acknowledged is in the store at the moment it is published.
func TestAckAfterCommit(t *testing.T) {
	inOffice(t, func(s hq.Store) hq.Store { return &slowStore{Store: s, delay: 20 * time.Millisecond} }, hq.Config{}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		j := hqtest.NewJournal(t, 17)
		var acked atomic.Uint64
		o.deliver = func(m wire.Message) {
			_, kind, _ := wire.ParseTopic(m.Topic)
			if kind != wire.Ack {
				return
			}
			a, err := wire.Decode[pb.Ack](m.Payload)
			if err != nil {
				t.Error(err)
				return
			}
			acked.Store(a.Seq)
			lines, err := o.store.Lines(context.Background(), 0, 1000)
			if err != nil || len(lines) < int(a.Seq) {
				t.Errorf("entry %d is acknowledged, the store has %d: %v", a.Seq, len(lines), err)
			}
		}
		o.say(17, wire.Hello, helloOf(j))
		time.Sleep(time.Second)
		for i := range 200 {
			j.Sell(5, 0, 1)
			if i%7 == 6 {
				o.up(j, i-5, i+1)
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		if n := acked.Load(); n != 196 {
			t.Fatalf("acknowledged to %d of 196", n)
		}
	})
}

// TestCarrierFromHell: a carrier that loses, repeats and delays, with sessions and headquarters that end now and then.
// A station that only goes back to cursors gets everything in once.
func TestCarrierFromHell(t *testing.T) {
	for seed := range uint64(4) {
		inOffice(t, nil, hq.Config{}, func(t *testing.T, o *office) { fromHell(t, o, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func fromHell(t *testing.T, o *office, rnd *rand.Rand) {
	const entries, stations = 150, 3
	o.bring(hqtest.Account(5, 0))
	j := map[loyalty.StationID]*hqtest.Journal{}
	at := map[loyalty.StationID]int{}
	for s := range loyalty.StationID(stations) {
		j[s+1] = hqtest.NewJournal(t, s+1)
		for range entries {
			j[s+1].Sell(5, 0, 1)
		}
	}
	for round := 0; ; round++ {
		if round > 3000 {
			t.Fatalf("after %d rounds the stations are at %v", round, at)
		}
		done := 0
		for s, k := range j {
			for _, m := range o.heard(s) {
				if rnd.IntN(4) == 0 {
					continue // lost
				}
				for _, c := range only[pb.Cursor](t, wire.Cursor, []wire.Message{m}) {
					at[s] = int(c.Seq)
				}
				for _, a := range only[pb.Ack](t, wire.Ack, []wire.Message{m}) {
					at[s] = max(at[s], int(a.Seq))
				}
			}
			if at[s] == entries {
				done++
				continue
			}
			for range 1 + rnd.IntN(3) {
				first := max(1, at[s]+1+rnd.IntN(9)-4)
				last := min(entries, first+rnd.IntN(12))
				if first <= last && rnd.IntN(4) != 0 {
					o.up(k, first, last)
				}
			}
			if round == 0 || rnd.IntN(10) == 0 {
				o.say(s, wire.Hello, helloOf(k))
			}
		}
		if done == stations {
			break
		}
		switch rnd.IntN(20) {
		case 0:
			o.cut()
			time.Sleep(time.Minute)
		case 1:
			o.halt()
			o.start()
		}
	}
	if got := o.total(5); got != entries*stations {
		t.Fatalf("account holds %s of %d", got, entries*stations)
	}
}

// TestQuestionsDoNotQueue: a question is answered while a day's worth of batches waits.
func TestQuestionsDoNotQueue(t *testing.T) {
	slow := func(s hq.Store) hq.Store { return &slowStore{Store: s, delay: 100 * time.Millisecond} }
	inOffice(t, slow, hq.Config{Group: 10}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 1000))
		j, k := hqtest.NewJournal(t, 17), hqtest.NewJournal(t, 18)
		for i := range 1000 {
			j.Sell(5, 0, 1)
			if i == 0 {
				o.say(17, wire.Hello, helloOf(j))
				o.say(18, wire.Hello, helloOf(k))
				time.Sleep(time.Second)
			}
		}
		for first := 1; first <= 1000; first += 10 {
			o.up(j, first, first+9)
		}
		began := time.Now()
		o.say(18, wire.Ask, &pb.Ask{Id: 3, Account: 5, Epoch: 1, TopUp: &pb.TopUp{Want: 700}})
		var answers []*pb.Answer
		for len(answers) == 0 {
			time.Sleep(10 * time.Millisecond)
			answers = only[pb.Answer](t, wire.Answer, o.heard(18))
		}
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Fatalf("the answer took %s", took)
		}
		if a := answers[0]; a.Id != 3 || a.Grant.GetIssued() != 700 || a.Snapshot.GetAccount().GetId() != 5 {
			t.Fatalf("%v", a)
		}
		time.Sleep(time.Minute)
		if got := o.total(5); got != 2000 {
			t.Fatalf("account holds %s", got)
		}
	})
}

func TestDownStream(t *testing.T) {
	inOffice(t, nil, hq.Config{}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 1000))
		j, k := hqtest.NewJournal(t, 17), hqtest.NewJournal(t, 18)
		o.greet(j)
		o.greet(k)
		o.say(17, wire.Ask, &pb.Ask{Id: 1, Account: 5})
		o.heard(17)
		if _, err := o.Publish(t.Context(), hqtest.Programme(2)); err != nil {
			t.Fatal(err)
		}
		first := only[pb.Down](t, wire.Down, o.heard(17))
		if len(first) != 1 || first[0].Items[0].GetProgramme().GetVersion() != 2 || first[0].After != 0 {
			t.Fatalf("%v", first)
		}
		// It is lost: it comes again, and no more often than is any use.
		time.Sleep(15 * time.Second)
		if again := only[pb.Down](t, wire.Down, o.heard(17)); len(again) != 1 || again[0].Through != first[0].Through {
			t.Fatalf("%v", again)
		}
		time.Sleep(time.Hour)
		if again := only[pb.Down](t, wire.Down, o.heard(17)); len(again) > 5 {
			t.Fatalf("sent %d times to a station that says nothing", len(again))
		}
		o.say(17, wire.DownAck, &pb.DownAck{Stream: first[0].Stream, Seq: first[0].Through})
		k.Sell(5, 0, 50)
		o.up(k, 1, 1)
		next := only[pb.Down](t, wire.Down, o.heard(17))
		if len(next) != 1 || next[0].After != first[0].Through || next[0].Items[0].GetSnapshot().GetAccount().GetId() != 5 {
			t.Fatalf("%v", next)
		}
		// The station follows another stream: it begins anew.
		o.say(17, wire.DownAck, &pb.DownAck{Stream: 12345, Seq: 7})
		time.Sleep(30 * time.Second)
		anew := only[pb.Down](t, wire.Down, o.heard(17))
		if len(anew) == 0 {
			t.Fatal("nothing was sent")
		}
		if last := anew[len(anew)-1]; last.Stream == first[0].Stream || last.After != 0 || len(last.Items) != 2 {
			t.Fatalf("%v", last)
		}
	})
}

func TestStatesAndWills(t *testing.T) {
	inOffice(t, nil, hq.Config{}, func(t *testing.T, o *office) {
		seen := func() hq.Sighting {
			t.Helper()
			time.Sleep(5 * time.Second)
			_, _, seen, known, err := o.About(context.Background(), 17)
			if err != nil || !known {
				t.Fatal(known, err)
			}
			return seen
		}
		o.say(17, wire.State, &pb.State{Station: 17, Session: 1, Online: true}) // not enrolled: nobody's
		j := hqtest.NewJournal(t, 17)
		o.greet(j)
		o.say(17, wire.State, &pb.State{Station: 17, Session: 5, Online: true, Version: "1.2", Backlog: 3})
		if s := seen(); !s.Online || s.Session != 5 || s.Version != "1.2" || s.Backlog != 3 {
			t.Fatalf("%+v", s)
		}
		o.say(17, wire.State, &pb.State{Station: 17, Session: 4}) // the will of a connection before
		if s := seen(); !s.Online {
			t.Fatalf("a stale will was believed: %+v", s)
		}
		o.say(17, wire.State, &pb.State{Station: 18, Session: 9}) // on another's topic
		o.say(17, wire.State, &pb.State{Station: 17, Session: 5})
		if s := seen(); s.Online {
			t.Fatalf("%+v", s)
		}
		o.halt()
		o.start()
		o.say(17, wire.State, &pb.State{Station: 17, Session: 3, Online: true})
		if s := seen(); s.Online {
			t.Fatalf("after a restart a stale state was believed: %+v", s)
		}
		o.say(17, wire.Hello, helloOf(j))
		if s := seen(); !s.Online {
			t.Fatalf("%+v", s)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	inOffice(t, nil, hq.Config{}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		j := hqtest.NewJournal(t, 17)
		o.greet(j)
		o.carrier.mu.Lock()
		o.refuse = true
		o.carrier.mu.Unlock()
		o.cut()
		time.Sleep(time.Hour)
		o.carrier.mu.Lock()
		dials := o.dials
		o.refuse = false
		o.carrier.mu.Unlock()
		if dials < 30 || dials > 2000 {
			t.Fatalf("%d attempts in an hour", dials)
		}
		time.Sleep(time.Minute)
		j.Sell(5, 0, 100)
		o.up(j, 1, 1)
		if acks := only[pb.Ack](t, wire.Ack, o.heard(17)); len(acks) != 1 || acks[0].Seq != 1 {
			t.Fatalf("%v", acks)
		}
	})
}

func TestBrokenStoreEndsTheReceiver(t *testing.T) {
	var store *slowStore
	wrap := func(s hq.Store) hq.Store { store = &slowStore{Store: s}; return store }
	inOffice(t, wrap, hq.Config{}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		j := hqtest.NewJournal(t, 17)
		o.greet(j)
		store.mu.Lock()
		store.broken = true
		store.mu.Unlock()
		j.Sell(5, 0, 100)
		o.up(j, 1, 1)
		if acks := only[pb.Ack](t, wire.Ack, o.heard(17)); len(acks) != 0 {
			t.Fatalf("acknowledged: %v", acks)
		}
		err := <-o.ended
		if err == nil {
			t.Fatal("Run ended without an error")
		}
		o.ended <- err
	})
}

func TestCreditInTurns(t *testing.T) {
	inOffice(t, nil, hq.Config{Budget: 256 << 10}, func(t *testing.T, o *office) {
		o.bring(hqtest.Account(5, 0))
		var js []*hqtest.Journal
		var credits []uint64
		for s := range loyalty.StationID(4) {
			j := hqtest.NewJournal(t, s+1)
			for range 1200 {
				j.Sell(5, 0, 1)
			}
			js = append(js, j)
			credits = append(credits, o.greet(j).Credit)
		}
		if credits[0] == 0 || credits[1] == 0 || credits[2] != 0 || credits[3] != 0 {
			t.Fatalf("credits %v of a budget for two", credits)
		}
		for first := 1; first <= 1200; first += 300 {
			o.up(js[0], first, first+299)
		}
		time.Sleep(3 * time.Second)
		acks := only[pb.Ack](t, wire.Ack, o.heard(3))
		if len(acks) != 1 || acks[0].Credit == 0 || acks[0].Seq != 0 {
			t.Fatalf("the third in turn got %v", acks)
		}
		if acks := only[pb.Ack](t, wire.Ack, o.heard(4)); len(acks) != 0 {
			t.Fatalf("the fourth got %v", acks)
		}
		time.Sleep(time.Minute) // the others have gone quiet
		if acks := only[pb.Ack](t, wire.Ack, o.heard(4)); len(acks) == 0 || acks[0].Credit == 0 {
			t.Fatalf("the fourth got %v", acks)
		}
	})
}

// FuzzMessages: whatever a message holds, headquarters go on, and what cannot be read changes nothing.
func FuzzMessages(f *testing.F) {
	j := hqtest.NewJournal(f, 17)
	j.Sell(5, 0, 100)
	up, _, _, err := wire.SealBatch(1, 1, j.Hashes[0], j.Entries)
	if err != nil {
		f.Fatal(err)
	}
	seed := func(kind wire.Kind, m encoded) {
		b, err := wire.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire.Topic(17, kind), b)
	}
	f.Add(wire.Topic(17, wire.Up), up)
	f.Add("azs/v1/99/17/up", []byte{})
	seed(wire.Hello, helloOf(j))
	seed(wire.Ask, &pb.Ask{Id: 1, Account: 5, Epoch: 1, TopUp: &pb.TopUp{Want: 50, Statement: &pb.Statement{Used: 4, Voided: 1}}})
	seed(wire.Ask, &pb.Ask{Id: 2, Card: "7005110000000011", Issue: &pb.Issue{Card: "7005110000000012", Kind: 1}})
	seed(wire.Ask, &pb.Ask{Id: 3, Sale: &pb.SaleRef{Station: 17, Sale: "s-17-1-1-1"}})
	seed(wire.Ask, &pb.Ask{Id: 4, Account: 5, History: &pb.History{Limit: 10}})
	given := hqtest.NewJournal(f, 17)
	given.Issue("7005110000000011", loyalty.MainCard, "", false, "sealed")
	given.Append(loyalty.Alerted{Rule: "rule", Card: "7005110000000011", Count: 1})
	if up, _, _, err = wire.SealBatch(1, 1, given.Hashes[0], given.Entries, given.Forms...); err != nil {
		f.Fatal(err)
	}
	f.Add(wire.Topic(17, wire.Up), up)
	seed(wire.State, &pb.State{Station: 17, Session: 3, Online: true})
	seed(wire.DownAck, &pb.DownAck{Stream: 1, Seq: 2})
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		inOffice(t, nil, hq.Config{AskWorkers: 1}, func(t *testing.T, o *office) {
			o.bring(hqtest.Account(5, 1000))
			first := hqtest.NewJournal(t, 17)
			o.greet(first)
			o.session.messages <- wire.Message{Topic: topic, Payload: payload}
			synctest.Wait()
			lines, err := o.store.Lines(context.Background(), 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := wire.OpenBatch(payload); (err != nil || b.Prev != first.Hashes[0]) && len(lines) != 0 {
				t.Fatalf("an unreadable message has left %d entries", len(lines))
			}
			if len(lines) == 0 && o.total(5) != 1000 {
				t.Fatal("a message without entries has changed an account's points")
			}
		})
	})
}
