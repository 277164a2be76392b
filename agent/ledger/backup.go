package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// CopyRate is how fast a ledger is copied unless something else is asked for, in bytes a second: sales feel a disk that is
// written to as fast as it goes.
const CopyRate = 30_000_000

// Offline is a ledger that no process writes: the file itself, locked so that none opens it meanwhile, or a copy of one
// that an agent is writing.
type Offline struct {
	path string
	base string // the ledger that path is, or is a copy of
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
	return &Offline{path: path, base: path, lock: lock}, nil
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
	if err := snapshot(ctx, path, to, CopyRate, true); err != nil {
		return nil, errors.Join(fmt.Errorf("copy the ledger: %w", err), removeIfThere(to))
	}
	return &Offline{path: to, base: path, copy: true}, nil
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
	return checkFile(ctx, o.path, o.base, progress)
}

// Backup copies a ledger to a new file, which is on the disk, and was checked, when it returns: also while an agent writes
// it, as of one moment. It copies no more than rate bytes a second; 0 sets no limit. An existing file is not overwritten.
// A ledger that is not sound is copied all the same, for whoever is to look at it, and reported with [ErrCorrupt]. The
// copy holds card numbers: keep it as the ledger is kept.
func Backup(ctx context.Context, path, to string, rate int64) (*Report, error) {
	if _, err := os.Lstat(to); err == nil {
		return nil, fmt.Errorf("back up the ledger: %s exists already; choose another name", to)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	o, err := Lock(path)
	running := errors.Is(err, ErrInUse)
	if err != nil && !running {
		return nil, err
	}
	temp := to + ".new"
	err = snapshot(ctx, path, temp, rate, running)
	if !running {
		err = errors.Join(err, o.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("back up the ledger: %w", err), removeIfThere(temp))
	}
	r, err := CheckFile(ctx, temp, nil)
	if err != nil && !corrupt(err) {
		return r, errors.Join(err, removeIfThere(temp))
	}
	return r, errors.Join(err, replaceFile(temp, to))
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
