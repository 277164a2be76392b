package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// story is the scripted run: it plays one day of two stations, checks every answer, and counts for itself what every
// customer must have in the end.
type story struct {
	*network
	must map[int]loyalty.Points // what customers gained and spent, by what the registers were answered
	paid *sale                  // a sale that was answered before the restart
	gone bool                   // headquarters is cut off
	till totals                 // of the shift at station 1, as its register adds it up
}

// shiftNumber is the register's number of the day's shift at station 1.
const shiftNumber = 12

// The customers of the story.
const (
	anna = iota
	boris
	vera
)

const zoya = 5 // has no card yet

// storyTime bounds the whole story.
const storyTime = 55 * time.Second

// tellStory plays the story to its end. It returns an error that says what was not as it must be.
func (n *network) tellStory(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	s := &story{network: n, must: map[int]loyalty.Points{}}
	for _, chapter := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"Everything is up: a broker, headquarters with five customers and a sixth to come, two stations with a scanner each", s.ready},
		{"1. In the morning all is well. Anna fills up at station 2, then at station 1", s.online},
		{"2. She goes on to pay part of her fuel with points: 300 are reserved before it flows", s.prepay},
		{"3. An excavator cuts the line to headquarters. The stations go on", s.cutOff},
		{"4. Station 1, without headquarters: collecting always works, redeeming as far as rights were left here", s.offlineOne},
		{"5. Station 2, without headquarters: it holds no rights for Anna, so the same points cannot be spent twice", s.offlineTwo},
		{"6. Station 1, without headquarters: a new customer fills in the form, gets a card and collects at once", s.newcomer},
		{"7. The agent of station 1 is restarted. The register repeats a sale, as registers do", s.restarted},
		{"8. The line is mended: the journals drain, and the new customer has an account", s.mended},
		{"9. Boris has not drunk the second coffee. He bought it at station 1 and gives it back at station 2", s.away},
		{"10. In the evening the shift of station 1 is closed: the register and the station compare what they have", s.evening},
		{"11. Anna asks at station 2 for her statement, of all stations", s.statement},
		{"12. The books, side by side", s.compared},
	} {
		n.tell.chapter("%s", chapter.title)
		if err := chapter.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", chapter.title, err)
		}
		if err := s.quiet(ctx); err != nil {
			return fmt.Errorf("%s: %w", chapter.title, err)
		}
	}
	return nil
}

var errUnexpected = errors.New("not as it must be")

// expect fails unless the two are equal.
func expect[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, want %v: %w", what, got, want, errUnexpected)
	}
	return nil
}

// present scans a card and expects a customer who can redeem so much at this moment.
func (s *story) present(ctx context.Context, station, who int, redeemable loyalty.Points) error {
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	will := func(x scanned) bool { return x.Customer != nil && x.Customer.Redeemable == redeemable }
	x, err := s.stations[station-1].scan(ctx, s.people[who].card, will)
	if err != nil || !will(x) {
		return fmt.Errorf("%s can redeem %s now: %w", s.people[who].name, redeemable, cmp.Or(err, errUnexpected))
	}
	return nil
}

// olga is at whose hands calls at station 1 are made, in her shift.
func (s *story) olga() attendant { return attendant{Cashier: "Ольга", Shift: shiftNumber} }

// at is at whose hands calls at a station are made.
func (s *story) at(station int) attendant {
	if station == 1 {
		return s.olga()
	}
	return attendant{Cashier: "Марат"}
}

// sell sells in one step: what a register does when there is nothing to reserve.
func (s *story) sell(ctx context.Context, station, who int, id string, r receipt, redeem loyalty.Points) (*sale, error) {
	c := saleCall{Card: string(s.people[who].card), Receipt: r, Redeem: int64(redeem), attendant: s.at(station)}
	a, err := s.stations[station-1].register.close(ctx, id, c)
	if err != nil {
		return nil, err
	}
	return a, errors.Join(s.count(station, who, a, redeem), s.stations[station-1].heeds(ctx, a))
}

// quiet waits, where headquarters is in reach, until it has everything and that is told: nothing of a chapter is told
// under the next one's title.
func (s *story) quiet(ctx context.Context) error {
	if s.gone {
		return nil
	}
	for i := range s.stations {
		if err := s.drained(ctx, i+1); err != nil {
			return err
		}
	}
	return s.posted(ctx)
}

// count notes what a closed sale has done to its customer, and to the till.
func (s *story) count(station, who int, a *sale, redeemed loyalty.Points) error {
	q := &a.Quote
	s.must[who] += q.Earn - q.Redeem
	if station == 1 {
		s.till.Sales++
		s.till.Gross += q.Total
		s.till.Discount += q.Discount
		s.till.Cashless += q.Pay
		s.till.Earned += q.Earn
		s.till.Redeemed += q.Redeem
	}
	return errors.Join(
		expect("state of sale "+a.ID, a.State, "closed"),
		expect("redeemed by sale "+a.ID, a.Quote.Redeem, redeemed),
	)
}

