package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

func (d *doctor) checkConfig(context.Context) []finding {
	found := []finding{judgeConfig(d.advice, d.path, d.cfg.Station.Number, d.cfgErr)}
	if d.cfgErr == nil && d.account != nil {
		if denied := d.account.stoppedAt(d.path, mayRead); denied != "" {
			found = append(found, judgeSecret(d.advice, secretFacts{name: "configuration", path: d.path, denied: denied}))
		}
	}
	return found
}

func (d *doctor) checkCards(context.Context) []finding {
	return judgeCards(d.advice, d.cfg.Cards, len(d.cfg.Scanners))
}

func (d *doctor) checkSecrets(context.Context) []finding {
	found := []finding{judgeSecret(d.advice, d.secret("token", d.cfg.API.TokenFile, api.MinToken))}
	if path := d.cfg.HQ.PasswordFile; path != "" {
		found = append(found, judgeSecret(d.advice, d.secret("password", path, 1)))
	}
	if path := d.cfg.HQ.KeyFile; path != "" {
		found = append(found, judgeSecret(d.advice, d.secret("key", path, 1)))
	}
	return found
}

// secret looks at a file with a secret of at least some bytes, and forgets the secret.
func (d *doctor) secret(name, path string, least int) secretFacts {
	f := secretFacts{name: name, path: path}
	secret, err := config.ReadSecret(path)
	switch {
	case err != nil:
		f.err = err
	case len(secret) < least:
		f.err = fmt.Errorf("%s is too short to be a secret: %d bytes, want at least %d", path, len(secret), least)
	}
	if info, err := os.Stat(path); err == nil {
		f.mode = info.Mode()
	}
	if f.err == nil && d.account != nil {
		f.denied = d.account.stoppedAt(path, mayRead)
	}
	return f
}

// probeService asks the service manager.
func probeService(ctx context.Context, configFile string) serviceFacts {
	control, err := newServiceControl(configFile)
	if err != nil {
		return serviceFacts{err: errors.Join(errNoManager, err)}
	}
	s, err := control.Status(ctx)
	return serviceFacts{s, err}
}

func (d *doctor) checkService(context.Context) []finding {
	return judgeService(d.advice, d.service, d.agent.status != nil)
}

// probeAgent asks the agent how it is, and where none answers, whether somebody else has its place.
func probeAgent(ctx context.Context, c config.Agent) agentFacts {
	f := agentFacts{address: c.API.Listen}
	raw, err := askAgent(ctx, c, http.MethodGet, "/v1/status")
	if err == nil {
		f.status = &stationStatus{}
		if err = json.Unmarshal(raw, f.status); err == nil {
			return f
		}
		f.status, err = nil, fmt.Errorf("its answer is not understood: %w", err)
	}
	f.err = err
	for _, address := range []string{c.API.Listen, c.Metrics.Listen} {
		if address == "" {
			continue
		}
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address); err == nil {
			_ = conn.Close() // nothing was sent over it
			f.taken = append(f.taken, address)
		}
	}
	return f
}

func (d *doctor) checkAgent(context.Context) []finding {
	return judgeAgent(d.advice, d.agent, d.service, d.cfg.Station.Number, buildVersion().Version, time.Now())
}

func (d *doctor) checkClock(context.Context) []finding {
	f := clockFacts{now: time.Now()}
	f.built, _ = time.Parse(time.RFC3339, buildVersion().Date) // zero where the build does not know
	f.known, f.synced = clockSynced()
	if st := d.agent.status; st != nil {
		f.mark = st.Clock
	}
	return []finding{judgeClock(d.advice, f)}
}

func (d *doctor) checkHQ(context.Context) []finding {
	return judgeHQ(d.advice, d.agent.status, d.cfg.Station.Number)
}

func (d *doctor) checkProgramme(context.Context) []finding {
	f := programmeFacts{status: d.agent.status, file: d.cfg.Programme.File}
	if f.status == nil && f.file != "" {
		f.err = readProgrammeFile(f.file)
	}
	return judgeProgramme(d.advice, f)
}

// readProgrammeFile parses a programme file as the agent does at its start.
func readProgrammeFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	src, err := io.ReadAll(io.LimitReader(f, loyalty.MaxProgramme+1))
	if err != nil {
		return err
	}
	_, err = loyalty.ParseProgramme(src)
	return err
}

