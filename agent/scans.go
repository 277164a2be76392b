package agent

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// showLocalAfter is how long a scan waits for HQ before the cashier sees what the station itself knows. A cashier takes
// what comes within about a quarter of a second for at once.
const showLocalAfter = 250 * time.Millisecond

// counter turns the frames of one scanner into customers on the page of its counter.
type counter struct {
	name    string // of the counter
	scanner *scanner.Scanner
	decode  *card.Decoder
	desk    *Desk
	hub     *api.Hub
	log     *slog.Logger
	frames  chan scanner.Frame
	asking  sync.WaitGroup // questions to HQ that are under way
	turn    atomic.Uint64  // grows with every customer shown
}

// frameQueue is how many frames may wait while a card is looked up: a cashier who scans faster than that has leaned on
// the trigger.
const frameQueue = 16

func newCounter(c config.Scanner, cards config.Cards, desk *Desk, hub *api.Hub, log *slog.Logger) (*counter, error) {
	k := &counter{name: c.Counter, desk: desk, hub: hub, log: log.With("scanner", c.Name), frames: make(chan scanner.Frame, frameQueue)}
	var err error
	if k.decode, err = card.New(CardConfig(cards, c)); err != nil {
		return nil, fmt.Errorf("scanner %s: %w", c.Name, err)
	}
	sc, err := ScannerConfig(c)
	if err != nil {
		return nil, fmt.Errorf("scanner %s: %w", c.Name, err)
	}
	sc.Logger = log // the scanner names itself
	sc.OnFrame = func(f scanner.Frame) {
		select {
		case k.frames <- f:
		default:
			k.log.Warn("a scan was dropped: too many at once")
		}
	}
	sc.OnState = func(s scanner.State) { hub.Publish(api.ScannerChanged{Scanner: scannerStatus(c.Counter, s)}) }
	if k.scanner, err = scanner.New(sc); err != nil {
		return nil, fmt.Errorf("scanner %s: %w", c.Name, err)
	}
	return k, nil
}

// handle decodes frames until ctx is done.
func (k *counter) handle(ctx context.Context) error {
	defer k.asking.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-k.frames:
			if f.End == scanner.EndTail {
				continue
			}
			e, ok := k.decode.Decode(card.Frame{Data: f.Data, Raw: f.Raw, End: card.End(f.End)}, f.At)
			if ok {
				k.present(ctx, e, f.At)
			}
		}
	}
}

// present shows what was scanned.
func (k *counter) present(ctx context.Context, e card.Event, at time.Time) {
	k.log.DebugContext(ctx, "scanned", "event", e)
	scan := api.Scan{At: at, Counter: k.name, Scanner: k.scanner.State().Name}
	switch e.Type {
	case card.Card:
		k.show(ctx, scan, e.Number)
		return
	case card.Token:
		scan.Outcome, scan.Reason = api.ScanReject, "token"
	case card.NoRead:
		scan.Outcome = api.ScanNoRead
	case card.Reject: // goods codes as well: they are told, never swallowed
		scan.Outcome, scan.Reason = api.ScanReject, string(e.Reason)
	default: // repeated, or the scanner talking about itself
		return
	}
	k.hub.Publish(scan)
}

// show publishes the customer: with HQ's word if it comes at once, otherwise as the station knows them, and again when
// the word comes while nobody else has been scanned. The next scan never waits for HQ's word on this one.
func (k *counter) show(ctx context.Context, scan api.Scan, number loyalty.CardNumber) {
	asked := make(chan error, 1)
	k.asking.Go(func() { asked <- k.desk.refresh(ctx, number) })
	patience := time.NewTimer(showLocalAfter)
	defer patience.Stop()
	select {
	case err := <-asked:
		k.publish(ctx, scan, number, err == nil)
	case <-patience.C:
		turn := k.publish(ctx, scan, number, false)
		k.asking.Go(func() {
			if err := <-asked; err == nil && k.turn.Load() == turn {
				k.publish(ctx, scan, number, true)
			}
		})
	}
}

func (k *counter) publish(ctx context.Context, scan api.Scan, number loyalty.CardNumber, fresh bool) uint64 {
	c, err := k.desk.customer(number, fresh)
	switch code, refused := loyalty.RefusalOf(err); {
	case err == nil:
		scan.Outcome, scan.Customer = api.ScanCustomer, &c
	case refused:
		scan.Outcome, scan.Card, scan.Refusal = api.ScanRefused, number, code
	default:
		k.log.ErrorContext(ctx, "the card could not be looked up", "card", number, "err", err)
		scan.Outcome, scan.Card, scan.Refusal = api.ScanRefused, number, loyalty.StorageFailed
	}
	k.hub.Publish(scan)
	k.desk.watchStaff(ctx, c, loyalty.Who{Counter: k.name})
	return k.turn.Add(1)
}

func scannerStatus(counterName string, s scanner.State) api.Scanner {
	return api.Scanner{Name: s.Name, Counter: counterName, Connected: s.Connected, Since: s.Since, Reason: s.LastError}
}
