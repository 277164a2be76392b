package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// fileLock is a lock that ends with the process that holds it, on a file that says which process that is, and how many
// before it, in a row, have ended without giving it up.
type fileLock struct {
	f       *os.File
	crashes int
}

// errHeld means that another process holds the lock.
var errHeld = errors.New("the lock is held")

func lockFile(path string) (*fileLock, error) {
	f, err := createNew(path)
	if errors.Is(err, os.ErrExist) {
		f, err = openPlain(path, os.O_RDWR)
	}
	if err != nil {
		return nil, fmt.Errorf("open the ledger's lock: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if errors.Is(err, errHeld) {
			pid, _, _ := lockContent(f)
			return nil, fmt.Errorf("%w by process %s, which holds %s", ErrInUse, pid, path)
		}
		return nil, fmt.Errorf("lock the ledger: %w", err)
	}
	l := &fileLock{f: f}
	if _, crashes, held := lockContent(f); held {
		l.crashes = crashes + 1
	}
	if err := errors.Join(f.Truncate(0), l.write()); err != nil {
		return nil, errors.Join(fmt.Errorf("write the ledger's lock: %w", err), f.Close())
	}
	return l, nil
}

func (l *fileLock) write() error {
	_, err := l.f.WriteAt(fmt.Appendf(nil, "%d %d\n", os.Getpid(), l.crashes), 0)
	return err
}

// lockContent reads who holds the lock, or held it when it ended; held is false if it was given up.
func lockContent(f *os.File) (pid string, crashes int, held bool) {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 64))
	fields := strings.Fields(string(b))
	if err != nil || len(fields) == 0 {
		return "of unknown number", 0, false
	}
	if len(fields) > 1 {
		crashes, err = strconv.Atoi(fields[1])
		if err != nil || crashes < 0 {
			crashes = 0
		}
	}
	return fields[0], crashes, true
}

// Close gives the lock up. The file stays: removing it could take a lock away from the next.
func (l *fileLock) Close() error {
	if err := errors.Join(l.f.Truncate(0), l.f.Close()); err != nil {
		return fmt.Errorf("give up the ledger's lock: %w", err)
	}
	return nil
}