// checkStorage looks at the disk, times it, and then reads the ledger, in this order.
func (d *doctor) checkStorage(ctx context.Context) []finding {
	disk := d.probeDisk()
	found := []finding{judgeDisk(d.advice, disk)}
	if disk.err == nil {
		folder := filepath.Dir(disk.path)
		found = append(found, judgeSync(d.advice, probeSync(ctx, folder)))
		found = append(found, judgeFastCommit(probeFastCommit(folder))...)
	}
	if disk.err != nil && d.agent.status == nil {
		return found // the disk's line says why there is no ledger to read
	}
	return append(found, judgeLedger(d.advice, d.probeLedger(ctx)))
}

func (d *doctor) probeDisk() diskFacts {
	f := diskFacts{path: d.cfg.Ledger.Path, limit: int64(d.cfg.Ledger.MaxSize), known: serviceUser() != nil}
	f.absent = d.service.err == nil && d.service.State == stateAbsent
	folder := filepath.Dir(f.path)
	if _, f.err = os.Stat(folder); f.err != nil {
		return f
	}
	if info, err := os.Stat(f.path); err == nil {
		f.size = info.Size()
	}
	f.free, f.kind, f.err = diskOf(folder)
	if d.account != nil && f.err == nil {
		f.denied = d.account.stoppedAt(folder, mayChange)
		if f.denied == "" && f.size > 0 {
			f.denied = d.account.stoppedAt(f.path, mayWrite)
		}
	}
	return f
}

// How long, and how often, the disk is timed.
const (
	syncTimes = 20
	syncFor   = 5 * time.Second
)

// probeSync writes 4 KiB over themselves, as the ledger writes its pages, and waits each time until they are on the disk.
func probeSync(ctx context.Context, folder string) (f syncFacts) {
	f.folder = folder
	file, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		f.err = fmt.Errorf("timing the disk: %w", err)
		return f
	}
	defer func() {
		if err := errors.Join(file.Close(), removeLate(file.Name())); err != nil && f.err == nil {
			f.err = fmt.Errorf("timing the disk: %w", err)
		}
	}()
	removeEarly(file.Name())
	page := make([]byte, 4096)
	end := time.Now().Add(syncFor)
	// The first write makes the file longer and is not counted: the ledger's file grows rarely.
	for i := range syncTimes + 1 {
		page[0] = byte(i)
		start := time.Now()
		_, err := file.WriteAt(page, 0)
		if err := errors.Join(err, syncData(file)); err != nil {
			f.err = fmt.Errorf("timing the disk: %w", err)
			return f
		}
		if i > 0 {
			f.times = append(f.times, time.Since(start))
		}
		if len(f.times) > 0 && (time.Now().After(end) || ctx.Err() != nil) {
			break
		}
	}
	return f
}

// probeLedger takes the running agent's word, or reads the file through while nobody writes it.
func (d *doctor) probeLedger(ctx context.Context) ledgerFacts {
	f := ledgerFacts{path: d.cfg.Ledger.Path, status: d.agent.status, station: d.cfg.Station.Number}
	if f.status != nil {
		return f
	}
	if _, err := os.Stat(f.path); err != nil {
		f.missing = errors.Is(err, fs.ErrNotExist)
		f.err = err
		return f
	}
	if p, held := d.ledgerHolder(); held {
		f.holder = p.String()
		return f
	}
	if d.service.runs() { // it is about to open the file, or the system does not tell who has
		f.holder = "the service"
		return f
	}
	f.report, f.err = ledger.CheckFile(ctx, f.path, func(n uint64) { f.records = n })
	f.late = errors.Is(f.err, context.DeadlineExceeded)
	if p, held := d.ledgerHolder(); held {
		f.holder = p.String() // an agent that started meanwhile has changed the file under the reader
	}
	return f
}

// ledgerHolder is the process that has the ledger open, as far as the system tells. The lock itself is not tried: an agent
// that starts at that moment would find it taken.
func (d *doctor) ledgerHolder() (scanner.Process, bool) {
	return d.host.LockHolder(d.cfg.Ledger.Path + ".lock")
}
