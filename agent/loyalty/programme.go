package loyalty

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Programme is the rules of earning and redeeming: data, not code. It is made by [ParseProgramme] and not changed
// afterwards, so that any number of goroutines may read it.
//
// Rounding, stated once: an earning rule gives points for the sum of the lines it covers, rounded down to the
// programme's step; money for points and the shares are rounded down to a kopeck; what a receipt's discount leaves over
// after rounding its lines down goes one kopeck at a time to the lines with the largest remainders.
type Programme struct {
	Name      string
	Version   uint32 // grows with every publication; named by every entry that it priced
	Effective Instant
	Title     Text

	Offset     time.Duration // of the programme's calendar from UTC
	PointValue Kopecks       // what one whole point pays
	Step       Points        // points are earned in multiples of this

	Earn       []EarnRule
	NoEarn     []string // groups and codes that never earn
	NoRedeem   []string // groups and codes that points never pay for
	Activation time.Duration
	LifeMonths int // calendar months until a lot expires; zero: never

	RedeemShare int64   // of the lines that points may pay for, in hundredths of a per cent
	RedeemStep  Points  // redemptions are multiples of this
	MinMoney    Kopecks // the customer pays at least so much of the receipt in money

	AcceptUnknown bool // a card HQ has not told us of may accrue while HQ is out of reach
	Source        []byte
}

// EarnRule gives Points for every full or partial Per of what it covers.
type EarnRule struct {
	Kind   LineKind
	Codes  []string // fuel grades or goods groups; empty: all
	Points Points
	Per    int64 // millilitres for fuel, kopecks for goods
	Whole  bool  // only full units of Per count
}

// MaxProgramme bounds a programme file, in bytes.
const MaxProgramme = 256 << 10

// ErrProgramme means that a programme file is not valid; the message names line, column and what to write instead.
var ErrProgramme = errors.New("programme")

type programmeFile struct {
	Schema    string `yaml:"schema"`
	Name      string `yaml:"name"`
	Version   uint32 `yaml:"version"`
	Effective string `yaml:"effective"`
	Title     struct {
		RU string `yaml:"ru"`
		EN string `yaml:"en"`
	} `yaml:"title"`
	UTCOffset string `yaml:"utc_offset"`
	Points    struct {
		Value string `yaml:"value"`
		Step  string `yaml:"step"`
	} `yaml:"points"`
	Earn []struct {
		Fuel      []string `yaml:"fuel"`
		Goods     []string `yaml:"goods"`
		Points    string   `yaml:"points"`
		PerLitres string   `yaml:"per_litres"`
		PerRouble string   `yaml:"per_roubles"`
		Whole     bool     `yaml:"whole"`
	} `yaml:"earn"`
	NeverEarn   []string `yaml:"never_earn"`
	NeverRedeem []string `yaml:"never_redeem"`
	Activation  struct {
		Days int `yaml:"days"`
	} `yaml:"activation"`
	Expiry struct {
		Months int `yaml:"months"`
	} `yaml:"expiry"`
	Redeem struct {
		Share    string `yaml:"share"`
		Step     string `yaml:"step"`
		MinMoney string `yaml:"min_money"`
	} `yaml:"redeem"`
	UnknownCard string `yaml:"unknown_card"`
}

// ProgrammeSchema is the value of a file's first key.
const ProgrammeSchema = "azs-edge/programme/1"

// ParseProgramme reads a programme file strictly: an unknown key, a wrong unit or a value out of range is an error of
// [ErrProgramme] that names the place. The file's bytes are kept as Source.
func ParseProgramme(src []byte) (*Programme, error) {
	if len(src) > MaxProgramme {
		return nil, fmt.Errorf("%w: file of %d bytes, at most %d", ErrProgramme, len(src), MaxProgramme)
	}
	var f programmeFile
	d := yaml.NewDecoder(bytes.NewReader(src), yaml.Strict())
	if err := d.Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, fmt.Errorf("%w: %s", ErrProgramme, strings.TrimSpace(err.Error()))
	}
	b := &programmeBuilder{src: src}
	p := b.build(&f)
	if len(b.errs) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrProgramme, errors.Join(b.errs...))
	}
	p.Source = slices.Clone(src)
	return p, nil
}

type programmeBuilder struct {
	src  []byte
	errs []error
}

