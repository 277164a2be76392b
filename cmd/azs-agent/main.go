// Command azs-agent is the loyalty agent of a fuel station: the daemon (`azs-agent run`) and the technician's commands,
// one file per verb.
//
// It promises scripts three things. Results go to standard output and everything else to standard error; every verb
// that prints a result has --json; and the exit status is 0 when what was asked is done, 78 when the configuration is
// wrong, or a file that it names (a supervisor must not restart then), and 1 or what the verb documents otherwise.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
)

// exitConfig is the exit status for a wrong configuration: EX_CONFIG of sysexits.h. The unit does not restart after it.
const exitConfig = 78

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// execute runs one command line and returns the exit status.
func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRootCmd()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		_, _ = fmt.Fprintf(stderr, "azs-agent: %s\n", text)
	}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		_, _ = fmt.Fprintf(stderr, "hint: %s\n", h.Hint())
	}
	return exitStatus(err)
}

// newRootCmd builds the command line. Each verb stands in a file of its own.
func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "azs-agent",
		Short: "Loyalty agent of a fuel station",
		Long: `azs-agent reads loyalty cards at a fuel station, keeps the points in a local ledger,
serves the cash register and the cashier's page, and sends every entry to headquarters.

A new station:

  azs-agent init                 asks a few questions and writes the configuration
  azs-agent service install      starts the agent, now and with the machine
  azs-agent service status       says whether it runs
  azs-agent doctor               looks at everything, and says how to mend what is wrong`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	path := config.AgentPath()
	if p := os.Getenv("AZS_CONFIG"); p != "" {
		path = p
	}
	root.PersistentFlags().StringP("config", "c", path, "configuration `file` (or AZS_CONFIG)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return withHint(err, fmt.Sprintf("`%s --help` shows what it takes", cmd.CommandPath()))
	})
	root.AddCommand(
		newBackupCmd(),
		newCompactCmd(),
		newConfigCmd(),
		newDoctorCmd(),
		newInitCmd(),
		newJournalCmd(),
		newManCmd(),
		newPageCmd(),
		newProgrammeCmd(),
		newRestoreCmd(),
		newRunCmd(),
		newScannerCmd(),
		newServiceCmd(),
		newShiftsCmd(),
		newStatusCmd(),
		newVersionCmd(),
	)
	teach(root)
	return root
}

// teach gives what cobra says of wrong arguments a way out, for a command and all below it.
func teach(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return withHint(err, fmt.Sprintf("`%s --help` shows what it takes", cmd.CommandPath()))
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		teach(sub)
	}
}

// configPath is the configuration file this command line is about.
func configPath(cmd *cobra.Command) string { return cmd.Flag("config").Value.String() }

// loadConfig reads and validates the configuration, environment included.
func loadConfig(cmd *cobra.Command) (config.Agent, error) {
	c, err := config.LoadAgent(configPath(cmd), os.Environ())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, withStatus(exitConfig, withHint(err, "run `azs-agent init` to write it, or name another file with --config"))
	case errors.Is(err, fs.ErrPermission):
		return c, withStatus(exitConfig, withHint(err, "run it as root, or as a member of the group azs-agent"))
	case errors.Is(err, config.ErrInvalid):
		return c, withStatus(exitConfig, err)
	}
	return c, err
}

// printJSON writes one value for scripts.
func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
}

// hintError is an error that knows what to do next.
type hintError struct {
	error
	hint string
}

func (e *hintError) Hint() string  { return e.hint }
func (e *hintError) Unwrap() error { return e.error }

// withHint adds to an error what the technician can do about it.
func withHint(err error, hint string) error { return &hintError{err, hint} }

// statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error { return e.error }

// withStatus makes the program end with an exit status other than 1.
func withStatus(status int, err error) error { return &statusError{err, status} }

// exitStatus is the exit status for an error.
func exitStatus(err error) int {
	var s *statusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &s):
		return s.status
	case errors.Is(err, config.ErrInvalid):
		return exitConfig
	}
	return 1
}
