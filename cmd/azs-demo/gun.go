package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/creack/pty"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// gun is a scanner on a pseudo-terminal: the agent opens it as it opens a serial port, and what is written to the other
// end arrives byte by byte, as from a real one. Where the system has none, there is no gun and cards are typed in.
type gun struct {
	link string // a stable name of the port, as udev makes one

	mu     sync.Mutex
	master *os.File // nil: unplugged
}

// openGun plugs a scanner in under the name. It returns nil without an error where the system has no pseudo-terminals.
func openGun(link string) (*gun, error) {
	g := &gun{link: link}
	err := g.plug()
	if errors.Is(err, pty.ErrUnsupported) {
		return nil, nil
	}
	return g, err
}

func (g *gun) plug() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.master != nil {
		return nil
	}
	master, slave, err := pty.Open()
	if err != nil {
		return fmt.Errorf("plug the scanner in: %w", err)
	}
	defer slave.Close()
	if err := os.Symlink(slave.Name(), g.link); err != nil {
		return errors.Join(fmt.Errorf("plug the scanner in: %w", err), master.Close())
	}
	g.master = master
	return nil
}

// unplug pulls the cable: whoever reads the port gets an error.
func (g *gun) unplug() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.master == nil {
		return nil
	}
	err := errors.Join(os.Remove(g.link), g.master.Close())
	g.master = nil
	return err
}

// plugged tells whether the cable is in.
func (g *gun) plugged() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.master != nil
}

var errUnplugged = errors.New("the scanner is not plugged in")

// scan sends a card's number with the carriage return that scanners send behind it.
func (g *gun) scan(card loyalty.CardNumber) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.master == nil {
		return errUnplugged
	}
	if _, err := g.master.WriteString(string(card) + "\r"); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	return nil
}
