//go:build linux

package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// disk is what a power cut can leave: what was synced for certain, and of the rest any part.
type disk struct {
	synced  []byte
	flying  []sysEvent
	answers []string
}

func (d *disk) apply(e sysEvent) {
	switch {
	case e.failed: // the process goes on seeing what it wrote, and the system never writes it
		d.flying = d.flying[:0]
	case e.sync:
		for _, w := range d.flying {
			d.synced = put(d.synced, w, 0, int64(len(w.write)))
		}
		d.flying = d.flying[:0]
	case e.answer != "":
		d.answers = append(d.answers, e.answer)
	default:
		d.flying = append(d.flying, e)
	}
}

// put applies bytes from..to of a write, or a truncation.
func put(b []byte, e sysEvent, from, to int64) []byte {
	need := max(e.size, e.off+to)
	if int64(len(b)) < need {
		b = append(b, make([]byte, need-int64(len(b)))...)
	}
	if e.size == 0 {
		copy(b[e.off+from:e.off+to], e.write[from:to])
	}
	return b
}

// cut is one state that the disk may be found in.
func (d *disk) cut(kind int, rng *rand.Rand) []byte {
	b := slices.Clone(d.synced)
	for _, e := range d.flying {
		switch {
		case kind == 0: // nothing of it arrived
		case e.size != 0 || kind == 1: // whole writes, in any choice
			if rng.IntN(2) == 0 {
				b = put(b, e, 0, int64(len(e.write)))
			}
		default: // sectors, in any choice
			for at := int64(0); at < int64(len(e.write)); at += 512 {
				if rng.IntN(2) == 0 {
					b = put(b, e, at, min(at+512, int64(len(e.write))))
				}
			}
		}
	}
	return b
}

// judge holds a state against the answers given before it.
func judge(b []byte, answers []string) error {
	p, err := newPageFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	if p.older() == nil {
		return errors.New("one head is gone")
	}
	report, err := newChecker(context.Background(), nil).run(p, p.newest())
	if err != nil {
		return err
	}
	states, shifts := make(map[string]loyalty.SaleState), make(map[string]*loyalty.Shift)
	given := make(map[string]bool)
	alerts, sold, differ := make(map[loyalty.CardNumber]int), make(map[loyalty.CardNumber]int), 0
	err = p.walk(p.newest(), func(path []string, key, stored []byte) error {
		v := stored[:len(stored)-sumSize]
		switch path[0] {
		case bucketSale:
			s, err := parseSale(loyalty.SaleID(key), v)
			if states[string(key)] = s.State; s.State == loyalty.SaleDone {
				sold[s.Card]++
			}
			return err
		case bucketIssued: // the whole check has held it, and its form, against the journal
			given[string(key)] = true
		case bucketShift:
			s, err := parseShift(shiftOfKey(key), v)
			if err == nil && s.Differs {
				differ++
			}
			shifts[fmt.Sprintf("%s/%d", s.Counter, s.Number)] = s
			return err
		case bucketJrn:
			_, b, err := parseEntry(key, stored)
			if err != nil {
				return err
			}
			e, err := wire.DecodeEntry(b)
			if a, ok := e.Body.(loyalty.Alerted); ok {
				alerts[a.Card]++
			}
			return err
		}
		return nil
	}, func(f string) error { return errors.New(f) })
	if err != nil {
		return err
	}
	for _, a := range answers {
		what, id, _ := strings.Cut(a, " ")
		switch got := states[id]; {
		case what == "again":
		case what == "acked":
			if n, _ := strconv.Atoi(id); report.Acked < loyalty.Seq(n) {
				return fmt.Errorf("entry %d was noted as acknowledged, the file says %d", n, report.Acked)
			}
		case what == "card":
			if !given[id] {
				return errors.New("a card was answered as given out, the file does not have it")
			}
		case what == "shift":
			if s := shifts[id]; s == nil || !s.Closed || s.Totals().Sales != 5 {
				return fmt.Errorf("shift %s was answered as closed, the file says %+v", id, s)
			}
		case got == 0, what == "closed" && got != loyalty.SaleDone:
			return fmt.Errorf("sale %s was answered as %s, the file says %v", id, what, got)
		}
	}
	// An alert is written with what raised it, or not at all: the shifts whose figures differ, and each card's fourth sale.
	if alerts[""] != differ {
		return fmt.Errorf("%d shifts differ, with %d alerts", differ, alerts[""])
	}
	for card, n := range sold {
		if (n > 3) != (alerts[card] > 0) {
			return fmt.Errorf("card %s: %d sales, %d alerts", card, n, alerts[card])
		}
	}
	return nil
}

func TestCrashLosesNoAnswer(t *testing.T) {
	base, events := record(t)
	tried, opened, answered := replayCrashes(t, base, events, *crashStates, true, func(state, at int, err error) bool {
		t.Errorf("state %d, after event %d of %d: %v", state, at, len(events), err)
		return !t.Failed()
	})
	if answered < 60 || tried < *crashStates {
		t.Errorf("%d states, %d answers: the test has not seen enough", tried, answered)
	}
	t.Logf("%d states of %d events with %d answers, %d of them opened and written to", tried, len(events), answered, opened)
}

