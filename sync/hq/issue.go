package hq

import (
	"crypto/sha256"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// FirstGiven is the lowest number of an account that headquarters begins for a card that was given out. The numbers carry
// the moment: those that a life of these books gave out which is lost, because an older copy of them was put back, are
// below those that the next life gives out. So an entry that names an account of the lost life never meets another
// customer's; it goes to the account that its card has now.
const FirstGiven loyalty.AccountID = 1 << 39

// What the number of an account begins with: seconds since 2026, and this many accounts in each.
const (
	givenSince   loyalty.Instant = 1_767_225_600_000
	givenASecond                 = 1 << 7
)

// nextAccount is the number of the next account that begins with a card; zero if there is none left.
func nextAccount(last loyalty.AccountID, at loyalty.Instant) loyalty.AccountID {
	next := FirstGiven + loyalty.AccountID(max(0, at-givenSince)/1000)*givenASecond
	if next <= last || next > loyalty.MaxAccount {
		next = max(last+1, FirstGiven)
	}
	if next > loyalty.MaxAccount {
		return 0
	}
	return next
}

// giving is what decides whether a card may be given out: the same when a station asks and when its entry is posted.
type giving struct {
	kind     loyalty.CardKind
	lives    *loyalty.Card // the card itself, if somebody has it
	joins    bool          // an account that is there
	by       *loyalty.Card // of whose account; nil: not known
	replaces bool
	account  *loyalty.Record
	has      map[loyalty.CardKind]int // the account's cards that are not closed
	rules    loyalty.CardRules
}

// refusal says why the card may not be given out; empty if it may.
func (g *giving) refusal() loyalty.Refusal {
	there := g.lives != nil && g.by != nil && g.lives.Account == g.by.Account // brought in meanwhile
	switch {
	case g.lives != nil && !there:
		return loyalty.CardTaken
	case !g.joins:
		return ""
	case g.by == nil || g.account == nil:
		return loyalty.UnknownCard
	case g.by.Kind == loyalty.StaffKind:
		return loyalty.StaffCard
	case g.by.State == loyalty.Closed || g.account.Account.State == loyalty.Closed:
		return loyalty.CardClosed
	case g.account.Account.State == loyalty.Blocked || g.by.State == loyalty.Blocked && !g.replaces:
		return loyalty.CardBlocked
	case there:
		return ""
	}
	has := g.has[g.kind]
	if g.replaces && g.by.Kind == g.kind {
		has--
	}
	if most := g.rules.Most(g.kind); most > 0 && has >= most {
		return loyalty.CardLimit
	}
	return ""
}

// give makes the card that a station gave out, and the account that it begins.
func (p *posting) give(l *line) {
	b, _ := l.entry.Body.(loyalty.CardIssued)
	l.Account = 0
	g := giving{kind: b.Kind, joins: b.For != "", replaces: b.Replaces, rules: p.issues.rules}
	if c, ok := p.cards[b.Card]; ok {
		g.lives = &c
	}
	if c, ok := p.cards[b.For]; ok {
		g.by, g.account, g.has = &c, p.records[c.Account], p.issues.has[c.Account]
		l.Account = c.Account
	}
	request := loyalty.IssueRequest{Card: b.Card, Kind: b.Kind, For: b.For, Replaces: b.Replaces}
	if request.Check() != nil {
		p.refuse(l, loyalty.BadRequest)
		return
	}
	if refusal := g.refusal(); refusal != "" {
		p.refuse(l, refusal)
		if refusal == loyalty.UnknownCard {
			l.Waits = b.For
		}
		return
	}
	if !g.joins && !p.begin(l) {
		return
	}
	if g.replaces {
		p.count(g.by.Account, g.by.Kind, -1)
		lost := *g.by
		lost.State = loyalty.Closed
		p.deal(lost)
	}
	if g.lives == nil {
		p.count(l.Account, b.Kind, 1)
		p.deal(loyalty.Card{
			Number: b.Card, Account: l.Account, Kind: b.Kind, Registered: l.entry.At,
			MayRedeem: !g.replaces && (!g.joins || !g.rules.OwnerAllows),
		})
		p.result.Given = append(p.result.Given, b.Card)
	}
}

// refuse sets aside what a person has to look for: a card that was given out and may not be, or what was sold to it.
func (p *posting) refuse(l *line, r loyalty.Refusal) {
	l.Outcome, l.Reason = SetAside, string(r)
	l.Alert = true
}

// givenAgain refuses a card whose number was given out before, and keeps in mind that the station has given it out.
func (p *posting) givenAgain(l *line) {
	b, _ := l.entry.Body.(loyalty.CardIssued)
	l.Account = p.cards[b.For].Account // not that of the customer who has the card
	p.refuse(l, loyalty.CardTaken)
	step := SaleStep{Station: l.Station, Sale: loyalty.SaleID(b.Card), Step: GivenAgain}
	if first := p.steps[step]; first == nil || first.Place == l.Place {
		l.SaleAt, l.Sale, l.Step = step.Station, step.Sale, step.Step
		p.steps[step] = l.Line
	}
}

// givenSteps are the steps by which a station has given a card out, or somebody before it.
func givenSteps(station loyalty.StationID, card loyalty.CardNumber) []SaleStep {
	return []SaleStep{{Sale: loyalty.SaleID(card), Step: Given}, {Station: station, Sale: loyalty.SaleID(card), Step: GivenAgain}}
}

// doubled sets aside what a station writes for a card by its number alone, if it gave the card out itself and was refused
// since the number was somebody's: two customers have cards of that number, and which of them it was nobody here can know.
// A refund follows its sale.
func (p *posting) doubled(l *line) bool {
	account, card := loyalty.Subject(l.entry.Body)
	if account != 0 && !p.lost(account) || card == "" || l.Step == Refunded {
		return false
	}
	for _, s := range givenSteps(l.Station, card) {
		given := p.steps[s]
		if given == nil || given.Station != l.Station || given.Outcome != SetAside || given.Reason != string(loyalty.CardTaken) {
			continue
		}
		l.Account, l.Outcome = 0, NoAccount
		if moves(l.entry.Body) {
			p.refuse(l, loyalty.CardTaken)
			l.Reason += ": this station gave the card out though somebody has the number, in " + given.Place.String()
		}
		return true
	}
	return false
}

// begin begins the account of a new customer.
func (p *posting) begin(l *line) bool {
	id := nextAccount(p.issues.last, p.at)
	if id == 0 {
		p.refuse(l, "no number is left for another account")
		return false
	}
	p.issues.last, l.Account = id, id
	a := loyalty.Account{ID: id}
	a.Joined = l.entry.At
	opening := a
	p.changes.Openings = append(p.changes.Openings, &opening)
	p.records[id] = &loyalty.Record{Account: a, Version: 1}
	return true
}

// deal notes what a card is from now on.
func (p *posting) deal(c loyalty.Card) {
	c.HQVersion++
	p.cards[c.Number], p.issues.dealt[c.Number] = c, true
}

func (p *posting) count(id loyalty.AccountID, k loyalty.CardKind, by int) {
	if p.issues.has[id] == nil {
		p.issues.has[id] = map[loyalty.CardKind]int{}
	}
	p.issues.has[id][k] += by
}

// issues is the working set of the cards that were given out.
type issues struct {
	rules loyalty.CardRules
	has   map[loyalty.AccountID]map[loyalty.CardKind]int
	last  loyalty.AccountID // the highest number of an account
	dealt map[loyalty.CardNumber]bool
	forms map[loyalty.FormHash]*Form // that are kept or were destroyed
}

// readIssues loads what cards that were given out need, if there are any: the newest programme's limits, the cards of the
// accounts that they join, and what is kept of their forms.
func (p *posting) readIssues() (err error) {
	var hashes []loyalty.FormHash
	p.issues = issues{has: map[loyalty.AccountID]map[loyalty.CardKind]int{}, dealt: map[loyalty.CardNumber]bool{}}
	given := false
	for i := range p.lines {
		l := &p.lines[i]
		if l.entry == nil {
			continue
		}
		b, ok := l.entry.Body.(loyalty.CardIssued)
		if !ok {
			continue
		}
		given = true
		if b.Form != (loyalty.FormHash{}) {
			hashes = append(hashes, b.Form)
		}
		if c, ok := p.cards[b.For]; ok && p.issues.has[c.Account] == nil {
			if p.issues.has[c.Account], err = cardCounts(p.tx, c.Account); err != nil {
				return err
			}
		}
	}
	if !given {
		return nil
	}
	if p.issues.rules, err = p.cache.cardRules(p.tx); err != nil {
		return err
	}
	if p.issues.last, err = p.tx.LastAccount(); err != nil {
		return err
	}
	p.issues.forms, err = p.tx.Forms(hashes)
	return err
}

// cardCounts is how many cards an account has of each kind that are not closed.
func cardCounts(tx Tx, id loyalty.AccountID) (map[loyalty.CardKind]int, error) {
	cards, err := tx.CardsOf(id, maxCounted)
	has := map[loyalty.CardKind]int{}
	for _, c := range cards {
		if c.State != loyalty.Closed {
			has[c.Kind]++
		}
	}
	return has, err
}

// file keeps the forms that came beside the entries that name them. One that did not come is not to be had anywhere else.
// What was destroyed stays destroyed.
func (p *posting) file(batches []*Batch) error {
	came := map[loyalty.FormHash][]byte{}
	for _, b := range batches {
		for _, f := range b.Forms {
			came[sha256.Sum256(f)] = f
		}
	}
	named := map[loyalty.FormHash]bool{}
	for i := range p.lines {
		l := &p.lines[i]
		if l.entry == nil {
			continue
		}
		if b, ok := l.entry.Body.(loyalty.CardIssued); ok && b.Form != (loyalty.FormHash{}) {
			named[b.Form] = true
			p.fileOne(l, &b, came[b.Form])
		}
	}
	return p.strays(batches, named)
}

// fileOne keeps the form that an entry names, with the account and the card that the entry has.
func (p *posting) fileOne(l *line, b *loyalty.CardIssued, sealed []byte) {
	form := p.issues.forms[b.Form]
	switch {
	case form == nil && sealed != nil:
		form = &Form{Hash: b.Form, At: p.at, Sealed: sealed}
	case form == nil:
		if !l.read && l.Outcome != Repeated {
			p.alarm(Alarm{Station: l.Station, Kind: FormAlarm, Epoch: l.Epoch, Evidence: l.Bytes,
				Text: fmt.Sprintf("entry %d: card %s was given out, and the customer's form has not come", l.Seq, b.Card)})
		}
		return
	case form.Sealed == nil || form.Account != 0 || l.Account == 0 && form.From.Seq != 0:
		return
	}
	form.Account, form.Card, form.From = l.Account, b.Card, l.Place
	p.issues.forms[b.Form] = form
	p.changes.Forms = append(p.changes.Forms, *form)
}

// strays keeps the forms of new batches that no entry names which can be read. The station destroys them once the batch is
// acknowledged, and a newer version may read the entry.
func (p *posting) strays(batches []*Batch, named map[loyalty.FormHash]bool) error {
	stray := map[loyalty.FormHash]*Form{}
	var hashes []loyalty.FormHash
	for i, b := range batches {
		if p.result.Receipts[i].Posted == 0 {
			continue
		}
		for _, f := range b.Forms {
			if hash := loyalty.FormHash(sha256.Sum256(f)); !named[hash] && stray[hash] == nil {
				stray[hash] = &Form{Hash: hash, At: p.at, Sealed: f, From: Place{Station: b.Station, Epoch: b.Epoch}}
				hashes = append(hashes, hash)
			}
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	known, err := p.tx.Forms(hashes)
	for _, hash := range hashes {
		if known[hash] == nil {
			p.changes.Forms = append(p.changes.Forms, *stray[hash])
		}
	}
	return err
}

// alert notes what a station tells a person to look at.
func (p *posting) alert(l *line) {
	switch b := l.entry.Body.(type) {
	case loyalty.Alerted:
		l.Alert = true
		p.result.Alerts = append(p.result.Alerts, b.Rule)
	case loyalty.ShiftClosed:
		l.Alert = b.Differs
	}
}
