package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

// lab is a store in a folder.
type lab struct{ path string }

func newLab(tb testing.TB) hqtest.Lab { return &lab{filepath.Join(memoryDir(tb), "hq.db")} }

// memoryDir is a folder in memory where there is such a thing: for tests of anything but the disk.
func memoryDir(tb testing.TB) string {
	tb.Helper()
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "hq")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) }) // what stays behind is gone with the machine
	return dir
}

func (l *lab) Open(tb testing.TB, now time.Time) hqtest.Store {
	tb.Helper()
	s, err := embedded.Open(embedded.Config{Path: l.path, Now: func() time.Time { return now }})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (l *lab) Check(tb testing.TB, s hqtest.Store) {
	tb.Helper()
	if _, err := s.(*embedded.Store).Check(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

func (l *lab) Save(tb testing.TB)    { copyFile(tb, l.path, l.path+".copy") }
func (l *lab) Restore(tb testing.TB) { copyFile(tb, l.path+".copy", l.path) }

func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func TestConformance(t *testing.T) { hqtest.Run(t, newLab) }
