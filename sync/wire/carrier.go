package wire

import "context"

// Message is one message as it came from the carrier.
type Message struct {
	Topic   string
	Payload []byte
}

// Session is one connection to a broker. It may lose, repeat, delay and reorder messages; nothing here is a promise
// that anything arrived. It is safe for concurrent use.
type Session interface {
	// Publish hands a message to the carrier and returns when the carrier has taken it (QoS 1: the broker's PUBACK), the
	// session has ended or ctx is done.
	Publish(ctx context.Context, topic string, payload []byte) error
	// Messages delivers what was subscribed. It is closed when the session has ended.
	Messages() <-chan Message
	// Done is closed when the session has ended, for whatever reason.
	Done() <-chan struct{}
	// Close ends the session in order: no will is published. It waits until everything the session started has ended.
	Close() error
}

// Dialer opens sessions with a fixed identity and fixed subscriptions.
type Dialer interface {
	// Dial connects and subscribes; the will is published, retained, by the broker if the session ends without Close.
	// An empty will is none.
	Dial(ctx context.Context, will Message) (Session, error)
}
