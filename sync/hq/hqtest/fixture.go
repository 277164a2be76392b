// Package hqtest is the suite that says whether a store keeps headquarters' books faithfully: the rules of sync/hq, run
// on the store, with everything that can go wrong between. It also has what other packages' tests of headquarters need:
// a [Journal] that plays a station.
//
// It promises that a store which passes applies every entry once, keeps what it cannot apply, never issues more rights
// than an account's points and loses nothing it has returned from, also when it is closed and opened again between any
// two steps. It does not test what the store does when the machine under it loses its power.
package hqtest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Start is the moment at which the suite's clocks begin.
const Start loyalty.Instant = 1_780_000_000_000

// Day is a day, in milliseconds.
const Day = 24 * 60 * 60 * 1000

// Programme is a small programme's source, of a version.
func Programme(version uint32) []byte {
	return fmt.Appendf(nil, `schema: azs-edge/programme/1
name: test
version: %d
effective: 2026-01-01T00:00:00+03:00
title: {ru: Проба, en: Test}
utc_offset: "+03:00"
points: {value: "1.00", step: "0.01"}
earn:
  - {fuel: [АИ-95], points: "1", per_litres: "1"}
redeem: {share: "99%%", step: "1", min_money: "1.00"}
unknown_card: accrue
`, version)
}

// Journal plays a station: it writes entries as an agent's ledger would, and keeps them for ever.
type Journal struct {
	tb      testing.TB
	Station loyalty.StationID
	Epoch   loyalty.Epoch
	Nonce   wire.Nonce
	Boot    [16]byte
	Session uint64
	At      loyalty.Instant
	Entries [][]byte
	Hashes  []wire.Hash // Hashes[0] is the genesis
	Cells   map[loyalty.AccountID]*loyalty.Cell
	Forms   []wire.Form // that travel beside their entries
	ops     uint64
}

// NewJournal begins a station's first epoch.
func NewJournal(tb testing.TB, station loyalty.StationID) *Journal {
	j := &Journal{tb: tb, Station: station, At: Start, Boot: [16]byte{byte(station), 1}}
	j.Begin(1)
	return j
}

// Begin begins an epoch with nothing in it.
func (j *Journal) Begin(epoch loyalty.Epoch) {
	j.Epoch = epoch
	j.Nonce = wire.Nonce{byte(j.Station), byte(epoch), 7}
	j.Forms = nil
	j.Entries, j.Hashes = nil, []wire.Hash{wire.Genesis(j.Station, epoch, j.Nonce)}
	j.Cells = map[loyalty.AccountID]*loyalty.Cell{}
}

// Cell is the station's cell of an account.
func (j *Journal) Cell(account loyalty.AccountID) *loyalty.Cell {
	if j.Cells[account] == nil {
		j.Cells[account] = &loyalty.Cell{}
	}
	return j.Cells[account]
}

// Clone copies the journal: a restored backup, a cloned disk.
func (j *Journal) Clone() *Journal {
	c := *j
	c.Entries = append([][]byte(nil), j.Entries...)
	c.Hashes = append([]wire.Hash(nil), j.Hashes...)
	c.Cells = map[loyalty.AccountID]*loyalty.Cell{}
	for id, cell := range j.Cells {
		copied := *cell
		c.Cells[id] = &copied
	}
	return &c
}

// Op makes an operation id that no other call returns.
func (j *Journal) Op() loyalty.OpID {
	j.ops++
	var r [10]byte
	binary.BigEndian.PutUint32(r[2:], uint32(j.Station)<<8|uint32(j.Epoch))
	r[1] = j.Boot[1]
	binary.BigEndian.PutUint32(r[6:], uint32(j.ops))
	return loyalty.NewOpID(j.At, r)
}

// Append writes an entry and returns its operation id.
func (j *Journal) Append(body loyalty.Body) loyalty.OpID {
	op := j.Op()
	j.AppendEntry(&loyalty.Entry{At: j.At, Op: op, Body: body})
	return op
}

// AppendEntry writes an entry as it is.
func (j *Journal) AppendEntry(e *loyalty.Entry) {
	b, err := wire.EncodeEntry(e)
	if err != nil {
		j.tb.Fatalf("encode an entry: %v", err)
	}
	j.AppendBytes(b)
}

// AppendBytes writes any bytes as an entry.
func (j *Journal) AppendBytes(b []byte) {
	j.At++
	j.Entries = append(j.Entries, b)
	j.Hashes = append(j.Hashes, j.Hashes[len(j.Hashes)-1].Next(b))
}

// Receipt is a small receipt.
func Receipt() loyalty.Receipt {
	return loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{{Kind: loyalty.Fuel, Code: "АИ-95", Volume: 40_000, Amount: 240_000}}}
}

// Sell writes a sale of one step: what is redeemed is taken from the cell.
func (j *Journal) Sell(account loyalty.AccountID, redeem, earn loyalty.Points) loyalty.OpID {
	return j.Append(j.Sale(account, "", redeem, earn))
}

