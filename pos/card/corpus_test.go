package card_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// row is one of the recorded inputs, and what it must give.
type row struct {
	id, want, what string
	terminator     scanner.Terminator
	chunks         [][]byte
}

func corpus(t testing.TB) []row {
	t.Helper()
	file, err := os.ReadFile("testdata/scanner-corpus.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cols := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cols) != 5 {
			t.Fatalf("row %q has %d columns", line, len(cols))
		}
		chunks, err := scanner.ParseRecording(cols[1])
		if err != nil {
			t.Fatalf("row %s: %v", cols[0], err)
		}
		rows = append(rows, row{cols[0], strings.TrimSpace(cols[2]), cols[4], scanner.Terminator(cols[3]), chunks})
	}
	return rows
}

// play runs a recording through framer and decoder. Silence passes after each chunk.
func play(t testing.TB, d *card.Decoder, terminator scanner.Terminator, chunks [][]byte, see func(scanner.Frame, card.Event)) {
	t.Helper()
	framer, err := scanner.NewFramer(scanner.Framing{Terminator: terminator})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	emit := func(f scanner.Frame) {
		if f.End == scanner.EndTail {
			return
		}
		if e, ok := d.Decode(card.Frame{Data: f.Data, Raw: f.Raw, End: card.End(f.End)}, now); ok {
			see(f, e)
		}
	}
	for _, c := range chunks {
		framer.Push(c, emit)
		now = now.Add(scanner.DefaultGap)
		framer.Gap(emit)
	}
}

func example(t testing.TB) *card.Decoder {
	t.Helper()
	d, err := card.New(card.Example())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// written is an event as the corpus writes it.
func written(e card.Event) string {
	switch e.Type {
	case card.Reject, card.Ignore:
		return string(e.Type) + ":" + string(e.Reason)
	}
	return strings.Join(strings.Fields(string(e.Type)+" "+string(e.Number)+" "+e.Kind), " ")
}

func TestCorpus(t *testing.T) {
	rows := corpus(t)
	if len(rows) != 40 {
		t.Fatalf("%d rows, want 40", len(rows))
	}
	for _, r := range rows {
		t.Run(r.id, func(t *testing.T) {
			var got []string
			play(t, example(t), r.terminator, r.chunks, func(_ scanner.Frame, e card.Event) { got = append(got, written(e)) })
			if s := strings.Join(got, " | "); s != r.want {
				t.Errorf("%s: %s\ngot  %s\nwant %s", r.what, scanner.QuoteRecording(r.chunks), s, r.want)
			}
		})
	}
}
