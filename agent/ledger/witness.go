package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger/ledgerpb"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// witness is the journal's end as last seen, kept outside the ledger's file: a ledger that is behind it has been restored,
// rolled back or lost. It is written once a second and at the end, not with every commit, so that it may lag behind the
// ledger; a rollback of less than its lag is found by HQ.
type witness struct {
	station loyalty.StationID
	epoch   loyalty.Epoch
	nonce   wire.Nonce
	seq     loyalty.Seq
	hash    wire.Hash
}

var witnessKey = []byte("witness")

// readWitness returns nil and no error if there is none.
func readWitness(path string) (*witness, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, err
	}
	return parseWitness(b)
}

func parseWitness(b []byte) (*witness, error) {
	v, err := unseal("", witnessKey, b)
	if err != nil {
		return nil, err
	}
	var m ledgerpb.Witness
	if err := m.UnmarshalVT(v); err != nil {
		return nil, err
	}
	if len(m.Nonce) != len(wire.Nonce{}) || len(m.Hash) != len(wire.Hash{}) {
		return nil, fmt.Errorf("%w: witness", ErrCorrupt)
	}
	return &witness{loyalty.StationID(m.Station), loyalty.Epoch(m.Epoch), wire.Nonce(m.Nonce), loyalty.Seq(m.Seq), wire.Hash(m.Hash)}, nil
}

// saveWitness writes down where the journal stands.
func (l *Ledger) saveWitness() error {
	st := l.state()
	stored, err := encode("", witnessKey, &ledgerpb.Witness{
		Station: uint32(st.station), Epoch: uint32(st.epoch), Nonce: st.nonce[:], Seq: uint64(st.last), Hash: st.lastHash[:],
	})
	if err != nil {
		return err
	}
	if err := writeFile(l.cfg.WitnessPath, stored); err != nil {
		return fmt.Errorf("write the witness: %w", err)
	}
	return nil
}

const (
	witnessEvery = time.Second
	trimEvery    = 10 * time.Minute
)

// housekeeper keeps the witness near the journal's end and drops what is past its time.
func (l *Ledger) housekeeper() {
	defer close(l.rested)
	tick := time.NewTicker(witnessEvery)
	defer tick.Stop()
	var seen place
	trimmed := time.Now()
	for {
		select {
		case <-l.closing:
			return
		case now := <-tick.C:
			st := l.state()
			if p := (place{st.epoch, st.last}); p != seen {
				if err := l.saveWitness(); err != nil {
					l.log.Warn("the witness could not be written", "path", l.cfg.WitnessPath, "error", err)
				} else {
					seen = p
				}
			}
			if now.Sub(trimmed) >= trimEvery {
				trimmed = now
				l.trimAll()
			}
		}
	}
}

func (l *Ledger) trimAll() {
	ctx, stop := l.untilClosed()
	defer stop()
	n, err := l.Trim(ctx)
	if err != nil && !errors.Is(err, ErrClosed) {
		l.log.Warn("old entries could not be dropped", "error", err)
	} else if n > 0 {
		l.log.Info("old entries were dropped", "count", n)
	}
}
