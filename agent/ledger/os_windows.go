package ledger

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// lockAt is far behind the content: a locked range cannot be read by the others, and they must read the number.
const lockAt = 1 << 30

func tryLock(f *os.File) error {
	at := &windows.Overlapped{Offset: lockAt}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errHeld
	}
	return err
}

// abandon closes the file of a bbolt that has panicked, which gives up its lock.
func abandon(f *os.File) error { return f.Close() }

// syncFolder does nothing: Windows writes a rename through its own journal.
func syncFolder(string) error { return nil }

// giveToFolder has nothing to do: a new file takes its folder's access list.
func giveToFolder(*os.File, string) error { return nil }

// foreign is never so: the service and the operator's commands run with the same rights, and others may not write to the
// folder.
func foreign(string) bool { return false }

const noFollow = 0

func isLink(error) bool { return false }

func checkPlain(*os.File) error { return nil }

// diskFree is what this process may still write to the disk of a file, in bytes.
func diskFree(path string) (int64, error) {
	dir, err := windows.UTF16PtrFromString(filepath.Dir(path))
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(dir, &free, nil, nil); err != nil {
		return 0, err
	}
	return int64(min(free, 1<<62)), nil
}
