package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	bolt "go.etcd.io/bbolt"
)

// The errors of this package, beside the refusals of package loyalty.
var (
	// ErrInUse means that another process has the ledger open; the message names its number.
	ErrInUse = errors.New("ledger is in use")
	// ErrClosed means that the ledger has been closed; the operation was not carried out.
	ErrClosed = errors.New("ledger is closed")
	// ErrNoEntry means that the journal does not hold the entry: it was trimmed, or never written.
	ErrNoEntry = errors.New("no such entry")
	// ErrFork means that HQ's journal of this station and the station's own differ: [Ledger.NewEpoch] is due.
	ErrFork = errors.New("journal and headquarters differ")
	// ErrCorrupt means that the file's content breaks its own rules.
	ErrCorrupt = errors.New("ledger is corrupt")
	// ErrSchema means that the file was written by a newer version of the program.
	ErrSchema = errors.New("ledger was written by a newer version")
	// ErrStation means that the file is another station's ledger.
	ErrStation = errors.New("ledger belongs to another station")
)

// Config says where a ledger lives and what it may use.
type Config struct {
	// Path of the file, on a local disk. Its folder takes the lock file and corrupt files that were moved aside as well.
	Path string
	// WitnessPath is the file that remembers the journal's end outside the ledger. Default: Path + ".witness".
	WitnessPath string
	// Station that writes the journal.
	Station loyalty.StationID
	// Version of the program, written into the Started entry.
	Version string
	// Log takes what an operator should know. Default: nothing is logged.
	Log *slog.Logger
	// Now is the wall clock. Default: time.Now.
	Now func() time.Time
	// Rand gives nonces, boot ids and operation ids. Default: crypto/rand.
	Rand io.Reader
	// MaxSize bounds the file, in bytes. Default: 4 GiB. A part of it is kept back, see room.go.
	MaxSize int64
	// Retain is how long acknowledged entries and the sales that ended in them are kept, and so how far
	// back a station can tell a customer of them; a sale that was refunded is kept as long as its last refund. A station of
	// 2,000 sales a day needs 0.5 GB for the default. Default: 400 days.
	Retain time.Duration
	// VerifyBytes is the size up to which Open reads the whole file and checks structure and checksums before it trusts
	// it; a larger file is checked page by page as it is used, and read whole only after two runs in a row have ended
	// without closing it. Default: 256 MiB, read in less than half a second.
	VerifyBytes int64
}

func (c Config) withDefaults() (Config, error) {
	if c.Path == "" {
		return c, errors.New("ledger: no path is configured")
	}
	if c.Station == 0 || c.Station > loyalty.MaxStation {
		return c, fmt.Errorf("ledger: station %d, want 1 to %d", c.Station, loyalty.MaxStation)
	}
	if c.WitnessPath == "" {
		c.WitnessPath = c.Path + ".witness"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.MaxSize <= 0 {
		c.MaxSize = 4 << 30
	}
	if c.Retain <= 0 {
		c.Retain = 400 * 24 * time.Hour
	}
	if c.VerifyBytes <= 0 {
		c.VerifyBytes = 256 << 20
	}
	return c, nil
}

// Ledger is an open ledger. All methods may be called by any number of goroutines at once.
type Ledger struct {
	cfg   Config
	log   *slog.Logger
	clock *clock
	boot  [16]byte
	lock  *fileLock

	calls    chan *call
	closing  chan struct{}
	stopped  chan struct{} // the writer has ended
	rested   chan struct{} // the housekeeper has ended
	appended chan struct{}
	once     sync.Once
	closeErr error

	storageErrors atomic.Uint64
	lastRoom      atomic.Int64
	suspected     atomic.Int64 // when a reader last had the file reopened, unix seconds

	// mu guards db: held for reading through every transaction, for writing while the file is replaced.
	mu       sync.RWMutex
	db       *bolt.DB
	file     *os.File // of db
	fault    error    // why db is nil
	tried    time.Time
	reborn   bool   // a new epoch has begun while the file was opened
	salvaged string // where a corrupt file was just put

	// now guards what follows the last commit.
	now   sync.Mutex
	st    state
	rules rules

	// committing is held from the beginning of a transaction until it is known to be on the disk; durable is the last one
	// that is. A reader that has seen a later one waits for its outcome: bbolt shows a transaction before it is synced.
	committing sync.RWMutex
	durable    atomic.Uint64

	// Tests replace these.
	openFile func(string, int, os.FileMode) (*os.File, error)
	diskFree func(string) (int64, error)
	settle   func(*bolt.DB, *os.File) error
	longList int // of free pages: one that is longer is not written
	noSync   bool
}

// Open opens the ledger of a station, or creates it, checks it, begins a new epoch if the witness or the file's state asks
// for one, and writes the Started entry. A corrupt file is moved aside and kept, and what can be read of it is carried
// over: see [Status]. Errors: [ErrInUse], [ErrSchema], [ErrStation], and those of the file system.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	l, err := newLedger(cfg)
	if err != nil {
		return nil, err
	}
	return l, l.open(ctx)
}

