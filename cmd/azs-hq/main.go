// Command azs-hq is headquarters: the receiver of the stations' journals (`azs-hq run`) and the commands of those who
// look after it, one file per verb.
//
// Results go to standard output and everything else to standard error; every verb that prints a result has --json; and
// the exit status is 0 when what was asked is done, 78 when the configuration is wrong, and 1 otherwise.
//
// Commands work whether or not headquarters run: where a running azs-hq has the store open they call it over loopback,
// otherwise they open the store themselves.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
)

// exitConfig is the exit status for a wrong configuration: EX_CONFIG of sysexits.h.
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
	_, _ = fmt.Fprintf(stderr, "azs-hq: %s\n", err) // there is nobody else to tell
	var h *hintError
	if errors.As(err, &h) {
		_, _ = fmt.Fprintf(stderr, "hint: %s\n", h.hint)
	}
	if errors.Is(err, config.ErrInvalid) || errors.Is(err, errNoConfig) {
		return exitConfig
	}
	return 1
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "azs-hq",
		Short: "Headquarters of a network of fuel stations",
		Long: `azs-hq takes in the journals of the stations, keeps the ledger of record, answers the
stations' questions and tells them what changes.

A new network on one machine, with a broker at hand:

  export AZSHQ_CONFIG=$PWD/hq.yaml        which file every command reads
  azs-hq init --broker tcp://127.0.0.1:1883
  azs-hq import accounts accounts.csv     the accounts and what they hold
  azs-hq import cards cards.csv           their cards
  azs-hq programme publish bonus.yaml     what is earned, and what may be redeemed
  azs-hq stations add 1 2 3               who may speak
  azs-hq run                              receives, until Ctrl-C

and then, in another terminal:

  azs-hq tail --follow                    everything that happens, as JSON lines
  azs-hq accounts show --card NUMBER      one customer
  azs-hq verify                           proves every balance from the entries`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	path := config.HQPath()
	if p := os.Getenv("AZSHQ_CONFIG"); p != "" {
		path = p
	}
	root.PersistentFlags().StringP("config", "c", path, "configuration `file` (or AZSHQ_CONFIG); the default one may be missing")
	for _, o := range overrides {
		root.PersistentFlags().String(o.flag, "", o.usage)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return withHint(err, fmt.Sprintf("`%s --help` shows what it takes", cmd.CommandPath()))
	})
	root.AddCommand(
		newAccountsCmd(),
		newActCmd(),
		newAlarmsCmd(),
		newAlertsCmd(),
		newCardsCmd(),
		newConfigCmd(),
		newExportCmd(),
		newFormsCmd(),
		newImportCmd(),
		newInitCmd(),
		newPartnersCmd(),
		newProgrammeCmd(),
		newQuarantineCmd(),
		newRunCmd(),
		newStatementCmd(),
		newStationsCmd(),
		newTailCmd(),
		newVerifyCmd(),
		newVersionCmd(),
	)
	return root
}

// hintError is an error that knows what to do next.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

// withHint adds to an error what the operator can do about it.
func withHint(err error, hint string) error { return &hintError{err, hint} }
