package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// decodedEvent is a line of `scanner decode`. These keys and no others, so that scripts can rely on them.
type decodedEvent struct {
	Event  card.Type   `json:"event"`
	Number string      `json:"number,omitempty"`
	Kind   string      `json:"kind,omitempty"`
	Reason card.Reason `json:"reason,omitempty"`
}

func newScannerDecodeCmd() *cobra.Command {
	var (
		cards  cardFlags
		quoted bool
		name   string
	)
	cmd := &cobra.Command{
		Use:   "decode FILE|-",
		Short: "Say what recorded bytes are, as the agent would",
		Long: `Reads bytes as they came from a scanner and prints a JSON object for every event, one a line:

  {"event":"card|token|reject|noread|ignore|dup","number":"...","kind":"...","reason":"..."}

The numbers are whole, not masked. A bank card's is never printed.

With --quoted the file is text: on each line Go string literals, with a space between two of them for an idle gap, as
` + "`scanner check`" + ` prints them. Literals may be joined by + and repeated by strings.Repeat("7", 9000). The end of a line is
a gap too, and so long that a card on the next line is a new presentation. Lines that begin with # are comments. In a
line of columns separated by TAB the first that begins with a bracket or a quote counts, and a terminator two columns
behind it. A line takes at most 64 KiB.

Without --config the cards are those of the flags' defaults, which are those of the examples.`,
		Example: `  azs-agent scanner decode scan.bin
  echo '"7005123456789015\r"' | azs-agent scanner decode --quoted -
  azs-agent scanner decode --range 7005:16:luhn --range 278:13:ean13 scan.bin
  azs-agent scanner decode --config /etc/azs-agent/config.yaml scan.bin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, framing := card.Example(), scanner.Framing{}
			if cmd.Flag("config").Changed {
				s, c, _, err := configured(cmd, name)
				if err != nil {
					return err
				}
				sc, err := agent.ScannerConfig(s)
				if err != nil {
					return withStatus(exitConfig, err)
				}
				if sc, err = sc.Resolve(); err != nil {
					return withStatus(exitConfig, err)
				}
				cfg, framing = agent.CardConfig(c, s), sc.Framing
			}
			if err := cards.apply(cmd, &cfg, &framing); err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }() // only read: nothing can be lost
				in = f
			}
			return decodeRecorded(in, cmd.OutOrStdout(), cfg, framing, quoted, cmd.Flags().Changed("terminator"))
		},
	}
	cards.add(cmd, card.Example())
	cmd.Flags().BoolVar(&quoted, "quoted", false, "the file holds Go string literals")
	cmd.Flags().StringVar(&name, "scanner", "", "`name` of the scanner in the configuration, if it has several")
	return cmd
}

// decodeRecorded decodes a recording, whose clock runs only in its gaps.
func decodeRecorded(in io.Reader, out io.Writer, cfg card.Config, framing scanner.Framing, quoted, fixed bool) error {
	decoder, err := card.New(cfg)
	if err != nil {
		return withStatus(exitConfig, err)
	}
	if err := framing.Validate(); err != nil {
		return withStatus(exitConfig, err)
	}
	r := &replay{decoder: decoder, framing: framing, out: json.NewEncoder(out), clock: time.Unix(0, 0)}
	r.out.SetEscapeHTML(false)
	if quoted {
		return r.lines(in, max(cfg.Dedupe, card.DefaultDedupe)+time.Second, fixed)
	}
	return r.raw(in)
}

// replay runs recorded bytes through framer and decoder.
type replay struct {
	decoder *card.Decoder
	framing scanner.Framing
	out     *json.Encoder
	clock   time.Time
	err     error // the first of writing
}

func (r *replay) emit(f scanner.Frame) {
	e, ok := decodeFrame(r.decoder, f, r.clock)
	if !ok || r.err != nil {
		return
	}
	r.err = r.out.Encode(decodedEvent{e.Type, string(e.Number), e.Kind, e.Reason})
}

// raw decodes bytes that carry no times: only their end is silence.
func (r *replay) raw(in io.Reader) error {
	framer, err := scanner.NewFramer(r.framing)
	if err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := in.Read(buf)
		framer.Push(buf[:n], r.emit)
		switch {
		case errors.Is(err, io.EOF):
			framer.Gap(r.emit)
			return r.err
		case err != nil:
			return fmt.Errorf("read the recording: %w", err)
		case r.err != nil:
			return fmt.Errorf("print an event: %w", r.err)
		}
	}
}

// lines decodes a recording a line, with a long pause between two.
func (r *replay) lines(in io.Reader, pause time.Duration, fixed bool) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, scanner.MaxRecordingLine)
	n := 0
	for s.Scan() {
		n++
		text, terminator := recordedLine(s.Text())
		if text == "" {
			continue
		}
		chunks, err := scanner.ParseRecording(text)
		if err != nil {
			return withHint(fmt.Errorf("line %d: %w", n, err), `a line looks like "7005123456789015\r" or ["700512345678" "9015\r"]`)
		}
		framing := r.framing
		if terminator != "" && !fixed {
			framing.Terminator = terminator
		}
		if err := r.play(framing, chunks); err != nil {
			return err
		}
		r.clock = r.clock.Add(pause)
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

func (r *replay) play(framing scanner.Framing, chunks [][]byte) error {
	framer, err := scanner.NewFramer(framing)
	if err != nil {
		return err
	}
	gap := framing.Gap
	if gap == 0 {
		gap = scanner.DefaultGap
	}
	for _, c := range chunks {
		framer.Push(c, r.emit)
		r.clock = r.clock.Add(gap)
		framer.Gap(r.emit)
	}
	if r.err != nil {
		return fmt.Errorf("print an event: %w", r.err)
	}
	return nil
}

// recordedLine finds the recording in a line, and the terminator that a table may give beside it.
func recordedLine(line string) (text string, terminator scanner.Terminator) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return "", ""
	}
	cols := strings.Split(line, "\t")
	i := slices.IndexFunc(cols, func(c string) bool { return strings.HasPrefix(c, "[") || strings.HasPrefix(c, `"`) })
	if i < 0 {
		return line, ""
	}
	if len(cols) > i+2 && slices.Contains(scanner.Terminators(), scanner.Terminator(cols[i+2])) {
		terminator = scanner.Terminator(cols[i+2])
	}
	return cols[i], terminator
}
