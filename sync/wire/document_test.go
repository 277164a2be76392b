package wire_test

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/azs-edge/azs-edge/sync/wire"
)

// TestDocuments: the documents beside the package name exactly the kinds there are, with their topics and directions.
func TestDocuments(t *testing.T) {
	text, err := os.ReadFile("../asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		AsyncAPI string
		Channels map[string]struct {
			Address  string
			Messages map[string]any
		}
		Operations map[string]struct{ Action string }
		Components struct{ Messages map[string]any }
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	proto, err := os.ReadFile("azs.proto")
	if err != nil {
		t.Fatal(err)
	}
	if doc.AsyncAPI != "3.0.0" || len(doc.Channels) != len(wire.FromStation())+len(wire.ToStation()) {
		t.Errorf("AsyncAPI %s with %d channels", doc.AsyncAPI, len(doc.Channels))
	}
	check := func(k wire.Kind, action string) {
		c, name := doc.Channels[string(k)], strings.ToUpper(string(k[:1]))+string(k[1:])
		if c.Address != "azs/v1/{shard}/{station}/"+string(k) || len(c.Messages) != 1 {
			t.Errorf("asyncapi.yaml: channel %s is %+v", k, c)
		}
		for m := range c.Messages {
			if !strings.Contains(string(proto), "\nmessage "+m+" {") || doc.Components.Messages[m] == nil {
				t.Errorf("asyncapi.yaml: %s carries %s, which is no message", k, m)
			}
		}
		if got := doc.Operations[action+name].Action; got != action {
			t.Errorf("asyncapi.yaml: operation %s%s is %q", action, name, got)
		}
		if !strings.Contains(string(readme), "| `"+string(k)+"` |") {
			t.Errorf("README.md: no line for %s", k)
		}
	}
	for _, k := range wire.FromStation() {
		check(k, "send")
	}
	for _, k := range wire.ToStation() {
		check(k, "receive")
	}
}
