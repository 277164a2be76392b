package agent_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// What registers of the kill test do beside selling: they give out cards, work in shifts, and refund the other station's
// sales.

// given is one card by what the register was answered that gave it out.
type given struct {
	card    loyalty.CardNumber
	owner   loyalty.CardNumber // the first card of its account
	station loyalty.StationID
	name    string // what the form says
	phone   string
}

// issue gives out a card to a new customer, or another one to somebody who got the first one here.
func (c *client) issue(ctx context.Context, n int) {
	g := &given{
		card: loyalty.CardNumber(fmt.Sprintf("70059%02d%09d", c.number, n)), station: c.station.number,
		name: fmt.Sprintf("Новая Клиентка %d-%d", c.number, n), phone: fmt.Sprintf("+790%02d%06d", c.number, n),
	}
	g.owner = g.card
	body := c.attended(issueCall(g.card, g.name, g.phone))
	if len(c.given) > 0 && c.r.IntN(3) == 0 {
		g.owner = c.given[c.r.IntN(len(c.given))].owner
		body["kind"], body["for"] = "additional", string(g.owner)
	}
	_, err := c.station.register.call(ctx, http.MethodPost, "/v1/cards/issue", body, nil)
	if c.decided("card "+string(g.card), err) {
		c.given = append(c.given, g)
		c.totals["cards"]++
	}
}

// attended adds to a call at whose hands it is made.
func (c *client) attended(body map[string]any) map[string]any {
	body["counter"], body["shift"], body["cashier"] = c.counter(), c.shift, fmt.Sprintf("Кассир %d", c.r.IntN(2))
	return body
}

func (c *client) counter() string { return fmt.Sprintf("c%d", c.number) }

// tally counts into the shift what was done in it.
func (c *client) tally(figures map[string]int64) {
	for name, n := range figures {
		c.totals[name] += n
	}
}

// turnShift closes the register's shift and goes on in the next. The station must have counted what the register has.
func (c *client) turnShift(ctx context.Context) {
	path := fmt.Sprintf("/v1/shifts/%s/%d", c.counter(), c.shift)
	if c.r.IntN(2) == 0 {
		if _, err := c.station.register.call(ctx, http.MethodPut, path, map[string]any{"cashier": "Кассир 0"}, nil); err != nil {
			c.wrong = append(c.wrong, fmt.Errorf("open shift %d: %w", c.shift, err))
			return
		}
	} else if len(c.totals) == 0 {
		return // nobody has begun it
	}
	// The register says how much went back, the station by which tender: whatever the receipt said.
	totals := maps.Clone(c.totals)
	delete(totals, "refunded")
	var a shiftAnswer
	raw, err := c.station.register.call(ctx, http.MethodPost, path+"/close", map[string]any{"register": totals}, &a)
	if err != nil || a.Differs || a.Totals["refunded_cash_kopecks"]+a.Totals["refunded_cashless_kopecks"] != c.totals["refunded"] {
		c.wrong = append(c.wrong, fmt.Errorf("shift %d of %s comes to %v at the register: %w: %s", c.shift, c.counter(), c.totals, err, raw))
	}
	c.shift++
	c.shifts++
	c.totals = map[string]int64{}
}

// returns are sales whose customers drove to the other station: each is refunded by one register there, and by nobody else.
type returns struct {
	mu      sync.Mutex
	waiting map[loyalty.StationID][]*sold // by the station of the sale
}

func (q *returns) hand(s *sold) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting[s.station] = append(q.waiting[s.station], s)
}

// take takes the oldest of them that is not of the station.
func (q *returns) take(not loyalty.StationID) *sold {
	q.mu.Lock()
	defer q.mu.Unlock()
	for station, all := range q.waiting {
		if station != not && len(all) > 0 {
			q.waiting[station] = all[1:]
			return all[0]
		}
	}
	return nil
}

// refundAway refunds a sale of the other station, wholly or in two parts.
func (c *client) refundAway(ctx context.Context) {
	s := c.returns.take(c.station.number)
	if s == nil {
		return
	}
	done := c.refundOf(ctx, s, c.attended(map[string]any{"station": s.station}))
	if len(c.wrong) == 0 && (!done || !s.refunds["1"].All && len(s.refunds) < 2) {
		c.returns.hand(s) // headquarters does not have the sale yet, or something is left of it
	}
}

// checkCounters holds cards, forms and shifts at headquarters against what the registers were answered.
func (k *killed) checkCounters(ctx context.Context, store *embedded.Store, lines map[loyalty.StationID][]*hq.Line, m *model) {
	issued, closed := map[loyalty.CardNumber]int{}, 0
	for station, all := range lines {
		shifts := map[loyalty.ShiftID]*loyalty.Totals{}
		for _, l := range all {
			e, err := wire.DecodeEntry(l.Bytes)
			if err != nil {
				k.t.Fatal(err)
			}
			if b, ok := e.Body.(loyalty.CardIssued); ok {
				issued[b.Card]++
				if g := m.given[b.Card]; g == nil || g.station != station {
					k.t.Errorf("card %s was given out at station %d, which no register was told", b.Card, station)
				}
			}
			id, ok := loyalty.ShiftOf(e)
			if !ok {
				continue
			}
			if shifts[id] == nil {
				shifts[id] = &loyalty.Totals{}
			}
			if b, ok := e.Body.(loyalty.ShiftClosed); ok {
				closed++
				said := loyalty.Shift{Cashiers: b.Cashiers}
				if got, want := said.Totals(), *shifts[id]; got != want || b.Differs {
					k.t.Errorf("shift %d of %s at station %d was closed with %+v, its entries come to %+v", id.Number, id.Counter, station, got, want)
				}
				continue
			}
			shifts[id].Add(loyalty.TotalsOfEntry(e))
		}
	}
	if closed != m.shifts {
		k.t.Errorf("%d shifts are closed at headquarters, %d at the registers", closed, m.shifts)
	}
	for card := range m.given {
		if issued[card] != 1 {
			k.t.Errorf("card %s is given out %d times at headquarters", card, issued[card])
		}
	}
	k.checkForms(ctx, store, m)
}

// checkForms opens every form as the operator does.
func (k *killed) checkForms(ctx context.Context, store *embedded.Store, m *model) {
	err := store.View(ctx, func(tx hq.Tx) error {
		for _, numbers := range slices.Collect(slices.Chunk(slices.Sorted(maps.Keys(m.given)), 100)) {
			cards, err := tx.Cards(numbers)
			if err != nil {
				return err
			}
			for _, number := range numbers {
				forms, err := tx.FormsOf(cards[number].Account, 10)
				if err != nil {
					return err
				}
				forms = slices.DeleteFunc(forms, func(f hq.Form) bool { return f.Card != number })
				if len(forms) != 1 {
					k.t.Errorf("headquarters has %d forms of card %s, want one", len(forms), number)
					continue
				}
				f, err := form.Open(k.operator, forms[0].Sealed)
				if g := m.given[number]; err != nil || f.Name != g.name || f.Phone != g.phone {
					k.t.Errorf("the form of card %s is not what was typed in: %v", number, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
}
