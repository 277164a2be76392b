package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newStationsCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "stations", Short: "Look at stations, and add them", Args: cobra.NoArgs, RunE: help}
	list := &cobra.Command{
		Use: "list", Short: "List the stations and how they are", Example: "  azs-hq stations list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "STATION\tONLINE\tLAST SEEN\tVERSION\tEPOCH\tENTRIES\tBACKLOG\tTO BE TOLD", (*admin.Client).Stations, func(s admin.Station) []any {
				online := "no"
				if s.Online {
					online = "yes"
				}
				if s.Forked {
					online += ", forked"
				}
				return []any{s.ID, online, s.LastSeen, s.Version, s.Epoch, s.Seq, s.Backlog, s.Down}
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	add := &cobra.Command{
		Use: "add STATION...", Short: "Let stations speak", Example: "  azs-hq stations add 17 18 19", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []loyalty.StationID
			for _, a := range args {
				id, err := strconv.ParseUint(a, 10, 32)
				if err != nil || id == 0 || loyalty.StationID(id) > loyalty.MaxStation {
					return fmt.Errorf("%.40q is not the number of a station, 1 to %d", a, loyalty.MaxStation)
				}
				ids = append(ids, loyalty.StationID(id))
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				e, err := c.Enrol(ctx, ids)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "added %d, there already %d\n", e.Added, e.There)
				return err
			})
		},
	}
	mayCreate(add)
	cmd.AddCommand(list, add)
	return cmd
}
