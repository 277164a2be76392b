package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// client is a register that sells, and remembers what it was answered. It repeats every call until the station has
// decided: so what it remembers is all there is.
type client struct {
	number  int
	station *killedStation
	r       *rand.Rand
	sold    []*sold
	refused map[string]int // how often, by code
	wrong   []error
}

// sold is one sale by what the register was answered.
type sold struct {
	id       loyalty.SaleID
	station  loyalty.StationID
	account  loyalty.AccountID
	opened   bool // in a step of its own
	ended    string
	reserved loyalty.Points
	redeemed loyalty.Points
	earned   loyalty.Points
	refunds  map[loyalty.RefundID]saleAnswer
	repeat   func(context.Context) ([]byte, error) // the last call once more
	answer   []byte
}

func newClient(number int, s *killedStation, r *rand.Rand) *client {
	return &client{number: number, station: s, r: r, refused: map[string]int{}}
}

// sell sells until selling is done; every call that was begun is repeated until it is decided, or life is over.
func (c *client) sell(selling, life context.Context) {
	for n := 0; selling.Err() == nil && life.Err() == nil && len(c.wrong) == 0; n++ {
		id := loyalty.SaleID(fmt.Sprintf("c%d-%d", c.number, n))
		account := 1 + loyalty.AccountID(c.r.IntN(killAccounts))
		redeem := loyalty.Points(0)
		if c.r.IntN(2) == 0 {
			redeem = loyalty.Points(1+c.r.IntN(20)) * 100
		}
		s := &sold{id: id, station: c.station.number, account: account}
		switch c.r.IntN(11) {
		case 0:
			c.again(life)
		case 10:
			c.refund(life)
		case 1, 2, 3, 4:
			c.oneStep(life, s, redeem)
		default:
			c.steps(life, s, redeem)
		}
	}
}

// call is a call about a sale; done is false where it was refused.
func (c *client) call(ctx context.Context, s *sold, method, action string, body map[string]any) (a saleAnswer, done bool) {
	repeat := func(ctx context.Context) ([]byte, error) {
		return c.station.register.call(ctx, method, salePath(s.id, action), body, &a)
	}
	raw, err := repeat(ctx)
	var r *refusal
	switch {
	case errors.As(err, &r):
		c.refused[r.Code]++
		if r.Status != http.StatusUnprocessableEntity && r.Code != string(loyalty.UnknownCard) {
			c.wrong = append(c.wrong, fmt.Errorf("sale %s%s: %w", s.id, action, err))
		}
		return a, false
	case err != nil:
		c.wrong = append(c.wrong, fmt.Errorf("sale %s%s was never answered: %w", s.id, action, err))
		return a, false
	}
	s.repeat, s.answer = repeat, raw
	return a, true
}

// sellWithout makes a call that redeems, and where that is refused the same without redeeming: a refusal does not use
// the sale's number up.
func (c *client) sellWithout(ctx context.Context, s *sold, method, action string, volume int64, redeem *loyalty.Points) (saleAnswer, bool) {
	a, ok := c.call(ctx, s, method, action, saleCall(cardOf(s.account), volume, *redeem))
	if !ok && *redeem > 0 && len(c.wrong) == 0 {
		*redeem = 0
		a, ok = c.call(ctx, s, method, action, saleCall(cardOf(s.account), volume, 0))
	}
	return a, ok
}

func (c *client) oneStep(ctx context.Context, s *sold, redeem loyalty.Points) {
	a, ok := c.sellWithout(ctx, s, http.MethodPost, "/close", c.volume(), &redeem)
	if ok {
		c.closed(s, a, redeem)
		c.sold = append(c.sold, s)
	}
}

// steps opens a sale, then closes it for what was opened or less, voids it, or leaves it open.
func (c *client) steps(ctx context.Context, s *sold, redeem loyalty.Points) {
	volume := c.volume()
	if _, ok := c.sellWithout(ctx, s, http.MethodPut, "", volume, &redeem); !ok {
		return
	}
	s.opened, s.reserved = true, redeem
	c.sold = append(c.sold, s)
	switch c.r.IntN(40) {
	case 0: // the register never comes back to it
	case 1, 2, 3, 4, 5, 6, 7, 8:
		if _, ok := c.call(ctx, s, http.MethodPost, "/void", map[string]any{"reason": "the customer has left"}); ok {
			s.ended = "void"
		}
	default:
		less := redeem - min(redeem, loyalty.Points(c.r.IntN(5))*100)
		if a, ok := c.call(ctx, s, http.MethodPost, "/close", saleCall("", volume-c.r.Int64N(volume/2), less)); ok {
			c.closed(s, a, less)
		}
	}
}

