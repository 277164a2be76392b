package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/azs-edge/azs-edge/config"
)

// bench is a scanner made of a pseudo-terminal, and a `scanner check` that reads it.
type bench struct {
	t      *testing.T
	link   string
	master *os.File
	lines  chan map[string]any
	status chan int
	stderr strings.Builder
	stop   context.CancelFunc // what Ctrl-C does
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, link: filepath.Join(t.TempDir(), "scanner")}
	b.plug()
	t.Cleanup(func() { b.master.Close() })
	return b
}

func (b *bench) plug() {
	b.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		b.t.Fatal(err)
	}
	defer slave.Close()
	if err := os.Symlink(slave.Name(), b.link); err != nil {
		b.t.Fatal(err)
	}
	b.master = master
}

func (b *bench) unplug() {
	b.t.Helper()
	if err := os.Remove(b.link); err != nil {
		b.t.Fatal(err)
	}
	b.master.Close()
}

// check starts the command; without a configuration unless the arguments name one.
func (b *bench) check(args ...string) {
	r, w := io.Pipe()
	root := newRootCmd()
	root.SetArgs(append([]string{"scanner", "check", b.link, "--json"}, args...))
	root.SetOut(w)
	root.SetErr(&b.stderr)
	ctx, cancel := context.WithCancel(b.t.Context())
	b.stop, b.status, b.lines = cancel, make(chan int, 1), make(chan map[string]any, 100)
	go func() {
		err := root.ExecuteContext(ctx)
		w.Close()
		b.status <- exitStatus(err)
	}()
	go func() {
		defer close(b.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			var v map[string]any
			if err := json.Unmarshal(s.Bytes(), &v); err != nil {
				v = map[string]any{"type": "broken", "line": s.Text()}
			}
			b.lines <- v
		}
	}()
}

// until waits for a line of that type.
func (b *bench) until(typ string) map[string]any {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case v, ok := <-b.lines:
			if !ok {
				b.t.Fatalf("ended before %q came", typ)
			}
			if v["type"] == "broken" {
				b.t.Fatalf("not JSON: %v", v["line"])
			}
			if v["type"] == typ {
				return v
			}
		case <-deadline:
			b.t.Fatalf("no %q came", typ)
		}
	}
}

func (b *bench) send(s string) {
	b.t.Helper()
	if _, err := b.master.WriteString(s); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) ends(want int) {
	b.t.Helper()
	for range b.lines {
	}
	if got := <-b.status; got != want {
		b.t.Errorf("exit status %d, want %d; standard error: %s", got, want, &b.stderr)
	}
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScannerCheckGuided(t *testing.T) {
	b := newBench(t)
	b.check("--guided", "--for", "30s", "--range", "7005:16:luhn")
	if v := b.until("listening"); len(v["wanted"].([]any)) != 6 {
		t.Fatalf("asks for %v", v["wanted"])
	}
	if v := b.until("state"); v["connected"] != true {
		t.Fatalf("state %v", v)
	}
	b.send("]C07005123456789015\r\n")
	v := b.until("scan")
	for key, want := range map[string]any{
		"event": "card", "number": "7005••••9015", "kind": "luhn", "bytes": `"]C07005********9015\r"`, "ended": "terminator",
		"aim": "]C0", "symbology": "code128", "charset": "ascii", "relayed": false,
	} {
		if v[key] != want {
			t.Errorf("%s is %v, want %v", key, v[key], want)
		}
	}
	if len(v["chunks"].([]any)) == 0 {
		t.Error("no timing")
	}
	b.until("step")
	b.send("билет №5\r\n")
	if v := b.until("scan"); v["charset"] != "utf-8" || v["relayed"] != true {
		t.Errorf("Cyrillic: %v", v)
	}
	b.until("step")
	b.send(strings.Repeat("LONG ", 150) + "\r\n")
	b.until("step")
	b.send("4006381333931\r\n")
	if v := b.until("scan"); v["bytes"] != `"4006381333931\r"` || v["reason"] != "product_code" {
		t.Errorf("goods: %v", v)
	}
	b.until("step")
	b.unplug()
	b.until("step")
	b.plug()
	b.until("step")
	v = b.until("result")
	if v["status"] != "ok" || len(v["hints"].([]any)) != 0 {
		t.Errorf("result %v", v)
	}
	block := v["config"].(string)
	c, err := config.ParseAgent("block", []byte("station: {number: 1}\n"+block), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, block)
	}
	if s := c.Scanners[0]; s.Port != b.link || s.Baud != 9600 || s.Terminator != "crlf_any" || len(c.Cards.Ranges) != 1 {
		t.Errorf("the block says %+v %+v", s, c.Cards)
	}
	if !strings.Contains(block, `# "\r\n" came`) {
		t.Errorf("the block does not say what came:\n%s", block)
	}
	b.ends(0)
}

