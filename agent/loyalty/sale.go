package loyalty

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// SaleState is how far a sale has come.
type SaleState uint8

// The states of a sale.
const (
	SaleOpen      SaleState = 1
	SaleDone      SaleState = 2 // closed
	SaleCancelled SaleState = 3
)

var saleStates = []string{"", "open", "closed", "void"}

// String is the state's name in the API.
func (s SaleState) String() string { return name(saleStates, int(s)) }

// Sale is what the station keeps of a sale: enough to answer again, the same, whatever is asked twice.
type Sale struct {
	ID       SaleID
	Station  StationID // where it was closed; zero: here
	State    SaleState
	OpOpen   OpID // zero for a sale of one step
	OpEnd    OpID // of the close or void
	SeqEnd   Seq
	Account  AccountID
	Card     CardNumber
	OpenedAt Instant
	EndedAt  Instant
	Reserved Points
	Open     *OpenRequest  // what opened it
	Close    *CloseRequest // what closed it, with whom it left out from what opened it
	Void     *VoidRequest  // what voided it, likewise
	Quote    Quote         // as answered: of the open while open, of the close afterwards
	Total    Points        // the balances as answered
	Avail    Points
	Expiring Lot // of the balance as answered, what goes next, if that is within [ExpirySoon]; zero: nothing does
	Cashier  string
	Shift    uint32
	Paid     []Lot     // what the station saw the points be taken from, in the order they were taken; none: not known
	Refunds  []*Refund // in the order they were made
}

// ExpirySoon is how far ahead a customer is told of points that expire.
const ExpirySoon = 30 * 24 * time.Hour

// Who says at whose hands an operation is done.
type Who struct {
	Cashier string
	Shift   uint32 // the register's number of the shift; zero: the register has none
	Counter string // at which counter; a shift's number is the counter's own
}

// from is the names with those that are left out taken from whoever opened the sale. Another counter's shift is not taken:
// its number says nothing at this one.
func (w Who) from(opened Who) Who {
	if w.Counter == "" {
		w.Counter = opened.Counter
	}
	if w.Shift == 0 && w.Counter == opened.Counter {
		w.Shift = opened.Shift
	}
	w.Cashier = cmp.Or(w.Cashier, opened.Cashier)
	return w
}

// By says at whose hands the sale's latest step was done: its end, or while it is open its beginning.
func (s *Sale) By() Who {
	switch {
	case s.Close != nil:
		return s.Close.Who
	case s.Void != nil:
		return s.Void.Who
	case s.Open != nil:
		return s.Open.Who
	}
	return Who{Cashier: s.Cashier, Shift: s.Shift}
}

// MaxCounterText bounds the name of a counter, in bytes.
const MaxCounterText = 64

// Check returns [BadRequest] unless the names are well-formed.
func (w *Who) Check() error { return w.check() }

func (w *Who) check() error {
	if err := text("cashier", w.Cashier)(); err != nil {
		return err
	}
	if len(w.Counter) > MaxCounterText {
		return fmt.Errorf("%w: counter of %d bytes, at most %d", BadRequest, len(w.Counter), MaxCounterText)
	}
	return plainText("counter", w.Counter)
}

// OpenRequest asks to open a sale and reserve points for it. The same id with the same content is the same request.
type OpenRequest struct {
	Sale    SaleID
	Card    CardNumber
	Receipt Receipt
	Redeem  Points
	Manual  string
	Who
}

// CloseRequest asks to close a sale with what was really sold. With Card it may name a sale that was never opened: a
// sale of one step. Whom it leaves out of cashier, shift and counter it has from what opened the sale.
type CloseRequest struct {
	Sale     SaleID
	Card     CardNumber // only for a sale of one step
	Receipt  Receipt
	Redeem   Points
	Manual   string // only for a sale of one step
	Resolved bool
	Who
}

// VoidRequest asks to void an open sale. Whom it leaves out it has from what opened the sale.
type VoidRequest struct {
	Sale     SaleID
	Reason   string
	Resolved bool
	Who
}

// MaxReason bounds reasons and cashiers' names, in bytes.
const MaxReason = 200

// Check returns [BadRequest] unless the request is well-formed.
func (r *OpenRequest) Check() error {
	return firstError(r.Sale.Check, r.Card.Check, r.Receipt.Check, amount(r.Redeem), text("manual", r.Manual), r.Who.check)
}

