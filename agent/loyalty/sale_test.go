package loyalty_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

const (
	card    loyalty.CardNumber = "7005990012349015"
	account loyalty.AccountID  = 42
)

// books are a known customer's: 500 points, rights to spend 300 of them here.
func books(t testing.TB) *loyalty.Books {
	t.Helper()
	return &loyalty.Books{
		Programme: programme(t, simple),
		Card:      loyalty.Card{Number: card, Account: account, MayRedeem: true},
		Known:     true,
		Local: loyalty.Local{Snapshot: loyalty.Snapshot{
			Account: loyalty.Account{ID: account, Lots: []loyalty.Lot{{Amount: 500_00}}}, Version: 1, Epoch: 1,
		}},
		Cell: loyalty.Cell{Issued: 300_00},
	}
}

func place(seq loyalty.Seq) loyalty.Place {
	at := noon(3, 1)
	return loyalty.Place{Epoch: 1, Seq: seq, Op: loyalty.NewOpID(at, [10]byte{byte(seq)}), At: at + loyalty.Instant(seq)}
}

func opening(redeem loyalty.Points) *loyalty.OpenRequest {
	return &loyalty.OpenRequest{Sale: "s1", Card: card, Receipt: receipt(fuel("АИ-95", 40_000, 2400_00)), Redeem: redeem, Who: loyalty.Who{Cashier: "Анна", Shift: 3}}
}

func closing(redeem loyalty.Points) *loyalty.CloseRequest {
	return &loyalty.CloseRequest{Sale: "s1", Receipt: receipt(fuel("АИ-95", 30_000, 1800_00)), Redeem: redeem, Who: loyalty.Who{Cashier: "Анна", Shift: 3}}
}

func voiding() *loyalty.VoidRequest {
	return &loyalty.VoidRequest{Sale: "s1", Reason: "клиент передумал", Who: loyalty.Who{Cashier: "Анна", Shift: 3}}
}

func mustOpen(t testing.TB, b *loyalty.Books, r *loyalty.OpenRequest) loyalty.SaleOpened {
	t.Helper()
	_, body, err := b.Open(r, place(1))
	if err != nil {
		t.Fatal(err)
	}
	return body.(loyalty.SaleOpened)
}

func mustClose(t testing.TB, b *loyalty.Books, r *loyalty.CloseRequest) loyalty.SaleClosed {
	t.Helper()
	_, body, err := b.Close(r, place(2))
	if err != nil {
		t.Fatal(err)
	}
	return body.(loyalty.SaleClosed)
}

func TestSaleOfTwoSteps(t *testing.T) {
	b := books(t)
	opened := mustOpen(t, b, opening(200_00))
	if opened.Reserved != 200_00 || opened.Account != account || opened.Statement != (loyalty.Statement{Used: 200_00}) {
		t.Errorf("opened %+v", opened)
	}
	if b.Reserved != 200_00 || b.Cell.Left() != 100_00 || b.Sale.State != loyalty.SaleOpen || b.Sale.Total != 500_00 || b.Sale.Avail != 300_00 {
		t.Errorf("open: reserved %s, left %s, sale %+v", b.Reserved, b.Cell.Left(), b.Sale)
	}

	closed := mustClose(t, b, closing(180_00))
	want := loyalty.SaleClosed{
		Sale: "s1", Opened: place(1).Op, OpenedAt: place(1).At, Account: account, Card: card, Receipt: closing(0).Receipt,
		Redeemed: 180_00, Discount: 180_00, Earned: []loyalty.Lot{{Amount: 27_00}}, LineDiscounts: []loyalty.Kopecks{180_00}, LineEarned: []loyalty.Points{27_00}, // 90% of 30 litres is paid with money
		Statement: loyalty.Statement{Used: 200_00, Voided: 20_00},
	}
	if !reflect.DeepEqual(closed, want) {
		t.Errorf("closed\n%+v, want\n%+v", closed, want)
	}
	s := b.Sale
	if s.State != loyalty.SaleDone || s.Total != 347_00 || s.Avail != 347_00 || s.SeqEnd != 2 || s.OpEnd != place(2).Op || s.EndedAt != place(2).At || s.Quote.Pay != 1620_00 {
		t.Errorf("sale %+v", s)
	}
	if b.Reserved != 0 || b.Cell.Left() != 120_00 {
		t.Errorf("reserved %s, left %s", b.Reserved, b.Cell.Left())
	}
}

