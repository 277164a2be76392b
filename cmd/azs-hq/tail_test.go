package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/sync/mqtt/broker"
)

// TestFollowThroughRestarts: a follower that was begun before headquarters lets them start, goes on when they stop and
// start again, and prints every entry once.
func TestFollowThroughRestarts(t *testing.T) {
	b, err := broker.Open(broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	settings := config.DefaultHQ()
	settings.Brokers = []string{b.URL()}
	settings.Store.Path = filepath.Join(t.TempDir(), "hq.db")
	settings.HTTP.TokenFile = settings.Store.Path + ".token"
	settings.HTTP.Listen, settings.Metrics.Listen = freeAddress(t), ""
	flags := []string{"--store", settings.Store.Path, "--listen", settings.HTTP.Listen}
	if status := execute(append([]string{"stations", "add", "17", "18", "--create"}, flags...), nil, io.Discard, io.Discard); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	var out, errs lockedBuffer
	stop := follow(t, flags, &out, &errs)
	await(t, &errs, "azs-hq does not run; waiting for it", 1)
	for n, station := range []loyalty.StationID{17, 18} {
		end := runInBackground(t, settings)
		await(t, &errs, "following the running azs-hq", n+1)
		if err := sell(t, b.URL(), station, 5); err != nil {
			t.Fatal(err)
		}
		await(t, &out, `"pos":`, 2*n+2)
		end()
		await(t, &errs, "azs-hq does not run; waiting for it", n+2)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(regexp.MustCompile(`"pos":\d+`).FindAllString(out.String(), -1), " "); got != `"pos":1 "pos":2 "pos":3 "pos":4` {
		t.Errorf("printed %s", got)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// follow runs `tail --follow` until stop, which returns what it ended with.
func follow(t *testing.T, flags []string, out, errs io.Writer) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	root := newRootCmd()
	root.SetArgs(append([]string{"tail", "--follow"}, flags...))
	root.SetOut(out)
	root.SetErr(errs)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	return func() error { cancel(); return <-ended }
}

// runInBackground runs headquarters until end.
func runInBackground(t *testing.T, settings config.HQ) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runHQ(ctx, settings, runMode{}, slog.New(slog.DiscardHandler)) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// await waits until a text was written so many times.
func await(t *testing.T, b *lockedBuffer, text string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for strings.Count(b.String(), text) < times {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("not %d times %q in:\n%s", times, text, b)
		}
	}
}

// lockedBuffer is written and read at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is everything written so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
