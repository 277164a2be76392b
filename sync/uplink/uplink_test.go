package uplink_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/uplink"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

func TestGreeting(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		h := r.hello(time.Second)
		pos, err := r.life.Position(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		if h.Station != uint32(simStation) || h.Epoch != 1 || h.LastSeq != 1 || wire.Hash(h.LastHash) != pos.LastHash || h.FirstSeq != 1 ||
			wire.Nonce(h.Nonce) != pos.Nonce || [16]byte(h.Boot) != pos.Boot || h.Version != "1.2.3" || h.Schema != wire.Schema {
			r.Errorf("hello %v", h)
		}
		will, err := wire.Decode[pb.State](r.will.Payload)
		if err != nil || will.Online || will.Session >= h.Session || r.will.Topic != wire.Topic(simStation, wire.State) {
			r.Errorf("will %v, %v", will, err)
		}
		// Without an answer nothing but hellos comes, ever more slowly.
		last, gap := time.Now(), time.Duration(0)
		for range 6 {
			again := r.hello(time.Minute)
			if again.Session <= h.Session {
				r.Error("the session number does not grow")
			}
			if since := time.Since(last); since < gap-100*time.Millisecond || since > 31*time.Second {
				r.Errorf("%s after %s", since, gap)
			} else {
				gap = since
			}
			last = time.Now()
			r.send(wire.Cursor, &pb.Cursor{Epoch: 1, Hash: make([]byte, 32), Credit: plenty, Session: h.Session}) // to an earlier one
			h = again
		}
		if s := r.up.Status(); s.Online || !s.Connected {
			r.Errorf("status %+v", s)
		}
		r.cursor(h, 1, plenty) // headquarters has the entry already
		birth := r.state(time.Second)
		if !birth.Online || birth.Session != will.Session {
			r.Errorf("birth %v, will %v", birth, will)
		}
		r.nothing(20 * time.Second)
		if s := r.up.Status(); !s.Online || s.Acked != 1 {
			r.Errorf("status %+v", s)
		}
		// A station that leaves says so.
		r.stop()
		<-r.ended
		if s := r.state(time.Second); s.Online || s.Session != will.Session {
			r.Errorf("goodbye %v", s)
		}
	})
}

func TestGathersEntries(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		for range 10 {
			r.w.st.sell()
			time.Sleep(3 * time.Millisecond)
		}
		if b := r.batch(time.Second); b.First != 2 || b.Last() != 11 {
			r.Errorf("the batch holds %d to %d", b.First, b.Last())
		}
		r.ack(11, plenty)
		r.nothing(time.Second)
	})
}

func TestAsk(t *testing.T) {
	inRig(t, func(c *uplink.Config) { c.AskDeadline = time.Second }, func(r *rig) {
		if _, err := r.up.Ask(r.Context(), &pb.Ask{Account: 42}); !errors.Is(err, loyalty.Offline) {
			r.Errorf("before the greeting: %v", err)
		}
		r.online()
		ask := func() (a *pb.Answer, took time.Duration, err error) {
			began := time.Now()
			a, err = r.up.Ask(r.Context(), &pb.Ask{Account: 42, Epoch: 1})
			return a, time.Since(began), err
		}
		type outcome struct {
			a    *pb.Answer
			err  error
			took time.Duration
		}
		out := make(chan outcome, 1)
		question := func() *pb.Ask {
			go func() { a, took, err := ask(); out <- outcome{a, err, took} }()
			q, err := wire.Decode[pb.Ask](r.next(wire.Ask, time.Second))
			if err != nil || q.Account != 42 || q.DeadlineMs == 0 || q.DeadlineMs > 1000 {
				r.Fatalf("ask %v, %v", q, err)
			}
			return q
		}
		q := question()
		// While somebody waits, no batch is started.
		for range 3 {
			r.w.st.sell()
		}
		r.nothing(300 * time.Millisecond)
		r.send(wire.Answer, &pb.Answer{Id: q.Id, Grant: &pb.Grant{Account: 42, Epoch: 1, Issued: 500}})
		if o := <-out; o.err != nil || o.a.Grant.Issued != 500 || len(r.answers()) != 1 {
			r.Errorf("answer %v, %v, learned %d", o.a, o.err, len(r.answers()))
		}
		r.batch(time.Second)
		r.ack(4, plenty)
		// No answer in time: the station asks whether headquarters is there, and is offline until it hears.
		late := question()
		if o := <-out; !errors.Is(o.err, loyalty.Offline) || o.took < time.Second || o.took > 1100*time.Millisecond {
			r.Errorf("%v after %s", o.err, o.took)
		}
		h := r.hello(time.Second)
		if _, took, err := ask(); !errors.Is(err, loyalty.Offline) || took > 0 {
			r.Errorf("%v after %s", err, took)
		}
		r.send(wire.Answer, &pb.Answer{Id: late.Id, Snapshot: &pb.Snapshot{Version: 9}})
		r.cursor(h, 4, plenty)
		time.Sleep(time.Second)
		if l := r.answers(); len(l) != 2 || l[1].Snapshot.Version != 9 {
			r.Errorf("a late answer was not learned: %v", l)
		}
		question()
		r.hq.cut()
		r.hq, _ = r.w.net.dial(0)
		r.mu.Lock()
		r.noLine = true
		r.mu.Unlock()
		r.w.net.end(simStation).cut()
		if o := <-out; !errors.Is(o.err, loyalty.Offline) || o.took > 500*time.Millisecond {
			r.Errorf("the line broke: %v after %s", o.err, o.took)
		}
		time.Sleep(time.Millisecond)
		if s := r.up.Status(); s.Asks != 3 || s.Unanswered != 1 || s.Online || s.Connected {
			r.Errorf("status %+v", s)
		}
	})
}

