package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// doctorReport is what `doctor --json` prints.
type doctorReport struct {
	Status  status    `json:"status"` // the worst of the checks
	Version string    `json:"version"`
	Config  string    `json:"config"`
	Checks  []finding `json:"checks"`
}

func newDoctorCmd() *cobra.Command {
	var (
		asJSON bool
		limit  time.Duration
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything the agent needs, and say how to mend what is wrong",
		Long: `Compares the configuration with the machine: secrets and their permissions, the service, the running agent and the port
it listens on, the ledger, the disk and how fast it really writes, the clock, each scanner, each broker with its
certificate, headquarters, the programme. A line for each: ok, warning or failed; below a line that is not ok stands one
command that mends it, or that shows the cause.

It changes nothing: the running agent goes on, ports are not opened, the ledger is only read. Beside the ledger it writes a
small file to time the disk, and removes it. A ledger is read through only while no agent runs.

Run it as root: another user sees less. Nothing secret is printed; the report can be mailed as it is.

Exit status: 0 all is well, 1 there are warnings, 2 something failed, 78 the configuration is wrong.`,
		Example: `  sudo azs-agent doctor
  azs-agent doctor --json | jq -r '.checks[] | select(.status != "ok") | .hint'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < time.Second {
				return withHint(fmt.Errorf("--timeout %s is too short", limit), "the least is 1s")
			}
			c, err := loadConfig(cmd)
			d := newDoctor(cmd, c, err, limit)
			report := doctorReport{Status: statusOK, Version: buildVersion().Version, Config: d.path}
			text := &textReporter{out: cmd.OutOrStdout()}
			d.examine(cmd.Context(), func(f finding) {
				report.Checks = append(report.Checks, f)
				report.Status = worse(report.Status, f.Status)
				if !asJSON {
					text.finding(f)
				}
			})
			if cmd.Context().Err() != nil {
				return errors.New("interrupted")
			}
			if asJSON {
				err = printJSON(cmd, report)
			} else {
				text.printf("\nResult: %s\n", report.Status)
				err = text.err
			}
			if err != nil {
				return err
			}
			return d.conclude(report.Status)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&limit, "timeout", 20*time.Second, "how long each check may take")
	return cmd
}

// worse is the worse of two.
func worse(a, b status) status {
	switch {
	case a == statusFailed || b == statusFailed:
		return statusFailed
	case a == statusWarning || b == statusWarning:
		return statusWarning
	}
	return statusOK
}

// doctor is one run of `azs-agent doctor`: it gathers facts (doctor_probe.go and its neighbours) and leaves what they mean
// to the judges (doctor_judge.go and its neighbour), which touch nothing.
type doctor struct {
	path    string // of the configuration
	cfg     config.Agent
	cfgErr  error
	limit   time.Duration
	advice  advice
	host    scanner.Host
	account *account // of the service; nil where this user cannot tell what it may do

	agent   agentFacts // asked before the checks that build on them
	service serviceFacts
}

func newDoctor(cmd *cobra.Command, c config.Agent, cfgErr error, limit time.Duration) *doctor {
	d := &doctor{
		path: configPath(cmd), cfg: c, cfgErr: cfgErr, limit: limit,
		advice: advice{self: "azs-agent", windows: runtime.GOOS == "windows"},
	}
	if cmd.Flag("config").Changed {
		d.advice.self += " --config " + d.advice.quote(d.path)
	}
	// The service of the machine reads only the file in its place; another file is somebody's experiment.
	if d.path == config.AgentPath() && os.Geteuid() == 0 {
		d.account = serviceUser()
	}
	return d
}

// check is one thing to look at. run returns no finding where the check does not apply.
type check struct {
	name string
	run  func(context.Context) []finding
}

// checks are all checks in the order of the report.
func (d *doctor) checks() []check {
	if d.cfgErr != nil {
		return []check{{"configuration", d.checkConfig}, {"service", d.checkService}, {"clock", d.checkClock}}
	}
	list := []check{
		{"configuration", d.checkConfig},
		{"token", d.checkSecrets},
		{"service", d.checkService},
		{"agent", d.checkAgent},
		{"disk", d.checkStorage}, // and the ledger behind it: reading it through would disturb timing the disk
		{"clock", d.checkClock},
	}
	for _, s := range d.cfg.Scanners {
		list = append(list, check{"scanner", func(context.Context) []finding { return d.checkScanner(s) }})
	}
	if len(d.cfg.Scanners) > 0 {
		list = append(list, check{"modemmanager", d.checkModemManager})
	}
	return append(list,
		check{"cards", d.checkCards},
		check{"broker", d.checkBrokers},
		check{"certificate", d.checkCertificate},
		check{"hq", d.checkHQ},
		check{"programme", d.checkProgramme},
	)
}

// examine runs all checks at once and hands their findings on in the order of the report, each as soon as those before it
// are there.
func (d *doctor) examine(ctx context.Context, found func(finding)) {
	d.ask(ctx)
	list := d.checks()
	results := make([]chan []finding, len(list))
	for i, c := range list {
		results[i] = make(chan []finding, 1)
		go func() {
			ctx, cancel := context.WithTimeout(ctx, d.limit)
			defer cancel()
			findings, done := within(ctx, grace, c.run)
			if !done {
				findings = []finding{judgeSilence(d.advice, c.name, d.limit)}
			}
			results[i] <- findings
		}()
	}
	for _, r := range results {
		for _, f := range <-r {
			found(f)
		}
	}
}

// ask asks the running agent and the service manager; most checks build on what they say.
func (d *doctor) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(d.limit, 10*time.Second))
	defer cancel()
	services := make(chan serviceFacts, 1)
	go func() {
		s, done := within(ctx, grace, func(ctx context.Context) serviceFacts { return probeService(ctx, d.path) })
		if !done {
			s.err = errors.New("the service manager does not answer")
		}
		services <- s
	}()
	if d.cfgErr == nil {
		if d.agent = probeAgent(ctx, d.cfg); d.agent.status == nil {
			d.agent.holder, d.agent.held = d.ledgerHolder()
		}
	}
	d.service = <-services
}

// grace is how long a check may go on after its time, to say what it has seen until then.
const grace = time.Second

// within runs f and waits for it until the context has ended, and a little longer. A system call that hangs on a broken disk
// cannot be ended: then done is false, and what f still does ends with the process.
func within[T any](ctx context.Context, longer time.Duration, f func(context.Context) T) (result T, done bool) {
	ended := make(chan T, 1)
	go func() { ended <- f(ctx) }()
	select {
	case result = <-ended:
		return result, true
	case <-ctx.Done():
	}
	late := time.NewTimer(longer)
	defer late.Stop()
	select {
	case result = <-ended:
		return result, true
	case <-late.C:
		return result, false
	}
}

// conclude turns the worst status into the exit status. The report has said everything.
func (d *doctor) conclude(s status) error {
	said := errors.New("")
	switch {
	case d.cfgErr != nil:
		return withStatus(exitConfig, said)
	case s == statusFailed:
		return withStatus(exitFailed, said)
	case s == statusWarning:
		return withStatus(exitWarning, said)
	}
	return nil
}

// advice makes the commands that mend things, for the operating system it is told.
type advice struct {
	self    string // how this program is called, with its configuration
	windows bool
}

// verb is a command of this program.
func (a advice) verb(words string) string { return a.self + " " + words }

// asRoot is the doctor again, seeing more.
func (a advice) asRoot() string {
	if a.windows {
		return "powershell Start-Process cmd -Verb RunAs"
	}
	return "sudo " + a.self + " doctor"
}

// log shows what the agent said last.
func (a advice) log() string {
	if a.windows {
		return "powershell Get-EventLog Application -Source azs-agent -Newest 20"
	}
	return "journalctl -u azs-agent -n 50"
}

// setClock makes the operating system set the clock from the network.
func (a advice) setClock() string {
	if a.windows {
		return "w32tm /resync"
	}
	return "timedatectl set-ntp true"
}

// on chooses the command of the operating system.
func (a advice) on(windows, other string) string {
	if a.windows {
		return windows
	}
	return other
}

// quote writes a path so that a shell takes it for one word.
func (a advice) quote(path string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:=@%\\"
	switch {
	case strings.Trim(path, plain) == "" && (a.windows || !strings.ContainsRune(path, '\\')):
		return path
	case a.windows:
		return `"` + path + `"`
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
