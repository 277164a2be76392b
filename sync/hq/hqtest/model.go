package hqtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// network is some stations, what they have really done, and the store under test.
type network struct {
	*Bench
	journals []*Journal
	grants   []hq.Reply // that are under way, with the station each is for
	to       []*Journal
	truth    map[loyalty.AccountID]loyalty.Points
	opening  map[loyalty.AccountID]loyalty.Points
	stream   map[loyalty.StationID]hq.Stream // where each station has the down-stream
	sold     map[*Journal][]*soldOnce
	clawed   map[loyalty.AccountID]loyalty.Points
	thaw     map[*Journal]loyalty.Seq              // a station in a new epoch asks for no rights before this is posted
	given    map[loyalty.CardNumber]loyalty.Points // cards to be given out, some time, and what was sold to them
	cards    []loyalty.CardNumber                  // in the order of their numbers
	owners   []*Journal                            // who gives each card out; nil: it has been
}

// soldOnce is a sale and what is left of it to refund.
type soldOnce struct {
	op      loyalty.OpID
	body    loyalty.SaleClosed
	money   loyalty.Kopecks
	earned  loyalty.Points
	spent   loyalty.Points
	refunds int
}

// testModel: whatever is lost, repeated, delayed and reordered, and however often the store is closed between, rights
// never exceed points; and once everything has arrived, the books hold exactly what the stations did.
func testModel(t *testing.T, newLab func(tb testing.TB) Lab) {
	rapid.Check(t, func(rt *rapid.T) {
		n := newNetwork(t, rt, newLab(t))
		rt.Repeat(map[string]func(*rapid.T){
			"earn": n.earn, "issue": n.issue, "sell to a card": n.sellToCard, "redeem": n.redeem, "ask": n.ask, "arrive": n.arrive, "return": n.giveBack, "refund": n.refund, "correct": n.correct, "post": n.post,
			"hello": n.hello, "reopen": n.reopen, "replant": n.replant, "down": n.down, "": n.invariants,
		})
		n.heal()
		n.CheckAll()
		n.ok(n.Store.Close())
		n.Store = nil
	})
}

func newNetwork(t *testing.T, rt *rapid.T, lab Lab) *network {
	b := &Bench{TB: rt2tb{t, rt}, Lab: lab, Clock: Start.Time(), enrol: true}
	b.open()
	n := &network{Bench: b, truth: map[loyalty.AccountID]loyalty.Points{}, opening: map[loyalty.AccountID]loyalty.Points{}, stream: map[loyalty.StationID]hq.Stream{}, thaw: map[*Journal]loyalty.Seq{},
		sold: map[*Journal][]*soldOnce{}, clawed: map[loyalty.AccountID]loyalty.Points{},
		given: map[loyalty.CardNumber]loyalty.Points{}}
	for id := range loyalty.AccountID(2) {
		points := loyalty.Points(rapid.IntRange(0, 500).Draw(rt, "points"))
		b.Bring(Account(id+1, points))
		n.truth[id+1], n.opening[id+1] = points, points
	}
	for s := range loyalty.StationID(3) {
		j := NewJournal(b.TB, s+1)
		n.journals = append(n.journals, j)
		b.Greets(j, good)
		for range 2 {
			card := loyalty.CardNumber(fmt.Sprintf("70053300%08d", len(n.cards)))
			n.cards, n.owners = append(n.cards, card), append(n.owners, j)
		}
	}
	return n
}

// rt2tb is the test's own TB with failures that the shrinker sees.
type rt2tb struct {
	testing.TB
	rt *rapid.T
}

func (r rt2tb) Fatalf(format string, args ...any) { r.rt.Fatalf(format, args...) }
func (r rt2tb) Fatal(args ...any)                 { r.rt.Fatal(args...) }
func (r rt2tb) Errorf(format string, args ...any) { r.rt.Errorf(format, args...) }
func (r rt2tb) Error(args ...any)                 { r.rt.Error(args...) }
func (r rt2tb) Helper()                           {}

func (n *network) station(rt *rapid.T) *Journal {
	return n.journals[rapid.IntRange(0, len(n.journals)-1).Draw(rt, "station")]
}

func account(rt *rapid.T) loyalty.AccountID {
	return loyalty.AccountID(rapid.IntRange(1, 2).Draw(rt, "account"))
}

