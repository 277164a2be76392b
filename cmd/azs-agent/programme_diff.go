package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func newProgrammeDiffCmd() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff OLD NEW --cases DIR",
		Short: "Say what a new version changes, and for whom",
		Long: `Sells the receipts of every case below a folder under two programmes and prints what is different: for this customer
and this receipt, so much more or less. Velocity rules are no customer's, and are compared by name. What the cases expect is not
looked at. That the new version's number has not grown, without which it cannot be published, is noted on standard error. Ends
with 0 whether or not there are differences.
` + aboutCases,
		Example: "  azs-agent programme diff summer-1.yaml summer-2.yaml --cases customers",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := loadProgramme(cmd, args[0])
			if err != nil {
				return err
			}
			after, err := loadProgramme(cmd, args[1])
			if err != nil {
				return err
			}
			files, err := caseFiles(dir)
			if err != nil {
				return err
			}
			if after.Version <= before.Version {
				cmd.PrintErrf("note: %s is version %d and %s version %d: headquarters publish a version only if it is above the one before\n",
					args[1], after.Version, args[0], before.Version)
			}
			changed := []changedCase{}
			for _, file := range files {
				s, err := loadScenario(cmd, file)
				if err != nil {
					return err
				}
				changes, err := s.Compare(before, after)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				if len(changes) > 0 {
					changed = append(changed, changedCase{file, s.Title, changes})
				}
			}
			return printChanges(cmd, changed, loyalty.CompareVelocity(before, after), len(files), asJSON)
		},
	}
	cmd.Flags().StringVar(&dir, "cases", "", "the folder of cases")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("cases") // fails for a flag that is not there, and it is
	return cmd
}

// printChanges tells what is different for the customers of the cases, and in the velocity rules.
func printChanges(cmd *cobra.Command, changed []changedCase, velocity []loyalty.Difference, cases int, asJSON bool) error {
	if asJSON {
		if len(velocity) > 0 {
			changed = append(changed, changedCase{"", "velocity rules", velocity})
		}
		return printJSON(cmd, changed)
	}
	var b strings.Builder
	for _, c := range changed {
		fmt.Fprintf(&b, "%s: %s\n", filepath.Base(c.File), c.Title)
		for _, d := range c.Changes {
			fmt.Fprintf(&b, "  sale %d: %s: %s -> %s\n", d.Sale, d.What, d.Before, d.After)
		}
	}
	for _, d := range velocity {
		fmt.Fprintf(&b, "%s\n  before: %s\n  after:  %s\n", d.What, d.Before, d.After)
	}
	fmt.Fprintf(&b, "%d of %s changed\n", len(changed), counted(cases, "case"))
	if len(velocity) > 0 {
		fmt.Fprintf(&b, "%s changed\n", counted(len(velocity), "velocity rule"))
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// changedCase is what `programme diff --json` prints of a case, or of the velocity rules.
type changedCase struct {
	File    string               `json:"file,omitempty"`
	Title   string               `json:"scenario"`
	Changes []loyalty.Difference `json:"changes"`
}

func newProgrammeBenefitCmd() *cobra.Command {
	var litres, price, goods, grade, group, tender, begin string
	var visits int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "benefit FILE --litres-a-month N",
		Short: "Work out what a year gives to a customer",
		Long: `Sells a year of receipts to a new customer who redeems nothing, month after month, with the levels, limits and campaigns
of the programme, and prints what is earned.`,
		Example: "  azs-agent programme benefit bp-club.yaml --litres-a-month 160 --price 62.50 --goods-a-month 2000 --visits 4",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadProgramme(cmd, args[0])
			if err != nil {
				return err
			}
			h := loyalty.Habits{Grade: grade, Group: group, Visits: visits, Begin: loyalty.At(time.Now())}
			for _, f := range []struct {
				name, value string
				digits      int
				to          func(int64)
			}{
				{"litres-a-month", litres, 3, func(v int64) { h.Litres = loyalty.Millilitres(v) }},
				{"price", price, 2, func(v int64) { h.Price = loyalty.Kopecks(v) }},
				{"goods-a-month", goods, 2, func(v int64) { h.Goods = loyalty.Kopecks(v) }},
			} {
				v, err := loyalty.ParseDecimal(f.value, f.digits)
				if err != nil {
					return withHint(fmt.Errorf("--%s: %.32q is not a number with at most %d decimals", f.name, f.value, f.digits), "write digits, as in 120.5")
				}
				f.to(v)
			}
			if h.Tender, err = loyalty.ParseTender(tender); err != nil {
				return fmt.Errorf("--tender: %w", err)
			}
			if begin != "" {
				at, err := time.Parse(time.DateOnly, begin)
				if err != nil {
					return withHint(fmt.Errorf("--begin: %w", err), "write a day like 2026-01-01")
				}
				h.Begin = loyalty.At(at.Add(12 * time.Hour))
			}
			if h.Litres > 0 && !p.Knows(grade) {
				cmd.PrintErrf("note: the programme says nothing of fuel %.32q; --grade takes a grade as the programme writes it: %s\n", grade, strings.Join(p.Grades(), ", "))
			}
			b, err := p.Benefit(h)
			if err != nil {
				return err
			}
			return printBenefit(cmd, &b, p, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&litres, "litres-a-month", "0", "fuel, in litres")
	f.StringVar(&price, "price", "60", "of a litre, in roubles")
	f.StringVar(&grade, "grade", "АИ-95", "of the fuel")
	f.StringVar(&goods, "goods-a-month", "0", "goods, in roubles")
	f.StringVar(&group, "group", "", "of the goods")
	f.StringVar(&tender, "tender", "cashless", "cash, cashless or fuel_card")
	f.IntVar(&visits, "visits", 4, "receipts a month")
	f.StringVar(&begin, "begin", "", "the first month of the year, like 2026-01-01 (default: this month)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printBenefit(cmd *cobra.Command, b *loyalty.Benefit, p *loyalty.Programme, asJSON bool) error {
	type month struct {
		Month  string `json:"month"`
		Points int64  `json:"points_x100"`
		Level  string `json:"level,omitempty"`
	}
	months := make([]month, len(b.Months))
	for i, m := range b.Months {
		months[i] = month{m.Begin.Time().Add(p.Offset).Format("2006-01"), int64(m.Points), m.Tier.EN}
	}
	if asJSON {
		return printJSON(cmd, map[string]any{
			"points_x100": int64(b.Points), "value_kopecks": int64(b.Roubles), "spent_kopecks": int64(b.Spent), "months": months,
		})
	}
	for i, m := range months {
		fmt.Fprintf(cmd.OutOrStdout(), "%s  %8s points  %s\n", m.Month, b.Months[i].Points, m.Level)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "a year: %s points, which pay %s RUB, for %s RUB spent\n", b.Points, b.Roubles, b.Spent)
	return nil
}
