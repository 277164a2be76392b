package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
	bolt "go.etcd.io/bbolt"
)

// Each reader uses its own short transaction and waits for no writer, unless it has seen what that one is just putting on
// the disk: nothing is told that a power cut could take back. Nothing is locked when it has returned.

// view runs fn in a read transaction. A page that cannot be read is [loyalty.StorageFailed], and has the writer reopen
// the file.
func (l *Ledger) view(fn func(*txn) error) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.db == nil {
		return l.unusable()
	}
	var refused error
	var seen uint64
	err := guard(func() error {
		return l.db.View(func(tx *bolt.Tx) error {
			seen = uint64(tx.ID())
			t, err := readTxn(tx)
			if err != nil {
				return err
			}
			t.rules = l.committedRules()
			refused = fn(t)
			return refused
		})
	})
	if err == nil || (refused != nil && !corrupt(err)) {
		if seen > l.durable.Load() && !l.becameDurable(seen) {
			return fmt.Errorf("%w: what was read may not be on the disk", loyalty.StorageFailed)
		}
		return err
	}
	l.suspect(err)
	return fmt.Errorf("%w: %w", loyalty.StorageFailed, err)
}

// becameDurable waits for the end of the commit that is under way and tells whether the transaction is on the disk.
func (l *Ledger) becameDurable(seen uint64) bool {
	l.committing.RLock()
	defer l.committing.RUnlock()
	return seen <= l.durable.Load()
}

// readTxn reads the state that a transaction sees.
func readTxn(tx *bolt.Tx) (*txn, error) {
	t := &txn{tx: tx, buckets: make(map[string]*bolt.Bucket, 8)}
	v, err := t.get(bucketMeta, keyState)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("%w: meta/state is missing", ErrCorrupt)
	}
	t.st, err = parseState(v)
	return t, err
}

// Lookup reads what the ledger knows of a card, with the programme in force, the account's cell and what its open sales
// have reserved. Of a card that is not known it returns Books with Known false and no error. The Books are the caller's
// own: changing them changes nothing here.
func (l *Ledger) Lookup(card loyalty.CardNumber) (loyalty.Books, error) {
	if err := card.Check(); err != nil {
		return loyalty.Books{}, err
	}
	at, _ := l.Now()
	var b loyalty.Books
	err := l.view(func(t *txn) (err error) {
		b, err = t.books(card, at)
		return err
	})
	return b, err
}

// Sale reads a sale, open or ended. It returns [loyalty.UnknownSale] if there is none of the id, or it was trimmed.
func (l *Ledger) Sale(id loyalty.SaleID) (*loyalty.Sale, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	var s sale
	err := l.view(func(t *txn) (err error) {
		s, err = t.sale(id)
		return err
	})
	if err == nil && s.Sale == nil {
		err = fmt.Errorf("sale %q: %w", id, loyalty.UnknownSale)
	}
	return s.Sale, err
}

// Unresolved lists the open sales, oldest first, at most limit of them.
func (l *Ledger) Unresolved(limit int) ([]*loyalty.Sale, error) {
	var open []*loyalty.Sale
	err := l.view(func(t *txn) error {
		c := t.bucket(bucketOpen).Cursor()
		for k, v := c.First(); k != nil && len(open) < limit; k, v = c.Next() {
			id, err := unseal(bucketOpen, k, v)
			if err != nil {
				return err
			}
			s, err := t.sale(loyalty.SaleID(id))
			if err != nil {
				return err
			}
			if s.Sale == nil {
				return fmt.Errorf("%w: sale %q is listed as open and missing", ErrCorrupt, id)
			}
			open = append(open, s.Sale)
		}
		return nil
	})
	return open, err
}

// Notices lists what HQ has to say to the station's people, by number.
func (l *Ledger) Notices() ([]*pb.Notice, error) {
	var all []*pb.Notice
	err := l.view(func(t *txn) error {
		return t.bucket(bucketNote).ForEach(func(k, stored []byte) error {
			v, err := unseal(bucketNote, k, stored)
			if err != nil {
				return err
			}
			n := &pb.Notice{}
			if err := n.UnmarshalVT(v); err != nil {
				return fmt.Errorf("%w: notice: %w", ErrCorrupt, err)
			}
			all = append(all, n)
			return nil
		})
	})
	return all, err
}

// Station is whose journal it is.
func (l *Ledger) Station() loyalty.StationID { return l.cfg.Station }

// Programme is the programme in force, nil if there is none.
func (l *Ledger) Programme() *loyalty.Programme {
	at, _ := l.Now()
	return l.committedRules().inForce(at)
}

// Statement is what to tell HQ of an account's cell when asking for rights.
func (l *Ledger) Statement(account loyalty.AccountID) (loyalty.Epoch, loyalty.Statement, error) {
	var c cell
	var e loyalty.Epoch
	err := l.view(func(t *txn) (err error) {
		e = t.st.epoch
		c, err = t.cell(account)
		return err
	})
	return e, c.Statement(), err
}

// surplus lists accounts whose cells hold rights.
func (l *Ledger) surplus(limit int) ([]loyalty.AccountID, error) {
	var ids []loyalty.AccountID
	err := l.view(func(t *txn) error {
		c := t.bucket(bucketLeft).Cursor()
		for k, v := c.First(); k != nil && len(ids) < limit; k, v = c.Next() {
			if _, err := unseal(bucketLeft, k, v); err != nil {
				return err
			}
			id := loyalty.AccountID(binary.BigEndian.Uint64(k))
			if c, err := t.cell(id); err != nil {
				return err
			} else if c.reserved == 0 {
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}

// Status is the health of a ledger.
type Status struct {
	Position      wire.Position
	Frozen        string  // why redeeming is suspended, until headquarters has acknowledged what it must; empty: it is not
	Alarms        []Alarm // what an operator must look at, oldest first, until `azs-agent journal alarms --clear`
	Clock         loyalty.ClockMark
	OpenSales     uint64
	Sales         uint64
	Accounts      uint64
	Cards         uint64
	Entries       uint64
	Quarantined   uint64 // entries that headquarters has set aside, ever
	LastAside     string // the last of them, with the reason
	FileBytes     int64  // size of the file
	RoomBytes     int64  // what may still be written before the ledger is full, as of the last write
	Full          bool   // new sales that redeem are refused for want of room
	StorageErrors uint64 // commits whose outcome was unknown, since the start
}

// Status reads the ledger's health. When the file cannot be read it still returns what is known, with the error.
func (l *Ledger) Status() (Status, error) {
	s := Status{RoomBytes: l.lastRoom.Load(), StorageErrors: l.storageErrors.Load()}
	s.Full = s.RoomBytes < reserveOf(l.cfg.MaxSize)
	_, s.Clock = l.Now()
	l.mu.RLock()
	if l.db != nil {
		if info, err := statSize(l.cfg.Path); err == nil {
			s.FileBytes = info
		}
	}
	l.mu.RUnlock()
	err := l.view(func(t *txn) (err error) {
		s.Frozen = t.st.freeze
		c := t.st.count
		s.OpenSales, s.Sales, s.Accounts, s.Cards, s.Entries, s.Quarantined = c.openSales, c.sales, c.accounts, c.cards, c.entries, c.quarantined
		alarms, err := t.alarms()
		if err != nil {
			return err
		}
		s.Alarms = unseen(fromAlarms(alarms), l.cfg.Path)
		if s.LastAside, err = t.setAside(); err != nil {
			return err
		}
		s.Position, err = t.position()
		return err
	})
	s.Position.Boot = l.boot
	return s, err
}
