package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// The buckets. Numbers in keys are big-endian, so that keys sort as numbers do.
var (
	bMeta      = []byte("meta")      // name -> value
	bLives     = []byte("lives")     // first down-stream number of a life u64 -> last of it u64
	bStation   = []byte("station")   // station u32 -> cursor, boot
	bSeen      = []byte("seen")      // station u32 -> sighting
	bEpoch     = []byte("epoch")     // station u32, epoch u32 -> nonce, instant
	bJournal   = []byte("journal")   // station u32, epoch u32, seq u64 -> line
	bPos       = []byte("pos")       // pos u64 -> station, epoch, seq
	bOp        = []byte("op")        // operation id -> station, epoch, seq
	bStep      = []byte("step")      // station u32, step u8, sale; of a reference 0 and its id, of a refund 0, its station u32 and its id -> station, epoch, seq
	bAlert     = []byte("alert")     // pos u64 -> station, epoch, seq: what a person should look at
	bAside     = []byte("aside")     // station, epoch, seq -> nothing: what was set aside
	bWaiting   = []byte("waiting")   // card, 0, station, epoch, seq -> nothing: what was set aside until the card comes
	bAccount   = []byte("account")   // account u64 -> where its newest line was posted, record
	bOpening   = []byte("opening")   // account u64 -> as it was brought in
	bCard      = []byte("card")      // number -> card
	bCardOf    = []byte("cardof")    // account u64, number -> nothing
	bKnows     = []byte("knows")     // account u64, station u32 -> nothing
	bKnown     = []byte("known")     // station u32, account u64 -> nothing
	bStream    = []byte("stream")    // station u32 -> id, acked
	bDown      = []byte("down")      // station u32, seq u64 -> item key
	bDownKey   = []byte("downkey")   // station u32, item key -> seq u64
	bAwaited   = []byte("awaited")   // station u32 -> instant of its first greeting since the store was restored, 0: none
	bProgramme = []byte("programme") // version u32 -> source
	bAlarm     = []byte("alarm")     // station u32, epoch u32, kind -> alarm
	bForm      = []byte("form")      // hash -> account, card, instant, sealed; of one that was destroyed nothing but the hash
	bFormOf    = []byte("formof")    // account u64, hash -> nothing
)

var buckets = [][]byte{
	bMeta, bLives, bStation, bSeen, bEpoch, bJournal, bPos, bOp, bStep, bAlert, bAside, bWaiting, bAccount, bOpening, bCard, bCardOf,
	bKnows, bKnown, bStream, bDown, bDownKey, bAwaited, bProgramme, bAlarm, bForm, bFormOf,
}

// schemaVersion is that of the layout above. Nothing was released with an older one.
const schemaVersion = 4

var (
	kSchema = []byte("schema")
	kPos    = []byte("pos")  // last given place in the stream
	kDown   = []byte("down") // last given down-stream number
	kLife   = []byte("life") // first down-stream number of this life

	kRestored = []byte("restored") // when an older copy was noticed, the last down-stream number then
)

// tx is one transaction; it is an [hq.Tx].
type tx struct {
	*bolt.Tx
	dirty  bool                         // something was written
	scrubs bool                         // forms were destroyed
	life   uint64                       // see floor
	heads  map[loyalty.AccountID]uint64 // of accounts with new lines, while they are saved
	await  time.Duration
}

var _ hq.Tx = (*tx)(nil)

func u32[T ~uint32](v T) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func u64[T ~uint64](v T) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func placeKey(p hq.Place) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 16), uint32(p.Station))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Epoch))
	return binary.BigEndian.AppendUint64(b, uint64(p.Seq))
}

func placeOf(key []byte) (hq.Place, error) {
	if len(key) != 16 {
		return hq.Place{}, fmt.Errorf("%w: place of %d bytes", ErrCorrupt, len(key))
	}
	return hq.Place{
		Station: loyalty.StationID(binary.BigEndian.Uint32(key)), Epoch: loyalty.Epoch(binary.BigEndian.Uint32(key[4:])),
		Seq: loyalty.Seq(binary.BigEndian.Uint64(key[8:])),
	}, nil
}

// get reads a value; nil if there is none. It is valid until the transaction ends.
func (t *tx) get(bucket, key []byte) ([]byte, error) {
	v := t.Bucket(bucket).Get(key)
	if v == nil {
		return nil, nil
	}
	v, err := unseal(key, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bucket, err)
	}
	if v == nil {
		v = []byte{}
	}
	return v, nil
}

// put writes a value. bbolt keeps the slices until the commit: both are the store's from here on.
func (t *tx) put(bucket, key, value []byte) error {
	t.dirty = true
	return t.Bucket(bucket).Put(key, seal(key, value))
}

func (t *tx) delete(bucket, key []byte) error {
	t.dirty = true
	return t.Bucket(bucket).Delete(key)
}

