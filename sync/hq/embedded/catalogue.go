package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

var _ hq.Catalogue = (*Store)(nil)

// read runs fn on the last committed state.
func (s *Store) read(ctx context.Context, fn func(*tx) error) error {
	return s.View(ctx, func(t hq.Tx) error { return fn(t.(*tx)) })
}

// Lines are the stream after a position. See [hq.Catalogue].
func (s *Store) Lines(ctx context.Context, after uint64, limit int) (out []*hq.Line, err error) {
	err = s.read(ctx, func(t *tx) error {
		c := t.Bucket(bPos).Cursor()
		for k, v := c.Seek(u64(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
			l, err := t.lineAt(k, v)
			if err != nil {
				return err
			}
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

// lineAt is the line that an entry of the stream's index points at.
func (t *tx) lineAt(pos, sealed []byte) (*hq.Line, error) {
	if len(pos) != 8 {
		return nil, fmt.Errorf("%w: position of %d bytes", ErrCorrupt, len(pos))
	}
	v, err := unseal(pos, sealed)
	if err != nil {
		return nil, err
	}
	at, err := placeOf(v)
	if err != nil {
		return nil, err
	}
	l, err := t.line(at)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint64(pos)
	if l == nil || (l.Pos != n && l.Again != n) {
		return nil, fmt.Errorf("%w: position %d of the stream is not at %s", ErrCorrupt, n, at)
	}
	return l.As(n), nil
}

// LinesSetAside are the entries that could not be applied. See [hq.Catalogue].
func (s *Store) LinesSetAside(ctx context.Context, after hq.Place, limit int) (out []*hq.Line, err error) {
	after.Seq++
	err = s.read(ctx, func(t *tx) error {
		c := t.Bucket(bAside).Cursor()
		for k, _ := c.Seek(placeKey(after)); k != nil && len(out) < limit; k, _ = c.Next() {
			at, err := placeOf(k)
			if err != nil {
				return err
			}
			l, err := t.line(at)
			if err != nil {
				return err
			}
			if l == nil {
				return fmt.Errorf("%w: %s was set aside and is not there", ErrCorrupt, at)
			}
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

// Accounts are the records. See [hq.Catalogue].
func (s *Store) Accounts(ctx context.Context, after loyalty.AccountID, limit int) (out []*loyalty.Record, err error) {
	err = s.read(ctx, func(t *tx) error {
		c := t.Bucket(bAccount).Cursor()
		for k, v := c.Seek(u64(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
			v, err := unseal(k, v)
			if err != nil {
				return err
			}
			r, err := t.record(loyalty.AccountID(binary.BigEndian.Uint64(k)), v)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

// maxCounted bounds how many items of a down-stream are counted.
const maxCounted = 1000

// AllStations are the stations. See [hq.Catalogue].
func (s *Store) AllStations(ctx context.Context, after loyalty.StationID, limit int) (out []hq.StationState, err error) {
	err = s.read(ctx, func(t *tx) error {
		c := t.Bucket(bStation).Cursor()
		for k, v := c.Seek(u32(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
			v, err := unseal(k, v)
			if err != nil {
				return err
			}
			st, err := decodeStation(loyalty.StationID(binary.BigEndian.Uint32(k)), v)
			if err != nil {
				return err
			}
			state := hq.StationState{Station: *st}
			if state.Seen, err = t.Sighting(st.ID); err != nil {
				return err
			}
			if state.Stream, err = t.Stream(st.ID); err != nil {
				return err
			}
			if _, state.Awaited, err = t.Awaited(st.ID); err != nil {
				return err
			}
			items, err := t.Items(st.ID, state.Stream.Acked, maxCounted)
			if err != nil {
				return err
			}
			state.Items = len(items)
			out = append(out, state)
		}
		return nil
	})
	return out, err
}

// Alarms are all alarms. See [hq.Catalogue].
func (s *Store) Alarms(ctx context.Context) (out []hq.Alarm, err error) {
	err = s.read(ctx, func(t *tx) error {
		return t.each(bAlarm, func(k, v []byte) error {
			if len(k) < 9 {
				return fmt.Errorf("%w: alarm %s", ErrCorrupt, masked(k))
			}
			a, err := decodeAlarm(hq.Alarm{
				Station: loyalty.StationID(binary.BigEndian.Uint32(k)), Epoch: loyalty.Epoch(binary.BigEndian.Uint32(k[4:])),
				Kind: hq.AlarmKind(k[8:]),
			}, v)
			out = append(out, a)
			return err
		})
	})
	return out, err
}

// AlarmCounts is how many alarms there are of each kind. See [hq.Catalogue].
func (s *Store) AlarmCounts(ctx context.Context) (map[hq.AlarmKind]int, error) {
	out := map[hq.AlarmKind]int{}
	err := s.read(ctx, func(t *tx) error {
		c := t.Bucket(bAlarm).Cursor()
		for k, _ := c.First(); len(k) > 8; k, _ = c.Next() {
			out[hq.AlarmKind(k[8:])]++
		}
		return nil
	})
	return out, err
}

// History is an account's lines. See [hq.Catalogue].
func (s *Store) History(ctx context.Context, account loyalty.AccountID, before uint64, limit int) (out []*hq.Line, err error) {
	err = s.read(ctx, func(t *tx) error {
		out, err = t.History(account, before, limit)
		return err
	})
	return out, err
}

// AlertLines are what a person should look at. See [hq.Catalogue].
func (s *Store) AlertLines(ctx context.Context, after uint64, limit int) (out []*hq.Line, err error) {
	err = s.read(ctx, func(t *tx) error {
		c := t.Bucket(bAlert).Cursor()
		for k, v := c.Seek(u64(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
			l, err := t.lineAt(k, v)
			if err != nil {
				return err
			}
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

// Published are the programmes. See [hq.Catalogue].
func (s *Store) Published(ctx context.Context, below uint32, limit int) (out []hq.Programme, err error) {
	err = s.read(ctx, func(t *tx) error {
		c := t.Bucket(bProgramme).Cursor()
		k, sealed := c.Last()
		if below != 0 {
			if k, _ = c.Seek(u32(below)); k == nil {
				k, sealed = c.Last()
			} else {
				k, sealed = c.Prev()
			}
		}
		for ; k != nil && len(out) < limit; k, sealed = c.Prev() {
			v, err := unseal(k, sealed)
			if err != nil {
				return err
			}
			if len(k) != 4 {
				return fmt.Errorf("%w: a programme under %d bytes", ErrCorrupt, len(k))
			}
			out = append(out, hq.Programme{Version: binary.BigEndian.Uint32(k), Source: slices.Clone(v)})
		}
		return nil
	})
	return out, err
}

// each reads every value of a bucket.
func (t *tx) each(bucket []byte, fn func(k, v []byte) error) error {
	c := t.Bucket(bucket).Cursor()
	for k, sealed := c.First(); k != nil; k, sealed = c.Next() {
		v, err := unseal(k, sealed)
		if err != nil {
			return fmt.Errorf("%s: %w", bucket, err)
		}
		if err := fn(k, v); err != nil {
			return fmt.Errorf("%s: %w", bucket, err)
		}
	}
	return nil
}
