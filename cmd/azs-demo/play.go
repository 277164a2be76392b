package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// command is what somebody has typed.
type command struct {
	verb    string
	station int            // 1 or 2
	who     int            // a customer, from 0
	redeem  loyalty.Points // of a sale
}

const usage = `
  3            customer 3 shows the card at station 1
  2 3          customer 3 shows the card at station 2
  sale 3       customer 3 buys fuel and a coffee at station 1 and collects points
  sale 3 50    ... and pays with 50 points
  sale 2 3 50  ... at station 2
  open 3 300   customer 3 reserves 300 points at station 1 before the fuel flows (or: open 2 3 300)
  close        ... and pays with two fifths of them: the tank was full early (or: close 2)
  issue 6      customer 6 fills in the form and gets a card at station 1 (or: issue 2 6)
  cut          cut the line between the stations and headquarters
  heal         mend it
  unplug, plug     the cable of station 1's scanner
  restart      restart the agent of station 1 (or: restart 2)
  points       who has how many points, at the stations and at headquarters
  page         the addresses of the cashiers' pages, with fresh codes
  help, quit

  Points are redeemed without headquarters as far as rights are at the station. To see it:
  open 3 300, cut, close, sale 3 50: of what was reserved 180 are left there, and no other station has them.
`

// parseCommand reads what was typed; the error is a sentence for who typed it.
func parseCommand(text string, customers int) (command, error) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		return command{verb: "nothing", station: 1}, nil
	}
	c := command{verb: words[0], station: 1}
	if _, err := strconv.Atoi(words[0]); err == nil {
		c.verb = "scan"
	} else {
		words = words[1:]
	}
	wants, ok := 0, true // how many words there are behind the station
	switch c.verb {
	case "exit", "q", "quit":
		c.verb = "quit"
	case "?", "h", "help":
		c.verb = "help"
	case "scan", "issue":
		wants, ok = 1, c.take(&words, 2)
	case "sale", "open":
		wants, ok = min(max(len(words), 1), 2), c.take(&words, 3)
		if c.verb == "open" {
			wants = 2
		}
	case "restart", "close":
		ok = c.take(&words, 1)
	case "cut", "heal", "unplug", "plug", "points", "page":
	default:
		return c, fmt.Errorf("%q is not a command; type help", c.verb)
	}
	switch {
	case ok && len(words) != wants:
		return c, fmt.Errorf("%s takes other numbers; type help", c.verb)
	case !ok || c.station > 2:
		return c, errors.New("there are stations 1 and 2, and none other")
	}
	if wants > 0 {
		n, err := strconv.Atoi(words[0])
		if err != nil || n < 1 || n > customers {
			return c, fmt.Errorf("there are customers 1 to %d, not %.20s", customers, words[0])
		}
		c.who = n - 1
	}
	if wants > 1 {
		p, err := loyalty.ParsePoints(words[1])
		if err != nil || p == 0 {
			return c, fmt.Errorf("%.20q is not a number of points, like 50 or 1.5", words[1])
		}
		c.redeem = p
	}
	return c, nil
}

// take takes the station's number off where there are as many words as with it; false if it is no number.
func (c *command) take(words *[]string, with int) bool {
	if len(*words) != with {
		return true
	}
	n, err := strconv.Atoi((*words)[0])
	c.station, *words = n, (*words)[1:]
	return err == nil && n > 0
}

// perform lets somebody play, or plays by itself where there is no terminal, until ctx is done or somebody quits.
func (n *network) perform(ctx context.Context, stdin io.Reader) error {
	if err := n.ready(ctx); err != nil {
		return err
	}
	n.tell.text("\nA broker, headquarters and two stations run in this process. The cashiers' pages (each link signs in once):\n\n")
	if err := n.pages(ctx); err != nil {
		return err
	}
	n.tell.text("\n")
	for i, p := range n.people {
		n.tell.text(fmt.Sprintf("  customer %d  %-6s card %s  %s\n", i+1, p.name, string(p.card), p.note))
	}
	if n.stations[0].gun == nil {
		n.tell.text("\nThis system has no pseudo-terminals: cards are typed in instead of scanned.\n")
	}
	if !isTerminal(stdin) {
		n.tell.text("\nCustomers come by themselves. Ctrl-C ends it.\n\n")
		return n.playAlone(ctx)
	}
	n.tell.text(usage + "\n")
	return n.obey(ctx, stdin)
}

func (n *network) pages(ctx context.Context) error {
	for _, s := range n.stations {
		page, err := s.page(ctx)
		if err != nil {
			return err
		}
		n.tell.text(fmt.Sprintf("  station %d  %s\n", s.number, page))
	}
	return nil
}

