package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const minimal = "station: {number: 17}\n"

func TestFullFile(t *testing.T) {
	c, err := LoadAgent("testdata/full.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Station.Number != 17 || c.Station.Zone.String() != "+03:00" || c.Ledger.Retain != 120*24*time.Hour || c.Ledger.MaxSize != 2<<30 {
		t.Errorf("station or ledger: %+v %+v", c.Station, c.Ledger)
	}
	first, second := c.Scanners[0], c.Scanners[1]
	if first.Name != "scanner1" || first.Counter != "1" || first.DedupeMS.Duration() != 1500*time.Millisecond || first.ReopenMS != (Reopen{250, 1000}) {
		t.Errorf("defaults of the first scanner: %+v", first)
	}
	if second.Match != (Match{"0403", "6001", "A50285BJ"}) || second.DedupeMS != 0 || second.Baud != 115200 || len(second.NoRead) != 1 {
		t.Errorf("second scanner: %+v", second)
	}
	if c.Cards.Ranges[0].Check != "luhn" || c.Cards.Ranges[1] != (CardRange{"2900", 13, "ean13"}) {
		t.Errorf("ranges: %+v", c.Cards.Ranges)
	}
	if c.HQ.AskDeadline != 1500*time.Millisecond || len(c.HQ.Brokers) != 2 {
		t.Errorf("hq: %+v", c.HQ)
	}
}

