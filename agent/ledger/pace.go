package ledger

import (
	"context"
	"time"
)

// pace bounds bytes a second; a rate of 0 or less is no bound.
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
	if p.rate <= 0 {
		return p.ctx.Err()
	}
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
