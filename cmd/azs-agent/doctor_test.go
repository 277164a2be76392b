package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// verdict is what a judge should say: the status, a part of the text, and the whole command.
type verdict struct {
	status  status
	text    string
	command string
}

// expect holds findings to verdicts, and every finding to what the doctor promises of a line.
func expect(t *testing.T, got []finding, want ...verdict) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d findings, want %d: %+v", len(got), len(want), got)
	}
	for i, f := range got {
		if f.Status != want[i].status || !strings.Contains(f.Text, want[i].text) || f.Hint != want[i].command {
			t.Errorf("got  %s: %s -> %s\nwant %s: ..%s.. -> %s", f.Status, f.Text, f.Hint, want[i].status, want[i].text, want[i].command)
		}
		if (f.Hint == "") != (f.Status == statusOK) {
			t.Errorf("%s: a line has a command if, and only if, it is not ok: %q", f.Status, f.Hint)
		}
		if strings.ContainsAny(f.Text+f.Hint, "\n\r") || f.Text == "" || f.Name == "" || len(f.Name) > 13 {
			t.Errorf("not a line of the report: %+v", f)
		}
	}
}

var (
	onLinux = advice{self: "azs-agent"}
	now     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

func TestJudgeConfig(t *testing.T) {
	two := config.Problems{{Source: "c.yaml", Line: 3, Column: 5, Key: "station.number", Message: "is missing", Excerpt: "x: 1", Hint: "h"}, {Message: "b"}}
	for _, tt := range []struct {
		err  error
		want verdict
	}{
		{nil, verdict{statusOK, "c.yaml: station 17", ""}},
		{withStatus(exitConfig, two), verdict{statusFailed, "c.yaml:3:5: station.number: is missing, and 1 problem more", "azs-agent config check"}},
		{withHint(fs.ErrNotExist, "h"), verdict{statusFailed, "not there", "azs-agent init"}},
		{fs.ErrPermission, verdict{statusFailed, "by this user", "sudo azs-agent doctor"}},
		{errors.New("odd"), verdict{statusFailed, "odd", "azs-agent config check"}},
	} {
		expect(t, []finding{judgeConfig(onLinux, "c.yaml", 17, tt.err)}, tt.want)
	}
}

func TestJudgeSecret(t *testing.T) {
	for _, tt := range []struct {
		f    secretFacts
		want verdict
	}{
		{secretFacts{mode: 0o640}, verdict{statusOK, "/e/t, mode 0640", ""}},
		{secretFacts{err: fs.ErrNotExist}, verdict{statusFailed, "not there", "head -c 32 /dev/urandom | base64 | install -m 640 -g azs-agent /dev/stdin /e/t"}},
		{secretFacts{name: "password", err: fs.ErrNotExist}, verdict{statusFailed, "not there", "install -m 640 -g azs-agent FILE /e/t"}},
		{secretFacts{err: fmt.Errorf("x: %w", fs.ErrPermission)}, verdict{statusWarning, "by this user", "sudo azs-agent doctor"}},
		{secretFacts{err: config.ErrSecretExposed, mode: 0o644}, verdict{statusFailed, "everybody on this machine (mode 0644)", "chmod o= /e/t"}},
		{secretFacts{denied: "/e/t"}, verdict{statusFailed, "may not read /e/t", "chgrp azs-agent /e/t && chmod 640 /e/t"}},
		{secretFacts{denied: "/e"}, verdict{statusFailed, "may not enter /e", "chgrp azs-agent /e && chmod g+x /e"}},
	} {
		if tt.f.path = "/e/t"; tt.f.name == "" {
			tt.f.name = "token"
		}
		expect(t, []finding{judgeSecret(onLinux, tt.f)}, tt.want)
	}
}

func TestJudgeService(t *testing.T) {
	of := func(s serviceStatus) serviceFacts { return serviceFacts{serviceStatus: s} }
	crash := judge(show("SubState=auto-restart", "NRestarts=7"), time.Hour)
	for _, tt := range []struct {
		name    string
		f       serviceFacts
		answers bool
		want    []verdict
	}{
		{"running", of(serviceStatus{State: stateRunning, Enabled: true, PID: 7, Restarts: 1}), true,
			[]verdict{{statusOK, "running, process 7, restarted 1 time, starts with the machine", ""}}},
		{"no systemd", serviceFacts{err: withHint(errNoManager, "h")}, false, nil},
		{"no answer", serviceFacts{err: errors.New("systemctl: no bus")}, false, []verdict{{statusWarning, "no bus", "systemctl status azs-agent"}}},
		{"absent", of(serviceStatus{State: stateAbsent}), false, []verdict{{statusFailed, "not installed", "azs-agent service install"}}},
		{"by hand", of(serviceStatus{State: stateAbsent}), true, []verdict{{statusWarning, "will not start with the machine", "azs-agent service install"}}},
		{"disabled", of(serviceStatus{State: stateRunning}), true, []verdict{{statusWarning, "does not start with", "systemctl enable azs-agent"}}},
		{"shadowed", of(serviceStatus{State: stateRunning, Enabled: true, Detail: "x hides\nthe unit", Hint: "rm x"}), true,
			[]verdict{{statusWarning, "running: x hides; the unit", "rm x"}}},
		{"stopped", of(serviceStatus{State: stateStopped}), false, []verdict{{statusFailed, "stopped", "azs-agent service start"}}},
		{"beside another", of(serviceStatus{State: stateStopped, Hint: "azs-agent service start"}), true, []verdict{{statusWarning, "started by hand", "azs-agent service start"}}},
		{"starting", of(serviceStatus{State: stateStarting}), false, []verdict{{statusWarning, "starting", "azs-agent doctor"}}},
		{"crash loop", of(crash), false, []verdict{{statusFailed, "crash loop: it ended and was restarted 7 times", "journalctl -u azs-agent -n 50"}}},
	} {
		t.Run(tt.name, func(t *testing.T) { expect(t, judgeService(onLinux, tt.f, tt.answers), tt.want...) })
	}
}

// station is a status as the agent gives it, with everything well.
func station(change func(*stationStatus)) *stationStatus {
	s := &stationStatus{Clock: "good"}
	s.Station.Number, s.Station.Version, s.Station.Started = 17, "1.0", now.Add(-time.Hour)
	s.HQ.Configured, s.HQ.Online, s.HQ.Since = true, true, now
	if change != nil {
		change(s)
	}
	return s
}

func TestJudgeAgent(t *testing.T) {
	const address = "127.0.0.1:8713"
	running := serviceFacts{serviceStatus: serviceStatus{State: stateRunning}}
	stopped := serviceFacts{serviceStatus: serviceStatus{State: stateStopped}}
	refused := errors.New("connection refused")
	for _, tt := range []struct {
		name string
		f    agentFacts
		s    serviceFacts
		want []verdict
	}{
		{"answers", agentFacts{status: station(nil)}, running, []verdict{{statusOK, "version 1.0, for 1h0m0s", ""}}},
		{"old version", agentFacts{status: station(func(s *stationStatus) { s.Station.Version = "0.9" })}, running,
			[]verdict{{statusWarning, "version 0.9 runs, version 1.0 is installed", "azs-agent service restart"}}},
		{"other station", agentFacts{status: station(func(s *stationStatus) { s.Station.Number = 18 })}, running,
			[]verdict{{statusWarning, "is of station 18, the configuration says 17", "azs-agent service restart"}}},
		{"token kept from us", agentFacts{err: fs.ErrPermission, taken: []string{address}}, running, []verdict{{statusWarning, "without its token", "sudo azs-agent doctor"}}},
		{"hangs", agentFacts{err: refused, taken: []string{address}}, running, []verdict{{statusFailed, "cannot be asked", "azs-agent service restart"}}},
		{"hangs by hand", agentFacts{err: refused, taken: []string{address}, held: true, holder: scanner.Process{PID: 9, Name: "azs-agent"}}, serviceFacts{err: errNoManager},
			[]verdict{{statusFailed, "azs-agent (pid 9) runs, but cannot be asked", "kill 9"}}},
		{"ports taken", agentFacts{err: refused, taken: []string{address, "127.0.0.1:9713"}}, stopped, []verdict{
			{statusFailed, address + " is taken by another program", "ss -ltnp 'sport = :8713'"}, {statusFailed, "9713 is taken", "ss -ltnp 'sport = :9713'"}}},
		{"stopped", agentFacts{err: refused}, stopped, nil},
		{"silent", agentFacts{err: refused}, running, []verdict{{statusFailed, "connection refused", "azs-agent service restart"}}},
		{"no services here", agentFacts{err: refused}, serviceFacts{err: errNoManager}, []verdict{{statusFailed, "does not run", "azs-agent run"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.f.address = address
			expect(t, judgeAgent(onLinux, tt.f, tt.s, 17, "1.0", now), tt.want...)
		})
	}
}

func TestJudgeClock(t *testing.T) {
	for _, tt := range []struct {
		f    clockFacts
		want verdict
	}{
		{clockFacts{now: now, known: true, synced: true, mark: "good"}, verdict{statusOK, "synchronised", ""}},
		{clockFacts{now: now}, verdict{statusOK, "2026-11-21 12:00:00 UTC", ""}},
		{clockFacts{now: now, known: true}, verdict{statusWarning, "not synchronised", "timedatectl set-ntp true"}},
		{clockFacts{now: now, known: true, synced: true, mark: "behind"}, verdict{statusFailed, "behind of headquarters' clock", "timedatectl set-ntp true"}},
		{clockFacts{now: time.Unix(0, 0).UTC(), built: now, known: true, synced: true}, verdict{statusFailed, "1970-01-01", "timedatectl set-ntp true"}},
	} {
		expect(t, []finding{judgeClock(onLinux, tt.f)}, tt.want)
	}
}

func TestJudgeLedger(t *testing.T) {
	bad := fmt.Errorf("%w: 1 findings", ledger.ErrCorrupt)
	for _, tt := range []struct {
		name string
		f    ledgerFacts
		want verdict
	}{
		{"works", ledgerFacts{status: station(nil)}, verdict{statusOK, "works", ""}},
		{"failed", ledgerFacts{status: station(func(s *stationStatus) { s.Ledger.Failed = true })}, verdict{statusFailed, "cannot be read", "journalctl -u azs-agent -n 50"}},
		{"full", ledgerFacts{status: station(func(s *stationStatus) { s.Ledger.Full = true })}, verdict{statusFailed, "full", "df -h /l"}},
		{"frozen", ledgerFacts{status: station(func(s *stationStatus) { s.Ledger.Frozen = true })}, verdict{statusWarning, "accrues only", "azs-agent status"}},
		{"none", ledgerFacts{missing: true, err: fs.ErrNotExist}, verdict{statusOK, "first start makes it", ""}},
		{"held", ledgerFacts{holder: "azs-agent (pid 9)", err: bad}, verdict{statusWarning, "azs-agent (pid 9) may be writing it", "azs-agent journal verify"}},
		{"hidden", ledgerFacts{err: fs.ErrPermission}, verdict{statusWarning, "by this user", "sudo azs-agent doctor"}},
		{"large", ledgerFacts{late: true, records: 5, err: context.DeadlineExceeded}, verdict{statusWarning, "5 records are sound so far", "azs-agent journal verify"}},
		{"corrupt", ledgerFacts{err: bad}, verdict{statusFailed, "1 findings (the next start", "azs-agent service restart"}},
		{"bad disk", ledgerFacts{err: errors.New("input/output error")}, verdict{statusFailed, "input/output error", "dmesg --level=err,warn"}},
		{"foreign", ledgerFacts{report: &ledger.Report{Station: 18}}, verdict{statusFailed, "of station 18", "azs-agent config show"}},
		{"sound", ledgerFacts{report: &ledger.Report{Station: 17, Epoch: 2, First: 1, Last: 9, Acked: 4}}, verdict{statusOK, "epoch 2, entries 1 to 9, 5 of them not acknowledged", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.f.path, tt.f.station = "/l/ledger.db", 17
			expect(t, []finding{judgeLedger(onLinux, tt.f)}, tt.want)
		})
	}
}

func TestJudgeHQAndProgramme(t *testing.T) {
	hq := func(change func(*stationStatus)) []finding { return judgeHQ(onLinux, station(change), 17) }
	expect(t, judgeHQ(onLinux, nil, 17))
	expect(t, hq(nil), verdict{statusOK, "0 entries not acknowledged", ""})
	expect(t, hq(func(s *stationStatus) { s.HQ.Configured = false }), verdict{statusOK, "works alone", ""})
	expect(t, hq(func(s *stationStatus) { s.HQ.Backlog = manyEntries + 1 }), verdict{statusWarning, "10001 entries", "azs-agent status"})
	expect(t, hq(func(s *stationStatus) { s.HQ.Online, s.HQ.Backlog = false, 1 }), verdict{statusFailed, "1 entry not acknowledged (it does not answer)", "journalctl -u azs-agent -n 50"})
	expect(t, hq(func(s *stationStatus) { s.HQ.Online, s.HQ.Reason = false, agent.HQSilent }), verdict{statusFailed, "see that azs-hq runs, and that station 17 is in the list", "azs-hq stations list"})
	expect(t, hq(func(s *stationStatus) { s.HQ.Reason = "unknown_station" }), verdict{statusFailed, "does not know station 17", "azs-hq stations add 17"})

	expect(t, judgeProgramme(onLinux, programmeFacts{}))
	expect(t, judgeProgramme(onLinux, programmeFacts{status: station(nil)}), verdict{statusFailed, "none", "azs-hq programme publish programme.yaml"})
	expect(t, judgeProgramme(onLinux, programmeFacts{file: "p q.yaml", err: errors.New("3:1: odd\n4:1: odd")}), verdict{statusFailed, "3:1: odd; 4:1: odd", "azs-agent programme check 'p q.yaml'"})
	expect(t, judgeProgramme(onLinux, programmeFacts{file: "p.yaml"}), verdict{statusOK, "can be read", ""})
}

func TestJudgeScanner(t *testing.T) {
	const list, restart = "azs-agent scanner list", "azs-agent service restart"
	other := []scanner.Process{{PID: 12, Name: "minicom"}}
	for _, tt := range []struct {
		name string
		f    scannerFacts
		want verdict
	}{
		{"connected", scannerFacts{live: true, online: true}, verdict{statusOK, "connected", ""}},
		{"free", scannerFacts{}, verdict{statusOK, "nobody holds it", ""}},
		{"unplugged", scannerFacts{live: true, err: scanner.ErrNoPort}, verdict{statusFailed, "s1: no such port", list}},
		{"two", scannerFacts{err: scanner.ErrAmbiguous}, verdict{statusFailed, "several ports match", list}},
		{"not ours", scannerFacts{err: scanner.ErrPermission}, verdict{statusWarning, "this user may not open /dev/x", "sudo azs-agent doctor"}},
		{"not the service's", scannerFacts{service: true, denied: "/dev/x"}, verdict{statusFailed, "may not open /dev/x", "usermod -aG dialout azs-agent && " + restart}},
		{"held by another", scannerFacts{lock: "minicom (pid 12)", owners: other}, verdict{statusFailed, "held by minicom (pid 12)", "kill 12"}},
		{"held by an agent", scannerFacts{lock: "azs-agent (pid 9)", owners: []scanner.Process{{PID: 9, Name: "azs-agent"}}}, verdict{statusFailed, "held by azs-agent", restart}},
		{"shared", scannerFacts{owners: other}, verdict{statusWarning, "also open in minicom (pid 12)", "kill 12"}},
		{"silent", scannerFacts{live: true, reason: "input/output error"}, verdict{statusFailed, "not connected (input/output error)", list}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.f.name, tt.f.port = "s1", "/dev/x"
			expect(t, []finding{judgeScanner(onLinux, tt.f)}, tt.want)
		})
	}
	mm := modemFacts{runs: true, process: scanner.Process{PID: 3, Name: "ModemManager"}}
	expect(t, []finding{judgeModemManager(mm)}, verdict{statusWarning, "ModemManager (pid 3) runs", "systemctl disable --now ModemManager"})
	mm.rule = true
	expect(t, []finding{judgeModemManager(mm), judgeModemManager(modemFacts{})}, verdict{statusOK, "keeps it off", ""}, verdict{statusOK, "does not run", ""})
	expect(t, judgeCards(onLinux, config.Cards{}, 1), verdict{statusWarning, "every scan", "azs-agent scanner check --range 7005:16:luhn"})
	expect(t, judgeCards(onLinux, config.Cards{}, 0))
	expect(t, judgeCards(onLinux, config.Cards{Ranges: make([]config.CardRange, 2), URLHosts: []string{"a"}}, 1), verdict{statusOK, "2 ranges of numbers, 1 host of links", ""})
	expect(t, judgeCards(onLinux, config.Cards{URLHosts: []string{"a"}, FormsKey: "age1zvkyg2lqzraa2ln"}, 1), verdict{statusOK, "1 host of links, forms are sealed to age1zvkyg2lq...", ""})
}

func TestJudgeDisk(t *testing.T) {
	const gib = 1 << 30
	room := "du -xh --max-depth=2 / | sort -h | tail -n 20"
	for _, tt := range []struct {
		f    diskFacts
		want verdict
	}{
		{diskFacts{free: 9 * gib}, verdict{statusOK, "9.0 GiB free in /l", ""}},
		{diskFacts{free: 3 * gib, size: 2 * gib}, verdict{statusOK, "3.0 GiB free", ""}},
		{diskFacts{free: 3 * gib}, verdict{statusWarning, "before the ledger reaches ledger.max_size, 4.0 GiB", room}},
		{diskFacts{free: 5 << 20}, verdict{statusFailed, "5 MiB free in /l: redeeming stops", room}},
		{diskFacts{err: fs.ErrNotExist}, verdict{statusFailed, "/l is not there", "mkdir -p -m 750 /l"}},
		{diskFacts{err: fs.ErrNotExist, known: true}, verdict{statusFailed, "/l is not there", "install -d -m 750 -o azs-agent -g azs-agent /l"}},
		{diskFacts{free: 9 * gib, kind: "tmpfs"}, verdict{statusFailed, "in memory", "azs-agent config show"}},
		{diskFacts{free: 9 * gib, kind: "nfs"}, verdict{statusFailed, "network disk (nfs)", "azs-agent config show"}},
		{diskFacts{free: 9 * gib, denied: "/l"}, verdict{statusFailed, "may not write at /l", "chown -R azs-agent:azs-agent /l"}},
	} {
		tt.f.path, tt.f.limit = "/l/ledger.db", 4*gib
		expect(t, []finding{judgeDisk(onLinux, tt.f)}, tt.want)
	}
	health := "smartctl -H $(findmnt -nvo SOURCE -T /l)"
	timed := func(ms ...time.Duration) finding {
		for i := range ms {
			ms[i] *= time.Millisecond
		}
		return judgeSync(onLinux, syncFacts{folder: "/l", times: ms})
	}
	expect(t, []finding{timed(900, 2, 1), timed(19, 21, 25), timed(190, 201, 900)},
		verdict{statusOK, "in 2ms (median of 3, the slowest 900ms)", ""}, verdict{statusWarning, "21ms", health}, verdict{statusFailed, "201ms", health})
	expect(t, []finding{judgeSync(onLinux, syncFacts{folder: "/l", times: []time.Duration{time.Microsecond}})}, verdict{statusWarning, "in memory only", "findmnt -T /l"})
	fresh := diskFacts{path: config.DefaultAgent().Ledger.Path, err: fs.ErrNotExist, absent: true}
	expect(t, []finding{judgeDisk(onLinux, fresh)}, verdict{statusFailed, "is not there", "azs-agent service install"})
	expect(t, []finding{judgeSync(onLinux, syncFacts{folder: "/l", err: fs.ErrPermission})}, verdict{statusWarning, "not timed", "sudo azs-agent doctor"})

	used := fastCommitFacts{used: true, device: "/dev/sda1", kernel: "5.10.0-28-amd64"}
	expect(t, judgeFastCommit(used), verdict{statusWarning, "Linux 5.10.0-28-amd64", "tune2fs -O ^fast_commit /dev/sda1"})
	used.kernel = "5.17.0"
	expect(t, judgeFastCommit(used))
}

func TestKernelBefore(t *testing.T) {
	for release, want := range map[string]bool{"5.10.0-28-amd64": true, "5.16.20": true, "4.19": true, "5.17.0": false, "6.1.0": false, "odd": false, "": false} {
		if kernelBefore(release, 5, 17) != want {
			t.Errorf("%q: not %v", release, want)
		}
	}
}

func TestAdviceQuotesWhatAShellWouldSplit(t *testing.T) {
	for path, want := range map[string]string{"/etc/azs-agent/c.yaml": "/etc/azs-agent/c.yaml", "/a b": "'/a b'", "/a'b": `'/a'\''b'`, "/$(x)": "'/$(x)'", `a\b`: `'a\b'`} {
		if got := onLinux.quote(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := (advice{windows: true}).quote(`C:\Program Files\x`); got != `"C:\Program Files\x"` {
		t.Errorf("got %s", got)
	}
}

// TestWithinGivesUp: a check that hangs on a device ends the wait and not the doctor.
func TestWithinGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		hang := make(chan bool)
		start := time.Now()
		if _, done := within(ctx, grace, func(context.Context) bool { return <-hang }); done || time.Since(start) != time.Minute+grace {
			t.Errorf("done %v after %s", done, time.Since(start))
		}
		close(hang)
		if v, done := within(ctx, grace, func(context.Context) int { return 7 }); v != 7 || !done {
			t.Errorf("got %d, %v", v, done)
		}
	})
}

