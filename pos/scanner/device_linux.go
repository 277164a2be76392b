package scanner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tarm/serial"
	"golang.org/x/sys/unix"
)

// port is a tarm/serial port with a guard beside it: a descriptor that holds a lock and the terminal's exclusive mode,
// since a second reader would get part of the bytes. The library does not show its own descriptor.
type port struct {
	*serial.Port
	path  string
	guard int
	dev   uint64
}

var _ device = (*port)(nil)

func openDevice(path string, line Line) (device, error) {
	guard, err := openGuard(path)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(guard, &st); err != nil {
		return nil, errors.Join(fmt.Errorf("stat %s: %w", path, err), unix.Close(guard))
	}
	sp, err := serial.OpenPort(tarm(path, line))
	if err != nil {
		return nil, errors.Join(openError(path, err), unix.Close(guard))
	}
	// Only now: exclusive mode would have kept the library out too.
	if err := unix.IoctlSetInt(guard, unix.TIOCEXCL, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("make %s exclusive: %w", path, err), sp.Close(), unix.Close(guard))
	}
	return &port{Port: sp, path: path, guard: guard, dev: st.Rdev}, nil
}

func openGuard(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, openError(path, err)
	}
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return -1, errors.Join(fmt.Errorf("%w: %s is not a serial port: %w", ErrConfig, path, err), unix.Close(fd))
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrBusy
		}
		return -1, errors.Join(fmt.Errorf("lock %s: %w", path, err), unix.Close(fd))
	}
	return fd, nil
}

// openError puts the kernel's word beside ours, which says what to do.
func openError(path string, err error) error {
	var ours error
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO), errors.Is(err, unix.EIO):
		ours = ErrNoPort
	case errors.Is(err, fs.ErrPermission):
		ours = ErrPermission
	case errors.Is(err, unix.EBUSY):
		ours = ErrBusy
	default:
		return fmt.Errorf("open %s: %w", path, err)
	}
	return fmt.Errorf("%w (open %s: %w)", ours, path, errnoOf(err))
}

// errnoOf leaves of a path error what the message does not say already.
func errnoOf(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// Probe writes nothing: a live port takes it, a dead one answers EIO.
func (p *port) Probe() error {
	_, err := p.Write(nil)
	return err
}

// Present compares the device behind the path with the one that is open: a by-id link may lead to another by now.
func (p *port) Present() error {
	var st unix.Stat_t
	if err := unix.Stat(p.path, &st); err != nil {
		return fmt.Errorf("stat %s: %w", p.path, err)
	}
	if st.Rdev != p.dev {
		return fmt.Errorf("%s leads to another device now", p.path)
	}
	return nil
}

func (p *port) Close() error {
	// A dead port refuses, and needs it no more.
	_ = unix.IoctlSetInt(p.guard, unix.TIOCNXCL, 0)
	return errors.Join(p.Port.Close(), unix.Close(p.guard))
}