// Check returns [BadRequest] unless the request is well-formed.
func (r *CloseRequest) Check() error {
	card := r.Card.Check
	if r.Card == "" {
		card = func() error { return nil }
	}
	return firstError(r.Sale.Check, card, r.Receipt.Check, amount(r.Redeem), text("manual", r.Manual), r.Who.check)
}

// Check returns [BadRequest] unless the request is well-formed.
func (r *VoidRequest) Check() error {
	return firstError(r.Sale.Check, text("reason", r.Reason), r.Who.check)
}

func firstError(checks ...func() error) error {
	for _, c := range checks {
		if err := c(); err != nil {
			return err
		}
	}
	return nil
}

func amount(p Points) func() error {
	return func() error {
		if p < 0 || p > MaxAmount {
			return fmt.Errorf("%w: %d hundredths of a point", BadRequest, int64(p))
		}
		return nil
	}
}

func text(what, s string) func() error {
	return func() error {
		if len(s) > MaxReason {
			return fmt.Errorf("%w: %s of %d bytes, at most %d", BadRequest, what, len(s), MaxReason)
		}
		return plainText(what, s)
	}
}

// Books are the records that one operation touches: a private copy, which the ledger writes back if the operation is
// accepted and forgets if it is refused. For a sale that exists they are the books of the sale's card and of its account,
// which a card may have left since.
type Books struct {
	Station   StationID
	Programme *Programme // in force, or for an open sale the one that opened it, if it is kept; nil: none has come from HQ yet
	Card      Card
	Known     bool // the station knows the card
	Issued    bool // the station has given the card out, and headquarters has not told of it yet
	Local     Local
	Cell      Cell
	Reserved  Points // of the account's open sales at this station
	Sale      *Sale  // nil: the id is new
	Frozen    bool   // redeeming is suspended
	Explain   bool   // quotes say how each amount came about
}

// Place is where an operation will stand in the journal.
type Place struct {
	Epoch Epoch
	Seq   Seq
	Op    OpID
	At    Instant
}

// Admit says why the card may not accrue, or redeem, at all; nil: it may. Balances and rights are another matter.
func (b *Books) Admit(redeem bool) error {
	switch {
	case b.Programme == nil:
		return NoProgramme
	case !b.Known && b.Issued && redeem:
		return NotConfirmed
	case !b.Known && (redeem || !b.Issued && !b.Programme.AcceptUnknown):
		return UnknownCard
	}
	if err := b.Card.refuse(redeem); err != nil {
		return err
	}
	if err := b.Local.Snapshot.Account.State.refuse(redeem); err != nil {
		return err
	}
	if redeem && b.Frozen {
		return RedeemFrozen
	}
	if redeem && b.Programme.RedeemAsked && !b.Local.Snapshot.Account.RedeemOn {
		return NotActivated
	}
	return nil
}

// Available is what the customer could redeem at the moment, rights aside.
func (b *Books) Available(at Instant) Points {
	if !b.Known || b.Admit(true) != nil {
		return 0
	}
	return b.Local.Available(at, b.Reserved)
}

// Quote prices a receipt without changing anything. The reasons say why not more may be redeemed.
//
// What stands in the way is looked for in a fixed order, and the first thing is the refusal: the request's form, the
// programme, the card, its account, the station, the receipt's limit, the balance.
func (b *Books) Quote(r *Receipt, redeem Points, at Instant) (Quote, error) {
	if err := r.Check(); err != nil {
		return Quote{}, err
	}
	if err := b.Admit(false); err != nil {
		return Quote{}, err
	}
	why := b.Admit(true)
	if redeem > 0 && why != nil {
		return Quote{}, why
	}
	current, available := b.Local.Current(), Points(0)
	if why == nil {
		available = b.Local.available(&current, at, b.Reserved)
	}
	q, err := b.price(r, redeem, available, &current, at)
	if err != nil {
		return Quote{}, err
	}
	if code, ok := RefusalOf(why); ok {
		q.Reasons = append([]Refusal{code}, without(q.Reasons, NotEnough)...)
	}
	return q, nil
}

// without is the reasons but one.
func without(reasons []Refusal, r Refusal) []Refusal {
	return slices.DeleteFunc(reasons, func(x Refusal) bool { return x == r })
}

