package hq

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Own is the number under which headquarters keep a journal of what they do of their own accord: accruals of partners,
// corrections, changes of accounts and cards, what time brings about. It is chained as a station's journal is, in the same
// stream, posted by the same rules and audited with the rest. No station has the number, and none may speak under it.
const Own loyalty.StationID = 0

// ownEpoch is the one life of that journal.
const ownEpoch loyalty.Epoch = 1

// By says who does something at headquarters, and why. Both stand in the journal for ever.
type By struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
}

// Check returns [loyalty.BadRequest] unless there is a name and a reason, of at most [loyalty.MaxReason] bytes each.
func (b By) Check() error {
	for _, t := range []struct{ what, text string }{{"operator", b.Operator}, {"reason", b.Reason}} {
		if t.text == "" {
			return fmt.Errorf("%w: the %s is missing", loyalty.BadRequest, t.what)
		}
		if err := plain(t.what, t.text, loyalty.MaxReason); err != nil {
			return err
		}
	}
	return impersonal(b.Reason)
}

// What a reason may not hold: a telephone number as they are written in Russia or abroad, and an e-mail address.
var (
	telephone = regexp.MustCompile(`(^|[^0-9])(\+[0-9]([ ().-]*[0-9]){9,14}|[78]([ ().-]*[0-9]){10}|9[0-9]{2}([ ().-]*[0-9]){7})($|[^0-9])`)
	mailbox   = regexp.MustCompile(`[^\s@]+@[^\s@]+\.[^\s@]+`)
	// numbered is the number of a thing, in one piece, right after what says so. It never begins with a plus.
	numbered = regexp.MustCompile(`(?i)(?:[№#]|(?:^|[^\p{L}\p{N}])(?:чек\p{L}{0,2}|сч[её]т\p{L}{0,2}|письм\p{L}{1,2}|обращени\p{L}{1,2}|заявк\p{L}{1,2}|` +
		`letter|ticket|call|receipt|account|act))\s*(?:\p{L}{1,3}-?)?[0-9]+(?:[-/.][0-9]+)*`)
)

// impersonal refuses a reason that tells how a person is reached: the journal is for ever, and nobody can take it out again
// when the person asks to be forgotten. A number is taken for a thing's where the word before
// it says so: those of letters and receipts may be as long as a telephone's.
func impersonal(reason string) error {
	var what string
	switch {
	case telephone.MatchString(numbered.ReplaceAllLiteralString(reason, "|")): // which stands in no telephone number
		what = "a telephone number"
	case mailbox.MatchString(reason):
		what = "an e-mail address"
	default:
		return nil
	}
	return fmt.Errorf("%w: the reason holds what looks like %s, and the journal is for ever: name the letter, the call or the receipt instead, and write № before its number", loyalty.BadRequest, what)
}

// plain refuses a text that is too long or holds control characters.
func plain(what, text string, most int) error {
	if len(text) > most {
		return fmt.Errorf("%w: %s of %d bytes, at most %d", loyalty.BadRequest, what, len(text), most)
	}
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == 0xfffd || (r >= 0x80 && r < 0xa0) {
			return fmt.Errorf("%w: %s holds a control character", loyalty.BadRequest, what)
		}
	}
	return nil
}

// own is the working set of one transaction in headquarters' own journal: read what is needed, write entries, save.
type own struct {
	tx      Tx
	at      loyalty.Instant
	nonce   func() wire.Nonce
	station *Station
	last    loyalty.Instant // of the newest entry
	steps   map[SaleStep]*Line
	cards   map[loyalty.CardNumber]loyalty.Card
	records map[loyalty.AccountID]*loyalty.Record
	changed map[loyalty.AccountID]bool
	dealt   map[loyalty.CardNumber]bool // cards that have changed
	changes Changes
}

