package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newPartnersCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "partners", Short: "Book what partners give to customers", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(newAccrueCmd())
	return cmd
}

// accrued is what `partners accrue` prints for scripts.
type accrued struct {
	Added  int    `json:"added"`
	There  int    `json:"there"`
	Points string `json:"points"`
	DryRun bool   `json:"dry_run,omitempty"`
}

func newAccrueCmd() *cobra.Command {
	var who by
	var partner string
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use:   "accrue FILE.csv --partner NAME",
		Short: "Book a partner's accruals from a CSV file",
		Long: `Books points that a partner gives to customers. The file begins with the line

  ` + admin.AccrualsHeader + `

  card         number of a card; or
  account      number of an account, where card is empty
  points       decimal, as 120 or 120.50; at most two decimals, above zero
  ref          the partner's own name for the row, at most 64 bytes, given once for ever
  active_from  day or moment from which the points may be redeemed; empty: as the programme says
  expires      day or moment at which they are gone; empty: as the programme says

Columns are separated by commas, or by semicolons if the first line has them.

All rows are checked before the first is booked, also whether the cards and accounts are there and
may accrue: accounts that are closed or blocked may not. A reference is taken for ever: the same
row again changes nothing, another row under the same reference is refused. So a file that was
interrupted is simply booked again, and one that is booked twice counts once.`,
		Example: `  azs-hq partners accrue may.csv --partner "Bank"
  azs-hq partners accrue may.csv --partner "Bank" --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if partner == "" {
				return withHint(errors.New("which partner?"), "name it with --partner, always the same: references are the partner's own")
			}
			k := accrualFiles(partner, who.who())
			sum, err := k.accrue(cmd, args[0], dry)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, accrued{sum.Added, sum.There, sum.Points.String(), dry})
			}
			verb := "booked"
			if dry {
				verb = "would book"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %d with %s points, there already %d\n", partner, verb, sum.Added, sum.Points, sum.There)
			return err
		},
	}
	cmd.Flags().StringVar(&partner, "partner", "", "`name` of the partner; required")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "check everything and book nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	who.name(cmd)
	return cmd
}

// accrualFile is how a partner's file is read and booked.
type accrualFile struct {
	*kind[hq.Accrual]
	dry    bool
	points loyalty.Points
}

func accrualFiles(partner, operator string) *accrualFile {
	f := &accrualFile{}
	f.kind = &kind[hq.Accrual]{
		open: func(r io.Reader) rowReader[hq.Accrual] { return admin.NewAccrualRows(r) },
		send: func(c *admin.Client, ctx context.Context, rows []hq.Accrual) (hq.Imported, error) {
			n, err := c.Accrue(ctx, admin.Accruals{Partner: partner, Operator: operator, DryRun: f.dry, Rows: rows})
			f.points += n.Points
			return hq.Imported{Added: n.Added, Unchanged: n.There}, err
		},
		name: func(a *hq.Accrual) string {
			if a.Ref == "" {
				return ""
			}
			return "reference " + a.Ref
		},
		weight: func(*hq.Accrual) int { return 1 },
	}
	return f
}

// accrue checks a file by itself, then against the books, and then books it.
func (f *accrualFile) accrue(cmd *cobra.Command, path string, dry bool) (sum hq.Accrued, err error) {
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = file.Close() }() // only read
	p := &progress{cmd: cmd, next: time.Now().Add(progressEvery)}
	total, err := f.check(cmd, file, path, p)
	if err != nil {
		return sum, withHint(err, "nothing was booked")
	}
	err = withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
		for _, f.dry = range []bool{true, false} {
			sum, err = f.pass(ctx, c, file, total, p)
			if err != nil || dry {
				return err
			}
		}
		return nil
	})
	var line *admin.LineError
	switch {
	case err == nil:
		return sum, nil
	case f.dry && errors.As(err, &line):
		return sum, withHint(fmt.Errorf("%s: %w", path, err), "nothing was booked")
	case f.dry:
		return sum, err
	}
	return sum, withHint(fmt.Errorf("%s: %w", path, err), fmt.Sprintf("%d of %d were booked before it; run the same again", sum.Added+sum.There, total))
}

// pass goes through the file once.
func (f *accrualFile) pass(ctx context.Context, c *admin.Client, file io.ReadSeeker, total int, p *progress) (sum hq.Accrued, err error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return sum, fmt.Errorf("the file is read several times: %w", err)
	}
	f.points = 0
	verb := "booked"
	if f.dry {
		verb = "checked in the books"
	}
	err = f.bring(ctx, c, file, func(_ int, n hq.Imported) {
		sum.Add(hq.Accrued{Added: n.Added, There: n.Unchanged})
		p.show(func() string { return fmt.Sprintf("%s %d of %d", verb, sum.Added+sum.There, total) })
	})
	sum.Points = f.points
	return sum, err
}
