package scanner

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The bounds of a recording.
const (
	MaxRecordingLine = 64 << 10 // bytes of its written form
	MaxRecording     = 64 << 10 // bytes that it stands for
)

// ErrRecording is a line that is no recording.
var ErrRecording = errors.New("scanner: not a recording")

// ParseRecording reads the written form of what came over a line: Go string literals, with a space between two of them
// for an idle gap. The whole may stand in brackets.
//
//	"7005123456789015\r"
//	["700512345678" "9015\r"]
//	[strings.Repeat("7", 9000)+"\r" "\x02" + N + "\x03"]
//
// Literals are joined by +. A literal may be repeated as Go does it, and N is a literal too: "7005123456789015", the
// card of the examples.
func ParseRecording(line string) ([][]byte, error) {
	if len(line) > MaxRecordingLine {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrRecording, MaxRecordingLine)
	}
	p := &recording{rest: strings.TrimSpace(line)}
	if inner, ok := strings.CutPrefix(p.rest, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return nil, fmt.Errorf("%w: the bracket is not closed", ErrRecording)
		}
		p.rest = strings.TrimSpace(inner)
	}
	var chunks [][]byte
	for p.rest != "" {
		chunk, err := p.chunk()
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, chunk)
	}
	if len(chunks) == 0 {
		return nil, fmt.Errorf("%w: no quoted chunk", ErrRecording)
	}
	return chunks, nil
}

// QuoteRecording writes chunks in the form that [ParseRecording] reads.
func QuoteRecording(chunks [][]byte) string {
	quoted := make([]string, len(chunks))
	for i, c := range chunks {
		quoted[i] = strconv.Quote(string(c))
	}
	return "[" + strings.Join(quoted, " ") + "]"
}

// recording is a line being read.
type recording struct {
	rest  string
	bytes int
}

// chunk reads terms joined by +.
func (p *recording) chunk() ([]byte, error) {
	var chunk []byte
	for {
		term, err := p.term()
		if err != nil {
			return nil, err
		}
		if p.bytes += len(term); p.bytes > MaxRecording {
			return nil, fmt.Errorf("%w: it stands for more than %d bytes", ErrRecording, MaxRecording)
		}
		chunk = append(chunk, term...)
		after := strings.TrimLeft(p.rest, " ")
		if !strings.HasPrefix(after, "+") {
			if after == p.rest && after != "" {
				return nil, fmt.Errorf("%w: want a space, + or the end before %.20q", ErrRecording, after)
			}
			p.rest = after
			return chunk, nil
		}
		p.rest = strings.TrimLeft(after[1:], " ")
	}
}

func (p *recording) term() (string, error) {
	if rest, ok := strings.CutPrefix(p.rest, "strings.Repeat("); ok {
		p.rest = rest
		s, err := p.literal()
		if err != nil {
			return "", err
		}
		count, rest, closed := strings.Cut(strings.TrimPrefix(strings.TrimSpace(p.rest), ","), ")")
		n, err := strconv.ParseUint(strings.TrimSpace(count), 10, 31)
		if err != nil || !closed {
			return "", fmt.Errorf("%w: want strings.Repeat(\"...\", COUNT)", ErrRecording)
		}
		if uint64(len(s))*n > MaxRecording {
			return "", fmt.Errorf("%w: it stands for more than %d bytes", ErrRecording, MaxRecording)
		}
		p.rest = rest
		return strings.Repeat(s, int(n)), nil
	}
	if rest, ok := strings.CutPrefix(p.rest, "N"); ok {
		p.rest = rest
		return "7005123456789015", nil
	}
	return p.literal()
}

func (p *recording) literal() (string, error) {
	quoted, err := strconv.QuotedPrefix(p.rest)
	if err != nil || quoted[0] == '\'' {
		return "", fmt.Errorf("%w: want a Go string in double quotes, not %.20q", ErrRecording, p.rest)
	}
	p.rest = p.rest[len(quoted):]
	s, err := strconv.Unquote(quoted)
	if err != nil {
		return "", fmt.Errorf("%w: %.20q: %w", ErrRecording, quoted, err)
	}
	return s, nil
}