// A register that asks without a pause does not keep the journal from headquarters.
func TestQuestionsDoNotStarveTheJournal(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		r.w.st.sell()
		var asking sync.WaitGroup
		var open *pb.Ask
		began := time.Now()
		for batch := false; !batch; {
			// The next question comes before the last one is answered. It and the batch may be sent at the same moment.
			asking.Go(func() {
				if _, err := r.up.Ask(r.Context(), &pb.Ask{Account: 42, Epoch: 1}); err != nil {
					r.Error(err)
				}
			})
			before := open
			for pause := time.After(300 * time.Millisecond); ; {
				var m wire.Message
				select {
				case m = <-r.hq.messages:
				case <-pause:
				}
				if m.Topic == "" {
					break
				}
				if m.Topic == wire.Topic(simStation, wire.Up) {
					batch = true
					if took := time.Since(began); took < time.Second {
						r.Errorf("the batch came after %s, while somebody waited for an answer", took)
					}
					continue
				}
				q, err := wire.Decode[pb.Ask](m.Payload)
				if err != nil || time.Since(began) > 10*time.Second {
					r.Fatalf("%s came, %v; no batch in %s", m.Topic, err, time.Since(began))
				}
				open = q
			}
			if before != nil {
				r.send(wire.Answer, &pb.Answer{Id: before.Id})
			}
		}
		r.send(wire.Answer, &pb.Answer{Id: open.Id})
		asking.Wait()
	})
}

func TestCredit(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		h := r.hello(time.Second)
		r.cursor(h, 0, 0)
		r.state(time.Second)
		for range 5 {
			r.w.st.sell()
		}
		r.nothing(20 * time.Second)
		h = r.hello(15 * time.Second) // it asks whether it may by now
		r.cursor(h, 0, 0)
		r.nothing(10 * time.Second)
		r.ack(0, plenty)
		if b := r.batch(time.Second); b.First != 1 || b.Last() != 6 {
			r.Errorf("the batch holds %d to %d", b.First, b.Last())
		}
	})
}

func TestAlarms(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		h := r.hello(time.Second)
		for verdict, want := range map[pb.Verdict]uplink.Alarm{
			pb.Verdict_VERDICT_UNKNOWN_STATION: uplink.UnknownStation,
			pb.Verdict_VERDICT_TOO_OLD:         uplink.TooOld,
			pb.Verdict_VERDICT_TRIMMED:         uplink.Trimmed,
			77:                                 uplink.TooOld, // a verdict of the future
		} {
			r.send(wire.Cursor, &pb.Cursor{Verdict: verdict, Session: h.Session})
			time.Sleep(time.Second)
			if s := r.up.Status(); s.Alarm != want || s.Online {
				r.Errorf("verdict %s: status %+v", verdict, s)
			}
			h = r.hello(time.Minute)
		}
		// Headquarters has not noticed; the station does.
		r.w.st.sell()
		r.w.st.sell()
		r.station(func(s *station) { s.first = 3 })
		r.cursor(h, 1, plenty)
		time.Sleep(time.Second)
		if s := r.up.Status(); s.Alarm != uplink.Trimmed || s.Online {
			r.Errorf("trimmed: %+v", s)
		}
		h = r.hello(time.Minute)
		r.cursor(h, 3, plenty)
		r.state(time.Second)
		if s := r.up.Status(); s.Alarm != uplink.NoAlarm || !s.Online {
			r.Errorf("healed: %+v", s)
		}
	})
}

