package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newAccountsAdvanceCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "advance",
		Short: "Write down what time has brought about: expiry, activation, tiers",
		Long: `Writes down for every account what has changed by itself: points that became spendable or have
expired, another tier, points of closed accounts that stations need no more. A running azs-hq does
that by itself once a day (accounts.advance_at).

It may be run as often as one likes, and interrupted: everything is written once.`,
		Example: "  azs-hq accounts advance",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				out, err := c.Advance(ctx, func(a admin.Advanced) {
					cmd.PrintErrf("%d accounts, %d changed\n", a.Accounts, a.Changed)
				})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, out)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s, %d changed: activated %s, expired %s, burned %s; another tier: %d\n",
					amount(uint64(out.Accounts), "account", "accounts"), out.Changed, out.Activated, out.Expired, out.Burned, out.Tiers)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// expiringRow is a row of a forecast, as it is printed.
type expiringRow struct {
	Day      string            `json:"day,omitempty"`
	Account  loyalty.AccountID `json:"account,omitempty"`
	Points   string            `json:"points"`
	Accounts int               `json:"accounts,omitempty"` // of a day, how many lose something
}

func newAccountsExpiringCmd() *cobra.Command {
	var within, group string
	var asJSON, asCSV bool
	cmd := &cobra.Command{
		Use:   "expiring",
		Short: "Forecast the points that are about to expire",
		Long: `Adds up the points that expire within the days to come, by the day on which they are gone (at its
start, by the programme's calendar) or by account. Points that are spent before are among them, of
course; closed accounts are not.`,
		Example: `  azs-hq accounts expiring --within 30d
  azs-hq accounts expiring --within 90d --by account --csv > expiring.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			days, err := parseDays(within)
			if err != nil {
				return err
			}
			if group != "day" && group != "account" {
				return fmt.Errorf("--by %q, want day or account", group)
			}
			if asJSON && asCSV {
				return errors.New("--json or --csv, not both")
			}
			f := forecast{cmd: cmd, byDay: group == "day", asJSON: asJSON, asCSV: asCSV}
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error { return f.run(ctx, c, days) })
		},
	}
	cmd.Flags().StringVar(&within, "within", "30d", "how far to look ahead, in `days` or weeks: 30d, 8w")
	cmd.Flags().StringVar(&group, "by", "day", "add up by `day` or account")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print CSV")
	return cmd
}

// parseDays reads a number of days or weeks.
func parseDays(text string) (int, error) {
	digits, unit := strings.CutSuffix(text, "d")
	times := 1
	if !unit {
		if digits, unit = strings.CutSuffix(text, "w"); unit {
			times = 7
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || !unit || n < 1 || n > 1098/times {
		return 0, withHint(fmt.Errorf("--within %.20q", text), "write days or weeks, as 30d or 8w; at most three years")
	}
	return n * times, nil
}

// forecast adds points up and prints them.
type forecast struct {
	cmd    *cobra.Command
	byDay  bool
	asJSON bool
	asCSV  bool
	csv    *csv.Writer
	total  loyalty.Points
}

func (f *forecast) run(ctx context.Context, c *admin.Client, days int) error {
	if f.asCSV {
		f.csv = csv.NewWriter(f.cmd.OutOrStdout())
		header := []string{"account", "points"}
		if f.byDay {
			header = []string{"day", "points", "accounts"}
		}
		if err := f.csv.Write(header); err != nil {
			return err
		}
	}
	add := f.accounts
	if f.byDay {
		add = f.days
	}
	if err := add(ctx, c, days); err != nil {
		return err
	}
	if f.asCSV {
		f.csv.Flush()
		return f.csv.Error()
	}
	if f.asJSON {
		return nil
	}
	_, err := fmt.Fprintf(f.cmd.OutOrStdout(), "total within %d days: %s\n", days, f.total)
	return err
}

// days adds up by day: as many sums as there are days.
func (f *forecast) days(ctx context.Context, c *admin.Client, days int) error {
	type sum struct {
		points   loyalty.Points
		accounts int
	}
	sums := map[string]*sum{}
	err := c.Expiring(ctx, days, func(e admin.Expiring) error {
		s := sums[e.Day]
		if s == nil {
			s = &sum{}
			sums[e.Day] = s
		}
		s.points += e.Points
		s.accounts++
		return nil
	})
	if err != nil {
		return err
	}
	for _, day := range slices.Sorted(maps.Keys(sums)) {
		f.total += sums[day].points
		if err := f.print(expiringRow{Day: day, Points: sums[day].points.String(), Accounts: sums[day].accounts}); err != nil {
			return err
		}
	}
	return nil
}

// accounts adds up by account, and prints each as it comes.
func (f *forecast) accounts(ctx context.Context, c *admin.Client, days int) error {
	var id loyalty.AccountID
	var points loyalty.Points
	flush := func() error {
		if id == 0 {
			return nil
		}
		f.total += points
		return f.print(expiringRow{Account: id, Points: points.String()})
	}
	err := c.Expiring(ctx, days, func(e admin.Expiring) error {
		if e.Account != id {
			if err := flush(); err != nil {
				return err
			}
			id, points = e.Account, 0
		}
		points += e.Points
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func (f *forecast) print(r expiringRow) error {
	switch {
	case f.asJSON:
		return jsonLine(f.cmd, r)
	case f.asCSV && f.byDay:
		return f.csv.Write([]string{r.Day, r.Points, strconv.Itoa(r.Accounts)})
	case f.asCSV:
		return f.csv.Write([]string{strconv.FormatUint(uint64(r.Account), 10), r.Points})
	case f.byDay:
		_, err := fmt.Fprintf(f.cmd.OutOrStdout(), "%s  %s of %s\n", r.Day, r.Points, amount(uint64(r.Accounts), "account", "accounts"))
		return err
	}
	_, err := fmt.Fprintf(f.cmd.OutOrStdout(), "account %d  %s\n", r.Account, r.Points)
	return err
}
