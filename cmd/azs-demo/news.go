package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// heard tells of an event at a station, as the register beside it hears it.
func (n *network) heard(s *station, e event) {
	v := voiceOf(s.number)
	switch e.name {
	case "scan":
		var x scanned
		if json.Unmarshal(e.data, &x) == nil {
			n.tell.say(v, "%s", n.scanText(x))
		}
	case "sale":
		var x struct {
			Sale sale `json:"sale"`
		}
		if json.Unmarshal(e.data, &x) == nil {
			s.once(x.Sale.step(), func() { n.tell.say(v, "%s", n.saleText(&x.Sale)) })
		}
	case "hq":
		var x link
		if json.Unmarshal(e.data, &x) == nil {
			s.turned(x.Online, func() { n.tell.say(v, "%s", linkText(x)) })
		}
	case "scanner":
		var x struct {
			Connected bool `json:"connected"`
		}
		if json.Unmarshal(e.data, &x) == nil && !x.Connected {
			n.tell.say(v, "the scanner's cable came loose")
		} else if x.Connected {
			n.tell.say(v, "the scanner is plugged in")
		}
	}
}

func (n *network) scanText(x scanned) string {
	who := fmt.Sprintf("%s, card %s", n.people.named(x.CardMasked), x.CardMasked)
	switch {
	case x.Customer != nil && !x.Customer.Known:
		return fmt.Sprintf("scanned %s: not met here before, can collect", who)
	case x.Customer != nil:
		c := x.Customer
		text := fmt.Sprintf("scanned %s: %s points, can redeem %s now", who, c.Total, c.Redeemable)
		if !c.Fresh {
			text += " (as the station knows it)"
		}
		if why := cmp.Or(c.Accrue, c.Redeem); why != nil {
			text += fmt.Sprintf("; %s: %s", why.Code, why.RU)
		}
		return text
	case x.Refusal != nil:
		return fmt.Sprintf("scanned %s: %s: %s", who, x.Refusal.Code, x.Refusal.RU)
	}
	return "scanned something that is no card of ours: " + x.Outcome + " " + x.Reason
}

func (n *network) saleText(s *sale) string {
	who := n.people.named(s.CardMasked)
	switch s.State {
	case "open":
		return fmt.Sprintf("sale %s opened for %s: %s points reserved, fuel may flow", s.ID, who, loyalty.Points(s.Reserved))
	case "closed":
		text := fmt.Sprintf("sale %s closed for %s: redeemed %s, earned %s, to pay %s", s.ID, who, s.Quote.Redeem, s.Quote.Earn, s.Quote.Pay)
		if s.Account == 0 {
			return text + "; the balance will be known later"
		}
		return fmt.Sprintf("%s; now %s points", text, s.Total)
	}
	return fmt.Sprintf("sale %s of %s is %s", s.ID, who, s.State)
}

func linkText(x link) string {
	switch {
	case !x.Online:
		return fmt.Sprintf("headquarters is out of reach; %s to send later", entries(x.Backlog))
	case x.Backlog > 0:
		return fmt.Sprintf("headquarters is in reach; %s to send", entries(x.Backlog))
	}
	return "headquarters is in reach and has everything"
}

func entries(n uint64) string {
	switch n {
	case 0:
		return "nothing"
	case 1:
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// watchEvery is how often headquarters' books are looked at for news.
const watchEvery = 25 * time.Millisecond

// watch tells what headquarters has committed, until ctx is done.
func (n *network) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		lines, err := n.store.Lines(ctx, told, 1000)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		for len(lines) > 0 {
			run := 1
			for run < len(lines) && lines[run].Station == lines[0].Station {
				run++
			}
			n.tell.say(voiceHQ, "%s", committedText(lines[:run]))
			told, lines = lines[run-1].Pos, lines[run:]
		}
		n.told.Store(told)
	}
}

// committedText tells of consecutive entries of one station.
func committedText(lines []*hq.Line) string {
	const most = 4
	first, last := lines[0], lines[len(lines)-1]
	where := fmt.Sprintf("entry %d", first.Seq)
	if first != last {
		where = fmt.Sprintf("entries %d-%d", first.Seq, last.Seq)
	}
	var names []string
	for _, l := range lines[:min(len(lines), most)] {
		text := "what it cannot read"
		if e, err := wire.DecodeEntry(l.Bytes); err == nil {
			text = bodyText(e.Body)
		}
		if l.Outcome == hq.SetAside {
			text += " (set aside: " + l.Reason + ")"
		}
		names = append(names, text)
	}
	if len(lines) > most {
		names = append(names, "...")
	}
	whose := fmt.Sprintf("of station %d", first.Station)
	if first.Station == hq.Own {
		whose = "of its own"
	}
	return fmt.Sprintf("has on its disk %s %s: %s", where, whose, strings.Join(names, ", "))
}

func bodyText(b loyalty.Body) string {
	switch b := b.(type) {
	case loyalty.Started:
		return "agent started"
	case loyalty.SaleOpened:
		return fmt.Sprintf("sale %s opened", b.Sale)
	case loyalty.SaleClosed:
		return fmt.Sprintf("sale %s closed", b.Sale)
	case loyalty.SaleVoided:
		return fmt.Sprintf("sale %s void", b.Sale)
	case loyalty.SaleRefunded:
		if b.Station != 0 {
			return fmt.Sprintf("sale %s of station %d refunded", b.Sale, b.Station)
		}
		return fmt.Sprintf("sale %s refunded", b.Sale)
	case loyalty.CardIssued:
		return fmt.Sprintf("card %s given out", b.Card)
	case loyalty.ShiftOpened:
		return "shift opened"
	case loyalty.ShiftClosed:
		return "shift closed"
	case loyalty.Alerted:
		return "alert " + b.Rule
	case loyalty.CellReturned:
		return fmt.Sprintf("rights of account %d returned", b.Account)
	}
	return "?"
}
