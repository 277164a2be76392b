package wire

import (
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

func fromRefunded(r *loyalty.SaleRefunded) *pb.SaleRefunded {
	return &pb.SaleRefunded{
		Sale: string(r.Sale), Closed: opBytes(r.Closed), Refund: string(r.Refund), Account: uint64(r.Account), Card: string(r.Card),
		Lines: FromRefundLines(r.Lines), Discount: uint64(r.Discount), Returned: fromLots(r.Returned), Clawed: fromLots(r.Clawed),
		Uncounted: fromTallies(r.Uncounted), Reason: r.Reason, Station: uint32(r.Station), Tender: uint32(r.Tender),
	}
}

func (d *decoder) refunded(m *pb.SaleRefunded) loyalty.SaleRefunded {
	r := loyalty.SaleRefunded{
		Sale: d.sale(m.Sale), Closed: d.op(m.Closed), Refund: loyalty.RefundID(m.Refund), Account: d.account(m.Account), Card: d.card(m.Card),
		Lines: d.refundLines(m.Lines), Discount: loyalty.Kopecks(d.points(m.Discount)), Returned: d.lots(m.Returned),
		Undo: loyalty.Undo{Clawed: d.lots(m.Clawed), Uncounted: d.tallies(m.Uncounted)}, Reason: d.text(m.Reason),
		Station: d.station(m.Station), Tender: loyalty.Tender(min(m.Tender, 255)),
	}
	if r.Tender > loyalty.FuelCard {
		d.fail("tender %d", m.Tender)
	}
	d.check(r.Refund.Check())
	return r
}

func (d *decoder) refundLines(ms []*pb.RefundLine) (lines []loyalty.RefundLine) {
	if len(ms) == 0 || len(ms) > loyalty.MaxLines {
		d.fail("a refund of %d lines", len(ms))
		return nil
	}
	for _, m := range ms {
		lines = append(lines, loyalty.RefundLine{
			Line: int(m.Line), Volume: loyalty.Millilitres(d.points(m.Volume)), Count: int64(d.points(m.Count)), Amount: loyalty.Kopecks(d.points(m.Amount)),
		})
	}
	d.check(loyalty.CheckRefundLines(lines))
	return lines
}

// FromRefundLines is the messages of a refund's lines.
func FromRefundLines(lines []loyalty.RefundLine) (ms []*pb.RefundLine) {
	for _, l := range lines {
		ms = append(ms, &pb.RefundLine{Line: uint32(l.Line), Volume: uint64(l.Volume), Count: uint64(l.Count), Amount: uint64(l.Amount)})
	}
	return ms
}
