// Package embedded is headquarters' ledger of record in one bbolt file: for the demonstration, for tests, and for a
// network that one machine serves.
//
// It promises that what Update has returned from is on the disk; that transactions are serial; that every value carries
// a checksum over itself and its key, so that a flipped bit is an error and never a balance; and that [Store.Check]
// re-walks every journal's chain and recomputes every balance from the entries.
//
// One goroutine writes. It takes whatever is waiting, without waiting for more, into one transaction and one fsync, so
// that a lone question is not delayed and a thousand share the disk.
//
// It does not replicate: a copy of the file is a backup. When an older copy is put back, stations send again what it
// lacks, and down-streams begin anew where stations have got more than the copy has sent. It notices by itself that it is
// an older copy if the small file beside it (the mark) was not put back with it, and by what stations show of the life
// that is lost; otherwise somebody has to say so. Then rights to redeem wait for the stations: see [hq.Restoration].
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// The errors of this store, beside [hq.ErrBroken].
var (
	// ErrInUse means that another process has the file open.
	ErrInUse = errors.New("the store is in use by another process")
	// ErrCorrupt means that a value's checksum or form is wrong.
	ErrCorrupt = errors.New("the store is corrupt")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrSchema means that the file was written by a newer program, or is not a store of headquarters.
	ErrSchema = errors.New("the store has a schema that this program does not know")
)

// Config is what [Open] needs; only Path is required.
type Config struct {
	// Path of the file; it is made, with its folder, if it does not exist.
	Path string
	// Now is the clock that tells this life of the store from others. Default: time.Now.
	Now func() time.Time
	// Await is how long before the last sighting in an older copy a station must have been seen to be waited for after the
	// copy was put back; see [hq.Restoration]. Default: thirty days.
	Await time.Duration
	// Wait for another process to let go of the file. Default: one second.
	Wait time.Duration
	// ReadOnly opens for Check and reading.
	ReadOnly bool
}

// Store is the ledger of record in one file. It is safe for concurrent use.
type Store struct {
	db       *bolt.DB
	requests chan *request
	closing  chan struct{}
	done     chan struct{}
	close    sync.Once
	err      error // of Close
	path     string
	await    time.Duration
	marked   time.Time // when the mark was written; touched by the writer only

	mu     sync.Mutex
	broken error
}

var _ hq.Store = (*Store)(nil)

// group bounds how many transactions share a commit.
const group = 256

// request is one Update.
type request struct {
	fn   func(hq.Tx) error
	done chan error
}

// Open opens or makes the file. The caller closes the store.
func Open(cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Await == 0 {
		cfg.Await = 30 * 24 * time.Hour
	}
	if cfg.Wait == 0 {
		cfg.Wait = time.Second
	}
	if !cfg.ReadOnly {
		if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o750); err != nil {
			return nil, fmt.Errorf("open the store: %w", err)
		}
	}
	opt := &bolt.Options{Timeout: cfg.Wait, FreelistType: bolt.FreelistMapType, ReadOnly: cfg.ReadOnly}
	if runtime.GOOS != "windows" {
		opt.InitialMmapSize = 1 << 30 // a reader never holds up a file that grows within it
	}
	db, err := bolt.Open(cfg.Path, 0o600, opt)
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", cfg.Path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s := &Store{db: db, path: cfg.Path, await: cfg.Await, requests: make(chan *request, group), closing: make(chan struct{}), done: make(chan struct{})}
	if err := s.prepare(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", cfg.Path, err), db.Close())
	}
	go s.write()
	return s, nil
}

// prepare makes the buckets of a new file, checks the schema of an old one and begins a life.
func (s *Store) prepare(cfg Config) error {
	if cfg.ReadOnly {
		return s.db.View(func(btx *bolt.Tx) error { return (&tx{Tx: btx}).schema() })
	}
	old, err := readMark(s.path)
	if err != nil {
		return err
	}
	var now mark
	err = s.db.Update(func(btx *bolt.Tx) error {
		for _, b := range buckets {
			if _, err := btx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		t := &tx{Tx: btx, await: s.await}
		if err := t.schema(); err != nil {
			return err
		}
		was, err := t.mark()
		if err != nil {
			return err
		}
		if err := t.begin(uint64(cfg.Now().UnixMilli())); err != nil {
			return err
		}
		if old.ahead(was) {
			if err := hq.Distrust(t, "the mark beside them remembers more", loyalty.At(cfg.Now())); err != nil {
				return err
			}
		}
		now, err = t.mark()
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(now.write(s.path), s.scrub()); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(cfg.Path))
}

// syncFolder makes a new file's name durable.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // the file system journals names, and folders cannot be opened
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close waits for what is being written and closes the file. Updates after it return [ErrClosed].
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		<-s.done
		s.err = errors.Join(s.lastMark(), s.db.Close())
	})
	return s.err
}