func TestSaleOfOneStep(t *testing.T) {
	b := books(t)
	r := closing(100_00)
	r.Card, r.Manual = card, "карта не читается"
	closed := mustClose(t, b, r)
	if !closed.Opened.IsZero() || closed.OpenedAt != place(2).At || closed.Redeemed != 100_00 || closed.Manual != r.Manual {
		t.Errorf("closed %+v", closed)
	}
	if b.Reserved != 0 || b.Cell.Left() != 200_00 || b.Sale.OpOpen != (loyalty.OpID{}) || b.Sale.State != loyalty.SaleDone {
		t.Errorf("reserved %s, left %s, sale %+v", b.Reserved, b.Cell.Left(), b.Sale)
	}
}

func TestVoidGivesEverythingBack(t *testing.T) {
	b := books(t)
	mustOpen(t, b, opening(200_00))
	s, body, err := b.Cancel(voiding(), place(2))
	if err != nil {
		t.Fatal(err)
	}
	want := loyalty.SaleVoided{Sale: "s1", Opened: place(1).Op, Account: account, Statement: loyalty.Statement{Used: 200_00, Voided: 200_00}, Reason: voiding().Reason}
	if !reflect.DeepEqual(body, want) {
		t.Errorf("voided\n%+v, want\n%+v", body, want)
	}
	if b.Reserved != 0 || b.Cell.Left() != 300_00 || s.State != loyalty.SaleCancelled || s.Avail != 500_00 || s.Total != 500_00 {
		t.Errorf("reserved %s, left %s, sale %+v", b.Reserved, b.Cell.Left(), s)
	}
}

