package scanner

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// feed gives the framer the chunks with a silence after each, and returns what it handed on, as "data|end".
func feed(t *testing.T, cfg Framing, chunks ...string) []string {
	t.Helper()
	f, err := NewFramer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	emit := func(fr Frame) { got = append(got, fmt.Sprintf("%s|%s|%s", fr.Data, fr.Raw, fr.End)) }
	for _, c := range chunks {
		f.Push([]byte(c), emit)
		f.Gap(emit)
	}
	return got
}

func TestFramer(t *testing.T) {
	long := strings.Repeat("7", 32)
	short := Framing{MaxLen: 32}
	for _, tc := range []struct {
		name   string
		cfg    Framing
		chunks []string
		want   []string
	}{
		{"CR", Framing{}, []string{"ab\r"}, []string{"ab|ab\r|terminator"}},
		{"CRLF is one end", Framing{}, []string{"ab\r\ncd\r\n"}, []string{"ab|ab\r|terminator", "|\n|tail", "cd|cd\r|terminator", "|\n|tail"}},
		{"empty lines", Framing{}, []string{"\r\n\r\n"}, nil},
		{"a tail after silence is nothing", Framing{}, []string{"ab\r", "\n"}, []string{"ab|ab\r|terminator"}},
		{"envelope", Framing{}, []string{"\x02ab\x03"}, []string{"ab|\x02ab\x03|etx"}},
		{"envelope, CR, ETX", Framing{}, []string{"\x02ab\r\x03"}, []string{"ab|\x02ab\r|terminator", "|\x03|tail"}},
		{"empty envelope", Framing{}, []string{"\x02\x03", "\x02", "x\r"}, []string{"x|x\r|terminator"}},
		{"ETX without STX is data", Framing{}, []string{"a\x03b\r"}, []string{"a\x03b|a\x03b\r|terminator"}},
		{"STX inside is data", Framing{}, []string{"a\x02b\r"}, []string{"a\x02b|a\x02b\r|terminator"}},
		{"terminator etx", Framing{Terminator: ETX}, []string{"\x02a\rb\x03cd\x03"}, []string{"a\rb|\x02a\rb\x03|etx", "cd|cd\x03|etx"}},
		{"terminator cr keeps LF", Framing{Terminator: CR}, []string{"a\nb\r\n"}, []string{"a\nb|a\nb\r|terminator", "\n|\n|gap"}},
		{"terminator lf takes CR", Framing{Terminator: LF}, []string{"a\rb\r\n"}, []string{"a\rb|a\rb\r\n|terminator"}},
		{"terminator tab", Framing{Terminator: Tab}, []string{"a\tb\t"}, []string{"a|a\t|terminator", "b|b\t|terminator"}},
		{"terminator none", Framing{Terminator: None}, []string{"a\rb", "c"}, []string{"a\rb|a\rb|gap", "c|c|gap"}},
		{"gap emits", Framing{}, []string{"ab", "cd\r"}, []string{"ab|ab|gap", "cd|cd\r|terminator"}},
		{"gap drops", Framing{GapPolicy: GapDrop}, []string{"ab", "cd\r"}, []string{"cd|cd\r|terminator"}},
		{"just fits", short, []string{long + "\r"}, []string{long + "|" + long + "\r|terminator"}},
		{"overflow, then good", short, []string{long + "789\rab\r"}, []string{long + "|" + long + "|overflow", "ab|ab\r|terminator"}},
		{"overflow ended by silence", short, []string{long + "789", "ab\r"}, []string{long + "|" + long + "|overflow", "ab|ab\r|terminator"}},
		{"overflow in an envelope", short, []string{"\x02" + long + "789\x03ab\r"}, []string{long + "|\x02" + long + "|overflow", "ab|ab\r|terminator"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := feed(t, tc.cfg, tc.chunks...); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestFramingValidate(t *testing.T) {
	if err := (Framing{}).Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	for _, f := range []Framing{
		{Terminator: "crlf"}, {Gap: time.Millisecond}, {Gap: time.Minute}, {GapPolicy: "keep"},
		{Terminator: None, GapPolicy: GapDrop}, {MaxLen: 15}, {MaxLen: MaxFrame + 1},
	} {
		if _, err := NewFramer(f); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", f, err)
		}
	}
}

var framings = []Framing{
	{}, {Terminator: CR}, {Terminator: LF}, {Terminator: ETX}, {Terminator: Tab}, {Terminator: None},
	{GapPolicy: GapDrop}, {MaxLen: 16}, {MaxLen: 16, Terminator: ETX},
}

// stream draws bytes in which the framing characters are frequent.
func stream(t *rapid.T, label string) []byte {
	b := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("7\r\n\t\x02\x03")), rapid.Just(byte('7')))
	return rapid.SliceOfN(b, 0, 200).Draw(t, label)
}

// unwrapped is a stream without envelopes.
func unwrapped(t *rapid.T) []byte {
	return bytes.Map(func(r rune) rune {
		if r == stx || r == etx {
			return '8'
		}
		return r
	}, bytes.ToValidUTF8(stream(t, "in"), []byte("?")))
}

// Where the reads happen to cut the stream makes no difference, and no framing hands on a frame it should not.
func TestFramerCutsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := rapid.SampledFrom(framings).Draw(t, "framing")
		in := stream(t, "in")
		whole, pieces := collect(cfg, in), collect(cfg, cut(t, in)...)
		if fmt.Sprintf("%q", whole) != fmt.Sprintf("%q", pieces) {
			t.Fatalf("whole  %q\npieces %q", whole, pieces)
		}
	})
}

