package config

import (
	"fmt"
	"time"
)

// Agent is the configuration of azs-agent, the daemon at one fuel station.
type Agent struct {
	// The fuel station this agent serves.
	Station Station `yaml:"station"`
	// The local ledger: accounts, sales and the journal of what the station did.
	Ledger Ledger `yaml:"ledger"`
	// The scanners at the counters. Without any, cards are identified by number through the API only.
	Scanners []Scanner `yaml:"scanners"`
	// How a scanned frame is recognised as a card of this network.
	Cards Cards `yaml:"cards"`
	// The HTTP API for the cash-register software, and the cashier's page.
	API API `yaml:"api"`
	// The way to headquarters.
	HQ Link `yaml:"hq"`
	// The loyalty programme.
	Programme Programme `yaml:"programme"`
	// Prometheus metrics and /healthz.
	Metrics Metrics `yaml:"metrics"`
	// What is logged, and how.
	Log Log `yaml:"log"`
}

// Station names the fuel station.
type Station struct {
	// Number of the station in the network, unique; the same as headquarters knows it by. Required.
	Number uint32 `yaml:"number" min:"1"`
	// Name shown on the cashier's page and in headquarters' lists. Default: none.
	Name string `yaml:"name" max:"100"`
	// Offset of the station's wall clock from UTC, for receipts, shifts and days, as +03:00. Default: +03:00.
	Zone Zone `yaml:"zone"`
}

// Ledger says where the local ledger lives and how much of the past it keeps.
type Ledger struct {
	// File of the ledger, on a local disk. Its folder also takes backups and salvaged files.
	// Default: /var/lib/azs-agent/ledger.db, on Windows %ProgramData%\azs-agent\ledger.db.
	Path string `yaml:"path"`
	// File of the witness, by which a restored or cloned ledger is recognised. Best on another disk. Default: beside the ledger.
	Witness string `yaml:"witness"`
	// How long entries that headquarters has acknowledged are kept, for statements, disputes and a headquarters
	// restored from a backup; in whole days (90d). 2,000 sales a day for 400 days take 0.5 GB. Default: 400d. From 1d to 3660d.
	Retain time.Duration `yaml:"retain" min:"24h" max:"87840h"`
	// Size of the ledger's file above which redeeming stops and an alarm is raised. Default: 4GiB. At least 16MiB.
	MaxSize Size `yaml:"max_size" min:"16777216"`
}

// Scanner is one serial scanner. What is left out is taken from the preset.
type Scanner struct {
	// Name in logs, metrics and on the page; unique. Default: scanner1, scanner2, and so on.
	Name string `yaml:"name" max:"40"`
	// Counter (cash desk) whose page and cash register receive its scans. Default: 1.
	Counter string `yaml:"counter" max:"20"`
	// Model family from which line settings and framing are taken. Default: generic (9600 8N1, ends with CR, LF or a gap).
	Preset string `yaml:"preset" oneof:"generic zebra_rs232 honeywell_rs232 datalogic newland mindeo mertech atol msr"`
	// Port: auto (the only one that fits `match`), a path such as /dev/serial/by-id/... or /dev/azs/scanner-..., or COM3. Default: auto.
	Port string `yaml:"port"`
	// Which USB device `auto` means. Default: any serial device.
	Match Match `yaml:"match"`
	// Line speed in bits per second; 0 takes the preset's. Default: 0.
	Baud int `yaml:"baud" oneof:"0 1200 2400 4800 9600 19200 38400 57600 115200 230400 460800 921600"`
	// Data bits; 0 takes the preset's. Default: 0.
	DataBits int `yaml:"data_bits" oneof:"0 7 8"`
	// Parity. Default: the preset's.
	Parity string `yaml:"parity" oneof:"none even odd"`
	// Stop bits; 0 takes the preset's. Default: 0.
	StopBits int `yaml:"stop_bits" oneof:"0 1 2"`
	// What ends a frame; none leaves only the gap. Frames between STX and ETX are known by themselves. Default: the preset's.
	Terminator string `yaml:"terminator" oneof:"cr lf crlf_any etx tab none"`
	// Silence that ends a frame without a terminator, in milliseconds; 0 takes the preset's. Default: 0.
	GapMS Millis `yaml:"gap_ms" min:"0" max:"2000"`
	// What to do with a frame ended by silence: checked accepts only card numbers whose check digit holds, accept takes
	// all, drop none. Default: checked.
	GapPolicy string `yaml:"gap_policy" oneof:"checked accept drop"`
	// Longest frame in bytes; what is longer is discarded to its end. Default: 8192. From 16 to 8192.
	MaxLen int `yaml:"max_len" min:"16" max:"8192"`
	// AIM identifiers (]C1, ]Q1): auto strips one where it is present, required refuses frames without, none takes the
	// first three characters for data. Default: auto.
	AIMID string `yaml:"aim_id" oneof:"auto required none"`
	// Character set of QR codes; auto tries UTF-8, then CP1251. Default: auto.
	Charset string `yaml:"charset" oneof:"auto utf-8 cp1251"`
	// Frames by which the scanner says that it could not read. Default: NOREAD, NR, ?.
	NoRead []string `yaml:"no_read"`
	// Time within which the same frame again is one scan, in milliseconds; 0 turns it off. Default: 1500.
	DedupeMS Millis `yaml:"dedupe_ms" min:"0" max:"10000"`
	// Back-off between attempts to reopen a port that went away, in milliseconds.
	ReopenMS Reopen `yaml:"reopen_ms"`
}

