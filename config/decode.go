package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxTokens bounds the words and signs of the file.
const maxTokens = 10000

// maxProblems is how many problems are reported; whoever has more has the wrong file.
const maxProblems = 50

// maxListLength bounds every list of the file: more is a mistake, not a station.
const maxListLength = 256

var durationType = reflect.TypeFor[time.Duration]()

// place is where a value came from.
type place struct {
	source       string
	line, column int
}

// decoder walks the syntax tree of the file into a struct. It goes on after a problem, so that all of them are found
// in one run, and remembers where every key stood, so that the checks that follow can point at it.
type decoder struct {
	file     string
	src      []byte
	lines    []string
	problems Problems
	at       map[string]place
}

// decode parses src and fills target, which holds the defaults.
func (d *decoder) decode(src []byte, target reflect.Value) {
	d.lines = strings.Split(strings.TrimPrefix(string(src), "\ufeff"), "\n")
	if len(src) > MaxFileSize {
		d.fail(nil, "", fmt.Sprintf("is larger than %d bytes", MaxFileSize), "is it the right file?")
		return
	}
	if !utf8.Valid(src) {
		d.fail(nil, "", "is not UTF-8 text", "save the file as UTF-8")
		return
	}
	file, err := parseYAML(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))) // Windows' Notepad begins files with it
	if err != nil {
		var positioned yaml.Error
		if errors.As(err, &positioned) {
			d.fail(positioned.GetToken(), "", "is not YAML: "+shortened(positioned.GetMessage(), 200), "check the indentation (spaces, no tabs) and the colon after each key")
		} else {
			d.fail(nil, "", "is not YAML: "+shortened(err.Error(), 200), "")
		}
		return
	}
	seen := false
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if seen {
			d.fail(doc.Body.GetToken(), "", "has more than one document", "remove the second and the --- before it")
			return
		}
		seen = true
		d.value("", doc.Body, target)
	}
}

// parseYAML parses the source. The parser is other people's code fed with other people's text: should it panic on
// some input, that is one more way of not being YAML.
//
// Its time and memory grow with the square of the number of tokens in a deeply nested text, so their number is bounded:
// the largest station needs a third of it.
func parseYAML(src []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	tokens := lexer.Tokenize(string(src))
	if len(tokens) > maxTokens {
		return nil, fmt.Errorf("more than %d words and signs", maxTokens)
	}
	return parser.Parse(tokens, 0)
}

// value decodes one node into v. An empty value leaves the default.
func (d *decoder) value(key string, n ast.Node, v reflect.Value) {
	if key != "" {
		d.at[key] = placeOf(d.file, n.GetToken())
	}
	switch n := n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.fail(n.GetToken(), key, "uses an anchor, an alias or a tag", "write the value itself")
		return
	case *ast.MappingNode:
		if isScalar(v.Type()) || v.Kind() != reflect.Struct {
			d.fail(n.GetToken(), key, "holds keys where "+kindOf(v.Type())+" belongs", "")
			return
		}
		d.mapping(key, n.Values, v)
		return
	case *ast.MappingValueNode:
		d.value(key, &ast.MappingNode{BaseNode: n.BaseNode, Start: n.Start, Values: []*ast.MappingValueNode{n}}, v)
		return
	case *ast.SequenceNode:
		if v.Kind() != reflect.Slice {
			d.fail(n.GetToken(), key, "is a list where "+kindOf(v.Type())+" belongs", "")
			return
		}
		d.sequence(key, n, v)
		return
	}
	text, quoted, ok := scalarText(n)
	if !ok || !isScalar(v.Type()) {
		d.fail(n.GetToken(), key, "must be "+kindOf(v.Type()), "")
		return
	}
	if err := setScalar(v, text, quoted); err != nil {
		d.fail(n.GetToken(), key, fmt.Sprintf("%s %s", excerptValue(key, text), err), hintOf(err))
	}
}

// mapping decodes the keys of one section.
func (d *decoder) mapping(key string, pairs []*ast.MappingValueNode, v reflect.Value) {
	known := fieldsByName(v)
	seen := map[string]bool{}
	for _, pair := range pairs {
		name, _, ok := scalarText(pair.Key)
		if !ok {
			d.fail(pair.Key.GetToken(), key, "has a key that is not a plain word", "")
			continue
		}
		field, ok := known[name]
		path := join(key, shortened(name, 64))
		switch {
		case !ok:
			d.fail(pair.Key.GetToken(), path, "is not a key of this file", unknownKeyHint(name, key, v))
		case seen[name]:
			d.fail(pair.Key.GetToken(), path, "stands here twice", "keep one of the two")
		default:
			seen[name] = true
			d.value(path, pair.Value, field)
		}
	}
}

