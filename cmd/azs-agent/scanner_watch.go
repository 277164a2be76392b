package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// chunkTime is one read: how many bytes, how long after the first of its frame.
type chunkTime struct {
	AtMS  int64 `json:"at_ms"`
	Bytes int   `json:"bytes"`
	at    time.Time
}

// scanReport is one frame as the technician sees it. Numbers in it are masked.
type scanReport struct {
	Type    string        `json:"type"` // "scan"
	AtMS    int64         `json:"at_ms"`
	Event   card.Type     `json:"event"`
	Number  string        `json:"number,omitempty"`
	Kind    string        `json:"kind,omitempty"`
	Reason  card.Reason   `json:"reason,omitempty"`
	Manner  card.Manner   `json:"manner,omitempty"`
	Bytes   string        `json:"bytes"` // Go-quoted, masked
	Length  int           `json:"length"`
	Chunks  []chunkTime   `json:"chunks"`
	Ended   scanner.End   `json:"ended"`
	AIM     string        `json:"aim,omitempty"`
	Code    string        `json:"symbology,omitempty"`
	Charset string        `json:"charset,omitempty"`
	Relayed bool          `json:"relayed"`
	Hints   []string      `json:"hints,omitempty"`
	frame   scanner.Frame // for the guided set
	event   card.Event    // likewise
}

// stateReport is the port coming and going.
type stateReport struct {
	Type      string `json:"type"` // "state"
	AtMS      int64  `json:"at_ms"`
	Connected bool   `json:"connected"`
	Port      string `json:"port"`
	Error     string `json:"error,omitempty"`
}

// tally is what was seen in a run.
type tally struct {
	bytes, frames, readable int
	opens                   uint64
	ends                    map[scanner.End]int
	suffix                  string // the last terminator seen
	lastFrame               time.Time
}

func (c *scannerCheck) onChunk(at time.Time, b []byte) {
	c.seen.bytes += len(b)
	if n := len(c.chunks); n > 0 && at.Sub(c.chunks[n-1].at) > c.cfg.Framing.Gap {
		c.chunks = c.chunks[:0] // what was before belongs to no frame
	}
	if len(c.chunks) < scanner.MaxFrame {
		c.chunks = append(c.chunks, chunkTime{Bytes: len(b), at: at})
	}
}

func (c *scannerCheck) onState(s scanner.State) {
	c.last = s
	c.seen.opens = s.Opens
	c.report.state(stateReport{"state", c.since(time.Now()), s.Connected, s.Port, s.LastError})
	switch {
	case !s.Connected && s.Opens > 0:
		c.tick(stepUnplug)
	case s.Opens > 1:
		c.tick(stepReplug)
	}
}

// take shows a frame; nil means that there was nothing to show.
func (c *scannerCheck) take(f scanner.Frame) *scanReport {
	if f.End == scanner.EndTail {
		c.seen.suffix += string(f.Raw)
		c.chunks = c.chunks[:0]
		return nil
	}
	e, ok := decodeFrame(c.decoder, f, f.At)
	if !ok {
		c.chunks = c.chunks[:0]
		return nil
	}
	r := &scanReport{
		Type: "scan", AtMS: c.since(f.At), Event: e.Type, Number: e.Number.String(), Kind: e.Kind, Reason: e.Reason, Manner: e.Manner,
		Bytes: strconv.Quote(masked(e, f.Raw)), Length: len(f.Raw), Chunks: c.timing(), Ended: f.End, AIM: e.AIM, Code: e.Symbology,
		Charset: e.Charset, Relayed: e.Relay != nil, frame: f, event: e,
	}
	c.hints(r)
	c.count(r)
	c.report.scan(r)
	for _, s := range c.steps {
		if s.fits != nil && s.fits(r) {
			c.tick(s.Name)
		}
	}
	return r
}

func (c *scannerCheck) since(t time.Time) int64 { return max(0, t.Sub(c.start).Milliseconds()) }

// timing is when the bytes of the frame came.
func (c *scannerCheck) timing() []chunkTime {
	out := append([]chunkTime{}, c.chunks...)
	for i := range out {
		out[i].AtMS = out[i].at.Sub(out[0].at).Milliseconds()
	}
	c.chunks = c.chunks[:0]
	return out
}

func (c *scannerCheck) count(r *scanReport) {
	t := &c.seen
	t.frames++
	if t.ends == nil {
		t.ends = map[scanner.End]int{}
	}
	t.ends[r.Ended]++
	t.lastFrame = r.frame.At
	if readable(r.event, r.frame) {
		t.readable++
	}
	if n := len(r.frame.Data); r.Ended == scanner.EndTerminator {
		i := strings.LastIndex(string(r.frame.Raw), string(r.frame.Data))
		t.suffix = string(r.frame.Raw[i+n:])
	}
}

