package loyalty

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// A refund gives a part of a closed sale back, or all of it.
//
// What part of a line is refunded is measured by its money (by its quantity, where the line costs nothing). Everything
// follows from how much of each line is refunded in all, by this refund and those before it:
//
//   - the line's discount goes back in proportion, rounded down; the customer gets the rest of the amount as money;
//   - of the points that the line earned, what is not refunded is left, in proportion; of what is left of all lines
//     together the customer keeps the whole steps in which the sale earned, and the rest of what it earned is taken back;
//   - the points that paid the discounts come back in proportion to the discounts that go back, rounded down;
//   - the counters go back in proportion to the money of the whole receipt, rounded down; promo codes stay used.
//
// A refund is what that comes to after it less what it came to before it. So it does not matter into how many refunds a
// sale is cut: all of them together take back exactly what was earned and return exactly what was redeemed, and on the
// way never return more than one refund of the same part would.
//
// A sale of another station is refunded by what headquarters has of it: the entry that closed it, and all refunds there
// are, whoever made them. Which lots paid is not in the entry. Who refunds without headquarters' word knows nothing of
// what other stations have given back. Headquarters posts no more than the sale had, but that stations which do not know of
// each other may together take back up to a step more for each further one.
//
// Points come back with the terms of the lots that the station saw them be taken from, the last taken first, as if less
// had been redeemed. Where that is not known, or the lot has expired since, they come back spendable at once and live as
// long as points accrued at the moment of the refund. The entry names the lots, and HQ posts what it names.
//
// What a refund takes from the account is written at [Owing]. A station's rights are never restored by one: what comes
// back is in the account, and HQ issues new rights to it. A refund asks nobody: it works without HQ, also for a card that
// has been blocked since.

// RefundID is the POS's own name for a refund, unique among those of its sale that its station makes: any text of 1 to
// [MaxSaleID] bytes without control characters. It is the refund's idempotency key as well. Another station's refund of the
// same id is another refund.
type RefundID string

// Check returns [BadRequest] unless the id is well-formed.
func (r RefundID) Check() error {
	if r == "" || len(r) > MaxSaleID {
		return fmt.Errorf("%w: refund id of %d bytes, want 1 to %d", BadRequest, len(r), MaxSaleID)
	}
	return plainText("refund id", string(r))
}

// MaxRefunds bounds the refunds of one sale.
const MaxRefunds = 32

// RefundLine is how much of a line is refunded.
type RefundLine struct {
	Line   int // its number in the receipt, from 1
	Volume Millilitres
	Count  int64
	Amount Kopecks // of what the register charged, before points
}

// RefundRequest asks to refund lines of a closed sale, each named once, in the order of the receipt. No lines: all that is
// left of the sale. The same id with the same content is the same request.
type RefundRequest struct {
	Station StationID // where the sale was; zero: here
	Sale    SaleID
	Refund  RefundID
	Lines   []RefundLine
	Tender  Tender     // by which the money goes back; zero: the one that the sale names
	Card    CardNumber // that the customer showed; empty: none. It changes nothing: points go where they came from
	Reason  string
	Who
}

func (r *RefundRequest) checkPlace() error {
	if r.Station > MaxStation {
		return fmt.Errorf("%w: station %d, at most %d", BadRequest, r.Station, MaxStation)
	}
	if r.Tender > FuelCard {
		return fmt.Errorf("%w: tender %d is not known", BadRequest, r.Tender)
	}
	if r.Card != "" {
		return r.Card.Check()
	}
	return nil
}

// Check returns [BadRequest] unless the request is well-formed.
func (r *RefundRequest) Check() error {
	if err := firstError(r.Sale.Check, r.Refund.Check, text("reason", r.Reason), r.Who.check, r.checkPlace); err != nil {
		return err
	}
	return CheckRefundLines(r.Lines)
}

// CheckRefundLines returns [BadRequest] unless each line is named once, in order, with something of it to refund.
func CheckRefundLines(lines []RefundLine) error {
	last := 0
	for _, l := range lines {
		switch {
		case l.Line <= last || l.Line > MaxLines:
			return fmt.Errorf("%w: line %d after line %d, want each once and in order, at most %d", BadRequest, l.Line, last, MaxLines)
		case l.Amount < 0 || l.Volume < 0 || l.Count < 0 || l == RefundLine{Line: l.Line}:
			return fmt.Errorf("%w: line %d: nothing to refund", BadRequest, l.Line)
		case l.Amount > MaxAmount/MaxLines || l.Volume > MaxAmount/MaxLines || l.Count > MaxAmount/MaxLines:
			return fmt.Errorf("%w: line %d: no receipt has so much", BadRequest, l.Line)
		}
		last = l.Line
	}
	return nil
}

