package wire

import (
	"fmt"

	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Bounds of what a message may hold, so that a small message cannot make the reader do much.
const (
	MaxVersion     = 128 // bytes of an agent's version
	MaxQuarantined = MaxBatch
	MaxItems       = 1000 // items of a Down
	MaxScanners    = 16
)

// Encode makes the bytes of a message; one above [MaxMessage] is an [ErrMessage].
func Encode(m interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}) ([]byte, error) {
	if n := m.SizeVT(); n > MaxMessage {
		return nil, fmt.Errorf("%w: %T of %d bytes, at most %d", ErrMessage, m, n, MaxMessage)
	}
	return m.MarshalVT()
}

// Decode reads a message and checks the bounds of its own fields: Decode[pb.Hello](payload). What stands deeper (cards,
// snapshots, receipts) is checked by the To functions. Every error is an [ErrMessage].
func Decode[T any, P interface {
	*T
	UnmarshalVT([]byte) error
}](payload []byte) (P, error) {
	if len(payload) > MaxMessage {
		return nil, fmt.Errorf("%w: %T of %d bytes, at most %d", ErrMessage, P(nil), len(payload), MaxMessage)
	}
	m := P(new(T))
	if err := m.UnmarshalVT(payload); err != nil {
		return nil, fmt.Errorf("%w: %T: %w", ErrMessage, m, err)
	}
	d := &decoder{}
	d.fields(m)
	if d.err != nil {
		return nil, fmt.Errorf("%T: %w", m, d.err)
	}
	return m, nil
}

func (d *decoder) fields(m any) {
	switch m := m.(type) {
	case *pb.Hello:
		d.enrolled(m.Station)
		d.size("last hash", m.LastHash, len(Hash{}))
		d.size("nonce", m.Nonce, len(Nonce{}))
		d.size("boot id", m.Boot, 16)
		d.most("version", len(m.Version), MaxVersion)
		d.place(m.Epoch, m.LastSeq)
		d.place(m.Epoch, m.FirstSeq)
	case *pb.Cursor:
		d.place(m.Epoch, m.Seq)
		if len(m.Hash) != 0 || m.Verdict == pb.Verdict_VERDICT_OK {
			d.size("hash", m.Hash, len(Hash{}))
		}
	case *pb.Ack:
		d.place(m.Epoch, m.Seq)
		d.size("hash", m.Hash, len(Hash{}))
		d.most("quarantined", len(m.Quarantined), MaxQuarantined)
		for _, q := range m.Quarantined {
			d.text(q.Reason)
		}
	case *pb.Ask:
		d.ask(m)
	case *pb.Answer:
		d.answer(m)
	case *pb.Down:
		d.most("items", len(m.Items), MaxItems)
		if m.Through < m.After {
			d.fail("down-stream from %d back to %d", m.After, m.Through)
		}
	case *pb.State:
		d.enrolled(m.Station)
		d.most("version", len(m.Version), MaxVersion)
		d.most("scanners", len(m.Scanners), MaxScanners)
		for _, s := range m.Scanners {
			d.text(s.Name)
		}
	}
}

func (d *decoder) size(what string, b []byte, want int) {
	if len(b) != want {
		d.fail("%s of %d bytes", what, len(b))
	}
}

func (d *decoder) most(what string, n, most int) {
	if n > most {
		d.fail("%s: %d, at most %d", what, n, most)
	}
}

func (d *decoder) place(epoch uint32, seq uint64) {
	if epoch == 0 && seq != 0 || seq > 1<<62 {
		d.fail("epoch %d, seq %d", epoch, seq)
	}
}
