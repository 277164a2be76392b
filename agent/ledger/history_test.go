package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"pgregory.net/rapid"
)

// told are the sales and refunds of a history, the newest first, read in pages of so many.
func told(t testing.TB, l *Ledger, q loyalty.HistoryQuery, limit int) (out []string) {
	t.Helper()
	q.Limit = limit
	for range 100_000 {
		page, err := l.History(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Operations) > limit || page.Next != "" && len(page.Operations) < limit {
			t.Fatalf("a page of %d, want %d; next %q", len(page.Operations), limit, page.Next)
		}
		for _, o := range page.Operations {
			out = append(out, string(o.Sale)+string(o.Refund))
		}
		if q.Before = page.Next; q.Before == "" {
			return out
		}
	}
	t.Fatal("the history does not end")
	return nil
}

func TestHistoryOfAnAccount(t *testing.T) {
	cfg := testConfig(t)
	cfg.Retain = 24 * time.Hour
	l, err := openTuned(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		checkTest(t, cfg.Path)
	})
	h := &hands{wall: wallStart}
	l.clock = h.clock()
	if err := l.LoadProgramme(t.Context(), []byte(testProgramme)); err != nil {
		t.Fatal(err)
	}
	l.HQTime(loyalty.At(wallStart))
	sellTest(t, l, "unknown", 1, 3) // the station does not know whose card it is
	know(t, l, 1, 900_00, 500_00)
	know(t, l, 2, 900_00, 0)
	for i := range 3 {
		sellTest(t, l, fmt.Sprint("a", i), 1, 3)
		sellTest(t, l, fmt.Sprint("b", i), 2, 3)
		h.pass(12 * time.Hour)
	}
	refundTest(t, l, "a0", "/r", 0)
	mine := loyalty.HistoryQuery{Account: 1, Card: cardOf(1)}
	want := []string{"a0/r", "a2", "a1", "a0", "unknown"}
	for _, limit := range []int{1, 2, 3, 5, 500} {
		if got := told(t, l, mine, limit); !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, want %q", limit, got, want)
		}
	}
	start := loyalty.At(wallStart)
	for _, c := range []struct {
		name string
		q    loyalty.HistoryQuery
		want []string
	}{
		{"by account", loyalty.HistoryQuery{Account: 1}, want[:4]},
		{"by card only", loyalty.HistoryQuery{Card: cardOf(1)}, []string{"unknown"}},
		{"from", loyalty.HistoryQuery{Account: 1, From: start.Add(12 * time.Hour)}, want[:3]},
		{"until", loyalty.HistoryQuery{Account: 1, Until: start.Add(12 * time.Hour)}, want[3:4]},
		{"between", loyalty.HistoryQuery{Account: 1, From: start.Add(time.Hour), Until: start.Add(24 * time.Hour)}, want[2:3]},
		{"before all", loyalty.HistoryQuery{Account: 1, Until: start}, nil},
		{"nobody's", loyalty.HistoryQuery{Account: 99, Card: cardOf(99)}, nil},
	} {
		if got := told(t, l, c.q, 10); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	page, err := l.History(t.Context(), loyalty.HistoryQuery{Account: 1, Limit: 1})
	if o := page.Operations; err != nil || page.Oldest.Time().Sub(wallStart) > time.Second || len(o) != 1 || o[0].Station != station || o[0].Kind != loyalty.RefundOperation || o[0].Card != cardOf(1) {
		t.Errorf("page %+v, %v", page, err)
	}
	_, err = l.History(t.Context(), loyalty.HistoryQuery{Account: 1, Limit: 1, Before: "yesterday"})
	wantRefusal(t, err, loyalty.BadRequest)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := l.History(ctx, loyalty.HistoryQuery{Account: 1, Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
	ack(t, l, 0)
	if _, err := l.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := told(t, l, mine, 2); !slices.Equal(got, want[:3]) {
		t.Errorf("after trimming %q", got)
	}
	if page, err := l.History(t.Context(), loyalty.HistoryQuery{Account: 1, Limit: 1}); err != nil || page.Oldest <= start {
		t.Errorf("after trimming, the oldest is of %s, %v", page.Oldest, err)
	}
}

// Whatever epochs have written again, wherever the pages end: the history is the journal's operations of the account, each
// once, the newest first.
func TestHistoryIsTheJournal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := testConfig(t)
		l, err := openTuned(cfg, func(l *Ledger) { l.noSync = true })
		if err != nil {
			rt.Fatal(err)
		}
		defer func() {
			if err := l.Close(); err != nil {
				rt.Error(err)
			}
		}()
		if err := l.LoadProgramme(context.Background(), []byte(testProgramme)); err != nil {
			rt.Fatal(err)
		}
		know(t, l, 1, 900_00, 0)
		know(t, l, 2, 900_00, 0)
		var want []string
		for i := range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				if err := l.NewEpoch(context.Background(), "test"); err != nil {
					rt.Fatal(err)
				}
			case 1:
				if p, err := l.Position(context.Background()); err == nil && p.Last > p.Acked {
					ack(t, l, p.Acked+loyalty.Seq(rapid.IntRange(1, int(p.Last-p.Acked)).Draw(rt, "acked")))
				}
			case 2:
				sellTest(t, l, fmt.Sprint("other", i), 2, 3)
			default:
				id := fmt.Sprint("s", i)
				sellTest(t, l, id, 1, 3)
				want = append([]string{id}, want...)
			}
		}
		limit := rapid.IntRange(1, 5).Draw(rt, "limit")
		if got := told(t, l, loyalty.HistoryQuery{Account: 1}, limit); !slices.Equal(got, want) {
			rt.Fatalf("%q, want %q", got, want)
		}
	})
}

