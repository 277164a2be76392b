package hq

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Audit proves the books from what they began with and the entries: every journal's chain is walked from its genesis,
// and every lot and every posted point is computed again. Give it every line in the order of the stream, then every
// station and every record, and end it. What a store keeps beside that, its indexes, it checks itself.
//
// It holds the accounts that entries have touched in memory, and nothing else.
type Audit struct {
	opening func(loyalty.AccountID) (*loyalty.Account, error)
	nonce   func(loyalty.StationID, loyalty.Epoch) (wire.Nonce, bool, error)
	pos     uint64
	entries uint64
	late    map[Place]uint64 // set aside, with the position where it took effect, which has not come yet
	chains  map[loyalty.StationID]map[loyalty.Epoch]Cursor
	records map[loyalty.AccountID]*loyalty.Record
	seen    map[loyalty.StationID]bool
}

// NewAudit begins an audit. opening and nonce look up what the books began with; opening returns nil for an account that
// was never brought in.
func NewAudit(opening func(loyalty.AccountID) (*loyalty.Account, error), nonce func(loyalty.StationID, loyalty.Epoch) (wire.Nonce, bool, error)) *Audit {
	return &Audit{
		opening: opening, nonce: nonce, chains: map[loyalty.StationID]map[loyalty.Epoch]Cursor{},
		records: map[loyalty.AccountID]*loyalty.Record{}, seen: map[loyalty.StationID]bool{}, late: map[Place]uint64{},
	}
}

// Line takes the next line of the stream.
func (a *Audit) Line(l *Line) error {
	a.pos++
	if l.Pos != a.pos {
		return fmt.Errorf("the stream has %d where %d belongs", l.Pos, a.pos)
	}
	switch late := l.Late(); {
	case late && a.late[l.Place] != l.Pos:
		return fmt.Errorf("%s took effect at %d of the stream and was not set aside until then", l.Place, l.Pos)
	case late:
		delete(a.late, l.Place)
	default:
		if err := a.chain(l); err != nil {
			return err
		}
		a.entries++
		if l.Again != 0 {
			a.late[l.Place] = l.Again
		}
	}
	if l.Outcome == SetAside {
		return nil
	}
	e, err := wire.DecodeEntry(l.Bytes)
	if err != nil {
		return fmt.Errorf("%s was applied and cannot be read: %w", l.Place, err)
	}
	if err := mayWrite(l.Station, e.Body); err != nil {
		return fmt.Errorf("%s was applied: %w", l.Place, err)
	}
	if l.Account == 0 || l.Outcome == NoAccount {
		return nil
	}
	if b, ok := e.Body.(loyalty.CardIssued); ok && l.Outcome == Posted && b.For == "" {
		if err := a.began(l, e); err != nil {
			return err
		}
	}
	r, err := a.record(l.Account)
	if err != nil {
		return err
	}
	if l.Outcome == Repeated {
		recount(r, l, e)
	} else if d := denied(r, l, e); d != l.Denied {
		return fmt.Errorf("%s was denied %s, by the entries before it %s", l.Place, l.Denied, d)
	} else if _, err := r.Post(loyalty.CellKey{Station: l.Station, Epoch: l.Epoch}, l.Seq, e); err != nil {
		return fmt.Errorf("%s was applied and cannot be: %w", l.Place, err)
	}
	if l.Pruned {
		r.Account.Prune(l.At.Add(-keepExpired))
	}
	return nil
}

// began compares an account that began with a card with what the entry comes to.
func (a *Audit) began(l *Line, e *loyalty.Entry) error {
	if a.records[l.Account] != nil {
		return fmt.Errorf("%s begins account %d, which has entries", l.Place, l.Account)
	}
	open, err := a.opening(l.Account)
	if err != nil {
		return err
	}
	want := loyalty.Account{ID: l.Account}
	want.Joined = e.At
	if open == nil || l.Account < FirstGiven {
		return fmt.Errorf("%s begins account %d, which is not there, or not one that begins with a card", l.Place, l.Account)
	}
	if same, err := sameHoldings(&want, open); err != nil || !same || open.State != loyalty.Active {
		return errors.Join(err, fmt.Errorf("%s begins account %d, which began otherwise: with %s", l.Place, l.Account, holdings(open)))
	}
	return nil
}

