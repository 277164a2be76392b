package hq

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Ask is a station's question, its bounds checked: the account behind a card (or an account), and rights if TopUp; or
// instead a sale, or what was done with an account.
type Ask struct {
	ID         uint64
	DeadlineMS uint32
	Card       loyalty.CardNumber
	Account    loyalty.AccountID // instead of Card
	Epoch      loyalty.Epoch
	TopUp      bool
	Statement  loyalty.Statement
	Want       loyalty.Points
	Issue      *AskIssue   // may this card be given out for the account of Card?
	Sale       *AskSale    // instead of a card: a closed sale and its refunds
	History    *AskHistory // of the account
}

// AskIssue asks whether a card may be given out.
type AskIssue struct {
	Card     loyalty.CardNumber
	Kind     loyalty.CardKind
	Replaces bool // the card that was asked about is lost
}

// AskSale names a sale of any station.
type AskSale struct {
	Station loyalty.StationID
	Sale    loyalty.SaleID
}

// AskHistory asks for a page of an account's operations, newest first.
type AskHistory struct {
	From   loyalty.Instant // zero: no bound
	Until  loyalty.Instant // not included; zero: no bound
	Before uint64          // where to go on; zero: from the newest
	Limit  int
}

// ParseAsk reads an ask.
func ParseAsk(payload []byte) (*Ask, error) {
	m, err := wire.Decode[pb.Ask](payload)
	if err != nil {
		return nil, err
	}
	a := &Ask{ID: m.Id, DeadlineMS: m.DeadlineMs, Card: loyalty.CardNumber(m.Card), Account: loyalty.AccountID(m.Account), Epoch: loyalty.Epoch(m.Epoch)}
	if a.Card == "" && a.Account == 0 && m.Sale == nil {
		return nil, fmt.Errorf("%w: ask about neither card nor account", wire.ErrMessage)
	}
	if i := m.Issue; i != nil {
		a.Issue = &AskIssue{Card: loyalty.CardNumber(i.Card), Kind: loyalty.CardKind(i.Kind), Replaces: i.Replaces}
	}
	if s := m.Sale; s != nil {
		a.Sale = &AskSale{Station: loyalty.StationID(s.Station), Sale: loyalty.SaleID(s.Sale)}
	}
	if h := m.History; h != nil {
		a.History = &AskHistory{From: loyalty.Instant(h.From), Until: loyalty.Instant(h.Until), Before: h.Before, Limit: int(h.Limit)}
	}
	if m.TopUp != nil {
		a.TopUp, a.Want = true, loyalty.Points(m.TopUp.Want)
		a.Statement, err = wire.ToStatement(m.TopUp.Statement)
	}
	return a, err
}

// kind is the question's name in metrics.
func (a *Ask) kind() string {
	switch {
	case a.Sale != nil:
		return "sale"
	case a.History != nil:
		return "history"
	case a.Issue != nil:
		return "issue"
	case a.TopUp:
		return "topup"
	}
	return "balance"
}

// Reply is what a question came to.
type Reply struct {
	Answer  *pb.Answer
	Granted loyalty.Points // by how much the station's rights were raised
	Touched []loyalty.StationID
	Alarms  []Alarm
}

// asking is the working set of one question.
type asking struct {
	Reply
	tx         Tx
	programmes *Programmes
	station    *Station
	at         loyalty.Instant
}

// Answer says what headquarters knows of a card or an account and, asked for a top-up, raises the station's rights as
// far as the account's spendable points cover. It is a target, not a sum: the same question again, late or doubled,
// raises nothing more. Asked whether a card may be given out, it says why not, or nothing; asked about a sale, the entry
// that closed it and its refunds. Asked for a history it changes nothing, and a transaction that only reads will do.
//
// Rights are issued only to the epoch that headquarters has, of a journal that does not fork, and not while stations are
// waited for (see [Restoration]): that is answered with [loyalty.NoRights].
func Answer(tx Tx, station loyalty.StationID, a *Ask, programmes *Programmes, at loyalty.Instant) (Reply, error) {
	q := &asking{Reply: Reply{Answer: &pb.Answer{Id: a.ID, Time: int64(at)}}, tx: tx, programmes: programmes, at: at}
	stations, err := tx.Stations([]loyalty.StationID{station})
	if err != nil {
		return Reply{}, err
	}
	if q.station = stations[station]; q.station == nil || q.station.ID == Own {
		q.refuse(loyalty.Offline)
		return q.Reply, nil
	}
	if a.Sale != nil {
		err = q.sale(a)
	} else {
		err = q.account(a)
	}
	return q.Reply, err
}

func (q *asking) refuse(r loyalty.Refusal) { q.Answer.Refusal = string(r) }

