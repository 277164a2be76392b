package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

func newScannerCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scanner",
		Short: "List the scanners, try one, decode what one sent",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newScannerListCmd(), newScannerCheckCmd(), newScannerDecodeCmd())
	return cmd
}

// cardFlags are the flags that say which cards are ours; only those that were given change a configuration.
type cardFlags struct {
	ranges, hosts, tokens, noRead []string
	urlParam, jsonKey, charset    string
	terminator                    string
}

// add defines the flags. Their help shows the defaults of cfg.
func (f *cardFlags) add(cmd *cobra.Command, cfg card.Config) {
	var ranges []string
	for _, r := range cfg.Ranges {
		ranges = append(ranges, fmt.Sprintf("%s:%d:%s", r.Prefix, r.Length, r.Check))
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.ranges, "range", ranges, "card numbers: `PREFIX:LENGTH[:CHECK]`, CHECK being luhn, ean13 or none")
	flags.StringSliceVar(&f.hosts, "host", cfg.Hosts, "`host` whose links carry a card")
	flags.StringVar(&f.urlParam, "url-param", cfg.URLParam, "`parameter` of such a link that is the card")
	flags.StringSliceVar(&f.tokens, "token", cfg.Tokens, "`prefix` of tokens")
	flags.StringVar(&f.jsonKey, "json-key", cfg.JSONKey, "`member` of a JSON object that is the card")
	flags.StringSliceVar(&f.noRead, "no-read", cfg.NoRead, "`text` that means nothing was read")
	flags.StringVar(&f.charset, "charset", "auto", "how text is read: auto, utf-8 or cp1251")
	flags.StringVar(&f.terminator, "terminator", string(scanner.CRLFAny), fmt.Sprintf("what ends a frame: one of %v", scanner.Terminators()))
}

// apply puts the flags that were given over cfg.
func (f *cardFlags) apply(cmd *cobra.Command, cfg *card.Config, framing *scanner.Framing) error {
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	if given("range") {
		cfg.Ranges = nil
		for _, text := range f.ranges {
			r, err := parseRange(text)
			if err != nil {
				return fmt.Errorf("--range %w", err)
			}
			cfg.Ranges = append(cfg.Ranges, r)
		}
	}
	for name, set := range map[string]func(){
		"host":       func() { cfg.Hosts = f.hosts },
		"url-param":  func() { cfg.URLParam = f.urlParam },
		"token":      func() { cfg.Tokens = f.tokens },
		"json-key":   func() { cfg.JSONKey = f.jsonKey },
		"no-read":    func() { cfg.NoRead = f.noRead },
		"charset":    func() { cfg.Charset = card.Charset(f.charset) },
		"terminator": func() { framing.Terminator = scanner.Terminator(f.terminator) },
	} {
		if given(name) {
			set()
		}
	}
	if err := cfg.Validate(); err != nil {
		return withStatus(exitConfig, err)
	}
	return nil
}

func parseRange(text string) (card.Range, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return card.Range{}, fmt.Errorf("%q: want PREFIX:LENGTH or PREFIX:LENGTH:CHECK, like 7005:16:luhn", text)
	}
	length, err := strconv.Atoi(parts[1])
	if err != nil {
		return card.Range{}, fmt.Errorf("%q: %q is not a length", text, parts[1])
	}
	r := card.Range{Prefix: parts[0], Length: length, Check: card.Luhn}
	if len(parts) == 3 {
		r.Check = card.Check(parts[2])
	}
	return r, nil
}

// scannerNamed is the scanner of that name in the configuration, or its only one; false means that it names none.
func scannerNamed(c config.Agent, name string) (config.Scanner, bool, error) {
	var names []string
	for _, s := range c.Scanners {
		names = append(names, s.Name)
	}
	switch i := slices.Index(names, name); {
	case i >= 0:
		return c.Scanners[i], true, nil
	case name != "":
		return config.Scanner{}, false, fmt.Errorf("no scanner is named %q in the configuration, only %v", name, names)
	case len(names) > 1:
		return config.Scanner{}, false, withHint(fmt.Errorf("the configuration has several scanners: %v", names), "name one with --scanner")
	case len(names) == 1:
		return c.Scanners[0], true, nil
	}
	return config.Scanner{}, false, nil
}

// configured reads the settings of a scanner, and of the cards it reads, from the configuration file. found is false if
// there is no file; one that was asked for by --config must be there.
func configured(cmd *cobra.Command, name string) (s config.Scanner, cards config.Cards, found bool, err error) {
	c, err := loadConfig(cmd)
	if errors.Is(err, fs.ErrNotExist) && !cmd.Flag("config").Changed {
		return s, cards, false, nil
	}
	if err != nil {
		return s, cards, false, err
	}
	s, _, err = scannerNamed(c, name)
	return s, c.Cards, true, err
}

// decodeFrame gives a frame to the decoder; tails are no frames.
func decodeFrame(d *card.Decoder, f scanner.Frame, at time.Time) (card.Event, bool) {
	if f.End == scanner.EndTail {
		return card.Event{}, false
	}
	return d.Decode(card.Frame{Data: f.Data, Raw: f.Raw, End: card.End(f.End)}, at)
}
