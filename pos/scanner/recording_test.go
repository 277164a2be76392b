package scanner

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseRecording(t *testing.T) {
	for in, want := range map[string][]string{
		`"7005\r"`:                              {"7005\r"},
		`["7005" "9015\r"]`:                     {"7005", "9015\r"},
		" \"\\xf8\\x80\"  `raw` ":               {"\xf8\x80", "raw"},
		`[strings.Repeat("7",3)+"\r"+N+"\r"]`:   {"777\r7005123456789015\r"},
		`strings.Repeat("ab", 2) + "c" "d" + N`: {"ababc", "d7005123456789015"},
	} {
		got, err := ParseRecording(in)
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "[]", "7005", `"a`, `["a"`, `"a""b"`, `"a" +`, `'a'`, `strings.Repeat("a")`, `strings.Repeat("a", -1)`,
		`strings.Repeat("a", 99999999)`, `strings.Repeat("a", 65536)+"b"`, `"` + strings.Repeat("a", MaxRecordingLine) + `"`, `NN`,
	} {
		if got, err := ParseRecording(in); !errors.Is(err, ErrRecording) {
			t.Errorf("%.40s: %q %v, want ErrRecording", in, got, err)
		}
	}
}

func FuzzParseRecording(f *testing.F) {
	f.Add(`["700512345678" "9015\r"]`)
	f.Add(`[strings.Repeat("7",3)+"\r"+N+"\r"]`)
	f.Fuzz(func(t *testing.T, in string) {
		chunks, err := ParseRecording(in)
		if err != nil {
			return
		}
		again, err := ParseRecording(QuoteRecording(chunks))
		if err != nil && len(QuoteRecording(chunks)) <= MaxRecordingLine {
			t.Fatalf("%q: %v", chunks, err)
		}
		if err == nil && fmt.Sprintf("%q", again) != fmt.Sprintf("%q", chunks) {
			t.Fatalf("%q became %q", chunks, again)
		}
	})
}