func newLedger(cfg Config) (*Ledger, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		cfg: cfg, log: cfg.Log, clock: newClock(cfg.Now),
		calls: make(chan *call, maxGroup), closing: make(chan struct{}), stopped: make(chan struct{}), rested: make(chan struct{}),
		appended: make(chan struct{}, 1), openFile: openBolt, diskFree: diskFree, settle: settle, longList: 1000,
	}
	if _, err := io.ReadFull(cfg.Rand, l.boot[:]); err != nil {
		return nil, fmt.Errorf("random bytes for a boot id: %w", err)
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.cfg.Path), 0o750); err != nil {
		return fmt.Errorf("create the ledger's folder: %w", err)
	}
	if l.lock, err = lockFile(l.cfg.Path + ".lock"); err != nil {
		return err
	}
	// Two runs that ended without closing may have met a page that takes bbolt down: trust nothing then, at any size.
	if err := l.load(l.lock.crashes >= 2); err != nil {
		return errors.Join(err, l.lock.Close())
	}
	if !l.reborn { // a new epoch has begun with a Started entry
		first := &call{do: func(t *txn) error { return t.start(l.started()) }}
		if l.commit([]*call{first}); first.err != nil && !errors.Is(first.err, loyalty.StorageFull) {
			return errors.Join(fmt.Errorf("write the Started entry: %w", first.err), l.shut(l.db), l.lock.Close())
		}
	}
	go l.writer()
	go l.housekeeper()
	return nil
}

func (l *Ledger) started() loyalty.Started {
	return loyalty.Started{Boot: l.boot, Version: l.cfg.Version, Wall: loyalty.At(l.cfg.Now())}
}

// Close ends the ledger: operations that were taken are carried out and answered, later ones are [ErrClosed]. It may be
// called more than once.
func (l *Ledger) Close() error {
	l.once.Do(func() {
		close(l.closing)
		<-l.stopped
		<-l.rested
		err := l.saveWitness()
		l.mu.Lock()
		defer l.mu.Unlock()
		db := l.db
		l.db, l.fault = nil, ErrClosed
		l.closeErr = errors.Join(err, l.shut(db), l.lock.Close())
	})
	return l.closeErr
}

// shut closes a file.
func (l *Ledger) shut(db *bolt.DB) error {
	if db == nil {
		return nil
	}
	if err := guard(db.Close); err != nil {
		return fmt.Errorf("close the ledger: %w", err)
	}
	return nil
}

// Appended receives after commits that appended entries. It has room for one signal, so that signals join.
func (l *Ledger) Appended() <-chan struct{} { return l.appended }

func (l *Ledger) state() state {
	l.now.Lock()
	defer l.now.Unlock()
	return l.st
}

func (l *Ledger) committedRules() rules {
	l.now.Lock()
	defer l.now.Unlock()
	return l.rules
}

// begin makes the transaction of a group.
func (l *Ledger) begin(db *bolt.DB, tx *bolt.Tx) *txn {
	t := &txn{
		tx: tx, read: l.clock.read, buckets: make(map[string]*bolt.Bucket, 8), room: l.measure(db, tx),
		random: func(b []byte) error { _, err := io.ReadFull(l.cfg.Rand, b); return err },
	}
	l.now.Lock()
	defer l.now.Unlock()
	t.st, t.rules = l.st, l.rules
	return t
}

// committed moves the memory after the disk.
func (l *Ledger) committed(t *txn) {
	l.now.Lock()
	l.st, l.rules = t.st, t.rules
	l.now.Unlock()
	l.lastRoom.Store(t.room.left)
	l.clock.committed(t.st.bound, t.st.heard)
	if t.appended {
		l.signal()
	}
}

func (l *Ledger) signal() {
	select {
	case l.appended <- struct{}{}:
	default:
	}
}

func corrupt(err error) bool { return errors.Is(err, ErrCorrupt) }

// unusable is the answer while there is no file. The caller holds mu.
func (l *Ledger) unusable() error {
	if errors.Is(l.fault, ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", loyalty.StorageFailed, l.fault)
}

// usable is the open file; where there is none it tries to open it, once a second.
func (l *Ledger) usable() (*bolt.DB, error) {
	l.mu.RLock()
	db, tried := l.db, l.tried
	l.mu.RUnlock()
	if db != nil {
		return db, nil
	}
	if time.Since(tried) >= time.Second {
		l.reopen(nil, nil)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.db == nil {
		return nil, l.unusable()
	}
	return l.db, nil
}

func (l *Ledger) opened() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.db != nil
}

// reopen closes the file after an error that leaves its content unknown, and goes on from what is in it, once that is on
// the disk: see settle.go.
func (l *Ledger) reopen(db *bolt.DB, cause error) {
	l.mu.Lock()
	l.db, l.fault, l.tried = nil, cause, time.Now()
	old := l.file
	l.mu.Unlock()
	if db != nil {
		if corrupt(cause) {
			// A panic may have left locks inside bbolt: only its file is closed.
			if err := abandon(old); err != nil {
				l.log.Error("close the ledger", "error", err)
			}
		} else if err := l.shut(db); err != nil {
			l.log.Error("close the ledger", "error", err)
		}
	}
	before := l.state()
	if err := l.load(corrupt(cause)); err != nil {
		l.mu.Lock()
		l.fault = err
		l.mu.Unlock()
		l.log.Error("the ledger cannot be opened again; it is tried again with the next operation", "error", err)
		return
	}
	if l.state().last != before.last {
		l.signal()
	}
}

// suspect has the writer check and reopen the file after a reader met a page that cannot be right: at most once a minute.
func (l *Ledger) suspect(err error) {
	l.log.Error("the ledger could not be read", "error", err)
	now := time.Now().Unix()
	if last := l.suspected.Load(); now-last < 60 || !l.suspected.CompareAndSwap(last, now) {
		return
	}
	select {
	case l.calls <- &call{do: func(*txn) error { return err }, done: make(chan struct{})}:
	default:
	}
}
