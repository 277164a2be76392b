package hq

import (
	"fmt"
	"sync"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Programmes are the programmes that were published, as parsed: they are parsed once, and not for every entry that names
// one. The zero value is ready. They are safe for concurrent use.
type Programmes struct {
	mu     sync.Mutex
	parsed map[uint32]*loyalty.Programme // nil: this program cannot read it
}

// maxParsed bounds how many are held: stations follow the newest, and entries of older ones come for some days.
const maxParsed = 16

// find finds programmes by their versions. Those that are missing from the answer were not published here, or cannot be
// read.
func (c *Programmes) find(tx Tx, versions []uint32) (map[uint32]*loyalty.Programme, error) {
	out := make(map[uint32]*loyalty.Programme, len(versions))
	var missing []uint32
	c.mu.Lock()
	for _, v := range versions {
		p, ok := c.parsed[v]
		if !ok && v != 0 {
			missing = append(missing, v)
		}
		if p != nil {
			out[v] = p
		}
	}
	c.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	sources, err := tx.Programmes(missing)
	if err != nil {
		return nil, err
	}
	for v, source := range sources {
		if p := c.add(v, source); p != nil {
			out[v] = p
		}
	}
	return out, nil
}

// add parses a programme and holds it instead of the oldest.
func (c *Programmes) add(version uint32, source []byte) *loyalty.Programme {
	p, err := loyalty.ParseProgramme(source)
	if err != nil {
		p = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parsed == nil {
		c.parsed = map[uint32]*loyalty.Programme{}
	}
	c.parsed[version] = p
	for len(c.parsed) > maxParsed {
		oldest := version
		for v := range c.parsed {
			oldest = min(oldest, v)
		}
		delete(c.parsed, oldest)
	}
	return p
}

// cardRules are the limits of the newest programme; none if there is none.
func (c *Programmes) cardRules(tx Tx) (loyalty.CardRules, error) {
	version, _, err := tx.Programme()
	if err != nil {
		return loyalty.CardRules{}, err
	}
	found, err := c.find(tx, []uint32{version})
	if p := found[version]; p != nil {
		return p.Cards, err
	}
	return loyalty.CardRules{}, err
}

// recheck prices a sale once more with the programme that its entry names and the account as it stands. What no station
// may have come to has to be looked at; nothing of it changes what is posted.
func (p *posting) recheck(l *line, r *loyalty.Record) {
	sale, ok := l.entry.Body.(loyalty.SaleClosed)
	if !ok {
		return
	}
	var card *loyalty.Card
	if sale.Card != "" {
		card = &loyalty.Card{Number: sale.Card, Account: r.Account.ID} // all that a price depends on
	}
	f := loyalty.Recheck(p.programmes[l.entry.Programme], l.Station, card, &r.Account, l.entry)
	switch f.Verdict {
	case loyalty.VerdictStanding:
		p.result.Standing++
	case loyalty.VerdictMispriced:
		p.alarm(Alarm{Station: l.Station, Kind: PriceAlarm, Epoch: l.Epoch, Evidence: l.Bytes,
			Text: fmt.Sprintf("entry %d: sale %s by version %d of the programme: %s", l.Seq, sale.Sale, l.entry.Programme, f)})
	}
}
