package embedded

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// Stream is where a down-stream stands. See [hq.Tx].
func (t *tx) Stream(station loyalty.StationID) (st hq.Stream, err error) {
	v, err := t.get(bStream, u32(station))
	if err != nil || v == nil {
		return st, err
	}
	r := &reader{b: v}
	st = hq.Stream{ID: r.uint(), Acked: r.uint()}
	return st, r.end()
}

func (t *tx) putStream(station loyalty.StationID, st hq.Stream) error {
	return t.put(bStream, u32(station), binary.AppendUvarint(binary.AppendUvarint(nil, st.ID), st.Acked))
}

func itemKey(k hq.ItemKey) []byte {
	switch k.Kind {
	case hq.AccountItem:
		return binary.BigEndian.AppendUint64([]byte{byte(k.Kind)}, uint64(k.Account))
	case hq.CardItem:
		return append([]byte{byte(k.Kind)}, k.Card...)
	}
	return []byte{byte(k.Kind)}
}

func itemKeyOf(b []byte) (hq.ItemKey, error) {
	switch {
	case len(b) == 9 && b[0] == byte(hq.AccountItem):
		return hq.ItemKey{Kind: hq.AccountItem, Account: loyalty.AccountID(binary.BigEndian.Uint64(b[1:]))}, nil
	case len(b) > 1 && b[0] == byte(hq.CardItem):
		return hq.ItemKey{Kind: hq.CardItem, Card: loyalty.CardNumber(b[1:])}, nil
	case len(b) == 1 && b[0] == byte(hq.ProgrammeItem):
		return hq.ItemKey{Kind: hq.ProgrammeItem}, nil
	}
	return hq.ItemKey{}, fmt.Errorf("%w: item %s", ErrCorrupt, masked(b))
}

// Items lists a down-stream. See [hq.Tx].
func (t *tx) Items(station loyalty.StationID, after uint64, limit int) ([]hq.Item, error) {
	prefix := u32(station)
	var out []hq.Item
	c := t.Bucket(bDown).Cursor()
	for k, v := c.Seek(append(slices.Clone(prefix), u64(after+1)...)); len(k) == 12 && slices.Equal(k[:4], prefix) && len(out) < limit; k, v = c.Next() {
		v, err := unseal(k, v)
		if err != nil {
			return nil, err
		}
		key, err := itemKeyOf(v)
		if err != nil {
			return nil, err
		}
		out = append(out, hq.Item{Seq: binary.BigEndian.Uint64(k[4:]), Key: key})
	}
	return out, nil
}

