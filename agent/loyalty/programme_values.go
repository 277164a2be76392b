package loyalty

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keys refuses keys that are not among the known, each once.
func (r *programmeReader) keys(n *node, known ...string) {
	seen := map[string]bool{}
	for _, f := range n.items {
		switch {
		case !slices.Contains(known, f.name):
			hint := "one of " + strings.Join(known, ", ")
			if near := nearest(f.name, known); near != "" {
				hint = "did you mean " + near + "?"
			}
			r.bad(f.at, hint, "there is no such key")
		case seen[f.name]:
			r.bad(f.at, "keep one", "the key is there twice")
		}
		seen[f.name] = true
	}
}

// nearest is the word that was probably meant: one that shares the beginning or the end of what was written.
func nearest(s string, known []string) string {
	for n := len(s); n >= 3; n-- {
		for _, k := range known {
			if strings.HasPrefix(k, s[:n]) || strings.HasSuffix(k, s[len(s)-n:]) {
				return k
			}
		}
	}
	return ""
}

// section is a mapping with its keys checked; nil: it is not there, or not a mapping.
func (r *programmeReader) section(doc *node, name string, known ...string) *node {
	n := doc.get(name)
	if n == nil {
		return nil
	}
	if n.kind != mapping {
		r.bad(n, "write its keys below it, indented: "+strings.Join(known, ", "), "want a mapping of keys to values")
		return nil
	}
	r.keys(n, known...)
	return n
}

// required is the value of a key that has no default.
func (r *programmeReader) required(n *node, name string) *node {
	v := n.get(name)
	if v == nil {
		at := *n
		if at.key = name; n.key != "" {
			at.key = n.key + "." + name
		}
		r.bad(&at, "", "the key is missing")
	}
	return v
}

// word is the text of a value. An empty one is refused: whoever leaves it empty may not know the default.
func (r *programmeReader) word(n *node) (s string, ok bool) {
	switch n.kind {
	case scalar:
		return n.text, true
	case empty:
		r.bad(n, "give a value, or remove the key to take the default", "the value is empty")
	default:
		r.bad(n, "", "want one value")
	}
	return "", false
}

func (r *programmeReader) number(n *node, digits int, lo, hi int64, unit string, fallback int64) int64 {
	if n == nil {
		return fallback
	}
	s, ok := r.word(n)
	if !ok {
		return fallback
	}
	if r.comma(n, s) {
		return fallback
	}
	v, err := ParseDecimal(s, digits)
	if err != nil {
		r.bad(n, "", "%.32q is not a number of %s with at most %d decimals", s, unit, digits)
		return fallback
	}
	if v < lo || v > hi {
		r.bad(n, "", "%.32q is out of range: from %s to %s %s", s, decimal(lo, digits, true), decimal(hi, digits, true), unit)
		return fallback
	}
	return v
}

// comma refuses a number with a comma: for some it begins the decimals, for others it parts the thousands.
func (r *programmeReader) comma(n *node, s string) bool {
	whole, frac, found := strings.Cut(s, ",")
	digits := strings.TrimSuffix(frac, "%")
	if !found || whole == "" || digits == "" || strings.Trim(whole+digits, "0123456789") != "" {
		return false
	}
	r.bad(n, pointHint(whole, frac), "%.32q is written with a comma", s)
	return true
}

func (r *programmeReader) whole(n *node, lo, hi uint64, unit string) uint64 {
	s, ok := r.word(n)
	if !ok {
		return lo
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil || v < lo || v > hi {
		r.bad(n, "", "%.32q is not a whole number from %d to %d%s", s, lo, hi, unit)
		return lo
	}
	return v
}

func (r *programmeReader) moment(n *node) Instant {
	s, ok := r.word(n)
	if !ok {
		return 0
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || at.Year() < 2000 || at.Year() > 2200 {
		r.bad(n, "write it like 2026-01-01T00:00:00+03:00", "%.40q is not a moment between 2000 and 2200", s)
		return 0
	}
	return At(at)
}

func (r *programmeReader) title(n *node, name string) string {
	t := r.required(n, name)
	if t == nil {
		return ""
	}
	s, ok := r.word(t)
	if ok && (s == "" || len(s) > maxTitleBytes || plainText("title", s) != nil) {
		r.bad(t, fmt.Sprintf("use 1 to %d bytes of plain text", maxTitleBytes), "not a title")
	}
	return s
}

// list is a list of fuel grades or goods groups.
func (r *programmeReader) list(n *node) []string {
	if n == nil {
		return nil
	}
	if n.kind != list {
		r.bad(n, "write it in brackets: [a, b]", "want a list")
		return nil
	}
	codes := make([]string, 0, min(len(n.items), maxCodes))
	seen := make(map[string]bool)
	for _, i := range n.items {
		if r.codes++; r.codes > maxCodes {
			r.bad(n, "", "more than %d codes and groups in this file", maxCodes)
			return codes
		}
		s, ok := r.word(i)
		switch {
		case !ok:
			continue
		case s == "" || len(s) > MaxLineText || plainText("code", s) != nil:
			r.bad(i, fmt.Sprintf("use 1 to %d bytes of plain text", MaxLineText), "not a code or group")
		case seen[s]:
			r.bad(i, "keep one", "%.64q is there twice", s)
		}
		seen[s] = true
		codes = append(codes, s)
	}
	return codes
}

// offset reads "+03:00".
func (r *programmeReader) offset(n *node) time.Duration {
	if n == nil {
		return 3 * time.Hour
	}
	s, ok := r.word(n)
	if !ok {
		return 0
	}
	t, err := time.Parse("-07:00", s)
	_, sec := t.Zone()
	d := time.Duration(sec) * time.Second
	if err != nil || d < -12*time.Hour || d > 14*time.Hour {
		r.bad(n, "write an offset like +03:00", "%.16q is not an offset from UTC", s)
		return 0
	}
	return d
}

func plainName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) < 0
}
