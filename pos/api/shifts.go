package api

import (
	"context"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func (s *Server) shiftRoutes(api huma.API) {
	huma.Register(api, operation(api, "PUT", "/v1/shifts/{counter}/{number}", "openShift", "shift", "Open a shift",
		"Sales, refunds, voids and cards that name counter and shift count into its totals. A shift that nobody opened begins with the first of them."),
		func(ctx context.Context, r *shiftIn[*openShiftBody]) (*out[shiftBody], error) {
			var b openShiftBody // all of it may be left out, the body as well
			if r.Body != nil {
				b = *r.Body
			}
			return s.shift(s.desk.OpenShift(ctx, &loyalty.ShiftRequest{ShiftID: r.id(), Cashier: b.Cashier}))
		})
	huma.Register(api, operation(api, "POST", "/v1/shifts/{counter}/{number}/close", "closeShift", "shift", "Close a shift and compare its totals",
		"Tell what the register comes to: any of the figures, or none. What differs from the station's own entries is answered in mismatches, and told to headquarters. Nothing counts into a closed shift: what is new there is refused with shift_closed, and the end of a sale that was opened is taken, counted nowhere and told to headquarters."),
		func(ctx context.Context, r *shiftIn[*closeShiftBody]) (*out[shiftBody], error) {
			var b closeShiftBody
			if r.Body != nil {
				b = *r.Body
			}
			return s.shift(s.desk.CloseShift(ctx, &loyalty.ShiftRequest{ShiftID: r.id(), Cashier: b.Cashier, Stated: b.Register.figures()}))
		})
	huma.Register(api, operation(api, "GET", "/v1/shifts/{counter}/{number}", "getShift", "shift", "A shift as it stands",
		"Kept as long as its last entry, 400 days by default."),
		func(_ context.Context, r *shiftRef) (*out[shiftBody], error) { return s.shift(s.desk.Shift(r.id())) })
}

type shiftRef struct {
	Counter string `path:"counter" minLength:"1" maxLength:"64" doc:"As calls name it, percent-encoded" example:"1"`
	Number  uint32 `path:"number" minimum:"1" doc:"The register's own number of the shift" example:"12"`
}

func (r *shiftRef) id() loyalty.ShiftID {
	return loyalty.ShiftID{Counter: r.Counter, Number: r.Number}
}

// shiftIn is a call about a shift.
type shiftIn[T any] struct {
	Counter string `path:"counter" minLength:"1" maxLength:"64" doc:"As calls name it, percent-encoded" example:"1"`
	Number  uint32 `path:"number" minimum:"1" doc:"The register's own number of the shift" example:"12"`
	Body    T
}

func (r *shiftIn[T]) id() loyalty.ShiftID {
	return loyalty.ShiftID{Counter: r.Counter, Number: r.Number}
}

type openShiftBody struct {
	Cashier string `json:"cashier,omitempty" maxLength:"200" example:"Ольга"`
}

type closeShiftBody struct {
	Cashier  string      `json:"cashier,omitempty" maxLength:"200" example:"Ольга"`
	Register *statedBody `json:"register,omitempty" doc:"What the register comes to in the shift, of the receipts with a loyalty card alone and their refunds: the station knows of no others. Figures that are left out are not compared"`
}

// totalsBody and statedBody have a field for each of loyalty.FigureNames, in that order.

type totalsBody struct {
	Sales            int64 `json:"sales"`
	Refunds          int64 `json:"refunds"`
	Voids            int64 `json:"voids"`
	Manual           int64 `json:"manual" doc:"Sales whose card was typed in"`
	Cards            int64 `json:"cards" doc:"Cards given out"`
	Gross            int64 `json:"gross_kopecks" doc:"Receipts before points"`
	Discount         int64 `json:"discount_kopecks" doc:"Of it, what points paid"`
	Cash             int64 `json:"cash_kopecks" doc:"Paid with it; so are the next two"`
	Cashless         int64 `json:"cashless_kopecks"`
	FuelCard         int64 `json:"fuel_card_kopecks"`
	RefundedCash     int64 `json:"refunded_cash_kopecks" doc:"Money that went back by it; so are the next two"`
	RefundedCashless int64 `json:"refunded_cashless_kopecks"`
	RefundedFuelCard int64 `json:"refunded_fuel_card_kopecks"`
	Redeemed         int64 `json:"redeemed_points_x100"`
	Earned           int64 `json:"earned_points_x100"`
	Returned         int64 `json:"returned_points_x100" doc:"Redeemed points that refunds gave back"`
	Clawed           int64 `json:"clawed_points_x100" doc:"Earned points that refunds took back"`
}

func (b *totalsBody) fields() []*int64 {
	return []*int64{
		&b.Sales, &b.Refunds, &b.Voids, &b.Manual, &b.Cards, &b.Gross, &b.Discount, &b.Cash, &b.Cashless, &b.FuelCard,
		&b.RefundedCash, &b.RefundedCashless, &b.RefundedFuelCard, &b.Redeemed, &b.Earned, &b.Returned, &b.Clawed,
	}
}

func totalsBodyOf(t *loyalty.Totals) (b totalsBody) {
	fields := b.fields()
	for i, name := range loyalty.FigureNames() {
		*fields[i], _ = t.Figure(name)
	}
	return b
}

type statedBody struct {
	Sales            *int64 `json:"sales,omitempty" minimum:"0" maximum:"100000000000000"`
	Refunds          *int64 `json:"refunds,omitempty" minimum:"0" maximum:"100000000000000"`
	Voids            *int64 `json:"voids,omitempty" minimum:"0" maximum:"100000000000000"`
	Manual           *int64 `json:"manual,omitempty" minimum:"0" maximum:"100000000000000"`
	Cards            *int64 `json:"cards,omitempty" minimum:"0" maximum:"100000000000000"`
	Gross            *int64 `json:"gross_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	Discount         *int64 `json:"discount_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	Cash             *int64 `json:"cash_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	Cashless         *int64 `json:"cashless_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	FuelCard         *int64 `json:"fuel_card_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	RefundedCash     *int64 `json:"refunded_cash_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	RefundedCashless *int64 `json:"refunded_cashless_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	RefundedFuelCard *int64 `json:"refunded_fuel_card_kopecks,omitempty" minimum:"0" maximum:"100000000000000"`
	Redeemed         *int64 `json:"redeemed_points_x100,omitempty" minimum:"0" maximum:"100000000000000"`
	Earned           *int64 `json:"earned_points_x100,omitempty" minimum:"0" maximum:"100000000000000"`
	Returned         *int64 `json:"returned_points_x100,omitempty" minimum:"0" maximum:"100000000000000"`
	Clawed           *int64 `json:"clawed_points_x100,omitempty" minimum:"0" maximum:"100000000000000"`
}

func (b *statedBody) fields() []**int64 {
	return []**int64{
		&b.Sales, &b.Refunds, &b.Voids, &b.Manual, &b.Cards, &b.Gross, &b.Discount, &b.Cash, &b.Cashless, &b.FuelCard,
		&b.RefundedCash, &b.RefundedCashless, &b.RefundedFuelCard, &b.Redeemed, &b.Earned, &b.Returned, &b.Clawed,
	}
}

// figures are what the register states.
func (b *statedBody) figures() (figures []loyalty.Figure) {
	if b == nil {
		return nil
	}
	for i, f := range b.fields() {
		if *f != nil {
			figures = append(figures, loyalty.Figure{Name: loyalty.FigureNames()[i], Amount: **f})
		}
	}
	return figures
}

func statedBodyOf(figures []loyalty.Figure) *statedBody {
	if len(figures) == 0 {
		return nil
	}
	b := &statedBody{}
	fields := b.fields()
	for i, name := range loyalty.FigureNames() {
		for _, f := range figures {
			if f.Name == name {
				*fields[i] = &f.Amount
			}
		}
	}
	return b
}

type shiftBody struct {
	Counter    string              `json:"counter"`
	Number     uint32              `json:"number"`
	State      string              `json:"state" enum:"open,closed"`
	Implied    bool                `json:"implied" doc:"Nobody opened it: an operation named it first"`
	OpenedAt   *time.Time          `json:"opened_at,omitempty"`
	ClosedAt   *time.Time          `json:"closed_at,omitempty"`
	OpenedBy   string              `json:"opened_by,omitempty"`
	ClosedBy   string              `json:"closed_by,omitempty"`
	Totals     totalsBody          `json:"totals" doc:"Of all cashiers, by the station's own entries"`
	Cashiers   []cashierTotalsBody `json:"cashiers" nullable:"false" doc:"In the order in which they came"`
	Register   *statedBody         `json:"register,omitempty" doc:"What the register said when it closed the shift"`
	Differs    bool                `json:"differs"`
	Mismatches []mismatchBody      `json:"mismatches" nullable:"false" doc:"The figures that the register stated otherwise"`
}

type cashierTotalsBody struct {
	Cashier string     `json:"cashier"`
	Totals  totalsBody `json:"totals"`
}

// mismatchBody is in the unit of its figure.
type mismatchBody struct {
	Figure   string       `json:"figure" doc:"Its name in totals"`
	Title    loyalty.Text `json:"title"`
	Station  int64        `json:"station"`
	Register int64        `json:"register"`
	Message  loyalty.Text `json:"message" doc:"For the cashier"`
}

func (s *Server) shift(x *loyalty.Shift, err error) (*out[shiftBody], error) {
	if err != nil {
		return nil, s.refuse(err)
	}
	sum := x.Totals()
	b := shiftBody{
		Counter: x.Counter, Number: x.Number, State: "open", Implied: x.Implied, OpenedAt: moment(x.OpenedAt, s.zone),
		ClosedAt: moment(x.ClosedAt, s.zone), OpenedBy: x.OpenedBy, ClosedBy: x.ClosedBy, Totals: totalsBodyOf(&sum),
		Cashiers: make([]cashierTotalsBody, len(x.Cashiers)), Register: statedBodyOf(x.Stated), Differs: x.Differs, Mismatches: []mismatchBody{},
	}
	if x.Closed {
		b.State = "closed"
	}
	for i := range x.Cashiers {
		b.Cashiers[i] = cashierTotalsBody{x.Cashiers[i].Cashier, totalsBodyOf(&x.Cashiers[i].Totals)}
	}
	if x.Closed {
		for _, m := range x.Mismatches() {
			b.Mismatches = append(b.Mismatches, mismatchBodyOf(m))
		}
	}
	return &out[shiftBody]{b}, nil
}

// figureKind is how a figure is written.
type figureKind int

const (
	countFigure figureKind = iota
	moneyFigure
	pointsFigure
)

// figures is what each figure is called: in answers, and by people.
var figures = map[string]struct {
	field string
	kind  figureKind
	title loyalty.Text
}{
	"sales":              {"sales", countFigure, loyalty.Text{RU: "Продажи", EN: "Sales"}},
	"refunds":            {"refunds", countFigure, loyalty.Text{RU: "Возвраты", EN: "Refunds"}},
	"voids":              {"voids", countFigure, loyalty.Text{RU: "Отменённые чеки", EN: "Voided sales"}},
	"manual":             {"manual", countFigure, loyalty.Text{RU: "Карты, введённые вручную", EN: "Cards typed in"}},
	"cards":              {"cards", countFigure, loyalty.Text{RU: "Выданные карты", EN: "Cards given out"}},
	"gross":              {"gross_kopecks", moneyFigure, loyalty.Text{RU: "Сумма чеков до баллов, руб.", EN: "Receipts before points, roubles"}},
	"discount":           {"discount_kopecks", moneyFigure, loyalty.Text{RU: "Оплачено баллами, руб.", EN: "Paid with points, roubles"}},
	"cash":               {"cash_kopecks", moneyFigure, loyalty.Text{RU: "Наличные, руб.", EN: "Cash, roubles"}},
	"cashless":           {"cashless_kopecks", moneyFigure, loyalty.Text{RU: "Безналичные, руб.", EN: "Cashless, roubles"}},
	"fuel_card":          {"fuel_card_kopecks", moneyFigure, loyalty.Text{RU: "Топливные карты, руб.", EN: "Fuel cards, roubles"}},
	"refunded_cash":      {"refunded_cash_kopecks", moneyFigure, loyalty.Text{RU: "Возвращено наличными, руб.", EN: "Refunded in cash, roubles"}},
	"refunded_cashless":  {"refunded_cashless_kopecks", moneyFigure, loyalty.Text{RU: "Возвращено безналичными, руб.", EN: "Refunded cashless, roubles"}},
	"refunded_fuel_card": {"refunded_fuel_card_kopecks", moneyFigure, loyalty.Text{RU: "Возвращено на топливные карты, руб.", EN: "Refunded to fuel cards, roubles"}},
	"redeemed":           {"redeemed_points_x100", pointsFigure, loyalty.Text{RU: "Списано баллов", EN: "Points redeemed"}},
	"earned":             {"earned_points_x100", pointsFigure, loyalty.Text{RU: "Начислено баллов", EN: "Points earned"}},
	"returned":           {"returned_points_x100", pointsFigure, loyalty.Text{RU: "Возвращено баллов", EN: "Points returned"}},
	"clawed":             {"clawed_points_x100", pointsFigure, loyalty.Text{RU: "Отменено начислений, баллов", EN: "Points taken back"}},
}

func mismatchBodyOf(m loyalty.Mismatch) mismatchBody {
	f, ok := figures[m.Name]
	if !ok {
		f.field, f.title = m.Name, loyalty.Text{RU: m.Name, EN: m.Name}
	}
	here, register := f.kind.write(m.Here), f.kind.write(m.Register)
	return mismatchBody{
		Figure: f.field, Title: f.title, Station: m.Here, Register: m.Register,
		Message: loyalty.Text{
			RU: f.title.RU + ": на кассе " + comma(register) + ", по данным АЗС " + comma(here),
			EN: f.title.EN + ": " + register + " at the register, " + here + " by the station",
		},
	}
}

func (k figureKind) write(v int64) string {
	switch k {
	case moneyFigure:
		return loyalty.Kopecks(v).String()
	case pointsFigure:
		return loyalty.Points(v).String()
	}
	return strconv.FormatInt(v, 10)
}
