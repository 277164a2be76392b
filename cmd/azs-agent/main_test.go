package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"azs-agent": main})
}

// TestScripts runs every script of testdata: the command line as a technician types it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("AZS_CONFIG", env.Cd+"/etc/config.yaml")
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
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"listens": listens, "ends": ends, "sells": sells},
		UpdateScripts: os.Getenv("AZS_TEST_UPDATE") != "",
	})
}

// sells makes a ledger in which two cashiers have sold something in a shift, of which the register states otherwise.
func sells(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sells LEDGER")
	}
	ctx := context.Background()
	l, err := ledger.Open(ctx, ledger.Config{Path: ts.MkAbs(args[0]), Station: 17, Version: "test"})
	ts.Check(err)
	ts.Check(l.LoadProgramme(ctx, []byte(ts.ReadFile("programme.yaml"))))
	shift := loyalty.ShiftID{Counter: "1", Number: 7}
	_, err = l.OpenShift(ctx, &loyalty.ShiftRequest{ShiftID: shift, Cashier: "Анна"})
	ts.Check(err)
	for _, cashier := range []string{"Анна", "Борис"} {
		_, err = l.CloseSale(ctx, &loyalty.CloseRequest{
			Sale: loyalty.SaleID(cashier), Card: "7005123456789015", Who: loyalty.Who{Cashier: cashier, Shift: shift.Number, Counter: shift.Counter},
			Receipt: loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{{Kind: loyalty.Fuel, Code: "АИ-95", Volume: 10_000, Amount: 600_00}}},
		})
		ts.Check(err)
	}
	_, err = l.IssueCard(ctx, &loyalty.IssueRequest{Card: "7005000000000101", Who: loyalty.Who{Cashier: "Борис"}})
	ts.Check(err)
	_, err = l.CloseShift(ctx, &loyalty.ShiftRequest{ShiftID: shift, Cashier: "Борис", Stated: []loyalty.Figure{{Name: "sales", Amount: 2}, {Name: "cash", Amount: 1199_00}}})
	ts.Check(err)
	ts.Check(l.Close())
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

// ends runs a program that must end with an exit status.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ends STATUS PROGRAM ARG...")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// TestEveryVerbTeaches holds each verb to an explanation and an example.
func TestEveryVerbTeaches(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Short == "" {
				t.Errorf("%s has no short help", sub.CommandPath())
			}
			if !sub.HasSubCommands() && sub.Example == "" {
				t.Errorf("%s has no example", sub.CommandPath())
			}
			walk(sub)
		}
	}
	walk(newRootCmd())
}

func TestExitStatus(t *testing.T) {
	wrong := errors.New("wrong")
	for _, tt := range []struct {
		err  error
		want int
	}{{nil, 0}, {wrong, 1}, {withStatus(3, wrong), 3}, {withHint(withStatus(78, wrong), "h"), 78}} {
		if got := exitStatus(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestManPage(t *testing.T) {
	var first, second bytes.Buffer
	if err := errors.Join(writeManPage(&first, newRootCmd()), writeManPage(&second, newRootCmd())); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two runs give two pages")
	}
	for _, want := range []string{`.TH AZS\-AGENT 8`, `.SS "azs\-agent service status"`, `\fB\-\-json\fR`, `\fB\-c\fR, \fB\-\-config\fR \fIfile\fR`} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("%s is not on the page", want)
		}
	}
}
