package main

import (
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// guidedStep is one thing that a guided check asks for. They may be done in any order.
type guidedStep struct {
	Name string                   `json:"name"`
	Ask  string                   `json:"ask"`
	Done bool                     `json:"done"`
	fits func(r *scanReport) bool // nil: not a scan
}

// The steps that are not scans.
const (
	stepUnplug = "unplug"
	stepReplug = "replug"
)

// longQR is what a long QR code has at least, in bytes.
const longQR = 500

func guidedSet() []*guidedStep {
	return []*guidedStep{
		{Name: "card", Ask: "scan a card of your own network", fits: func(r *scanReport) bool { return r.Event == card.Card }},
		{Name: "cyrillic_qr", Ask: "scan a QR code with Russian letters", fits: func(r *scanReport) bool {
			return r.Charset == string(card.CharsetUTF8) || r.Charset == string(card.CharsetCP1251)
		}},
		{Name: "long_qr", Ask: "scan a QR code of more than 500 characters", fits: func(r *scanReport) bool {
			return r.Length >= longQR && r.Ended != scanner.EndOverflow && r.Reason != card.Garbage
		}},
		{Name: "goods", Ask: "scan the barcode of any goods", fits: func(r *scanReport) bool {
			return r.Reason == card.ProductCode || r.Reason == card.GoodsMark
		}},
		{Name: stepUnplug, Ask: "pull the scanner's cable out"},
		{Name: stepReplug, Ask: "plug it in again"},
	}
}

// tick marks a step done, and ends the check with the last.
func (c *scannerCheck) tick(name string) {
	left := 0
	for _, s := range c.steps {
		if s.Name == name && !s.Done {
			s.Done = true
			c.report.step(s)
		}
		if !s.Done {
			left++
		}
	}
	if len(c.steps) > 0 && left == 0 {
		c.stop()
	}
}