// account answers a question about an account, or a card of one.
func (q *asking) account(a *Ask) error {
	card, id := loyalty.Card{State: loyalty.Active, MayRedeem: true}, a.Account
	if a.Card != "" {
		cards, err := q.tx.Cards([]loyalty.CardNumber{a.Card})
		if err != nil {
			return err
		}
		c, ok := cards[a.Card]
		if !ok {
			q.refuse(loyalty.UnknownCard)
			return nil
		}
		card, id = c, c.Account
		q.Answer.Card = wire.FromCard(&c)
	}
	records, err := q.tx.Records([]loyalty.AccountID{id})
	if err != nil {
		return err
	}
	r := records[id]
	switch {
	case r == nil:
		q.refuse(loyalty.UnknownCard)
		return nil
	case a.History != nil:
		return q.history(id, a.History)
	case a.Issue != nil:
		if err := q.issue(a, &card, r); err != nil {
			return err
		}
	}
	return q.fill(a, card, r)
}

// issue says whether a card may be given out, by the rule by which its entry will be posted.
func (q *asking) issue(a *Ask, by *loyalty.Card, r *loyalty.Record) error {
	request := loyalty.IssueRequest{Card: a.Issue.Card, Kind: a.Issue.Kind, For: a.Card, Replaces: a.Issue.Replaces}
	if request.Check() != nil {
		q.refuse(loyalty.BadRequest)
		return nil
	}
	g := giving{kind: a.Issue.Kind, joins: true, by: by, replaces: a.Issue.Replaces, account: r}
	cards, err := q.tx.Cards([]loyalty.CardNumber{a.Issue.Card})
	if err != nil {
		return err
	}
	if c, ok := cards[a.Issue.Card]; ok {
		g.lives = &c
	}
	if g.has, err = cardCounts(q.tx, r.Account.ID); err != nil {
		return err
	}
	if g.rules, err = q.programmes.cardRules(q.tx); err != nil {
		return err
	}
	q.refuse(g.refusal())
	return nil
}

func (q *asking) fill(a *Ask, card loyalty.Card, r *loyalty.Record) error {
	c, s := &Changes{}, q.station
	id, key := r.Account.ID, loyalty.CellKey{Station: s.ID, Epoch: s.Cursor.Epoch}
	if a.TopUp && a.Epoch == s.Cursor.Epoch && !s.Forked {
		before := r.Cells[key]
		want := a.Want
		if card.State != loyalty.Active || !card.MayRedeem || card.Kind == loyalty.StaffKind {
			want = 0
		}
		restored, err := q.tx.Restored()
		if err != nil {
			return err
		}
		if restored.Open && want > 0 && a.Statement.Check() == nil && before.Issued < a.Statement.Used-a.Statement.Voided+a.Statement.Returned+want {
			want = 0
			q.refuse(loyalty.NoRights)
		}
		issued := r.TopUp(key, a.Statement, want, q.at)
		q.Granted = issued - before.Issued
		if r.Cells[key] != before {
			c.Records = append(c.Records, r)
		}
		if over := unissued(r.Cells[key]); over > 0 {
			c.Alarms = append(c.Alarms, Alarm{
				Station: s.ID, Kind: RestoredAlarm, Epoch: key.Epoch, First: q.at, Last: q.at,
				Text: fmt.Sprintf("account %d: the station has used %s more than these books have issued", id, over),
			})
		}
		q.Answer.Grant = &pb.Grant{Account: uint64(id), Epoch: uint32(key.Epoch), Issued: uint64(issued)}
	}
	var changed []loyalty.AccountID
	if len(c.Records) > 0 {
		changed = append(changed, id)
	}
	var err error
	if q.Touched, err = meet(q.tx, c, Knowledge{id, s.ID}, changed); err != nil {
		return err
	}
	snapshot := r.Snapshot(key, s.Cursor.Seq, q.at)
	fit(&snapshot.Account, q.at)
	q.Answer.Snapshot = wire.FromSnapshot(&snapshot)
	if n := q.Answer.Snapshot.SizeVT(); q.Answer.SizeVT() > maxItem {
		q.Answer.Snapshot = nil
		if q.Answer.Sale == nil { // beside a sale it is an extra
			c.Alarms = append(c.Alarms, tooLarge(s, fmt.Sprintf("account %d", id), n, q.at))
		}
	}
	q.Alarms = c.Alarms
	if c.empty() {
		return nil
	}
	return q.tx.Save(c)
}

// unissued is what the station has used beyond what these books have issued.
func unissued(c loyalty.Rights) loyalty.Points {
	return c.Outstanding() - (c.Issued - c.Returned - c.Posted)
}

// meet notes that a station was told of an account, and touches the others if it has changed.
func meet(tx Tx, c *Changes, k Knowledge, changed []loyalty.AccountID) ([]loyalty.StationID, error) {
	if len(changed) > 0 {
		return spread(tx, c, changed, []Knowledge{k}, k.Station)
	}
	knowing, err := tx.Knowing([]loyalty.AccountID{k.Account})
	if err != nil {
		return nil, err
	}
	for _, s := range knowing[k.Account] {
		if s == k.Station {
			return nil, nil
		}
	}
	return spread(tx, c, nil, []Knowledge{k}, k.Station)
}
