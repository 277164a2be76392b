package ledger

import (
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// settleTries is more than one because the system tells an old error of writing back to the first fsync of a new
// descriptor, whatever that one has written itself.
const settleTries = 3

// settle puts the state that an opened file shows on the disk, before anything is read from it or written after it.
//
// Who opens a file sees what the system has in memory, and that may be more than the disk has: after fdatasync has
// failed, the system keeps the new content and takes it for written (it tells the error once and does not try again);
// after a process was killed between writing and syncing, nothing has been synced yet. Of a bbolt file only the heads can
// be in this state, since a head is written when fdatasync of all pages behind it has returned without an error. So the
// heads are written once more as they are read, which makes them the system's to write again, and synced, together with
// the folder that names the file. Until then no page may be used again either: those that the newest head has set free
// are what the head before it, which may be the one on the disk, consists of.
func settle(db *bolt.DB, file *os.File) error {
	var err error
	for range settleTries {
		if err = rewriteHeads(file, 2*db.Info().PageSize); err == nil {
			err = syncFolder(filepath.Dir(db.Path()))
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("make certain of the ledger's last transaction: %w", err)
}

func rewriteHeads(file *os.File, size int) error {
	heads := make([]byte, size)
	if _, err := file.ReadAt(heads, 0); err != nil {
		return err
	}
	if _, err := file.WriteAt(heads, 0); err != nil {
		return err
	}
	return file.Sync()
}
