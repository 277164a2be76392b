package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check, show and describe the configuration", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(newConfigCheckCmd(), newConfigShowCmd(), newConfigSchemaCmd())
	return cmd
}

// checkReport is what `config check --json` prints.
type checkReport struct {
	File     string           `json:"file"`
	OK       bool             `json:"ok"`
	Problems []config.Problem `json:"problems"`
}

func newConfigCheckCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Report everything wrong with the configuration",
		Long: `Reads the file strictly, with the AZSHQ_ variables of the environment, and reports every problem
at once: the place, the line, and what to write instead. It opens no port and contacts nobody.

Ends with 0 when the configuration is good and with 78 when it is not.`,
		Example: "  azs-hq config check\n  azs-hq config check ./hq.yaml --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := cmd.Flags().Set("config", args[0]); err != nil {
					return err
				}
			}
			path := cmd.Flag("config").Value.String()
			_, err := loadSettings(cmd)
			var problems config.Problems
			if err != nil && !errors.As(err, &problems) {
				return err
			}
			if asJSON {
				if e := printJSON(cmd, checkReport{File: path, OK: err == nil, Problems: append([]config.Problem{}, problems...)}); e != nil {
					return e
				}
			}
			if err != nil {
				return err
			}
			if !asJSON {
				cmd.Printf("%s: ok\n", path)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newConfigShowCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, defaults and environment included",
		Long: `Prints the configuration as azs-hq would see it now: the file, the AZSHQ_ variables, the flags, and
the default of everything else. There is no secret in it, because secrets are named by file.`,
		Example: "  azs-hq config show\n  AZSHQ_LOG_LEVEL=debug azs-hq config show --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			show := config.Show
			if asJSON {
				show = config.ShowJSON
			}
			out, err := show(c)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newConfigSchemaCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration file",
		Long: `Prints the JSON Schema (draft 2020-12) of the configuration file: every key, its meaning, default
and bounds. Editors that know it complete and check the file while it is written.`,
		Example: "  azs-hq config schema > azs-hq.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := cmd.OutOrStdout().Write(config.HQSchema()); err != nil {
				return fmt.Errorf("print the schema: %w", err)
			}
			return nil
		},
	}
}