// TestCrashWithoutSyncLosesAnswers is the control: the same program without fsync must be caught.
func TestCrashWithoutSyncLosesAnswers(t *testing.T) {
	base, events := record(t, envCrashNoSync+"=1")
	caught := 0
	replayCrashes(t, base, events, 60, false, func(int, int, error) bool { caught++; return true })
	if caught == 0 {
		t.Error("no state of a ledger without fsync was found wrong: the crash test proves nothing")
	}
	t.Logf("%d of 60 states or so were found wrong", caught)
}

// TestFailedSyncsLoseNoAnswer lets some syncs fail, after which nothing of what they were to sync is ever written, and the
// power be cut later on.
func TestFailedSyncsLoseNoAnswer(t *testing.T) {
	base, events := record(t, envCrashRetry+"=1")
	failed, again := 0, 0
	for _, e := range events {
		if e.failed {
			failed++
		}
		if e.answer == "again" {
			again++
		}
	}
	tried, _, answered := replayCrashes(t, base, events, 2*len(events), true, func(state, at int, err error) bool {
		t.Errorf("state %d, after event %d of %d: %v", state, at, len(events), err)
		return !t.Failed()
	})
	if failed < 5 || again == 0 || answered < 60 {
		t.Errorf("%d failed syncs, %d questions asked again, %d answers: the test has not seen enough", failed, again, answered)
	}
	t.Logf("%d states of %d events with %d failed syncs, %d questions asked again", tried, len(events), failed, again)
}

// TestTrustingAnOpenedFileLosesAnswers is the control: a ledger that takes what it sees after a failed sync for what is on
// the disk must be caught.
func TestTrustingAnOpenedFileLosesAnswers(t *testing.T) {
	base, events := record(t, envCrashRetry+"=1", envCrashTrust+"=1")
	caught := 0
	tried, _, _ := replayCrashes(t, base, events, 2*len(events), false, func(int, int, error) bool { caught++; return true })
	if caught == 0 {
		t.Error("no state was found wrong: the test of failed syncs proves nothing")
	}
	t.Logf("%d of %d states were found wrong", caught, tried)
}

// TestOpeningMakesCertain opens a file of whose last transaction the disk does not have the head, though the process sees
// it, where there is no room for a transaction that would bring it along; and asks for the sale of that transaction again.
func TestOpeningMakesCertain(t *testing.T) {
	for _, trust := range []bool{false, true} {
		strace := findStrace(t)
		dir := t.TempDir()
		cfg := crashConfig(dir)
		l, err := openTuned(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.LoadProgramme(context.Background(), []byte(testProgramme)); err != nil {
			t.Fatal(err)
		}
		know(t, l, 1, 900_00, 500_00)
		was := readAll(t, cfg.Path)
		sellTest(t, l, "last", 1, 3)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		there := readAll(t, cfg.Path)
		p, err := newPageFile(bytes.NewReader(there), int64(len(there)))
		if err != nil {
			t.Fatal(err)
		}
		head := 0
		if p.newest() == p.metas[1] {
			head = int(p.pageSize)
		}
		copy(there[head:head+int(p.pageSize)], was[head:])
		env := []string{envCrashFull + "=last"}
		if trust {
			env = append(env, envCrashTrust+"=1")
		}
		d := &disk{synced: there}
		for _, e := range trace(t, strace, dir, env...) {
			d.apply(e)
		}
		if err := judge(d.synced, d.answers); len(d.answers) != 1 || (err == nil) == trust {
			t.Errorf("trusting: %v, answers %q: %v", trust, d.answers, err)
		}
	}
}

// replayCrashes visits crash points spread over the whole run until enough states were judged.
func replayCrashes(t *testing.T, base []byte, events []sysEvent, states int, open bool, wrong func(state, at int, err error) bool) (tried, opened, answered int) {
	rng := rand.New(rand.NewPCG(11, 12))
	each := max(1, (states+len(events)-1)/len(events))
	d := &disk{synced: slices.Clone(base)}
	for at, e := range events {
		d.apply(e)
		if states < len(events) && rng.IntN(len(events)) >= states {
			continue
		}
		for range each {
			b := d.cut(tried%3, rng)
			tried++
			if err := judge(b, d.answers); err != nil && !wrong(tried, at, err) {
				return tried, opened, len(d.answers)
			}
			if open && tried%max(states/40, 1) == 0 {
				opened++
				goOn(t, b)
			}
		}
	}
	return tried, opened, len(d.answers)
}

// goOn opens a state as the agent would after the power is back, and sells.
func goOn(t *testing.T, b []byte) {
	t.Helper()
	dir := t.TempDir()
	cfg := crashConfig(dir)
	if err := os.WriteFile(cfg.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openTuned(cfg, func(l *Ledger) { l.noSync = true })
	if err != nil {
		t.Fatal(err)
	}
	if st, err := l.Status(); err != nil || alarmOf(st) != "" {
		t.Errorf("after the power cut: %+v, %v", st, err)
	}
	sellTest(t, l, "after", 1, 3)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	checkTest(t, cfg.Path)
}
