package main

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// journalLine is an entry for people and scripts. Amounts are decimal numbers; zero values are left out.
type journalLine struct {
	Epoch     loyalty.Epoch     `json:"epoch"`
	Seq       loyalty.Seq       `json:"seq"`
	At        string            `json:"at"`
	Clock     string            `json:"clock"`
	Op        loyalty.OpID      `json:"op"`
	Event     string            `json:"event"`
	Sale      loyalty.SaleID    `json:"sale,omitempty"`
	Account   loyalty.AccountID `json:"account,omitempty"`
	Card      string            `json:"card,omitempty"`
	Total     string            `json:"total,omitempty"`
	Reserved  string            `json:"reserved,omitempty"`
	Redeemed  string            `json:"redeemed,omitempty"`
	Earned    string            `json:"earned,omitempty"`
	Refund    string            `json:"refund,omitempty"`
	Money     string            `json:"money,omitempty"`      // given back by a refund
	Clawed    string            `json:"taken_back,omitempty"` // of the points that were earned
	Returned  string            `json:"given_back,omitempty"` // of the points that were redeemed
	Cashier   string            `json:"cashier,omitempty"`
	Shift     uint32            `json:"shift,omitempty"`
	Counter   string            `json:"counter,omitempty"`
	Kind      string            `json:"kind,omitempty"`     // of a card given out
	For       string            `json:"for,omitempty"`      // a card of the account that it joins
	Replaces  bool              `json:"replaces,omitempty"` // which it takes the place of
	Form      bool              `json:"form,omitempty"`     // a sealed form goes with it
	Cashiers  []cashierLine     `json:"cashiers,omitempty"` // of a shift that was closed
	Stated    map[string]int64  `json:"stated,omitempty"`   // what the register said of it
	Differs   bool              `json:"differs,omitempty"`
	Rule      string            `json:"rule,omitempty"` // of an alert
	Count     int64             `json:"count,omitempty"`
	AtMost    int64             `json:"at_most,omitempty"`
	Refused   bool              `json:"refused,omitempty"`
	Programme uint32            `json:"programme,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Resolved  bool              `json:"resolved,omitempty"`
	Version   string            `json:"version,omitempty"`
	Hash      string            `json:"hash"`
	Bytes     []byte            `json:"bytes,omitempty"`
}

func lineOf(j ledger.JournalEntry, whole bool) journalLine {
	e := j.Entry
	l := journalLine{
		Epoch: j.Epoch, Seq: j.Seq, At: e.At.String(), Clock: clockWord(e.Clock), Op: e.Op, Cashier: e.Cashier, Shift: e.Shift, Counter: e.Counter,
		Programme: e.Programme, Hash: hex.EncodeToString(j.Hash[:]),
	}
	if whole {
		l.Bytes = j.Bytes
	}
	var card loyalty.CardNumber
	l.Account, card = loyalty.Subject(e.Body)
	if card != "" {
		l.Card = card.String()
	}
	switch b := e.Body.(type) {
	case loyalty.Started:
		l.Event, l.Version = "started", b.Version
	case loyalty.SaleOpened:
		l.Event, l.Sale, l.Total, l.Reserved, l.Reason = "opened", b.Sale, b.Receipt.Total().String(), points(b.Reserved), b.Manual
	case loyalty.SaleClosed:
		l.Event, l.Sale, l.Total, l.Reason, l.Resolved = "closed", b.Sale, b.Receipt.Total().String(), b.Manual, b.Resolved
		l.Redeemed, l.Earned = points(b.Redeemed), points(b.Points())
	case loyalty.SaleVoided:
		l.Event, l.Sale, l.Reason, l.Resolved = "voided", b.Sale, b.Reason, b.Resolved
	case loyalty.SaleRefunded:
		l.Event, l.Sale, l.Refund, l.Reason, l.Money = "refunded", b.Sale, string(b.Refund), b.Reason, b.Money().String()
		l.Clawed, l.Returned = sum(b.Clawed), sum(b.Returned)
	case loyalty.CellReturned:
		l.Event = "returned"
	case loyalty.CardIssued:
		l.Event, l.Kind, l.Replaces, l.Form = "issued", b.Kind.String(), b.Replaces, b.Form != loyalty.FormHash{}
		if b.For != "" {
			l.For = b.For.String()
		}
	case loyalty.ShiftOpened:
		l.Event = "shift_opened"
	case loyalty.ShiftClosed:
		l.Event, l.Cashiers, l.Stated, l.Differs = "shift_closed", cashierLines(b.Cashiers), figureMap(b.Stated), b.Differs
	case loyalty.Alerted:
		l.Event, l.Rule, l.Sale, l.Count, l.AtMost, l.Refused = "alert", b.Rule, b.Sale, b.Count, b.AtMost, b.Refused
	}
	return l
}

func sum(lots []loyalty.Lot) string {
	var all loyalty.Points
	for _, l := range lots {
		all += l.Amount
	}
	return points(all)
}

// points is empty for none, so that a line shows only what happened.
func points(p loyalty.Points) string {
	if p == 0 {
		return ""
	}
	return p.String()
}

func clockWord(m loyalty.ClockMark) string {
	switch m {
	case loyalty.ClockGood:
		return "good"
	case loyalty.ClockBehind:
		return "behind"
	case loyalty.ClockAhead:
		return "ahead"
	default:
		return "unsure"
	}
}

// allowed is what an alert's rule has counted, and what it allows.
func allowed(l journalLine) string {
	switch {
	case l.Count == 0:
		return ""
	case l.AtMost == 0:
		return fmt.Sprint(l.Count)
	}
	return fmt.Sprintf("%d of %d", l.Count, l.AtMost)
}

// shiftWord names a shift: 7, or counter/7 where counters have names.
func shiftWord(counter string, number uint32) string {
	switch {
	case number == 0:
		return ""
	case counter == "":
		return fmt.Sprint(number)
	}
	return fmt.Sprintf("%s/%d", counter, number)
}

// String is a line for people.
func (l journalLine) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d %s", l.Epoch, l.Seq, l.At)
	if l.Clock != "good" {
		fmt.Fprintf(&b, " (clock %s)", l.Clock)
	}
	fmt.Fprintf(&b, " %s", l.Event)
	for _, f := range []struct{ name, value string }{
		{"rule", l.Rule}, {"count", allowed(l)}, {"sale", string(l.Sale)}, {"card", l.Card}, {"kind", l.Kind}, {"for", l.For}, {"total", l.Total}, {"reserved", l.Reserved}, {"redeemed", l.Redeemed},
		{"earned", l.Earned}, {"refund", l.Refund}, {"money", l.Money}, {"taken_back", l.Clawed}, {"given_back", l.Returned}, {"cashier", l.Cashier}, {"shift", shiftWord(l.Counter, l.Shift)}, {"reason", l.Reason}, {"version", l.Version},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s %s", f.name, f.value)
		}
	}
	for _, f := range []struct {
		name string
		is   bool
	}{{"refused", l.Refused}, {"replaces", l.Replaces}, {"form", l.Form}, {"differs", l.Differs}} {
		if f.is {
			b.WriteString(" " + f.name)
		}
	}
	return b.String()
}
