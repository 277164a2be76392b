package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// diskFacts are about the disk the ledger lies on.
type diskFacts struct {
	path   string // of the ledger
	err    error  // of looking at its folder
	denied string // where the service's account is stopped; empty: nowhere
	free   int64  // bytes that an ordinary process may still write
	size   int64  // bytes of the ledger; 0: there is none yet
	limit  int64  // ledger.max_size
	known  bool   // the service's account exists
	absent bool   // the service is not installed; installing it makes the folder and the account
	kind   string // of a file system that is no place for a ledger; empty: nothing is known against it
}

// leastFree is what the ledger keeps back at most; below it redeeming stops.
const leastFree = 64 << 20

func judgeDisk(a advice, f diskFacts) finding {
	const name = "disk"
	folder := filepath.Dir(f.path)
	q := a.quote(folder)
	room := a.on("cleanmgr", "du -xh --max-depth=2 / | sort -h | tail -n 20")
	free := amount(f.free)
	switch {
	case errors.Is(f.err, fs.ErrNotExist):
		create := "mkdir -p -m 750 " + q
		switch {
		case f.absent && f.path == config.DefaultAgent().Ledger.Path:
			create = a.verb("service install")
		case f.known:
			create = "install -d -m 750 -o azs-agent -g azs-agent " + q
		}
		return fail(name, "the ledger's folder "+folder+" is not there", a.on("mkdir "+q, create))
	case errors.Is(f.err, fs.ErrPermission):
		return warn(name, folder+" may not be entered by this user", a.asRoot())
	case f.err != nil:
		return fail(name, f.err.Error(), a.on("chkdsk", "dmesg --level=err,warn"))
	case f.denied != "":
		return fail(name, "the service, as user azs-agent, may not write at "+f.denied, "chown -R azs-agent:azs-agent "+q)
	case f.kind == "tmpfs":
		return fail(name, folder+" is in memory: the ledger would be lost with the power; set ledger.path", a.verb("config show"))
	case f.kind != "":
		return fail(name, folder+" is on a network disk ("+f.kind+"): the ledger needs a local one; set ledger.path", a.verb("config show"))
	case f.free < leastFree:
		return fail(name, free+" free in "+folder+": redeeming stops", room)
	case f.free < f.limit-f.size:
		return warn(name, fmt.Sprintf("%s free in %s: the disk is full before the ledger reaches ledger.max_size, %s", free, folder, amount(f.limit)), room)
	}
	return pass(name, free+" free in "+folder)
}

// amount is a number of bytes as a person reads it.
func amount(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
}

// syncFacts are how long the disk took to make 4 KiB durable, some times over.
type syncFacts struct {
	folder string
	times  []time.Duration
	err    error
}

// A sale waits for the disk twice: at its opening and at its end. Above slowSync the cashier begins to feel it; above
// hopelessSync the disk is ill.
const (
	slowSync     = 20 * time.Millisecond
	hopelessSync = 200 * time.Millisecond
	// No disk is quicker than this: what was written lies in memory, where the power takes it.
	feignedSync = 5 * time.Microsecond
)

func judgeSync(a advice, f syncFacts) finding {
	const name = "fsync"
	q := a.quote(f.folder)
	health := a.on("powershell Get-PhysicalDisk", "smartctl -H $(findmnt -nvo SOURCE -T "+q+")")
	switch {
	case errors.Is(f.err, fs.ErrPermission):
		return warn(name, "not timed: this user may not write in "+f.folder, a.asRoot())
	case f.err != nil:
		return fail(name, f.err.Error(), health)
	}
	slices.Sort(f.times)
	p50 := f.times[len(f.times)/2]
	text := fmt.Sprintf("4 KiB are on the disk in %s (median of %d, the slowest %s)", short(p50), len(f.times), short(f.times[len(f.times)-1]))
	switch {
	case p50 > hopelessSync:
		return fail(name, text+": every sale waits for it", health)
	case p50 > slowSync:
		return warn(name, text+": every sale waits for it", health)
	case p50 < feignedSync:
		return warn(name, text+": no disk is that quick, it is kept in memory only", a.on("powershell Get-PhysicalDisk", "findmnt -T "+q))
	}
	return pass(name, text)
}