// Every way to be refused: the refusal, and that nothing has changed.
func TestRefusals(t *testing.T) {
	open := func(r *loyalty.OpenRequest) func(*loyalty.Books) error {
		return func(b *loyalty.Books) error { _, _, err := b.Open(r, place(5)); return err }
	}
	closeIt := func(r *loyalty.CloseRequest) func(*loyalty.Books) error {
		return func(b *loyalty.Books) error { _, _, err := b.Close(r, place(5)); return err }
	}
	void := func(b *loyalty.Books) error { _, _, err := b.Cancel(voiding(), place(5)); return err }
	quote := func(redeem loyalty.Points) func(*loyalty.Books) error {
		return func(b *loyalty.Books) error {
			_, err := b.Quote(&opening(0).Receipt, redeem, place(5).At)
			return err
		}
	}
	oneStep := closing(10_00)
	oneStep.Card = card
	with := func(change func(*loyalty.OpenRequest)) *loyalty.OpenRequest { r := opening(10_00); change(r); return r }
	withClose := func(change func(*loyalty.CloseRequest)) *loyalty.CloseRequest {
		r := closing(10_00)
		change(r)
		return r
	}
	state := func(s loyalty.State) func(*loyalty.Books) { return func(b *loyalty.Books) { b.Card.State = s } }
	accountState := func(s loyalty.State) func(*loyalty.Books) {
		return func(b *loyalty.Books) { b.Local.Snapshot.Account.State = s }
	}
	opened := func(b *loyalty.Books) { mustOpen(t, b, opening(200_00)) }
	closed := func(b *loyalty.Books) { opened(b); mustClose(t, b, closing(180_00)) }
	voided := func(b *loyalty.Books) { opened(b); _ = void(b) }
	unknown := func(b *loyalty.Books) {
		b.Known, b.Card, b.Local, b.Cell = false, loyalty.Card{}, loyalty.Local{}, loyalty.Cell{}
	}

	tests := []struct {
		name  string
		given func(*loyalty.Books)
		do    func(*loyalty.Books) error
		want  loyalty.Refusal
	}{
		{"no programme", func(b *loyalty.Books) { b.Programme = nil }, open(opening(0)), loyalty.NoProgramme},
		{"no programme, quote", func(b *loyalty.Books) { b.Programme = nil }, quote(0), loyalty.NoProgramme},
		{"no programme any more at close", func(b *loyalty.Books) { opened(b); b.Programme = nil }, closeIt(closing(0)), loyalty.NoProgramme},
		{"unknown card redeems", unknown, open(opening(1)), loyalty.UnknownCard},
		{"unknown card asks to redeem", unknown, quote(1), loyalty.UnknownCard},
		{"unknown card, not accepted", func(b *loyalty.Books) {
			unknown(b)
			b.Programme = programme(t, strings.Replace(simple, "unknown_card: accrue", "unknown_card: refuse", 1))
		}, open(opening(0)), loyalty.UnknownCard},
		{"staff card", func(b *loyalty.Books) { b.Card.Kind = loyalty.StaffKind }, open(opening(0)), loyalty.StaffCard},
		{"card blocked", state(loyalty.Blocked), open(opening(0)), loyalty.CardBlocked},
		{"card closed", state(loyalty.Closed), open(opening(0)), loyalty.CardClosed},
		{"card accrues only", state(loyalty.AccruesOnly), open(opening(1)), loyalty.AccrueOnly},
		{"account blocked", accountState(loyalty.Blocked), open(opening(0)), loyalty.CardBlocked},
		{"account closed", accountState(loyalty.Closed), closeIt(oneStep), loyalty.CardClosed},
		{"account accrues only", accountState(loyalty.AccruesOnly), closeIt(oneStep), loyalty.AccrueOnly},
		{"owner has not allowed it", func(b *loyalty.Books) { b.Card.MayRedeem = false }, quote(1), loyalty.RedeemOff},
		{"redeeming frozen", func(b *loyalty.Books) { b.Frozen = true }, open(opening(1)), loyalty.RedeemFrozen},
		{"more than the balance", func(b *loyalty.Books) { b.Cell.Issued = 9999_00 }, open(opening(500_01)), loyalty.NotEnough},
		{"more than is not promised elsewhere", func(b *loyalty.Books) { b.Local.Snapshot.Elsewhere = 450_00 }, open(opening(50_01)), loyalty.NotEnough},
		{"more than open sales leave", func(b *loyalty.Books) { b.Reserved = 450_00 }, open(opening(50_01)), loyalty.NotEnough},
		{"more than the receipt", func(b *loyalty.Books) {}, quote(2400_01), loyalty.OverLimit},
		{"more than the rights", func(b *loyalty.Books) {}, open(opening(300_01)), loyalty.NoRights},
		{"more than the rights, in one step", func(b *loyalty.Books) { b.Cell.Issued = 9_99 }, closeIt(oneStep), loyalty.NoRights},
		{"account would burst", func(b *loyalty.Books) {
			b.Local.Snapshot.Account.Lots[0].Amount = loyalty.MaxAmount - 39_99
		}, open(opening(0)), loyalty.BadRequest},

		{"open again with another receipt", opened, open(with(func(r *loyalty.OpenRequest) { r.Redeem = 200_00; r.Receipt.Lines[0].Volume++ })), loyalty.Conflict},
		{"open again for more", opened, open(opening(200_01)), loyalty.Conflict},
		{"open again with another card", opened, open(with(func(r *loyalty.OpenRequest) { r.Redeem = 200_00; r.Card = "7005990012349999" })), loyalty.Conflict},
		{"open what was sold in one step", func(b *loyalty.Books) { mustClose(t, b, oneStep) }, open(opening(0)), loyalty.Conflict},
		{"close again for another redemption", closed, closeIt(closing(180_01)), loyalty.Conflict},
		{"close again with another receipt", closed, closeIt(withClose(func(r *loyalty.CloseRequest) { r.Redeem = 180_00; r.Receipt.Lines[0].Amount++ })), loyalty.Conflict},
		{"close again with another card", closed, closeIt(withClose(func(r *loyalty.CloseRequest) { r.Redeem = 180_00; r.Card = "7005990012349999" })), loyalty.Conflict},
		{"close with another card", opened, closeIt(withClose(func(r *loyalty.CloseRequest) { r.Card = "7005990012349999" })), loyalty.Conflict},
		{"close for more than was reserved", opened, closeIt(closing(200_01)), loyalty.RedeemMore},
		{"close what nobody opened", func(b *loyalty.Books) {}, closeIt(closing(0)), loyalty.UnknownSale},
		{"close what was voided", voided, closeIt(closing(0)), loyalty.SaleNotOpen},
		{"void what nobody opened", func(b *loyalty.Books) {}, void, loyalty.UnknownSale},
		{"void what was closed", closed, void, loyalty.SaleNotOpen},

		{"open without a sale id", func(b *loyalty.Books) {}, open(with(func(r *loyalty.OpenRequest) { r.Sale = "" })), loyalty.BadRequest},
		{"open without a card", func(b *loyalty.Books) {}, open(with(func(r *loyalty.OpenRequest) { r.Card = "" })), loyalty.BadRequest},
		{"open below zero", func(b *loyalty.Books) {}, open(opening(-1)), loyalty.BadRequest},
		{"open without lines", func(b *loyalty.Books) {}, open(with(func(r *loyalty.OpenRequest) { r.Receipt.Lines = nil })), loyalty.BadRequest},
		{"open with a long cashier", func(b *loyalty.Books) {}, open(with(func(r *loyalty.OpenRequest) { r.Cashier = strings.Repeat("a", loyalty.MaxReason+1) })), loyalty.BadRequest},
		{"open with a control character", func(b *loyalty.Books) {}, open(with(func(r *loyalty.OpenRequest) { r.Manual = "\x1b[2J" })), loyalty.BadRequest},
		{"close below zero", opened, closeIt(closing(-1)), loyalty.BadRequest},
		{"close beyond every amount", opened, closeIt(closing(loyalty.MaxAmount + 1)), loyalty.BadRequest},
		{"close without a tender", opened, closeIt(withClose(func(r *loyalty.CloseRequest) { r.Receipt.Tender = 0 })), loyalty.BadRequest},
		{"close with a malformed card", opened, closeIt(withClose(func(r *loyalty.CloseRequest) { r.Card = "7" })), loyalty.BadRequest},
		{"void with a long reason", opened, func(b *loyalty.Books) error {
			r := voiding()
			r.Reason = strings.Repeat("a", loyalty.MaxReason+1)
			_, _, err := b.Cancel(r, place(5))
			return err
		}, loyalty.BadRequest},
		{"quote without lines", func(b *loyalty.Books) {}, func(b *loyalty.Books) error {
			_, err := b.Quote(&loyalty.Receipt{Tender: loyalty.Cash}, 0, place(5).At)
			return err
		}, loyalty.BadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := books(t)
			tt.given(b)
			before := copied(b)
			refused(t, tt.do(b), tt.want)
			if after := copied(b); !reflect.DeepEqual(after, before) {
				t.Errorf("a refusal changed the books from\n%+v to\n%+v", before, after)
			}
		})
	}
}

