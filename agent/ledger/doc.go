// Package ledger is the station's books on bbolt: accounts, cards, cells, sales and the journal.
package ledger

//go:generate sh -c "cd ledgerpb && buf generate"