// BenchmarkLedgerHistory reads a customer's history out of a year's journal of one station: 730,000 entries of 20,000
// accounts, in which the customer has some forty.
func BenchmarkLedgerHistory(b *testing.B) {
	const days, perDay, customers = 365, 2000, 20_000
	cfg := testConfig(b)
	cfg.MaxSize, cfg.VerifyBytes = 4<<30, 1
	h := &hands{wall: wallStart.Add(-days * 24 * time.Hour)}
	cfg.Now = func() time.Time { return h.wall }
	l, err := openTuned(cfg, func(l *Ledger) { l.noSync = true })
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	l.clock = h.clock()
	account := func(i int) loyalty.AccountID { return loyalty.AccountID(3_000_000_000 + i%customers) }
	for day := range days {
		err := l.write(context.Background(), func(t *txn) error {
			for i := range perDay {
				h.pass(24 * time.Hour / perDay)
				at, r, err := t.nextPlace()
				if err != nil {
					return err
				}
				n := (day*perDay + i) * 7919
				body := loyalty.SaleClosed{
					Sale: loyalty.SaleID(fmt.Sprintf("2026-%03d/%06d", day, i)), OpenedAt: at.At, Account: account(n), Card: cardOf(n % customers),
					Receipt: fuel(30), Earned: []loyalty.Lot{{Amount: 30_00, ActiveFrom: at.At, Expires: at.At.Add(year)}},
				}
				c, err := prepare(at, r, loyalty.Who{Cashier: "Анна", Shift: uint32(day + 1), Counter: "1"}, 3, body)
				if err != nil {
					return err
				}
				if err := t.append(c, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	end := loyalty.At(h.wall)
	for _, c := range []struct {
		name string
		q    loyalty.HistoryQuery
		want int
	}{
		{"year", loyalty.HistoryQuery{Account: account(5), Card: cardOf(5), Limit: 500}, days * perDay / customers},
		{"month", loyalty.HistoryQuery{Account: account(5), Card: cardOf(5), From: end.Add(-30 * 24 * time.Hour), Limit: 500}, 2},
		{"page of ten", loyalty.HistoryQuery{Account: account(5), Card: cardOf(5), Limit: 10}, 10},
		{"nobody's", loyalty.HistoryQuery{Account: 4_000_000_000, Card: cardOf(900_000), Limit: 500}, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				page, err := l.History(context.Background(), c.q)
				if err != nil || len(page.Operations) < c.want {
					b.Fatal(len(page.Operations), err)
				}
			}
		})
	}
	b.Run("longest transaction", func(b *testing.B) {
		for b.Loop() {
			s := &statement{q: loyalty.HistoryQuery{Account: account(5)}, before: place{^loyalty.Epoch(0), ^loyalty.Seq(0)}}
			if err := l.view(s.begin); err != nil {
				b.Fatal(err)
			}
		}
	})
}