// short is a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// fastCommitFacts are about ext4's fast commits, which before Linux 5.17 could lose what was synced.
type fastCommitFacts struct {
	used   bool
	device string
	kernel string
}

func judgeFastCommit(f fastCommitFacts) []finding {
	if !f.used || !kernelBefore(f.kernel, 5, 17) {
		return nil
	}
	return []finding{warn("ext4", fmt.Sprintf("%s uses fast commits, which Linux %s may lose with the power; turn them off and restart the machine", f.device, f.kernel), "tune2fs -O ^fast_commit "+f.device)}
}

// judgeCards is about what the configuration takes for a card. Without scanners numbers come from the cash register only,
// which knows what it sends.
func judgeCards(a advice, c config.Cards, scanners int) []finding {
	const name = "cards"
	if scanners == 0 {
		return nil
	}
	var known []string
	for _, k := range []struct {
		n    int
		noun string
	}{{len(c.Ranges), "range of numbers"}, {len(c.URLHosts), "host of links"}, {len(c.TokenPrefixes), "beginning of tokens"}} {
		if k.n > 0 {
			first, rest, _ := strings.Cut(k.noun, " ")
			known = append(known, counted(k.n, first)+" "+rest)
		}
	}
	if len(known) == 0 {
		return []finding{warn(name, "none are named under `cards`: every scan is taken for something else", a.verb("scanner check --range 7005:16:luhn"))}
	}
	if c.FormsKey != "" {
		known = append(known, "forms are sealed to "+c.FormsKey[:min(12, len(c.FormsKey))]+"...")
	}
	return []finding{pass(name, strings.Join(known, ", "))}
}

// scannerFacts are about one scanner of the configuration.
type scannerFacts struct {
	name    string
	port    string // what was found, or what is configured
	live    bool   // the running agent has a word on it:
	online  bool   // it is connected,
	reason  string // or why not
	err     error  // of looking for the port and at its permissions
	denied  string // where the service's account is stopped; empty: nowhere
	lock    string // the process that holds the port, other than the agent that answers
	owners  []scanner.Process
	service bool // the service's account was looked at, and not only this user
}

func judgeScanner(a advice, f scannerFacts) finding {
	const name = "scanner"
	list := a.verb("scanner list")
	what := f.name + " at " + f.port
	switch {
	case f.live && f.online:
		return pass(name, what+": connected")
	case errors.Is(f.err, scanner.ErrPermission) && !f.service:
		return warn(name, f.name+": this user may not open "+f.port, a.asRoot())
	case f.err != nil:
		return fail(name, f.name+": "+strings.TrimPrefix(f.err.Error(), "scanner: "), list)
	case f.denied != "":
		return fail(name, fmt.Sprintf("%s: the service, as user azs-agent, may not open %s", f.name, f.denied), "usermod -aG dialout azs-agent && "+a.verb("service restart"))
	case f.lock != "":
		return fail(name, what+" is held by "+f.lock, kill(a, f.owners, f.lock))
	case len(f.owners) > 0:
		return warn(name, fmt.Sprintf("%s is also open in %s, which takes part of the bytes", what, processes(f.owners)), kill(a, f.owners, ""))
	case f.live:
		return fail(name, what+": not connected ("+orElse(f.reason, "no reason is known")+")", list)
	}
	return pass(name, what+": there, and nobody holds it")
}

// kill ends the programs that hold a port; the agent itself is restarted.
func kill(a advice, owners []scanner.Process, lock string) string {
	if strings.HasPrefix(lock, "azs-agent ") || len(owners) == 0 {
		return a.verb("service restart")
	}
	words := []string{"kill"}
	for _, p := range owners {
		words = append(words, fmt.Sprint(p.PID))
	}
	return strings.Join(words, " ")
}