// TestGap: every batch behind a lost one makes headquarters repeat its cursor; the station goes back once.
func TestGap(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		r.station(func(s *station) { s.atOnce = 2 })
		for range 6 {
			r.w.st.sell()
		}
		for i, first := range []loyalty.Seq{2, 4, 6} {
			if b := r.batch(time.Second); b.First != first {
				r.Fatalf("batch %d begins at %d", i, b.First)
			}
		}
		hash, _ := r.hashAt(1)
		for range 3 {
			r.send(wire.Cursor, &pb.Cursor{Epoch: 1, Seq: 1, Hash: hash[:], Credit: plenty})
		}
		seen := map[loyalty.Seq]int{}
		for range 3 {
			seen[r.batch(time.Second).First]++
		}
		if seen[2] != 1 || seen[4] != 1 || seen[6] != 1 {
			r.Errorf("batches by their first entry: %v", seen)
		}
		r.nothing(time.Second)
		r.ack(7, plenty)
		r.nothing(20 * time.Second)
		if s := r.up.Status(); s.Returns != 1 || s.Backlog != 0 {
			r.Errorf("status %+v", s)
		}
	})
}

// TestNoProgress: without an acknowledgement the station greets again and goes on from the cursor.
func TestNoProgress(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		r.w.st.sell()
		r.batch(time.Second)
		h := r.hello(10 * time.Second)
		r.cursor(h, 1, plenty)
		if b := r.batch(time.Second); b.First != 2 {
			r.Errorf("the batch begins at %d", b.First)
		}
		hash, _ := r.hashAt(2)
		r.send(wire.Ack, &pb.Ack{Epoch: 1, Seq: 2, Hash: hash[:], Credit: plenty, Quarantined: []*pb.Quarantined{{Seq: 2, Reason: "no such account"}}})
		time.Sleep(time.Second)
		aside := 0
		r.station(func(s *station) { aside = len(s.aside) })
		if s := r.up.Status(); s.Backlog != 0 || s.Quarantined != 1 || aside != 1 {
			r.Errorf("status %+v, %d set aside", s, aside)
		}
	})
}

func TestFork(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		r.w.st.sell()
		r.batch(time.Second)
		h := r.hello(10 * time.Second)
		r.send(wire.Cursor, &pb.Cursor{Epoch: 4, Seq: 9, Hash: make([]byte, 32), Session: h.Session, Verdict: pb.Verdict_VERDICT_NEW_EPOCH})
		if h = r.hello(time.Second); h.Epoch != 5 || h.LastSeq != 1 {
			r.Errorf("hello of epoch %d, last %d", h.Epoch, h.LastSeq)
		}
		r.ack(1, plenty) // of the life before
		r.cursor(h, 0, plenty)
		if b := r.batch(time.Second); b.Epoch != 5 || b.First != 1 || b.Last() != 1 {
			r.Errorf("batch %d/%d to %d", b.Epoch, b.First, b.Last())
		}
	})
}

// TestLateCursor: one that passes for the answer and is of another epoch of the journal has the station ask again at once.
func TestLateCursor(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		h := r.hello(time.Second)
		r.send(wire.Cursor, &pb.Cursor{Epoch: 7, Seq: 3, Hash: make([]byte, 32), Credit: plenty, Session: h.Session})
		r.cursor(r.hello(time.Second), 0, plenty)
		r.opening()
	})
}

// TestForkFoundHere: headquarters, which cannot see behind its cursor, goes on; the station knows better.
func TestForkFoundHere(t *testing.T) {
	for name, c := range map[string]struct {
		seq  uint64
		hash wire.Hash
	}{
		"another entry at the cursor":   {seq: 1, hash: wire.Hash{1}},
		"another beginning":             {seq: 0, hash: wire.Hash{1}},
		"more than was ever written":    {seq: 9, hash: wire.Hash{1}},
		"another entry at the very end": {seq: 2, hash: wire.Hash{1}},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, nil, func(r *rig) {
				h := r.hello(time.Second)
				r.w.st.sell()
				r.send(wire.Cursor, &pb.Cursor{Epoch: 1, Seq: c.seq, Hash: c.hash[:], Credit: plenty, Session: h.Session})
				if h = r.hello(time.Second); h.Epoch != 2 || h.LastSeq != 2 {
					r.Errorf("hello of epoch %d, last %d", h.Epoch, h.LastSeq)
				}
				r.cursor(h, 0, plenty)
				if b := r.opening(); b.Epoch != 2 || b.Last() != 2 {
					r.Errorf("batch %d/%d to %d", b.Epoch, b.First, b.Last())
				}
			})
		})
	}
}

// TestAppendedDuringTheLastRead: an entry that is written between the look that finds nothing and its outcome is sent.
func TestAppendedDuringTheLastRead(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		once := false
		r.station(func(s *station) {
			s.onRead = func(found int) {
				if found == 0 && !once {
					once = true
					r.w.st.sell()
					time.Sleep(time.Millisecond) // the loop hears of it before this look has come to its end
				}
			}
		})
		r.w.st.sell()
		r.batch(time.Second)
		r.ack(2, plenty)
		if b := r.batch(time.Second); b.First != 3 {
			r.Errorf("the batch begins at %d", b.First)
		}
	})
}

