package agent

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
)

// TestStatementLeavesATrace: who asked for which card's history stands in the log, with the card masked, and is counted.
func TestStatementLeavesATrace(t *testing.T) {
	d, _, _, log, _ := counterDesk(t)
	if _, err := d.CloseSale(t.Context(), sale("a", 0)); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	q := api.StatementQuery{
		Card: guest, From: loyalty.At(time.Now().Add(-time.Hour)), Until: loyalty.At(time.Now().Add(time.Hour)), Limit: 2,
		Who: loyalty.Who{Cashier: "Ольга", Counter: "2", Shift: 7},
	}
	for _, everywhere := range []bool{false, true, true} {
		if q.Everywhere = everywhere; everywhere {
			q.Cashier = "Пётр"
		}
		if _, err := d.Statement(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	q.Before = "hq:5"
	if _, err := d.Statement(t.Context(), q); !errors.Is(err, loyalty.Offline) {
		t.Fatalf("a page of headquarters': %v", err)
	}
	var traces []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "a statement was asked for") {
			traces = append(traces, line)
		}
	}
	if len(traces) != 4 {
		t.Fatalf("logged:\n%s", log)
	}
	for i, words := range [][]string{
		{"level=INFO", "cashier=Ольга", "counter=2", "shift=7", "scope=station", "operations=1"},
		{"cashier=Пётр", "scope=everywhere", "operations=1"}, {"scope=everywhere"}, {"scope=everywhere", "code=hq_out_of_reach"},
	} {
		for _, w := range append(words, guest.String()) {
			if !strings.Contains(traces[i], w) {
				t.Errorf("trace %d has no %s: %s", i, w, traces[i])
			}
		}
	}
	if strings.Contains(log.String(), string(guest)) {
		t.Error("the log holds the card's number")
	}

	h := &health{ledger: d.ledger, hub: api.NewHub(), desk: d, started: time.Now()}
	var err error
	if h.link, err = newLink(&Config{}, d.ledger, h.state); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(&stationMetrics{h})
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`azs_statements_total{scope="station"} 1`, `azs_statements_total{scope="everywhere"} 3`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
}
