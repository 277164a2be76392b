package loyalty_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

const (
	home loyalty.StationID = 17 // where the sale was
	away loyalty.StationID = 23
)

// office is what headquarters has of the sale s1 of the home station.
type office struct{ loyalty.SaleElsewhere }

func (o *office) closed(at loyalty.Place, body loyalty.Body) {
	o.Station, o.Closed = home, &loyalty.Entry{At: at.At, Op: at.Op, Cashier: "Анна", Body: body}
}

func (o *office) refunded(by loyalty.StationID, at loyalty.Place, body loyalty.Body) {
	o.Refunds = append(o.Refunds, loyalty.RefundElsewhere{Station: by, Epoch: at.Epoch, Seq: at.Seq, Entry: &loyalty.Entry{At: at.At, Op: at.Op, Body: body}})
}

// soldAtHome is a sale of the home station, with headquarters knowing of it.
func soldAtHome(t testing.TB, redeem loyalty.Points) (*loyalty.Books, *office) {
	b := books(t)
	b.Station = home
	closed := sold(t, b, redeem)
	o := &office{}
	o.closed(place(2), closed)
	return b, o
}

// visiting are the books of the other station, to which the account has come.
func visiting(t testing.TB, o *office, current loyalty.Account) *loyalty.Books {
	b := &loyalty.Books{
		Programme: programme(t, simple), Station: away, Card: loyalty.Card{Number: card, Account: account}, Known: true,
		Local: loyalty.Local{Snapshot: loyalty.Snapshot{Account: current, Version: 9, Epoch: 1}},
	}
	if err := b.Hear("s1", &o.SaleElsewhere); err != nil {
		t.Fatal(err)
	}
	return b
}

func refundingThere(id loyalty.RefundID, lines ...loyalty.RefundLine) *loyalty.RefundRequest {
	r := refunding(id, lines...)
	r.Station = home
	return r
}

var coffee = loyalty.RefundLine{Line: 2, Count: 1000, Amount: 400_00}

func TestRefundAtAnotherStation(t *testing.T) {
	b, o := soldAtHome(t, 280_00)
	own, _ := mustRefund(t, b, refunding("r1", coffee), place(3))
	v := visiting(t, o, b.Local.Current()) // of before the refund, as far as headquarters has it
	f, body := mustRefund(t, v, refundingThere("r1", coffee), place(3))
	if body.Station != home || body.Sale != "s1" || body.Closed != place(2).Op || body.Account != account || body.Card != card || body.Tender != loyalty.Cashless {
		t.Errorf("entry %+v", body)
	}
	if f.Station != 0 || f.Money() != own.Money() || f.Clawed != own.Clawed || f.Returned != own.Returned || f.Total == 0 {
		t.Errorf("refund %+v, at home %+v", f, own)
	}
	if v.Sale.Station != home || len(v.Local.Own) != 1 || v.Cell != (loyalty.Cell{}) {
		t.Errorf("books %+v", v)
	}
	if s, again, err := v.Refund(refundingThere("r1", coffee), place(4)); err != nil || again != nil || len(s.Refunds) != 1 {
		t.Errorf("again: %+v, %v", again, err)
	}
	_, _, err := v.Refund(refundingThere("r1"), place(4))
	refused(t, err, loyalty.Conflict)
}

// What another station has given back is not left: whoever asks headquarters first knows it.
func TestRefundsOfSeveralStationsAreOne(t *testing.T) {
	b, o := soldAtHome(t, 280_00)
	v := visiting(t, o, b.Local.Current())
	_, body := mustRefund(t, v, refundingThere("r1", coffee), place(3))
	o.refunded(away, place(3), body)

	for range 2 { // hearing it twice changes nothing
		if err := b.Hear("s1", &o.SaleElsewhere); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.Sale.Refunds) != 1 || b.Sale.Refunds[0].Station != away {
		t.Fatalf("refunds %+v", b.Sale.Refunds)
	}
	_, _, err := b.Refund(refunding("r2", coffee), place(5))
	refused(t, err, loyalty.RefundMore)
	_, _, err = b.Refund(refunding("r1", coffee), place(5)) // the other station's id is no refund of this one
	refused(t, err, loyalty.RefundMore)
	rest, own := mustRefund(t, b, refunding("r1"), place(5))
	if again, body, err := b.Refund(refunding("r1"), place(6)); err != nil || body != nil || len(again.Refunds) != 2 {
		t.Errorf("again: %+v, %v", body, err)
	}
	if own.Station != 0 || !rest.All || len(rest.Lines) != 1 || rest.Lines[0].Line != 1 || rest.Returned != 240_00 {
		t.Errorf("the rest %+v", rest)
	}
	o.refunded(home, place(5), own)
	late := visiting(t, o, b.Local.Current())
	_, _, err = late.Refund(refundingThere("r9"), place(9))
	refused(t, err, loyalty.RefundMore)
}

