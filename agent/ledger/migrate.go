package ledger

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// schemaVersion is the layout that this program writes.
const schemaVersion = 2

// migration brings a file from the schema of its index, plus one, to the next: migrations()[0] makes schema 2 of 1. Each
// runs in the transaction that also writes the new number, so that a crash leaves the one or the other.
type migration func(*bolt.Tx) error

func migrations() []migration { return []migration{addBuckets} }

// addBuckets makes the buckets that later versions of the layout have added: what is new of them is empty.
func addBuckets(tx *bolt.Tx) error {
	for _, name := range bucketNames() {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	return nil
}

// migrate brings the file up to the schema after the last migration. A file of a later schema is [ErrSchema] and is not
// touched.
func migrate(db *bolt.DB, steps []migration) error {
	target := uint32(len(steps) + 1)
	for {
		var have uint32
		err := db.View(func(tx *bolt.Tx) (err error) {
			t := &txn{tx: tx, buckets: make(map[string]*bolt.Bucket)}
			have, err = t.schema()
			return err
		})
		switch {
		case err != nil:
			return err
		case have == target:
			return nil
		case have > target:
			return fmt.Errorf("%w: schema %d, this one knows up to %d; install the newer azs-agent again", ErrSchema, have, target)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			if err := steps[have-1](tx); err != nil {
				return err
			}
			t := &txn{tx: tx, buckets: make(map[string]*bolt.Bucket)}
			return t.putSchema(have + 1)
		})
		if err != nil {
			return fmt.Errorf("migrate the ledger from schema %d: %w", have, err)
		}
	}
}

func (t *txn) schema() (uint32, error) {
	v, err := t.get(bucketMeta, keySchema)
	if err != nil {
		return 0, err
	}
	if len(v) != 4 || binary.BigEndian.Uint32(v) == 0 {
		return 0, fmt.Errorf("%w: meta/schema is missing", ErrCorrupt)
	}
	return binary.BigEndian.Uint32(v), nil
}

func (t *txn) putSchema(v uint32) error {
	return t.put(bucketMeta, keySchema, seal(bucketMeta, keySchema, binary.BigEndian.AppendUint32(nil, v)))
}
