package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

const aboutCases = `
A case is a file that says who buys what, and may say what is expected:

  scenario: Ten litres and a coffee
  card: {kind: additional, may_redeem: true}
  account:
    lots: [{points: 300, expires: 2026-06-01T00:00:00+03:00}]
  sales:
    - at: 2026-03-14T12:00:00+03:00
      tender: cash          # of several: payments: {cash: "500", cashless: "179"}
      lines:
        - {fuel: АИ-95, litres: 10, roubles: 620}
        - {goods: coffee, roubles: 159}
      redeem: 100
      expect: {earn: 10, pay: 679}`

func newProgrammeTryCmd() *cobra.Command {
	var file string
	var explain, asJSON bool
	cmd := &cobra.Command{
		Use:   "try FILE --case CASE",
		Short: "Say what a programme gives for a case, and why",
		Long: `Sells the receipts of a case under a programme, one after the other, exactly as a station does, and prints what each
earns, what may be redeemed, every line's part, and every reason. Where the case says what is expected, differences are
printed and end the command with 1.
` + aboutCases,
		Example: "  azs-agent programme try summer.yaml --case coffee.yaml --explain\n  azs-agent programme try summer.yaml --case coffee.yaml --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadProgramme(cmd, args[0])
			if err != nil {
				return err
			}
			s, err := loadScenario(cmd, file)
			if err != nil {
				return err
			}
			outcomes, err := s.Run(p)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd, triedOf(p, s, outcomes, explain))
			} else {
				err = printTried(cmd, p, s, outcomes, explain)
			}
			if err == nil && wrongs(outcomes) > 0 {
				err = fmt.Errorf("%s: %s", file, counted(wrongs(outcomes), "difference"))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "case", "", "the file of the case (- is standard input)")
	cmd.Flags().BoolVar(&explain, "explain", false, "say in words how each amount came about")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("case") // fails for a flag that is not there, and it is
	return cmd
}

func loadScenario(cmd *cobra.Command, name string) (*loyalty.Scenario, error) {
	src, err := readProgramme(cmd, name)
	if err != nil {
		return nil, err
	}
	s, err := loyalty.ParseScenario(src)
	if err != nil {
		return nil, problemsOf(cmd, name, err)
	}
	return s, nil
}

func wrongs(outcomes []loyalty.Outcome) (n int) {
	for i := range outcomes {
		n += len(outcomes[i].Wrong)
	}
	return n
}

// triedSale is what `programme try --json` prints of a receipt. Amounts are integers that name their unit, as in the API.
type triedSale struct {
	At        string            `json:"at"`
	Refusal   loyalty.Refusal   `json:"refusal,omitempty"`
	Detail    string            `json:"detail,omitempty"`
	Form      string            `json:"fiscal_form,omitempty"`
	Receipt   int64             `json:"total_kopecks"`
	Redeem    int64             `json:"redeem_points_x100"`
	MaxRedeem int64             `json:"max_redeem_points_x100"`
	Discount  int64             `json:"discount_kopecks"`
	Lines     []loyalty.Kopecks `json:"line_discounts_kopecks"`
	Pay       int64             `json:"pay_kopecks"`
	Earn      int64             `json:"earn_points_x100"`
	LineEarn  []loyalty.Points  `json:"line_earned_points_x100"`
	Lots      []triedLot        `json:"lots"`
	Reasons   []triedReason     `json:"reasons"`
	Level     *loyalty.Text     `json:"level,omitempty"`
	Next      *loyalty.Text     `json:"next_level,omitempty"`
	Need      int64             `json:"to_next_level,omitempty"`
	Total     int64             `json:"balance_points_x100"`
	Available int64             `json:"available_points_x100"`
	Why       []triedStep       `json:"why,omitempty"`
	Wrong     []string          `json:"wrong,omitempty"`
}

type triedLot struct {
	Amount  int64  `json:"points_x100"`
	Active  string `json:"active_from,omitempty"`
	Expires string `json:"expires,omitempty"`
}

