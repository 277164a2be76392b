package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// Client calls the API. It is safe for concurrent use.
type Client struct {
	// Base is the address, as http://127.0.0.1:8714.
	Base string
	// Token is presented with every call.
	Token string
	// Transport carries the calls. Default: http.DefaultTransport.
	Transport http.RoundTripper
}

// do calls and reads the answer into v, unless v is nil: then the caller reads and closes the body.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in []byte, v any) (io.ReadCloser, error) {
	u := c.Base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := (&http.Client{Transport: c.Transport}).Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }() // only read
		p := &Problem{}
		if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(p); err != nil || p.Detail == "" {
			return nil, fmt.Errorf("%s answers %s: is it azs-hq that listens there?", c.Base, res.Status)
		}
		return nil, p
	}
	if v == nil {
		return res.Body, nil
	}
	defer func() { _ = res.Body.Close() }() // only read
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil, nil
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, path, nil, b, out)
	return err
}

// ErrStopped means that a stream that was followed has ended: headquarters have stopped.
var ErrStopped = errors.New("headquarters have stopped")

// Stream gives fn every line after a position, as JSON; following, until ctx is done, or headquarters stop ([ErrStopped]).
func (c *Client) Stream(ctx context.Context, after uint64, follow bool, fn func(json.RawMessage) error) error {
	return c.lines(ctx, "/v1/stream", url.Values{}, after, follow, fn)
}

// Alerts gives fn what a person should look at after a position of the stream, of one station or rule if they are given, as
// [Client.Stream] does.
func (c *Client) Alerts(ctx context.Context, station loyalty.StationID, rule string, after uint64, follow bool, fn func(json.RawMessage) error) error {
	q := url.Values{"station": {strconv.FormatUint(uint64(station), 10)}, "rule": {rule}}
	return c.lines(ctx, "/v1/alerts", q, after, follow, fn)
}

