package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// audit is what the books say side by side, read from the ledgers themselves and not from what anybody was told.
type audit struct {
	rows     []auditRow
	journals []auditJournal
}

type auditRow struct {
	name     string
	card     loyalty.CardNumber
	known    bool // headquarters has the card
	hq       loyalty.Points
	stations []auditView
}

// auditView is an account as a station has it.
type auditView struct {
	known bool
	total loyalty.Points
	left  loyalty.Points // rights to redeem without headquarters
}

type auditJournal struct {
	station  int
	own, hq  hq.Cursor
	setAside uint64 // entries that headquarters could not apply
}

// audit reads all books.
func (n *network) audit(ctx context.Context) (*audit, error) {
	at := n.books.Now()
	totals, err := n.totals(ctx, at)
	if err != nil {
		return nil, err
	}
	a := &audit{}
	for _, p := range n.people {
		total, known := totals[p.card]
		a.rows = append(a.rows, auditRow{name: p.name, card: p.card, known: known, hq: total})
	}
	for _, s := range n.stations {
		r, err := s.agent(ctx)
		if err != nil {
			return nil, err
		}
		for i := range a.rows {
			v, err := viewOf(r, a.rows[i].card, at)
			if err != nil {
				return nil, err
			}
			a.rows[i].stations = append(a.rows[i].stations, v)
		}
		st, err := r.Ledger.Status()
		if err != nil {
			return nil, err
		}
		there, _, _, _, err := n.books.About(ctx, loyalty.StationID(s.number))
		if err != nil {
			return nil, err
		}
		pos := st.Position
		a.journals = append(a.journals, auditJournal{
			station: s.number, own: hq.Cursor{Epoch: pos.Epoch, Seq: pos.Last, Hash: pos.LastHash}, hq: there.Cursor, setAside: st.Quarantined,
		})
	}
	return a, nil
}

// totals are the balances in headquarters' books, by the cards that it has.
func (n *network) totals(ctx context.Context, at loyalty.Instant) (map[loyalty.CardNumber]loyalty.Points, error) {
	out := map[loyalty.CardNumber]loyalty.Points{}
	err := n.store.View(ctx, func(tx hq.Tx) error {
		cards, err := tx.Cards(n.people.cards())
		if err != nil {
			return err
		}
		var ids []loyalty.AccountID
		for _, c := range cards {
			ids = append(ids, c.Account)
		}
		records, err := tx.Records(ids)
		if err != nil {
			return err
		}
		for number, c := range cards {
			if r := records[c.Account]; r != nil {
				out[number] = r.Account.Total(at)
			}
		}
		return nil
	})
	return out, err
}

func viewOf(r *agent.Running, card loyalty.CardNumber, at loyalty.Instant) (auditView, error) {
	b, err := r.Ledger.Lookup(card)
	if err != nil || !b.Known {
		return auditView{}, err
	}
	account := b.Local.Current()
	return auditView{known: true, total: account.Total(at), left: b.Cell.Left()}, nil
}

// differences says what is not equal; nothing if all is. A station that has never met a customer has nothing to differ in.
func (a *audit) differences() (out []string) {
	for _, r := range a.rows {
		for i, v := range r.stations {
			if v.known && v.total != r.hq {
				out = append(out, fmt.Sprintf("%s has %s points at station %d and %s at headquarters", r.name, v.total, i+1, r.hq))
			}
		}
	}
	for _, j := range a.journals {
		if j.own != j.hq {
			out = append(out, fmt.Sprintf("the journal of station %d ends at %s there and at %s at headquarters", j.station, cursorText(j.own), cursorText(j.hq)))
		}
		if j.setAside > 0 {
			out = append(out, fmt.Sprintf("headquarters could not apply %s of station %d", entries(j.setAside), j.station))
		}
	}
	return out
}

// cursorText shows where a journal stands; the hash covers every byte before it.
func cursorText(c hq.Cursor) string {
	if c == (hq.Cursor{}) {
		return "nothing"
	}
	return fmt.Sprintf("entry %d of epoch %d, hash %s", c.Seq, c.Epoch, c.Hash)
}

// table shows the points and the ends of the journals; differs is the word for what is not equal.
func (a *audit) table(differs string) string {
	verdict := func(same bool) string {
		if same {
			return "equal"
		}
		return differs
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprint(w, "\tcustomer\tcard\tstation 1\tstation 2\theadquarters\t\n")
	for i, r := range a.rows {
		fmt.Fprintf(w, "%d\t%s\t%s\t", i+1, r.name, r.card)
		said := "not met"
		for _, v := range r.stations {
			fmt.Fprintf(w, "%s\t", v)
			if v.known && said != verdict(false) {
				said = verdict(v.total == r.hq)
			}
		}
		total := fixed(r.hq)
		if !r.known {
			total, said = "-", "no card yet"
		}
		fmt.Fprintf(w, "%s\t%s\n", total, said)
	}
	fmt.Fprint(w, "\n")
	for _, j := range a.journals {
		fmt.Fprintf(w, "\tjournal of station %d\tthere\t%s\n", j.station, cursorText(j.own))
		fmt.Fprintf(w, "\t\tat headquarters\t%s\t%s\n", cursorText(j.hq), verdict(j.own == j.hq))
	}
	_ = w.Flush() // to memory
	return b.String()
}

func (v auditView) String() string {
	switch {
	case !v.known:
		return "-"
	case v.left > 0:
		return fmt.Sprintf("%s (%s redeemable offline)", fixed(v.total), v.left)
	}
	return fixed(v.total)
}

// fixed shows points to the last hundredth.
func fixed(p loyalty.Points) string { return loyalty.Kopecks(p).String() }

var errDifferent = errors.New("the books differ")

// settle waits until everything has arrived everywhere and returns the books as they are then, or as they are when
// patience is at its end.
func (n *network) settle(ctx context.Context) (*audit, error) {
	patient, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	err := await(patient, "the books are equal", func() (bool, error) {
		a, err := n.audit(ctx)
		return err == nil && len(a.differences()) == 0, err
	})
	if err != nil && patient.Err() == nil {
		return nil, err
	}
	return n.audit(ctx)
}

// replayed walks a station's journal and says what the end of its chain ought to be.
func replayed(ctx context.Context, r *agent.Running) (hq.Cursor, error) {
	pos, err := r.Ledger.Position(ctx)
	if err != nil {
		return hq.Cursor{}, err
	}
	c := hq.Cursor{Epoch: pos.Epoch, Hash: wire.Genesis(pos.Station, pos.Epoch, pos.Nonce)}
	for c.Seq < pos.Last {
		raw, err := r.Ledger.Read(ctx, pos.Epoch, c.Seq+1, wire.MaxBatch, wire.MaxMessage)
		if err != nil {
			return hq.Cursor{}, err
		}
		for _, b := range raw {
			c.Seq, c.Hash = c.Seq+1, c.Hash.Next(b)
		}
	}
	return c, nil
}
