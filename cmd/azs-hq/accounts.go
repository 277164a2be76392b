package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newAccountsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "accounts", Short: "Look at accounts and change them", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(
		newAccountsShowCmd(), newAccountsListCmd(), newAccountsSetCmd(), newAccountsAdjustCmd(), newAccountsAdvanceCmd(), newAccountsExpiringCmd(),
		newAccountsCloseCmd(), newAccountsForgetCmd(), newAccountsActCmd(),
	)
	return cmd
}

func newAccountsShowCmd() *cobra.Command {
	var card string
	var asJSON, full bool
	cmd := &cobra.Command{
		Use:   "show [ACCOUNT]",
		Short: "Show one account: lots, rights at stations, cards",
		Long: `Shows one account. The numbers of its cards are masked, as everywhere; --full shows them whole, where
two of them look alike. What it prints then is not for a mail or a ticket.

` + calendarWords,
		Example: `  azs-hq accounts show 1042
  azs-hq accounts show --card 7005123412349015 --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := admin.AccountQuery{Card: card, Full: full}
			if (len(args) == 1) == (card != "") {
				return withHint(errors.New("which account?"), "give its number, or a card with --card")
			}
			if len(args) == 1 {
				id, err := strconv.ParseUint(args[0], 10, 64)
				if err != nil || id == 0 || id > uint64(loyalty.MaxAccount) {
					return withHint(fmt.Errorf("%.40q is not the number of an account", args[0]), "a card's number goes behind --card")
				}
				q.Account = loyalty.AccountID(id)
			}
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				a, err := c.Account(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, a)
				}
				zone, err := c.Zone(ctx)
				if err != nil {
					return err
				}
				return showAccount(cmd, &a, zone)
			})
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "show the whole numbers of cards")
	cmd.Flags().StringVar(&card, "card", "", "`number` of one of its cards")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showAccount(cmd *cobra.Command, a *admin.Account, zone *time.Location) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush reports
	p("account\t%d\nstate\t%s\ntotal\t%s\navailable\t%s\npromised to stations\t%s\n", a.ID, a.State, a.Total, a.Available, a.Promised)
	if a.Joined != "" {
		p("joined\t%s\n", inZone(zone, a.Joined))
	}
	if a.RedeemOn {
		p("redeeming\tswitched on by the customer\n")
	}
	for _, c := range a.Cards {
		may := ""
		if !c.MayRedeem {
			may = ", may not redeem"
		}
		p("card\t%s, %s, %s%s\n", c.Number, c.Kind, c.State, may)
	}
	for _, l := range a.Lots {
		until := "does not expire"
		if l.Expires != "" {
			until = "expires " + inZone(zone, l.Expires)
		}
		p("lot\t%s from %s, %s\n", l.Points, inZone(zone, l.ActiveFrom), until)
	}
	for _, c := range a.Cells {
		p("station %d\tissued %s, used %s, voided %s, returned %s, posted %s; outstanding %s (epoch %d)\n",
			c.Station, c.Issued, c.Used, c.Voided, c.Returned, c.Posted, c.Outstanding, c.Epoch)
	}
	return w.Flush()
}

func newAccountsListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List all accounts", Example: "  azs-hq accounts list --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "ACCOUNT\tSTATE\tTOTAL\tAVAILABLE\tPROMISED", (*admin.Client).Accounts, func(a admin.Account) []any {
				return []any{a.ID, a.State, a.Total, a.Available, a.Promised}
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	return cmd
}
