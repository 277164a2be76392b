package embedded_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

// TestNoticesAnOlderCopy: a store that was put back says so when it is opened, by the mark beside it; one that was not,
// never, however it ended.
func TestNoticesAnOlderCopy(t *testing.T) {
	for name, tc := range map[string]struct {
		between func(t *testing.T, path string)
		want    bool
	}{
		"closed and opened": {func(*testing.T, string) {}, false},
		"put back":          {func(t *testing.T, path string) { copyFile(t, path+".copy", path) }, true},
		"put back with the mark": {func(t *testing.T, path string) {
			copyFile(t, path+".copy", path)
			copyFile(t, path+".copy.mark", path+".mark")
		}, false},
		"begun anew":              {func(t *testing.T, path string) { remove(t, path) }, true},
		"the mark is gone":        {func(t *testing.T, path string) { remove(t, path+".mark") }, false},
		"the mark is torn":        {func(t *testing.T, path string) { truncate(t, path+".mark") }, false},
		"the mark was put back":   {func(t *testing.T, path string) { copyFile(t, path+".copy.mark", path+".mark") }, false},
		"put back, by a new life": {func(t *testing.T, path string) { copyFile(t, path+".copy", path); restart(t, path) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(memoryDir(t), "hq.db")
			fill(t, path)
			copyFile(t, path, path+".copy")
			copyFile(t, path+".mark", path+".copy.mark")
			restart(t, path)
			tc.between(t, path)
			s := open(t, embedded.Config{Path: path})
			alarms, err := s.Alarms(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.ContainsFunc(alarms, func(a hq.Alarm) bool { return a.Kind == hq.CopyAlarm }); got != tc.want {
				t.Errorf("noticed: %v, want %v", got, tc.want)
			}
			if _, err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestStationsShowAnOlderCopy: without a mark, what a station has of the life that is lost shows it.
func TestStationsShowAnOlderCopy(t *testing.T) {
	path := filepath.Join(memoryDir(t), "hq.db")
	fill(t, path)
	copyFile(t, path, path+".copy")
	later := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	live := func(now func() time.Time, do func(*hq.Books, *hq.Hello)) bool {
		s := open(t, embedded.Config{Path: path, Now: now})
		b := hq.NewBooks(hq.BooksConfig{Store: s, Now: now})
		h := hqtest.NewJournal(t, 17).Hello()
		h.Session = 1 << 60
		do(b, h)
		alarms, err := s.Alarms(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(alarms, func(a hq.Alarm) bool { return a.Kind == hq.CopyAlarm })
	}
	var lost hq.Stream
	live(later(time.Minute), func(b *hq.Books, _ *hq.Hello) {
		if _, err := b.Publish(t.Context(), hqtest.Programme(2)); err != nil {
			t.Fatal(err)
		}
		_, st, _, _, err := b.About(t.Context(), 17)
		if err != nil {
			t.Fatal(err)
		}
		d, err := b.Down(t.Context(), 17, st, st.Acked)
		if err != nil || d == nil {
			t.Fatal(d, err)
		}
		lost = hq.Stream{ID: st.ID, Acked: d.Through}
	})
	copyFile(t, path+".copy", path)
	remove(t, path+".mark")
	noticed := live(later(time.Hour), func(b *hq.Books, h *hq.Hello) {
		h.DownStream, h.DownSeq = lost.ID, lost.Acked
		s, _, _, _, err := b.About(t.Context(), 17)
		if err != nil {
			t.Fatal(err)
		}
		h.Last, h.LastHash, h.Boot = s.Cursor.Seq, s.Cursor.Hash, s.Boot
		if _, err := b.Hello(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	})
	if !noticed {
		t.Error("a station shows what this store never sent, and nobody is told")
	}
}

func restart(t *testing.T, path string) {
	t.Helper()
	if err := open(t, embedded.Config{Path: path}).Close(); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 7); err != nil {
		t.Fatal(err)
	}
}