// Two stations that did not know of each other have given back more of a line than there was: what is left of the others
// is refunded as ever, and of that line nothing.
func TestMoreWasRefundedThanThereWas(t *testing.T) {
	part := loyalty.RefundLine{Line: 2, Count: 700, Amount: 300_00}
	b, o := soldAtHome(t, 280_00)
	v := visiting(t, o, b.Local.Current())
	_, body := mustRefund(t, v, refundingThere("r1", part), place(3))
	mustRefund(t, b, refunding("r2", part), place(3)) // without headquarters
	o.refunded(away, place(3), body)
	if err := b.Hear("s1", &o.SaleElsewhere); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.Refund(refunding("r3", loyalty.RefundLine{Line: 2, Amount: 1}), place(4))
	refused(t, err, loyalty.RefundMore)
	f, _ := mustRefund(t, b, refunding("r3"), place(4))
	if want := []loyalty.RefundLine{{Line: 1, Volume: 40_000, Amount: 2400_00}}; !reflect.DeepEqual(f.Lines, want) || f.Returned != 240_00 || f.Money() != 2160_00 || !f.All {
		t.Errorf("the rest %+v", f)
	}
}

// The station's own refund that it has forgotten, since its ledger was put back, is the same request still.
func TestAForgottenRefundIsHeardOf(t *testing.T) {
	b, o := soldAtHome(t, 0)
	forgotten := b.Local.Clone()
	sale := *b.Sale
	_, body := mustRefund(t, b, refunding("r1", coffee), place(3))
	o.refunded(home, place(3), body)
	b.Sale, b.Local = &sale, forgotten
	if err := b.Hear("s1", &o.SaleElsewhere); err != nil {
		t.Fatal(err)
	}
	if s, again, err := b.Refund(refunding("r1", coffee), place(7)); err != nil || again != nil || !s.Refund("r1").Past {
		t.Errorf("again: %+v, %v", again, err)
	}
	_, _, err := b.Refund(refunding("r1"), place(7))
	refused(t, err, loyalty.Conflict)
}

// A record that has lost what was sold gets it back from headquarters, with the refunds it has.
func TestHeadquartersFillsInWhatWasSold(t *testing.T) {
	b, o := soldAtHome(t, 0)
	v := visiting(t, o, b.Local.Current())
	mustRefund(t, v, refundingThere("r1", coffee), place(3))
	whole, _ := mustRefund(t, v, refundingThere("r2"), place(4))
	if !whole.All {
		t.Fatalf("refund %+v", whole)
	}
	kept := *v.Sale
	v.Sale = &loyalty.Sale{ID: "s1", Station: home, State: loyalty.SaleDone, OpEnd: place(2).Op}
	for _, f := range kept.Refunds {
		f.All = false
		v.Sale.AddRefund(f)
	}
	if err := v.Hear("s1", &o.SaleElsewhere); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(v.Sale.Close, kept.Close) || len(v.Sale.Refunds) != 2 || v.Sale.Refunds[0].All || !v.Sale.Refunds[1].All {
		t.Errorf("sale %+v", v.Sale)
	}
}

func TestHeadquartersSpeaksOfAnotherSale(t *testing.T) {
	_, o := soldAtHome(t, 0)
	for name, change := range map[string]func(*loyalty.SaleElsewhere){
		"another sale": func(x *loyalty.SaleElsewhere) {
			b := x.Closed.Body.(loyalty.SaleClosed)
			b.Sale = "s2"
			x.Closed.Body = b
		},
		"no sale": func(x *loyalty.SaleElsewhere) { x.Closed.Body = loyalty.Started{} },
		"no receipt": func(x *loyalty.SaleElsewhere) {
			b := x.Closed.Body.(loyalty.SaleClosed)
			b.Receipt.Lines = nil
			x.Closed.Body = b
		},
		"no station": func(x *loyalty.SaleElsewhere) { x.Station = 0 },
		"not a refund": func(x *loyalty.SaleElsewhere) {
			x.Refunds = []loyalty.RefundElsewhere{{Station: away, Entry: x.Closed}}
		},
		"another refund":  func(x *loyalty.SaleElsewhere) { x.Refunds = refundsOf("s2", away) },
		"a refund of who": func(x *loyalty.SaleElsewhere) { x.Refunds = refundsOf("s1", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			x, e := o.SaleElsewhere, *o.Closed
			x.Closed = &e
			change(&x)
			b := &loyalty.Books{Programme: programme(t, simple), Station: away}
			refused(t, b.Hear("s1", &x), loyalty.BadRequest)
		})
	}
	b := &loyalty.Books{Programme: programme(t, simple), Station: away}
	if err := errors.Join(b.Hear("s1", nil), b.Hear("s1", &loyalty.SaleElsewhere{Station: home})); err != nil || b.Sale != nil {
		t.Errorf("nothing known: %+v, %v", b.Sale, err)
	}
}

