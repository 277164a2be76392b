package ledger

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	bolt "go.etcd.io/bbolt"
)

// room is what may still be written, in bytes: to the size limit of the file or to the end of the disk, whichever is
// nearer. Parts of it are kept apart, so that what matters most stops last:
//
//	more than twice reserve    everything goes on
//	twice reserve to reserve   nothing is taken of headquarters' down-stream, which would stop redeeming next
//	reserve to reserve/2       no new sale redeems points, and no answer of headquarters is learned
//	less than reserve/2        no new sale at all; open sales are ended, refunds made, acknowledgements noted, old entries trimmed
type room struct {
	left, reserve int64
	used          int64 // what is in the file
	page          int64
}

// What headquarters says stops where this many reserves are left: its down-stream, and an answer that somebody waits for.
const (
	downReserves   = 2
	answerReserves = 1
)

// admitNews refuses what headquarters says where it would not leave so many reserves: records of so many bytes together.
// It counts with new copies of two pages for each, or of the whole file if that is less; what a group takes in adds up.
func (t *txn) admitNews(records, size int, reserves int64) error {
	cost := min(2*t.room.page*int64(records), t.room.used) + 2*int64(size)
	if left := t.room.left - t.news - cost; left < reserves*t.room.reserve {
		return fmt.Errorf("%d bytes of room are left, and %d are kept for sales: %w", t.room.left, reserves*t.room.reserve, loyalty.StorageFull)
	}
	t.news += cost
	return nil
}

func (r room) stopsRedeeming() bool { return r.left < r.reserve }
func (r room) stopsAll() bool       { return r.left < r.reserve/2 }

const (
	minReserve = 256 << 10
	maxReserve = 64 << 20
)

func reserveOf(maxSize int64) int64 { return min(max(maxSize/8, minReserve), maxReserve) }

// growthOf is by how much the file grows at a time; what does not fit the limit any more is never used.
func growthOf(maxSize int64) int64 { return min(max(maxSize/64, 64<<10), 16<<20) }

// measure computes the room from inside a transaction. It costs one system call.
func (l *Ledger) measure(db *bolt.DB, tx *bolt.Tx) room {
	s := db.Stats()
	page := int64(db.Info().PageSize)
	free := int64(s.FreePageN) * page
	r := room{
		left: l.cfg.MaxSize - growthOf(l.cfg.MaxSize) - tx.Size() + free, reserve: reserveOf(l.cfg.MaxSize),
		used: tx.Size() - free, page: page,
	}
	// The file may have been extended already without the disk having the blocks: count from what the disk says.
	if disk, err := l.diskFree(l.cfg.Path); err == nil {
		r.left = min(r.left, disk+free)
	}
	return r
}

// groupLimit makes groups small when room is short: a transaction writes new copies of all pages it touches.
func (l *Ledger) groupLimit() int {
	if l.lastRoom.Load() < 2*reserveOf(l.cfg.MaxSize) {
		return 8
	}
	return maxGroup
}
