package hq

import "testing"

// TestImpersonal: how a person is reached is no reason; numbers of letters, calls and tickets, and dates, are.
func TestImpersonal(t *testing.T) {
	for reason, want := range map[string]bool{
		"call 4711": true, "letter 118 of 2026-06-01 12:30": true, "ticket 1234567890": true, "обращение № 8-123/45": true, "order 20260601-0012345": true,
		"+79123456789": false, "call +7 (912) 345-67-89": false, "звонок 8 912 345 67 89": false, "9123456789": false, "+49 30 1234 5678": false,
		"mail of ivan@example.org": false, "89123456789, lost": false,
	} {
		if got := impersonal(reason) == nil; got != want {
			t.Errorf("%q: allowed %v, want %v", reason, got, want)
		}
	}
}
