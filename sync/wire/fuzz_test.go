package wire_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

func FuzzDecodeEntry(f *testing.F) {
	for _, e := range samples() {
		b, err := wire.EncodeEntry(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, wire.ErrMessage) {
				t.Fatalf("not an ErrMessage: %v", err)
			}
			return
		}
		again, err := wire.EncodeEntry(e)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if back, err := wire.DecodeEntry(again); err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("encoded again it is another: %+v, %v", back, err)
		}
	})
}

func FuzzOpenBatch(f *testing.F) {
	prev := wire.Genesis(7, 1, wire.Nonce{})
	for _, entries := range [][][]byte{{{1}}, {{1, 2}, {}, {3}}, {bytes.Repeat([]byte{9}, 500), {1}}} {
		b, _, _, err := wire.SealBatch(1, 1, prev, entries)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(wire.ZstdBomb(1 << 20))
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, err := wire.OpenBatch(payload)
		if err != nil {
			if !errors.Is(err, wire.ErrMessage) {
				t.Fatalf("not an ErrMessage: %v", err)
			}
			return
		}
		if len(b.Entries) == 0 || len(b.Entries) > wire.MaxBatch || len(b.Hashes) != len(b.Entries) {
			t.Fatalf("opened a batch of %d entries and %d hashes", len(b.Entries), len(b.Hashes))
		}
		again, n, last, err := wire.SealBatch(b.Epoch, b.First, b.Prev, b.Entries)
		if err != nil || n != len(b.Entries) || last != b.LastHash() {
			t.Fatalf("sealed again: %d of %d, %v", n, len(b.Entries), err)
		}
		if c, err := wire.OpenBatch(again); err != nil || !reflect.DeepEqual(c, b) {
			t.Fatalf("sealed again it is another: %v", err)
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	for _, k := range append(wire.FromStation(), wire.ToStation()...) {
		f.Add(wire.Topic(130, k))
	}
	f.Add("azs/v1/00/0/up")
	f.Fuzz(func(t *testing.T, topic string) {
		s, k, err := wire.ParseTopic(topic)
		if err == nil && wire.Topic(s, k) != topic {
			t.Fatalf("%q was taken for %q", topic, wire.Topic(s, k))
		}
	})
}

// FuzzDecode gives the same bytes to the reader of every message and, where there is one, to what reads its parts.
func FuzzDecode(f *testing.F) {
	hash, id := make([]byte, 32), make([]byte, 16)
	card := &pb.Card{Number: "7005000000009015", Account: 42, Version: 3}
	account := &pb.Account{Id: 42, Lots: []*pb.Lot{{Amount: 100, ActiveFrom: 1, Expires: 2}}, Tallies: []*pb.Tally{{Counter: "tier", Amount: 1, Until: 9}}}
	snapshot := &pb.Snapshot{Account: account, Version: 9, Epoch: 1, Applied: 5}
	for _, m := range []interface{ MarshalVT() ([]byte, error) }{
		&pb.Hello{Station: 7, Epoch: 1, LastSeq: 5, LastHash: hash, Boot: id, Nonce: id, Version: "1.0", Schema: 1, Session: 3},
		&pb.Cursor{Epoch: 1, Seq: 5, Hash: hash, Credit: 1000, Session: 3},
		&pb.Ack{Epoch: 1, Seq: 5, Hash: hash, Quarantined: []*pb.Quarantined{{Seq: 4, Op: id, Reason: "no such account"}}},
		&pb.Ask{Id: 1, DeadlineMs: 1500, Card: "7005000000009015", TopUp: &pb.TopUp{Want: 100, Statement: &pb.Statement{Used: 1}}},
		&pb.Ask{Id: 1, Card: "7005000000009015", Issue: &pb.Issue{Card: "7005000000009016", Kind: 1, Replaces: true}},
		&pb.Ask{Id: 1, Sale: &pb.SaleRef{Station: 7, Sale: "x"}},
		&pb.Ask{Id: 1, Account: 42, History: &pb.History{From: 1, Until: 2, Before: 3, Limit: 4}},
		&pb.Answer{Id: 1, Sale: saleState(f)},
		&pb.Answer{Id: 1, History: &pb.HistoryPage{Next: 3, Operations: []*pb.Operation{{At: 1, Station: 7, Kind: "sale", Sale: "x", Card: "7005000000009015", Earned: 5}}}},
		&pb.Answer{Id: 1, Card: card, Snapshot: snapshot, Grant: &pb.Grant{Account: 42, Epoch: 1, Issued: 100}},
		&pb.Down{Stream: 1, After: 2, Through: 3, Items: []*pb.Item{{Item: &pb.Item_Snapshot{Snapshot: snapshot}}, {Item: &pb.Item_Card{Card: card}}}},
		&pb.DownAck{Stream: 1, Seq: 3},
		&pb.State{Station: 7, Session: 3, Online: true, Scanners: []*pb.Scanner{{Name: "till 1", Connected: true}}},
		&pb.Local{Snapshot: snapshot, Own: []*pb.Posting{{Epoch: 1, Seq: 6, Redeemed: 5}}},
	} {
		b, err := m.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		try[pb.Hello](t, b, nil)
		try[pb.Cursor](t, b, nil)
		try[pb.Ack](t, b, nil)
		try[pb.DownAck](t, b, nil)
		try[pb.State](t, b, nil)
		try[pb.Batch](t, b, nil)
		try(t, b, func(m *pb.Ask) error {
			_, err := wire.ToStatement(m.GetTopUp().GetStatement())
			return err
		})
		try(t, b, func(m *pb.Answer) error {
			_, err := wire.ToCard(m.Card)
			_, err2 := wire.ToSnapshot(m.Snapshot)
			_, err3 := wire.ToSaleElsewhere(m.Sale)
			_, err4 := wire.ToOperations(m.History)
			return errors.Join(err, err2, err3, err4)
		})
		try(t, b, func(m *pb.Down) error {
			var errs []error
			for _, i := range m.Items {
				_, err := wire.ToSnapshot(i.GetSnapshot())
				_, err2 := wire.ToCard(i.GetCard())
				errs = append(errs, err, err2)
			}
			return errors.Join(errs...)
		})
		try(t, b, func(m *pb.Local) error {
			_, err := wire.ToLocal(m)
			return err
		})
	})
}

// try decodes b as a T; what is taken must be readable again after it was written, and every error an ErrMessage.
func try[T any, P interface {
	*T
	UnmarshalVT([]byte) error
	MarshalVT() ([]byte, error)
	SizeVT() int
}](t *testing.T, b []byte, parts func(P) error) {
	m, err := wire.Decode[T, P](b)
	if err == nil && parts != nil {
		err = parts(m)
	}
	if err != nil {
		if !errors.Is(err, wire.ErrMessage) {
			t.Fatalf("%T: not an ErrMessage: %v", m, err)
		}
		return
	}
	again, err := m.MarshalVT()
	if err != nil {
		t.Fatalf("%T: %v", m, err)
	}
	if _, err := wire.Decode[T, P](again); err != nil && len(again) <= wire.MaxMessage {
		t.Fatalf("%T: written again it is unreadable: %v", m, err)
	}
}