// price refuses what the programme would give if the account could not hold it: HQ could never post such an entry.
func (b *Books) price(r *Receipt, redeem, available Points, current *Account, at Instant) (Quote, error) {
	c := Case{Receipt: r, Redeem: redeem, Available: available, At: at, Station: b.Station, Explain: b.Explain}
	if b.Known {
		c.Card, c.Account = &b.Card, current
	}
	q, err := b.Programme.Price(c)
	if err != nil {
		return Quote{}, err
	}
	if q.Earn > 0 && q.Earn > MaxAmount-current.held() {
		return Quote{}, fmt.Errorf("%w: earning %s would make the account hold more than %s", BadRequest, q.Earn, Points(MaxAmount))
	}
	return q, nil
}

// Open reserves points and opens the sale. Asked again with the same content it returns the sale as it stands and no
// body; with other content [Conflict].
func (b *Books) Open(r *OpenRequest, at Place) (*Sale, Body, error) {
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("open sale: %w", err)
	}
	if s := b.Sale; s != nil {
		if !s.Open.same(r) {
			return nil, nil, fmt.Errorf("open sale %q: %w", r.Sale, Conflict)
		}
		return s, nil, nil
	}
	q, err := b.Quote(&r.Receipt, r.Redeem, at.At)
	if err != nil {
		return nil, nil, err
	}
	if err := b.Cell.Use(r.Redeem); err != nil {
		return nil, nil, err
	}
	b.Reserved += r.Redeem
	b.Sale = &Sale{
		ID: r.Sale, State: SaleOpen, OpOpen: at.Op, Account: b.Card.Account, Card: r.Card,
		OpenedAt: at.At, Reserved: r.Redeem, Open: r, Quote: q, Cashier: r.Cashier, Shift: r.Shift,
	}
	b.balances(at.At)
	return b.Sale, SaleOpened{
		Sale: r.Sale, Account: b.Card.Account, Card: r.Card, Receipt: r.Receipt, Reserved: r.Redeem,
		Statement: b.Cell.Statement(), Manual: r.Manual,
	}, nil
}

// Close books what was really sold: no more is redeemed than was reserved, and the rest is given back. Asked again with
// the same content it returns the sale as it stands and no body. A sale of one step is opened and closed at once.
func (b *Books) Close(r *CloseRequest, at Place) (*Sale, Body, error) {
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("close sale: %w", err)
	}
	s := b.Sale
	switch {
	case s == nil && r.Card == "":
		return nil, nil, fmt.Errorf("close sale %q: %w", r.Sale, UnknownSale)
	case s == nil:
		return b.sell(r, at)
	case r.Card != "" && r.Card != s.Card:
		return nil, nil, fmt.Errorf("close sale %q with another card: %w", r.Sale, Conflict)
	case s.State == SaleDone && s.Close.same(r):
		return s, nil, nil
	case s.State == SaleDone:
		return nil, nil, fmt.Errorf("close sale %q: %w", r.Sale, Conflict)
	case s.State != SaleOpen:
		return nil, nil, fmt.Errorf("close sale %q: %w", r.Sale, SaleNotOpen)
	case r.Redeem > s.Reserved:
		return nil, nil, fmt.Errorf("close sale %q: redeem %s of %s reserved: %w", r.Sale, r.Redeem, s.Reserved, RedeemMore)
	case b.Programme == nil:
		return nil, nil, NoProgramme
	}
	// The reservation is the permission: the card may have been blocked since, and the fuel is in the tank.
	current := b.Local.Current()
	q, err := b.price(&r.Receipt, r.Redeem, s.Reserved, &current, at.At)
	if err != nil {
		return nil, nil, err
	}
	q.Reasons = without(q.Reasons, NotEnough) // that it would have been more with more points does not matter any longer
	if err := b.Cell.Void(s.Reserved - r.Redeem); err != nil {
		return nil, nil, err
	}
	b.Reserved -= s.Reserved
	if s.Account == 0 && b.Known {
		s.Account = b.Card.Account // HQ has told us of the card since
	}
	manual := ""
	if s.Open != nil {
		manual = s.Open.Manual
	}
	return b.finish(s, r, q, manual, at)
}

