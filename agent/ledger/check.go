package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Report is what a check of the whole store has seen.
type Report struct {
	Station  loyalty.StationID `json:"station"`
	Epoch    loyalty.Epoch     `json:"epoch"`
	First    loyalty.Seq       `json:"first"`
	Last     loyalty.Seq       `json:"last"`
	Acked    loyalty.Seq       `json:"acked"`
	Hash     string            `json:"hash"`
	Entries  uint64            `json:"entries"`
	Accounts uint64            `json:"accounts"`
	Cards    uint64            `json:"cards"`
	Sales    uint64            `json:"sales"`
	Open     uint64            `json:"open_sales"`
	Issued   uint64            `json:"issued"` // cards given out here, as far as the journal reaches or headquarters has not told of them
	Forms    uint64            `json:"forms"`  // sealed forms that headquarters does not have
	Bytes    int64             `json:"bytes"`
	// Frozen is why redeeming is suspended; empty: it is not.
	Frozen string `json:"frozen,omitempty"`
	// Quarantined is how many entries headquarters has set aside, and LastAside the last of them, with the reason.
	Quarantined uint64 `json:"quarantined"`
	LastAside   string `json:"last_aside,omitempty"`
	// Alarms are those that no operator has seen yet, oldest first.
	Alarms   []Alarm  `json:"alarms,omitempty"`
	Findings []string `json:"findings,omitempty"`
}

// maxFindings bounds a report; one broken page can break every record behind it.
const maxFindings = 100

// CheckFile checks a file that no process is writing: the structure of its pages and of its list of free ones, the
// checksum of every record, the chain of the journal without a gap, the indexes both ways, counters, reservations, the
// cells against the last statements in the journal, and the accounts' own entries against it. It reads with code of its
// own that no content can take down, and never writes. progress, if not nil, is called now and then with the records
// read. With findings it returns [ErrCorrupt], and the report lists the first [maxFindings] of them.
func CheckFile(ctx context.Context, path string, progress func(records uint64)) (*Report, error) {
	return checkFile(ctx, path, path, progress)
}

// checkFile checks a ledger or a copy of it.
func checkFile(ctx context.Context, path, ledger string, progress func(records uint64)) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("check the ledger: %w", err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("check the ledger: %w", err)
	}
	p, err := newPageFile(f, size)
	if err != nil {
		return &Report{Bytes: size, Findings: []string{err.Error()}}, err
	}
	c := newChecker(ctx, progress)
	if p.older() == nil {
		c.found("one of the file's two heads is not valid: its last transaction may be lost")
	}
	r, err := c.run(p, p.newest())
	r.Alarms = unseen(r.Alarms, ledger)
	return r, err
}

type checker struct {
	ctx      context.Context
	progress func(uint64)
	seen     uint64
	report   *Report

	st        state
	haveState bool
	chain     wire.Hash
	prev      place
	chained   bool
	gaps      []place // entries that do not follow the one before them
	count     counters

	open     map[loyalty.SaleID]loyalty.OpID // sales by their own record
	listed   map[loyalty.SaleID]loyalty.OpID // sales by the index
	ended    map[place]saleKey               // where sales ended and were refunded, by the sales
	ends     map[place]saleKey               // the same, by the journal
	lasts    map[place]bool                  // the last entry of each sale that ended, which keeps it from being trimmed
	reserved map[loyalty.AccountID]loyalty.Points
	cells    map[loyalty.AccountID]cell
	left     map[loyalty.AccountID]bool
	stated   map[loyalty.AccountID]loyalty.Statement
	accounts map[loyalty.AccountID]placeOf
	own      map[loyalty.AccountID]map[place]posted
	owed     map[loyalty.AccountID]map[place]posted
	postedAt map[loyalty.OpID]place // of what is owed
	first    loyalty.Seq
	shifts   *shiftChecker

	issued map[place]loyalty.CardIssued // cards given out, by their own record
	names  map[place]loyalty.CardIssued // the same, by the journal
	forms  map[place]loyalty.FormHash
}

// placeOf is through where a snapshot counts.
type placeOf struct{ through place }

// posted is what makes two postings the same.
type posted struct {
	redeemed loyalty.Points
	accrued  loyalty.Points
	clawed   loyalty.Points
}

