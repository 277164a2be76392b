package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newVerifyCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove the whole store: every chain, every balance",
		Long: `Reads the whole store: the checksum of every value, the hash chain of every station's journal
from its first entry, and every balance, computed again from what was brought in and the entries.
On a store in use it reads one state from beginning to end; the file grows while it does.`,
		Example: "  azs-hq verify",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				raw, err := c.Check(ctx)
				if err != nil {
					return withHint(err, "stop azs-hq, keep the file, and put a copy back; the stations send again what it lacks")
				}
				if asJSON {
					return printJSON(cmd, raw)
				}
				var n map[string]uint64
				if err := json.Unmarshal(raw, &n); err != nil {
					return fmt.Errorf("read the report: %w", err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "good: %s (%d set aside) of %s, %s, %s\n", amount(n["entries"], "entry", "entries"), n["quarantined"],
					amount(n["stations"], "station", "stations"), amount(n["accounts"], "account", "accounts"), amount(n["cards"], "card", "cards"))
				if missing := n["forms_missing"]; missing > 0 {
					_, e := fmt.Fprintf(cmd.OutOrStdout(), "%s of new customers never came; azs-hq alarms list says from where\n", amount(missing, "form", "forms"))
					err = errors.Join(err, e)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// amount is a number with its noun.
func amount(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