func (c *client) closed(s *sold, a saleAnswer, redeem loyalty.Points) {
	s.ended, s.redeemed, s.earned = "closed", a.Quote.Redeem, a.Quote.Earn
	if a.State != "closed" || a.Quote.Redeem != redeem {
		c.wrong = append(c.wrong, fmt.Errorf("sale %s is %s with %s redeemed, want %s", s.id, a.State, a.Quote.Redeem, redeem))
	}
}

// refund gives a part of an earlier sale back, or what is left of it.
func (c *client) refund(ctx context.Context) {
	if len(c.sold) == 0 {
		return
	}
	s := c.sold[c.r.IntN(len(c.sold))]
	if s.ended != "closed" || len(s.refunds) == 2 || s.refunds["1"].All {
		return
	}
	id := loyalty.RefundID(fmt.Sprint(len(s.refunds) + 1))
	body := map[string]any{"refund": id}
	if id == "1" && c.r.IntN(2) == 0 {
		body["lines"] = []map[string]any{{"line": 1, "amount_kopecks": 1 + c.r.IntN(100_00)}}
	}
	if a, ok := c.call(ctx, s, http.MethodPost, "/refunds", body); ok {
		if s.refunds == nil {
			s.refunds = map[loyalty.RefundID]saleAnswer{}
		}
		s.refunds[id] = a
	}
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
	raw, err := s.repeat(ctx)
	if err != nil || !bytes.Equal(raw, s.answer) {
		c.wrong = append(c.wrong, fmt.Errorf("sale %s asked again (%w):\n%s\nwas\n%s", s.id, err, raw, s.answer))
	}
}

func (c *client) volume() int64 { return 5000 + c.r.Int64N(55_000) }

// model is what must be, by the registers' answers alone.
type model struct {
	sales   map[loyalty.SaleID]*sold
	gained  map[loyalty.AccountID]loyalty.Points
	refused map[string]int
}

func modelOf(t *testing.T, clients []*client) *model {
	t.Helper()
	m := &model{sales: map[loyalty.SaleID]*sold{}, gained: map[loyalty.AccountID]loyalty.Points{}, refused: map[string]int{}}
	for _, c := range clients {
		for _, err := range c.wrong {
			t.Errorf("client %d at %s: %v", c.number, c.station.name, err)
		}
		for code, n := range c.refused {
			m.refused[code] += n
		}
		for _, s := range c.sold {
			m.sales[s.id] = s
			m.gained[s.account] += s.earned - s.redeemed + s.net()
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return m
}

// balance is what an account must have.
func (m *model) balance(id loyalty.AccountID) loyalty.Points { return opening + m.gained[id] }

func (m *model) summary() string {
	ended, refunds := map[string]int{}, 0
	var redeemed, earned loyalty.Points
	for _, s := range m.sales {
		ended[s.ended]++
		refunds += len(s.refunds)
		redeemed += s.redeemed
		earned += s.earned
	}
	return fmt.Sprintf("%d sales closed, %d void, %d left open, %d refunds, %s points earned and %s redeemed, refused %v",
		ended["closed"], ended["void"], ended[""], refunds, earned, redeemed, m.refused)
}

// checkOperations holds headquarters' journal against the answers: every operation is in it exactly once, and nothing
// else is.
func (k *killed) checkOperations(lines map[loyalty.StationID][]*hq.Line, m *model) {
	opened, ended, refunded := map[loyalty.SaleID]int{}, map[loyalty.SaleID]int{}, map[loyalty.SaleID]int{}
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
					return s.ended == "closed" && s.redeemed == b.Redeemed && s.earned == b.Points() && cardOf(s.account) == b.Card
				})
			case loyalty.SaleVoided:
				ended[b.Sale]++
				k.same(station, b.Sale, m, func(s *sold) bool { return s.ended == "void" })
			case loyalty.SaleRefunded:
				refunded[b.Sale]++
				k.same(station, b.Sale, m, func(s *sold) bool {
					a, ok := s.refunds[b.Refund]
					return ok && a.Clawed == sumOf(b.Clawed) && a.Returned == sumOf(b.Returned)
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
		if want := len(s.refunds); refunded[id] != want {
			k.t.Errorf("sale %s is refunded %d times at headquarters, want %d", id, refunded[id], want)
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
