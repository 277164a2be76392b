package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newAccountsSetCmd() *cobra.Command {
	var who by
	var asJSON bool
	var joined string
	cmd := &cobra.Command{
		Use:   "set ACCOUNT",
		Short: "Change what an account may do",
		Long: `Changes one account. The stations that know it are told.

--redeem is the customer's activation: some programmes let points pay only after the customer has
asked for it. To close an account for good: ` + "`azs-hq accounts close`" + `.

` + byWords,
		Example: `  azs-hq accounts set 1042 --redeem on --reason "call 4711"
  azs-hq accounts set 1042 --state blocked --reason "fraud report 12"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var q admin.AccountChange
			var err error
			if q.Account, err = accountNumber(args[0]); err != nil {
				return err
			}
			if q.State, err = stateFlag(cmd); err != nil {
				return err
			}
			if q.RedeemOn, err = redeemFlag(cmd); err != nil {
				return err
			}
			if joined != "" {
				at, err := momentFlag(joined)
				if err != nil {
					return err
				}
				q.Joined = &at
			}
			if q.State == nil && q.RedeemOn == nil && q.Joined == nil {
				return withHint(errors.New("nothing to change"), "give --state, --redeem or --joined")
			}
			if q.By, err = who.say(); err != nil {
				return err
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				out, err := c.SetAccount(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, out)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "account %d: %s, redeeming %s%s\n", out.Account.ID, out.Account.State, onOff(out.Account.RedeemOn), already(out.Changed))
				return err
			})
		},
	}
	cmd.Flags().String("state", "", "`state`: active, accrue_only or blocked")
	cmd.Flags().String("redeem", "", "whether the customer has switched redeeming on: `on` or off")
	cmd.Flags().StringVar(&joined, "joined", "", "`day` from which the customer is in the programme")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	who.flags(cmd)
	return cmd
}

func newAccountsAdjustCmd() *cobra.Command {
	var who by
	var asJSON bool
	var amount, expires, active, ref string
	cmd := &cobra.Command{
		Use:   "adjust ACCOUNT --points ±N --ref REF",
		Short: "Correct an account: give points or take some",
		Long: `Gives an account points, or takes some: no more than it holds.

The reference is your own name for the correction and is given once for ever: the same command again
changes nothing, another correction under the same reference is refused. So a command that was
interrupted is simply given again.

Points live as the programme says for points accrued now, unless --active-from or --expires say
otherwise.

` + byWords,
		Example: `  azs-hq accounts adjust 1042 --points +150 --ref claim-88 --reason "pump 3 did not count"
  azs-hq accounts adjust 1042 --points -35.50 --ref claim-89 --reason "booked twice"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := admin.Correction{Ref: ref}
			var err error
			if q.Account, err = accountNumber(args[0]); err != nil {
				return err
			}
			if q.Points, err = signedPoints(amount); err != nil {
				return err
			}
			if ref == "" {
				return withHint(errors.New("the reference is missing"), "name the correction with --ref, as --ref claim-88; given again it changes nothing")
			}
			if q.ActiveFrom, err = momentFlag(active); err != nil {
				return err
			}
			if q.Expires, err = momentFlag(expires); err != nil {
				return err
			}
			if q.By, err = who.say(); err != nil {
				return err
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				out, err := c.Adjust(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, out)
				}
				done := fmt.Sprintf("%s points", q.Points)
				if !out.Changed {
					done += ", as before under this reference"
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "account %d: %s; total %s, available %s\n", out.Account.ID, done, out.Account.Total, out.Account.Available)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&amount, "points", "", "`points` to give, or with a minus to take; at most two decimals")
	cmd.Flags().StringVar(&ref, "ref", "", "your own `name` for the correction, at most 64 bytes; required")
	cmd.Flags().StringVar(&active, "active-from", "", "`day` or moment from which the points may be redeemed")
	cmd.Flags().StringVar(&expires, "expires", "", "`day` or moment at which the points are gone")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	who.flags(cmd)
	return cmd
}
