//go:build unix

package ledger

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWhatRootMakesBelongsToTheFoldersOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("AZS_TEST_REQUIRE") == "1" {
			t.Fatal("only root can give files away: run it as root")
		}
		t.Skip("only root can give files away: run it as root")
	}
	const someone = 54321
	dir := t.TempDir()
	if err := os.Chown(dir, someone, someone); err != nil {
		t.Fatal(err)
	}
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
	for _, name := range []string{"ledger.db.lock", "witness"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != someone || st.Gid != someone {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
}