func (c *Client) lines(ctx context.Context, path string, q url.Values, after uint64, follow bool, fn func(json.RawMessage) error) error {
	q.Set("after", strconv.FormatUint(after, 10))
	q.Set("follow", strconv.FormatBool(follow))
	b, err := c.do(ctx, http.MethodGet, path, q, nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }() // only read
	d := json.NewDecoder(b)
	for {
		var line json.RawMessage
		err := d.Decode(&line)
		switch {
		case errors.Is(err, io.EOF) && !follow, ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return ErrStopped
		case err != nil:
			return fmt.Errorf("read the stream: %w", err)
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}

// pages reads a list page by page.
func pages[T any](ctx context.Context, c *Client, path string, next func(T) url.Values, fn func(T) error) error {
	var q url.Values
	for {
		var page []T
		if _, err := c.do(ctx, http.MethodGet, path, q, nil, &page); err != nil {
			return err
		}
		for _, v := range page {
			if err := fn(v); err != nil {
				return err
			}
		}
		if len(page) < maxPage {
			return nil
		}
		q = next(page[len(page)-1])
	}
}

func afterNumber[T ~uint32 | ~uint64](n T) url.Values {
	return url.Values{"after": {strconv.FormatUint(uint64(n), 10)}}
}

// Accounts gives fn every account, without lots, cells and cards.
func (c *Client) Accounts(ctx context.Context, fn func(Account) error) error {
	return pages(ctx, c, "/v1/accounts", func(a Account) url.Values { return afterNumber(a.ID) }, fn)
}

// Account finds one account.
func (c *Client) Account(ctx context.Context, q AccountQuery) (a Account, err error) {
	return a, c.post(ctx, "/v1/account", q, &a)
}

// Statement gives fn the operations of an account, newest first.
func (c *Client) Statement(ctx context.Context, q StatementQuery, fn func(Operation) error) error {
	for {
		var page Statement
		if err := c.post(ctx, "/v1/statement", q, &page); err != nil {
			return err
		}
		for _, o := range page.Operations {
			if err := fn(o); err != nil {
				return err
			}
		}
		if q.Before = page.Next; page.Next == 0 {
			return nil
		}
	}
}

// Totals are the operations of an account, added up as the query says.
func (c *Client) Totals(ctx context.Context, q StatementQuery) ([]Totals, error) {
	var s Statement
	err := c.post(ctx, "/v1/statement", q, &s)
	return s.Totals, err
}

// Forms gives fn every form that is kept, without what is sealed.
func (c *Client) Forms(ctx context.Context, fn func(Form) error) error {
	return pages(ctx, c, "/v1/forms", func(f Form) url.Values { return url.Values{"after": {f.Hash}} }, fn)
}

// FormsOf are the forms that are asked for, sealed.
func (c *Client) FormsOf(ctx context.Context, q FormQuery) (out []Form, err error) {
	err = c.post(ctx, "/v1/forms/show", q, &out)
	return out, err
}

// DestroyForm destroys a form that belongs to no account.
func (c *Client) DestroyForm(ctx context.Context, q FormDestruction) (out Form, err error) {
	return out, c.post(ctx, "/v1/forms/destroy", q, &out)
}

// Stations gives fn every station.
func (c *Client) Stations(ctx context.Context, fn func(Station) error) error {
	return pages(ctx, c, "/v1/stations", func(s Station) url.Values { return afterNumber(s.ID) }, fn)
}

// Enrol adds stations.
func (c *Client) Enrol(ctx context.Context, ids []loyalty.StationID) (e Enrolled, err error) {
	return e, c.post(ctx, "/v1/stations", ids, &e)
}

// AcceptGap lets a station go on without entries that it no longer keeps.
func (c *Client) AcceptGap(ctx context.Context, station loyalty.StationID) error {
	return c.post(ctx, "/v1/stations/accept-gap", station, &struct{}{})
}

// AcceptRestore lets rights be issued again though stations have not come back, and tells whether any were waited for.
func (c *Client) AcceptRestore(ctx context.Context) (waited bool, err error) {
	var a RestoreAccepted
	err = c.post(ctx, "/v1/restore/accept", struct{}{}, &a)
	return a.Waited, err
}

// Quarantine gives fn every entry that could not be applied.
func (c *Client) Quarantine(ctx context.Context, fn func(Line) error) error {
	return pages(ctx, c, "/v1/quarantine", func(l Line) url.Values {
		return url.Values{
			"station": {strconv.FormatUint(uint64(l.Station), 10)}, "epoch": {strconv.FormatUint(uint64(l.Epoch), 10)},
			"seq": {strconv.FormatUint(uint64(l.Seq), 10)},
		}
	}, fn)
}

// Retry applies entries that were set aside once more.
func (c *Client) Retry(ctx context.Context, q RetryQuery) (r hq.Retried, err error) {
	return r, c.post(ctx, "/v1/quarantine/retry", q, &r)
}

// Alarms are all alarms.
func (c *Client) Alarms(ctx context.Context) (out []Alarm, err error) {
	_, err = c.do(ctx, http.MethodGet, "/v1/alarms", nil, nil, &out)
	return out, err
}

// Check proves the whole store and returns its report.
func (c *Client) Check(ctx context.Context) (out json.RawMessage, err error) {
	_, err = c.do(ctx, http.MethodGet, "/v1/check", nil, nil, &out)
	return out, err
}

// ImportAccounts brings at most [MaxRows] accounts in: all or none.
func (c *Client) ImportAccounts(ctx context.Context, rows []loyalty.Account) (n hq.Imported, err error) {
	return n, c.post(ctx, "/v1/import/accounts", rows, &n)
}

// ImportCards brings at most [MaxRows] cards in: all or none.
func (c *Client) ImportCards(ctx context.Context, rows []CardRow) (n hq.Imported, err error) {
	return n, c.post(ctx, "/v1/import/cards", rows, &n)
}

// InProcess carries calls to a handler of the same process.
func InProcess(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

// RoundTrip runs the handler; its answer is read while it is written.
func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(req.Context())
	p := &pipeWriter{w: w, header: http.Header{}, ready: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.handler.ServeHTTP(p, req.Clone(ctx))
		p.WriteHeader(http.StatusOK)
		_ = w.Close() // never fails
	}()
	<-p.ready
	return &http.Response{
		StatusCode: p.status, Status: http.StatusText(p.status), Header: p.header, Request: req,
		Body: &pipeBody{PipeReader: r, cancel: cancel, done: done},
	}, nil
}

// pipeBody ends the handler when it is closed, and waits for it.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends the call.
func (b *pipeBody) Close() error {
	b.cancel()
	err := b.PipeReader.Close()
	<-b.done
	return err
}

type pipeWriter struct {
	w      *io.PipeWriter
	header http.Header
	status int
	ready  chan struct{}
}

// Header is the answer's header.
func (p *pipeWriter) Header() http.Header { return p.header }

// WriteHeader lets the caller begin to read; the first status counts.
func (p *pipeWriter) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
		close(p.ready)
	}
}

// Write waits until the caller has read.
func (p *pipeWriter) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.w.Write(b)
}

// Flush has nothing to do: nothing is buffered.
func (p *pipeWriter) Flush() { p.WriteHeader(http.StatusOK) }
