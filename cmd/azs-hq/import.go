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

const importWords = `The file is read twice. First everything in it is checked, and if a line is wrong nothing is brought
in. Then its rows go in groups, each group wholly or not at all. An import that was interrupted is
simply run again: what is there already is left as it is.`

func newImportCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Bring accounts and cards in from CSV files", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(
		importCmd("accounts", `Brings accounts in, with the lots they begin with. The file begins with the line

  `+admin.AccountsHeader+`

and has a row for each lot; an account with several lots has its rows one behind the other, an
account without points has one row with the points 0.

  account      number, 1 to 1099511627775
  state        active, accrue_only, blocked or closed
  points       decimal, as 120 or 120.50
  active_from  day or moment from which the lot may be redeemed; empty: at once
  expires      day or moment at which it is gone; empty: never

An account is brought in once: a row that differs from what was brought in is refused.

`+importWords, "azs-hq import accounts accounts.csv", importAccounts),
		importCmd("cards", `Brings cards in, and changes kind, state and permission of those that are there. The file begins
with the line

  `+admin.CardsHeader+`

  number      4 to 64 letters, digits, hyphens
  account     number of an account that is there; a card stays with its account
  kind        main, additional, virtual or staff
  state       active, accrue_only, blocked or closed
  may_redeem  yes or no
  registered  day or moment; may be empty

Stations that know the account are told of every change.

`+importWords, "azs-hq import cards cards.csv", importCards),
	)
	return cmd
}

// importer reads a file in one go; without a client it only checks it.
type importer func(ctx context.Context, c *admin.Client, r io.Reader, count func(n int, d hq.Imported)) error

func importCmd(what, long, example string, run importer) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: what + " FILE.csv", Short: "Bring " + what + " in from a CSV file", Long: long, Example: "  " + example, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }() // only read
			p := &progress{cmd: cmd, next: time.Now().Add(time.Second)}
			if err := run(cmd.Context(), nil, f, func(n int, _ hq.Imported) { p.show("checked", n) }); err != nil {
				return withHint(fmt.Errorf("%s: %w", args[0], err), "nothing was brought in")
			}
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return fmt.Errorf("%s is read twice: %w", args[0], err)
			}
			var sum hq.Imported
			err = withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				return run(ctx, c, f, func(n int, d hq.Imported) {
					sum.Add(d)
					p.show("brought in", n)
				})
			})
			if err != nil {
				return withHint(fmt.Errorf("%s: %w", args[0], err), fmt.Sprintf("%d were brought in before it; mend the file and run it again", sum.Added+sum.Changed))
			}
			if asJSON {
				return printJSON(cmd, sum)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: added %d, changed %d, unchanged %d\n", what, sum.Added, sum.Changed, sum.Unchanged)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	mayCreate(cmd)
	return cmd
}

// progress says once a second how far an import is.
type progress struct {
	cmd  *cobra.Command
	next time.Time
	n    int
}

func (p *progress) show(done string, n int) {
	p.n += n
	if time.Now().Before(p.next) {
		return
	}
	p.next = time.Now().Add(time.Second)
	p.cmd.PrintErrf("%s %d\n", done, p.n)
}

// groups reads rows, gives them on in groups and counts them.
func groups[T any](ctx context.Context, next func() (T, int, error), send func([]T) (hq.Imported, error), count func(int, hq.Imported)) error {
	rows, lines := make([]T, 0, admin.MaxRows), make([]int, 0, admin.MaxRows)
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		n, err := send(rows)
		var p *admin.Problem
		if errors.As(err, &p) && p.Row != nil && *p.Row < len(lines) {
			return &admin.LineError{Line: lines[*p.Row], Err: err}
		}
		if err != nil {
			return err
		}
		count(len(rows), n)
		rows, lines = rows[:0], lines[:0]
		return nil
	}
	for size := 0; ; {
		row, line, err := next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, lines = append(rows, row), append(lines, line)
		size += weight(&row)
		if len(rows) == admin.MaxRows || size > maxWeight {
			if err := flush(); err != nil {
				return err
			}
			size = 0
		}
	}
}

// maxWeight closes a group early whose accounts have so many lots that the request would be too large.
const maxWeight = 10_000

func weight(row any) int {
	if a, ok := row.(*loyalty.Account); ok {
		return len(a.Lots)
	}
	return 1
}

func importAccounts(ctx context.Context, c *admin.Client, r io.Reader, count func(int, hq.Imported)) error {
	rows := admin.NewAccountRows(r)
	return groups(ctx, rows.Next, func(a []loyalty.Account) (hq.Imported, error) {
		if c == nil {
			return hq.Imported{}, nil
		}
		return c.ImportAccounts(ctx, a)
	}, count)
}

func importCards(ctx context.Context, c *admin.Client, r io.Reader, count func(int, hq.Imported)) error {
	rows := admin.NewCardRows(r)
	return groups(ctx, rows.Next, func(cards []admin.CardRow) (hq.Imported, error) {
		if c == nil {
			return hq.Imported{}, nil
		}
		return c.ImportCards(ctx, cards)
	}, count)
}
