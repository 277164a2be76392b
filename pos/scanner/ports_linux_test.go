package scanner

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// machine lays out sysfs, dev and proc as a till has them: an FTDI cable, a CDC scanner, a real and a missing UART.
func machine(t *testing.T) Host {
	t.Helper()
	root := t.TempDir()
	file := func(path, content string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(path, target string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	usb := "sys/devices/pci/usb1/"
	file(usb+"1-1/idVendor", "0403\n")
	file(usb+"1-1/idProduct", "6001\n")
	file(usb+"1-1/serial", "A50285BI\n")
	file(usb+"1-1/product", "FT232R USB UART\n")
	file(usb+"1-1/1-1:1.0/ttyUSB0/port_number", "0\n")
	link(usb+"1-1/1-1:1.0/ttyUSB0/driver", "../../../../../../bus/usb-serial/drivers/ftdi_sio")
	link("sys/class/tty/ttyUSB0/device", "../../../devices/pci/usb1/1-1/1-1:1.0/ttyUSB0")
	file(usb+"1-2/idVendor", "0c2e\n")
	file(usb+"1-2/idProduct", "0aca\n")
	file(usb+"1-2/1-2:1.0/bInterfaceNumber", "00\n")
	link(usb+"1-2/1-2:1.0/driver", "../../../../../bus/usb/drivers/cdc_acm")
	link("sys/class/tty/ttyACM0/device", "../../../devices/pci/usb1/1-2/1-2:1.0")
	file("sys/devices/pnp/00:01/id", "")
	link("sys/devices/pnp/00:01/driver", "../../../bus/pnp/drivers/serial")
	file("sys/class/tty/ttyS0/type", "4\n")
	link("sys/class/tty/ttyS0/device", "../../../devices/pnp/00:01")
	file("sys/class/tty/ttyS1/type", "0\n")
	link("sys/class/tty/ttyS1/device", "../../../devices/pnp/00:01")
	file("sys/class/tty/tty1/dev", "4:1\n")
	file("dev/ttyACM0", "")
	link("dev/serial/by-id/usb-FTDI_A50285BI-if00-port0", "../../ttyUSB0")
	file("proc/812/comm", "ModemManager\n")
	link("proc/900/fd/7", filepath.Join(root, "dev/ttyACM0"))
	file("proc/900/comm", "minicom\n")
	return Host{Root: root}
}

func TestPorts(t *testing.T) {
	h := machine(t)
	ports, err := h.Ports()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(ports)
	if err != nil {
		t.Fatal(err)
	}
	r := h.path()
	want := `[{"name":"ttyACM0","path":"` + r + `/dev/ttyACM0","driver":"cdc_acm","vid":"0c2e","pid":"0aca"},` +
		`{"name":"ttyS0","path":"` + r + `/dev/ttyS0","driver":"serial"},` +
		`{"name":"ttyUSB0","path":"` + r + `/dev/serial/by-id/usb-FTDI_A50285BI-if00-port0","by_id":"` + r +
		`/dev/serial/by-id/usb-FTDI_A50285BI-if00-port0","driver":"ftdi_sio","vid":"0403","pid":"6001","serial":"A50285BI","product":"FT232R USB UART"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFind(t *testing.T) {
	h := machine(t)
	for _, tc := range []struct {
		match Match
		want  string
		err   error
	}{
		{Match{VID: 0x0c2e}, "ttyACM0", nil},
		{Match{VID: 0x0403, PID: 0x6001, Serial: "A50285BI"}, "ttyUSB0", nil},
		{Match{Serial: "A50285BJ"}, "", ErrNoPort},
		{Match{PID: 1}, "", ErrNoPort},
		{Match{}, "", ErrAmbiguous},
	} {
		p, err := h.Find(tc.match)
		if p.Name != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%+v: %q %v, want %q %v", tc.match, p.Name, err, tc.want, tc.err)
		}
	}
}

func TestProcesses(t *testing.T) {
	h := machine(t)
	if p, ok := h.ModemManager(); !ok || p != (Process{812, "ModemManager"}) {
		t.Errorf("ModemManager: %v %v", p, ok)
	}
	if o := h.Owners(h.path("dev/ttyACM0")); len(o) != 1 || o[0].String() != "minicom (pid 900)" {
		t.Errorf("owners of ttyACM0: %v", o)
	}
	if o := h.Owners(h.path("dev/serial/by-id/nothing")); o != nil {
		t.Errorf("owners of nothing: %v", o)
	}
	if p, ok := (Host{Root: t.TempDir()}).ModemManager(); ok {
		t.Errorf("ModemManager on an empty machine: %v", p)
	}
}

func TestUSBID(t *testing.T) {
	var u USBID
	for in, want := range map[string]USBID{"0c2e": 0x0c2e, "0x0C2E": 0x0c2e, "1": 1} {
		if err := u.UnmarshalText([]byte(in)); err != nil || u != want {
			t.Errorf("%q: %v %v", in, u, err)
		}
	}
	for _, in := range []string{"", "12345", "scan"} {
		if err := u.UnmarshalText([]byte(in)); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", in, err)
		}
	}
}
