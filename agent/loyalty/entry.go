package loyalty

import "fmt"

// Entry is one line of a station's journal: what was done, in the order in which it was done. Its place (station,
// epoch, seq) and its hash stand beside it, not in it; see sync/wire.
type Entry struct {
	At        Instant // by the station's clock bound, never earlier than the entry before
	Mono      uint64  // milliseconds since the agent started, of a clock that nobody sets
	Clock     ClockMark
	Op        OpID
	Cashier   string
	Shift     uint32
	Counter   string
	Programme uint32 // version that priced it, zero where nothing was priced
	Body      Body
}

// ClockMark says what the station knew of its clock when it wrote an entry.
type ClockMark uint8

// The marks.
const (
	ClockGood   ClockMark = iota // the wall clock agrees with what HQ said last
	ClockUnsure                  // HQ has not been heard since the start; the wall clock is not below its bound
	ClockBehind                  // the wall clock is below its bound: the bound was written instead
	ClockAhead                   // the wall clock is far from HQ's: HQ's time was written instead
)

var clockNames = []string{"good", "unsure", "behind", "ahead"}

// String is the mark's name in files, API and pages.
func (c ClockMark) String() string {
	if int(c) < len(clockNames) {
		return clockNames[c]
	}
	return fmt.Sprintf("mark %d", uint8(c))
}

// Body is what an entry says. A station writes [Started], [SaleOpened], [SaleClosed], [SaleVoided], [SaleRefunded],
// [CellReturned], [CardIssued], [ShiftOpened], [ShiftClosed] and [Alerted]; headquarters, in a journal of its own,
// [Adjusted], [AccountChanged], [CardChanged], [AccountAdvanced], [AccountBurned], [AccountForgotten] and
// [ProgrammePublished].
type Body interface{ isBody() }

// Started says that the agent has started: the boot id ties the Mono of the entries after it together.
type Started struct {
	Boot    [16]byte
	Version string
	Wall    Instant // the raw wall clock
}

// SaleOpened reserves points for a sale.
type SaleOpened struct {
	Sale      SaleID
	Account   AccountID // zero: not known to the station
	Card      CardNumber
	Receipt   Receipt // as ordered
	Reserved  Points
	Statement Statement // the account's cell after it
	Manual    string    // why the card was typed in; empty: it was scanned
}

// SaleClosed is a sale as it really was. A sale of one step has no SaleOpened before it.
type SaleClosed struct {
	Sale     SaleID
	Opened   OpID // the entry that opened it; zero for a sale of one step
	OpenedAt Instant
	Account  AccountID
	Card     CardNumber
	Receipt  Receipt
	Redeemed Points
	Discount Kopecks
	Earned   []Lot   // sorted as they are redeemed; those of its Claims are not among them
	Counted  []Tally // what it adds to the account's counters
	Claims   []Claim // once per account: granted unless the account had them before
	// What each line of the receipt was reduced by, and what it earned, the claims included: a refund of a line takes back
	// exactly that. None where it is zero for all lines.
	LineDiscounts []Kopecks
	LineEarned    []Points
	Statement     Statement
	Manual        string
	Resolved      bool // settled after a crash by what the POS's receipt log says
}

// Points is all that the sale earned, its claims included.
func (s *SaleClosed) Points() (sum Points) {
	for _, l := range s.Earned {
		sum += l.Amount
	}
	for _, c := range s.Claims {
		sum += c.Lot.Amount
	}
	return sum
}

// SaleVoided says that an opened sale never happened.
type SaleVoided struct {
	Sale      SaleID
	Opened    OpID
	Account   AccountID
	Statement Statement
	Reason    string
	Resolved  bool
}

// CellReturned hands rights that no sale needs back to HQ.
type CellReturned struct {
	Account   AccountID
	Statement Statement
}

func (Started) isBody()      {}
func (SaleOpened) isBody()   {}
func (SaleClosed) isBody()   {}
func (SaleVoided) isBody()   {}
func (SaleRefunded) isBody() {}
func (CellReturned) isBody() {}

// Subject is whom an entry is about: the account, if known, and the card.
func Subject(b Body) (AccountID, CardNumber) {
	switch b := b.(type) {
	case SaleOpened:
		return b.Account, b.Card
	case SaleClosed:
		return b.Account, b.Card
	case SaleVoided:
		return b.Account, ""
	case SaleRefunded:
		return b.Account, b.Card
	case CellReturned:
		return b.Account, ""
	case CardIssued:
		return 0, b.Card
	case Alerted:
		return b.Account, b.Card
	case Adjusted:
		return b.Account, ""
	case AccountChanged:
		return b.Account, ""
	case CardChanged:
		return b.Account, b.Card
	case AccountAdvanced:
		return b.Account, ""
	case AccountBurned:
		return b.Account, ""
	case AccountForgotten:
		return b.Account, ""
	}
	return 0, ""
}

// statement is what an entry says of the account's cell. A refund says nothing of it.
func statement(b Body) (Statement, bool) {
	switch b := b.(type) {
	case SaleOpened:
		return b.Statement, true
	case SaleClosed:
		return b.Statement, true
	case SaleVoided:
		return b.Statement, true
	case CellReturned:
		return b.Statement, true
	}
	return Statement{}, false
}

// PostingOf is what an entry does to its account; most entries do nothing.
func PostingOf(epoch Epoch, seq Seq, e *Entry) (Posting, bool) {
	p := Posting{Epoch: epoch, Seq: seq}
	switch b := e.Body.(type) {
	case SaleClosed:
		p.Redeemed, p.RedeemAt, p.Accrued, p.Counted, p.Claims = b.Redeemed, b.OpenedAt, b.Earned, b.Counted, b.Claims
		if len(b.Claims) > 0 {
			p.Sale = e.Op
		}
	case SaleRefunded:
		p.RedeemAt, p.Accrued, p.Sale, p.Undo = e.At, b.Returned, b.Closed, b.Undo
	case Adjusted:
		p.RedeemAt, p.Accrued, p.Undo = e.At, b.Accrued, b.Undo
	}
	return p, p.moves()
}
