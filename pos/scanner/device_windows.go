package scanner

import (
	"errors"
	"fmt"

	"github.com/tarm/serial"
	"golang.org/x/sys/windows"
)

// port is a tarm/serial port. Windows gives a port to one program only, so that it needs no guard.
type port struct{ *serial.Port }

var _ device = (*port)(nil)

func openDevice(path string, line Line) (device, error) {
	sp, err := serial.OpenPort(tarm(path, line))
	switch {
	case err == nil:
		return &port{sp}, nil
	case errors.Is(err, windows.ERROR_FILE_NOT_FOUND):
		return nil, fmt.Errorf("%w (open %s: %w)", ErrNoPort, path, err)
	case errors.Is(err, windows.ERROR_ACCESS_DENIED), errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return nil, fmt.Errorf("%w (open %s: %w)", ErrBusy, path, err)
	}
	return nil, fmt.Errorf("open %s: %w", path, err)
}

// Probe writes nothing, which fails on a port that was pulled out.
func (p *port) Probe() error {
	_, err := p.Write(nil)
	return err
}

// Present trusts Probe: a COM name leads to its port as long as that is open.
func (p *port) Present() error { return p.Probe() }
