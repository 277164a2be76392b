package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// stationStatus is what the verb reads of the API's answer; the rest of it is passed on as it is by --json.
type stationStatus struct {
	Station struct {
		Number  uint32    `json:"number"`
		Name    string    `json:"name"`
		Version string    `json:"agent_version"`
		Started time.Time `json:"started"`
	} `json:"station"`
	HQ struct {
		Configured bool      `json:"configured"`
		Online     bool      `json:"online"`
		Since      time.Time `json:"since"`
		Backlog    uint64    `json:"backlog_entries"`
		Reason     string    `json:"reason"`
	} `json:"hq"`
	Scanners []struct {
		Name      string `json:"name"`
		Counter   string `json:"counter"`
		Connected bool   `json:"connected"`
		Reason    string `json:"reason"`
	} `json:"scanners"`
	Cards  bool   `json:"cards_configured"`
	Clock  string `json:"clock"`
	Ledger struct {
		Frozen bool   `json:"frozen"`
		Full   bool   `json:"full"`
		Failed bool   `json:"failed"`
		Alarms int    `json:"alarms"`
		Alarm  string `json:"alarm"`
	} `json:"ledger"`
	Programme *struct {
		Name    string `json:"name"`
		Version uint32 `json:"version"`
	} `json:"programme"`
	Unresolved int `json:"unresolved_sales"`
}

func newStatusCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the running agent is",
		Long: `Asks the running agent of this machine, through its API, how it is: headquarters, scanners, ledger,
programme, sales that were never closed.

Exit status: 0 the agent answers, 1 it does not, 78 the configuration is wrong.`,
		Example: `  azs-agent status
  azs-agent status --json | jq .hq.backlog_entries`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			raw, err := askAgent(cmd.Context(), c, http.MethodGet, "/v1/status")
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, json.RawMessage(raw))
			}
			var s stationStatus
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("the agent's answer is not understood: %w", err)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), s.text(time.Now()))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's answer")
	return cmd
}

// text is the status for a person at a terminal.
func (s *stationStatus) text(now time.Time) string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", what, fmt.Sprintf(format, args...))
	}
	line("station", "%d %s", s.Station.Number, s.Station.Name)
	line("agent", "%s, running for %s", s.Station.Version, now.Sub(s.Station.Started).Round(time.Second))
	switch {
	case !s.HQ.Configured:
		line("headquarters", "none is configured: the station works alone")
	case s.HQ.Online:
		line("headquarters", "in reach since %s, %d entries not acknowledged", s.HQ.Since.Local().Format(time.DateTime), s.HQ.Backlog)
	default:
		line("headquarters", "OUT OF REACH, %d entries wait (%s)", s.HQ.Backlog, orElse(s.HQ.Reason, "no reason was given"))
	}
	for _, sc := range s.Scanners {
		if sc.Connected {
			line("scanner", "%s at counter %s: connected", sc.Name, sc.Counter)
		} else {
			line("scanner", "%s at counter %s: NOT CONNECTED (%s)", sc.Name, sc.Counter, orElse(sc.Reason, "not opened yet"))
		}
	}
	if !s.Cards && len(s.Scanners) > 0 {
		line("cards", "NONE: set cards.ranges in the configuration, or no number that is scanned is a card")
	}
	if s.Programme == nil {
		line("programme", "NONE: headquarters has not sent one, and the configuration names no file")
	} else {
		line("programme", "%s, version %d", s.Programme.Name, s.Programme.Version)
	}
	switch {
	case s.Ledger.Failed:
		line("ledger", "FAILED: see the log")
	case s.Ledger.Full:
		line("ledger", "FULL: redeeming is refused until there is room")
	case s.Ledger.Frozen:
		line("ledger", "accrues only until headquarters has reconciled it")
	default:
		line("ledger", "works")
	}
	if s.Ledger.Alarms > 0 {
		line("alarms", "%d, the newest: %s (azs-agent journal alarms lists and clears them)", s.Ledger.Alarms, s.Ledger.Alarm)
	}
	line("clock", "%s", s.Clock)
	if s.Unresolved > 0 {
		line("sales", "%d opened and never closed: the cashier's page lists them", s.Unresolved)
	}
	return b.String()
}
