package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// rules are the programmes that the ledger holds, sorted by version. A rules value is never changed, only replaced.
type rules struct {
	list   []*loyalty.Programme
	fromHQ bool // at least one came from HQ
}

const keptProgrammes = 8

// inForce is the newest version that is effective.
func (r rules) inForce(at loyalty.Instant) *loyalty.Programme {
	for _, p := range slices.Backward(r.list) {
		if p.Effective <= at {
			return p
		}
	}
	return nil
}

func (r rules) version(v uint32) *loyalty.Programme {
	for _, p := range r.list {
		if p.Version == v {
			return p
		}
	}
	return nil
}

func programmeKey(version uint32) []byte { return binary.BigEndian.AppendUint32(nil, version) }

// loadRules reads the programmes from the file. One that this version of the program refuses is passed over and reported:
// the others, or HQ's next, take its place.
func (t *txn) loadRules(passedOver func(error)) error {
	b := t.bucket(bucketProg)
	if b == nil {
		return fmt.Errorf("%w: bucket prog is missing", ErrCorrupt)
	}
	t.rules = rules{}
	return b.ForEach(func(k, stored []byte) error {
		v, err := unseal(bucketProg, k, stored)
		if err != nil {
			return err
		}
		var m ledgerpb.Programme
		if err := m.UnmarshalVT(v); err != nil {
			return fmt.Errorf("%w: programme: %w", ErrCorrupt, err)
		}
		p, err := loyalty.ParseProgramme(m.Source)
		if err != nil {
			passedOver(err)
			return nil
		}
		t.rules.list = append(t.rules.list, p)
		t.rules.fromHQ = t.rules.fromHQ || m.FromHq
		return nil
	})
}

// putProgramme takes in a programme, unless there is one of that version from HQ, and forgets those long out of force.
func (t *txn) putProgramme(p *loyalty.Programme, source []byte, fromHQ bool) error {
	if t.rules.fromHQ && (!fromHQ || t.rules.version(p.Version) != nil) {
		return nil
	}
	var next rules
	for _, q := range t.rules.list {
		// The station's own file steps back for good when HQ has spoken.
		if q.Version == p.Version || (fromHQ && !t.rules.fromHQ) {
			if err := t.delete(bucketProg, programmeKey(q.Version)); err != nil {
				return err
			}
			continue
		}
		next.list = append(next.list, q)
	}
	next.list = append(next.list, p)
	slices.SortFunc(next.list, func(a, b *loyalty.Programme) int { return int(int64(a.Version) - int64(b.Version)) })
	for len(next.list) > keptProgrammes {
		if err := t.delete(bucketProg, programmeKey(next.list[0].Version)); err != nil {
			return err
		}
		next.list = next.list[1:]
	}
	next.fromHQ = t.rules.fromHQ || fromHQ
	t.rules = next
	return t.putMessage(bucketProg, programmeKey(p.Version), &ledgerpb.Programme{Source: source, FromHq: fromHQ})
}

// LoadProgramme takes in the programme file of the station's configuration. It counts only until HQ sends a programme;
// after that it changes nothing. The error of an invalid file is of [loyalty.ErrProgramme].
func (l *Ledger) LoadProgramme(ctx context.Context, source []byte) error {
	p, err := loyalty.ParseProgramme(source)
	if err != nil {
		return err
	}
	return l.write(ctx, func(t *txn) error {
		if q := t.rules.version(p.Version); q != nil && string(q.Source) == string(source) {
			return nil
		}
		return t.putProgramme(p, slices.Clone(source), false)
	})
}
