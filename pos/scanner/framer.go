package scanner

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// Terminator is what the scanner is programmed to send after a code.
type Terminator string

// The terminators. CRLFAny is the default: CR, LF and CR LF all end a frame, and CR LF ends exactly one. Whatever the
// terminator, an STX at the start of a frame opens an envelope, and the ETX ends the frame too.
const (
	CR      Terminator = "cr"
	LF      Terminator = "lf" // a CR before the LF is not data
	CRLFAny Terminator = "crlf_any"
	ETX     Terminator = "etx" // CR and LF are data
	Tab     Terminator = "tab"
	None    Terminator = "none" // silence is the only end
)

// Terminators lists the terminators, for messages and completion.
func Terminators() []Terminator { return []Terminator{CR, LF, CRLFAny, ETX, Tab, None} }

// GapPolicy says what silence in the middle of a frame does to it.
type GapPolicy string

// The gap policies.
const (
	GapEmit GapPolicy = "emit" // the frame is handed on, marked EndGap; a decoder takes only what proves itself
	GapDrop GapPolicy = "drop" // the frame is dropped: for scanners that surely send a terminator
)

// The bounds of a frame.
const (
	MaxFrame   = 8192 // bytes; the largest QR code holds 7089 digits
	DefaultGap = 100 * time.Millisecond
)

// Framing says where a frame ends.
type Framing struct {
	Terminator Terminator    // default CRLFAny
	Gap        time.Duration // silence that ends a frame; default DefaultGap; 10 ms to 5 s. Under 50 ms frames get split
	GapPolicy  GapPolicy     // default GapEmit
	MaxLen     int           // bytes of data in a frame; default and most MaxFrame, at least 16
}

