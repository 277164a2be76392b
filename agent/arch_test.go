package agent_test

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/azs-edge/azs-edge/"

// mayImport says which rooms of ours a room's code (not its tests) may import. Imports point one way: the domain at the
// bottom, adapters around it, and only agent and cmd put parts together.
var mayImport = map[string][]string{
	"agent/loyalty": {},
	"agent/form":    {},
	"config":        {},
	"pos/scanner":   {},
	"pos/screen":    {},

	"pos/card":     {"agent/loyalty"},
	"sync/wire/pb": {},
	"sync/wire":    {"agent/loyalty", "sync/wire/pb"},
	// The bytes of an entry are the wire's from the moment they are made.
	"agent/ledger/ledgerpb": {"sync/wire/pb"},
	"agent/ledger":          {"agent/loyalty", "agent/ledger/ledgerpb", "sync/wire", "sync/wire/pb"},

	"sync/uplink":      {"agent/loyalty", "sync/wire", "sync/wire/pb"},
	"sync/mqtt":        {"agent/loyalty", "sync/wire", "sync/wire/pb"},
	"sync/mqtt/broker": {"sync/wire"},
	"sync/hq":          {"agent/loyalty", "sync/wire", "sync/wire/pb"},
	"sync/hq/embedded": {"agent/loyalty", "sync/hq", "sync/wire", "sync/wire/pb"},

	"sync/hq/hqtest": {"agent/loyalty", "sync/hq", "sync/wire", "sync/wire/pb"},
	"sync/hq/admin":  {"agent/loyalty", "sync/hq", "sync/wire", "sync/wire/pb"},

	// A form is its own type from the call's body on, so that it masks itself wherever it goes.
	"pos/api":              {"agent/form", "agent/loyalty", "pos/screen"},
	"pos/api/apitest":      {"agent/form", "agent/loyalty", "pos/api"},
	"packaging":            {},
	"packaging/programmes": {},
}

// composers put parts together and may import any room.
func composes(room string) bool { return room == "agent" || strings.HasPrefix(room, "cmd/") }

// pkg is one package of the module as its non-test files say.
type pkg struct {
	doc     string
	imports map[string]bool
	files   []string
}

func TestImportsPointOneWay(t *testing.T) {
	for room, p := range packages(t) {
		if composes(room) {
			continue
		}
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("%s: a new room; say in mayImport what it may import", room)
		}
		for imp := range p.imports {
			if ours, ok := strings.CutPrefix(imp, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s, which it may not", room, ours)
			}
		}
	}
}

func TestAgentLinksNeitherHQNorABroker(t *testing.T) {
	pkgs := packages(t)
	seen := map[string]bool{}
	var walk func(room string)
	walk = func(room string) {
		if seen[room] {
			return
		}
		seen[room] = true
		for imp := range pkgs[room].imports {
			if strings.HasPrefix(imp, "github.com/mochi-mqtt/") {
				t.Errorf("azs-agent links a broker by %s", room)
			}
			if ours, ok := strings.CutPrefix(imp, module); ok {
				walk(ours)
			}
		}
	}
	walk("cmd/azs-agent")
	for room := range seen {
		if room == "sync/hq" || strings.HasPrefix(room, "sync/hq/") {
			t.Errorf("azs-agent links %s", room)
		}
	}
	if len(seen) < 5 {
		t.Errorf("only %d rooms are reached from cmd/azs-agent: the walk is broken", len(seen))
	}
}

func TestUplinkSeesNeitherDatabaseNorCarrier(t *testing.T) {
	for imp := range packages(t)["sync/uplink"].imports {
		if strings.Contains(imp, "bbolt") || strings.Contains(imp, "paho") {
			t.Errorf("sync/uplink imports %s", imp)
		}
	}
}

func TestLoyaltyIsPure(t *testing.T) {
	impure := []string{"os", "net", "net/http", "io/fs", "sync", "math/rand", "math/rand/v2", "crypto/rand", "context", "path/filepath"}
	for imp := range packages(t)["agent/loyalty"].imports {
		if slices.Contains(impure, imp) {
			t.Errorf("agent/loyalty imports %s", imp)
		}
	}
	for _, f := range packages(t)["agent/loyalty"].files {
		b, err := os.ReadFile(filepath.Join("..", f))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "time.Now") {
			t.Errorf("%s reads the clock", f)
		}
	}
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	for room, p := range packages(t) {
		if strings.HasSuffix(room, "pb") {
			continue // generated
		}
		if len(strings.Fields(p.doc)) < 20 {
			t.Errorf("%s: its package comment says too little: %q", room, p.doc)
		}
	}
}

func TestFilesFitAReader(t *testing.T) {
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".pb.go") {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := 0
		for s := bufio.NewScanner(f); s.Scan(); {
			lines++
		}
		if lines > 500 {
			t.Errorf("%s has %d lines; 500 is the most", name, lines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func packages(t *testing.T) map[string]pkg {
	t.Helper()
	out := map[string]pkg{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && name != ".." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "dist") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		file := strings.TrimPrefix(filepath.ToSlash(name), "../")
		room := path.Dir(file)
		p, ok := out[room]
		if !ok {
			p.imports = map[string]bool{}
		}
		p.files = append(p.files, file)
		if f.Doc != nil && len(f.Doc.Text()) > len(p.doc) {
			p.doc = f.Doc.Text()
		}
		for _, i := range f.Imports {
			v, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			p.imports[v] = true
		}
		out[room] = p
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 8 {
		t.Fatalf("found only %v", slices.Collect(maps.Keys(out)))
	}
	return out
}
