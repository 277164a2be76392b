package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// TestStory plays the scripted day as `azs-demo --once` does.
func TestStory(t *testing.T) {
	var out, errs bytes.Buffer
	if status := execute([]string{"--once"}, strings.NewReader(""), &out, &errs); status != 0 {
		t.Fatalf("exit status %d: %s\n%s", status, &errs, &out)
	}
	for _, want := range []string{
		"422 no_rights", "Нет связи с центром", "409 conflict", "the same answer to the last byte", "503 hq_out_of_reach",
		"given out to Zoya", "reads her form with his own key: Зоя Новикова", "422 refund_more", "have counted the same",
		"sale 1-0003 of station 1 refunded", "asks headquarters: 7 operations",
		"Headquarters and stations agree to the last hundredth",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story does not say %q", want)
		}
	}
	if strings.Contains(out.String(), "\x1b[") {
		t.Error("colours without a terminal")
	}
	for _, p := range newPeople() {
		if strings.Contains(out.String(), string(p.card)) {
			t.Errorf("the whole card number of %s is printed", p.name)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// TestCommands types every command and looks at what is told.
func TestCommands(t *testing.T) {
	out := &lockedBuffer{}
	run(t, out, func(ctx context.Context, n *network) error {
		if err := n.ready(ctx); err != nil {
			return err
		}
		if err := n.obey(ctx, strings.NewReader("help\n3\n2 3\nsale 3\nsale 2 3 50\n5\n")); err != nil {
			return err
		}
		// Headquarters' word on a card may come after the scan.
		err := await(ctx, "the blocked card is shown", func() (bool, error) { return strings.Contains(out.String(), "card_blocked"), nil })
		if err != nil {
			return err
		}
		return n.obey(ctx, strings.NewReader("close\nopen 3 300\nopen 3 20\ncut\nclose\nsale 3 50\nsale 3 500\nunplug\nunplug\nplug\nplug\nsale 3\nsale 9\nhop\nrestart\nunplug\n1\nplug\nsale 6\nissue 6\nsale 6\nissue 1\nheal\npage\npoints\n\nquit\nsale 1\n"))
	})
	for _, want := range []string{
		"scanned Vera", "sale t-4 closed for Vera: redeemed 0", "sale t-5 closed for Vera: redeemed 50", "is cut", "is mended",
		"there are customers 1 to 6", `"hop" is not a command`, "card_blocked", "runs again", "the scanner is not plugged in",
		"/#code=", "no sale is open at station 1", "sale t-2 opened for Vera: 300 points reserved", "sale t-2 is still open",
		"sale t-2 closed for Vera: redeemed 120", "sale t-6 closed for Vera: redeemed 50", "refused: no_rights",
		"Zoya has no card yet: issue 6", "given out to Zoya", "closed for Zoya", "Anna has a card already",
		"the scanner is unplugged already", "the scanner is plugged already", "journal of station 2",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing tells %q", want)
		}
	}
	if strings.Contains(out.String(), "for Anna") {
		t.Error("a command behind quit was carried out")
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestParseCommand(t *testing.T) {
	for _, c := range []struct {
		text string
		want command
		ok   bool
	}{
		{"3", command{verb: "scan", station: 1, who: 2}, true},
		{" 2  5 ", command{verb: "scan", station: 2, who: 4}, true},
		{"SALE 1", command{verb: "sale", station: 1, who: 0}, true},
		{"sale 1 50", command{verb: "sale", station: 1, who: 0, redeem: 50_00}, true},
		{"sale 2 1 50", command{verb: "sale", station: 2, who: 0, redeem: 50_00}, true},
		{"sale 1 1,5", command{verb: "sale", station: 1, who: 0, redeem: 1_50}, true},
		{"sale 1 1.5", command{verb: "sale", station: 1, who: 0, redeem: 1_50}, true},
		{"open 3 300", command{verb: "open", station: 1, who: 2, redeem: 300_00}, true},
		{"open 2 3 300", command{verb: "open", station: 2, who: 2, redeem: 300_00}, true},
		{"close", command{verb: "close", station: 1}, true},
		{"close 2", command{verb: "close", station: 2}, true},
		{"open 3", command{}, false},
		{"close 3", command{}, false},
		{"sale 3 1 50", command{}, false},
		{"sale x 1 50", command{}, false},
		{"sale 1 1.555", command{}, false},
		{"sale 1 -5", command{}, false},
		{"issue 3", command{verb: "issue", station: 1, who: 2}, true},
		{"issue 2 3", command{verb: "issue", station: 2, who: 2}, true},
		{"issue", command{}, false},
		{"restart 2", command{verb: "restart", station: 2}, true},
		{"q", command{verb: "quit", station: 1}, true},
		{"", command{verb: "nothing", station: 1}, true},
		{"6", command{}, false},
		{"3 1", command{}, false},
		{"0", command{}, false},
		{"-1", command{}, false},
		{"1 1 1", command{}, false},
		{"sale", command{}, false},
		{"sale 1 2 3 4", command{}, false},
		{"cut 1", command{}, false},
		{"sale 1 99999999999999999999", command{}, false},
		{"fly", command{}, false},
	} {
		got, err := parseCommand(c.text, 5)
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q: got %+v, %v, want %+v, %v", c.text, got, err, c.want, c.ok)
		}
	}
}

// TestStoryFailsWhereBooksDiffer changes headquarters' books behind everybody's back: by a hundredth of a point.
func TestStoryFailsWhereBooksDiffer(t *testing.T) {
	out := &lockedBuffer{}
	run(t, out, func(ctx context.Context, n *network) error {
		s := &story{network: n, must: map[int]loyalty.Points{}}
		if err := errors.Join(s.ready(ctx), s.online(ctx)); err != nil {
			return err
		}
		if err := s.compared(ctx); err != nil {
			return err
		}
		id := n.people.account(anna)
		err := n.store.Update(ctx, func(tx hq.Tx) error {
			records, err := tx.Records([]loyalty.AccountID{id})
			if err != nil {
				return err
			}
			records[id].Account.Lots[0].Amount++
			return tx.Save(&hq.Changes{Records: []*loyalty.Record{records[id]}})
		})
		if err != nil {
			return err
		}
		n.patience = 100 * time.Millisecond // there is nothing to wait for
		if err := s.compared(ctx); !errors.Is(err, errDifferent) {
			t.Errorf("got %v, want %v", err, errDifferent)
		}
		return nil
	})
	if !strings.Contains(out.String(), "DIFFERENT") || !strings.Contains(out.String(), "Anna has 1284.5 points at station 1 and 1284.51 at headquarters") {
		t.Errorf("what differs is not told:\n%s", out)
	}
}

// run runs a network of its own and plays on it.
func run(t *testing.T, out *lockedBuffer, play func(context.Context, *network) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), storyTime)
	defer cancel()
	n, err := openNetwork(ctx, t.TempDir(), newTeller(out), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Run(ctx, func(ctx context.Context) error { return play(ctx, n) }); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// lockedBuffer is written by many at once and read at the end.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