// Match selects a USB serial device by what it says of itself.
type Match struct {
	// USB vendor id, four hexadecimal digits. Default: any.
	VID string `yaml:"vid" pattern:"^[0-9a-fA-F]{4}$"`
	// USB product id, four hexadecimal digits. Default: any.
	PID string `yaml:"pid" pattern:"^[0-9a-fA-F]{4}$"`
	// USB serial number. Default: any.
	Serial string `yaml:"serial" max:"126"`
}

// Reopen bounds the back-off after a port went away.
type Reopen struct {
	// First wait, in milliseconds. Default: 250.
	Min Millis `yaml:"min" min:"50" max:"60000"`
	// Longest wait, in milliseconds. Default: 1000.
	Max Millis `yaml:"max" min:"50" max:"60000"`
}

// Cards says which of the things a scanner reads are cards of this network.
type Cards struct {
	// Ranges of card numbers. A number that the register sends or a cashier types must fit one too, unless the station knows
	// the card. Default: none, so that no bare number that is scanned is taken for a card, and any that is sent is, but for
	// those of bank cards.
	Ranges []CardRange `yaml:"ranges"`
	// Hosts whose links carry a card number (https://club.example/c?n=...). Default: none.
	URLHosts []string `yaml:"url_hosts"`
	// Query parameter that carries the number in such a link. Default: card.
	URLParam string `yaml:"url_param" max:"40"`
	// Prefixes of foreign tokens, passed on whole. Default: none.
	TokenPrefixes []string `yaml:"token_prefixes"`
	// Key that carries the number in a JSON object. Default: card.
	JSONKey string `yaml:"json_key" max:"40"`
	// Public key (age1...) that the forms of new customers are sealed to; headquarters' operator keeps its other half and
	// the station cannot read a form back. Made by `age-keygen -o forms.key`. Without it no card is issued at the counter.
	// Default: none.
	FormsKey string `yaml:"forms_key"`
}

// CardRange is one range of card numbers.
type CardRange struct {
	// First digits of the number. Quote them if they begin with zero. Required.
	Prefix string `yaml:"prefix" pattern:"^[0-9]{1,18}$"`
	// Number of digits altogether. Required. From 6 to 19.
	Length int `yaml:"length" min:"6" max:"19"`
	// Check digit: luhn, ean13 (weights 1 and 3, also for GSRN), or none. Default: luhn.
	Check string `yaml:"check" oneof:"luhn ean13 none"`
}

// API is the HTTP API for the cash-register software.
type API struct {
	// Address to listen on. Only a loopback address is accepted. Default: 127.0.0.1:8713.
	Listen string `yaml:"listen"`
	// File with the token that callers present. Default: /etc/azs-agent/api.token, on Windows %ProgramData%\azs-agent\api.token.
	TokenFile string `yaml:"token_file"`
	// Origins of web pages, other than the cashier's own, whose scripts may call the API (https://pos.example). Default: none.
	AllowedOrigins []string `yaml:"allowed_origins"`
}

