package hq

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// returned is what was refunded of a sale, by all stations together.
type returned struct {
	lines    map[int]loyalty.RefundLine
	discount loyalty.Kopecks
	points   loyalty.Points
}

func (r *returned) add(b *loyalty.SaleRefunded) {
	for _, l := range b.Lines {
		x := r.lines[l.Line]
		r.lines[l.Line] = loyalty.RefundLine{Line: l.Line, Volume: x.Volume + l.Volume, Count: x.Count + l.Count, Amount: x.Amount + l.Amount}
	}
	r.discount += b.Discount
	r.points += points(b.Returned)
}

// most bounds the refunds of a sale that are read: more than any station makes of one.
const mostRefunds = 8 * loyalty.MaxRefunds

// readRefunds adds up what was refunded before of the sales that entries refund. What was set aside does not count.
func (p *posting) readRefunds() error {
	p.refunds = map[SaleStep]*returned{}
	for i := range p.lines {
		l := &p.lines[i]
		if l.entry == nil {
			continue
		}
		key, ok := refundedSale(l)
		if !ok || p.refunds[key] != nil {
			continue
		}
		sum := &returned{lines: map[int]loyalty.RefundLine{}}
		p.refunds[key] = sum
		before, err := p.tx.RefundsOf(key.Station, key.Sale, mostRefunds)
		if err != nil {
			return err
		}
		for _, b := range before {
			if b.Outcome == SetAside {
				continue
			}
			e, err := wire.DecodeEntry(b.Bytes)
			if err != nil {
				return fmt.Errorf("%s was applied and cannot be read: %w", b.Place, err)
			}
			if body, ok := e.Body.(loyalty.SaleRefunded); ok {
				sum.add(&body)
			}
		}
	}
	return nil
}

// refundedSale is the step that ended the sale which the entry refunds; false if it is no refund.
func refundedSale(l *line) (SaleStep, bool) {
	r, ok := l.entry.Body.(loyalty.SaleRefunded)
	return SaleStep{Station: saleAt(l.Station, &r), Sale: r.Sale, Step: Ended}, ok
}

// refundOf is the line that ended the sale which the line refunds; nil if there is none yet, or it is no refund.
func (p *posting) refundOf(l *line) *Line {
	key, ok := refundedSale(l)
	if !ok {
		return nil
	}
	return p.steps[key]
}

// refundable sets a refund aside whose sale the lots do not count: there is nothing to take back or to return. One that
// gives back more than the sale had, with what other stations have given back of it, has to be looked at.
func (p *posting) refundable(l *line) bool {
	sale := p.refundOf(l)
	switch {
	case sale == nil:
		l.Outcome, l.Reason = SetAside, fmt.Sprintf("it refunds sale %s, which headquarters does not have", l.Sale)
		return false
	case sale.Outcome == SetAside:
		l.Outcome, l.Reason, l.Waits = SetAside, fmt.Sprintf("it refunds sale %s, which was set aside: %s", l.Sale, sale.Place), sale.Waits
		return false
	}
	if more := p.exceeds(l, sale); more != "" {
		l.Outcome, l.Reason = SetAside, string(loyalty.RefundMore)+": "+more
		p.alarm(Alarm{
			Station: l.Station, Kind: RefundAlarm, Epoch: l.Epoch, Evidence: l.Bytes,
			Text: fmt.Sprintf("entry %d: with the refunds before it, sale %s of station %d gives back more than it had: %s", l.Seq, l.Sale, l.SaleAt, more),
		})
		return false
	}
	return true
}

// exceeds says what a refund gives back beyond the sale; empty if nothing. Points that are taken back are not compared:
// stations round them up, and the account owes no more than it had earned.
func (p *posting) exceeds(l *line, sale *Line) string {
	e, err := wire.DecodeEntry(sale.Bytes)
	if err != nil {
		return "what the sale was cannot be read"
	}
	closed, ok := e.Body.(loyalty.SaleClosed)
	if !ok {
		return "the sale was void"
	}
	key, _ := refundedSale(l)
	body, _ := l.entry.Body.(loyalty.SaleRefunded)
	sum := p.refunds[key]
	for _, r := range body.Lines {
		if r.Line > len(closed.Receipt.Lines) {
			return fmt.Sprintf("line %d of a receipt of %d", r.Line, len(closed.Receipt.Lines))
		}
		has, x := &closed.Receipt.Lines[r.Line-1], sum.lines[r.Line]
		if x.Amount+r.Amount > has.Amount || x.Volume+r.Volume > has.Volume || x.Count+r.Count > has.Count {
			return fmt.Sprintf("line %d had %s RUB, of which %s were refunded before and %s are now", r.Line, has.Amount, x.Amount, r.Amount)
		}
	}
	switch back := points(body.Returned); {
	case sum.discount+body.Discount > closed.Discount:
		return fmt.Sprintf("points paid %s RUB, of which %s were refunded before and %s are now", closed.Discount, sum.discount, body.Discount)
	case sum.points+back > closed.Redeemed:
		return fmt.Sprintf("%s points were redeemed, of which %s were returned before and %s are now", closed.Redeemed, sum.points, back)
	}
	return ""
}

// refunded counts a refund that was posted.
func (p *posting) refunded(l *line) {
	if body, ok := l.entry.Body.(loyalty.SaleRefunded); ok && (l.Outcome == Posted || l.Outcome == NoAccount) {
		key, _ := refundedSale(l)
		p.refunds[key].add(&body)
	}
}

// overdue finds refunds that came before their sales, while stations send again what an older copy of these books lacks:
// the station that gave the money back may be ahead of the one that sold. They can be tried again after the commit.
func (p *posting) overdue([]*Batch) error {
	restored, err := p.tx.Restored()
	if err != nil || !restored.Open {
		return err
	}
	closed := map[SaleStep]bool{}
	for i := range p.lines {
		l := &p.lines[i]
		if l.Step != Ended || l.Outcome == SetAside {
			continue
		}
		closed[l.SaleStep()] = true
		refunds, err := p.tx.RefundsOf(l.SaleAt, l.Sale, mostRefunds)
		if err != nil {
			return err
		}
		for _, r := range refunds {
			if r.Outcome == SetAside {
				p.result.Overdue = append(p.result.Overdue, r.Place)
			}
		}
	}
	for i := range p.lines {
		l := &p.lines[i]
		if l.Step == Refunded && l.Outcome == SetAside && closed[SaleStep{Station: l.SaleAt, Sale: l.Sale, Step: Ended}] {
			p.result.Overdue = append(p.result.Overdue, l.Place)
		}
	}
	return nil
}
