package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

// printJSON writes one value for scripts.
func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// jsonLine writes one of many values for scripts, on a line of its own.
func jsonLine(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// table prints a list as it comes, for people or for scripts.
func table[T any](cmd *cobra.Command, asJSON bool, header string, list func(*admin.Client, context.Context, func(T) error) error, columns func(T) []any) error {
	return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
		if asJSON {
			return list(c, ctx, func(v T) error { return jsonLine(cmd, v) })
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
		n := 0
		err := list(c, ctx, func(v T) error {
			if n == 0 {
				_, _ = fmt.Fprintln(w, header) // Flush reports
			}
			row := columns(v)
			_, err := fmt.Fprintf(w, strings.TrimPrefix(strings.Repeat("\t%v", len(row)), "\t")+"\n", row...)
			if n++; n%1000 == 0 {
				err = errors.Join(err, w.Flush())
			}
			return err
		})
		if n == 0 && err == nil {
			_, _ = fmt.Fprintln(w, header) // an error is told without it
		}
		return errors.Join(err, w.Flush())
	})
}
