package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Backup writes a copy of the ledger as it stands at one moment, while sales go on, no faster than BackupRate. It holds a
// read transaction until it ends, during which the file grows by what is written: give it a local file or a fast pipe,
// never a slow network. The copy passes [CheckFile]. It holds card numbers: keep it as the ledger is kept.
func (l *Ledger) Backup(ctx context.Context, w io.Writer) (int64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.db == nil {
		return 0, l.unusable()
	}
	l.copying.Add(1)
	defer l.copying.Add(-1)
	var n int64
	err := guard(func() error {
		return l.db.View(func(tx *bolt.Tx) (err error) {
			n, err = tx.WriteTo(&slowly{w, newPace(ctx, l.cfg.BackupRate)})
			return err
		})
	})
	if err != nil {
		return n, fmt.Errorf("back up the ledger: %w", err)
	}
	return n, nil
}

type slowly struct {
	w    io.Writer
	pace *pace
}

const copyChunk = 256 << 10

func (s *slowly) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		chunk := b[:min(len(b), copyChunk)]
		if err := s.pace.wait(len(chunk)); err != nil {
			return n, err
		}
		var k int
		k, err = s.w.Write(chunk)
		n, b = n+k, b[len(chunk):]
	}
	return n, err
}

// Offline is a ledger that no process writes: the file itself, locked so that none opens it meanwhile, or a copy of one
// that an agent is writing.
type Offline struct {
	path string
	lock *fileLock
	copy bool // path is ours to remove
}

// Lock takes a ledger for the commands that change it: restore and compact. It returns [ErrInUse] while an agent runs. The
// file need not exist.
func Lock(path string) (*Offline, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	return &Offline{path: path, lock: lock}, nil
}

// Inspect takes a ledger for reading: where an agent is writing it, a copy as of one moment, in a file beside it that
// Close removes.
func Inspect(ctx context.Context, path string) (*Offline, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	o, err := Lock(path)
	if !errors.Is(err, ErrInUse) {
		return o, err
	}
	to := fmt.Sprintf("%s.copy-%d", path, os.Getpid())
	if err := snapshot(ctx, path, to); err != nil {
		return nil, errors.Join(err, removeIfThere(to))
	}
	return &Offline{path: to, copy: true}, nil
}

// Close gives the ledger free.
func (o *Offline) Close() error {
	if o.copy {
		return removeIfThere(o.path)
	}
	return o.lock.Close()
}

// Check is [CheckFile] of the ledger.
func (o *Offline) Check(ctx context.Context, progress func(uint64)) (*Report, error) {
	return CheckFile(ctx, o.path, progress)
}

// CopyTo copies the ledger to a new file, which is on the disk, and was checked, when it returns. An existing file is not
// overwritten. A ledger that is not sound is copied all the same, for whoever is to look at it, and reported with
// [ErrCorrupt].
func (o *Offline) CopyTo(ctx context.Context, to string) (*Report, error) {
	if _, err := os.Lstat(to); err == nil {
		return nil, fmt.Errorf("back up the ledger: %s exists already; choose another name", to)
	}
	temp := to + ".new"
	if err := errors.Join(removeIfThere(temp), copyFile(o.path, temp)); err != nil {
		return nil, fmt.Errorf("back up the ledger: %w", err)
	}
	r, err := CheckFile(ctx, temp, nil)
	if err != nil && !corrupt(err) {
		return r, errors.Join(err, removeIfThere(temp))
	}
	return r, errors.Join(err, replaceFile(temp, to))
}

const snapshotTries = 20

// errBusy means that the ledger was written to faster than it could be copied.
var errBusy = errors.New("the ledger is written to faster than it can be copied; try again when it is quieter, or stop the agent first")

// snapshot copies a file that another process is writing. What the newest head reaches is not written to while it is the
// newest: bbolt uses a page again only in the transaction after the one that has set it free. So a copy is of one
// moment if the head that was the newest before is the newest afterwards; otherwise it is made again.
func snapshot(ctx context.Context, from, to string) error {
	for range snapshotTries {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := trySnapshot(from, to)
		if done || err != nil {
			return err
		}
	}
	return errBusy
}

func trySnapshot(from, to string) (bool, error) {
	f, err := openThere(from, os.O_RDONLY)
	if err != nil {
		return false, fmt.Errorf("copy the ledger: %w", err)
	}
	defer f.Close()
	before, heads, err := headsOf(f)
	if err != nil {
		return false, err
	}
	if err := errors.Join(removeIfThere(to), copyFile(from, to)); err != nil {
		return false, fmt.Errorf("copy the ledger: %w", err)
	}
	after, _, err := headsOf(f)
	if err != nil || after != before {
		return false, err
	}
	out, err := openThere(to, os.O_WRONLY)
	if err != nil {
		return false, fmt.Errorf("copy the ledger: %w", err)
	}
	_, err = out.WriteAt(heads, 0) // the copy may have caught the next transaction's head
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return false, fmt.Errorf("copy the ledger: %w", err)
	}
	return true, nil
}

