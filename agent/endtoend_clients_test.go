package agent_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// client is a register that sells, gives out cards and works in shifts, and remembers what it was answered. It repeats
// every call until the station has decided: so what it remembers is all there is.
type client struct {
	number  int
	station *fieldStation
	r       *rand.Rand
	returns *returns
	sold    []*sold
	given   []*given
	shift   uint32           // that it works in
	totals  map[string]int64 // what it comes to
	shifts  int              // that were closed
	refused map[string]int   // how often, by code
	wrong   []error
}

// sold is one sale by what the register was answered.
type sold struct {
	id       loyalty.SaleID
	station  loyalty.StationID
	card     loyalty.CardNumber
	opened   bool // in a step of its own
	away     bool // only registers of the other station refund it
	ended    string
	reserved loyalty.Points
	redeemed loyalty.Points
	earned   loyalty.Points
	refunds  map[loyalty.RefundID]refunded
	repeat   func(context.Context) ([]byte, error) // the last call once more
	answer   []byte
}

// refunded is one refund of a sale by what the register was answered that made it.
type refunded struct {
	saleAnswer
	station loyalty.StationID
}

// clientsOf makes registers at the stations.
func clientsOf(seed uint64, stations []*fieldStation) (clients []*client) {
	handed := &returns{waiting: map[loyalty.StationID][]*sold{}}
	for i, s := range stations {
		clients = append(clients, &client{
			number: i, station: s, r: rand.New(rand.NewPCG(seed, uint64(i)+1)), returns: handed, shift: 1, totals: map[string]int64{}, refused: map[string]int{},
		})
	}
	return clients
}

// sell sells until selling is done; every call that was begun is repeated until it is decided, or life is over.
func (c *client) sell(selling, life context.Context) {
	for n := 0; selling.Err() == nil && life.Err() == nil && len(c.wrong) == 0; n++ {
		id := loyalty.SaleID(fmt.Sprintf("c%d-%d", c.number, n))
		redeem := loyalty.Points(0)
		if c.r.IntN(2) == 0 {
			redeem = loyalty.Points(1+c.r.IntN(20)) * 100
		}
		s := &sold{id: id, station: c.station.number, card: c.customer()}
		switch c.r.IntN(28) {
		case 0, 1:
			c.again(life)
		case 2, 3:
			c.refund(life)
		case 4, 5:
			c.refundAway(life)
		case 6:
			c.issue(life, n)
		case 7:
			c.turnShift(life)
		case 8, 9, 10, 11, 12, 13, 14, 15:
			c.oneStep(life, s, redeem)
		default:
			c.steps(life, s, redeem)
		}
	}
}

// customer is who comes next: one of those that everybody knows, or one whose card was given out here.
func (c *client) customer() loyalty.CardNumber {
	if len(c.given) > 0 && c.r.IntN(4) == 0 {
		return c.given[c.r.IntN(len(c.given))].card
	}
	return cardOf(1 + loyalty.AccountID(c.r.IntN(killAccounts)))
}

// call is a call about a sale; done is false where it was refused.
func (c *client) call(ctx context.Context, s *sold, method, action string, body map[string]any) (a saleAnswer, done bool) {
	repeat := func(ctx context.Context) ([]byte, error) {
		return c.station.register.call(ctx, method, salePath(s.id, action), body, &a)
	}
	raw, err := repeat(ctx)
	if !c.decided("sale "+string(s.id)+action, err) {
		return a, false
	}
	s.repeat, s.answer = repeat, raw
	return a, true
}

// decided tells whether a call was carried out. A refusal that may be is counted, anything else is wrong.
func (c *client) decided(what string, err error) bool {
	var r *refusal
	switch {
	case err == nil:
		return true
	case !errors.As(err, &r):
		c.wrong = append(c.wrong, fmt.Errorf("%s was never answered: %w", what, err))
		return false
	}
	c.refused[r.Code]++
	switch loyalty.Refusal(r.Code) {
	case loyalty.UnknownCard, loyalty.NotConfirmed, loyalty.RedeemOff, loyalty.UnknownSale:
	default:
		if r.Status != http.StatusUnprocessableEntity {
			c.wrong = append(c.wrong, fmt.Errorf("%s: %w", what, err))
		}
	}
	return false
}

