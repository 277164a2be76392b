package ledger

import (
	bolt "go.etcd.io/bbolt"
)

// room is what may still be written, in bytes: to the size limit of the file or to the end of the disk, whichever is
// nearer. Three parts of it are kept apart, so that what matters most stops last:
//
//	more than reserve          everything goes on
//	reserve to reserve/2       no new sale redeems points
//	less than reserve/2        no new sale at all; open sales are ended, acknowledgements noted, old entries trimmed
type room struct{ left, reserve int64 }

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
	r := room{left: l.cfg.MaxSize - growthOf(l.cfg.MaxSize) - tx.Size() + free, reserve: reserveOf(l.cfg.MaxSize)}
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