func TestDownStream(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		notice := func(id uint64) []*pb.Item {
			return []*pb.Item{{Item: &pb.Item_Notice{Notice: &pb.Notice{Id: id}}}}
		}
		for _, c := range []struct {
			d    *pb.Down
			want *pb.DownAck
		}{
			{&pb.Down{Stream: 5, Through: 3, Items: notice(3)}, &pb.DownAck{Stream: 5, Seq: 3}},
			{&pb.Down{Stream: 5, Through: 3, Items: notice(3)}, &pb.DownAck{Stream: 5, Seq: 3}},           // twice
			{&pb.Down{Stream: 5, After: 7, Through: 9, Items: notice(9)}, &pb.DownAck{Stream: 5, Seq: 3}}, // something is missing
			{&pb.Down{Stream: 5, After: 3, Through: 9, Items: notice(9)}, &pb.DownAck{Stream: 5, Seq: 9}},
			{&pb.Down{Stream: 6, Through: 1, Items: notice(10)}, &pb.DownAck{Stream: 6, Seq: 1}}, // another stream
		} {
			r.send(wire.Down, c.d)
			a, err := wire.Decode[pb.DownAck](r.next(wire.DownAck, time.Second))
			if err != nil || a.Stream != c.want.Stream || a.Seq != c.want.Seq {
				r.Errorf("%v was acknowledged as %v, %v", c.d, a, err)
			}
		}
		r.station(func(s *station) {
			if s.disk.notice != 10 {
				r.Errorf("the last notice is %d", s.disk.notice)
			}
		})
	})
}

// TestNewsWaitsForRoom: a full ledger takes no news, and the session goes on.
func TestNewsWaitsForRoom(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		r.station(func(s *station) { s.full = true })
		news := &pb.Down{Stream: 5, Through: 3, Items: []*pb.Item{{Item: &pb.Item_Notice{Notice: &pb.Notice{Id: 3}}}}}
		for range 3 {
			r.send(wire.Down, news)
		}
		r.nothing(5 * time.Second)
		if s := r.up.Status(); !s.Online {
			r.Errorf("status %+v", s)
		}
		r.w.st.sell()
		r.batch(time.Second)
		r.ack(2, plenty)
		r.station(func(s *station) { s.full = false })
		r.send(wire.Down, news)
		if a, err := wire.Decode[pb.DownAck](r.next(wire.DownAck, time.Second)); err != nil || a.Seq != 3 {
			r.Errorf("acknowledged %v, %v", a, err)
		}
	})
}

// TestNonsense: what is malformed, or for another, changes nothing.
func TestNonsense(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.online()
		for _, k := range wire.ToStation() {
			for _, p := range [][]byte{{0xff}, make([]byte, 100), []byte("hello")} {
				if err := r.hq.Publish(r.Context(), wire.Topic(simStation, k), p); err != nil {
					r.Fatal(err)
				}
			}
		}
		hash := make([]byte, 32)
		r.send(wire.Ack, &pb.Ack{Epoch: 3, Seq: 9, Hash: hash}) // another epoch
		r.nothing(time.Second)
		if s := r.up.Status(); !s.Online || s.Malformed == 0 || s.Acked != 1 {
			r.Errorf("status %+v", s)
		}
		// An acknowledgement of another journal ends the session; the greeting settles it.
		r.send(wire.Ack, &pb.Ack{Epoch: 1, Seq: 9, Hash: hash, Credit: plenty})
		h := r.hello(time.Minute)
		if s := r.up.Status(); h.LastSeq != 1 || s.Acked != 1 {
			r.Errorf("hello %v, status %+v", h, s)
		}
	})
}

// TestWaits: the waits between attempts are bounded by a limit that doubles.
func TestWaits(t *testing.T) {
	longest := func(limit time.Duration) time.Duration { return limit }
	inRig(t, func(c *uplink.Config) { c.FirstWait, c.Jitter = 3*time.Second, longest }, func(r *rig) {
		r.mu.Lock()
		r.noLine = true
		r.mu.Unlock()
		began := time.Now()
		time.Sleep(10 * time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		last := began
		for i, want := range []time.Duration{3 * time.Second, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
			if got := r.dials[i].Sub(last); got != want {
				r.Errorf("attempt %d comes after %s, want %s", i, got, want)
			}
			last = r.dials[i]
		}
	})
}

// TestSilence: a broker without headquarters behind it is left in the end; another may be better.
func TestSilence(t *testing.T) {
	inRig(t, func(c *uplink.Config) { c.GiveUp = 2 * time.Minute }, func(r *rig) {
		time.Sleep(3 * time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.dials) != 2 {
			r.Errorf("%d connections in three minutes", len(r.dials))
		}
	})
}
