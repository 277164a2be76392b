package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newProgrammeCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "programme", Short: "Put a programme in force", Args: cobra.NoArgs, RunE: help}
	publish := &cobra.Command{
		Use:   "publish FILE",
		Short: "Check a programme's file and send it to every station",
		Long: `Checks the file, puts it in force and sends it to every station. Its version has to be above the
one in force; the same file published again changes nothing.`,
		Example: "  azs-hq programme publish bonus.yaml",
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
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				p, err := c.Publish(ctx, source)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd, p)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "programme %s, version %d, is in force\n", p.Name, p.Version)
				return err
			})
		},
	}
	publish.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	mayCreate(publish)
	cmd.AddCommand(publish)
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
