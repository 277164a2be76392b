package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func (s *Server) refundRoutes(api huma.API) {
	huma.Register(api, operation(api, "POST", "/v1/sales/{id}/refunds", "refundSale", "sale", "Refund a closed sale, or a part of it",
		"Any number of times until nothing is left. A sale of this station is refunded with or without headquarters, one of another station (see station) only with it. "+
			"What the refunded part had earned is taken back, what points had paid comes back as points, the rest is money. "+
			"However a refund is cut into parts, all of them together give and take exactly what the sale did."), s.refundSale)
}

type refundLineBody struct {
	Line   int   `json:"line" minimum:"1" maximum:"10000" doc:"Number of the line in the sale's receipt as closed, from 1"`
	Volume int64 `json:"volume_ml,omitempty" minimum:"0" maximum:"10000000000" doc:"Fuel only: at most what is left of the line"`
	Count  int64 `json:"count_x1000,omitempty" minimum:"0" maximum:"10000000000" doc:"Goods only: at most what is left of the line"`
	Amount int64 `json:"amount_kopecks,omitempty" minimum:"0" maximum:"10000000000" doc:"Before points, at most what is left of the line; points follow it"`
}

type refundCallBody struct {
	Refund  string           `json:"refund" minLength:"1" maxLength:"64" doc:"The POS's own name for the refund, unique among those of the sale at this station" example:"2026-11-22.3"`
	Lines   []refundLineBody `json:"lines,omitempty" maxItems:"10000" nullable:"false" doc:"Each line once; leave out for all that is left of the sale"`
	Station uint32           `json:"station,omitempty" maximum:"16777215" doc:"Number of the station where the sale was; left out: this one"`
	Card    string           `json:"card,omitempty" maxLength:"64" doc:"That the customer showed, if any. It changes nothing: points go where they came from. One of another account is told to headquarters"`
	Tender  string           `json:"tender,omitempty" enum:"cash,cashless,fuel_card" doc:"By which the money goes back; left out: as the sale's receipt says"`
	Reason  string           `json:"reason,omitempty" maxLength:"200"`
	Attendant
}

// domain reads the call; its bounds are checked by loyalty. The order in which a register names lines says nothing.
func (b *refundCallBody) domain(sale loyalty.SaleID) (*loyalty.RefundRequest, error) {
	r := &loyalty.RefundRequest{
		Station: loyalty.StationID(b.Station), Sale: sale, Refund: loyalty.RefundID(b.Refund), Card: loyalty.CardNumber(b.Card), Reason: b.Reason,
		Who: b.Attendant.domain(),
	}
	if b.Tender != "" {
		var err error
		if r.Tender, err = loyalty.ParseTender(b.Tender); err != nil {
			return nil, err
		}
	}
	for _, l := range b.Lines {
		r.Lines = append(r.Lines, loyalty.RefundLine{Line: l.Line, Volume: loyalty.Millilitres(l.Volume), Count: l.Count, Amount: loyalty.Kopecks(l.Amount)})
	}
	slices.SortFunc(r.Lines, func(a, b loyalty.RefundLine) int { return cmp.Compare(a.Line, b.Line) })
	return r, r.Check()
}

type refundBody struct {
	Refund      string           `json:"refund"`
	Sale        string           `json:"sale"`
	Station     uint32           `json:"station,omitempty" doc:"Where the sale was, if not here"`
	MadeAt      uint32           `json:"made_at_station,omitempty" doc:"Where the refund was made, if not here: headquarters told of it"`
	CardMasked  string           `json:"card_masked" doc:"Of the sale, to which the points go"`
	At          *time.Time       `json:"at,omitempty"`
	Lines       []refundLineBody `json:"lines" nullable:"false" doc:"What was refunded of each line; left out in events"`
	All         bool             `json:"all" doc:"Nothing of the sale is left after it"`
	Tender      string           `json:"tender" enum:"cash,cashless,fuel_card" doc:"By which the money goes back"`
	Amount      int64            `json:"amount_kopecks" doc:"Of the lines, before points"`
	Discount    int64            `json:"discount_kopecks" doc:"Of it, what points had paid"`
	Money       int64            `json:"money_kopecks" doc:"What the customer gets back in money: the difference"`
	Returned    int64            `json:"returned_points_x100" doc:"Redeemed points that the customer gets back"`
	Clawed      int64            `json:"clawed_points_x100" doc:"Earned points that are taken back"`
	Total       int64            `json:"total_points_x100" doc:"The customer's balance as answered; never below zero"`
	Available   int64            `json:"available_points_x100"`
	Debt        int64            `json:"debt_points_x100" doc:"Points that were taken back and had been spent: what is earned next pays them first"`
	Reason      string           `json:"reason,omitempty"`
	Cashier     string           `json:"cashier,omitempty"`
	Shift       uint32           `json:"shift,omitempty"`
	ReceiptText string           `json:"receipt_text" doc:"As that of a sale"`
}