func TestEmptyFileIsDefaults(t *testing.T) {
	c, err := ParseAgent("c.yaml", []byte(minimal+"hq:\nlog: # nothing yet\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultAgent()
	want.Station.Number = 17
	want.complete()
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	if c.Ledger.Witness != c.Ledger.Path+".witness" {
		t.Errorf("witness %q", c.Ledger.Witness)
	}
	_, err = ParseAgent("c.yaml", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "station.number: is missing") || !strings.Contains(err.Error(), "azs-agent init") {
		t.Errorf("empty file: %v", err)
	}
}

// TestEveryErrorAtOnce holds the whole message, as a technician sees it, to a file.
func TestEveryErrorAtOnce(t *testing.T) {
	_, err := LoadAgent("testdata/wrong.yaml", []string{"AZS_LOG_LEVEL=loud", "AZS_LOG_LEVL=info", "AZS_STATION_NUMBER=many", "AZS_TEST_REQUIRE=1", "PATH=/bin"})
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "4f1c") {
		t.Error("a secret is in the message")
	}
	golden := "testdata/wrong.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, rerr := os.ReadFile(golden)
	if rerr != nil {
		t.Fatal(rerr)
	}
	if got := filepath.ToSlash(err.Error()) + "\n"; got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"not YAML", "station: [", "c.yaml:1:10: is not YAML"},
		{"tab", "station:\n\tnumber: 17\n", "is not YAML"},
		{"not a section", "just words", "must be a section"},
		{"list at the top", "- station", "is a list where a section"},
		{"two documents", minimal + "---\n" + minimal, "more than one document"},
		{"anchor", "station: &s {number: 17}", "anchor"},
		{"alias", minimal + "log: *s", ""},
		{"merge", minimal + "log:\n  <<: {level: info}", ""},
		{"tag", "station: !!map {number: 17}", "a tag"},
		{"twice", minimal + "station: {number: 18}\n", ""},
		{"not UTF-8", "station: {name: \"\xcf\xf0\"}", "is not UTF-8"},
		{"number as text", `station: {number: "17"}`, "station.number: \"17\" is text, not a number"},
		{"number too large", "station: {number: 4294967296}", "out of range"},
		{"negative", "station: {number: -1}", "out of range"},
		{"fraction", "station: {number: 1.5}", "not a whole number"},
		{"section for a number", "station: {number: {a: 1}}", "holds keys where a number belongs"},
		{"word for a list", minimal + "hq: {brokers: tls://a:8883}", "must be a list"},
		{"empty item", minimal + "hq:\n  brokers:\n    -\n", "hq.brokers[0]: is empty"},
		{"control character", `station: {number: 1, name: "a\x07"}`, "control character"},
		{"long name", "station: {number: 1, name: " + strings.Repeat("а", 101) + "}", "longer than 100"},
		{"part of a day", minimal + "ledger: {retain: 36h}", "not whole days"},
		{"same scanner names", minimal + "scanners: [{name: a, port: /dev/a}, {name: a, port: /dev/b}]", "scanners[1].name"},
		{"same ports", minimal + "scanners: [{port: /dev/a}, {port: /dev/a}]", "is the port of scanner1 too"},
		{"port and match", minimal + "scanners: [{port: /dev/a, match: {vid: 0403}}]", "has no effect"},
		{"back-off upside down", minimal + "scanners: [{reopen_ms: {min: 2000}}]", "more than reopen_ms.max"},
		{"no prefix", minimal + "cards: {ranges: [{length: 16}]}", "cards.ranges[0].prefix: is missing"},
		{"ranges overlap", minimal + `cards: {ranges: [{prefix: 70, length: 16}, {prefix: 7005, length: 16}]}`, "overlaps cards.ranges[0]"},
		{"unknown rate", minimal + "scanners: [{baud: 128000}]", "scanners[0].baud: 128000 is not one of"},
		{"short gap", minimal + "scanners: [{gap_ms: 5}]", "scanners[0].gap_ms: 5 is too small"},
		{"no end", minimal + "scanners: [{terminator: none, gap_policy: drop}]", "no frame would ever end"},
		{"empty no-read", minimal + "scanners: [{no_read: [\"\"]}]", "scanners[0].no_read[0]: is empty"},
		{"host with a scheme", minimal + "cards: {url_hosts: [\"https://a\"]}", "is not a host name"},
		{"host without parameter", minimal + "cards: {url_hosts: [a], url_param: \"\"}", "cards.url_param: is missing"},
		{"short token prefix", minimal + "cards: {token_prefixes: [ab]}", "too short"},
		{"no key", minimal + "cards: {forms_key: age1abc}", "cards.forms_key: is not a public key of age"},
		{"a mistyped key", minimal + "cards: {forms_key: age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwq}", "is not a public key of age"},
		{"the secret half", minimal + "cards: {forms_key: AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX}", "is the secret half"},
		{"digits for a token", minimal + "cards: {token_prefixes: [\"7005\"]}", "only digits"},
		{"key without certificate", minimal + "hq: {key_file: /k}", "need each other"},
		{"password without user", minimal + "hq: {password_file: /p}", "needs a username"},
		{"password in the file", minimal + "hq: {password: abc}", "put it into a file and name that file in hq.password_file"},
		{"broker without port", minimal + "hq: {brokers: [\"tls://a\"]}", "has no port"},
		{"broker with path", minimal + "hq: {brokers: [\"tls://a:8883/x\"]}", "after the port"},
		{"broker twice", minimal + "hq: {brokers: [\"tls://a:1\", \"tls://a:1\"]}", "twice"},
		{"unencrypted", minimal + "hq: {brokers: [\"tcp://10.0.0.1:1883\"]}", "unencrypted"},
		{"same address", minimal + "metrics: {listen: \"127.0.0.1:8713\"}", "is the address of api.listen"},
		{"origin with path", minimal + "api: {allowed_origins: [\"https://a/b\"]}", "is not an origin"},
		{"nested too deep", strings.Repeat("[", MaxFileSize-1), "more than 10000 words"},
		{"too large", "#" + strings.Repeat(" ", MaxFileSize), "is larger than"},
		{"too many items", minimal + "cards: {url_hosts: [" + strings.Repeat("a,", maxListLength+1) + "]}", "more than 256 items"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseAgent("c.yaml", []byte(tt.yaml), nil)
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("accepted, or another error: %v", err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got: %v\nwant: %s", err, tt.want)
			}
		})
	}
}

