package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// The file is a tree of buckets. Every value ends with a CRC-32C over the bucket's name, the key and the value, so that a
// flipped bit is found wherever it is, a record never passes for another's, and a record found in a stray page says which
// bucket it belongs to.
//
//	meta/schema        version of this layout, see migrate.go
//	meta/state         State: where the journal stands, and the counters
//	meta/alarms        Alarms: what an operator must look at
//	acct/<account>     azs.v1.Local: HQ's last word and the station's own entries behind it
//	card/<number>      azs.v1.Card without the number
//	cell/<account>     Cell
//	left/<account>     empty: the cell holds rights that could be returned
//	sale/<sale id>     Sale
//	open/<op id>       sale id: the sales that are open, oldest first
//	jrn/<place>/<place> hash of the chain and bytes of the entry; a segment is named by the place of its first entry
//	prog/<version>     Programme
//	note/<id>          azs.v1.Notice
//	quar/<place>       Quarantined
//	shift/<counter><n> Shift: a counter's name and the number of the shift, of 4 bytes
//	away/<station><id> Sale: of another station, refunded here; the station's number has 4 bytes
//	issued/<number>    Issued: a card that was given out here
//	form/<place>       sealed form of a card given out that headquarters does not have; empty: it is lost
//	watch/<key>        Watch: what a velocity rule counts of one subject, see velocity.go
//
// Numbers in keys are big-endian: accounts of 8 bytes, places of 4 (epoch) and 8 (seq).
const (
	bucketMeta = "meta"
	bucketAcct = "acct"
	bucketCard = "card"
	bucketCell = "cell"
	bucketLeft = "left"
	bucketSale = "sale"
	bucketOpen = "open"
	bucketJrn  = "jrn"
	bucketProg = "prog"
	bucketNote = "note"
	bucketQuar = "quar"

	bucketShift = "shift"
	bucketWatch = "watch"

	bucketAway   = "away"
	bucketIssued = "issued"
	bucketForm   = "form"
)

var (
	keySchema = []byte("schema")
	keyState  = []byte("state")
)

func bucketNames() []string {
	return []string{
		bucketMeta, bucketAcct, bucketCard, bucketCell, bucketLeft, bucketSale, bucketOpen, bucketJrn, bucketProg, bucketNote, bucketQuar,
		bucketShift, bucketWatch, bucketAway, bucketIssued, bucketForm,
	}
}

const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(bucket string, key, value []byte) uint32 {
	var name [8]byte
	c := crc32.Update(0, castagnoli, name[:copy(name[:], bucket)])
	c = crc32.Update(c, castagnoli, key)
	return crc32.Update(c, castagnoli, value)
}

// seal makes a stored value; value must have room for the sum or is copied.
func seal(bucket string, key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, sum(bucket, key, value))
}

// unseal returns the value inside a stored one, or [ErrCorrupt]. The result points into the file's memory and holds only
// for the transaction.
func unseal(bucket string, key, stored []byte) ([]byte, error) {
	if !sealed(bucket, key, stored) {
		return nil, fmt.Errorf("%w: checksum of %s does not hold", ErrCorrupt, describeKey(bucket, key))
	}
	return stored[:len(stored)-sumSize], nil
}

func sealed(bucket string, key, stored []byte) bool {
	n := len(stored) - sumSize
	return n >= 0 && binary.BigEndian.Uint32(stored[n:]) == sum(bucket, key, stored[:n])
}

// describeKey names a record for an operator, with card numbers masked.
func describeKey(bucket string, key []byte) string {
	switch {
	case bucket == bucketCard:
		return "card " + loyalty.CardNumber(key).String()
	case bucket == bucketSale:
		return fmt.Sprintf("sale %q", key)
	case bucket == bucketIssued:
		return "card given out " + loyalty.CardNumber(key).String()
	case bucket == bucketAway && len(key) > 4:
		return fmt.Sprintf("sale %q of station %d", key[4:], binary.BigEndian.Uint32(key))
	case bucket == bucketShift && len(key) >= 4:
		return describeShift(shiftOfKey(key))
	case bucket == bucketWatch:
		return fmt.Sprintf("watch/%q", key)
	case bucket == bucketMeta:
		return "meta/" + strings.ToValidUTF8(string(key), "?")
	case len(key) == 8:
		return fmt.Sprintf("%s/%d", bucket, binary.BigEndian.Uint64(key))
	case len(key) == 12:
		p := parsePlace(key)
		return fmt.Sprintf("%s/%d:%d", bucket, p.epoch, p.seq)
	default:
		return fmt.Sprintf("%s/%x", bucket, key)
	}
}

func accountKey(a loyalty.AccountID) []byte { return binary.BigEndian.AppendUint64(nil, uint64(a)) }

// place is where an entry stands.
type place struct {
	epoch loyalty.Epoch
	seq   loyalty.Seq
}

func (p place) key() []byte {
	b := make([]byte, 0, 12)
	b = binary.BigEndian.AppendUint32(b, uint32(p.epoch))
	return binary.BigEndian.AppendUint64(b, uint64(p.seq))
}

func parsePlace(k []byte) place {
	if len(k) != 12 {
		return place{}
	}
	return place{loyalty.Epoch(binary.BigEndian.Uint32(k)), loyalty.Seq(binary.BigEndian.Uint64(k[4:]))}
}

func (p place) before(q place) bool {
	return p.epoch < q.epoch || (p.epoch == q.epoch && p.seq < q.seq)
}
