package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends the checksum of a key and its value.
func seal(key, value []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
	return binary.BigEndian.AppendUint32(value, sum)
}

// masked is a key for errors. Keys may hold card numbers, whole or behind something else: of one that does not end with
// its first number no more is shown than that number's beginning.
func masked(key []byte) string {
	text := !bytes.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
	switch {
	case text:
		return loyalty.CardNumber(key).String()
	case len(key) <= 8:
		return hex.EncodeToString(key)
	}
	return fmt.Sprintf("%x… of %d bytes", key[:4], len(key))
}

// unseal takes the checksum off, or returns [ErrCorrupt].
func unseal(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - 4
	if n < 0 {
		return nil, fmt.Errorf("%w: key %s has a value of %d bytes", ErrCorrupt, masked(key), len(sealed))
	}
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, sealed[:n])
	if sum != binary.BigEndian.Uint32(sealed[n:]) {
		return nil, fmt.Errorf("%w: key %s has a wrong checksum", ErrCorrupt, masked(key))
	}
	return sealed[:n:n], nil
}

// reader takes a value apart; the first thing wrong stays in err.
type reader struct {
	b   []byte
	err error
}

func (r *reader) bytes(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.err = fmt.Errorf("%w: a value is too short", ErrCorrupt)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err = fmt.Errorf("%w: a value is too short", ErrCorrupt)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.err = fmt.Errorf("%w: a value is too short", ErrCorrupt)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() []byte { return r.bytes(int(min(r.uint(), 1<<30))) }

func (r *reader) fixed(to []byte) { copy(to, r.bytes(len(to))) }

// end is the error, also if something is left over.
func (r *reader) end() error {
	if r.err == nil && len(r.b) != 0 {
		return fmt.Errorf("%w: a value is too long", ErrCorrupt)
	}
	return r.err
}

func appendText(b []byte, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func encodeStation(s *hq.Station) []byte {
	b := binary.AppendUvarint(nil, uint64(s.Cursor.Epoch))
	b = binary.AppendUvarint(b, uint64(s.Cursor.Seq))
	b = append(b, s.Cursor.Hash[:]...)
	b = append(b, s.Boot[:]...)
	b = append(b, flag(s.Forked), flag(s.GapAccepted))
	b = binary.AppendUvarint(b, s.Session)
	for i := range s.Before {
		b = append(b, s.Before[i][:]...)
	}
	return b
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func decodeStation(id loyalty.StationID, v []byte) (*hq.Station, error) {
	r := &reader{b: v}
	s := &hq.Station{ID: id}
	s.Cursor.Epoch, s.Cursor.Seq = loyalty.Epoch(r.uint()), loyalty.Seq(r.uint())
	r.fixed(s.Cursor.Hash[:])
	r.fixed(s.Boot[:])
	s.Forked, s.GapAccepted = r.uint() == 1, r.uint() == 1
	s.Session = r.uint()
	for i := range s.Before {
		r.fixed(s.Before[i][:])
	}
	return s, r.end()
}

func encodeSighting(s *hq.Sighting) []byte {
	b := binary.AppendUvarint(nil, s.Session)
	b = append(b, flag(s.Online))
	b = binary.AppendVarint(b, int64(s.At))
	b = appendText(b, []byte(s.Version))
	b = binary.AppendUvarint(b, s.Backlog)
	b = binary.AppendVarint(b, int64(s.OldestUnsent))
	b = binary.AppendUvarint(b, uint64(s.Clock))
	b = binary.AppendUvarint(b, s.DiskFree)
	return binary.AppendUvarint(b, uint64(s.LastSeq))
}

func decodeSighting(id loyalty.StationID, v []byte) (hq.Sighting, error) {
	r := &reader{b: v}
	s := hq.Sighting{Station: id, Session: r.uint(), Online: r.uint() == 1, At: loyalty.Instant(r.int()), Version: string(r.text())}
	s.Backlog, s.OldestUnsent, s.Clock = r.uint(), loyalty.Instant(r.int()), loyalty.ClockMark(r.uint())
	s.DiskFree, s.LastSeq = r.uint(), loyalty.Seq(r.uint())
	return s, r.end()
}

// A journal value keeps what headquarters knows of an entry, and last the entry as the station wrote it.
func encodeLine(l *hq.Line) []byte {
	b := make([]byte, 0, len(l.Bytes)+len(l.Reason)+96)
	b = binary.AppendUvarint(b, l.Pos)
	b = binary.AppendVarint(b, int64(l.At))
	b = append(b, l.Op[:]...)
	b = append(b, byte(l.Step))
	if l.Step != hq.NoStep {
		b = binary.AppendUvarint(b, uint64(l.SaleAt))
		b = appendText(b, []byte(l.Sale))
	}
	if named(l.Step) {
		b = appendText(b, []byte(l.Refund))
	}
	b = binary.AppendUvarint(b, uint64(l.Account))
	b = append(b, byte(l.Outcome), flag(l.Pruned)|flag(l.Alert)<<1)
	b = appendText(b, []byte(l.Reason))
	b = appendText(b, []byte(l.Waits))
	b = binary.AppendUvarint(b, l.Again)
	b = binary.AppendVarint(b, int64(l.AgainAt))
	b = binary.AppendUvarint(b, l.Prev)
	b = binary.AppendUvarint(b, uint64(l.Denied))
	b = append(b, l.Hash[:]...)
	return append(b, l.Bytes...)
}

// named tells whether there may be several such steps of one sale, each with a name.
func named(s hq.Step) bool { return s == hq.Refunded || s == hq.Referred }

func decodeLine(at hq.Place, v []byte) (*hq.Line, error) {
	r := &reader{b: v}
	l := &hq.Line{Place: at, Pos: r.uint(), At: loyalty.Instant(r.int())}
	r.fixed(l.Op[:])
	if l.Step = hq.Step(r.uint()); l.Step != hq.NoStep {
		l.SaleAt, l.Sale = loyalty.StationID(r.uint()), loyalty.SaleID(r.text())
	}
	if named(l.Step) {
		l.Refund = loyalty.RefundID(r.text())
	}
	l.Account, l.Outcome = loyalty.AccountID(r.uint()), hq.Outcome(r.uint())
	flags := r.uint()
	l.Pruned, l.Alert = flags&1 != 0, flags&2 != 0
	l.Reason, l.Waits = string(r.text()), loyalty.CardNumber(r.text())
	l.Again, l.AgainAt, l.Prev, l.Denied = r.uint(), loyalty.Instant(r.int()), r.uint(), loyalty.Points(r.uint())
	r.fixed(l.Hash[:])
	l.Bytes = slices.Clone(r.b)
	return l, r.err
}

// An account is kept as the wire has it: what the domain adds to it is kept here too.
func encodeAccount(a *loyalty.Account) ([]byte, error) { return wire.FromAccount(a).MarshalVT() }

func decodeAccount(id loyalty.AccountID, v []byte) (loyalty.Account, error) {
	var m pb.Account
	if err := m.UnmarshalVT(v); err != nil {
		return loyalty.Account{}, fmt.Errorf("%w: account %d: %w", ErrCorrupt, id, err)
	}
	a, err := wire.ToAccount(&m)
	if err != nil {
		return a, fmt.Errorf("%w: account %d: %w", ErrCorrupt, id, err)
	}
	if a.ID != id {
		return a, fmt.Errorf("%w: account %d under the number %d", ErrCorrupt, a.ID, id)
	}
	return a, nil
}

// A record's value begins with where the newest line of the account was posted.
func encodeRecord(newest uint64, rec *loyalty.Record) ([]byte, error) {
	account, err := encodeAccount(&rec.Account)
	if err != nil {
		return nil, err
	}
	b := binary.AppendUvarint(nil, newest)
	b = binary.AppendUvarint(b, rec.Version)
	b = appendText(b, account)
	keys := slices.SortedFunc(maps.Keys(rec.Cells), func(a, b loyalty.CellKey) int {
		if a.Station != b.Station {
			return int(a.Station) - int(b.Station)
		}
		return int(int64(a.Epoch) - int64(b.Epoch))
	})
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, k := range keys {
		c := rec.Cells[k]
		b = binary.AppendUvarint(b, uint64(k.Station))
		b = binary.AppendUvarint(b, uint64(k.Epoch))
		for _, v := range []loyalty.Points{c.Issued, c.Used, c.Voided, c.Returned, c.Posted} {
			b = binary.AppendUvarint(b, uint64(v))
		}
	}
	return b, nil
}

func decodeRecord(id loyalty.AccountID, v []byte) (newest uint64, rec *loyalty.Record, err error) {
	r := &reader{b: v}
	newest, rec = r.uint(), &loyalty.Record{}
	rec.Version = r.uint()
	account := r.text()
	n := r.uint()
	if r.err != nil {
		return 0, nil, r.err
	}
	if rec.Account, err = decodeAccount(id, account); err != nil {
		return 0, nil, err
	}
	if n > uint64(len(r.b)) {
		return 0, nil, fmt.Errorf("%w: account %d with %d cells", ErrCorrupt, id, n)
	}
	for range n {
		k := loyalty.CellKey{Station: loyalty.StationID(r.uint()), Epoch: loyalty.Epoch(r.uint())}
		var c loyalty.Rights
		for _, p := range []*loyalty.Points{&c.Issued, &c.Used, &c.Voided, &c.Returned, &c.Posted} {
			*p = loyalty.Points(r.uint())
		}
		if rec.Cells == nil {
			rec.Cells = make(map[loyalty.CellKey]loyalty.Rights, n)
		}
		rec.Cells[k] = c
	}
	return newest, rec, r.end()
}

func encodeCard(c *loyalty.Card) ([]byte, error) { return wire.FromCard(c).MarshalVT() }

func decodeCard(v []byte) (loyalty.Card, error) {
	var m pb.Card
	if err := m.UnmarshalVT(v); err != nil {
		return loyalty.Card{}, fmt.Errorf("%w: card: %w", ErrCorrupt, err)
	}
	return wire.ToCard(&m)
}

func encodeAlarm(a *hq.Alarm) []byte {
	b := binary.AppendVarint(nil, int64(a.First))
	b = binary.AppendVarint(b, int64(a.Last))
	b = binary.AppendUvarint(b, a.Count)
	b = appendText(b, []byte(a.Text))
	return append(b, a.Evidence...)
}

func decodeAlarm(a hq.Alarm, v []byte) (hq.Alarm, error) {
	r := &reader{b: v}
	a.First, a.Last, a.Count, a.Text = loyalty.Instant(r.int()), loyalty.Instant(r.int()), r.uint(), string(r.text())
	a.Evidence = slices.Clone(r.b)
	return a, r.err
}

func encodeForm(f *hq.Form) []byte {
	b := binary.AppendUvarint(nil, uint64(f.Account))
	b = appendText(b, []byte(f.Card))
	b = binary.AppendVarint(b, int64(f.At))
	for _, v := range []uint64{uint64(f.From.Station), uint64(f.From.Epoch), uint64(f.From.Seq)} {
		b = binary.AppendUvarint(b, v)
	}
	return append(b, f.Sealed...)
}

// decodeForm reads a form; an empty value is one that was destroyed.
func decodeForm(hash loyalty.FormHash, v []byte) (*hq.Form, error) {
	f := &hq.Form{Hash: hash}
	if len(v) == 0 {
		return f, nil
	}
	r := &reader{b: v}
	f.Account, f.Card, f.At = loyalty.AccountID(r.uint()), loyalty.CardNumber(r.text()), loyalty.Instant(r.int())
	f.From = hq.Place{Station: loyalty.StationID(r.uint()), Epoch: loyalty.Epoch(r.uint()), Seq: loyalty.Seq(r.uint())}
	f.Sealed = slices.Clone(r.b)
	return f, r.err
}
