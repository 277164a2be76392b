package hq

import (
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Some entries only headquarters may write, in its own journal: they give and take points, and change accounts and cards,
// on no more than a word. A station that writes one is broken or not what it says it is. All others only stations write.

// ErrForged means that an entry stands in a journal in which it may not.
var ErrForged = errors.New("no entry of this kind belongs in this journal")

// ownBody tells whether only headquarters writes an entry.
func ownBody(b loyalty.Body) bool {
	switch b.(type) {
	case loyalty.Adjusted, loyalty.AccountChanged, loyalty.CardChanged, loyalty.AccountAdvanced, loyalty.AccountBurned, loyalty.AccountForgotten,
		loyalty.ProgrammePublished:
		return true
	}
	return false
}

// mayWrite returns [ErrForged] unless the journal of a station, or headquarters' own, may hold an entry.
func mayWrite(station loyalty.StationID, b loyalty.Body) error {
	if ownBody(b) != (station == Own) {
		return fmt.Errorf("%w: %T in that of station %d", ErrForged, b, station)
	}
	return nil
}

// forged sets an entry aside that its station may not write. It takes nothing: no operation, and no account is concerned.
func (p *posting) forged(l *line) bool {
	err := mayWrite(l.Station, l.entry.Body)
	if err == nil {
		return false
	}
	l.Outcome, l.Reason, l.Account = SetAside, err.Error(), 0
	p.alarm(Alarm{Station: l.Station, Kind: ForgedAlarm, Epoch: l.Epoch, Evidence: l.Bytes, Text: fmt.Sprintf("entry %d: %s", l.Seq, err)})
	return true
}
