package uplink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// maxAsks bounds the questions under way: a counter has a handful of tills.
const maxAsks = 64

// question is an ask that somebody waits for.
type question struct {
	ask  *pb.Ask
	done chan result // room for one, written once
}

type result struct {
	answer *pb.Answer
	err    error
}

// asks are the questions under way, guarded by Uplink.mu.
type asks struct {
	last    uint64
	waiting map[uint64]*question
	order   []uint64 // not sent yet
	silent  bool     // one was not answered in time
}

func (a *asks) init() {
	a.last = rand.Uint64() >> 1 // an answer to a question from before a restart is nobody's
	a.waiting = make(map[uint64]*question)
}

// Ask puts a question to headquarters and returns its answer, after the station's copy has learned it. Id and deadline
// are filled in by Ask; the epoch of a top-up's statement is its caller's. It returns [loyalty.Offline] when headquarters is known to be out of reach, at once, or has not
// answered within the deadline of ctx or AskDeadline. An answer that comes later is still learned. A refusal by
// headquarters is not an error: it stands in the answer.
func (u *Uplink) Ask(ctx context.Context, a *pb.Ask) (*pb.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.AskDeadline)
	defer cancel()
	q, err := u.put(ctx, a)
	if err != nil {
		return nil, err
	}
	var r result
	select {
	case r = <-q.done:
	case <-ctx.Done():
		r.err = fmt.Errorf("no answer from headquarters in time: %w", loyalty.Offline)
	}
	u.take(q, r.err != nil && ctx.Err() == context.DeadlineExceeded)
	return r.answer, r.err
}

func (u *Uplink) put(ctx context.Context, a *pb.Ask) (*question, error) {
	deadline, _ := ctx.Deadline()
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.status.Online {
		return nil, fmt.Errorf("headquarters is out of reach: %w", loyalty.Offline)
	}
	if len(u.asks.waiting) >= maxAsks {
		return nil, fmt.Errorf("%d questions are under way already: %w", maxAsks, loyalty.Offline)
	}
	u.asks.last++
	u.status.Asks++
	q := &question{done: make(chan result, 1), ask: &pb.Ask{
		Id: u.asks.last, DeadlineMs: uint32(max(0, time.Until(deadline)).Milliseconds()),
		Card: a.Card, Account: a.Account, Epoch: a.Epoch, TopUp: a.TopUp,
		Issue: a.Issue, Sale: a.Sale, History: a.History,
	}}
	u.asks.waiting[q.ask.Id] = q
	u.asks.order = append(u.asks.order, q.ask.Id)
	u.nudge()
	return q, nil
}

// take removes a question. One without an answer makes the loop find out whether headquarters is there.
func (u *Uplink) take(q *question, silent bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.asks.waiting, q.ask.Id)
	if silent {
		u.status.Unanswered++
		u.asks.silent = true
	}
	u.nudge()
}

// nudge wakes the loop.
func (u *Uplink) nudge() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

// nextAsk is the next question to send; nil if there is none.
func (u *Uplink) nextAsk() *pb.Ask {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.asks.order) > 0 {
		id := u.asks.order[0]
		u.asks.order = u.asks.order[1:]
		if q := u.asks.waiting[id]; q != nil {
			return q.ask
		}
	}
	return nil
}

// asking tells whether somebody waits for an answer.
func (u *Uplink) asking() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.asks.waiting) > 0
}

// wentSilent tells, once, that a question was not answered in time.
func (u *Uplink) wentSilent() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.asks.silent
	u.asks.silent = false
	return s
}

// answered hands an answer to who waits for it, if anybody still does.
func (u *Uplink) answered(a *pb.Answer, err error) {
	u.mu.Lock()
	q := u.asks.waiting[a.Id]
	u.mu.Unlock()
	if q == nil {
		return
	}
	select {
	case q.done <- result{a, err}:
	default: // the carrier has repeated it
	}
}

// hangUp fails the questions that a session leaves behind: their answers cannot come any more.
func (u *Uplink) hangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, q := range u.asks.waiting {
		select {
		case q.done <- result{err: fmt.Errorf("the link to headquarters broke: %w", loyalty.Offline)}:
		default:
		}
	}
	u.asks.order = nil
	u.asks.silent = false
}