// copied is the books as they are now, sharing nothing with them but what nobody changes.
func copied(b *loyalty.Books) loyalty.Books {
	c := *b
	c.Local = b.Local.Clone()
	if b.Sale != nil {
		s := *b.Sale
		c.Sale = &s
	}
	return c
}

// Whom the end of a sale leaves out it has from what opened it, each by itself; a shift is its counter's own.
func TestAnEndHasWhomItLeavesOut(t *testing.T) {
	opened := loyalty.Who{Cashier: "Анна", Shift: 3, Counter: "1"}
	tests := []struct {
		name      string
		ends, who loyalty.Who
	}{
		{"nobody", loyalty.Who{}, opened},
		{"everybody", loyalty.Who{Cashier: "Борис", Shift: 4, Counter: "2"}, loyalty.Who{Cashier: "Борис", Shift: 4, Counter: "2"}},
		{"a cashier", loyalty.Who{Cashier: "Борис"}, loyalty.Who{Cashier: "Борис", Shift: 3, Counter: "1"}},
		{"a shift", loyalty.Who{Shift: 4}, loyalty.Who{Cashier: "Анна", Shift: 4, Counter: "1"}},
		{"the counter", loyalty.Who{Counter: "1"}, opened},
		{"another counter", loyalty.Who{Counter: "2"}, loyalty.Who{Cashier: "Анна", Counter: "2"}},
	}
	for _, tt := range tests {
		for how, end := range map[string]func(*loyalty.Books) (*loyalty.Sale, loyalty.Who){
			"close": func(b *loyalty.Books) (*loyalty.Sale, loyalty.Who) {
				r := closing(180_00)
				r.Who = tt.ends
				mustClose(t, b, r)
				return b.Sale, b.Sale.Close.Who
			},
			"void": func(b *loyalty.Books) (*loyalty.Sale, loyalty.Who) {
				r := voiding()
				r.Who = tt.ends
				s, _, err := b.Cancel(r, place(2))
				if err != nil {
					t.Fatal(err)
				}
				return s, s.Void.Who
			},
		} {
			b := books(t)
			r := opening(200_00)
			r.Who = opened
			mustOpen(t, b, r)
			s, kept := end(b)
			if s.By() != tt.who || kept != tt.who || s.Cashier != tt.who.Cashier || s.Shift != tt.who.Shift {
				t.Errorf("%s naming %s: %+v, kept %+v, want %+v", how, tt.name, s.By(), kept, tt.who)
			}
		}
	}
}

