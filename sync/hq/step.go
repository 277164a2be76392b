package hq

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// String names the step for people, without a card's number.
func (s SaleStep) String() string {
	switch s.Step {
	case Given:
		return fmt.Sprintf("card %s was given out", loyalty.CardNumber(s.Sale))
	case GivenAgain:
		return fmt.Sprintf("card %s was given out again at station %d", loyalty.CardNumber(s.Sale), s.Station)
	case Published:
		return fmt.Sprintf("version %s of the programme was published", s.Sale)
	case Refunded:
		return fmt.Sprintf("sale %s of station %d was refunded by station %d as %s", s.Sale, s.Station, s.By, s.Refund)
	}
	return fmt.Sprintf("sale %s was %s", s.Sale, s.Step)
}

// saleAt is where the sale is that an entry of a station refunds.
func saleAt(station loyalty.StationID, r *loyalty.SaleRefunded) loyalty.StationID {
	return cmp.Or(r.Station, station)
}

// stepOf is the step that an entry takes; NoStep if it takes none.
func stepOf(station loyalty.StationID, b loyalty.Body) SaleStep {
	switch b := b.(type) {
	case loyalty.SaleOpened:
		return SaleStep{Station: station, Sale: b.Sale, Step: Opened}
	case loyalty.SaleClosed:
		return SaleStep{Station: station, Sale: b.Sale, Step: Ended}
	case loyalty.SaleVoided:
		return SaleStep{Station: station, Sale: b.Sale, Step: Ended}
	case loyalty.SaleRefunded:
		return SaleStep{Station: saleAt(station, &b), Sale: b.Sale, Step: Refunded, Refund: b.Refund, By: station}
	case loyalty.CardIssued:
		return SaleStep{Sale: loyalty.SaleID(b.Card), Step: Given}
	}
	return SaleStep{}
}

// stepsOf are the steps to look up for an entry: the one that it takes, and of a refund the one that it undoes.
func stepsOf(station loyalty.StationID, b loyalty.Body) []SaleStep {
	s := stepOf(station, b)
	switch s.Step {
	case NoStep:
		return nil
	case Refunded:
		return []SaleStep{s, {Station: s.Station, Sale: s.Sale, Step: Ended}}
	}
	return []SaleStep{s}
}

func (s SaleStep) compare(o SaleStep) int {
	return cmp.Or(cmp.Compare(s.Station, o.Station), cmp.Compare(s.Step, o.Step), cmp.Compare(s.Sale, o.Sale), cmp.Compare(s.Refund, o.Refund), cmp.Compare(s.By, o.By))
}

// restate is a step that the sale has taken before, by another operation. The station's ledger was put back to an older
// copy, and the register told it again what it had forgotten: goods and money have changed hands once. If the station
// has booked the same, only the cell of its new epoch counts it. If not, somebody has to look at the receipt.
func (p *posting) restate(l *line, first *Line, step SaleStep) {
	switch {
	case sameStep(first, l):
		p.countAgain(l, first)
		return
	case step.Step == Given:
		p.givenAgain(l)
		return
	}
	l.Outcome, l.Reason = SetAside, fmt.Sprintf("%s otherwise before: %s", step, first)
	p.alarm(Alarm{
		Station: l.Station, Kind: TwiceAlarm, Epoch: l.Epoch, Evidence: l.Bytes,
		Text: fmt.Sprintf("entry %d: %s", l.Seq, l.Reason),
	})
}

// sameStep tells whether an entry says of its sale what the first one said: the same customer, goods, money and points.
// The operation and the moment, and what follows from them alone, are others.
func sameStep(first *Line, l *line) bool {
	e, err := wire.DecodeEntry(first.Bytes)
	if err != nil {
		return false
	}
	account, card := loyalty.Subject(e.Body)
	account2, card2 := loyalty.Subject(l.entry.Body)
	if account != account2 && (card == "" || card != card2) {
		return false
	}
	switch a := e.Body.(type) {
	case loyalty.SaleOpened:
		b, ok := l.entry.Body.(loyalty.SaleOpened)
		return ok && a.Reserved == b.Reserved && reflect.DeepEqual(a.Receipt, b.Receipt)
	case loyalty.SaleClosed:
		b, ok := l.entry.Body.(loyalty.SaleClosed)
		return ok && a.Redeemed == b.Redeemed && a.Discount == b.Discount && a.Points() == b.Points() && reflect.DeepEqual(a.Receipt, b.Receipt)
	case loyalty.SaleVoided:
		_, ok := l.entry.Body.(loyalty.SaleVoided)
		return ok
	case loyalty.SaleRefunded:
		b, ok := l.entry.Body.(loyalty.SaleRefunded)
		return ok && a.Tender == b.Tender && a.Discount == b.Discount && points(a.Returned) == points(b.Returned) &&
			points(a.Clawed) == points(b.Clawed) && slices.Equal(a.Lines, b.Lines)
	case loyalty.CardIssued:
		b, ok := l.entry.Body.(loyalty.CardIssued)
		return ok && first.Station == l.Station && a.Kind == b.Kind && a.For == b.For && a.Replaces == b.Replaces
	}
	return false
}

func points(lots []loyalty.Lot) (sum loyalty.Points) {
	for _, l := range lots {
		sum += l.Amount
	}
	return sum
}
