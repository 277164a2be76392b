package loyalty_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// busy is a programme with tiers, caps, and as many campaigns as a programme may have, all of them running.
func busy(t testing.TB) *loyalty.Programme {
	var b strings.Builder
	b.WriteString(`
tiers: {window: rolling, days: 90, levels: [{name: green, from: 0}, {name: gold, from: 300}]}
earn:
  - {name: fuel, fuel: ["*"], points: {green: 1, gold: 1.25}, at_most: {day: 300}}
  - {name: goods, goods: ["*"], points: 1, per_roubles: 20, whole: true, at_most: {day: 5000, week: 20000, month: 50000}}
never_earn: [tobacco, nicotine]
never_redeem: [tobacco, nicotine]
limits: {purchases: {day: 10}, balance: 100000}
redeem: {step: 0.01}
campaigns:
`)
	for i := range 200 {
		fmt.Fprintf(&b, "  - {name: c%d, from: 2026-01-01T00:00:00+03:00, until: 2027-01-01T00:00:00+03:00, goods: [g%d, h%d], ", i, i, i)
		switch i % 4 {
		case 0:
			b.WriteString("multiply: 2, life_days: 30}\n")
		case 1:
			b.WriteString("points: 5, at_most: {account: 5000}}\n")
		case 2:
			b.WriteString("points: 10, per_roubles: 100, weekdays: [sat, sun, mon, tue, wed, thu, fri], hours: 00:00-23:59}\n")
		default:
			b.WriteString("points: 50, min_roubles: 100, stations: [1, 2, 3, 4, 5, 6, 7, 8], tiers: [gold]}\n")
		}
	}
	return programme(t, b.String())
}

// basket is a receipt of thirty lines, of which half are in some campaign.
func basket() loyalty.Receipt {
	r := receipt(fuel("АИ-95", 40_000, 2400_00))
	for i := range 29 {
		group := fmt.Sprintf("g%d", 7*i)
		if i%2 == 0 {
			group = "groceries"
		}
		r.Lines = append(r.Lines, goods(group, loyalty.Kopecks(100_00+i)))
	}
	return r
}

// regular is a customer who comes often: a tally for each of fifty days, and lots of a year.
func regular(t testing.TB) loyalty.Account {
	a := loyalty.Account{ID: account}
	for d := range 50 {
		from := noon(1, 10+d) - 12*3_600_000
		a.Count(loyalty.Tally{Counter: "tier", From: from, Until: from.Add(90 * 24 * time.Hour), Amount: 30_000})
	}
	for month := range 12 {
		if err := a.Accrue(loyalty.Lot{Amount: 200_00, Expires: noon(12, 1+month)}); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// BenchmarkBusy prices and closes a receipt of thirty lines under two hundred campaigns, and in the same run writes four
// kilobytes and waits for the disk to have them, as every sale does. The ratio, of medians, is what the rules add to a sale.
func BenchmarkBusy(b *testing.B) {
	p, r, a := busy(b), basket(), regular(b)
	f, err := os.Create(filepath.Join(b.TempDir(), "page"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }() // removed with its folder
	page := bytes.Repeat([]byte{1}, 4096)
	keep := func() {
		if _, err := f.WriteAt(page, 0); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	quote := func() {
		q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: 1000_01, Available: 2400_00, At: noon(3, 1), Station: 5, Account: &a})
		if err != nil || q.Earn == 0 {
			b.Fatal(err, q.Earn)
		}
	}
	first := books(b)
	first.Programme, first.Station, first.Local.Snapshot.Account = p, 5, a
	first.Cell.Issued = 5000_00
	closed := func() {
		c := copied(first)
		if _, _, err := c.Close(&loyalty.CloseRequest{Sale: "s", Card: card, Receipt: r, Redeem: 1000_01}, place(1)); err != nil {
			b.Fatal(err)
		}
	}
	for _, bb := range []struct {
		name string
		do   func()
	}{{"quote", quote}, {"close", closed}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bb.do()
			}
			rules, disk := median(bb.do), median(keep)
			b.ReportMetric(float64(rules), "median-ns")
			b.ReportMetric(float64(disk), "fdatasync-ns")
			b.ReportMetric(100*float64(rules)/float64(disk), "%ofsync")
		})
	}
}

// However campaigns are found, a receipt is priced the same.
func TestCampaignsAreFoundAlike(t *testing.T) {
	p, a := busy(t), regular(t)
	slow := p.Unindexed()
	rapid.Check(t, func(t *rapid.T) {
		r := drawReceipt(t, 100_000)
		for i := range r.Lines {
			if l := &r.Lines[i]; l.Kind == loyalty.Goods {
				l.Group = fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"g", "h", "x"}).Draw(t, "letter"), rapid.IntRange(0, 199).Draw(t, "number"))
			}
		}
		c := loyalty.Case{Receipt: &r, At: noon(3, 1), Station: 5, Account: &a, Explain: true}
		fast, err := p.Price(c)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := slow.Price(c); err != nil || !reflect.DeepEqual(fast, want) {
			t.Fatalf("found by name: %+v\none by one: %+v, %v", fast, want, err)
		}
	})
}

// median is how long something takes, half of the time.
func median(do func()) time.Duration {
	took := make([]time.Duration, 301)
	for i := range took {
		start := time.Now()
		do()
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/2]
}
