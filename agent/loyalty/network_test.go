package loyalty_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// network is one account, its record at HQ, the stations where it shops, and the messages between them, any of which may
// be lost, repeated, late or out of order. Everything that happens is chosen by choose, which a property draws (and
// shrinks) and a search for the faults of wrong designs takes from a seed.
type network struct {
	choose   func(n int) int
	wrong    wrongDesign
	prog     *loyalty.Programme
	now      loyalty.Instant
	hq       loyalty.Record
	applied  []loyalty.Seq // by station
	credits  loyalty.Points
	stations []*station
	wire     []message
}

// wrongDesign is what somebody could build instead. Each is here to be caught.
type wrongDesign int

const (
	asDesigned wrongDesign = iota
	grantsAsDeltas
	returnsAsDeltas
	reclaimAtExpiry
	oldStatementWins
)

type station struct {
	id      loyalty.StationID
	local   loyalty.Local
	cell    loyalty.Cell
	open    loyalty.Points
	sales   []*loyalty.Sale
	journal []loyalty.Entry
}

// message is one of: a TOPUP (want), a grant (issued), an entry (entry) or a snapshot.
type message struct {
	station   int
	want      loyalty.Points
	statement loyalty.Statement
	granted   bool
	issued    loyalty.Points
	raisedBy  loyalty.Points
	seq       loyalty.Seq
	snapshot  *loyalty.Snapshot
}

// shortLived earns lots that wait for a day and live for a month, so that activation and expiry fall among everything else.
const shortLived = `
earn:
  - {fuel: ["*"], points: 1}
activation: {days: 1}
expiry: {months: 1}
redeem: {step: 0.01}
`

func newNetwork(t testing.TB, choose func(int) int, wrong wrongDesign) *network {
	n := &network{choose: choose, wrong: wrong, prog: programme(t, shortLived), now: noon(1, 10)}
	lots := []loyalty.Lot{{Amount: 100}, {Amount: 20, Expires: n.now.Add(2 * day)}, {Amount: 100, ActiveFrom: n.now.Add(day)}}
	n.hq.Account.ID = account
	for _, l := range lots {
		if err := n.hq.Account.Accrue(l); err != nil {
			t.Fatal(err)
		}
		n.credits += l.Amount
	}
	for i := range 3 {
		s := &station{id: loyalty.StationID(i + 1)}
		n.stations = append(n.stations, s)
		n.applied = append(n.applied, 0)
		s.local.Learn(n.hq.Snapshot(s.key(), 0, n.now))
	}
	return n
}

const day = 24 * 3600 * 1e9 // nanoseconds, as a time.Duration

func (s *station) key() loyalty.CellKey { return loyalty.CellKey{Station: s.id, Epoch: 1} }

func (s *station) books(p *loyalty.Programme) *loyalty.Books {
	return &loyalty.Books{
		Programme: p, Card: loyalty.Card{Number: card, Account: account, MayRedeem: true}, Known: true,
		Local: s.local.Clone(), Cell: s.cell, Reserved: s.open,
	}
}

// write keeps what an operation has done to the books, and its entry.
func (s *station) write(b *loyalty.Books, body loyalty.Body, at loyalty.Instant) {
	s.local, s.cell, s.open = b.Local, b.Cell, b.Reserved
	s.journal = append(s.journal, loyalty.Entry{At: at, Body: body})
}

func (n *network) place(s *station) loyalty.Place {
	seq := loyalty.Seq(len(s.journal) + 1)
	return loyalty.Place{Epoch: 1, Seq: seq, Op: loyalty.NewOpID(n.now, [10]byte{byte(s.id), byte(seq)}), At: n.now}
}

// step does one thing.
func (n *network) step() error {
	i := n.choose(len(n.stations))
	s := n.stations[i]
	switch n.choose(16) {
	case 12, 13:
		return n.visit(i)
	case 14, 15:
		return n.refund(s)
	case 0:
		return n.sell(s)
	case 1:
		n.openSale(s)
	case 2:
		return n.end(s)
	case 3:
		n.wire = append(n.wire, message{station: i, want: loyalty.Points(1 + n.choose(120)), statement: s.cell.Statement()})
	case 4, 5, 6:
		return n.deliver()
	case 7:
		if len(n.wire) > 0 {
			n.wire = slices.Delete(n.wire, 0, 1)
		}
	case 8:
		n.giveBack(s)
	case 9:
		n.sendEntries(i)
	case 10:
		n.sendSnapshot(i)
	case 11:
		n.now = n.now.Add(day / 3)
		if n.wrong == reclaimAtExpiry {
			n.reclaim()
		}
	}
	return nil
}

