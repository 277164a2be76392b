package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Hash is the state of a journal's chain after an entry: SHA-256 of the state before it and of the entry's bytes. Equal
// hashes at equal places mean equal journals up to there.
type Hash [sha256.Size]byte

// Nonce is random bytes made when an epoch begins; with it two lives of a journal never share a chain.
type Nonce [16]byte

// Genesis is the chain's state before the first entry of an epoch.
func Genesis(station loyalty.StationID, epoch loyalty.Epoch, nonce Nonce) Hash {
	b := append([]byte("azs-edge journal 1\x00"), nonce[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(station))
	b = binary.BigEndian.AppendUint32(b, uint32(epoch))
	return sha256.Sum256(b)
}

// Next is the chain's state after an entry.
func (h Hash) Next(entry []byte) Hash {
	d := sha256.New()
	d.Write(h[:])
	d.Write(entry)
	var out Hash
	d.Sum(out[:0])
	return out
}

// ParseHash takes a hash from a message.
func ParseHash(b []byte) (Hash, error) {
	if len(b) != len(Hash{}) {
		return Hash{}, fmt.Errorf("%w: hash of %d bytes", ErrMessage, len(b))
	}
	return Hash(b), nil
}

// String is the first eight bytes in hexadecimal, enough to compare by eye.
func (h Hash) String() string { return hex.EncodeToString(h[:8]) }