// sequence decodes a list. It takes the place of the default list as a whole.
func (d *decoder) sequence(key string, n *ast.SequenceNode, v reflect.Value) {
	if len(n.Values) > maxListLength {
		d.fail(n.GetToken(), key, fmt.Sprintf("has more than %d items", maxListLength), "")
		return
	}
	if len(n.Values) == 0 {
		v.SetZero()
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Values), len(n.Values))
	for i, item := range n.Values {
		element := list.Index(i)
		if e, ok := element.Addr().Interface().(interface{ setDefaults() }); ok {
			e.setDefaults()
		}
		path := fmt.Sprintf("%s[%d]", key, i)
		if item == nil || item.Type() == ast.NullType {
			d.fail(n.GetToken(), path, "is empty", "remove it, or write its value")
			continue
		}
		d.value(path, item, element)
	}
	v.Set(list)
}

// fail adds a problem at a token of the file.
func (d *decoder) fail(tk *token.Token, key, message, hint string) {
	p := Problem{Source: d.file, Key: key, Message: message, Hint: hint}
	if at := placeOf(d.file, tk); at.line > 0 {
		p.Line, p.Column = at.line, at.column
		p.Excerpt = d.excerpt(at.line)
	}
	d.problems = append(d.problems, p)
}

// locate gives a problem found by validation its place: that of its key, or of the nearest section around it.
func (d *decoder) locate(p Problem) Problem {
	p.Source = d.file
	for key := p.Key; key != ""; key = parent(key) {
		if at, ok := d.at[key]; ok {
			p.Source, p.Line, p.Column = at.source, at.line, at.column
			p.Excerpt = d.excerpt(at.line)
			break
		}
	}
	return p
}

// maxExcerpt is the longest part of a line that is shown, in characters.
const maxExcerpt = 160

// excerpt returns a line of the file for an error. A value under a key that looks like a secret is masked: the error
// may well be that somebody wrote the password here, and it goes to a log.
func (d *decoder) excerpt(line int) string {
	if line < 1 || line > len(d.lines) {
		return ""
	}
	s := strings.TrimRight(d.lines[line-1], "\r")
	s = maskedUserInfo(s)
	for _, m := range keyAndColon.FindAllStringSubmatchIndex(s, -1) {
		if looksSecret(s[m[2]:m[3]]) {
			s = s[:m[1]] + " ******"
			break
		}
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, shortened(s, maxExcerpt))
}

func placeOf(file string, tk *token.Token) place {
	if tk == nil || tk.Position == nil {
		return place{source: file}
	}
	return place{file, tk.Position.Line, tk.Position.Column}
}

// scalarText returns the text of a scalar as it was written, and whether it stood in quotes. The text and not the
// parsed value, so that 0403 stays the vendor id it is.
func scalarText(n ast.Node) (text string, quoted, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", true, true
		}
		return n.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, false, true
	}
	return "", false, false
}

// isScalar reports whether a type is written as one word.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint32:
		return true
	}
	return false
}

// setScalar reads text into v. Its errors continue a sentence that begins with the text.
func setScalar(v reflect.Value, text string, quoted bool) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == durationType {
		d, err := parseDuration(text)
		if err == nil {
			v.SetInt(int64(d))
		}
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		if quoted {
			return hinted("is text, not a switch", "write true or false without quotes")
		}
		if text != "true" && text != "false" {
			return hinted("is neither true nor false", "write true or false")
		}
		v.SetBool(text == "true")
		return nil
	}
	hint := "write digits only"
	if v.Type() == reflect.TypeFor[Millis]() {
		hint = "the key already says milliseconds: write digits only"
	}
	if quoted {
		return hinted("is text, not a number", "write it without quotes")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return hinted("is not a whole number", hint)
	}
	if v.CanUint() {
		if n < 0 || v.OverflowUint(uint64(n)) {
			return hinted("is out of range", "")
		}
		v.SetUint(uint64(n))
		return nil
	}
	if v.OverflowInt(n) {
		return hinted("is out of range", "")
	}
	v.SetInt(n)
	return nil
}

// kindOf names a type as a technician would.
func kindOf(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a time such as 20s"
	case t == reflect.TypeFor[Size]():
		return "a size such as 64MiB"
	case isScalar(t) && (t.Kind() == reflect.Int || t.Kind() == reflect.Uint32) && t != reflect.TypeFor[Zone]():
		return "a number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list (each item on a line of its own, after a dash)"
	case t.Kind() == reflect.Struct:
		return "a section (its keys on lines of their own, indented)"
	}
	return "one word or a quoted text"
}
