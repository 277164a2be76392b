package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

var update = flag.Bool("update", false, "write the golden files anew; only for a new schema")

// golden compares bytes with what an earlier program wrote: stations and headquarters of different versions meet.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	text := strings.Join(chunks(hex.EncodeToString(got), 96), "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s: the bytes on the wire have changed:\n%s", name, text)
	}
}

func chunks(s string, n int) (out []string) {
	for len(s) > n {
		out, s = append(out, s[:n]), s[n:]
	}
	return append(out, s)
}

var (
	op   = loyalty.NewOpID(1_764_000_000_000, [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	fuel = loyalty.Receipt{Tender: 1, Payments: []loyalty.Payment{{Tender: 1, Amount: 1561_00}, {Tender: 2, Amount: 100_00}}, Lines: []loyalty.Line{{Kind: 1, Code: "95", Group: "fuel", Volume: 31500, Amount: 170100}}, Promo: []string{"summer"}}
	stmt = loyalty.Statement{Used: 1000, Voided: 200, Returned: 300}
)

// samples are one entry of every kind, every field set.
func samples() map[string]*loyalty.Entry {
	head := loyalty.Entry{At: 1_764_000_000_123, Mono: 987654, Clock: loyalty.ClockGood, Op: op, Cashier: "Иванова", Shift: 12, Counter: "2", Programme: 3}
	hash := loyalty.FormHash{1, 2, 3}
	out := map[string]*loyalty.Entry{}
	for name, b := range map[string]loyalty.Body{
		"started":     loyalty.Started{Boot: [16]byte{1, 2, 3}, Version: "1.2.3", Wall: 1_764_000_000_100},
		"sale-opened": loyalty.SaleOpened{Sale: "S-1", Account: 42, Card: "7005000000009015", Receipt: fuel, Reserved: 5000, Statement: stmt, Manual: "scanner broken"},
		"sale-closed": loyalty.SaleClosed{
			Sale: "S-1", Opened: op, OpenedAt: 1_764_000_000_000, Account: 42, Card: "7005000000009015", Receipt: fuel, Redeemed: 4000, Discount: 4000,
			Earned:        []loyalty.Lot{{Amount: 115, Expires: 1_780_000_000_000}, {Amount: 315, ActiveFrom: 1_764_000_100_000, Expires: 1_795_536_000_000}},
			Counted:       []loyalty.Tally{{Counter: "tier", From: 1_763_900_000_000, Until: 1_771_700_000_000, Amount: 31_500}},
			Claims:        []loyalty.Claim{{Tally: loyalty.Tally{Counter: "code:SUMMER", From: 1, Until: 2, Amount: 1}, Lot: loyalty.Lot{Amount: 5000}}},
			LineDiscounts: []loyalty.Kopecks{4000}, LineEarned: []loyalty.Points{5430}, Statement: stmt, Manual: "scanner broken", Resolved: true,
		},
		"sale-voided": loyalty.SaleVoided{Sale: "S-1", Opened: op, Account: 42, Statement: stmt, Reason: "driver left", Resolved: true},
		"sale-refunded": loyalty.SaleRefunded{
			Station: 9, Tender: loyalty.Cashless, Sale: "S-1", Closed: op, Refund: "R-1", Account: 42, Card: "7005000000009015", Reason: "bad fuel", Discount: 1333,
			Lines:    []loyalty.RefundLine{{Line: 1, Volume: 10_500, Amount: 56_700}, {Line: 3, Count: 1000, Amount: 1}},
			Returned: []loyalty.Lot{{Amount: 1333, Expires: 1_780_000_000_000}},
			Undo: loyalty.Undo{
				Clawed:    []loyalty.Lot{{Amount: 105, ActiveFrom: 1_764_000_100_000, Expires: 1_795_536_000_000}},
				Uncounted: []loyalty.Tally{{Counter: "tier", From: 1_763_900_000_000, Until: 1_771_700_000_000, Amount: 10_500}},
			},
		},
		"cell-returned": loyalty.CellReturned{Account: 42, Statement: stmt},
		"card-issued":   loyalty.CardIssued{Card: "7005000000009016", Kind: loyalty.AdditionalCard, For: "7005000000009015", Replaces: true, Form: hash},
		"shift-opened":  loyalty.ShiftOpened{},
		"shift-closed": loyalty.ShiftClosed{
			OpenedAt: 1_764_000_000_000, Implied: true, Differs: true,
			Cashiers: []loyalty.CashierTotals{{Cashier: "Иванова", Totals: loyalty.Totals{Sales: 3, Gross: 500_00, Paid: [3]loyalty.Kopecks{100_00, 400_00}, Earned: 7}}},
			Stated:   []loyalty.Figure{{Name: "sales", Amount: 4}, {Name: "cash", Amount: 100_00}},
		},
		"alerted": loyalty.Alerted{Rule: "same-card", Account: 42, Card: "7005000000009015", Sale: "S-1", Count: 5, AtMost: 4, Refused: true},
		"adjusted": loyalty.Adjusted{
			Account: 42, Partner: "Кофе", Ref: "2026-11/17", Accrued: []loyalty.Lot{{Amount: 500}}, Reason: "ошибка кассы", Operator: "петрова",
			Undo: loyalty.Undo{Clawed: []loyalty.Lot{{Amount: 5}}},
		},
		"account-changed":   loyalty.AccountChanged{Account: 42, State: loyalty.AccruesOnly, Joined: 5, RedeemOn: true, Reason: "заявление", Operator: "петрова"},
		"card-changed":      loyalty.CardChanged{Account: 42, Card: "7005000000009015", Kind: loyalty.VirtualCard, State: loyalty.Blocked, MayRedeem: true, Reason: "потеряна", Operator: "петрова"},
		"account-advanced":  loyalty.AccountAdvanced{Account: 42, Through: 1_764_000_000_000, Activated: 5, Expired: 6, Before: "green", After: "gold"},
		"account-burned":    loyalty.AccountBurned{Account: 42, Burned: 500, Reason: "заявление", Operator: "петрова"},
		"account-forgotten": loyalty.AccountForgotten{Account: 42, Forms: []loyalty.FormHash{hash}, Reason: "заявление", Operator: "петрова"},
		"programme-published": loyalty.ProgrammePublished{
			Version: 7, Name: "bonus", Hash: loyalty.ProgrammeHash{4, 5, 6}, Effective: 1_764_000_000_000, Reason: "приказ 12", Operator: "петрова",
		},
	} {
		e := head
		e.Body = b
		out[name] = &e
	}
	return out
}

func TestEntryGolden(t *testing.T) {
	for name, e := range samples() {
		b, err := wire.EncodeEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "entry-"+name, b)
		back, err := wire.DecodeEntry(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(back, e) {
			t.Errorf("%s: got %+v, want %+v", name, back, e)
		}
	}
}

func TestChainGolden(t *testing.T) {
	h := wire.Genesis(7, 2, wire.Nonce{1, 2, 3})
	golden(t, "genesis", h[:])
	h = h.Next([]byte("an entry"))
	golden(t, "next", h[:])
}

func TestBatchGolden(t *testing.T) {
	one, err := wire.EncodeEntry(samples()["sale-closed"])
	if err != nil {
		t.Fatal(err)
	}
	two, err := wire.EncodeEntry(samples()["cell-returned"])
	if err != nil {
		t.Fatal(err)
	}
	prev := wire.Genesis(7, 2, wire.Nonce{1, 2, 3})
	payload, n, last, err := wire.SealBatch(2, 10, prev, [][]byte{one, two})
	if err != nil || n != 2 || last != prev.Next(one).Next(two) {
		t.Fatal(n, last, err)
	}
	golden(t, "batch", payload)
	// Compressed bytes may differ from one version of the compressor to the next; reading them may not.
	packed, err := os.ReadFile(filepath.Join("testdata", "batch-zstd.hex"))
	if *update {
		many := bytes.Repeat([]byte("the same again "), 40)
		payload, _, _, _ := wire.SealBatch(2, 10, prev, [][]byte{many, many, many})
		golden(t, "batch-zstd", payload)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(string(packed), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	b, err := wire.OpenBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Entries) != 3 || len(raw) > 250 || b.First != 10 || b.Last() != 12 || b.LastHash() != b.Hashes[2] {
		t.Errorf("%d entries in %d bytes, %d to %d", len(b.Entries), len(raw), b.First, b.Last())
	}
}

func TestTopicsGolden(t *testing.T) {
	var b strings.Builder
	for _, s := range []loyalty.StationID{1, 64, 130, loyalty.MaxStation} {
		for _, k := range append(wire.FromStation(), wire.ToStation()...) {
			fmt.Fprintln(&b, wire.Topic(s, k))
			if gs, gk, err := wire.ParseTopic(wire.Topic(s, k)); gs != s || gk != k || err != nil {
				t.Errorf("%d %s: parsed as %d %s, %v", s, k, gs, gk, err)
			}
		}
	}
	fmt.Fprintln(&b, strings.Join(wire.StationFilters(130), " "))
	fmt.Fprintln(&b, strings.Join(wire.HQFilters(3, 4), " "))
	fmt.Fprintln(&b, strings.Join(wire.HQFilters(0, wire.Shards-1), " "))
	path := filepath.Join("testdata", "topics.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("topics have changed:\n%s", b.String())
	}
}

func TestTopicsOfNobody(t *testing.T) {
	for _, topic := range []string{
		"", "azs", "azs/v1/07/7", "azs/v1/07/7/up/x", "azs/v2/07/7/up", "azs/v1/08/7/up", "azs/v1/7/7/up", "azs/v1/07/07/up",
		"azs/v1/07/7/other", "azs/v1/00/0/up", "azs/v1/00/16777216/up", "azs/v1/07/+7/up", "azs/v1/07/-7/up", "azs/v1/+/7/up",
	} {
		if s, k, err := wire.ParseTopic(topic); !errors.Is(err, wire.ErrMessage) {
			t.Errorf("%q: %d %s %v", topic, s, k, err)
		}
	}
}

// TestBatchRoundTrip: whatever goes in comes out, and nothing that was changed on the way does.
func TestBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 300), 1, 40).Draw(t, "entries")
		if rapid.Bool().Draw(t, "alike") {
			for i := range entries {
				entries[i] = append(bytes.Repeat([]byte{7}, 400), entries[i]...)
			}
		}
		epoch := loyalty.Epoch(rapid.Uint32Range(1, 1<<32-1).Draw(t, "epoch"))
		first := loyalty.Seq(rapid.Uint64Range(1, 1<<40).Draw(t, "first"))
		prev := wire.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "prev"))
		payload, n, last, err := wire.SealBatch(epoch, first, prev, entries)
		if err != nil || n != len(entries) {
			t.Fatalf("took %d of %d: %v", n, len(entries), err)
		}
		b, err := wire.OpenBatch(payload)
		if err != nil {
			t.Fatal(err)
		}
		if b.Epoch != epoch || b.First != first || b.Prev != prev || b.LastHash() != last || !reflect.DeepEqual(b.Entries, entries) {
			t.Fatalf("came out different: %+v", b)
		}
		at := rapid.IntRange(0, len(payload)-1).Draw(t, "flip")
		payload[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if c, err := wire.OpenBatch(payload); err == nil && (!reflect.DeepEqual(c.Entries, entries) || c.Prev != prev) {
			t.Fatalf("a changed byte at %d went unnoticed", at)
		} else if err != nil && !errors.Is(err, wire.ErrMessage) {
			t.Fatalf("not an ErrMessage: %v", err)
		}
	})
}

