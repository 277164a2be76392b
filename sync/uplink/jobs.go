package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// startJobs gives every idle worker what is most urgent for it.
func (l *loop) startJobs() {
	if !l.control.busy {
		l.startControl()
	}
	if !l.learn.busy && len(l.answers) > 0 {
		a := l.answers[0]
		l.answers = l.answers[1:]
		l.learn.do(func() func() { return l.learnAnswer(a) })
	}
	if !l.book.busy {
		l.startBook()
	}
	if !l.drain.busy {
		l.startDrain()
	}
}

// startControl: a cashier's question goes first, then what keeps the protocol going, then what people look at.
func (l *loop) startControl() {
	now := time.Now()
	var ask *pb.Ask
	if l.open {
		ask = l.u.nextAsk()
	}
	switch {
	case ask != nil:
		l.control.do(func() func() { return l.sent("ask", l.publish(wire.Ask, ask)) })
	case l.greet:
		l.greet, l.greeted = false, now
		l.u.session++
		session := l.u.session
		l.session = session
		l.control.do(func() func() { return l.sent("say hello", l.sayHello(session)) })
	case l.receipt != nil:
		r := l.receipt
		l.receipt = nil
		l.control.do(func() func() { return l.sent("acknowledge the down-stream", l.publish(wire.DownAck, r)) })
	case !l.stateAt.IsZero() && !now.Before(l.stateAt):
		l.stateAt = now.Add(l.u.cfg.StateEvery)
		session, online := l.connection, !l.silent
		l.control.do(func() func() { return l.sent("publish the state", l.publishState(session, online)) })
	}
}

// sent is the outcome of a publish: the session ends if the carrier did not take the message.
func (l *loop) sent(what string, err error) func() {
	return func() {
		if err != nil {
			l.fail(what, err)
		}
	}
}

type message interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}

func (l *loop) publish(k wire.Kind, m message) error {
	b, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return l.put(wire.Topic(l.u.cfg.Station, k), b)
}

func (l *loop) put(topic string, payload []byte) error {
	ctx, cancel := context.WithTimeout(l.ctx, l.u.cfg.PublishTimeout)
	defer cancel()
	return l.carrier.Publish(ctx, topic, payload)
}

func (l *loop) sayHello(session uint64) error {
	pos, err := l.u.cfg.Journal.Position(l.ctx)
	if err != nil {
		return err
	}
	l.u.update(func(s *Status) { s.Hellos++ })
	return l.publish(wire.Hello, &pb.Hello{
		Station: uint32(l.u.cfg.Station), Epoch: uint32(pos.Epoch), Nonce: pos.Nonce[:], FirstSeq: uint64(pos.First),
		LastSeq: uint64(pos.Last), LastHash: pos.LastHash[:], Boot: pos.Boot[:], Version: l.u.cfg.Version,
		Schema: wire.Schema, Session: session, DownStream: pos.DownStream, DownSeq: pos.DownSeq,
	})
}

func (l *loop) publishState(session uint64, online bool) error {
	pos, err := l.u.cfg.Journal.Position(l.ctx)
	if err != nil {
		return err
	}
	m, err := l.u.state(pos, session, online)
	if err != nil {
		return err
	}
	return l.put(m.Topic, m.Payload)
}

// startBook: an acknowledgement lets the journal be trimmed, the cursor lets it be sent.
func (l *loop) startBook() {
	switch {
	case l.ack != nil:
		a := l.ack
		l.ack = nil
		l.book.do(func() func() {
			err := l.u.cfg.Journal.Acked(l.ctx, a.epoch, a.seq, a.hash, a.quarantined)
			return l.sent("note the acknowledgement", err)
		})
	case l.cursor != nil:
		c := l.cursor
		l.cursor = nil
		l.book.do(func() func() {
			next := l.compare(c)
			return func() {
				l.going = l.cursor != nil
				next()
			}
		})
	case len(l.downs) > 0:
		d := l.downs[0]
		l.downs = l.downs[1:]
		l.book.do(func() func() { return l.applyDown(d) })
	}
}

