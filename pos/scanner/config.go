package scanner

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The errors of this package. Errors of the operating system are wrapped beside them.
var (
	ErrConfig     = errors.New("scanner: bad configuration")
	ErrNoPort     = errors.New("scanner: no such port: check the cable and `azs-agent scanner list`")
	ErrAmbiguous  = errors.New("scanner: several ports match: set port, or match by vid, pid and serial, from `azs-agent scanner list`")
	ErrPermission = errors.New("scanner: no permission for the port: add the user to the group dialout and log in again")
	ErrBusy       = errors.New("scanner: the port is in use by another program")
	ErrGone       = errors.New("scanner: the port is gone")
)

// Auto as a port means: the one USB serial port that [Match] fits.
const Auto = "auto"

// Parity is the parity bit.
type Parity string

// The parities.
const (
	ParityNone Parity = "none"
	ParityOdd  Parity = "odd"
	ParityEven Parity = "even"
)

// USBID is a USB vendor or product number; zero matches any.
type USBID uint16

// String is the usual form: four hexadecimal digits.
func (u USBID) String() string { return fmt.Sprintf("%04x", uint16(u)) }

// MarshalText is the form of String.
func (u USBID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads one to four hexadecimal digits, with or without 0x.
func (u *USBID) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(string(b)), "0x"), 16, 16)
	if err != nil {
		return fmt.Errorf("%w: USB number %.12q, want four hexadecimal digits like 0c2e", ErrConfig, b)
	}
	*u = USBID(n)
	return nil
}

// Match chooses a port for [Auto]. Zero fields match any.
type Match struct {
	VID    USBID
	PID    USBID
	Serial string // the USB serial number, exactly
}

// Reopen bounds the wait before a lost port is tried again. It doubles from Min to Max, and starts over once a frame
// came or the port was there for ten seconds.
type Reopen struct {
	Min time.Duration // default 250 ms
	Max time.Duration // default 1 s
}

// Line is how bytes are sent over the wire. Zero fields stand for their defaults.
type Line struct {
	Baud     int    // default 9600
	DataBits int    // 7 or 8; default 8
	Parity   Parity // default ParityNone
	StopBits int    // 1 or 2; default 1
}

// String is the usual short form: "9600 8N1".
func (l Line) String() string {
	l = l.withDefaults()
	return fmt.Sprintf("%d %d%s%d", l.Baud, l.DataBits, strings.ToUpper(string(l.Parity[:1])), l.StopBits)
}

// Config says which scanner to read and how. Zero fields stand for what the preset says, and else for their defaults.
type Config struct {
	Name    string // for logs and health pages; default "scanner"
	Preset  string // one of Presets; default none
	Port    string // Auto (the default), a path (best /dev/serial/by-id/...), or COMn
	Match   Match  // for Auto
	Line    Line
	Framing Framing
	Reopen  Reopen
	Host    Host         // where ports are looked up; default this machine
	Logger  *slog.Logger // default slog.Default. Bytes of frames are never logged

	// OnFrame takes the frames, from one goroutine, in order; EndTail comes too. It should return promptly: while it
	// runs at most one further chunk is read, the rest waits in the kernel's 4 KiB. Required.
	OnFrame func(Frame)
	// OnState is told, from the same goroutine, after the port was opened or lost, and of the first failure to open it.
	// It must not call back into the scanner's Run. Default none.
	OnState func(State)
	// OnChunk sees the bytes as they were read, before framing, for diagnosis. It must not keep or change them. Default none.
	OnChunk func(at time.Time, b []byte)
}

// The rates that both tarm/serial on Linux and common scanners know.
var bauds = []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600}

// Bauds lists the supported rates, in bits a second.
func Bauds() []int { return slices.Clone(bauds) }

func (l Line) withDefaults() Line {
	l.Baud = or(l.Baud, 9600)
	l.DataBits = or(l.DataBits, 8)
	l.Parity = or(l.Parity, ParityNone)
	l.StopBits = or(l.StopBits, 1)
	return l
}

func (l Line) validate() error {
	switch {
	case !slices.Contains(bauds, l.Baud):
		return fmt.Errorf("%w: baud %d, want one of %v", ErrConfig, l.Baud, bauds)
	case l.DataBits != 7 && l.DataBits != 8:
		return fmt.Errorf("%w: data_bits %d, want 7 or 8", ErrConfig, l.DataBits)
	case l.Parity != ParityNone && l.Parity != ParityOdd && l.Parity != ParityEven:
		return fmt.Errorf("%w: parity %q, want none, odd or even", ErrConfig, l.Parity)
	case l.StopBits != 1 && l.StopBits != 2:
		return fmt.Errorf("%w: stop_bits %d, want 1 or 2", ErrConfig, l.StopBits)
	}
	return nil
}

// Resolve returns the configuration with every zero field filled from its preset and the defaults, or [ErrConfig].
func (c Config) Resolve() (Config, error) {
	if c.Preset != "" {
		p, ok := PresetNamed(c.Preset)
		if !ok {
			return c, fmt.Errorf("%w: preset %q, want one of %v", ErrConfig, c.Preset, PresetNames())
		}
		c.Line.Baud = or(c.Line.Baud, p.Line.Baud)
		c.Line.DataBits = or(c.Line.DataBits, p.Line.DataBits)
		c.Line.Parity = or(c.Line.Parity, p.Line.Parity)
		c.Line.StopBits = or(c.Line.StopBits, p.Line.StopBits)
		c.Framing.Terminator = or(c.Framing.Terminator, p.Terminator)
	}
	c.Name = or(c.Name, "scanner")
	c.Port = or(c.Port, Auto)
	c.Line = c.Line.withDefaults()
	c.Framing = c.Framing.withDefaults()
	c.Reopen.Min = or(c.Reopen.Min, 250*time.Millisecond)
	c.Reopen.Max = or(c.Reopen.Max, max(time.Second, c.Reopen.Min))
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if err := c.Line.validate(); err != nil {
		return c, err
	}
	if err := c.Framing.Validate(); err != nil {
		return c, err
	}
	if c.Reopen.Min < time.Millisecond || c.Reopen.Max < c.Reopen.Min || c.Reopen.Max > time.Minute {
		return c, fmt.Errorf("%w: reopen_ms %d to %d, want 1 <= min <= max <= 60000", ErrConfig, c.Reopen.Min.Milliseconds(), c.Reopen.Max.Milliseconds())
	}
	if c.Port != Auto && c.Match != (Match{}) {
		return c, fmt.Errorf("%w: match is for port auto, and port is %q", ErrConfig, c.Port)
	}
	return c, nil
}
