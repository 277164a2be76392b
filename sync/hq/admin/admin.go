// Package admin is how people and scripts look into headquarters and bring things in: an HTTP handler over the books,
// and the client of it that azs-hq's commands use.
//
// The commands speak to this handler whether or not headquarters run: over loopback to the process that has the books
// open, or, where none has, in the same process ([InProcess]). So there is one way to do each thing.
//
// The handler promises that a caller without the token learns and changes nothing, that a page in a browser cannot call
// it (Host and Origin are checked), and that every answer and every request is bounded or streamed. Card numbers are
// masked in what it streams. It does not speak TLS: it listens on loopback.
package admin

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// Config is what [NewHandler] needs.
type Config struct {
	Books     *hq.Books
	Catalogue hq.Catalogue
	// Check proves the whole store; its report is answered as JSON.
	Check func(r *http.Request) (any, error)
	// Token that callers present as a bearer token; empty: the caller is this process.
	Token string
	// Log gets what fails here. Default: slog.Default().
	Log *slog.Logger
}

// The bounds of requests and answers.
const (
	maxBody = 4 << 20
	maxPage = 1000
	// MaxRows bounds the rows of one import request.
	MaxRows = 2000
)

// handler serves the API.
type handler struct {
	Config
	mux *http.ServeMux
}

// NewHandler makes the handler.
func NewHandler(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	h := &handler{Config: cfg, mux: http.NewServeMux()}
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/stream":               h.stream,
		"GET /v1/alerts":               h.alerts,
		"POST /v1/statement":           h.statement,
		"GET /v1/forms":                h.forms,
		"POST /v1/forms/show":          h.showForms,
		"POST /v1/forms/destroy":       h.destroyForm,
		"GET /v1/accounts":             h.accounts,
		"POST /v1/account":             h.account,
		"GET /v1/stations":             h.stations,
		"POST /v1/stations":            h.enrol,
		"POST /v1/stations/accept-gap": h.acceptGap,
		"POST /v1/restore/accept":      h.acceptRestore,
		"GET /v1/quarantine":           h.quarantine,
		"POST /v1/quarantine/retry":    h.retry,
		"GET /v1/alarms":               h.alarms,
		"GET /v1/check":                h.check,
		"POST /v1/programme":           h.publish,
		"GET /v1/programmes":           h.programmes,
		"GET /v1/calendar":             h.calendar,
		"POST /v1/import/accounts":     h.importAccounts,
		"POST /v1/import/cards":        h.importCards,
		"POST /v1/cards/set":           h.setCard,
		"POST /v1/accounts/set":        h.setAccount,
		"POST /v1/accounts/adjust":     h.adjust,
		"POST /v1/accounts/close":      h.closeAccount,
		"POST /v1/accounts/forget":     h.forget,
		"POST /v1/accounts/act":        h.act,
		"POST /v1/accounts/advance":    h.advance,
		"GET /v1/accounts/expiring":    h.expiring,
		"POST /v1/partners/accrue":     h.accrue,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				h.fail(w, r, err)
			}
		})
	}
	return h
}

// ServeHTTP lets in who has the token and comes from this machine.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if h.Token != "" {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case !loopback(r.Host) || r.Header.Get("Origin") != "":
			h.problem(w, http.StatusForbidden, "forbidden", "only programs on this machine may call", nil)
			return
		case subtle.ConstantTimeCompare([]byte(token), []byte(h.Token)) != 1:
			h.problem(w, http.StatusUnauthorized, "unauthorized", "the token is wrong", nil)
			return
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	h.mux.ServeHTTP(w, r)
}

// loopback tells whether a Host header names this machine: a page that has rebound its own name to 127.0.0.1 does not.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Problem is an error as the API tells it.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Row    *int   `json:"row,omitempty"` // of an import, from zero
	// More are other rows with the same fault.
	More []BadRow `json:"more,omitempty"`
}

