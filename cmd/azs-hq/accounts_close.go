package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newAccountsCloseCmd() *cobra.Command {
	var who by
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "close ACCOUNT",
		Short: "Close an account and its cards for good, and burn its points",
		Long: `Closes an account and all its cards, for good. Points that no station holds rights to are burned at
once; the rest by the daily work, when the rights have come back or the sales they were for are
posted. Points that are reported late are burned then, too. Closed again, it only burns what can be
burned by now.

What is known of the owner stays until ` + "`azs-hq accounts forget`" + `.

` + byWords,
		Example: `  azs-hq accounts close 1042 --reason "letter 118 of 1 June"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := accountNumber(args[0])
			if err != nil {
				return err
			}
			q := admin.Closing{Account: id}
			if q.By, err = who.say(); err != nil {
				return err
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				out, err := c.CloseAccount(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, out)
				}
				text := fmt.Sprintf("account %d is closed, with %s; burned %s", id, amount(uint64(len(out.Cards)), "card", "cards"), out.Burned)
				if out.Left != "0" {
					text += fmt.Sprintf("; %s will burn when the stations have given up their rights to it", out.Left)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	who.flags(cmd)
	return cmd
}

func newAccountsForgetCmd() *cobra.Command {
	var who by
	a := actFile{}
	cmd := &cobra.Command{
		Use:   "forget ACCOUNT",
		Short: "Destroy what is known of the owner of a closed account, with a signed act",
		Long: `Destroys the sealed forms of a closed account: name, telephone and whatever else was written at the
counter. Nobody can bring them back. The journal has only their hashes and still proves; the numbers
of the cards stay, as numbers.

It writes an act into a file and prints it: what was destroyed, the points that were burned, and the
entries of headquarters' journal with the hashes of its chain, signed with the key that
accounts.act_key_file names. ` + "`azs-hq act verify`" + ` verifies it. The act can be made again at any time
(` + "`azs-hq accounts act`" + `).

Copies of the store that were made before still hold the sealed forms: delete them when their time
has come.

` + byWords,
		Example: `  azs-hq accounts forget 1042 --reason "letter 118 of 1 June" --out act-1042.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := accountNumber(args[0])
			if err != nil {
				return err
			}
			q := admin.Closing{Account: id}
			if q.By, err = who.say(); err != nil {
				return err
			}
			key, err := a.prepare(cmd, id)
			if err != nil {
				return err
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				if _, err := c.Forget(ctx, q); err != nil {
					return err
				}
				if err := a.make(ctx, cmd, c, id, q.Operator, key); err != nil {
					return withHint(err, fmt.Sprintf("the forms are destroyed; `azs-hq accounts act %d` makes the act again", id))
				}
				return nil
			})
		},
	}
	a.flags(cmd)
	who.flags(cmd)
	return cmd
}

func newAccountsActCmd() *cobra.Command {
	var who by
	a := actFile{}
	cmd := &cobra.Command{
		Use:   "act ACCOUNT",
		Short: "Make the signed act of a closed account, again",
		Long: `Makes the act of an account that is closed, from the journal: as ` + "`azs-hq accounts forget`" + ` does, but it
destroys nothing. Made again later, it also tells of points that were burned since.`,
		Example: "  azs-hq accounts act 1042 --out act-1042-2.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := accountNumber(args[0])
			if err != nil {
				return err
			}
			key, err := a.prepare(cmd, id)
			if err != nil {
				return err
			}
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				return a.make(ctx, cmd, c, id, who.who(), key)
			})
		},
	}
	a.flags(cmd)
	who.name(cmd)
	return cmd
}

// actFile is where an act goes.
type actFile struct {
	out    string
	asJSON bool
}

func (a *actFile) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.out, "out", "", "`file` of the act; default: act-ACCOUNT.json")
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print the act as JSON, as it is in the file")
}

// prepare reads the key and makes sure that the act has a place, before anything is done.
func (a *actFile) prepare(cmd *cobra.Command, id loyalty.AccountID) (ed25519.PrivateKey, error) {
	if a.out == "" {
		a.out = fmt.Sprintf("act-%d.json", id)
	}
	if _, err := os.Lstat(a.out); err == nil {
		return nil, withHint(fmt.Errorf("%s is there already", a.out), "an act is not overwritten: name another file with --out")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c, err := offlineSettings(cmd)
	if err != nil {
		return nil, err
	}
	return readActKey(c.Accounts.ActKeyFile)
}

// make makes the act, writes it down and prints it.
func (a *actFile) make(ctx context.Context, cmd *cobra.Command, c *admin.Client, id loyalty.AccountID, operator string, key ed25519.PrivateKey) error {
	act, err := c.Act(ctx, id)
	if err != nil {
		return err
	}
	signed, err := hq.SignAct(act, operator, key)
	if err != nil {
		return err
	}
	file, err := json.MarshalIndent(signed, "", "  ")
	if err != nil {
		return fmt.Errorf("write the act: %w", err)
	}
	if err := writeNew(a.out, append(file, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the act: %w", err)
	}
	cmd.PrintErrf("the act is in %s\n", a.out)
	if a.asJSON {
		return printJSON(cmd, signed)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(signed.Act.Text, "\n"))
	return err
}
