package embedded_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
)

// sealedForm is what a station sealed for account 5, with words that a file can be searched for.
func sealedForm(n int) hq.Form {
	sealed := bytes.Repeat(fmt.Appendf(nil, "sealed form %04d; ", n), 20)
	return hq.Form{Hash: sha256.Sum256(sealed), Account: loyalty.AccountID(1 + n%10), Card: "7005110000000011", Sealed: sealed}
}

// traces counts the forms whose bytes are in the file.
func traces(t *testing.T, path string) (n int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		if bytes.Contains(b, fmt.Appendf(nil, "sealed form %04d; ", i)) {
			n++
		}
	}
	return n
}

// TestDestroyedFormsLeaveNoBytes: of forms that are destroyed nothing is left in the file, nor of the copies of them that
// bbolt has made while others were written beside them; those of other accounts stay.
func TestDestroyedFormsLeaveNoBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hq.db")
	s := open(t, embedded.Config{Path: path})
	defer s.Close()
	save := func(c *hq.Changes) {
		t.Helper()
		if err := s.Update(context.Background(), func(tx hq.Tx) error { return tx.Save(c) }); err != nil {
			t.Fatal(err)
		}
	}
	for from := 0; from < 400; from += 40 { // in several transactions: bbolt copies pages in each
		c := &hq.Changes{}
		for n := range 40 {
			c.Forms = append(c.Forms, sealedForm(from+n))
		}
		save(c)
	}
	if n := traces(t, path); n != 400 {
		t.Fatalf("%d forms are found in the file, want 400: the search does not search", n)
	}
	for id := loyalty.AccountID(1); id <= 9; id++ {
		save(&hq.Changes{Forgotten: []loyalty.AccountID{id}})
		if got, want := traces(t, path), 400-40*int(id); got != want {
			t.Fatalf("%d accounts are forgotten, and %d forms are found in the file, want %d", id, got, want)
		}
	}
	one := sealedForm(9)
	save(&hq.Changes{Destroyed: []loyalty.FormHash{one.Hash}})
	if got := traces(t, path); got != 39 {
		t.Fatalf("one form of the last account is destroyed, and %d forms are found in the file, want 39", got)
	}
	if r, err := s.Check(context.Background()); err != nil || r.Forms != 39 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestScrubGoesOnAfterACrash: where the process has ended between destroying and writing over, the next opening does it.
func TestScrubGoesOnAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hq.db")
	s := open(t, embedded.Config{Path: path})
	f := sealedForm(3)
	err := s.Update(context.Background(), func(tx hq.Tx) error { return tx.Save(&hq.Changes{Forms: []hq.Form{f}}) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucket([]byte("scrub")); err != nil {
			return err
		}
		return tx.Bucket([]byte("form")).Delete(f.Hash[:])
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if traces(t, path) == 0 {
		t.Fatal("bbolt has written over the page by itself: the test does not test")
	}
	s = open(t, embedded.Config{Path: path})
	defer s.Close()
	if n := traces(t, path); n != 0 {
		t.Errorf("%d forms are found in the file", n)
	}
}
