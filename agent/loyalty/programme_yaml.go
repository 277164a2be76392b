package loyalty

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ErrProgramme means that a programme file is not valid. The error is a [ProgrammeProblems].
var ErrProgramme = errors.New("programme")

// ProgrammeProblem is one thing wrong with a programme file.
type ProgrammeProblem struct {
	Line    int    `json:"line,omitempty"`   // from 1; zero where there is no place in the file
	Column  int    `json:"column,omitempty"` // from 1
	Key     string `json:"key,omitempty"`    // the dotted path: earn[0].points
	Message string `json:"message"`          // what is wrong
	Hint    string `json:"hint,omitempty"`   // what to write instead
}

// String is "line:column: key: message; hint".
func (p ProgrammeProblem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", p.Line, p.Column)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// ProgrammeProblems is what is wrong with a programme file, in the order of the file. It matches [ErrProgramme].
type ProgrammeProblems []ProgrammeProblem

// Error is all problems, one below the other.
func (ps ProgrammeProblems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return ErrProgramme.Error() + ": " + strings.Join(lines, "\n")
}

// Is tells whether target is [ErrProgramme].
func (ps ProgrammeProblems) Is(target error) bool { return target == ErrProgramme }

// The bounds of a programme file.
const (
	MaxProgramme  = 64 << 10 // bytes
	maxLine       = 1 << 10  // bytes
	maxNesting    = 16       // levels, of which a valid file has four
	maxProblems   = 100      // noted at once
	maxRules      = 200
	maxCampaigns  = 200
	maxCodes      = 4096 // in all lists together, so that pricing a long receipt stays short
	maxTitleBytes = 128
)

// node is a piece of the file with its place. Everything that YAML can say beyond plain lists and mappings of text
// (anchors, aliases, tags, merge keys, block texts) is refused: a programme is short, and what is printed on paper must
// be what the till computes. Numbers stay the text that was written, so that 017 is seventeen and 1.10 is not 1.1.
type node struct {
	name         string // in its mapping
	key          string // dotted path
	line, column int
	at           *node // where its name stands; nil outside a mapping
	kind         nodeKind
	text         string
	items        []*node // of a list, or of a mapping in the order of the file
}

type nodeKind uint8

const (
	scalar nodeKind = iota
	empty
	list
	mapping
)

// get is the value of a mapping's key; nil: there is none.
func (n *node) get(name string) *node {
	if n == nil || n.kind != mapping {
		return nil
	}
	for _, f := range n.items {
		if f.name == name {
			return f
		}
	}
	return nil
}

// programmeReader collects problems instead of stopping at the first.
type programmeReader struct {
	first    string // what a file begins with
	problems ProgrammeProblems
	codes    int // in all lists so far
}

func (r *programmeReader) bad(n *node, hint, format string, args ...any) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, ProgrammeProblem{n.line, n.column, n.key, fmt.Sprintf(format, args...), hint})
	}
}

// err is what has been collected, in the order of the file.
func (r *programmeReader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b ProgrammeProblem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.problems
}

// document turns a file's bytes into nodes; nil if it cannot.
func (r *programmeReader) document(src []byte) *node {
	top := &node{line: 1, column: 1}
	if len(src) > MaxProgramme {
		r.bad(&node{}, "", "the file has %d bytes, at most %d are read", len(src), MaxProgramme)
		return nil
	}
	if at := tangle(src); at != nil {
		r.bad(at, "break it up", "a line of more than %d bytes, or lists nested more than %d deep", maxLine, maxNesting)
		return nil
	}
	if r.tabs(src); len(r.problems) > 0 {
		return nil
	}
	f, err := parser.ParseBytes(src, 0)
	if err != nil {
		r.bad(syntaxPlace(err), "", "%s", syntaxMessage(err))
		return nil
	}
	docs := slices.DeleteFunc(slices.Clone(f.Docs), func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch {
	case len(docs) == 0:
		r.bad(top, "begin with "+r.first, "the file is empty")
		return nil
	case len(docs) > 1:
		r.bad(placed(docs[1].Body), "keep one in a file", "a second document")
		return nil
	}
	n := r.convert(docs[0].Body, "", "", 0)
	if n != nil && n.kind != mapping {
		r.bad(n, "begin with "+r.first, "the file is not a mapping of keys to values")
		return nil
	}
	return n
}

// tabs refuses lines that are indented with tabs, which YAML does not allow and people do not see.
func (r *programmeReader) tabs(src []byte) {
	number := 0
	for line := range strings.Lines(string(src)) {
		number++
		text := strings.TrimLeft(line, " \t")
		tab := strings.IndexByte(line[:len(line)-len(text)], '\t')
		if tab >= 0 && strings.TrimSpace(text) != "" && text[0] != '#' {
			r.bad(&node{line: number, column: tab + 1}, "indent with spaces", "a tab before the text")
		}
	}
}

// tangle finds a line that is too long, or where too many brackets or hyphens are open; nil: there is none. It is asked
// before parsing, because the parser takes seconds for a file of brackets alone.
func tangle(src []byte) *node {
	open, number := 0, 0
	for line := range strings.Lines(string(src)) {
		number++
		at := &node{line: number, column: 1}
		if len(line) > maxLine {
			return at
		}
		trimmed := strings.TrimLeft(line, " -?\t")
		if indent := line[:len(line)-len(trimmed)]; strings.Count(indent, "-")+strings.Count(indent, "?") > maxNesting {
			return at
		}
		if strings.HasPrefix(trimmed, "#") {
			continue
		}
		line, _, _ = strings.Cut(line, " #")
		for _, c := range line {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open = max(0, open-1)
			}
			if open > maxNesting {
				return at
			}
		}
	}
	return nil
}

