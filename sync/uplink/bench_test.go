package uplink_test

import (
	"context"
	"sync"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/uplink"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// pipe is a carrier without a network: what the station publishes is answered in place, as a headquarters would that
// checks every batch and keeps nothing.
type pipe struct {
	messages chan wire.Message
	done     chan struct{}
	close    sync.Once

	mu   sync.Mutex
	seq  loyalty.Seq
	hash wire.Hash
	want loyalty.Seq
	full chan struct{} // closed when everything has arrived
}

func (p *pipe) Dial(context.Context, wire.Message) (wire.Session, error) { return p, nil }
func (p *pipe) Messages() <-chan wire.Message                            { return p.messages }
func (p *pipe) Done() <-chan struct{}                                    { return p.done }
func (p *pipe) Close() error                                             { p.close.Do(func() { close(p.done) }); return nil }

func (p *pipe) Publish(_ context.Context, topic string, payload []byte) error {
	_, kind, err := wire.ParseTopic(topic)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case wire.Hello:
		h, err := wire.Decode[pb.Hello](payload)
		if err != nil {
			return err
		}
		if p.seq == 0 {
			p.hash = wire.Genesis(simStation, loyalty.Epoch(h.Epoch), wire.Nonce(h.Nonce))
		}
		return p.answer(wire.Cursor, &pb.Cursor{Epoch: h.Epoch, Seq: uint64(p.seq), Hash: p.hash[:], Credit: 1 << 30, Session: h.Session})
	case wire.Up:
		b, err := wire.OpenBatch(payload)
		if err != nil || b.First != p.seq+1 || b.Prev != p.hash {
			return err
		}
		p.seq, p.hash = b.Last(), b.LastHash()
		if p.seq == p.want {
			close(p.full)
		}
		return p.answer(wire.Ack, &pb.Ack{Epoch: uint32(b.Epoch), Seq: uint64(p.seq), Hash: p.hash[:], Credit: 1 << 30})
	}
	return nil
}

func (p *pipe) answer(k wire.Kind, m interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}) error {
	b, err := wire.Encode(m)
	p.messages <- wire.Message{Topic: wire.Topic(simStation, k), Payload: b}
	return err
}

// BenchmarkDrain empties a backlog into a headquarters that checks it: what the uplink itself costs an entry, both ends'
// hashing, sealing and opening included, disk and network not.
func BenchmarkDrain(b *testing.B) {
	const backlog = 100_000
	w := &world{dice: newDice(1), net: newSimNet(newDice(1), faults{})}
	w.hqRestored.Store(true)
	entries := make([][]byte, backlog)
	for i := range entries {
		entries[i] = w.sale(uint64(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		w.st = &station{w: w, disk: &disk{}, atOnce: wire.MaxBatch}
		ctx, cancel := context.WithCancel(b.Context())
		l := w.st.start(cancel)
		for _, e := range entries {
			w.st.disk.append(e)
		}
		p := &pipe{messages: make(chan wire.Message, 1024), done: make(chan struct{}), full: make(chan struct{}), want: backlog + 1}
		u, err := uplink.New(uplink.Config{Station: simStation, Journal: l, Mirror: l, Dialer: p, Log: quiet, FirstWait: -1})
		if err != nil {
			b.Fatal(err)
		}
		var wg sync.WaitGroup
		b.StartTimer()
		wg.Go(func() { _ = u.Run(ctx) }) // nil: the benchmark ends it
		<-p.full
		b.StopTimer()
		cancel()
		wg.Wait()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/backlog, "ns/entry")
}