// Refund is what the station keeps of a refund, inside its sale.
type Refund struct {
	ID       RefundID
	Station  StationID // where it was made; zero: here
	Past     bool      // made here in a life of the journal that is gone: only headquarters has its entry
	Op       OpID
	Epoch    Epoch
	Seq      Seq
	At       Instant
	Lines    []RefundLine
	All      bool    // nothing of the sale is left after it
	Tender   Tender  // by which the money went back; zero: not known
	Amount   Kopecks // of the lines
	Discount Kopecks // of it, what points had paid
	Clawed   Points  // taken back of what was earned
	Returned Points  // given back of what was redeemed
	Total    Points  // the balances as answered
	Avail    Points
	Debt     Points // what the account owes, as answered
	Reason   string
	Cashier  string
	Shift    uint32
}

// Money is what the customer gets back in money.
func (f *Refund) Money() Kopecks { return f.Amount - f.Discount }

// RefundTender is by which the money of a refund goes back; zero where it is not known: the sale named it, and what was
// sold is lost.
func (s *Sale) RefundTender(named Tender) Tender {
	if named == 0 && s.Close != nil {
		return s.Close.Receipt.Tender
	}
	return named
}

// asks tells whether a request asks for what the refund was. A tender that is not known may have been any.
func (s *Sale) asks(r *RefundRequest, f *Refund) bool {
	if asked := s.RefundTender(r.Tender); asked != 0 && f.Tender != 0 && asked != f.Tender {
		return false
	}
	if len(r.Lines) == 0 {
		return f.All
	}
	return slices.Equal(f.Lines, r.Lines)
}

// SaleRefunded gives a closed sale back, or a part of it.
type SaleRefunded struct {
	Station  StationID // where the sale was; zero: at the station that writes this
	Sale     SaleID
	Closed   OpID // the entry that closed the sale
	Refund   RefundID
	Account  AccountID
	Card     CardNumber
	Lines    []RefundLine
	Discount Kopecks // of the lines' amounts, what points had paid
	Tender   Tender  // by which the money went back
	Returned []Lot   // the points that had paid it
	Undo
	Reason string
}

// Money is what the customer got back in money.
func (s *SaleRefunded) Money() (sum Kopecks) {
	for _, l := range s.Lines {
		sum += l.Amount
	}
	return sum - s.Discount
}

// Refund gives a part of a closed sale back. Asked again with the same content, which is the lines and the tender, it
// returns the sale as it stands and no body; with other content [Conflict]. The other refusals are [SaleNotHere],
// [SaleNotClosed], [RefundMore], [NoProgramme] and [BadRequest] for a line that the receipt has not.
func (b *Books) Refund(r *RefundRequest, at Place) (*Sale, Body, error) {
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("refund: %w", err)
	}
	s := b.Sale
	if s == nil {
		return nil, nil, fmt.Errorf("refund sale %q: %w", r.Sale, SaleNotHere)
	}
	if f := s.Refund(r.Refund); f != nil {
		if !s.asks(r, f) {
			return nil, nil, fmt.Errorf("refund %q of sale %q: %w", r.Refund, r.Sale, Conflict)
		}
		return s, nil, nil
	}
	switch {
	case s.State != SaleDone:
		return nil, nil, fmt.Errorf("refund sale %q, which is %s: %w", r.Sale, s.State, SaleNotClosed)
	case b.Programme == nil:
		return nil, nil, NoProgramme
	case len(s.Refunds) >= MaxRefunds:
		return nil, nil, fmt.Errorf("refund sale %q for the %dth time: %w", r.Sale, len(s.Refunds)+1, RefundMore)
	}
	lines, err := s.refundable(r.Lines)
	if err != nil {
		return nil, nil, fmt.Errorf("refund sale %q: %w", r.Sale, err)
	}
	return b.refund(r, lines, at)
}