// obey carries out what is typed.
func (n *network) obey(ctx context.Context, stdin io.Reader) error {
	typed := make(chan string)
	// Reading a terminal cannot be interrupted: this ends with the process.
	go func() {
		defer close(typed)
		for s := bufio.NewScanner(stdin); s.Scan(); {
			select {
			case typed <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for number := 1; ; number++ {
		select {
		case <-ctx.Done():
			return nil
		case text, ok := <-typed:
			if !ok {
				return nil
			}
			c, err := parseCommand(text, len(n.people))
			if err == nil && c.verb == "quit" {
				return nil
			}
			if err == nil {
				err = n.do(ctx, c, fmt.Sprintf("t-%d", number))
			}
			if err != nil && ctx.Err() == nil {
				n.tell.say(voiceDemo, "%s", n.complaint(err))
			}
		}
	}
}

// complaint is an error in the cashier's words where it is a refusal.
func (n *network) complaint(err error) string {
	if p := refusedAs(err); p != nil {
		return fmt.Sprintf("refused: %s: %s (%s)", p.Code, p.Message.RU, p.Message.EN)
	}
	return err.Error()
}

// scanTime bounds how long a scan may take to show.
const scanTime = 5 * time.Second

// do carries one command out. id names the sale, if it is one.
func (n *network) do(ctx context.Context, c command, id string) error {
	s := n.stations[c.station-1]
	if x := n.people[c.who]; x.form != nil && c.verb != "issue" {
		return fmt.Errorf("%s has no card yet: issue %d", x.name, c.who+1)
	}
	switch c.verb {
	case "scan":
		ctx, cancel := context.WithTimeout(ctx, scanTime)
		defer cancel()
		x, err := s.scan(ctx, n.people[c.who].card, func(scanned) bool { return true })
		if err == nil && s.gun == nil {
			n.tell.say(voiceOf(s.number), "%s", n.scanText(x))
		}
		return err
	case "sale":
		call := saleCall{Card: string(n.people[c.who].card), Receipt: basket(15_000+rand.Int64N(40)*1000, 1), Redeem: int64(c.redeem)}
		a, err := s.register.close(ctx, id, call)
		if err != nil {
			return err
		}
		return s.heeds(ctx, a)
	case "open":
		return n.open(ctx, s, c, id)
	case "issue":
		return n.issue(ctx, s, c.who)
	case "close":
		return n.closeEarly(ctx, s)
	case "cut":
		n.cut()
		n.tell.say(voiceLine, "is cut")
		ctx, cancel := context.WithTimeout(ctx, n.patience)
		defer cancel()
		return n.noticed(ctx, false)
	case "heal":
		n.heal()
		n.tell.say(voiceLine, "is mended")
	case "unplug", "plug":
		if s.gun == nil {
			return errUnplugged
		}
		if s.gun.plugged() == (c.verb == "plug") {
			return fmt.Errorf("the scanner is %sged already", c.verb)
		}
		if c.verb == "plug" {
			return s.gun.plug()
		}
		return s.gun.unplug()
	case "restart":
		if err := s.restart(ctx); err != nil {
			return err
		}
		n.tell.say(voiceOf(s.number), "the agent runs again, over the same ledger")
	case "points":
		a, err := n.audit(ctx)
		if err != nil {
			return err
		}
		n.tell.text("\n" + a.table("not yet") + "\n")
	case "page":
		return n.pages(ctx)
	case "help":
		n.tell.text(usage + "\n")
	}
	return nil
}

// issue gives a card to who has none yet.
func (n *network) issue(ctx context.Context, s *station, who int) error {
	x := &n.people[who]
	if x.form == nil {
		return fmt.Errorf("%s has a card already", x.name)
	}
	a, err := s.register.issue(ctx, x, attendant{})
	if err != nil {
		return err
	}
	x.form = nil
	n.tell.say(voiceOf(s.number), "card %s given out to %s: %s", a.CardMasked, x.name, a.Message.EN)
	return nil
}

// open reserves points for a full tank, and leaves the sale open.
func (n *network) open(ctx context.Context, s *station, c command, id string) error {
	if s.open != nil {
		return fmt.Errorf("sale %s is still open at station %d: close it first", s.open.ID, s.number)
	}
	a, err := s.register.open(ctx, id, saleCall{Card: string(n.people[c.who].card), Receipt: basket(50_000, 0), Redeem: int64(c.redeem)})
	if err != nil {
		return err
	}
	s.open = a
	return s.heeds(ctx, a)
}

// closeEarly closes the open sale for less than was reserved, in whole points.
func (n *network) closeEarly(ctx context.Context, s *station) error {
	if s.open == nil {
		return fmt.Errorf("no sale is open at station %d: open one first", s.number)
	}
	a, err := s.register.close(ctx, s.open.ID, saleCall{Receipt: basket(30_000, 0), Redeem: s.open.Reserved * 2 / 5 / 100 * 100})
	if err != nil {
		return err
	}
	s.open = nil
	return s.heeds(ctx, a)
}

// pace is how fast customers come by themselves.
const pace = 3 * time.Second

// playAlone lets customers come, and now and then cuts the line.
func (n *network) playAlone(ctx context.Context) error {
	next := time.NewTicker(pace)
	defer next.Stop()
	for number := 1; ; number++ {
		for _, c := range n.turn(number) {
			if err := n.do(ctx, c, fmt.Sprintf("a-%d", number)); err != nil && ctx.Err() == nil {
				n.tell.say(voiceOf(c.station), "%s", n.complaint(err))
			}
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// turn is what happens next: somebody comes and buys, every tenth time the line is cut, and mended three later. While it
// is cut for the first time, those who have no card yet get one.
func (n *network) turn(number int) []command {
	scan := command{verb: "scan", station: 1 + rand.IntN(2), who: rand.IntN(len(n.people))}
	if n.people[scan.who].form != nil && number < 6 {
		scan.who = 0
	}
	buy := scan
	buy.verb = "sale"
	buy.redeem = slices.Max([]loyalty.Points{0, loyalty.Points(rand.IntN(120)-60) * 100})
	all := []command{scan, buy}
	switch number % 10 {
	case 5:
		all = append([]command{{verb: "cut", station: 1}}, all...)
	case 6:
		for i, x := range n.people {
			if x.form != nil {
				all = append([]command{{verb: "issue", station: scan.station, who: i}}, all...)
			}
		}
	case 8:
		all = append([]command{{verb: "heal", station: 1}}, all...)
	case 0:
		all = append(all, command{verb: "points", station: 1})
	}
	return all
}
