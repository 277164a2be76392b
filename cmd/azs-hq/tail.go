package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newTailCmd() *cobra.Command {
	var from uint64
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the stream of entries as JSON lines",
		Long: `Prints every entry that headquarters have taken in, one JSON object a line, in the order in
which they were committed. "pos" is the place in this stream, without gaps; to go on where you
stopped, give --from the next one. Card numbers are masked.`,
		Example: `  azs-hq tail --follow
  azs-hq tail --from 1200 | jq 'select(.outcome == "quarantined")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				out := bufio.NewWriter(cmd.OutOrStdout())
				err := c.Stream(ctx, max(from, 1)-1, follow, func(line json.RawMessage) error {
					_, err := fmt.Fprintf(out, "%s\n", line)
					if follow {
						err = errors.Join(err, out.Flush())
					}
					return err
				})
				return errors.Join(err, out.Flush())
			})
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 1, "first `position` to print")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as entries come, until Ctrl-C")
	return cmd
}
