package uplink_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// wrong is a design that loses or doubles. The simulation has to notice each.
type wrong int

const (
	right           wrong = iota
	ackBeforeCommit       // tells the station first and commits then
	memoryInTx            // moves its cursor in memory inside the transaction, whether or not that commits
	formOnce              // the station has a form for its first reader only: a batch that is lost takes it with it
	windowDedup           // knows operations again by having seen them lately, not by their place
)

// books are what headquarters keeps through a crash, of one station.
type books struct {
	epoch   loyalty.Epoch
	nonce   wire.Nonce
	boot    [16]byte
	seq     loyalty.Seq
	hash    wire.Hash
	lines   []line
	nonces  map[loyalty.Epoch]wire.Nonce
	applied map[loyalty.OpID]int
	cards   map[loyalty.OpID]loyalty.FormHash // given out, by their entries
	forms   map[loyalty.FormHash]bool
	balance loyalty.Points
	stream  uint64
	notices uint64 // number of the newest notice, which is its place in the down-stream
}

type line struct {
	epoch loyalty.Epoch
	seq   loyalty.Seq
	hash  wire.Hash
	bytes []byte
}

func newBooks() *books {
	return &books{
		applied: map[loyalty.OpID]int{}, nonces: map[loyalty.Epoch]wire.Nonce{}, stream: 99,
		cards: map[loyalty.OpID]loyalty.FormHash{}, forms: map[loyalty.FormHash]bool{},
	}
}

func (b *books) clone() *books {
	c := *b
	c.lines = slices.Clone(b.lines)
	c.applied, c.nonces, c.cards, c.forms = maps.Clone(b.applied), maps.Clone(b.nonces), maps.Clone(b.cards), maps.Clone(b.forms)
	return &c
}

func (b *books) hashAt(seq loyalty.Seq) (wire.Hash, bool) {
	if seq == 0 {
		return wire.Genesis(simStation, b.epoch, b.nonce), true
	}
	for i := len(b.lines) - 1; i >= 0; i-- {
		if l := b.lines[i]; l.epoch == b.epoch && l.seq == seq {
			return l.hash, true
		}
	}
	return wire.Hash{}, false
}

// modelHQ is headquarters with the rules of the protocol and nothing else.
type modelHQ struct {
	w     *world
	wrong wrong

	mu     sync.Mutex
	books  *books
	copies []*books
	sess   *simSession
	lives  int
}

// run starts the process again and again until ctx is done.
func (h *modelHQ) run(ctx context.Context) {
	for ctx.Err() == nil {
		if s, err := h.w.net.dial(0); err == nil {
			h.mu.Lock()
			h.sess = s
			h.lives++
			h.mu.Unlock()
			(&hqLife{modelHQ: h, s: s, seen: map[loyalty.OpID]time.Time{}}).serve(ctx)
			s.cut()
		}
		sleep(ctx, h.w.dice.span(2*time.Second))
	}
}

// hqLife is one run of headquarters' process: what it has in memory only.
type hqLife struct {
	*modelHQ
	s       *simSession
	session uint64
	seen    map[loyalty.OpID]time.Time // windowDedup
	cursor  *books                     // memoryInTx: epoch, seq and hash only
	dead    bool
}

func (h *hqLife) step() bool {
	if h.w.dice.chance(h.w.net.now().crash) {
		h.dead = true
		h.w.crashes.Add(1)
	}
	return !h.dead
}

func (h *hqLife) serve(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !h.dead {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.sendDown(ctx)
		case m, ok := <-h.s.messages:
			if !ok {
				return
			}
			h.receive(ctx, m)
		}
	}
}

func (h *hqLife) receive(ctx context.Context, m wire.Message) {
	_, kind, err := wire.ParseTopic(m.Topic)
	if err != nil {
		h.w.failf("topic %q: %v", m.Topic, err)
		return
	}
	switch kind {
	case wire.Hello:
		if hello, err := wire.Decode[pb.Hello](m.Payload); err != nil {
			h.w.failf("hello: %v", err)
		} else if h.step() {
			h.greet(ctx, hello)
		}
	case wire.Up:
		group := []*wire.Batch{h.open(m)}
		var rest []wire.Message
		for len(group) < 8 && len(h.s.messages) > 0 { // one commit for all that is there
			if m, ok := <-h.s.messages; ok && m.Topic == wire.Topic(simStation, wire.Up) {
				group = append(group, h.open(m))
			} else if ok {
				rest = append(rest, m)
			}
		}
		h.take(ctx, group)
		for _, m := range rest {
			if !h.dead {
				h.receive(ctx, m)
			}
		}
	}
}

