package embedded

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// bbolt leaves in the file what it frees, until it uses the page again. A form that is destroyed has to be gone from the
// file as well, with the older copies of the pages that it stood in: whoever destroys forms has all free pages written
// over before it is told that it is done.

// bScrub is there from the transaction that destroys forms until the free pages are written over: after a crash in
// between, the next opening does it.
var bScrub = []byte("scrub")

const (
	scrubRun    = 2048 // pages that one transaction writes over, so that it stays small in memory
	scrubRounds = 2    // who reads while the first begins keeps pages from being free
)

// toScrub has the free pages written over after this transaction.
func (t *tx) toScrub() error {
	t.dirty, t.scrubs = true, true
	_, err := t.CreateBucketIfNotExists(bScrub)
	return err
}

// scrub writes over all free pages, if forms were destroyed since that was last done. A reader that has been at work since
// before they were destroyed, as a backup, keeps their pages until later transactions use them.
func (s *Store) scrub() error {
	due := false
	err := s.db.View(func(btx *bolt.Tx) error {
		due = btx.Bucket(bScrub) != nil
		return nil
	})
	for round := 0; err == nil && due && round < scrubRounds; round++ {
		err = s.fillFree()
	}
	if err == nil && due {
		err = s.db.Update(func(btx *bolt.Tx) error { return btx.DeleteBucket(bScrub) })
	}
	if err != nil {
		return fmt.Errorf("write over what was destroyed: %w", err)
	}
	return nil
}

// fillFree fills as many pages as are free with nothing, and frees them again: bbolt takes free pages before it makes the
// file longer.
func (s *Store) fillFree() error {
	st, page := s.db.Stats(), s.db.Info().PageSize
	half := make([]byte, page/2-64) // two of them fill a page
	key := uint64(0)
	for left := st.FreePageN + st.PendingPageN; left > 0; left -= scrubRun {
		err := s.db.Update(func(btx *bolt.Tx) error {
			b := btx.Bucket(bScrub)
			b.FillPercent = 1
			for range 2 * min(left, scrubRun) {
				if err := b.Put(u64(key), half); err != nil {
					return err
				}
				key++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.db.Update(func(btx *bolt.Tx) error {
		if err := btx.DeleteBucket(bScrub); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
			return err
		}
		_, err := btx.CreateBucket(bScrub)
		return err
	})
}
