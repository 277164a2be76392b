package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
	"pgregory.net/rapid"
)

// world is the plain model: headquarters' books of a few accounts, applied with the domain's own code, and what the
// station answered of each sale.
type world struct {
	t       *rapid.T
	cfg     Config
	l       *Ledger
	hq      map[loyalty.AccountID]*loyalty.Record
	ops     map[loyalty.OpID]bool // what headquarters has
	steps   map[string]bool       // and of which sales it has the end, and which refunds
	at      place                 // headquarters' cursor
	sales   map[loyalty.SaleID]*modelSale
	next    int
	minimum map[loyalty.AccountID]loyalty.Points // redeemed by answered sales
	copies  []string
	shifts  map[loyalty.ShiftID]*modelShift
}

// modelShift is what the answers of a shift come to.
type modelShift struct {
	loyalty.Totals
	closed bool
}

type modelSale struct {
	state    loyalty.SaleState
	card     int
	reserved loyalty.Points
	redeemed loyalty.Points
	earned   loyalty.Points
	open     *loyalty.OpenRequest
	close    *loyalty.CloseRequest
	refunds  []*loyalty.RefundRequest
	clawed   loyalty.Points
	returned loyalty.Points
}

const modelAccounts = 4

func newWorld(t *rapid.T, dir string) *world {
	w := &world{
		t: t, hq: make(map[loyalty.AccountID]*loyalty.Record), ops: make(map[loyalty.OpID]bool), steps: make(map[string]bool),
		shifts: make(map[loyalty.ShiftID]*modelShift),
		sales:  make(map[loyalty.SaleID]*modelSale), minimum: make(map[loyalty.AccountID]loyalty.Points),
		cfg: Config{Path: filepath.Join(dir, "ledger.db"), Station: station, Version: "model", MaxSize: 64 << 20},
	}
	for i := 1; i <= modelAccounts; i++ {
		w.hq[loyalty.AccountID(i)] = &loyalty.Record{
			Account: loyalty.Account{ID: loyalty.AccountID(i), Lots: []loyalty.Lot{{Amount: 300_00, ActiveFrom: earliest}}}, Version: 1,
		}
	}
	w.open()
	if err := w.l.LoadProgramme(context.Background(), []byte(watchedProgramme)); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= modelAccounts; i++ {
		w.learn(loyalty.AccountID(i), 0)
	}
	return w
}

func (w *world) open() {
	l, err := openTuned(w.cfg, func(l *Ledger) { l.noSync = true })
	if err != nil {
		w.t.Fatal(err)
	}
	w.l = l
}