func (h *hqLife) open(m wire.Message) *wire.Batch {
	b, err := wire.OpenBatch(m.Payload)
	if err != nil {
		h.w.failf("batch: %v", err)
		return &wire.Batch{}
	}
	return b
}

func (h *hqLife) tell(ctx context.Context, k wire.Kind, m interface {
	SizeVT() int
	MarshalVT() ([]byte, error)
}) {
	b, err := wire.Encode(m)
	if err != nil {
		h.w.failf("encode: %v", err)
	}
	if h.step() && h.s.Publish(ctx, wire.Topic(simStation, k), b) != nil {
		return // the station asks again
	}
}

// update is a transaction: f changes a copy, which becomes the books unless it fails or the process dies before.
func (h *hqLife) update(f func(*books)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.step() {
		return errDead
	}
	next := h.books.clone()
	f(next)
	if h.w.dice.chance(h.w.net.now().commit) {
		return errors.New("commit failed")
	}
	h.books = next
	if !h.step() {
		return errDead
	}
	return nil
}

func (h *hqLife) greet(ctx context.Context, m *pb.Hello) {
	c := &pb.Cursor{Session: m.Session, Credit: 1 << 20, Time: time.Now().UnixMilli()}
	last, hash := loyalty.Seq(m.LastSeq), wire.Hash(m.LastHash)
	err := h.update(func(b *books) {
		nonce, known := b.nonces[loyalty.Epoch(m.Epoch)]
		has, ok := b.hashAt(last)
		switch {
		case known && nonce != wire.Nonce(m.Nonce):
			c.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
		case loyalty.Epoch(m.Epoch) > b.epoch:
			b.epoch, b.nonce, b.seq = loyalty.Epoch(m.Epoch), wire.Nonce(m.Nonce), 0
			b.nonces[b.epoch] = b.nonce
			b.hash = wire.Genesis(simStation, b.epoch, b.nonce)
			b.boot = [16]byte(m.Boot)
		case loyalty.Epoch(m.Epoch) < b.epoch, ok && has != hash, last < b.seq && b.boot != [16]byte(m.Boot):
			c.Verdict = pb.Verdict_VERDICT_NEW_EPOCH
		default:
			b.boot = [16]byte(m.Boot)
		}
		if b.stream != m.DownStream && m.DownStream != 0 && m.DownSeq > 0 && m.DownSeq > b.notices {
			b.stream++ // these books were restored from a copy
		}
		c.Epoch, c.Seq, c.Hash = uint32(b.epoch), uint64(b.seq), b.hash[:]
	})
	if err != nil {
		return
	}
	h.session = m.Session
	if h.wrong == memoryInTx {
		h.mu.Lock()
		h.cursor = &books{epoch: h.books.epoch, seq: h.books.seq, hash: h.books.hash}
		h.mu.Unlock()
	}
	h.tell(ctx, wire.Cursor, c)
}

// take commits a group of batches and acknowledges them.
func (h *hqLife) take(ctx context.Context, group []*wire.Batch) {
	var ack *pb.Ack
	gap := false
	work := func(b *books) {
		at := b
		if h.wrong == memoryInTx && h.cursor != nil {
			at = h.cursor
		}
		for _, batch := range group {
			if !h.place(b, at, batch) {
				gap = true
				continue
			}
			ack = &pb.Ack{Epoch: uint32(at.epoch), Seq: uint64(at.seq), Hash: append([]byte(nil), at.hash[:]...), Credit: 1 << 20}
		}
		b.epoch, b.seq, b.hash = at.epoch, at.seq, at.hash
	}
	if h.wrong == ackBeforeCommit {
		h.mu.Lock()
		work(h.books.clone())
		h.mu.Unlock()
		if ack != nil {
			h.tell(ctx, wire.Ack, ack)
		}
	}
	if h.update(work) != nil {
		return
	}
	if ack != nil && h.wrong != ackBeforeCommit {
		h.tell(ctx, wire.Ack, ack)
	}
	if gap {
		h.mu.Lock()
		c := &pb.Cursor{Epoch: uint32(h.books.epoch), Seq: uint64(h.books.seq), Hash: append([]byte(nil), h.books.hash[:]...), Credit: 1 << 20, Session: h.session}
		h.mu.Unlock()
		h.tell(ctx, wire.Cursor, c)
	}
	h.sendDown(ctx)
}

