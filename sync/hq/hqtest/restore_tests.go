package hqtest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// later lets time pass and opens the store again; between closing and opening, do is done.
func (b *Bench) later(d time.Duration, do func()) {
	b.Helper()
	b.ok(b.Store.Close())
	if do != nil {
		do()
	}
	b.Clock = b.Clock.Add(d)
	b.open()
}

// testVersionsGrow: what a station is told after an older copy was put back is newer, by its version, than what it was
// told before, however much had happened in the life that is lost.
func testVersionsGrow(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 100))
	card := Card("7005110000000011", 5)
	bring := func(s loyalty.State) {
		b.Helper()
		card.State = s
		if _, err := b.ImportCards(ctx, []loyalty.Card{card}); err != nil {
			b.Fatal(err)
		}
	}
	bring(loyalty.Active)
	j, k := NewJournal(b, 17), NewJournal(b, 18)
	b.Greets(j, good)
	b.Greets(k, good)
	told := func() *pb.Answer {
		b.Helper()
		return b.Asks(j, &hq.Ask{Card: card.Number}).Answer
	}
	first := told()
	b.later(time.Second, func() { b.Lab.Save(b) })
	for range 20 {
		bring(loyalty.Blocked)
		bring(loyalty.Active)
		k.Sell(5, 0, 1)
		b.Posts(k.All())
	}
	lost := told()
	b.later(time.Second, func() { b.Lab.Restore(b) })
	bring(loyalty.Blocked)
	after := told()
	if first.Card.Version >= lost.Card.Version || lost.Card.Version >= after.Card.Version {
		b.Fatalf("a card's versions are %d, %d and, after the restore, %d", first.Card.Version, lost.Card.Version, after.Card.Version)
	}
	if first.Snapshot.Version >= lost.Snapshot.Version || lost.Snapshot.Version >= after.Snapshot.Version {
		b.Fatalf("an account's versions are %d, %d and, after the restore, %d", first.Snapshot.Version, lost.Snapshot.Version, after.Snapshot.Version)
	}
	if again := told(); again.Card.Version != after.Card.Version || again.Snapshot.Version != after.Snapshot.Version {
		b.Fatal("versions grow without a change")
	}
}

// saw notes sightings, so that the stations are among those that were seen of late.
func (b *Bench) saw(at loyalty.Instant, js ...*Journal) {
	b.Helper()
	var seen []hq.Sighting
	for _, j := range js {
		seen = append(seen, hq.Sighting{Station: j.Station, Session: j.Session, Online: true, At: at, LastSeq: loyalty.Seq(len(j.Entries))})
	}
	b.ok(b.Saw(context.Background(), seen))
}

// awaited lists who is waited for.
func (b *Bench) awaited() (out []loyalty.StationID) {
	b.Helper()
	states, err := b.Store.AllStations(context.Background(), 0, 100)
	b.ok(err)
	for _, s := range states {
		if s.Awaited {
			out = append(out, s.ID)
		}
	}
	return out
}

// putBack is an account of 1000 points whose rights station 7 has been issued since the copy was made that is now the
// store; station 9 has been seen too, and station 8 a long time ago.
func putBack(b *Bench) (seven, nine *Journal) {
	b.Bring(Account(5, 1000), Account(6, 1000))
	seven, nine = NewJournal(b, 7), NewJournal(b, 9)
	eight := NewJournal(b, 8)
	for _, j := range []*Journal{seven, eight, nine} {
		b.Greets(j, good)
	}
	b.saw(Start-40*Day, eight)
	b.saw(Start, seven, nine)
	b.later(time.Second, func() { b.Lab.Save(b) })
	if left := b.Grants(seven, 5, 1000); left != 1000 {
		b.Fatalf("rights of %s", left)
	}
	b.later(50*24*time.Hour, func() { b.Lab.Restore(b) }) // nobody has been seen for long: what counts is when the copy was made
	b.ok(b.Distrust(context.Background()))
	return seven, nine
}

func (b *Bench) refuses(j *Journal, account loyalty.AccountID) {
	b.Helper()
	r := b.Asks(j, j.TopUp(account, 100))
	if r.Answer.Refusal != string(loyalty.NoRights) || r.Granted != 0 || r.Answer.Grant.GetIssued() != 0 || r.Answer.Snapshot == nil {
		b.Fatalf("station %d is answered %v", j.Station, r.Answer)
	}
}

// testRestoredWaits: rights that a lost life has issued are not issued again. Everything else goes on.
func testRestoredWaits(b *Bench) {
	seven, nine := putBack(b)
	b.Raised(hq.CopyAlarm)
	if w := b.awaited(); len(w) != 2 || w[0] != 7 || w[1] != 9 {
		b.Fatalf("awaited are %v", w)
	}
	b.Greets(nine, good)
	b.refuses(nine, 5)
	b.refuses(nine, 6)
	nine.Sell(5, 0, 10)
	b.Posts(nine.All())
	b.Holds(5, 1010)
	if r := b.Asks(nine, &hq.Ask{Account: 5}); r.Answer.Refusal != "" || r.Answer.Snapshot == nil {
		b.Fatalf("%v", r.Answer)
	}
	b.Clock = b.Clock.Add(10 * time.Minute)
	b.Greets(nine, good)
	b.refuses(nine, 5)
	b.Reopen()
	seven.Sell(5, 300, 0)
	b.Greets(seven, good)
	b.Clock = b.Clock.Add(time.Minute)
	seven.Return(5)
	b.Greets(seven, good) // too early, and not all of it is here
	b.Clock = b.Clock.Add(10 * time.Minute)
	b.Greets(seven, good)
	b.refuses(nine, 5)
	b.Posts(seven.All())
	b.saw(loyalty.At(b.Clock), seven) // what it says of itself will do
	if w := b.awaited(); len(w) != 0 {
		b.Fatalf("awaited are %v", w)
	}
	if left := b.Grants(nine, 5, 1000); left != 710 {
		b.Fatalf("rights of %s, of 1010 points station 7 has used 300", left)
	}
}

