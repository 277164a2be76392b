package hq

import (
	"fmt"
	"slices"
	"sort"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// The bounds of one message of a down-stream.
const (
	maxItems   = 200
	maxDown    = 64 << 10               // bytes of items, from which on the message is closed
	maxItem    = wire.MaxMessage - 1024 // bytes of one item, with room for the message around it
	maxAccount = 72 << 10               // bytes of an account: all the tallies it may have, and some hundred lots
	maxLots    = 1000                   // of an account in a message
)

// NextDown is the next message of a station's down-stream after a sequence number, or nil if there is nothing. Accounts
// are told as they are now, with the place in the station's own journal through which they count it: both are read in
// this one transaction. An item that fits no message holds up nothing behind it: it is left out, and there is an alarm.
func NextDown(tx Tx, station loyalty.StationID, st Stream, after uint64, at loyalty.Instant) (*pb.Down, []Alarm, error) {
	items, err := tx.Items(station, after, maxItems)
	if err != nil || len(items) == 0 {
		return nil, nil, err
	}
	stations, err := tx.Stations([]loyalty.StationID{station})
	if err != nil || stations[station] == nil {
		return nil, nil, err
	}
	v, err := newView(tx, stations[station], items, at)
	if err != nil {
		return nil, nil, err
	}
	d := &pb.Down{Stream: st.ID, After: after, Through: after, Time: int64(at)}
	var alarms []Alarm
	size := 0
	for _, it := range items {
		m, err := v.item(it.Key)
		if err != nil {
			return nil, nil, err
		}
		if m != nil {
			n := m.SizeVT()
			switch {
			case n > maxItem:
				alarms = append(alarms, tooLarge(v.station, it.Key.String(), n, at))
			case len(d.Items) > 0 && size+n > maxDown:
				return d, alarms, nil
			default:
				size += n
				d.Items = append(d.Items, m)
			}
		}
		d.Through = it.Seq
	}
	return d, alarms, nil
}

// tooLarge is that something is not told.
func tooLarge(s *Station, what string, size int, at loyalty.Instant) Alarm {
	return Alarm{
		Station: s.ID, Kind: TooLargeAlarm, Epoch: s.Cursor.Epoch, First: at, Last: at,
		Text: fmt.Sprintf("%s is not told: %d bytes, at most %d fit a message", what, size, maxItem),
	}
}

// String names an item for people.
func (k ItemKey) String() string {
	switch k.Kind {
	case AccountItem:
		return fmt.Sprintf("account %d", k.Account)
	case CardItem:
		return "card " + k.Card.String()
	case ProgrammeItem:
		return "the programme"
	}
	return fmt.Sprintf("item of kind %q", byte(k.Kind))
}

// view is what the items of one message need.
type view struct {
	tx      Tx
	station *Station
	at      loyalty.Instant
	records map[loyalty.AccountID]*loyalty.Record
	cards   map[loyalty.CardNumber]loyalty.Card
}

func newView(tx Tx, s *Station, items []Item, at loyalty.Instant) (*view, error) {
	v := &view{tx: tx, station: s, at: at}
	var accounts []loyalty.AccountID
	var cards []loyalty.CardNumber
	for _, it := range items {
		switch it.Key.Kind {
		case AccountItem:
			accounts = append(accounts, it.Key.Account)
		case CardItem:
			cards = append(cards, it.Key.Card)
		}
	}
	slices.Sort(accounts)
	slices.Sort(cards)
	var err error
	if v.cards, err = tx.Cards(cards); err != nil {
		return nil, err
	}
	v.records, err = tx.Records(accounts)
	return v, err
}

// item is what there is to say under a key; nil if it has gone.
func (v *view) item(k ItemKey) (*pb.Item, error) {
	switch k.Kind {
	case AccountItem:
		if r := v.records[k.Account]; r != nil {
			s := r.Snapshot(loyalty.CellKey{Station: v.station.ID, Epoch: v.station.Cursor.Epoch}, v.station.Cursor.Seq, v.at)
			fit(&s.Account, v.at)
			return &pb.Item{Item: &pb.Item_Snapshot{Snapshot: wire.FromSnapshot(&s)}}, nil
		}
	case CardItem:
		if c, ok := v.cards[k.Card]; ok {
			return &pb.Item{Item: &pb.Item_Card{Card: wire.FromCard(&c)}}, nil
		}
	case ProgrammeItem:
		version, source, err := v.tx.Programme()
		if err != nil || version == 0 {
			return nil, err
		}
		return &pb.Item{Item: &pb.Item_Programme{Programme: &pb.Programme{Version: version, Source: source}}}, nil
	}
	return nil, nil
}

// fit makes an account fit a message: lots that have expired go first, then those that expire last. The station then
// shows less than there is, never more. Tallies stay: what the programme limits is limited.
func fit(a *loyalty.Account, at loyalty.Instant) {
	if len(a.Lots) <= maxLots && size(a) <= maxAccount {
		return
	}
	a.Prune(at)
	all := a.Lots[:min(len(a.Lots), maxLots)]
	cut := sort.Search(len(all), func(n int) bool {
		a.Lots = all[:n+1]
		return size(a) > maxAccount
	})
	a.Lots = all[:cut]
}

func size(a *loyalty.Account) int { return wire.FromAccount(a).SizeVT() }

// DownAcked notes what a station says it has committed of its down-stream. It returns false if the station is not where
// this stream can go on from: it has to say hello again.
func DownAcked(tx Tx, station loyalty.StationID, said Stream) (ok bool, err error) {
	st, err := tx.Stream(station)
	if err != nil || st.ID == 0 || st.ID != said.ID || said.Acked < st.Acked {
		return false, err
	}
	if said.Acked == st.Acked {
		return true, nil
	}
	if ok, err = tx.Issued(said.Acked); err != nil || !ok {
		return false, err
	}
	return true, tx.Save(&Changes{Acked: map[loyalty.StationID]uint64{station: said.Acked}})
}