// Save writes what a rule has decided. See [hq.Tx].
func (t *tx) Save(c *hq.Changes) error {
	steps := []func(*hq.Changes) error{
		t.saveStations, t.saveLines, t.saveAccounts, t.saveForms, t.saveAlarms, t.saveStreams, t.saveRestoration,
	}
	for _, step := range steps {
		if err := step(c); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) saveStations(c *hq.Changes) error {
	for _, s := range c.Stations {
		if err := t.put(bStation, u32(s.ID), encodeStation(s)); err != nil {
			return err
		}
	}
	for _, e := range c.Epochs {
		v := binary.AppendVarint(slices.Clone(e.Nonce[:]), int64(e.At))
		if err := t.put(bEpoch, append(u32(e.Station), u32(e.Epoch)...), v); err != nil {
			return err
		}
	}
	for i := range c.Seen {
		if err := t.put(bSeen, u32(c.Seen[i].Station), encodeSighting(&c.Seen[i])); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) saveLines(c *hq.Changes) error {
	if len(c.Lines)+len(c.Retried) == 0 {
		return nil
	}
	pos, err := t.number(bMeta, kPos)
	if err != nil {
		return err
	}
	t.Bucket(bPos).FillPercent = 0.95 // it only grows at its end
	for _, l := range c.Lines {
		pos++
		l.Pos = pos
		if err := t.chain(l, pos); err != nil {
			return err
		}
		if err := t.putLine(l, pos); err != nil {
			return err
		}
	}
	for _, l := range c.Retried {
		if err := t.forgetAside(l); err != nil {
			return err
		}
		var at uint64
		if l.Outcome != hq.SetAside {
			pos++
			l.Again, at = pos, pos
			if err := t.chain(l, pos); err != nil {
				return err
			}
		}
		if err := t.putLine(l, at); err != nil {
			return err
		}
	}
	return t.put(bMeta, kPos, u64(pos))
}

// putLine writes an entry with all that points at it, and its position in the stream unless that is zero.
func (t *tx) putLine(l *hq.Line, pos uint64) error {
	at := placeKey(l.Place)
	if err := t.put(bJournal, at, encodeLine(l)); err != nil {
		return err
	}
	if pos != 0 {
		if err := t.put(bPos, u64(pos), slices.Clone(at)); err != nil {
			return err
		}
	}
	if !l.Op.IsZero() {
		if err := t.put(bOp, slices.Clone(l.Op[:]), slices.Clone(at)); err != nil {
			return err
		}
	}
	if l.Step != hq.NoStep {
		if err := t.put(bStep, stepKey(l.SaleStep()), slices.Clone(at)); err != nil {
			return err
		}
	}
	if l.Alert {
		if err := t.put(bAlert, u64(l.Pos), slices.Clone(at)); err != nil {
			return err
		}
	}
	if l.Outcome != hq.SetAside {
		return nil
	}
	if l.Waits != "" {
		if err := t.put(bWaiting, waitingKey(l.Waits, at), nil); err != nil {
			return err
		}
	}
	return t.put(bAside, at, nil)
}

// forgetAside takes an entry out of the lists of what was set aside.
func (t *tx) forgetAside(l *hq.Line) error {
	was, err := t.line(l.Place)
	if err != nil {
		return err
	}
	if was == nil || was.Outcome != hq.SetAside {
		return fmt.Errorf("%w: %s is tried again and was not set aside", ErrCorrupt, l.Place)
	}
	at := placeKey(l.Place)
	if was.Waits != "" {
		if err := t.delete(bWaiting, waitingKey(was.Waits, at)); err != nil {
			return err
		}
	}
	return t.delete(bAside, at)
}

func (t *tx) saveAccounts(c *hq.Changes) error {
	if err := t.saveRecords(c); err != nil {
		return err
	}
	for _, a := range c.Openings {
		v, err := encodeAccount(a)
		if err != nil {
			return err
		}
		if err := t.put(bOpening, u64(a.ID), v); err != nil {
			return err
		}
	}
	for i := range c.Cards {
		v, err := encodeCard(&c.Cards[i])
		if err != nil {
			return err
		}
		number := []byte(c.Cards[i].Number)
		if err := t.put(bCard, number, v); err != nil {
			return err
		}
		if err := t.put(bCardOf, append(u64(c.Cards[i].Account), number...), nil); err != nil {
			return err
		}
	}
	for _, k := range c.Known {
		if err := t.put(bKnows, append(u64(k.Account), u32(k.Station)...), nil); err != nil {
			return err
		}
		if err := t.put(bKnown, append(u32(k.Station), u64(k.Account)...), nil); err != nil {
			return err
		}
	}
	if p := c.Programme; p != nil {
		return t.put(bProgramme, u32(p.Version), slices.Clone(p.Source))
	}
	return nil
}

// saveAlarms keeps the first evidence of each station, kind and epoch, and the newest text.
func (t *tx) saveAlarms(c *hq.Changes) error {
	for _, a := range c.Alarms {
		key := append(append(u32(a.Station), u32(a.Epoch)...), a.Kind...)
		v, err := t.get(bAlarm, key)
		if err != nil {
			return err
		}
		a.Count = 1
		if v != nil {
			old, err := decodeAlarm(hq.Alarm{}, v)
			if err != nil {
				return err
			}
			a.First, a.Count, a.Evidence = old.First, old.Count+1, old.Evidence
		}
		if err := t.put(bAlarm, key, encodeAlarm(&a)); err != nil {
			return err
		}
	}
	return nil
}

// saveStreams moves the down-streams: what is acknowledged goes, a restarted one is filled with all its station knows,
// and what was touched goes to the end.
func (t *tx) saveStreams(c *hq.Changes) error {
	for station, acked := range c.Acked {
		if err := t.ackStream(station, acked); err != nil {
			return err
		}
	}
	if len(c.Restarted) == 0 && len(c.Touched) == 0 {
		return nil
	}
	last, err := t.number(bMeta, kDown)
	if err != nil {
		return err
	}
	for _, station := range slices.Sorted(maps.Keys(c.Restarted)) {
		if err := t.restart(station, c.Restarted[station], &last); err != nil {
			return err
		}
	}
	for _, touch := range c.Touched {
		stations := []loyalty.StationID{touch.Station}
		if touch.Station == 0 {
			stations = t.allStations()
		}
		for _, s := range stations {
			if err := t.touch(s, itemKey(touch.Key), &last); err != nil {
				return err
			}
		}
	}
	return t.put(bMeta, kDown, u64(last))
}

func (t *tx) allStations() (out []loyalty.StationID) {
	c := t.Bucket(bStation).Cursor()
	for k, _ := c.Seek(u32(hq.Own + 1)); k != nil; k, _ = c.Next() {
		out = append(out, loyalty.StationID(binary.BigEndian.Uint32(k)))
	}
	return out
}

func (t *tx) touch(station loyalty.StationID, item []byte, last *uint64) error {
	key := append(u32(station), item...)
	old, err := t.number(bDownKey, key)
	if err != nil {
		return err
	}
	if old != 0 {
		if err := t.delete(bDown, append(u32(station), u64(old)...)); err != nil {
			return err
		}
	}
	*last++
	if err := t.put(bDown, append(u32(station), u64(*last)...), slices.Clone(item)); err != nil {
		return err
	}
	return t.put(bDownKey, key, u64(*last))
}

func (t *tx) ackStream(station loyalty.StationID, acked uint64) error {
	st, err := t.Stream(station)
	if err != nil {
		return err
	}
	if acked <= st.Acked {
		return nil
	}
	if err := t.dropItems(station, acked); err != nil {
		return err
	}
	st.Acked = acked
	return t.putStream(station, st)
}

// dropItems deletes the items of a down-stream through a number. The keys are collected first: a cursor that deletes
// skips keys.
func (t *tx) dropItems(station loyalty.StationID, through uint64) error {
	prefix := u32(station)
	var keys, items [][]byte
	c := t.Bucket(bDown).Cursor()
	for k, v := c.Seek(prefix); len(k) == 12 && slices.Equal(k[:4], prefix) && binary.BigEndian.Uint64(k[4:]) <= through; k, v = c.Next() {
		item, err := unseal(k, v)
		if err != nil {
			return err
		}
		keys, items = append(keys, slices.Clone(k)), append(items, append(slices.Clone(prefix), item...))
	}
	for i := range keys {
		if err := t.delete(bDown, keys[i]); err != nil {
			return err
		}
		if err := t.delete(bDownKey, items[i]); err != nil {
			return err
		}
	}
	return nil
}

// restart begins a down-stream anew: the programme, then every account the station knows and its cards.
func (t *tx) restart(station loyalty.StationID, id uint64, last *uint64) error {
	if err := t.dropItems(station, 1<<64-1); err != nil {
		return err
	}
	if err := t.putStream(station, hq.Stream{ID: id}); err != nil {
		return err
	}
	if k, _ := t.Bucket(bProgramme).Cursor().Last(); k != nil {
		if err := t.touch(station, itemKey(hq.ItemKey{Kind: hq.ProgrammeItem}), last); err != nil {
			return err
		}
	}
	prefix := u32(station)
	var accounts []loyalty.AccountID
	c := t.Bucket(bKnown).Cursor()
	for k, _ := c.Seek(prefix); len(k) == 12 && slices.Equal(k[:4], prefix); k, _ = c.Next() {
		accounts = append(accounts, loyalty.AccountID(binary.BigEndian.Uint64(k[4:])))
	}
	for _, a := range accounts {
		cards, err := t.CardsOf(a, maxCards)
		if err != nil {
			return err
		}
		for _, card := range cards {
			if err := t.touch(station, itemKey(hq.ItemKey{Kind: hq.CardItem, Card: card.Number}), last); err != nil {
				return err
			}
		}
		if err := t.touch(station, itemKey(hq.ItemKey{Kind: hq.AccountItem, Account: a}), last); err != nil {
			return err
		}
	}
	return nil
}

// maxCards bounds the cards of one account that a restarted down-stream tells again.
const maxCards = 32
