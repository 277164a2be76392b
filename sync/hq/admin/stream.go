package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// poll is how often a stream that is followed looks for more.
const poll = 200 * time.Millisecond

// stream writes what headquarters have taken in.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) error {
	return h.lines(w, r, h.Catalogue.Lines, func(*Line) bool { return true })
}

// RefusedCard is the rule under which alerts tell of cards that were given out and may not be, and of what was sold to them.
const RefusedCard = "card-refused"

// Rule is what an alert was raised for; empty for what is none.
func (l *Line) Rule() string {
	switch {
	case !l.Alert || l.Entry == nil:
		return ""
	case l.Entry.Kind == "card_issued", strings.HasPrefix(l.Reason, string(loyalty.CardTaken)):
		return RefusedCard
	case l.Entry.Kind == "shift_closed":
		return loyalty.AlertShiftDiffers
	case l.Entry.MoreEntry == nil:
		return ""
	}
	return l.Entry.MoreEntry.Rule
}

// beside tells whether the line is the alert that a station writes beside the shift it closes, which says it all and is told
// itself.
func (l *Line) beside() bool {
	return l.Entry != nil && l.Entry.Kind == "alerted" && l.Rule() == loyalty.AlertShiftDiffers
}

// alerts writes what a person should look at, of one station or rule if asked for.
func (h *handler) alerts(w http.ResponseWriter, r *http.Request) error {
	station, err := number(r, "station", 0)
	if err != nil {
		return err
	}
	rule := r.URL.Query().Get("rule")
	if len(rule) > loyalty.MaxRuleName {
		return fmt.Errorf("%w: the name of a rule has at most %d bytes", loyalty.BadRequest, loyalty.MaxRuleName)
	}
	return h.lines(w, r, h.Catalogue.AlertLines, func(l *Line) bool {
		return !l.beside() && (station == 0 || l.Station == loyalty.StationID(station)) && (rule == "" || l.Rule() == rule)
	})
}

// lines writes JSON lines from a position on, and goes on for ever if asked to follow.
func (h *handler) lines(w http.ResponseWriter, r *http.Request, read func(context.Context, uint64, int) ([]*hq.Line, error), wanted func(*Line) bool) error {
	after, err := number(r, "after", 0)
	if err != nil {
		return err
	}
	follow := r.URL.Query().Get("follow") == "true"
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		lines, err := read(r.Context(), after, maxPage)
		if err != nil {
			return err
		}
		for _, l := range lines {
			after = l.Pos
			v := lineOf(l)
			if !wanted(&v) {
				continue
			}
			if err := enc.Encode(v); err != nil {
				return nil // the caller has gone
			}
		}
		if len(lines) == maxPage {
			continue
		}
		if !follow {
			return nil
		}
		if len(lines) > 0 {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return nil // the caller has gone
			}
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return nil
		}
	}
}