// BadRow is a row of an import and what is wrong with it.
type BadRow struct {
	Row    int    `json:"row"`
	Detail string `json:"detail"`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

func (h *handler) problem(w http.ResponseWriter, status int, code, detail string, row *int, more ...BadRow) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{status, code, detail, row, more}) // the caller has gone
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, code := http.StatusInternalServerError, "failed"
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		status, code = http.StatusRequestEntityTooLarge, "too_large"
	case errors.Is(err, hq.ErrNoAccount), errors.Is(err, hq.ErrNoStation), errors.Is(err, hq.ErrNoForm), errors.Is(err, loyalty.UnknownCard),
		errors.Is(err, errNoVersion):
		status, code = http.StatusNotFound, "not_found"
	case errors.Is(err, hq.ErrDiffers):
		status, code = http.StatusConflict, "differs"
	case errors.Is(err, hq.ErrForGood), errors.Is(err, hq.ErrCardLimit), errors.Is(err, loyalty.NotEnough), errors.Is(err, loyalty.CardBlocked):
		status, code = http.StatusConflict, "refused"
	case errors.Is(err, hq.ErrOldProgramme):
		status, code = http.StatusConflict, "old_programme"
	case errors.Is(err, hq.ErrOtherProgramme):
		status, code = http.StatusConflict, "other_programme"
	case errors.Is(err, loyalty.ErrProgramme):
		status, code = http.StatusBadRequest, "programme"
	case errors.Is(err, loyalty.BadRequest), errors.Is(err, loyalty.ErrAmount):
		status, code = http.StatusBadRequest, "bad_request"
	}
	if status == http.StatusInternalServerError && r.Context().Err() == nil {
		h.Log.Error("a call failed", "path", r.URL.Path, "error", err)
	}
	var row *int
	var re *hq.RowError
	var more []BadRow
	if errors.As(err, &re) {
		row, err = &re.Row, re.Err
		for _, m := range re.More {
			more = append(more, BadRow{m.Row, inWords(m.Err.Error(), m.Err)})
		}
	}
	h.problem(w, status, code, inWords(strings.TrimPrefix(err.Error(), code+": "), err), row, more...)
}

// inWords puts a refusal's words where an error has its code.
func inWords(text string, err error) string {
	var refusal loyalty.Refusal
	if !errors.As(err, &refusal) || refusal == loyalty.BadRequest {
		return text
	}
	words := []rune(loyalty.Words(refusal).EN)
	return strings.Replace(text, string(refusal), strings.ToLower(string(words[:1]))+string(words[1:]), 1)
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// number reads a parameter of the query.
func number(r *http.Request, name string, fallback uint64) (uint64, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is not a number", loyalty.BadRequest, name)
	}
	return n, nil
}

func body(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			return err
		}
		return fmt.Errorf("%w: %w", loyalty.BadRequest, err)
	}
	return nil
}

func (h *handler) accounts(w http.ResponseWriter, r *http.Request) error {
	after, err := number(r, "after", 0)
	if err != nil {
		return err
	}
	rs, err := h.Catalogue.Accounts(r.Context(), loyalty.AccountID(after), maxPage)
	if err != nil {
		return err
	}
	out := make([]Account, 0, len(rs))
	for _, rec := range rs {
		out = append(out, accountOf(rec, h.Books.Now()))
	}
	return answer(w, out)
}

// AccountQuery asks for an account by its number or by a card. It is a body, not an address: addresses are logged.
type AccountQuery struct {
	Account loyalty.AccountID `json:"account,omitempty"`
	Card    string            `json:"card,omitempty"`
	Full    bool              `json:"full,omitempty"` // show the numbers of its cards unmasked
}

// find is the account that is asked for, if there is one.
func (q *AccountQuery) find(tx hq.Tx) (loyalty.AccountID, error) {
	if q.Card == "" {
		return q.Account, nil
	}
	n := loyalty.CardNumber(q.Card)
	cards, err := tx.Cards([]loyalty.CardNumber{n})
	if err != nil {
		return 0, err
	}
	card, ok := cards[n]
	if !ok {
		return 0, fmt.Errorf("card %s: %w", n, loyalty.UnknownCard)
	}
	return card.Account, nil
}

