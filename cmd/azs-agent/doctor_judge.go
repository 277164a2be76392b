package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

func pass(name, text string) finding {
	return finding{Type: "check", Name: name, Status: statusOK, Text: text}
}

func warn(name, text, command string) finding {
	return finding{Type: "check", Name: name, Status: statusWarning, Text: text, Hint: command}
}

func fail(name, text, command string) finding {
	return finding{Type: "check", Name: name, Status: statusFailed, Text: text, Hint: command}
}

// judgeSilence is about a check that did not end in time.
func judgeSilence(a advice, name string, limit time.Duration) finding {
	return fail(name, fmt.Sprintf("no answer within %s: a disk or a device hangs", limit), a.on("powershell Get-WinEvent System -MaxEvents 50", "dmesg --level=err,warn"))
}

// judgeConfig is about the file as it was loaded.
func judgeConfig(a advice, path string, number uint32, err error) finding {
	const name = "configuration"
	var problems config.Problems
	switch {
	case err == nil:
		return pass(name, fmt.Sprintf("%s: station %d", path, number))
	case errors.As(err, &problems):
		p := problems[0]
		p.Excerpt, p.Hint = "", ""
		text := p.String()
		if more := len(problems) - 1; more > 0 {
			text += ", and " + counted(more, "problem") + " more"
		}
		return fail(name, text, a.verb("config check"))
	case errors.Is(err, fs.ErrNotExist):
		return fail(name, path+" is not there", a.verb("init"))
	case errors.Is(err, fs.ErrPermission):
		return fail(name, path+" may not be read by this user", a.asRoot())
	}
	return fail(name, err.Error(), a.verb("config check"))
}

// secretFacts are about a file with a secret.
type secretFacts struct {
	name   string // of the line
	path   string
	mode   fs.FileMode
	err    error  // of reading it as the agent does
	denied string // the file or folder at which the service's account is stopped; empty: nowhere
}

func judgeSecret(a advice, s secretFacts) finding {
	q := a.quote(s.path)
	anew := "install -m 640 -g azs-agent FILE " + q
	if s.name == "token" {
		anew = "head -c 32 /dev/urandom | base64 | install -m 640 -g azs-agent /dev/stdin " + q
	}
	anew = a.on(`powershell "[guid]::NewGuid().ToString('N') | Set-Content -Encoding ascii '`+s.path+`'"`, anew)
	switch {
	case errors.Is(s.err, fs.ErrNotExist):
		return fail(s.name, s.path+" is not there", anew)
	case errors.Is(s.err, fs.ErrPermission):
		return warn(s.name, s.path+" may not be read by this user", a.asRoot())
	case errors.Is(s.err, config.ErrSecretExposed):
		return fail(s.name, fmt.Sprintf("%s can be read by everybody on this machine (mode %04o)", s.path, s.mode.Perm()), "chmod o= "+q)
	case s.err != nil:
		return fail(s.name, s.err.Error(), anew)
	case s.denied == s.path:
		return fail(s.name, "the service, as user azs-agent, may not read "+s.path, "chgrp azs-agent "+q+" && chmod 640 "+q)
	case s.denied != "":
		return fail(s.name, "the service, as user azs-agent, may not enter "+s.denied, "chgrp azs-agent "+a.quote(s.denied)+" && chmod g+x "+a.quote(s.denied))
	case a.windows:
		return pass(s.name, s.path)
	}
	return pass(s.name, fmt.Sprintf("%s, mode %04o", s.path, s.mode.Perm()))
}

// serviceFacts are what the service manager says.
type serviceFacts struct {
	serviceStatus
	err error
}

// runs tells whether the manager says that there is a process.
func (s serviceFacts) runs() bool {
	return s.err == nil && (s.State == stateRunning || s.State == stateStarting || s.State == stateCrashLoop)
}

