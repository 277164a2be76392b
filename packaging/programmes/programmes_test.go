package programmes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
)

func TestEveryShippedProgrammeIsValid(t *testing.T) {
	names := programmes.Names()
	if !slices.Contains(names, programmes.Default) {
		t.Fatalf("%v does not hold the default, %s", names, programmes.Default)
	}
	for _, name := range names {
		src, err := programmes.File(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := loyalty.ParseProgramme(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Name != name {
			t.Errorf("%s.yaml calls itself %s", name, p.Name)
		}
	}
}

func TestUnknownProgrammeNamesTheKnown(t *testing.T) {
	_, err := programmes.File("../programmes")
	if err == nil || !strings.Contains(err.Error(), programmes.Default) {
		t.Errorf("got %v, want an error that names %s", err, programmes.Default)
	}
}
