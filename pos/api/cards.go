package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/azs-edge/azs-edge/agent/form"
	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func (s *Server) cardRoutes(api huma.API) {
	huma.Register(api, operation(api, "POST", "/v1/cards/issue", "issueCard", "card", "Give out a card",
		"A main card that begins an account needs the form and nothing else: it works without headquarters, and may accrue at once. "+
			"A card that joins an account, or takes a lost one's place, is asked of headquarters first. "+
			"The form is sealed to headquarters' key before it reaches a disk: the station cannot read it back, and repeats are told apart without it."),
		s.issueCard)
}

type issueBody struct {
	Card     string    `json:"card" minLength:"4" maxLength:"64" doc:"The number of the card that is given out" example:"7005990012350015"`
	Kind     string    `json:"kind" enum:"main,additional,virtual" example:"main"`
	For      string    `json:"for,omitempty" maxLength:"64" doc:"A card of the account that it joins; left out: it begins an account. Required for additional and virtual cards, and with replaces"`
	Replaces bool      `json:"replaces,omitempty" doc:"The card in for is lost: it is closed at once, and this one takes its place"`
	Form     *formBody `json:"form,omitempty" doc:"Who the card is given to. Required where it begins an account"`
	Attendant
}

// formBody never shows in a log: its fields are copied into a form.Form, which masks itself.
type formBody struct {
	Name     string      `json:"name" minLength:"1" maxLength:"200" example:"Анна Кузнецова"`
	Phone    string      `json:"phone" minLength:"8" maxLength:"16" doc:"International: + and 7 to 15 digits" example:"+79991234567"`
	Birth    string      `json:"birth,omitempty" maxLength:"10" doc:"As 1990-12-31" example:"1990-12-31"`
	Email    string      `json:"email,omitempty" maxLength:"254"`
	Language string      `json:"language,omitempty" enum:"ru,en"`
	Consent  consentBody `json:"consent"`
}

type consentBody struct {
	Text    string    `json:"text" minLength:"1" maxLength:"64" doc:"Version of the text that the customer has agreed to" example:"2026-03"`
	GivenAt time.Time `json:"given_at" doc:"When" example:"2026-11-21T12:30:00+03:00"`
}

func (b *formBody) domain() *form.Form {
	if b == nil {
		return nil
	}
	return &form.Form{
		Name: b.Name, Phone: b.Phone, Birth: b.Birth, Email: b.Email, Language: b.Language,
		Consent: form.Consent{Text: b.Consent.Text, GivenAt: b.Consent.GivenAt},
	}
}

type issuedCardBody struct {
	Card        string        `json:"card"`
	CardMasked  string        `json:"card_masked"`
	Kind        string        `json:"kind" enum:"main,additional,virtual"`
	For         string        `json:"for_masked,omitempty"`
	Replaces    bool          `json:"replaces"`
	IssuedAt    *time.Time    `json:"issued_at,omitempty"`
	Known       bool          `json:"known" doc:"Headquarters has opened the account or joined the card to it. false: not heard yet; the card may accrue here all the same"`
	State       string        `json:"state" enum:"active,accrue_only,blocked,closed" doc:"What the card may do now; accrue_only until headquarters knows it"`
	Customer    *customerBody `json:"customer,omitempty" doc:"As identify tells it; present once known"`
	Message     loyalty.Text  `json:"message" doc:"For the customer"`
	ReceiptText string        `json:"receipt_text" doc:"As that of a sale"`
}

// Check returns [loyalty.BadRequest] unless the request is well-formed and has the form it needs. What stands in the form
// is checked when it is sealed.
func (r *CardRequest) Check() error {
	i := loyalty.IssueRequest{Card: r.Card, Kind: r.Kind, For: r.For, Replaces: r.Replaces, Who: r.Who}
	if err := i.Check(); err != nil {
		return err
	}
	if r.Form == nil && r.For == "" {
		return fmt.Errorf("%w: form is missing: a card that begins an account needs one", loyalty.BadRequest)
	}
	return nil
}

// Seal makes the request what the ledger takes, with the form sealed by the station's clock. It returns
// [loyalty.NoFormsKey] where there is no key, and [loyalty.BadRequest] for a form that is not filled in as it must be,
// which names the field and never its content.
func (r *CardRequest) Seal(key form.Key, now loyalty.Instant) (*loyalty.IssueRequest, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if key.IsZero() {
		return nil, loyalty.NoFormsKey
	}
	i := &loyalty.IssueRequest{Card: r.Card, Kind: r.Kind, For: r.For, Replaces: r.Replaces, Who: r.Who}
	if r.Form == nil {
		return i, nil
	}
	var err error
	if i.Sealed, err = form.Seal(key, r.Form, now.Time()); errors.Is(err, form.ErrForm) {
		return nil, fmt.Errorf("%w: %w", loyalty.BadRequest, err)
	}
	return i, err
}

