package hq

import (
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// read decodes the new entries and loads all they need.
func (p *posting) read([]*Batch) (err error) {
	var ops []loyalty.OpID
	var steps []SaleStep
	var numbers []loyalty.CardNumber
	var versions []uint32
	for i := range p.lines {
		l := &p.lines[i]
		if err := p.decode(l); err != nil {
			return err
		}
		if l.entry == nil {
			continue
		}
		ops = append(ops, l.entry.Op)
		steps = append(steps, stepsOf(l.Station, l.entry.Body)...)
		if account, card := loyalty.Subject(l.entry.Body); account == 0 && card != "" {
			numbers = append(numbers, card)
			steps = append(steps, givenSteps(l.Station, card)...)
		}
		switch b := l.entry.Body.(type) {
		case loyalty.SaleClosed:
			versions = append(versions, l.entry.Programme)
		case loyalty.SaleRefunded:
			ops, versions = append(ops, b.Closed), append(versions, l.entry.Programme) // which is its sale's
		case loyalty.CardIssued:
			if b.For != "" {
				numbers = append(numbers, b.For)
			}
		}
	}
	slices.SortFunc(ops, func(a, b loyalty.OpID) int { return slices.Compare(a[:], b[:]) })
	if p.ops, err = p.tx.Operations(slices.Compact(ops)); err != nil {
		return err
	}
	slices.SortFunc(steps, SaleStep.compare)
	if p.steps, err = p.tx.Steps(slices.Compact(steps)); err != nil {
		return err
	}
	if p.cards, err = p.tx.Cards(sorted(numbers)); err != nil {
		return err
	}
	if err := p.readRecords(); err != nil {
		return err
	}
	if p.programmes, err = p.cache.find(p.tx, sorted(versions)); err != nil {
		return err
	}
	if err := p.readRefunds(); err != nil {
		return err
	}
	return p.readIssues()
}

// readRecords loads the accounts that the entries are about.
func (p *posting) readRecords() (err error) {
	var ids []loyalty.AccountID
	for i := range p.lines {
		l := &p.lines[i]
		if l.entry == nil {
			continue
		}
		if l.Account = p.whose(l); l.Account != 0 {
			ids = append(ids, l.Account)
		}
		if b, ok := l.entry.Body.(loyalty.CardIssued); ok && b.For != "" {
			ids = append(ids, p.cards[b.For].Account)
		}
	}
	if p.records, err = p.tx.Records(sorted(ids)); err != nil {
		return err
	}
	return p.readLost()
}

// readLost finds the accounts of cards whose entries name an account that these books never began: see [FirstGiven].
func (p *posting) readLost() error {
	var numbers []loyalty.CardNumber
	var steps []SaleStep
	for i := range p.lines {
		if l := &p.lines[i]; l.entry != nil && p.lost(l.Account) {
			if _, card := loyalty.Subject(l.entry.Body); card != "" {
				numbers, steps = append(numbers, card), append(steps, givenSteps(l.Station, card)...)
			}
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	slices.SortFunc(steps, SaleStep.compare)
	given, err := p.tx.Steps(slices.Compact(steps))
	if err != nil {
		return err
	}
	maps.Copy(p.steps, given)
	cards, err := p.tx.Cards(sorted(numbers))
	if err != nil {
		return err
	}
	var ids []loyalty.AccountID
	for n, c := range cards {
		if p.cards[n] = c; p.records[c.Account] == nil {
			ids = append(ids, c.Account)
		}
	}
	records, err := p.tx.Records(sorted(ids))
	for id, r := range records {
		p.records[id] = r
	}
	return err
}

// lost tells whether an account may have begun in a life of these books that is lost.
func (p *posting) lost(id loyalty.AccountID) bool {
	return id >= FirstGiven && p.records[id] == nil
}

// whose is the account that an entry is about, as far as the books know by now: the one that it names, or its card's. A
// refund goes to the account that the sale went to, whatever has become of the card since.
func (p *posting) whose(l *line) loyalty.AccountID {
	id, card := loyalty.Subject(l.entry.Body)
	if id != 0 && !p.lost(id) {
		return id
	}
	if sale := p.refundOf(l); sale != nil && sale.Account != 0 {
		return sale.Account
	}
	if c, ok := p.cards[card]; ok {
		return c.Account
	}
	return id
}