func (n *network) earn(rt *rapid.T) {
	id, x := account(rt), loyalty.Points(rapid.IntRange(1, 50).Draw(rt, "earn"))
	n.sell(n.station(rt), id, 0, x)
	n.truth[id] += x
}

func (n *network) sell(j *Journal, id loyalty.AccountID, redeem, earn loyalty.Points) {
	body := j.Sale(id, "", redeem, earn)
	n.sold[j] = append(n.sold[j], &soldOnce{op: j.Append(body), body: body, money: body.Receipt.Total(), earned: earn, spent: redeem})
}

// issue gives out a card, once.
func (n *network) issue(rt *rapid.T) {
	i := rapid.IntRange(0, len(n.cards)-1).Draw(rt, "card")
	if n.owners[i] == nil {
		rt.Skip("it was given out")
	}
	n.giveOut(i)
}

func (n *network) giveOut(i int) {
	n.owners[i].Issue(n.cards[i], loyalty.MainCard, "", false, "form of "+string(n.cards[i]))
	n.owners[i] = nil
}

// sellToCard sells to a card, whether or not anybody has heard of it.
func (n *network) sellToCard(rt *rapid.T) {
	card := n.cards[rapid.IntRange(0, len(n.cards)-1).Draw(rt, "card")]
	x := loyalty.Points(rapid.IntRange(1, 50).Draw(rt, "earn"))
	j := n.station(rt)
	j.Append(j.Sale(0, card, 0, x))
	n.given[card] += x
}

// refund takes back and gives back a part of a sale, or what is left, at its own station or, once headquarters has the sale,
// at another.
func (n *network) refund(rt *rapid.T) {
	j := n.station(rt)
	if len(n.sold[j]) == 0 {
		rt.Skip("nothing was sold")
	}
	s := n.sold[j][rapid.IntRange(0, len(n.sold[j])-1).Draw(rt, "sale")]
	if s.money < 2 {
		rt.Skip("nothing is left")
	}
	money := loyalty.Kopecks(rapid.Int64Range(1, int64(s.money)).Draw(rt, "money"))
	clawed := loyalty.Points(rapid.Int64Range(0, int64(s.earned)).Draw(rt, "clawed"))
	returned := loyalty.Points(rapid.Int64Range(0, min(int64(s.spent), int64(money))).Draw(rt, "returned"))
	s.refunds++
	body := Refund(s.op, &s.body, loyalty.RefundID(fmt.Sprint(s.refunds)), money, clawed, returned)
	at := n.station(rt)
	if at != j {
		if len(j.Entries) > 0 {
			n.Posts(j.All())
		}
		body.Station = j.Station
	}
	at.Append(body)
	s.money, s.earned, s.spent = s.money-money, s.earned-clawed, s.spent-returned
	n.truth[s.body.Account] += returned - clawed
	n.clawed[s.body.Account] += clawed
}

func (n *network) redeem(rt *rapid.T) {
	id, j := account(rt), n.station(rt)
	left := j.Cell(id).Left()
	if left == 0 {
		rt.Skip("no rights")
	}
	x := loyalty.Points(rapid.Int64Range(1, int64(left)).Draw(rt, "redeem"))
	n.sell(j, id, x, 0)
	n.truth[id] -= x
	if n.truth[id] < -n.clawed[id] {
		rt.Fatalf("account %d was overspent by %s", id, -n.clawed[id]-n.truth[id])
	}
}

func (n *network) ask(rt *rapid.T) {
	id, j := account(rt), n.station(rt)
	if s, _, _, _, err := n.About(context.Background(), j.Station); err != nil || s.Cursor.Seq < n.thaw[j] {
		rt.Skip("frozen")
	}
	n.grants = append(n.grants, n.Asks(j, j.TopUp(id, loyalty.Points(rapid.IntRange(1, 300).Draw(rt, "want")))))
	n.to = append(n.to, j)
}

// arrive delivers an answer that is under way, any of them, and perhaps not for the last time.
func (n *network) arrive(rt *rapid.T) {
	if len(n.grants) == 0 {
		rt.Skip("nothing is under way")
	}
	i := rapid.IntRange(0, len(n.grants)-1).Draw(rt, "answer")
	n.to[i].Take(n.grants[i])
}

func (n *network) giveBack(rt *rapid.T) { n.station(rt).Return(account(rt)) }