// order is what somebody buys.
type order struct {
	card   loyalty.CardNumber // empty: that of the open sale
	ml     int64
	redeem loyalty.Points
	tender int // 0: cash, 1: cashless, 2: some of both
}

func (o *order) gross() int64 { return o.ml * 66 / 10 }

// cash and cashless are what is paid so, in kopecks: a point pays a rouble.
func (o *order) cash() int64 {
	return []int64{o.gross() - int64(o.redeem), 0, (o.gross() - int64(o.redeem)) / 3}[o.tender]
}

func (o *order) cashless() int64 { return o.gross() - int64(o.redeem) - o.cash() }

// body is the body of a call about the order, at the client's hands.
func (c *client) body(o *order) map[string]any {
	b := saleCall(o.card, o.ml, o.redeem)
	receipt, _ := b["receipt"].(map[string]any)
	if o.tender > 0 {
		receipt["tender"] = "cashless"
	}
	if o.tender == 2 {
		receipt["payments"] = []map[string]any{
			{"tender": "cash", "amount_kopecks": o.cash()}, {"tender": "cashless", "amount_kopecks": o.cashless()},
		}
	}
	return c.attended(b)
}

// sellWithout makes a call that redeems, and where that is refused the same without redeeming: a refusal does not use
// the sale's number up.
func (c *client) sellWithout(ctx context.Context, s *sold, method, action string, o *order) (saleAnswer, bool) {
	a, ok := c.call(ctx, s, method, action, c.body(o))
	if !ok && o.redeem > 0 && len(c.wrong) == 0 {
		o.redeem = 0
		a, ok = c.call(ctx, s, method, action, c.body(o))
	}
	return a, ok
}

func (c *client) oneStep(ctx context.Context, s *sold, redeem loyalty.Points) {
	o := &order{s.card, c.volume(), redeem, c.r.IntN(3)}
	a, ok := c.sellWithout(ctx, s, http.MethodPost, "/close", o)
	if ok {
		c.sold = append(c.sold, s)
		c.closed(s, a, o)
	}
}

// steps opens a sale, then closes it for what was opened or less, voids it, or leaves it open.
func (c *client) steps(ctx context.Context, s *sold, redeem loyalty.Points) {
	o := &order{s.card, c.volume(), redeem, c.r.IntN(3)}
	if _, ok := c.sellWithout(ctx, s, http.MethodPut, "", o); !ok {
		return
	}
	s.opened, s.reserved = true, o.redeem
	c.sold = append(c.sold, s)
	switch c.r.IntN(40) {
	case 0: // the register never comes back to it
	case 1, 2, 3, 4, 5, 6, 7, 8:
		if _, ok := c.call(ctx, s, http.MethodPost, "/void", c.attended(map[string]any{"reason": "the customer has left"})); ok {
			s.ended = "void"
			c.totals["voids"]++
		}
	default:
		o.card, o.ml, o.redeem = "", o.ml-c.r.Int64N(o.ml/2), o.redeem-min(o.redeem, loyalty.Points(c.r.IntN(5))*100)
		if a, ok := c.call(ctx, s, http.MethodPost, "/close", c.body(o)); ok {
			c.closed(s, a, o)
		}
	}
}

// closed notes what a sale has come to. Some are handed on: their customers drive to the other station.
func (c *client) closed(s *sold, a saleAnswer, o *order) {
	s.ended, s.redeemed, s.earned = "closed", a.Quote.Redeem, a.Quote.Earn
	if a.State != "closed" || a.Quote.Redeem != o.redeem {
		c.wrong = append(c.wrong, fmt.Errorf("sale %s is %s with %s redeemed, want %s", s.id, a.State, a.Quote.Redeem, o.redeem))
	}
	c.tally(map[string]int64{
		"sales": 1, "gross_kopecks": o.gross(), "discount_kopecks": int64(o.redeem), "cash_kopecks": o.cash(), "cashless_kopecks": o.cashless(),
		"redeemed_points_x100": int64(s.redeemed), "earned_points_x100": int64(s.earned),
	})
	if s.away = c.r.IntN(6) == 0; s.away {
		c.returns.hand(s)
	}
}

