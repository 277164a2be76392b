package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// voice is who a line is about; each has a colour of its own on a terminal.
type voice struct {
	name   string
	colour string // of the terminal; empty: none
}

var (
	voiceHQ   = voice{"headquarters", "35"}
	voiceLine = voice{"the line", "33"}
	voiceDemo = voice{"", ""}
)

// voiceOf is the voice of a station.
func voiceOf(number int) voice {
	return voice{fmt.Sprintf("station %d", number), []string{"36", "32"}[(number-1)%2]}
}

// teller prints what happens, a line each. It is safe for concurrent use.
type teller struct {
	mu      sync.Mutex
	w       io.Writer
	colours bool
	began   time.Time
}

// newTeller prints to w, with colours if that is a terminal whose owner has not asked for none (NO_COLOR).
func newTeller(w io.Writer) *teller {
	f, ok := w.(*os.File)
	colours := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &teller{w: w, colours: colours, began: time.Now()}
}

// say prints one line: when, who, what.
func (t *teller) say(v voice, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	who := fmt.Sprintf("%-12s", v.name)
	_, _ = fmt.Fprintf(t.w, "%s  %s  %s\n", t.paint("2", fmt.Sprintf("%6.2fs", time.Since(t.began).Seconds())), t.paint(v.colour, who), fmt.Sprintf(format, args...))
}

// quote prints the words that a person reads or a printer prints, indented below the line that they belong to.
func (t *teller) quote(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range strings.Lines(text) {
		_, _ = fmt.Fprintf(t.w, "%24s%s\n", "", t.paint("2", "| "+strings.TrimRight(l, "\n")))
	}
}

// chapter prints a heading of the story.
func (t *teller) chapter(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintf(t.w, "\n%s\n", t.paint("1", fmt.Sprintf(format, args...)))
}

// text prints as it is.
func (t *teller) text(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.w, s)
}

// good and bad paint a verdict.
func (t *teller) good(s string) string { return t.paint("32", s) }
func (t *teller) bad(s string) string  { return t.paint("31", s) }

func (t *teller) paint(colour, s string) string {
	if !t.colours || colour == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}