func (f Framing) withDefaults() Framing {
	f.Terminator = or(f.Terminator, CRLFAny)
	f.Gap = or(f.Gap, DefaultGap)
	f.GapPolicy = or(f.GapPolicy, GapEmit)
	f.MaxLen = or(f.MaxLen, MaxFrame)
	return f
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Validate returns [ErrConfig], naming the field, unless the framing (zero fields standing for their defaults) can work.
func (f Framing) Validate() error {
	f = f.withDefaults()
	switch {
	case !slices.Contains(Terminators(), f.Terminator):
		return fmt.Errorf("%w: terminator %q, want one of %v", ErrConfig, f.Terminator, Terminators())
	case f.Gap < 10*time.Millisecond || f.Gap > 5*time.Second:
		return fmt.Errorf("%w: gap_ms %d, want 10 to 5000", ErrConfig, f.Gap.Milliseconds())
	case f.GapPolicy != GapEmit && f.GapPolicy != GapDrop:
		return fmt.Errorf("%w: gap_policy %q, want emit or drop", ErrConfig, f.GapPolicy)
	case f.Terminator == None && f.GapPolicy != GapEmit:
		return fmt.Errorf("%w: gap_policy %q with terminator none would never end a frame: use emit, or program a CR suffix", ErrConfig, f.GapPolicy)
	case f.MaxLen < 16 || f.MaxLen > MaxFrame:
		return fmt.Errorf("%w: max_len %d, want 16 to %d", ErrConfig, f.MaxLen, MaxFrame)
	}
	return nil
}

// End says how a frame ended.
type End string

// The ends of a frame.
const (
	EndTerminator End = "terminator" // the configured terminator came
	EndETX        End = "etx"        // the envelope was closed
	EndGap        End = "gap"        // silence: the frame may be a piece
	EndOverflow   End = "overflow"   // MaxLen bytes without an end: Data is the beginning, the rest was discarded
	EndTail       End = "tail"       // no frame: terminator bytes that directly follow one (the LF of a CR LF)
)

// Frame is what came between two ends. The receiver owns its bytes.
type Frame struct {
	Data []byte    // without envelope and terminator; empty only when End is EndTail. Part of Raw
	Raw  []byte    // as it came over the wire
	End  End       // how it ended
	At   time.Time // when its last byte was read; zero from a bare Framer
}

// The control characters of framing.
const (
	stx = 0x02
	etx = 0x03
)

// Framer cuts a stream of bytes and silences into frames. It is pure: it has no clock and does no I/O; whoever feeds it
// says when there was silence. It holds at most MaxLen bytes and a few. Empty frames are not handed on. Of terminator
// bytes that directly follow a frame each is handed on as an EndTail, for those who pass frames on byte for byte. A
// Framer may not be used by two goroutines at once.
type Framer struct {
	cfg        Framing
	buf        []byte // the bytes of the frame so far, envelope included
	enveloped  bool   // buf began with an STX
	discarding bool   // after an overflow, until the next end
	ended      bool   // nothing but ends since a frame was handed on
}

// NewFramer returns a framer, or [ErrConfig].
func NewFramer(cfg Framing) (*Framer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Framer{cfg: cfg.withDefaults()}, nil
}

// Pending tells whether a frame has begun, so that silence would end it.
func (f *Framer) Pending() bool { return len(f.buf) > 0 || f.discarding }

// Push takes bytes in the order they came and calls emit for every frame they complete.
func (f *Framer) Push(b []byte, emit func(Frame)) {
	for _, c := range b {
		f.push(c, emit)
	}
}

func (f *Framer) push(c byte, emit func(Frame)) {
	end, ends := f.ends(c)
	switch {
	case f.discarding:
		if ends {
			f.clear()
		}
	case len(f.buf) == 0 && (ends || c == etx):
		if f.ended {
			emit(Frame{Raw: []byte{c}, End: EndTail})
		}
	case len(f.buf) == 0:
		f.ended = false
		f.enveloped = c == stx
		f.buf = append(f.buf, c)
	case ends:
		f.buf = append(f.buf, c)
		f.finish(end, 1, emit)
	case len(f.buf)-f.prefix() == f.cfg.MaxLen:
		f.finish(EndOverflow, 0, emit)
		f.discarding, f.ended = true, false
	default:
		f.buf = append(f.buf, c)
	}
}

// ends tells whether c ends a frame. In an envelope the terminator ends it too: an STX made of noise must not swallow
// the scans that follow it.
func (f *Framer) ends(c byte) (End, bool) {
	switch f.cfg.Terminator {
	case CR:
		if c == '\r' {
			return EndTerminator, true
		}
	case LF:
		if c == '\n' {
			return EndTerminator, true
		}
	case CRLFAny:
		if c == '\r' || c == '\n' {
			return EndTerminator, true
		}
	case Tab:
		if c == '\t' {
			return EndTerminator, true
		}
	case ETX:
		return EndETX, c == etx
	}
	return EndETX, c == etx && f.enveloped
}

func (f *Framer) prefix() int {
	if f.enveloped {
		return 1
	}
	return 0
}

// finish hands the frame on; the last suffix bytes of it are the terminator.
func (f *Framer) finish(end End, suffix int, emit func(Frame)) {
	raw := bytes.Clone(f.buf)
	data := raw[f.prefix() : len(raw)-suffix]
	if f.cfg.Terminator == LF && end == EndTerminator {
		data = bytes.TrimSuffix(data, []byte{'\r'})
	}
	keep := f.enveloped // an overflown envelope is discarded to its ETX
	f.clear()
	f.enveloped = keep && end == EndOverflow
	if len(data) == 0 {
		return
	}
	f.ended = end == EndTerminator || end == EndETX
	emit(Frame{Data: data, Raw: raw, End: end})
}

// Gap says that the line was silent for the configured time.
func (f *Framer) Gap(emit func(Frame)) {
	if len(f.buf) > 0 && f.cfg.GapPolicy == GapEmit {
		f.finish(EndGap, 0, emit)
	}
	f.clear()
	f.ended = false
}

// Reset forgets the frame that has begun, as after an unplugged cable, and returns how many bytes it had.
func (f *Framer) Reset() (dropped int) {
	dropped = len(f.buf)
	f.clear()
	f.ended = false
	return dropped
}

// clear empties the buffer and overwrites it: it may have held a bank card.
func (f *Framer) clear() {
	clear(f.buf)
	f.buf = f.buf[:0]
	f.enveloped, f.discarding = false, false
}
