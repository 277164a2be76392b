package admin

import (
	"bufio"
	"bytes"
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
// and files with the old one would still be read. Where the header has semicolons between its columns, as spreadsheets of
// some countries write them, so have the rows.
const (
	// AccountsHeader begins a file of accounts. A row is a lot; an account with several lots has several rows, one behind
	// the other; one without points has a row with the points 0. active_from empty means at once, expires empty never.
	AccountsHeader = "account,state,points,active_from,expires"
	// AccountsHeaderLong begins a file of accounts that also says since when each account is there and whether its customer
	// has switched redeeming on. All rows of an account say the same of that. joined may be empty, redeem_on empty is no.
	AccountsHeaderLong = AccountsHeader + ",joined,redeem_on"
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
func (e *LineError) Error() string {
	return fmt.Sprintf("line %d: %s", e.Line, strings.TrimPrefix(e.Err.Error(), string(loyalty.BadRequest)+": "))
}

// Unwrap is the reason.
func (e *LineError) Unwrap() error { return e.Err }

// rows reads a CSV file row by row.
type rows struct {
	csv    *csv.Reader
	header bool
	ended  bool
	want   string
}

// newRows begins a file with one of the headers; where it begins with none of them, the first is what is wanted.
func newRows(r io.Reader, headers ...string) *rows {
	b := bufio.NewReader(r)
	c := csv.NewReader(&shortLines{r: b, line: 1})
	header := headers[0]
	begin, _ := b.Peek(maxHeader) // what cannot be read is told by Read
	line, _, _ := bytes.Cut(begin, []byte("\n"))
	if bytes.ContainsRune(line, ';') {
		c.Comma = ';'
	}
	first := strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(string(line), "\ufeff")), ";", ",")
	if slices.Contains(headers, first) {
		header = first
	}
	c.FieldsPerRecord, c.ReuseRecord = strings.Count(header, ",")+1, true
	return &rows{csv: c, want: header}
}

// maxHeader is more than any header has, in bytes.
const maxHeader = 256

// next is the next row and its line; io.EOF at the end. After a [LineError] the next call goes on behind that line, or,
// where nothing behind it can be understood, returns io.EOF.
func (r *rows) next() ([]string, int, error) {
	for {
		if r.ended {
			return nil, 0, io.EOF
		}
		rec, err := r.csv.Read()
		if err != nil {
			var parse *csv.ParseError
			r.ended = !r.header || !errors.As(err, &parse)
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
			r.ended = true
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
	ahead *loyalty.Account  // the row behind what was returned
	line  int               // of it
	err   error             // instead of it
	wrong loyalty.AccountID // whose row that is; zero: it cannot be told
}

// NewAccountRows begins a file with [AccountsHeader] or [AccountsHeaderLong].
func NewAccountRows(r io.Reader) *AccountRows {
	return &AccountRows{rows: newRows(r, AccountsHeader, AccountsHeaderLong)}
}

// Next is the next account and the line it begins at; io.EOF at the end, a [LineError] if a line is wrong, with no more of
// the account than its number, if that can be read. The next call after that goes on behind the line.
func (a *AccountRows) Next() (loyalty.Account, int, error) {
	if a.ahead == nil && a.err == nil {
		a.fetch()
	}
	if a.ahead == nil {
		err := a.err
		a.err = nil
		return loyalty.Account{ID: a.wrong}, 0, err
	}
	acc, line := *a.ahead, a.line
	var wrong error
	for a.fetch(); a.ahead != nil && a.ahead.ID == acc.ID; a.fetch() {
		if wrong == nil {
			wrong = a.add(&acc, line)
		}
	}
	return acc, line, wrong
}

// add adds the lot of the row ahead to its account, which begins on a line before.
func (a *AccountRows) add(acc *loyalty.Account, line int) error {
	switch {
	case a.ahead.State != acc.State:
		return &LineError{a.line, fmt.Errorf("account %d was %s on line %d", acc.ID, acc.State, line)}
	case a.ahead.Joined != acc.Joined || a.ahead.RedeemOn != acc.RedeemOn:
		return &LineError{a.line, fmt.Errorf("account %d had another joined or redeem_on on line %d", acc.ID, line)}
	case len(acc.Lots) >= maxLots:
		return &LineError{a.line, fmt.Errorf("account %d has more than %d lots", acc.ID, maxLots)}
	}
	for _, l := range a.ahead.Lots {
		if err := acc.Accrue(l); err != nil {
			return &LineError{a.line, err}
		}
	}
	return nil
}

// fetch reads a row into ahead.
func (a *AccountRows) fetch() {
	a.ahead, a.err, a.wrong = nil, nil, 0
	rec, line, err := a.rows.next()
	if err != nil {
		a.err = err
		return
	}
	acc, err := parseAccount(rec)
	if err != nil {
		a.err, a.wrong = &LineError{line, err}, acc.ID
		return
	}
	a.ahead, a.line = &acc, line
}

// points reads an amount, and says what is wrong with one.
func points(s string) (loyalty.Points, error) {
	p, err := loyalty.ParsePoints(s)
	if err == nil {
		return p, nil
	}
	whole, decimals, _ := strings.Cut(strings.Replace(s, ",", ".", 1), ".")
	_, bad := strconv.ParseUint(whole+decimals, 10, 64)
	switch {
	case strings.HasPrefix(s, "-"):
		return 0, fmt.Errorf("points %.32q: must not be negative", s)
	case bad == nil && len(decimals) > 2:
		return 0, fmt.Errorf("points %.32q: at most two decimals", s)
	case bad == nil && whole != "" && decimals != "":
		return 0, fmt.Errorf("points %.32q: too much", s)
	}
	return 0, fmt.Errorf("points %.32q, want a number like 120 or 120.50", s)
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
	if l.Amount, err = points(rec[2]); err != nil {
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
	if len(rec) > 5 {
		if a.Joined, err = moment(rec[5]); err != nil {
			return a, err
		}
		on := slices.Index(yesNo, rec[6])
		if on < 0 && rec[6] != "" {
			return a, fmt.Errorf("%w: redeem_on %.16q, want yes or no", loyalty.BadRequest, rec[6])
		}
		a.RedeemOn = on == 1
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

// Next is the next card and its line; io.EOF at the end, a [LineError] if the line is wrong. The next call after that goes
// on behind the line.
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
