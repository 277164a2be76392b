package hq

import (
	"fmt"

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
	before := *s
	c := &Changes{}
	g := Greeting{Cursor: s.Cursor}
	alarm, text, err := g.judge(tx, s, h, c, at)
	if err != nil {
		return Greeting{}, err
	}
	g.Cursor = s.Cursor
	if alarm != "" {
		c.Alarms = append(c.Alarms, Alarm{Station: s.ID, Kind: alarm, Epoch: h.Epoch, First: at, Last: at, Text: text, Evidence: h.LastHash[:]})
	}
	if g.Verdict == pb.Verdict_VERDICT_OK {
		s.Boot = h.Boot
		if err := g.resume(tx, h, c, stream); err != nil {
			return Greeting{}, err
		}
		lines, err := tx.SetAside(s.ID, s.Cursor.Epoch, maxSetAside)
		if err != nil {
			return Greeting{}, err
		}
		for _, l := range lines {
			g.SetAside = append(g.SetAside, SetAsideEntry{Seq: l.Seq, Op: l.Op, Reason: l.Reason})
		}
	}
	s.Forked = g.Verdict == pb.Verdict_VERDICT_NEW_EPOCH
	if known[h.Station] == nil || *s != before {
		c.Stations = append(c.Stations, s)
	}
	if c.empty() {
		return g, nil
	}
	return g, tx.Save(c)
}

// judge decides the verdict; it moves the station to a new epoch if that is what the hello begins.
func (g *Greeting) judge(tx Tx, s *Station, h *Hello, c *Changes, at loyalty.Instant) (AlarmKind, string, error) {
	if h.Epoch > s.Cursor.Epoch {
		return g.begin(s, h, c, at)
	}
	nonce, ok, err := tx.Nonce(h.Station, h.Epoch)
	if err != nil {
		return "", "", err
	}
	genesis := wire.Genesis(h.Station, h.Epoch, h.Nonce)
	switch {
	case ok && nonce != h.Nonce:
		g.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
		return ForkAlarm, fmt.Sprintf("epoch %d began twice: its nonce is not the one it was registered with", h.Epoch), nil
	case h.Epoch < s.Cursor.Epoch:
		g.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
		if h.Boot == s.Boot {
			return "", "", nil // sent before the station began the epoch it is in, and late
		}
		return RollbackAlarm, fmt.Sprintf("the station is in epoch %d again, after %d", h.Epoch, s.Cursor.Epoch), nil
	}
	has, ok, err := hashAt(tx, s, h.Last, genesis)
	switch {
	case err != nil:
		return "", "", err
	case ok && has != h.LastHash:
		g.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
		return ForkAlarm, fmt.Sprintf("entry %d is %s at the station and %s at headquarters", h.Last, h.LastHash, has), nil
	case h.Last < s.Cursor.Seq && h.Boot != s.Boot:
		g.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
		return RollbackAlarm, fmt.Sprintf("the station's journal ends at %d, headquarters has it to %d", h.Last, s.Cursor.Seq), nil
	case h.First > s.Cursor.Seq+1 && h.Last > s.Cursor.Seq:
		g.Verdict = pb.Verdict_VERDICT_TRIMMED
		return TrimmedAlarm, fmt.Sprintf("headquarters has the journal to %d, the station keeps it from %d", s.Cursor.Seq, h.First), nil
	}
	return "", "", nil
}

// begin registers an epoch.
func (g *Greeting) begin(s *Station, h *Hello, c *Changes, at loyalty.Instant) (AlarmKind, string, error) {
	if h.First > 1 {
		g.Verdict = pb.Verdict_VERDICT_TRIMMED
		return TrimmedAlarm, fmt.Sprintf("headquarters has nothing of epoch %d, the station keeps it from %d", h.Epoch, h.First), nil
	}
	genesis := wire.Genesis(h.Station, h.Epoch, h.Nonce)
	if h.Last == 0 && h.LastHash != genesis {
		g.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
		return ForkAlarm, fmt.Sprintf("epoch %d does not begin with its own genesis", h.Epoch), nil
	}
	c.Epochs = append(c.Epochs, Registration{Station: h.Station, Epoch: h.Epoch, Nonce: h.Nonce, At: at})
	s.Cursor = Cursor{Epoch: h.Epoch, Hash: genesis}
	return "", "", nil
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
func (g *Greeting) resume(tx Tx, h *Hello, c *Changes, fresh uint64) error {
	st, err := tx.Stream(h.Station)
	if err != nil {
		return err
	}
	goesOn := st.ID != 0 && h.DownStream == st.ID && h.DownSeq >= st.Acked
	if goesOn && h.DownSeq > st.Acked {
		if goesOn, err = tx.Issued(h.DownSeq); err != nil {
			return err
		}
	}
	switch {
	case goesOn && h.DownSeq > st.Acked:
		c.Acked = map[loyalty.StationID]uint64{h.Station: h.DownSeq}
		g.Stream = Stream{ID: st.ID, Acked: h.DownSeq}
	case goesOn, st.ID != 0 && st.Acked == 0 && h.DownStream != st.ID:
		g.Stream = st
	default:
		c.Restarted = map[loyalty.StationID]uint64{h.Station: fresh}
		g.Stream = Stream{ID: fresh}
	}
	return nil
}

// empty tells whether there is nothing to write.
func (c *Changes) empty() bool {
	return len(c.Stations)+len(c.Epochs)+len(c.Seen)+len(c.Lines)+len(c.Retried)+len(c.Records)+len(c.Openings)+len(c.Cards)+len(c.Alarms)+
		len(c.Known)+len(c.Restarted)+len(c.Touched)+len(c.Acked) == 0 && c.Programme == nil
}
