//go:build unix

package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"
)

const someone = 54321

// someonesFolder is a folder of somebody else, in which root works.
func someonesFolder(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("AZS_TEST_REQUIRE") == "1" {
			t.Fatal("only root can give files away: run it as root")
		}
		t.Skip("only root can give files away: run it as root")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, someone, someone); err != nil {
		t.Fatal(err)
	}
	return dir
}

func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

func TestWhatRootMakesBelongsToTheFoldersOwner(t *testing.T) {
	dir := someonesFolder(t)
	l, err := lockFile(filepath.Join(dir, "ledger.db.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, "witness"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(filepath.Join(dir, "witness"), filepath.Join(dir, "copy")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ledger.db.lock", "witness", "copy"} {
		if uid := ownerOf(t, filepath.Join(dir, name)); uid != someone {
			t.Errorf("%s belongs to %d", name, uid)
		}
	}
}

// TestRootFollowsNobodysLinks puts links to a file of root's under every name that root opens in the agent's folder.
func TestRootFollowsNobodysLinks(t *testing.T) {
	links := map[string]func(string, string) error{"symbolic": os.Symlink, "hard": os.Link}
	lock := func(path string) error {
		l, err := lockFile(path + ".lock")
		if err == nil {
			err = l.Close()
		}
		return err
	}
	for _, tt := range []struct {
		name    string
		link    string // behind the ledger's name
		do      func(path, other string) error
		refused bool
	}{
		{"the lock", ".lock", func(path, _ string) error { return lock(path) }, true},
		{"the witness", ".witness.new", func(path, _ string) error { return writeFile(path+".witness", []byte("1")) }, false},
		{"a copy", ".kept", func(path, other string) error { return copyFile(other, path+".kept") }, true},
		{"a copy of the ledger", "", func(path, _ string) error { return copyFile(path, path+".kept") }, true},
		{"a new ledger", ".new", func(path, _ string) error {
			return withFile(path+".new", bolt.Options{OpenFile: createBolt}, func(*bolt.DB) error { return nil })
		}, false},
		{"a backup that is marked", ".new", func(path, _ string) error { return markReborn(path+".new", "test") }, true},
	} {
		for kind, link := range links {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				dir, roots := someonesFolder(t), t.TempDir()
				victim, other, path := filepath.Join(roots, "shadow"), filepath.Join(roots, "other"), filepath.Join(dir, "ledger.db")
				for _, name := range []string{victim, other} {
					if err := os.WriteFile(name, nil, 0o600); err != nil { // bbolt makes a ledger of an empty file
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(victim+".2", []byte("secret"), 0o600); err != nil {
					t.Fatal(err)
				}
				if tt.name != "a backup that is marked" {
					victim += ".2"
				}
				was := readAll(t, victim)
				if err := link(victim, path+tt.link); err != nil {
					t.Fatal(err)
				}
				if err := tt.do(path, other); (err != nil) != tt.refused {
					t.Errorf("refused: %v, want %v", err, tt.refused)
				}
				if got := readAll(t, victim); string(got) != string(was) {
					t.Errorf("it was overwritten: %d bytes", len(got))
				}
				if uid := ownerOf(t, victim); uid != 0 {
					t.Errorf("it was given away to %d", uid)
				}
				if b, err := os.ReadFile(path + ".kept"); err == nil && tt.link == "" && len(b) > 0 {
					t.Error("it was copied for somebody else to read")
				}
			})
		}
	}
	t.Run("a pipe", func(t *testing.T) {
		path := filepath.Join(someonesFolder(t), "ledger.db")
		if err := syscall.Mkfifo(path+".lock", 0o600); err != nil {
			t.Fatal(err)
		}
		if err := lock(path); !errors.Is(err, errLink) {
			t.Errorf("a pipe for a lock: %v", err)
		}
	})
}