func newChecker(ctx context.Context, progress func(uint64)) *checker {
	return &checker{
		ctx: ctx, progress: progress, report: &Report{},
		open: make(map[loyalty.SaleID]loyalty.OpID), listed: make(map[loyalty.SaleID]loyalty.OpID),
		ended: make(map[place]saleKey), ends: make(map[place]saleKey), reserved: make(map[loyalty.AccountID]loyalty.Points),
		cells: make(map[loyalty.AccountID]cell), left: make(map[loyalty.AccountID]bool),
		stated: make(map[loyalty.AccountID]loyalty.Statement), accounts: make(map[loyalty.AccountID]placeOf),
		own: make(map[loyalty.AccountID]map[place]posted), owed: make(map[loyalty.AccountID]map[place]posted),
		postedAt: make(map[loyalty.OpID]place), lasts: make(map[place]bool), shifts: newShiftChecker(),
		issued: make(map[place]loyalty.CardIssued), names: make(map[place]loyalty.CardIssued), forms: make(map[place]loyalty.FormHash),
	}
}

func (c *checker) found(format string, args ...any) {
	if len(c.report.Findings) < maxFindings {
		c.report.Findings = append(c.report.Findings, fmt.Sprintf(format, args...))
	}
}

func (c *checker) run(p *pageFile, m *pageMeta) (*Report, error) {
	c.report.Bytes = p.size
	err := p.walk(m, c.visit, func(s string) error { c.found("%s", s); return nil })
	if err != nil {
		return c.report, err
	}
	c.compare()
	if c.progress != nil {
		c.progress(c.seen)
	}
	if len(c.report.Findings) > 0 {
		return c.report, fmt.Errorf("%w: %d findings, the first: %s", ErrCorrupt, len(c.report.Findings), c.report.Findings[0])
	}
	return c.report, nil
}

func (c *checker) visit(path []string, key, stored []byte) error {
	if c.seen++; c.seen%4096 == 0 {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if c.progress != nil {
			c.progress(c.seen)
		}
	}
	bucket := bucketOf(path)
	depth := 1
	if bucket == bucketJrn {
		depth = 2
	}
	if len(path) != depth || !slices.Contains(bucketNames(), bucket) {
		c.found("a record in bucket %q, which is none of the ledger's", path)
		return nil
	}
	v, err := unseal(bucket, key, stored)
	if err != nil {
		c.found("checksum of %s does not hold", describeKey(bucket, key))
		return nil
	}
	if err := c.record(path, key, v); err != nil {
		c.found("%s: %v", describeKey(bucket, key), err)
	}
	return nil
}

func (c *checker) record(path []string, key, v []byte) error {
	switch path[0] {
	case bucketMeta:
		if string(key) == string(keyState) {
			var err error
			c.st, err = parseState(v)
			c.haveState = err == nil
			return err
		}
		if string(key) == string(keyAlarms) {
			m, err := parseAlarms(v)
			if err == nil {
				c.report.Alarms = fromAlarms(m)
			}
			return err
		}
	case bucketAcct:
		return c.account(key, v)
	case bucketCard:
		c.count.cards++
		_, err := parseCard(loyalty.CardNumber(key), v)
		return err
	case bucketCell:
		return c.cell(key, v)
	case bucketLeft:
		id, err := accountOf(key)
		c.left[id] = true
		return err
	case bucketSale:
		return c.sale(key, v)
	case bucketOpen:
		if len(key) != len(loyalty.OpID{}) {
			return errors.New("a key of a wrong length")
		}
		c.listed[loyalty.SaleID(v)] = loyalty.OpID(key)
	case bucketShift:
		return c.shifts.record(key, v)
	case bucketWatch:
		_, err := parseWatch(v)
		return err
	case bucketAway:
		return c.away(key, v)
	case bucketIssued:
		return c.cardIssued(key, v)
	case bucketForm:
		return c.form(key, v)
	case bucketJrn:
		return c.entry([]byte(path[1]), key, v)
	case bucketQuar:
		c.count.quarantined++
		var err error
		c.report.LastAside, err = describeAside(key, v) // they come in their order
		return err
	}
	return nil
}

func accountOf(key []byte) (loyalty.AccountID, error) {
	if len(key) != 8 {
		return 0, errors.New("a key of a wrong length")
	}
	var id uint64
	for _, b := range key {
		id = id<<8 | uint64(b)
	}
	if id == 0 || id > uint64(loyalty.MaxAccount) {
		return 0, fmt.Errorf("account %d is out of range", id)
	}
	return loyalty.AccountID(id), nil
}