// bad notes an error at a YAML path such as "$.redeem.share"; the line is looked up in the source.
func (b *programmeBuilder) bad(path, format string, args ...any) {
	where := strings.TrimPrefix(path, "$.")
	if p, err := yaml.PathString(path); err == nil {
		if node, err := p.ReadNode(bytes.NewReader(b.src)); err == nil && node != nil {
			pos := node.GetToken().Position
			where = fmt.Sprintf("%d:%d: %s", pos.Line, pos.Column, where)
		}
	}
	b.errs = append(b.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

func (b *programmeBuilder) number(path, s string, digits int, unit string, fallback int64) int64 {
	if s == "" {
		return fallback
	}
	v, err := ParseDecimal(s, digits)
	if err != nil {
		b.bad(path, "%.32q is not a number of %s with at most %d decimals", s, unit, digits)
	}
	return v
}

func (b *programmeBuilder) build(f *programmeFile) *Programme {
	p := &Programme{Name: f.Name, Version: f.Version, Title: Text{f.Title.RU, f.Title.EN}}
	if f.Schema != ProgrammeSchema {
		b.bad("$.schema", "%.64q, want %q", f.Schema, ProgrammeSchema)
	}
	if !plainName(f.Name) {
		b.bad("$.name", "%.64q, want 1 to 32 lower-case letters, digits and hyphens", f.Name)
	}
	if f.Version == 0 {
		b.bad("$.version", "want a number from 1 that grows with every publication")
	}
	for key, s := range map[string]string{"ru": f.Title.RU, "en": f.Title.EN} {
		if s == "" || len(s) > 128 || plainText("title", s) != nil {
			b.bad("$.title."+key, "want a title of 1 to 128 bytes")
		}
	}
	at, err := time.Parse(time.RFC3339, f.Effective)
	if err != nil {
		b.bad("$.effective", "%.40q, want a moment like 2026-01-01T00:00:00+03:00", f.Effective)
	}
	p.Effective = At(at)
	p.Offset = b.offset(f.UTCOffset)
	p.PointValue = Kopecks(b.number("$.points.value", f.Points.Value, 2, "roubles", 100))
	p.Step = Points(b.number("$.points.step", f.Points.Step, 2, "points", 1))
	if p.PointValue <= 0 || p.PointValue > 1_000_000 {
		b.bad("$.points.value", "a point is worth more than 0 and at most 10000 roubles")
	}
	if p.Step <= 0 {
		b.bad("$.points.step", "want more than 0")
	}
	b.earn(f, p)
	p.NoEarn, p.NoRedeem = f.NeverEarn, f.NeverRedeem
	p.Activation = time.Duration(f.Activation.Days) * 24 * time.Hour
	if f.Activation.Days < 0 || f.Activation.Days > 366 {
		b.bad("$.activation.days", "%d, want 0 to 366", f.Activation.Days)
	}
	p.LifeMonths = f.Expiry.Months
	if p.LifeMonths < 0 || p.LifeMonths > 120 {
		b.bad("$.expiry.months", "%d, want 0 (never) to 120", p.LifeMonths)
	}
	b.redeem(f, p)
	switch f.UnknownCard {
	case "accrue":
		p.AcceptUnknown = true
	case "refuse", "":
	default:
		b.bad("$.unknown_card", "%.32q, want accrue or refuse", f.UnknownCard)
	}
	return p
}

func (b *programmeBuilder) earn(f *programmeFile, p *Programme) {
	for i, r := range f.Earn {
		path := fmt.Sprintf("$.earn[%d]", i)
		rule := EarnRule{Whole: r.Whole, Points: Points(b.number(path+".points", r.Points, 2, "points", 0))}
		switch {
		case len(r.Fuel) > 0 && len(r.Goods) == 0 && r.PerRouble == "":
			rule.Kind, rule.Codes = Fuel, r.Fuel
			rule.Per = b.number(path+".per_litres", r.PerLitres, 3, "litres", 1000)
		case len(r.Goods) > 0 && len(r.Fuel) == 0 && r.PerLitres == "":
			rule.Kind, rule.Codes = Goods, r.Goods
			rule.Per = b.number(path+".per_roubles", r.PerRouble, 2, "roubles", 100)
		default:
			b.bad(path, "a rule has fuel: [grades] with per_litres, or goods: [groups] with per_roubles")
			continue
		}
		if rule.Points <= 0 || rule.Points > 1_000_000 {
			b.bad(path+".points", "want more than 0 and at most 10000")
		}
		if rule.Per <= 0 {
			b.bad(path, "per_litres or per_roubles: want more than 0")
		}
		if slices.Contains(rule.Codes, "*") {
			rule.Codes = nil
		}
		p.Earn = append(p.Earn, rule)
	}
	if len(p.Earn) > 1000 {
		b.bad("$.earn", "%d rules, at most 1000", len(p.Earn))
	}
}

func (b *programmeBuilder) redeem(f *programmeFile, p *Programme) {
	share, ok := strings.CutSuffix(f.Redeem.Share, "%")
	if !ok && f.Redeem.Share != "" {
		b.bad("$.redeem.share", "%.32q, want per cent, like 50%%", f.Redeem.Share)
	}
	p.RedeemShare = b.number("$.redeem.share", share, 2, "per cent", 100_00)
	if p.RedeemShare > 100_00 {
		b.bad("$.redeem.share", "want 0%% to 100%%")
	}
	p.RedeemStep = Points(b.number("$.redeem.step", f.Redeem.Step, 2, "points", 1_00))
	if p.RedeemStep <= 0 {
		b.bad("$.redeem.step", "want more than 0")
	}
	p.MinMoney = Kopecks(b.number("$.redeem.min_money", f.Redeem.MinMoney, 2, "roubles", 0))
}

// offset reads "+03:00".
func (b *programmeBuilder) offset(s string) time.Duration {
	if s == "" {
		s = "+03:00"
	}
	t, err := time.Parse("-07:00", s)
	if err != nil {
		b.bad("$.utc_offset", "%.16q, want an offset like +03:00", s)
		return 0
	}
	_, sec := t.Zone()
	return time.Duration(sec) * time.Second
}

func plainName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) < 0
}

// expiry is the moment a lot accrued at the given moment expires: the end of that calendar day, LifeMonths later. Lots
// of one day share it, so that an account's lots stay few.
func (p *Programme) expiry(at Instant) Instant {
	if p.LifeMonths == 0 {
		return 0
	}
	local := at.Time().Add(p.Offset)
	day := time.Date(local.Year(), local.Month()+time.Month(p.LifeMonths), local.Day()+1, 0, 0, 0, 0, time.UTC)
	return At(day.Add(-p.Offset))
}

// activation is the moment a lot accrued at the given moment may be redeemed: at once, or at the start of the day after
// the delay.
func (p *Programme) activation(at Instant) Instant {
	local := at.Time().Add(p.Offset)
	day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	return At(day.Add(p.Activation - p.Offset))
}
