package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
	"github.com/azs-edge/azs-edge/sync/mqtt"
	"github.com/azs-edge/azs-edge/sync/mqtt/broker"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"azs-hq": main})
}

// TestScripts runs every script of testdata: the command line as it is typed. BROKER is a broker of its own, PORT1 and
// PORT2 are free, SOON is a day in three weeks, readme.sh is the README's block for headquarters.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			b, err := broker.Open(broker.Config{})
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
			env.Setenv("BROKER", b.URL())
			env.Setenv("SOON", time.Now().UTC().AddDate(0, 0, 20).Format(time.DateOnly))
			if err := readme(env.WorkDir); err != nil {
				return err
			}
			for _, name := range []string{"PORT1", "PORT2"} {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				env.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
				if err := l.Close(); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"listens":  listens,
			"exits":    exits,
			"formhash": func(ts *testscript.TestScript, _ bool, args []string) { formHash(ts, args) },
			"counter":  func(ts *testscript.TestScript, _ bool, args []string) { counter(t, ts, args) },
			"sells":    func(ts *testscript.TestScript, _ bool, args []string) { sells(t, ts, args) },
		},
		UpdateScripts: os.Getenv("AZS_TEST_UPDATE") != "",
	})
}

// readme writes what the README tells to paste at headquarters into readme.sh, and copies the example files it names.
func readme(dir string) error {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "## At headquarters")
	_, rest, _ = strings.Cut(rest, "```sh\nmake build && PATH=\"$PWD/dist:$PATH\"\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok || !strings.Contains(block, "tcp://127.0.0.1:1883") {
		return errors.New("the README has no block for headquarters")
	}
	block = "set -e\n" + strings.Replace(block, "tcp://127.0.0.1:1883", "$BROKER", 1) + "kill $!\nwait $!\n"
	for _, folder := range []string{"packaging/hq", "packaging/programmes"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS("../../"+folder)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "readme.sh"), []byte(block), 0o600)
}

// TestExampleConfiguration: the file that is shipped is good.
func TestExampleConfiguration(t *testing.T) {
	if _, err := config.LoadHQ("../../packaging/hq/config.example.yaml", nil); err != nil {
		t.Fatal(err)
	}
}

// exits runs a command and wants its exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("%v, want exit status %s", err, args[0])
	}
}

// listens waits until somebody listens at an address.
func listens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listens HOST:PORT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", args[0])
		if err == nil {
			ts.Check(conn.Close())
			return
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			ts.Fatalf("nobody listens at %s: %v", args[0], err)
		}
	}
}

// sells is sell for scripts.
func sells(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: sells STATION ACCOUNT")
	}
	station, err1 := strconv.ParseUint(args[0], 10, 32)
	account, err2 := strconv.ParseUint(args[1], 10, 64)
	ts.Check(errors.Join(err1, err2))
	ts.Check(sell(t, ts.Getenv("BROKER"), loyalty.StationID(station), loyalty.AccountID(account)))
}

// sell plays a station that sells once to an account, and once to one that does not exist, and waits for the
// acknowledgement.
func sell(t *testing.T, broker string, station loyalty.StationID, account loyalty.AccountID) (err error) {
	j := hqtest.NewJournal(t, station)
	j.Sell(account, 0, 12_50)
	j.Sell(999_999, 0, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	d, err := mqtt.NewDialer(mqtt.Config{Brokers: []string{broker}, ClientID: fmt.Sprintf("test-%d", station), Subscribe: wire.StationFilters(station)})
	if err != nil {
		return err
	}
	s, err := d.Dial(ctx, wire.Message{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	h := j.Hello()
	hello, err := wire.Encode(&pb.Hello{
		Station: uint32(h.Station), Epoch: 1, Nonce: h.Nonce[:], FirstSeq: 1, LastSeq: uint64(h.Last), LastHash: h.LastHash[:], Boot: h.Boot[:],
		Version: "test", Schema: h.Schema, Session: 1,
	})
	if err != nil {
		return err
	}
	up, _, _, err := wire.SealBatch(1, 1, j.Hashes[0], j.Entries)
	if err != nil {
		return err
	}
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for err = s.Publish(ctx, wire.Topic(station, wire.Hello), hello); err == nil; {
		select {
		case m := <-s.Messages():
			switch _, kind, _ := wire.ParseTopic(m.Topic); kind {
			case wire.Cursor:
				err = s.Publish(ctx, wire.Topic(station, wire.Up), up)
			case wire.Ack:
				if a, e := wire.Decode[pb.Ack](m.Payload); e == nil && a.Seq == 2 {
					return nil
				}
			}
		case <-again.C: // headquarters may not have been there yet
			err = s.Publish(ctx, wire.Topic(station, wire.Hello), hello)
		case <-ctx.Done():
			return fmt.Errorf("headquarters do not acknowledge: %w", ctx.Err())
		}
	}
	return err
}

// TestEveryCommandTeaches holds that every command says what it is for, and every one that does something has an
// example.
func TestEveryCommandTeaches(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q", c.CommandPath(), c.Short)
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd())
}
