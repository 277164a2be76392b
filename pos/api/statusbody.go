package api

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

type statusBody struct {
	Station    stationBody    `json:"station"`
	HQ         linkBody       `json:"hq"`
	Scanners   []scannerBody  `json:"scanners" nullable:"false"`
	Cards      bool           `json:"cards_configured" doc:"false: the configuration names no card ranges, and no scan can be a card"`
	Clock      string         `json:"clock" enum:"good,unsure,behind,ahead" doc:"unsure: headquarters not heard since the start. behind, ahead: the station's clock is wrong"`
	Ledger     ledgerBody     `json:"ledger"`
	Programme  *programmeBody `json:"programme,omitempty" doc:"Absent: none has come from headquarters yet"`
	Unresolved int            `json:"unresolved_sales" doc:"Sales opened and neither closed nor void, counted up to 1000"`
	Since      *time.Time     `json:"unresolved_since,omitempty" doc:"When the oldest of them was opened"`
	Fuels      []string       `json:"fuels" nullable:"false" doc:"Grades offered by the page's own form"`
	Now        time.Time      `json:"now"`
}

type stationBody struct {
	Number  uint32     `json:"number"`
	Name    string     `json:"name,omitempty"`
	Version string     `json:"agent_version"`
	Started *time.Time `json:"started,omitempty"`
}

type linkBody struct {
	Configured bool       `json:"configured" doc:"false: the station works alone"`
	Online     bool       `json:"online" doc:"Headquarters itself answers, not only a broker"`
	Since      *time.Time `json:"since,omitempty"`
	Backlog    uint64     `json:"backlog_entries" doc:"Entries that headquarters has not acknowledged"`
	Oldest     *time.Time `json:"oldest_unsent,omitempty"`
	Reason     string     `json:"reason,omitempty" doc:"For a technician"`
}

func linkBodyOf(l Link) linkBody {
	return linkBody{
		Configured: l.Configured, Online: l.Online, Since: timeOrNil(l.Since), Backlog: l.Backlog, Oldest: timeOrNil(l.Oldest),
		Reason: l.Reason,
	}
}

type scannerBody struct {
	Name      string     `json:"name"`
	Counter   string     `json:"counter"`
	Connected bool       `json:"connected"`
	Since     *time.Time `json:"since,omitempty"`
	Reason    string     `json:"reason,omitempty" doc:"For a technician"`
}

func scannerBodyOf(s Scanner) scannerBody {
	return scannerBody{s.Name, s.Counter, s.Connected, timeOrNil(s.Since), s.Reason}
}

type ledgerBody struct {
	Frozen bool   `json:"frozen" doc:"Accrues only, until headquarters has reconciled it"`
	Full   bool   `json:"full" doc:"The disk is full"`
	Failed bool   `json:"failed" doc:"The disk failed"`
	Alarms int    `json:"alarms" minimum:"0" doc:"What an operator must look at, until azs-agent journal alarms --clear"`
	Alarm  string `json:"alarm,omitempty" doc:"The newest of them, for a technician"`
}

type programmeBody struct {
	Name    string       `json:"name"`
	Version uint32       `json:"version"`
	Title   loyalty.Text `json:"title"`
}

func statusBodyOf(s Status, open []*loyalty.Sale, fuels []string, now time.Time) statusBody {
	b := statusBody{
		Station:  stationBody{uint32(s.Station), s.Name, s.Version, timeOrNil(s.Started)},
		HQ:       linkBodyOf(s.HQ),
		Scanners: make([]scannerBody, len(s.Scanners)),
		Cards:    s.Cards,
		Clock:    clockName(s.Clock), Ledger: ledgerBody(s.Ledger),
		Unresolved: len(open), Fuels: append([]string{}, fuels...), Now: now,
	}
	for i, x := range s.Scanners {
		b.Scanners[i] = scannerBodyOf(x)
	}
	if len(open) > 0 {
		b.Since = moment(open[0].OpenedAt, now.Location())
	}
	if p := s.Programme; p != nil {
		b.Programme = &programmeBody{p.Name, p.Version, p.Title}
	}
	return b
}

func clockName(m loyalty.ClockMark) string {
	switch m {
	case loyalty.ClockGood:
		return "good"
	case loyalty.ClockBehind:
		return "behind"
	case loyalty.ClockAhead:
		return "ahead"
	default:
		return "unsure"
	}
}
