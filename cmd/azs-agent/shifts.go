package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func newShiftsCmd() *cobra.Command {
	var asJSON, differing bool
	var count int
	cmd := &cobra.Command{
		Use:   "shifts",
		Short: "List the registers' shifts with their totals",
		Long: `Lists shifts, the one that was opened last first: what the agent has counted in each, by cashier, and where the
register has stated otherwise when it closed the shift. Money is in roubles, points are points. A shift that no register
has opened was named by a sale first; it is marked as implied.

It reads the ledger and never changes it. While the agent runs it reads a copy as of one moment, which for a large ledger
takes a while.`,
		Example: "  azs-agent shifts\n  azs-agent shifts -n 100 --differing\n  azs-agent shifts --json | jq '.[] | select(.differs)'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 1 || count > 100_000 {
				return withHint(fmt.Errorf("-n %d is out of range", count), "1 to 100000")
			}
			return inspected(cmd, func(ctx context.Context, o *ledger.Offline) error {
				all, err := o.Shifts(ctx)
				if err != nil {
					return err
				}
				lines := make([]shiftLine, 0, count)
				for _, s := range all {
					if len(lines) < count && (s.Differs || !differing) {
						lines = append(lines, shiftLineOf(s))
					}
				}
				if asJSON {
					return printJSON(cmd, lines)
				}
				if len(lines) == 0 {
					cmd.Println("no shifts")
				}
				for _, l := range lines {
					cmd.Print(l)
				}
				return nil
			})
		},
	}
	cmd.Flags().String("ledger", "", "ledger `file`, also of a backup (default: as configured)")
	cmd.Flags().IntVarP(&count, "lines", "n", 20, "number of shifts")
	cmd.Flags().BoolVar(&differing, "differing", false, "only those of which the register stated otherwise")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON; counts, kopecks and hundredths of a point")
	return cmd
}

// shiftLine is a shift for people and scripts.
type shiftLine struct {
	Counter    string           `json:"counter"`
	Number     uint32           `json:"number"`
	Closed     bool             `json:"closed"`
	Implied    bool             `json:"implied,omitempty"`
	OpenedAt   string           `json:"opened_at"`
	ClosedAt   string           `json:"closed_at,omitempty"`
	OpenedBy   string           `json:"opened_by,omitempty"`
	ClosedBy   string           `json:"closed_by,omitempty"`
	Totals     map[string]int64 `json:"totals"`
	Cashiers   []cashierLine    `json:"cashiers"`
	Stated     map[string]int64 `json:"stated,omitempty"`
	Differs    bool             `json:"differs"`
	Mismatches []mismatchLine   `json:"mismatches,omitempty"`

	shift *loyalty.Shift
}

type cashierLine struct {
	Cashier string           `json:"cashier"`
	Totals  map[string]int64 `json:"totals"`
}

type mismatchLine struct {
	Name     string `json:"name"`
	Here     int64  `json:"here"`
	Register int64  `json:"register"`
}

func shiftLineOf(s *loyalty.Shift) shiftLine {
	sum := s.Totals()
	l := shiftLine{
		Counter: s.Counter, Number: s.Number, Closed: s.Closed, Implied: s.Implied, OpenedAt: s.OpenedAt.String(), OpenedBy: s.OpenedBy,
		ClosedBy: s.ClosedBy, Totals: figureMap(sum.Figures()), Cashiers: cashierLines(s.Cashiers), Stated: figureMap(s.Stated), Differs: s.Differs,
		shift: s,
	}
	if s.Closed {
		l.ClosedAt = s.ClosedAt.String()
	}
	for _, m := range s.Mismatches() {
		l.Mismatches = append(l.Mismatches, mismatchLine(m))
	}
	return l
}

func cashierLines(cashiers []loyalty.CashierTotals) []cashierLine {
	lines := make([]cashierLine, len(cashiers))
	for i := range cashiers {
		lines[i] = cashierLine{cashiers[i].Cashier, figureMap(cashiers[i].Figures())}
	}
	return lines
}

func figureMap(figures []loyalty.Figure) map[string]int64 {
	m := make(map[string]int64, len(figures))
	for _, f := range figures {
		m[f.Name] = f.Amount
	}
	return m
}

// String is a shift for people: a line, one for each cashier, and one for each difference.
func (l shiftLine) String() string {
	var b strings.Builder
	s := l.shift
	fmt.Fprintf(&b, "shift %s: %s to ", shiftWord(l.Counter, l.Number), s.OpenedAt.Time().Local().Format(time.DateTime))
	if l.Closed {
		b.WriteString(s.ClosedAt.Time().Local().Format(time.DateTime))
	} else {
		b.WriteString("now")
	}
	if l.Implied {
		b.WriteString(", implied")
	}
	sum := s.Totals()
	fmt.Fprintf(&b, "%s\n", figureWords(sum.Figures()))
	if len(s.Cashiers) > 1 {
		for i := range s.Cashiers {
			fmt.Fprintf(&b, "  %s%s\n", cashierWord(s.Cashiers[i].Cashier), figureWords(s.Cashiers[i].Figures()))
		}
	}
	for _, m := range l.Mismatches {
		fmt.Fprintf(&b, "! %s: %s here, the register says %s\n", m.Name, figureWord(m.Name, m.Here), figureWord(m.Name, m.Register))
	}
	return b.String()
}

func cashierWord(name string) string {
	if name == "" {
		return "nobody named"
	}
	return name
}

func figureWords(figures []loyalty.Figure) string {
	var b strings.Builder
	for _, f := range figures {
		fmt.Fprintf(&b, ", %s %s", f.Name, figureWord(f.Name, f.Amount))
	}
	return b.String()
}

// figureWord shows a figure by what it is: a count, money, or points.
func figureWord(name string, amount int64) string {
	switch name {
	case "sales", "refunds", "voids", "manual", "cards":
		return fmt.Sprint(amount)
	case "redeemed", "earned", "returned", "clawed":
		return loyalty.Points(amount).String()
	}
	return loyalty.Kopecks(amount).String()
}
