package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// serviceName is the name of the service on every operating system.
const serviceName = "azs-agent"

// serviceControl is what the verbs of `azs-agent service` need of the operating system. Its methods wait until the
// thing is done or ctx ends.
type serviceControl interface {
	// Install makes the service start with the machine, and starts it. Doing it again changes nothing.
	Install(ctx context.Context) error
	// Uninstall stops the service and takes it from the machine's start. Configuration and ledger stay.
	Uninstall(ctx context.Context) error
	// Control starts, stops or restarts the service.
	Control(ctx context.Context, action serviceAction) error
	// Status reports how the service is. A service that is not there is a state and not an error.
	Status(ctx context.Context) (serviceStatus, error)
}

// serviceAction is what can be asked of an installed service.
type serviceAction string

// The actions.
const (
	actionStart   serviceAction = "start"
	actionStop    serviceAction = "stop"
	actionRestart serviceAction = "restart"
)

// serviceState is how a service is.
type serviceState string

// The states a technician must be able to tell apart.
const (
	stateAbsent    serviceState = "not installed"
	stateStopped   serviceState = "stopped"
	stateStarting  serviceState = "starting"
	stateRunning   serviceState = "running"
	stateCrashLoop serviceState = "crash loop" // started again and again; the service manager calls it running
	stateFailed    serviceState = "failed"
)

// serviceStatus is what `service status` prints.
type serviceStatus struct {
	State    serviceState `json:"state"`
	Enabled  bool         `json:"enabled"`            // starts with the machine
	PID      int          `json:"pid,omitempty"`      // of the process, when there is one
	Restarts int          `json:"restarts,omitempty"` // since the service was last started by hand
	Unit     string       `json:"unit,omitempty"`     // the file that defines it
	Detail   string       `json:"detail,omitempty"`   // what went wrong
	Hint     string       `json:"hint,omitempty"`     // what to do about it
}

// exitStatus follows the LSB: 0 running, 1 dead, 3 not running, 4 unknown.
func (s serviceStatus) exitStatus() int {
	switch s.State {
	case stateRunning:
		return 0
	case stateCrashLoop, stateFailed:
		return 1
	case stateAbsent:
		return 4
	}
	return 3
}

// errNoManager says that nobody here manages services in a way this program knows.
var errNoManager = errors.New("this machine does not run systemd")

// errNotInstalled says that there is no service to act on.
var errNotInstalled = errors.New("the service is not installed")

// serviceDeadline bounds every verb: longer than the daemon may take to start or to stop.
const serviceDeadline = 90 * time.Second

func newServiceCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Install, start, stop and watch the service",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	verb := func(use, short, long, done string, do func(context.Context, serviceControl) error) {
		cmd.AddCommand(&cobra.Command{
			Use: use, Short: short, Long: long, Args: cobra.NoArgs,
			Example: "  azs-agent service " + use,
			RunE: func(cmd *cobra.Command, _ []string) error {
				ctx, cancel := context.WithTimeout(cmd.Context(), serviceDeadline)
				defer cancel()
				if use == "install" {
					if _, err := loadConfig(cmd); err != nil {
						return err // it would start and stop at once
					}
				}
				control, err := newServiceControl(configPath(cmd))
				if err != nil {
					return err
				}
				if err := do(ctx, control); err != nil {
					if errors.Is(err, errNotInstalled) {
						return withHint(err, "run `azs-agent service install`")
					}
					return err
				}
				cmd.Println(done)
				return nil
			},
		})
	}
	verb("install", "Start the service, now and with the machine", `Starts the agent now and with the machine, after checking its configuration.

Where the package is installed, its unit is enabled and started. Without the package, the account, the folders, the udev
rule and the unit are created first; the program must then lie where the service can see it, as /usr/local/bin.`,
		"The service is installed and running.", func(ctx context.Context, c serviceControl) error { return c.Install(ctx) })
	verb("uninstall", "Stop the service and do not start it with the machine", `Stops the agent and takes it from the machine's start. The configuration, the ledger and the account stay.`,
		"The service is uninstalled. The configuration and the ledger stay.", func(ctx context.Context, c serviceControl) error { return c.Uninstall(ctx) })
	for action, short := range map[serviceAction]string{
		actionStart: "Start the service", actionStop: "Stop the service until the next start", actionRestart: "Stop the service and start it again",
	} {
		verb(string(action), short, "", "Done.", func(ctx context.Context, c serviceControl) error { return c.Control(ctx, action) })
	}
	cmd.AddCommand(newServiceStatusCmd())
	return cmd
}

func newServiceStatusCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the service runs",
		Long: `Says whether the service runs, and tells running from starting again and again.

Ends with 0 when it runs, 1 when it failed or crashes, 3 when it is stopped or starting, 4 when it is not installed.`,
		Example: "  azs-agent service status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), serviceDeadline)
			defer cancel()
			control, err := newServiceControl(configPath(cmd))
			if err != nil {
				return err
			}
			s, err := control.Status(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd, s)
			} else {
				printStatus(cmd, s)
			}
			if err == nil && s.exitStatus() != 0 {
				err = withStatus(s.exitStatus(), errors.New(""))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(cmd *cobra.Command, s serviceStatus) {
	line := string(s.State)
	if s.PID > 0 {
		line += fmt.Sprintf(", process %d", s.PID)
	}
	if s.State != stateAbsent && !s.Enabled {
		line += ", does not start with the machine"
	}
	if s.Restarts > 0 {
		line += ", restarted " + counted(s.Restarts, "time")
	}
	cmd.Println(line)
	if s.Detail != "" {
		cmd.Println(s.Detail)
	}
	if s.Hint != "" {
		cmd.Println("hint: " + s.Hint)
	}
}
