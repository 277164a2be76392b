package card

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// ErrConfig is a configuration that cannot work; the text names the field.
var ErrConfig = errors.New("card: bad configuration")

// Check is how a number proves itself.
type Check string

// The checks.
const (
	Luhn      Check = "luhn"
	EAN13     Check = "ean13" // the check digit of GS1: 13 digits of the operator's own, or 18 that come as a GSRN, behind 8018
	Unchecked Check = "none"  // taken only from frames that surely are whole
)

// Range is one of the operator's ranges of card numbers.
type Range struct {
	Prefix string // digits that every number begins with
	Length int    // of the whole number, in digits
	Check  Check  // default Luhn
}

// gsrn tells whether the range is of GS1 service relation numbers, which count only with their application identifier.
func (r Range) gsrn() bool { return r.Check == EAN13 && r.Length == 18 }

// Charset is how text is read.
type Charset string

// The charsets.
const (
	CharsetAuto   Charset = "auto" // UTF-8 if it is valid as that, else Windows-1251
	CharsetUTF8   Charset = "utf-8"
	CharsetCP1251 Charset = "cp1251"
)

// AIM says what "]" and two characters at the start of a frame mean.
type AIM string

// The treatments of AIM identifiers.
const (
	AIMAuto     AIM = "auto"     // an AIM identifier, if it has the form of one
	AIMRequired AIM = "required" // as auto, and a frame without is rejected
	AIMNone     AIM = "none"     // data
)

// The bounds of a configuration and of a frame.
const (
	MaxLen        = 8192 // bytes of a frame
	DefaultDedupe = 1500 * time.Millisecond
	maxList       = 256
)

// Config says what the operator's cards look like. The zero value knows no cards at all, only what goods, bank cards
// and noise look like.
type Config struct {
	Ranges   []Range
	Hosts    []string      // of links that carry a card: exactly these, in ASCII; any port and path
	URLParam string        // the parameter that holds the number; required with Hosts
	Tokens   []string      // prefixes of tokens, beside grants and JWTs, which are always known. Their kind is the prefix itself, or of "HC1:" the "hc1"
	JSONKey  string        // the member that holds the number; empty: JSON is not ours
	NoRead   []string      // what the scanner sends when it read nothing; default none
	GapsOK   bool          // a frame ended by silence is taken for whole. Default: only what a check digit proves
	Dedupe   time.Duration // same card or token again within this time of being seen: Dup; default DefaultDedupe, negative: never
	Charset  Charset       // default CharsetAuto
	AIM      AIM           // default AIMAuto
	MaxLen   int           // bytes of a frame's data; default and most MaxLen
}

// Example returns the configuration that documentation, the demo and the recorded corpus use.
func Example() Config {
	return Config{
		Ranges: []Range{
			{Prefix: "7005", Length: 16, Check: Luhn},
			{Prefix: "278", Length: 13, Check: EAN13},
			{Prefix: "46", Length: 18, Check: EAN13},
		},
		Hosts:    []string{"loy.example"},
		URLParam: "c",
		Tokens:   []string{"HC1:", "FUEL-"},
		JSONKey:  "card",
		NoRead:   []string{"NR", "?", "NOREAD", "NO READ", "ERROR"},
	}
}

// withDefaults returns a copy that shares nothing with c.
func (c Config) withDefaults() Config {
	c.Ranges, c.Hosts, c.Tokens, c.NoRead = slices.Clone(c.Ranges), slices.Clone(c.Hosts), slices.Clone(c.Tokens), slices.Clone(c.NoRead)
	for i := range c.Ranges {
		if c.Ranges[i].Check == "" {
			c.Ranges[i].Check = Luhn
		}
	}
	for i := range c.Hosts {
		c.Hosts[i] = strings.ToLower(c.Hosts[i])
	}
	if c.Dedupe == 0 {
		c.Dedupe = DefaultDedupe
	}
	if c.Charset == "" {
		c.Charset = CharsetAuto
	}
	if c.AIM == "" {
		c.AIM = AIMAuto
	}
	if c.MaxLen == 0 {
		c.MaxLen = MaxLen
	}
	return c
}

// Validate returns [ErrConfig], naming the field, unless the configuration can work.
func (c Config) Validate() error {
	c = c.withDefaults()
	if len(c.Ranges) > maxList || len(c.Hosts) > maxList || len(c.Tokens) > maxList || len(c.NoRead) > maxList {
		return fmt.Errorf("%w: a list of more than %d", ErrConfig, maxList)
	}
	for i, r := range c.Ranges {
		if err := r.validate(); err != nil {
			return fmt.Errorf("%w: ranges[%d]: %w", ErrConfig, i, err)
		}
	}
	for i, h := range c.Hosts {
		if h == "" || strings.Trim(h, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			return fmt.Errorf("%w: hosts[%d] %q, want a bare host name in ASCII, like loy.example", ErrConfig, i, h)
		}
	}
	if len(c.Hosts) > 0 && c.URLParam == "" {
		return fmt.Errorf("%w: url_param is needed with hosts", ErrConfig)
	}
	for i, t := range c.Tokens {
		if len(t) < 3 || digits(t) {
			return fmt.Errorf("%w: tokens[%d] %q, want at least three characters and not only digits", ErrConfig, i, t)
		}
	}
	switch {
	case slices.Contains(c.NoRead, ""):
		return fmt.Errorf("%w: no_read holds an empty text", ErrConfig)
	case c.Dedupe > time.Minute:
		return fmt.Errorf("%w: dedupe_ms %d, want at most 60000", ErrConfig, c.Dedupe.Milliseconds())
	case c.Charset != CharsetAuto && c.Charset != CharsetUTF8 && c.Charset != CharsetCP1251:
		return fmt.Errorf("%w: charset %q, want auto, utf-8 or cp1251", ErrConfig, c.Charset)
	case c.AIM != AIMAuto && c.AIM != AIMRequired && c.AIM != AIMNone:
		return fmt.Errorf("%w: aim_id %q, want auto, required or none", ErrConfig, c.AIM)
	case c.MaxLen < 16 || c.MaxLen > MaxLen:
		return fmt.Errorf("%w: max_len %d, want 16 to %d", ErrConfig, c.MaxLen, MaxLen)
	}
	return nil
}

func (r Range) validate() error {
	switch {
	case !digits(r.Prefix):
		return fmt.Errorf("prefix %q, want digits: without a prefix every code of this length would be a card", r.Prefix)
	case r.Length < 6 || r.Length > loyalty.MaxCard || len(r.Prefix) >= r.Length:
		return fmt.Errorf("length %d, want 6 to %d and more than the prefix has", r.Length, loyalty.MaxCard)
	case r.Check != Luhn && r.Check != EAN13 && r.Check != Unchecked:
		return fmt.Errorf("check %q, want luhn, ean13 or none", r.Check)
	}
	return nil
}
