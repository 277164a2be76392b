package uplink_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/uplink"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// disk is what a station keeps through a crash.
type disk struct {
	epoch      loyalty.Epoch
	nonce      wire.Nonce
	entries    [][]byte // of the epoch
	hashes     []wire.Hash
	forms      map[loyalty.Seq][]byte // of entries that are not acknowledged
	acked      loyalty.Seq
	downStream uint64
	downSeq    uint64
	notice     uint64 // what the down-stream has said last
	ops        uint64 // operations written, in all epochs
}

func (d *disk) clone() *disk {
	c := *d
	c.entries, c.hashes = append([][]byte(nil), d.entries...), append([]wire.Hash(nil), d.hashes...)
	c.forms = maps.Clone(d.forms)
	return &c
}

func (d *disk) hash() wire.Hash {
	if len(d.hashes) == 0 {
		return wire.Genesis(simStation, d.epoch, d.nonce)
	}
	return d.hashes[len(d.hashes)-1]
}

func (d *disk) append(entry []byte) {
	d.hashes = append(d.hashes, d.hash().Next(entry))
	d.entries = append(d.entries, entry)
}

func (d *disk) appendWithForm(entry, form []byte) {
	d.append(entry)
	if d.forms == nil {
		d.forms = make(map[loyalty.Seq][]byte)
	}
	d.forms[loyalty.Seq(len(d.entries))] = form
}

const (
	simStation loyalty.StationID = 7
	simAccount loyalty.AccountID = 42
	simWorth   loyalty.Points    = 100 // what each sale earns
)

var errDead = errors.New("the process is dead")

// station is the world's view of one station: its disk, and whichever life of its process runs.
type station struct {
	w *world

	mu     sync.Mutex
	disk   *disk
	copies []*disk // backups
	life   *life
	lives  byte
	atOnce int         // entries that a read returns at most
	first  loyalty.Seq // the oldest entry kept
	onRead func(found int)
	aside  []*pb.Quarantined
	full   bool // takes no news
}

// life is one run of the station's process: a journal and a mirror for the uplink, dead after a crash.
type life struct {
	s        *station
	boot     [16]byte
	appended chan struct{}
	cancel   context.CancelFunc
	dead     bool // guarded by station.mu
	up       *uplink.Uplink
}

var (
	_ uplink.Journal = (*life)(nil)
	_ uplink.Mirror  = (*life)(nil)
	_ wire.Dialer    = (*life)(nil)
)

// run starts the process again and again until ctx is done.
func (s *station) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, cancel := context.WithCancel(ctx)
		l := s.start(cancel)
		u, err := uplink.New(uplink.Config{
			Station: simStation, Journal: l, Mirror: l, Dialer: l, Log: quiet, FirstWait: time.Second,
			BackoffMax: 5 * time.Second, Jitter: s.w.dice.span,
		})
		if err != nil {
			s.w.failf("%v", err)
		}
		s.mu.Lock()
		l.up = u
		s.mu.Unlock()
		if err := u.Run(life); err != nil {
			s.w.failf("Run returned %v", err)
		}
		cancel()
		if ctx.Err() == nil {
			sleep(ctx, s.w.dice.span(3*time.Second))
		}
	}
}

// start is a process coming up: it writes its Started entry.
func (s *station) start(cancel context.CancelFunc) *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lives++
	l := &life{s: s, appended: make(chan struct{}, 1), cancel: cancel}
	l.boot[0] = s.lives
	if s.disk.epoch == 0 {
		s.newEpoch(0)
	}
	s.disk.append(s.w.entry(loyalty.Started{Boot: l.boot}))
	s.life = l
	return l
}

// step is a place where the process may die; holding s.mu.
func (l *life) step() error {
	if !l.dead && l.s.w.dice.chance(l.s.w.net.now().crash) {
		l.die()
	}
	if l.dead {
		return errDead
	}
	return nil
}

func (l *life) die() {
	l.dead = true
	l.s.w.crashes.Add(1)
	l.cancel()
	if s := l.s.w.net.end(simStation); s != nil {
		s.cut()
	}
}

// write runs a transaction: it may die before it, or after it was durable and before anybody knows.
func (l *life) write(f func(d *disk) error) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if err := l.step(); err != nil {
		return err
	}
	if err := f(l.s.disk); err != nil {
		return err
	}
	return l.step()
}

// sell is an operation at the counter: written, durable, answered.
func (s *station) sell() {
	s.mu.Lock()
	l := s.life
	s.mu.Unlock()
	if l == nil {
		return
	}
	var op uint64
	err := l.write(func(d *disk) error {
		d.ops++
		op = s.w.ops.Add(1)
		if s.w.dice.chance(0.3) { // a card is given out
			form := simForm(op)
			d.appendWithForm(s.w.card(op, form), form)
		} else {
			d.append(s.w.sale(op))
		}
		return nil
	})
	if err == nil {
		s.w.answered(op)
		select {
		case l.appended <- struct{}{}:
		default:
		}
	}
}

// backup and restore: a technician puts yesterday's file back.
func (s *station) backup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copies = append(s.copies, s.disk.clone())
}

func (s *station) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.copies) == 0 || s.life == nil || s.life.dead {
		return
	}
	s.life.die()
	old := s.copies[s.w.dice.below(len(s.copies))].clone()
	s.w.lost(s.disk, old)
	s.disk = old
}

