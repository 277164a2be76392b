package loyalty_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func TestParseDecimal(t *testing.T) {
	for _, tt := range []struct {
		in     string
		digits int
		want   int64 // -1: refused
	}{
		{"0", 2, 0},
		{"1", 2, 100},
		{"1.2", 2, 120},
		{"1,25", 2, 125},
		{"007", 0, 7},
		{"31.5", 3, 31500},
		{"1000000000000", 2, loyalty.MaxAmount},
		{"100000000000", 3, loyalty.MaxAmount},
		{"1000000000000.01", 2, -1},
		{"1000000000001", 2, -1},
		{"9999999999999999999999", 0, -1},
		{"1.255", 2, -1},
		{"1.5", 0, -1},
		{"", 2, -1},
		{".5", 2, -1},
		{"5.", 2, -1},
		{".", 2, -1},
		{"-1", 2, -1},
		{"+1", 2, -1},
		{"1e3", 2, -1},
		{"0x10", 2, -1},
		{"1_000", 2, -1},
		{" 1", 2, -1},
		{"1.2.3", 3, -1},
		{"1,2,3", 3, -1},
		{"1.2,3", 4, -1},
		{"١", 2, -1},
		{"1\x00", 2, -1},
		{strings.Repeat("0", 100), 2, -1},
	} {
		got, err := loyalty.ParseDecimal(tt.in, tt.digits)
		if tt.want < 0 {
			if !errors.Is(err, loyalty.ErrAmount) || got != 0 {
				t.Errorf("%q with %d digits is %d, %v; want ErrAmount", tt.in, tt.digits, got, err)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%q with %d digits is %d, %v; want %d", tt.in, tt.digits, got, err, tt.want)
		}
	}
}

func TestAmountsShow(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{loyalty.Points(12345).String(), "123.45"},
		{loyalty.Points(12000).String(), "120"},
		{loyalty.Points(50).String(), "0.5"},
		{loyalty.Points(5).String(), "0.05"},
		{loyalty.Points(0).String(), "0"},
		{loyalty.Points(-5).String(), "-0.05"},
		{loyalty.Points(math.MinInt64).String(), "-92233720368547758.08"},
		{loyalty.Kopecks(12340).String(), "123.40"},
		{loyalty.Kopecks(0).String(), "0.00"},
		{loyalty.Millilitres(31500).String(), "31.5"},
		{loyalty.Millilitres(5).String(), "0.005"},
	} {
		if tt.got != tt.want {
			t.Errorf("shows %q, want %q", tt.got, tt.want)
		}
	}
}

func TestPointsReadWhatTheyShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := loyalty.Points(rapid.Int64Range(0, loyalty.MaxAmount).Draw(t, "points"))
		if got, err := loyalty.ParsePoints(p.String()); err != nil || got != p {
			t.Fatalf("%s is read as %s, %v", p, got, err)
		}
	})
}

// FuzzParseDecimal compares every accepted text with math/big's reading of it.
func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"0", "1.25", "1,5", "1000000000000.00", "-1", "1e3", "00.1", "1..2", "０"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, digits int) {
		digits = min(max(digits, 0), 6)
		got, err := loyalty.ParseDecimal(s, digits)
		if err != nil {
			if !errors.Is(err, loyalty.ErrAmount) || got != 0 {
				t.Fatalf("%q: %d, %v", s, got, err)
			}
			return
		}
		want, ok := new(big.Rat).SetString(strings.Replace(s, ",", ".", 1))
		if !ok {
			t.Fatalf("%q was read as %d and is no number", s, got)
		}
		want.Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
		if want.Cmp(new(big.Rat).SetInt64(got)) != 0 || got < 0 || got > loyalty.MaxAmount {
			t.Fatalf("%q was read as %d, want %s", s, got, want)
		}
	})
}

func TestInstant(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 7_654_321, time.FixedZone("MSK", 3*3600))
	i := loyalty.At(at)
	if i.String() != "2026-03-01T09:00:00.007Z" {
		t.Errorf("shows %s", i)
	}
	if got := i.Add(90 * time.Second).Time(); !got.Equal(time.Date(2026, 3, 1, 9, 1, 30, 7_000_000, time.UTC)) {
		t.Errorf("90 seconds later is %s", got)
	}
}
