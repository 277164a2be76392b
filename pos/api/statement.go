package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func (s *Server) statementRoutes(api huma.API) {
	huma.Register(api, operation(api, "POST", "/v1/statement", "statement", "customer", "What was done with a card's account",
		"The newest first, for any days within a year. With everywhere headquarters is asked; where it is out of reach the answer is what this station has done, and says so. "+
			"Ask for the next page with its next and everything else as before. The number is in the body, so that it reaches no access log. Each call leaves a trace in the agent's log: who asked, at which counter, of which card (masked), and how far."), s.statement)
	huma.Register(api, operation(api, "POST", "/v1/benefit", "benefit", "customer", "What a year gives to a customer of such habits",
		"Sells a year of receipts to a new account that redeems nothing, by the programme in force: tiers, limits and campaigns included. A computation, not a promise."), s.benefit)
}

// The bounds of a statement.
const (
	statementDays  = 366
	statementUsual = 30 // days, where no beginning is named
	statementPage  = 50
	statementMost  = 100
)

type statementCallBody struct {
	Card       string `json:"card" minLength:"4" maxLength:"64" example:"7005990012349017"`
	From       string `json:"from,omitempty" format:"date" doc:"First day, by the station's clock; left out: 30 days before until" example:"2026-11-01"`
	Until      string `json:"until,omitempty" format:"date" doc:"Last day, included; left out: today. At most 366 days in all" example:"2026-11-30"`
	Everywhere bool   `json:"everywhere,omitempty" doc:"At all stations, with what headquarters did; left out: at this station"`
	Before     string `json:"before,omitempty" maxLength:"80" doc:"The next of the page before"`
	Limit      int    `json:"limit,omitempty" minimum:"1" maximum:"100" doc:"Operations of a page; left out: 50"`
	Asker
}

// domain reads the call: days are the station's own.
func (b *statementCallBody) domain(now time.Time) (StatementQuery, error) {
	q := StatementQuery{
		Card: loyalty.CardNumber(b.Card), Everywhere: b.Everywhere, Before: b.Before, Limit: cmp.Or(b.Limit, statementPage),
		Who: b.Asker.domain(),
	}
	if err := q.Who.Check(); err != nil {
		return q, err
	}
	last := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	var err error
	if b.Until != "" {
		if last, err = time.ParseInLocation(time.DateOnly, b.Until, now.Location()); err != nil {
			return q, fmt.Errorf("%w: until: write the day as 2026-11-30", loyalty.BadRequest)
		}
	}
	first := last.AddDate(0, 0, -statementUsual)
	if b.From != "" {
		if first, err = time.ParseInLocation(time.DateOnly, b.From, now.Location()); err != nil {
			return q, fmt.Errorf("%w: from: write the day as 2026-11-01", loyalty.BadRequest)
		}
	}
	end := last.AddDate(0, 0, 1)
	switch {
	case end.Year() < 2000 || first.Year() < 2000 || end.Year() > 9999:
		return q, fmt.Errorf("%w: no such days are kept", loyalty.BadRequest)
	case first.After(last):
		return q, fmt.Errorf("%w: from is after until", loyalty.BadRequest)
	case end.After(first.AddDate(0, 0, statementDays)):
		return q, fmt.Errorf("%w: more than %d days", loyalty.BadRequest, statementDays)
	}
	q.From, q.Until = loyalty.At(first), loyalty.At(end)
	return q, q.Card.Check()
}

type statementBody struct {
	CardMasked string          `json:"card_masked"`
	Known      bool            `json:"known" doc:"The station knows the card"`
	From       *time.Time      `json:"from,omitempty"`
	Until      *time.Time      `json:"until,omitempty" doc:"Not included"`
	Everywhere bool            `json:"everywhere" doc:"true: headquarters' word of all stations. false: only what this station has done, also where everywhere was asked and headquarters was out of reach"`
	KeptFrom   *time.Time      `json:"kept_from,omitempty" doc:"Of this station: nothing before it is kept here"`
	Operations []operationBody `json:"operations" nullable:"false" doc:"The newest first"`
	Stations   []sumsBody      `json:"by_station" nullable:"false" doc:"Sums of this page's operations, by station"`
	Partners   []sumsBody      `json:"by_partner" nullable:"false" doc:"Sums of this page's accruals, by partner"`
	Next       string          `json:"next,omitempty" doc:"Asks for the page behind this one; absent: there is none"`
}