func TestBatchTakesWhatFits(t *testing.T) {
	big := bytes.Repeat([]byte{1}, 40<<10)
	_, n, last, err := wire.SealBatch(1, 1, wire.Hash{}, [][]byte{big, big, big})
	if err != nil || n != 2 || last != (wire.Hash{}).Next(big).Next(big) {
		t.Errorf("took %d of 3, %v", n, err)
	}
	tiny := make([][]byte, wire.MaxBatch+1)
	for i := range tiny {
		tiny[i] = []byte{byte(i)}
	}
	if _, n, _, err := wire.SealBatch(1, 1, wire.Hash{}, tiny); n != wire.MaxBatch || err != nil {
		t.Errorf("took %d of %d, %v", n, len(tiny), err)
	}
	// The largest entry there can be, of bytes that do not compress, still makes a message.
	largest := make([]byte, wire.MaxEntry)
	for i := range largest {
		largest[i] = byte(i * i >> 3)
	}
	payload, n, _, err := wire.SealBatch(1<<31, 1<<60, wire.Hash{}, [][]byte{largest})
	if err != nil || n != 1 || len(payload) > wire.MaxMessage {
		t.Errorf("took %d in %d bytes, %v", n, len(payload), err)
	}
	if _, _, _, err := wire.SealBatch(1, 1, wire.Hash{}, [][]byte{append(largest, largest...)}); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("an entry above the bound: %v", err)
	}
	if _, _, _, err := wire.SealBatch(1, 1, wire.Hash{}, nil); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("no entries: %v", err)
	}
}