func (s *Server) issueCard(ctx context.Context, r *in[issueBody]) (*out[issuedCardBody], error) {
	b := &r.Body
	kind, err := loyalty.ParseCardKind(b.Kind)
	if err != nil {
		return nil, s.refuse(err)
	}
	req := &CardRequest{
		Card: loyalty.CardNumber(b.Card), Kind: kind, For: loyalty.CardNumber(b.For), Replaces: b.Replaces, Form: b.Form.domain(),
		Who: b.Attendant.domain(),
	}
	if err := req.Check(); err != nil {
		return nil, s.refuse(err)
	}
	given, err := s.desk.IssueCard(ctx, req)
	if err != nil {
		return nil, s.refuse(err)
	}
	return &out[issuedCardBody]{issuedCardBodyOf(&given, s.desk.Programme(), s.zone)}, nil
}

func issuedCardBodyOf(g *GivenCard, p *loyalty.Programme, zone *time.Location) issuedCardBody {
	b := issuedCardBody{
		Card: string(g.Card), CardMasked: g.Card.String(), Kind: g.Kind.String(), For: g.For.String(), Replaces: g.Replaces,
		IssuedAt: moment(g.At, zone), State: loyalty.AccruesOnly.String(), Message: issueWords(g, p),
	}
	if c := g.Customer; c != nil && c.Known {
		body := customerBodyOf(*c)
		b.Known, b.Customer, b.State = true, &body, c.CardState.String()
	}
	b.ReceiptText = issueText(g, b.Message)
	return b
}

// redeemsLater tells whether the card joins an account and somebody must let it redeem first: in the
// place of a lost card headquarters does, and a further one is the owner's to allow where the programme says so.
func redeemsLater(g *GivenCard, p *loyalty.Programme) bool {
	if c := g.Customer; c != nil && c.Known {
		return c.Redeem == loyalty.RedeemOff
	}
	return g.Replaces || g.Kind != loyalty.MainCard && p != nil && p.Cards.OwnerAllows
}

// issueWords are what the customer is told of the new card.
func issueWords(g *GivenCard, p *loyalty.Programme) loyalty.Text {
	words := issuedWords(g)
	switch later := redeemsLater(g, p); {
	case later && g.Replaces:
		words.RU += ". Копить баллы можно сразу, списание включит центр"
		words.EN += ". It collects points at once; headquarters switches redeeming on"
	case later:
		words.RU += ". Копить баллы можно сразу, списание включит владелец счёта или центр"
		words.EN += ". It collects points at once; the account's owner or headquarters switches redeeming on"
	}
	return words
}

func issuedWords(g *GivenCard) loyalty.Text {
	switch known := g.Customer != nil && g.Customer.Known; {
	case known && g.Replaces:
		return loyalty.Text{RU: "Карта заменена, баллы сохранены. Старая карта закрыта", EN: "The card is replaced and the points are kept. The old card is closed"}
	case known && g.For != "":
		return loyalty.Text{RU: "Карта привязана к вашему счёту", EN: "The card has joined your account"}
	case known:
		return loyalty.Text{RU: "Карта выдана, счёт открыт", EN: "The card is issued and the account is open"}
	case g.For != "":
		return loyalty.Text{RU: "Карта выдана. Она будет привязана к счёту в течение нескольких минут", EN: "The card is issued. It joins the account within minutes"}
	}
	return loyalty.Text{
		RU: "Карта выдана. Копить баллы можно сразу, списывать - когда центр подтвердит счёт",
		EN: "The card is issued. It collects points at once, and pays with them when headquarters has confirmed the account",
	}
}

// issueText is what to print of a card that was given out; see receiptText.
func issueText(g *GivenCard, words loyalty.Text) string {
	var t text
	t.row("Выдана карта лояльности", printable(g.Card))
	if g.Replaces {
		t.row("  взамен утерянной", printable(g.For))
	} else if g.For != "" {
		t.row("  к счёту карты", printable(g.For))
	}
	t.wrap(words.RU)
	return t.String()
}

// wrap writes a sentence in lines that fit.
func (t *text) wrap(sentence string) {
	n := 0
	for i, word := range strings.Fields(sentence) {
		w := len([]rune(word))
		switch {
		case i == 0:
		case n+1+w > receiptColumns:
			t.WriteByte('\n')
			n = 0
		default:
			t.WriteByte(' ')
			n++
		}
		t.WriteString(word)
		n += w
	}
	t.WriteByte('\n')
}
