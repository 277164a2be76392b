package api

import (
	"context"
	"time"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Desk is what the API needs of the station to serve a counter. Every method may be called by many goroutines at once,
// and its refusals are [loyalty.Refusal] codes in the error's chain; any other error is answered as an internal one and
// logged.
type Desk interface {
	Customers
	Sales
	Records
	Cards
	Shifts
}

// Customers tells who holds a card and what a receipt would give. Nothing is changed by asking.
type Customers interface {
	// Identify tells what the station knows of a card, with headquarters' newest word if it comes in time. A card that
	// is blocked, closed or may only accrue is a Customer that says so, not an error: the cashier must see it. Who asks is
	// named to headquarters where the card is one that it wants to hear of, such as a staff card. Errors are
	// [loyalty.BadRequest], [loyalty.UnknownCard] (not known, and the programme refuses such cards) and
	// [loyalty.NoProgramme].
	Identify(ctx context.Context, card loyalty.CardNumber, who loyalty.Who) (Customer, error)

	// Statement lists what was done with a card's account, the newest first: at this station, or everywhere if
	// headquarters is in reach. Errors are [loyalty.BadRequest], and [loyalty.Offline] for a further page of what only
	// headquarters has.
	Statement(ctx context.Context, q StatementQuery) (Statement, error)

	// Programme is the programme in force, nil if there is none.
	Programme() *loyalty.Programme

	// Quote prices a receipt. MaxRedeem is the most that OpenSale would accept now: offline no more than the rights the
	// station holds, with [loyalty.NoRights] among the reasons where that is what binds. It is no
	// promise: nothing is reserved, and that headquarters is lost may not have been noticed yet.
	Quote(ctx context.Context, q QuoteRequest) (loyalty.Quote, error)
}

// Sales are the steps of a sale. Each returns only after what it did is durable, and each is idempotent by the sale's id
// and content: asked again it returns the sale as it stands; with other content [loyalty.Conflict]. A refusal changes
// nothing and does not use up the id. The caller does not change a request after passing it on.
type Sales interface {
	OpenSale(ctx context.Context, r *loyalty.OpenRequest) (*loyalty.Sale, error)
	CloseSale(ctx context.Context, r *loyalty.CloseRequest) (*loyalty.Sale, error)
	VoidSale(ctx context.Context, r *loyalty.VoidRequest) (*loyalty.Sale, error)
	// RefundSale returns the sale with the refund among its refunds. It is idempotent by the refund's id as well.
	RefundSale(ctx context.Context, r *loyalty.RefundRequest) (*loyalty.Sale, error)
}

// Records are the sales the station remembers.
type Records interface {
	// Sale returns a sale, with the refunds that other stations have made of it as far as headquarters tells of them in
	// time; [loyalty.UnknownSale] for an id that was never opened or closed here.
	Sale(ctx context.Context, id loyalty.SaleID) (*loyalty.Sale, error)

	// Unresolved returns the sales that were opened and neither closed nor voided, oldest first, at most limit.
	Unresolved(limit int) ([]*loyalty.Sale, error)
}

// Cards are given out at the counter.
type Cards interface {
	// IssueCard gives out a card. It is idempotent by the card's number and what the card is, whatever the form. The form
	// is sealed before anything of it reaches a disk, and is never logged. Refusals are [loyalty.NoFormsKey],
	// [loyalty.CardTaken], [loyalty.Conflict], [loyalty.BadRequest], for a card that joins an account [loyalty.Offline],
	// [loyalty.CardLimit] and whatever else headquarters says.
	IssueCard(ctx context.Context, r *CardRequest) (GivenCard, error)
}

// Shifts are the shifts of the counters. Opening and closing return after what they did is durable and are idempotent by
// the shift's id and, for closing, the register's figures.
type Shifts interface {
	// OpenShift returns [loyalty.ShiftEnded] for a shift that is closed.
	OpenShift(ctx context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error)
	// CloseShift returns [loyalty.UnknownShift], or [loyalty.Conflict] for one that was closed with other figures.
	CloseShift(ctx context.Context, r *loyalty.ShiftRequest) (*loyalty.Shift, error)
	// Shift returns [loyalty.UnknownShift] where there is none.
	Shift(id loyalty.ShiftID) (*loyalty.Shift, error)
}

// CardRequest asks to give out a card.
type CardRequest struct {
	Card     loyalty.CardNumber
	Kind     loyalty.CardKind
	For      loyalty.CardNumber // a card of the account that it joins; empty: it begins an account
	Replaces bool               // For is lost: it is closed, and the new card takes its place
	Form     *form.Form         // nil: none; a card that begins an account needs one
	loyalty.Who
}

// GivenCard is a card that was given out.
type GivenCard struct {
	loyalty.Issued
	Customer *Customer // once headquarters has told the station of the card; nil: not yet
}

// StatementQuery asks for a page of a statement.
type StatementQuery struct {
	Card       loyalty.CardNumber
	From       loyalty.Instant
	Until      loyalty.Instant // not included
	Everywhere bool            // and not at this station alone
	Before     string          // the Next of the page before; empty: from the newest
	Limit      int

	loyalty.Who // that asks; it changes nothing, and is logged
}

// Statement is a page of what was done with a card's account.
type Statement struct {
	loyalty.HistoryPage
	Known      bool // the station knows the card
	Everywhere bool // it is headquarters' word; otherwise only of what this station has done
}

// Monitor tells the station's health. It answers from memory, at once.
type Monitor interface {
	Status(ctx context.Context) Status
}

// QuoteRequest asks what a receipt would earn and could redeem.
type QuoteRequest struct {
	Card    loyalty.CardNumber
	Receipt loyalty.Receipt
	Redeem  loyalty.Points // wished; 0 to learn the most possible
}

// Customer is who stands at the counter, as the station knows them. There is no name in it: the station has none.
type Customer struct {
	Card         loyalty.CardNumber
	Known        bool              // false: HQ has not told the station of this card; it may accrue if Accrue is empty
	Account      loyalty.AccountID // 0 unless Known
	Kind         loyalty.CardKind
	CardState    loyalty.State
	AccountState loyalty.State

	Total      loyalty.Points // all live points
	Available  loyalty.Points // of them active, and not promised to open sales or other stations
	Redeemable loyalty.Points // of them what may be redeemed right now, in the programme's steps: online all, offline the rights held here

	Debt     loyalty.Points // taken back by refunds and not there any more: what is earned next pays it
	Tier     loyalty.Progress
	Expiring []loyalty.Lot // what goes within [loyalty.ExpirySoon], the first to go first

	Accrue loyalty.Refusal // why accruing is refused; empty: it is allowed
	Redeem loyalty.Refusal // why redeeming is refused; empty: it is allowed, up to Redeemable

	Fresh bool            // HQ answered just now
	AsOf  loyalty.Instant // HQ's time of the newest word on the account; 0: HQ has said nothing yet
}

// CustomerOf reads a Customer out of the books of a card. online tells whether HQ can be asked for more rights at this
// moment; fresh, whether the books already hold its answer to this very question. It returns [loyalty.UnknownCard] or
// [loyalty.NoProgramme] where there is no customer to speak of.
func CustomerOf(card loyalty.CardNumber, b *loyalty.Books, at loyalty.Instant, online, fresh bool) (Customer, error) {
	accrue, redeem := b.Admit(false), b.Admit(true)
	if b.Programme == nil || (!b.Known && accrue != nil) {
		return Customer{}, accrue
	}
	account := b.Local.Current()
	c := Customer{
		Card: card, Known: b.Known, Account: b.Card.Account, Kind: b.Card.Kind, CardState: b.Card.State,
		AccountState: b.Local.Snapshot.Account.State, Fresh: fresh, AsOf: b.Local.Snapshot.AsOf,
	}
	if b.Known {
		c.Total, c.Available, c.Debt = account.Total(at), b.Local.Available(at, b.Reserved), account.Debt
		c.Tier, c.Expiring = b.Programme.Progress(&account.Standing, at), expiring(&account, at)
	}
	c.Accrue, _ = loyalty.RefusalOf(accrue)
	c.Redeem, _ = loyalty.RefusalOf(redeem)
	if redeem == nil {
		step := b.Programme.RedeemStep
		c.Redeemable = c.Available
		if !online {
			c.Redeemable = min(c.Available, b.Cell.Left())
		}
		c.Redeemable -= c.Redeemable % step
		if c.Redeemable == 0 && c.Available >= step {
			c.Redeem = loyalty.NoRights
		}
	}
	return c, nil
}

// expiring is what goes soon, together what goes together.
func expiring(a *loyalty.Account, at loyalty.Instant) (goes []loyalty.Lot) {
	for _, l := range a.Expiring(at, at.Add(loyalty.ExpirySoon)) {
		if n := len(goes); n > 0 && goes[n-1].Expires == l.Expires {
			goes[n-1].Amount += l.Amount
			continue
		}
		goes = append(goes, loyalty.Lot{Amount: l.Amount, Expires: l.Expires})
	}
	return goes
}

// Status is the station's health, for the page and for the POS.
type Status struct {
	Station   loyalty.StationID
	Name      string // of the station; may be empty
	Version   string // of the agent
	Started   time.Time
	HQ        Link
	Scanners  []Scanner
	Cards     bool // card ranges are configured; without them no scan can be a card
	Clock     loyalty.ClockMark
	Ledger    LedgerState
	Programme *Programme // nil: none in force
}

// Link is the way to headquarters.
type Link struct {
	Configured bool      // false: the station works alone
	Online     bool      // HQ itself answers, not only a broker
	Since      time.Time // of Online, or of its end; zero: never
	Backlog    uint64    // entries HQ has not acknowledged
	Oldest     time.Time // when the oldest of them was written; zero: none
	Reason     string    // why it is not online, for a technician; empty: not known
}

// Scanner is one scanner.
type Scanner struct {
	Name      string
	Counter   string
	Connected bool
	Since     time.Time // of Connected, or of its end
	Reason    string    // why it is not connected, for a technician
}

// LedgerState says what the ledger can do.
type LedgerState struct {
	Frozen bool   // accrues only, until HQ has reconciled it
	Full   bool   // the disk is full
	Failed bool   // the disk failed; the agent must be restarted
	Alarms int    // what an operator must look at, until it is cleared by `azs-agent journal alarms --clear`
	Alarm  string // the newest of them, for a technician
}

// Programme names the programme in force.
type Programme struct {
	Name    string
	Version uint32
	Title   loyalty.Text
}