// place applies what is new of a batch to b if it continues at; false is a gap.
func (h *hqLife) place(b, at *books, batch *wire.Batch) bool {
	if batch.Epoch != at.epoch || batch.First > at.seq+1 {
		return false
	}
	if h.wrong == windowDedup {
		for i, e := range batch.Entries {
			h.applyLately(b, batch, i, e)
		}
		if batch.Last() > at.seq {
			at.seq, at.hash = batch.Last(), batch.LastHash()
		}
		return true
	}
	if batch.Last() <= at.seq {
		return true
	}
	known := int(at.seq + 1 - batch.First)
	before := batch.Prev
	if known > 0 {
		before = batch.Hashes[known-1]
	}
	if before != at.hash {
		return false
	}
	for i := known; i < len(batch.Entries); i++ {
		b.apply(h.w, line{batch.Epoch, batch.First + loyalty.Seq(i), batch.Hashes[i], batch.Entries[i]}, false)
	}
	for _, f := range batch.Forms {
		b.forms[sha256.Sum256(f)] = true
	}
	at.seq, at.hash = batch.Last(), batch.LastHash()
	return true
}

// applyLately is the wrong way: what was seen within five seconds is a repetition, anything else is new.
func (h *hqLife) applyLately(b *books, batch *wire.Batch, i int, bytes []byte) {
	e, err := wire.DecodeEntry(bytes)
	if err != nil {
		h.w.failf("entry: %v", err)
		return
	}
	if at, ok := h.seen[e.Op]; !ok || time.Since(at) > 5*time.Second {
		b.apply(h.w, line{batch.Epoch, batch.First + loyalty.Seq(i), batch.Hashes[i], bytes}, true)
	}
	h.seen[e.Op] = time.Now()
}

// apply keeps an entry and gives it its effect, once for an operation whatever epoch it comes in.
func (b *books) apply(w *world, l line, always bool) {
	b.lines = append(b.lines, l)
	e, err := wire.DecodeEntry(l.bytes)
	if err != nil {
		w.failf("entry %d: %v", l.seq, err)
		return
	}
	if c, ok := e.Body.(loyalty.CardIssued); ok {
		b.cards[e.Op] = c.Form
	}
	sale, ok := e.Body.(loyalty.SaleClosed)
	if !ok || b.applied[e.Op] > 0 && !always {
		return
	}
	b.applied[e.Op]++
	b.balance += sale.Points()
	b.notices++
}

func (h *hqLife) sendDown(ctx context.Context) {
	h.mu.Lock()
	d := &pb.Down{Stream: h.books.stream, Through: h.books.notices, Items: []*pb.Item{
		{Item: &pb.Item_Notice{Notice: &pb.Notice{Id: h.books.notices}}},
	}}
	h.mu.Unlock()
	if d.Through > 0 {
		h.tell(ctx, wire.Down, d)
	}
}

func (h *modelHQ) backup() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.copies = append(h.copies, h.books.clone())
}

// restore puts an older copy of the books back. A down-stream of the copy is another one.
func (h *modelHQ) restore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.copies) == 0 {
		return
	}
	h.books = h.copies[h.w.dice.below(len(h.copies))].clone()
	h.books.stream += 1000 + uint64(h.lives)
	h.w.hqRestored.Store(true)
	if h.sess != nil {
		h.sess.cut()
	}
}

// state is what the checks look at.
func (h *modelHQ) state() *books {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.books.clone()
}

func (l line) String() string { return fmt.Sprintf("%d/%d %s", l.epoch, l.seq, l.hash) }
