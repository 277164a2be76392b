package mqtt

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/sync/wire"
)

// maxPacket bounds what a broker may send at once: a message with its topic and header. Paho would believe any length up
// to 256 MiB and allocate it.
const maxPacket = wire.MaxMessage + 1024

var errPacket = errors.New("the broker sent a packet above the limit")

// conn is a connection that cannot hang a writer, cannot be made to allocate much, and tells when it is closed.
type conn struct {
	net.Conn
	in           *bufio.Reader // Paho reads headers byte by byte
	frame        framing       // touched by the one reader only
	writeTimeout time.Duration
	gone         chan struct{} // closed by the first Close, whoever calls it
	close        sync.Once
}

// connect opens TCP and, for tls, TLS.
func (d *Dialer) connect(ctx context.Context, broker *url.URL) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ConnectTimeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", broker.Host)
	if err != nil {
		return nil, err
	}
	if broker.Scheme == "tls" {
		config, err := d.cfg.TLS.ClientConfig(broker.Hostname())
		if err != nil {
			raw.Close()
			return nil, err
		}
		t := tls.Client(raw, config)
		if err := t.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		raw = t
	}
	return &conn{
		Conn: raw, in: bufio.NewReaderSize(raw, 16<<10), writeTimeout: d.cfg.WriteTimeout, gone: make(chan struct{}),
	}, nil
}

// Read hands on what came in, as long as the packets it is made of keep to the limit.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if ferr := c.frame.pass(p[:n]); ferr != nil {
		return 0, ferr
	}
	return n, err
}

// Write fails when the peer has taken nothing for the write time-out.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline does nothing: Write sets its own, and Paho would take it away between another writer's packets.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is what Paho bounds the handshake with; writes are bounded anyway.
func (c *conn) SetDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }

// Close closes the connection; every other call to it then ends.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.close.Do(func() {
		close(c.gone)
		err = c.Conn.Close()
	})
	return err
}

// framing follows the fixed headers of a stream of MQTT packets.
type framing struct {
	body   int  // bytes of the packet's body still to come
	header bool // in the middle of the length
	length int
	shift  uint
}

// pass looks at the next bytes of the stream and returns errPacket if they announce too much.
func (f *framing) pass(b []byte) error {
	for len(b) > 0 {
		switch {
		case f.body > 0:
			n := min(f.body, len(b))
			f.body -= n
			b = b[n:]
		case !f.header: // type and flags
			f.header, f.length, f.shift = true, 0, 0
			b = b[1:]
		default:
			f.length |= int(b[0]&0x7f) << f.shift
			f.shift += 7
			if f.length > maxPacket || f.shift > 28 {
				return errPacket
			}
			if b[0]&0x80 == 0 {
				f.header, f.body = false, f.length
			}
			b = b[1:]
		}
	}
	return nil
}
