package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

const testProgramme = `schema: azs-edge/programme/1
name: plain
version: 3
effective: 2026-01-01T00:00:00+03:00
title: {ru: "Клуб", en: "Club"}
points: {value: "1.00", step: "0.01"}
earn:
  - {fuel: ["*"], points: "1", per_litres: "1"}
redeem: {share: "50%", step: "1", min_money: "1"}
unknown_card: accrue
`

// watchedProgramme has velocity rules as well.
const watchedProgramme = testProgramme + `velocity:
  - {name: same-card, per: [card], count: sales, at_most: 3, within: 12h, then: alert}
`

const station loyalty.StationID = 17

// wallClock starts every test at the same moment, which HQ confirms.
var wallStart = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

func testConfig(t testing.TB) Config {
	t.Helper()
	start := time.Now()
	return Config{
		Path: filepath.Join(t.TempDir(), "ledger.db"), Station: station, Version: "test",
		Now: func() time.Time { return wallStart.Add(time.Since(start)) }, MaxSize: 64 << 20,
	}
}

// openTest opens a ledger with a programme, and checks the whole file when the test has ended.
func openTest(t testing.TB, cfg Config, tune ...func(*Ledger)) *Ledger {
	t.Helper()
	l, err := openTuned(cfg, tune...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		checkTest(t, cfg.Path)
	})
	if err := l.LoadProgramme(t.Context(), []byte(testProgramme)); err != nil {
		t.Fatal(err)
	}
	return l
}

func openTuned(cfg Config, tune ...func(*Ledger)) (*Ledger, error) {
	l, err := newLedger(cfg)
	if err != nil {
		return nil, err
	}
	for _, f := range tune {
		f(l)
	}
	return l, l.open(context.Background())
}

// roomyDisk stands for the disk of the machine, on which others may be filling up what is free.
func roomyDisk(string) (int64, error) { return 1 << 40, nil }

func checkTest(t testing.TB, path string) {
	t.Helper()
	if _, err := CheckFile(context.Background(), path, nil); err != nil {
		t.Errorf("the whole-store check: %v", err)
	}
}

func cardOf(i int) loyalty.CardNumber { return loyalty.CardNumber(fmt.Sprintf("7005%012d", i)) }

func fuel(litres int64) loyalty.Receipt {
	return loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{
		{Kind: loyalty.Fuel, Code: "АИ-95", Volume: loyalty.Millilitres(litres * 1000), Amount: loyalty.Kopecks(litres * 60_00)},
	}}
}

// know teaches the ledger a card with points, and grants rights.
func know(t testing.TB, l *Ledger, i int, points, grant loyalty.Points) {
	t.Helper()
	p, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a := &pb.Answer{
		Card: &pb.Card{Number: string(cardOf(i)), Account: uint64(i), MayRedeem: true, Version: 1},
		Snapshot: &pb.Snapshot{
			Account: &pb.Account{Id: uint64(i), Lots: []*pb.Lot{{Amount: uint64(points), ActiveFrom: int64(earliest)}}},
			Version: 1, AsOf: int64(loyalty.At(wallStart)), Epoch: uint32(p.Epoch), Applied: uint64(p.Acked),
		},
	}
	if grant > 0 {
		a.Grant = &pb.Grant{Account: uint64(i), Epoch: uint32(p.Epoch), Issued: uint64(grant)}
	}
	if err := l.Learn(context.Background(), a); err != nil {
		t.Fatal(err)
	}
}

func sellTest(t testing.TB, l *Ledger, id string, card int, litres int64) *loyalty.Sale {
	t.Helper()
	s, err := l.CloseSale(context.Background(), &loyalty.CloseRequest{Sale: loyalty.SaleID(id), Card: cardOf(card), Receipt: fuel(litres)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ack acknowledges everything up to seq, or all with 0.
func ack(t testing.TB, l *Ledger, seq loyalty.Seq) {
	t.Helper()
	p, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if seq == 0 {
		seq = p.Last
	}
	h, err := l.HashAt(p.Epoch, seq)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Acked(context.Background(), p.Epoch, seq, h, nil); err != nil {
		t.Fatal(err)
	}
}

// entries reads and decodes the current epoch's journal.
func entries(t testing.TB, l *Ledger) []*loyalty.Entry {
	t.Helper()
	p, err := l.Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.Read(context.Background(), p.Epoch, p.First, 1_000_000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var all []*loyalty.Entry
	for _, b := range raw {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func wantRefusal(t testing.TB, err error, want loyalty.Refusal) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func readAll(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// alarmOf is the last alarm's text, empty if there is none.
func alarmOf(s Status) string {
	if len(s.Alarms) == 0 {
		return ""
	}
	return s.Alarms[len(s.Alarms)-1].Text
}

// keptOf is the file that the last alarm says was put aside.
func keptOf(s Status) string {
	if len(s.Alarms) == 0 {
		return ""
	}
	return s.Alarms[len(s.Alarms)-1].Kept
}
