package hq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// DailyConfig is what [NewDaily] needs; Books, Catalogue and File are required.
type DailyConfig struct {
	Books     *Books
	Catalogue Catalogue
	// At is the time of day, from midnight.
	At time.Duration
	// Zone is where that midnight is. Default: time.Local.
	Zone *time.Location
	// File remembers when the work was done last. One that is missing or cannot be read is a day that was missed.
	File string
	Log  *slog.Logger
	// Metrics gets what was done. Default: counters that nobody sees.
	Metrics *DailyMetrics
}

// Daily is the scheduled work of headquarters: once a day [Books.Advance].
type Daily struct{ cfg DailyConfig }

// NewDaily makes the scheduled work; Run does it.
func NewDaily(cfg DailyConfig) *Daily {
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewDailyMetrics(prometheus.NewRegistry())
	}
	return &Daily{cfg}
}

const (
	// dailyLook is how often the clock is looked at: it may be set, and the machine may have slept.
	dailyLook = time.Minute
	// dailyRetry is how long a run that failed is left alone.
	dailyRetry = 10 * time.Minute
	// dailyTell is how often a long run says in the log how far it is.
	dailyTell = 10 * time.Second
)

// Run does the work whenever its time has passed since it was done last, also when that was before the start, until ctx is
// done. It returns nil then, and [ErrBroken] when the store has failed; whatever else fails is tried again.
func (d *Daily) Run(ctx context.Context) error {
	last := d.last()
	var wait time.Duration
	for {
		now := d.cfg.Books.cfg.Now()
		switch due := d.due(now); {
		case wait > 0:
			wait -= dailyLook
		case !last.Before(due) && !last.After(now.Add(24*time.Hour)):
		default:
			err := d.once(ctx)
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, ErrBroken):
				return err
			case err != nil:
				d.cfg.Metrics.failed.Inc()
				d.cfg.Log.Error("the daily work was not done", "error", err, "next_try", dailyRetry)
				wait = dailyRetry
			default:
				last = now
				d.note(now)
			}
		}
		pause := time.NewTimer(dailyLook)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

// due is the last moment, up to now, at which the work should have been done.
func (d *Daily) due(now time.Time) time.Time {
	year, month, day := now.In(d.cfg.Zone).Date()
	at := func(day int) time.Time {
		return time.Date(year, month, day, int(d.cfg.At/time.Hour), int(d.cfg.At%time.Hour/time.Minute), 0, 0, d.cfg.Zone)
	}
	if today := at(day); !today.After(now) {
		return today
	}
	return at(day - 1)
}

// once does the work.
func (d *Daily) once(ctx context.Context) error {
	began := time.Now()
	next := began.Add(dailyTell)
	sum, err := d.cfg.Books.Advance(ctx, d.cfg.Catalogue, d.cfg.Books.Now(), func(a Advanced) {
		if now := time.Now(); now.After(next) {
			next = now.Add(dailyTell)
			d.cfg.Log.Info("accounts are being advanced", "accounts", a.Accounts, "changed", a.Changed)
		}
	})
	d.cfg.Metrics.did(&sum)
	if err != nil {
		return err
	}
	took := time.Since(began)
	d.cfg.Metrics.seconds.Set(took.Seconds())
	d.cfg.Metrics.last.Set(float64(d.cfg.Books.Now()) / 1000)
	d.cfg.Log.Info("accounts are advanced", "accounts", sum.Accounts, "changed", sum.Changed, "activated", sum.Activated, "expired", sum.Expired,
		"burned", sum.Burned, "tiers", sum.Tiers, "took", took.Round(time.Millisecond))
	return nil
}

// doneAt is what the file holds.
type doneAt struct {
	Advanced time.Time `json:"advanced"`
}

// last is when the work was done last; zero if nobody knows.
func (d *Daily) last() time.Time {
	b, err := os.ReadFile(d.cfg.File)
	var at doneAt
	if err == nil {
		err = json.Unmarshal(b, &at)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.cfg.Log.Warn("when the daily work was done last cannot be read", "file", d.cfg.File, "error", err)
	}
	return at.Advanced
}

// note remembers when the work was done. Without it the work is done again after the next start, and finds nothing to do.
func (d *Daily) note(at time.Time) {
	b, err := json.Marshal(doneAt{at})
	if err == nil {
		err = os.WriteFile(d.cfg.File+".next", b, 0o600)
	}
	if err == nil {
		err = os.Rename(d.cfg.File+".next", d.cfg.File)
	}
	if err != nil {
		d.cfg.Log.Warn("that the daily work was done is not remembered", "error", fmt.Errorf("write %s: %w", d.cfg.File, err))
	}
}

// DailyMetrics count the scheduled work.
type DailyMetrics struct {
	changed prometheus.Counter
	points  *prometheus.CounterVec
	tiers   prometheus.Counter
	failed  prometheus.Counter
	seconds prometheus.Gauge
	last    prometheus.Gauge
}

// NewDailyMetrics makes the counters in a registry.
func NewDailyMetrics(r prometheus.Registerer) *DailyMetrics {
	m := &DailyMetrics{
		changed: counter("azs_hq_advanced_accounts_total", "Accounts for which the daily work has written something."),
		points:  counters("azs_hq_advanced_points_total", "Points that the daily work has told of: activated, expired, burned.", "what"),
		tiers:   counter("azs_hq_advanced_tiers_total", "Accounts whose tier was another after the daily work."),
		failed:  counter("azs_hq_advance_failures_total", "Runs of the daily work that failed."),
		seconds: gauge("azs_hq_advance_seconds", "How long the last run of the daily work took."),
		last:    gauge("azs_hq_advance_last_timestamp_seconds", "When the daily work was done last, in Unix time; zero: not since the start."),
	}
	r.MustRegister(m.changed, m.points, m.tiers, m.failed, m.seconds, m.last)
	return m
}

func (m *DailyMetrics) did(a *Advanced) {
	m.changed.Add(float64(a.Changed))
	m.tiers.Add(float64(a.Tiers))
	for what, n := range map[string]loyalty.Points{"activated": a.Activated, "expired": a.Expired, "burned": a.Burned} {
		m.points.WithLabelValues(what).Add(float64(n) / 100)
	}
}