// visit is a customer at a station that HQ answers at once.
func (n *network) visit(i int) error {
	s := n.stations[i]
	if err := n.receive(message{station: i, want: loyalty.Points(1 + n.choose(120)), statement: s.cell.Statement()}); err != nil {
		return err
	}
	answer := n.wire[len(n.wire)-2:]
	n.wire = n.wire[:len(n.wire)-2]
	for _, m := range answer {
		if err := n.receive(m); err != nil {
			return err
		}
	}
	return n.sell(s)
}

// giveBack hands unused rights back to HQ.
func (n *network) giveBack(s *station) {
	at := n.place(s)
	if b := s.books(n.prog); b.Cell.Return() > 0 {
		s.write(b, loyalty.CellReturned{Account: account, Statement: b.Cell.Statement()}, at.At)
	}
}

func (n *network) sendEntries(i int) {
	for seq := n.applied[i] + 1; int(seq) <= len(n.stations[i].journal); seq++ {
		n.wire = append(n.wire, message{station: i, seq: seq})
	}
}

func (n *network) sendSnapshot(i int) {
	snap := n.hq.Snapshot(n.stations[i].key(), n.applied[i], n.now)
	n.wire = append(n.wire, message{station: i, snapshot: &snap})
}

func (n *network) redeem(s *station) loyalty.Points {
	left := max(0, s.cell.Left())
	switch n.choose(4) {
	case 0:
		return left + 1 // which is refused
	case 1:
		return loyalty.Points(n.choose(int(left) + 1))
	}
	return left
}

// bill is a receipt that takes every redemption drawn here.
func (n *network) bill() loyalty.Receipt {
	return receipt(fuel("АИ-95", loyalty.Millilitres(100*n.choose(8)), 20_00), goods("", 20_00))
}

func (n *network) sell(s *station) error {
	b, at := s.books(n.prog), n.place(s)
	r := &loyalty.CloseRequest{Sale: loyalty.SaleID(fmt.Sprint(at.Seq)), Card: card, Receipt: n.bill(), Redeem: n.redeem(s)}
	sale, body, err := b.Close(r, at)
	if err == nil {
		s.write(b, body, at.At)
		s.sales = append(s.sales, sale)
	}
	return nil
}

func (n *network) openSale(s *station) {
	b, at := s.books(n.prog), n.place(s)
	r := &loyalty.OpenRequest{Sale: loyalty.SaleID(fmt.Sprint(at.Seq)), Card: card, Receipt: n.bill(), Redeem: n.redeem(s)}
	sale, body, err := b.Open(r, at)
	if err == nil {
		s.write(b, body, at.At)
		s.sales = append(s.sales, sale)
	}
}

// end closes or voids an open sale. It may never be refused.
func (n *network) end(s *station) error {
	for _, sale := range s.sales {
		if sale.State != loyalty.SaleOpen {
			continue
		}
		b, at := s.books(n.prog), n.place(s)
		b.Sale = sale
		var body loyalty.Body
		var err error
		if n.choose(3) == 0 {
			_, body, err = b.Cancel(&loyalty.VoidRequest{Sale: sale.ID}, at)
		} else {
			_, body, err = b.Close(&loyalty.CloseRequest{Sale: sale.ID, Receipt: n.bill(), Redeem: loyalty.Points(n.choose(int(sale.Reserved) + 1))}, at)
		}
		if err != nil {
			return fmt.Errorf("ending an open sale: %w", err)
		}
		s.write(b, body, at.At)
		return nil
	}
	return nil
}

// deliver takes any message, which may stay to be delivered again.
func (n *network) deliver() error {
	if len(n.wire) == 0 {
		return nil
	}
	i := n.choose(len(n.wire))
	m := n.wire[i]
	if n.choose(3) > 0 {
		n.wire = slices.Delete(n.wire, i, i+1)
	}
	return n.receive(m)
}

