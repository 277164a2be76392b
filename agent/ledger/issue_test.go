package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
	bolt "go.etcd.io/bbolt"
)

func newCard(i int) loyalty.CardNumber { return loyalty.CardNumber(fmt.Sprintf("7006%012d", i)) }

// sealedForm stands for a form that was sealed to headquarters.
func sealedForm(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "sealed %d ", i), 20) }

func issueTest(t testing.TB, l *Ledger, i int) *loyalty.Issued {
	t.Helper()
	is, err := l.IssueCard(context.Background(), &loyalty.IssueRequest{Card: newCard(i), Sealed: sealedForm(i), Who: loyalty.Who{Cashier: "Вера"}})
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// waiting are the forms that wait for headquarters in the current epoch.
func waiting(t testing.TB, l *Ledger) []wire.Form {
	t.Helper()
	p, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	forms, err := l.Forms(context.Background(), p.Epoch, 1, p.Last)
	if err != nil {
		t.Fatal(err)
	}
	return forms
}

// wantForms fails the test unless exactly the forms of these cards wait, each under the entry that names it.
func wantForms(t testing.TB, l *Ledger, cards ...int) {
	t.Helper()
	forms := waiting(t, l)
	if len(forms) != len(cards) {
		t.Fatalf("%d forms wait, want those of cards %v", len(forms), cards)
	}
	all := entries(t, l)
	p, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range forms {
		if !bytes.Equal(f.Bytes, sealedForm(cards[i])) {
			t.Errorf("form %d is %q", i, f.Bytes)
		}
		if b, ok := all[f.Seq-p.First].Body.(loyalty.CardIssued); !ok || b.Form != sha256.Sum256(f.Bytes) || b.Card != newCard(cards[i]) {
			t.Errorf("form %d waits under entry %d: %+v", i, f.Seq, b)
		}
	}
}

func tellOfCard(t testing.TB, l *Ledger, i int) {
	t.Helper()
	c := &pb.Card{Number: string(newCard(i)), Account: uint64(1000 + i), MayRedeem: true, Version: 3}
	if err := l.Learn(context.Background(), &pb.Answer{Card: c}); err != nil {
		t.Fatal(err)
	}
}

func TestIssuedCardsAreKept(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	ctx := context.Background()
	first := issueTest(t, l, 1)
	if first.Form != sha256.Sum256(sealedForm(1)) || first.Card != newCard(1) {
		t.Errorf("issued %+v", first)
	}
	before, err := l.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The same again, with a form that was sealed anew: nothing is written, and the first form stays.
	again, err := l.IssueCard(ctx, &loyalty.IssueRequest{Card: newCard(1), Sealed: []byte("sealed anew")})
	if err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("again %+v, %v; was %+v", again, err, first)
	}
	_, err = l.IssueCard(ctx, &loyalty.IssueRequest{Card: newCard(1), Kind: loyalty.VirtualCard, For: cardOf(9)})
	wantRefusal(t, err, loyalty.Conflict)
	know(t, l, 9, 1_00, 0)
	_, err = l.IssueCard(ctx, &loyalty.IssueRequest{Card: cardOf(9)})
	wantRefusal(t, err, loyalty.CardTaken)
	if after, _ := l.Position(ctx); after.Last != before.Last {
		t.Errorf("%d entries were written", after.Last-before.Last)
	}
	wantForms(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := CheckFile(ctx, cfg.Path, nil)
	if err != nil || r.Issued != 1 || r.Forms != 1 {
		t.Errorf("report %+v, %v", r, err)
	}
	l = openTest(t, cfg)
	if again := issueTest(t, l, 1); !reflect.DeepEqual(again, first) {
		t.Errorf("after a restart %+v, was %+v", again, first)
	}
	all := entries(t, l)
	if e := all[before.Last-1]; e.Op != first.Op || e.Cashier != "Вера" || e.Programme != 0 {
		t.Errorf("entry %+v", e)
	}
}

// A card that was given out here accrues at once, for an account that headquarters will find.
func TestAnIssuedCardAccrues(t *testing.T) {
	l := openTest(t, testConfig(t))
	strict := strings.Replace(strings.Replace(testProgramme, "unknown_card: accrue", "unknown_card: refuse", 1), "version: 3", "version: 4", 1)
	if err := l.LoadProgramme(context.Background(), []byte(strict)); err != nil {
		t.Fatal(err)
	}
	sell := func(id string) (*loyalty.Sale, error) {
		return l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Card: newCard(1), Receipt: fuel(10)})
	}
	_, err := sell("too soon")
	wantRefusal(t, err, loyalty.UnknownCard)
	issueTest(t, l, 1)
	if b, err := l.Lookup(newCard(1)); err != nil || b.Known || !b.Issued || b.Admit(false) != nil {
		t.Errorf("books %+v, %v", b, err)
	}
	s, err := sell("first")
	if err != nil || s.Quote.Earn != 10_00 || s.Account != 0 {
		t.Fatalf("sale %+v, %v", s, err)
	}
	_, err = l.OpenSale(context.Background(), &loyalty.OpenRequest{Sale: "redeems", Card: newCard(1), Receipt: fuel(10), Redeem: 1_00})
	wantRefusal(t, err, loyalty.NotConfirmed)
	tellOfCard(t, l, 1)
	if b, err := l.Lookup(newCard(1)); err != nil || !b.Known || b.Issued || b.Card.Account != 1001 {
		t.Errorf("books %+v, %v", b, err)
	}
	if again := issueTest(t, l, 1); again.Card != newCard(1) { // headquarters' word does not make it somebody else's
		t.Errorf("again %+v", again)
	}
	if s, err = sell("second"); err != nil || s.Account != 1001 {
		t.Errorf("sale %+v, %v", s, err)
	}
}

