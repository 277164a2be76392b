package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS names the files (PEM) of a connection. They are read at every connection, so that a certificate can be renewed in
// place.
type TLS struct {
	// CAFile holds the authorities the broker's certificate must come from. Default: the system's.
	CAFile string
	// CertFile and KeyFile are our own certificate and its key; both or none. Default: none.
	CertFile, KeyFile string
	// ServerName is the name the broker's certificate must bear. Default: the host of the address.
	ServerName string
}

func (t TLS) check() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return fmt.Errorf("%w: a certificate needs its key and the reverse; set both files or none", ErrConfig)
	}
	return nil
}

// ClientConfig reads the files and returns what a connection to the broker at host is made with. `azs-agent doctor` tries
// brokers with it, so that it judges what the agent itself would see. Errors name the file; [ErrConfig] where its content
// is not what it should be.
func (t TLS) ClientConfig(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: %s holds no certificate in PEM", ErrConfig, t.CAFile)
		}
	}
	if t.CertFile != "" {
		own, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read own certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}
