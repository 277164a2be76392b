package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Alarm is something that has happened to the ledger and that an operator must look at. It outlasts restarts, and
// headquarters' acknowledgement of what followed from it, until an operator says that it was seen.
type Alarm struct {
	ID   string          `json:"id"`
	At   loyalty.Instant `json:"at_ms"` // by the station's clock, ms since the Unix epoch
	Kind AlarmKind       `json:"kind"`
	Text string          `json:"text"`
	Kept string          `json:"kept,omitempty"` // the damaged file that was put aside; empty: there is none
}

// AlarmKind is what sort of thing has happened.
type AlarmKind string

const (
	// AlarmEpoch is a new epoch of the journal: the ledger was damaged, restored, rolled back or lost, or headquarters'
	// journal differs from it.
	AlarmEpoch AlarmKind = "epoch"
	// AlarmQuarantine is an entry that headquarters has set aside. One alarm stands for all of them.
	AlarmQuarantine AlarmKind = "quarantine"
	// AlarmForms is that forms of customers which headquarters may not have are lost with a part of the ledger.
	AlarmForms AlarmKind = "forms"
)

// The bounds keep the record, which lies on the same page as the state, small.
const (
	maxAlarms    = 8
	maxAlarmText = 400
	maxSeenFile  = 1024
)

var keyAlarms = []byte("alarms")

// alarmID names an alarm by its content, so that it stays the same in a backup, and one of the file that a backup has
// replaced does not pass for another.
func alarmID(a *ledgerpb.Alarm) string {
	return fmt.Sprintf("%08x", sum("alarm", binary.BigEndian.AppendUint64([]byte(a.Kind), uint64(a.At)), []byte(a.Text)))
}

func parseAlarms(v []byte) (*ledgerpb.Alarms, error) {
	var m ledgerpb.Alarms
	if err := m.UnmarshalVT(v); err != nil {
		return nil, fmt.Errorf("%w: alarms: %w", ErrCorrupt, err)
	}
	return &m, nil
}

func fromAlarms(m *ledgerpb.Alarms) (out []Alarm) {
	for _, a := range m.Alarms {
		out = append(out, Alarm{ID: alarmID(a), At: loyalty.Instant(a.At), Kind: AlarmKind(a.Kind), Text: a.Text, Kept: a.Kept})
	}
	return out
}

// alarms reads those of the file, seen or not.
func (t *txn) alarms() (*ledgerpb.Alarms, error) {
	v, err := t.get(bucketMeta, keyAlarms)
	if err != nil {
		return nil, err
	}
	return parseAlarms(v)
}

// raise adds an alarm; of a quarantine it takes the place of the one before.
func (t *txn) raise(kind AlarmKind, text, kept string) error {
	m, err := t.alarms()
	if err != nil {
		return err
	}
	if kind == AlarmQuarantine {
		m.Alarms = slices.DeleteFunc(m.Alarms, func(a *ledgerpb.Alarm) bool { return a.Kind == string(kind) })
	}
	m.Alarms = append(m.Alarms, &ledgerpb.Alarm{
		At: int64(t.read().after(t.st.lastAt)), Kind: string(kind), Kept: kept,
		Text: strings.ToValidUTF8(text[:min(len(text), maxAlarmText)], ""),
	})
	m.Alarms = m.Alarms[max(0, len(m.Alarms)-maxAlarms):]
	return t.putMessage(bucketMeta, keyAlarms, m)
}

// setAside reads the last entry that headquarters has set aside, and why.
func (t *txn) setAside() (string, error) {
	k, v := t.bucket(bucketQuar).Cursor().Last()
	if k == nil {
		return "", nil
	}
	v, err := unseal(bucketQuar, k, v)
	if err != nil {
		return "", err
	}
	return describeAside(k, v)
}

func describeAside(key, v []byte) (string, error) {
	var m ledgerpb.Quarantined
	if err := m.UnmarshalVT(v); err != nil {
		return "", fmt.Errorf("%w: entry set aside: %w", ErrCorrupt, err)
	}
	p := parsePlace(key)
	return fmt.Sprintf("entry %d of epoch %d: %s", p.seq, p.epoch, m.Reason), nil
}

// seenPath is where an operator's word that alarms were seen is kept: beside the ledger, since the agent alone writes to
// that.
func seenPath(ledger string) string { return ledger + ".seen" }

// unseen leaves out what an operator has seen. A file that cannot be read says nothing.
func unseen(alarms []Alarm, ledger string) []Alarm {
	if len(alarms) == 0 {
		return nil
	}
	f, err := openThere(seenPath(ledger), os.O_RDONLY)
	if err != nil {
		return alarms
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSeenFile))
	if err != nil {
		return alarms
	}
	seen := strings.Fields(string(b))
	return slices.DeleteFunc(alarms, func(a Alarm) bool { return slices.Contains(seen, a.ID) })
}

// errFound ends a walk early.
var errFound = errors.New("found")

// Alarms lists what an operator has not seen yet, oldest first.
func (o *Offline) Alarms(ctx context.Context) ([]Alarm, error) {
	all, err := o.alarms(ctx)
	return unseen(all, o.base), err
}

func (o *Offline) alarms(ctx context.Context) (all []Alarm, err error) {
	f, err := openThere(o.path, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("read the alarms: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the alarms: %w", err)
	}
	p, err := newPageFile(f, info.Size())
	if err != nil {
		return nil, err
	}
	err = p.walk(p.newest(), func(path []string, key, stored []byte) error {
		if err := ctx.Err(); err != nil || bucketOf(path) != bucketMeta || string(key) != string(keyAlarms) {
			return err
		}
		v, err := unseal(bucketMeta, key, stored)
		if err != nil {
			return err
		}
		m, err := parseAlarms(v)
		if err != nil {
			return err
		}
		all = fromAlarms(m)
		return errFound
	}, func(finding string) error { return fmt.Errorf("%w: %s", ErrCorrupt, finding) })
	if errors.Is(err, errFound) {
		err = nil
	}
	return all, err
}

// ClearAlarms notes that an operator has seen all alarms there are; a running agent shows them no more. They stay in the
// ledger, until later ones take their place, and in backups.
func (o *Offline) ClearAlarms(ctx context.Context) error {
	all, err := o.alarms(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, a := range all {
		b.WriteString(a.ID + "\n")
	}
	if err := writeFile(seenPath(o.base), []byte(b.String())); err != nil {
		return fmt.Errorf("note that the alarms were seen: %w", err)
	}
	return nil
}