func (n *network) receive(m message) error {
	s := n.stations[m.station]
	switch {
	case m.snapshot != nil:
		s.local.Learn(*m.snapshot)
	case m.granted && n.wrong == grantsAsDeltas:
		s.cell.Issued += m.raisedBy
	case m.granted:
		s.cell.Grant(m.issued)
	case m.want > 0:
		before := n.hq.Cells[s.key()]
		if n.wrong == oldStatementWins {
			c := before
			c.Statement = m.statement
			n.setCell(s, c)
		}
		issued := n.hq.TopUp(s.key(), m.statement, m.want, n.now)
		n.wire = append(n.wire, message{station: m.station, granted: true, issued: issued, raisedBy: issued - before.Issued})
		n.sendSnapshot(m.station)
	default:
		return n.apply(m, s)
	}
	return nil
}

func (n *network) setCell(s *station, c loyalty.Rights) {
	if n.hq.Cells == nil {
		n.hq.Cells = map[loyalty.CellKey]loyalty.Rights{}
	}
	n.hq.Cells[s.key()] = c
}

// apply is HQ reading the journal: the next entry only.
func (n *network) apply(m message, s *station) error {
	e := &s.journal[m.seq-1]
	if r, ok := e.Body.(loyalty.CellReturned); ok && n.wrong == returnsAsDeltas {
		c := n.hq.Cells[s.key()]
		before := loyalty.Statement{}
		for _, old := range s.journal[:m.seq-1] {
			if o, ok := old.Body.(loyalty.CellReturned); ok {
				before = o.Statement
			}
		}
		c.Returned += r.Statement.Returned - before.Returned // once more for every repetition
		n.setCell(s, c)
	}
	if m.seq != n.applied[m.station]+1 {
		return nil
	}
	if n.wrong == returnsAsDeltas {
		if _, ok := e.Body.(loyalty.CellReturned); ok {
			n.applied[m.station]++
			return nil
		}
	}
	over, err := n.hq.Post(s.key(), m.seq, e)
	if err != nil {
		return fmt.Errorf("posting entry %d of station %d: %w", m.seq, s.id, err)
	}
	if over != 0 {
		return fmt.Errorf("entry %d of station %d is %s beyond its rights", m.seq, s.id, over)
	}
	n.applied[m.station] = m.seq
	switch b := e.Body.(type) {
	case loyalty.SaleClosed:
		n.credits += b.Points()
	case loyalty.SaleRefunded:
		n.credits += sumLots(b.Returned)
	}
	n.hq.Prune(n.now)
	return nil
}

// reclaim is the wrong HQ taking back by the clock what it has issued and not heard of again.
func (n *network) reclaim() {
	for _, s := range n.stations {
		if c, ok := n.hq.Cells[s.key()]; ok {
			c.Returned += c.Outstanding()
			n.setCell(s, c)
		}
	}
}

// spent is what the stations have really given away.
func (n *network) spent() (sum loyalty.Points) {
	for _, s := range n.stations {
		sum += s.cell.Used - s.cell.Voided
	}
	return sum
}

// check is what has to hold at every step.
func (n *network) check() error {
	var outstanding, held loyalty.Points
	for _, s := range n.stations {
		c := s.cell
		if err := c.Check(); err != nil {
			return fmt.Errorf("station %d: %w", s.id, err)
		}
		if i := n.hq.Cells[s.key()].Issued; c.Issued > i {
			return fmt.Errorf("station %d has rights to %s, HQ has issued %s", s.id, c.Issued, i)
		}
		if c.Used-c.Voided < s.open {
			return fmt.Errorf("station %d has reserved %s and uses %s", s.id, s.open, c.Used-c.Voided)
		}
		current := s.local.Current()
		if err := current.Check(); err != nil {
			return fmt.Errorf("station %d: %w", s.id, err)
		}
	}
	if n.spent() > n.credits {
		return fmt.Errorf("%s are spent of %s", n.spent(), n.credits)
	}
	if err := n.hq.Check(); err != nil {
		return err
	}
	for _, c := range n.hq.Cells {
		outstanding += c.Issued - c.Returned - c.Posted
	}
	for _, l := range n.hq.Account.Lots {
		held += l.Amount
	}
	if held += n.hq.Account.Clawed - n.hq.Account.Debt; outstanding > held || outstanding != n.hq.Outstanding() {
		return fmt.Errorf("rights to %s are out (HQ says %s), and the lots with what refunds have taken hold %s", outstanding, n.hq.Outstanding(), held)
	}
	return nil
}

