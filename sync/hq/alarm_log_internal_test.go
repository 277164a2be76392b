package hq

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// TestAlarmLog: the log has the first alarm of a station and kind at once, and after that one a minute, with how many there
// were between.
func TestAlarmLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var l alarmLog
	now := time.Unix(1_800_000_000, 0)
	tell := func(station loyalty.StationID, kind AlarmKind) (line string) {
		out.Reset()
		l.tell(log, &Alarm{Station: station, Kind: kind, Text: "x"}, now)
		return out.String()
	}
	for _, of := range []alarmOf{{17, PriceAlarm}, {18, PriceAlarm}, {17, RefundAlarm}} {
		if line := tell(of.station, of.kind); !strings.Contains(line, string(of.kind)) || strings.Contains(line, "not_logged") {
			t.Errorf("the first of %v: %q", of, line)
		}
	}
	for range 120 {
		now = now.Add(alarmPause / 240)
		if line := tell(17, PriceAlarm); line != "" {
			t.Fatal(line)
		}
	}
	now = now.Add(alarmPause / 2)
	if line := tell(17, PriceAlarm); !strings.Contains(line, "not_logged_before=120") {
		t.Fatal(line)
	}
	now = now.Add(alarmPause)
	if line := tell(17, PriceAlarm); line == "" || strings.Contains(line, "not_logged") {
		t.Fatal(line)
	}
}
