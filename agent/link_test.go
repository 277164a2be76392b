package agent

import (
	"testing"

	"github.com/azs-edge/azs-edge/sync/uplink"
)

func TestWhyOffline(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    uplink.Status
		want string
	}{
		{"works", uplink.Status{Connected: true, Online: true, LastError: "of the session before"}, ""},
		{"silent", uplink.Status{Connected: true, LastError: "of the session before"}, HQSilent},
		{"no broker", uplink.Status{LastError: "dial tcp: refused"}, "dial tcp: refused"},
		{"just started", uplink.Status{}, "no broker is reached yet"},
		{"alarm", uplink.Status{Connected: true, Alarm: uplink.UnknownStation}, string(uplink.UnknownStation)},
	} {
		if got := whyOffline(tt.s); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