func (w *world) shut() {
	if err := w.l.Close(); err != nil {
		w.t.Fatal(err)
	}
	if _, err := CheckFile(context.Background(), w.cfg.Path, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) position() wire.Position {
	p, err := w.l.Position(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// learn answers a question: the account's snapshot, and rights for want.
func (w *world) learn(id loyalty.AccountID, want loyalty.Points) {
	p := w.position()
	if p.Epoch != w.at.epoch {
		w.at = place{p.Epoch, 0}
	}
	epoch, st, err := w.l.Statement(id)
	if err != nil {
		w.t.Fatal(err)
	}
	r, key := w.hq[id], loyalty.CellKey{Station: station, Epoch: epoch}
	a := &pb.Answer{Card: &pb.Card{Number: string(cardOf(int(id))), Account: uint64(id), MayRedeem: true, Version: 1}}
	if want > 0 {
		a.Grant = &pb.Grant{Account: uint64(id), Epoch: uint32(epoch), Issued: uint64(r.TopUp(key, st, want, w.now()))}
	}
	s := r.Snapshot(key, w.at.seq, w.now())
	a.Snapshot = wire.FromSnapshot(&s)
	if err := w.l.Learn(context.Background(), a); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() loyalty.Instant { at, _ := w.l.Now(); return at }

// ship lets headquarters apply n entries behind its cursor and acknowledge them.
func (w *world) ship(n int) {
	p := w.position()
	if p.Epoch != w.at.epoch {
		w.at = place{p.Epoch, 0}
	}
	if w.at.seq >= p.Last {
		return
	}
	raw, err := w.l.Read(context.Background(), p.Epoch, w.at.seq+1, n, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range raw {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			w.t.Fatal(err)
		}
		w.at.seq++
		w.apply(e)
	}
	h, err := w.l.HashAt(p.Epoch, w.at.seq)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.l.Acked(context.Background(), p.Epoch, w.at.seq, h, nil); err != nil {
		w.t.Fatal(err)
	}
}

// apply is what headquarters does: an operation that it has, or a sale that it knows to have ended or been refunded so, counts for the new
// epoch's cell only.
func (w *world) apply(e *loyalty.Entry) {
	id, _ := loyalty.Subject(e.Body)
	r := w.hq[id]
	if r == nil {
		return
	}
	key := loyalty.CellKey{Station: station, Epoch: w.at.epoch}
	step := string(endedSale(e.Body))
	if b, ok := e.Body.(loyalty.SaleRefunded); ok {
		step = fmt.Sprintf("%s refund %s", b.Sale, b.Refund)
	}
	known := w.ops[e.Op] || w.steps[step]
	w.ops[e.Op] = true
	if !known {
		if step != "" {
			w.steps[step] = true
		}
		if _, err := r.Post(key, w.at.seq, e); err != nil {
			w.t.Fatalf("headquarters cannot post entry %d: %v", w.at.seq, err)
		}
		return
	}
	st, _ := statementOf(e.Body)
	c := r.Cells[key]
	c.Report(st)
	if p, ok := loyalty.PostingOf(w.at.epoch, w.at.seq, e); ok {
		c.Posted += p.Redeemed
	}
	c.Issued += max(0, -c.Outstanding())
	if r.Cells == nil {
		r.Cells = make(map[loyalty.CellKey]loyalty.Rights)
	}
	r.Cells[key] = c
}

func (w *world) pick(states ...loyalty.SaleState) (loyalty.SaleID, *modelSale) {
	var ids []loyalty.SaleID
	for id, s := range w.sales {
		if slices.Contains(states, s.state) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		w.t.Skip("no such sale")
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(w.t, "sale")
	return id, w.sales[id]
}

func (w *world) openSale(t *rapid.T) {
	w.next++
	card := rapid.IntRange(1, modelAccounts).Draw(t, "card")
	r := &loyalty.OpenRequest{
		Sale: loyalty.SaleID(fmt.Sprintf("s%d", w.next)), Card: cardOf(card), Receipt: fuel(int64(rapid.IntRange(1, 9).Draw(t, "litres"))),
		Redeem: loyalty.Points(rapid.IntRange(0, 200).Draw(t, "redeem")) * 100, Who: w.who(t),
	}
	s, err := w.l.OpenSale(context.Background(), r)
	w.ended(r.Who, err)
	if err != nil {
		if _, refused := loyalty.RefusalOf(err); !refused {
			t.Fatal(err)
		}
		return
	}
	w.sales[r.Sale] = &modelSale{state: loyalty.SaleOpen, card: card, reserved: s.Reserved, open: r}
}

func (w *world) closeSale(t *rapid.T) {
	id, m := w.pick(loyalty.SaleOpen)
	litres := int64(rapid.IntRange(1, 9).Draw(t, "litres"))
	r := &loyalty.CloseRequest{Sale: id, Receipt: fuel(litres), Redeem: loyalty.Points(rapid.IntRange(0, int(m.reserved/100)).Draw(t, "redeem")) * 100, Who: w.who(t)}
	s, err := w.l.CloseSale(context.Background(), r)
	if err != nil {
		if _, refused := loyalty.RefusalOf(err); !refused || errors.Is(err, loyalty.ShiftEnded) {
			t.Fatal(err)
		}
		return
	}
	m.state, m.redeemed, m.earned, m.close = loyalty.SaleDone, s.Quote.Redeem, s.Quote.Earn, r
	w.count(ending(r.Who, m.open.Who), soldTotals(s))
}

func (w *world) oneStep(t *rapid.T) {
	w.next++
	card := rapid.IntRange(1, modelAccounts).Draw(t, "card")
	r := &loyalty.CloseRequest{
		Sale: loyalty.SaleID(fmt.Sprintf("s%d", w.next)), Card: cardOf(card), Receipt: fuel(int64(rapid.IntRange(1, 9).Draw(t, "litres"))),
		Redeem: loyalty.Points(rapid.IntRange(0, 100).Draw(t, "redeem")) * 100, Who: w.who(t),
	}
	s, err := w.l.CloseSale(context.Background(), r)
	w.ended(r.Who, err)
	if err != nil {
		if _, refused := loyalty.RefusalOf(err); !refused {
			t.Fatal(err)
		}
		return
	}
	w.sales[r.Sale] = &modelSale{state: loyalty.SaleDone, card: card, redeemed: s.Quote.Redeem, earned: s.Quote.Earn, close: r}
	w.count(r.Who, soldTotals(s))
}

func (w *world) voidSale(t *rapid.T) {
	id, m := w.pick(loyalty.SaleOpen)
	r := &loyalty.VoidRequest{Sale: id, Reason: "model", Who: w.who(t)}
	if _, err := w.l.VoidSale(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	m.state = loyalty.SaleCancelled
	w.count(ending(r.Who, m.open.Who), loyalty.Totals{Voids: 1})
}

// refund gives back a part of a closed sale, or what is left: never more than the sale took and gave.
func (w *world) refund(t *rapid.T) {
	id, m := w.pick(loyalty.SaleDone)
	r := &loyalty.RefundRequest{Sale: id, Refund: loyalty.RefundID(fmt.Sprint("r", len(m.refunds))), Reason: "model", Who: w.who(t)}
	if rapid.Bool().Draw(t, "a part") {
		r.Lines = []loyalty.RefundLine{{Line: 1, Amount: loyalty.Kopecks(rapid.IntRange(1, 200).Draw(t, "roubles")) * 100}}
	}
	s, err := w.l.RefundSale(context.Background(), r, nil)
	if errors.Is(err, loyalty.RefundMore) || w.ended(r.Who, err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	f := s.Refund(r.Refund)
	back := loyalty.Totals{Refunds: 1, Returned: f.Returned, Clawed: f.Clawed}
	back.Refunded[0] = f.Money()
	w.count(r.Who, back)
	m.refunds, m.clawed, m.returned = append(m.refunds, r), m.clawed+f.Clawed, m.returned+f.Returned
	if m.clawed > m.earned || m.returned > m.redeemed || f.All && (m.clawed != m.earned || m.returned != m.redeemed) {
		t.Fatalf("%s of %s taken back, %s of %s returned: %+v", m.clawed, m.earned, m.returned, m.redeemed, f)
	}
}

// again asks for something that was answered before: the same answer, or a conflict.
func (w *world) again(t *rapid.T) {
	id, m := w.pick(loyalty.SaleOpen, loyalty.SaleDone)
	before := w.position()
	var s *loyalty.Sale
	var err error
	if m.close != nil {
		s, err = w.l.CloseSale(context.Background(), m.close)
	} else {
		s, err = w.l.OpenSale(context.Background(), m.open)
	}
	if err != nil || s.State != m.state || s.ID != id || (m.close != nil && s.Quote.Redeem != m.redeemed) {
		t.Fatalf("again: %+v, %v; model %+v", s, err, m)
	}
	if m.close != nil {
		other := *m.close
		other.Receipt = fuel(99)
		if _, err := w.l.CloseSale(context.Background(), &other); !errors.Is(err, loyalty.Conflict) {
			t.Fatalf("another content: %v", err)
		}
	}
	for i, r := range m.refunds {
		s, err := w.l.RefundSale(context.Background(), r, nil)
		if err != nil || len(s.Refunds) != len(m.refunds) {
			t.Fatalf("refund again: %+v, %v; model %+v", s, err, m)
		}
		other := *r
		other.Lines = []loyalty.RefundLine{{Line: 1, Amount: 99_999_00}}
		if _, err := w.l.RefundSale(context.Background(), &other, nil); !errors.Is(err, loyalty.Conflict) {
			t.Fatalf("refund %d with another content: %v", i, err)
		}
	}
	if after := w.position(); after.Last != before.Last {
		t.Fatalf("asking again appended: %d, %d", before.Last, after.Last)
	}
}

// downStream sends the snapshots of all accounts, sometimes twice or out of order.
func (w *world) downStream(t *rapid.T) {
	p := w.position()
	if p.Epoch != w.at.epoch {
		return
	}
	d := &pb.Down{Stream: 9, After: p.DownSeq, Through: p.DownSeq + 1}
	if p.DownStream != 9 {
		d.After, d.Through = 0, 1
	}
	for _, id := range slices.Sorted(maps.Keys(w.hq)) {
		s := w.hq[id].Snapshot(loyalty.CellKey{Station: station, Epoch: p.Epoch}, w.at.seq, w.now())
		d.Items = append(d.Items, &pb.Item{Item: &pb.Item_Snapshot{Snapshot: wire.FromSnapshot(&s)}})
	}
	if rapid.Bool().Draw(t, "gap") {
		if err := w.l.ApplyDown(context.Background(), &pb.Down{Stream: 9, After: d.Through + 1, Through: d.Through + 2}); err != nil {
			t.Fatal(err)
		}
		if w.position().DownSeq != p.DownSeq {
			t.Fatal("a message behind a gap was taken")
		}
	}
	for range 2 {
		if err := w.l.ApplyDown(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.position(); got.DownStream != 9 || got.DownSeq != d.Through {
		t.Fatalf("cursor %d/%d, want 9/%d", got.DownStream, got.DownSeq, d.Through)
	}
}
