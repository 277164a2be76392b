package admin

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// The headers of the files: every column, in this order. They do not change; a new column would come with a new header,
// and files with the old one would still be read.
const (
	// AccountsHeader begins a file of accounts. A row is a lot; an account with several lots has several rows, one behind
	// the other; one without points has a row with the points 0. active_from empty means at once, expires empty never.
	AccountsHeader = "account,state,points,active_from,expires"
	// CardsHeader begins a file of cards. registered may be empty.
	CardsHeader = "number,account,kind,state,may_redeem,registered"
)

// The bounds of a file.
const (
	maxLine  = 4096 // bytes
	maxTexts = 128  // bytes of a column
	maxLots  = 10_000
)

// LineError says what is wrong with which line of a file.
type LineError struct {
	Line int
	Err  error
}

// Error names the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap is the reason.
func (e *LineError) Unwrap() error { return e.Err }

// rows reads a CSV file row by row.
type rows struct {
	csv    *csv.Reader
	header bool
	want   string
}

func newRows(r io.Reader, header string) *rows {
	c := csv.NewReader(&shortLines{r: bufio.NewReader(r), line: 1})
	c.FieldsPerRecord, c.ReuseRecord = strings.Count(header, ",")+1, true
	return &rows{csv: c, want: header}
}

// next is the next row and its line; io.EOF at the end.
func (r *rows) next() ([]string, int, error) {
	for {
		rec, err := r.csv.Read()
		if err != nil {
			return nil, 0, r.explain(err)
		}
		line, _ := r.csv.FieldPos(0)
		for _, s := range rec {
			if len(s) > maxTexts {
				return nil, line, &LineError{line, fmt.Errorf("a column of %d bytes", len(s))}
			}
		}
		if r.header {
			return rec, line, nil
		}
		rec[0] = strings.TrimPrefix(rec[0], "\ufeff") // spreadsheets begin files with it
		if got := strings.Join(rec, ","); got != r.want {
			return nil, line, &LineError{line, fmt.Errorf("the header is %.100q, it has to be %q", got, r.want)}
		}
		r.header = true
	}
}

func (r *rows) explain(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF) && !r.header:
		return &LineError{1, fmt.Errorf("the file is empty; it begins with %q", r.want)}
	case errors.As(err, &parse):
		if errors.Is(parse.Err, csv.ErrFieldCount) {
			return &LineError{parse.Line, fmt.Errorf("not %d columns; the header is %q", r.csv.FieldsPerRecord, r.want)}
		}
		return &LineError{parse.Line, parse.Err}
	}
	return err
}

// shortLines refuses a line over [maxLine]: the CSV reader would hold any of it in memory.
type shortLines struct {
	r       *bufio.Reader
	line, n int
}

// Read reads, counting the bytes of the line.
func (s *shortLines) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), maxLine)])
	for _, c := range p[:n] {
		s.n++
		if c == '\n' {
			s.line, s.n = s.line+1, 0
		}
		if s.n > maxLine {
			return 0, &LineError{s.line, fmt.Errorf("longer than %d bytes: is it the right file?", maxLine)}
		}
	}
	return n, err
}

// moment reads a day or an RFC 3339 moment; empty is zero.
func moment(s string) (loyalty.Instant, error) {
	if s == "" {
		return 0, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return loyalty.At(t), nil
		}
	}
	return 0, fmt.Errorf("%w: %q is not a day like 2027-12-31 (it begins at 00:00 UTC) nor a moment like 2027-12-31T00:00:00+03:00", loyalty.BadRequest, s)
}

// AccountRows reads a file of accounts. It is not safe for concurrent use.
type AccountRows struct {
	rows  *rows
	ahead *loyalty.Account
	line  int
	err   error
}

// NewAccountRows begins a file with [AccountsHeader].
func NewAccountRows(r io.Reader) *AccountRows { return &AccountRows{rows: newRows(r, AccountsHeader)} }

