package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// health answers for the station: to the page, to HQ, to Prometheus.
type health struct {
	station  loyalty.StationID
	name     string
	version  string
	started  time.Time
	ledger   *ledger.Ledger
	link     *link
	counters []*counter
	cards    bool // card ranges are configured
	desk     *Desk
	hub      *api.Hub
}

var _ api.Monitor = (*health)(nil)

// Status is the station's health as the page shows it.
func (h *health) Status(context.Context) api.Status {
	s := api.Status{Station: h.station, Name: h.name, Version: h.version, Started: h.started, HQ: h.link.status(), Cards: h.cards}
	for _, k := range h.counters {
		s.Scanners = append(s.Scanners, scannerStatus(k.name, k.scanner.State()))
	}
	st, err := h.ledger.Status()
	s.Ledger = api.LedgerState{Frozen: st.Frozen != "", Full: st.Full, Failed: err != nil, Alarms: len(st.Alarms)}
	if n := len(st.Alarms); n > 0 {
		s.Ledger.Alarm = st.Alarms[n-1].Text
	}
	s.Clock = st.Clock
	if p := h.ledger.Programme(); p != nil {
		s.Programme = &api.Programme{Name: p.Name, Version: p.Version, Title: p.Title}
	}
	return s
}

// state adds to what HQ is told of the station what the link does not know.
func (h *health) state(m *pb.State) {
	if st, err := h.ledger.Status(); err == nil {
		m.Clock, m.DiskFree = uint32(st.Clock), uint64(max(0, st.RoomBytes))
	}
	for _, k := range h.counters {
		s := k.scanner.State()
		m.Scanners = append(m.Scanners, &pb.Scanner{Name: s.Name, Connected: s.Connected})
	}
}

// watchEvery is how often the health is compared with what the page was told.
const watchEvery = 500 * time.Millisecond

// watch tells the page what has changed, until ctx is done.
func (h *health) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := h.Status(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := h.Status(ctx)
		if now.HQ.Online && !told.HQ.Online {
			h.desk.sweep()
		}
		if now.HQ.Online != told.HQ.Online || (now.HQ.Backlog == 0) != (told.HQ.Backlog == 0) {
			h.hub.Publish(api.LinkChanged{Link: now.HQ})
		}
		if now.Ledger != told.Ledger || now.Clock != told.Clock || version(now.Programme) != version(told.Programme) {
			h.hub.Publish(api.StatusChanged{})
		}
		told = now
	}
}

func version(p *api.Programme) uint32 {
	if p == nil {
		return 0
	}
	return p.Version
}

// listenMetrics opens the port for Prometheus, or none.
func listenMetrics(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w (another program? set metrics.listen in the configuration)", err)
	}
	return l, nil
}

// serve answers /metrics and /healthz until ctx is done.
func (h *health) serve(ctx context.Context, l net.Listener) error {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &stationMetrics{h})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", h.healthz)
	srv := &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stopped := context.AfterFunc(ctx, func() { _ = srv.Close() }) // a scrape that is cut off is repeated
	defer stopped()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// healthz is 200 while sales can be booked, and 503 with the reason when they cannot. Being cut off from HQ, or without
// a scanner, is no reason: the station goes on working.
func (h *health) healthz(w http.ResponseWriter, r *http.Request) {
	s := h.Status(r.Context())
	body := struct {
		OK         bool   `json:"ok"`
		Reason     string `json:"reason,omitempty"`
		HQ         bool   `json:"hq_online"`
		Backlog    uint64 `json:"backlog"`
		Programme  uint32 `json:"programme_version"`
		RedeemOff  bool   `json:"redeeming_suspended"`
		DiskFull   bool   `json:"disk_full"`
		ClockState string `json:"clock"`
	}{HQ: s.HQ.Online, Backlog: s.HQ.Backlog, Programme: version(s.Programme), RedeemOff: s.Ledger.Frozen, DiskFull: s.Ledger.Full, ClockState: s.Clock.String()}
	switch {
	case s.Ledger.Failed:
		body.Reason = "the ledger cannot be read: see the log"
	case s.Programme == nil:
		body.Reason = "no programme yet: set programme.file, or let headquarters publish one"
	}
	body.OK = body.Reason == ""
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !body.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // the caller has gone; there is nobody to tell
}