// refund gives a part of an earlier sale back, or what is left of it.
func (c *client) refund(ctx context.Context) {
	if len(c.sold) == 0 {
		return
	}
	s := c.sold[c.r.IntN(len(c.sold))]
	if s.away || s.ended != "closed" || len(s.refunds) == 2 || s.refunds["1"].All {
		return
	}
	c.refundOf(ctx, s, c.attended(map[string]any{}))
}

// refundOf gives a part of a sale back, and the second time what is left of it.
func (c *client) refundOf(ctx context.Context, s *sold, body map[string]any) bool {
	id := loyalty.RefundID(fmt.Sprint(len(s.refunds) + 1))
	body["refund"] = id
	if id == "1" && c.r.IntN(2) == 0 {
		body["lines"] = []map[string]any{{"line": 1, "amount_kopecks": 1 + c.r.IntN(100_00)}}
	}
	a, ok := c.call(ctx, s, http.MethodPost, "/refunds", body)
	if !ok {
		return false
	}
	if s.refunds == nil {
		s.refunds = map[loyalty.RefundID]refunded{}
	}
	s.refunds[id] = refunded{a, c.station.number}
	c.tally(map[string]int64{
		"refunds": 1, "returned_points_x100": int64(a.Returned), "clawed_points_x100": int64(a.Clawed), "refunded": int64(a.Money),
	})
	return true
}

// net is what the refunds of a sale have given to its account, less what they have taken.
func (s *sold) net() (sum loyalty.Points) {
	for _, a := range s.refunds {
		sum += a.Returned - a.Clawed
	}
	return sum
}

// again repeats the last call of an earlier sale: the answer must be the same to the last byte.
func (c *client) again(ctx context.Context) {
	if len(c.sold) == 0 {
		return
	}
	s := c.sold[c.r.IntN(len(c.sold))]
	if s.away { // it is another register's now
		return
	}
	raw, err := s.repeat(ctx)
	if err != nil || !bytes.Equal(raw, s.answer) {
		c.wrong = append(c.wrong, fmt.Errorf("sale %s asked again (%w):\n%s\nwas\n%s", s.id, err, raw, s.answer))
	}
}

func (c *client) volume() int64 { return 5000 + c.r.Int64N(55_000) }

// model is what must be, by the registers' answers alone.
type model struct {
	sales   map[loyalty.SaleID]*sold
	given   map[loyalty.CardNumber]*given
	shifts  int                                   // that were closed
	gained  map[loyalty.CardNumber]loyalty.Points // by the first card of an account
	refused map[string]int
}

