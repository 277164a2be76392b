package main

import (
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// calendarWords says in which time zone days and moments are.
const calendarWords = "Days and moments are those of the programme's calendar, with its distance from UTC; JSON has them in UTC."

// inZone shows a moment of the API in the programme's calendar, to the second; what is none stays as it is.
func inZone(zone *time.Location, moment string) string {
	t, err := time.Parse(time.RFC3339Nano, moment)
	if err != nil {
		return moment
	}
	return t.In(zone).Format(time.RFC3339)
}

// span are the flags --from and --until. Days among them begin when they begin in the programme's calendar, which has to
// be asked for.
type span struct{ from, until string }

// check refuses what is neither a day nor a moment, whatever the calendar is.
func (s span) check() error {
	_, _, err := s.in(time.UTC)
	return err
}

func (s span) in(zone *time.Location) (from, until loyalty.Instant, err error) {
	if from, err = moment(s.from, zone); err != nil {
		return 0, 0, err
	}
	until, err = moment(s.until, zone)
	return from, until, err
}
