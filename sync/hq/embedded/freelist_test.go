package embedded

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// TestFreelistComesAndGoes pins what bbolt does not promise in words: that a store may stop writing its list of free
// pages down when it grows long and begin again, and opens well after either.
func TestFreelistComesAndGoes(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "hq")
	if err != nil {
		dir = t.TempDir()
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays behind is gone with the machine
	cfg := Config{Path: filepath.Join(dir, "hq.db")}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	save := func(c *hq.Changes) {
		t.Helper()
		if err := s.Update(context.Background(), func(tx hq.Tx) error { return tx.Save(c) }); err != nil {
			t.Fatal(err)
		}
	}
	flips := map[bool]int{}
	for round := range 3 {
		var known []hq.Knowledge
		for id := range loyalty.AccountID(60_000) {
			known = append(known, hq.Knowledge{Account: id + 1, Station: 17})
		}
		save(&hq.Changes{Stations: []*hq.Station{{ID: 17}}, Known: known, Restarted: map[loyalty.StationID]uint64{17: uint64(round + 1)}})
		flips[s.db.NoFreelistSync]++
		save(&hq.Changes{Acked: map[loyalty.StationID]uint64{17: 1<<64 - 1}}) // frees what the items took
		save(&hq.Changes{Stations: []*hq.Station{{ID: 18}}})
		flips[s.db.NoFreelistSync]++
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(cfg); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Check(context.Background()); err != nil || r.Items != 0 || r.Stations != 2 {
			t.Fatalf("round %d: %+v %v", round, r, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if flips[true] == 0 || flips[false] == 0 {
		t.Fatalf("the list was written down %d times and left out %d times: the test does not test", flips[false], flips[true])
	}
}
