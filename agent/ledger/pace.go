package ledger

import (
	"context"
	"io"
	"time"
)

// pace bounds bytes a second.
type pace struct {
	ctx   context.Context
	rate  int64
	start time.Time
	done  int64
}

func newPace(ctx context.Context, rate int64) *pace {
	return &pace{ctx: ctx, rate: rate, start: time.Now()}
}

// wait returns when so many more bytes are due.
func (p *pace) wait(n int) error {
	p.done += int64(n)
	ahead := time.Duration(float64(p.done)/float64(p.rate)*float64(time.Second)) - time.Since(p.start)
	if ahead < 5*time.Millisecond {
		return p.ctx.Err()
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

type throttled struct {
	io.ReaderAt
	pace *pace
}

func (t *throttled) ReadAt(b []byte, off int64) (int, error) {
	if err := t.pace.wait(len(b)); err != nil {
		return 0, err
	}
	return t.ReaderAt.ReadAt(b, off)
}