// refused expects a refusal and shows the cashier's words.
func (s *story) refused(station int, what string, err error, status int, code loyalty.Refusal) error {
	p := refusedAs(err)
	if p == nil {
		return fmt.Errorf("%s: want refusal %d %s: %w", what, status, string(code), cmp.Or(err, errUnexpected))
	}
	s.tell.say(voiceOf(station), "%s: refused, %d %s", what, p.Status, p.Code)
	s.tell.quote(p.Message.RU + "\n" + p.Message.EN + "\n")
	return errors.Join(expect(what, p.Status, status), expect(what, p.Code, string(code)))
}

func (s *story) online(ctx context.Context) error {
	if _, err := s.stations[0].register.openShift(ctx, shiftNumber, "Ольга"); err != nil {
		return err
	}
	s.tell.say(voiceOf(1), "Olga opens shift %d", shiftNumber)
	if err := s.present(ctx, 2, anna, 1250_00); err != nil {
		return err
	}
	a, err := s.sell(ctx, 2, anna, "2-0001", basket(20_000, 0), 0) // 20 l: 10 points
	if err != nil {
		return err
	}
	if err := expect("earned", a.Quote.Earn, 10_00); err != nil {
		return err
	}
	// What station 2 has just booked is at headquarters before station 1 asks.
	if err := s.drained(ctx, 2); err != nil {
		return err
	}
	if err := s.present(ctx, 1, anna, 1260_00); err != nil {
		return err
	}
	a, err = s.sell(ctx, 1, anna, "1-0001", basket(31_500, 1), 0) // 31.5 l: 15 points; a coffee of 189 roubles: 9
	if err != nil {
		return err
	}
	s.tell.quote(a.Receipt)
	return errors.Join(expect("earned", a.Quote.Earn, 24_00), expect("total", a.Total, 1284_50))
}

func (s *story) prepay(ctx context.Context) error {
	a, err := s.stations[0].register.open(ctx, "1-0002", saleCall{
		Card: string(s.people[anna].card), Receipt: basket(50_000, 0), Redeem: 300_00, attendant: s.olga(),
	})
	if err != nil {
		return err
	}
	if err := s.stations[0].heeds(ctx, a); err != nil {
		return err
	}
	s.tell.say(voiceHQ, "had given station 1 the right to spend 300 of Anna's points: nobody else can spend them now")
	return errors.Join(
		expect("state", a.State, "open"), expect("reserved", a.Reserved, 300_00), expect("available", a.Available, 984_50),
	)
}

func (s *story) cutOff(ctx context.Context) error {
	s.gone = true
	s.cut()
	s.tell.say(voiceLine, "is cut")
	return s.noticed(ctx, false)
}

// drained waits until headquarters has everything of a station.
func (s *story) drained(ctx context.Context, station int) error {
	return await(ctx, fmt.Sprintf("headquarters has everything of station %d", station), func() (bool, error) {
		l, err := s.stations[station-1].register.link(ctx)
		return l.Online && l.Backlog == 0, err
	})
}

func (s *story) offlineOne(ctx context.Context) error {
	one := s.stations[0].register
	// Boris was never here: headquarters cannot say who he is, the programme lets him collect all the same.
	if err := s.present(ctx, 1, boris, 0); err != nil {
		return err
	}
	if _, err := s.sell(ctx, 1, boris, "1-0003", basket(24_000, 2), 0); err != nil {
		return err
	}
	// The tank was full at 30 litres: of 300 points reserved Anna pays 120, the right to the other 180 stays here.
	a, err := one.close(ctx, "1-0002", saleCall{Receipt: basket(30_000, 0), Redeem: 120_00, attendant: s.olga()})
	if err != nil {
		return err
	}
	if err := errors.Join(s.count(1, anna, a, 120_00), s.stations[0].heeds(ctx, a)); err != nil {
		return err
	}
	s.tell.quote(a.Receipt)
	if err := s.present(ctx, 1, anna, 180_00); err != nil {
		return err
	}
	if s.paid, err = s.sell(ctx, 1, anna, "1-0004", basket(10_000, 1), 100_00); err != nil {
		return err
	}
	_, err = s.sell(ctx, 1, anna, "1-0005", basket(40_000, 0), 200_00)
	return s.refused(1, "Anna wants to redeem 200 more, 80 are left here", err, 422, loyalty.NoRights)
}