// Link is the way to headquarters: MQTT 3.1.1 brokers, tried in turn.
type Link struct {
	// Addresses of the brokers: tls://host:8883, or tcp://127.0.0.1:1883 on loopback only. Without any the station works
	// alone and keeps its journal. Default: none.
	Brokers []string `yaml:"brokers"`
	// File with the station's certificate (PEM). Default: none.
	CertFile string `yaml:"cert_file"`
	// File with the private key of the certificate (PEM). Default: none.
	KeyFile string `yaml:"key_file"`
	// File with the authorities that the broker's certificate must come from (PEM). Default: the system's.
	CAFile string `yaml:"ca_file"`
	// User name for the broker. Default: none.
	Username string `yaml:"username" max:"128"`
	// File with the password for the broker. Default: none.
	PasswordFile string `yaml:"password_file"`
	// MQTT keep-alive. Default: 20s. From 5s to 5m.
	KeepAlive time.Duration `yaml:"keepalive" min:"5s" max:"5m"`
	// How long a scan waits for headquarters' answer before the local one is shown. Default: 1500ms. From 100ms to 10s.
	AskDeadline time.Duration `yaml:"ask_deadline" min:"100ms" max:"10s"`
	// How long entries are gathered into one batch. Default: 50ms. From 0s to 1s.
	Linger time.Duration `yaml:"linger" min:"0s" max:"1s"`
	// Allows tcp:// to a broker that is not on this machine: everything, the password included, can then be read on the
	// way. Default: false.
	Insecure bool `yaml:"insecure"`
}

// Programme says where the loyalty programme comes from until headquarters sends one.
type Programme struct {
	// File of the first programme. A programme received from headquarters takes its place for good. Default: none.
	File string `yaml:"file"`
}

// Metrics is where Prometheus metrics and /healthz are served.
type Metrics struct {
	// Loopback address to listen on; empty turns it off. Default: 127.0.0.1:9713.
	Listen string `yaml:"listen"`
}

// Log says what is logged. Logs go to standard error; card numbers in them are masked.
type Log struct {
	// Least level that is logged. Default: info.
	Level string `yaml:"level" oneof:"debug info warn error"`
	// Form of a line. Default: text.
	Format string `yaml:"format" oneof:"text json"`
}

// DefaultAgent returns the configuration of an empty file. It is not valid yet: the station has no number.
func DefaultAgent() Agent { return defaultAgent(systemFolders("azs-agent")) }

func defaultAgent(f folders) Agent {
	return Agent{
		Station: Station{Zone: Zone(3 * 3600)},
		Ledger: Ledger{
			Path:    f.state("ledger.db"),
			Retain:  400 * 24 * time.Hour,
			MaxSize: 4 << 30,
		},
		Cards:   Cards{URLParam: "card", JSONKey: "card"},
		API:     API{Listen: "127.0.0.1:8713", TokenFile: f.settings("api.token")},
		HQ:      Link{KeepAlive: 20 * time.Second, AskDeadline: 1500 * time.Millisecond, Linger: 50 * time.Millisecond},
		Metrics: Metrics{Listen: "127.0.0.1:9713"},
		Log:     Log{Level: "info", Format: "text"},
	}
}

// complete fills the defaults that depend on other values.
func (a *Agent) complete() {
	if a.Ledger.Witness == "" && a.Ledger.Path != "" {
		a.Ledger.Witness = a.Ledger.Path + ".witness"
	}
	for i := range a.Scanners {
		if a.Scanners[i].Name == "" {
			a.Scanners[i].Name = fmt.Sprintf("scanner%d", i+1)
		}
	}
}

// setDefaults gives a scanner of the list what an empty one means.
func (s *Scanner) setDefaults() {
	*s = Scanner{
		Counter:   "1",
		Preset:    "generic",
		Port:      "auto",
		GapPolicy: "checked",
		MaxLen:    8192,
		AIMID:     "auto",
		Charset:   "auto",
		NoRead:    []string{"NOREAD", "NR", "?"},
		DedupeMS:  1500,
		ReopenMS:  Reopen{Min: 250, Max: 1000},
	}
}

// setDefaults gives a card range of the list what an empty one means.
func (r *CardRange) setDefaults() { *r = CardRange{Check: "luhn"} }
