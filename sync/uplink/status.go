package uplink

import (
	"context"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Alarm is why headquarters does not take the journal although it can be reached. Somebody has to do something.
type Alarm string

// The alarms.
const (
	NoAlarm        Alarm = ""
	UnknownStation Alarm = "unknown_station" // headquarters has not enrolled the station
	TooOld         Alarm = "too_old"         // headquarters no longer speaks with an agent of this version
	Trimmed        Alarm = "trimmed"         // headquarters needs entries that the station no longer keeps
)

var alarms = map[pb.Verdict]Alarm{
	pb.Verdict_VERDICT_UNKNOWN_STATION: UnknownStation,
	pb.Verdict_VERDICT_TOO_OLD:         TooOld,
	pb.Verdict_VERDICT_TRIMMED:         Trimmed,
}

// Status is how the link is, for the health page and the metrics.
type Status struct {
	Connected bool      // to a broker
	Online    bool      // headquarters has answered and is not silent since
	Since     time.Time // of Online, true or false
	Alarm     Alarm
	LastError string // why the last session ended; kept while the next one works
	Session   uint64 // of the connection

	Epoch   loyalty.Epoch
	Acked   loyalty.Seq     // headquarters has committed everything through this
	Backlog uint64          // entries behind it
	Oldest  loyalty.Instant // when the oldest of them was written; zero: none

	LastHeard time.Time     // when headquarters last said anything
	LastAck   time.Time     // when it last acknowledged something new
	RoundTrip time.Duration // from sending a batch to its acknowledgement, smoothed
	Window    int           // bytes that may be under way
	Credit    uint64        // bytes that headquarters allows to be under way; 0: it has asked to wait

	Connections uint64 // since the start, as all that follows
	Hellos      uint64
	Batches     uint64
	Entries     uint64 // sent, repetitions included
	Bytes       uint64
	Returns     uint64 // times that sending went back to an earlier entry
	Asks        uint64
	Unanswered  uint64 // asks without an answer in time
	Quarantined uint64 // entries that headquarters has said it cannot apply
	Malformed   uint64 // messages that were none
}

// Status tells how the link is. It reads the journal's position.
func (u *Uplink) Status() Status {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	pos, err := u.cfg.Journal.Position(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.status
	if err == nil {
		s.Epoch, s.Acked, s.Oldest = pos.Epoch, pos.Acked, pos.UnsentAt
		s.Backlog = uint64(pos.Last - min(pos.Acked, pos.Last))
	}
	return s
}

// Online tells whether headquarters has answered and is not silent since. It touches no disk.
func (u *Uplink) Online() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status.Online
}

func (u *Uplink) update(f func(*Status)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(&u.status)
}

// setOnline notes and logs a change. why is for the log, and for asks that come after it.
func (u *Uplink) setOnline(online bool, why string) {
	u.mu.Lock()
	changed := u.status.Online != online
	if changed {
		u.status.Online, u.status.Since = online, time.Now()
	}
	u.mu.Unlock()
	switch {
	case changed && online:
		u.cfg.Log.Info("headquarters is in reach")
	case changed:
		u.cfg.Log.Warn("headquarters is out of reach", "reason", why)
	}
}

func (u *Uplink) setAlarm(a Alarm) {
	u.mu.Lock()
	changed := u.status.Alarm != a
	u.status.Alarm = a
	u.mu.Unlock()
	switch {
	case changed && a == NoAlarm:
		u.cfg.Log.Info("headquarters takes the journal again")
	case changed:
		u.cfg.Log.Error("headquarters does not take the journal", "alarm", string(a), "hint", hints[a])
	}
}

var hints = map[Alarm]string{
	UnknownStation: "enrol the station at headquarters",
	TooOld:         "update the agent",
	Trimmed:        "headquarters was restored from a copy older than the station keeps; restore a newer one, or accept the gap there",
}
