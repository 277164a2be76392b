package loyalty

import "fmt"

// HistoryQuery asks for the operations of a customer, the newest first.
type HistoryQuery struct {
	Account AccountID
	Card    CardNumber // is matched where an entry names no account, because the station did not know it
	From    Instant    // no operation before this moment; zero: no bound
	Until   Instant    // none at this moment or after it; zero: no bound
	Before  string     // where to go on: the Next of the page before; empty: from the newest
	Limit   int        // of operations, 1 to [MaxHistory]
}

// The bounds of a [HistoryQuery].
const (
	MaxHistory    = 500 // operations of a page
	MaxHistoryKey = 64  // bytes of Before
)

// Check returns [BadRequest] unless the query is well-formed.
func (q *HistoryQuery) Check() error {
	switch {
	case q.Account == 0 && q.Card == "":
		return fmt.Errorf("%w: a history is of an account or of a card", BadRequest)
	case q.Account > MaxAccount:
		return fmt.Errorf("%w: account %d, at most %d", BadRequest, q.Account, MaxAccount)
	case q.Limit < 1 || q.Limit > MaxHistory:
		return fmt.Errorf("%w: %d operations, want 1 to %d", BadRequest, q.Limit, MaxHistory)
	case len(q.Before) > MaxHistoryKey:
		return fmt.Errorf("%w: the key of a page has %d bytes, at most %d", BadRequest, len(q.Before), MaxHistoryKey)
	case q.Card != "":
		return q.Card.Check()
	}
	return nil
}

// Concerns tells whether an entry belongs to the history that is asked for.
func (q *HistoryQuery) Concerns(b Body) bool {
	account, card := Subject(b)
	if account != 0 {
		return account == q.Account
	}
	return q.Card != "" && card == q.Card
}

// HistoryPage is a part of a customer's history.
type HistoryPage struct {
	Operations []Operation // the newest first
	Next       string      // asks for the page behind this one; empty: there is none
	Oldest     Instant     // nothing before this moment is kept here
}
