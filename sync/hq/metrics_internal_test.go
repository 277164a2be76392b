package hq

import (
	"fmt"
	"testing"
)

// TestRuleNamesAreBounded: stations name the rules, and cannot make the metrics grow for ever.
func TestRuleNamesAreBounded(t *testing.T) {
	var r ruleNames
	labels := map[string]bool{}
	for round := range 2 {
		for i := range 3 * maxRules {
			label := r.label(fmt.Sprint("rule ", i))
			labels[label] = true
			if want := fmt.Sprint("rule ", i); i < maxRules && label != want || i >= maxRules && label != otherRules {
				t.Fatalf("round %d: %q under %q", round, want, label)
			}
		}
	}
	if len(labels) != maxRules+1 {
		t.Fatalf("%d labels", len(labels))
	}
}
