package scanner

import (
	"fmt"
	"strings"
)

// Host looks up serial ports without opening any: opening one resets some scanners, and takes bytes from whoever reads.
type Host struct {
	Root string // where sys, dev and proc are found; default the machine's own. For tests; Linux only
}

// Port is a serial port that exists.
type Port struct {
	Name         string `json:"name"`              // "ttyUSB0", "COM3"
	Path         string `json:"path"`              // what to open: by-id where there is one, as it survives replugging
	ByID         string `json:"by_id,omitempty"`   // /dev/serial/by-id/..., Linux only
	Driver       string `json:"driver,omitempty"`  // "ftdi_sio", "cdc_acm"
	VID          USBID  `json:"vid,omitzero"`      // zero: not a USB device
	PID          USBID  `json:"pid,omitzero"`      //
	Serial       string `json:"serial,omitempty"`  // the USB serial number
	Manufacturer string `json:"maker,omitempty"`   //
	Product      string `json:"product,omitempty"` //
}

// Matches tells whether the port is a USB port that fits.
func (p Port) Matches(m Match) bool {
	return p.VID != 0 &&
		(m.VID == 0 || m.VID == p.VID) &&
		(m.PID == 0 || m.PID == p.PID) &&
		(m.Serial == "" || m.Serial == p.Serial)
}

// Find returns the one USB serial port that fits, [ErrNoPort], or [ErrAmbiguous] naming the ports.
func (h Host) Find(m Match) (Port, error) {
	ports, err := h.Ports()
	if err != nil {
		return Port{}, err
	}
	var found []Port
	var names []string
	for _, p := range ports {
		if p.Matches(m) {
			found = append(found, p)
			names = append(names, p.Path)
		}
	}
	switch len(found) {
	case 0:
		return Port{}, fmt.Errorf("%w (port auto: none of %d serial ports is a USB port that matches)", ErrNoPort, len(ports))
	case 1:
		return found[0], nil
	}
	return Port{}, fmt.Errorf("%w (%s)", ErrAmbiguous, strings.Join(names, ", "))
}

// Process is a program that runs on this machine.
type Process struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

func (p Process) String() string { return fmt.Sprintf("%s (pid %d)", p.Name, p.PID) }
