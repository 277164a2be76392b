package loyalty

// OperationKind says what an operation of a statement was.
type OperationKind string

// The kinds.
const (
	SaleOperation       OperationKind = "sale"
	RefundOperation     OperationKind = "refund"
	PartnerOperation    OperationKind = "partner"    // a partner's accrual
	CorrectionOperation OperationKind = "correction" // by an operator of headquarters
	AdvancedOperation   OperationKind = "advanced"   // points became spendable or expired, or the tier changed
	IssueOperation      OperationKind = "card"       // a card was given out
	ClosedOperation     OperationKind = "closed"     // points of a closed account were taken for good
)

// Operation is a line of a customer's statement.
type Operation struct {
	At      Instant
	Station StationID // zero: headquarters
	Epoch   Epoch
	Seq     Seq
	Kind    OperationKind

	Sale    SaleID
	Refund  RefundID
	Card    CardNumber
	Partner string
	Reason  string

	Total      Kopecks // of the receipt, or of what was refunded, before points
	Discount   Kopecks // of it, what points paid
	Redeemed   Points
	Earned     Points
	ActiveFrom Instant // of what was earned, the first moment at which some of it pays; zero: at once
	Expires    Instant // the first moment at which some of it is gone; zero: never
	Returned   Points
	Clawed     Points
	Activated  Points
	Expired    Points
	TierBefore string // names
	TierAfter  string
}

// OperationOf is what an entry says to the customer; false for what concerns none, or only prepares something.
func OperationOf(station StationID, epoch Epoch, seq Seq, e *Entry) (Operation, bool) {
	o := Operation{At: e.At, Station: station, Epoch: epoch, Seq: seq}
	switch b := e.Body.(type) {
	case SaleClosed:
		o.Kind, o.Sale, o.Card, o.Total, o.Discount, o.Redeemed = SaleOperation, b.Sale, b.Card, b.Receipt.Total(), b.Discount, b.Redeemed
		o.Earned = b.Points()
		lots := b.Earned
		for _, c := range b.Claims {
			lots = append(lots[:len(lots):len(lots)], c.Lot)
		}
		o.terms(lots)
	case SaleRefunded:
		o.Kind, o.Sale, o.Refund, o.Card, o.Discount, o.Reason = RefundOperation, b.Sale, b.Refund, b.Card, b.Discount, b.Reason
		o.Total, o.Returned, o.Clawed = b.Money()+b.Discount, sumOf(b.Returned), sumOf(b.Clawed)
	case Adjusted:
		o.Kind, o.Partner, o.Reason, o.Earned, o.Clawed = CorrectionOperation, b.Partner, b.Reason, sumOf(b.Accrued), sumOf(b.Clawed)
		if b.Partner != "" {
			o.Kind = PartnerOperation
		}
		o.terms(b.Accrued)
	case AccountAdvanced:
		o.Kind, o.Activated, o.Expired, o.TierBefore, o.TierAfter = AdvancedOperation, b.Activated, b.Expired, b.Before, b.After
	case AccountBurned:
		o.Kind, o.Expired, o.Reason = ClosedOperation, b.Burned, b.Reason
	case CardIssued:
		o.Kind, o.Card = IssueOperation, b.Card
	default:
		return Operation{}, false
	}
	return o, true
}

// terms notes when lots become spendable and expire.
func (o *Operation) terms(lots []Lot) {
	for i, l := range lots {
		if i == 0 || l.ActiveFrom < o.ActiveFrom {
			o.ActiveFrom = l.ActiveFrom
		}
		if l.Expires != 0 && (o.Expires == 0 || l.Expires < o.Expires) {
			o.Expires = l.Expires
		}
	}
}

func sumOf(lots []Lot) (sum Points) {
	for _, l := range lots {
		sum += l.Amount
	}
	return sum
}
