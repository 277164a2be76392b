package loyalty

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Points are loyalty points in hundredths: 12345 is 123.45 points.
type Points int64

// Kopecks is money in hundredths of a rouble.
type Kopecks int64

// Millilitres is a volume of fuel.
type Millilitres int64

// MaxAmount bounds every amount that comes from outside (points, kopecks, millilitres): ten trillion units before the
// hundredths. Sums of 10,000 lines at the bound still fit in an int64.
const MaxAmount = 100_000_000_000_000

// ErrAmount means that an amount is negative, too large or not a number.
var ErrAmount = errors.New("amount out of range")

// String shows points as a decimal number with the fewest digits: "123.45", "120", "0.5".
func (p Points) String() string { return decimal(int64(p), 2, true) }

// String shows money with two digits after the point: "123.40".
func (k Kopecks) String() string { return decimal(int64(k), 2, false) }

// String shows a volume in litres with the fewest digits: "31.5".
func (m Millilitres) String() string { return decimal(int64(m), 3, true) }

func decimal(v int64, digits int, trim bool) string {
	sign := ""
	u := uint64(v)
	if v < 0 {
		sign, u = "-", -u
	}
	s := strconv.FormatUint(u, 10)
	if len(s) <= digits {
		s = strings.Repeat("0", digits-len(s)+1) + s
	}
	whole, frac := s[:len(s)-digits], s[len(s)-digits:]
	if trim {
		frac = strings.TrimRight(frac, "0")
	}
	if frac == "" {
		return sign + whole
	}
	return sign + whole + "." + frac
}

// ParseDecimal reads a non-negative decimal number with at most digits digits after the point (or comma) into an
// integer of 10^-digits units: ParseDecimal("1.25", 2) is 125. It returns [ErrAmount] for anything else, and for
// values above [MaxAmount].
func ParseDecimal(s string, digits int) (int64, error) {
	whole, frac, dotted := strings.Cut(strings.Replace(s, ",", ".", 1), ".")
	if whole == "" || len(whole) > 15 || len(frac) > digits || (dotted && frac == "") {
		return 0, fmt.Errorf("%w: %.32q", ErrAmount, s)
	}
	frac += strings.Repeat("0", digits-len(frac))
	var v int64
	for _, c := range whole + frac {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w: %.32q", ErrAmount, s)
		}
		v = v*10 + int64(c-'0')
		if v > MaxAmount {
			return 0, fmt.Errorf("%w: %.32q", ErrAmount, s)
		}
	}
	return v, nil
}

// ParsePoints reads "12.34" as points.
func ParsePoints(s string) (Points, error) {
	v, err := ParseDecimal(s, 2)
	return Points(v), err
}

// Instant is a moment in milliseconds since the Unix epoch, UTC. Zero means "no such moment": a [Lot] that never
// expires has Expires zero.
type Instant int64

// At turns a time into an Instant.
func At(t time.Time) Instant { return Instant(t.UnixMilli()) }

// Time turns the Instant into a time in UTC.
func (i Instant) Time() time.Time { return time.UnixMilli(int64(i)).UTC() }

// String shows the Instant in RFC 3339.
func (i Instant) String() string { return i.Time().Format(time.RFC3339Nano) }

// Add moves the Instant by a duration, to the millisecond.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Milliseconds()) }

// mulDiv returns a*b/c rounded down, without overflow in between. a and b must not be negative and c must be
// positive; a quotient above MaxInt64 is cut to it (no bounded amount reaches that).
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return 1<<63 - 1
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	if q > 1<<63-1 {
		return 1<<63 - 1
	}
	return int64(q)
}

// remainder returns a*b mod c, without overflow in between.
func remainder(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return bits.Rem64(hi, lo, c)
}