func TestDecodeBounds(t *testing.T) {
	long := strings.Repeat("x", wire.MaxVersion+1)
	hello := func(change func(*pb.Hello)) *pb.Hello {
		m := &pb.Hello{Station: 7, Epoch: 1, LastHash: make([]byte, 32), Nonce: make([]byte, 16), Boot: make([]byte, 16)}
		change(m)
		return m
	}
	for name, m := range map[string]*pb.Hello{
		"no station":    hello(func(m *pb.Hello) { m.Station = 0 }),
		"large station": hello(func(m *pb.Hello) { m.Station = 1 << 24 }),
		"short hash":    hello(func(m *pb.Hello) { m.LastHash = m.LastHash[1:] }),
		"no nonce":      hello(func(m *pb.Hello) { m.Nonce = nil }),
		"long boot":     hello(func(m *pb.Hello) { m.Boot = make([]byte, 17) }),
		"long version":  hello(func(m *pb.Hello) { m.Version = long }),
		"no epoch":      hello(func(m *pb.Hello) { m.Epoch, m.LastSeq = 0, 5 }),
	} {
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Decode[pb.Hello](b); !errors.Is(err, wire.ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, err := wire.Encode(hello(func(*pb.Hello) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Decode[pb.Hello](good); err != nil {
		t.Error(err)
	}
	if _, err := wire.Decode[pb.Hello](append(good, make([]byte, wire.MaxMessage)...)); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("too long: %v", err)
	}
	if _, err := wire.Encode(&pb.Answer{Refusal: strings.Repeat("x", wire.MaxMessage)}); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("too long to send: %v", err)
	}
	back, err := wire.Encode(&pb.Down{After: 5, Through: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Decode[pb.Down](back); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("a down-stream that goes back: %v", err)
	}
}

// TestBomb: a batch that would unpack to more than a message is refused before it does.
func TestBomb(t *testing.T) {
	zeros := make([]byte, wire.MaxEntry)
	honest, _, _, err := wire.SealBatch(1, 1, wire.Hash{}, [][]byte{zeros})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.OpenBatch(honest); err != nil {
		t.Fatal(err)
	}
	bomb := wire.ZstdBomb(64 << 20)
	if len(bomb) > wire.MaxMessage {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := wire.OpenBatch(bomb); !errors.Is(err, wire.ErrMessage) {
		t.Errorf("opened: %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8*wire.MaxMessage {
		t.Errorf("a bomb of %d bytes makes the reader allocate %d", len(bomb), n)
	}
}
