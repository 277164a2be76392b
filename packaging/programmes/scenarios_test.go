package programmes_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
)

// Each shipped programme has a folder of scenarios that read like its terms, with what the terms promise inside. What the
// station answers is then recomputed and posted at headquarters, which must come to the same account.
func TestScenariosOfTheShippedProgrammes(t *testing.T) {
	for _, name := range programmes.Names() {
		src, err := programmes.File(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := loyalty.ParseProgramme(src)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join("scenarios", name, "*.yaml"))
		if err != nil || len(files) < 5 {
			t.Errorf("%s has %d scenarios: %v", name, len(files), err)
		}
		for _, file := range files {
			t.Run(name+"/"+strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) { runScenario(t, p, file) })
		}
	}
}

func runScenario(t *testing.T, p *loyalty.Programme, file string) {
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := loyalty.ParseScenario(src)
	if err != nil {
		t.Fatal(err)
	}
	if s.Programme != p.Name {
		t.Errorf("is of programme %q", s.Programme)
	}
	outcomes, err := s.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	hq := loyalty.Record{Account: s.Account.Clone()}
	key := loyalty.CellKey{Station: s.Station, Epoch: 1}
	hq.Cells = map[loyalty.CellKey]loyalty.Rights{key: {Issued: loyalty.MaxAmount}}
	for i := range outcomes {
		o := &outcomes[i]
		for _, w := range o.Wrong {
			t.Errorf("%s: sale %d: %s", s.Title, i+1, w)
		}
		if reflect.DeepEqual(s.Sales[i].Expect, loyalty.Expect{}) {
			t.Errorf("sale %d expects nothing", i+1)
		}
		if o.Refusal != "" || !s.Known {
			continue
		}
		e := &loyalty.Entry{At: s.Sales[i].At, Programme: p.Version, Body: o.Body}
		if f := loyalty.Recheck(p, s.Station, &s.Card, &hq.Account, e); f.Verdict != loyalty.VerdictSame {
			t.Errorf("sale %d: headquarters finds it %s: %s", i+1, f.Verdict, f)
		}
		if over, err := hq.Post(key, loyalty.Seq(i+1), e); err != nil || over != 0 {
			t.Fatalf("headquarters: %v, %s over", err, over)
		}
		if got := hq.Account.Total(s.Sales[i].At); got != o.Total {
			t.Errorf("sale %d: headquarters has %s, the station %s", i+1, got, o.Total)
		}
		at := s.Sales[i].At
		if got := p.Progress(&hq.Account.Standing, at); got != o.Quote.Progress {
			t.Errorf("sale %d: headquarters sees %+v, the station %+v", i+1, got, o.Quote.Progress)
		}
	}
	if err := hq.Check(); err != nil {
		t.Error(err)
	}
}

// The scenarios are worth something only if they can fail: with another programme most of them do.
func TestScenariosTellProgrammesApart(t *testing.T) {
	src, err := programmes.File("bp-club")
	if err != nil {
		t.Fatal(err)
	}
	p, err := loyalty.ParseProgramme(src)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("scenarios/semeynaya-komanda/*.yaml")
	differ := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := loyalty.ParseScenario(b)
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := s.Run(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outcomes {
			differ += len(o.Wrong)
		}
	}
	if differ < len(files) {
		t.Errorf("under another programme %d scenarios differ in %d things only", len(files), differ)
	}
}
