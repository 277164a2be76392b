package agent_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// backlogAccounts is how many customers made the backlog.
const backlogAccounts = 10_000

// BenchmarkBacklog drains the backlog of a station that was cut off for long: 1,000,000 entries (50,000 with -short)
// through a real Mosquitto to headquarters, which commits them to its disk before they count. Beside it, as the
// alternative, some of the same records are published one a message at QoS 1 through the same broker, to a subscriber
// that only counts: with 100 under way, and each awaited.
func BenchmarkBacklog(b *testing.B) {
	entries, sample := 1_000_000, 50_000
	if testing.Short() {
		entries, sample = 50_000, 5_000
	}
	ctx := b.Context()
	made := makeBacklog(ctx, b, entries)
	broker, address := newMosquitto(b)
	if err := broker.start(); err != nil {
		b.Fatal(err)
	}
	listens(ctx, b, address)

	rate := 0.0
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		folder := b.TempDir()
		h := newHeadquarters(ctx, b, folder, "tcp://"+address, backlogAccounts, 1)
		copyFolder(b, made, folder)
		b.StartTimer()
		began := time.Now()
		l := liveConfig{folder: folder, broker: "tcp://" + address}.start(ctx, b)
		l.awaitDrained(ctx, b)
		b.StopTimer()
		took := time.Since(began)
		pos, err := l.Ledger.Position(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if c := h.cursor(ctx, b, 1); c.Seq != pos.Last || c.Hash != pos.LastHash || c.Seq < loyalty.Seq(entries) {
			b.Fatalf("headquarters has the journal to %d, it ends at %d", c.Seq, pos.Last)
		}
		rate = float64(pos.Last) / took.Seconds()
		if err := l.end(); err != nil {
			b.Fatal(err)
		}
	}
	waiting, _ := oneByOne(ctx, b, made, address, sample/10, 1)
	many, delivered := oneByOne(ctx, b, made, address, sample, 100)
	b.ReportMetric(rate, "entries/s")
	b.ReportMetric(many, "one_a_message_100_under_way/s")
	b.ReportMetric(100*delivered, "%_of_those_delivered")
	b.ReportMetric(rate/many, "times_that")
	b.ReportMetric(waiting, "one_a_message_each_awaited/s")
	b.ReportMetric(rate/waiting, "times_that_too")
}

