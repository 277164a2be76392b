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
	f, err := os.Open(o.path)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	p, err := newPageFile(f, info.Size())
	if err != nil {
		return err
	}
	return p.walk(p.newest(), func(path []string, key, stored []byte) error {
		if bucketOf(path) != bucketJrn {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
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
	}, func(finding string) error { return fmt.Errorf("%w: %s", ErrCorrupt, finding) })
}