func (n *network) post(rt *rapid.T) {
	var batches []*hq.Batch
	for range rapid.IntRange(1, 3).Draw(rt, "batches") {
		j := n.station(rt)
		if len(j.Entries) == 0 {
			continue
		}
		first := rapid.IntRange(1, len(j.Entries)).Draw(rt, "first")
		batches = append(batches, j.Batch(first, rapid.IntRange(first, len(j.Entries)).Draw(rt, "last")))
	}
	for i, rc := range n.Posts(batches...).Receipts {
		if rc.Verdict == hq.Forked || slices.ContainsFunc(rc.SetAside, func(e hq.SetAsideEntry) bool { return !strings.HasPrefix(e.Reason, string(loyalty.UnknownCard)) }) {
			rt.Fatalf("batch %d: %+v", i, rc)
		}
	}
}

func (n *network) hello(rt *rapid.T) { n.greet(n.station(rt)) }

func (n *network) greet(j *Journal) hq.Greeting {
	h := j.Hello()
	h.DownStream, h.DownSeq = n.stream[j.Station].ID, n.stream[j.Station].Acked
	g, err := n.Hello(context.Background(), h)
	n.ok(err)
	if g.Verdict != pb.Verdict_VERDICT_OK {
		n.Fatalf("verdict %s", g.Verdict)
	}
	return g
}

func (n *network) reopen(*rapid.T) { n.Reopen() }

// replant gives a station a new epoch, as if its acknowledgements had been lost in part. (What it has redeemed is posted
// before: rights that were used in one epoch and are told in the next stay held, and the books are then more careful
// than the invariant says.)
func (n *network) replant(rt *rapid.T) {
	j := n.station(rt)
	if j.Epoch > 2 {
		rt.Skip("enough epochs")
	}
	if len(j.Entries) > 0 {
		n.Posts(j.All())
	}
	j.Replant(j.Epoch+1, rapid.IntRange(0, len(j.Entries)).Draw(rt, "acked"))
	n.thaw[j] = loyalty.Seq(len(j.Entries))
	n.greet(j)
}

// down carries a station's down-stream on by a message, or loses its acknowledgement.
func (n *network) down(rt *rapid.T) {
	j := n.station(rt)
	_, st, _, _, err := n.About(context.Background(), j.Station)
	n.ok(err)
	at := n.stream[j.Station]
	if at.ID != st.ID {
		at = hq.Stream{ID: st.ID}
	}
	d, err := n.Down(context.Background(), j.Station, st, st.Acked)
	n.ok(err)
	if d == nil || d.After > at.Acked {
		return
	}
	n.stream[j.Station] = hq.Stream{ID: st.ID, Acked: max(at.Acked, d.Through)}
	if rapid.Bool().Draw(rt, "acknowledged") {
		if ok, err := n.DownAcked(context.Background(), j.Station, n.stream[j.Station]); err != nil || !ok {
			rt.Fatalf("an acknowledgement of %+v was refused: %v", n.stream[j.Station], err)
		}
	}
}

// invariants: the rights outstanding never exceed the points, and no lot is below zero.
func (n *network) invariants(rt *rapid.T) {
	for id := range n.truth {
		r := n.Record(id)
		if err := r.Check(); err != nil {
			rt.Fatal(err)
		}
		has := r.Account.Clawed - r.Account.Debt // what refunds may have taken under rights that were out
		for _, l := range r.Account.Lots {
			has += l.Amount
		}
		if out := r.Outstanding(); out > has {
			rt.Fatalf("account %d: rights of %s for %s", id, out, has)
		}
	}
}

// heal delivers everything and compares.
func (n *network) heal() {
	for i, j := range n.owners {
		if j != nil {
			n.giveOut(i)
		}
	}
	for _, j := range n.journals {
		g := n.greet(j)
		if len(j.Entries) > 0 {
			n.Posts(j.All())
		}
		n.Drain(j.Station, g.Stream)
	}
	for id, want := range n.truth {
		n.Holds(id, max(0, want))
		if debt := n.Record(id).Account.Debt; debt != max(0, -want) {
			n.Fatalf("account %d owes %s, want %s", id, debt, max(0, -want))
		}
	}
	for _, number := range n.cards {
		card, ok := n.has(number)
		if !ok || card.Account < hq.FirstGiven || len(n.formsOf(card.Account)) != 1 {
			n.Fatalf("card %s: %+v", number, card)
		}
		n.Holds(card.Account, n.given[number])
	}
	n.Raised()
}
