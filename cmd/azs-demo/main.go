// Command azs-demo shows the whole of azs-edge in one process, with nothing to set up: a broker, headquarters, two
// stations with a scanner each, a programme and six customers. `azs-demo` lets you play cashier and excavator;
// `azs-demo --once` plays a scripted day, checks every answer and compares the books at its end.
//
// It promises that everything between scanner and headquarters' disk is the real part, the register's calls over HTTP
// included, and that it leaves nothing behind. The broker is the one of the tests: it is not for the field.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

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
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintf(stderr, "azs-demo: %s\n", err)
		return 1
	}
	return 0
}

func newRootCmd() *cobra.Command {
	var once, verbose bool
	cmd := &cobra.Command{
		Use:   "azs-demo",
		Short: "The whole of azs-edge in one process",
		Long: `Starts a broker, headquarters and two fuel stations in this process, prints the addresses of
the cashiers' pages, and tells every thing that happens in a line: a scan, a sale, what
headquarters has on its disk, the line cut and mended. Open a page in a browser beside it.

On a terminal it takes commands (help lists them). Without one, customers come by themselves
until it is interrupted. With --once it plays a scripted day in a few seconds: collecting online,
headquarters cut off, collecting and redeeming what is allowed, a card given to a new customer, the
agent restarted, headquarters back, a refund at the other station, the shift closed, a statement;
then the books are compared.

Exit status: 0 done; with --once only if the points at headquarters equal those at the stations
to the last hundredth and the journals are the same; 1 otherwise, with what differs.`,
		Example: `  azs-demo
  azs-demo --once`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), once, verbose, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "play the scripted day, compare the books and end")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show the programs' own logs as well")
	return cmd
}

// demo runs everything in a folder that is gone afterwards.
func demo(ctx context.Context, once, verbose bool, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "azs-demo-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	log := slog.New(slog.DiscardHandler)
	if verbose {
		log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	n, err := openNetwork(ctx, folder, newTeller(stdout), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	play := n.tellStory
	if !once {
		play = func(ctx context.Context) error { return n.perform(ctx, stdin) }
	}
	err = n.Run(ctx, play)
	if ctx.Err() != nil && !once {
		return nil // interrupted, as it should be
	}
	return err
}

// isTerminal tells whether a person types there.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
