package uplink

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// receive takes in a message. One that is malformed or meant for another is counted and dropped.
func (l *loop) receive(m wire.Message) {
	station, kind, err := wire.ParseTopic(m.Topic)
	if err == nil && station != l.u.cfg.Station {
		return
	}
	if err == nil {
		switch kind {
		case wire.Cursor:
			err = decode(m.Payload, l.onCursor)
		case wire.Ack:
			err = decode(m.Payload, l.onAck)
		case wire.Down:
			err = decode(m.Payload, l.onDown)
		case wire.Answer:
			err = decode(m.Payload, l.onAnswer)
		}
	}
	if err != nil {
		l.u.update(func(s *Status) { s.Malformed++ })
		l.u.cfg.Log.Warn("dropped a message", "topic", m.Topic, "error", err)
	}
}

func decode[T any, P interface {
	*T
	UnmarshalVT([]byte) error
}](payload []byte, then func(P)) error {
	m, err := wire.Decode[T, P](payload)
	if err == nil {
		then(m)
	}
	return err
}

// onCursor: an answer to the last hello is authoritative. Any other cursor says that headquarters misses something; it
// may as well be late or repeated, so that it only counts if it is news.
func (l *loop) onCursor(c *pb.Cursor) {
	answers := c.Session == l.session && !l.greeted.IsZero()
	if !answers && c.Session != 0 && c.Session != l.session {
		return
	}
	l.hears(c.Time)
	if answers {
		l.greeted, l.patience, l.going = time.Time{}, helloWait, true
		l.cursor = &whereTo{Cursor: c, hello: l.session}
		return
	}
	seq := loyalty.Seq(c.Seq)
	if l.greeted.IsZero() && c.Verdict != pb.Verdict_VERDICT_OK {
		l.greet = true // only the answer to a hello can say so for certain
	}
	if !l.open || l.going || c.Verdict != pb.Verdict_VERDICT_OK || loyalty.Epoch(c.Epoch) != l.epoch {
		return
	}
	if seq >= l.acked {
		l.credit = c.Credit
		l.advance(seq, wire.Hash(c.Hash), nil)
	}
	// Every batch behind a lost one makes headquarters repeat its cursor: go back once.
	if seq >= l.acked && seq+1 < l.next && seq+1 != l.returned {
		l.going, l.returned = true, seq+1
		l.cursor = &whereTo{Cursor: c, hello: l.session, repeated: true}
	}
}

func (l *loop) onAck(a *pb.Ack) {
	if loyalty.Epoch(a.Epoch) != l.epoch {
		return
	}
	l.hears(a.Time)
	seq := loyalty.Seq(a.Seq)
	if seq >= l.acked {
		l.credit = a.Credit
	}
	l.advance(seq, wire.Hash(a.Hash), a.Quarantined)
}

// advance takes in that headquarters has committed everything through seq.
func (l *loop) advance(seq loyalty.Seq, hash wire.Hash, quarantined []*pb.Quarantined) {
	now := time.Now()
	if seq > l.acked {
		l.acked = seq
		l.window.acked(seq, now)
		l.returned = 0
		if seq >= l.next { // committed from an earlier session's batches: go on behind them
			l.next, l.prev = seq+1, hash
			l.gen++
			l.window.clear()
		}
		l.watchProgress(now)
		l.due = true
		l.u.update(func(s *Status) {
			s.LastAck, s.RoundTrip, s.Window, s.Credit = now, l.window.smooth, l.window.size, l.credit
		})
	} else if len(quarantined) == 0 {
		return
	}
	if l.ack == nil || l.ack.epoch != l.epoch {
		l.ack = &pendingAck{epoch: l.epoch}
	}
	if seq >= l.ack.seq {
		l.ack.seq, l.ack.hash = seq, hash
	}
	if room := wire.MaxQuarantined*4 - len(l.ack.quarantined); room > 0 {
		l.ack.quarantined = append(l.ack.quarantined, quarantined[:min(room, len(quarantined))]...)
	}
	l.u.update(func(s *Status) { s.Quarantined += uint64(len(quarantined)) })
}

// watchProgress sets the clock that sends a hello when nothing is acknowledged any more.
func (l *loop) watchProgress(now time.Time) {
	if l.window.bytes == 0 {
		l.rtoAt = time.Time{}
		return
	}
	l.rtoAt = now.Add(l.window.timeout())
}

func (l *loop) onDown(d *pb.Down) {
	l.hears(d.Time)
	if len(l.downs) < maxDowns { // headquarters sends again what is not acknowledged
		l.downs = append(l.downs, d)
	}
}

func (l *loop) onAnswer(a *pb.Answer) {
	l.hears(a.Time)
	if len(l.answers) < maxAnswers {
		l.answers = append(l.answers, a)
	}
}