type operationBody struct {
	At         *time.Time `json:"at,omitempty"`
	Station    uint32     `json:"station,omitempty" doc:"Absent: headquarters"`
	Kind       string     `json:"kind" enum:"sale,refund,partner,correction,advanced,card,closed" doc:"advanced: points became spendable or expired, or the tier changed. card: a card was given out. closed: the account was closed and its points are gone"`
	Sale       string     `json:"sale,omitempty"`
	Refund     string     `json:"refund,omitempty"`
	CardMasked string     `json:"card_masked,omitempty"`
	Partner    string     `json:"partner,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Total      int64      `json:"total_kopecks,omitempty" doc:"Of the receipt, or of what was refunded, before points"`
	Discount   int64      `json:"discount_kopecks,omitempty" doc:"Of it, what points paid"`
	Redeemed   int64      `json:"redeemed_points_x100,omitempty"`
	Earned     int64      `json:"earned_points_x100,omitempty"`
	Active     *time.Time `json:"active_from,omitempty" doc:"When the first of what was earned becomes spendable"`
	Until      *time.Time `json:"expires,omitempty" doc:"When the first of what was earned is gone"`
	Returned   int64      `json:"returned_points_x100,omitempty"`
	Clawed     int64      `json:"clawed_points_x100,omitempty"`
	Activated  int64      `json:"activated_points_x100,omitempty"`
	Expired    int64      `json:"expired_points_x100,omitempty"`
	TierBefore string     `json:"tier_before,omitempty" doc:"The programme's name of it"`
	TierAfter  string     `json:"tier_after,omitempty"`
}

func operationBodyOf(o *loyalty.Operation, zone *time.Location) operationBody {
	b := operationBody{
		At: moment(o.At, zone), Station: uint32(o.Station), Kind: string(o.Kind), Sale: string(o.Sale), Refund: string(o.Refund),
		Partner: o.Partner, Reason: o.Reason, Total: int64(o.Total), Discount: int64(o.Discount), Redeemed: int64(o.Redeemed),
		Earned: int64(o.Earned), Active: moment(o.ActiveFrom, zone), Until: moment(o.Expires, zone), Returned: int64(o.Returned),
		Clawed: int64(o.Clawed), Activated: int64(o.Activated), Expired: int64(o.Expired), TierBefore: o.TierBefore, TierAfter: o.TierAfter,
	}
	if o.Card != "" {
		b.CardMasked = o.Card.String()
	}
	return b
}

// sumsBody adds up operations of one station or of one partner.
type sumsBody struct {
	Station    *uint32 `json:"station,omitempty" doc:"0: headquarters"`
	Partner    string  `json:"partner,omitempty"`
	Operations int     `json:"operations"`
	Bought     int64   `json:"bought_kopecks" doc:"Receipts before points, less what was refunded of them"`
	Discount   int64   `json:"discount_kopecks" doc:"Of it, what points paid"`
	Earned     int64   `json:"earned_points_x100"`
	Clawed     int64   `json:"clawed_points_x100"`
	Redeemed   int64   `json:"redeemed_points_x100"`
	Returned   int64   `json:"returned_points_x100"`
}

func (b *sumsBody) add(o *loyalty.Operation) {
	sign := int64(1)
	if o.Kind == loyalty.RefundOperation {
		sign = -1
	}
	b.Operations++
	b.Bought += sign * int64(o.Total)
	b.Discount += sign * int64(o.Discount)
	b.Earned += int64(o.Earned)
	b.Clawed += int64(o.Clawed)
	b.Redeemed += int64(o.Redeemed)
	b.Returned += int64(o.Returned)
}

// sums adds the operations of a page up, by station and by partner, in the order of their numbers and names.
func sums(operations []loyalty.Operation) (stations, partners []sumsBody) {
	stations, partners = []sumsBody{}, []sumsBody{}
	for i := range operations {
		o := &operations[i]
		n := uint32(o.Station)
		addTo(&stations, sumsBody{Station: &n}, o)
		if o.Partner != "" {
			addTo(&partners, sumsBody{Partner: o.Partner}, o)
		}
	}
	slices.SortFunc(stations, func(a, b sumsBody) int { return cmp.Compare(*a.Station, *b.Station) })
	slices.SortFunc(partners, func(a, b sumsBody) int { return cmp.Compare(a.Partner, b.Partner) })
	return stations, partners
}

func addTo(all *[]sumsBody, is sumsBody, o *loyalty.Operation) {
	i := slices.IndexFunc(*all, func(x sumsBody) bool {
		return x.Partner == is.Partner && (is.Station == nil || *x.Station == *is.Station)
	})
	if i < 0 {
		*all = append(*all, is)
		i = len(*all) - 1
	}
	(*all)[i].add(o)
}

func (s *Server) statement(ctx context.Context, r *in[statementCallBody]) (*out[statementBody], error) {
	q, err := r.Body.domain(time.Now().In(s.zone))
	if err != nil {
		return nil, s.refuse(err)
	}
	x, err := s.desk.Statement(ctx, q)
	if err != nil {
		return nil, s.refuse(err)
	}
	b := statementBody{
		CardMasked: q.Card.String(), Known: x.Known, From: moment(q.From, s.zone), Until: moment(q.Until, s.zone), Everywhere: x.Everywhere,
		KeptFrom: moment(x.Oldest, s.zone), Operations: make([]operationBody, len(x.Operations)), Next: x.Next,
	}
	for i := range x.Operations {
		b.Operations[i] = operationBodyOf(&x.Operations[i], s.zone)
	}
	b.Stations, b.Partners = sums(x.Operations)
	return &out[statementBody]{b}, nil
}

type benefitCallBody struct {
	Litres int64  `json:"volume_ml" minimum:"0" maximum:"100000000" doc:"Fuel a month" example:"160000"`
	Grade  string `json:"grade,omitempty" maxLength:"64" doc:"Of the fuel; left out: АИ-95" example:"АИ-95"`
	Price  int64  `json:"price_kopecks" minimum:"0" maximum:"100000000" doc:"Of a litre" example:"6500"`
	Goods  int64  `json:"goods_kopecks,omitempty" minimum:"0" maximum:"100000000" doc:"Goods a month" example:"200000"`
	Group  string `json:"group,omitempty" maxLength:"64" doc:"Of the goods, as the programme names them" example:"coffee"`
	Visits int    `json:"visits,omitempty" minimum:"1" maximum:"310" doc:"Receipts a month; left out: 4"`
	Tender string `json:"tender,omitempty" enum:"cash,cashless,fuel_card" doc:"Left out: cashless"`
}

type benefitBody struct {
	Programme uint32      `json:"programme_version"`
	Points    int64       `json:"points_x100" doc:"Earned in the year"`
	Worth     int64       `json:"worth_kopecks" doc:"What they pay"`
	Spent     int64       `json:"spent_kopecks" doc:"In the year"`
	Months    []monthBody `json:"months" nullable:"false"`
}

type monthBody struct {
	Month  string        `json:"month" example:"2026-11"`
	Points int64         `json:"points_x100"`
	Tier   *loyalty.Text `json:"tier,omitempty" doc:"At its last receipt; absent: the programme has no tiers"`
}

func (s *Server) benefit(_ context.Context, r *in[benefitCallBody]) (*out[benefitBody], error) {
	b, p := &r.Body, s.desk.Programme()
	if p == nil {
		return nil, s.refuse(loyalty.NoProgramme)
	}
	h := loyalty.Habits{
		Litres: loyalty.Millilitres(b.Litres), Grade: cmp.Or(b.Grade, "АИ-95"), Price: loyalty.Kopecks(b.Price), Goods: loyalty.Kopecks(b.Goods),
		Group: b.Group, Visits: b.Visits, Begin: loyalty.At(time.Now()),
	}
	if b.Tender != "" {
		var err error
		if h.Tender, err = loyalty.ParseTender(b.Tender); err != nil {
			return nil, s.refuse(err)
		}
	}
	x, err := p.Benefit(h)
	if err != nil {
		return nil, s.refuse(err)
	}
	body := benefitBody{Programme: p.Version, Points: int64(x.Points), Worth: int64(x.Roubles), Spent: int64(x.Spent), Months: make([]monthBody, len(x.Months))}
	for i, m := range x.Months {
		body.Months[i] = monthBody{Month: m.Begin.Time().In(s.zone).Format("2006-01"), Points: int64(m.Points)}
		if m.Tier != (loyalty.Text{}) {
			body.Months[i].Tier = &x.Months[i].Tier
		}
	}
	return &out[benefitBody]{body}, nil
}
