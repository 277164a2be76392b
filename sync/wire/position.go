package wire

import (
	"errors"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// What a journal answers when it is asked about a place.
var (
	// ErrNoEntry means that the journal has no entry there: not yet, or no longer.
	ErrNoEntry = errors.New("no such journal entry")
	// ErrFork means that HQ knows another entry there than the journal does.
	ErrFork = errors.New("the journal forks from what headquarters has")
)

// Position is where a station's journal and its copy of HQ's down-stream stand.
type Position struct {
	Station    loyalty.StationID
	Epoch      loyalty.Epoch
	Nonce      Nonce
	First      loyalty.Seq // the oldest entry of the epoch still kept
	Last       loyalty.Seq // zero: none yet
	LastHash   Hash        // after Last; the epoch's genesis if there is none
	LastAt     loyalty.Instant
	Acked      loyalty.Seq     // HQ has committed everything through this
	UnsentAt   loyalty.Instant // when the oldest entry behind Acked was written; zero: none
	Boot       [16]byte
	DownStream uint64
	DownSeq    uint64
}
