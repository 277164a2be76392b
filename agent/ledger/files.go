package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The ledger's folder belongs to the agent, and commands of an operator run there as root. Whoever has taken the agent over
// may put links in root's way: so a file is made only where there is none, what is there is opened without following a
// link, and given away is only what this process has made, by its descriptor.

// errLink means that a file is not what it seems.
var errLink = errors.New("it is not a plain file of its own; if nobody put it there on purpose, somebody else had access to this folder")

// createNew makes a file that was not there before. What root makes belongs to whom the folder belongs to: the agent has to
// open it.
func createNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o640)
	if err != nil {
		return nil, err
	}
	if err := giveToFolder(f, filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// createTemp makes a file whose name is this program's own, in place of one that was left behind.
func createTemp(path string) (*os.File, error) {
	if err := removeIfThere(path); err != nil {
		return nil, err
	}
	return createNew(path)
}

// openPlain opens a file that is there, if it is one file with one name.
func openPlain(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|noFollow, 0)
	if isLink(err) {
		return nil, fmt.Errorf("%s: %w", path, errLink)
	}
	if err != nil {
		return nil, err
	}
	if err := checkPlain(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, nil
}

// openThere opens a file that is there. An operator may have put a link in its place; in a folder of somebody else root
// follows none.
func openThere(path string, flag int) (*os.File, error) {
	if foreign(filepath.Dir(path)) {
		return openPlain(path, flag)
	}
	return os.OpenFile(path, flag, 0)
}

// openBolt is [openThere] as bbolt wants it. bbolt would make a file that is missing; the ledger's are made by build.
func openBolt(path string, flag int, _ os.FileMode) (*os.File, error) {
	return openThere(path, flag&^os.O_CREATE)
}

// createBolt is [createTemp] as bbolt wants it.
func createBolt(path string, _ int, _ os.FileMode) (*os.File, error) { return createTemp(path) }

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// copyFile makes a new file of another's content, which is on the disk when it returns. It leaves nothing behind when it
// fails, and an existing file as it is.
func copyFile(from, to string) error {
	src, err := openThere(from, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := createNew(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Sync(), dst.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// writeFile replaces a small file so that a crash leaves the old or the new content.
func writeFile(path string, b []byte) error {
	temp := path + ".new"
	f, err := createTemp(temp)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return replaceFile(temp, path)
}

// replaceFile moves a file that is on the disk into the place of another, durably.
func replaceFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

func statSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func randomTo(r io.Reader, b []byte) error {
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("random bytes: %w", err)
	}
	return nil
}

// untilClosed is a context that ends with the ledger.
func (l *Ledger) untilClosed() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-l.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
