package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Problem is the body of every answer that is not a success: RFC 9457 with a stable code and the cashier's words.
type Problem struct {
	Type    string       `json:"type" doc:"urn:azs-edge:problem: and the code"`
	Title   string       `json:"title" doc:"The same for every occurrence of the code"`
	Status  int          `json:"status" doc:"The HTTP status"`
	Code    string       `json:"code" doc:"Stable: it never changes its meaning. Decide by it"`
	Detail  string       `json:"detail,omitempty" doc:"For the integrator, in English; may change at any time"`
	Message loyalty.Text `json:"message" doc:"One sentence for the cashier"`
	Errors  []fieldError `json:"errors,omitempty" doc:"Of bad_request: what is wrong where"`

	log error // what the caller is not told
}

type fieldError struct {
	Location string `json:"location,omitempty" example:"body.receipt.lines[0].amount_kopecks"`
	Message  string `json:"message"`
}

// Error is the code, for logs.
func (p *Problem) Error() string { return p.Code }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is that of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

var _ huma.StatusError = (*Problem)(nil)

// The codes of the API itself; all others are those of loyalty.
const (
	unauthorized     loyalty.Refusal = "unauthorized"
	wrongCode        loyalty.Refusal = "wrong_code"
	forbiddenHost    loyalty.Refusal = "forbidden_host"
	forbiddenOrigin  loyalty.Refusal = "forbidden_origin"
	notFound         loyalty.Refusal = "not_found"
	methodNotAllowed loyalty.Refusal = "method_not_allowed"
	notAcceptable    loyalty.Refusal = "not_acceptable"
	tooLarge         loyalty.Refusal = "too_large"
	mediaType        loyalty.Refusal = "unsupported_media_type"
	tooSlow          loyalty.Refusal = "too_slow"
	busy             loyalty.Refusal = "busy"
	internal         loyalty.Refusal = "internal"
)

// answer is how a code is told over HTTP. The words of loyalty's own codes are loyalty's.
type answer struct {
	status int
	words  loyalty.Text
}

// answers is the one table from codes to HTTP. 400: the request is wrong. 403: the card or the station may not. 404: no
// such thing. 409: not as things stand. 422: well-formed, but more than there is. 5xx: repeat the same request later.
func answers() map[loyalty.Refusal]answer {
	t := map[loyalty.Refusal]answer{
		unauthorized:     {401, loyalty.Text{RU: "Нужен вход. Позовите техника", EN: "Sign-in is needed. Call the technician"}},
		wrongCode:        {401, loyalty.Text{RU: "Код неверный, использован или устарел. Получите новый", EN: "The code is wrong, used or too old. Get a new one"}},
		forbiddenHost:    {421, loyalty.Text{RU: "Адрес не обслуживается", EN: "This address is not served"}},
		forbiddenOrigin:  {403, loyalty.Text{RU: "Запрос с чужой страницы отклонён", EN: "A request from a foreign page was refused"}},
		notFound:         {404, loyalty.Text{RU: "Такого вызова нет", EN: "There is no such call"}},
		methodNotAllowed: {405, loyalty.Text{RU: "Такого вызова нет", EN: "There is no such call"}},
		notAcceptable:    {406, loyalty.Text{RU: "Ответ возможен только в JSON", EN: "Only JSON can be answered"}},
		tooLarge:         {413, loyalty.Text{RU: "Запрос слишком большой", EN: "The request is too large"}},
		mediaType:        {415, loyalty.Text{RU: "Запрос должен быть в JSON", EN: "The request must be JSON"}},
		tooSlow:          {408, loyalty.Text{RU: "Запрос пришёл не полностью. Повторите", EN: "The request did not arrive in full. Try again"}},
		busy:             {503, loyalty.Text{RU: "Слишком много запросов сразу. Повторите", EN: "Too many requests at once. Try again"}},
		internal:         {500, loyalty.Text{RU: "Внутренняя ошибка. Повторите; если не поможет, позовите техника", EN: "Internal error. Try again; if that does not help, call the technician"}},
	}
	for code, status := range map[loyalty.Refusal]int{
		loyalty.BadRequest:  400,
		loyalty.CardBlocked: 403, loyalty.CardClosed: 403, loyalty.StaffCard: 403, loyalty.AccrueOnly: 403,
		loyalty.RedeemOff: 403, loyalty.RedeemFrozen: 403, loyalty.NotActivated: 403, loyalty.NotConfirmed: 403, loyalty.NoFormsKey: 403,
		loyalty.UnknownCard: 404, loyalty.UnknownSale: 404, loyalty.SaleNotHere: 404, loyalty.UnknownShift: 404,
		loyalty.Conflict: 409, loyalty.SaleNotOpen: 409, loyalty.SaleNotClosed: 409, loyalty.CardTaken: 409, loyalty.ShiftEnded: 409,
		loyalty.NotACard: 422, loyalty.NotEnough: 422, loyalty.OverLimit: 422, loyalty.NoRights: 422, loyalty.RedeemMore: 422, loyalty.RefundMore: 422,
		loyalty.TenderRedeemsNot: 422, loyalty.CardLimit: 422, loyalty.TooOften: 422,
		loyalty.TenderEarnsNot: 422, loyalty.PurchaseLimit: 422, loyalty.EarnLimit: 422, loyalty.BalanceLimit: 422, loyalty.CampaignLimit: 422,
		loyalty.PromoUnknown: 422, loyalty.PromoMistyped: 422, loyalty.PromoNotNow: 422, loyalty.PromoUsed: 422, loyalty.PromoNotMet: 422,
		loyalty.NoProgramme: 503, loyalty.Offline: 503, loyalty.StorageFailed: 503,
		loyalty.StorageFull: 507,
	} {
		t[code] = answer{status, loyalty.Words(code)}
	}
	return t
}

