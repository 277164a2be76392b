package wire

import "github.com/azs-edge/azs-edge/agent/loyalty"

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
