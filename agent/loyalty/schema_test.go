package loyalty_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
)

type schema struct {
	Ref        string            `json:"$ref"`
	Defs       map[string]schema `json:"$defs"`
	Properties map[string]schema
	Additional json.RawMessage `json:"additionalProperties"`
	Items      *schema
	AnyOf      []schema
	Enum       []any
	Pattern    string
	Required   []string
	Type       any
}

func programmeSchema(t *testing.T) schema {
	t.Helper()
	var s schema
	if err := json.Unmarshal(loyalty.ProgrammeJSONSchema, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// holds is as much of JSON Schema as the programme's schema uses.
func (s schema) holds(root schema, path string, v any) (wrong []string) {
	if s.Ref != "" {
		return root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")].holds(root, path, v)
	}
	bad := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	if len(s.AnyOf) > 0 {
		for _, a := range s.AnyOf {
			if len(a.holds(root, path, v)) == 0 {
				return nil
			}
		}
		bad("is none of what it may be")
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		bad("%v is none of %v", v, s.Enum)
	}
	if text, ok := v.(string); ok && s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(text) {
		bad("%q does not match %s", text, s.Pattern)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, r := range s.Required {
			if _, there := v[r]; !there {
				bad("%s is missing", r)
			}
		}
		for k, x := range v {
			p, known := s.Properties[k]
			if !known && string(s.Additional) == "false" {
				bad("%s is not a key of the schema", k)
			}
			wrong = append(wrong, p.holds(root, path+"."+k, x)...)
		}
	case []any:
		for i, x := range v {
			if s.Items != nil {
				wrong = append(wrong, s.Items.holds(root, fmt.Sprintf("%s[%d]", path, i), x)...)
			}
		}
	}
	return wrong
}

// everything is a programme file with every key there is.
const everything = "testdata/everything.yaml"

// What the reader takes, the schema takes.
func TestSchemaTakesGoodProgrammes(t *testing.T) {
	s := programmeSchema(t)
	src, err := os.ReadFile(everything)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{everything: src}
	for _, name := range programmes.Names() {
		if files[name], err = programmes.File(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, src := range files {
		if _, err := loyalty.ParseProgramme(src); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var doc any
		if err := yaml.Unmarshal(src, &doc); err != nil {
			t.Fatal(err)
		}
		for _, w := range s.holds(s, name, doc) {
			t.Error(w)
		}
	}
}

// Every key of the schema is a key that the reader knows: the file with everything, and one that expires by months, hold
// them all.
func TestSchemaHasNoOtherKeys(t *testing.T) {
	src, err := os.ReadFile(everything)
	if err != nil {
		t.Fatal(err)
	}
	months, err := programmes.File("monthly-tiers")
	if err != nil {
		t.Fatal(err)
	}
	src = append(src, months...)
	root := programmeSchema(t)
	var walk func(s schema, path string)
	walk = func(s schema, path string) {
		if s.Ref != "" {
			s = root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		}
		for _, k := range slices.Sorted(maps.Keys(s.Properties)) {
			if !regexp.MustCompile(`(^|[\s{,])` + k + `:`).Match(src) {
				t.Errorf("%s.%s is in no file", path, k)
			}
			walk(s.Properties[k], path+"."+k)
		}
		if s.Items != nil {
			walk(*s.Items, path+"[]")
		}
	}
	walk(root, "")
}
