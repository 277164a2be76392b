package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/ledger"
)

// compactReport is what `compact --json` prints.
type compactReport struct {
	Ledger string `json:"ledger"`
	Before int64  `json:"bytes_before"`
	After  int64  `json:"bytes_after"`
}

func newCompactCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compact",
		Short: "Rewrite the ledger without its free space",
		Long: `Rewrites the ledger into a new file, checks it, and puts it in the old one's place. The agent must be stopped. It needs
as much free disk as the ledger has records. It is hardly ever needed: free space in the file is used again.`,
		Example: "  azs-agent service stop\n  azs-agent compact\n  azs-agent service start",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return locked(cmd, func(ctx context.Context, path string, o *ledger.Offline) error {
				before, after, err := o.Compact(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, compactReport{path, before, after})
				}
				cmd.Printf("%s: %d bytes, was %d\n", path, after, before)
				return nil
			})
		},
	}
	cmd.Flags().String("ledger", "", "ledger `file` (default: as configured)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
