package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and describe the configuration",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
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
		Long: `Reads the file strictly, with the AZS_ variables of the environment, and reports every problem at once: the place,
the line, and what to write instead. It opens no port and contacts nobody, and does not look into the files that are named:
` + "`azs-agent doctor`" + ` does.

Ends with 0 when the configuration is good and with 78 when it is not.`,
		Example: "  azs-agent config check\n  azs-agent config check ./new.yaml --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := cmd.Flag("config").Value.Set(args[0]); err != nil {
					return err
				}
			}
			_, err := loadConfig(cmd)
			var problems config.Problems
			if err != nil && !errors.As(err, &problems) {
				if !asJSON {
					return err
				}
				problems = config.Problems{unreadable(configPath(cmd), err)}
			}
			switch {
			case asJSON:
				report := checkReport{File: configPath(cmd), OK: err == nil, Problems: append([]config.Problem{}, problems...)}
				if err := printJSON(cmd, report); err != nil {
					return err
				}
				if len(problems) > 0 {
					return withStatus(exitConfig, errors.New(""))
				}
			case len(problems) > 0:
				for _, p := range problems {
					cmd.PrintErrln(p)
				}
				return withStatus(exitConfig, fmt.Errorf("%s: %s", configPath(cmd), counted(len(problems), "problem")))
			default:
				cmd.Printf("%s: ok\n", configPath(cmd))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// unreadable is a file that could not be read, as a problem of its own.
func unreadable(path string, err error) config.Problem {
	p := config.Problem{Source: path, Message: err.Error()}
	var h *hintError
	if errors.As(err, &h) {
		p.Hint = h.Hint()
	}
	return p
}

func newConfigShowCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, defaults and environment included",
		Long: `Prints the configuration as the agent would see it now: the file, the AZS_ variables, and the default of everything
else. There is no secret in it, because secrets are named by file; it can be mailed as it is.`,
		Example: "  azs-agent config show\n  AZS_LOG_LEVEL=debug azs-agent config show --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
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
		Long: `Prints the JSON Schema (draft 2020-12) of the configuration file: every key, its meaning, default and bounds. Editors
that know it complete and check the file while it is written.`,
		Example: "  azs-agent config schema > azs-agent.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.AgentSchema())
			return err
		},
	}
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
