package hqtest

import (
	"context"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// runGuard runs what says that a station which is not what it says it is moves no more points than its own sales.
func runGuard(t *testing.T, newLab func(tb testing.TB) Lab) {
	for _, c := range []struct {
		name string
		run  func(*Bench)
	}{
		{"headquarters' entries from a station", testForged},
		{"refund to another account", testRefundElsewhere},
		{"refund of another operation", testRefundOfAnother},
		{"refund that takes more than was earned", testRefundTakes},
		{"refunds where points are whole", testRefundsInSteps},
		{"refunds in many pieces", testRefundsInPieces},
		{"number that was refused", testNumberRefused},
		{"claims that were denied", testDenied},
		{"clock that was behind", testClockBehind},
		{"refunds of one name", testRefundsOfOneName},
		{"refunds without end", testRefundsWithoutEnd},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(NewBench(t, newLab(t))) })
	}
}

// alarmOf is the alarm of a station and kind.
func (b *Bench) alarmOf(station loyalty.StationID, kind hq.AlarmKind) hq.Alarm {
	b.Helper()
	alarms, err := b.Store.Alarms(context.Background())
	b.ok(err)
	for _, a := range alarms {
		if a.Station == station && a.Kind == kind {
			return a
		}
	}
	b.Fatalf("no alarm %s of station %d", kind, station)
	return hq.Alarm{}
}

// testForged: whatever only headquarters may write is set aside where a station wrote it, also when it is tried again or
// told again in another epoch, and takes nothing; what the station writes beside it is posted.
func testForged(b *Bench) {
	const number = "7005110000000011"
	ctx := context.Background()
	b.Bring(Account(5, 100), Account(6, 5000))
	_, err := b.ImportCards(ctx, []loyalty.Card{Card(number, 5)})
	b.ok(err)
	b.Adjusts(6, 7, "1") // the own journal has begun
	j := NewJournal(b, 17)
	b.Greets(j, good)
	bodies := []loyalty.Body{
		loyalty.Adjusted{Account: 5, Accrued: []loyalty.Lot{{Amount: 1_000_000}}, Reason: "r", Operator: "thief"},
		loyalty.AccountChanged{Account: 5, State: loyalty.Closed, RedeemOn: true, Reason: "r", Operator: "thief"},
		loyalty.CardChanged{Account: 5, Card: number, State: loyalty.Closed, Reason: "r", Operator: "thief"},
		loyalty.AccountAdvanced{Account: 5, Through: Start + 900*Day, Expired: 100},
		loyalty.AccountBurned{Account: 6, Burned: 5000, Reason: "r", Operator: "thief"},
		loyalty.AccountForgotten{Account: 6, Reason: "r", Operator: "thief"},
		loyalty.ProgrammePublished{Version: 9, Name: "theirs", Operator: "thief"},
	}
	was := []*loyalty.Record{b.Record(5), b.Record(6)}
	for _, body := range bodies {
		j.Append(body)
	}
	r := b.Posts(j.All())
	if r.Counts != [4]int{hq.SetAside: len(bodies)} || len(r.Receipts[0].SetAside) != len(bodies) || len(r.Alarms) != len(bodies) {
		b.Fatalf("%v, %d alarms", r.Counts, len(r.Alarms))
	}
	if a := b.alarmOf(17, hq.ForgedAlarm); a.Count != uint64(len(bodies)) || string(a.Evidence) != string(j.Entries[0]) {
		b.Fatalf("%+v", a)
	}
	b.retries(0, hq.Retried{Tried: len(bodies)})
	b.Raised(hq.ForgedAlarm)
	j.Sell(5, 0, 3)
	b.Posts(j.All())
	j.Replant(2, 0)
	b.Greets(j, good)
	if r := b.Posts(j.All()); r.Counts != [4]int{hq.SetAside: len(bodies), hq.Repeated: 1} {
		b.Fatalf("%v", r.Counts)
	}
	b.Reopen()
	b.retries(17, hq.Retried{Tried: 2 * len(bodies)})
	b.Holds(5, 103)
	b.Holds(6, 5007)
	for i, id := range []loyalty.AccountID{5, 6} {
		r := b.Record(id)
		if r.Account.State != loyalty.Active || r.Account.RedeemOn || r.Account.Advanced != was[i].Account.Advanced {
			b.Fatalf("%+v", r.Account)
		}
	}
	if card, _ := b.has(number); card.State != loyalty.Active {
		b.Fatalf("%+v", card)
	}
}

// testNumberRefused: a card that was refused while nobody had its number does not occupy the number. Whoever gives it out
// next has it, also in the same group, and the first is refused for good then.
func testNumberRefused(b *Bench) {
	const number, later = "7005110000000011", "7005110000000012"
	b.Bring(Account(5, 0))
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	j.Issue(number, loyalty.AdditionalCard, "7005110000000099", false, "") // of a card that nobody has
	j.Issue(later, loyalty.AdditionalCard, "7005110000000099", false, "")
	k.Issue(number, loyalty.MainCard, "", false, "form")
	if r := b.Posts(j.All(), k.All()); r.Counts != [4]int{hq.Posted: 1, hq.SetAside: 2} {
		b.Fatalf("%v", r.Counts)
	}
	b.Reopen()
	k.Issue(later, loyalty.MainCard, "", false, "another form")
	k.Append(k.Sale(0, later, 0, 7))
	if r := b.Posts(k.All()); r.Counts != [4]int{hq.Posted: 2} {
		b.Fatalf("%v", r.Counts)
	}
	b.Reopen()
	card, ok := b.has(later)
	if first, _ := b.has(number); !ok || card.Account < hq.FirstGiven || first.Account < hq.FirstGiven || first.Account == card.Account {
		b.Fatalf("%+v, %+v", card, first)
	}
	b.Holds(card.Account, 7)
	n, err := b.ImportCards(context.Background(), []loyalty.Card{Card("7005110000000099", 5)}) // too late for the first two
	if err != nil || n.Applied != 0 {
		b.Fatalf("%+v %v", n, err)
	}
	if again, _ := b.has(later); again != card {
		b.Fatalf("%+v", again)
	}
	for _, l := range b.aside() {
		if l.Station != 17 || l.Reason != string(loyalty.CardTaken) || l.Waits != "" {
			b.Fatalf("%+v", l)
		}
	}
	k.Replant(2, 0) // and what was given out stays what it is
	b.Greets(k, good)
	if r := b.Posts(k.All()); r.Counts != [4]int{hq.Repeated: 3} {
		b.Fatalf("%v", r.Counts)
	}
	b.Holds(card.Account, 7)
}

// aside is everything that was set aside.
func (b *Bench) aside() []*hq.Line {
	b.Helper()
	lines, err := b.Store.LinesSetAside(context.Background(), hq.Place{}, 1000)
	b.ok(err)
	return lines
}
