package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// The exit statuses of `scanner check`, as those of every command that judges.
const (
	exitWarning = 1
	exitFailed  = 2
)

// status is how good something is.
type status string

const (
	statusOK      status = "ok"
	statusWarning status = "warning"
	statusFailed  status = "failed"
)

// finding is one thing looked at: a line of the report.
type finding struct {
	Type   string `json:"type"` // "check"
	Name   string `json:"name"`
	Status status `json:"status"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

// scannerCheck is one run of `scanner check`.
type scannerCheck struct {
	host    scanner.Host
	cfg     scanner.Config // resolved; its port is a path once it was found
	cards   card.Config
	decoder *card.Decoder
	limit   time.Duration
	steps   []*guidedStep
	report  reporter
	stop    context.CancelFunc

	start   time.Time
	chunks  []chunkTime // since the last frame
	seen    tally
	last    scanner.State
	advices []string // in the order they were first given
}

func newScannerCheckCmd() *cobra.Command {
	var (
		flags                  cardFlags
		c                      = &scannerCheck{}
		preset, name           string
		baud                   int
		asJSON, guided, byBaud bool
	)
	cmd := &cobra.Command{
		Use:   "check [PORT]",
		Short: "Try a scanner: the port, the settings, then what it sends",
		Long: `Looks at the port, the permission for it, who holds it, and at ModemManager, which takes new serial ports for modems.
Then opens it and shows every scan: the bytes with numbers masked, when they came, how the frame ended, what it was taken
for and why, and what to change. At the end it prints a block for the configuration.

The scanner and the cards are those of the configuration file, if there is one; the flags change them. Stop the agent
first: a port has one reader.

--guided asks for a set of scans that shows all that usually goes wrong: a card of your own, a QR code with Russian
letters, one with more than 500 characters, goods, and pulling out the cable; it ends when all were seen.

--baud-scan finds the speed: keep scanning one code while it tries them in turn, --for each.

Bank cards are never shown. Exit status: 0 the scanner works, 1 it works but something should be changed, 2 it does not
work, 78 the configuration is wrong.`,
		Example: `  azs-agent scanner check
  azs-agent scanner check /dev/ttyUSB0 --preset honeywell_rs232 --for 30s
  azs-agent scanner check --guided
  azs-agent scanner check /dev/ttyUSB0 --baud-scan`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.configure(cmd, args, name, preset, baud, &flags); err != nil {
				return err
			}
			c.report = &textReporter{out: cmd.OutOrStdout()}
			if asJSON {
				c.report = newJSONReporter(cmd.OutOrStdout())
			}
			ctx := cmd.Context()
			if byBaud {
				if !cmd.Flags().Changed("for") {
					c.limit = 4 * time.Second
				}
				return c.baudScan(ctx)
			}
			if guided {
				c.steps = guidedSet()
			}
			return c.run(ctx)
		},
	}
	flags.add(cmd, card.Config{})
	f := cmd.Flags()
	f.StringVar(&preset, "preset", "", fmt.Sprintf("`model` family: one of %v", scanner.PresetNames()))
	f.StringVar(&name, "scanner", "", "`name` of the scanner in the configuration, if it has several")
	f.IntVar(&baud, "baud", 0, "speed in `bit/s`")
	f.DurationVar(&c.limit, "for", time.Minute, "how long to wait for scans")
	f.BoolVar(&guided, "guided", false, "ask for a set of scans")
	f.BoolVar(&byBaud, "baud-scan", false, "find the speed")
	f.BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return cmd
}

// configure puts configuration file, arguments and flags together.
func (c *scannerCheck) configure(cmd *cobra.Command, args []string, name, preset string, baud int, flags *cardFlags) error {
	s, cards, _, err := configured(cmd, name)
	if err != nil {
		return err
	}
	sc, err := agent.ScannerConfig(s)
	if err != nil {
		return withStatus(exitConfig, err)
	}
	if len(args) == 1 {
		sc.Port, sc.Match = args[0], scanner.Match{}
	}
	if preset != "" {
		sc.Preset, sc.Line, sc.Framing.Terminator = preset, scanner.Line{}, ""
	}
	if baud != 0 {
		sc.Line.Baud = baud
	}
	c.cards = agent.CardConfig(cards, s)
	if err := flags.apply(cmd, &c.cards, &sc.Framing); err != nil {
		return err
	}
	if c.limit <= 0 {
		return errors.New("--for takes a time, like 30s")
	}
	sc.Logger = slog.New(slog.DiscardHandler) // the report says it
	if c.cfg, err = sc.Resolve(); err != nil {
		return withStatus(exitConfig, err)
	}
	if c.decoder, err = card.New(c.cards); err != nil {
		return withStatus(exitConfig, err)
	}
	return nil
}

// look examines what can be examined without opening the port, and tells whether opening makes sense.
func (c *scannerCheck) look() bool {
	c.find("settings", statusOK, fmt.Sprintf("%s, frames end with %s or after %v of silence", c.cfg.Line, c.cfg.Framing.Terminator, c.cfg.Framing.Gap), "")
	if c.cfg.Port == scanner.Auto {
		p, err := c.host.Find(c.cfg.Match)
		if err != nil {
			c.find("port", statusFailed, err.Error(), "name one: azs-agent scanner check /dev/ttyUSB0")
			return false
		}
		c.cfg.Port, c.cfg.Match = p.Path, scanner.Match{}
		c.find("port", statusOK, "found "+p.Path, "")
	}
	if err := scanner.Access(c.cfg.Port); err != nil {
		hint := "plug the scanner in; `azs-agent scanner list` shows what is there"
		if errors.Is(err, scanner.ErrPermission) {
			hint = "sudo usermod -aG dialout $USER, then log in again; or run this as root"
		}
		c.find("access", statusFailed, err.Error(), hint)
		return false
	}
	c.find("access", statusOK, c.cfg.Port+" may be read and written", "")
	if p, held := c.host.LockHolder(c.cfg.Port); held {
		c.find("lock", statusFailed, "in use by "+p.String(), "azs-agent service stop, and start it again afterwards")
		return false
	}
	if owners := c.host.Owners(c.cfg.Port); len(owners) > 0 {
		c.find("lock", statusWarning, fmt.Sprintf("open in %v, which takes part of the bytes", owners), "end that program")
	} else {
		c.find("lock", statusOK, "nobody holds it", "")
	}
	if p, runs := c.host.ModemManager(); runs {
		c.find("modemmanager", statusWarning, p.String()+" runs, and sends modem commands to new serial ports",
			"the package's udev rule keeps it off the scanner; without the package: systemctl disable --now ModemManager")
	} else {
		c.find("modemmanager", statusOK, "does not run", "")
	}
	return true
}

func (c *scannerCheck) find(name string, s status, text, hint string) {
	if s == statusWarning && hint != "" {
		c.advise(hint)
	}
	c.report.finding(finding{"check", name, s, text, hint})
}

// advise keeps an advice for the end, once.
func (c *scannerCheck) advise(hint string) {
	if !slices.Contains(c.advices, hint) {
		c.advices = append(c.advices, hint)
	}
}

// run is the whole check.
func (c *scannerCheck) run(ctx context.Context) error {
	if !c.look() {
		return c.conclude(statusFailed)
	}
	ctx, c.stop = context.WithTimeout(ctx, c.limit)
	defer c.stop()
	c.report.begin(c.limit, c.steps)
	if err := c.listen(ctx); err != nil {
		return err
	}
	return c.conclude(c.judge())
}

// listen shows what comes until the context ends. The callbacks run in the scanner's goroutine, one at a time, and
// nothing else touches the check meanwhile.
func (c *scannerCheck) listen(ctx context.Context) error {
	cfg := c.cfg
	cfg.OnChunk, cfg.OnFrame = c.onChunk, func(f scanner.Frame) { c.take(f) }
	cfg.OnState = func(s scanner.State) {
		if ctx.Err() == nil { // afterwards it is this check that closes the port
			c.onState(s)
		}
	}
	s, err := scanner.New(cfg)
	if err != nil {
		return withStatus(exitConfig, err)
	}
	c.start = time.Now()
	return s.Run(ctx)
}

// judge weighs what was seen.
func (c *scannerCheck) judge() status {
	t := &c.seen
	switch {
	case t.opens == 0:
		c.advise("the port could not be opened: " + c.last.LastError)
		return statusFailed
	case t.bytes == 0:
		c.advise("nothing came. In this order: does the scanner beep; does the code appear in a text editor (then it is in keyboard " +
			"mode: scan the manual's code for serial, COM or CDC); is flow control off in it; another speed (--baud-scan)")
		return statusFailed
	case t.readable == 0:
		c.advise("nothing readable came: try another speed, azs-agent scanner check --baud-scan")
		return statusFailed
	}
	missed := false
	for _, step := range c.steps {
		missed = missed || !step.Done
	}
	if missed || len(c.advices) > 0 {
		return statusWarning
	}
	return statusOK
}

// conclude prints the end of the report and turns the status into the exit status.
func (c *scannerCheck) conclude(s status) error {
	block := ""
	if c.seen.readable > 0 {
		block = c.configBlock()
	}
	if err := c.report.end(s, c.advices, c.steps, block); err != nil {
		return err
	}
	switch s {
	case statusWarning:
		return withStatus(exitWarning, errors.New(""))
	case statusFailed:
		return withStatus(exitFailed, errors.New(""))
	}
	return nil
}
