package wire_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// everyday is the sale of one step that most of a journal consists of.
func everyday(n int) *loyalty.Entry {
	rng := rand.New(rand.NewPCG(uint64(n), 1)) // what differs from sale to sale must not compress better than it does
	var random [10]byte
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	at := loyalty.Instant(1_764_000_000_123 + 40_000*n + rng.IntN(40_000))
	volume, amount := loyalty.Millilitres(5000+10*rng.IntN(5000)), loyalty.Kopecks(27000+rng.IntN(300000))
	receipt := loyalty.Receipt{Tender: 1, Lines: []loyalty.Line{{Kind: 1, Code: "95", Group: "fuel", Volume: volume, Amount: amount}}}
	return &loyalty.Entry{
		At: at, Mono: uint64(at) - 1_763_000_000_000, Op: loyalty.NewOpID(at, random), Cashier: "17", Shift: 12, Programme: 3,
		Body: loyalty.SaleClosed{
			Sale: loyalty.SaleID(fmt.Sprintf("2025-11-24/%06d", n)), OpenedAt: at, Account: loyalty.AccountID(1 + rng.IntN(30_000_000)),
			Card: loyalty.CardNumber(fmt.Sprintf("7005%012d", rng.IntN(1e12))), Receipt: receipt,
			Earned: []loyalty.Lot{{Amount: loyalty.Points(volume / 100), ActiveFrom: at + 86_400_000, Expires: at + 31_536_000_000}},
		},
	}
}

func BenchmarkEncodeEntry(b *testing.B) {
	e := everyday(1)
	b.ReportAllocs()
	var size int
	for b.Loop() {
		p, err := wire.EncodeEntry(e)
		if err != nil {
			b.Fatal(err)
		}
		size = len(p)
	}
	b.ReportMetric(float64(size), "entry-bytes")
}

func BenchmarkDecodeEntry(b *testing.B) {
	p, err := wire.EncodeEntry(everyday(1))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.DecodeEntry(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodeEntryJSON is the alternative that was not chosen.
func BenchmarkEncodeEntryJSON(b *testing.B) {
	e := everyday(1)
	b.ReportAllocs()
	var size int
	for b.Loop() {
		p, err := json.Marshal(e)
		if err != nil {
			b.Fatal(err)
		}
		size = len(p)
	}
	b.ReportMetric(float64(size), "entry-bytes")
}

func fullBatch(b *testing.B) [][]byte {
	entries := make([][]byte, wire.MaxBatch)
	for i := range entries {
		var err error
		if entries[i], err = wire.EncodeEntry(everyday(i)); err != nil {
			b.Fatal(err)
		}
	}
	return entries
}

func BenchmarkSealBatch(b *testing.B) {
	entries := fullBatch(b)
	b.ReportAllocs()
	var size int
	for b.Loop() {
		p, n, _, err := wire.SealBatch(1, 1, wire.Hash{}, entries)
		if err != nil || n != len(entries) {
			b.Fatal(n, err)
		}
		size = len(p)
	}
	b.ReportMetric(float64(size)/float64(len(entries)), "wire-bytes/entry")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(entries)), "ns/entry")
}

func BenchmarkOpenBatch(b *testing.B) {
	entries := fullBatch(b)
	p, _, _, err := wire.SealBatch(1, 1, wire.Hash{}, entries)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.OpenBatch(p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(entries)), "ns/entry")
}
