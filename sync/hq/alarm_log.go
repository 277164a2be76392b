package hq

import (
	"log/slog"
	"sync"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// alarmPause is how long the log is silent about more alarms of one station and kind. All of them are counted, in the books
// and in the metrics.
const alarmPause = time.Minute

// alarmLog tells alarms in the log: a station that prices every sale wrongly raises one with every sale. The zero value is
// ready. It is safe for concurrent use.
type alarmLog struct {
	mu   sync.Mutex
	told map[alarmOf]*toldAlarm
}

type alarmOf struct {
	station loyalty.StationID
	kind    AlarmKind
}

type toldAlarm struct {
	at     time.Time // when the log last said it
	silent int       // how many it has not said since
}

// tell writes an alarm to the log, unless one of its station and kind was written less than a minute ago.
func (l *alarmLog) tell(log *slog.Logger, a *Alarm, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := alarmOf{a.Station, a.Kind}
	t := l.told[of]
	switch {
	case t == nil:
		if l.told == nil {
			l.told = map[alarmOf]*toldAlarm{}
		}
		t = &toldAlarm{}
		l.told[of] = t
	case now.Sub(t.at) < alarmPause:
		t.silent++
		return
	}
	args := []any{"station", a.Station, "kind", a.Kind, "text", a.Text}
	if t.silent > 0 {
		args = append(args, "not_logged_before", t.silent)
	}
	log.Error("alarm", args...)
	*t = toldAlarm{at: now}
}
