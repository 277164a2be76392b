package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func newProgrammeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "programme",
		Short: "Check, try and compare loyalty programmes before they are published",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProgrammeCheckCmd(), newProgrammeTryCmd(), newProgrammeTestCmd(), newProgrammeDiffCmd(), newProgrammeBenefitCmd(), newProgrammeSchemaCmd())
	return cmd
}

// programmeReport is what `programme check --json` prints.
type programmeReport struct {
	File     string                     `json:"file"`
	OK       bool                       `json:"ok"`
	Name     string                     `json:"name,omitempty"`
	Version  uint32                     `json:"version,omitempty"`
	From     string                     `json:"effective,omitempty"` // in the programme's own calendar
	Earn     []loyalty.Text             `json:"earn,omitempty"`
	Campaign []loyalty.Text             `json:"campaigns,omitempty"`
	Limits   []loyalty.Text             `json:"limits,omitempty"`
	Velocity []loyalty.Text             `json:"velocity,omitempty"`
	Payments []loyalty.Text             `json:"payments,omitempty"`
	Warnings []loyalty.Text             `json:"warnings,omitempty"`
	Problems []loyalty.ProgrammeProblem `json:"problems"`
}

func newProgrammeCheckCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Report everything wrong with a programme file",
		Long: `Reads a programme file (- is standard input) exactly as stations and headquarters do, and reports every problem at
once: the line, the column, the key, and what to write instead. A good one it tells back in words, in Russian and English: what
is earned at which tier, campaigns and their codes, limits, ways to pay, and what the velocity rules watch. Compare them with
what you meant. It changes nothing and contacts nobody.

What is allowed and seldom meant is a warning: a grade written like another one, a grade on which nothing is earned, a promo
code in two campaigns, a campaign that is over.

Ends with 0 when the programme is good, also with warnings, and with 1 when it is not.`,
		Example: "  azs-agent programme check semeynaya-komanda.yaml\n  azs-agent programme check --json new.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := readProgramme(cmd, args[0])
			if err != nil {
				return err
			}
			p, err := loyalty.ParseProgramme(src)
			var problems loyalty.ProgrammeProblems
			if err != nil && !errors.As(err, &problems) {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			switch {
			case asJSON:
				report := programmeReport{File: args[0], OK: err == nil, Problems: append([]loyalty.ProgrammeProblem{}, problems...)}
				if p != nil {
					report.Name, report.Version, report.From = p.Name, p.Version, p.Moment(p.Effective)
					report.Earn, report.Campaign, report.Limits = p.EarnWords(), p.CampaignWords(), p.LimitWords()
					report.Velocity, report.Payments, report.Warnings = velocityWords(p), p.PaymentWords(), p.Warnings(loyalty.At(time.Now()))
				}
				if err := printJSON(cmd, report); err != nil {
					return err
				}
				if len(problems) > 0 {
					return errors.New("") // the report has said it
				}
			case len(problems) > 0:
				return problemsOf(cmd, args[0], err)
			default:
				return printProgramme(cmd, args[0], p)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func velocityWords(p *loyalty.Programme) []loyalty.Text {
	words := make([]loyalty.Text, len(p.Velocity))
	for i := range p.Velocity {
		words[i] = p.Velocity[i].Words()
	}
	return words
}

// printProgramme sums a good programme up.
func printProgramme(cmd *cobra.Command, file string, p *loyalty.Programme) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ok: %s version %d, in force from %s\n", file, p.Name, p.Version, p.Moment(p.Effective))
	for _, part := range []struct {
		title string
		words []loyalty.Text
	}{
		{"earning", p.EarnWords()}, {"campaigns", p.CampaignWords()}, {"limits", p.LimitWords()}, {"ways to pay", p.PaymentWords()},
		{"velocity rules", velocityWords(p)}, {"warnings", p.Warnings(loyalty.At(time.Now()))},
	} {
		for i, w := range part.words {
			if i == 0 {
				fmt.Fprintf(&b, "%s:\n", part.title)
			}
			fmt.Fprintf(&b, "  - %s\n    %s\n", w.EN, w.RU)
		}
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// loadProgramme reads a programme file that has to be good.
func loadProgramme(cmd *cobra.Command, name string) (*loyalty.Programme, error) {
	src, err := readProgramme(cmd, name)
	if err != nil {
		return nil, err
	}
	p, err := loyalty.ParseProgramme(src)
	if err != nil {
		return nil, problemsOf(cmd, name, err)
	}
	return p, nil
}

// problemsOf prints what is wrong with a file, with its places, and returns how much it is.
func problemsOf(cmd *cobra.Command, name string, err error) error {
	var problems loyalty.ProgrammeProblems
	if !errors.As(err, &problems) {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, problem := range problems {
		place := name + ":"
		if problem.Line == 0 {
			place += " "
		}
		cmd.PrintErrln(place + problem.String())
	}
	return fmt.Errorf("%s: %s", name, counted(len(problems), "problem"))
}

func newProgrammeSchemaCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of programme files, for editors",
		Example: "  azs-agent programme schema > programme.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(loyalty.ProgrammeJSONSchema)
			return err
		},
	}
}

// readProgramme reads one byte more than a programme may have, so that a longer file is refused and not cut.
func readProgramme(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, withHint(fmt.Errorf("reading the programme: %w", err), "name an existing file, or - for standard input")
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, loyalty.MaxProgramme+1))
	if err != nil {
		return nil, fmt.Errorf("reading the programme: %w", err)
	}
	return b, nil
}