type triedReason struct {
	Code loyalty.Refusal `json:"code"`
	loyalty.Text
}

type triedStep struct {
	loyalty.Step
	Words loyalty.Text `json:"words"`
}

func triedOf(p *loyalty.Programme, s *loyalty.Scenario, outcomes []loyalty.Outcome, explain bool) []triedSale {
	out := make([]triedSale, len(outcomes))
	for i := range outcomes {
		o, q := &outcomes[i], &outcomes[i].Quote
		t := triedSale{At: momentOr(p, s.Sales[i].At, ""), Refusal: o.Refusal, Detail: o.Detail, Wrong: o.Wrong, Lines: []loyalty.Kopecks{}, LineEarn: []loyalty.Points{}, Lots: []triedLot{}, Reasons: []triedReason{}}
		t.Receipt = int64(s.Sales[i].Receipt.Total())
		if o.Refusal == "" {
			t.Form, t.Redeem, t.MaxRedeem, t.Discount, t.Pay = q.Form.String(), int64(q.Redeem), int64(q.MaxRedeem), int64(q.Discount), int64(q.Pay)
			t.Earn, t.Total, t.Available, t.Need = int64(q.Earn), int64(o.Total), int64(o.Avail), q.Progress.Need
			t.Lines, t.LineEarn = append(t.Lines, q.Lines...), append(t.LineEarn, q.LineEarn...)
			if q.Progress.Tier != (loyalty.Text{}) {
				t.Level = &q.Progress.Tier
			}
			if q.Progress.Need > 0 {
				t.Next = &q.Progress.Next
			}
		}
		for _, l := range q.Booked() {
			t.Lots = append(t.Lots, triedLot{int64(l.Amount), momentOr(p, l.ActiveFrom, ""), momentOr(p, l.Expires, "")})
		}
		for _, r := range q.Reasons {
			t.Reasons = append(t.Reasons, triedReason{r, loyalty.Words(r)})
		}
		if explain {
			for j := range q.Why {
				t.Why = append(t.Why, triedStep{q.Why[j], q.Why[j].Words()})
			}
		}
		out[i] = t
	}
	return out
}

// momentOr is a moment in the programme's calendar.
func momentOr(p *loyalty.Programme, at loyalty.Instant, none string) string {
	return cmp.Or(p.Moment(at), none)
}

