package hq

import (
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// MinSchema is the lowest schema that an agent may speak; the highest is [wire.Schema].
const MinSchema = 1

// Hello is a station's greeting, its bounds checked.
type Hello struct {
	Station    loyalty.StationID
	Epoch      loyalty.Epoch
	Nonce      wire.Nonce
	First      loyalty.Seq
	Last       loyalty.Seq
	LastHash   wire.Hash
	Boot       [16]byte
	Version    string
	Schema     uint32
	Session    uint64
	DownStream uint64
	DownSeq    uint64
}

// ParseHello reads a hello that came on a station's topic.
func ParseHello(station loyalty.StationID, payload []byte) (*Hello, error) {
	m, err := wire.Decode[pb.Hello](payload)
	switch {
	case err != nil:
		return nil, err
	case loyalty.StationID(m.Station) != station:
		return nil, fmt.Errorf("%w: hello of station %d on the topic of %d", wire.ErrMessage, m.Station, station)
	case m.Epoch == 0:
		return nil, fmt.Errorf("%w: hello without an epoch", wire.ErrMessage)
	case m.FirstSeq > m.LastSeq+1:
		return nil, fmt.Errorf("%w: hello of a journal from %d to %d", wire.ErrMessage, m.FirstSeq, m.LastSeq)
	}
	return &Hello{
		Station: station, Epoch: loyalty.Epoch(m.Epoch), Nonce: wire.Nonce(m.Nonce), First: loyalty.Seq(m.FirstSeq),
		Last: loyalty.Seq(m.LastSeq), LastHash: wire.Hash(m.LastHash), Boot: [16]byte(m.Boot), Version: m.Version, Schema: m.Schema,
		Session: m.Session, DownStream: m.DownStream, DownSeq: m.DownSeq,
	}, nil
}

// Greeting is the answer to a hello.
type Greeting struct {
	Verdict pb.Verdict
	Cursor  Cursor
	Stream  Stream // where to go on with the down-stream, if the verdict is OK
	// SetAside are the newest entries of the epoch that could not be applied: the station may not have heard of them.
	SetAside []SetAsideEntry
	// Late means that the hello was sent before others that have come: it changed nothing. Whoever has sent it may have
	// ended since, or be the copy of a station that lives on: the verdict is for him.
	Late   bool
	Alarms []Alarm
}

// maxSetAside bounds what a greeting repeats.
const maxSetAside = 100

// Greet compares a station's journal with what headquarters has of it and says where to go on. A station that is not
// enrolled is enrolled if enrol says so. stream is a random number for a down-stream that has to begin anew.
//
// A greeting that a station has sent before, late or twice, changes nothing.
func Greet(tx Tx, h *Hello, enrol bool, stream uint64, at loyalty.Instant) (Greeting, error) {
	if h.Schema < MinSchema {
		return Greeting{Verdict: pb.Verdict_VERDICT_TOO_OLD}, nil
	}
	if h.Station == Own {
		return Greeting{Verdict: pb.Verdict_VERDICT_UNKNOWN_STATION}, nil
	}
	known, err := tx.Stations([]loyalty.StationID{h.Station})
	if err != nil {
		return Greeting{}, err
	}
	s := known[h.Station]
	if s == nil {
		if !enrol {
			return Greeting{Verdict: pb.Verdict_VERDICT_UNKNOWN_STATION}, nil
		}
		s = &Station{ID: h.Station}
	}
	g := &greeter{tx: tx, h: h, s: s, at: at, fresh: stream, Greeting: Greeting{Cursor: s.Cursor}}
	before := *s
	if err := g.greet(); err != nil || g.Late {
		return g.Greeting, err
	}
	g.Alarms = g.changes.Alarms
	if known[h.Station] == nil || *s != before {
		g.changes.Stations = append(g.changes.Stations, s)
	}
	if g.changes.empty() {
		return g.Greeting, nil
	}
	return g.Greeting, tx.Save(&g.changes)
}

// greeter is the working set of one greeting.
type greeter struct {
	Greeting
	tx      Tx
	h       *Hello
	s       *Station
	at      loyalty.Instant
	fresh   uint64
	past    history
	changes Changes
}

func (g *greeter) greet() (err error) {
	s, h := g.s, g.h
	if g.past, err = lookBack(g.tx, h); err != nil {
		return err
	}
	if err := g.judge(); err != nil || g.Late {
		return err
	}
	if g.Cursor = s.Cursor; g.Verdict == pb.Verdict_VERDICT_NEW_EPOCH {
		g.Cursor.Epoch = max(s.Cursor.Epoch, h.Epoch) // the new one has to be above both
	}
	s.Forked = g.Verdict == pb.Verdict_VERDICT_NEW_EPOCH
	if g.Verdict != pb.Verdict_VERDICT_OK {
		return nil
	}
	s.started(h)
	if err := g.resume(); err != nil {
		return err
	}
	if err := g.confirm(); err != nil {
		return err
	}
	lines, err := g.tx.SetAside(s.ID, s.Cursor.Epoch, maxSetAside)
	for _, l := range lines {
		g.SetAside = append(g.SetAside, SetAsideEntry{Seq: l.Seq, Op: l.Op, Reason: l.Reason})
	}
	return err
}

// overtaken tells whether a hello is from a boot before the station's newest, and was sent before that. Session numbers
// grow also across restarts; one of a restored copy may be low, but its boot is a new one.
func (s *Station) overtaken(h *Hello) bool {
	return h.Boot == s.Boot || h.Session < s.Session && slices.Contains(s.Before[:], h.Boot)
}

// started notes a boot that the station has not had before.
func (s *Station) started(h *Hello) {
	if s.overtaken(h) {
		return
	}
	if s.Boot != [16]byte{} {
		copy(s.Before[1:], s.Before[:])
		s.Before[0] = s.Boot
	}
	s.Boot, s.Session = h.Boot, h.Session
}

func (g *greeter) alarm(kind AlarmKind, evidence []byte, format string, args ...any) {
	g.changes.Alarms = append(g.changes.Alarms, Alarm{
		Station: g.s.ID, Kind: kind, Epoch: g.h.Epoch, First: g.at, Last: g.at, Text: fmt.Sprintf(format, args...), Evidence: evidence,
	})
}

// fork makes the station begin a new epoch.
func (g *greeter) fork(kind AlarmKind, format string, args ...any) {
	g.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
	g.alarm(kind, g.h.LastHash[:], format, args...)
}

// judge decides the verdict; it moves the station to a new epoch if that is what the hello begins.
func (g *greeter) judge() error {
	s, h := g.s, g.h
	if h.Epoch > s.Cursor.Epoch {
		g.begin()
		return nil
	}
	nonce, ok, err := g.tx.Nonce(h.Station, h.Epoch)
	if err != nil {
		return err
	}
	genesis := wire.Genesis(h.Station, h.Epoch, h.Nonce)
	switch {
	case ok && nonce != h.Nonce:
		g.fork(ForkAlarm, "epoch %d began twice: its nonce is not the one it was registered with", h.Epoch)
		return nil
	case h.Epoch < s.Cursor.Epoch && s.overtaken(h):
		g.Verdict, g.Late = pb.Verdict_VERDICT_NEW_EPOCH, true
		return nil
	case h.Epoch < s.Cursor.Epoch:
		g.fork(RollbackAlarm, "the station is in epoch %d again, after %d", h.Epoch, s.Cursor.Epoch)
		return nil
	}
	has, ok, err := hashAt(g.tx, s, h.Last, genesis)
	switch {
	case err != nil:
		return err
	case ok && has != h.LastHash:
		g.fork(ForkAlarm, "entry %d is %s at the station and %s at headquarters", h.Last, h.LastHash, has)
	case h.Last < s.Cursor.Seq && h.Boot != s.Boot && s.overtaken(h):
		g.Verdict, g.Late = pb.Verdict_VERDICT_NEW_EPOCH, true
	case h.Last < s.Cursor.Seq && h.Boot != s.Boot:
		g.fork(RollbackAlarm, "the station's journal ends at %d, headquarters has it to %d", h.Last, s.Cursor.Seq)
	case h.First > s.Cursor.Seq+1 && h.Last > s.Cursor.Seq:
		g.trimmed(s.Cursor.Seq)
	}
	return nil
}

// trimmed is a station that no longer keeps what headquarters lack of an epoch. With an operator's consent it goes on in a
// new one, and what is missing stays missing.
func (g *greeter) trimmed(has loyalty.Seq) {
	s, h := g.s, g.h
	if !s.GapAccepted {
		g.Verdict = pb.Verdict_VERDICT_TRIMMED
		g.alarm(TrimmedAlarm, h.LastHash[:], "headquarters has epoch %d to %d, the station keeps it from %d; `azs-hq stations accept-gap %d` lets it go on without the %d between",
			h.Epoch, has, h.First, s.ID, h.First-has-1)
		return
	}
	s.GapAccepted = false
	g.fork(GapAlarm, "as an operator accepted, entries %d to %d of epoch %d, %d of them, are missing for good, and so is what the station keeps behind them and had been acknowledged",
		has+1, h.First-1, h.Epoch, h.First-has-1)
}

// begin registers an epoch.
func (g *greeter) begin() {
	s, h := g.s, g.h
	if h.First > 1 {
		g.trimmed(0)
		return
	}
	genesis := wire.Genesis(h.Station, h.Epoch, h.Nonce)
	if h.Last == 0 && h.LastHash != genesis {
		g.fork(ForkAlarm, "epoch %d does not begin with its own genesis", h.Epoch)
		return
	}
	if h.Epoch > 1 {
		g.another()
	}
	g.changes.Epochs = append(g.changes.Epochs, Registration{Station: h.Station, Epoch: h.Epoch, Nonce: h.Nonce, At: g.at})
	s.Cursor = Cursor{Epoch: h.Epoch, Hash: genesis}
}

// another is another life of a journal: somebody should know why, and what may be missing of the one before.
func (g *greeter) another() {
	old, h := g.s.Cursor, g.h
	why := "the station began it by itself: its ledger was restored, mended or copied"
	if g.s.Forked {
		why = "headquarters asked for it"
	}
	has := "headquarters had nothing of the station"
	if old.Epoch > 0 {
		has = fmt.Sprintf("of epoch %d headquarters has the entries through %d", old.Epoch, old.Seq)
	}
	g.alarm(EpochAlarm, old.Hash[:], "epoch %d has begun: %s; %s", h.Epoch, why, has)
	if g.past.missed() {
		g.alarm(GapAlarm, old.Hash[:], "these books are an older copy, and the station has begun epoch %d since: what it was acknowledged of before is not sent again; %s", h.Epoch, has)
	}
}

// hashAt is the hash headquarters has after an entry of the station's epoch, if it has the entry.
func hashAt(tx Tx, s *Station, seq loyalty.Seq, genesis wire.Hash) (wire.Hash, bool, error) {
	switch {
	case seq == 0:
		return genesis, true, nil
	case seq == s.Cursor.Seq:
		return s.Cursor.Hash, true, nil
	case seq > s.Cursor.Seq:
		return wire.Hash{}, false, nil
	}
	return tx.HashAt(Place{Station: s.ID, Epoch: s.Cursor.Epoch, Seq: seq})
}

// resume finds where to go on with the down-stream. It begins anew if the station has not what it once acknowledged, or
// has what these books never sent: one of the two was restored from a copy.
func (g *greeter) resume() error {
	h := g.h
	st, err := g.tx.Stream(h.Station)
	if err != nil {
		return err
	}
	goesOn := st.ID != 0 && h.DownStream == st.ID && h.DownSeq >= st.Acked
	if goesOn && h.DownSeq > st.Acked {
		if goesOn, err = g.tx.Issued(h.DownSeq); err != nil {
			return err
		}
		if !goesOn && h.DownSeq > g.past.Through {
			g.past.distrust(&g.changes, fmt.Sprintf("station %d has news that they never sent", h.Station), g.at)
		}
	}
	switch {
	case goesOn && h.DownSeq > st.Acked:
		g.changes.Acked = map[loyalty.StationID]uint64{h.Station: h.DownSeq}
		g.Stream = Stream{ID: st.ID, Acked: h.DownSeq}
	case goesOn, st.ID != 0 && st.Acked == 0 && h.DownStream != st.ID:
		g.Stream = st
	default:
		g.changes.Restarted = map[loyalty.StationID]uint64{h.Station: g.fresh}
		g.Stream = Stream{ID: g.fresh}
	}
	return nil
}

// empty tells whether there is nothing to write.
func (c *Changes) empty() bool {
	return len(c.Stations)+len(c.Epochs)+len(c.Seen)+len(c.Lines)+len(c.Retried)+len(c.Records)+len(c.Openings)+len(c.Cards)+len(c.Alarms)+
		len(c.Known)+len(c.Restarted)+len(c.Touched)+len(c.Acked)+len(c.Greeted)+len(c.Confirmed)+
		len(c.Forms)+len(c.Forgotten)+len(c.Destroyed) == 0 &&
		c.Programme == nil && c.Distrusted == 0 && !c.Accepted
}
