package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newProgrammeCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "programme", Short: "Publish programmes, and look at those that were", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(newProgrammePublishCmd(), newProgrammeListCmd(), newProgrammeShowCmd())
	return cmd
}

func newProgrammePublishCmd() *cobra.Command {
	var who by
	var asJSON, replace bool
	cmd := &cobra.Command{
		Use:   "publish FILE",
		Short: "Check a programme's file and send it to every station",
		Long: `Checks the file and sends it to every station, where it is in force from the moment that it names
itself. Its version has to be above the published one's; the same file published again changes
nothing. Headquarters' journal keeps who has published it, when, and the file's SHA-256.

A programme of another name is refused: it would take the place of yours. --replace publishes it all
the same.`,
		Example: "  azs-hq programme publish bonus.yaml --reason \"order 12 of 1 June\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := os.Stat(args[0])
			if err != nil {
				return fmt.Errorf("read the programme: %w", err)
			}
			if info.Size() > loyalty.MaxProgramme {
				return fmt.Errorf("%s has %d bytes, a programme at most %d: is it the right file?", args[0], info.Size(), loyalty.MaxProgramme)
			}
			source, err := readProgramme(args[0])
			if err != nil {
				return err
			}
			if _, err := loyalty.ParseProgramme(source); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			q := admin.Publication{Source: source, Replace: replace, By: hq.By{Operator: who.who(), Reason: who.reason}}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				p, err := c.Publish(ctx, q)
				var problem *admin.Problem
				switch {
				case errors.As(err, &problem) && problem.Code == "other_programme":
					return withHint(err, "is it the right file? --replace publishes it instead of the other")
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd, p)
				}
				done := "is published"
				if !p.Changed {
					done = "was published before"
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "programme %s, version %d, %s; %s %s\n", p.Name, p.Version, done, stateWords[p.State], p.Effective)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&replace, "replace", false, "publish it though the published one has another name")
	cmd.Flags().StringVar(&who.reason, "reason", "", "`why`, as the number of an order; it goes into the journal")
	who.name(cmd)
	mayCreate(cmd)
	return cmd
}

// stateWords go before the moment at which a programme begins.
var stateWords = map[string]string{"in_force": "in force since", "to_come": "in force from", "past": "was in force from"}

func newProgrammeListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the versions that were published, newest first", Args: cobra.NoArgs,
		Long: `Lists the versions that were published, newest first, each in its own calendar: from when it is in
force, and when it was published, by whom and why, as headquarters' journal has it.`,
		Example: "  azs-hq programme list\n  azs-hq programme list --json | jq -r .sha256",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "VERSION\tNAME\tSTATE\tIN FORCE FROM\tPUBLISHED\tBY\tREASON", (*admin.Client).Programmes, func(p admin.Programme) []any {
				return []any{
					p.Version, cmp.Or(p.Name, "(cannot be read)"), strings.ReplaceAll(p.State, "_", " "), p.Effective, cmp.Or(p.Published, "(no entry)"), p.Operator, p.Reason,
				}
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	return cmd
}

func newProgrammeShowCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show VERSION", Short: "Print the file of a version as it was published", Args: cobra.ExactArgs(1),
		Long:    "Prints the file of a version to standard output, byte for byte, and who has published it to standard error.",
		Example: "  azs-hq programme show 7 > bonus-7.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil || version == 0 {
				return withHint(fmt.Errorf("%.40q is not the version of a programme", args[0]), "`azs-hq programme list` shows those that were published")
			}
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				p, err := c.Programme(ctx, uint32(version))
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd, p)
				}
				cmd.PrintErrf("%s, version %d, %s %s, SHA-256 %s\n", p.Name, p.Version, stateWords[p.State], p.Effective, p.Hash)
				if p.Published != "" {
					cmd.PrintErrf("published %s by %s %s\n", p.Published, cmp.Or(p.Operator, "nobody named"), p.Reason)
				}
				_, err = cmd.OutOrStdout().Write(p.Source)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, the file in base64")
	return cmd
}

// readProgramme reads a programme's file, bounded.
func readProgramme(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the programme: %w", err)
	}
	return b, nil
}
