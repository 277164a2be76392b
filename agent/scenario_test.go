package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/ledger"
	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
	"github.com/azs-edge/azs-edge/pos/api"
	"github.com/azs-edge/azs-edge/sync/wire"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

const scenarioToken = "token-of-the-scenarios"

// TestScenariosThroughTheAPI sells every scenario of the shipped programmes as a cash register does: over HTTP, at a real
// station with a real ledger, in reach of headquarters' books. Quote and close must answer what the scenario's own run
// gives, which holds what its file promises, and headquarters must come to the balance that was printed.
func TestScenariosThroughTheAPI(t *testing.T) {
	var sold atomic.Int64
	t.Cleanup(func() {
		if n := sold.Load(); n < 80 {
			t.Errorf("only %d receipts were sold", n)
		}
	})
	for _, name := range programmes.Names() {
		src, err := programmes.File(name)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join("..", "packaging", "programmes", "scenarios", name, "*.yaml"))
		if err != nil || len(files) < 5 {
			t.Fatalf("%s has %d scenarios: %v", name, len(files), err)
		}
		for _, file := range files {
			t.Run(name+"/"+strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
				t.Parallel()
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				s, p := parseScenario(t, b, src)
				if s.Sales[0].At.Time().Year() < 2026 {
					// No station believes that it is before 2026: its clock would have lost its battery.
					s, p = parseScenario(t, yearLater(b), yearLater(src))
				}
				sold.Add(int64(sellScenario(t, s, p)))
			})
		}
	}
}

