package ledger

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// message is what vtprotobuf generates.
type message interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

// encode makes the stored value of a message: a fresh buffer, because bbolt keeps it until the commit.
func encode(bucket string, key []byte, m message) ([]byte, error) {
	n := m.SizeVT()
	b := make([]byte, n, n+sumSize)
	if _, err := m.MarshalToSizedBufferVT(b); err != nil {
		return nil, fmt.Errorf("encode %s: %w", describeKey(bucket, key), err)
	}
	return seal(bucket, key, b), nil
}

// state is where everything stands: what the file says in meta/state.
type state struct {
	station    loyalty.StationID
	epoch      loyalty.Epoch
	nonce      wire.Nonce
	last       loyalty.Seq
	lastHash   wire.Hash
	lastAt     loyalty.Instant
	lastOp     loyalty.OpID
	acked      loyalty.Seq
	heard      loyalty.Instant
	bound      loyalty.Instant
	downStream uint64
	downSeq    uint64
	thaw       loyalty.Seq
	freeze     string
	segment    place
	segmentLen uint32
	segmentDay int64
	count      counters
}

type counters struct {
	accounts, cards, sales, openSales, entries, quarantined uint64
}

func (s *state) message() *ledgerpb.State {
	m := &ledgerpb.State{
		Station: uint32(s.station), Epoch: uint32(s.epoch), Nonce: s.nonce[:], Last: uint64(s.last), LastHash: s.lastHash[:],
		LastAt: int64(s.lastAt), Acked: uint64(s.acked), Heard: int64(s.heard), Bound: int64(s.bound),
		DownStream: s.downStream, DownSeq: s.downSeq, Thaw: uint64(s.thaw), Freeze: s.freeze,
		SegmentEpoch: uint32(s.segment.epoch), SegmentSeq: uint64(s.segment.seq), SegmentLen: s.segmentLen, SegmentDay: s.segmentDay,
		Counters: &ledgerpb.Counters{
			Accounts: s.count.accounts, Cards: s.count.cards, Sales: s.count.sales, OpenSales: s.count.openSales,
			Entries: s.count.entries, Quarantined: s.count.quarantined,
		},
	}
	if !s.lastOp.IsZero() {
		m.LastOp = s.lastOp[:]
	}
	return m
}

func parseState(b []byte) (state, error) {
	var m ledgerpb.State
	if err := m.UnmarshalVT(b); err != nil {
		return state{}, fmt.Errorf("%w: meta/state: %w", ErrCorrupt, err)
	}
	if len(m.Nonce) != len(wire.Nonce{}) || len(m.LastHash) != len(wire.Hash{}) || (len(m.LastOp) != 0 && len(m.LastOp) != len(loyalty.OpID{})) {
		return state{}, fmt.Errorf("%w: meta/state: a field has a wrong length", ErrCorrupt)
	}
	s := state{
		station: loyalty.StationID(m.Station), epoch: loyalty.Epoch(m.Epoch), nonce: wire.Nonce(m.Nonce), last: loyalty.Seq(m.Last),
		lastHash: wire.Hash(m.LastHash), lastAt: loyalty.Instant(m.LastAt), acked: loyalty.Seq(m.Acked), heard: loyalty.Instant(m.Heard),
		bound: loyalty.Instant(m.Bound), downStream: m.DownStream, downSeq: m.DownSeq, thaw: loyalty.Seq(m.Thaw), freeze: m.Freeze,
		segment:    place{loyalty.Epoch(m.SegmentEpoch), loyalty.Seq(m.SegmentSeq)},
		segmentLen: m.SegmentLen, segmentDay: m.SegmentDay,
	}
	if len(m.LastOp) != 0 {
		s.lastOp = loyalty.OpID(m.LastOp)
	}
	if c := m.Counters; c != nil {
		s.count = counters{c.Accounts, c.Cards, c.Sales, c.OpenSales, c.Entries, c.Quarantined}
	}
	return s, nil
}

// cell is a cell with what open sales of the account reserve.
type cell struct {
	loyalty.Cell
	reserved loyalty.Points
}

func (c cell) message() *ledgerpb.Cell {
	return &ledgerpb.Cell{
		Issued: uint64(c.Issued), Used: uint64(c.Used), Voided: uint64(c.Voided), Returned: uint64(c.Returned), Reserved: uint64(c.reserved),
	}
}

func parseCell(b []byte) (cell, error) {
	var m ledgerpb.Cell
	if err := m.UnmarshalVT(b); err != nil {
		return cell{}, fmt.Errorf("%w: cell: %w", ErrCorrupt, err)
	}
	return cell{
		Cell: loyalty.Cell{
			Issued: loyalty.Points(m.Issued), Used: loyalty.Points(m.Used), Voided: loyalty.Points(m.Voided), Returned: loyalty.Points(m.Returned),
		},
		reserved: loyalty.Points(m.Reserved),
	}, nil
}

func parseLocal(b []byte) (loyalty.Local, error) {
	var m pb.Local
	if err := m.UnmarshalVT(b); err != nil {
		return loyalty.Local{}, fmt.Errorf("%w: account: %w", ErrCorrupt, err)
	}
	l, err := wire.ToLocal(&m)
	if err != nil {
		return loyalty.Local{}, fmt.Errorf("%w: account: %w", ErrCorrupt, err)
	}
	return l, nil
}

func cardMessage(c *loyalty.Card) *pb.Card {
	m := wire.FromCard(c)
	m.Number = "" // the key
	return m
}

func parseCard(number loyalty.CardNumber, b []byte) (loyalty.Card, error) {
	var m pb.Card
	if err := m.UnmarshalVT(b); err != nil {
		return loyalty.Card{}, fmt.Errorf("%w: card %s: %w", ErrCorrupt, number, err)
	}
	m.Number = string(number)
	c, err := wire.ToCard(&m)
	if err != nil {
		return loyalty.Card{}, fmt.Errorf("%w: card %s: %w", ErrCorrupt, number, err)
	}
	return c, nil
}
