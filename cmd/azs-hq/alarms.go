package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newAlarmsCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "alarms", Short: "Look at what a person has to look at", Args: cobra.NoArgs, RunE: help}
	list := &cobra.Command{
		Use: "list", Short: "List forks, rollbacks and overspending, one line for each station, kind and epoch", Example: "  azs-hq alarms list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := func(c *admin.Client, ctx context.Context, fn func(admin.Alarm) error) error {
				as, err := c.Alarms(ctx)
				for _, a := range as {
					if err := fn(a); err != nil {
						return err
					}
				}
				return err
			}
			return table(cmd, asJSON, "STATION\tEPOCH\tKIND\tTIMES\tLAST\tWHAT", all, func(a admin.Alarm) []any {
				return []any{a.Station, a.Epoch, a.Kind, a.Count, a.Last, a.Text}
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.AddCommand(list)
	return cmd
}