// refund books lines that are left to refund.
func (b *Books) refund(r *RefundRequest, lines []RefundLine, at Place) (*Sale, Body, error) {
	s := b.Sale
	step := cmp.Or(s.Quote.Step, b.Programme.Step)
	was := s.reckon(s.refunded(nil), step)
	is := s.reckon(s.refunded(lines), step)
	was.clawed = s.clawed() // another station, or another programme's step, may have taken more
	is.clawed = max(is.clawed, was.clawed)
	f := &Refund{
		ID: r.Refund, Op: at.Op, Epoch: at.Epoch, Seq: at.Seq, At: at.At, Lines: lines, Amount: is.amount - was.amount,
		Discount: is.discount - was.discount, Clawed: is.clawed - was.clawed, Returned: is.returned - was.returned,
		Tender: s.RefundTender(r.Tender), Reason: r.Reason, Cashier: r.Cashier, Shift: r.Shift,
	}
	body := SaleRefunded{
		Station: s.Station, Sale: s.ID, Closed: s.OpEnd, Refund: r.Refund, Account: s.Account, Card: s.Card, Lines: lines,
		Discount: f.Discount, Tender: f.Tender,
		Returned: b.givenBack(was.returned, is.returned, at.At), Reason: r.Reason,
	}
	body.Clawed = cutLots(s.Quote.Booked(), was.clawed, is.clawed)
	for _, t := range s.Quote.Counted {
		if t.Amount = is.counted(t, s.Quote.Total) - was.counted(t, s.Quote.Total); t.Amount > 0 {
			body.Uncounted = append(body.Uncounted, t)
		}
	}
	if b.Known {
		p, _ := PostingOf(at.Epoch, at.Seq, &Entry{At: at.At, Op: at.Op, Body: body})
		a := b.Local.Current()
		if err := a.Post(p); err != nil { // HQ could not post it either
			return nil, nil, fmt.Errorf("%w: refund sale %q: %w", BadRequest, s.ID, err)
		}
		b.Local.Add(p)
		if s.Station == 0 || b.Local.Snapshot.Version != 0 { // otherwise headquarters has told nothing of the account
			f.Total, f.Avail, f.Debt = a.Total(at.At), b.Local.available(&a, at.At, b.Reserved), a.Debt
		}
	}
	s.AddRefund(f)
	return s, body, nil
}

// Refund is the sale's refund of the id that was made here, nil if there is none: what other stations call theirs says
// nothing.
func (s *Sale) Refund(id RefundID) *Refund {
	i := slices.IndexFunc(s.Refunds, func(f *Refund) bool { return f.ID == id && f.Station == 0 })
	if i < 0 {
		return nil
	}
	return s.Refunds[i]
}

// AddRefund appends a refund and works out whether anything is left of the sale.
func (s *Sale) AddRefund(f *Refund) {
	s.Refunds = append(slices.Clip(s.Refunds), f)
	if s.Close == nil { // what was sold is lost here
		return
	}
	left, err := s.refundable(nil)
	f.All = err != nil && len(left) == 0
}

// refunded is how much of each line is refunded, all refunds and those lines together.
func (s *Sale) refunded(lines []RefundLine) []RefundLine {
	sum := make([]RefundLine, len(s.Close.Receipt.Lines))
	add := func(lines []RefundLine) {
		for _, l := range lines {
			if l.Line < 1 || l.Line > len(sum) {
				continue
			}
			x := &sum[l.Line-1]
			x.Amount, x.Volume, x.Count = x.Amount+l.Amount, x.Volume+l.Volume, x.Count+l.Count
		}
	}
	for _, f := range s.Refunds {
		add(f.Lines)
	}
	add(lines)
	for i := range sum { // two stations that did not know of each other may have given back more than there was
		l, x := &s.Close.Receipt.Lines[i], &sum[i]
		x.Amount, x.Volume, x.Count = min(x.Amount, l.Amount), min(x.Volume, l.Volume), min(x.Count, l.Count)
	}
	return sum
}

