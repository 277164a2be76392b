package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// TestEveryWordOfAScannerWorks holds the words that the configuration accepts to the parts that must understand them: a
// file that passes `config check` must not fail when the agent starts.
func TestEveryWordOfAScannerWorks(t *testing.T) {
	tried := 0
	fields := reflect.TypeFor[config.Scanner]()
	for i := range fields.NumField() {
		f := fields.Field(i)
		for _, word := range strings.Fields(f.Tag.Get("oneof")) {
			tried++
			yaml := fmt.Sprintf("station: {number: 1}\nscanners: [{%s: %s}]\n", f.Tag.Get("yaml"), word)
			c, err := config.ParseAgent("words", []byte(yaml), nil)
			if err != nil {
				t.Errorf("%s: %v", yaml, err)
				continue
			}
			sc, err := agent.ScannerConfig(c.Scanners[0])
			if err == nil {
				_, err = sc.Resolve()
			}
			if err != nil {
				t.Errorf("%s: the scanner does not take it: %v", yaml, err)
			}
			if err := agent.CardConfig(c.Cards, c.Scanners[0]).Validate(); err != nil {
				t.Errorf("%s: the decoder does not take it: %v", yaml, err)
			}
		}
	}
	if tried < 30 {
		t.Errorf("only %d words were tried", tried)
	}
	accepted := strings.Fields(field(t, "Preset").Tag.Get("oneof"))
	for _, name := range scanner.PresetNames() {
		if !strings.Contains(" "+strings.Join(accepted, " ")+" ", " "+name+" ") {
			t.Errorf("the preset %s cannot be configured", name)
		}
	}
}

// TestEveryCheckDigitWorks does the same for card ranges.
func TestEveryCheckDigitWorks(t *testing.T) {
	f, ok := reflect.TypeFor[config.CardRange]().FieldByName("Check")
	if !ok {
		t.Fatal("card ranges have no check")
	}
	for _, word := range strings.Fields(f.Tag.Get("oneof")) {
		r := card.Range{Prefix: "7005", Length: 16, Check: card.Check(word)}
		if err := (card.Config{Ranges: []card.Range{r}}).Validate(); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func field(t *testing.T, name string) reflect.StructField {
	t.Helper()
	f, ok := reflect.TypeFor[config.Scanner]().FieldByName(name)
	if !ok {
		t.Fatalf("a scanner has no %s", name)
	}
	return f
}