func (s *story) offlineTwo(ctx context.Context) error {
	if err := s.present(ctx, 2, anna, 0); err != nil {
		return err
	}
	_, err := s.sell(ctx, 2, anna, "2-0002", basket(15_000, 0), 50_00)
	if err := s.refused(2, "Anna wants to redeem 50", err, 422, loyalty.NoRights); err != nil {
		return err
	}
	if _, err = s.sell(ctx, 2, anna, "2-0002", basket(15_000, 0), 0); err != nil { // a refusal does not use the number up
		return err
	}
	// What station 1 has sold only headquarters can tell.
	err = s.stations[1].register.try(ctx, "1-0003", s.coffee())
	return s.refused(2, "Boris wants to give a coffee of station 1 back", err, 503, loyalty.Offline)
}

// coffee is one of the coffees that Boris bought at station 1, given back at station 2.
func (s *story) coffee() refundCall {
	return refundCall{Refund: "2-R1", Station: 1, Lines: []refundLine{{Line: 2, Count: 1000, Amount: 189_00}}, attendant: s.at(2)}
}

func (s *story) newcomer(ctx context.Context) error {
	one, x := s.stations[0].register, &s.people[zoya]
	a, err := one.issue(ctx, x, s.olga())
	if err != nil {
		return err
	}
	s.till.Cards++
	s.tell.say(voiceOf(1), "card %s given out to %s; her form is sealed, and nobody at the station can read it again", a.CardMasked, x.name)
	s.tell.quote(a.Message.RU + "\n" + a.Message.EN + "\n")
	if err := errors.Join(expect("headquarters knows the new card", a.Known, false), expect("state of the new card", a.State, "accrue_only")); err != nil {
		return err
	}
	if err := s.present(ctx, 1, zoya, 0); err != nil {
		return err
	}
	_, err = s.sell(ctx, 1, zoya, "1-0007", basket(22_000, 1), 0) // 22 l: 11 points; a coffee: 9
	return err
}

func (s *story) restarted(ctx context.Context) error {
	if err := s.stations[0].restart(ctx); err != nil {
		return err
	}
	s.tell.say(voiceOf(1), "the agent runs again, over the same ledger")
	c := saleCall{Card: string(s.people[anna].card), Receipt: basket(10_000, 1), Redeem: 100_00, attendant: s.olga()}
	again, err := s.stations[0].register.close(ctx, "1-0004", c)
	if err != nil {
		return err
	}
	if !bytes.Equal(again.raw, s.paid.raw) {
		return fmt.Errorf("sale 1-0004 asked again is answered\n%s\nand was answered\n%s: %w", again.raw, s.paid.raw, errUnexpected)
	}
	s.tell.say(voiceOf(1), "sale 1-0004 repeated: the same answer to the last byte, nothing booked twice")
	c.Receipt = basket(11_000, 1)
	_, err = s.stations[0].register.close(ctx, "1-0004", c)
	if err := s.refused(1, "the same number with another receipt", err, 409, loyalty.Conflict); err != nil {
		return err
	}
	// The rights have survived too.
	if err := s.present(ctx, 1, anna, 80_00); err != nil {
		return err
	}
	if _, err = s.sell(ctx, 1, anna, "1-0006", basket(12_000, 0), 80_00); err != nil {
		return err
	}
	// The coffee of 1-0004 was cold. Giving it back needs nobody else: its points go back, those it earned are taken.
	coffee := c.Receipt.Lines[1]
	f, err := s.stations[0].register.refund(ctx, "1-0004", refundCall{
		Refund: "1-R1", Lines: []refundLine{{Line: 2, Count: coffee.Count, Amount: coffee.Amount}}, attendant: s.olga(),
	})
	if err != nil {
		return err
	}
	s.must[anna] += f.Returned - f.Clawed
	s.till.Refunds++
	s.till.Returned += f.Money
	s.tell.say(voiceOf(1), "the coffee of sale 1-0004 is given back: %s roubles in money, %s points back, %s that it had earned taken", f.Money, f.Returned, f.Clawed)
	s.tell.quote(f.Receipt)
	return expect("given back for the coffee", int64(f.Money+f.Discount), coffee.Amount)
}

func (s *story) mended(ctx context.Context) error {
	s.heal()
	s.tell.say(voiceLine, "is mended")
	s.gone = false
	if err := errors.Join(s.noticed(ctx, true), s.quiet(ctx)); err != nil {
		return err
	}
	if err := s.welcomed(ctx); err != nil {
		return err
	}
	// Life goes on: Vera redeems where nobody has met her before, with rights that headquarters gives while she waits.
	if err := s.present(ctx, 2, vera, 3000_00); err != nil {
		return err
	}
	_, err := s.sell(ctx, 2, vera, "2-0003", basket(35_000, 1), 1000_00)
	return err
}