// testRestoreAccepted: an operator does not wait.
func testRestoreAccepted(b *Bench) {
	ctx := context.Background()
	_, nine := putBack(b)
	b.Greets(nine, good)
	b.refuses(nine, 6)
	b.ok(b.Distrust(ctx)) // said twice
	for _, want := range []bool{true, false} {
		if waited, err := b.AcceptRestore(ctx); err != nil || waited != want {
			b.Fatal(waited, err)
		}
	}
	b.Reopen()
	if left := b.Grants(nine, 6, 100); left != 100 {
		b.Fatalf("rights of %s", left)
	}
}

// testNewEpochAfterRestore: what a station was acknowledged in the lost life, and does not send again since it has begun
// a new epoch, is named.
func testNewEpochAfterRestore(b *Bench) {
	seven, nine := putBack(b)
	seven.Sell(5, 0, 10) // acknowledged by the life that is lost
	seven.Replant(2, 1)
	b.Greets(seven, good)
	b.Raised(hq.CopyAlarm, hq.GapAlarm)
	b.Greets(nine, good)
	nine.Replant(2, 0)
	b.Greets(nine, good) // it has greeted before: nothing is missing
	alarms, err := b.Store.Alarms(context.Background())
	b.ok(err)
	got := map[loyalty.StationID]map[hq.AlarmKind]string{}
	for _, a := range alarms {
		if got[a.Station] == nil {
			got[a.Station] = map[hq.AlarmKind]string{}
		}
		got[a.Station][a.Kind] = a.Text
	}
	if len(got[7]) != 2 || len(got[9]) != 1 || got[9][hq.EpochAlarm] == "" {
		b.Fatalf("%v", got)
	}
	if want := "epoch 2 has begun: the station began it by itself: its ledger was restored, mended or copied; of epoch 1 headquarters has the entries through 0"; got[7][hq.EpochAlarm] != want {
		b.Fatalf("%s", got[7][hq.EpochAlarm])
	}
}

// testGapAccepted: a station that no longer keeps what headquarters lack goes on when an operator says so.
func testGapAccepted(b *Bench) {
	ctx := context.Background()
	b.Bring(Account(5, 0))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	for range 6 {
		j.Sell(5, 0, 10)
	}
	b.Posts(j.Batch(1, 2))
	greet := func(first loyalty.Seq) hq.Greeting {
		b.Helper()
		h := j.Hello()
		h.First = first
		g, err := b.Hello(ctx, h)
		b.ok(err)
		return g
	}
	if g := greet(5); g.Verdict != pb.Verdict_VERDICT_TRIMMED {
		b.Fatalf("%+v", g)
	}
	b.ok(b.AcceptGap(ctx, 17))
	if err := b.AcceptGap(ctx, 99); !errors.Is(err, hq.ErrNoStation) {
		b.Fatal(err)
	}
	b.Reopen()
	g := greet(5)
	if g.Verdict != newEpoch || g.Cursor.Epoch != 1 || len(g.Alarms) != 1 || !strings.HasPrefix(g.Alarms[0].Text, "as an operator accepted, entries 3 to 4 of epoch 1, 2 of them, are missing") {
		b.Fatalf("%+v", g)
	}
	j.Replant(2, 4)
	b.Greets(j, good)
	b.Posts(j.All())
	b.Holds(5, 40)
	b.Raised(hq.TrimmedAlarm, hq.GapAlarm)
	// The consent was for that gap. A whole epoch that came and went unheard is a gap too.
	j.Replant(4, 0)
	if g := greet(3); g.Verdict != pb.Verdict_VERDICT_TRIMMED {
		b.Fatalf("%+v", g)
	}
	b.ok(b.AcceptGap(ctx, 17))
	if g := greet(3); g.Verdict != newEpoch || g.Cursor.Epoch != 4 {
		b.Fatalf("%+v", g)
	}
}

// testLateBoot: a hello from before the station's last start arrives behind the one from after it.
func testLateBoot(b *Bench) {
	b.Bring(Account(5, 1000))
	j := NewJournal(b, 17)
	b.Greets(j, good)
	late := j.Hello()
	j.Sell(5, 0, 10)
	b.Posts(j.All())
	j.Boot[1]++
	j.Append(loyalty.Started{Boot: j.Boot, Version: "test"})
	early := j.Hello()
	b.Greets(j, good)
	b.Posts(j.All())
	hello := func(h *hq.Hello, late bool) {
		b.Helper()
		g, err := b.Hello(context.Background(), h)
		b.ok(err)
		if g.Late != late {
			b.Fatalf("%+v", g)
		}
		if left := b.Grants(j, 5, 100); left != 100 {
			b.Fatalf("rights of %s: the hello counts as a fork", left)
		}
	}
	hello(late, true)
	hello(early, false)
	j.Replant(2, 1)
	b.Greets(j, good)
	b.Posts(j.All())
	j.Cells = map[loyalty.AccountID]*loyalty.Cell{}
	hello(early, true) // of the same boot, and an epoch before
	hello(late, true)
	b.Raised()
	// A copy of the ledger that starts is no late hello, though its session number is low.
	k := NewJournal(b, 17)
	k.Boot = [16]byte{99}
	b.Greets(k, newEpoch)
	b.Raised(hq.RollbackAlarm)
}
