package ledger

import (
	"os"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

func statusTest(t *testing.T, l *Ledger) Status {
	t.Helper()
	st, err := l.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestAlarmsLastUntilTheyWereSeen(t *testing.T) {
	cfg := testConfig(t)
	noSync := func(l *Ledger) { l.noSync = true }
	l := openTest(t, cfg, noSync)
	know(t, l, 1, 900_00, 0)
	sellTest(t, l, "a", 1, 3)
	if st := statusTest(t, l); len(st.Alarms) != 0 {
		t.Errorf("%+v", st.Alarms)
	}
	if err := l.NewEpochAbove(t.Context(), 5, "headquarters has another journal"); err != nil {
		t.Fatal(err)
	}
	ack(t, l, 0)
	for _, seq := range []uint64{1, 2} {
		p, err := l.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = l.Acked(t.Context(), p.Epoch, p.Last, p.LastHash, []*pb.Quarantined{{Seq: seq, Reason: "no such account"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, cfg, noSync)
	st := statusTest(t, l)
	if len(st.Alarms) != 2 || st.Alarms[0].Kind != AlarmEpoch || !strings.Contains(st.Alarms[0].Text, "another journal") ||
		st.Alarms[1].Kind != AlarmQuarantine || !strings.Contains(st.Alarms[1].Text, "2 entries, the last is entry 2 of epoch 6: no such account") {
		t.Errorf("%+v", st.Alarms)
	}
	if st.Frozen != "" || st.Quarantined != 2 || st.LastAside != "entry 2 of epoch 6: no such account" {
		t.Errorf("%+v", st)
	}
	o, err := Inspect(t.Context(), cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r, err := o.Check(t.Context(), nil)
	if err != nil || len(r.Alarms) != 2 || r.Alarms[1] != st.Alarms[1] || r.LastAside != st.LastAside || r.Quarantined != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := o.ClearAlarms(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := o.Alarms(t.Context()); err != nil || len(left) != 0 || len(statusTest(t, l).Alarms) != 0 {
		t.Errorf("after they were seen: %+v, %v", left, err)
	}
	for range maxAlarms + 3 {
		if err := l.NewEpoch(t.Context(), "once more "+strings.Repeat("ещё ", 500)); err != nil {
			t.Fatal(err)
		}
	}
	if st := statusTest(t, l); len(st.Alarms) != maxAlarms {
		t.Errorf("%d alarms, want %d", len(st.Alarms), maxAlarms)
	}
}

func TestADamagedLedgerKeepsItsAlarms(t *testing.T) {
	cfg, _ := populated(t)
	l := openTest(t, cfg, func(l *Ledger) { l.noSync = true })
	if err := l.NewEpoch(t.Context(), "the first"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b := readAll(t, cfg.Path)
	at := strings.LastIndex(string(b), string(cardOf(7)))
	for i := 0; i >= 0; at = i {
		b[at] ^= 0x40
		i = strings.LastIndex(string(b), string(cardOf(7)))
	}
	if err := os.WriteFile(cfg.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, cfg, func(l *Ledger) { l.noSync = true })
	st := statusTest(t, l)
	if len(st.Alarms) != 2 || st.Alarms[0].Text != "the first" || st.Alarms[1].Kept == "" {
		t.Fatalf("%+v", st.Alarms)
	}
	if _, err := os.Stat(st.Alarms[1].Kept); err != nil {
		t.Error(err)
	}
}
