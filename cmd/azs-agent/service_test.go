package main

import (
	"strings"
	"testing"
	"time"
)

// show is the output of `systemctl show` for a service that runs, with changes.
func show(changes ...string) string {
	lines := []string{
		"LoadState=loaded", "ActiveState=active", "SubState=running", "UnitFileState=enabled",
		"FragmentPath=/usr/lib/systemd/system/azs-agent.service", "MainPID=412", "NRestarts=0", "Result=success",
		"ExecMainStatus=0", "ActiveEnterTimestampMonotonic=1000000000",
	}
	for _, c := range changes {
		key, _, _ := strings.Cut(c, "=")
		for i, l := range lines {
			if strings.HasPrefix(l, key+"=") {
				lines[i] = c
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestJudge(t *testing.T) {
	const entered = 1000 * time.Second
	for _, tt := range []struct {
		name   string
		show   string
		now    time.Duration
		want   serviceState
		hint   string
		status int
	}{
		{"runs", show(), entered + time.Second, stateRunning, "", 0},
		{"restarted long ago", show("NRestarts=3"), entered + time.Hour, stateRunning, "", 0},
		{"active between two crashes", show("NRestarts=3"), entered + time.Second, stateCrashLoop, "journalctl", 1},
		{"waits for the next try", show("ActiveState=activating", "SubState=auto-restart", "NRestarts=0", "MainPID=0"), entered, stateCrashLoop, "journalctl", 1},
		{"crashes before it is ready", show("ActiveState=activating", "SubState=start", "NRestarts=8"), entered, stateCrashLoop, "journalctl", 1},
		{"first start", show("ActiveState=activating", "SubState=start"), entered, stateStarting, "", 3},
		{"stopped", show("ActiveState=inactive", "SubState=dead", "MainPID=0"), entered, stateStopped, "service start", 3},
		{"wrong configuration", show("ActiveState=failed", "SubState=failed", "ExecMainStatus=78", "Result=exit-code"), entered, stateFailed, "azs-agent doctor", 1},
		{"killed", show("ActiveState=failed", "SubState=failed", "Result=timeout"), entered, stateFailed, "journalctl", 1},
		{"masked", show("LoadState=masked", "ActiveState=inactive"), entered, stateStopped, "unmask", 3},
		{"not there", show("LoadState=not-found", "ActiveState=inactive"), entered, stateAbsent, "service install", 4},
		{"nothing said", "", entered, stateAbsent, "service install", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(tt.show, tt.now)
			if got.State != tt.want || !strings.Contains(got.Hint, tt.hint) || got.exitStatus() != tt.status {
				t.Errorf("got %+v, exit status %d", got, got.exitStatus())
			}
		})
	}
	if s := judge(show("UnitFileState=disabled"), entered); s.Enabled {
		t.Error("a disabled service counts as enabled")
	}
}