// heal ends all sales, gives back all rights and delivers everything; then all views are the same.
func (n *network) heal() error {
	for i, s := range n.stations {
		for slices.ContainsFunc(s.sales, func(s *loyalty.Sale) bool { return s.State == loyalty.SaleOpen }) {
			if err := n.end(s); err != nil {
				return err
			}
		}
		s.cell.Grant(n.hq.Cells[s.key()].Issued) // a grant that was lost is sent again
		n.giveBack(s)
		n.sendEntries(i)
	}
	for len(n.wire) > 0 {
		m := n.wire[0]
		n.wire = n.wire[1:]
		if m.want > 0 || m.granted {
			continue // lost
		}
		if err := n.receive(m); err != nil {
			return err
		}
	}
	for i, s := range n.stations {
		n.sendSnapshot(i)
		s.local.Learn(*n.wire[len(n.wire)-1].snapshot)
		c := n.hq.Cells[s.key()]
		if net := s.cell.Used - s.cell.Voided; c.Posted != net || c.Outstanding() != 0 {
			return fmt.Errorf("station %d spent %s, HQ has posted %s and holds %s", s.id, net, c.Posted, c.Outstanding())
		}
		if current := s.local.Current(); !sameLots(current.Lots, n.hq.Account.Lots) || current.Owing != n.hq.Account.Owing || len(s.local.Own) > 0 {
			return fmt.Errorf("station %d sees %v behind %v, HQ has %v", s.id, current.Lots, s.local.Own, n.hq.Account.Lots)
		}
	}
	return n.check()
}

func (n *network) run(steps int) error {
	for range steps {
		if err := n.step(); err != nil {
			return err
		}
		if err := n.check(); err != nil {
			return err
		}
	}
	return n.heal()
}

// Whatever is lost, repeated, late or out of order, stations that are issued rights never spend more than there is, HQ
// can post all they did, and afterwards all see the same.
func TestNobodyOverspendsOnABadNetwork(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := newNetwork(t, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "choice") }, asDesigned)
		if err := n.run(120); err != nil {
			rt.Fatal(err)
		}
	})
}

// The same network has to find what is wrong with designs that are wrong: a simulation that cannot fail proves nothing.
// Where no other check is asked, it ends with more spent than there is.
func TestWrongDesignsAreCaught(t *testing.T) {
	overspends := func(n *network) error {
		for range 200 {
			_ = n.step()
			if n.spent() > n.credits {
				return fmt.Errorf("%s are spent of %s", n.spent(), n.credits)
			}
		}
		return nil
	}
	for _, tt := range []struct {
		name  string
		wrong wrongDesign
		fails func(*network) error
	}{
		{"grants as deltas", grantsAsDeltas, overspends},
		{"returned rights as deltas", returnsAsDeltas, func(n *network) error { return n.run(120) }},
		{"HQ takes rights back by a clock", reclaimAtExpiry, overspends},
		{"the last statement heard is true", oldStatementWins, func(n *network) error { return n.run(120) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(2000) {
				r := rand.New(rand.NewPCG(seed, 1))
				if err := tt.fails(newNetwork(t, r.IntN, tt.wrong)); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("2000 runs found nothing wrong with it")
		})
	}
}

// The same seeds find nothing wrong with the design itself, so that it is the design that was caught above.
func TestTheDesignIsNotCaught(t *testing.T) {
	spent := loyalty.Points(0)
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := newNetwork(t, r.IntN, asDesigned)
		if err := n.run(120); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, c := range n.hq.Cells {
			spent += c.Posted
		}
	}
	if spent < 500*20 {
		t.Errorf("only %s points were spent in all runs: they exercise too little", spent)
	}
}