// maxMessage is more than any refusal needs: 50 problems, each with an excerpt and a hint.
const maxMessage = 50 * 1024

func TestRefusalsAreBounded(t *testing.T) {
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "k%d: 1\n", i)
	}
	for name, src := range map[string]string{
		"many unknown keys": many.String(),
		"long key":          strings.Repeat("k", MaxFileSize-10) + ": 1\n",
		"long value":        "station: {zone: " + strings.Repeat("z", MaxFileSize-20) + "}",
		"not YAML":          strings.Repeat("| ", 4000),
	} {
		_, err := ParseAgent("c.yaml", []byte(src), nil)
		if !errors.Is(err, ErrInvalid) || len(err.Error()) > maxMessage {
			t.Errorf("%s: %d bytes: %.200v", name, len(fmt.Sprint(err)), err)
		}
	}
	_, err := ParseAgent("c.yaml", []byte(many.String()), nil)
	if err == nil || !strings.Contains(err.Error(), "and 951 more problems") {
		t.Errorf("the problems left out are not counted: %.300v", err)
	}
}

func TestAccepted(t *testing.T) {
	for _, yaml := range []string{
		minimal + "hq: {brokers: [\"tcp://127.0.0.1:1883\", \"tcp://[::1]:1883\", \"tcp://localhost:1\"]}",
		minimal + "hq: {brokers: [\"tcp://10.0.0.1:1883\"], insecure: true}",
		minimal + "metrics: {listen: \"\"}",
		minimal + "api: {listen: \"[::1]:8713\"}",
		"---\nstation:\n  number: 17\n",
		"\xef\xbb\xbf" + minimal,
		strings.ReplaceAll("station:\n  number: 17\nlog:\n  level: debug\n", "\n", "\r\n"),
	} {
		if _, err := ParseAgent("c.yaml", []byte(yaml), nil); err != nil {
			t.Errorf("%q: %v", yaml, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	c, err := ParseAgent("c.yaml", []byte(minimal+"hq: {brokers: [\"tls://old:8883\"], linger: 10ms}\n"), []string{
		"AZS_STATION_NUMBER=18", "AZS_HQ_BROKERS=tls://a:8883, tls://b:8883", "AZS_HQ_LINGER=0s", "AZS_LEDGER_RETAIN=30d", "AZS_LOG_FORMAT=json",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Station.Number != 18 || len(c.HQ.Brokers) != 2 || c.HQ.Brokers[1] != "tls://b:8883" || c.HQ.Linger != 0 || c.Ledger.Retain != 30*24*time.Hour || c.Log.Format != "json" {
		t.Errorf("got %+v", c)
	}
	_, err = ParseAgent("c.yaml", []byte(minimal), []string{"AZS_HQ_BROKERS=tcp://far:1883"})
	var ps Problems
	if !errors.As(err, &ps) || ps[0].Source != sourceEnvironment || ps[0].Key != "hq.brokers[0]" {
		t.Errorf("a wrong value from the environment: %+v", ps)
	}
}

// TestOneEnvironmentForBoth: on a machine with both programs the variables of one are nothing to the other, although the
// agent has a section hq.
func TestOneEnvironmentForBoth(t *testing.T) {
	environ := []string{
		"AZS_CONFIG=a.yaml", "AZS_STATION_NUMBER=18", "AZS_HQ_BROKERS=tls://agent:8883",
		"AZSHQ_CONFIG=hq.yaml", "AZSHQ_BROKERS=tls://hq:8883", "AZSHQ_STORE_PATH=hq.db",
	}
	a, err := ParseAgent("a.yaml", []byte(minimal), environ)
	if err != nil || len(a.HQ.Brokers) != 1 || a.HQ.Brokers[0] != "tls://agent:8883" {
		t.Errorf("azs-agent: %+v, %v", a.HQ, err)
	}
	h, err := ParseHQ("hq.yaml", nil, environ)
	if err != nil || len(h.Brokers) != 1 || h.Brokers[0] != "tls://hq:8883" || h.Store.Path != "hq.db" {
		t.Errorf("azs-hq: %+v, %v", h, err)
	}
	if _, err := ParseHQ("hq.yaml", nil, append(environ, "AZSHQ_STROE_PATH=x")); err == nil || !strings.Contains(err.Error(), "did you mean AZSHQ_STORE_PATH?") {
		t.Errorf("a misspelled variable: %v", err)
	}
}

func TestShowIsReadBack(t *testing.T) {
	c, err := LoadAgent("testdata/full.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Show(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseAgent("shown", out, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !reflect.DeepEqual(again, c) {
		t.Errorf("got %+v\nwant %+v", again, c)
	}
	if !strings.Contains(string(out), "retain: 120d") || !strings.Contains(string(out), "max_size: 2GiB") {
		t.Errorf("units are not readable:\n%s", out)
	}
	if js, err := ShowJSON(c); err != nil || !strings.Contains(string(js), `"retain": "120d"`) {
		t.Errorf("%s, %v", js, err)
	}
}

func TestHQ(t *testing.T) {
	c, err := ParseHQ("hq.yaml", []byte("brokers: [\"tls://a:8883\"]\nshards: 0-31, 40\n"), []string{"AZSHQ_HTTP_LISTEN=127.0.0.1:80", "AZS_STATION_NUMBER=1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Shards.String() != "0-31,40" || !c.Shards.Has(40) || c.Shards.Has(32) || c.HTTP.Listen != "127.0.0.1:80" {
		t.Errorf("got %+v", c)
	}
	if AllShards.String() != "0-63" {
		t.Errorf("all shards are %s", AllShards)
	}
	_, err = ParseHQ("hq.yaml", []byte("shards: 60-64\nstore: {kind: oracle}\nhttp: {listen: \":8714\"}\n"), nil)
	for _, want := range []string{"brokers: is missing", "not a set of shards", "it can be: embedded", "http.listen"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	out, err := Show(c)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseHQ("shown", out, nil); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("got %+v, %v\nwant %+v", again, err, c)
	}
}

func TestLoadFile(t *testing.T) {
	if _, err := LoadAgent(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, MaxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAgent(big, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("a large file: %v", err)
	}
}

func TestReadSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(content string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file, []byte(content), 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("s3cret\r\n", 0o640)
	if s, err := ReadSecret(file); s != "s3cret" || err != nil {
		t.Errorf("got %q, %v", s, err)
	}
	write("s3cret", 0o644)
	if _, err := ReadSecret(file); !errors.Is(err, ErrSecretExposed) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("open to everybody: %v", err)
	}
	for name, content := range map[string]string{"empty": "\n", "large": strings.Repeat("s", maxSecret+1)} {
		write(content, 0o600)
		if _, err := ReadSecret(file); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ReadSecret(t.TempDir()); err == nil {
		t.Error("a folder was accepted")
	}
}

// FuzzLoad holds the loader to its word: it never panics, every refusal is ErrInvalid and of bounded length, and what
// it accepts can be shown and read back.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/full.yaml", "testdata/wrong.yaml"} {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(minimal))
	f.Add([]byte("a: &a [*a, *a]"))
	f.Add([]byte("scanners: [{}, {match: {vid: 1}}]\nhq:\n  brokers: |\n    x\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := ParseAgent("f.yaml", src, nil)
		if err != nil {
			if !errors.Is(err, ErrInvalid) || len(err.Error()) > maxMessage {
				t.Fatalf("not ErrInvalid, or %d bytes: %v", len(err.Error()), err)
			}
			return
		}
		out, err := Show(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseAgent("shown.yaml", out, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !reflect.DeepEqual(again, c) {
			t.Fatalf("read back as %+v, was %+v", again, c)
		}
	})
}
