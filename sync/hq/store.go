package hq

import (
	"context"
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// ErrBroken means that the store can no longer say whether it commits: the disk or the database has failed. The process
// ends and starts again; the stations send once more what was not acknowledged.
var ErrBroken = errors.New("the store has failed")

// Store keeps headquarters' books. It is safe for concurrent use.
type Store interface {
	// Update runs fn in a transaction that is serialised against every other that touches the same stations or accounts,
	// and returns after it is durable. If fn or the commit fails nothing has changed. fn may be run more than once and
	// must not touch anything outside itself except to overwrite its results.
	Update(ctx context.Context, fn func(Tx) error) error
	// View runs fn on one consistent, committed state. fn must be short.
	View(ctx context.Context, fn func(Tx) error) error
}

// Catalogue reads the books page by page, for people and reports. Pages are read one by one: what changes between two may
// be in neither or in both. A limit bounds each page; the next begins after the last one's end.
type Catalogue interface {
	// Lines are the stream after a position; see [Line.As].
	Lines(ctx context.Context, after uint64, limit int) ([]*Line, error)
	// LinesSetAside are the entries that could not be applied, in the order of their places.
	LinesSetAside(ctx context.Context, after Place, limit int) ([]*Line, error)
	// Accounts are the records, in the order of their numbers.
	Accounts(ctx context.Context, after loyalty.AccountID, limit int) ([]*loyalty.Record, error)
	// AllStations are the stations after a number, in the order of their numbers. Headquarters' own journal, station zero,
	// is not one of them.
	AllStations(ctx context.Context, after loyalty.StationID, limit int) ([]StationState, error)
	// Alarms are all alarms.
	Alarms(ctx context.Context) ([]Alarm, error)
	// AlarmCounts is how many alarms there are of each kind.
	AlarmCounts(ctx context.Context) (map[AlarmKind]int, error)
	// History is an account's lines; see [Tx.History].
	History(ctx context.Context, account loyalty.AccountID, before uint64, limit int) ([]*Line, error)
	// AlertLines are the lines with Alert after a position of the stream, in its order, as it first told them.
	AlertLines(ctx context.Context, after uint64, limit int) ([]*Line, error)
	// Forms are all forms that are kept, in the order of their hashes, without what is sealed.
	Forms(ctx context.Context, after loyalty.FormHash, limit int) ([]Form, error)
	// Published are the programmes that were ever published, newest first, from below a version on, or from the newest with
	// zero.
	Published(ctx context.Context, below uint32, limit int) ([]Programme, error)
}

// StationState is what the books have of a station.
type StationState struct {
	Station
	Seen   Sighting
	Stream Stream
	Items  int // of its down-stream that it has not acknowledged, at most 1000
	// Awaited: no rights are issued to any station before this one has shown that everything is here; see [Restoration].
	Awaited bool
}

// Tx is one transaction of a [Store], by one goroutine. Reads are set-based so that a database needs one statement for
// each, whatever the size of the group; what is read in an Update stays locked until its end. What is not there is
// missing from the answer. Values returned are the caller's.
//
// Records and cards come with a Version no lower than the number of the store's life, which is above every version that
// a life before can have given out, also one that the store does not remember because an older copy was put back: what
// stations are told is newer than anything they were told before.
//
// The order of calls within a group is stations, operations, steps, cards, accounts, and identities are given sorted, so that
// two groups never wait for each other.
type Tx interface {
	Stations(ids []loyalty.StationID) (map[loyalty.StationID]*Station, error)
	// Sighting is what a station last said of itself; the zero value if nothing.
	Sighting(station loyalty.StationID) (Sighting, error)
	// HashAt is the hash after an entry; false if there is no such entry.
	HashAt(at Place) (wire.Hash, bool, error)
	// Nonce is the one with which an epoch was registered; false if it never was.
	Nonce(station loyalty.StationID, epoch loyalty.Epoch) (wire.Nonce, bool, error)
	// Operations finds the entry that first carried each operation.
	Operations(ops []loyalty.OpID) (map[loyalty.OpID]*Line, error)
	// Steps finds the entry that first took each step.
	Steps(steps []SaleStep) (map[SaleStep]*Line, error)
	// RefundsOf lists the entries that first took a step [Refunded] of a sale, of any station and whatever their outcome, in
	// the order of the stream; at most limit.
	RefundsOf(station loyalty.StationID, sale loyalty.SaleID, limit int) ([]*Line, error)
	// History lists lines that were posted to an account, newest first: those whose position is below before, or from the
	// newest with zero; at most limit. Where an entry took effect late, the line is as the stream has it there.
	History(account loyalty.AccountID, before uint64, limit int) ([]*Line, error)
	// SetAside lists the newest entries of an epoch that could not be applied, oldest first, at most limit.
	SetAside(station loyalty.StationID, epoch loyalty.Epoch, limit int) ([]*Line, error)
	// LinesAt finds entries by their places, in the order of the stream; those that are not there are left out.
	LinesAt(places []Place) ([]*Line, error)
	// Waiting lists at most limit places of entries that were set aside until one of the cards is brought in.
	Waiting(cards []loyalty.CardNumber, limit int) ([]Place, error)
	Cards(numbers []loyalty.CardNumber) (map[loyalty.CardNumber]loyalty.Card, error)
	// CardsOf lists at most limit cards of an account.
	CardsOf(account loyalty.AccountID, limit int) ([]loyalty.Card, error)
	Records(ids []loyalty.AccountID) (map[loyalty.AccountID]*loyalty.Record, error)
	// LastAccount is the highest number of an account; zero if there is none.
	LastAccount() (loyalty.AccountID, error)
	// Openings are the accounts as they began: brought in, or with a card that was given out.
	Openings(ids []loyalty.AccountID) (map[loyalty.AccountID]*loyalty.Account, error)
	// Knowing lists the stations that know each account.
	Knowing(accounts []loyalty.AccountID) (map[loyalty.AccountID][]loyalty.StationID, error)
	// Programme is the newest programme's source; version zero if none was published.
	Programme() (version uint32, source []byte, err error)
	// Programmes finds the sources of programmes by their versions; all that were ever published are kept.
	Programmes(versions []uint32) (map[uint32][]byte, error)
	// Forms finds forms by their hashes, also those that were destroyed, which have nothing sealed.
	Forms(hashes []loyalty.FormHash) (map[loyalty.FormHash]*Form, error)
	// FormsOf lists at most limit forms of an account that are kept; of account zero those whose account is not known.
	FormsOf(account loyalty.AccountID, limit int) ([]Form, error)
	// Stream is where a station's down-stream stands.
	Stream(station loyalty.StationID) (Stream, error)
	// Issued tells whether this store, in this life, has given out a down-stream sequence number: a store restored from
	// an older copy has not given out what was sent after the copy was made.
	Issued(seq uint64) (bool, error)
	// Restored is the last time that the store was put back to an older copy; the zero value if it never was.
	Restored() (Restoration, error)
	// Awaited tells whether a station is waited for, and when it first greeted since the restoration; zero: not yet.
	Awaited(station loyalty.StationID) (greeted loyalty.Instant, awaited bool, err error)
	// Items lists at most limit items of a station's down-stream after a sequence number, in order.
	Items(station loyalty.StationID, after uint64, limit int) ([]Item, error)
	// Save writes everything that a rule has decided. It is called at most once, last.
	Save(*Changes) error
}

// Place is where an entry stands.
type Place struct {
	Station loyalty.StationID `json:"station"`
	Epoch   loyalty.Epoch     `json:"epoch"`
	Seq     loyalty.Seq       `json:"seq"`
}

// String names the place for people.
func (p Place) String() string {
	return fmt.Sprintf("station %d, epoch %d, entry %d", p.Station, p.Epoch, p.Seq)
}

// Cursor is how far headquarters has a station's journal.
type Cursor struct {
	Epoch loyalty.Epoch
	Seq   loyalty.Seq // zero: nothing of the epoch yet
	Hash  wire.Hash   // after Seq; the epoch's genesis if there is nothing
}

// Station is what the rules need to know of a station.
type Station struct {
	ID     loyalty.StationID
	Cursor Cursor // epoch zero: enrolled, not heard yet
	Boot   [16]byte
	// Session is that of the first greeting from Boot; Before are the boots before it, newest first.
	Session uint64
	Before  [4][16]byte
	// GapAccepted means that an operator lets the station go on without entries that it no longer keeps.
	GapAccepted bool
	// Forked means that the last hello did not continue the journal headquarters has: no rights are issued until one does.
	Forked bool
}

// Restoration is that the store was put back to an older copy. What was issued to stations since the copy was made is not
// known to it: no more rights are issued until every station that had been seen not long before the copy was made has
// come back, or an operator takes it upon himself.
type Restoration struct {
	At      loyalty.Instant // when it was noticed, by headquarters' clock; zero: never
	Through uint64          // no life that is lost has given out a down-stream number above this
	Open    bool            // stations are waited for
}

// Outcome says what became of an entry.
type Outcome uint8

// The outcomes.
const (
	Posted    Outcome = iota // applied
	Repeated                 // the same was applied at another place: only the cell of its epoch counts it
	SetAside                 // could not be applied: kept with its reason
	NoAccount                // about no account: nothing to apply

	outcomes = iota
)

var outcomeNames = [outcomes]string{"posted", "repeated", "quarantined", "noted"}

// String is the outcome's name in the stream.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// Step is a step in the life of a sale, which is taken once, and so is each refund of it. Giving out a card, and what is done
// under a reference, happen once in the same way.
type Step uint8

// The steps.
const (
	NoStep Step = iota
	Opened
	Ended    // closed or void
	Refunded // once for each of the refunds that a station makes of it
	Referred // once for each reference of a partner, or of an operator; in headquarters' own journal
	Given    // a card was given out
	// GivenAgain is that a station gave out a card whose number was somebody's already, once for each station.
	GivenAgain
	Published // a version of the programme; in headquarters' own journal
)

var stepNames = [...]string{"", "opened", "ended", "refunded", "referred", "given out", "given out again", "published"}

// String is the step's name in reasons.
func (s Step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return fmt.Sprintf("step %d", uint8(s))
}

// SaleStep names a step of a sale, for ever. A station that was put back to an older copy of its ledger has forgotten the
// operation by which it took the step, but the sale's own identity comes from the register, which tells it again.
type SaleStep struct {
	Station loyalty.StationID // where the sale is; of GivenAgain who gave the card out; zero of Referred, Given and Published
	Sale    loyalty.SaleID    // of Given and GivenAgain the card's number, of Published the version
	Step    Step
	Refund  loyalty.RefundID // of Refunded and Referred
	// By is the station that makes a refund: registers of two stations may give refunds of one sale the same name. Zero of
	// every other step.
	By loyalty.StationID
}

// Line is one entry as headquarters keeps it.
type Line struct {
	Pos uint64 // place in headquarters' own stream, from 1 without gaps; given by the store
	Place
	At      loyalty.Instant // headquarters' clock
	Op      loyalty.OpID    // zero: the entry could not be read, or repeats an operation
	SaleAt  loyalty.StationID
	Sale    loyalty.SaleID // whose Step the entry is the first to take; see [SaleStep]
	Step    Step
	Refund  loyalty.RefundID
	Account loyalty.AccountID
	Outcome Outcome
	Alert   bool // a person should look at it
	Pruned  bool // the account's books forgot what had expired long before At (or AgainAt)
	// Denied is of a sale the points of claims that the account had used before, which it did not get; of a refund of such a
	// sale, what of them the refund therefore does not take back.
	Denied loyalty.Points
	Reason string             // why it was set aside
	Waits  loyalty.CardNumber // it was set aside until this card is brought in
	Hash   wire.Hash
	Bytes  []byte // as the station wrote it
	// Again is its second place in the stream, where it took effect after having been set aside, at AgainAt; zero: none.
	Again   uint64
	AgainAt loyalty.Instant
	// Prev is the position of the line that was posted to the account before this one; zero: none. The store may use it.
	Prev uint64
}

// As is the line as the stream has it at a position. What has been told stays as it was told: an entry that was set
// aside and applied later is at its first position set aside, and at its second has its effect.
func (l *Line) As(pos uint64) *Line {
	c := *l
	switch {
	case l.Again == 0:
	case pos == l.Again:
		c.Pos, c.At = l.Again, l.AgainAt
	default:
		c.Outcome, c.Denied = SetAside, 0
	}
	return &c
}

// Late tells whether the line stands where an entry that had been set aside took effect; see [Line.As].
func (l *Line) Late() bool { return l.Again != 0 && l.Pos == l.Again }

// SaleStep is the step that the entry was the first to take.
func (l *Line) SaleStep() SaleStep {
	s := SaleStep{Station: l.SaleAt, Sale: l.Sale, Step: l.Step, Refund: l.Refund}
	if s.Step == Refunded {
		s.By = l.Station
	}
	return s
}

// Form is what a new customer wrote, sealed to a key that headquarters' process does not have. It is kept apart from the
// journal, which has only its hash, so that it can be destroyed and the journal still be proven.
type Form struct {
	Hash    loyalty.FormHash
	Account loyalty.AccountID  // zero: not known (yet)
	Card    loyalty.CardNumber // empty where no entry that could be read names the form
	At      loyalty.Instant    // when it came, by headquarters' clock
	From    Place              // the entry that names it; Seq zero: none that could be read
	Sealed  []byte             // at most [loyalty.MaxForm]; none if it was destroyed
}

// Stream is a station's down-stream. Sequence numbers grow within it, with gaps.
type Stream struct {
	ID    uint64 // random; zero: none begun
	Acked uint64 // the station has committed everything through this
}

// ItemKind says what an item of a down-stream is about.
type ItemKind byte

// The kinds.
const (
	AccountItem   ItemKind = 'a'
	CardItem      ItemKind = 'c'
	ProgrammeItem ItemKind = 'p'
)

// ItemKey names an item; a newer item of the same key takes the place of an older one.
type ItemKey struct {
	Kind    ItemKind
	Account loyalty.AccountID  // of an AccountItem
	Card    loyalty.CardNumber // of a CardItem
}

// Item is a place in a down-stream. What it says is looked up when it is sent.
type Item struct {
	Seq uint64
	Key ItemKey
}

// Touch puts an item at the end of a station's down-stream, instead of an older one of the same key.
type Touch struct {
	Station loyalty.StationID // zero: every station
	Key     ItemKey
}

// Knowledge is that a station knows an account.
type Knowledge struct {
	Account loyalty.AccountID
	Station loyalty.StationID
}

// Sighting is what a station last said of itself.
type Sighting struct {
	Station      loyalty.StationID
	Session      uint64 // grows with every connection
	Online       bool
	At           loyalty.Instant // headquarters' clock
	Version      string
	Backlog      uint64 // entries not acknowledged
	OldestUnsent loyalty.Instant
	Clock        loyalty.ClockMark
	DiskFree     uint64 // bytes
	LastSeq      loyalty.Seq
}

// Registration is the beginning of an epoch.
type Registration struct {
	Station loyalty.StationID
	Epoch   loyalty.Epoch
	Nonce   wire.Nonce
	At      loyalty.Instant
}

// AlarmKind is a stable name of what went wrong.
type AlarmKind string

// The alarms.
const (
	ForkAlarm      AlarmKind = "fork"       // two journals under one name
	RollbackAlarm  AlarmKind = "rollback"   // a station has come back with an older copy of its journal
	TrimmedAlarm   AlarmKind = "trimmed"    // headquarters lacks entries that the station no longer keeps
	RestoredAlarm  AlarmKind = "restored"   // a station has used rights that these books have not issued
	OverspentAlarm AlarmKind = "overspent"  // an entry redeems more than the account holds
	UnreadAlarm    AlarmKind = "unreadable" // an entry could not be read
	TwiceAlarm     AlarmKind = "twice"      // a sale took a step again, and otherwise
	PoisonAlarm    AlarmKind = "poison"     // an entry makes the rules fail
	TooLargeAlarm  AlarmKind = "too_large"  // something does not fit a message and is not told
	CopyAlarm      AlarmKind = "older_copy" // these books were put back to an older copy
	EpochAlarm     AlarmKind = "epoch"      // a station's journal has begun another life
	GapAlarm       AlarmKind = "gap"        // entries that nobody can bring any more are missing, or may be
	RefundAlarm    AlarmKind = "refunded"   // more was given back of a sale than it had, or to somebody else
	FormAlarm      AlarmKind = "form"       // a card was given out, and the customer's form has not come
	PriceAlarm     AlarmKind = "mispriced"  // a sale was priced as its programme does not
	ForgedAlarm    AlarmKind = "forged"     // a station has written what only headquarters may
)

// Alarm is something a person has to look at. Station zero is headquarters. There is one for each station, kind and epoch: the first evidence is
// kept, and later ones are counted.
type Alarm struct {
	Station  loyalty.StationID `json:"station"`
	Kind     AlarmKind         `json:"kind"`
	Epoch    loyalty.Epoch     `json:"epoch"`
	First    loyalty.Instant   `json:"-"`
	Last     loyalty.Instant   `json:"-"`
	Count    uint64            `json:"count"`
	Text     string            `json:"text"`
	Evidence []byte            `json:"-"` // at most wire.MaxMessage
}

// Programme is a published programme.
type Programme struct {
	Version uint32
	Source  []byte
}

// Changes is everything that one transaction changes; nil and empty mean no change.
type Changes struct {
	Stations []*Station
	Epochs   []Registration
	Seen     []Sighting
	// Lines are appended to the journal and the stream in this order; their operations and steps are taken for ever.
	Lines []*Line
	// Retried were set aside and have been tried again. One that is set aside no more gets a second position in the stream,
	// behind Lines; of one that still is, what is known of it is written.
	Retried  []*Line
	Records  []*loyalty.Record
	Openings []*loyalty.Account
	Cards    []loyalty.Card
	Alarms   []Alarm
	Known    []Knowledge
	// Restarted begins down-streams anew, with everything their stations know in them.
	Restarted map[loyalty.StationID]uint64
	Touched   []Touch
	Acked     map[loyalty.StationID]uint64 // down-streams committed by their stations
	Programme *Programme
	// Forms are written; one that is there under the same hash goes over to the account.
	Forms []Form
	// Forgotten are accounts whose forms are destroyed: of them the hash stays, so that they are not missed.
	Forgotten []loyalty.AccountID
	// Destroyed are forms that are destroyed in the same way.
	Destroyed []loyalty.FormHash
	// Distrusted is that the store was found to be an older copy. It waits for every station that was seen in the thirty
	// days (or as it is configured) before the last sighting it has.
	Distrusted loyalty.Instant
	Greeted    map[loyalty.StationID]loyalty.Instant // of stations waited for
	Confirmed  []loyalty.StationID                   // waited for no more
	Accepted   bool                                  // nobody is waited for any more
}
