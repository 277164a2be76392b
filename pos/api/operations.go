package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Version is the version of the published API. Within one major number nothing is removed and no meaning changes.
const Version = "1.2.0"

const eventsPattern = "GET /v1/events"

// document describes the API; the routes add themselves to it.
func document() *huma.OpenAPI {
	namer := func(t reflect.Type, hint string) string {
		return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "Body")
	}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "azs-agent: loyalty at the counter", Version: Version,
			Description: "Identify a customer, quote a receipt, open, close, void, resolve and refund sales, issue cards, keep shifts, read statements, and follow scans live. " +
				"Every call may be repeated: same id and same content give the same answer, other content gives 409 and changes nothing. " +
				"Amounts are integers and their names end in the unit. Refusals are RFC 9457 problems; decide by their code.",
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Servers: []*huma.Server{{URL: "http://127.0.0.1:8713", Description: "The agent at the station, loopback only"}},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", namer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token": {Type: "http", Scheme: "bearer", Description: "The content of the station's token file"},
			},
		},
		Security: []map[string][]string{{"token": {}}},
		Tags: []*huma.Tag{
			{Name: "customer", Description: "Who is at the counter, and what a receipt would give. Changes nothing"},
			{Name: "sale", Description: "The steps of a sale, idempotent by the sale's id"},
			{Name: "card", Description: "Cards given out at the counter, idempotent by the card's number"},
			{Name: "shift", Description: "Shifts of a register, idempotent by counter and number"},
			{Name: "station", Description: "Health and live events"},
			{Name: "page", Description: "Sessions of the cashier's page"},
		},
	}
}

// routes registers every call on the mux.
func (s *Server) routes(mux *http.ServeMux) huma.API {
	json := huma.DefaultJSONFormat
	api := humago.New(mux, huma.Config{
		OpenAPI: document(), DefaultFormat: "application/json",
		Formats:                      map[string]huma.Format{"application/json": json, "application/problem+json": json, "json": json},
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{fromHuma},
	})
	s.customerRoutes(api)
	s.saleRoutes(api)
	s.refundRoutes(api)
	s.cardRoutes(api)
	s.shiftRoutes(api)
	s.statementRoutes(api)
	s.stationRoutes(api)
	s.pageRoutes(api)
	schemas := api.OpenAPI().Components.Schemas.Map()
	for _, c := range codes() {
		schemas["Problem"].Properties["code"].Enum = append(schemas["Problem"].Properties["code"].Enum, c)
	}
	delete(schemas, "ErrorModel") // the framework's own, which fromHuma turns into a Problem
	delete(schemas, "ErrorDetail")
	for _, name := range answered {
		schemas[name].AdditionalProperties = nil // answers may grow: clients must not refuse what they do not know
	}
	return api
}

// answered are the schemas of answers and events; those of calls stay closed, so that a misspelt name is refused.
var answered = []string{
	"Benefit", "CashierTotals", "Customer", "IssuedCard", "Link", "Ledger", "Lot", "Mismatch", "Month", "Operation", "Problem", "FieldError", "Programme", "Promo", "Quote", "Refund", "Refusal", "Reset", "RefundEvent", "Sale", "SaleEvent", "SaleList",
	"Scan", "Scanner", "Shift", "SignInCode", "Statement", "Station", "Status", "StatusEvent", "Sums", "Text", "Tier", "Totals",
}

// operation describes a call; every one may answer with a problem.
func operation(api huma.API, method, path, id, tag, summary, description string) huma.Operation {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, Description: description,
		MaxBodyBytes: MaxBody + 1, BodyReadTimeout: -1, // the guard has read it already
		Responses: map[string]*huma.Response{"default": {
			Description: "A refusal",
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
		}},
	}
}

// in and out are a call's body and an answer's.
type in[T any] struct{ Body T }
type out[T any] struct{ Body T }

// saleIn is a call about a sale.
type saleIn[T any] struct {
	ID   string `path:"id" minLength:"1" maxLength:"64" doc:"The POS's own name for the sale, percent-encoded; unique at the station for ever"`
	Body T
}

type saleRef struct {
	ID string `path:"id" minLength:"1" maxLength:"64"`
}

func (s *Server) customerRoutes(api huma.API) {
	huma.Register(api, operation(api, "POST", "/v1/identify", "identify", "customer", "Who holds a card",
		"A card that is blocked or may only accrue is answered with 200 and says so. The number is in the body, so that it reaches no access log."),
		func(ctx context.Context, r *in[identifyBody]) (*out[customerBody], error) {
			card := loyalty.CardNumber(r.Body.Card)
			if err := card.Check(); err != nil {
				return nil, s.refuse(err)
			}
			c, err := s.desk.Identify(ctx, card, r.Body.domain())
			if err != nil {
				return nil, s.refuse(err)
			}
			return &out[customerBody]{customerBodyOf(c)}, nil
		})
	huma.Register(api, operation(api, "POST", "/v1/quote", "quote", "customer", "What a receipt would earn and could redeem",
		"A computation, never a promise: it reserves nothing, and headquarters may be lost without being missed yet. What counts is the answer to open or close."),
		func(ctx context.Context, r *in[quoteCallBody]) (*out[quoteBody], error) {
			q := QuoteRequest{Card: loyalty.CardNumber(r.Body.Card), Redeem: loyalty.Points(r.Body.Redeem)}
			err := q.Card.Check()
			if err == nil {
				q.Receipt, err = r.Body.Receipt.domain()
			}
			if err != nil {
				return nil, s.refuse(err)
			}
			quote, err := s.desk.Quote(ctx, q)
			if err != nil {
				return nil, s.refuse(err)
			}
			return &out[quoteBody]{quoteBodyOf(quote, q.Receipt.Promo, s.zone)}, nil
		})
}