func refundsOf(sale loyalty.SaleID, by loyalty.StationID) []loyalty.RefundElsewhere {
	return []loyalty.RefundElsewhere{{Station: by, Entry: &loyalty.Entry{Body: loyalty.SaleRefunded{Sale: sale, Refund: "r", Lines: []loyalty.RefundLine{coffee}}}}}
}

// Which lots paid is not in the entry: what comes back lives as points accrued at the refund, under the programme then in
// force, also where the sale's own points have expired since.
func TestWhatComesBackElsewhere(t *testing.T) {
	for name, tt := range map[string]struct {
		programme string
		later     time.Duration
		lives     loyalty.Instant // less the moment's day
	}{
		"never expires":         {simple, 0, 0},
		"as accrued now":        {dated, 0, noon(3, 1)},
		"after the sale's year": {dated, 400 * 24 * time.Hour, noon(3, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			b, o := soldAtHome(t, 140_00)
			v := visiting(t, o, b.Local.Current())
			v.Programme = programme(t, tt.programme)
			at := place(3)
			at.At = at.At.Add(tt.later)
			f, body := mustRefund(t, v, refundingThere("r1"), at)
			if f.Returned != 140_00 || len(body.Returned) != 1 || body.Returned[0].ActiveFrom != 0 || body.Returned[0].Amount != 140_00 {
				t.Fatalf("returned %v", body.Returned)
			}
			_, expires := v.Programme.Term(at.At)
			if body.Returned[0].Expires != expires || (expires == 0) != (tt.lives == 0) || (expires != 0 && expires <= at.At) {
				t.Errorf("until %s, want %s", body.Returned[0].Expires, expires)
			}
			if f.Clawed != b.Sale.Quote.Earn || !f.All || f.Debt != 0 {
				t.Errorf("refund %+v", f)
			}
		})
	}
}

// twoTiers earns more in the upper tier.
const twoTiers = `
tiers: {count: litres, fuel: ["*"], window: rolling, days: 90, levels: [{name: green, from: 0}, {name: gold, from: 50}]}
earn:
  - {fuel: ["*"], points: {green: 1, gold: 2}}
redeem: {step: 0.01}
`

// What the sale earned is taken back, whatever it would earn now; and what it counted towards the tier.
func TestRefundElsewhereAfterTheTierChanged(t *testing.T) {
	b := books(t)
	b.Station, b.Programme = home, programme(t, twoTiers)
	r := &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: receipt(fuel("АИ-95", 40_000, 2400_00))}
	closed := mustClose(t, b, r)
	more := *r
	b.Sale, more.Sale = nil, "s2"
	if _, _, err := b.Close(&more, place(3)); err != nil {
		t.Fatal(err)
	}
	current := b.Local.Current()
	at := place(4)
	if b.Programme.TierAt(&current.Standing, at.At) != 1 {
		t.Fatal("two sales do not reach the upper tier")
	}
	o := &office{}
	o.closed(place(2), closed)
	v := visiting(t, o, current)
	v.Programme = b.Programme
	f, body := mustRefund(t, v, refundingThere("r1"), at)
	if f.Clawed != 40_00 || len(body.Uncounted) != 1 || body.Uncounted[0].Amount != 40_000 {
		t.Errorf("refund %+v, %+v", f, body)
	}
	if current = v.Local.Current(); v.Programme.TierAt(&current.Standing, at.At) != 0 {
		t.Error("the upper tier stays")
	}
}

