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
	var asJSON, addJSON bool
	cmd := &cobra.Command{Use: "stations", Short: "Look at stations, add them, and let them go on", Args: cobra.NoArgs, RunE: help}
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
				if s.Awaited {
					online += ", awaited"
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
				id, err := stationOf(a)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				e, err := c.Enrol(ctx, ids)
				if err != nil {
					return err
				}
				if addJSON {
					return printJSON(cmd, e)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "added %d, there already %d\n", e.Added, e.There)
				return err
			})
		},
	}
	add.Flags().BoolVar(&addJSON, "json", false, "print JSON")
	mayCreate(add)
	cmd.AddCommand(list, add, newAcceptGapCmd(), newAcceptRestoreCmd())
	return cmd
}

// stationOf reads the number of a station.
func stationOf(arg string) (loyalty.StationID, error) {
	id, err := strconv.ParseUint(arg, 10, 32)
	if err != nil || id == 0 || loyalty.StationID(id) > loyalty.MaxStation {
		return 0, fmt.Errorf("%.40q is not the number of a station, 1 to %d", arg, loyalty.MaxStation)
	}
	return loyalty.StationID(id), nil
}

func newAcceptGapCmd() *cobra.Command {
	return &cobra.Command{
		Use: "accept-gap STATION", Short: "Let a station go on without entries that it no longer keeps", Args: cobra.ExactArgs(1),
		Long: `A station whose journal headquarters lack in part, and which no longer keeps that part, is not
served (alarm "trimmed"). This lets it go on: with its next hello it begins a new epoch, and what
is missing is noted as the alarm "gap", with the numbers of the entries. Points of these entries
have to be settled by hand. The consent is for one gap.

Put a newer copy of the store back instead, if there is one: the station then has what it lacks.`,
		Example: "  azs-hq stations accept-gap 17",
		RunE: func(cmd *cobra.Command, args []string) error {
			station, err := stationOf(args[0])
			if err != nil {
				return err
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				if err := c.AcceptGap(ctx, station); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "station %d may go on; `azs-hq alarms list` names what is missing after its next hello\n", station)
				return err
			})
		},
	}
}

func newAcceptRestoreCmd() *cobra.Command {
	return &cobra.Command{
		Use: "accept-restore", Short: "Issue rights again, though stations have not come back", Args: cobra.NoArgs,
		Long: `After the store was put back to an older copy (alarm "older_copy") headquarters do not know what
rights to redeem they have issued since the copy was made. They issue none until every station
that had been seen in the thirty days before has come back, and shown three minutes later that
all it has written is here; ` + "`azs-hq stations list`" + ` shows who is awaited. Accruing goes on.

This ends the waiting. What an awaited station may still spend can then be spent twice.`,
		Example: "  azs-hq stations accept-restore",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				waited, err := c.AcceptRestore(ctx)
				if err != nil {
					return err
				}
				text := "rights are issued again"
				if !waited {
					text = "nobody was awaited"
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			})
		},
	}
}