func (s *station) newEpoch(above loyalty.Epoch) {
	d := s.disk
	tail := append([][]byte(nil), d.entries[min(int(d.acked), len(d.entries)):]...)
	d.epoch = max(d.epoch, above) + 1
	binary.BigEndian.PutUint64(d.nonce[:], s.w.nonces.Add(1))
	forms, moved := d.forms, d.acked
	d.entries, d.hashes, d.forms, d.acked = nil, nil, make(map[loyalty.Seq][]byte), 0
	for _, e := range tail {
		d.append(e)
	}
	for seq, f := range forms {
		d.forms[seq-moved] = f
	}
}

func (l *life) Dial(_ context.Context, will wire.Message) (wire.Session, error) {
	l.s.mu.Lock()
	dead := l.dead
	l.s.mu.Unlock()
	if dead {
		return nil, errDead
	}
	if len(will.Payload) == 0 {
		l.s.w.failf("dialled without a will")
	}
	return l.s.w.net.dial(simStation)
}

func (l *life) Position(context.Context) (wire.Position, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if err := l.step(); err != nil {
		return wire.Position{}, err
	}
	d := l.s.disk
	return wire.Position{
		Station: simStation, Epoch: d.epoch, Nonce: d.nonce, First: max(1, l.s.first), Last: loyalty.Seq(len(d.entries)), LastHash: d.hash(),
		Acked: d.acked, Boot: l.boot, DownStream: d.downStream, DownSeq: d.downSeq,
	}, nil
}

func (l *life) HashAt(epoch loyalty.Epoch, seq loyalty.Seq) (wire.Hash, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	d := l.s.disk
	if l.dead || epoch != d.epoch || seq == 0 || int(seq) > len(d.hashes) {
		return wire.Hash{}, fmt.Errorf("no entry %d of epoch %d", seq, epoch)
	}
	return d.hashes[seq-1], nil
}

func (l *life) Read(_ context.Context, epoch loyalty.Epoch, from loyalty.Seq, maxEntries, maxBytes int) ([][]byte, error) {
	out, after, err := l.read(epoch, from, maxEntries)
	if after != nil {
		after(len(out)) // without the lock: it may wait
	}
	return out, err
}

func (l *life) read(epoch loyalty.Epoch, from loyalty.Seq, maxEntries int) (out [][]byte, after func(int), err error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if err := l.step(); err != nil {
		return nil, nil, err
	}
	d := l.s.disk
	if epoch != d.epoch || from == 0 {
		return nil, nil, fmt.Errorf("no epoch %d", epoch)
	}
	for i := int(from) - 1; i < len(d.entries) && len(out) < min(maxEntries, l.s.atOnce); i++ {
		out = append(out, d.entries[i])
	}
	return out, l.s.onRead, nil
}

// Forms reads forms; a wrong design has them once.
func (l *life) Forms(_ context.Context, epoch loyalty.Epoch, from, through loyalty.Seq) (forms []wire.Form, err error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if err := l.step(); err != nil {
		return nil, err
	}
	d := l.s.disk
	if epoch != d.epoch {
		return nil, fmt.Errorf("no epoch %d", epoch)
	}
	for seq := from; seq <= through; seq++ {
		if f, ok := d.forms[seq]; ok {
			forms = append(forms, wire.Form{Seq: seq, Bytes: f})
			if l.s.w.hq != nil && l.s.w.hq.wrong == formOnce {
				delete(d.forms, seq)
			}
		}
	}
	return forms, nil
}

func (l *life) Acked(_ context.Context, epoch loyalty.Epoch, seq loyalty.Seq, hash wire.Hash, aside []*pb.Quarantined) error {
	return l.write(func(d *disk) error {
		l.s.aside = append(l.s.aside, aside...)
		switch {
		case epoch != d.epoch:
			return nil
		case int(seq) > len(d.hashes), seq > 0 && d.hashes[seq-1] != hash:
			return errors.New("fork")
		}
		l.s.w.believes(epoch, seq)
		d.acked = max(d.acked, seq)
		for at, f := range d.forms {
			if at <= d.acked {
				l.s.w.gave(at, f)
				delete(d.forms, at)
			}
		}
		return nil
	})
}

func (l *life) NewEpochAbove(_ context.Context, above loyalty.Epoch, reason string) error {
	return l.write(func(d *disk) error {
		l.s.w.forks.Add(1)
		l.s.newEpoch(above)
		return nil
	})
}

func (l *life) Appended() <-chan struct{} { return l.appended }

func (l *life) ApplyDown(_ context.Context, m *pb.Down) error {
	return l.write(func(d *disk) error {
		if l.s.full {
			return fmt.Errorf("no room: %w", loyalty.StorageFull)
		}
		if m.Stream != d.downStream {
			if m.After != 0 {
				return nil
			}
			d.downStream, d.downSeq = m.Stream, 0
		}
		if m.After > d.downSeq || m.Through <= d.downSeq {
			return nil
		}
		d.downSeq = m.Through
		for _, i := range m.Items {
			d.notice = i.GetNotice().GetId()
		}
		return nil
	})
}

func (l *life) Learn(context.Context, *pb.Answer) error { return nil }
func (l *life) HQTime(loyalty.Instant)                  {}

var quiet = slog.New(slog.DiscardHandler)

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
