package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// hands is a wall clock and a counter that a test moves.
type hands struct {
	wall time.Time
	mono time.Duration
}

func (h *hands) clock() *clock {
	return &clock{wall: func() time.Time { return h.wall }, mono: func() time.Duration { return h.mono }, bound: earliest}
}

func (h *hands) pass(d time.Duration) { h.wall, h.mono = h.wall.Add(d), h.mono+d }

const year = 365 * 24 * time.Hour

func TestClockBound(t *testing.T) {
	start := loyalty.At(wallStart)
	tests := []struct {
		name string
		do   func(h *hands, c *clock)
		at   loyalty.Instant
		mark loyalty.ClockMark
	}{
		{"fresh, the wall clock is believed", func(*hands, *clock) {}, start, loyalty.ClockUnsure},
		{"fresh, a dead battery", func(h *hands, _ *clock) { h.wall = time.Unix(0, 0) }, earliest, loyalty.ClockBehind},
		{"a dead battery, time goes on from the bound", func(h *hands, c *clock) {
			c.restart(start, start)
			h.wall = time.Unix(0, 0)
			h.pass(time.Hour)
		}, start.Add(time.Hour), loyalty.ClockBehind},
		{"ten years ahead of headquarters' last word", func(h *hands, c *clock) {
			c.restart(start, start)
			h.wall = wallStart.Add(10 * year)
			h.pass(time.Minute)
		}, start.Add(time.Minute), loyalty.ClockAhead},
		{"three months switched off", func(h *hands, c *clock) {
			c.restart(start, start)
			h.wall = wallStart.Add(year / 4)
		}, start.Add(year / 4), loyalty.ClockUnsure},
		{"headquarters agrees", func(h *hands, c *clock) {
			c.hear(start)
			h.pass(time.Hour)
		}, start.Add(time.Hour), loyalty.ClockGood},
		{"headquarters goes before the wall clock", func(h *hands, c *clock) {
			c.hear(start)
			h.wall = h.wall.Add(24 * time.Hour)
		}, start, loyalty.ClockAhead},
		{"set back after headquarters was heard", func(h *hands, c *clock) {
			c.hear(start)
			h.pass(time.Hour)
			h.wall = time.Unix(0, 0)
		}, start.Add(time.Hour), loyalty.ClockBehind},
		{"a late message of headquarters moves nothing", func(h *hands, c *clock) {
			c.hear(start)
			h.pass(time.Minute)
			c.hear(start.Add(30 * time.Second))
		}, start.Add(time.Minute), loyalty.ClockGood},
		{"headquarters' own clock was put right", func(h *hands, c *clock) {
			c.hear(start.Add(24 * time.Hour))
			c.hear(start)
		}, start, loyalty.ClockGood},
		{"nonsense from headquarters", func(h *hands, c *clock) { c.hear(5) }, start, loyalty.ClockUnsure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &hands{wall: wallStart}
			c := h.clock()
			tt.do(h, c)
			if r := c.read(); r.at != tt.at || r.mark != tt.mark {
				t.Errorf("%s mark %d, want %s mark %d", r.at, r.mark, tt.at, tt.mark)
			}
		})
	}
}

// TestATenYearJumpDoesNotPoison goes through the worst: a station that has never heard headquarters believes a wall clock
// ten years ahead, writes with it, and is cured by headquarters' first word, also after a restart.
func TestATenYearJumpDoesNotPoison(t *testing.T) {
	cfg := testConfig(t)
	h := &hands{wall: wallStart.Add(10 * year)}
	tune := func(l *Ledger) { l.clock = h.clock() }
	l := openTest(t, cfg, tune)
	know(t, l, 1, 900_00, 0)
	wrong := sellTest(t, l, "wrong", 1, 3)
	if wrong.EndedAt != loyalty.At(h.wall) {
		t.Fatalf("ended %s", wrong.EndedAt)
	}
	h.wall = wallStart
	if s := sellTest(t, l, "still", 1, 3); s.EndedAt < wrong.EndedAt {
		t.Errorf("without headquarters' word time went back to %s", s.EndedAt)
	}
	l.HQTime(loyalty.At(wallStart))
	if s := sellTest(t, l, "cured", 1, 3); s.EndedAt != loyalty.At(wallStart) {
		t.Errorf("after headquarters' word %s", s.EndedAt)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	h.wall = wallStart.Add(time.Minute)
	l = openTest(t, cfg, tune)
	if s := sellTest(t, l, "restarted", 1, 3); s.EndedAt != loyalty.At(h.wall) {
		t.Errorf("after a restart %s", s.EndedAt)
	}
	h.wall = wallStart.Add(10 * year)
	if s := sellTest(t, l, "again", 1, 3); s.EndedAt > loyalty.At(wallStart.Add(time.Hour)) {
		t.Errorf("ten years ahead were believed after headquarters' word: %s", s.EndedAt)
	}
	h.wall = time.Unix(0, 0)
	if s := sellTest(t, l, "1970", 1, 3); s.EndedAt < loyalty.At(wallStart) {
		t.Errorf("1970 was believed: %s", s.EndedAt)
	}
	// What was written with the wrong clock does not keep the journal from being trimmed.
	ack(t, l, 0)
	l.HQTime(loyalty.At(wallStart.Add(500 * 24 * time.Hour)))
	sellTest(t, l, "later", 1, 3)
	if n, err := l.Trim(context.Background()); err != nil || n < 6 {
		t.Errorf("trimmed %d, %v", n, err)
	}
}

func TestOperationIDsAreMonotone(t *testing.T) {
	l := openTest(t, testConfig(t))
	h := &hands{wall: wallStart}
	l.clock = h.clock() // time stands still: all in one millisecond
	know(t, l, 1, 900_00, 0)
	var last loyalty.OpID
	for i := range 50 {
		s := sellTest(t, l, string(rune('A'+i)), 1, 1)
		if !s.OpEnd.Valid() || s.OpEnd.String() <= last.String() {
			t.Fatalf("%s follows %s", s.OpEnd, last)
		}
		last = s.OpEnd
	}
}
