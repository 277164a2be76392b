package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newCardsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "cards", Short: "Change cards", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(newCardsSetCmd())
	return cmd
}

func newCardsSetCmd() *cobra.Command {
	var who by
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "set NUMBER",
		Short: "Block a card, let it redeem or not, change its kind",
		Long: `Changes one card. The stations that know its account are told; the others learn it when they ask.

A lost card is blocked, and unblocked when it has been found; closed is for good. --redeem is the
owner's switch: whether the card may pay with points. How many cards of a kind an account may have
is the programme's to say.

` + byWords,
		Example: `  azs-hq cards set 7005123412349015 --state blocked --reason "call 4711: lost"
  azs-hq cards set 7005123412349023 --redeem on --reason "letter 118 of the owner"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := admin.CardChange{Card: args[0]}
			var err error
			if q.State, err = stateFlag(cmd); err != nil {
				return err
			}
			if q.MayRedeem, err = redeemFlag(cmd); err != nil {
				return err
			}
			if kind := cmd.Flag("kind"); kind.Changed {
				k, err := loyalty.ParseCardKind(kind.Value.String())
				if err != nil {
					return err
				}
				q.Kind = &k
			}
			if q.State == nil && q.Kind == nil && q.MayRedeem == nil {
				return withHint(errors.New("nothing to change"), "give --state, --redeem or --kind")
			}
			if q.By, err = who.say(); err != nil {
				return err
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				out, err := c.SetCard(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, out)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "card %s: %s, %s, redeems: %s%s\n", out.Card.Number, out.Card.Kind, out.Card.State, onOff(out.Card.MayRedeem), already(out.Changed))
				return err
			})
		},
	}
	cmd.Flags().String("state", "", "`state`: active, accrue_only, blocked or closed")
	cmd.Flags().String("redeem", "", "whether it may pay with points: `on` or off")
	cmd.Flags().String("kind", "", "`kind`: main, additional, virtual or staff")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	who.flags(cmd)
	return cmd
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// already says that nothing had to be changed.
func already(changed bool) string {
	if changed {
		return ""
	}
	return " (as it was)"
}