// An account that has never come to the station: the entry says what is taken and given, and no balance is shown.
func TestRefundForAnAccountThatIsNotKnownHere(t *testing.T) {
	_, o := soldAtHome(t, 280_00)
	v := visiting(t, o, loyalty.Account{ID: account})
	v.Local.Snapshot.Version = 0
	f, body := mustRefund(t, v, refundingThere("r1"), place(3))
	if f.Returned != 280_00 || sumLots(body.Returned) != 280_00 || f.Total != 0 || f.Avail != 0 || f.Debt != 0 {
		t.Errorf("refund %+v", f)
	}
	if len(v.Local.Own) != 1 {
		t.Errorf("the entry is to be counted when headquarters tells of the account: %+v", v.Local.Own)
	}
}

// Two stations refund parts of a sale in any order, each with headquarters' word of the other's: together they never give
// back more than the sale took, and exactly that when all is refunded.
func TestTwoStationsRefundNoMoreThanTheSaleTook(t *testing.T) {
	tb := t
	rapid.Check(t, func(t *rapid.T) {
		p := programme(tb, rapid.SampledFrom([]string{simple, dated, halves}).Draw(t, "programme"))
		b := books(tb)
		b.Station, b.Programme = home, p
		r := &loyalty.CloseRequest{Sale: "s1", Card: card, Receipt: drawReceipt(t, 5000_00)}
		q, err := b.Quote(&r.Receipt, 0, place(2).At)
		if err != nil {
			t.Fatal(err)
		}
		r.Redeem = loyalty.Points(rapid.Int64Range(0, int64(min(q.MaxRedeem, 300_00))).Draw(t, "redeem"))
		r.Redeem -= r.Redeem % p.RedeemStep
		s, body, err := b.Close(r, place(2))
		if err != nil {
			t.Fatal(err)
		}
		earned, redeemed, pay := s.Quote.Earn, s.Quote.Redeem, s.Quote.Pay
		o := &office{}
		o.closed(place(2), body)
		v := visiting(tb, o, b.Local.Current())
		v.Programme = p
		left := make([]loyalty.RefundLine, len(r.Receipt.Lines))
		for i, l := range r.Receipt.Lines {
			left[i] = loyalty.RefundLine{Line: i + 1, Amount: l.Amount, Volume: l.Volume, Count: l.Count}
		}
		var clawed, returned loyalty.Points
		var money loyalty.Kopecks
		counted, made := map[loyalty.Counter]int64{}, map[loyalty.StationID]int{}
		for n := range 8 {
			req, at, by, who := refundingThere("", drawPart(t, left)...), place(loyalty.Seq(3+n)), v, away
			if rapid.Bool().Draw(t, "at home") {
				by, who = b, home
			}
			made[who]++
			req.Refund = loyalty.RefundID(fmt.Sprint("r", made[who])) // each counts its own
			if len(req.Lines) == 0 && n < 7 {
				continue
			}
			if err := by.Hear("s1", &o.SaleElsewhere); err != nil {
				t.Fatal(err)
			}
			s, body, err := by.Refund(req, at)
			if errors.Is(err, loyalty.RefundMore) && n == 7 {
				break // nothing is left
			}
			if err != nil {
				t.Fatal(err)
			}
			o.refunded(who, at, body)
			f := s.Refund(req.Refund)
			for _, l := range f.Lines {
				x := &left[l.Line-1]
				x.Amount, x.Volume, x.Count = x.Amount-l.Amount, x.Volume-l.Volume, x.Count-l.Count
				if x.Amount < 0 || x.Volume < 0 || x.Count < 0 {
					t.Fatalf("line %d was refunded beyond what it had: %+v", l.Line, x)
				}
			}
			clawed, returned, money = clawed+f.Clawed, returned+f.Returned, money+f.Money()
			for _, x := range body.(loyalty.SaleRefunded).Uncounted {
				counted[x.Counter] += x.Amount
			}
			if f.Clawed < 0 || f.Returned < 0 || f.Money() < 0 || clawed > earned || returned > redeemed || money > pay {
				t.Fatalf("took %s of %s, gave %s of %s and %s of %s roubles", clawed, earned, returned, redeemed, money, pay)
			}
			if f.All && (clawed != earned || returned != redeemed || money != pay) {
				t.Fatalf("all in all took %s of %s, gave %s of %s and %s of %s roubles", clawed, earned, returned, redeemed, money, pay)
			}
		}
		for _, x := range s.Quote.Counted {
			if counted[x.Counter] > x.Amount {
				t.Fatalf("counter %s: %d of %d was taken back", x.Counter, counted[x.Counter], x.Amount)
			}
		}
	})
}