func TestProbeSyncLeavesNothing(t *testing.T) {
	folder := t.TempDir()
	f := probeSync(t.Context(), folder)
	left, err := os.ReadDir(folder)
	if f.err != nil || len(f.times) == 0 || err != nil || len(left) != 0 {
		t.Errorf("%d times, %v; left %v, %v", len(f.times), f.err, left, err)
	}
	if f := probeSync(t.Context(), filepath.Join(folder, "none")); !errors.Is(f.err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", f.err)
	}
}

// TestDoctorPrintsNoSecret runs the whole doctor on a configuration whose files hold a secret, each in its own way wrong.
func TestDoctorPrintsNoSecret(t *testing.T) {
	const secret = "do-not-print-me-0123456789"
	folder := t.TempDir()
	file := filepath.Join(folder, "secret")
	t.Setenv("AZS_CONFIG", filepath.Join(folder, "c.yaml"))
	text := fmt.Sprintf("station: {number: 17}\nledger: {path: %q}\napi: {listen: \"127.0.0.1:1\", token_file: %q}\nmetrics: {listen: \"\"}\n"+
		"programme: {file: %q}\nhq: {brokers: [\"tls://127.0.0.1:1\"], username: x, password_file: %q, cert_file: %q, key_file: %q, ca_file: %q}\n",
		filepath.Join(folder, "ledger.db"), file, file, file, file, file, file)
	if err := errors.Join(os.WriteFile(file, []byte(secret+"\n"), 0o640), os.WriteFile(filepath.Join(folder, "c.yaml"), []byte(text), 0o640)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"doctor"}, {"doctor", "--json"}} {
		var out, errs bytes.Buffer
		if got := execute(args, strings.NewReader(""), &out, &errs); got != exitFailed {
			t.Errorf("exit status %d\n%s%s", got, &out, &errs)
		}
		if strings.Contains(out.String()+errs.String(), secret) {
			t.Errorf("%v prints it:\n%s%s", args, &out, &errs)
		}
		if len(args) == 1 {
			continue
		}
		var r doctorReport
		if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Status != statusFailed || len(r.Checks) < 8 {
			t.Errorf("%v: %+v", err, r)
		}
	}
}

func TestDoctorExitStatus(t *testing.T) {
	d := &doctor{}
	for s, want := range map[status]int{statusOK: 0, statusWarning: 1, statusFailed: 2} {
		if got := exitStatus(d.conclude(s)); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
	d.cfgErr = config.ErrInvalid
	if got := exitStatus(d.conclude(statusFailed)); got != exitConfig {
		t.Errorf("configuration: %d", got)
	}
}