// headsOf reads both heads and the transaction of the newest.
func headsOf(f *os.File) (txid uint64, heads []byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, nil, fmt.Errorf("copy the ledger: %w", err)
	}
	p, err := newPageFile(f, info.Size())
	if err != nil {
		return 0, nil, err
	}
	heads = make([]byte, 2*p.pageSize)
	if _, err := f.ReadAt(heads, 0); err != nil {
		return 0, nil, fmt.Errorf("copy the ledger: %w", err)
	}
	return p.newest().txid, heads, nil
}

// ErrBackup means that the file given to Restore cannot take the ledger's place: it is missing, may not be read, or is
// not a sound ledger. The ledger is as it was.
var ErrBackup = errors.New("the backup cannot be used")

// Restore puts a backup in the ledger's place. The backup is checked first, and refused with [ErrBackup]; the ledger that
// was there is kept beside it, under the name that is returned, empty if there was none. The next start begins a new epoch, because what was done after
// the backup was taken is not in it: redeeming is frozen until headquarters has reconciled the two.
func (o *Offline) Restore(ctx context.Context, from string) (kept string, report *Report, err error) {
	if _, err := os.Stat(from); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	report, err = CheckFile(ctx, from, nil)
	if err != nil {
		return "", report, fmt.Errorf("%w: %s: %w", ErrBackup, from, err)
	}
	temp := o.path + ".new"
	if err := errors.Join(removeIfThere(temp), copyFile(from, temp)); err != nil {
		return "", report, fmt.Errorf("restore the ledger: %w", err)
	}
	now := time.Now().UTC()
	reason := fmt.Sprintf("the ledger was restored at %s from a backup that ends at epoch %d, entry %d", now.Format(time.RFC3339), report.Epoch, report.Last)
	if err := markReborn(temp, reason); err != nil {
		return "", report, errors.Join(fmt.Errorf("restore the ledger: %w", err), removeIfThere(temp))
	}
	if _, err := os.Lstat(o.path); err == nil {
		if kept, err = keep(o.path, o.path+".before-restore-"+now.Format("20060102T150405")); err != nil {
			return "", report, errors.Join(fmt.Errorf("keep the present ledger: %w", err), removeIfThere(temp))
		}
	}
	if err := replaceFile(temp, o.path); err != nil {
		return kept, report, fmt.Errorf("restore the ledger: %w", err)
	}
	return kept, report, nil
}

// keep copies a file to the first of the names to, to-2, to-3 and so on that is free, and returns it.
func keep(path, to string) (string, error) {
	name := to
	for n := 2; ; n++ {
		err := copyFile(path, name)
		if !errors.Is(err, os.ErrExist) {
			return name, err
		}
		name = fmt.Sprintf("%s-%d", to, n)
	}
}

func markReborn(path, reason string) error {
	return withFile(path, bolt.Options{OpenFile: openBolt}, func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error {
			t := &txn{tx: tx, buckets: make(map[string]*bolt.Bucket)}
			return t.put(bucketMeta, keyReborn, seal(bucketMeta, keyReborn, []byte(reason)))
		})
	})
}

func withFile(path string, opts bolt.Options, do func(*bolt.DB) error) error {
	opts.Timeout, opts.FreelistType = time.Second, bolt.FreelistMapType
	db, err := bolt.Open(path, 0o640, &opts)
	if err != nil {
		return err
	}
	return errors.Join(guard(func() error { return do(db) }), db.Close())
}

// Compact rewrites the ledger without its free pages and puts the result in its place when it is complete, checked and on
// the disk. It returns the sizes before and after.
func (o *Offline) Compact(ctx context.Context) (before, after int64, err error) {
	if _, err := os.Stat(o.path); err != nil {
		return 0, 0, fmt.Errorf("open the ledger: %w", err)
	}
	report, err := CheckFile(ctx, o.path, nil)
	if err != nil {
		return 0, 0, fmt.Errorf("the ledger is left as it was: %w", err)
	}
	temp := o.path + ".new"
	err = withFile(o.path, bolt.Options{OpenFile: openBolt, ReadOnly: true}, func(src *bolt.DB) error {
		return withFile(temp, bolt.Options{OpenFile: createBolt}, func(dst *bolt.DB) error { return bolt.Compact(dst, src, 16<<20) })
	})
	if err != nil {
		return 0, 0, errors.Join(fmt.Errorf("compact the ledger: %w", err), removeIfThere(temp))
	}
	small, err := CheckFile(ctx, temp, nil)
	if err != nil {
		return 0, 0, errors.Join(fmt.Errorf("compact the ledger: the result is not sound and the ledger is left as it was: %w", err), removeIfThere(temp))
	}
	return report.Bytes, small.Bytes, replaceFile(temp, o.path)
}
