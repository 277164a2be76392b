package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the JSON Schema files")

// TestSchema makes both schemas from the structs and their comments and holds the files that are embedded to them.
func TestSchema(t *testing.T) {
	g := newSchemaMaker(t)
	for file, root := range map[string]any{
		"agent.schema.json": defaultAgent(unixFolders("azs-agent")),
		"hq.schema.json":    defaultHQ(unixFolders("azs-hq")),
	} {
		schema := g.object(reflect.ValueOf(root))
		schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(schema); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what the struct says: run go generate ./config", file)
		}
	}
}

// TestTags reads every bound on every field: a tag that does not parse would otherwise be a bound of zero.
func TestTags(t *testing.T) {
	var walk func(t *testing.T, ty reflect.Type)
	walk = func(t *testing.T, ty reflect.Type) {
		for i := range ty.NumField() {
			f := ty.Field(i)
			if fieldName(f) == "" {
				t.Errorf("%s.%s has no key", ty.Name(), f.Name)
			}
			for _, tag := range []string{"min", "max"} {
				if text, ok := f.Tag.Lookup(tag); ok && text != "0" && text != "0s" && bound(f.Type, text) <= 0 {
					t.Errorf("%s.%s: %s:%q is not a bound", ty.Name(), f.Name, tag, text)
				}
			}
			switch inner := f.Type; {
			case isScalar(inner):
			case inner.Kind() == reflect.Struct:
				walk(t, inner)
			case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct:
				walk(t, inner.Elem())
			case inner.Kind() == reflect.Slice && isScalar(inner.Elem()):
			default:
				t.Errorf("%s.%s has a type the loader cannot read", ty.Name(), f.Name)
			}
		}
	}
	walk(t, reflect.TypeFor[Agent]())
	walk(t, reflect.TypeFor[HQ]())
}

// schemaMaker turns structs into schemas; descriptions are the comments of the source.
type schemaMaker struct {
	t        *testing.T
	comments map[string]string // "Struct.Field" -> comment
}

func newSchemaMaker(t *testing.T) *schemaMaker {
	g := &schemaMaker{t, map[string]string{}}
	for _, file := range []string{"agent.go", "hq.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						g.comments[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return g
}

func (g *schemaMaker) object(v reflect.Value) map[string]any {
	properties := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		p := g.property(f.Type, f.Tag, v.Field(i))
		doc := g.comments[v.Type().Name()+"."+f.Name]
		if doc == "" {
			g.t.Errorf("%s.%s has no comment", v.Type().Name(), f.Name)
		}
		p["description"] = doc
		properties[fieldName(f)] = p
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

func (g *schemaMaker) property(ty reflect.Type, tag reflect.StructTag, v reflect.Value) map[string]any {
	switch {
	case isScalar(ty):
		return g.scalar(ty, tag, v)
	case ty.Kind() == reflect.Struct:
		return g.object(v)
	case isScalar(ty.Elem()):
		return map[string]any{"type": "array", "maxItems": maxListLength, "items": map[string]any{"type": "string", "maxLength": maxText}}
	}
	element := reflect.New(ty.Elem())
	element.Interface().(interface{ setDefaults() }).setDefaults()
	return map[string]any{"type": "array", "maxItems": maxListLength, "items": g.object(element.Elem())}
}

func (g *schemaMaker) scalar(ty reflect.Type, tag reflect.StructTag, v reflect.Value) map[string]any {
	p := map[string]any{}
	words := strings.Fields(tag.Get("oneof"))
	switch {
	case ty == durationType:
		p["type"], p["pattern"] = "string", `^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)([0-9]+(ms|s|m))*$`
	case ty == reflect.TypeFor[Size]():
		p["type"], p["pattern"] = "string", "^[0-9]+ ?(B|KiB|MiB|GiB)$"
	case ty == reflect.TypeFor[Zone]():
		p["type"], p["pattern"] = "string", "^[+-][0-9]{2}:[0-9]{2}$"
	case ty == reflect.TypeFor[Shards]():
		p["type"], p["pattern"] = "string", "^[0-9]+(-[0-9]+)?(, ?[0-9]+(-[0-9]+)?)*$"
	case ty.Kind() == reflect.Bool:
		p["type"] = "boolean"
	case ty.Kind() == reflect.String:
		p["type"], p["maxLength"] = []string{"string", "integer"}, maxText
		if m := tag.Get("max"); m != "" {
			p["maxLength"], _ = strconv.Atoi(m)
		}
		if pattern := tag.Get("pattern"); pattern != "" {
			p["pattern"] = pattern
		}
		if len(words) > 0 {
			p["type"], p["enum"] = "string", words
		}
	default:
		p["type"] = "integer"
		for name, key := range map[string]string{"min": "minimum", "max": "maximum"} {
			if text, ok := tag.Lookup(name); ok {
				p[key] = bound(ty, text)
			}
		}
		if len(words) > 0 {
			numbers := make([]int, len(words))
			for i, w := range words {
				numbers[i], _ = strconv.Atoi(w)
			}
			p["enum"] = numbers
		}
	}
	if !v.IsZero() || ty.Kind() == reflect.Bool {
		switch {
		case p["type"] == "integer" || p["type"] == "boolean":
			p["default"] = v.Interface()
		case ty == durationType:
			p["default"] = written(v)
		default:
			p["default"] = fmt.Sprint(v.Interface())
		}
	}
	return p
}
