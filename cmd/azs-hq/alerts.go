package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newAlertsCmd() *cobra.Command {
	var after uint64
	var station uint32
	var rule string
	var asJSON, follow bool
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Print what the stations want somebody to look at",
		Long: `Prints what somebody should look at, in the order in which headquarters took it in: velocity rules
of the programme that were exceeded, staff cards at counters, shifts whose totals are not the
register's, sales that ended in a shift that was closed, cards that were given out and may not be,
and what was sold to them. The first column is the place in the stream; to go on where you stopped,
give it to --after.

Beside the names of the programme's own rules, --rule takes staff-card, refund-card, shift-differs,
shift-late and card-refused. What is wrong with a station's journal itself is listed by azs-hq alarms.`,
		Example: `  azs-hq alerts --station 17
  azs-hq alerts --rule same-card --follow
  azs-hq alerts --after 120000 --json | jq .entry`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if station > uint32(loyalty.MaxStation) {
				return fmt.Errorf("%d is not the number of a station", station)
			}
			c, err := offlineSettings(cmd)
			if err != nil {
				return err
			}
			t := &tail{
				cmd: cmd, settings: c, after: after, follow: follow, out: bufio.NewWriter(cmd.OutOrStdout()),
				read: func(c *admin.Client, ctx context.Context, after uint64, follow bool, fn func(json.RawMessage) error) error {
					return c.Alerts(ctx, loyalty.StationID(station), rule, after, follow, fn)
				},
			}
			if !asJSON {
				t.show = alertText
			}
			return errors.Join(t.Run(cmd.Context()), t.out.Flush())
		},
	}
	cmd.Flags().Uint64Var(&after, "after", 0, "print what is behind this `position`")
	cmd.Flags().Uint32Var(&station, "station", 0, "only of this `station`")
	cmd.Flags().StringVar(&rule, "rule", "", "only of this `rule`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as alerts come, until Ctrl-C")
	return cmd
}

// alertText is an alert in a line for people.
func alertText(line json.RawMessage) (string, error) {
	var l admin.Line
	if err := json.Unmarshal(line, &l); err != nil {
		return "", fmt.Errorf("read the alerts: %w", err)
	}
	text := fmt.Sprintf("%d  %s  station %d  %s", l.Pos, l.At, l.Station, l.Rule())
	e := l.Entry
	if e == nil {
		return text, nil
	}
	if m := e.MoreEntry; m != nil && m.Rule != "" {
		if m.AtMost > 0 {
			text += fmt.Sprintf(": %d of at most %d", m.Count, m.AtMost)
		}
		if m.Refused {
			text += ", refused"
		}
	}
	if m := e.MoreEntry; m != nil {
		if m.Counter != "" {
			text += ", counter " + m.Counter
		}
	}
	if l.Reason != "" {
		text += ": " + l.Reason
	}
	for _, part := range []struct{ what, is string }{
		{"card", e.Card}, {"sale", string(e.Sale)}, {"cashier", e.Cashier},
	} {
		if part.is != "" {
			text += ", " + part.what + " " + part.is
		}
	}
	if l.Account != 0 {
		text += fmt.Sprintf(", account %d", l.Account)
	}
	if e.Shift != 0 {
		text += fmt.Sprintf(", shift %d", e.Shift)
	}
	if m := e.MoreEntry; m != nil {
		for _, x := range m.Mismatches {
			text += fmt.Sprintf("; %s %s here, %s by the register", strings.ReplaceAll(x.Figure, "_", " "), x.Here, x.Register)
		}
	}
	return text, nil
}
