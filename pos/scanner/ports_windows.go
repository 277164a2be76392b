package scanner

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"golang.org/x/sys/windows/registry"
)

// Ports lists the COM ports that exist now, in the order of their names. It reads the registry only.
func (h Host) Ports() ([]Port, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `HARDWARE\DEVICEMAP\SERIALCOMM`, registry.READ)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil // never had a port
	}
	if err != nil {
		return nil, fmt.Errorf("list COM ports: %w", err)
	}
	defer k.Close()
	values, err := k.ReadValueNames(-1)
	if err != nil {
		return nil, fmt.Errorf("list COM ports: %w", err)
	}
	devices := map[string]Port{}
	for _, bus := range []string{"USB", "FTDIBUS"} {
		usbPorts(bus, devices)
	}
	var ports []Port
	for _, v := range values {
		name, _, err := k.GetStringValue(v)
		if err != nil {
			continue
		}
		p := devices[name]
		p.Name, p.Path = name, name
		if p.Driver == "" {
			p.Driver = strings.TrimRight(v[strings.LastIndexByte(v, '\\')+1:], "0123456789")
		}
		ports = append(ports, p)
	}
	sort.Slice(ports, func(i, j int) bool { return ports[i].Name < ports[j].Name })
	return ports, nil
}

// usbPorts collects what the bus's devices, present or not, say of their COM names.
func usbPorts(bus string, devices map[string]Port) {
	base := `SYSTEM\CurrentControlSet\Enum\` + bus
	for _, id := range subkeys(base) {
		vid, pid, serial, ok := usbIDs(id)
		if !ok {
			continue
		}
		for _, instance := range subkeys(base + `\` + id) {
			dir := base + `\` + id + `\` + instance
			name := value(dir+`\Device Parameters`, "PortName")
			if name == "" {
				continue
			}
			p := Port{VID: vid, PID: pid, Serial: serial, Driver: value(dir, "Service"), Product: value(dir, "FriendlyName")}
			if p.Serial == "" && !strings.Contains(instance, "&") { // with an ampersand it was made up by Windows
				p.Serial = instance
			}
			devices[name] = p
		}
	}
}

// usbIDs reads "VID_0C2E&PID_0ACA&MI_00" and FTDI's "VID_0403+PID_6001+A50285BIA".
func usbIDs(id string) (vid, pid USBID, serial string, ok bool) {
	parts := strings.FieldsFunc(id, func(r rune) bool { return r == '&' || r == '+' })
	for _, p := range parts {
		switch {
		case strings.HasPrefix(p, "VID_"):
			ok = vid.UnmarshalText([]byte(p[4:])) == nil
		case strings.HasPrefix(p, "PID_"):
			ok = ok && pid.UnmarshalText([]byte(p[4:])) == nil
		case strings.Contains(id, "+"):
			serial = strings.TrimSuffix(p, "A")
		}
	}
	return vid, pid, serial, ok
}

func subkeys(path string) []string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.ENUMERATE_SUB_KEYS)
	if err != nil {
		return nil
	}
	defer k.Close()
	names, _ := k.ReadSubKeyNames(-1)
	return names
}

func value(path, name string) string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer k.Close()
	s, _, _ := k.GetStringValue(name)
	return s
}

// Owners is empty: Windows does not tell who holds a port without a driver's help.
func (h Host) Owners(string) []Process { return nil }

// LockHolder is unknown on Windows; opening a port that another program holds gives [ErrBusy].
func (h Host) LockHolder(string) (Process, bool) { return Process{}, false }

// ModemManager does not exist on Windows.
func (h Host) ModemManager() (Process, bool) { return Process{}, false }

// Access returns nil: Windows decides at opening.
func Access(string) error { return nil }
