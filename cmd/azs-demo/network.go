package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/mqtt"
	"github.com/azs-edge/azs-edge/sync/mqtt/broker"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// network is everything there is: the broker, headquarters and two stations.
type network struct {
	tell     *teller
	people   people
	broker   *broker.Broker
	store    *embedded.Store
	books    *hq.Books
	receiver *hq.Receiver
	stations []*station
	operator form.Identity // who reads the forms of new customers; headquarters itself cannot
	patience time.Duration // of every wait
	told     atomic.Uint64 // the last position of headquarters' books that was told
}

// openNetwork builds everything in the folder; nothing runs yet.
func openNetwork(ctx context.Context, folder string, tell *teller, log *slog.Logger) (n *network, err error) {
	n = &network{tell: tell, people: newPeople(), patience: 20 * time.Second}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.broker, err = broker.Open(broker.Config{}); err != nil {
		return n, err
	}
	if n.store, err = embedded.Open(embedded.Config{Path: filepath.Join(folder, "hq", "hq.db")}); err != nil {
		return n, err
	}
	n.books = hq.NewBooks(hq.BooksConfig{Store: n.store})
	if err = n.fillBooks(ctx); err != nil {
		return n, err
	}
	dialer, err := mqtt.NewDialer(mqtt.Config{
		Brokers: []string{n.broker.URL()}, ClientID: "azs-hq-demo", Subscribe: wire.HQFilters(0, wire.Shards-1), Log: log,
	})
	if err != nil {
		return n, err
	}
	n.receiver = hq.NewReceiver(hq.Config{Books: n.books, Dialer: dialer, Log: log})
	key, err := n.newOperator()
	if err != nil {
		return n, err
	}
	for number := 1; number <= 2; number++ {
		s, err := newStation(ctx, number, filepath.Join(folder, fmt.Sprintf("station%d", number)), n.broker.URL(), key, n, log)
		if err != nil {
			return n, err
		}
		n.stations = append(n.stations, s)
		if _, err := n.books.Enrol(ctx, loyalty.StationID(number)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// newOperator makes the keys of who reads the forms of new customers, and returns the half that stations seal to.
func (n *network) newOperator() (public string, err error) {
	pair, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("make the key of the forms: %w", err)
	}
	n.operator, err = form.ParseIdentity([]byte(pair.String()))
	return pair.Recipient().String(), err
}

// fillBooks brings the customers in and publishes the programme.
func (n *network) fillBooks(ctx context.Context) error {
	accounts, cards := n.people.books(n.books.Now())
	if _, err := n.books.ImportAccounts(ctx, accounts); err != nil {
		return err
	}
	if _, err := n.books.ImportCards(ctx, cards); err != nil {
		return err
	}
	source, err := programmes.File(programmes.Default)
	if err != nil {
		return err
	}
	_, err = n.books.Publish(ctx, source)
	return err
}

// close ends what openNetwork opened.
func (n *network) close() error {
	var errs []error
	for _, s := range n.stations {
		errs = append(errs, s.close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.broker != nil {
		errs = append(errs, n.broker.Close())
	}
	return errors.Join(errs...)
}

// Run runs headquarters and the stations, plays, and returns after everything has ended in order. The play's error is
// the first of its errors.
func (n *network) Run(ctx context.Context, play func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.receiver.Run(ctx) })
	g.Go(func() error { return n.watch(ctx) })
	for _, s := range n.stations {
		g.Go(func() error { return s.Run(ctx) })
	}
	g.Go(func() error {
		defer end()
		return play(ctx)
	})
	return g.Wait()
}

// ready waits until both stations are attentive, online and have the programme.
func (n *network) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	for _, s := range n.stations {
		r, err := s.attentive(ctx)
		if err != nil {
			return err
		}
		err = await(ctx, fmt.Sprintf("station %d is online and has the programme", s.number), func() (bool, error) {
			st := r.Status()
			return st.HQ.Online && st.Programme != nil, nil
		})
		if err != nil {
			return err
		}
		s.turned(true, func() {})
	}
	return n.posted(ctx)
}

// posted waits until everything in headquarters' books has been told.
func (n *network) posted(ctx context.Context) error {
	return await(ctx, "what headquarters has is told", func() (bool, error) {
		lines, err := n.store.Lines(ctx, n.told.Load(), 1)
		return len(lines) == 0, err
	})
}

// stationClient begins the client id of every station.
const stationClient = "azs-agent-"

// cut parts the stations from headquarters as a digger does: connections end, and no new ones come about.
func (n *network) cut() {
	n.broker.SetAdmission(func(v broker.Visitor) bool { return !strings.HasPrefix(v.Client, stationClient) })
	for _, c := range n.broker.Clients() {
		if strings.HasPrefix(c, stationClient) {
			n.broker.Cut(c)
		}
	}
}

// eventTime is how long a station's word about the line is waited for: it looks twice a second, and says nothing of what
// came and went in between.
const eventTime = time.Second

// noticed waits until every station says that headquarters is in reach, or is not, and tells it.
func (n *network) noticed(ctx context.Context, online bool) error {
	for _, s := range n.stations {
		var l link
		err := await(ctx, fmt.Sprintf("station %d notices that headquarters is in reach (%v)", s.number, online), func() (_ bool, err error) {
			l, err = s.register.link(ctx)
			return l.Online == online, err
		})
		if err != nil {
			return err
		}
		word, cancel := context.WithTimeout(ctx, eventTime)
		err = await(word, "it says so", func() (bool, error) { return s.linked() == online, nil })
		cancel()
		if ctx.Err() != nil {
			return err
		}
		s.turned(online, func() { n.tell.say(voiceOf(s.number), "%s", linkText(l)) })
	}
	return nil
}

// heal mends the line.
func (n *network) heal() { n.broker.SetAdmission(nil) }

// await waits until the condition holds, or says what it waited for.
func await(ctx context.Context, what string, holds func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s: %w", what, ctx.Err())
		}
	}
}
