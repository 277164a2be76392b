package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// mark is how far the store has come, as a small file beside it remembers it. A store that is behind its mark was put back
// to an older copy. The mark may itself be behind: it is written about once a second, and without waiting for the disk.
type mark struct {
	Life uint64 `json:"life"` // first down-stream number of the life
	Down uint64 `json:"down"` // last one given
	Pos  uint64 `json:"pos"`  // end of the stream
}

// ahead tells whether the mark remembers what the other does not have.
func (m mark) ahead(o mark) bool {
	return m.Life > o.Life || m.Life == o.Life && (m.Down > o.Down || m.Pos > o.Pos)
}

// markEvery is how often the mark follows the commits.
const markEvery = time.Second

func markPath(store string) string { return store + ".mark" }

// readMark reads the mark. None, or one that cannot be read, remembers nothing.
func readMark(store string) (mark, error) {
	b, err := os.ReadFile(markPath(store))
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, fmt.Errorf("read the store's mark: %w", err)
	}
	var m mark
	if json.Unmarshal(b, &m) != nil {
		return mark{}, nil
	}
	return m, nil
}

func (m mark) write(store string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	next := markPath(store) + ".next"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("write the store's mark: %w", err)
	}
	if err := os.Rename(next, markPath(store)); err != nil {
		return fmt.Errorf("write the store's mark: %w", err)
	}
	return nil
}

// mark is how far the store is in this transaction.
func (t *tx) mark() (m mark, err error) {
	for key, to := range map[string]*uint64{string(kLife): &m.Life, string(kDown): &m.Down, string(kPos): &m.Pos} {
		if *to, err = t.number(bMeta, []byte(key)); err != nil {
			return m, err
		}
	}
	return m, nil
}

// Restored is the last time that an older copy was noticed. See [hq.Tx].
func (t *tx) Restored() (hq.Restoration, error) {
	v, err := t.get(bMeta, kRestored)
	if err != nil || v == nil {
		return hq.Restoration{}, err
	}
	r := &reader{b: v}
	out := hq.Restoration{At: loyalty.Instant(r.int()), Through: r.uint()}
	k, _ := t.Bucket(bAwaited).Cursor().First()
	out.Open = k != nil
	return out, r.end()
}

// Awaited tells whether a station is waited for. See [hq.Tx].
func (t *tx) Awaited(station loyalty.StationID) (greeted loyalty.Instant, awaited bool, err error) {
	v, err := t.get(bAwaited, u32(station))
	if err != nil || v == nil {
		return 0, false, err
	}
	r := &reader{b: v}
	greeted = loyalty.Instant(r.int())
	return greeted, true, r.end()
}

// saveRestoration begins or ends the waiting for stations.
func (t *tx) saveRestoration(c *hq.Changes) error {
	if c.Distrusted != 0 {
		if err := t.distrust(c.Distrusted); err != nil {
			return err
		}
	}
	for station, at := range c.Greeted {
		if _, awaited, err := t.Awaited(station); err != nil || !awaited {
			if err != nil {
				return err
			}
			continue
		}
		if err := t.put(bAwaited, u32(station), binary.AppendVarint(nil, int64(at))); err != nil {
			return err
		}
	}
	gone := make([][]byte, 0, len(c.Confirmed))
	for _, station := range c.Confirmed {
		gone = append(gone, u32(station))
	}
	if c.Accepted {
		cur := t.Bucket(bAwaited).Cursor()
		for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
			gone = append(gone, slices.Clone(k))
		}
	}
	for _, k := range gone {
		if err := t.delete(bAwaited, k); err != nil {
			return err
		}
	}
	return nil
}

// distrust waits for every station that was seen not long before the last sighting of all: that is about when the copy was
// made, whatever the clock says now.
func (t *tx) distrust(at loyalty.Instant) error {
	down, err := t.number(bMeta, kDown)
	if err != nil {
		return err
	}
	if err := t.put(bMeta, kRestored, binary.AppendUvarint(binary.AppendVarint(nil, int64(at)), down)); err != nil {
		return err
	}
	seen := map[loyalty.StationID]loyalty.Instant{}
	var last loyalty.Instant
	err = t.each(bSeen, func(k, v []byte) error {
		id := loyalty.StationID(binary.BigEndian.Uint32(k))
		s, err := decodeSighting(id, v)
		seen[id], last = s.At, max(last, s.At)
		return err
	})
	if err != nil {
		return err
	}
	for id, when := range seen {
		if t.Bucket(bStation).Get(u32(id)) == nil || when < last.Add(-t.await) {
			continue
		}
		if err := t.put(bAwaited, u32(id), binary.AppendVarint(nil, 0)); err != nil {
			return err
		}
	}
	return nil
}
