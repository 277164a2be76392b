package ledger

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// keyReborn holds why the next opening must begin a new epoch: the file was restored, salvaged or made anew.
var keyReborn = []byte("reborn")

// load opens the file, whatever has become of it, and takes its state into memory. force reads the whole file first.
func (l *Ledger) load(force bool) error {
	w, err := readWitness(l.cfg.WitnessPath)
	if err != nil {
		l.log.Warn("the witness file cannot be read and is written anew", "path", l.cfg.WitnessPath, "error", err)
	}
	info, err := os.Stat(l.cfg.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := l.create(w); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("open the ledger: %w", err)
	case force || info.Size() <= l.cfg.VerifyBytes:
		if err := verifyFile(l.cfg.Path); corrupt(err) {
			if err := l.salvage(err, w); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	db, file, err := l.openDB(l.cfg.Path)
	if corrupt(err) {
		if err := l.salvage(err, w); err != nil {
			return err
		}
		db, file, err = l.openDB(l.cfg.Path)
	}
	if err != nil {
		return err
	}
	if !l.noSync {
		if err := l.settle(db, file); err != nil {
			return errors.Join(err, l.shut(db))
		}
	}
	if err := l.adopt(db, file, w); err != nil {
		return errors.Join(err, l.shut(db))
	}
	return nil
}

// openDB opens the file with bbolt.
func (l *Ledger) openDB(path string) (*bolt.DB, *os.File, error) {
	var file *os.File
	opts := &bolt.Options{
		Timeout: time.Second, FreelistType: bolt.FreelistMapType, MaxSize: int(min(l.cfg.MaxSize, math.MaxInt)), NoSync: l.noSync,
		NoFreelistSync: true, // the file as it is: the first transaction decides
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			f, err := l.openFile(name, flag, perm)
			if file == nil {
				file = f
			}
			return f, err
		},
		InitialMmapSize: mapSize(l.cfg.MaxSize),
	}
	var db *bolt.DB
	err := guard(func() (err error) {
		db, err = bolt.Open(path, 0o640, opts)
		return err
	})
	switch {
	case err == nil:
		db.AllocSize = int(growthOf(l.cfg.MaxSize))
		return db, file, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, nil, fmt.Errorf("%w by a program that is not azs-agent: %s is locked", ErrInUse, path)
	case corrupt(err), errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		if file != nil {
			_ = abandon(file)
		}
		return nil, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	default:
		return nil, nil, fmt.Errorf("open the ledger: %w", err)
	}
}

// mapSize is the address space reserved at once, so that growing does not stop readers. Windows would grow the file to
// it, and a 32-bit program has none to give.
func mapSize(maxSize int64) int {
	if runtime.GOOS == "windows" || strconv.IntSize < 64 {
		return 0
	}
	return int(min(2*maxSize, 64<<30))
}

// adopt brings an open file to the present schema, checks whose it is and where it stands, and takes it over.
func (l *Ledger) adopt(db *bolt.DB, file *os.File, w *witness) error {
	if err := guard(func() error { return migrate(db, migrations()) }); err != nil {
		return err
	}
	var t *txn
	var reborn string
	err := guard(func() error {
		return db.View(func(tx *bolt.Tx) (err error) {
			if t, err = readTxn(tx); err != nil {
				return err
			}
			l.durable.Store(uint64(tx.ID()))
			err = t.loadRules(func(err error) { l.log.Error("a stored programme is passed over", "error", err) })
			if err != nil {
				return err
			}
			v, err := t.get(bucketMeta, keyReborn)
			if err != nil {
				return err
			}
			if reborn = string(v); reborn == "" {
				reborn = t.contradicted(w)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if t.st.station != l.cfg.Station {
		return fmt.Errorf("%w: %s is of station %d, this is station %d; give each station its own file", ErrStation, l.cfg.Path, t.st.station, l.cfg.Station)
	}
	l.now.Lock()
	l.st, l.rules = t.st, t.rules
	l.now.Unlock()
	l.clock.restart(t.st.bound, t.st.heard)
	if reborn != "" {
		if err := l.beReborn(db, w, reborn); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.db, l.file, l.fault = db, file, nil
	return nil
}

// contradicted says why the file cannot be the latest life of the journal, by the witness; empty: it can.
func (t *txn) contradicted(w *witness) string {
	if w == nil || w.station != t.st.station {
		return ""
	}
	switch {
	case w.epoch > t.st.epoch, w.epoch == t.st.epoch && w.nonce == t.st.nonce && w.seq > t.st.last:
		return fmt.Sprintf("the ledger is older than its witness: epoch %d, entry %d against epoch %d, entry %d", t.st.epoch, t.st.last, w.epoch, w.seq)
	case w.epoch == t.st.epoch && w.nonce != t.st.nonce:
		return fmt.Sprintf("the ledger is another life of epoch %d than its witness", w.epoch)
	case w.epoch == t.st.epoch:
		if h, err := t.hashAt(place{w.epoch, w.seq}); err == nil && h != w.hash {
			return fmt.Sprintf("the ledger and its witness differ at entry %d", w.seq)
		}
	}
	return ""
}

// beReborn begins the new epoch that the file's past asks for.
func (l *Ledger) beReborn(db *bolt.DB, w *witness, reason string) error {
	l.mu.RLock()
	kept := l.salvaged
	l.mu.RUnlock()
	above := loyalty.Epoch(0)
	if w != nil && w.station == l.cfg.Station {
		above = w.epoch
	}
	c := &call{do: func(t *txn) error {
		if err := t.delete(bucketMeta, keyReborn); err != nil {
			return err
		}
		if err := t.newEpoch(above, reason, l.started()); err != nil {
			return err
		}
		return t.raise(AlarmEpoch, reason, kept)
	}}
	if err := l.attempt(db, []*call{c}); err != nil {
		return fmt.Errorf("begin a new epoch: %w", err)
	}
	if c.err != nil {
		return fmt.Errorf("begin a new epoch: %w", c.err)
	}
	l.mu.Lock()
	l.reborn, l.salvaged = true, ""
	l.mu.Unlock()
	l.log.Error("a new epoch of the journal has begun; redeeming is frozen until headquarters has reconciled it", "reason", reason, "epoch", l.state().epoch)
	return nil
}

// create makes an empty ledger. Where a witness says that there was one, the station has lost it: the new one begins
// above it, frozen, and with an alarm.
func (l *Ledger) create(w *witness) error {
	st := state{station: l.cfg.Station, epoch: 1, bound: earliest}
	reason := ""
	if w != nil && w.station == l.cfg.Station {
		reason = fmt.Sprintf("the ledger was missing; its witness had seen epoch %d, entry %d", w.epoch, w.seq)
		st.epoch = w.epoch
	}
	var random [16]byte
	if err := randomTo(l.cfg.Rand, random[:]); err != nil {
		return err
	}
	st.nonce = random
	st.lastHash = wire.Genesis(st.station, st.epoch, st.nonce)
	return l.build(func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error { return initialise(tx, st, reason) })
	})
}

// initialise makes the buckets and the first state.
func initialise(tx *bolt.Tx, st state, reborn string) error {
	t := &txn{tx: tx, st: st, buckets: make(map[string]*bolt.Bucket)}
	if err := addBuckets(tx); err != nil {
		return err
	}
	if err := t.putSchema(schemaVersion); err != nil {
		return err
	}
	if reborn != "" {
		if err := t.put(bucketMeta, keyReborn, seal(bucketMeta, keyReborn, []byte(reborn))); err != nil {
			return err
		}
	}
	return t.saveState()
}

// build makes a file beside the ledger's and puts it in its place only when it is complete and on the disk.
func (l *Ledger) build(fill func(*bolt.DB) error) error {
	temp := l.cfg.Path + ".new"
	db, err := bolt.Open(temp, 0o640, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType, OpenFile: createBolt})
	if err != nil {
		return fmt.Errorf("make a ledger: %w", err)
	}
	if err := errors.Join(fill(db), db.Sync(), db.Close()); err != nil {
		return errors.Join(fmt.Errorf("make a ledger: %w", err), os.Remove(temp))
	}
	return replaceFile(temp, l.cfg.Path)
}
