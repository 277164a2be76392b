package ledger

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	bolt "go.etcd.io/bbolt"
)

// salvage moves a corrupt file aside, where it is kept, and makes a new one of every record in it whose checksum holds:
// from the newest head, what that one no longer reaches, from the older, and what neither reaches, from pages that lie
// about. The new file begins a new epoch, frozen, with every entry of the journal that HQ may not have.
func (l *Ledger) salvage(cause error, w *witness) error {
	at, _ := l.Now()
	aside := fmt.Sprintf("%s.corrupt-%s", l.cfg.Path, at.Time().Format("20060102T150405.000"))
	l.log.Error("the ledger is corrupt; it is kept and what can be read of it is carried over", "error", cause, "kept", aside)
	recs, err := collect(l.cfg.Path)
	if err != nil {
		return fmt.Errorf("salvage the ledger: %w", err)
	}
	st, lost := recs.state(l.cfg.Station, w)
	reason := fmt.Sprintf("the ledger was corrupt (%v); %d records were carried over, %d entries of the journal are missing; it is kept as %s", cause, recs.count, lost, aside)
	// The copy is complete before the corrupt file leaves its place: a crash in between begins again.
	if err := copyFile(l.cfg.Path, aside); err != nil {
		return fmt.Errorf("keep the corrupt ledger: %w", err)
	}
	err = l.build(func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error {
			if err := initialise(tx, st, reason); err != nil {
				return err
			}
			return recs.restore(tx, st)
		})
	})
	if err != nil {
		return fmt.Errorf("salvage the ledger: %w", err)
	}
	l.mu.Lock()
	l.salvaged = aside
	l.mu.Unlock()
	return nil
}

// records are what could be read of a file.
type records struct {
	plain   map[string]map[string][]byte // by bucket and key, unsealed
	journal map[place]link
	strayed map[string]bool // of plain: found by no tree
	count   int
}

// link is an entry with the chain after it.
type link struct {
	hash  wire.Hash
	bytes []byte
}

// collect reads a file by both of its heads. It fails only when the disk does.
func collect(path string) (*records, error) {
	recs := &records{plain: make(map[string]map[string][]byte), journal: make(map[place]link)}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	p, err := newPageFile(f, size)
	if corrupt(err) {
		return recs, nil
	}
	if err != nil {
		return nil, err
	}
	for _, m := range []*pageMeta{p.newest(), p.older()} {
		if m == nil {
			continue
		}
		if err := p.walk(m, recs.take, func(string) error { return nil }); err != nil {
			return nil, err
		}
	}
	return recs, recs.gather(p)
}

// take keeps a record whose checksum holds and that is not there yet: the newest head is read first.
func (r *records) take(path []string, key, stored []byte) error {
	bucket := bucketOf(path)
	v, err := unseal(bucket, key, stored)
	if err != nil || !slices.Contains(bucketNames(), bucket) {
		return nil
	}
	if bucket == bucketJrn {
		h, b, err := parseEntry(key, stored)
		if _, known := r.journal[parsePlace(key)]; err == nil && !known {
			r.journal[parsePlace(key)] = link{h, slices.Clone(b)}
			r.count++
		}
		return nil
	}
	if r.plain[bucket] == nil {
		r.plain[bucket] = make(map[string][]byte)
	}
	if _, ok := r.plain[bucket][string(key)]; !ok {
		r.plain[bucket][string(key)] = slices.Clone(v)
		r.count++
	}
	return nil
}

// state is where the salvaged journal stands: at its last readable entry, with as much acknowledged as is known to be.
// lost is how many entries are known to be missing from what HQ may not have.
func (r *records) state(station loyalty.StationID, w *witness) (st state, lost uint64) {
	st = state{station: station, epoch: 1, bound: earliest}
	if b, ok := r.plain[bucketMeta][string(keyState)]; ok {
		if s, err := parseState(b); err == nil {
			st = s
		}
	}
	last := st.last
	for p := range r.journal {
		if p.epoch > st.epoch {
			st.epoch, st.acked, last = p.epoch, 0, 0
		}
	}
	for p := range r.journal {
		if p.epoch == st.epoch {
			last = max(last, p.seq)
		}
	}
	if w != nil && w.station == station && w.epoch == st.epoch {
		last = max(last, w.seq)
	}
	for seq := st.acked + 1; seq <= last; seq++ {
		if _, ok := r.journal[place{st.epoch, seq}]; !ok {
			lost++
		}
	}
	st.last = last
	st.count = counters{}
	return st, lost
}

// restore writes the records into a fresh file and rebuilds what follows from others. The journal is the truth: a sale or
// an account that stems from before the last entries is brought up to them. The chain over gaps of the journal is made
// anew, because no HQ will be shown it: the new epoch, which the next step begins, carries the entries again. Cells are
// not carried over: the new epoch has its own.
func (r *records) restore(tx *bolt.Tx, st state) error {
	t := &txn{tx: tx, st: st, buckets: make(map[string]*bolt.Bucket)}
	for _, name := range []string{bucketCard, bucketProg, bucketNote, bucketQuar, bucketForm, bucketWatch} {
		for _, key := range sortedKeys(r.plain[name]) {
			if !readable(name, key, r.plain[name][key]) {
				continue
			}
			if err := t.put(name, []byte(key), seal(name, []byte(key), slices.Clone(r.plain[name][key]))); err != nil {
				return err
			}
			t.count(name)
		}
	}
	if v, ok := r.plain[bucketMeta][string(keyAlarms)]; ok {
		if _, err := parseAlarms(v); err == nil {
			if err := t.put(bucketMeta, keyAlarms, seal(bucketMeta, keyAlarms, slices.Clone(v))); err != nil {
				return err
			}
		}
	}
	b := r.rebuild()
	if err := b.write(t); err != nil {
		return err
	}
	if err := r.restoreJournal(t, b.order); err != nil {
		return err
	}
	return t.saveState()
}

func (t *txn) count(bucket string) {
	switch bucket {
	case bucketCard:
		t.st.count.cards++
	case bucketQuar:
		t.st.count.quarantined++
	}
}

// readable tells whether the program can use a record whose checksum holds.
func readable(bucket, key string, v []byte) bool {
	switch bucket {
	case bucketCard:
		_, err := parseCard(loyalty.CardNumber(key), v)
		return err == nil
	case bucketWatch:
		_, err := parseWatch(v)
		return err == nil
	case bucketForm:
		return len(key) == len(place{}.key())
	}
	return true
}

func sortedKeys(m map[string][]byte) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