// compare holds headquarters' cursor against the journal and returns how to go on.
func (l *loop) compare(c *whereTo) func() {
	j := l.u.cfg.Journal
	pos, err := j.Position(l.ctx)
	if err != nil {
		return l.sent("read the journal's position", err)
	}
	epoch, seq := loyalty.Epoch(c.Epoch), loyalty.Seq(c.Seq)
	switch {
	case c.Verdict == pb.Verdict_VERDICT_NEW_EPOCH && epoch < pos.Epoch:
		return l.greetAgain // it has begun already
	case c.Verdict == pb.Verdict_VERDICT_NEW_EPOCH:
		return l.fork(max(epoch, pos.Epoch), "headquarters has another journal of this station")
	case c.Verdict != pb.Verdict_VERDICT_OK:
		return func() { l.refused(cmp.Or(alarms[c.Verdict], TooOld)) }
	case epoch != pos.Epoch:
		return l.greetAgain // of a hello before the epoch began, perhaps of another life of this process
	case seq > pos.Last:
		return l.fork(epoch, fmt.Sprintf("headquarters has entry %d, the journal ends at %d", seq, pos.Last))
	case seq+1 < pos.First:
		return func() { l.refused(Trimmed) }
	}
	if hash := wire.Hash(c.Hash); seq >= pos.First || seq == pos.Last || seq == 0 {
		own := wire.Genesis(pos.Station, pos.Epoch, pos.Nonce)
		if seq > 0 {
			if own, err = j.HashAt(epoch, seq); err != nil {
				return l.sent("read the journal", err)
			}
		}
		if own != hash {
			return l.fork(epoch, fmt.Sprintf("entry %d is %s here and %s at headquarters", seq, own, hash))
		}
		if seq > pos.Acked {
			if err := j.Acked(l.ctx, epoch, seq, hash, nil); err != nil {
				return l.sent("note the acknowledgement", err)
			}
		}
	}
	return func() { l.begin(c, epoch) }
}

// greetAgain asks anew where headquarters stand, unless that is under way: a late cursor has passed for the answer to the
// last hello, and as long as headquarters talk of other things no silence would have it repeated.
func (l *loop) greetAgain() {
	if l.greeted.IsZero() {
		l.greet = true
	}
}

// fork gives the journal a new life.
func (l *loop) fork(above loyalty.Epoch, reason string) func() {
	l.u.cfg.Log.Error("the journal forks from what headquarters has: a new epoch begins", "above", uint32(above), "reason", reason)
	if err := l.u.cfg.Journal.NewEpochAbove(l.ctx, above, reason); err != nil {
		return l.sent("begin a new epoch", err)
	}
	return func() {
		l.stop()
		l.epoch, l.ack, l.greet = 0, nil, true // acknowledgements of the old life are void
	}
}

// stop ends the sending of batches until a cursor lets it begin again.
func (l *loop) stop() {
	l.open, l.rtoAt = false, time.Time{}
	l.gen++
	l.window.clear()
}

// refused: headquarters does not take the journal. A heartbeat asks again.
func (l *loop) refused(a Alarm) {
	l.stop()
	l.u.setAlarm(a)
	l.u.setOnline(false, string(a))
}

// begin sends from behind a cursor.
func (l *loop) begin(c *whereTo, epoch loyalty.Epoch) {
	switch seq := loyalty.Seq(c.Seq); {
	case l.session != c.hello:
		return // another hello is under way
	case c.repeated && (!l.open || epoch != l.epoch || seq < l.acked):
		return // overtaken by an acknowledgement
	case epoch != l.epoch:
		l.highest, l.returned = 0, 0
	case l.open && seq+1 < l.next:
		l.u.update(func(s *Status) { s.Returns++ })
	}
	now := time.Now()
	l.stop()
	l.open, l.due, l.lingerAt = true, true, time.Time{}
	l.epoch, l.acked, l.credit = epoch, loyalty.Seq(c.Seq), c.Credit
	l.next, l.prev = l.acked+1, wire.Hash(c.Hash)
	if l.firstOpen.IsZero() {
		l.firstOpen, l.stateAt = now, now // the birth
	}
	l.u.setAlarm(NoAlarm)
	l.u.setOnline(true, "")
	l.u.update(func(s *Status) { s.Credit, s.Window = c.Credit, l.window.size })
}

// startDrain sends the next batch if there may be one. None is started while a question waits for its answer.
func (l *loop) startDrain() {
	if !l.open || !l.due || l.going || l.greet || !l.greeted.IsZero() || l.heldUp() {
		return
	}
	room := l.window.room(l.credit)
	if room == 0 {
		return
	}
	l.fresh = false
	gen, epoch, first, prev := l.gen, l.epoch, l.next, l.prev
	l.drain.do(func() func() {
		entries, forms, err := l.read(epoch, first, room)
		switch {
		case err != nil:
			return l.readFailed(gen, err)
		case len(entries) == 0:
			return func() {
				l.due = l.fresh || gen != l.gen
			}
		}
		payload, n, last, err := wire.SealBatch(epoch, first, prev, entries, forms...)
		if err != nil {
			return l.sent("seal a batch", err)
		}
		at := time.Now()
		if err := l.put(wire.Topic(l.u.cfg.Station, wire.Up), payload); err != nil {
			return l.sent("send a batch", err)
		}
		return func() { l.batchSent(gen, first, n, last, len(payload), at) }
	})
}

