//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNotify listens as a service manager does, on a path and in the abstract namespace.
func TestNotify(t *testing.T) {
	for name, address := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": fmt.Sprintf("@azs-agent-test-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := conn.Close(); err != nil {
					t.Error(err)
				}
			}()
			t.Setenv("NOTIFY_SOCKET", address)
			state := notifyReady + "\n" + notifyWatchdog
			if err := notify(state); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 100)
			n, err := conn.Read(got)
			if err != nil || string(got[:n]) != state {
				t.Errorf("got %q, %v", got[:n], err)
			}
		})
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify(notifyReady); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	if err := notify(notifyReady); err == nil || !strings.Contains(err.Error(), notifyReady) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestWatchdogInterval(t *testing.T) {
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"15000000", "", 7500 * time.Millisecond}, {"0", "", 0}, {"-5", "", 0}, {"often", "", 0},
		{"9223372036854775807", "", 0},
		{"15000000", fmt.Sprint(os.Getpid()), 7500 * time.Millisecond}, {"15000000", "1", 0},
	} {
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		if got := watchdogInterval(); got != tt.want {
			t.Errorf("usec %q pid %q: %v, want %v", tt.usec, tt.pid, got, tt.want)
		}
	}
}
