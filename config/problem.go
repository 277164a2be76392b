package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	// Source is the file, or "environment".
	Source string `json:"source,omitempty"`
	// Line and Column count from 1; both are 0 where the problem has no place in the file (a key that is missing, or a
	// value from the environment).
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Key is the dotted path of the key: hq.brokers[0].
	Key string `json:"key,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Hint says what to do about it. It may be empty.
	Hint string `json:"hint,omitempty"`
	// Excerpt is the line of the file, secrets masked. It may be empty.
	Excerpt string `json:"excerpt,omitempty"`
}

// String returns the problem as a person reads it: the place and the message, the source line with a mark under the
// column, and the hint.
func (p Problem) String() string {
	var b strings.Builder
	if p.Source != "" {
		b.WriteString(p.Source)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Excerpt != "" {
		gutter := fmt.Sprintf("%5d | ", p.Line)
		fmt.Fprintf(&b, "\n%s%s", gutter, p.Excerpt)
		if n := len([]rune(p.Excerpt)); p.Column >= 1 && p.Column <= n {
			fmt.Fprintf(&b, "\n%s| %s^", strings.Repeat(" ", len(gutter)-2), strings.Repeat(" ", p.Column-1))
		}
	}
	if p.Hint != "" {
		b.WriteString("\n      hint: " + p.Hint)
	}
	return b.String()
}

// Problems is everything wrong with a configuration, in the order of the file. It matches ErrInvalid.
type Problems []Problem

// Error returns all problems, one below the other.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Is reports whether target is ErrInvalid.
func (ps Problems) Is(target error) bool { return target == ErrInvalid }

// err returns the problems as an error, nil when there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// nearest returns the candidate that was probably meant by word, or "" when none is near.
func nearest(word string, candidates []string) string {
	best, least := "", len(word)/3+1
	for _, c := range candidates {
		if len(word) >= 3 && strings.HasPrefix(c, strings.ToLower(word)) {
			return c
		}
		if d := distance(strings.ToLower(word), c); d <= least {
			best, least = c, d-1
		}
	}
	return best
}

// distance is the number of inserted, deleted and changed bytes between two words. Words longer than any key are as
// far apart as they are long: there is nothing to learn from them.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above, change := row[j+1], diagonal
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(row[j]+1, above+1, change)
			diagonal = above
		}
	}
	return row[len(b)]
}
