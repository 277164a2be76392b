package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq"
)

func newActCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "act", Short: "Verify acts of closed accounts", Args: cobra.NoArgs, RunE: help}
	var key string
	var asJSON bool
	verify := &cobra.Command{
		Use:   "verify FILE --key PUBLIC",
		Short: "Verify that an act is as it was signed",
		Long: `Verifies the signature of an act with the public key, which ` + "`azs-hq init`" + ` puts beside the key of acts
(hq.acts.pub), and prints it. It needs neither the store nor a running azs-hq.

That the entries which the act names are in headquarters' journal proves ` + "`azs-hq tail`" + ` with the same
hashes, and ` + "`azs-hq verify`" + ` for the whole chain.`,
		Example: "  azs-hq act verify act-1042.json --key hq.acts.pub",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return withHint(errors.New("which key?"), "name the public key with --key; `azs-hq init` has put it beside the key of acts")
			}
			public, err := readPublicKey(key)
			if err != nil {
				return err
			}
			file, err := readBounded(args[0], hq.MaxAct)
			if err != nil {
				return fmt.Errorf("read the act: %w", err)
			}
			act, err := hq.VerifyAct(file, public)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if asJSON {
				return printJSON(cmd, act)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n\ngood: signed with the key of %s\n", strings.Join(act.Text, "\n"), key)
			return err
		},
	}
	verify.Flags().StringVar(&key, "key", "", "`file` with the public key (PEM)")
	verify.Flags().BoolVar(&asJSON, "json", false, "print the act as JSON")
	cmd.AddCommand(verify)
	return cmd
}
