package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/ledger"
)

func newJournalCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Verify and read the journal of this station",
		Long: `The journal is the list of everything that this station did, in order, each entry chained to the one before by its
hash. These verbs read the ledger and never change it. While the agent runs they read a copy as of one moment, which
for a large ledger takes a while.`,
		Example: "  azs-agent journal verify\n  azs-agent journal tail -n 5",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().String("ledger", "", "ledger `file`, also of a backup (default: as configured)")
	cmd.AddCommand(newJournalVerifyCmd(), newJournalTailCmd(), newJournalExportCmd(), newJournalAlarmsCmd())
	return cmd
}

// ledgerPath is the ledger that a verb is about: --ledger, or the configured one.
func ledgerPath(cmd *cobra.Command) (string, error) {
	if p := cmd.Flag("ledger").Value.String(); p != "" {
		return p, nil
	}
	c, err := loadConfig(cmd)
	if err != nil {
		return "", err
	}
	return c.Ledger.Path, nil
}

// ledgerHint adds what the technician can do.
func ledgerHint(err error) error {
	var hinted *hintError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &hinted): // nearer to what was asked
		return err
	case errors.Is(err, ledger.ErrInUse):
		return withHint(err, "stop the agent first: `azs-agent service stop`; reading and `azs-agent backup` work while it runs")
	case errors.Is(err, ledger.ErrBusy):
		return withHint(err, "try again when it is quieter, with --rate 0 if it was a backup of a large ledger, or stop the agent first: `azs-agent service stop`")
	case errors.Is(err, ledger.ErrCorrupt):
		return withHint(err, "keep a copy of the file, then start the agent: it moves a corrupt ledger aside and carries over what can be read")
	case errors.Is(err, os.ErrNotExist):
		return withHint(err, "name the ledger with --ledger, or its configuration with --config; at a new station the agent's first start makes it")
	case errors.Is(err, os.ErrPermission):
		return withHint(err, "run it as root, or as a member of the group azs-agent")
	}
	return err
}

// inspected runs a verb on the ledger.
func inspected(cmd *cobra.Command, do func(context.Context, *ledger.Offline) error) error {
	path, err := ledgerPath(cmd)
	if err != nil {
		return err
	}
	o, err := ledger.Inspect(cmd.Context(), path)
	if err != nil {
		return ledgerHint(err)
	}
	return ledgerHint(errors.Join(do(cmd.Context(), o), o.Close()))
}

func newJournalVerifyCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the whole ledger: pages, checksums, chain, indexes, sums",
		Long: `Reads every record and holds the parts against each other: the structure of the file, the checksum of every record,
the chain of the journal without a gap, sales and their index, counters, what open sales reserve, the rights to spend
against the journal, and every account's own entries against it.

Exit status: 0 all is sound, 1 it is not or cannot be read.`,
		Example: "  azs-agent journal verify\n  azs-agent journal verify --ledger /var/backups/ledger.db --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inspected(cmd, func(ctx context.Context, o *ledger.Offline) error {
				var told time.Time
				r, err := o.Check(ctx, func(n uint64) {
					if now := time.Now(); now.Sub(told) > 2*time.Second {
						if !told.IsZero() {
							cmd.PrintErrf("%d records\n", n)
						}
						told = now
					}
				})
				if r == nil {
					return err
				}
				return errors.Join(printReport(cmd, r, err == nil, asJSON), err)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// verifyReport is what `journal verify --json` prints.
type verifyReport struct {
	OK bool `json:"ok"`
	*ledger.Report
}

func printReport(cmd *cobra.Command, r *ledger.Report, ok, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, verifyReport{ok, r})
	}
	cmd.Printf("station %d, epoch %d: entries %d to %d, acknowledged to %d, chain %s\n", r.Station, r.Epoch, r.First, r.Last, r.Acked, r.Hash)
	cmd.Printf("%d accounts, %d cards, %d sales (%d open), %d entries, %d bytes\n", r.Accounts, r.Cards, r.Sales, r.Open, r.Entries, r.Bytes)
	if r.Frozen != "" {
		cmd.Printf("redeeming is frozen: %s\n", r.Frozen)
	}
	if r.Quarantined > 0 {
		cmd.Printf("headquarters has set aside %d entries, the last is %s\n", r.Quarantined, r.LastAside)
	}
	printAlarms(cmd, r.Alarms)
	for _, f := range r.Findings {
		cmd.Printf("! %s\n", f)
	}
	if ok {
		cmd.Println("sound")
	}
	return nil
}

func newJournalTailCmd() *cobra.Command {
	var asJSON bool
	var count int
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the last entries",
		Long: `Prints the last entries of the journal, oldest first: place, moment, what was done. Card numbers are masked; with
--json they are too.`,
		Example: "  azs-agent journal tail\n  azs-agent journal tail -n 100 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 1 || count > 100_000 {
				return withHint(fmt.Errorf("-n %d is out of range", count), "1 to 100000; `azs-agent journal export` prints all")
			}
			return inspected(cmd, func(ctx context.Context, o *ledger.Offline) error {
				last := make([]journalLine, 0, count)
				err := o.Journal(ctx, func(e ledger.JournalEntry) error {
					if len(last) == count {
						last = append(last[:0], last[1:]...)
					}
					last = append(last, lineOf(e, false))
					return nil
				})
				if err != nil {
					return err
				}
				for _, l := range last {
					if err := printLine(cmd, l, asJSON); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().IntVarP(&count, "lines", "n", 20, "number of entries")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	return cmd
}

func newJournalExportCmd() *cobra.Command {
	var asJSON, whole bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print all entries that are kept",
		Long: `Prints every entry that is kept, of all epochs, in order, an object or a line each. The bytes of the entry, of which
the chain is made, stand in it as base64 with --json --bytes. Card numbers are masked unless --bytes is given.`,
		Example: "  azs-agent journal export --json > journal.jsonl\n  azs-agent journal export --json --bytes | jq .seq",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if whole && !asJSON {
				return withHint(errors.New("--bytes goes with --json"), "azs-agent journal export --json --bytes")
			}
			return inspected(cmd, func(ctx context.Context, o *ledger.Offline) error {
				return o.Journal(ctx, func(e ledger.JournalEntry) error { return printLine(cmd, lineOf(e, whole), asJSON) })
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	cmd.Flags().BoolVar(&whole, "bytes", false, "with the bytes of the entries, card numbers included")
	return cmd
}

func printLine(cmd *cobra.Command, l journalLine, asJSON bool) error {
	if !asJSON {
		cmd.Println(l)
		return nil
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return fmt.Errorf("printing the journal: %w", err)
	}
	return nil
}