// stationMetrics reads the health anew at each scrape: there is nothing to keep in step.
type stationMetrics struct{ h *health }

var (
	metricOnline    = prometheus.NewDesc("azs_hq_online", "1 while headquarters answers.", nil, nil)
	metricBacklog   = prometheus.NewDesc("azs_backlog_entries", "Journal entries that headquarters has not acknowledged.", nil, nil)
	metricOldest    = prometheus.NewDesc("azs_backlog_oldest_seconds", "Age of the oldest of them.", nil, nil)
	metricEntries   = prometheus.NewDesc("azs_journal_last_seq", "Place of the last journal entry in its epoch.", []string{"epoch"}, nil)
	metricAccounts  = prometheus.NewDesc("azs_ledger_accounts", "Accounts the station knows.", nil, nil)
	metricOpen      = prometheus.NewDesc("azs_sales_open", "Sales opened and not ended.", nil, nil)
	metricFile      = prometheus.NewDesc("azs_ledger_file_bytes", "Size of the ledger's file.", nil, nil)
	metricRoom      = prometheus.NewDesc("azs_ledger_room_bytes", "What may still be written before the ledger is full.", nil, nil)
	metricFrozen    = prometheus.NewDesc("azs_ledger_redeeming_suspended", "1 while the ledger accrues only.", nil, nil)
	metricAlarms    = prometheus.NewDesc("azs_ledger_alarms", "Alarms that no operator has cleared.", nil, nil)
	metricAside     = prometheus.NewDesc("azs_quarantined_entries_total", "Entries that headquarters has set aside.", nil, nil)
	metricErrors    = prometheus.NewDesc("azs_ledger_storage_errors_total", "Commits whose outcome was unknown.", nil, nil)
	metricScanner   = prometheus.NewDesc("azs_scanner_connected", "1 while the scanner's port is open.", []string{"scanner", "counter"}, nil)
	metricFrames    = prometheus.NewDesc("azs_scanner_frames_total", "Frames read.", []string{"scanner", "counter"}, nil)
	metricAsked     = prometheus.NewDesc("azs_statements_total", "Statements of customers that counters asked for, by their scope.", []string{"scope"}, nil)
	metricProgramme = prometheus.NewDesc("azs_programme_version", "Version of the programme in force; 0: none.", nil, nil)
)

// Describe sends nothing: the collector is unchecked, its series depend on the scanners.
func (m *stationMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect reads the health.
func (m *stationMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	s := m.h.Status(context.Background())
	st, err := m.h.ledger.Status()
	if err != nil {
		out <- prometheus.NewInvalidMetric(metricFile, err)
		return
	}
	gauge(metricOnline, flag(s.HQ.Online))
	gauge(metricBacklog, float64(s.HQ.Backlog))
	age := 0.0
	if !s.HQ.Oldest.IsZero() {
		age = max(0, time.Since(s.HQ.Oldest).Seconds())
	}
	gauge(metricOldest, age)
	gauge(metricEntries, float64(st.Position.Last), fmt.Sprint(st.Position.Epoch))
	gauge(metricAccounts, float64(st.Accounts))
	gauge(metricOpen, float64(st.OpenSales))
	gauge(metricFile, float64(st.FileBytes))
	gauge(metricRoom, float64(st.RoomBytes))
	gauge(metricFrozen, flag(st.Frozen != ""))
	gauge(metricAlarms, float64(len(st.Alarms)))
	counter(metricAside, float64(st.Quarantined))
	counter(metricErrors, float64(st.StorageErrors))
	counter(metricAsked, float64(m.h.desk.asked.here.Load()), scopeStation)
	counter(metricAsked, float64(m.h.desk.asked.everywhere.Load()), scopeEverywhere)
	gauge(metricProgramme, float64(version(s.Programme)))
	for _, k := range m.h.counters {
		p := k.scanner.State()
		gauge(metricScanner, flag(p.Connected), p.Name, k.name)
		counter(metricFrames, float64(p.Frames), p.Name, k.name)
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
