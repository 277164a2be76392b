package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/mqtt"
	"github.com/azs-edge/azs-edge/sync/uplink"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// link is the way to HQ, or none where the settings name no broker.
type link struct {
	up *uplink.Uplink // nil: the station works alone
}

var _ headquarters = (*link)(nil)

// newLink builds the way to HQ; health fills in what only the agent knows of its state.
func newLink(cfg *Config, l *ledger.Ledger, health func(*pb.State)) (*link, error) {
	s := cfg.Settings
	station := loyalty.StationID(s.Station.Number)
	dialer := cfg.Dialer
	if dialer == nil && len(s.HQ.Brokers) > 0 {
		var err error
		dialer, err = mqtt.NewDialer(mqtt.Config{
			Brokers: s.HQ.Brokers, ClientID: fmt.Sprintf("azs-agent-%d", station), Subscribe: wire.StationFilters(station),
			Username: s.HQ.Username, PasswordFile: s.HQ.PasswordFile,
			TLS:       mqtt.TLS{CAFile: s.HQ.CAFile, CertFile: s.HQ.CertFile, KeyFile: s.HQ.KeyFile},
			KeepAlive: s.HQ.KeepAlive, Log: cfg.Log,
		})
		if err != nil {
			return nil, err
		}
	}
	if dialer == nil {
		return &link{}, nil
	}
	c := uplink.Config{
		Station: station, Journal: l, Mirror: l, Dialer: dialer, Version: cfg.Version, Health: health, Log: cfg.Log,
		AskDeadline: s.HQ.AskDeadline, Linger: s.HQ.Linger,
	}
	if c.Linger == 0 {
		c.Linger = -1
	}
	if cfg.Eager {
		c.FirstWait, c.BackoffMax = -1, 2*time.Second
	}
	up, err := uplink.New(c)
	return &link{up: up}, err
}

// Run keeps the link up until ctx is done.
func (k *link) Run(ctx context.Context) error {
	if k.up == nil {
		<-ctx.Done()
		return nil
	}
	return k.up.Run(ctx)
}

// Ask puts a question to HQ.
func (k *link) Ask(ctx context.Context, q *pb.Ask) (*pb.Answer, error) {
	if k.up == nil {
		return nil, loyalty.Offline
	}
	return k.up.Ask(ctx, q)
}

// Online tells whether HQ answered lately.
func (k *link) Online() bool { return k.up != nil && k.up.Online() }

func (k *link) status() api.Link {
	if k.up == nil {
		return api.Link{}
	}
	s := k.up.Status()
	out := api.Link{Configured: true, Online: s.Online, Since: s.Since, Backlog: s.Backlog}
	if s.Oldest != 0 {
		out.Oldest = s.Oldest.Time()
	}
	out.Reason = whyOffline(s)
	return out
}

// HQSilent is the reason where the carrier works and headquarters says nothing over it.
const HQSilent = "the broker is reached, headquarters does not answer"

// whyOffline is what a technician is told of a link that does not work; empty: it works.
func whyOffline(s uplink.Status) string {
	switch {
	case s.Alarm != uplink.NoAlarm:
		return string(s.Alarm)
	case s.Online:
		return ""
	case s.Connected:
		return HQSilent
	case s.LastError != "":
		return s.LastError
	}
	return "no broker is reached yet"
}
