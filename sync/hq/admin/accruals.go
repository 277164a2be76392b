package admin

import (
	"io"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// AccrualsHeader begins a partner's file. A row names a card or an account, not both; active_from and expires may be
// empty.
const AccrualsHeader = "card,account,points,ref,active_from,expires"

// AccrualRows reads a partner's file. It is not safe for concurrent use.
type AccrualRows struct{ rows *rows }

// NewAccrualRows begins a file with [AccrualsHeader].
func NewAccrualRows(r io.Reader) *AccrualRows { return &AccrualRows{newRows(r, AccrualsHeader)} }

// Next is the next accrual and its line; io.EOF at the end, a [LineError] if the line is wrong. The next call after that
// goes on behind the line.
func (a *AccrualRows) Next() (row hq.Accrual, line int, err error) {
	rec, line, err := a.rows.next()
	if err != nil {
		return row, line, err
	}
	if row, err = parseAccrual(rec); err != nil {
		return row, line, &LineError{line, err}
	}
	return row, line, nil
}

func parseAccrual(rec []string) (a hq.Accrual, err error) {
	a.Ref = strings.Clone(rec[3])
	if a.Card = loyalty.CardNumber(strings.Clone(rec[0])); a.Card != "" {
		if err = a.Card.Check(); err != nil {
			return a, err
		}
	}
	if rec[1] != "" {
		if a.Account, err = parseAccountID(rec[1]); err != nil {
			return a, err
		}
	}
	if a.Points, err = points(rec[2]); err != nil {
		return a, err
	}
	if a.ActiveFrom, err = moment(rec[4]); err != nil {
		return a, err
	}
	if a.Expires, err = moment(rec[5]); err != nil {
		return a, err
	}
	return a, a.Check()
}