// The same question again is answered the same, and says that there is nothing to write.
func TestAskedAgain(t *testing.T) {
	another := loyalty.Who{Cashier: "Борис", Shift: 4}
	tests := []struct {
		name  string
		given func(*loyalty.Books)
		again func(*loyalty.Books) (*loyalty.Sale, loyalty.Body, error)
		want  loyalty.SaleState
	}{
		{"open", func(b *loyalty.Books) { mustOpen(t, b, opening(200_00)) },
			func(b *loyalty.Books) (*loyalty.Sale, loyalty.Body, error) { return b.Open(opening(200_00), place(9)) }, loyalty.SaleOpen},
		{"open, by another cashier", func(b *loyalty.Books) { mustOpen(t, b, opening(200_00)) },
			func(b *loyalty.Books) (*loyalty.Sale, loyalty.Body, error) {
				r := opening(200_00)
				r.Who = another
				return b.Open(r, place(9))
			}, loyalty.SaleOpen},
		{"open, after the close", func(b *loyalty.Books) { mustOpen(t, b, opening(200_00)); mustClose(t, b, closing(180_00)) },
			func(b *loyalty.Books) (*loyalty.Sale, loyalty.Body, error) { return b.Open(opening(200_00), place(9)) }, loyalty.SaleDone},
		{"close", func(b *loyalty.Books) { mustOpen(t, b, opening(200_00)); mustClose(t, b, closing(180_00)) },
			func(b *loyalty.Books) (*loyalty.Sale, loyalty.Body, error) { return b.Close(closing(180_00), place(9)) }, loyalty.SaleDone},
		{"close, by another cashier, naming the card", func(b *loyalty.Books) { mustOpen(t, b, opening(200_00)); mustClose(t, b, closing(180_00)) },
			func(b *loyalty.Books) (*loyalty.Sale, loyalty.Body, error) {
				r := closing(180_00)
				r.Who, r.Card, r.Resolved = another, card, true
				return b.Close(r, place(9))
			}, loyalty.SaleDone},
		{"one step", func(b *loyalty.Books) { r := closing(10_00); r.Card = card; mustClose(t, b, r) },
			func(b *loyalty.Books) (*loyalty.Sale, loyalty.Body, error) {
				r := closing(10_00)
				r.Card = card
				return b.Close(r, place(9))
			}, loyalty.SaleDone},
		{"void, with another reason", func(b *loyalty.Books) { mustOpen(t, b, opening(200_00)); _, _, _ = b.Cancel(voiding(), place(2)) },
			func(b *loyalty.Books) (*loyalty.Sale, loyalty.Body, error) {
				r := voiding()
				r.Reason = ""
				return b.Cancel(r, place(9))
			}, loyalty.SaleCancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := books(t)
			tt.given(b)
			before := copied(b)
			b.Card.State = loyalty.Blocked // what has changed since does not matter
			s, body, err := tt.again(b)
			if err != nil || body != nil || s.State != tt.want || !reflect.DeepEqual(s, before.Sale) {
				t.Errorf("got sale %+v, body %v, %v; want %+v", s, body, err, before.Sale)
			}
			b.Card.State = loyalty.Active
			if after := copied(b); !reflect.DeepEqual(after, before) {
				t.Errorf("the books changed from\n%+v to\n%+v", before, after)
			}
		})
	}
}

