package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/ledger"
)

func newJournalAlarmsCmd() *cobra.Command {
	var asJSON, clear bool
	cmd := &cobra.Command{
		Use:   "alarms",
		Short: "List what has happened to the ledger, until it was seen",
		Long: `Lists what somebody must look at: that a new epoch has begun and why, where a damaged ledger was put, that headquarters
has set entries aside. An alarm outlasts restarts and headquarters' acknowledgement; with --clear it is not shown any
more, here, at the page and to the monitoring. It can be cleared while the agent runs.`,
		Example: "  azs-agent journal alarms\n  azs-agent journal alarms --clear",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inspected(cmd, func(ctx context.Context, o *ledger.Offline) error {
				alarms, err := o.Alarms(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					if alarms == nil {
						alarms = []ledger.Alarm{}
					}
					err = printJSON(cmd, alarms)
				} else if printAlarms(cmd, alarms); len(alarms) == 0 {
					cmd.Println("no alarms")
				}
				if err != nil || !clear || len(alarms) == 0 {
					return err
				}
				return o.ClearAlarms(ctx)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&clear, "clear", false, "note that they were seen, after they are printed")
	return cmd
}

func printAlarms(cmd *cobra.Command, alarms []ledger.Alarm) {
	for _, a := range alarms {
		cmd.Printf("alarm %s, %s: %s\n", a.ID, a.At.Time().Local().Format(time.DateTime), a.Text)
	}
}
