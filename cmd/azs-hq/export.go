package main

import (
	"context"
	"encoding/csv"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newExportCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Write the books out for other programs", Args: cobra.NoArgs, RunE: help}
	accounts := &cobra.Command{
		Use:   "accounts",
		Short: "Write all accounts as CSV",
		Long: `Writes a row for every account: account,state,total,available,promised. (It is for reading, and
not the form that import takes: rights at stations cannot be brought in.)`,
		Example: "  azs-hq export accounts --csv > accounts.csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				w := csv.NewWriter(cmd.OutOrStdout())
				err := w.Write([]string{"account", "state", "total", "available", "promised"})
				if err != nil {
					return err
				}
				err = c.Accounts(ctx, func(a admin.Account) error {
					return w.Write([]string{strconv.FormatUint(uint64(a.ID), 10), a.State.String(), a.Total, a.Available, a.Promised})
				})
				w.Flush()
				return errors.Join(err, w.Error())
			})
		},
	}
	accounts.Flags().Bool("csv", true, "as CSV, the only form there is")
	cmd.AddCommand(accounts)
	return cmd
}