// makeBacklog makes the folder of a station that has sold so often without headquarters. Where there is a file system in
// memory it is made there: how fast sales are written is another benchmark's question.
func makeBacklog(ctx context.Context, b *testing.B, entries int) string {
	b.Helper()
	folder := b.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "azs-backlog-"); err == nil {
		folder = shm
		b.Cleanup(func() { os.RemoveAll(shm) })
	}
	l := openBench(ctx, b, folder)
	learnAccounts(ctx, b, l, backlogAccounts)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 { // callers at once share their commits
		wg.Go(func() {
			for n := next.Add(1); n <= int64(entries) && !b.Failed(); n = next.Add(1) {
				_, err := l.CloseSale(ctx, &loyalty.CloseRequest{
					Sale: loyalty.SaleID(fmt.Sprintf("1-%08d", n)), Card: cardOf(1 + loyalty.AccountID(n%backlogAccounts)),
					Receipt: loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{
						{Kind: loyalty.Fuel, Code: "АИ-95", Volume: loyalty.Millilitres(10_000 + n%40_000), Amount: loyalty.Kopecks(66_000 + n%264_000)},
					}},
					Who: loyalty.Who{Cashier: "Ольга", Shift: 1},
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil || b.Failed() {
		b.Fatal(err)
	}
	return folder
}

func openBench(ctx context.Context, b *testing.B, folder string) *ledger.Ledger {
	b.Helper()
	l, err := ledger.Open(ctx, ledger.Config{Path: filepath.Join(folder, "ledger.db"), Station: 1, Version: "bench", MaxSize: 16 << 30})
	if err != nil {
		b.Fatal(err)
	}
	source, err := programmes.File(programmes.Default)
	if err == nil {
		err = l.LoadProgramme(ctx, source)
	}
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// learnAccounts tells the ledger of accounts 1 to count, as headquarters' down-stream does.
func learnAccounts(ctx context.Context, b *testing.B, l *ledger.Ledger, count int) {
	b.Helper()
	at := loyalty.At(time.Now())
	const slice = 5000
	for from := 1; from <= count; from += slice {
		d := &pb.Down{Stream: 7, After: uint64(from - 1), Through: uint64(from - 1 + slice), Time: int64(at)}
		for id := loyalty.AccountID(from); id < loyalty.AccountID(from+slice) && id <= loyalty.AccountID(count); id++ {
			card := loyalty.Card{Number: cardOf(id), Account: id, MayRedeem: true, HQVersion: uint64(id)}
			snapshot := loyalty.Snapshot{Version: 1, AsOf: at, Epoch: 1, Account: loyalty.Account{ID: id, Lots: []loyalty.Lot{{
				Amount: opening, ActiveFrom: at.Add(-24 * time.Hour), Expires: at.Add(365 * 24 * time.Hour),
			}}}}
			d.Items = append(d.Items, &pb.Item{Item: &pb.Item_Card{Card: wire.FromCard(&card)}}, &pb.Item{Item: &pb.Item_Snapshot{Snapshot: wire.FromSnapshot(&snapshot)}})
		}
		if err := l.ApplyDown(ctx, d); err != nil {
			b.Fatal(err)
		}
	}
	if s, err := l.Status(); err != nil || s.Accounts != uint64(count) {
		b.Fatalf("the ledger knows %d accounts, want %d: %v", s.Accounts, count, err)
	}
}

func copyFolder(b *testing.B, from, to string) {
	b.Helper()
	files, err := os.ReadDir(from)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		in, err := os.Open(filepath.Join(from, f.Name()))
		if err != nil {
			b.Fatal(err)
		}
		out, err := os.OpenFile(filepath.Join(to, f.Name()), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			b.Fatal(err)
		}
		if err := out.Sync(); err != nil {
			b.Fatal(err)
		}
		in.Close()
		out.Close()
	}
}

// oneByOne publishes records of the journal one a message, at QoS 1 with so many under way, and tells how many a second
// the broker took and which share of them reached a subscriber that was there all the time.
func oneByOne(ctx context.Context, b *testing.B, made, address string, sample, window int) (rate, delivered float64) {
	b.Helper()
	l := openBench(ctx, b, made)
	defer l.Close()
	pos, err := l.Position(ctx)
	if err != nil {
		b.Fatal(err)
	}
	var records [][]byte
	for len(records) < sample {
		part, err := l.Read(ctx, pos.Epoch, loyalty.Seq(len(records)+1), min(1000, sample-len(records)), 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, part...)
	}
	var got atomic.Int64
	sub, pub := pahoClient(b, address, "one-by-one-sub"), pahoClient(b, address, "one-by-one-pub")
	defer sub.Disconnect(100)
	defer pub.Disconnect(100)
	if t := sub.Subscribe("one/by/one", 1, func(paho.Client, paho.Message) { got.Add(1) }); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	began := time.Now()
	var tokens []paho.Token
	for _, r := range records {
		tokens = append(tokens, pub.Publish("one/by/one", 1, false, r))
		if len(tokens) == window {
			if tokens[0].Wait() && tokens[0].Error() != nil {
				b.Fatal(tokens[0].Error())
			}
			tokens = tokens[1:]
		}
	}
	for _, t := range tokens {
		if t.Wait() && t.Error() != nil {
			b.Fatal(t.Error())
		}
	}
	taken := time.Since(began)
	// What the subscriber has not got after the broker has been silent for a while never comes.
	for last, still := int64(-1), 0; still < 20 && got.Load() < int64(sample); {
		if n := got.Load(); n == last {
			still++
		} else {
			last, still = n, 0
		}
		wait := time.NewTimer(50 * time.Millisecond)
		<-wait.C
	}
	return float64(sample) / taken.Seconds(), float64(got.Load()) / float64(sample)
}

func pahoClient(b *testing.B, address, id string) paho.Client {
	b.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetProtocolVersion(4))
	if t := c.Connect(); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	return c
}

// BenchmarkIdleMemory runs the agent's own program over a ledger of 1,000,000 accounts (50,000 with -short) and reads how
// much memory it holds: after its start, and after a thousand customers have come.
func BenchmarkIdleMemory(b *testing.B) {
	count := 1_000_000
	if testing.Short() {
		count = 50_000
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		b.Skip("there is no /proc to read a process's memory from")
	}
	ctx := b.Context()
	folder := b.TempDir()
	l := openBench(ctx, b, folder)
	learnAccounts(ctx, b, l, count)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	program := buildPrograms(ctx, b, "azs-agent")
	address := freeAddress(b)
	writeFile(b, filepath.Join(folder, "api.token"), apiToken+"\n")
	file := filepath.Join(folder, "config.yaml")
	writeFile(b, file, fmt.Sprintf("station: {number: 1}\nledger: {path: %q}\napi: {listen: %q, token_file: %q}\nmetrics: {listen: \"\"}\n",
		filepath.Join(folder, "ledger.db"), address, filepath.Join(folder, "api.token")))
	r := newRegister(address)
	for range b.N {
		p := newProcess(b, "azs-agent", filepath.Join(program, "azs-agent"), "run", "--config", file)
		began := time.Now()
		if err := p.start(); err != nil {
			b.Fatal(err)
		}
		await(ctx, b, "the agent answers", func() bool {
			_, err := r.status(ctx)
			return err == nil
		})
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms_to_answer")
		b.ReportMetric(memoryOf(b, p, "VmRSS"), "MB_idle")
		for n := range 1000 {
			if _, err := r.once(ctx, http.MethodPost, "/v1/identify", map[string]string{"card": string(cardOf(loyalty.AccountID(1 + n*count/1000)))}, nil); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(memoryOf(b, p, "VmRSS"), "MB_after_1000_cards")
		b.ReportMetric(memoryOf(b, p, "RssAnon"), "MB_of_those_not_the_file")
		if err := p.stop(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// memoryOf reads a line of the process's status, in megabytes.
func memoryOf(b *testing.B, p *process, name string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, name+": %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	b.Fatalf("%s is not in the status of the process", name)
	return 0
}

// microseconds are quantiles of what took so long.
func microseconds(d []time.Duration, q float64) float64 {
	slices.Sort(d)
	return float64(d[min(len(d)-1, int(q*float64(len(d))))].Microseconds())
}