// What was promised at the pump is kept, whatever HQ has said since.
func TestOpenSaleClosesWhateverHasHappenedSince(t *testing.T) {
	for name, since := range map[string]func(*loyalty.Books){
		"card blocked":             func(b *loyalty.Books) { b.Card.State = loyalty.Blocked },
		"card closed":              func(b *loyalty.Books) { b.Card.State = loyalty.Closed },
		"account blocked":          func(b *loyalty.Books) { b.Local.Snapshot.Account.State = loyalty.Blocked },
		"owner switched it off":    func(b *loyalty.Books) { b.Card.MayRedeem = false },
		"redeeming frozen":         func(b *loyalty.Books) { b.Frozen = true },
		"points spent elsewhere":   func(b *loyalty.Books) { b.Local.Snapshot.Elsewhere = 500_00 },
		"points gone from the lot": func(b *loyalty.Books) { b.Local.Snapshot.Account.Lots = nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := books(t)
			mustOpen(t, b, opening(200_00))
			since(b)
			if closed := mustClose(t, b, closing(200_00)); closed.Redeemed != 200_00 || closed.Discount != 200_00 {
				t.Errorf("closed %+v", closed)
			}
			if b.Sale.Total < 0 || b.Sale.Avail < 0 {
				t.Errorf("balances %s and %s", b.Sale.Total, b.Sale.Avail)
			}
		})
	}
}

func TestPointsThatExpireWhileFuelFlowsStillPay(t *testing.T) {
	b := books(t)
	b.Local.Snapshot.Account.Lots = []loyalty.Lot{{Amount: 200_00, Expires: place(1).At + 1}, {Amount: 100_00}}
	mustOpen(t, b, opening(200_00))
	if b.Sale.Avail != 100_00 {
		t.Errorf("available %s while open", b.Sale.Avail)
	}
	mustClose(t, b, closing(200_00))
	if b.Sale.Total != 100_00+b.Sale.Quote.Earn {
		t.Errorf("total %s, earned %s: the lot that never expires should be left", b.Sale.Total, b.Sale.Quote.Earn)
	}
}

func TestPrepaidForMoreThanWasTaken(t *testing.T) {
	b := books(t)
	b.Local.Snapshot.Account.Lots[0].Amount, b.Cell.Issued = 3000_00, 3000_00
	mustOpen(t, b, opening(2400_00)) // paid with points entirely: 40 litres
	_, _, err := b.Close(closing(2400_00), place(2))
	refused(t, err, loyalty.OverLimit) // 30 litres cost less: the register has to ask for less
	closed := mustClose(t, b, closing(1800_00))
	if closed.Points() != 0 || b.Sale.Quote.Pay != 0 || b.Cell.Left() != 1200_00 || b.Sale.Avail != 1200_00 {
		t.Errorf("closed %+v, left %s, sale %+v", closed, b.Cell.Left(), b.Sale)
	}
}

