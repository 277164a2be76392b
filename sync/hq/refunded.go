package hq

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// returned is what was refunded of a sale, by all stations together.
type returned struct {
	lines    map[int]loyalty.RefundLine
	discount loyalty.Kopecks
	points   loyalty.Points
	clawed   loyalty.Points
	by       map[loyalty.StationID]loyalty.Points // who refunded it, and what each took back
	counted  map[loyalty.Tally]int64              // by what was counted, without an amount
	refunds  int
	more     bool // there are more refunds than are read
}

func (r *returned) add(station loyalty.StationID, b *loyalty.SaleRefunded) {
	r.refunds++
	for _, l := range b.Lines {
		x := r.lines[l.Line]
		r.lines[l.Line] = loyalty.RefundLine{Line: l.Line, Volume: x.Volume + l.Volume, Count: x.Count + l.Count, Amount: x.Amount + l.Amount}
	}
	r.discount += b.Discount
	r.points += points(b.Returned)
	r.clawed += points(b.Clawed)
	r.by[station] += points(b.Clawed)
	for _, t := range b.Uncounted {
		r.counted[uncounted(t)] += t.Amount
	}
}

// uncounted is what a tally counts, without how much.
func uncounted(t loyalty.Tally) loyalty.Tally {
	t.Amount = 0
	return t
}

// mostRefunds bounds the refunds of a sale that are read: more than any station makes of one. Of a sale with more, nothing
// is refunded any more.
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
		sum := &returned{
			lines: map[int]loyalty.RefundLine{}, by: map[loyalty.StationID]loyalty.Points{}, counted: map[loyalty.Tally]int64{},
		}
		p.refunds[key] = sum
		before, err := p.tx.RefundsOf(key.Station, key.Sale, mostRefunds+1)
		if err != nil {
			return err
		}
		sum.more = len(before) > mostRefunds
		for _, b := range before {
			if b.Outcome == SetAside {
				continue
			}
			e, err := wire.DecodeEntry(b.Bytes)
			if err != nil {
				return fmt.Errorf("%s was applied and cannot be read: %w", b.Place, err)
			}
			if body, ok := e.Body.(loyalty.SaleRefunded); ok {
				sum.add(b.Station, &body)
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

// refundable sets a refund aside whose sale the lots do not count: there is nothing to take back or to return. One that is
// of another sale or account, or gives back or takes back more than the sale had, with what other stations have refunded of
// it, has to be looked at.
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
	wrong := p.unsound(l, sale)
	if wrong == "" {
		return true
	}
	l.Outcome, l.Reason, l.Account = SetAside, string(loyalty.RefundMore)+": "+wrong, sale.Account
	p.alarm(Alarm{
		Station: l.Station, Kind: RefundAlarm, Epoch: l.Epoch, Evidence: l.Bytes,
		Text: fmt.Sprintf("entry %d refunds what sale %s of station %d has not: %s", l.Seq, l.Sale, l.SaleAt, wrong),
	})
	return false
}

// unsound says what of a refund the sale does not have; empty if it has it all.
func (p *posting) unsound(l *line, sale *Line) string {
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
	switch {
	case sum.more:
		return fmt.Sprintf("it was refunded more than %d times", mostRefunds)
	case !p.closedBy(body.Closed, sale):
		return fmt.Sprintf("operation %s did not close it", body.Closed)
	case body.Account != 0 && !p.lost(body.Account) && body.Account != cmp.Or(sale.Account, closed.Account):
		return fmt.Sprintf("account %d has no part in it", body.Account)
	}
	step := loyalty.Points(1)
	if by := p.programmes[e.Programme]; by != nil {
		step = by.Step
	}
	return cmp.Or(sum.returns(&body, &closed), sum.takes(l.Station, &body, &closed, step))
}

// closedBy tells whether an operation closed a sale: the one that headquarters counts or, where the station had forgotten
// it and the register told it again, that one.
func (p *posting) closedBy(op loyalty.OpID, sale *Line) bool {
	if op == sale.Op {
		return true
	}
	again := p.ops[op]
	if again == nil || again.Outcome != Repeated {
		return false
	}
	e, err := wire.DecodeEntry(again.Bytes)
	return err == nil && stepOf(again.Station, e.Body) == sale.SaleStep()
}

// returns says what a refund gives back beyond the sale; empty if nothing.
func (r *returned) returns(body *loyalty.SaleRefunded, closed *loyalty.SaleClosed) string {
	for _, l := range body.Lines {
		if l.Line > len(closed.Receipt.Lines) {
			return fmt.Sprintf("line %d of a receipt of %d", l.Line, len(closed.Receipt.Lines))
		}
		has, x := &closed.Receipt.Lines[l.Line-1], r.lines[l.Line]
		if x.Amount+l.Amount > has.Amount || x.Volume+l.Volume > has.Volume || x.Count+l.Count > has.Count {
			return fmt.Sprintf("line %d had %s RUB, of which %s were refunded before and %s are now", l.Line, has.Amount, x.Amount, l.Amount)
		}
	}
	switch back := points(body.Returned); {
	case r.discount+body.Discount > closed.Discount:
		return fmt.Sprintf("points paid %s RUB, of which %s were refunded before and %s are now", closed.Discount, r.discount, body.Discount)
	case r.points+back > closed.Redeemed:
		return fmt.Sprintf("%s points were redeemed, of which %s were returned before and %s are now", closed.Redeemed, r.points, back)
	}
	return ""
}

// takes says what a refund takes back beyond what the sale earned and counted; empty if nothing. Of what it knows to be
// refunded, a station takes no more back than was earned, and what it takes on the way is less than a step of the sale's
// programme too much. So stations that do not know of each other come to no more than was earned and a step for each
// further one. What they count back they round down, from what they know: one too much for each refund at the most.
func (r *returned) takes(station loyalty.StationID, body *loyalty.SaleRefunded, closed *loyalty.SaleClosed, step loyalty.Points) string {
	earned, back, own := closed.Points(), points(body.Clawed), r.by[station]
	others := len(r.by)
	if _, again := r.by[station]; again {
		others--
	}
	switch {
	case own+back > earned:
		return fmt.Sprintf("%s points were earned, of which %s were taken back before by this station and %s are now", earned, own, back)
	case r.clawed+back > earned+step*loyalty.Points(others):
		return fmt.Sprintf("%s points were earned, of which %s were taken back before by %d stations and %s are now", earned, r.clawed, len(r.by), back)
	}
	for _, t := range body.Uncounted {
		i := slices.IndexFunc(closed.Counted, func(c loyalty.Tally) bool { return uncounted(c) == uncounted(t) })
		if i < 0 {
			return fmt.Sprintf("counter %s counted nothing of it", t.Counter)
		}
		if has, x := closed.Counted[i].Amount, r.counted[uncounted(t)]; x+t.Amount > has+int64(r.refunds+1) {
			return fmt.Sprintf("counter %s counted %d, of which %d went back before and %d do now", t.Counter, has, x, t.Amount)
		}
	}
	return ""
}

// refunded counts a refund that was posted.
func (p *posting) refunded(l *line) {
	if body, ok := l.entry.Body.(loyalty.SaleRefunded); ok && (l.Outcome == Posted || l.Outcome == NoAccount) {
		key, _ := refundedSale(l)
		p.refunds[key].add(l.Station, &body)
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