func TestFormsGoWithTheirAcknowledgement(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	ctx := context.Background()
	know(t, l, 1, 1_00, 0)
	for i := range 4 {
		issueTest(t, l, i)
		sellTest(t, l, fmt.Sprint("s", i), 1, 5)
	}
	wantForms(t, l, 0, 1, 2, 3)
	p, err := l.Position(ctx)
	if err != nil {
		t.Fatal(err)
	}
	forms := waiting(t, l)
	if some, err := l.Forms(ctx, p.Epoch, forms[1].Seq, forms[2].Seq); err != nil || !reflect.DeepEqual(some, forms[1:3]) {
		t.Errorf("two of them: %+v, %v", some, err)
	}
	if _, err := l.Forms(ctx, p.Epoch+1, 1, p.Last); !errors.Is(err, ErrNoEntry) {
		t.Errorf("forms of no epoch: %v", err)
	}
	ack(t, l, forms[1].Seq-1)
	wantForms(t, l, 1, 2, 3)
	ack(t, l, forms[1].Seq)
	wantForms(t, l, 2, 3)
	// Headquarters keeps the form with an entry that it sets aside.
	h, err := l.HashAt(p.Epoch, forms[2].Seq)
	if err != nil {
		t.Fatal(err)
	}
	aside := []*pb.Quarantined{{Seq: uint64(forms[2].Seq), Reason: "card_limit"}}
	if err := l.Acked(ctx, p.Epoch, forms[2].Seq, h, aside); err != nil {
		t.Fatal(err)
	}
	wantForms(t, l, 3)
	checkTest(t, cfg.Path)
	ack(t, l, 0)
	wantForms(t, l)
}

