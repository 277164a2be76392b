package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/ledger"
)

func newBackupCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the ledger to a file, also while the agent runs",
		Long: `Writes a copy of the ledger as of one moment and checks it whole. An existing file is not overwritten. The copy holds
card numbers: keep it as carefully as the ledger.

Exit status: 0 the copy is on the disk and sound, 1 otherwise.`,
		Example: "  azs-agent backup /mnt/usb/ledger-$(date +%F).db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return inspected(cmd, func(ctx context.Context, o *ledger.Offline) error {
				r, err := o.CopyTo(ctx, args[0])
				if r == nil {
					return targetHint(err, args[0])
				}
				return errors.Join(printReport(cmd, r, err == nil, asJSON), err)
			})
		},
	}
	cmd.Flags().String("ledger", "", "ledger `file` (default: as configured)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// targetHint says what to do about a file that cannot be written.
func targetHint(err error, target string) error {
	var at *fs.PathError
	if !errors.As(err, &at) || !strings.HasPrefix(at.Path, target) {
		return err
	}
	folder := filepath.Dir(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return withHint(err, fmt.Sprintf("the folder %s is not there: make it, or mount the disk it is on", folder))
	case errors.Is(err, fs.ErrPermission):
		return withHint(err, fmt.Sprintf("this user may not write in %s: run it as root, or name another folder", folder))
	}
	return withHint(err, fmt.Sprintf("see that the disk of %s works and has room, or name another folder", folder))
}
