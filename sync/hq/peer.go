package hq

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// window bounds how many messages of a down-stream are on the way to one station.
const window = 4

// The down-stream is sent again from what was acknowledged if that has not moved for retryAfter, and no more than
// maxRetries times until the station gives another sign of life.
const (
	retryAfter = 10 * time.Second
	maxRetries = 5
)

// peer is what the receiver remembers of a station between its messages: nothing that could not be had again from the
// books or by the station's next message.
type peer struct {
	seen    Sighting
	unsaved bool // seen is newer than the books
	cursor  Cursor
	last    loyalty.Seq // the station's last entry, as far as it has said
	hello   uint64      // session of the last hello

	stream    Stream
	sent      uint64   // down-stream sent through this
	onTheWay  []uint64 // where each message on the way ends
	progress  time.Time
	retries   int
	elsewhere bool // it acknowledges another stream than the one it is sent
}

// backlog is how many entries the station has that the books do not.
func (p *peer) backlog() uint64 {
	if p.last <= p.cursor.Seq {
		return 0
	}
	return uint64(p.last - p.cursor.Seq)
}

// heard notes a sign of life that is not the station's own word on its state.
func (p *peer) heard(at loyalty.Instant) {
	p.seen.Online, p.seen.At = true, at
	p.retries = 0
	p.unsaved = true
}

// restless is for how long a hello does not disturb what is on the way: a station also says hello to hear that
// headquarters is there.
const restless = 2 * time.Second

// greeted takes in where the station has the down-stream.
func (p *peer) greeted(st Stream, now time.Time) {
	if p.stream.ID == st.ID && len(p.onTheWay) > 0 && now.Sub(p.progress) < restless {
		p.acked(st.Acked, now)
		return
	}
	p.resume(st, now)
}

// state takes in the station's word, or its will: a will of an older session than the newest heard says nothing.
func (p *peer) state(m *pb.State, at loyalty.Instant) (taken bool) {
	if m.Session < p.seen.Session {
		return false
	}
	p.seen = Sighting{
		Station: p.seen.Station, Session: m.Session, Online: m.Online, At: at, Version: m.Version, Backlog: m.Backlog,
		OldestUnsent: loyalty.Instant(m.OldestUnsent), Clock: loyalty.ClockMark(min(m.Clock, uint32(loyalty.ClockAhead))),
		DiskFree: m.DiskFree, LastSeq: loyalty.Seq(m.LastSeq),
	}
	if loyalty.Epoch(m.Epoch) == p.cursor.Epoch {
		p.last = max(p.last, loyalty.Seq(m.LastSeq))
	}
	p.retries = 0
	p.unsaved = true
	return true
}

// resume places the down-stream.
func (p *peer) resume(st Stream, now time.Time) {
	p.stream, p.sent, p.onTheWay = st, st.Acked, nil
	p.progress, p.retries, p.elsewhere = now, 0, false
}

// acked notes how far the station has the down-stream.
func (p *peer) acked(seq uint64, now time.Time) {
	p.elsewhere = false
	if seq <= p.stream.Acked {
		return
	}
	p.stream.Acked, p.progress, p.retries = seq, now, 0
	p.sent = max(p.sent, seq)
	for len(p.onTheWay) > 0 && p.onTheWay[0] <= seq {
		p.onTheWay = p.onTheWay[1:]
	}
}

// mayDown tells whether another message may be sent now.
func (p *peer) mayDown() bool {
	return p.seen.Online && p.stream.ID != 0 && len(p.onTheWay) < window && p.retries < maxRetries
}

// overdue tells whether what is on the way has to be sent again.
func (p *peer) overdue(now time.Time) bool {
	return p.seen.Online && len(p.onTheWay) > 0 && p.retries < maxRetries && now.Sub(p.progress) >= retryAfter
}
