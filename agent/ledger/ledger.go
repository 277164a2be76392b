package ledger

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// The errors of this package, beside the refusals of package loyalty.
var (
	// ErrInUse means that another process has the ledger open; the message names it.
	ErrInUse = errors.New("ledger is in use")
	// ErrClosed means that the ledger has been closed.
	ErrClosed = errors.New("ledger is closed")
	// ErrNoEntry means that the journal does not hold the entry: it was trimmed, or never written.
	ErrNoEntry = errors.New("no such entry")
	// ErrFork means that HQ's journal of this station and the station's own differ: NewEpoch is due.
	ErrFork = errors.New("journal and headquarters differ")
	// ErrCorrupt means that the file's content breaks its own rules.
	ErrCorrupt = errors.New("ledger is corrupt")
)

// Config says where a ledger lives and what it may use.
type Config struct {
	// Path of the file. Its folder takes the lock file and salvaged files as well.
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
	// MaxSize bounds the file, in bytes. Default: 4 GiB.
	MaxSize int64
	// Retain is how long acknowledged entries and their sales are kept. Default: 90 days.
	Retain time.Duration
}

// Ledger is an open ledger. All methods may be called by any number of goroutines at once.
type Ledger struct{ cfg Config }

// Open opens or creates a ledger.
func Open(ctx context.Context, cfg Config) (*Ledger, error) { return nil, errors.ErrUnsupported }

// Close ends it.
func (l *Ledger) Close() error { return errors.ErrUnsupported }

// Lookup reads what the ledger knows of a card.
func (l *Ledger) Lookup(card loyalty.CardNumber) (loyalty.Books, error) {
	return loyalty.Books{}, errors.ErrUnsupported
}

// Sale reads a sale.
func (l *Ledger) Sale(id loyalty.SaleID) (*loyalty.Sale, error) { return nil, errors.ErrUnsupported }

// Unresolved lists open sales, oldest first.
func (l *Ledger) Unresolved(limit int) ([]*loyalty.Sale, error) { return nil, errors.ErrUnsupported }

// Now is the clock's bound.
func (l *Ledger) Now() (loyalty.Instant, loyalty.ClockMark) { return 0, loyalty.ClockUnsure }

// OpenSale opens a sale.
func (l *Ledger) OpenSale(ctx context.Context, r *loyalty.OpenRequest) (*loyalty.Sale, error) {
	return nil, errors.ErrUnsupported
}

// CloseSale closes a sale.
func (l *Ledger) CloseSale(ctx context.Context, r *loyalty.CloseRequest) (*loyalty.Sale, error) {
	return nil, errors.ErrUnsupported
}

// VoidSale voids a sale.
func (l *Ledger) VoidSale(ctx context.Context, r *loyalty.VoidRequest) (*loyalty.Sale, error) {
	return nil, errors.ErrUnsupported
}

// ReturnSurplus hands back rights that no sale needs; account 0 means all.
func (l *Ledger) ReturnSurplus(ctx context.Context, account loyalty.AccountID) error {
	return errors.ErrUnsupported
}

// Position is where the journal stands.
func (l *Ledger) Position(ctx context.Context) (wire.Position, error) {
	return wire.Position{}, errors.ErrUnsupported
}

// HashAt is the chain after an entry.
func (l *Ledger) HashAt(epoch loyalty.Epoch, seq loyalty.Seq) (wire.Hash, error) {
	return wire.Hash{}, errors.ErrUnsupported
}

// Read returns the bytes of consecutive entries.
func (l *Ledger) Read(ctx context.Context, epoch loyalty.Epoch, from loyalty.Seq, maxEntries, maxBytes int) ([][]byte, error) {
	return nil, errors.ErrUnsupported
}

// Acked notes what HQ has committed.
func (l *Ledger) Acked(ctx context.Context, epoch loyalty.Epoch, seq loyalty.Seq, hash wire.Hash, quarantined []*pb.Quarantined) error {
	return errors.ErrUnsupported
}

// ApplyDown takes in items of the down-stream with their cursor.
func (l *Ledger) ApplyDown(ctx context.Context, down *pb.Down) error { return errors.ErrUnsupported }

// Learn takes in an answer of HQ.
func (l *Ledger) Learn(ctx context.Context, a *pb.Answer) error { return errors.ErrUnsupported }

// HQTime notes what HQ's clock said just now.
func (l *Ledger) HQTime(at loyalty.Instant) {}

// NewEpoch begins a new life of the journal.
func (l *Ledger) NewEpoch(ctx context.Context, reason string) error { return errors.ErrUnsupported }

// NewEpochAbove is NewEpoch with a number greater than the one HQ has seen.
func (l *Ledger) NewEpochAbove(ctx context.Context, above loyalty.Epoch, reason string) error {
	return errors.ErrUnsupported
}

// LoadProgramme takes in a programme file of the station; one from HQ goes before it.
func (l *Ledger) LoadProgramme(ctx context.Context, source []byte) error {
	return errors.ErrUnsupported
}

// Appended receives after commits that appended entries; it has room for one, so that signals join.
func (l *Ledger) Appended() <-chan struct{} { return nil }

// Trim drops what has been acknowledged and is older than Retain.
func (l *Ledger) Trim(ctx context.Context) (int, error) { return 0, errors.ErrUnsupported }

// Status is the health of a ledger.
type Status struct {
	Position      wire.Position
	Frozen        string // why redeeming is suspended; empty: it is not
	Alarm         string // what an operator must look at; empty: nothing
	Salvaged      string // where the corrupt file is kept; empty: there was none
	Clock         loyalty.ClockMark
	OpenSales     uint64
	Sales         uint64
	Accounts      uint64
	Cards         uint64
	Entries       uint64
	Quarantined   uint64
	FileBytes     int64  // size of the file
	RoomBytes     int64  // what may still be written before the ledger is full
	Full          bool   // redeeming is refused for want of room
	StorageErrors uint64 // commits whose outcome was unknown since the start
}

// Status reads the ledger's health.
func (l *Ledger) Status() (Status, error) { return Status{}, errors.ErrUnsupported }
