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
in; the first 20 such lines are told. Then its rows go in groups, each group wholly or not at all. An import that was interrupted is
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
  points       decimal, as 120 or 120.50; at most two decimals, not negative
  active_from  day or moment from which the lot may be redeemed; empty: at once
  expires      day or moment at which it is gone; empty: never

A longer first line brings two more columns, the same on all rows of an account:

  `+admin.AccountsHeaderLong+`

  joined       day or moment from which the customer is in the programme; empty: not known
  redeem_on    yes where the customer has switched redeeming on, which some programmes ask for; empty: no

Columns are separated by commas, or by semicolons if the first line has them. An account is brought in
once: a row that differs from what was brought in is refused.

`+importWords, "azs-hq import accounts accounts.csv", accountFiles()),
		importCmd("cards", `Brings cards in, and changes kind, state and permission of those that are there. The file begins
with the line

  `+admin.CardsHeader+`

  number      4 to 64 letters, digits, hyphens
  account     number of an account that is there; a card stays with its account
  kind        main, additional, virtual or staff
  state       active, accrue_only, blocked or closed
  may_redeem  yes or no
  registered  day or moment; may be empty

Stations that know the account are told of every change. The programme in force says how many cards of a
kind an account may have; a file with more is refused.

`+importWords, "azs-hq import cards cards.csv", cardFiles()),
	)
	return cmd
}

// kind is what a file holds.
type kind[T any] struct {
	open   func(io.Reader) rowReader[T]
	send   func(*admin.Client, context.Context, []T) (hq.Imported, error)
	name   func(*T) string // of what a file may hold once
	weight func(*T) int    // of a row, in a request
}

// rowReader reads rows, each with its line, as [admin.AccountRows] does.
type rowReader[T any] interface {
	Next() (T, int, error)
}

func accountFiles() *kind[loyalty.Account] {
	return &kind[loyalty.Account]{
		open:   func(r io.Reader) rowReader[loyalty.Account] { return admin.NewAccountRows(r) },
		send:   (*admin.Client).ImportAccounts,
		name:   func(a *loyalty.Account) string { return fmt.Sprintf("account %d", a.ID) },
		weight: func(a *loyalty.Account) int { return len(a.Lots) },
	}
}

func cardFiles() *kind[admin.CardRow] {
	return &kind[admin.CardRow]{
		open:   func(r io.Reader) rowReader[admin.CardRow] { return admin.NewCardRows(r) },
		send:   (*admin.Client).ImportCards,
		name:   func(c *admin.CardRow) string { return "card " + c.Number },
		weight: func(*admin.CardRow) int { return 1 },
	}
}

func importCmd[T any](what, long, example string, k *kind[T]) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: what + " FILE.csv", Short: "Bring " + what + " in from a CSV file", Long: long, Example: "  " + example, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sum, err := importFile(cmd, args[0], k)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, sum)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: added %d, changed %d, unchanged %d\n", what, sum.Added, sum.Changed, sum.Unchanged)
			if err == nil && sum.Applied > 0 {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d entries of stations that waited for them are applied\n", sum.Applied)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	mayCreate(cmd)
	return cmd
}

// importFile checks a file and brings it in.
func importFile[T any](cmd *cobra.Command, path string, k *kind[T]) (sum hq.Imported, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }() // only read
	p := &progress{cmd: cmd, next: time.Now().Add(progressEvery)}
	total, err := k.check(cmd, f, path, p)
	if err != nil {
		return sum, withHint(err, "nothing was brought in")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return sum, fmt.Errorf("%s is read twice: %w", path, err)
	}
	done := 0
	err = withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
		return k.bring(ctx, c, f, func(n int, d hq.Imported) {
			sum.Add(d)
			done += n
			p.show(func() string { return fmt.Sprintf("brought in %d of %d", done, total) })
		})
	})
	if err != nil && done > 0 {
		return sum, withHint(fmt.Errorf("%s: %w", path, err), fmt.Sprintf("%d of %d were brought in before it; when it is mended run the same again", done, total))
	}
	var line *admin.LineError
	if errors.As(err, &line) {
		return sum, withHint(fmt.Errorf("%s: %w", path, err), "nothing was brought in")
	}
	return sum, err
}

// maxWrong is how many wrong lines of a file are told.
const maxWrong = 20

// check reads the whole file and counts what it holds. Lines that are wrong are told, and an error in the end.
func (k *kind[T]) check(cmd *cobra.Command, f *os.File, path string, p *progress) (total int, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	in := &counted{Reader: f}
	rows, seen := k.open(in), map[string]int{}
	nameless := k.name(new(T)) // of a line of which not even that can be read
	var wrong []error
	more, before, broken := 0, "", false
	for {
		row, line, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		name := k.name(&row)
		together := broken && name == before // rows of one account with a wrong one between
		if err == nil && seen[name] > 0 && !together {
			err = &admin.LineError{Line: line, Err: fmt.Errorf("%s is on line %d already", masked(&row, name), seen[name])}
		}
		var bad *admin.LineError
		broken = err != nil
		switch {
		case err == nil:
			total++
			before, seen[name] = name, line
		case !errors.As(err, &bad):
			return 0, fmt.Errorf("%s: %w", path, err)
		case len(wrong) < maxWrong:
			wrong = append(wrong, fmt.Errorf("%s: %w", path, err))
		default:
			more++
		}
		if broken && name != nameless {
			before = name
		}
		if err := cmd.Context().Err(); err != nil {
			return 0, err
		}
		p.show(func() string { return fmt.Sprintf("checked %d, %d%% of the file", total, 100*in.n/max(1, info.Size())) })
	}
	if len(wrong) == 1 {
		return 0, wrong[0]
	}
	if len(wrong) > 1 {
		for _, w := range wrong {
			cmd.PrintErrln(w)
		}
		if more > 0 {
			cmd.PrintErrf("... and %d more\n", more)
		}
		return 0, fmt.Errorf("%s: %d lines are wrong", path, len(wrong)+more)
	}
	return total, nil
}

// masked is the name of a row as it may be told: numbers of cards are not.
func masked(row any, name string) string {
	if c, ok := row.(*admin.CardRow); ok {
		return "card " + loyalty.CardNumber(c.Number).String()
	}
	return name
}

// bring gives the rows on in groups and counts them.
func (k *kind[T]) bring(ctx context.Context, c *admin.Client, r io.Reader, count func(int, hq.Imported)) error {
	in := k.open(r)
	rows, lines, size := make([]T, 0, admin.MaxRows), make([]int, 0, admin.MaxRows), 0
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		n, err := k.send(c, ctx, rows)
		var p *admin.Problem
		if errors.As(err, &p) && p.Row != nil && *p.Row < len(lines) {
			err = &admin.LineError{Line: lines[*p.Row], Err: err}
			for _, m := range p.More {
				if m.Row < len(lines) {
					err = errors.Join(err, &admin.LineError{Line: lines[m.Row], Err: errors.New(m.Detail)})
				}
			}
			return err
		}
		if err != nil {
			return err
		}
		count(len(rows), n)
		rows, lines, size = rows[:0], lines[:0], 0
		return nil
	}
	for {
		row, line, err := in.Next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		rows, lines = append(rows, row), append(lines, line)
		size += k.weight(&row)
		if len(rows) == admin.MaxRows || size > maxWeight {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// maxWeight closes a group early whose accounts have so many lots that the request would be too large.
const maxWeight = 10_000

// counted counts what was read.
type counted struct {
	io.Reader
	n int64 // bytes
}

// Read reads and counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// progressEvery is how often a command says how far it is.
const progressEvery = time.Second

// progress says now and then how far an import is.
type progress struct {
	cmd  *cobra.Command
	next time.Time
}

func (p *progress) show(text func() string) {
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(progressEvery)
		p.cmd.PrintErrln(text())
	}
}