func (a *Audit) chain(l *Line) error {
	epochs := a.chains[l.Station]
	if epochs == nil {
		epochs = map[loyalty.Epoch]Cursor{}
		a.chains[l.Station] = epochs
	}
	c, ok := epochs[l.Epoch]
	if !ok {
		nonce, known, err := a.nonce(l.Station, l.Epoch)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("%s is of an epoch that was not registered", l.Place)
		}
		c = Cursor{Epoch: l.Epoch, Hash: wire.Genesis(l.Station, l.Epoch, nonce)}
	}
	if l.Seq != c.Seq+1 {
		return fmt.Errorf("%s follows entry %d", l.Place, c.Seq)
	}
	if h := c.Hash.Next(l.Bytes); h != l.Hash {
		return fmt.Errorf("%s has the hash %s, its chain %s", l.Place, l.Hash, h)
	}
	epochs[l.Epoch] = Cursor{Epoch: l.Epoch, Seq: l.Seq, Hash: l.Hash}
	return nil
}

func (a *Audit) record(id loyalty.AccountID) (*loyalty.Record, error) {
	if r := a.records[id]; r != nil {
		return r, nil
	}
	open, err := a.opening(id)
	if err != nil {
		return nil, err
	}
	if open == nil {
		return nil, fmt.Errorf("account %d has entries and was never brought in", id)
	}
	r := &loyalty.Record{Account: open.Clone()}
	a.records[id] = r
	return r, nil
}

// Station compares a station's cursor with the end of its chain.
func (a *Audit) Station(s *Station) error {
	a.seen[s.ID] = true
	c, ok := a.chains[s.ID][s.Cursor.Epoch]
	if !ok {
		if s.Cursor.Seq != 0 {
			return fmt.Errorf("station %d is at entry %d of epoch %d, the journal has none", s.ID, s.Cursor.Seq, s.Cursor.Epoch)
		}
		return nil
	}
	if c != s.Cursor {
		return fmt.Errorf("station %d is at %d (%s), its journal ends at %d (%s)", s.ID, s.Cursor.Seq, s.Cursor.Hash, c.Seq, c.Hash)
	}
	return nil
}

// Record compares an account with what its opening and its entries come to. Rights that questions have brought or
// statements that came with questions may be ahead of the entries, never behind.
func (a *Audit) Record(r *loyalty.Record) error {
	if err := r.Check(); err != nil {
		return err
	}
	want := a.records[r.Account.ID]
	if want == nil {
		open, err := a.opening(r.Account.ID)
		if err != nil {
			return err
		}
		if open == nil {
			return fmt.Errorf("account %d was never brought in", r.Account.ID)
		}
		want = &loyalty.Record{Account: *open}
	}
	if r.Account.State != want.Account.State {
		return fmt.Errorf("account %d is %s, by its entries %s", r.Account.ID, r.Account.State, want.Account.State)
	}
	if same, err := sameHoldings(&want.Account, &r.Account); err != nil || !same {
		return errors.Join(err, fmt.Errorf("account %d holds %s, its entries come to %s", r.Account.ID, holdings(&r.Account), holdings(&want.Account)))
	}
	for key := range maps.Keys(want.Cells) {
		if _, ok := r.Cells[key]; !ok {
			return fmt.Errorf("account %d has no cell of station %d", r.Account.ID, key.Station)
		}
	}
	for key, c := range r.Cells {
		w := want.Cells[key]
		if c.Posted != w.Posted || c.Used < w.Used || c.Voided < w.Voided || c.Returned < w.Returned {
			return fmt.Errorf("account %d, station %d: cell %+v, its entries come to %+v", r.Account.ID, key.Station, c, w)
		}
	}
	return nil
}

// holdings is an account in a few words.
func holdings(a *loyalty.Account) string {
	var sum loyalty.Points
	for _, l := range a.Lots {
		sum += l.Amount
	}
	return fmt.Sprintf("%s in %d lots, with %d tallies, owing %s of %s", sum, len(a.Lots), len(a.Tallies), a.Debt, a.Clawed)
}

// sameHoldings tells whether two accounts are the same but for their state. What the wire says of an account is all of
// it, however the domain grows.
func sameHoldings(a, b *loyalty.Account) (bool, error) {
	x, y := *a, *b
	x.State = y.State
	p, err1 := wire.FromAccount(&x).MarshalVT()
	q, err2 := wire.FromAccount(&y).MarshalVT()
	return bytes.Equal(p, q), errors.Join(err1, err2)
}

// End says whether something with entries was missing among the stations.
func (a *Audit) End() error {
	for place, pos := range a.late {
		return fmt.Errorf("%s took effect at %d of the stream, where it is not", place, pos)
	}
	for id := range a.chains {
		if !a.seen[id] {
			return fmt.Errorf("station %d has entries and is not there", id)
		}
	}
	return nil
}

// Entries is how many entries the audit has seen.
func (a *Audit) Entries() uint64 { return a.entries }

// Position is how far the audit has come in the stream.
func (a *Audit) Position() uint64 { return a.pos }