// refundable returns the lines if so much of them is left, or all that is left if none are named. It returns
// [RefundMore] if not, or nothing is left.
func (s *Sale) refundable(lines []RefundLine) ([]RefundLine, error) {
	receipt, done := s.Close.Receipt.Lines, s.refunded(nil)
	left := make([]RefundLine, 0, len(receipt))
	for i := range receipt {
		l, d := &receipt[i], &done[i]
		left = append(left, RefundLine{Line: i + 1, Volume: l.Volume - d.Volume, Count: l.Count - d.Count, Amount: l.Amount - d.Amount})
	}
	for _, l := range lines {
		if l.Line > len(left) {
			return nil, fmt.Errorf("%w: line %d of a receipt of %d", BadRequest, l.Line, len(left))
		}
		if x := left[l.Line-1]; l.Amount > x.Amount || l.Volume > x.Volume || l.Count > x.Count {
			return nil, fmt.Errorf("line %d has %s roubles, %s litres, %d thousandths of a piece left: %w", l.Line, x.Amount, x.Volume, x.Count, RefundMore)
		}
	}
	if len(lines) > 0 {
		return lines, nil
	}
	left = slices.DeleteFunc(left, func(l RefundLine) bool { return l == RefundLine{Line: l.Line} })
	if len(left) == 0 {
		return nil, fmt.Errorf("nothing is left: %w", RefundMore)
	}
	return left, nil
}

// reckoning is what refunds of so much come to.
type reckoning struct {
	amount, discount Kopecks
	clawed, returned Points
	whole            bool
}

// clawed is what all refunds have taken back.
func (s *Sale) clawed() (sum Points) {
	for _, f := range s.Refunds {
		sum += f.Clawed
	}
	return sum
}

// fraction is how finely parts of a hundredth of a point are added up before they are rounded, in bits: the lines together
// are rounded once, and all lines of the longest receipt fit 64 bits.
const fraction = 40

// reckon works out what it comes to if so much of each line is refunded, with points taken back in multiples of
// the step.
func (s *Sale) reckon(done []RefundLine, step Points) reckoning {
	q := &s.Quote
	r := reckoning{whole: true}
	var parts uint64 // of a hundredth of a point, 2^-fraction each
	for i := range done {
		l, d := &s.Close.Receipt.Lines[i], &done[i]
		part, of := int64(d.Amount), int64(l.Amount)
		if of == 0 {
			part, of = int64(d.Volume)+d.Count, int64(l.Volume)+l.Count
		}
		discount, earned := int64(perLine(q.Lines, i)), int64(perLine(q.LineEarn, i))
		if part != of {
			r.whole = false
			rest := remainder(uint64(earned), uint64(part), uint64(of))
			discount, earned = mulDiv(discount, part, of), mulDiv(earned, part, of)
			hi, lo := bits.Mul64(rest, 1<<fraction)
			part, _ := bits.Div64(hi, lo, uint64(of))
			parts += part
		}
		r.amount += d.Amount
		r.discount += Kopecks(discount)
		r.clawed += Points(earned)
	}
	r.clawed += Points((parts + 1<<fraction - 1) >> fraction)
	r.clawed = min(q.Earn, Points(roundUp(int64(r.clawed), int64(step)))) // what is left rounds down
	switch {
	case r.whole:
		r.clawed, r.returned = q.Earn, q.Redeem
	case q.Discount > 0:
		r.returned = Points(mulDiv(int64(q.Redeem), int64(r.discount), int64(q.Discount)))
	}
	return r
}

// counted is what of a tally goes back.
func (r *reckoning) counted(t Tally, total Kopecks) int64 {
	switch {
	case r.whole:
		return t.Amount
	case total <= 0:
		return 0
	}
	return mulDiv(t.Amount, int64(r.amount), int64(total))
}

// perLine is zero where there is none for any line.
func perLine[T ~int64](amounts []T, i int) T {
	if i < len(amounts) {
		return amounts[i]
	}
	return 0
}

// roundUp returns the next multiple of a step, above zero.
func roundUp(a, step int64) int64 { return a + (step-a%step)%step }

// cutLots is the points from one position to another of lots laid end to end.
func cutLots(lots []Lot, from, to Points) (cut []Lot) {
	for _, l := range lots {
		if x := min(l.Amount, to) - max(0, from); x > 0 {
			cut = append(cut, Lot{Amount: x, ActiveFrom: l.ActiveFrom, Expires: l.Expires})
		}
		from, to = from-l.Amount, to-l.Amount
	}
	return cut
}

// givenBack is the lots in which the sale's redeemed points come back, of which from have come back before.
func (b *Books) givenBack(from, to Points, at Instant) []Lot {
	paid := slices.Clone(b.Sale.Paid)
	slices.Reverse(paid)
	fresh := to - from
	var back Account // puts them in order
	for _, l := range cutLots(paid, from, to) {
		if l.Live(at) {
			fresh -= l.Amount
			back.put(l)
		}
	}
	if fresh > 0 {
		back.put(Lot{Amount: fresh, Expires: b.Programme.expiry(at)})
	}
	return back.Lots
}
