package hq

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the receiver's counters, in a registry of their own.
type Metrics struct {
	Registry *prometheus.Registry

	entries   *prometheus.CounterVec
	groups    prometheus.Counter
	failed    prometheus.Counter
	groupSize prometheus.Histogram
	commit    prometheus.Histogram
	batches   *prometheus.CounterVec
	alarms    *prometheus.CounterVec
	alerts    *prometheus.CounterVec
	rules     ruleNames
	standing  prometheus.Counter
	asks      *prometheus.CounterVec
	asking    prometheus.Histogram
	granted   prometheus.Counter
	dropped   *prometheus.CounterVec
	refused   prometheus.Counter
	online    prometheus.Gauge
	backlog   prometheus.Gauge
}

// NewMetrics makes the counters.
func NewMetrics() *Metrics {
	latency := prometheus.ExponentialBuckets(0.0005, 2, 14)
	m := &Metrics{
		Registry:  prometheus.NewRegistry(),
		entries:   counters("azs_hq_entries_total", "Entries taken into the journal, by what became of them.", "outcome"),
		groups:    counter("azs_hq_groups_total", "Transactions of batches."),
		failed:    counter("azs_hq_failed_groups_total", "Transactions of batches that were not committed."),
		groupSize: histogram("azs_hq_group_entries", "Entries in a transaction.", prometheus.ExponentialBuckets(1, 2, 12)),
		commit:    histogram("azs_hq_commit_seconds", "From taking a group to its acknowledgement.", latency),
		batches:   counters("azs_hq_batches_total", "Batches, by verdict.", "verdict"),
		alarms:    counters("azs_hq_alarms_total", "Things for a person to look at.", "kind"),
		alerts:    counters("azs_hq_alerts_total", "Alerts that stations have raised, by rule.", "rule"),
		standing:  counter("azs_hq_standing_sales_total", "Sales that are priced otherwise here, as what the station had not heard of the account may explain."),
		asks:      counters("azs_hq_asks_total", "Questions answered, by kind.", "kind"),
		asking:    histogram("azs_hq_answer_seconds", "From a question to its answer.", latency),
		granted:   counter("azs_hq_granted_points_total", "Points for which rights were issued."),
		dropped:   counters("azs_hq_dropped_messages_total", "Messages dropped because a queue was full; they come again.", "kind"),
		refused:   counter("azs_hq_refused_messages_total", "Messages that made no sense."),
		online:    gauge("azs_hq_stations_online", "Stations that are connected."),
		backlog:   gauge("azs_hq_backlog_entries", "Entries that connected stations still have to send."),
	}
	m.Registry.MustRegister(m.entries, m.groups, m.failed, m.groupSize, m.commit, m.batches, m.alarms, m.alerts, m.standing, m.asks, m.asking, m.granted,
		m.dropped, m.refused, m.online, m.backlog)
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// Watch makes azs_hq_alarms: how many alarms stand in the books, by kind, read when somebody asks.
func (m *Metrics) Watch(c Catalogue) {
	m.Registry.MustRegister(&standing{catalogue: c, desc: prometheus.NewDesc(
		"azs_hq_alarms", "Alarms in the books, one for each station, kind and epoch; azs-hq alarms list shows them.", []string{"kind"}, nil)})
}

// standing collects the alarms of the books.
type standing struct {
	catalogue Catalogue
	desc      *prometheus.Desc
}

// Describe is what there is to collect.
func (s *standing) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }

// Collect counts the alarms.
func (s *standing) Collect(ch chan<- prometheus.Metric) {
	counts, err := s.catalogue.AlarmCounts(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(s.desc, err)
		return
	}
	for kind, n := range counts {
		ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, float64(n), string(kind))
	}
}

var verdictNames = [...]string{"taken", "gap", "forked", "stranger"}

// group counts what a committed group has done.
func (m *Metrics) group(r *Result, took time.Duration) {
	n := 0
	for o, c := range r.Counts {
		m.entries.WithLabelValues(Outcome(o).String()).Add(float64(c))
		n += c
	}
	m.groups.Inc()
	m.groupSize.Observe(float64(n))
	m.commit.Observe(took.Seconds())
	for _, rule := range r.Alerts {
		m.alerts.WithLabelValues(m.rules.label(rule)).Inc()
	}
	m.standing.Add(float64(r.Standing))
	for i := range r.Receipts {
		m.batches.WithLabelValues(verdictNames[r.Receipts[i].Verdict]).Inc()
	}
}

// ruleNames bounds the names of rules among the metrics: they come from the stations.
type ruleNames struct {
	mu   sync.Mutex
	seen map[string]bool
}

// maxRules is how many names there are beside otherRules.
const (
	maxRules   = 100
	otherRules = "other"
)

func (r *ruleNames) label(rule string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen[rule] {
		if len(r.seen) == maxRules {
			return otherRules
		}
		if r.seen == nil {
			r.seen = map[string]bool{}
		}
		r.seen[rule] = true
	}
	return rule
}

// answered counts an answer.
func (m *Metrics) answered(a *Ask, r *Reply, took time.Duration) {
	m.asks.WithLabelValues(a.kind()).Inc()
	m.asking.Observe(took.Seconds())
	m.granted.Add(float64(r.Granted) / 100)
}
