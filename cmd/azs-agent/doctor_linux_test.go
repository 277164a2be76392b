package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

func TestModeAllows(t *testing.T) {
	for _, tt := range []struct {
		mode          fs.FileMode
		want          right
		owner, member bool
		allowed       bool
	}{
		{0o640, mayRead, false, true, true},
		{0o640, mayRead, false, false, false},
		{0o640, mayWrite, false, true, false},
		{0o660, mayWrite, false, true, true},
		{0o600, mayWrite, true, false, true},
		{0o077, mayRead, true, true, false}, // the owner's bits count alone
		{0o604, mayRead, false, true, false},
		{0o750, mayEnter, false, true, true},
		{0o700, mayEnter, false, true, false},
		{0o750, mayChange, false, true, false},
	} {
		if got := modeAllows(tt.mode, tt.want, tt.owner, tt.member); got != tt.allowed {
			t.Errorf("%04o for %d, owner %v, member %v: %v", tt.mode, tt.want, tt.owner, tt.member, got)
		}
	}
}

func TestAccountIsStoppedAtAFolder(t *testing.T) {
	root := t.TempDir()
	inside := filepath.Join(root, "closed", "file")
	for _, err := range []error{
		os.Chmod(root, 0o755), os.Mkdir(filepath.Join(root, "closed"), 0o700), os.WriteFile(inside, nil, 0o644),
		os.Symlink(inside, filepath.Join(root, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	nobody := &account{uid: 1 << 31, gids: map[uint32]bool{}}
	if got := nobody.stoppedAt(inside, mayWrite); got != inside {
		t.Errorf("writing: stopped at %q", got)
	}
	// Above the folder other accounts' temporary folders may be closed too: the nearest counts.
	for _, path := range []string{inside, filepath.Join(root, "link")} {
		if got := nobody.stoppedAt(path, mayRead); got != filepath.Dir(inside) {
			t.Errorf("reading %s: stopped at %q", path, got)
		}
	}
	owner := &account{uid: uint32(os.Getuid()), gids: map[uint32]bool{}}
	if got := owner.stoppedAt(inside, mayWrite); got == inside || got == filepath.Dir(inside) {
		t.Errorf("the owner is stopped at %q", got)
	}
}

// TestProbeScannerByLock: a port that another program has locked is reported with that program.
func TestProbeScannerByLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "port")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := &doctor{advice: onLinux, host: scanner.Host{}}
	free := d.probeScanner(config.Scanner{Name: "s1", Port: path})
	if free.lock != "" || len(free.owners) != 1 || free.owners[0].PID != os.Getpid() {
		t.Errorf("open here and not locked: %+v", free)
	}
	d.service.PID = os.Getpid()
	if f := d.probeScanner(config.Scanner{Name: "s1", Port: path}); len(f.owners) != 0 {
		t.Errorf("the service's own process is no stranger: %+v", f)
	}
	if f := d.probeScanner(config.Scanner{Name: "s1", Port: path + "x"}); f.err == nil {
		t.Error("a port that is not there is found")
	}
}

func TestProbesOfThisMachine(t *testing.T) {
	free, _, err := diskOf(t.TempDir())
	if err != nil || free <= 0 {
		t.Errorf("%d bytes free, %v", free, err)
	}
	if _, _, err := diskOf("/none"); err == nil {
		t.Error("a disk that is not there has room")
	}
	if f := probeFastCommit(t.TempDir()); f.used && f.kernel == "" {
		t.Errorf("got %+v", f)
	}
	if kind := kindOf(t, "/dev/shm"); kind != "tmpfs" {
		t.Errorf("/dev/shm is %q", kind)
	}
}

func kindOf(t *testing.T, folder string) string {
	t.Helper()
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("%s is not there: %v", folder, err)
	}
	_, kind, err := diskOf(folder)
	if err != nil {
		t.Fatal(err)
	}
	return kind
}