func parseScenario(t *testing.T, scenario, programme []byte) (*loyalty.Scenario, *loyalty.Programme) {
	t.Helper()
	s, err := loyalty.ParseScenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	p, err := loyalty.ParseProgramme(programme)
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

var anyDay = regexp.MustCompile(`\b20\d\d-\d\d-\d\d`)

// yearLater moves every day of a file into the next year.
func yearLater(src []byte) []byte {
	return anyDay.ReplaceAllFunc(src, func(day []byte) []byte {
		year, _ := strconv.Atoi(string(day[:4])) // four digits
		return append(strconv.AppendInt(nil, int64(year+1), 10), day[4:]...)
	})
}

// sellScenario sells the scenario's receipts one after the other and says how many there were.
func sellScenario(t *testing.T, s *loyalty.Scenario, p *loyalty.Programme) int {
	outcomes, err := s.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	station := newScenarioStation(t, s, p)
	for i := range s.Sales {
		sale, want := &s.Sales[i], &outcomes[i]
		for _, w := range want.Wrong {
			t.Errorf("sale %d: %s", i+1, w)
		}
		station.set(sale.At)
		station.identify(t)
		receipt := receiptJSON(&sale.Receipt)
		ask := map[string]any{"card": string(s.Card.Number), "receipt": receipt, "redeem_points_x100": sale.Redeem}
		status, quote := station.call(t, "POST", "/v1/quote", ask)
		checkAnswer(t, fmt.Sprintf("sale %d, quote", i+1), status, quote, want, false)
		status, closed := station.call(t, "POST", fmt.Sprintf("/v1/sales/sale-%d/close", i+1), ask)
		checkAnswer(t, fmt.Sprintf("sale %d", i+1), status, closed, want, true)
		if want.Refusal == "" {
			station.post(t)
		}
		if t.Failed() {
			return i
		}
		if got := station.record.Account.Total(sale.At); s.Known && want.Refusal == "" && got != want.Total {
			t.Errorf("sale %d: headquarters has %s, the register printed %s", i+1, got, want.Total)
		}
	}
	return len(s.Sales)
}

// checkAnswer compares an answer of the API with what the scenario's own run gave.
func checkAnswer(t *testing.T, what string, status int, got map[string]any, want *loyalty.Outcome, closed bool) {
	t.Helper()
	if want.Refusal != "" {
		if status < 400 || got["code"] != string(want.Refusal) {
			t.Errorf("%s: %d %v, want the refusal %s", what, status, got, want.Refusal)
		}
		return
	}
	if status != 200 {
		t.Errorf("%s: %d %v", what, status, got)
		return
	}
	if closed {
		same(t, what, got, map[string]any{"total_points_x100": want.Total, "available_points_x100": want.Avail, "state": "closed"})
		got = got["quote"].(map[string]any)
	}
	q := &want.Quote
	reasons := make([]string, 0, len(q.Reasons))
	for _, r := range got["reasons"].([]any) {
		reasons = append(reasons, r.(map[string]any)["code"].(string))
	}
	promo := make([]string, 0, len(q.Promo))
	for _, x := range got["promo"].([]any) {
		code := ""
		if r, refused := x.(map[string]any)["refused"].(map[string]any); refused {
			code = r["code"].(string)
		}
		promo = append(promo, code)
	}
	var lots []loyalty.Lot
	for _, x := range got["earned"].([]any) {
		m := x.(map[string]any)
		lots = append(lots, loyalty.Lot{
			Amount: loyalty.Points(m["amount_points_x100"].(float64)), ActiveFrom: instant(t, m["active_from"]), Expires: instant(t, m["expires"]),
		})
	}
	same(t, what, got, map[string]any{
		"programme_version": q.Programme, "fiscal_form": q.Form.String(), "total_kopecks": q.Total, "redeem_points_x100": q.Redeem,
		"discount_kopecks": q.Discount, "line_discounts_kopecks": q.Lines, "pay_kopecks": q.Pay, "earn_points_x100": q.Earn,
		"line_earn_points_x100": q.LineEarn, "max_redeem_points_x100": q.MaxRedeem,
	})
	if tier, ok := got["tier"].(map[string]any); ok != (q.Progress != loyalty.Progress{}) {
		t.Errorf("%s: tier %v, want %+v", what, got["tier"], q.Progress)
	} else if ok {
		same(t, what, tier, map[string]any{"have": q.Progress.Have, "need": q.Progress.Need})
		if title := tier["title"].(map[string]any); title["ru"] != q.Progress.Tier.RU || title["en"] != q.Progress.Tier.EN {
			t.Errorf("%s: tier %v, want %+v", what, title, q.Progress.Tier)
		}
	}
	wantPromo := make([]string, 0, len(q.Promo))
	for _, r := range q.Promo {
		wantPromo = append(wantPromo, string(r))
	}
	wantReasons := make([]string, 0, len(q.Reasons))
	for _, r := range q.Reasons {
		wantReasons = append(wantReasons, string(r))
	}
	if !slices.Equal(reasons, wantReasons) || !slices.Equal(promo, wantPromo) {
		t.Errorf("%s: reasons %q, promo %q, want %q, %q", what, reasons, promo, wantReasons, wantPromo)
	}
	if booked := q.Booked(); !slices.Equal(lots, booked) {
		t.Errorf("%s: earned %v, want %v", what, lots, booked)
	}
}

// same compares members of an answer by how JSON writes them.
func same(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for name, w := range want {
		b, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if v == nil {
			v = []any{}
		}
		if !reflect.DeepEqual(got[name], v) {
			t.Errorf("%s: %s is %v, want %s", what, name, got[name], b)
		}
	}
}

func instant(t *testing.T, v any) loyalty.Instant {
	t.Helper()
	if v == nil {
		return 0
	}
	at, err := time.Parse(time.RFC3339Nano, v.(string))
	if err != nil {
		t.Fatal(err)
	}
	return loyalty.At(at)
}

func receiptJSON(r *loyalty.Receipt) map[string]any {
	lines := make([]map[string]any, 0, len(r.Lines))
	for _, l := range r.Lines {
		m := map[string]any{"kind": l.Kind.String(), "code": l.Code, "group": l.Group, "amount_kopecks": l.Amount}
		if l.Kind == loyalty.Fuel {
			m["volume_ml"] = l.Volume
		} else {
			m["count_x1000"] = l.Count
		}
		lines = append(lines, m)
	}
	out := map[string]any{"tender": r.Tender.String(), "lines": lines}
	if len(r.Promo) > 0 {
		out["promo"] = r.Promo
	}
	var payments []map[string]any
	for _, p := range r.Payments {
		payments = append(payments, map[string]any{"tender": p.Tender.String(), "amount_kopecks": p.Amount})
	}
	if payments != nil {
		out["payments"] = payments
	}
	return out
}

// scenarioStation is a station with its API, and headquarters with the books of the scenario's customer.
type scenarioStation struct {
	ledger *ledger.Ledger
	server *httptest.Server
	card   loyalty.Card
	known  bool
	key    loyalty.CellKey

	mu     sync.Mutex
	now    loyalty.Instant
	record loyalty.Record
	posted loyalty.Seq
}

func newScenarioStation(t *testing.T, s *loyalty.Scenario, p *loyalty.Programme) *scenarioStation {
	t.Helper()
	x := &scenarioStation{
		card: s.Card, known: s.Known, key: loyalty.CellKey{Station: s.Station, Epoch: 1}, now: s.Sales[0].At,
		record: loyalty.Record{Account: s.Account.Clone()},
	}
	x.card.HQVersion = 1
	var err error
	x.ledger, err = ledger.Open(t.Context(), ledger.Config{
		Path: filepath.Join(t.TempDir(), "ledger.db"), Station: s.Station, Version: "test", Retain: 10 * 365 * 24 * time.Hour,
		Now: func() time.Time { x.mu.Lock(); defer x.mu.Unlock(); return x.now.Time() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.ledger.LoadProgramme(t.Context(), p.Source); err != nil {
		t.Fatal(err)
	}
	server, err := api.New(api.Config{
		Desk: newDesk(x.ledger, x, slog.New(slog.DiscardHandler)), Monitor: x, Hub: api.NewHub(), Token: []byte(scenarioToken),
		Zone: time.FixedZone("", 3*3600),
	})
	if err != nil {
		t.Fatal(err)
	}
	x.server = httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		x.server.Close()
		if err := x.ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (x *scenarioStation) Status(context.Context) api.Status { return api.Status{} }
func (x *scenarioStation) Online() bool                      { return true }

func (x *scenarioStation) set(at loyalty.Instant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = at
}

// Ask answers as headquarters does, from the books.
func (x *scenarioStation) Ask(ctx context.Context, q *pb.Ask) (*pb.Answer, error) {
	if !x.known || q.Card != string(x.card.Number) {
		return &pb.Answer{Refusal: string(loyalty.UnknownCard)}, nil
	}
	x.mu.Lock()
	a := &pb.Answer{Time: int64(x.now)}
	if q.TopUp != nil {
		st, err := wire.ToStatement(q.TopUp.Statement)
		if err != nil {
			x.mu.Unlock()
			return nil, err
		}
		issued := x.record.TopUp(x.key, st, loyalty.Points(q.TopUp.Want), x.now)
		a.Grant = &pb.Grant{Account: uint64(x.card.Account), Epoch: uint32(x.key.Epoch), Issued: uint64(issued)}
	}
	x.record.Version++
	s := x.record.Snapshot(x.key, x.posted, x.now)
	x.mu.Unlock()
	a.Snapshot, a.Card = wire.FromSnapshot(&s), wire.FromCard(&x.card)
	return a, x.ledger.Learn(ctx, a)
}

// post has headquarters post what the station has written since.
func (x *scenarioStation) post(t *testing.T) {
	t.Helper()
	entries, err := x.ledger.Read(t.Context(), x.key.Epoch, x.posted+1, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, b := range entries {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		x.posted++
		if account, _ := loyalty.Subject(e.Body); account == 0 {
			continue
		}
		if over, err := x.record.Post(x.key, x.posted, e); err != nil || over != 0 {
			t.Fatalf("headquarters: %v, %s over", err, over)
		}
	}
}

func (x *scenarioStation) identify(t *testing.T) {
	t.Helper()
	if status, c := x.call(t, "POST", "/v1/identify", map[string]any{"card": string(x.card.Number)}); status == 200 && c["known"] != x.known {
		t.Errorf("identified as %v", c)
	}
}

func (x *scenarioStation) call(t *testing.T, method, path string, body any) (int, map[string]any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, x.server.URL+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+scenarioToken)
	answer, err := x.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return answer.StatusCode, out
}
