package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// register is the cash register: it knows of the station what an integrator knows, the HTTP API and the token.
type register struct {
	base  string
	token string
	http  *http.Client
}

func newRegister(address, token string) *register {
	return &register{base: "http://" + address, token: token, http: &http.Client{Transport: &http.Transport{}}}
}

// The bodies, as far as this register needs them; the whole of them is at /openapi.json.

type line struct {
	Kind   string `json:"kind"`
	Code   string `json:"code"`
	Volume int64  `json:"volume_ml,omitempty"`
	Count  int64  `json:"count_x1000,omitempty"`
	Amount int64  `json:"amount_kopecks"`
}

type receipt struct {
	Tender string `json:"tender"`
	Lines  []line `json:"lines"`
}

// basket is a receipt of fuel and coffee, with what the register charges for them.
func basket(ml int64, coffees int) receipt {
	r := receipt{Tender: "cashless", Lines: []line{{Kind: "fuel", Code: "АИ-95", Volume: ml, Amount: ml * 6612 / 1000}}}
	if coffees > 0 {
		r.Lines = append(r.Lines, line{Kind: "goods", Code: "coffee", Count: int64(coffees) * 1000, Amount: int64(coffees) * 189_00})
	}
	return r
}

type saleCall struct {
	Card    string  `json:"card,omitempty"`
	Receipt receipt `json:"receipt"`
	Redeem  int64   `json:"redeem_points_x100,omitempty"`
	attendant
}

// attendant is at whose hands a call is made.
type attendant struct {
	Cashier string `json:"cashier,omitempty"`
	Counter string `json:"counter,omitempty"`
	Shift   uint32 `json:"shift,omitempty"`
}

type sale struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	CardMasked string `json:"card_masked"`
	Account    uint64 `json:"account"` // 0: headquarters has not said yet whose the card is
	Reserved   int64  `json:"reserved_points_x100"`
	Quote      struct {
		Total    loyalty.Kopecks `json:"total_kopecks"`
		Discount loyalty.Kopecks `json:"discount_kopecks"`
		Redeem   loyalty.Points  `json:"redeem_points_x100"`
		Earn     loyalty.Points  `json:"earn_points_x100"`
		Pay      loyalty.Kopecks `json:"pay_kopecks"`
	} `json:"quote"`
	Total     loyalty.Points `json:"total_points_x100"`
	Available loyalty.Points `json:"available_points_x100"`
	Receipt   string         `json:"receipt_text"`

	raw []byte // the answer, byte for byte
}

// step names what has been done: a sale is opened once and closed once, however often the register asks.
func (s *sale) step() string { return s.ID + " " + s.State }

type holder struct {
	CardMasked string         `json:"card_masked"`
	Known      bool           `json:"known"`
	Total      loyalty.Points `json:"total_points_x100"`
	Available  loyalty.Points `json:"available_points_x100"`
	Redeemable loyalty.Points `json:"redeemable_points_x100"`
	Accrue     *refusal       `json:"accrue_refused"`
	Redeem     *refusal       `json:"redeem_refused"`
	Fresh      bool           `json:"fresh"`
}

// refusal says inside an answer why something may not be done.
type refusal struct {
	Code string `json:"code"`
	loyalty.Text
}

// problem is a refusal: decided by its code, shown by its words.
type problem struct {
	Status  int          `json:"status"`
	Code    string       `json:"code"`
	Message loyalty.Text `json:"message"`
}

func (p *problem) Error() string { return fmt.Sprintf("%d %s", p.Status, p.Code) }

