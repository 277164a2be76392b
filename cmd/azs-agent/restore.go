package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// restoreReport is what `restore --json` prints.
type restoreReport struct {
	Restored string        `json:"restored"`
	Kept     string        `json:"kept,omitempty"`
	Epoch    loyalty.Epoch `json:"epoch"`
	Last     loyalty.Seq   `json:"last"`
}

func newRestoreCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the ledger's place",
		Long: `Checks the backup, keeps the present ledger beside it and puts the backup in its place. The agent must be stopped.

What this station did after the backup was taken is not in it, and headquarters has it. So the agent begins a new epoch of
the journal when it starts again: accruing goes on at once, redeeming when headquarters has reconciled the two.`,
		Example: "  azs-agent service stop\n  azs-agent restore /mnt/usb/ledger-2026-11-03.db\n  azs-agent service start",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return locked(cmd, func(ctx context.Context, path string, o *ledger.Offline) error {
				kept, r, err := o.Restore(ctx, args[0])
				if err != nil {
					return backupHint(err)
				}
				if asJSON {
					return printJSON(cmd, restoreReport{path, kept, r.Epoch, r.Last})
				}
				cmd.Printf("%s: restored to epoch %d, entry %d\n", path, r.Epoch, r.Last)
				if kept != "" {
					cmd.Printf("the ledger that was there is kept as %s\n", kept)
				}
				return nil
			})
		},
	}
	cmd.Flags().String("ledger", "", "ledger `file` (default: as configured)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// backupHint says what to do about a backup that cannot be used.
func backupHint(err error) error {
	switch {
	case !errors.Is(err, ledger.ErrBackup):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return withHint(err, "name the file that `azs-agent backup` wrote; is its disk mounted?")
	case errors.Is(err, fs.ErrPermission):
		return withHint(err, "run it as root")
	case errors.Is(err, ledger.ErrCorrupt):
		return withHint(err, "the ledger is as it was: take another backup; `azs-agent journal verify --ledger FILE` says what is wrong with this one")
	}
	return err
}

// locked runs a verb that changes the ledger.
func locked(cmd *cobra.Command, do func(context.Context, string, *ledger.Offline) error) error {
	path, err := ledgerPath(cmd)
	if err != nil {
		return err
	}
	o, err := ledger.Lock(path)
	if err != nil {
		return ledgerHint(err)
	}
	return ledgerHint(errors.Join(do(cmd.Context(), path, o), o.Close()))
}