func cut(t *rapid.T, in []byte) (chunks [][]byte) {
	for len(in) > 0 {
		n := rapid.IntRange(1, len(in)).Draw(t, "n")
		chunks = append(chunks, in[:n])
		in = in[n:]
	}
	return chunks
}

func collect(cfg Framing, chunks ...[]byte) (frames []Frame) {
	f, err := NewFramer(cfg)
	if err != nil {
		panic(err)
	}
	emit := func(fr Frame) { frames = append(frames, fr) }
	for _, c := range chunks {
		f.Push(c, emit)
	}
	f.Gap(emit)
	return frames
}

// The model of CR/LF framing without envelopes is one line of the standard library.
func TestFramerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := unwrapped(t)
		want := bytes.FieldsFunc(in, func(r rune) bool { return r == '\r' || r == '\n' })
		var got [][]byte
		for _, f := range collect(Framing{}, in) {
			if f.End != EndTail {
				got = append(got, f.Data)
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

// Joined, the raw bytes are the stream, but for ends that no frame precedes.
func TestFramerLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := unwrapped(t)
		var got []byte
		for _, f := range collect(Framing{}, in) {
			got = append(got, f.Raw...)
		}
		if want := bytes.TrimLeft(in, "\r\n"); !bytes.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

// Whatever came before, after a silence a good frame comes through whole.
func TestFramerRecovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := rapid.SampledFrom([]Framing{{}, {Terminator: CR}, {MaxLen: 16}, {GapPolicy: GapDrop}}).Draw(t, "framing")
		f, err := NewFramer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var last Frame
		emit := func(fr Frame) { last = fr }
		f.Push(stream(t, "noise"), emit)
		f.Gap(emit)
		f.Push([]byte("7005123456789015\r"), emit)
		if string(last.Data) != "7005123456789015" || last.End != EndTerminator {
			t.Fatalf("got %+v", last)
		}
	})
}

func FuzzFramer(f *testing.F) {
	f.Add(uint8(0), []byte("7005123456789015\r\n\x02ab\x03\x00cd"))
	f.Add(uint8(9), bytes.Repeat([]byte("7"), 40))
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		cfg := framings[int(which)%len(framings)].withDefaults()
		fr, err := NewFramer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		emit := func(f Frame) {
			total += len(f.Raw)
			if len(f.Data) > cfg.MaxLen || len(f.Raw) > cfg.MaxLen+3 {
				t.Fatalf("frame of %d bytes, raw %d", len(f.Data), len(f.Raw))
			}
			if (len(f.Data) == 0) != (f.End == EndTail) || !bytes.Contains(f.Raw, f.Data) {
				t.Fatalf("bad frame %+v", f)
			}
		}
		for i, c := range bytes.Split(in, []byte{0}) { // a zero byte stands for silence
			if i > 0 {
				fr.Gap(emit)
			}
			fr.Push(c, emit)
			if cap(fr.buf) > 4*MaxFrame {
				t.Fatalf("buffer of %d bytes", cap(fr.buf))
			}
		}
		fr.Gap(emit)
		if total > len(in) {
			t.Fatalf("%d bytes out of %d", total, len(in))
		}
	})
}

func BenchmarkFramer(b *testing.B) {
	f, err := NewFramer(Framing{})
	if err != nil {
		b.Fatal(err)
	}
	line := bytes.Repeat([]byte("7005123456789015\r\n"), 100)
	frames := 0
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		f.Push(line, func(Frame) { frames++ })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(line)), "ns/byte")
}