func TestUnknownCardAccrues(t *testing.T) {
	b := &loyalty.Books{Programme: programme(t, simple)}
	q, err := b.Quote(&opening(0).Receipt, 0, place(1).At)
	if err != nil || q.MaxRedeem != 0 || !reflect.DeepEqual(q.Reasons, []loyalty.Refusal{loyalty.UnknownCard}) {
		t.Errorf("quote %+v, %v", q, err)
	}
	mustOpen(t, b, opening(0))
	closed := mustClose(t, b, closing(0))
	if closed.Account != 0 || closed.Card != card || closed.Points() != 30_00 || closed.Statement != (loyalty.Statement{}) {
		t.Errorf("closed %+v", closed)
	}
	if len(b.Local.Own) != 0 {
		t.Errorf("an account that nobody knows has %v", b.Local.Own)
	}
}

func TestCardThatBecomesKnownWhileOpen(t *testing.T) {
	b := &loyalty.Books{Programme: programme(t, simple)}
	mustOpen(t, b, opening(0))
	known := books(t)
	b.Known, b.Card, b.Local, b.Cell = true, known.Card, known.Local, known.Cell
	if closed := mustClose(t, b, closing(0)); closed.Account != account {
		t.Errorf("the entry is about account %d, the view about %d", closed.Account, account)
	}
	if b.Sale.Total != 530_00 {
		t.Errorf("total %s", b.Sale.Total)
	}
}

func TestQuoteSaysWhyNotMore(t *testing.T) {
	tests := []struct {
		name   string
		given  func(*loyalty.Books)
		most   loyalty.Points
		reason loyalty.Refusal
	}{
		{"nothing in the way", func(b *loyalty.Books) { b.Local.Snapshot.Account.Lots[0].Amount = 9000_00 }, 2400_00, ""},
		{"balance", func(*loyalty.Books) {}, 500_00, loyalty.NotEnough},
		{"owner", func(b *loyalty.Books) { b.Card.MayRedeem = false }, 0, loyalty.RedeemOff},
		{"accrue only", func(b *loyalty.Books) { b.Card.State = loyalty.AccruesOnly }, 0, loyalty.AccrueOnly},
		{"frozen", func(b *loyalty.Books) { b.Frozen = true }, 0, loyalty.RedeemFrozen},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := books(t)
			tt.given(b)
			q, err := b.Quote(&opening(0).Receipt, 0, place(1).At)
			if err != nil || q.MaxRedeem != tt.most || q.Earn != 40_00 {
				t.Errorf("quote %+v, %v; want %s", q, err, tt.most)
			}
			if tt.reason == "" && len(q.Reasons) > 0 || tt.reason != "" && !reflect.DeepEqual(q.Reasons, []loyalty.Refusal{tt.reason}) {
				t.Errorf("reasons %v, want %q", q.Reasons, tt.reason)
			}
		})
	}
}

// What was agreed when the sale was opened holds when a new programme comes into force before its close: the ledger gives
// the books of an open sale the programme that opened it.
func TestOpenSaleIsClosedByTheProgrammeThatOpenedIt(t *testing.T) {
	b := books(t)
	mustOpen(t, b, opening(200_01))
	agreed := b.Programme
	b.Programme = programme(t, "redeem: {step: 10, share: 5%}")
	r := closing(200_01)
	_, _, err := b.Close(r, place(2))
	refused(t, err, loyalty.OverLimit)
	b.Programme = agreed
	if closed := mustClose(t, b, r); closed.Redeemed != 200_01 {
		t.Errorf("closed %+v", closed)
	}
}

func BenchmarkSale(b *testing.B) {
	first := books(b)
	for day := range 12 { // a lot for each of some months
		if err := first.Local.Snapshot.Account.Accrue(loyalty.Lot{Amount: 1_00, Expires: noon(12, 1+day)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		c := copied(first)
		if _, _, err := c.Open(opening(200_00), place(1)); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Close(closing(180_00), place(2)); err != nil {
			b.Fatal(err)
		}
	}
}
