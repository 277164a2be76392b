package scanner

import "slices"

// Preset is the factory setting of a family of scanners, as its serial cable or USB serial mode comes out of the box.
type Preset struct {
	Name       string
	Line       Line
	Terminator Terminator
	Verified   bool   // tried with the device, or read in its maker's manual; else the common default
	Note       string // for the technician
}

// Presets returns the known presets.
func Presets() []Preset {
	at := func(baud int) Line { return Line{Baud: baud, DataBits: 8, Parity: ParityNone, StopBits: 1} }
	return []Preset{
		{"generic", at(9600), CRLFAny, true, "ends with CR, LF or silence"},
		{"zebra_rs232", at(9600), CRLFAny, true, "comes without a suffix, so frames end by silence: scan the manual's code for a CR suffix"},
		{"honeywell_rs232", at(115200), CRLFAny, true, "sends CR LF"},
		{"datalogic", at(9600), CRLFAny, false, "not verified with a device"},
		{"newland", at(9600), CRLFAny, false, "not verified with a device"},
		{"mindeo", at(9600), CRLFAny, false, "not verified with a device"},
		{"mertech", at(9600), CRLFAny, false, "not verified with a device"},
		{"atol", at(9600), CRLFAny, false, "not verified with a device"},
		{"msr", at(9600), CRLFAny, false, "magnetic stripe reader, tracks ended by CR; not verified with a device"},
	}
}

// PresetNames lists the names of the presets.
func PresetNames() []string {
	var names []string
	for _, p := range Presets() {
		names = append(names, p.Name)
	}
	return names
}

// PresetNamed returns the preset of that name.
func PresetNamed(name string) (Preset, bool) {
	i := slices.IndexFunc(Presets(), func(p Preset) bool { return p.Name == name })
	if i < 0 {
		return Preset{}, false
	}
	return Presets()[i], true
}
