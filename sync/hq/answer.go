package hq

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Ask is a station's question, its bounds checked: the account behind a card (or an account), and rights if TopUp.
type Ask struct {
	ID         uint64
	DeadlineMS uint32
	Card       loyalty.CardNumber
	Account    loyalty.AccountID // instead of Card
	Epoch      loyalty.Epoch
	TopUp      bool
	Statement  loyalty.Statement
	Want       loyalty.Points
}

// ParseAsk reads an ask.
func ParseAsk(payload []byte) (*Ask, error) {
	m, err := wire.Decode[pb.Ask](payload)
	if err != nil {
		return nil, err
	}
	a := &Ask{ID: m.Id, DeadlineMS: m.DeadlineMs, Card: loyalty.CardNumber(m.Card), Account: loyalty.AccountID(m.Account), Epoch: loyalty.Epoch(m.Epoch)}
	if a.Card == "" && a.Account == 0 {
		return nil, fmt.Errorf("%w: ask about neither card nor account", wire.ErrMessage)
	}
	if m.TopUp != nil {
		a.TopUp, a.Want = true, loyalty.Points(m.TopUp.Want)
		a.Statement, err = wire.ToStatement(m.TopUp.Statement)
	}
	return a, err
}

// Reply is what a question came to.
type Reply struct {
	Answer  *pb.Answer
	Granted loyalty.Points // by how much the station's rights were raised
	Touched []loyalty.StationID
	Alarms  []Alarm
}

// Answer says what headquarters knows of a card or an account and, asked for a top-up, raises the station's rights as
// far as the account's spendable points cover. It is a target, not a sum: the same question again, late or doubled,
// raises nothing more.
//
// Rights are issued only to the epoch that headquarters has, of a journal that does not fork, and not while stations are
// waited for (see [Restoration]): that is answered with [loyalty.NoRights].
func Answer(tx Tx, station loyalty.StationID, a *Ask, at loyalty.Instant) (Reply, error) {
	reply := Reply{Answer: &pb.Answer{Id: a.ID, Time: int64(at)}}
	stations, err := tx.Stations([]loyalty.StationID{station})
	if err != nil {
		return Reply{}, err
	}
	s := stations[station]
	if s == nil || s.ID == Own {
		reply.Answer.Refusal = string(loyalty.Offline)
		return reply, nil
	}
	card, id := loyalty.Card{State: loyalty.Active, MayRedeem: true}, a.Account
	if a.Card != "" {
		cards, err := tx.Cards([]loyalty.CardNumber{a.Card})
		if err != nil {
			return Reply{}, err
		}
		c, ok := cards[a.Card]
		if !ok {
			reply.Answer.Refusal = string(loyalty.UnknownCard)
			return reply, nil
		}
		card, id = c, c.Account
		reply.Answer.Card = wire.FromCard(&c)
	}
	records, err := tx.Records([]loyalty.AccountID{id})
	if err != nil {
		return Reply{}, err
	}
	r := records[id]
	if r == nil {
		reply.Answer.Refusal = string(loyalty.UnknownCard)
		return reply, nil
	}
	return reply, reply.fill(tx, s, a, card, r, at)
}

func (reply *Reply) fill(tx Tx, s *Station, a *Ask, card loyalty.Card, r *loyalty.Record, at loyalty.Instant) error {
	c := &Changes{}
	id, key := r.Account.ID, loyalty.CellKey{Station: s.ID, Epoch: s.Cursor.Epoch}
	if a.TopUp && a.Epoch == s.Cursor.Epoch && !s.Forked {
		before := r.Cells[key]
		want := a.Want
		if card.State != loyalty.Active || !card.MayRedeem || card.Kind == loyalty.StaffKind {
			want = 0
		}
		restored, err := tx.Restored()
		if err != nil {
			return err
		}
		if restored.Open && want > 0 && a.Statement.Check() == nil && before.Issued < a.Statement.Used-a.Statement.Voided+a.Statement.Returned+want {
			want, reply.Answer.Refusal = 0, string(loyalty.NoRights)
		}
		issued := r.TopUp(key, a.Statement, want, at)
		reply.Granted = issued - before.Issued
		if r.Cells[key] != before {
			c.Records = append(c.Records, r)
		}
		if over := unissued(r.Cells[key]); over > 0 {
			c.Alarms = append(c.Alarms, Alarm{
				Station: s.ID, Kind: RestoredAlarm, Epoch: key.Epoch, First: at, Last: at,
				Text: fmt.Sprintf("account %d: the station has used %s more than these books have issued", id, over),
			})
		}
		reply.Answer.Grant = &pb.Grant{Account: uint64(id), Epoch: uint32(key.Epoch), Issued: uint64(issued)}
	}
	var changed []loyalty.AccountID
	if len(c.Records) > 0 {
		changed = append(changed, id)
	}
	var err error
	if reply.Touched, err = meet(tx, c, Knowledge{id, s.ID}, changed); err != nil {
		return err
	}
	snapshot := r.Snapshot(key, s.Cursor.Seq, at)
	fit(&snapshot.Account, at)
	reply.Answer.Snapshot = wire.FromSnapshot(&snapshot)
	if n := reply.Answer.Snapshot.SizeVT(); n > maxItem {
		reply.Answer.Snapshot = nil
		c.Alarms = append(c.Alarms, tooLarge(s, fmt.Sprintf("account %d", id), n, at))
	}
	reply.Alarms = c.Alarms
	if c.empty() {
		return nil
	}
	return tx.Save(c)
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
