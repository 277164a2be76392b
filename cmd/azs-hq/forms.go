package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newFormsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "forms", Short: "Look at the forms of new customers, which headquarters keep sealed", Args: cobra.NoArgs, RunE: help,
		Long: `Stations seal what a new customer writes to the key in their configuration (cards.forms_key).
Headquarters keep it sealed, apart from the journal, and cannot read it: whoever has the identity
opens it here, on this machine. azs-hq accounts forget destroys the forms of an account.

A form whose card was refused, or whose entry cannot be read, belongs to no account: list says why,
show opens it by its hash, and destroy destroys it.`,
	}
	cmd.AddCommand(newFormsListCmd(), newFormsShowCmd(), newFormsDestroyCmd())
	return cmd
}

func newFormsListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the forms that are kept, without what is in them", Example: "  azs-hq forms list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "ACCOUNT\tCARD\tSTATION\tCAME\tSHA-256\tWHY NO ACCOUNT", (*admin.Client).Forms, func(f admin.Form) []any {
				return []any{orNone(f.Account), cmp.Or(f.Card, "-"), orNone(f.Station), f.At, f.Hash, f.Why}
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	return cmd
}

// orNone is a number, or a dash for none.
func orNone[T loyalty.AccountID | loyalty.StationID](n T) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func newFormsShowCmd() *cobra.Command {
	var identity, card, hash string
	var asJSON bool
	var who by
	cmd := &cobra.Command{
		Use:   "show [ACCOUNT]",
		Short: "Open the forms of an account, or one form",
		Long: `Opens the forms of an account, or one form by its hash, with the identity that belongs to the stations' key: the file
forms.identity that azs-hq init has written (or one of age-keygen). It is read here and goes nowhere.
What is printed is personal data; a running azs-hq writes into its log who has asked for it.`,
		Example: `  azs-hq forms show 549755813889 --identity forms.identity
  azs-hq forms show --card 7005123412349015 --identity forms.identity --json
  azs-hq forms show --hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --identity forms.identity`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var q admin.AccountQuery
			var err error
			if hash == "" {
				q, err = accountQuery(args, card, false)
			} else if len(args) > 0 || card != "" {
				err = errors.New("name an account, a card or a form, not several")
			}
			if err != nil {
				return err
			}
			id, err := readIdentity(identity)
			if err != nil {
				return err
			}
			var forms []admin.Form
			err = withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				forms, err = c.FormsOf(ctx, admin.FormQuery{AccountQuery: q, Hash: hash, Operator: who.who()})
				return err
			})
			if err != nil {
				return err
			}
			if len(forms) == 0 {
				return errors.New("no form of this account is kept")
			}
			return showForms(cmd, id, forms, asJSON)
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", "`file` with the secret key: forms.identity of azs-hq init, or one of age-keygen")
	who.name(cmd)
	cmd.Flags().StringVar(&card, "card", "", "`number` of one of the account's cards")
	cmd.Flags().StringVar(&hash, "hash", "", "`SHA-256` of one form, as azs-hq forms list prints it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	return cmd
}

func newFormsDestroyCmd() *cobra.Command {
	var who by
	var hash string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "destroy --hash SHA-256",
		Short: "Destroy a form that belongs to no account",
		Long: `Destroys a sealed form that belongs to no account: its card was refused, or its entry cannot be read.
Nobody can bring it back. The forms of an account are destroyed by azs-hq accounts forget.

Copies of the store that were made before still hold it: delete them when their time has come.

` + byWords,
		Example: `  azs-hq forms destroy --hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --reason "letter 118 of 1 June"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q := admin.FormDestruction{Hash: hash}
			if hash == "" {
				return withHint(errors.New("which form?"), "azs-hq forms list prints the hashes")
			}
			if q.By, err = who.say(); err != nil {
				return err
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				f, err := c.DestroyForm(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, f)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "the form %s is destroyed\n", f.Hash)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&hash, "hash", "", "`SHA-256` of the form")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	who.flags(cmd)
	return cmd
}

// readIdentity reads the file that is named on the command line.
func readIdentity(path string) (id form.Identity, err error) {
	const hint = "--identity names the file with the secret key of the stations' forms_key: forms.identity (or hq.forms.identity), which `azs-hq init` has written"
	if path == "" {
		return id, withHint(errors.New("which identity opens the forms?"), hint)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return id, withHint(fmt.Errorf("read the identity: %w", err), hint)
	}
	if id, err = form.ParseIdentity(b); err != nil {
		return id, withHint(fmt.Errorf("%s: %w", path, err), hint)
	}
	return id, nil
}

// openForm is a form that was opened, as scripts read it. (A form.Form shows nothing of itself.)
type openForm struct {
	Account  loyalty.AccountID `json:"account,omitempty"`
	Card     string            `json:"card"`
	At       string            `json:"at"`
	Hash     string            `json:"hash"`
	Error    string            `json:"error,omitempty"` // why it could not be opened
	Name     string            `json:"name,omitempty"`
	Phone    string            `json:"phone,omitempty"`
	Birth    string            `json:"birth,omitempty"`
	Email    string            `json:"email,omitempty"`
	Language string            `json:"language,omitempty"`
	Consent  string            `json:"consent,omitempty"`  // the version of the text
	GivenAt  string            `json:"given_at,omitempty"` // when the customer agreed
}

// showForms opens and prints forms, all that can be opened.
func showForms(cmd *cobra.Command, id form.Identity, forms []admin.Form, asJSON bool) error {
	var failed error
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	for _, sealed := range forms {
		o := openForm{Account: sealed.Account, Card: sealed.Card, At: sealed.At, Hash: sealed.Hash}
		if f, err := form.Open(id, sealed.Sealed); err != nil {
			failed = withHint(fmt.Errorf("form of card %s: %w", o.Card, err), "if the stations' key was changed, use the identity of the older one")
			o.Error = err.Error()
		} else {
			o.Name, o.Phone, o.Birth, o.Email, o.Language = f.Name, f.Phone, f.Birth, f.Email, f.Language
			o.Consent, o.GivenAt = f.Consent.Text, f.Consent.GivenAt.Format(time.RFC3339)
		}
		if asJSON {
			if err := jsonLine(cmd, o); err != nil {
				return err
			}
			continue
		}
		for _, line := range []struct{ what, is string }{
			{"card", o.Card}, {"came", o.At}, {"name", o.Name}, {"phone", o.Phone}, {"born", o.Birth}, {"email", o.Email},
			{"language", o.Language}, {"consent to", o.Consent}, {"given", o.GivenAt}, {"sealed", o.Error},
		} {
			if line.is != "" {
				_, _ = fmt.Fprintf(w, "%s\t%s\n", line.what, line.is) // Flush reports
			}
		}
		_, _ = fmt.Fprintln(w)
	}
	return errors.Join(w.Flush(), failed)
}