// number reads a counter; zero if there is none.
func (t *tx) number(bucket, key []byte) (uint64, error) {
	v, err := t.get(bucket, key)
	if err != nil || v == nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: %s of %d bytes", ErrCorrupt, key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// schema writes the version into a new file and refuses one that is not ours.
func (t *tx) schema() error {
	if t.Bucket(bMeta) == nil {
		return ErrSchema
	}
	v, err := t.number(bMeta, kSchema)
	switch {
	case err != nil:
		return err
	case v == 0 && t.Writable():
		return t.put(bMeta, kSchema, u64(uint64(schemaVersion)))
	case v != 0 && v < schemaVersion:
		return fmt.Errorf("%w: version %d, from before the first release; begin a new file and bring accounts and cards in again", ErrSchema, v)
	case v != schemaVersion:
		return fmt.Errorf("%w: version %d, this program knows %d", ErrSchema, v, schemaVersion)
	}
	return nil
}

// Stations reads stations. See [hq.Tx].
func (t *tx) Stations(ids []loyalty.StationID) (map[loyalty.StationID]*hq.Station, error) {
	out := make(map[loyalty.StationID]*hq.Station, len(ids))
	for _, id := range ids {
		v, err := t.get(bStation, u32(id))
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		if out[id], err = decodeStation(id, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Sighting reads what a station last said of itself. See [hq.Tx].
func (t *tx) Sighting(id loyalty.StationID) (hq.Sighting, error) {
	v, err := t.get(bSeen, u32(id))
	if err != nil || v == nil {
		return hq.Sighting{}, err
	}
	return decodeSighting(id, v)
}

// line reads an entry; nil if there is none.
func (t *tx) line(at hq.Place) (*hq.Line, error) {
	v, err := t.get(bJournal, placeKey(at))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeLine(at, v)
}

// HashAt is the hash after an entry. See [hq.Tx].
func (t *tx) HashAt(at hq.Place) (wire.Hash, bool, error) {
	l, err := t.line(at)
	if err != nil || l == nil {
		return wire.Hash{}, false, err
	}
	return l.Hash, true, nil
}

// Nonce is the one an epoch was registered with. See [hq.Tx].
func (t *tx) Nonce(station loyalty.StationID, epoch loyalty.Epoch) (n wire.Nonce, ok bool, err error) {
	v, err := t.get(bEpoch, append(u32(station), u32(epoch)...))
	if err != nil || v == nil {
		return n, false, err
	}
	r := &reader{b: v}
	r.fixed(n[:])
	r.int()
	return n, true, r.end()
}

// Operations finds the entries that first carried operations. See [hq.Tx].
func (t *tx) Operations(ops []loyalty.OpID) (map[loyalty.OpID]*hq.Line, error) {
	out := make(map[loyalty.OpID]*hq.Line)
	for _, op := range ops {
		l, err := t.first(bOp, op[:])
		if err != nil {
			return nil, err
		}
		if l != nil {
			out[op] = l
		}
	}
	return out, nil
}

// first is the entry that an index points at; nil if there is none.
func (t *tx) first(bucket, key []byte) (*hq.Line, error) {
	v, err := t.get(bucket, key)
	if err != nil || v == nil {
		return nil, err
	}
	at, err := placeOf(v)
	if err != nil {
		return nil, err
	}
	l, err := t.line(at)
	if err == nil && l == nil {
		err = fmt.Errorf("%w: %s points at %s, which is not there", ErrCorrupt, bucket, at)
	}
	return l, err
}

// SetAside lists the newest entries that could not be applied. See [hq.Tx].
func (t *tx) SetAside(station loyalty.StationID, epoch loyalty.Epoch, limit int) ([]*hq.Line, error) {
	prefix := append(u32(station), u32(epoch)...)
	c := t.Bucket(bAside).Cursor()
	k, _ := c.Seek(append(slices.Clone(prefix), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	if k == nil {
		k, _ = c.Last()
	} else {
		k, _ = c.Prev()
	}
	var out []*hq.Line
	for ; k != nil && len(out) < limit && slices.Equal(k[:8], prefix); k, _ = c.Prev() {
		at, err := placeOf(k)
		if err != nil {
			return nil, err
		}
		l, err := t.line(at)
		if err != nil || l == nil {
			return nil, fmt.Errorf("entry set aside at %v: %w", at, err)
		}
		out = append(out, l)
	}
	slices.Reverse(out)
	return out, nil
}

// LinesAt finds entries by their places. See [hq.Tx].
func (t *tx) LinesAt(places []hq.Place) ([]*hq.Line, error) {
	out := make([]*hq.Line, 0, len(places))
	for _, at := range places {
		l, err := t.line(at)
		if err != nil {
			return nil, err
		}
		if l != nil {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *hq.Line) int { return cmp.Compare(a.Pos, b.Pos) })
	return slices.CompactFunc(out, func(a, b *hq.Line) bool { return a.Pos == b.Pos }), nil
}

// waitingKey ends with the place; a card number holds no zero byte.
func waitingKey(card loyalty.CardNumber, at []byte) []byte {
	return append(append([]byte(card), 0), at...)
}

// Waiting lists what was set aside until cards come. See [hq.Tx].
func (t *tx) Waiting(cards []loyalty.CardNumber, limit int) ([]hq.Place, error) {
	var out []hq.Place
	c := t.Bucket(bWaiting).Cursor()
	for _, card := range cards {
		prefix := waitingKey(card, nil)
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(out) < limit; k, _ = c.Next() {
			at, err := placeOf(k[len(prefix):])
			if err != nil {
				return nil, err
			}
			out = append(out, at)
		}
	}
	return out, nil
}

// Cards reads cards. See [hq.Tx].
func (t *tx) Cards(numbers []loyalty.CardNumber) (map[loyalty.CardNumber]loyalty.Card, error) {
	floor, err := t.floor()
	if err != nil {
		return nil, err
	}
	out := make(map[loyalty.CardNumber]loyalty.Card, len(numbers))
	for _, n := range numbers {
		v, err := t.get(bCard, []byte(n))
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		card, err := decodeCard(v)
		if err != nil {
			return nil, err
		}
		card.HQVersion = max(card.HQVersion, floor)
		out[n] = card
	}
	return out, nil
}

// CardsOf lists cards of an account. See [hq.Tx].
func (t *tx) CardsOf(account loyalty.AccountID, limit int) ([]loyalty.Card, error) {
	prefix := u64(account)
	var numbers []loyalty.CardNumber
	c := t.Bucket(bCardOf).Cursor()
	for k, _ := c.Seek(prefix); len(k) > 8 && slices.Equal(k[:8], prefix) && len(numbers) < limit; k, _ = c.Next() {
		numbers = append(numbers, loyalty.CardNumber(k[8:]))
	}
	cards, err := t.Cards(numbers)
	if err != nil {
		return nil, err
	}
	out := make([]loyalty.Card, 0, len(cards))
	for _, n := range numbers {
		if card, ok := cards[n]; ok {
			out = append(out, card)
		}
	}
	return out, nil
}

// Records reads accounts. See [hq.Tx].
func (t *tx) Records(ids []loyalty.AccountID) (map[loyalty.AccountID]*loyalty.Record, error) {
	out := make(map[loyalty.AccountID]*loyalty.Record, len(ids))
	for _, id := range ids {
		v, err := t.get(bAccount, u64(id))
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		if out[id], err = t.record(id, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// record reads an account's record as it is in this life.
func (t *tx) record(id loyalty.AccountID, v []byte) (*loyalty.Record, error) {
	floor, err := t.floor()
	if err != nil {
		return nil, err
	}
	_, r, err := decodeRecord(id, v)
	if err != nil {
		return nil, err
	}
	r.Version = max(r.Version, floor)
	return r, nil
}

// Openings reads accounts as they were brought in. See [hq.Tx].
func (t *tx) Openings(ids []loyalty.AccountID) (map[loyalty.AccountID]*loyalty.Account, error) {
	out := make(map[loyalty.AccountID]*loyalty.Account, len(ids))
	for _, id := range ids {
		v, err := t.get(bOpening, u64(id))
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		a, err := decodeAccount(id, v)
		if err != nil {
			return nil, err
		}
		out[id] = &a
	}
	return out, nil
}

// Knowing lists who knows each account. See [hq.Tx].
func (t *tx) Knowing(accounts []loyalty.AccountID) (map[loyalty.AccountID][]loyalty.StationID, error) {
	out := make(map[loyalty.AccountID][]loyalty.StationID, len(accounts))
	c := t.Bucket(bKnows).Cursor()
	for _, id := range accounts {
		prefix := u64(id)
		for k, _ := c.Seek(prefix); len(k) == 12 && slices.Equal(k[:8], prefix); k, _ = c.Next() {
			out[id] = append(out[id], loyalty.StationID(binary.BigEndian.Uint32(k[8:])))
		}
	}
	return out, nil
}

// Programme is the newest one. See [hq.Tx].
func (t *tx) Programme() (uint32, []byte, error) {
	k, _ := t.Bucket(bProgramme).Cursor().Last()
	if k == nil {
		return 0, nil, nil
	}
	v, err := t.get(bProgramme, k)
	if err != nil {
		return 0, nil, err
	}
	return binary.BigEndian.Uint32(k), slices.Clone(v), nil
}

// Programmes finds programmes by their versions. See [hq.Tx].
func (t *tx) Programmes(versions []uint32) (map[uint32][]byte, error) {
	out := make(map[uint32][]byte, len(versions))
	for _, n := range versions {
		v, err := t.get(bProgramme, u32(n))
		if err != nil {
			return nil, err
		}
		if v != nil {
			out[n] = slices.Clone(v)
		}
	}
	return out, nil
}

// LastAccount is the highest number of an account. See [hq.Tx].
func (t *tx) LastAccount() (loyalty.AccountID, error) {
	k, _ := t.Bucket(bAccount).Cursor().Last()
	if k == nil {
		return 0, nil
	}
	if len(k) != 8 {
		return 0, fmt.Errorf("%w: account %s", ErrCorrupt, masked(k))
	}
	return loyalty.AccountID(binary.BigEndian.Uint64(k)), nil
}
