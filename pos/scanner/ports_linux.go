package scanner

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (h Host) path(elem ...string) string {
	return filepath.Join(append([]string{"/", h.Root}, elem...)...)
}

// Ports lists the serial ports that have hardware behind them, in the order of their names. It reads sysfs and
// /dev/serial/by-id only.
func (h Host) Ports() ([]Port, error) {
	class := h.path("sys/class/tty")
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w", err)
	}
	byID := h.byID()
	var ports []Port
	for _, e := range entries {
		dir := filepath.Join(class, e.Name())
		device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
		if err != nil || text(dir, "type") == "0" {
			continue // a virtual terminal, or a UART that is not there
		}
		p := Port{Name: e.Name(), Path: h.path("dev", e.Name()), Driver: driver(device)}
		if id, ok := byID[e.Name()]; ok {
			p.ByID, p.Path = id, id
		}
		usb(&p, device)
		if p.VID == 0 && !strings.HasPrefix(p.Name, "ttyS") && !strings.HasPrefix(p.Name, "ttyAMA") && p.Driver == "" {
			continue
		}
		ports = append(ports, p)
	}
	sort.Slice(ports, func(i, j int) bool { return ports[i].Name < ports[j].Name })
	return ports, nil
}

// byID maps kernel names to the links that udev keeps.
func (h Host) byID() map[string]string {
	links := map[string]string{}
	dir := h.path("dev/serial/by-id")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return links // no udev, or no USB port
	}
	for _, e := range entries {
		link := filepath.Join(dir, e.Name())
		if target, err := os.Readlink(link); err == nil {
			links[filepath.Base(target)] = link
		}
	}
	return links
}

// driver is the kernel driver of a device; a platform UART has one under a generic name.
func driver(device string) string {
	target, err := os.Readlink(filepath.Join(device, "driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// usb walks up from a port to the USB device that it belongs to.
func usb(p *Port, device string) {
	for dir := device; len(dir) > 1; dir = filepath.Dir(dir) {
		var vid, pid USBID
		if vid.UnmarshalText([]byte(text(dir, "idVendor"))) != nil || pid.UnmarshalText([]byte(text(dir, "idProduct"))) != nil {
			continue
		}
		p.VID, p.PID = vid, pid
		p.Serial, p.Manufacturer, p.Product = text(dir, "serial"), text(dir, "manufacturer"), text(dir, "product")
		return
	}
}

// text is the content of a small file of sysfs, or nothing.
func text(dir, name string) string {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	var b [256]byte
	n, _ := f.Read(b[:])
	return strings.TrimSpace(strings.ToValidUTF8(string(b[:n]), "?"))
}

// Owners lists the processes that have the port open, as far as this user may see.
func (h Host) Owners(path string) []Process {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	var owners []Process
	h.processes(func(p Process, dir string) {
		fds, err := os.ReadDir(filepath.Join(dir, "fd"))
		if err != nil {
			return
		}
		for _, fd := range fds {
			if to, err := os.Readlink(filepath.Join(dir, "fd", fd.Name())); err == nil && to == target {
				owners = append(owners, p)
				return
			}
		}
	})
	return owners
}

// LockHolder is the process that holds the lock on the port, and whether there is one.
func (h Host) LockHolder(path string) (Process, bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Process{}, false
	}
	want := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	f, err := os.Open(h.path("proc/locks"))
	if err != nil {
		return Process{}, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// "1: FLOCK  ADVISORY  WRITE 1234 00:05:321 0 EOF"
		w := strings.Fields(lines.Text())
		if len(w) < 6 || w[1] != "FLOCK" || w[5] != want {
			continue
		}
		if pid, err := strconv.Atoi(w[4]); err == nil {
			return Process{PID: pid, Name: text(h.path("proc", w[4]), "comm")}, true
		}
	}
	return Process{}, false
}

// ModemManager is the process that probes new serial ports as if they were modems, and whether it runs.
func (h Host) ModemManager() (mm Process, running bool) {
	h.processes(func(p Process, _ string) {
		if p.Name == "ModemManager" {
			mm, running = p, true
		}
	})
	return mm, running
}

func (h Host) processes(visit func(p Process, dir string)) {
	entries, err := os.ReadDir(h.path("proc"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			dir := h.path("proc", e.Name())
			visit(Process{PID: pid, Name: text(dir, "comm")}, dir)
		}
	}
}

// Access returns nil if this user may read and write the port, else [ErrNoPort] or [ErrPermission]. It opens nothing.
func Access(path string) error {
	if err := unix.Access(path, unix.R_OK|unix.W_OK); err != nil {
		return openError(path, err)
	}
	return nil
}
