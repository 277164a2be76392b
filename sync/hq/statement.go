package hq

import "github.com/azs-edge/azs-edge/agent/loyalty"

// unstated is a body without the statement of the cell.
func unstated(b loyalty.Body) loyalty.Body {
	switch b := b.(type) {
	case loyalty.SaleOpened:
		b.Statement = loyalty.Statement{}
		return b
	case loyalty.SaleClosed:
		b.Statement = loyalty.Statement{}
		return b
	case loyalty.SaleVoided:
		b.Statement = loyalty.Statement{}
		return b
	case loyalty.CellReturned:
		b.Statement = loyalty.Statement{}
		return b
	}
	return b
}

// statementOf is what a body says of the account's cell. A refund says nothing of it.
func statementOf(b loyalty.Body) loyalty.Statement {
	switch b := b.(type) {
	case loyalty.SaleOpened:
		return b.Statement
	case loyalty.SaleClosed:
		return b.Statement
	case loyalty.SaleVoided:
		return b.Statement
	case loyalty.CellReturned:
		return b.Statement
	}
	return loyalty.Statement{}
}

// moves tells whether an entry would change an account's lots or rights.
func moves(b loyalty.Body) bool {
	if _, ok := loyalty.PostingOf(1, 1, &loyalty.Entry{Body: b}); ok {
		return true
	}
	return statementOf(b) != loyalty.Statement{}
}