func printTried(cmd *cobra.Command, p *loyalty.Programme, s *loyalty.Scenario, outcomes []loyalty.Outcome, explain bool) error {
	var b strings.Builder
	fmt.Fprintln(&b, s.Title)
	if s.Terms != "" {
		fmt.Fprintf(&b, "  “%s”\n", s.Terms)
	}
	for i := range outcomes {
		o, q := &outcomes[i], &outcomes[i].Quote
		fmt.Fprintf(&b, "%d. %s, %s RUB by %s\n", i+1, momentOr(p, s.Sales[i].At, ""), s.Sales[i].Receipt.Total(), paidBy(&s.Sales[i].Receipt))
		if o.Refusal != "" {
			w := loyalty.Words(o.Refusal)
			fmt.Fprintf(&b, "   refused: %s: %s / %s\n", o.Refusal, w.EN, w.RU)
			if o.Detail != string(o.Refusal) {
				fmt.Fprintf(&b, "            %s\n", o.Detail)
			}
		} else {
			printQuote(&b, p, o)
		}
		for _, r := range q.Reasons {
			w := loyalty.Words(r)
			fmt.Fprintf(&b, "   because: %s: %s / %s\n", r, w.EN, w.RU)
		}
		if explain {
			for j := range q.Why {
				w := q.Why[j].Words()
				fmt.Fprintf(&b, "   - %s\n     %s\n", w.EN, w.RU)
			}
		}
		for _, w := range o.Wrong {
			fmt.Fprintf(&b, "   WRONG %s\n", w)
		}
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// paidBy names the tender of a receipt, or what each of several pays.
func paidBy(r *loyalty.Receipt) string {
	if len(r.Payments) == 0 {
		return r.Tender.String()
	}
	parts := make([]string, len(r.Payments))
	for i, p := range r.Payments {
		parts[i] = fmt.Sprintf("%s %s", p.Tender, p.Amount)
	}
	return strings.Join(parts, " and ")
}

func printQuote(b *strings.Builder, p *loyalty.Programme, o *loyalty.Outcome) {
	q := &o.Quote
	fmt.Fprintf(b, "   redeem: %s points of at most %s, paying %s RUB; left to pay %s RUB (%s)\n", q.Redeem, q.MaxRedeem, q.Discount, q.Pay, q.Form)
	fmt.Fprintf(b, "   earn:   %s points\n", q.Earn)
	for _, l := range q.Booked() {
		fmt.Fprintf(b, "           %s from %s until %s\n", l.Amount, momentOr(p, l.ActiveFrom, "now"), momentOr(p, l.Expires, "ever"))
	}
	for i := range q.Lines {
		fmt.Fprintf(b, "   line %d: discount %s RUB, earns %s\n", i+1, q.Lines[i], q.LineEarn[i])
	}
	if q.Progress.Tier.EN != "" {
		fmt.Fprintf(b, "   level:  %s", q.Progress.Tier.EN)
		if q.Progress.Need > 0 {
			need := loyalty.Millilitres(q.Progress.Need).String() + " litres"
			if q.Progress.Unit == loyalty.Goods {
				need = loyalty.Kopecks(q.Progress.Need).String() + " RUB"
			}
			fmt.Fprintf(b, ", %s to %s", need, q.Progress.Next.EN)
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintf(b, "   account: %s points, %s of them available\n", o.Total, o.Avail)
}

func newProgrammeTestCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test FILE DIR",
		Short: "Check all cases of a folder against what they expect",
		Long: `Runs every case below a folder (*.yaml) under a programme and prints those that do not give what they expect. Ends with
0 when all do.
` + aboutCases,
		Example: "  azs-agent programme test semeynaya-komanda.yaml scenarios/semeynaya-komanda",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadProgramme(cmd, args[0])
			if err != nil {
				return err
			}
			cases, err := caseFiles(args[1])
			if err != nil {
				return err
			}
			type result struct {
				File  string   `json:"file"`
				Title string   `json:"scenario"`
				Wrong []string `json:"wrong"`
			}
			results, failed := []result{}, 0
			for _, file := range cases {
				s, err := loadScenario(cmd, file)
				if err != nil {
					return err
				}
				outcomes, err := s.Run(p)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				r := result{file, s.Title, []string{}}
				for i := range outcomes {
					for _, w := range outcomes[i].Wrong {
						r.Wrong = append(r.Wrong, fmt.Sprintf("sale %d: %s", i+1, w))
					}
				}
				if len(r.Wrong) > 0 {
					failed++
				}
				results = append(results, r)
			}
			if asJSON {
				if err := printJSON(cmd, results); err != nil {
					return err
				}
			} else {
				for _, r := range results {
					mark := "ok  "
					if len(r.Wrong) > 0 {
						mark = "FAIL"
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s\n", mark, filepath.Base(r.File), r.Title)
					for _, w := range r.Wrong {
						fmt.Fprintf(cmd.OutOrStdout(), "     %s\n", w)
					}
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d of %s failed", failed, counted(len(results), "case"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

const maxCases = 10_000

// caseFiles is all cases below a folder, in the order of their names.
func caseFiles(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Type().IsRegular() && filepath.Ext(path) == ".yaml":
			files = append(files, path)
		}
		if len(files) > maxCases {
			return fmt.Errorf("more than %d cases", maxCases)
		}
		return nil
	})
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, withHint(fmt.Errorf("looking for cases: %w", err), "name an existing folder")
	case err != nil:
		return nil, fmt.Errorf("looking for cases: %w", err)
	case len(files) == 0:
		return nil, withHint(fmt.Errorf("%s holds no cases", dir), "put files that end in .yaml there")
	}
	slices.Sort(files)
	return files, nil
}
