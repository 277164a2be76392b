package uplink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

var (
	simSeeds = flag.Uint64("sim.seeds", 2000, "how many worlds the simulation runs")
	simSeed  = flag.Uint64("sim.seed", 0, "run this one world only")
)

// world is one station, one headquarters and a carrier between them, in a time of their own. It keeps score.
type world struct {
	seed uint64
	dice *dice
	net  *simNet
	hq   *modelHQ
	st   *station

	crashes, forks, ops, nonces atomic.Uint64
	hqRestored                  atomic.Bool

	mu     sync.Mutex
	ok     map[uint64]bool // operations answered OK and still the station's duty
	broken []string
}

func (w *world) failf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.broken) < 10 {
		w.broken = append(w.broken, fmt.Sprintf(format, args...))
	}
}

// opID makes the identity of an operation from its number, so that a failing world names it.
func opID(n uint64) loyalty.OpID {
	var random [10]byte
	binary.BigEndian.PutUint64(random[2:], n)
	return loyalty.NewOpID(1_800_000_000_000, random)
}

func opNumber(op loyalty.OpID) uint64 { return binary.BigEndian.Uint64(op[8:]) & (1<<56 - 1) }

func (w *world) encode(op loyalty.OpID, b loyalty.Body) []byte {
	e, err := wire.EncodeEntry(&loyalty.Entry{At: 1_800_000_000_000, Op: op, Body: b})
	if err != nil {
		w.failf("encode: %v", err)
	}
	return e
}

func (w *world) entry(b loyalty.Body) []byte { return w.encode(opID(1<<32+w.nonces.Add(1)), b) }

func (w *world) sale(n uint64) []byte {
	return w.encode(opID(n), loyalty.SaleClosed{
		Sale: loyalty.SaleID(fmt.Sprint(n)), Account: simAccount, Earned: []loyalty.Lot{{Amount: simWorth}},
		Receipt: loyalty.Receipt{Tender: loyalty.Tender(1), Lines: []loyalty.Line{{Kind: loyalty.LineKind(1), Code: "95", Volume: 1000, Amount: 5000}}},
	})
}

// simForm is the sealed form of a card; some are large, so that a batch cannot hold many.
func simForm(n uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%16d", n), 1+int(n%4)*170)
}

func (w *world) card(n uint64, form []byte) []byte {
	return w.encode(opID(n), loyalty.CardIssued{Card: loyalty.CardNumber(fmt.Sprintf("7005%012d", n)), Form: sha256.Sum256(form)})
}

func (w *world) answered(op uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ok[op] = true
}

// lost excuses the operations that a restored backup of the station does not have: nobody can ask it for them.
func (w *world) lost(before, after *disk) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := map[string]bool{}
	for _, e := range after.entries {
		kept[string(e)] = true
	}
	for _, e := range before.entries {
		if d, err := wire.DecodeEntry(e); err == nil && !kept[string(e)] {
			delete(w.ok, opNumber(d.Op))
		}
	}
	if before.epoch != after.epoch {
		clear(w.ok)
	}
}

// believes is called when the station notes an acknowledgement: headquarters' disk must have it.
func (w *world) believes(epoch loyalty.Epoch, seq loyalty.Seq) {
	if w.hqRestored.Load() {
		return // it had
	}
	b := w.hq.state()
	if epoch == b.epoch && seq > b.seq {
		w.failf("the station was told of entry %d, headquarters has %d", seq, b.seq)
	}
}

// gave is called when the station deletes a form: headquarters' disk must have it.
func (w *world) gave(seq loyalty.Seq, form []byte) {
	if !w.hqRestored.Load() && !w.hq.state().forms[sha256.Sum256(form)] {
		w.failf("the form of entry %d is deleted, headquarters does not have it", seq)
	}
}

var stormy = faults{lose: 0.05, double: 0.05, late: 0.1, cut: 0.02, deaf: 0.01, refuse: 0.1, crash: 0.004, commit: 0.03}

// run lives through one world and returns what went wrong.
func simulate(t *testing.T, seed uint64, variant wrong) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		d := newDice(seed)
		f := stormy
		for _, p := range []*float64{&f.lose, &f.double, &f.late, &f.cut, &f.deaf, &f.crash, &f.commit} {
			*p *= float64(d.below(3)) // each fault is absent, as it is, or twice as frequent
		}
		w = &world{seed: seed, dice: d, net: newSimNet(d, f), ok: map[uint64]bool{}}
		w.hq = &modelHQ{w: w, wrong: variant, books: newBooks()}
		w.st = &station{w: w, disk: &disk{}, atOnce: 4} // small batches, so that a small world has many
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { w.hq.run(ctx) })
		wg.Go(func() { w.st.run(ctx) })
		w.storm()
		w.net.set(faults{})
		w.settle()
		cancel()
		wg.Wait()
		synctest.Wait()
		w.check()
		time.Sleep(time.Minute) // the carrier's late messages
	})
	return w
}