// sell is a sale of one step.
func (b *Books) sell(r *CloseRequest, at Place) (*Sale, Body, error) {
	q, err := b.Quote(&r.Receipt, r.Redeem, at.At)
	if err != nil {
		return nil, nil, err
	}
	if err := b.Cell.Use(r.Redeem); err != nil {
		return nil, nil, err
	}
	b.Sale = &Sale{ID: r.Sale, Account: b.Card.Account, Card: r.Card, OpenedAt: at.At, Reserved: r.Redeem}
	return b.finish(b.Sale, r, q, r.Manual, at)
}

func (b *Books) finish(s *Sale, r *CloseRequest, q Quote, manual string, at Place) (*Sale, Body, error) {
	ended := *r
	ended.Who = r.Who.from(s.By())
	s.State, s.OpEnd, s.SeqEnd, s.EndedAt, s.Close, s.Quote = SaleDone, at.Op, at.Seq, at.At, &ended, q
	s.Cashier, s.Shift = ended.Cashier, ended.Shift
	body := SaleClosed{
		Sale: s.ID, Opened: s.OpOpen, OpenedAt: s.OpenedAt, Account: s.Account, Card: s.Card, Receipt: r.Receipt,
		Redeemed: q.Redeem, Discount: q.Discount, Earned: q.Lots, Counted: q.Counted, Claims: q.Claims,
		LineDiscounts: someOf(q.Lines), LineEarned: someOf(q.LineEarn), Manual: manual, Resolved: r.Resolved,
	}
	if s.Account != 0 { // otherwise HQ finds the account by the card, and the station has no cell of it
		body.Statement = b.Cell.Statement()
	}
	if p, ok := PostingOf(at.Epoch, at.Seq, &Entry{At: at.At, Op: at.Op, Body: body}); ok && b.Known {
		s.Paid = b.Local.paying(&p)
		b.Local.Add(p)
	}
	b.balances(at.At)
	return s, body, nil
}

// someOf is none where all are zero.
func someOf[T ~int64](amounts []T) []T {
	for _, a := range amounts {
		if a != 0 {
			return amounts
		}
	}
	return nil
}

// Cancel voids an open sale. Asked again it returns the sale as it stands and no body.
func (b *Books) Cancel(r *VoidRequest, at Place) (*Sale, Body, error) {
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("void sale: %w", err)
	}
	s := b.Sale
	switch {
	case s == nil:
		return nil, nil, fmt.Errorf("void sale %q: %w", r.Sale, UnknownSale)
	case s.State == SaleCancelled:
		return s, nil, nil
	case s.State != SaleOpen:
		return nil, nil, fmt.Errorf("void sale %q: %w", r.Sale, SaleNotOpen)
	}
	if err := b.Cell.Void(s.Reserved); err != nil {
		return nil, nil, err
	}
	b.Reserved -= s.Reserved
	ended := *r
	ended.Who = r.Who.from(s.By())
	s.State, s.OpEnd, s.SeqEnd, s.EndedAt, s.Void = SaleCancelled, at.Op, at.Seq, at.At, &ended
	s.Cashier, s.Shift = ended.Cashier, ended.Shift
	b.balances(at.At)
	return s, SaleVoided{
		Sale: s.ID, Opened: s.OpOpen, Account: s.Account, Statement: b.Cell.Statement(), Reason: r.Reason, Resolved: r.Resolved,
	}, nil
}

func (b *Books) balances(at Instant) {
	a := b.Local.Current()
	b.Sale.Total, b.Sale.Avail = a.Total(at), b.Local.available(&a, at, b.Reserved)
	amount, when := a.NextExpiry(at, ExpirySoon)
	b.Sale.Expiring = Lot{Amount: amount, Expires: when}
}

// What makes two requests the same is what they do to the customer. Who asks, and whether the question comes after a
// crash, may differ: a cashier who signs in after a restart repeats the sale of the one before.

func (r *OpenRequest) same(o *OpenRequest) bool {
	return r != nil && r.Card == o.Card && r.Redeem == o.Redeem && reflect.DeepEqual(r.Receipt, o.Receipt)
}

func (r *CloseRequest) same(o *CloseRequest) bool {
	return r != nil && r.Redeem == o.Redeem && reflect.DeepEqual(r.Receipt, o.Receipt) // the card is compared with the sale's
}
