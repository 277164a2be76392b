package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newStatementCmd() *cobra.Command {
	var s statement
	var card, by string
	var days span
	cmd := &cobra.Command{
		Use:   "statement [ACCOUNT]",
		Short: "Print what was done with an account, or what it adds up to",
		Long: `Prints the operations of an account, at all stations and by headquarters, the newest first in the
order in which headquarters took them in. What operators changed is among them, with their names and
reasons: states, the switches of account and cards, closing, forgetting. Stations and customers are
not told of that, and sums leave it out. With --by they are added up: by station, by partner, or by
month of the programme's calendar.

` + calendarWords + `
--until is not included. The numbers of cards are masked; --full shows them whole.`,
		Example: `  azs-hq statement 1042 --from 2026-05-01 --until 2026-06-01
  azs-hq statement --card 7005123412349015 --csv > statement.csv
  azs-hq statement 1042 --by month`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if s.query.AccountQuery, err = accountQuery(args, card, s.query.Full); err != nil {
				return err
			}
			if err := days.check(); err != nil {
				return err
			}
			if s.query.By = hq.Grouping(by); s.asJSON && s.asCSV {
				return errors.New("--json or --csv, not both")
			}
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) (err error) {
				if s.zone, err = c.Zone(ctx); err != nil {
					return err
				}
				if s.query.From, s.query.Until, err = days.in(s.zone); err != nil {
					return err
				}
				return s.print(ctx, cmd, c)
			})
		},
	}
	cmd.Flags().StringVar(&card, "card", "", "`number` of one of its cards")
	cmd.Flags().StringVar(&days.from, "from", "", "only from this `day` on, as 2026-05-01, or moment, as 2026-05-01T12:00:00+03:00")
	cmd.Flags().StringVar(&days.until, "until", "", "only before this `day` or moment")
	cmd.Flags().StringVar(&by, "by", "", "add up by `what`: station, partner or month")
	cmd.Flags().BoolVar(&s.query.Full, "full", false, "show the whole numbers of cards")
	cmd.Flags().BoolVar(&s.asJSON, "json", false, "print JSON lines")
	cmd.Flags().BoolVar(&s.asCSV, "csv", false, "print CSV")
	return cmd
}

// accountQuery asks for the account of the command line.
func accountQuery(args []string, card string, full bool) (admin.AccountQuery, error) {
	q := admin.AccountQuery{Card: card, Full: full}
	if (len(args) == 1) == (card != "") {
		return q, withHint(errors.New("which account?"), "give its number, or a card with --card")
	}
	if len(args) == 0 {
		return q, nil
	}
	id, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || id == 0 || id > uint64(loyalty.MaxAccount) {
		return q, withHint(fmt.Errorf("%.40q is not the number of an account", args[0]), "a card's number goes behind --card")
	}
	q.Account = loyalty.AccountID(id)
	return q, nil
}

// moment reads a day of a calendar, or a moment; empty: none.
func moment(s string, zone *time.Location) (loyalty.Instant, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, zone)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err != nil || t.Before(time.UnixMilli(0)) {
		return 0, fmt.Errorf("%.40q is neither a day, as 2026-05-01, nor a moment, as 2026-05-01T12:00:00+03:00", s)
	}
	return loyalty.At(t), nil
}

// statement prints an account's operations.
type statement struct {
	query         admin.StatementQuery
	zone          *time.Location // of the programme's calendar
	asJSON, asCSV bool
}

func (s *statement) print(ctx context.Context, cmd *cobra.Command, c *admin.Client) error {
	if s.query.By != "" {
		totals, err := c.Totals(ctx, s.query)
		if err != nil {
			return err
		}
		return rows(cmd, s, totalsHeader, func(fn func(admin.Totals) error) error {
			for _, t := range totals {
				if err := fn(t); err != nil {
					return err
				}
			}
			return nil
		}, func(t admin.Totals) []string {
			return []string{
				s.named(t.Key), strconv.Itoa(t.Operations), t.Sold, t.Refunded, t.Discount, t.Redeemed, t.Returned, t.Earned, t.Clawed, t.Expired,
			}
		})
	}
	header, columns := operationHeader, s.row
	if s.asCSV {
		header, columns = operationColumns, operationRecord
	}
	return rows(cmd, s, header, func(fn func(admin.Operation) error) error { return c.Statement(ctx, s.query, fn) }, columns)
}

