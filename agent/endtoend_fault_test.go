package agent_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/mqtt/broker"
)

// faultTime bounds each test of a fault.
const faultTime = time.Minute

func newBroker(t testing.TB, listen string) *broker.Broker {
	t.Helper()
	b, err := broker.Open(broker.Config{Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// sell sells fuel in one step and returns the answer.
func (l *live) sell(ctx context.Context, id string, account loyalty.AccountID, redeem loyalty.Points) (a saleAnswer, err error) {
	_, err = l.register.call(ctx, http.MethodPost, salePath(loyalty.SaleID(id), "/close"), saleCall(cardOf(account), 20_000, redeem), &a)
	return a, err
}

// equalBooks waits until headquarters has the agent's journal and both have the same balance of an account.
func equalBooks(ctx context.Context, t testing.TB, h *headquarters, l *live, account loyalty.AccountID, want loyalty.Points) {
	t.Helper()
	l.awaitDrained(ctx, t)
	pos, err := l.Ledger.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if c := h.cursor(ctx, t, 1); c.Epoch != pos.Epoch || c.Seq != pos.Last || c.Hash != pos.LastHash {
		t.Errorf("the journal ends at %d of epoch %d, %s; at headquarters at %d of %d, %s", pos.Last, pos.Epoch, pos.LastHash, c.Seq, c.Epoch, c.Hash)
	}
	at := loyalty.At(time.Now())
	records, err := h.store.Accounts(ctx, account-1, 1)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	if got := records[0].Account.Total(at); got != want {
		t.Errorf("headquarters has %s points, want %s", got, want)
	}
	b, err := l.Ledger.Lookup(cardOf(account))
	if err != nil {
		t.Fatal(err)
	}
	if own := b.Local.Current(); own.Total(at) != want {
		t.Errorf("the station has %s points, want %s", own.Total(at), want)
	}
}

func TestSecondAgentOnOneLedgerIsRefused(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	defer cancel()
	c := liveConfig{folder: t.TempDir(), broker: "tcp://" + freeAddress(t)}
	first := c.start(ctx, t)
	err := c.newAgent(t, freeAddress(t), nil).Run(ctx)
	if !errors.Is(err, ledger.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("got %v, want %v with the number of the first's process, %d", err, ledger.ErrInUse, os.Getpid())
	}
	if _, err := first.sell(ctx, "1", 1, 0); err != nil {
		t.Fatalf("the first no longer sells: %v", err)
	}
}

// TestBrokerDownAtStart starts an agent where nobody listens: it sells, and delivers once somebody does.
func TestBrokerDownAtStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	defer cancel()
	address := freeAddress(t)
	l := liveConfig{folder: t.TempDir(), broker: "tcp://" + address}.start(ctx, t)
	a, err := l.sell(ctx, "1", 3, 0)
	if err != nil || a.Quote.Earn == 0 {
		t.Fatalf("sold without a broker: %+v, %v", a, err)
	}
	var r *refusal
	if _, err := l.sell(ctx, "2", 3, 100); !errors.As(err, &r) || r.Code != string(loyalty.UnknownCard) {
		t.Fatalf("redeeming with a card that the station has never met: %v", err)
	}
	b := newBroker(t, address)
	h := newHeadquarters(ctx, t, t.TempDir(), b.URL(), 3, 1)
	equalBooksOnceKnown(ctx, t, h, l, 3, opening+a.Quote.Earn)
}

// equalBooksOnceKnown is equalBooks of an account that the station has yet to hear of.
func equalBooksOnceKnown(ctx context.Context, t testing.TB, h *headquarters, l *live, account loyalty.AccountID, want loyalty.Points) {
	t.Helper()
	await(ctx, t, "the station has heard of the account", func() bool {
		b, err := l.Ledger.Lookup(cardOf(account))
		own := b.Local.Current()
		return err == nil && b.Known && own.Total(loyalty.At(time.Now())) == want
	})
	equalBooks(ctx, t, h, l, account, want)
}

// TestLineHangs lets the line to the broker hang while it stays open: nobody tells the agent. The counter must not
// notice but for the points that headquarters would have to give, and the end of the agent must not wait for it.
func TestLineHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	defer cancel()
	b := newBroker(t, "")
	h := newHeadquarters(ctx, t, t.TempDir(), b.URL(), 3, 1)
	line := newTap(t, b.Addr())
	c := liveConfig{folder: t.TempDir(), broker: line.url()}
	l := c.start(ctx, t)
	l.awaitOnline(ctx, t)
	a, err := l.sell(ctx, "1", 1, 100_00)
	if err != nil {
		t.Fatalf("redeeming online: %v", err)
	}
	want := opening + a.Quote.Earn - a.Quote.Redeem
	l.awaitDrained(ctx, t)
	line.hang()
	for i, redeem := range []loyalty.Points{0, 100_00, 0} {
		began := time.Now()
		a, err := l.sell(ctx, fmt.Sprintf("hang-%d", i), 1, redeem)
		want += a.Quote.Earn
		var r *refusal
		switch {
		case redeem == 0 && err != nil:
			t.Errorf("accruing while the line hangs: %v", err)
		case redeem > 0 && (!errors.As(err, &r) || r.Code != string(loyalty.NoRights)):
			t.Errorf("redeeming while the line hangs: %v, want %s", err, loyalty.NoRights)
		}
		// The deadline of a question is 1.5 s, and the call may ask twice; a sale that asks nothing waits for nothing.
		if took, most := time.Since(began), map[bool]time.Duration{false: time.Second, true: 5 * time.Second}[redeem > 0]; took > most {
			t.Errorf("sale %d took %s", i, took)
		}
	}
	began := time.Now()
	if err := l.end(); err != nil {
		t.Errorf("the agent did not end in order: %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the agent took %s to end", took)
	}
	line.flow()
	l = c.start(ctx, t)
	l.awaitOnline(ctx, t)
	equalBooksOnceKnown(ctx, t, h, l, 1, want)
}

// TestBadLine sells while the broker loses, repeats, delays and so reorders messages of both directions, and cuts
// connections.
func TestBadLine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	defer cancel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	b := newBroker(t, "")
	h := newHeadquarters(ctx, t, t.TempDir(), b.URL(), 3, 1)
	l := liveConfig{folder: t.TempDir(), broker: b.URL()}.start(ctx, t)
	l.awaitOnline(ctx, t)
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 1))
	b.SetFaults(func(broker.Packet) broker.Fate {
		mu.Lock()
		defer mu.Unlock()
		return broker.Fate{
			Lose: r.IntN(8) == 0, Cut: r.IntN(60) == 0, Copies: max(0, r.IntN(6)-4), Delay: time.Duration(max(0, r.IntN(40)-20)) * time.Millisecond,
		}
	})
	want := opening
	for i := range 80 {
		id := fmt.Sprint(i)
		a, err := l.sell(ctx, id, 1, loyalty.Points(i%3)*100)
		var refused *refusal
		if errors.As(err, &refused) && refused.Status != http.StatusConflict {
			a, err = l.sell(ctx, id, 1, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		want += a.Quote.Earn - a.Quote.Redeem
	}
	b.SetFaults(nil)
	equalBooksOnceKnown(ctx, t, h, l, 1, want)
	if _, err := h.store.Check(ctx); err != nil {
		t.Error(err)
	}
	if pos, err := l.Ledger.Position(ctx); err != nil || pos.Epoch != 1 {
		t.Errorf("a bad line alone must not begin an epoch: %d, %v", pos.Epoch, err)
	}
}

// TestUnenrolledStationSellsAndSays: headquarters does not take the journal of a station that it does not know; the
// station goes on, keeps everything, and delivers once it is enrolled.
func TestUnenrolledStationSellsAndSays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), faultTime)
	defer cancel()
	b := newBroker(t, "")
	h := newHeadquarters(ctx, t, t.TempDir(), b.URL(), 3)
	l := liveConfig{folder: t.TempDir(), broker: b.URL()}.start(ctx, t)
	await(ctx, t, "the station says why headquarters does not take its journal", func() bool {
		return l.Status().HQ.Reason == "unknown_station"
	})
	a, err := l.sell(ctx, "1", 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.books.Enrol(ctx, 1); err != nil {
		t.Fatal(err)
	}
	// It asks again by itself, after up to half a minute; a new connection asks at once.
	b.Cut("azs-agent-1")
	equalBooksOnceKnown(ctx, t, h, l, 2, opening+a.Quote.Earn)
}