func (h *handler) account(w http.ResponseWriter, r *http.Request) error {
	var q AccountQuery
	if err := body(r, &q); err != nil {
		return err
	}
	var out Account
	err := h.Books.Store().View(r.Context(), func(tx hq.Tx) error {
		id, err := q.find(tx)
		if err != nil {
			return err
		}
		rs, err := tx.Records([]loyalty.AccountID{id})
		if err != nil {
			return err
		}
		if rs[id] == nil {
			return fmt.Errorf("account %d: %w", id, hq.ErrNoAccount)
		}
		out = accountOf(rs[id], h.Books.Now())
		out.describe(rs[id])
		cards, err := tx.CardsOf(id, maxPage)
		for i := range cards {
			out.Cards = append(out.Cards, cardOf(&cards[i], q.Full))
		}
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, out)
}

func (h *handler) stations(w http.ResponseWriter, r *http.Request) error {
	after, err := number(r, "after", 0)
	if err != nil {
		return err
	}
	states, err := h.Catalogue.AllStations(r.Context(), loyalty.StationID(after), maxPage)
	if err != nil {
		return err
	}
	out := make([]Station, 0, len(states))
	for i := range states {
		out = append(out, stationOf(&states[i]))
	}
	return answer(w, out)
}

// Enrolled says what became of stations to be added.
type Enrolled struct {
	Added int `json:"added"`
	There int `json:"there"`
}

func (h *handler) enrol(w http.ResponseWriter, r *http.Request) error {
	var ids []loyalty.StationID
	if err := body(r, &ids); err != nil {
		return err
	}
	if len(ids) > maxPage {
		return fmt.Errorf("%w: %d stations at once, at most %d", loyalty.BadRequest, len(ids), maxPage)
	}
	var out Enrolled
	for _, id := range ids {
		added, err := h.Books.Enrol(r.Context(), id)
		if err != nil {
			return err
		}
		if added {
			out.Added++
		} else {
			out.There++
		}
	}
	return answer(w, out)
}

func (h *handler) acceptGap(w http.ResponseWriter, r *http.Request) error {
	var station loyalty.StationID
	if err := body(r, &station); err != nil {
		return err
	}
	if err := h.Books.AcceptGap(r.Context(), station); err != nil {
		return err
	}
	return answer(w, struct{}{})
}

// RestoreAccepted says whether stations were waited for.
type RestoreAccepted struct {
	Waited bool `json:"waited"`
}

func (h *handler) acceptRestore(w http.ResponseWriter, r *http.Request) error {
	waited, err := h.Books.AcceptRestore(r.Context())
	if err != nil {
		return err
	}
	return answer(w, RestoreAccepted{waited})
}

func (h *handler) quarantine(w http.ResponseWriter, r *http.Request) error {
	var after hq.Place
	for name, set := range map[string]func(uint64){
		"station": func(v uint64) { after.Station = loyalty.StationID(v) },
		"epoch":   func(v uint64) { after.Epoch = loyalty.Epoch(v) },
		"seq":     func(v uint64) { after.Seq = loyalty.Seq(v) },
	} {
		v, err := number(r, name, 0)
		if err != nil {
			return err
		}
		set(v)
	}
	lines, err := h.Catalogue.LinesSetAside(r.Context(), after, maxPage)
	if err != nil {
		return err
	}
	out := make([]Line, 0, len(lines))
	for _, l := range lines {
		out = append(out, lineOf(l))
	}
	return answer(w, out)
}

// RetryQuery says what to try again: what one station's entries were set aside, or all.
type RetryQuery struct {
	Station loyalty.StationID `json:"station,omitempty"`
	All     bool              `json:"all,omitempty"`
}

func (h *handler) retry(w http.ResponseWriter, r *http.Request) error {
	var q RetryQuery
	if err := body(r, &q); err != nil {
		return err
	}
	if (q.Station == 0) != q.All {
		return fmt.Errorf("%w: name a station, or all", loyalty.BadRequest)
	}
	done, err := h.Books.RetryAll(r.Context(), h.Catalogue, q.Station)
	if err != nil {
		return err
	}
	return answer(w, done)
}

func (h *handler) alarms(w http.ResponseWriter, r *http.Request) error {
	alarms, err := h.Catalogue.Alarms(r.Context())
	if err != nil {
		return err
	}
	out := make([]Alarm, 0, len(alarms))
	for _, a := range alarms {
		out = append(out, Alarm{Alarm: a, First: a.First.String(), Last: a.Last.String()})
	}
	return answer(w, out)
}

func (h *handler) check(w http.ResponseWriter, r *http.Request) error {
	report, err := h.Check(r)
	if err != nil {
		return err
	}
	return answer(w, report)
}

func (h *handler) importAccounts(w http.ResponseWriter, r *http.Request) error {
	var rows []loyalty.Account
	if err := body(r, &rows); err != nil {
		return err
	}
	if len(rows) > MaxRows {
		return fmt.Errorf("%w: %d rows at once, at most %d", loyalty.BadRequest, len(rows), MaxRows)
	}
	n, err := h.Books.ImportAccounts(r.Context(), rows)
	if err != nil {
		return err
	}
	return answer(w, n)
}

// CardRow is a card of an import. (A loyalty.Card masks its number in whatever is printed of it.)
type CardRow struct {
	Number     string            `json:"number"`
	Account    loyalty.AccountID `json:"account"`
	State      loyalty.State     `json:"state"`
	Kind       loyalty.CardKind  `json:"kind"`
	MayRedeem  bool              `json:"may_redeem"`
	Registered loyalty.Instant   `json:"registered"`
}

func (h *handler) importCards(w http.ResponseWriter, r *http.Request) error {
	var rows []CardRow
	if err := body(r, &rows); err != nil {
		return err
	}
	if len(rows) > MaxRows {
		return fmt.Errorf("%w: %d rows at once, at most %d", loyalty.BadRequest, len(rows), MaxRows)
	}
	cards := make([]loyalty.Card, len(rows))
	for i, c := range rows {
		cards[i] = loyalty.Card{
			Number: loyalty.CardNumber(c.Number), Account: c.Account, State: c.State, Kind: c.Kind, MayRedeem: c.MayRedeem, Registered: c.Registered,
		}
	}
	n, err := h.Books.ImportCards(r.Context(), cards)
	if err != nil {
		return err
	}
	return answer(w, n)
}
