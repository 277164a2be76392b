package hq

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// ActKind names the form of an act.
const ActKind = "azs-edge/act/1"

// ErrAct means that an act is not what its signer signed, or no act at all.
var ErrAct = errors.New("the act is not good")

// Act states that an account was closed, what of it was destroyed, and where the journal proves it. Numbers of cards are
// masked; the operators' names and reasons stand in it.
type Act struct {
	Kind      string            `json:"kind"`
	Account   loyalty.AccountID `json:"account"`
	Cards     []string          `json:"cards"`
	Burned    string            `json:"burned"` // points
	Left      string            `json:"left"`   // points that stations still held rights to when the act was made
	Forms     []string          `json:"forms"`  // SHA-256 of the sealed forms that were destroyed, in hexadecimal
	FormsLeft int               `json:"forms_left"`
	Entries   []ActEntry        `json:"entries"`
	Operator  string            `json:"operator"`             // who has made the act
	Made      string            `json:"made"`                 // when
	UTCOffset string            `json:"utc_offset,omitempty"` // of the programme's calendar, in which the words have dates; none: RFC 3339
	Text      []string          `json:"text"`                 // the same in words, line by line
}

// ActEntry is an entry of headquarters' own journal. Hash is the state of the chain after it: whoever has the journal can
// prove from it that the entry and all before it are as they were.
type ActEntry struct {
	Place
	Kind     string `json:"kind"`
	At       string `json:"at"`
	Op       string `json:"op"`
	Hash     string `json:"hash"`
	Card     string `json:"card,omitempty"`
	Points   string `json:"points,omitempty"`
	Operator string `json:"operator,omitempty"`
	Reason   string `json:"reason"`
}

// SignedAct is an act with its signature.
type SignedAct struct {
	Act       Act    `json:"act"`
	Signature []byte `json:"signature"` // ed25519, of the act as compact JSON with its fields in their order
}

// SignAct signs an act on behalf of whoever makes it. Its words are written anew.
func SignAct(a Act, operator string, key ed25519.PrivateKey) (*SignedAct, error) {
	a.Operator = operator
	a.Text = a.text()
	message, err := a.message()
	if err != nil {
		return nil, err
	}
	return &SignedAct{Act: a, Signature: ed25519.Sign(key, message)}, nil
}

func (a *Act) message() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(a); err != nil {
		return nil, fmt.Errorf("sign the act: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// MaxAct bounds the file of an act, in bytes.
const MaxAct = 16 << 20

// VerifyAct reads the file of an act and returns it if the key has signed it, and [ErrAct] otherwise. How the file is
// indented does not matter.
func VerifyAct(file []byte, key ed25519.PublicKey) (*Act, error) {
	var s SignedAct
	if len(file) > MaxAct {
		return nil, fmt.Errorf("%w: a file of %d bytes, at most %d", ErrAct, len(file), MaxAct)
	}
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: it cannot be read: %w", ErrAct, err)
	}
	if s.Act.Kind != ActKind {
		return nil, fmt.Errorf("%w: it is of the kind %.40q, not %q", ErrAct, s.Act.Kind, ActKind)
	}
	message, err := s.Act.message()
	if err != nil {
		return nil, err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, message, s.Signature) {
		return nil, fmt.Errorf("%w: the key has not signed it, or it was changed since", ErrAct)
	}
	if !slices.Equal(s.Act.Text, s.Act.text()) {
		return nil, fmt.Errorf("%w: its words are not those of its figures", ErrAct)
	}
	return &s.Act, nil
}

var actKinds = map[string]string{
	"account_closed": "счёт закрыт", "card_closed": "карта закрыта", "account_burned": "баллы списаны", "account_forgotten": "анкеты уничтожены",
}

// date is a moment as people in Russia write it, in the calendar of the act.
func (a *Act) date(moment string) string {
	zone, err1 := time.Parse("-07:00", a.UTCOffset)
	at, err2 := time.Parse(time.RFC3339Nano, moment)
	if err1 != nil || err2 != nil {
		return moment
	}
	_, offset := zone.Zone()
	return at.In(time.FixedZone("", offset)).Format("02.01.2006 15:04 -07:00")
}

// text is the act in words.
func (a *Act) text() []string {
	forgotten := slices.ContainsFunc(a.Entries, func(e ActEntry) bool { return e.Kind == "account_forgotten" })
	title := "АКТ о закрытии счёта программы лояльности"
	if forgotten {
		title = "АКТ о закрытии счёта программы лояльности и уничтожении персональных данных"
	}
	out := []string{
		title, "",
		fmt.Sprintf("Счёт: %d", a.Account),
	}
	for _, c := range a.Cards {
		out = append(out, "Карта: "+c)
	}
	out = append(out, fmt.Sprintf("Списано баллов: %s", a.Burned))
	if a.Left != "0" {
		out = append(out, fmt.Sprintf("Ещё не списано баллов: %s — право на них выдано станциям; они спишутся, когда станции вернут его или пришлют свои чеки.", a.Left))
	}
	out = append(out, "")
	switch {
	case !forgotten:
		out = append(out, fmt.Sprintf("Анкеты владельца этим актом не уничтожены; хранится анкет: %d.", a.FormsLeft))
	case len(a.Forms) == 0:
		out = append(out, "Анкет владельца в центре не было: уничтожать было нечего.")
	default:
		out = append(out, "Уничтожены запечатанные анкеты владельца (фамилия, имя, телефон и прочее, что в них было).", "SHA-256 уничтоженных анкет:")
		for _, h := range a.Forms {
			out = append(out, "  "+h)
		}
	}
	if forgotten && a.FormsLeft > 0 {
		out = append(out, fmt.Sprintf("После уничтожения пришло анкет: %d; они ещё хранятся.", a.FormsLeft))
	}
	out = append(out, "",
		"В журнале остаются: номер счёта, номера карт, чеки без имени и телефона, суммы и баллы. Номера карт — это",
		"только номера: с именем, телефоном или иными сведениями о владельце их в центре больше ничто не связывает,",
		"если анкеты уничтожены. Копии хранилища, сделанные раньше, содержат запечатанные анкеты, пока не стёрты.",
		"", "Записи собственного журнала центра (станция 0):")
	for _, e := range a.Entries {
		line := fmt.Sprintf("  %s, эпоха %d, запись %d: %s", a.date(e.At), e.Epoch, e.Seq, actKinds[e.Kind])
		if e.Card != "" {
			line += " " + e.Card
		}
		if e.Points != "" {
			line += " " + e.Points
		}
		if e.Operator != "" {
			line += "; оператор " + e.Operator
		}
		out = append(out, line+"; основание: "+e.Reason, "    хэш цепочки "+e.Hash)
	}
	out = append(out, "", "Акт составлен: "+a.date(a.Made))
	if a.Operator != "" {
		out = append(out, "Оператор: "+a.Operator)
	}
	return out
}