// placed is where a piece of the file begins. The token of a mapping is its first colon, so its first key is taken.
func placed(a ast.Node) *node {
	n := &node{line: 1, column: 1}
	if m, ok := a.(ast.MapNode); ok {
		if i := m.MapRange(); i.Next() {
			a = i.Key()
		}
	}
	if t := a.GetToken(); t != nil && t.Position != nil {
		n.line, n.column = t.Position.Line, t.Position.Column
	}
	return n
}

func syntaxPlace(err error) *node {
	n := &node{line: 1, column: 1}
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil && y.GetToken().Position != nil {
		n.line, n.column = y.GetToken().Position.Line, y.GetToken().Position.Column
	}
	return n
}

func syntaxMessage(err error) string {
	var y yaml.Error
	if errors.As(err, &y) {
		if strings.Contains(y.GetMessage(), "character '\t'") {
			return "a tab where only spaces may be; indent with spaces"
		}
		return y.GetMessage()
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

func (r *programmeReader) convert(a ast.Node, name, key string, depth int) *node {
	n := placed(a)
	n.name, n.key = name, key
	if depth > maxNesting {
		r.bad(n, "", "nested more than %d deep", maxNesting)
		return n
	}
	switch a := a.(type) {
	case *ast.NullNode:
		n.kind = empty
	case *ast.StringNode:
		n.text = a.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.text = a.GetToken().Value
	case *ast.SequenceNode:
		n.kind = list
		for i, v := range a.Values {
			n.items = append(n.items, r.convert(v, "", fmt.Sprintf("%s[%d]", key, i), depth+1))
		}
	case ast.MapNode:
		n.kind = mapping
		r.convertMapping(a, n, depth)
	default:
		n.kind = empty
		r.bad(n, "write the value itself, on one line", "anchors, aliases, tags and blocks of text are not for programme files")
	}
	return n
}

// severed tells whether a key is what a decimal comma has cut off a number: in {points: 1,25} YAML reads a key 25. It is told
// as the number's problem then.
func (r *programmeReader) severed(n *node, key ast.Node) bool {
	if len(n.items) == 0 || key.GetToken() == nil {
		return false
	}
	v, cut, at := n.items[len(n.items)-1], key.GetToken().Value, placed(key)
	if v.kind != scalar || v.line != at.line || at.column != v.column+utf8.RuneCountInString(v.text)+1 {
		return false
	}
	digits := strings.TrimSuffix(cut, "%")
	if _, err := ParseDecimal(v.text, 3); err != nil || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	r.bad(v, pointHint(v.text, cut), "%.32q: a comma ends the value here", v.text+","+cut)
	return true
}

// pointHint says how a number is written whose parts a comma parts.
func pointHint(whole, frac string) string {
	if len(strings.TrimSuffix(frac, "%")) == 3 {
		return fmt.Sprintf("decimals take a point: %.16s.%.4s; thousands are not parted: %.16s%.4s", whole, frac, whole, frac)
	}
	return fmt.Sprintf("decimals take a point: %.16s.%.16s", whole, frac)
}

func (r *programmeReader) convertMapping(m ast.MapNode, n *node, depth int) {
	for i := m.MapRange(); i.Next(); {
		if r.severed(n, i.Key()) {
			continue
		}
		k, ok := i.Key().(*ast.StringNode)
		if !ok {
			r.bad(placed(i.Key()), "write one of the known keys", "a key that is not a plain word")
			continue
		}
		at := placed(k)
		at.name, at.key = k.Value, k.Value
		if n.key != "" {
			at.key = n.key + "." + k.Value
		}
		if len(k.Value) > 64 || plainText("key", k.Value) != nil {
			at.key = n.key
			r.bad(at, "", "a key that is too long or not plain text")
			continue
		}
		v := r.convert(i.Value(), at.name, at.key, depth+1)
		if v.kind == empty || v.kind == mapping {
			v.line, v.column = at.line, at.column // such a value's own token may stand on another line
		}
		v.at = at
		n.items = append(n.items, v)
	}
}
