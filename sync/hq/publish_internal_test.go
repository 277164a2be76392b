package hq

import (
	"errors"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// TestImpersonal: how a person is reached is no reason; numbers of letters, calls and tickets, and dates, are. A number as
// long as a telephone's needs a word of what it numbers right before it.
func TestImpersonal(t *testing.T) {
	for reason, want := range map[string]bool{
		"call 4711": true, "letter 118 of 2026-06-01 12:30": true, "ticket 1234567890": true, "обращение № 8-123/45": true, "order 20260601-0012345": true,
		"+79123456789": false, "call +7 (912) 345-67-89": false, "звонок 8 912 345 67 89": false, "9123456789": false, "+49 30 1234 5678": false,
		"mail of ivan@example.org": false, "89123456789, lost": false,
		// Numbers of things, as long as a telephone's.
		"№ 9123456789": true, "№89123456789": true, "#79123456789": true, "чек 89123456789": true, "по чеку 9123456789": true,
		"Счёт 9123456789": true, "счет9123456789": true, "письмо № ВХ-9123456789": true, "ОБРАЩЕНИЕ 9123456789": true, "заявка 912-345-6789": true,
		"letter 9123456789": true, "Ticket 9123456789": true, "call 9123456789": true, "receipt 7912345/6789": true, "account 9123456789, act 8912345678": true,
		"order 9123456789": false, "contact 9123456789": false, "recall 89123456789": false, "учёт 9123456789": false, "№ 12, 89123456789": false,
		"№ +79123456789": false, "call+79123456789": false, "№ 1+79123456789": false, "receipt 8 912 345 67 89": false, "№ 7 (912) 345-67-89": false,
		"letter ivan@example.org": false, "№1@example.org": false,
	} {
		err := impersonal(reason)
		if got := err == nil; got != want {
			t.Errorf("%q: allowed %v, want %v", reason, got, want)
		}
		if err != nil && (!errors.Is(err, loyalty.BadRequest) || !strings.Contains(err.Error(), "write № before its number")) {
			t.Errorf("%q: %v", reason, err)
		}
	}
}
