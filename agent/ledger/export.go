package ledger

import (
	"context"
	"fmt"
	"os"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// JournalEntry is an entry with its place.
type JournalEntry struct {
	Epoch loyalty.Epoch
	Seq   loyalty.Seq
	Hash  wire.Hash
	Entry *loyalty.Entry
	Bytes []byte
}

// Journal calls fn for every entry of the journal that is kept, of all epochs, in order. It reads as [CheckFile] does and
// stops with [ErrCorrupt] at the first record that is not sound.
func (o *Offline) Journal(ctx context.Context, fn func(JournalEntry) error) error {
	return o.records(ctx, func(bucket string, key, stored []byte) error {
		if bucket != bucketJrn {
			return nil
		}
		hash, b, err := parseEntry(key, stored)
		if err != nil {
			return err
		}
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		at := parsePlace(key)
		return fn(JournalEntry{Epoch: at.epoch, Seq: at.seq, Hash: hash, Entry: e, Bytes: b})
	})
}

// Shifts lists the shifts that are kept, the one that was opened last first. It reads as [Offline.Journal] does.
func (o *Offline) Shifts(ctx context.Context) ([]*loyalty.Shift, error) {
	var all []*loyalty.Shift
	err := o.records(ctx, func(bucket string, key, stored []byte) error {
		if bucket != bucketShift {
			return nil
		}
		v, err := unseal(bucket, key, stored)
		if err != nil {
			return err
		}
		s, err := parseShift(shiftOfKey(key), v)
		all = append(all, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	sortShifts(all)
	return all, nil
}

// records calls fn for every record, until the first that is not sound.
func (o *Offline) records(ctx context.Context, fn func(bucket string, key, stored []byte) error) error {
	f, err := os.Open(o.path)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	p, err := newPageFile(f, info.Size())
	if err != nil {
		return err
	}
	return p.walk(p.newest(), func(path []string, key, stored []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(bucketOf(path), key, stored)
	}, func(finding string) error { return fmt.Errorf("%w: %s", ErrCorrupt, finding) })
}