func modelOf(t *testing.T, clients []*client) *model {
	t.Helper()
	m := &model{
		sales: map[loyalty.SaleID]*sold{}, given: map[loyalty.CardNumber]*given{}, gained: map[loyalty.CardNumber]loyalty.Points{},
		refused: map[string]int{},
	}
	for _, c := range clients {
		for _, err := range c.wrong {
			t.Errorf("client %d at %s: %v", c.number, c.station.name, err)
		}
		for code, n := range c.refused {
			m.refused[code] += n
		}
		m.shifts += c.shifts
		for _, g := range c.given {
			m.given[g.card] = g
		}
		for _, s := range c.sold {
			m.sales[s.id] = s
			m.gained[m.owner(s.card)] += s.earned - s.redeemed + s.net()
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return m
}

// owner is the first card of a card's account.
func (m *model) owner(card loyalty.CardNumber) loyalty.CardNumber {
	if g := m.given[card]; g != nil {
		return g.owner
	}
	return card
}

// balance is what the account of a card must have.
func (m *model) balance(card loyalty.CardNumber) loyalty.Points {
	if m.given[card] == nil {
		return opening + m.gained[card]
	}
	return m.gained[m.owner(card)]
}

// cards are all cards there are.
func (m *model) cards() []loyalty.CardNumber {
	all := slices.Sorted(maps.Keys(m.given))
	for id := loyalty.AccountID(1); id <= killAccounts; id++ {
		all = append(all, cardOf(id))
	}
	return all
}

func (m *model) summary() string {
	ended, refunds, away := map[string]int{}, 0, 0
	var redeemed, earned loyalty.Points
	for _, s := range m.sales {
		ended[s.ended]++
		refunds += len(s.refunds)
		for _, f := range s.refunds {
			away += count(f.station != s.station)
		}
		redeemed += s.redeemed
		earned += s.earned
	}
	return fmt.Sprintf("%d sales closed, %d void, %d left open, %d refunds, %d of them at the other station, %d cards given out, %d shifts closed, %s points earned and %s redeemed, refused %v",
		ended["closed"], ended["void"], ended[""], refunds, away, len(m.given), m.shifts, earned, redeemed, m.refused)
}

// checkOperations holds headquarters' journal against the answers: every operation is in it exactly once, and nothing
// else is.
func (k *killed) checkOperations(lines map[loyalty.StationID][]*hq.Line, m *model) {
	opened, ended, back := map[loyalty.SaleID]int{}, map[loyalty.SaleID]int{}, map[loyalty.SaleID]int{}
	for station, all := range lines {
		for _, l := range all {
			e, err := wire.DecodeEntry(l.Bytes)
			if err != nil {
				k.t.Fatalf("entry %d of station %d: %v", l.Seq, station, err)
			}
			if l.Outcome != hq.Posted && l.Outcome != hq.NoAccount {
				k.t.Errorf("entry %d of station %d is %s: %s", l.Seq, station, l.Outcome, l.Reason)
			}
			switch b := e.Body.(type) {
			case loyalty.SaleOpened:
				opened[b.Sale]++
				k.same(station, b.Sale, m, func(s *sold) bool { return s.opened && s.reserved == b.Reserved })
			case loyalty.SaleClosed:
				ended[b.Sale]++
				k.same(station, b.Sale, m, func(s *sold) bool {
					return s.ended == "closed" && s.redeemed == b.Redeemed && s.earned == b.Points() && s.card == b.Card
				})
			case loyalty.SaleVoided:
				ended[b.Sale]++
				k.same(station, b.Sale, m, func(s *sold) bool { return s.ended == "void" })
			case loyalty.SaleRefunded:
				back[b.Sale]++
				k.same(cmp.Or(b.Station, station), b.Sale, m, func(s *sold) bool {
					a, ok := s.refunds[b.Refund]
					return ok && a.station == station && a.Clawed == sumOf(b.Clawed) && a.Returned == sumOf(b.Returned)
				})
			}
		}
	}
	for id, s := range m.sales {
		if want := count(s.opened); opened[id] != want {
			k.t.Errorf("sale %s is opened %d times at headquarters, want %d", id, opened[id], want)
		}
		if want := count(s.ended != ""); ended[id] != want {
			k.t.Errorf("sale %s ends %d times at headquarters, want %d", id, ended[id], want)
		}
		if want := len(s.refunds); back[id] != want {
			k.t.Errorf("sale %s is refunded %d times at headquarters, want %d", id, back[id], want)
		}
	}
}

// same fails unless a register was answered what headquarters has.
func (k *killed) same(station loyalty.StationID, id loyalty.SaleID, m *model, holds func(*sold) bool) {
	if s := m.sales[id]; s == nil || s.station != station || !holds(s) {
		k.t.Errorf("sale %s of station %d at headquarters is not what its register was answered: %+v", id, station, s)
	}
}

func sumOf(lots []loyalty.Lot) (sum loyalty.Points) {
	for _, l := range lots {
		sum += l.Amount
	}
	return sum
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
