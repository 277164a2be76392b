//go:build unix

package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func tryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errHeld
	}
	return err
}

// abandon closes the file of a bbolt that has panicked. Its mapping stays, and would hold the lock on the file.
func abandon(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// syncFolder makes a rename durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// giveToFolder gives a file that this process has made as root to the owner of the folder.
func giveToFolder(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var s unix.Stat_t
	if err := unix.Stat(dir, &s); err != nil {
		return fmt.Errorf("look at folder %s: %w", dir, err)
	}
	return f.Chown(int(s.Uid), int(s.Gid))
}

// foreign tells whether this process is root in a folder of somebody else.
func foreign(dir string) bool {
	var s unix.Stat_t
	return os.Geteuid() == 0 && (unix.Stat(dir, &s) != nil || s.Uid != 0)
}

// noFollow fails to open a link, and does not wait for the other end of what is no file.
const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK

func isLink(err error) bool { return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) }

// checkPlain refuses what is no regular file, or has another name somewhere else.
func checkPlain(f *os.File) error {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return err
	}
	if s.Mode&unix.S_IFMT != unix.S_IFREG || s.Nlink != 1 {
		return errLink
	}
	return nil
}

// diskFree is what an ordinary process may still write to the disk of a file, in bytes.
func diskFree(path string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
