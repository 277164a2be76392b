package hq

import (
	"context"
	"errors"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// message is what can be encoded for the wire.
type message interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}

// send queues a message to a station behind those before it.
func (l *link) send(ctx context.Context, station loyalty.StationID, kind wire.Kind, m message) {
	payload, err := wire.Encode(m)
	if err != nil {
		l.log.Error("a message could not be encoded", "station", station, "kind", kind, "error", err)
		return
	}
	select {
	case l.out[station%lanes] <- outgoing{station, kind, payload}:
	case <-ctx.Done():
	}
}

// sends publishes what is queued for the stations of a lane.
func (l *link) sends(ctx context.Context, queue chan outgoing) {
	for {
		select {
		case o := <-queue:
			l.publish(ctx, o.station, o.kind, o.payload)
		case <-ctx.Done():
			return
		}
	}
}

func (l *link) publish(ctx context.Context, station loyalty.StationID, kind wire.Kind, payload []byte) bool {
	err := l.session.Publish(ctx, wire.Topic(station, kind), payload)
	if err != nil && ctx.Err() == nil {
		l.log.Warn("could not publish", "station", station, "kind", kind, "error", err)
	}
	return err == nil
}

// controls handles the hellos and down-stream acknowledgements of a lane.
func (l *link) controls(ctx context.Context, queue chan wire.Message) {
	for {
		select {
		case m := <-queue:
			station, kind, err := wire.ParseTopic(m.Topic)
			switch {
			case err != nil:
			case kind == wire.Hello:
				err = l.hello(ctx, station, m.Payload)
			default:
				err = l.downAck(ctx, station, m.Payload)
			}
			if err != nil && ctx.Err() == nil {
				l.refused(station, kind, err)
				l.fail(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *link) hello(ctx context.Context, station loyalty.StationID, payload []byte) error {
	h, err := ParseHello(station, payload)
	if err != nil {
		return err
	}
	g, err := l.books.Hello(ctx, h)
	if err != nil {
		return err
	}
	now := l.books.Now()
	credit := uint64(0)
	l.alarms(g.Alarms)
	l.with(ctx, station, func(p *peer) {
		if g.Late {
			return
		}
		p.cursor, p.last = g.Cursor, h.Last
		p.heard(now)
		p.hello, p.seen.Version, p.seen.Backlog, p.seen.LastSeq = h.Session, h.Version, p.backlog(), h.Last
		if g.Verdict == pb.Verdict_VERDICT_OK {
			p.greeted(g.Stream, time.Now())
			credit = l.credit.give(station, p.backlog(), time.Now())
		}
	})
	l.countOnline()
	log := l.log.Debug
	if g.Verdict != pb.Verdict_VERDICT_OK {
		log = l.log.Warn
	}
	log("hello", "station", station, "epoch", h.Epoch, "last", h.Last, "cursor", g.Cursor.Seq, "verdict", g.Verdict, "version", h.Version)
	l.send(ctx, station, wire.Cursor, &pb.Cursor{
		Epoch: uint32(g.Cursor.Epoch), Seq: uint64(g.Cursor.Seq), Hash: g.Cursor.Hash[:], Credit: credit, Time: int64(now),
		MinSchema: MinSchema, Session: h.Session, Verdict: g.Verdict,
	})
	if g.Verdict == pb.Verdict_VERDICT_OK {
		if len(g.SetAside) > 0 {
			l.send(ctx, station, wire.Ack, ack(g.Cursor, credit, now, g.SetAside))
		}
		l.books.wake.push(station)
	}
	return nil
}

func ack(c Cursor, credit uint64, now loyalty.Instant, aside []SetAsideEntry) *pb.Ack {
	m := &pb.Ack{Epoch: uint32(c.Epoch), Seq: uint64(c.Seq), Hash: c.Hash[:], Credit: credit, Time: int64(now)}
	for _, e := range aside {
		m.Quarantined = append(m.Quarantined, e.Message())
	}
	return m
}

func (l *link) downAck(ctx context.Context, station loyalty.StationID, payload []byte) error {
	m, err := wire.Decode[pb.DownAck](payload)
	if err != nil {
		return err
	}
	ok, err := l.books.DownAcked(ctx, station, Stream{ID: m.Stream, Acked: m.Seq})
	if err != nil {
		return err
	}
	l.with(ctx, station, func(p *peer) {
		p.heard(l.books.Now())
		if ok && p.stream.ID == m.Stream {
			p.acked(m.Seq, time.Now())
		} else {
			p.elsewhere = true
		}
	})
	l.books.wake.push(station)
	return nil
}

// posts puts batches into the books: all that are waiting in one transaction, and never waiting for more.
func (l *link) posts(ctx context.Context) {
	for {
		select {
		case a := <-l.batches:
			l.postGroup(ctx, l.gather(a))
		case <-ctx.Done():
			return
		}
	}
}

func (l *link) gather(first *arrival) []*Batch {
	group, n := []*Batch{first.Batch}, len(first.Entries)
	l.queued.Add(-first.size)
	for n < l.cfg.Group {
		select {
		case a := <-l.batches:
			group, n = append(group, a.Batch), n+len(a.Entries)
			l.queued.Add(-a.size)
		default:
			return group
		}
	}
	return group
}

func (l *link) postGroup(ctx context.Context, group []*Batch) {
	began := time.Now()
	res, err := l.books.Post(ctx, group)
	if err != nil {
		l.notPosted(ctx, group, err)
		return
	}
	l.cfg.Metrics.group(res, time.Since(began))
	l.alarms(res.Alarms)
	for _, reply := range replies(group, res) {
		l.reply(ctx, reply)
	}
}

// notPosted is a group that was not committed. Unless it is the store that has failed, something in the books of one of
// its stations or accounts is wrong: the others do not wait for it.
func (l *link) notPosted(ctx context.Context, group []*Batch, err error) {
	if ctx.Err() != nil {
		return
	}
	l.cfg.Metrics.failed.Inc()
	if errors.Is(err, ErrBroken) || len(group) == 1 {
		l.log.Error("a group was not committed", "station", group[0].Station, "batches", len(group), "error", err)
		l.fail(err)
		return
	}
	l.log.Warn("a group was not committed: batch by batch", "batches", len(group), "error", err)
	for i := range group {
		l.postGroup(ctx, group[i:i+1])
	}
}

// alarms tells the log of what a person has to look at, once it is in the books.
func (l *link) alarms(as []Alarm) {
	for i := range as {
		l.cfg.Metrics.alarms.WithLabelValues(string(as[i].Kind)).Inc()
		l.told.tell(l.log, &as[i], time.Now())
	}
}

// stationReply is what a station is told of a group: one acknowledgement, one cursor, or both.
type stationReply struct {
	station loyalty.StationID
	cursor  Cursor
	last    loyalty.Seq
	taken   bool
	verdict Verdict // the worst
	aside   []SetAsideEntry
}

// replies sums up a group by station, in the order of their first batches.
func replies(group []*Batch, res *Result) []*stationReply {
	by := map[loyalty.StationID]*stationReply{}
	var out []*stationReply
	for i, b := range group {
		r := by[b.Station]
		if r == nil {
			r = &stationReply{station: b.Station}
			by[b.Station] = r
			out = append(out, r)
		}
		rc := &res.Receipts[i]
		r.cursor = rc.Cursor
		r.taken = r.taken || rc.Verdict == Taken
		r.verdict = max(r.verdict, rc.Verdict)
		r.aside = append(r.aside, rc.SetAside...)
		if b.Epoch == rc.Cursor.Epoch {
			r.last = max(r.last, b.Last())
		}
	}
	return out
}

func (l *link) reply(ctx context.Context, r *stationReply) {
	now := l.books.Now()
	credit, session := uint64(leastCredit), uint64(0)
	known := l.with(ctx, r.station, func(p *peer) {
		p.cursor, p.last = r.cursor, max(p.last, r.last)
		p.heard(now)
		credit, session = l.credit.give(r.station, p.backlog(), time.Now()), p.hello
	})
	if r.taken && known {
		for first := true; first || len(r.aside) > 0; first = false {
			n := min(len(r.aside), wire.MaxQuarantined/4) // so that the longest reasons fit a message
			l.send(ctx, r.station, wire.Ack, ack(r.cursor, credit, now, r.aside[:n]))
			r.aside = r.aside[n:]
		}
	}
	if r.verdict != Taken {
		l.send(ctx, r.station, wire.Cursor, &pb.Cursor{
			Epoch: uint32(r.cursor.Epoch), Seq: uint64(r.cursor.Seq), Hash: r.cursor.Hash[:], Credit: credit, Time: int64(now),
			MinSchema: MinSchema, Session: session, Verdict: r.verdict.wire(),
		})
	}
}

// wire is the verdict as a cursor says it.
func (v Verdict) wire() pb.Verdict {
	switch v {
	case Forked:
		return pb.Verdict_VERDICT_NEW_EPOCH
	case Stranger:
		return pb.Verdict_VERDICT_UNKNOWN_STATION
	}
	return pb.Verdict_VERDICT_OK
}

// answers answers questions. They do not wait behind the batches: they share their commits.
func (l *link) answers(ctx context.Context) {
	for {
		select {
		case m := <-l.asks:
			station, _, err := wire.ParseTopic(m.Topic)
			if err == nil {
				err = l.answer(ctx, station, m.Payload)
			}
			if err != nil && ctx.Err() == nil {
				l.refused(station, wire.Ask, err)
				l.fail(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *link) answer(ctx context.Context, station loyalty.StationID, payload []byte) error {
	began := time.Now()
	a, err := ParseAsk(payload)
	if err != nil {
		return err
	}
	r, err := l.books.Answer(ctx, station, a)
	if err != nil {
		return err
	}
	out, err := wire.Encode(r.Answer)
	if err != nil {
		return err
	}
	l.cfg.Metrics.answered(a, &r, time.Since(began))
	l.alarms(r.Alarms)
	l.publish(ctx, station, wire.Answer, out)
	l.with(ctx, station, func(p *peer) { p.heard(l.books.Now()) })
	return nil
}

// pumps sends the down-streams of a lane.
func (l *link) pumps(ctx context.Context, n int) {
	for {
		station, ok := l.books.wake.pop(ctx, n)
		if !ok {
			return
		}
		for l.pump(ctx, station) {
		}
	}
}

// pump sends the next message of a down-stream; false if there is none or it may not be sent yet.
func (l *link) pump(ctx context.Context, station loyalty.StationID) bool {
	var st Stream
	var after uint64
	may := false
	l.with(ctx, station, func(p *peer) { may, st, after = p.mayDown(), p.stream, p.sent })
	if !may || ctx.Err() != nil {
		return false
	}
	d, err := l.books.Down(ctx, station, st, after)
	if err != nil {
		if ctx.Err() == nil {
			l.log.Error("a down-stream could not be read", "station", station, "error", err)
			l.fail(err)
		}
		return false
	}
	if d == nil {
		return false
	}
	payload, err := wire.Encode(d)
	if err != nil {
		l.log.Error("a message could not be encoded", "station", station, "kind", wire.Down, "error", err)
		return false
	}
	if !l.publish(ctx, station, wire.Down, payload) {
		return false
	}
	l.with(ctx, station, func(p *peer) {
		if p.stream.ID == st.ID && p.sent == after {
			if len(p.onTheWay) == 0 {
				p.progress = time.Now()
			}
			p.sent, p.onTheWay = d.Through, append(p.onTheWay, d.Through)
		}
	})
	return true
}

// sweep is how often what is overdue is looked for.
const sweep = 2 * time.Second

func (l *link) sweeps(ctx context.Context) {
	t := time.NewTicker(sweep)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.resend(ctx)
			l.turns(ctx)
			l.saveSightings(ctx)
			l.countOnline()
		case <-ctx.Done():
			return
		}
	}
}

// resend goes back to what was acknowledged where nothing has moved for too long.
func (l *link) resend(ctx context.Context) {
	var again, restart []loyalty.StationID
	now := time.Now()
	l.mu.Lock()
	for id, p := range l.peers {
		if !p.overdue(now) {
			continue
		}
		if p.elsewhere {
			restart = append(restart, id)
			continue
		}
		retries := p.retries + 1
		p.resume(p.stream, now)
		p.retries = retries
		again = append(again, id)
	}
	l.mu.Unlock()
	l.books.wake.push(again...)
	for _, id := range restart {
		st, err := l.books.RestartDown(ctx, id)
		if err != nil {
			l.fail(err)
			continue
		}
		l.with(ctx, id, func(p *peer) { p.resume(st, now) })
		l.log.Warn("the down-stream begins anew: the station follows another", "station", id)
		l.books.wake.push(id)
	}
}

// turns gives credit to the stations that waited for it.
func (l *link) turns(ctx context.Context) {
	now := l.books.Now()
	type turn struct {
		station loyalty.StationID
		cursor  Cursor
		credit  uint64
	}
	var turns []turn
	l.mu.Lock()
	for _, id := range l.credit.next(time.Now()) {
		if p := l.peers[id]; p != nil {
			turns = append(turns, turn{id, p.cursor, l.credit.give(id, p.backlog(), time.Now())})
		}
	}
	l.mu.Unlock()
	for _, t := range turns {
		l.send(ctx, t.station, wire.Ack, ack(t.cursor, t.credit, now, nil))
	}
}

// saveSightings writes what the stations have said of themselves into the books.
func (r *Receiver) saveSightings(ctx context.Context) {
	var seen []Sighting
	r.mu.Lock()
	for _, p := range r.peers {
		if p.unsaved {
			p.unsaved = false
			seen = append(seen, p.seen)
		}
	}
	r.mu.Unlock()
	if len(seen) == 0 {
		return
	}
	if err := r.books.Saw(ctx, seen); err != nil && ctx.Err() == nil {
		r.log.Warn("the stations' states were not saved", "error", err)
	}
}
