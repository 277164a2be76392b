package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
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
	cmd.AddCommand(list, newRetryCmd())
	return cmd
}

func newRetryCmd() *cobra.Command {
	var asJSON bool
	var q admin.RetryQuery
	var station uint32
	cmd := &cobra.Command{
		Use: "retry", Short: "Apply entries that were set aside once more", Args: cobra.NoArgs,
		Long: `Applies entries that were set aside once more, by the same rules and each at its own place:
the account may have been brought in since, or this version may read what an older one could
not. What is applied has its effect once and leaves the list; what cannot be applied still,
stays in it. It may be run as often as one likes.

Entries for cards that were not known need no retry: ` + "`azs-hq import cards`" + ` applies them.`,
		Example: "  azs-hq quarantine retry --all\n  azs-hq quarantine retry --station 17",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Station = loyalty.StationID(station); (station == 0) != q.All {
				return withHint(errors.New("nothing to retry is named"), "give --station N, or --all")
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				r, err := c.Retry(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, r)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "applied %d of %d\n", r.Applied, r.Tried)
				return err
			})
		},
	}
	cmd.Flags().Uint32Var(&station, "station", 0, "only entries of this `station`")
	cmd.Flags().BoolVar(&q.All, "all", false, "entries of all stations")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