// named is a group's key for people. CSV has it as it is.
func (s *statement) named(key string) string {
	switch {
	case s.asCSV:
		return key
	case s.query.By == hq.ByStation && key == "0":
		return "headquarters"
	case s.query.By == hq.ByStation:
		return "station " + key
	}
	return cmp.Or(key, "(no partner)")
}

const (
	totalsHeader     = "key\toperations\tsold\trefunded\tdiscount\tredeemed\treturned\tearned\tclawed\texpired"
	operationHeader  = "pos\tat\twhere\twhat\ttotal\tdiscount\tredeemed\tearned\tback\tdetails"
	operationColumns = "pos\tat\tstation\tkind\tsale\trefund\tcard\tpartner\treason\ttotal\tdiscount\tredeemed\tearned\tactive_from\texpires\treturned\t" +
		"clawed\tactivated\texpired\ttier_before\ttier_after\toperator\tstate\tjoined\tredeem_on\tcard_kind\tmay_redeem\tforms"
)

// rows prints values for people, or as JSON lines, or as CSV with the same columns.
func rows[T any](cmd *cobra.Command, s *statement, header string, list func(func(T) error) error, columns func(T) []string) error {
	switch {
	case s.asJSON:
		return list(func(v T) error { return jsonLine(cmd, v) })
	case s.asCSV:
		w := csv.NewWriter(cmd.OutOrStdout())
		err := w.Write(strings.Split(header, "\t"))
		err = errors.Join(err, list(func(v T) error { return w.Write(columns(v)) }))
		w.Flush()
		return errors.Join(err, w.Error())
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.ToUpper(header)) // Flush reports
	err := list(func(v T) error {
		_, err := fmt.Fprintln(w, strings.Join(columns(v), "\t"))
		return err
	})
	return errors.Join(err, w.Flush())
}

// row is an operation for people.
func (s *statement) row(o admin.Operation) []string {
	where := "headquarters"
	if o.Station != 0 {
		where = fmt.Sprintf("station %d", o.Station)
	}
	var details []string
	for _, d := range []struct{ what, is string }{
		{"sale", o.Sale}, {"refund", o.Refund}, {"card", o.Card}, {"partner", o.Partner}, {"spendable from", inZone(s.zone, o.ActiveFrom)}, {"until", inZone(s.zone, o.Expires)},
		{"taken back", o.Clawed}, {"spendable", o.Activated}, {"expired", o.Expired}, {"tier", o.TierAfter}, {"now", o.State}, {"joined", inZone(s.zone, o.Joined)}, {"redeeming", switched(o.RedeemOn)}, {"", o.CardKind},
		{"may redeem:", switched(o.MayRedeem)}, {"forms destroyed:", destroyed(&o)}, {"by", o.Operator}, {"", o.Reason},
	} {
		if d.is != "" {
			details = append(details, strings.TrimSpace(d.what+" "+d.is))
		}
	}
	return []string{
		strconv.FormatUint(o.Pos, 10), inZone(s.zone, o.At), where, o.Kind, o.Total, o.Discount, o.Redeemed, o.Earned, o.Returned, strings.Join(details, ", "),
	}
}

// operationRecord is an operation for a spreadsheet.
func operationRecord(o admin.Operation) []string {
	return []string{
		strconv.FormatUint(o.Pos, 10), o.At, strconv.FormatUint(uint64(o.Station), 10), o.Kind, o.Sale, o.Refund, o.Card, o.Partner, o.Reason, o.Total, o.Discount,
		o.Redeemed, o.Earned, o.ActiveFrom, o.Expires, o.Returned, o.Clawed, o.Activated, o.Expired, o.TierBefore, o.TierAfter,
		o.Operator, o.State, o.Joined, switched(o.RedeemOn), o.CardKind, switched(o.MayRedeem), destroyed(&o),
	}
}

// switched is a switch in a word; nothing if there is none.
func switched(on *bool) string {
	if on == nil {
		return ""
	}
	return onOff(*on)
}

// destroyed is how many forms were destroyed, where the owner was forgotten.
func destroyed(o *admin.Operation) string {
	if o.Kind != string(hq.ForgottenLine) {
		return ""
	}
	return strconv.Itoa(o.Forms)
}
