package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// call is one operation that waits for its turn.
type call struct {
	do   func(*txn) error
	err  error
	done chan struct{}
}

const maxGroup = 256

// write runs an operation in the next group and returns when its transaction is on the disk, or when it was refused. When
// ctx ends before the operation's turn it is not carried out; afterwards the answer is waited for, because the operation
// happens whether anyone waits or not.
func (l *Ledger) write(ctx context.Context, do func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &call{do: do, done: make(chan struct{})}
	select {
	case l.calls <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return ErrClosed
	}
	select {
	case <-c.done:
		return c.err
	case <-l.stopped:
		// The writer answers everything that it took before it stops.
		select {
		case <-c.done:
			return c.err
		default:
			return ErrClosed
		}
	}
}

// writer is the one goroutine that writes. It blocks for a first operation, lets the callers that are ready to run queue
// theirs by yielding once, takes what is there without waiting and commits it all as one transaction: a lone caller never
// waits for others, and many share an fsync.
func (l *Ledger) writer() {
	defer close(l.stopped)
	group := make([]*call, 0, maxGroup)
	for {
		group = group[:0]
		select {
		case c := <-l.calls:
			group = append(group, c)
		case <-l.closing:
			return
		}
		runtime.Gosched()
		limit := l.groupLimit()
	drain:
		for len(group) < limit {
			select {
			case c := <-l.calls:
				group = append(group, c)
			default:
				break drain
			}
		}
		l.commit(group)
		for _, c := range group {
			close(c.done)
		}
	}
}

// commit carries out a group and leaves an answer in each call.
func (l *Ledger) commit(group []*call) {
	db, err := l.usable()
	if err != nil {
		answer(group, err)
		return
	}
	switch err := l.attempt(db, group); {
	case err == nil:
	case errors.As(err, new(rolledBack)) && len(group) > 1:
		// One operation spoils the transaction for all: each goes alone.
		for i := range group {
			l.commit(group[i : i+1])
		}
	case errors.Is(err, berrors.ErrMaxSizeReached):
		answer(group, fmt.Errorf("the ledger has reached its size limit: %w", loyalty.StorageFull))
	case errors.As(err, new(rolledBack)) && !errors.Is(err, ErrCorrupt):
		answer(group, err)
	default:
		// The transaction may be visible and may survive: only the file can tell, and the caller, by asking again.
		full := errors.Is(err, syscall.ENOSPC)
		l.log.Error("the ledger could not be written; it is reopened", "error", err)
		l.storageErrors.Add(1)
		before := l.state()
		l.reopen(db, err)
		if full && l.state() == before && l.opened() {
			answer(group, fmt.Errorf("the disk is full: %w", loyalty.StorageFull))
			return
		}
		answer(group, fmt.Errorf("%w: %w", loyalty.StorageFailed, err))
	}
}

func answer(group []*call, err error) {
	for _, c := range group {
		c.err = err
	}
}

// rolledBack is an error that is known to have left the file as it was.
type rolledBack struct{ error }

func (r rolledBack) Unwrap() error { return r.error }

// attempt runs a group as one transaction. A refusal is the answer of its own operation only.
func (l *Ledger) attempt(db *bolt.DB, group []*call) error {
	db.NoFreelistSync = l.skipFreelist(db)
	l.committing.Lock()
	defer l.committing.Unlock()
	var t *txn
	var id int
	err := guard(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			t, id = l.begin(db, tx), tx.ID()
			for _, c := range group {
				before := t.puts
				c.err = c.do(t)
				if c.err != nil && t.puts != before {
					return rolledBack{fmt.Errorf("%w: %w", errLate, c.err)}
				}
				if errors.Is(c.err, ErrCorrupt) {
					return rolledBack{c.err}
				}
			}
			if t.puts == 0 {
				return errNothing
			}
			if err := t.saveState(); err != nil {
				return rolledBack{err}
			}
			return nil
		})
	})
	switch {
	case errors.Is(err, errNothing):
		return nil
	case errors.Is(err, berrors.ErrMaxSizeReached):
		return rolledBack{err} // bbolt finds out before it writes
	case err != nil:
		return err
	}
	l.durable.Store(uint64(id))
	l.committed(t)
	return nil
}

// errNothing rolls back a group in which every operation was refused or had been done before.
var errNothing = errors.New("nothing to write")

// skipFreelist decides whether the next transaction writes the list of free pages. Writing it makes opening instant;
// writing a long one makes each commit slow.
func (l *Ledger) skipFreelist(db *bolt.DB) bool {
	s := db.Stats()
	return s.FreePageN+s.PendingPageN > l.longList
}

// guard turns a panic or a memory fault inside bbolt, which is how it meets a corrupt page, into [ErrCorrupt].
func guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
	}()
	return fn()
}