// openOwn reads where the journal stands; it holds up whoever else would write in it.
func openOwn(tx Tx, nonce func() wire.Nonce, at loyalty.Instant) (*own, error) {
	o := &own{
		tx: tx, at: at, nonce: nonce, steps: map[SaleStep]*Line{}, cards: map[loyalty.CardNumber]loyalty.Card{},
		records: map[loyalty.AccountID]*loyalty.Record{}, changed: map[loyalty.AccountID]bool{}, dealt: map[loyalty.CardNumber]bool{},
	}
	known, err := tx.Stations([]loyalty.StationID{Own})
	if err != nil {
		return nil, err
	}
	if o.station = known[Own]; o.station == nil {
		o.station = &Station{ID: Own}
		return o, nil
	}
	lines, err := tx.LinesAt([]Place{{Own, o.station.Cursor.Epoch, o.station.Cursor.Seq}})
	for _, l := range lines {
		e, err := wire.DecodeEntry(l.Bytes)
		if err != nil {
			return nil, fmt.Errorf("headquarters' own journal, %s: %w", l.Place, err)
		}
		o.last = e.At
	}
	return o, err
}

// load reads cards and accounts that are not there yet. A card's account is read as well.
func (o *own) load(cards []loyalty.CardNumber, accounts []loyalty.AccountID) error {
	if err := o.loadCards(cards); err != nil {
		return err
	}
	for _, n := range cards {
		if c, ok := o.cards[n]; ok {
			accounts = append(accounts, c.Account)
		}
	}
	accounts = slices.DeleteFunc(sorted(accounts), func(id loyalty.AccountID) bool { return o.records[id] != nil })
	records, err := o.tx.Records(accounts)
	maps.Copy(o.records, records)
	return err
}

// loadCards reads cards that are not there yet.
func (o *own) loadCards(cards []loyalty.CardNumber) error {
	found, err := o.tx.Cards(sorted(slices.Clone(cards)))
	for n, c := range found {
		if _, ok := o.cards[n]; !ok {
			o.cards[n] = c
		}
	}
	return err
}

// record is an account that was loaded.
func (o *own) record(id loyalty.AccountID) (*loyalty.Record, error) {
	if r := o.records[id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("account %d: %w", id, ErrNoAccount)
}

// write appends an entry and gives it its effect. Its account has been loaded.
func (o *own) write(body loyalty.Body, step SaleStep) error {
	id, _ := loyalty.Subject(body)
	r, err := o.record(id)
	if err != nil {
		return err
	}
	e, b, err := o.entry(body)
	if err != nil {
		return err
	}
	version := r.Version
	if _, err := r.Post(loyalty.CellKey{Station: Own, Epoch: o.station.Cursor.Epoch}, o.station.Cursor.Seq+1, e); err != nil {
		return fmt.Errorf("account %d: %w", id, err)
	}
	pruned := prune(r, o.at)
	o.changed[id] = o.changed[id] || r.Version != version
	o.append(e, b, step, id, pruned)
	return nil
}

// writeNews appends an entry that concerns no account.
func (o *own) writeNews(body loyalty.Body, step SaleStep) error {
	e, b, err := o.entry(body)
	if err == nil {
		o.append(e, b, step, 0, false)
	}
	return err
}

// entry is the next entry of the journal, and its bytes. The first one begins it.
func (o *own) entry(body loyalty.Body) (*loyalty.Entry, []byte, error) {
	if err := mayWrite(Own, body); err != nil {
		return nil, nil, err
	}
	if o.station.Cursor.Epoch == 0 {
		nonce := o.nonce()
		o.changes.Epochs = []Registration{{Station: Own, Epoch: ownEpoch, Nonce: nonce, At: o.at}}
		o.station.Cursor = Cursor{Epoch: ownEpoch, Hash: wire.Genesis(Own, ownEpoch, nonce)}
	}
	c := &o.station.Cursor
	o.last = max(o.last, o.at)
	e := &loyalty.Entry{At: o.last, Body: body}
	e.Op = ownOp(c, e.At)
	b, err := wire.EncodeEntry(e)
	if err != nil {
		return nil, nil, err
	}
	if _, err := wire.DecodeEntry(b); err != nil { // what nobody could read does not become an entry
		return nil, nil, fmt.Errorf("%w: %w", loyalty.BadRequest, err)
	}
	return e, b, nil
}

// append adds an entry to the chain.
func (o *own) append(e *loyalty.Entry, b []byte, step SaleStep, id loyalty.AccountID, pruned bool) {
	c := &o.station.Cursor
	c.Seq, c.Hash = c.Seq+1, c.Hash.Next(b)
	l := &Line{
		Place: Place{Own, c.Epoch, c.Seq}, At: o.at, Op: e.Op, Sale: step.Sale, Step: step.Step, Refund: step.Refund, Account: id,
		Outcome: Posted, Pruned: pruned, Hash: c.Hash, Bytes: b,
	}
	if step.Step != NoStep {
		o.steps[step] = l
	}
	o.changes.Lines = append(o.changes.Lines, l)
}

// ownOp mints an operation id. It follows from the chain, and so is another one for every entry, also of another life of
// these books, and the same one when the transaction is run again.
func ownOp(c *Cursor, at loyalty.Instant) loyalty.OpID {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(c.Hash[:], uint64(c.Seq)))
	return loyalty.NewOpID(at, [10]byte(sum[:]))
}