// readable tells whether the frame cannot have come from a line with the wrong settings.
func readable(e card.Event, f scanner.Frame) bool {
	switch e.Reason {
	case card.Garbage, card.TooLong, card.Protocol:
		return false
	case card.Unknown, card.Length, card.NoAIM:
		return len(f.Data) >= 4 && e.Charset == "ascii" || e.Charset == string(card.CharsetUTF8)
	}
	return true
}

// The advices on a scan.
const (
	adviseSuffix = "program the scanner to send CR after every code: a frame that only silence ends can be split by a stall"
	adviseBaud   = "no text: wrong speed or parity; try --baud-scan"
	adviseParity = "with the eighth bit taken off this is text: the scanner sends 7 data bits and parity; set it to 8N1, or data_bits: 7 and parity here"
	adviseRepeat = "the scanner reads the same code again and again: set its same-code delay to a second"
	adviseLong   = "no end within the longest frame: the terminator is another than the one configured"
	adviseNoCard = "no card ranges are configured, so that no number can be a card: set cards.ranges, or --range PREFIX:LENGTH"
	adviseNarrow = "digits that are not of your card's length: the scanner may be set to cut codes, or the code is another"
)

// hints says what to do about a scan.
func (c *scannerCheck) hints(r *scanReport) {
	hint := func(h string) {
		r.Hints = append(r.Hints, h)
		c.advise(h)
	}
	if r.Ended == scanner.EndGap && r.Reason != card.Garbage {
		hint(adviseSuffix)
	}
	switch {
	case r.Reason == card.Garbage && sevenBits(r.frame.Data):
		hint(adviseParity)
	case r.Reason == card.Garbage:
		hint(adviseBaud)
	case r.Reason == card.TooLong:
		hint(adviseLong)
	case r.Event == card.Dup && r.frame.At.Sub(c.seen.lastFrame) < 500*time.Millisecond:
		hint(adviseRepeat)
	case len(c.cards.Ranges) == 0 && (r.Reason == card.Unknown || r.Reason == card.Length) && digitsOnly(r.frame.Data):
		hint(adviseNoCard)
	case r.Reason == card.Length && !r.Relayed && r.Ended != scanner.EndGap:
		hint(adviseNarrow)
	}
}

// sevenBits tells whether bytes become plain text once their eighth bit, a parity bit, is taken off.
func sevenBits(b []byte) bool {
	high := false
	for _, c := range b {
		high = high || c >= 0x80
		if c &= 0x7f; c < ' ' && c != '\r' && c != '\n' || c == 0x7f {
			return false
		}
	}
	return high && len(b) >= 6
}

func digitsOnly(b []byte) bool {
	return len(b) > 0 && strings.Trim(string(b), "0123456789") == ""
}

// masked is the frame as it may be shown: goods as they are, bank data not at all, tokens by their beginning, and of any
// other long number only the ends.
func masked(e card.Event, raw []byte) string {
	const shown = 8
	switch {
	case e.Reason == card.PaymentCard || e.Reason == card.Track1 || e.Reason == card.Track3:
		return "(bank data, not shown)"
	case e.Reason == card.ProductCode || e.Reason == card.GoodsMark:
		return string(raw)
	case (e.Type == card.Token || e.Type == card.Dup || e.Reason == card.Unterminated) && len(raw) > shown && !numberOnly(raw):
		return string(raw[:shown]) + fmt.Sprintf("... %d more", len(raw)-shown)
	}
	before, after, _ := strings.Cut(string(raw), e.AIM) // the digit of the identifier belongs to no number
	return before + e.AIM + maskDigits(after)
}

// numberOnly tells whether the frame is a number, so that masking its digits masks it.
func numberOnly(raw []byte) bool {
	return strings.Trim(string(raw), "0123456789 -\r\n\x02\x03") == ""
}

// maskDigits replaces the inner digits of every number of eight digits or more by asterisks; spaces and hyphens inside
// a number do not hide it.
func maskDigits(text string) string {
	const least, keep = 8, 4
	out := []byte(text)
	var run []int // the places of a number's digits
	flush := func() {
		if len(run) >= least {
			for _, i := range run[keep : len(run)-keep] {
				out[i] = '*'
			}
			if len(run) < 3*keep {
				for _, i := range run {
					out[i] = '*'
				}
			}
		}
		run = run[:0]
	}
	for i, c := range out {
		switch {
		case c >= '0' && c <= '9':
			run = append(run, i)
		case c != ' ' && c != '-':
			flush()
		}
	}
	flush()
	return string(out)
}