// lastMark writes how far the store has come.
func (s *Store) lastMark() error {
	if s.db.IsReadOnly() {
		return nil
	}
	var m mark
	err := s.db.View(func(btx *bolt.Tx) (err error) {
		m, err = (&tx{Tx: btx}).mark()
		return err
	})
	if err != nil {
		return err
	}
	return m.write(s.path)
}

// Update runs fn in a transaction and returns after the fsync. See [hq.Store].
func (s *Store) Update(ctx context.Context, fn func(hq.Tx) error) error {
	if s.db.IsReadOnly() {
		return fmt.Errorf("%w for reading only", ErrInUse)
	}
	r := &request{fn: fn, done: make(chan error, 1)}
	select {
	case s.requests <- r:
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-s.done:
		// The writer has ended; it may have answered just before.
		select {
		case err := <-r.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// View runs fn on the last committed state. See [hq.Store].
func (s *Store) View(ctx context.Context, fn func(hq.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.db.View(func(btx *bolt.Tx) error { return fn(&tx{Tx: btx, await: s.await}) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// write is the one writer.
func (s *Store) write() {
	defer close(s.done)
	for {
		select {
		case r := <-s.requests:
			s.commit(s.gather(r))
		case <-s.closing:
			return
		}
	}
}

// gather takes what is waiting, without waiting for more.
func (s *Store) gather(first *request) []*request {
	runtime.Gosched() // lets callers that are about to ask do so: they share the fsync
	rs := []*request{first}
	for len(rs) < group {
		select {
		case r := <-s.requests:
			rs = append(rs, r)
		default:
			return rs
		}
	}
	return rs
}

// maxFree is how many free pages are still worth writing down with every commit. Above it the list costs more than the
// scan at the next start.
const maxFree = 1000

// errNothing rolls a transaction back in which nobody wrote: there is nothing to wait for the disk for.
var errNothing = errors.New("nothing to write")

// commit runs the requests in one transaction. One that fails before it has written is answered alone; one that fails
// in the middle of writing undoes the transaction, and all are run once more, each for itself.
func (s *Store) commit(rs []*request) {
	if err := s.failure(); err != nil {
		answer(rs, err)
		return
	}
	st := s.db.Stats()
	s.db.NoFreelistSync = st.FreePageN+st.PendingPageN > maxFree
	errs := make([]error, len(rs))
	half, dirty, scrubs := false, false, false
	err := s.db.Update(func(btx *bolt.Tx) error {
		for i, r := range rs {
			t := &tx{Tx: btx, await: s.await}
			errs[i] = r.fn(t)
			dirty, scrubs = dirty || t.dirty, scrubs || t.scrubs
			if errs[i] != nil && t.dirty {
				half = true
				return errs[i]
			}
		}
		if !dirty {
			return errNothing
		}
		return nil
	})
	if err == nil && scrubs {
		err = s.scrub()
	}
	switch {
	case errors.Is(err, errNothing):
	case half && len(rs) > 1:
		for _, r := range rs {
			s.commit([]*request{r})
		}
		return
	case half:
		answer(rs, errs[0])
		return
	case err != nil:
		// The commit failed: the disk may or may not have it. Only a new start finds out.
		s.fail(err)
		answer(rs, s.failure())
		return
	}
	if dirty && time.Since(s.marked) >= markEvery {
		s.marked = time.Now()
		_ = s.lastMark() // the one before stays: it remembers less, and nothing wrong
	}
	for i, r := range rs {
		r.done <- errs[i]
	}
}

func answer(rs []*request, err error) {
	for _, r := range rs {
		r.done <- err
	}
}

func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = fmt.Errorf("%w: %w", hq.ErrBroken, err)
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}