// setCard writes what a card is from now on.
func (o *own) setCard(card loyalty.Card, by By) error {
	err := o.write(loyalty.CardChanged{
		Account: card.Account, Card: card.Number, Kind: card.Kind, State: card.State, MayRedeem: card.MayRedeem, Reason: by.Reason, Operator: by.Operator,
	}, SaleStep{})
	if err != nil {
		return err
	}
	card.HQVersion++
	o.cards[card.Number], o.dealt[card.Number] = card, true
	return nil
}

// save writes what has come together and returns the stations that have something to get.
func (o *own) save() ([]loyalty.StationID, error) {
	if len(o.changes.Lines) == 0 {
		return nil, nil
	}
	o.changes.Stations = []*Station{o.station}
	var ids, owners []loyalty.AccountID
	for _, id := range slices.Sorted(maps.Keys(o.changed)) {
		if o.changed[id] {
			o.changes.Records, ids = append(o.changes.Records, o.records[id]), append(ids, id)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(o.dealt)) {
		o.changes.Cards, owners = append(o.changes.Cards, o.cards[n]), append(owners, o.cards[n].Account)
	}
	knowing, err := o.tx.Knowing(sorted(owners))
	if err != nil {
		return nil, err
	}
	for _, c := range o.changes.Cards {
		for _, s := range knowing[c.Account] {
			o.changes.Touched = append(o.changes.Touched, Touch{s, ItemKey{Kind: CardItem, Card: c.Number}})
		}
	}
	touched, err := spread(o.tx, &o.changes, ids, nil, Own)
	if err != nil {
		return nil, err
	}
	return touched, o.tx.Save(&o.changes)
}

// own runs fn on headquarters' own journal in one transaction. fn may be run more than once.
func (b *Books) own(ctx context.Context, fn func(*own) error) error {
	var touched []loyalty.StationID
	err := b.cfg.Store.Update(ctx, func(tx Tx) error {
		touched = nil
		o, err := openOwn(tx, b.nonce, b.Now())
		if err != nil {
			return err
		}
		if err := fn(o); err != nil {
			return err
		}
		touched, err = o.save()
		return err
	})
	if err == nil {
		b.wake.push(touched...)
	}
	return err
}

func (b *Books) nonce() (n wire.Nonce) {
	binary.BigEndian.PutUint64(n[:8], b.cfg.Random())
	binary.BigEndian.PutUint64(n[8:], b.cfg.Random())
	return n
}