// welcomed finds the new customer's account at headquarters, and has the operator read her form.
func (s *story) welcomed(ctx context.Context) error {
	x := &s.people[zoya]
	return s.store.View(ctx, func(tx hq.Tx) error {
		cards, err := tx.Cards([]loyalty.CardNumber{x.card})
		if err != nil {
			return err
		}
		forms, err := tx.FormsOf(cards[x.card].Account, 10)
		if err != nil {
			return err
		}
		if err := expect("forms of the new customer", len(forms), 1); err != nil {
			return err
		}
		f, err := form.Open(s.operator, forms[0].Sealed)
		if err != nil {
			return err
		}
		s.tell.say(voiceHQ, "has opened account %d for %s's card; an operator reads her form with his own key: %s, %s", cards[x.card].Account, x.name, f.Name, f.Phone)
		return errors.Join(expect("name on the form", f.Name, x.form.Name), expect("telephone on the form", f.Phone, x.form.Phone))
	})
}

func (s *story) away(ctx context.Context) error {
	two := s.stations[1].register
	f, err := two.refund(ctx, "1-0003", s.coffee())
	if err != nil {
		return err
	}
	s.must[boris] += f.Returned - f.Clawed
	s.tell.say(voiceOf(2), "a coffee of sale 1-0003 of station 1 is given back: %s roubles in money, %s points that it had earned taken", f.Money, f.Clawed)
	s.tell.quote(f.Receipt)
	again, err := two.refund(ctx, "1-0003", s.coffee())
	if err != nil {
		return err
	}
	if !bytes.Equal(again.raw, f.raw) {
		return fmt.Errorf("the refund asked again is answered\n%s\nand was answered\n%s: %w", again.raw, f.raw, errUnexpected)
	}
	if err := s.quiet(ctx); err != nil {
		return err
	}
	// Station 1 asks headquarters before it gives anything back: one coffee is left of two.
	c := s.coffee()
	c.Refund, c.Station, c.attendant, c.Lines[0].Count, c.Lines[0].Amount = "1-R2", 0, s.olga(), 2000, 378_00
	_, err = s.stations[0].register.refund(ctx, "1-0003", c)
	return s.refused(1, "somebody wants to give both coffees back at station 1 as well", err, 422, loyalty.RefundMore)
}

func (s *story) evening(ctx context.Context) error {
	x, err := s.stations[0].register.closeShift(ctx, shiftNumber, "Ольга", s.till)
	if err != nil {
		return err
	}
	t := &x.Totals
	s.tell.say(voiceOf(1), "Olga closes shift %d: the register and the station have counted the same", shiftNumber)
	s.tell.quote(fmt.Sprintf("sales %d, refunds %d, cards given out %d\nreceipts %s: paid with points %s, with money %s; money given back %s\npoints earned %s, redeemed %s\n",
		t.Sales, t.Refunds, t.Cards, t.Gross, t.Discount, t.Cashless, t.Returned, t.Earned, t.Redeemed))
	return errors.Join(expect("totals of the shift", x.Totals, s.till), expect("it differs", x.Differs, false), expect("the shift is", x.State, "closed"))
}

func (s *story) statement(ctx context.Context) error {
	x, err := s.stations[1].register.statement(ctx, s.people[anna].card)
	if err != nil {
		return err
	}
	var sum loyalty.Points
	var text string
	for i := range x.Operations {
		o := &x.Operations[i]
		sum += o.net()
		text = o.String() + "\n" + text // the oldest first
	}
	s.tell.say(voiceOf(2), "asks headquarters: %d operations, %s points in all", len(x.Operations), signed(sum))
	s.tell.quote(text)
	return errors.Join(expect("the statement is of all stations", x.Everywhere, true), expect("what Anna's statement comes to", sum, s.must[anna]))
}

func (s *story) compared(ctx context.Context) error {
	a, err := s.settle(ctx)
	if err != nil {
		return err
	}
	s.tell.text("\n" + a.table("DIFFERENT") + "\n")
	wrong := a.differences()
	for i, r := range a.rows {
		if want := s.people[i].opened + s.must[i]; r.hq != want {
			wrong = append(wrong, fmt.Sprintf("%s has %s points at headquarters, the registers' answers add up to %s", r.name, r.hq, want))
		}
	}
	for i, st := range s.stations {
		r, err := st.agent(ctx)
		if err != nil {
			return err
		}
		walked, err := replayed(ctx, r)
		if err != nil {
			return err
		}
		if walked != a.journals[i].hq {
			wrong = append(wrong, fmt.Sprintf("walking the journal of station %d ends at %s", st.number, cursorText(walked)))
		}
	}
	for _, w := range wrong {
		s.tell.text(s.tell.bad(w) + "\n")
	}
	if len(wrong) > 0 {
		return errDifferent
	}
	s.tell.text(s.tell.good("Headquarters and stations agree to the last hundredth, entry by entry.") + "\n")
	return nil
}