// Next is the next account and the line it begins at; io.EOF at the end, a [LineError] if a line is wrong.
func (a *AccountRows) Next() (loyalty.Account, int, error) {
	if a.ahead == nil && a.err == nil {
		a.fetch()
	}
	if a.ahead == nil {
		return loyalty.Account{}, 0, a.err
	}
	acc, line := *a.ahead, a.line
	for a.fetch(); a.ahead != nil && a.ahead.ID == acc.ID; a.fetch() {
		switch {
		case a.ahead.State != acc.State:
			return acc, a.line, &LineError{a.line, fmt.Errorf("account %d was %s on line %d", acc.ID, acc.State, line)}
		case len(acc.Lots) >= maxLots:
			return acc, a.line, &LineError{a.line, fmt.Errorf("account %d has more than %d lots", acc.ID, maxLots)}
		}
		for _, l := range a.ahead.Lots {
			if err := acc.Accrue(l); err != nil {
				return acc, a.line, &LineError{a.line, err}
			}
		}
	}
	if a.err != nil && !errors.Is(a.err, io.EOF) {
		return acc, line, a.err
	}
	return acc, line, nil
}

// fetch reads a row into ahead.
func (a *AccountRows) fetch() {
	a.ahead = nil
	rec, line, err := a.rows.next()
	if err != nil {
		a.err = err
		return
	}
	acc, err := parseAccount(rec)
	if err != nil {
		a.err = &LineError{line, err}
		return
	}
	a.ahead, a.line = &acc, line
}

func parseAccount(rec []string) (a loyalty.Account, err error) {
	id, err := parseAccountID(rec[0])
	if err != nil {
		return a, err
	}
	a.ID = id
	if a.State, err = loyalty.ParseState(rec[1]); err != nil {
		return a, err
	}
	var l loyalty.Lot
	if l.Amount, err = loyalty.ParsePoints(rec[2]); err != nil {
		return a, err
	}
	if l.ActiveFrom, err = moment(rec[3]); err != nil {
		return a, err
	}
	if l.Expires, err = moment(rec[4]); err != nil {
		return a, err
	}
	if l.Expires != 0 && l.Expires <= l.ActiveFrom {
		return a, fmt.Errorf("%w: a lot that expires before it is active", loyalty.BadRequest)
	}
	return a, a.Accrue(l)
}

func parseAccountID(s string) (loyalty.AccountID, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 || loyalty.AccountID(id) > loyalty.MaxAccount {
		return 0, fmt.Errorf("%w: account %.32q, want a number from 1 to %d", loyalty.BadRequest, s, loyalty.MaxAccount)
	}
	return loyalty.AccountID(id), nil
}

// CardRows reads a file of cards. It is not safe for concurrent use.
type CardRows struct{ rows *rows }

// NewCardRows begins a file with [CardsHeader].
func NewCardRows(r io.Reader) *CardRows { return &CardRows{newRows(r, CardsHeader)} }

var yesNo = []string{"no", "yes"}

// Next is the next card and its line; io.EOF at the end, a [LineError] if the line is wrong.
func (c *CardRows) Next() (row CardRow, line int, err error) {
	rec, line, err := c.rows.next()
	if err != nil {
		return row, line, err
	}
	if row, err = parseCard(rec); err != nil {
		return row, line, &LineError{line, err}
	}
	return row, line, nil
}

func parseCard(rec []string) (c CardRow, err error) {
	c.Number = strings.Clone(rec[0])
	if err = loyalty.CardNumber(c.Number).Check(); err != nil {
		return c, err
	}
	if c.Account, err = parseAccountID(rec[1]); err != nil {
		return c, err
	}
	if c.Kind, err = loyalty.ParseCardKind(rec[2]); err != nil {
		return c, err
	}
	if c.State, err = loyalty.ParseState(rec[3]); err != nil {
		return c, err
	}
	may := slices.Index(yesNo, rec[4])
	if may < 0 {
		return c, fmt.Errorf("%w: may_redeem %.16q, want yes or no", loyalty.BadRequest, rec[4])
	}
	c.MayRedeem = may == 1
	c.Registered, err = moment(rec[5])
	return c, err
}
