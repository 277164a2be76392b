package main

import (
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
	var rate int
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the ledger to a file, also while the agent runs",
		Long: `Writes a copy of the ledger as of one moment and checks it whole. An existing file is not overwritten. The copy holds
card numbers: keep it as carefully as the ledger.

It copies slowly, so that sales do not feel it; --rate 0 goes as fast as the disk does, which is well where the agent is
stopped. Where it runs, the copy ends in a moment without sales, and after half a minute without one it is given up.

Exit status: 0 the copy is on the disk and sound, 1 otherwise.`,
		Example: "  azs-agent backup /mnt/usb/ledger-$(date +%F).db\n  azs-agent backup --rate 5 /mnt/usb/ledger.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rate < 0 {
				return withHint(fmt.Errorf("--rate %d is less than nothing", rate), "megabytes a second; 0 for as fast as the disk")
			}
			path, err := ledgerPath(cmd)
			if err != nil {
				return err
			}
			r, err := ledger.Backup(cmd.Context(), path, args[0], int64(rate)*1_000_000)
			if r == nil {
				return ledgerHint(targetHint(err, args[0]))
			}
			return ledgerHint(errors.Join(printReport(cmd, r, err == nil, asJSON), err))
		},
	}
	cmd.Flags().String("ledger", "", "ledger `file` (default: as configured)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&rate, "rate", ledger.CopyRate/1_000_000, "megabytes a second that are copied at most; 0: no limit")
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