func refundBodyOf(s *loyalty.Sale, f *loyalty.Refund, zone *time.Location) refundBody {
	b := refundBody{
		Refund: string(f.ID), Sale: string(s.ID), Station: uint32(s.Station), MadeAt: uint32(f.Station), CardMasked: s.Card.String(), At: moment(f.At, zone), Lines: make([]refundLineBody, len(f.Lines)), All: f.All, Tender: s.RefundTender(f.Tender).String(),
		Amount: int64(f.Amount), Discount: int64(f.Discount), Money: int64(f.Money()), Returned: int64(f.Returned), Clawed: int64(f.Clawed),
		Total: int64(f.Total), Available: int64(f.Avail), Debt: int64(f.Debt), Reason: f.Reason, Cashier: f.Cashier, Shift: f.Shift,
		ReceiptText: refundText(s, f),
	}
	for i, l := range f.Lines {
		b.Lines[i] = refundLineBody{Line: l.Line, Volume: int64(l.Volume), Count: l.Count, Amount: int64(l.Amount)}
	}
	return b
}

// brief leaves out what grows with the number of lines.
func (b refundBody) brief() refundBody {
	b.Lines = []refundLineBody{}
	return b
}

func refundBodies(s *loyalty.Sale, zone *time.Location) (all []refundBody) {
	for _, f := range s.Refunds {
		all = append(all, refundBodyOf(s, f, zone))
	}
	return all
}

func (s *Server) refundSale(ctx context.Context, r *saleIn[refundCallBody]) (*out[refundBody], error) {
	req, err := r.Body.domain(loyalty.SaleID(r.ID))
	if err != nil {
		return nil, s.refuse(err)
	}
	sale, err := s.desk.RefundSale(ctx, req)
	if err != nil {
		return nil, s.refuse(err)
	}
	f := sale.Refund(req.Refund)
	if f == nil {
		return nil, s.refuse(fmt.Errorf("refund %q of sale %q is not in the sale that was answered", req.Refund, req.Sale))
	}
	b := refundBodyOf(sale, f, s.zone)
	s.hub.Publish(refundMade{counter: r.Body.Counter, refund: b.brief()})
	return &out[refundBody]{b}, nil
}

// refundText is what to print under the receipt of a refund; see receiptText.
func refundText(s *loyalty.Sale, f *loyalty.Refund) string {
	var t text
	t.row("Карта лояльности", printable(s.Card))
	t.name("Возврат по чеку", string(s.ID))
	if s.Station != 0 {
		t.row("Покупка на АЗС", strconv.Itoa(int(s.Station)))
	}
	t.row("Возврат, руб.", comma(f.Amount.String()))
	if f.Discount > 0 {
		t.row("  из них было оплачено баллами", comma(f.Discount.String()))
		t.row("  деньгами", comma(f.Money().String()))
		t.row("Возвращено баллов", points(f.Returned))
	}
	t.row("Отменено начисление баллов", points(f.Clawed))
	if s.Account == 0 {
		t.row("Баланс будет известен позже", "")
		return t.String()
	}
	t.row("Всего баллов", points(f.Total))
	t.row("Доступно для списания", points(f.Avail))
	if f.Debt > 0 {
		t.row("Будет удержано из начислений", points(f.Debt))
	}
	return t.String()
}
