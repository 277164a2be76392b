package agent

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// scriptedHQ answers by a function; without one it is out of reach.
type scriptedHQ struct {
	answer func(*pb.Ask) (*pb.Answer, error)
	asked  []*pb.Ask
}

func (h *scriptedHQ) Online() bool { return h.answer != nil }

func (h *scriptedHQ) Ask(_ context.Context, q *pb.Ask) (*pb.Answer, error) {
	h.asked = append(h.asked, q)
	return h.answer(q)
}

// counterDesk is a desk with a key for forms, its folder, and what it logs.
func counterDesk(t *testing.T) (d *Desk, hq *scriptedHQ, folder string, log *bytes.Buffer, secret form.Identity) {
	t.Helper()
	folder, log, hq = t.TempDir(), &bytes.Buffer{}, &scriptedHQ{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l, err := ledger.Open(t.Context(), ledger.Config{Path: filepath.Join(folder, "ledger.db"), Station: 7, Version: "test", Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	src, err := programmes.File(programmes.Default)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.LoadProgramme(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	d = newDesk(l, hq, logger)
	d.patience = 300 * time.Millisecond
	if d.forms, err = form.ParseKey(own.Recipient().String()); err != nil {
		t.Fatal(err)
	}
	if secret, err = form.ParseIdentity([]byte(own.String())); err != nil {
		t.Fatal(err)
	}
	return d, hq, folder, log, secret
}

func newCustomer(card loyalty.CardNumber) *api.CardRequest {
	return &api.CardRequest{Card: card, Who: loyalty.Who{Cashier: "Ольга", Counter: "1"}, Form: &form.Form{
		Name: "Вера Петровна Сидорова", Phone: "+79031112233", Email: "vera@mail.example",
		Consent: form.Consent{Text: "2026-03", GivenAt: time.Now()},
	}}
}

// unknown is headquarters' answer about a card that it does not know.
func unknown() (*pb.Answer, error) {
	return &pb.Answer{Refusal: string(loyalty.UnknownCard)}, nil
}

// TestFormIsSealedBeforeTheDisk gives out a card and looks for the customer in every file of the station and in its log.
func TestFormIsSealedBeforeTheDisk(t *testing.T) {
	d, _, folder, log, secret := counterDesk(t)
	g, err := d.IssueCard(t.Context(), newCustomer(guest))
	if err != nil || g.Customer != nil || g.Form == (loyalty.FormHash{}) {
		t.Fatalf("%+v, %v", g, err)
	}
	err = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, word := range []string{"Вера", "Сидорова", "9031112233", "vera@mail"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%q stands in %s", word, filepath.Base(path))
			}
			if strings.Contains(log.String(), word) {
				t.Errorf("%q stands in the log", word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pos, err := d.ledger.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := d.ledger.Forms(t.Context(), pos.Epoch, 1, pos.Last)
	if err != nil || len(sealed) != 1 {
		t.Fatalf("%d forms, %v", len(sealed), err)
	}
	f, err := form.Open(secret, sealed[0].Bytes)
	if err != nil || f.Phone != "+79031112233" {
		t.Errorf("headquarters' operator reads %q, %v", f.Phone, err)
	}
	again, err := d.IssueCard(t.Context(), newCustomer(guest))
	if err != nil || again.Op != g.Op || again.Form != g.Form {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	if c, err := d.Identify(t.Context(), guest, loyalty.Who{}); err != nil || c.Accrue != "" {
		t.Errorf("the card may accrue at once: %+v, %v", c, err)
	}
	d.forms = form.Key{}
	if _, err := d.IssueCard(t.Context(), newCustomer("7005123456780001")); !errors.Is(err, loyalty.NoFormsKey) {
		t.Errorf("without a key: %v", err)
	}
	bad := newCustomer("7005123456780001")
	bad.Form.Phone = "Вера"
	d.forms = form.Key{}
	if _, err := d.IssueCard(t.Context(), bad); err == nil || strings.Contains(err.Error(), "Вера") {
		t.Errorf("a bad form: %v", err)
	}
}

// TestIssueWaitsForTheAccount: with headquarters in reach the cashier sees the account; where it is slow the card is
// given out all the same.
func TestIssueWaitsForTheAccount(t *testing.T) {
	d, hq, _, _, _ := counterDesk(t)
	posted := false
	hq.answer = func(q *pb.Ask) (*pb.Answer, error) {
		if q.Card != string(guest) || len(hq.asked) < 3 {
			return unknown()
		}
		posted = true
		a := &pb.Answer{
			Card:     wire.FromCard(&loyalty.Card{Number: guest, Account: 1 << 39, MayRedeem: true, HQVersion: 1}),
			Snapshot: wire.FromSnapshot(&loyalty.Snapshot{Account: loyalty.Account{ID: 1 << 39}, Version: 1, Epoch: 1, Applied: 2}),
		}
		return a, d.ledger.Learn(t.Context(), a)
	}
	g, err := d.IssueCard(t.Context(), newCustomer(guest))
	if err != nil || g.Customer == nil || !g.Customer.Known || g.Customer.Account != 1<<39 || !posted {
		t.Fatalf("%+v, %v", g, err)
	}
	again, err := d.IssueCard(t.Context(), newCustomer(guest))
	if err != nil || again.Op != g.Op || again.Customer == nil {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	started := time.Now()
	g, err = d.IssueCard(t.Context(), newCustomer("7005123456780001"))
	if err != nil || g.Customer != nil || time.Since(started) > 5*time.Second {
		t.Errorf("a slow headquarters: %+v, %v after %s", g, err, time.Since(started))
	}
	if _, err := d.IssueCard(t.Context(), &api.CardRequest{Card: "7005123456780002"}); !errors.Is(err, loyalty.BadRequest) {
		t.Errorf("no form: %v", err)
	}
}

// TestCardThatJoinsNeedsHeadquarters: what headquarters says is what the cashier is told.
func TestCardThatJoinsNeedsHeadquarters(t *testing.T) {
	d, hq, _, _, _ := counterDesk(t)
	joins := &api.CardRequest{Card: "7005123456780001", Kind: loyalty.AdditionalCard, For: guest}
	if _, err := d.IssueCard(t.Context(), joins); !errors.Is(err, loyalty.Offline) {
		t.Errorf("offline: %v", err)
	}
	hq.answer = func(*pb.Ask) (*pb.Answer, error) { return &pb.Answer{Refusal: string(loyalty.CardLimit)}, nil }
	if _, err := d.IssueCard(t.Context(), joins); !errors.Is(err, loyalty.CardLimit) {
		t.Errorf("refused: %v", err)
	}
	q := hq.asked[0]
	if q.Card != string(guest) || q.Issue.GetCard() != "7005123456780001" || q.Issue.GetKind() != uint32(loyalty.AdditionalCard) || q.Issue.GetReplaces() {
		t.Errorf("asked %v", q)
	}
	hq.answer = func(q *pb.Ask) (*pb.Answer, error) {
		if q.Issue == nil {
			return unknown()
		}
		return &pb.Answer{}, nil
	}
	if g, err := d.IssueCard(t.Context(), joins); err != nil || g.For != guest {
		t.Fatalf("allowed: %+v, %v", g, err)
	}
	// It is given out: headquarters, which has it by now and would refuse it, is not asked once more.
	hq.answer = func(q *pb.Ask) (*pb.Answer, error) {
		if q.Issue != nil {
			t.Error("asked again whether it may be given out")
		}
		return unknown()
	}
	if _, err := d.IssueCard(t.Context(), joins); err != nil {
		t.Errorf("asked again: %v", err)
	}
}

// soldElsewhere is a closed sale, as headquarters tells it.
func soldElsewhere(t *testing.T, id loyalty.SaleID) []byte {
	t.Helper()
	at := loyalty.At(time.Now().Add(-time.Hour))
	b, err := wire.EncodeEntry(&loyalty.Entry{At: at, Op: loyalty.NewOpID(at, [10]byte{1}), Programme: 1, Body: loyalty.SaleClosed{
		Sale: id, OpenedAt: at, Account: 42, Card: guest, Receipt: fuel(40, 2400), Earned: []loyalty.Lot{{Amount: 20_00}}, LineEarned: []loyalty.Points{20_00},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refundElsewhere is a refund of station 3, of so many roubles of the first line of a sale.
func refundElsewhere(t *testing.T, station loyalty.StationID, id loyalty.SaleID, closed loyalty.OpID, roubles int64) *pb.RefundState {
	t.Helper()
	at := loyalty.At(time.Now())
	b, err := wire.EncodeEntry(&loyalty.Entry{At: at, Op: loyalty.NewOpID(at, [10]byte{2}), Programme: 1, Body: loyalty.SaleRefunded{
		Station: station, Sale: id, Closed: closed, Refund: "there", Account: 42, Card: guest, Lines: []loyalty.RefundLine{{Line: 1, Amount: loyalty.Kopecks(roubles * 100)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return &pb.RefundState{Station: 3, Epoch: 1, Seq: 5, Entry: b}
}

func TestRefundOfAnotherStationsSale(t *testing.T) {
	d, hq, _, _, _ := counterDesk(t)
	r := &loyalty.RefundRequest{Station: 9, Sale: "away", Refund: "a"}
	if _, err := d.RefundSale(t.Context(), r); !errors.Is(err, loyalty.Offline) {
		t.Fatalf("offline: %v", err)
	}
	closed := soldElsewhere(t, "away")
	e, err := wire.DecodeEntry(closed)
	if err != nil {
		t.Fatal(err)
	}
	hq.answer = func(q *pb.Ask) (*pb.Answer, error) {
		if q.Sale == nil {
			return unknown()
		}
		if q.Sale.Station != 9 || q.Sale.Sale != "away" {
			return &pb.Answer{Refusal: string(loyalty.UnknownSale)}, nil
		}
		return &pb.Answer{Sale: &pb.SaleState{Station: 9, Closed: closed, Refunds: []*pb.RefundState{refundElsewhere(t, 9, "away", e.Op, 2000)}}}, nil
	}
	s, err := d.RefundSale(t.Context(), r)
	if err != nil || s.Refund("a").Amount != 400_00 || !s.Refund("a").All {
		t.Fatalf("2,000 of 2,400 were refunded elsewhere: %+v, %v", s, err)
	}
	if _, err := d.RefundSale(t.Context(), &loyalty.RefundRequest{Station: 9, Sale: "none", Refund: "a"}); !errors.Is(err, loyalty.UnknownSale) {
		t.Errorf("a sale that headquarters does not have: %v", err)
	}
	hq.answer, hq.asked = nil, nil
	if again, err := d.RefundSale(t.Context(), r); err != nil || again.Refund("a").Op != s.Refund("a").Op {
		t.Errorf("asked again offline: %+v, %v", again, err)
	}
	hq.answer = func(*pb.Ask) (*pb.Answer, error) {
		return &pb.Answer{Sale: &pb.SaleState{Station: 9, Closed: []byte("not an entry")}}, nil
	}
	if _, err := d.RefundSale(t.Context(), &loyalty.RefundRequest{Station: 9, Sale: "away", Refund: "b"}); !errors.Is(err, loyalty.Offline) {
		t.Errorf("an answer that cannot be read: %v", err)
	}
}

// TestRefundCountsWhatOthersRefunded: of a sale of this station, too, as far as headquarters can be asked.
func TestRefundCountsWhatOthersRefunded(t *testing.T) {
	d, hq, _, _, _ := counterDesk(t)
	s, err := d.CloseSale(t.Context(), sale("own", 0))
	if err != nil {
		t.Fatal(err)
	}
	half := func(id loyalty.RefundID) *loyalty.RefundRequest {
		return &loyalty.RefundRequest{Sale: "own", Refund: id, Lines: []loyalty.RefundLine{{Line: 1, Volume: 20_000, Amount: 1200_00}}}
	}
	if _, err := d.RefundSale(t.Context(), half("offline")); err != nil {
		t.Errorf("offline: %v", err)
	}
	hq.answer = func(q *pb.Ask) (*pb.Answer, error) {
		if q.Sale == nil {
			return unknown()
		}
		return &pb.Answer{Sale: &pb.SaleState{
			Station: 7, Closed: soldElsewhere(t, "own"), Refunds: []*pb.RefundState{refundElsewhere(t, 7, "own", s.OpEnd, 600)},
		}}, nil
	}
	if _, err := d.RefundSale(t.Context(), half("too much")); !errors.Is(err, loyalty.RefundMore) {
		t.Errorf("1,200 here and 600 elsewhere of 2,400: %v", err)
	}
	told := func() (made []loyalty.StationID) {
		t.Helper()
		s, err := d.Sale(t.Context(), "own")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Refunds {
			made = append(made, f.Station)
		}
		return made
	}
	if made := told(); !slices.Equal(made, []loyalty.StationID{0, 3}) {
		t.Errorf("in reach the refunds are those of %v", made)
	}
	hq.asked = nil
	if _, err := d.RefundSale(t.Context(), half("offline")); err != nil || len(hq.asked) != 0 {
		t.Errorf("a refund that was made: %v, %d asks", err, len(hq.asked))
	}
	hq.answer = func(*pb.Ask) (*pb.Answer, error) { return nil, loyalty.Offline }
	if made := told(); !slices.Equal(made, []loyalty.StationID{0}) {
		t.Errorf("out of reach the refunds are those of %v", made)
	}
	rest := &loyalty.RefundRequest{Sale: "own", Refund: "slow", Lines: []loyalty.RefundLine{{Line: 1, Amount: 100_00}}}
	if _, err := d.RefundSale(t.Context(), rest); err != nil {
		t.Errorf("headquarters does not answer: %v", err)
	}
}

func TestStatementAsksHeadquartersOrTellsWhatIsHere(t *testing.T) {
	d, hq, _, _, _ := counterDesk(t)
	for _, id := range []string{"a", "b", "c"} {
		if _, err := d.CloseSale(t.Context(), sale(id, 0)); err != nil {
			t.Fatal(err)
		}
	}
	q := api.StatementQuery{Card: guest, From: loyalty.At(time.Now().Add(-time.Hour)), Until: loyalty.At(time.Now().Add(time.Hour)), Everywhere: true, Limit: 2}
	page, err := d.Statement(t.Context(), q)
	if err != nil || page.Everywhere || len(page.Operations) != 2 || page.Operations[0].Sale != "c" || !strings.HasPrefix(page.Next, pageHere) {
		t.Fatalf("offline: %+v, %v", page, err)
	}
	hq.answer = func(a *pb.Ask) (*pb.Answer, error) {
		if a.Card != string(guest) || a.History.GetLimit() != 2 || a.History.GetFrom() != int64(q.From) {
			t.Errorf("asked %v", a)
		}
		o := loyalty.Operation{At: loyalty.At(time.Now()), Station: 9, Epoch: 1, Seq: 3, Kind: loyalty.SaleOperation, Sale: "there"}
		h := &pb.HistoryPage{Operations: []*pb.Operation{wire.FromOperation(&o)}}
		if a.History.Before == 0 {
			h.Next = 17
		}
		return &pb.Answer{History: h}, nil
	}
	// The page that was begun here goes on here.
	q.Before = page.Next
	if page, err = d.Statement(t.Context(), q); err != nil || page.Everywhere || len(page.Operations) != 1 || page.Operations[0].Sale != "a" {
		t.Errorf("the rest: %+v, %v", page, err)
	}
	q.Before = ""
	if page, err = d.Statement(t.Context(), q); err != nil || !page.Everywhere || page.Next != "hq:17" || page.Operations[0].Sale != "there" {
		t.Fatalf("online: %+v, %v", page, err)
	}
	q.Before = page.Next
	if page, err = d.Statement(t.Context(), q); err != nil || page.Next != "" || hq.asked[len(hq.asked)-1].History.Before != 17 {
		t.Errorf("the second page: %+v, %v", page, err)
	}
	hq.answer = nil
	if _, err = d.Statement(t.Context(), q); !errors.Is(err, loyalty.Offline) {
		t.Errorf("the second page offline: %v", err)
	}
	for _, before := range []string{"hq:", "hq:0", "hq:-1", "hq:x", "here:x", "17"} {
		q.Before = before
		if _, err = d.Statement(t.Context(), q); !errors.Is(err, loyalty.BadRequest) {
			t.Errorf("page %q: %v", before, err)
		}
	}
}

// TestStaffCardIsTold: shown at a counter it is an alert to headquarters, once, whoever scans it how often and whatever
// it is shown for; the alert names who was shown it.
func TestStaffCardIsTold(t *testing.T) {
	who := loyalty.Who{Cashier: "Ольга", Shift: 12, Counter: "2"}
	for name, show := range map[string]func(*Desk) error{
		"identify": func(d *Desk) error {
			c, err := d.Identify(t.Context(), guest, who)
			if err == nil && c.Kind == loyalty.StaffKind {
				err = c.Accrue
			}
			return err
		},
		"open": func(d *Desk) error {
			_, err := d.OpenSale(t.Context(), &loyalty.OpenRequest{Sale: "1", Card: guest, Receipt: fuel(40, 2400), Who: who})
			return err
		},
		"close": func(d *Desk) error {
			_, err := d.CloseSale(t.Context(), &loyalty.CloseRequest{Sale: "1", Card: guest, Receipt: fuel(40, 2400), Who: who})
			return err
		},
		"issue": func(d *Desk) error {
			_, err := d.IssueCard(t.Context(), &api.CardRequest{Card: "7005990012350021", Kind: loyalty.AdditionalCard, For: guest, Who: who})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, hq, _, _, _ := counterDesk(t)
			hq.answer = func(q *pb.Ask) (*pb.Answer, error) {
				a := &pb.Answer{
					Card:     wire.FromCard(&loyalty.Card{Number: guest, Account: 5, Kind: loyalty.StaffKind, HQVersion: 1}),
					Snapshot: wire.FromSnapshot(&loyalty.Snapshot{Account: loyalty.Account{ID: 5}, Version: 1}),
				}
				if q.Issue != nil {
					a.Refusal = string(loyalty.StaffCard)
				}
				return a, d.ledger.Learn(t.Context(), a)
			}
			for range 3 {
				if err := show(d); !errors.Is(err, loyalty.StaffCard) {
					t.Fatalf("answered %v", err)
				}
			}
			var alerts []loyalty.Entry
			for _, e := range journal(t, d) {
				if _, ok := e.Body.(loyalty.Alerted); ok {
					alerts = append(alerts, e)
				}
			}
			if len(alerts) != 1 {
				t.Fatalf("alerts %+v", alerts)
			}
			e := alerts[0]
			a := e.Body.(loyalty.Alerted)
			if a.Rule != loyalty.AlertStaffCard || a.Card != guest || e.Counter != who.Counter || e.Cashier != who.Cashier || e.Shift != who.Shift {
				t.Errorf("alert %+v by %q, shift %d, counter %q", a, e.Cashier, e.Shift, e.Counter)
			}
		})
	}
}

// journal reads what the desk has written.
func journal(t *testing.T, d *Desk) (all []loyalty.Entry) {
	t.Helper()
	pos, err := d.ledger.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := d.ledger.Read(t.Context(), pos.Epoch, 1, 100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range entries {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *e)
	}
	return all
}