// judgeService is about the unit. answers says that an agent answers, wherever it was started from.
func judgeService(a advice, s serviceFacts, answers bool) []finding {
	const name = "service"
	one := func(f finding) []finding { return []finding{f} }
	detail := strings.ReplaceAll(s.Detail, "\n", "; ")
	text := string(s.State)
	if detail != "" {
		text += ": " + detail
	}
	switch {
	case errors.Is(s.err, errNoManager):
		return nil
	case s.err != nil:
		return one(warn(name, s.err.Error(), a.on("sc query azs-agent", "systemctl status azs-agent")))
	case s.State == stateAbsent && answers:
		return one(warn(name, "not installed: the agent runs, but will not start with the machine", a.verb("service install")))
	case s.State == stateAbsent:
		return one(fail(name, text, a.verb("service install")))
	case s.State == stateRunning && detail != "":
		return one(warn(name, text, s.Hint))
	case s.State == stateRunning && !s.Enabled:
		return one(warn(name, "running, but does not start with the machine", a.on("sc config azs-agent start= auto", "systemctl enable azs-agent")))
	case s.State == stateRunning:
		if s.PID > 0 {
			text += fmt.Sprintf(", process %d", s.PID)
		}
		if s.Restarts > 0 {
			text += ", restarted " + counted(s.Restarts, "time")
		}
		return one(pass(name, text+", starts with the machine"))
	case s.State == stateStarting:
		return one(warn(name, text, a.verb("doctor")))
	case answers: // started by hand beside a service that is not
		return one(warn(name, text+", but an agent runs that was started by hand: end it", orElse(s.Hint, a.verb("service start"))))
	}
	return one(fail(name, text, orElse(s.Hint, a.verb("service start"))))
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// agentFacts are about the agent that should answer on this machine.
type agentFacts struct {
	status  *stationStatus // nil: it did not answer
	err     error          // why not
	address string         // where it was asked
	taken   []string       // addresses of the configuration at which somebody listens, although no agent answered
	holder  scanner.Process
	held    bool // holder has the ledger open, although no agent answered
}

// judgeAgent is about the running agent, or about who is in its place.
func judgeAgent(a advice, f agentFacts, s serviceFacts, number uint32, version string, now time.Time) []finding {
	const name = "agent"
	one := func(f finding) []finding { return []finding{f} }
	if st := f.status; st != nil {
		switch {
		case st.Station.Number != number:
			return one(warn(name, fmt.Sprintf("the agent at %s is of station %d, the configuration says %d", f.address, st.Station.Number, number), a.verb("service restart")))
		case st.Station.Version != version:
			return one(warn(name, fmt.Sprintf("version %s runs, version %s is installed", st.Station.Version, version), a.verb("service restart")))
		}
		return one(pass(name, fmt.Sprintf("answers at %s, version %s, for %s", f.address, version, now.Sub(st.Station.Started).Round(time.Second))))
	}
	switch {
	case errors.Is(f.err, fs.ErrPermission):
		return one(warn(name, "cannot be asked without its token", a.asRoot()))
	case f.held && !s.runs(): // started by hand; ending it loses nothing that was answered
		return one(fail(name, fmt.Sprintf("%s runs, but cannot be asked: %v", f.holder, f.err), fmt.Sprintf("kill %d", f.holder.PID)))
	case (f.held || len(f.taken) > 0) && s.runs():
		return one(fail(name, fmt.Sprintf("runs, but cannot be asked: %v", f.err), a.verb("service restart")))
	case len(f.taken) > 0:
		var found []finding
		for _, address := range f.taken {
			port := address[strings.LastIndexByte(address, ':')+1:]
			found = append(found, fail(name, address+" is taken by another program", a.on("netstat -abno | findstr :"+port, "ss -ltnp 'sport = :"+port+"'")))
		}
		return found
	case errors.Is(s.err, errNoManager):
		return one(fail(name, "does not run", a.verb("run")))
	case s.err == nil && s.State != stateRunning:
		return nil // the service's line says it
	}
	return one(fail(name, fmt.Sprintf("does not answer: %v", f.err), a.verb("service restart")))
}

// clockFacts are about this machine's clock.
type clockFacts struct {
	now    time.Time
	built  time.Time // when this program was made; zero: not known
	known  bool      // the operating system says whether it is synchronised
	synced bool
	mark   string // what the running agent thinks of it, by headquarters' clock
}

func judgeClock(a advice, f clockFacts) finding {
	const name = "clock"
	now := f.now.Format("2006-01-02 15:04:05 MST")
	switch {
	case f.now.Before(f.built):
		return fail(name, now+" is before this program was made: the battery of the clock?", a.setClock())
	case f.mark == "behind" || f.mark == "ahead":
		return fail(name, fmt.Sprintf("%s is %s of headquarters' clock", now, f.mark), a.setClock())
	case f.known && !f.synced:
		return warn(name, now+", not synchronised with the network", a.setClock())
	case f.known:
		return pass(name, now+", synchronised")
	}
	return pass(name, now)
}

// judgeHQ is about headquarters, as the running agent sees it.
func judgeHQ(a advice, st *stationStatus, number uint32) []finding {
	const name = "hq"
	if st == nil {
		return nil
	}
	hq := st.HQ
	backlog := "1 entry not acknowledged"
	if hq.Backlog != 1 {
		backlog = fmt.Sprintf("%d entries not acknowledged", hq.Backlog)
	}
	switch {
	case !hq.Configured:
		return []finding{pass(name, "none is configured: the station works alone")}
	case hq.Reason == "unknown_station":
		return []finding{fail(name, fmt.Sprintf("headquarters does not know station %d; %s (run this at headquarters)", number, backlog), fmt.Sprintf("azs-hq stations add %d", number))}
	case hq.Reason == "too_old":
		return []finding{fail(name, "headquarters no longer speaks with this version; "+backlog, a.on("azs-agent-setup.exe", "apt-get install --only-upgrade azs-agent"))}
	case hq.Reason == "trimmed":
		return []finding{fail(name, "headquarters needs entries that this station no longer keeps; "+backlog+": tell headquarters", a.log())}
	case !hq.Online && hq.Reason == agent.HQSilent:
		return []finding{fail(name, fmt.Sprintf("out of reach%s, %s (%s): at headquarters see that azs-hq runs, and that station %d is in the list (run this at headquarters)", since(hq.Since), backlog, hq.Reason, number), "azs-hq stations list")}
	case !hq.Online:
		return []finding{fail(name, fmt.Sprintf("out of reach%s, %s (%s)", since(hq.Since), backlog, orElse(hq.Reason, "it does not answer")), a.log())}
	case hq.Backlog > manyEntries:
		return []finding{warn(name, "answers, "+backlog, a.verb("status"))}
	}
	return []finding{pass(name, fmt.Sprintf("answers%s, %s", since(hq.Since), backlog))}
}

// since tells from when on, if that is known.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.Local().Format(time.DateTime)
}