// Sale takes rights and returns the body of a sale of one step.
func (j *Journal) Sale(account loyalty.AccountID, card loyalty.CardNumber, redeem, earn loyalty.Points) loyalty.SaleClosed {
	cell := j.Cell(account)
	if err := cell.Use(redeem); err != nil {
		j.tb.Fatalf("sell: %v", err)
	}
	s := loyalty.SaleClosed{
		Sale: loyalty.SaleID(fmt.Sprintf("s-%d-%d-%d-%d", j.Station, j.Epoch, j.Boot[1], len(j.Entries)+1)), OpenedAt: j.At, Account: account, Card: card,
		Receipt: Receipt(), Redeemed: redeem, Discount: loyalty.Kopecks(redeem), Statement: cell.Statement(),
	}
	if earn > 0 {
		s.Earned = []loyalty.Lot{{Amount: earn, ActiveFrom: j.At - j.At%Day, Expires: j.At - j.At%Day + 400*Day}}
	}
	return s
}

// Issue gives out a card, with a form unless that is empty.
func (j *Journal) Issue(card loyalty.CardNumber, kind loyalty.CardKind, of loyalty.CardNumber, replaces bool, form string) loyalty.OpID {
	r := loyalty.IssueRequest{Sealed: []byte(form)}
	op := j.Append(loyalty.CardIssued{Card: card, Kind: kind, For: of, Replaces: replaces, Form: r.Hash()})
	if form != "" {
		j.Forms = append(j.Forms, wire.Form{Seq: loyalty.Seq(len(j.Entries)), Bytes: []byte(form)})
	}
	return op
}

// Return hands the account's surplus back.
func (j *Journal) Return(account loyalty.AccountID) {
	c := j.Cell(account)
	if c.Return() > 0 {
		j.Append(loyalty.CellReturned{Account: account, Statement: c.Statement()})
	}
}

// Hello greets from where the journal stands.
func (j *Journal) Hello() *hq.Hello {
	j.Session++
	return &hq.Hello{
		Station: j.Station, Epoch: j.Epoch, Nonce: j.Nonce, First: 1, Last: loyalty.Seq(len(j.Entries)), LastHash: j.Hashes[len(j.Entries)],
		Boot: j.Boot, Version: "test", Schema: wire.Schema, Session: j.Session,
	}
}

// Batch is the entries from first through last, as they arrive.
func (j *Journal) Batch(first, last int) *hq.Batch {
	payload, _, _, err := wire.SealBatch(j.Epoch, loyalty.Seq(first), j.Hashes[first-1], j.Entries[first-1:last], j.Forms...)
	if err != nil {
		j.tb.Fatalf("seal a batch: %v", err)
	}
	b, err := wire.OpenBatch(payload)
	if err != nil {
		j.tb.Fatalf("open a batch: %v", err)
	}
	return &hq.Batch{Station: j.Station, Batch: b}
}

// All is the whole journal in one batch.
func (j *Journal) All() *hq.Batch { return j.Batch(1, len(j.Entries)) }

// TopUp asks for rights to use so much more.
func (j *Journal) TopUp(account loyalty.AccountID, want loyalty.Points) *hq.Ask {
	return &hq.Ask{ID: j.Session, Account: account, Epoch: j.Epoch, TopUp: true, Statement: j.Cell(account).Statement(), Want: want}
}

// Take takes a reply's grant in.
func (j *Journal) Take(r hq.Reply) {
	if g := r.Answer.Grant; g != nil && loyalty.Epoch(g.Epoch) == j.Epoch {
		j.Cell(loyalty.AccountID(g.Account)).Grant(loyalty.Points(g.Issued))
	}
}

// Account is an account with points that are active and do not expire soon.
func Account(id loyalty.AccountID, points loyalty.Points) loyalty.Account {
	a := loyalty.Account{ID: id}
	if points > 0 {
		a.Lots = []loyalty.Lot{{Amount: points, ActiveFrom: Start - 30*Day, Expires: Start + 365*Day}}
	}
	return a
}

// Card is a main card of an account.
func Card(number loyalty.CardNumber, account loyalty.AccountID) loyalty.Card {
	return loyalty.Card{Number: number, Account: account, MayRedeem: true, Registered: Start}
}

// Replant begins a new epoch with the entries after the first acked ones written again, as an agent does when its
// journal forks: the operations stay, the statements are those of new cells in which nothing is left to use.
func (j *Journal) Replant(epoch loyalty.Epoch, acked int) {
	tail, forms := j.Entries[acked:], j.Forms
	j.Begin(epoch)
	for _, f := range forms {
		if f.Seq > loyalty.Seq(acked) {
			j.Forms = append(j.Forms, wire.Form{Seq: f.Seq - loyalty.Seq(acked), Bytes: f.Bytes})
		}
	}
	for _, b := range tail {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			j.AppendBytes(b)
			continue
		}
		account, _ := loyalty.Subject(e.Body)
		cell := j.Cell(account)
		switch body := e.Body.(type) {
		case loyalty.SaleClosed:
			cell.Issued += body.Redeemed
			cell.Used += body.Redeemed
			body.Statement = cell.Statement()
			e.Body = body
		case loyalty.CellReturned:
			body.Statement = cell.Statement()
			e.Body = body
		}
		j.AppendEntry(e)
	}
}
