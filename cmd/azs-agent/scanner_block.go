package main

import (
	"fmt"
	"strings"

	"github.com/azs-edge/azs-edge/pos/scanner"
)

// configBlock is the part of the configuration file that makes this scanner work as it just did.
func (c *scannerCheck) configBlock() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("scanners:")
	line("  - port: %q", c.stablePort())
	if c.cfg.Preset != "" && c.cfg.Preset != "generic" {
		line("    preset: %s", c.cfg.Preset)
	}
	line("    baud: %d", c.cfg.Line.Baud)
	line("    data_bits: %d", c.cfg.Line.DataBits)
	line("    parity: %q", c.cfg.Line.Parity)
	line("    stop_bits: %d", c.cfg.Line.StopBits)
	line("    terminator: %q%s", c.cfg.Framing.Terminator, c.endComment())
	if len(c.cards.Ranges) > 0 {
		line("cards:")
		line("  ranges:")
		for _, r := range c.cards.Ranges {
			line("    - {prefix: %q, length: %d, check: %q}", r.Prefix, r.Length, r.Check)
		}
	}
	return b.String()
}

// stablePort is the name of the port that survives replugging.
func (c *scannerCheck) stablePort() string {
	ports, err := c.host.Ports()
	if err != nil {
		return c.cfg.Port
	}
	for _, p := range ports {
		if p.ByID != "" && strings.HasSuffix(c.cfg.Port, "/"+p.Name) {
			return p.ByID
		}
	}
	return c.cfg.Port
}

func (c *scannerCheck) endComment() string {
	ends := c.seen.ends
	switch {
	case ends[scanner.EndTerminator]+ends[scanner.EndETX] == 0:
		return " # none came: program the scanner to send CR"
	case c.seen.suffix != "":
		return fmt.Sprintf(" # %q came", c.seen.suffix)
	}
	return ""
}