// manyEntries is a backlog that a working link does not have: a second or two of sending.
const manyEntries = 10_000

// programmeFacts are about the programme: the agent's, or, where none runs, the file it would begin with.
type programmeFacts struct {
	status *stationStatus
	file   string // "" : none is configured
	err    error  // of reading the file as the agent does
}

func judgeProgramme(a advice, f programmeFacts) []finding {
	const name = "programme"
	switch {
	case f.status != nil && f.status.Programme != nil:
		return []finding{pass(name, fmt.Sprintf("%s, version %d", f.status.Programme.Name, f.status.Programme.Version))}
	case f.status != nil:
		return []finding{fail(name, "none: headquarters has not published one, and the configuration names no file (run this at headquarters)", "azs-hq programme publish programme.yaml")}
	case f.err != nil:
		return []finding{fail(name, strings.ReplaceAll(f.err.Error(), "\n", "; "), a.verb("programme check "+a.quote(f.file)))}
	case f.file != "":
		return []finding{pass(name, f.file+" can be read")}
	}
	return nil
}

// ledgerFacts are about the ledger's file: the running agent's word, or what reading it through has shown.
type ledgerFacts struct {
	path    string
	status  *stationStatus
	station uint32         // of the configuration
	missing bool           // there is no file
	holder  string         // the process that has it open, when no agent answers
	report  *ledger.Report // nil: not read
	err     error          // of reading
	late    bool           // the time was over before the end
	records uint64         // read until then
}

func judgeLedger(a advice, f ledgerFacts) finding {
	const name = "ledger"
	if st := f.status; st != nil {
		switch {
		case st.Ledger.Failed:
			return fail(name, "cannot be read: the log says why", a.log())
		case st.Ledger.Full:
			return fail(name, "full: redeeming is refused until there is room, or ledger.max_size is raised", a.on("cleanmgr", "df -h "+a.quote(filepath.Dir(f.path))))
		case st.Ledger.Frozen:
			return warn(name, "accrues only, until headquarters has reconciled it", a.verb("status"))
		}
		return pass(name, "works")
	}
	switch {
	case f.missing:
		return pass(name, f.path+" is not there yet: the agent's first start makes it")
	case f.holder != "":
		return warn(name, "not read: "+f.holder+" may be writing it", a.verb("journal verify"))
	case errors.Is(f.err, fs.ErrPermission):
		return warn(name, f.path+" may not be read by this user", a.asRoot())
	case f.late:
		return warn(name, fmt.Sprintf("not all was read in time: %d records are sound so far", f.records), a.verb("journal verify"))
	case errors.Is(f.err, ledger.ErrCorrupt):
		return fail(name, fmt.Sprintf("%v (the next start keeps this file aside and salvages what can be read)", f.err), a.verb("service restart"))
	case f.err != nil:
		return fail(name, f.err.Error(), a.on("chkdsk", "dmesg --level=err,warn"))
	case uint32(f.report.Station) != f.station:
		return fail(name, fmt.Sprintf("%s is of station %d, the configuration says %d", f.path, f.report.Station, f.station), a.verb("config show"))
	}
	r := f.report
	text := fmt.Sprintf("sound: epoch %d, entries %d to %d", r.Epoch, r.First, r.Last)
	if r.Last == 0 {
		text = fmt.Sprintf("sound: epoch %d, no entries", r.Epoch)
	}
	return pass(name, text+fmt.Sprintf(", %d of them not acknowledged, read through", r.Last-min(r.Acked, r.Last)))
}

// kernelBefore tells whether a release of Linux ("5.10.0-28-amd64") is older than major.minor. One that it cannot read is
// not.
func kernelBefore(release string, major, minor int) bool {
	parts := strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })
	if len(parts) < 2 {
		return false
	}
	x, errX := strconv.Atoi(parts[0])
	y, errY := strconv.Atoi(parts[1])
	return errX == nil && errY == nil && slices.Compare([]int{x, y}, []int{major, minor}) < 0
}
