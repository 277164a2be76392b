package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// settled is how long a restarted service must run before it counts as running again. With RestartSec=2 a service that
// crashes at its start never gets there, while systemd calls it active most of the time.
const settled = 30 * time.Second

// judge reads the output of `systemctl show` (lines of Key=value). now is the machine's monotonic clock.
func judge(show string, now time.Duration) serviceStatus {
	p := map[string]string{}
	for line := range strings.Lines(show) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			p[key] = value
		}
	}
	s := serviceStatus{Enabled: p["UnitFileState"] == "enabled", Unit: p["FragmentPath"]}
	s.PID, _ = strconv.Atoi(p["MainPID"])
	s.Restarts, _ = strconv.Atoi(p["NRestarts"])
	activeSince, _ := strconv.ParseInt(p["ActiveEnterTimestampMonotonic"], 10, 64)
	upFor := now - time.Duration(activeSince)*time.Microsecond

	switch {
	case p["LoadState"] == "not-found" || p["LoadState"] == "":
		return serviceStatus{State: stateAbsent, Hint: "run `azs-agent service install`"}
	case p["LoadState"] == "masked":
		s.State, s.Detail, s.Hint = stateStopped, "the service is masked", "systemctl unmask azs-agent"
	case p["SubState"] == "auto-restart", s.Restarts > 0 && p["ActiveState"] == "activating",
		s.Restarts > 0 && p["ActiveState"] == "active" && upFor < settled:
		s.State = stateCrashLoop
		s.Detail = fmt.Sprintf("it ended and was restarted %s, last less than %s ago", counted(s.Restarts, "time"), settled)
		s.Hint = "journalctl -u azs-agent -n 50"
	case p["ActiveState"] == "active":
		s.State = stateRunning
	case p["ActiveState"] == "activating":
		s.State = stateStarting
	case p["ActiveState"] == "failed":
		s.State = stateFailed
		s.Detail = "it ended: " + p["Result"]
		s.Hint = "journalctl -u azs-agent -n 50"
	default:
		s.State, s.Hint = stateStopped, "azs-agent service start"
	}
	if p["ExecMainStatus"] == strconv.Itoa(exitConfig) && s.State != stateRunning {
		s.State, s.Detail, s.Hint = stateFailed, "the configuration is wrong, or a file that it names", "azs-agent doctor"
	}
	return s
}