// refusedAs finds the refusal in an error; nil if it is none.
func refusedAs(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// open opens a sale: points are reserved before the fuel flows.
func (r *register) open(ctx context.Context, id string, c saleCall) (*sale, error) {
	return r.sale(ctx, http.MethodPut, "/v1/sales/"+url.PathEscape(id), c)
}

// close closes an open sale, or with a card in the call sells in one step.
func (r *register) close(ctx context.Context, id string, c saleCall) (*sale, error) {
	return r.sale(ctx, http.MethodPost, "/v1/sales/"+url.PathEscape(id)+"/close", c)
}

func (r *register) sale(ctx context.Context, method, path string, c saleCall) (*sale, error) {
	c.Counter = counterName
	s := &sale{}
	raw, err := r.call(ctx, method, path, c, s)
	s.raw = raw
	return s, err
}

type refundCall struct {
	Refund  string       `json:"refund"`
	Station int          `json:"station,omitempty"` // where the sale was; left out: here
	Lines   []refundLine `json:"lines,omitempty"`
	attendant
}

type refundLine struct {
	Line   int   `json:"line"`
	Count  int64 `json:"count_x1000,omitempty"`
	Amount int64 `json:"amount_kopecks,omitempty"`
}

// refund is what a register is answered of one.
type refund struct {
	Money    loyalty.Kopecks `json:"money_kopecks"`
	Discount loyalty.Kopecks `json:"discount_kopecks"`
	Returned loyalty.Points  `json:"returned_points_x100"`
	Clawed   loyalty.Points  `json:"clawed_points_x100"`
	Receipt  string          `json:"receipt_text"`

	raw []byte // the answer, byte for byte
}

// refund gives lines of a closed sale back.
func (r *register) refund(ctx context.Context, id string, c refundCall) (f refund, err error) {
	c.Counter = counterName
	f.raw, err = r.call(ctx, http.MethodPost, "/v1/sales/"+url.PathEscape(id)+"/refunds", c, &f)
	return f, err
}

// try asks once for a refund: where headquarters has to be asked and is out of reach, asking again does not help.
func (r *register) try(ctx context.Context, id string, c refundCall) error {
	c.Counter = counterName
	_, err := r.once(ctx, http.MethodPost, "/v1/sales/"+url.PathEscape(id)+"/refunds", c, &refund{})
	return err
}

// identify asks who holds a card, as for a number typed in.
func (r *register) identify(ctx context.Context, card loyalty.CardNumber) (h holder, err error) {
	_, err = r.call(ctx, http.MethodPost, "/v1/identify", map[string]string{"card": string(card)}, &h)
	return h, err
}

// link is the station's way to headquarters, as its status tells.
type link struct {
	Online  bool   `json:"online"`
	Backlog uint64 `json:"backlog_entries"`
}

// link asks how the way to headquarters is.
func (r *register) link(ctx context.Context) (link, error) {
	var s struct {
		HQ link `json:"hq"`
	}
	_, err := r.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s.HQ, err
}

// callTime bounds a call together with its repetitions.
const callTime = 10 * time.Second

// call asks and, where the network or the agent fails, asks the same again: that is safe, since the same sale with the
// same content is the same sale.
func (r *register) call(ctx context.Context, method, path string, body, answer any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		raw, err := r.once(ctx, method, path, body, answer)
		if err == nil || refusedAs(err) != nil && refusedAs(err).Status < 500 {
			return raw, err
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, err
		}
	}
}

func (r *register) once(ctx context.Context, method, path string, body, answer any) ([]byte, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the call: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if res.StatusCode >= 300 {
		p := &problem{}
		if err := json.Unmarshal(raw, p); err != nil {
			return nil, fmt.Errorf("%s %s: %s", method, path, res.Status)
		}
		return nil, p
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	return raw, nil
}

// event is one of the station's events.
type event struct {
	name string
	data []byte
}

// follow hands on the station's events until the stream breaks or ctx is done. last is the id of the last event seen; it
// is kept up to date, so that the next stream goes on from it.
func (r *register) follow(ctx context.Context, last *string, open func(), hand func(event)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/v1/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("events: %s", res.Status)
	}
	open()
	var e event
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		field, value, _ := strings.Cut(s.Text(), ": ")
		switch {
		case field == "id":
			*last = value
		case field == "event":
			e.name = value
		case field == "data":
			e.data = []byte(value)
		case s.Text() == "" && e.name != "":
			hand(e)
			e = event{}
		}
	}
	return io.ErrUnexpectedEOF
}