func TestScannerCheckHints(t *testing.T) {
	b := newBench(t)
	b.check()
	b.until("state")
	for send, want := range map[string]string{
		"4111111111111111\r":                        "",
		"7005123456789015\r":                        adviseNoCard,
		"\xb7\x30\x30\x35\xb1\xb2\x33\xb4\x8d":      adviseParity, // digits and CR under even parity
		"\xf8\x80\xfe\xe0\x98\xf8\x80\xfe\r":        adviseBaud,
		"no terminator":                             adviseSuffix,
		strings.Repeat("7", 9000) + "\rend of it\r": adviseLong,
	} {
		b.send(send)
		v := b.until("scan")
		hints, _ := v["hints"].([]any)
		if want == "" && len(hints) > 0 || want != "" && (len(hints) != 1 || hints[0] != want) {
			t.Errorf("%.20q: hints %v, want %q", send, hints, want)
		}
		if v["reason"] == "payment_card" && (v["bytes"] != `"(bank data, not shown)"` || strings.Contains(fmt.Sprint(v), "1111")) {
			t.Errorf("a bank card is shown: %v", v)
		}
		if strings.HasPrefix(send, "777") {
			b.until("scan")
		}
	}
	b.stop()
	if v := b.until("result"); v["status"] != "warning" || len(v["hints"].([]any)) < 5 {
		t.Errorf("result %v", v)
	}
	b.ends(exitWarning)
}

func TestScannerCheckSilence(t *testing.T) {
	b := newBench(t)
	b.check("--for", "150ms") // and not by Ctrl-C: the time ends it
	if v := b.until("result"); v["status"] != "failed" || !strings.Contains(fmt.Sprint(v["hints"]), "keyboard mode") || v["config"] != nil {
		t.Errorf("result %v", v)
	}
	b.ends(exitFailed)
}

// The check closes the port at its end: that is not the cable being pulled out.
func TestScannerCheckGuidedEndsByItself(t *testing.T) {
	b := newBench(t)
	b.check("--guided", "--for", "400ms", "--range", "7005:16:luhn")
	b.until("state")
	b.send("7005123456789015\r\n")
	b.until("step")
	v := b.until("result")
	done := map[string]any{}
	for _, s := range v["steps"].([]any) {
		s := s.(map[string]any)
		done[s["name"].(string)] = s["done"]
	}
	if v["status"] != "warning" || done["card"] != true || done[stepUnplug] != false || done[stepReplug] != false {
		t.Errorf("status %v, steps %v", v["status"], done)
	}
	b.ends(exitWarning)
}

func TestScannerCheckSaysWhoHoldsThePort(t *testing.T) {
	b := newBench(t)
	b.check()
	b.until("state")
	second := &bench{t: t, link: b.link}
	second.check()
	for {
		v := second.until("check")
		if v["name"] != "lock" {
			continue
		}
		if v["status"] != "failed" || !strings.Contains(v["text"].(string), fmt.Sprintf("(pid %d)", os.Getpid())) {
			t.Errorf("lock: %v", v)
		}
		break
	}
	second.ends(exitFailed)
	b.send("4006381333931\r")
	if v := b.until("scan"); v["reason"] != "product_code" {
		t.Errorf("the first reader lost the scan: %v", v)
	}
	b.stop()
	b.ends(0)
}

func TestScannerBaudScan(t *testing.T) {
	b := newBench(t)
	b.check("--baud-scan", "--for", "20s")
	// The pseudo-terminal knows no speed: the test plays one whose speed is 38400.
	for v := b.until("trying"); v["baud"].(float64) != 38400; v = b.until("trying") {
		for range enough {
			b.send("\xf8\x80\xfe\xe0\x98\r")
			b.until("scan")
		}
	}
	b.send("ticket 17\rticket 17\r")
	for {
		if v := b.until("check"); v["name"] == "baud" {
			if v["status"] != "ok" || v["text"] != "38400" {
				t.Errorf("baud: %v", v)
			}
			break
		}
	}
	if v := b.until("result"); !strings.Contains(v["config"].(string), "baud: 38400") {
		t.Errorf("result: %v", v)
	}
	b.ends(0)
}

func TestScannerCheckTakesTheConfiguration(t *testing.T) {
	b := newBench(t)
	file := configFile(t, fmt.Sprintf("station: {number: 1}\nscanners:\n  - {name: till1, port: %q}\ncards:\n  ranges:\n    - {prefix: \"96\", length: 10, check: none}\n", b.link))
	b.check("--config", file)
	b.until("state")
	b.send("9612345678\r")
	if v := b.until("scan"); v["event"] != "card" || v["number"] != strings.Repeat("•", 10) {
		t.Errorf("scan %v", v)
	}
	b.stop()
	b.ends(0)
}