// statusSales bounds how many unresolved sales are counted and listed.
const statusSales = 1000

func (s *Server) stationRoutes(api huma.API) {
	huma.Register(api, operation(api, "GET", "/v1/status", "status", "station", "Health of the station", ""),
		func(ctx context.Context, _ *struct{}) (*out[statusBody], error) {
			open, err := s.desk.Unresolved(statusSales)
			if err != nil {
				return nil, s.refuse(err)
			}
			return &out[statusBody]{statusBodyOf(s.monitor.Status(ctx), open, s.fuels, time.Now().In(s.zone))}, nil
		})
	type query struct {
		Counter string `query:"counter" maxLength:"64" doc:"Only this counter's events, and those of the whole station"`
		LastID  string `header:"Last-Event-ID" maxLength:"64" doc:"The last event seen; what came after it is sent again"`
	}
	op := operation(api, "GET", "/v1/events", "events", "station", "Scans, scanners, connection and sales, live",
		"Server-sent events. An id of a former life of the agent, or one too old, is answered with the event reset: fetch the status and begin afresh. "+
			"A comment comes at least every 15 seconds. A listener that does not keep up is cut off and resumes with Last-Event-ID.")
	op.Responses["200"] = &huma.Response{
		Description: "A stream without end",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: eventSchema(api.OpenAPI().Components.Schemas)}},
	}
	huma.Register(api, op, func(ctx context.Context, q *query) (*huma.StreamResponse, error) {
		sub, ok := s.hub.subscribe(q.Counter, q.LastID)
		if !ok {
			return nil, problem(busy, "too many listeners to events")
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			_, w := humago.Unwrap(ctx)
			s.stream.serve(ctx.Context(), w, sub)
		}}, nil
	})
}

// eventSchema describes the events: their names and bodies.
func eventSchema(reg huma.Registry) *huma.Schema {
	var events []*huma.Schema
	for _, e := range []struct {
		name string
		body reflect.Type
	}{
		{"scan", reflect.TypeFor[scanBody]()}, {"scanner", reflect.TypeFor[scannerBody]()}, {"hq", reflect.TypeFor[linkBody]()},
		{"sale", reflect.TypeFor[saleEventBody]()}, {"refund", reflect.TypeFor[refundEventBody]()}, {"status", reflect.TypeFor[statusEventBody]()}, {"reset", reflect.TypeFor[resetBody]()},
	} {
		events = append(events, &huma.Schema{
			Type: huma.TypeObject, Title: "Event " + e.name, Required: []string{"id", "event", "data"},
			Properties: map[string]*huma.Schema{
				"id":    {Type: huma.TypeString},
				"event": {Type: huma.TypeString, Enum: []any{e.name}},
				"data":  reg.Schema(e.body, true, e.name),
			},
		})
	}
	return &huma.Schema{OneOf: events}
}

func (s *Server) pageRoutes(api huma.API) {
	type signIn struct {
		Code string `json:"code" minLength:"1" maxLength:"512" doc:"A sign-in code, or the token itself"`
	}
	type cookie struct {
		SetCookie http.Cookie `header:"Set-Cookie"`
	}
	type signInCode struct {
		Code    string    `json:"code" example:"K7PMQ2XA"`
		Expires time.Time `json:"expires"`
	}
	open := operation(api, "POST", "/v1/session", "signIn", "page", "Sign the cashier's page in",
		"Exchanges a sign-in code, once, for an HttpOnly, SameSite=Strict cookie that this origin alone can use.")
	open.Security, open.DefaultStatus = []map[string][]string{}, http.StatusNoContent
	huma.Register(api, open, func(_ context.Context, r *in[signIn]) (*cookie, error) {
		if !s.keys.isToken(r.Body.Code) && !s.keys.redeem(r.Body.Code, time.Now()) {
			return nil, problem(wrongCode, "make a new one with azs-agent page")
		}
		return &cookie{*s.keys.grant()}, nil
	})
	end := operation(api, "DELETE", "/v1/session", "signOut", "page", "Sign the cashier's page out", "")
	end.DefaultStatus = http.StatusNoContent
	huma.Register(api, end, func(context.Context, *struct{}) (*cookie, error) { return &cookie{*s.keys.revoke()}, nil })
	huma.Register(api, operation(api, "POST", "/v1/session/code", "signInCode", "page", "Make a sign-in code for the page",
		"Eight letters, good once and for five minutes; it replaces the one before."),
		func(context.Context, *struct{}) (*out[signInCode], error) {
			c, until := s.keys.mint(time.Now())
			return &out[signInCode]{signInCode{c, until}}, nil
		})
}
