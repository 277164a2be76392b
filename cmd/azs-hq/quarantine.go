package main

import (
	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newQuarantineCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "quarantine", Short: "Look at entries that could not be applied", Args: cobra.NoArgs, RunE: help}
	list := &cobra.Command{
		Use: "list", Short: "List entries that could not be applied, with the reason", Example: "  azs-hq quarantine list --json", Args: cobra.NoArgs,
		Long: `An entry that cannot be applied is kept with its reason and acknowledged, so that it holds
nothing up; its station is told. Whoever looks at it decides what becomes of it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "POSITION\tSTATION\tEPOCH\tENTRY\tAT\tREASON", (*admin.Client).Quarantine, func(l admin.Line) []any {
				return []any{l.Pos, l.Station, l.Epoch, l.Seq, l.At, l.Reason}
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.AddCommand(list)
	return cmd
}