// A new epoch takes the forms along with the entries that name them, and again.
func TestFormsMoveToANewEpoch(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	ctx := context.Background()
	know(t, l, 1, 1_00, 0)
	issueTest(t, l, 1)
	ack(t, l, 0)
	kept := issueTest(t, l, 2)
	sellTest(t, l, "s", 1, 5)
	issueTest(t, l, 3)
	if _, err := l.IssueCard(ctx, &loyalty.IssueRequest{Card: newCard(4)}); err != nil { // without a form
		t.Fatal(err)
	}
	for range 2 {
		old, err := l.Position(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.NewEpoch(ctx, "test"); err != nil {
			t.Fatal(err)
		}
		wantForms(t, l, 2, 3)
		if _, err := l.Forms(ctx, old.Epoch, 1, old.Last); !errors.Is(err, ErrNoEntry) {
			t.Errorf("forms of the old epoch: %v", err)
		}
		checkTest(t, cfg.Path)
	}
	if again := issueTest(t, l, 2); !reflect.DeepEqual(again, kept) {
		t.Errorf("again %+v, was %+v", again, kept)
	}
	if st, err := l.Status(); err != nil || len(st.Alarms) != 2 || st.Alarms[0].Kind != AlarmEpoch {
		t.Errorf("alarms %+v, %v", st.Alarms, err)
	}
	ack(t, l, 0)
	wantForms(t, l)
}

// What was given out is known as long as its entry is kept, and longer where headquarters has not told of the card.
func TestTrimForgetsWhatWasGivenOut(t *testing.T) {
	cfg := testConfig(t)
	cfg.Retain = 24 * time.Hour
	l := openTest(t, cfg)
	ctx := context.Background()
	know(t, l, 1, 1_00, 0)
	issueTest(t, l, 1)
	issueTest(t, l, 2)
	tellOfCard(t, l, 1)
	at, _ := l.Now()
	l.HQTime(at.Add(72 * time.Hour))
	issueTest(t, l, 3)
	sellTest(t, l, "s", 1, 5)
	if n, err := l.Trim(ctx); err != nil || n != 0 {
		t.Fatalf("trimmed %d entries that wait with their forms, %v", n, err)
	}
	ack(t, l, 0)
	if n, err := l.Trim(ctx); err != nil || n != 3 {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	checkTest(t, cfg.Path)
	for i, want := range map[int]bool{1: false, 2: true, 3: true} {
		if is, err := l.Issued(newCard(i)); err != nil || (is != nil) != want {
			t.Errorf("card %d: %+v, %v", i, is, err)
		}
	}
	_, err := l.IssueCard(ctx, &loyalty.IssueRequest{Card: newCard(1)})
	wantRefusal(t, err, loyalty.CardTaken)
	tellOfCard(t, l, 2) // now it goes as well
	tellOfCard(t, l, 3) // this one's entry is still here
	for i, want := range map[int]bool{2: false, 3: true} {
		if is, err := l.Issued(newCard(i)); err != nil || (is != nil) != want {
			t.Errorf("card %d: %+v, %v", i, is, err)
		}
	}
	checkTest(t, cfg.Path)
}

// tamper changes a closed ledger's file with checksums that hold.
func tamper(t *testing.T, cfg Config, change func(*txn) error) {
	t.Helper()
	db, err := bolt.Open(cfg.Path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		tt, err := readTxn(tx)
		if err != nil {
			return err
		}
		return change(tt)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// issuedLedger is a closed ledger with three cards given out, of which headquarters has the first.
func issuedLedger(t *testing.T) (cfg Config, places []place) {
	t.Helper()
	cfg = testConfig(t)
	l, err := openTuned(cfg)
	if err == nil {
		err = l.LoadProgramme(context.Background(), []byte(testProgramme))
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		issueTest(t, l, i)
		p, err := l.Position(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, place{p.Epoch, p.Last})
		if i == 1 {
			ack(t, l, 0)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg, places
}

func TestTheCheckFindsFormsThatDoNotBelong(t *testing.T) {
	for name, change := range map[string]func(*txn, []place) error{
		"a form is missing":       func(t *txn, p []place) error { return t.delete(bucketForm, p[1].key()) },
		"another card's form":     func(t *txn, p []place) error { return t.putForm(p[1], sealedForm(3)) },
		"a form headquarters has": func(t *txn, p []place) error { return t.putForm(p[0], sealedForm(1)) },
		"a form of no entry":      func(t *txn, p []place) error { return t.putForm(place{1, 99}, sealedForm(1)) },
		"a form of another kind":  func(t *txn, p []place) error { return t.putForm(place{1, 1}, sealedForm(1)) },
		"a form of an old epoch":  func(t *txn, p []place) error { return t.putForm(place{0, 3}, sealedForm(1)) },
		"a form that is too long": func(t *txn, p []place) error { return t.putForm(p[1], make([]byte, loyalty.MaxForm+1)) },
		"no record of a card":     func(t *txn, p []place) error { return t.delete(bucketIssued, []byte(newCard(2))) },
		"a record of another card": func(t *txn, p []place) error {
			return t.putIssued(issued{&loyalty.Issued{Op: loyalty.OpID{1}, CardIssued: loyalty.CardIssued{Card: newCard(2)}}, p[1]})
		},
		"a record that no entry writes": func(t *txn, p []place) error {
			return t.putIssued(issued{&loyalty.Issued{Op: loyalty.OpID{1}, CardIssued: loyalty.CardIssued{Card: newCard(8)}}, place{1, 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, places := issuedLedger(t)
			checkTest(t, cfg.Path)
			tamper(t, cfg, func(tx *txn) error { return change(tx, places) })
			if r, err := CheckFile(context.Background(), cfg.Path, nil); !errors.Is(err, ErrCorrupt) || len(r.Findings) == 0 {
				t.Errorf("nothing was found: %+v, %v", r, err)
			}
		})
	}
}

// breakRecord flips a bit of a record wherever in the file it stands, pages that are not in use any more included.
func breakRecord(t *testing.T, cfg Config, bucket string, key []byte) {
	t.Helper()
	var stored []byte
	tamper(t, cfg, func(tx *txn) error {
		b := tx.bucket(bucket)
		if bucket == bucketJrn {
			b = segmentOf(b, key)
		}
		stored = bytes.Clone(b.Get(key))
		return nil
	})
	content := readAll(t, cfg.Path)
	broken := bytes.Clone(stored)
	broken[len(broken)-1] ^= 1
	if len(stored) < 20 || !bytes.Contains(content, stored) {
		t.Fatalf("record %q is not in the file", stored)
	}
	if err := os.WriteFile(cfg.Path, bytes.ReplaceAll(content, stored, broken), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Salvage keeps what can be read: the form of one card is lost, and an alarm says so; the other's is sent.
func TestSalvageTellsOfLostForms(t *testing.T) {
	for name, tt := range map[string]struct {
		bucket string
		key    func([]place) []byte
		lost   int
		forms  []int
	}{
		"a form":            {bucketForm, func(p []place) []byte { return p[1].key() }, 1, []int{3}},
		"a record":          {bucketIssued, func([]place) []byte { return []byte(newCard(2)) }, 0, []int{2, 3}},
		"an entry":          {bucketJrn, func(p []place) []byte { return p[1].key() }, 1, []int{3}},
		"the programme":     {bucketProg, func([]place) []byte { return programmeKey(3) }, 0, []int{2, 3}},
		"an entry of acked": {bucketJrn, func(p []place) []byte { return p[0].key() }, 0, []int{2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, places := issuedLedger(t)
			breakRecord(t, cfg, tt.bucket, tt.key(places))
			l := openTest(t, cfg)
			st, err := l.Status()
			if err != nil || st.Position.Epoch != 2 {
				t.Fatalf("status %+v, %v", st, err)
			}
			said := ""
			for _, a := range st.Alarms {
				if a.Kind == AlarmForms {
					said = a.Text
				}
			}
			if want := fmt.Sprintf("lost (%d)", tt.lost); (tt.lost > 0) != strings.Contains(said, want) {
				t.Errorf("alarm %q, want %q", said, want)
			}
			wantForms(t, l, tt.forms...)
			if again := issueTest(t, l, 2); again.Card != newCard(2) {
				t.Errorf("again %+v", again)
			}
			checkTest(t, cfg.Path)
			if err := l.NewEpoch(context.Background(), "once more"); err != nil { // the loss is told once
				t.Fatal(err)
			}
			if after, _ := l.Status(); len(after.Alarms) != len(st.Alarms)+1 {
				t.Errorf("alarms %+v, were %+v", after.Alarms, st.Alarms)
			}
			ack(t, l, 0)
			wantForms(t, l)
		})
	}
}

// A file of before there were cards to give out gets its buckets when it is opened.
func TestAnOlderFileLearnsToGiveOutCards(t *testing.T) {
	cfg := testConfig(t)
	l := openTest(t, cfg)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tamper(t, cfg, func(t *txn) error {
		for _, name := range []string{bucketAway, bucketIssued, bucketForm} {
			if err := t.tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return t.putSchema(1)
	})
	l = openTest(t, cfg)
	issueTest(t, l, 1)
	wantForms(t, l, 1)
}

// A record of any bytes is refused or means the same when it is written again.
func FuzzIssued(f *testing.F) {
	f.Add([]byte("7006000000000001"), []byte{10, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 200, 1, 56, 3, 64, 9})
	f.Add([]byte{0, 0, 0, 17, 's', '1'}, []byte{8, 2})
	f.Fuzz(func(t *testing.T, key, v []byte) {
		i, err := parseIssued(loyalty.CardNumber(key), v)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil {
			stored, err := encode(bucketIssued, key, i.message())
			if err != nil {
				t.Fatal(err)
			}
			if again, err := parseIssued(loyalty.CardNumber(key), stored[:len(stored)-sumSize]); err != nil || !reflect.DeepEqual(again, i) {
				t.Fatalf("again %+v, %v; was %+v", again, err, i)
			}
		}
		if k, err := parseAwayKey(key); err == nil {
			if _, again := k.record(); !bytes.Equal(again, key) {
				t.Fatalf("key %q is %q again", key, again)
			}
			if s, err := parseSale(k.id, v); err == nil {
				s.Station = k.station
				s.last()
				c := newChecker(context.Background(), nil)
				_ = c.away(key, v)
			}
		}
		b := (&records{plain: map[string]map[string][]byte{bucketAway: {string(key): v}, bucketIssued: {string(key): v}}}).rebuild()
		if len(b.issued) > 1 || len(b.away) > 1 {
			t.Fatal("one record became two")
		}
	})
}