func processes(list []scanner.Process) string {
	var names []string
	for _, p := range list {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// modemFacts are about ModemManager.
type modemFacts struct {
	runs    bool
	process scanner.Process
	rule    bool // our udev rule, which keeps it off scanners, is installed
}

func judgeModemManager(f modemFacts) finding {
	const name = "modemmanager"
	switch {
	case f.runs && !f.rule:
		return warn(name, f.process.String()+" runs, and sends modem commands to new serial ports", "systemctl disable --now ModemManager")
	case f.runs:
		return pass(name, "runs; the udev rule keeps it off the scanners")
	}
	return pass(name, "does not run")
}

// brokerFacts are about the way to one broker.
type brokerFacts struct {
	address string // as configured
	host    string
	port    string
	step    brokerStep // the last one tried
	err     error      // of that step
	took    time.Duration
	expires time.Time // of the broker's certificate; zero: none was seen
	caFile  string
}

// brokerStep is a step on the way to a broker.
type brokerStep string

// The steps, in their order.
const (
	stepName    brokerStep = "name"
	stepConnect brokerStep = "connect"
	stepFiles   brokerStep = "files"
	stepTLS     brokerStep = "TLS"
)

// soon is how long before its end a certificate is to be renewed.
const soon = 30 * 24 * time.Hour

// judgeBrokers judges all together: the agent tries them in turn, so that one that cannot be reached beside one that can is
// no failure yet.
func judgeBrokers(a advice, list []brokerFacts, now time.Time) []finding {
	reached := slices.ContainsFunc(list, func(f brokerFacts) bool { return f.err == nil })
	var found []finding
	for _, f := range list {
		one := judgeBroker(a, f, now)
		if f.err != nil && reached {
			one.Status = statusWarning
		}
		found = append(found, one)
	}
	return found
}

func judgeBroker(a advice, f brokerFacts, now time.Time) finding {
	const name = "broker"
	shown := "openssl s_client -verify_return_error -connect " + net.JoinHostPort(f.host, f.port)
	if f.caFile != "" {
		shown += " -CAfile " + a.quote(f.caFile)
	}
	if f.err == nil {
		text := fmt.Sprintf("%s: reached in %s", f.address, short(f.took))
		if f.expires.IsZero() {
			return pass(name, text)
		}
		text += ", its certificate ends " + f.expires.Local().Format(time.DateOnly)
		if f.expires.Sub(now) < soon {
			return warn(name, text+": headquarters must renew it", shown)
		}
		return pass(name, text)
	}
	text := fmt.Sprintf("%s: %v", f.address, f.err)
	switch f.step {
	case stepName:
		return fail(name, text, a.on("nslookup "+f.host, "getent hosts "+f.host))
	case stepConnect:
		if ip := net.ParseIP(f.host); ip.IsLoopback() || f.host == "localhost" {
			return fail(name, text, a.on("sc start mosquitto", "systemctl start mosquitto"))
		}
		return fail(name, text, a.on("powershell Test-NetConnection "+f.host+" -Port "+f.port, "nc -vz -w 3 "+f.host+" "+f.port))
	case stepFiles:
		return fail(name, text, a.verb("config show"))
	}
	return fail(name, text, shown)
}

// certificateFacts are about the station's own certificate.
type certificateFacts struct {
	path       string
	err        error // of reading it with its key
	name       string
	begin, end time.Time
}

func judgeCertificate(a advice, f certificateFacts, now time.Time) finding {
	const name = "certificate"
	show := a.on("certutil -dump ", "openssl x509 -noout -subject -dates -in ") + a.quote(f.path)
	text := fmt.Sprintf("%s of %q", f.path, f.name)
	end := f.end.Local().Format(time.DateOnly)
	switch {
	case errors.Is(f.err, fs.ErrPermission):
		return warn(name, f.path+" or its key may not be read by this user", a.asRoot())
	case f.err != nil:
		return fail(name, f.err.Error(), show)
	case now.Before(f.begin):
		return fail(name, text+" is valid only from "+f.begin.Local().Format(time.DateTime)+": is the clock right?", a.setClock())
	case !now.Before(f.end):
		return fail(name, text+" has ended "+end+": ask headquarters for a new one", show)
	case f.end.Sub(now) < soon:
		return warn(name, text+" ends "+end+": ask headquarters for a new one", show)
	}
	return pass(name, text+" is valid until "+end)
}
