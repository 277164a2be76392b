package config

import "time"

// HQ is the configuration of azs-hq, the receiver at headquarters.
type HQ struct {
	// The brokers through which the stations are reached.
	Brokers []string `yaml:"brokers"`
	// File with the certificate presented to the broker (PEM). Default: none.
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
	// Allows tcp:// to a broker that is not on this machine. Default: false.
	Insecure bool `yaml:"insecure"`
	// Shards of the network this process serves: a station belongs to the shard of its number modulo 64. Ranges and
	// numbers, as 0-31,40. Two processes must not share one. Default: 0-63.
	Shards Shards `yaml:"shards"`
	// The ledger of record.
	Store Store `yaml:"store"`
	// The HTTP API and pages of headquarters.
	HTTP HTTP `yaml:"http"`
	// File of the loyalty programme sent to the stations. Default: none.
	Programme Programme `yaml:"programme"`
	// What headquarters do with accounts of their own accord.
	Accounts Accounts `yaml:"accounts"`
	// Prometheus metrics and /healthz.
	Metrics Metrics `yaml:"metrics"`
	// What is logged, and how.
	Log Log `yaml:"log"`
}

// Store is headquarters' ledger of record.
type Store struct {
	// Kind of store: embedded is one file, for a network of one machine. Default: embedded.
	Kind string `yaml:"kind" oneof:"embedded"`
	// File of the embedded store. Default: /var/lib/azs-hq/hq.db, on Windows %ProgramData%\azs-hq\hq.db.
	Path string `yaml:"path"`
}

// HTTP is headquarters' HTTP API.
type HTTP struct {
	// Loopback address to listen on; put a proxy with TLS before it for others. Default: 127.0.0.1:8714.
	Listen string `yaml:"listen"`
	// File with the token that callers present. Default: /etc/azs-hq/api.token, on Windows %ProgramData%\azs-hq\api.token.
	TokenFile string `yaml:"token_file"`
}

// Accounts is what headquarters do with accounts of their own accord.
type Accounts struct {
	// Time of day, by the clock and time zone of this machine, at which is written down what time has brought about: points
	// that became spendable or expired, tiers, points of closed accounts. A day that was missed is made up for at the start.
	// Empty: only `azs-hq accounts advance`. Default: 03:30.
	AdvanceAt string `yaml:"advance_at" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$"`
	// File with the key (PEM) with which `azs-hq accounts close` and `forget` sign their acts; `azs-hq init` makes it.
	// Default: /etc/azs-hq/acts.key, on Windows %ProgramData%\azs-hq\acts.key.
	ActKeyFile string `yaml:"act_key_file"`
}

// DefaultHQ returns the configuration of an empty file. It is not valid yet: it names no broker.
func DefaultHQ() HQ { return defaultHQ(systemFolders("azs-hq")) }

func defaultHQ(f folders) HQ {
	return HQ{
		KeepAlive: 20 * time.Second,
		Shards:    AllShards,
		Store:     Store{Kind: "embedded", Path: f.state("hq.db")},
		HTTP:      HTTP{Listen: "127.0.0.1:8714", TokenFile: f.settings("api.token")},
		Accounts:  Accounts{AdvanceAt: "03:30", ActKeyFile: f.settings("acts.key")},
		Metrics:   Metrics{Listen: "127.0.0.1:9714"},
		Log:       Log{Level: "info", Format: "text"},
	}
}
