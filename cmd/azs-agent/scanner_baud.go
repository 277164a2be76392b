package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// likelyBauds are the speeds to try, the likeliest first.
var likelyBauds = [...]int{9600, 115200, 38400, 19200, 57600, 4800, 2400, 1200, 230400, 460800, 921600}

// baudScan listens at each speed in turn until a frame is sure to be read right.
func (c *scannerCheck) baudScan(ctx context.Context) error {
	if !c.look() {
		return c.conclude(statusFailed)
	}
	for _, baud := range likelyBauds {
		c.cfg.Line.Baud = baud
		found, err := c.tryBaud(ctx)
		if err != nil {
			return err
		}
		if found {
			c.advices = nil // they were about the other speeds
			c.find("baud", statusOK, fmt.Sprintf("%d", baud), "")
			return c.conclude(statusOK)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if c.seen.bytes == 0 {
		c.advise("nothing came at any speed: is it scanning, is it in serial mode, is flow control off in it?")
	}
	c.find("baud", statusFailed, "no speed gave readable codes", "scan the manual's code for factory settings of the serial cable, and try again")
	return c.conclude(statusFailed)
}

// enough unreadable frames settle that a speed is wrong.
const enough = 3

// tryBaud listens at the speed that is set. A code that carries a check digit or a known form settles it at once, other
// text when it came twice.
func (c *scannerCheck) tryBaud(ctx context.Context) (found bool, err error) {
	ctx, c.stop = context.WithTimeout(ctx, c.limit)
	defer c.stop()
	cards := c.cards
	cards.Dedupe = -1 // the same code again is what is wanted here
	if c.decoder, err = card.New(cards); err != nil {
		return false, withStatus(exitConfig, err)
	}
	c.seen = tally{bytes: c.seen.bytes}
	texts, garbled := map[string]int{}, 0
	cfg := c.cfg
	cfg.OnChunk = c.onChunk
	cfg.OnState = func(s scanner.State) {
		c.last = s
		if s.Connected {
			c.report.trying(cfg.Line.Baud, c.limit)
		}
	}
	cfg.OnFrame = func(f scanner.Frame) {
		r := c.take(f)
		if r == nil || found {
			return
		}
		if !readable(r.event, f) {
			if garbled++; garbled == enough {
				c.stop()
			}
			return
		}
		text := strings.TrimSpace(string(f.Data))
		texts[text]++
		found = proven(r.event) || texts[text] > 1 && len(text) >= 6
		if found {
			c.stop()
		}
	}
	s, err := scanner.New(cfg)
	if err != nil {
		return false, withStatus(exitConfig, err)
	}
	c.start = time.Now()
	err = s.Run(ctx)
	return found, err
}

// proven tells whether the frame cannot be an accident.
func proven(e card.Event) bool {
	switch e.Reason {
	case card.ProductCode, card.GoodsMark, card.Host, card.PaymentCard:
		return true
	}
	return e.Type == card.Card || e.Type == card.Token
}