func (c *checker) account(key, v []byte) error {
	c.count.accounts++
	id, err := accountOf(key)
	if err != nil {
		return err
	}
	l, err := parseLocal(v)
	if err != nil {
		return err
	}
	if l.Snapshot.Account.ID != id {
		return fmt.Errorf("account %d stands in the place of %d", l.Snapshot.Account.ID, id)
	}
	if len(l.Own) == 0 && l.Snapshot.Applied == 0 && l.Snapshot.Epoch == 0 {
		return l.Snapshot.Account.Check()
	}
	c.accounts[id] = placeOf{place{l.Snapshot.Epoch, l.Snapshot.Applied}}
	for _, p := range l.Own {
		note(c.own, id, p)
	}
	return l.Snapshot.Account.Check()
}

func note(m map[loyalty.AccountID]map[place]posted, id loyalty.AccountID, p loyalty.Posting) {
	if m[id] == nil {
		m[id] = make(map[place]posted)
	}
	x := posted{redeemed: p.Redeemed}
	for _, lot := range p.Accrued {
		x.accrued += lot.Amount
	}
	for _, lot := range p.Clawed {
		x.clawed += lot.Amount
	}
	m[id][place{p.Epoch, p.Seq}] = x
}

func (c *checker) cell(key, v []byte) error {
	id, err := accountOf(key)
	if err != nil {
		return err
	}
	x, err := parseCell(v)
	if err != nil {
		return err
	}
	c.cells[id] = x
	return x.Check()
}

func (c *checker) sale(key, v []byte) error {
	c.count.sales++
	s, err := parseSale(loyalty.SaleID(key), v)
	if err != nil {
		return err
	}
	switch s.State {
	case loyalty.SaleOpen:
		c.count.openSales++
		c.open[s.ID] = s.OpOpen
		if s.Account != 0 {
			c.reserved[s.Account] += s.Reserved
		}
	case loyalty.SaleDone, loyalty.SaleCancelled:
		at := place{s.epochEnd, s.SeqEnd}
		if other, ok := c.ended[at]; ok {
			return fmt.Errorf("ended with entry %d as sale %s did", at.seq, other)
		}
		k := saleKey{0, s.ID}
		c.ended[at] = k
		c.refunds(k, s)
	default:
		return fmt.Errorf("state %d", s.State)
	}
	return nil
}

// entry checks the chain; entries come in their order, and the state, whose bucket sorts after jrn, is compared at the end.
func (c *checker) entry(segment, key, v []byte) error {
	p := parsePlace(key)
	if p.epoch == 0 || p.seq == 0 || p.before(parsePlace(segment)) {
		return errors.New("stands in a wrong segment")
	}
	c.count.entries++
	if len(v) < len(wire.Hash{}) {
		return errors.New("too short")
	}
	hash, body := wire.Hash(v[:len(wire.Hash{})]), v[len(wire.Hash{}):]
	switch {
	case c.chained && p.epoch == c.prev.epoch && p.seq != c.prev.seq+1:
		c.gaps = append(c.gaps, p)
	case c.chained && p.epoch == c.prev.epoch && hash != c.chain.Next(body):
		c.found("the chain breaks at entry %d of epoch %d", p.seq, p.epoch)
	}
	if !c.chained || p.epoch != c.prev.epoch {
		c.first = p.seq
		clear(c.stated)
	}
	c.chain, c.prev, c.chained = hash, p, true
	e, err := wire.DecodeEntry(body)
	if err != nil {
		return err
	}
	c.follow(p, e)
	return nil
}

// follow notes what an entry says about others.
func (c *checker) follow(p place, e *loyalty.Entry) {
	c.shifts.follow(p, e)
	id, _ := loyalty.Subject(e.Body)
	if st, ok := statementOf(e.Body); ok && id != 0 {
		c.stated[id] = st
	}
	if x, ok := loyalty.PostingOf(p.epoch, p.seq, e); ok && id != 0 {
		if old, again := c.postedAt[e.Op]; again { // written again by a later epoch
			delete(c.owed[id], old)
		}
		if a, known := c.accounts[id]; known && a.through.before(p) {
			note(c.owed, id, x)
			c.postedAt[e.Op] = p
		}
	}
	if k := saleOf(e.Body); k.id != "" {
		c.ends[p] = k
	}
	if b, ok := e.Body.(loyalty.CardIssued); ok {
		c.names[p] = b
	}
}

func statementOf(b loyalty.Body) (loyalty.Statement, bool) {
	switch b := b.(type) {
	case loyalty.SaleOpened:
		return b.Statement, true
	case loyalty.SaleClosed:
		return b.Statement, true
	case loyalty.SaleVoided:
		return b.Statement, true
	case loyalty.CellReturned:
		return b.Statement, true
	}
	return loyalty.Statement{}, false
}
