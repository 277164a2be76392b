package api

import (
	"context"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Desk is what the API needs of the station to serve a counter. Every method may be called by many goroutines at once,
// and its refusals are [loyalty.Refusal] codes in the error's chain; any other error is answered as an internal one and
// logged.
type Desk interface {
	Customers
	Sales
	Records
}

// Customers tells who holds a card and what a receipt would give. Nothing is changed by asking.
type Customers interface {
	// Identify tells what the station knows of a card, with headquarters' newest word if it comes in time. A card that
	// is blocked, closed or may only accrue is a Customer that says so, not an error: the cashier must see it. Errors are
	// [loyalty.BadRequest], [loyalty.UnknownCard] (not known, and the programme refuses such cards) and
	// [loyalty.NoProgramme].
	Identify(ctx context.Context, card loyalty.CardNumber) (Customer, error)

	// Quote prices a receipt. MaxRedeem is the most that OpenSale would accept now: offline no more than the rights the
	// station holds, with [loyalty.NoRights] among the reasons where that is what binds.
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
	// Sale returns [loyalty.UnknownSale] for an id that was never opened or closed here.
	Sale(id loyalty.SaleID) (*loyalty.Sale, error)

	// Unresolved returns the sales that were opened and neither closed nor voided, oldest first, at most limit.
	Unresolved(limit int) ([]*loyalty.Sale, error)
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
		c.Total, c.Available = account.Total(at), b.Local.Available(at, b.Reserved)
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
