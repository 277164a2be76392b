package ledger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// ErrBusy means that the ledger was written to faster than it could be copied.
var ErrBusy = errors.New("sales came too fast for a copy as of one moment")

const (
	snapshotPatience = 30 * time.Second // in which a copy is brought up to date again and again
	snapshotTries    = 5                // at least, however long each takes
	copyChunk        = 256 << 10
	copySync         = 8 << 20 // what may wait to be written to the disk
)

// ledgerFile is a ledger that another process is writing.
type ledgerFile interface {
	io.ReaderAt
	Stat() (os.FileInfo, error)
}

// snapshot copies a ledger, and one that another process is writing as of one moment. What the newest head reaches is not
// written to while it is the newest: bbolt uses a page again only in the transaction after the one that has set it free.
// So it is copied once, slowly, while it changes; then what has changed since is written again, which takes a moment, and
// again until no transaction ended in between.
func snapshot(ctx context.Context, from, to string, rate int64, running bool) error {
	src, err := openThere(from, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := createTemp(to)
	if err != nil {
		return err
	}
	err = copySlowly(dst, src, newPace(ctx, rate))
	if err == nil && running {
		err = catchUp(ctx, dst, src, snapshotPatience)
	}
	return errors.Join(err, dst.Close())
}

// copySlowly copies at a pace, and has the disk write as it goes: what is saved up would come all at once.
func copySlowly(dst *os.File, src io.ReaderAt, pace *pace) error {
	b := make([]byte, copyChunk)
	for at := int64(0); ; {
		n, err := src.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return dst.Sync()
		}
		if err := pace.wait(n); err != nil {
			return err
		}
		if _, err := dst.WriteAt(b[:n], at); err != nil {
			return err
		}
		if at += int64(n); at%copySync == 0 {
			if err := dst.Sync(); err != nil {
				return err
			}
		}
	}
}

// catchUp makes of a copy that was made while the ledger changed a copy as of one moment.
func catchUp(ctx context.Context, dst *os.File, src ledgerFile, patience time.Duration) error {
	start, pause := time.Now(), 5*time.Millisecond
	for try := 1; ; try++ {
		before, heads, err := headsOf(src)
		if err != nil {
			return err
		}
		if err := patch(ctx, dst, src); err != nil {
			return err
		}
		after, _, err := headsOf(src)
		if err != nil {
			return err
		}
		if after == before {
			_, err := dst.WriteAt(heads, 0) // the copy may have caught the next transaction's head
			return errors.Join(err, dst.Sync())
		}
		if try >= snapshotTries && time.Since(start) >= patience {
			return ErrBusy
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

// patch writes what differs.
func patch(ctx context.Context, dst *os.File, src io.ReaderAt) error {
	is, was := make([]byte, copyChunk), make([]byte, copyChunk)
	for at := int64(0); ; at += copyChunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.ReadAt(is, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return nil
		}
		k, err := dst.ReadAt(was, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Equal(is[:n], was[:k]) {
			continue
		}
		if _, err := dst.WriteAt(is[:n], at); err != nil {
			return err
		}
	}
}

// headsOf reads both heads and the transaction of the newest.
func headsOf(f ledgerFile) (txid uint64, heads []byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	p, err := newPageFile(f, info.Size())
	if err != nil {
		return 0, nil, err
	}
	heads = make([]byte, 2*p.pageSize)
	if _, err := f.ReadAt(heads, 0); err != nil {
		return 0, nil, err
	}
	return p.newest().txid, heads, nil
}
