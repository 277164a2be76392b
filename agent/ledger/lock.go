package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// fileLock is a lock that ends with the process that holds it, on a file that says which process that is.
type fileLock struct{ f *os.File }

// errHeld means that another process holds the lock.
var errHeld = errors.New("the lock is held")

func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the ledger's lock: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if errors.Is(err, errHeld) {
			return nil, fmt.Errorf("%w by process %s; stop it first (systemctl stop azs-agent), or ask it: %s", ErrInUse, holder(f), path)
		}
		return nil, fmt.Errorf("lock the ledger: %w", err)
	}
	if err := errors.Join(f.Truncate(0), writePid(f)); err != nil {
		return nil, errors.Join(fmt.Errorf("write the ledger's lock: %w", err), f.Close())
	}
	return &fileLock{f}, nil
}

func writePid(f *os.File) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if pid := strings.TrimSpace(string(b)); err == nil && pid != "" {
		return pid
	}
	return "of unknown number"
}

// Close gives the lock up. The file stays: removing it could take a lock away from the next.
func (l *fileLock) Close() error {
	if err := l.f.Close(); err != nil {
		return fmt.Errorf("give up the ledger's lock: %w", err)
	}
	return nil
}
