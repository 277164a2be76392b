package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// reporter prints what a check finds, for people or for scripts. An error of printing is kept for the end.
type reporter interface {
	finding(f finding)
	begin(limit time.Duration, steps []*guidedStep)
	scan(r *scanReport)
	state(s stateReport)
	step(s *guidedStep)
	trying(baud int, limit time.Duration)
	end(s status, advices []string, steps []*guidedStep, block string) error
}

// textReporter prints for people.
type textReporter struct {
	out io.Writer
	n   int
	err error
}

var _ reporter = (*textReporter)(nil)

func (t *textReporter) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(t.out, format, args...); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *textReporter) finding(f finding) {
	t.printf("%-8s %-13s %s\n", f.Status, f.Name, f.Text)
	if f.Hint != "" {
		t.printf("%-8s %-13s -> %s\n", "", "", f.Hint)
	}
}

func (t *textReporter) begin(limit time.Duration, steps []*guidedStep) {
	if len(steps) == 0 {
		t.printf("\nScan now: a card, a QR code, some goods. Ctrl-C ends it, or %v.\n", limit)
		return
	}
	t.printf("\nIn any order, within %v:\n", limit)
	for _, s := range steps {
		t.printf("  [ ] %s\n", s.Ask)
	}
}

func (t *textReporter) scan(r *scanReport) {
	t.n++
	verdict := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", r.Event, r.Number, r.Kind, r.Reason)), " ")
	if r.Manner != "" {
		verdict += " (" + string(r.Manner) + ")"
	}
	if r.Relayed {
		verdict += ", for the cash register"
	}
	t.printf("\nscan %d, %.1f s: %s\n", t.n, float64(r.AtMS)/1000, verdict)
	t.printf("  bytes  %s\n", r.Bytes)
	t.printf("  timing %d bytes in %s\n", r.Length, timing(r.Chunks))
	t.printf("  ended  by %s; AIM identifier %s; charset %s\n", r.Ended, dash(strings.TrimSpace(r.AIM+" "+r.Code)), dash(r.Charset))
	for _, h := range r.Hints {
		t.printf("  hint   %s\n", h)
	}
}

// timing writes the first few reads of a frame.
func timing(chunks []chunkTime) string {
	const most = 6
	var parts []string
	for i, c := range chunks {
		if i == most {
			parts = append(parts, fmt.Sprintf("... until %d ms", chunks[len(chunks)-1].AtMS))
			break
		}
		parts = append(parts, fmt.Sprintf("%d at %d ms", c.Bytes, c.AtMS))
	}
	return fmt.Sprintf("%s: %s", counted(len(chunks), "read"), strings.Join(parts, ", "))
}

func (t *textReporter) state(s stateReport) {
	switch {
	case s.Connected:
		t.printf("\n%.1f s: %s is open\n", float64(s.AtMS)/1000, s.Port)
	default:
		t.printf("\n%.1f s: %s is not open: %s\n", float64(s.AtMS)/1000, s.Port, dash(s.Error))
	}
}

func (t *textReporter) step(s *guidedStep) { t.printf("  [x] %s\n", s.Ask) }

func (t *textReporter) trying(baud int, limit time.Duration) {
	t.printf("\n%d bit/s: scan the same code again and again, for %v\n", baud, limit)
}

func (t *textReporter) end(s status, advices []string, steps []*guidedStep, block string) error {
	t.printf("\nResult: %s\n", s)
	for _, a := range advices {
		t.printf("  - %s\n", a)
	}
	for _, step := range steps {
		if !step.Done {
			t.printf("  - not done: %s\n", step.Ask)
		}
	}
	if block != "" {
		t.printf("\nFor the configuration:\n\n%s", block)
	}
	return t.err
}

// jsonReporter prints an object a line, each with its type.
type jsonReporter struct {
	enc *json.Encoder
	err error
}

var _ reporter = (*jsonReporter)(nil)

func newJSONReporter(out io.Writer) *jsonReporter {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &jsonReporter{enc: enc}
}

func (j *jsonReporter) print(v any) {
	if err := j.enc.Encode(v); err != nil && j.err == nil {
		j.err = err
	}
}

func (j *jsonReporter) finding(f finding) { j.print(f) }

func (j *jsonReporter) begin(limit time.Duration, steps []*guidedStep) {
	j.print(struct {
		Type   string        `json:"type"`
		ForMS  int64         `json:"for_ms"`
		Wanted []*guidedStep `json:"wanted,omitempty"`
	}{"listening", limit.Milliseconds(), steps})
}

func (j *jsonReporter) scan(r *scanReport)  { j.print(r) }
func (j *jsonReporter) state(s stateReport) { j.print(s) }

func (j *jsonReporter) step(s *guidedStep) {
	j.print(struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}{"step", s.Name})
}

func (j *jsonReporter) trying(baud int, limit time.Duration) {
	j.print(struct {
		Type  string `json:"type"`
		Baud  int    `json:"baud"`
		ForMS int64  `json:"for_ms"`
	}{"trying", baud, limit.Milliseconds()})
}

func (j *jsonReporter) end(s status, advices []string, steps []*guidedStep, block string) error {
	j.print(struct {
		Type   string        `json:"type"`
		Status status        `json:"status"`
		Hints  []string      `json:"hints"`
		Steps  []*guidedStep `json:"steps,omitempty"`
		Config string        `json:"config,omitempty"`
	}{"result", s, append([]string{}, advices...), steps, block})
	return j.err
}
