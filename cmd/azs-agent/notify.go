package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// States that the service manager understands (sd_notify(3)).
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
	notifyWatchdog = "WATCHDOG=1"
)

// notify tells the service manager a state: notifyReady once the agent answers, notifyWatchdog within every
// watchdogInterval, notifyStopping when it begins to stop. Several may be sent at once, one a line. Without a service
// manager, that is without NOTIFY_SOCKET, it does nothing. It never blocks for longer than a second.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	// A name that begins with @ is in the abstract namespace; net takes it as it is.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling the service manager %s: %w", state, err)
	}
	defer func() { _ = conn.Close() }() // a datagram is sent or not when Write returns
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("telling the service manager %s: %w", state, err)
	}
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling the service manager %s: %w", state, err)
	}
	return nil
}

// watchdogInterval is how often the service manager must hear notifyWatchdog: half the time after which it kills, as
// sd_watchdog_enabled(3) advises. 0 means that it does not wait for any.
func watchdogInterval() time.Duration {
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(time.Duration(1<<62)/time.Microsecond) {
		return 0
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0 // meant for another process that shares our environment
	}
	return time.Duration(usec) * time.Microsecond / 2
}
