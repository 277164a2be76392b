package agent

import (
	"errors"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// CardConfig is what the configuration says of cards, in the decoder's words.
func CardConfig(c config.Cards, s config.Scanner) card.Config {
	out := card.Config{
		Hosts: c.URLHosts, URLParam: c.URLParam, Tokens: c.TokenPrefixes, JSONKey: c.JSONKey, NoRead: s.NoRead,
		GapsOK: s.GapPolicy == "accept", Dedupe: s.DedupeMS.Duration(), Charset: card.Charset(s.Charset), AIM: card.AIM(s.AIMID), MaxLen: s.MaxLen,
	}
	if s.DedupeMS == 0 && s.Name != "" { // without a scanner in the file the decoder's own default stands
		out.Dedupe = -1
	}
	for _, r := range c.Ranges {
		out.Ranges = append(out.Ranges, card.Range{Prefix: r.Prefix, Length: r.Length, Check: card.Check(r.Check)})
	}
	return out
}

// ScannerConfig is what the configuration says of a scanner, in the reader's words.
func ScannerConfig(s config.Scanner) (scanner.Config, error) {
	out := scanner.Config{
		Name: s.Name, Preset: s.Preset, Port: s.Port, Match: scanner.Match{Serial: s.Match.Serial},
		Line:    scanner.Line{Baud: s.Baud, DataBits: s.DataBits, Parity: scanner.Parity(s.Parity), StopBits: s.StopBits},
		Framing: scanner.Framing{Terminator: scanner.Terminator(s.Terminator), Gap: s.GapMS.Duration(), MaxLen: s.MaxLen},
		Reopen:  scanner.Reopen{Min: s.ReopenMS.Min.Duration(), Max: s.ReopenMS.Max.Duration()},
	}
	if s.GapPolicy == "drop" {
		out.Framing.GapPolicy = scanner.GapDrop
	}
	var err error
	if s.Match.VID != "" {
		err = out.Match.VID.UnmarshalText([]byte(s.Match.VID))
	}
	if s.Match.PID != "" {
		err = errors.Join(err, out.Match.PID.UnmarshalText([]byte(s.Match.PID)))
	}
	return out, err
}

// FormsKey is the key that the forms of new customers are sealed to; none where the configuration names none.
func FormsKey(c config.Cards) (form.Key, error) {
	if c.FormsKey == "" {
		return form.Key{}, nil
	}
	k, err := form.ParseKey(c.FormsKey)
	if err != nil {
		return form.Key{}, fmt.Errorf("cards.forms_key: %w", err)
	}
	return k, nil
}