// storm lets the counter work while everything goes wrong.
func (w *world) storm() {
	kind := w.dice.below(4) // which books are restored from a copy, if any
	for range 40 + w.dice.below(60) {
		time.Sleep(w.dice.span([]time.Duration{time.Millisecond, 30 * time.Millisecond, 2 * time.Second}[w.dice.below(3)]))
		w.st.sell()
		switch x := w.dice.below(40); {
		case x == 0:
			w.hq.backup()
			w.st.backup()
		case x == 1 && kind == 2:
			w.st.restore()
		case x == 1 && kind == 3:
			w.hq.restore()
		}
	}
}

// settle waits until everything is where it belongs, or for so long that it never will be. Headquarters that were put back
// to a time when they had nothing to say do not tell the station of a new stream.
func (w *world) settle() {
	for range 600 {
		time.Sleep(time.Second)
		b := w.hq.state()
		w.st.mu.Lock()
		d := w.st.disk
		done := d.acked == loyalty.Seq(len(d.entries)) && b.epoch == d.epoch && b.seq == d.acked && d.notice == b.notices && (d.downStream == b.stream || b.notices == 0)
		w.st.mu.Unlock()
		if done {
			return
		}
	}
	b, d := w.hq.state(), w.st.disk
	w.failf("nothing moves any more: headquarters at %d of epoch %d, notice %d of stream %d; the station's %d entries of epoch %d, %d acknowledged, notice %d of stream %d",
		b.seq, b.epoch, b.notices, b.stream, len(d.entries), d.epoch, d.acked, d.notice, d.downStream)
}

// check compares the two ends.
func (w *world) check() {
	b, d := w.hq.state(), w.st.disk
	if b.epoch != d.epoch || b.seq != loyalty.Seq(len(d.entries)) {
		w.failf("headquarters has %d/%d, the station %d/%d", b.epoch, b.seq, d.epoch, len(d.entries))
	}
	i := 0
	for _, l := range b.lines {
		if l.epoch != d.epoch {
			continue
		}
		if i >= len(d.entries) || !bytes.Equal(l.bytes, d.entries[i]) || l.seq != loyalty.Seq(i+1) {
			w.failf("line %s is not the station's entry %d", l, i+1)
			break
		}
		i++
	}
	if i != len(d.entries) {
		w.failf("headquarters keeps %d entries of the last epoch, the station %d", i, len(d.entries))
	}
	var sum loyalty.Points
	for op, n := range b.applied {
		sum += simWorth * loyalty.Points(n)
		if n != 1 {
			w.failf("operation %d has its effect %d times", opNumber(op), n)
		}
	}
	if sum != b.balance {
		w.failf("balance %s, operations give %s", b.balance, sum)
	}
	if len(d.forms) > 0 {
		w.failf("%d forms are still here", len(d.forms))
	}
	for op, hash := range b.cards {
		if !b.forms[hash] && !w.hqRestored.Load() { // forms of before the copy was made are gone with what came after it
			w.failf("operation %d gave out a card, headquarters has no form", opNumber(op))
		}
	}
	for op := range w.ok {
		if _, card := b.cards[opID(op)]; b.applied[opID(op)] == 0 && !card {
			w.failf("operation %d was answered and is not at headquarters", op)
		}
	}
}

func (w *world) report(t *testing.T) {
	t.Helper()
	for _, b := range w.broken {
		t.Error(b)
	}
	t.Errorf("replay with: go test ./sync/uplink -run TestSimulation -sim.seed=%d", w.seed)
}

func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		if w := simulate(t, *simSeed, right); len(w.broken) > 0 {
			w.report(t)
		}
		return
	}
	worlds := *simSeeds
	if testing.Short() {
		worlds /= 10
	}
	for half := range uint64(2) {
		t.Run(fmt.Sprint(half), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			var crashes, forks, ops uint64
			for seed := 1 + half; seed <= worlds; seed += 2 {
				w := simulate(t, seed, right)
				crashes, forks, ops = crashes+w.crashes.Load(), forks+w.forks.Load(), ops+w.ops.Load()
				if len(w.broken) > 0 {
					w.report(t)
					return
				}
			}
			if worlds >= 1000 && (crashes == 0 || forks == 0) {
				t.Error("nothing crashed or forked: these worlds prove nothing")
			}
			t.Logf("half of %d worlds in %s: %d operations, %d crashes, %d new epochs", worlds, time.Since(began).Round(time.Millisecond), ops, crashes, forks)
		})
	}
}

// TestSimulationCatches runs worlds with a wrong design at headquarters until one of them shows it.
func TestSimulationCatches(t *testing.T) {
	for _, c := range []struct {
		name    string
		variant wrong
		shows   string
	}{
		{"ack before commit", ackBeforeCommit, "the station was told of entry"},
		{"memory advanced inside the transaction", memoryInTx, "is not the station's entry"},
		{"a form that is read once", formOnce, "headquarters has no form"},
		{"operations known again by a time window", windowDedup, "has its effect 2 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const worlds = 300
			for seed := uint64(1); seed <= worlds; seed++ {
				for _, b := range simulate(t, seed, c.variant).broken {
					if strings.Contains(b, c.shows) {
						t.Logf("caught in world %d: %s", seed, b)
						return
					}
				}
			}
			t.Errorf("%d worlds did not show what is wrong", worlds)
		})
	}
}