// read reads entries and the forms that go with them, together within room but at least one entry. Where a form is gone by
// the time it is looked for, headquarters has acknowledged its entry meanwhile and passes over it.
func (l *loop) read(epoch loyalty.Epoch, first loyalty.Seq, room int) ([][]byte, []wire.Form, error) {
	entries, err := l.u.cfg.Journal.Read(l.ctx, epoch, first, wire.MaxBatch, room)
	if err != nil || len(entries) == 0 {
		return nil, nil, err
	}
	forms, err := l.u.cfg.Journal.Forms(l.ctx, epoch, first, first+loyalty.Seq(len(entries))-1)
	if err != nil {
		return nil, nil, err
	}
	n, rest := 0, forms
	for ; n < len(entries); n++ {
		room -= len(entries[n])
		for len(rest) > 0 && rest[0].Seq <= first+loyalty.Seq(n) {
			room -= len(rest[0].Bytes)
			rest = rest[1:]
		}
		if room < 0 && n > 0 {
			break
		}
	}
	return entries[:n], forms, nil
}

// longestHold is how long questions may hold the journal up: a register that asks without a pause must not keep
// everything else from headquarters.
const longestHold = 2 * time.Second

// heldUp tells whether a batch has to wait because somebody waits for an answer. Every question wakes the loop, so that
// the end of the hold is seen without a timer.
func (l *loop) heldUp() bool {
	if !l.u.asking() {
		l.held = time.Time{}
		return false
	}
	if l.held.IsZero() {
		l.held = time.Now()
	}
	if time.Since(l.held) < longestHold {
		return true
	}
	l.held = time.Time{}
	return false
}

// readFailed: entries may be gone because a new epoch has just begun, and then a hello is under way.
func (l *loop) readFailed(gen int, err error) func() {
	return func() {
		if gen == l.gen && !errors.Is(err, context.Canceled) {
			l.fail("read the journal", err)
		}
	}
}

func (l *loop) batchSent(gen int, first loyalty.Seq, n int, last wire.Hash, bytes int, at time.Time) {
	l.u.update(func(s *Status) {
		s.Batches, s.Entries, s.Bytes = s.Batches+1, s.Entries+uint64(n), s.Bytes+uint64(bytes)
	})
	if gen != l.gen {
		return
	}
	end := first + loyalty.Seq(n) - 1
	l.window.sent(parcel{last: end, bytes: bytes, at: at, again: first <= l.highest})
	l.next, l.prev, l.highest = end+1, last, max(l.highest, end)
	if l.rtoAt.IsZero() {
		l.watchProgress(time.Now())
	}
}

// applyDown commits items of the down-stream and says where it stands now, whatever became of them.
func (l *loop) applyDown(d *pb.Down) func() {
	err := l.u.cfg.Mirror.ApplyDown(l.ctx, d)
	if errors.Is(err, wire.ErrMessage) {
		return func() {
			l.u.update(func(s *Status) { s.Malformed++ })
			l.u.cfg.Log.Error("cannot apply what headquarters sent", "error", err, "after", d.After, "through", d.Through)
		}
	}
	if errors.Is(err, loyalty.StorageFull) { // headquarters sends again what is not acknowledged, with pauses
		return func() {
			if !l.postponed {
				l.u.cfg.Log.Warn("what headquarters sends has to wait until there is room", "error", err)
			}
			l.postponed = true
		}
	}
	if err != nil {
		return l.sent("apply the down-stream", err)
	}
	pos, err := l.u.cfg.Journal.Position(l.ctx)
	if err != nil {
		return l.sent("read the journal's position", err)
	}
	return func() {
		l.receipt, l.postponed = &pb.DownAck{Stream: pos.DownStream, Seq: pos.DownSeq}, false
	}
}

func (l *loop) learnAnswer(a *pb.Answer) func() {
	var err error
	if a.Card != nil || a.Snapshot != nil || a.Grant != nil {
		err = l.u.cfg.Mirror.Learn(l.ctx, a)
	}
	l.u.answered(a, err)
	return func() {
		if err != nil {
			l.u.cfg.Log.Error("cannot learn an answer of headquarters", "error", err)
		}
	}
}
