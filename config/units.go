package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written with a unit: 512KiB, 64MiB, 4GiB.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a whole number with its unit.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(u.bytes) {
			break
		}
		*s = Size(n) * u.bytes
		return nil
	}
	return hinted("is not a size", "write a whole number and its unit: 512KiB, 64MiB, 4GiB")
}

// MarshalText writes the size in the largest unit that holds it without a rest.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the size as it is written in the file.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0B"
}

// Millis is a time in milliseconds. It is written as a bare number under keys that end in _ms.
type Millis int

// Duration returns the time as Go counts it.
func (m Millis) Duration() time.Duration { return time.Duration(m) * time.Millisecond }

// Zone is an offset from UTC in seconds, written +03:00. A station has an offset and not a zone name: the law moves
// clocks, and a station's computer may not have heard of it.
type Zone int

// UnmarshalText reads an offset from -12:00 to +14:00.
func (z *Zone) UnmarshalText(text []byte) error {
	wrong := hinted("is not an offset from UTC", `write it as "+03:00"`)
	s := string(text)
	if len(s) != 6 || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return wrong
	}
	h, err1 := strconv.ParseUint(s[1:3], 10, 8)
	m, err2 := strconv.ParseUint(s[4:6], 10, 8)
	if err1 != nil || err2 != nil || m > 59 {
		return wrong
	}
	seconds := int(h)*3600 + int(m)*60
	if s[0] == '-' {
		seconds = -seconds
	}
	if seconds < -12*3600 || seconds > 14*3600 {
		return wrong
	}
	*z = Zone(seconds)
	return nil
}

// MarshalText writes the offset as it is written in the file.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// String returns the offset as it is written in the file.
func (z Zone) String() string {
	sign, s := '+', int(z)
	if s < 0 {
		sign, s = '-', -s
	}
	return fmt.Sprintf("%c%02d:%02d", sign, s/3600, s/60%60)
}

// Location returns the offset as a fixed time zone.
func (z Zone) Location() *time.Location { return time.FixedZone(z.String(), int(z)) }

// Shards is a set of the network's 64 shards, bit n for shard n. It is written as ranges: 0-31,40.
type Shards uint64

// AllShards is every shard.
const AllShards Shards = math.MaxUint64

// Has reports whether shard n, from 0 to 63, is in the set.
func (s Shards) Has(n int) bool { return n >= 0 && n < 64 && s&(1<<n) != 0 }

// UnmarshalText reads ranges and numbers from 0 to 63, separated by commas.
func (s *Shards) UnmarshalText(text []byte) error {
	wrong := hinted("is not a set of shards", "write numbers and ranges from 0 to 63: 0-31,40")
	var set Shards
	for part := range strings.SplitSeq(string(text), ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 8)
		to, err2 := strconv.ParseUint(last, 10, 8)
		if err1 != nil || err2 != nil || from > to || to > 63 {
			return wrong
		}
		for n := from; n <= to; n++ {
			set |= 1 << n
		}
	}
	*s = set
	return nil
}

// MarshalText writes the set as it is written in the file.
func (s Shards) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the set as it is written in the file.
func (s Shards) String() string {
	var parts []string
	for from := 0; from < 64; from++ {
		if !s.Has(from) {
			continue
		}
		to := from
		for s.Has(to + 1) {
			to++
		}
		if from == to {
			parts = append(parts, strconv.Itoa(from))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", from, to))
		}
		from = to
	}
	return strings.Join(parts, ",")
}

// parseDuration reads a Go duration, or whole days: 90d.
func parseDuration(text string) (time.Duration, error) {
	wrong := hinted("is not a time", "write a number and its unit: 50ms, 20s, 5m, 90d")
	if digits, ok := strings.CutSuffix(text, "d"); ok {
		days, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return 0, wrong
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	if text == "0" {
		return 0, wrong // the one number ParseDuration takes without a unit
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, wrong
	}
	return d, nil
}

// formatDuration writes a duration as parseDuration reads it, in the largest unit that holds it without a rest.
func formatDuration(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d != 0 && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return d.String()
}

// hintError is an error that knows what to write instead.
type hintError struct{ error, hint string }

func (e *hintError) Error() string { return e.error }

func hinted(message, hint string) error { return &hintError{message, hint} }

// hintOf returns the hint an error carries, if it does.
func hintOf(err error) string {
	var h *hintError
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}