// codes lists every code that can be answered, sorted.
func codes() []string {
	var all []string
	for c := range answers() {
		all = append(all, string(c))
	}
	slices.Sort(all)
	return all
}

// problem tells a code.
func problem(code loyalty.Refusal, detail string) *Problem {
	a, ok := answers()[code]
	if !ok {
		a = answer{http.StatusConflict, loyalty.Words(code)}
	}
	return &Problem{
		Type: "urn:azs-edge:problem:" + string(code), Title: a.words.EN, Status: a.status, Code: string(code),
		Detail: detail, Message: a.words,
	}
}

// problemOf tells an error: a refusal with its detail, anything else as internal, with the detail kept for the log.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	if code, ok := loyalty.RefusalOf(err); ok {
		p = problem(code, err.Error())
		if p.Detail == p.Code {
			p.Detail = ""
		}
		if p.Status >= 500 {
			p.log = err
		}
		return p
	}
	p = problem(internal, "")
	p.log = err
	return p
}

// fromHuma turns the framework's own refusals (a body that does not fit its schema) into problems. What was sent is not
// echoed: it may hold a card number, and answers get logged.
func fromHuma(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := loyalty.BadRequest
	switch m.Status {
	case http.StatusRequestEntityTooLarge:
		code = tooLarge
	case http.StatusUnsupportedMediaType:
		code = mediaType
	case http.StatusRequestTimeout:
		code = tooSlow
	case http.StatusNotAcceptable:
		code = notAcceptable
	case http.StatusInternalServerError:
		code = internal
	}
	p := problem(code, m.Detail)
	p.Status = m.Status // the status line has been decided already
	for _, e := range m.Errors {
		p.Errors = append(p.Errors, fieldError{e.Location, e.Message})
	}
	return p, nil
}

// writeProblem answers outside of the framework.
func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Set("Content-Type", p.ContentType(""))
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="azs-agent"`)
	}
	if p.Code == string(busy) {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the caller has gone; there is nobody to tell
}

// refusalBody is a refusal inside an answer that is not itself one.
type refusalBody struct {
	Code string `json:"code" doc:"As in problems"`
	loyalty.Text
}

func refusalOrNil(code loyalty.Refusal) *refusalBody {
	if code == "" {
		return nil
	}
	return &refusalBody{Code: string(code), Text: problem(code, "").Message}
}
