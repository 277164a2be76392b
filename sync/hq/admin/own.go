package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// CardChange asks to change a card; what is missing stays as it is.
type CardChange struct {
	Card      string            `json:"card"`
	State     *loyalty.State    `json:"state,omitempty"`
	Kind      *loyalty.CardKind `json:"kind,omitempty"`
	MayRedeem *bool             `json:"may_redeem,omitempty"`
	hq.By
}

// CardChanged is a card after a change.
type CardChanged struct {
	Card    Card `json:"card"`
	Changed bool `json:"changed"` // false: it was so already
}

func (h *handler) setCard(w http.ResponseWriter, r *http.Request) error {
	var q CardChange
	if err := body(r, &q); err != nil {
		return err
	}
	card, changed, err := h.Books.SetCard(r.Context(), loyalty.CardNumber(q.Card), hq.CardChange{State: q.State, Kind: q.Kind, MayRedeem: q.MayRedeem, By: q.By})
	if err != nil {
		return err
	}
	return answer(w, CardChanged{cardOf(&card, false), changed})
}

// AccountChange asks to change an account; what is missing stays as it is.
type AccountChange struct {
	Account  loyalty.AccountID `json:"account"`
	State    *loyalty.State    `json:"state,omitempty"`
	Joined   *loyalty.Instant  `json:"joined,omitempty"`
	RedeemOn *bool             `json:"redeem_on,omitempty"`
	hq.By
}

// AccountChanged is an account after a change or a correction.
type AccountChanged struct {
	Account Account `json:"account"`
	Changed bool    `json:"changed"` // false: it was so already
}

func (h *handler) setAccount(w http.ResponseWriter, r *http.Request) error {
	var q AccountChange
	if err := body(r, &q); err != nil {
		return err
	}
	rec, changed, err := h.Books.SetAccount(r.Context(), q.Account, hq.AccountChange{State: q.State, Joined: q.Joined, RedeemOn: q.RedeemOn, By: q.By})
	if err != nil {
		return err
	}
	return answer(w, AccountChanged{accountOf(rec, h.Books.Now()), changed})
}

// Correction asks to give an account points or to take some.
type Correction struct {
	Account    loyalty.AccountID `json:"account"`
	Points     loyalty.Points    `json:"points"` // hundredths; below zero: taken
	ActiveFrom loyalty.Instant   `json:"active_from,omitempty"`
	Expires    loyalty.Instant   `json:"expires,omitempty"`
	Ref        string            `json:"ref"`
	hq.By
}

func (h *handler) adjust(w http.ResponseWriter, r *http.Request) error {
	var q Correction
	if err := body(r, &q); err != nil {
		return err
	}
	rec, done, err := h.Books.Adjust(r.Context(), hq.Correction(q))
	if err != nil {
		return err
	}
	return answer(w, AccountChanged{accountOf(rec, h.Books.Now()), done})
}

// Closing asks to close an account or to forget its owner.
type Closing struct {
	Account loyalty.AccountID `json:"account"`
	hq.By
}

// Closed says what that has come to.
type Closed struct {
	Account loyalty.AccountID `json:"account"`
	Cards   []Card            `json:"cards,omitempty"`
	Burned  string            `json:"burned"`
	Left    string            `json:"left"` // that stations hold rights to
	Forms   int               `json:"forms"`
}

func closedOf(c *hq.Closing) Closed {
	out := Closed{Account: c.Account, Burned: c.Burned.String(), Left: c.Left.String(), Forms: c.Forms}
	for i := range c.Cards {
		out.Cards = append(out.Cards, cardOf(&c.Cards[i], false))
	}
	return out
}

func (h *handler) closeAccount(w http.ResponseWriter, r *http.Request) error {
	var q Closing
	if err := body(r, &q); err != nil {
		return err
	}
	c, err := h.Books.CloseAccount(r.Context(), q.Account, q.By)
	if err != nil {
		return err
	}
	return answer(w, closedOf(&c))
}

func (h *handler) forget(w http.ResponseWriter, r *http.Request) error {
	var q Closing
	if err := body(r, &q); err != nil {
		return err
	}
	c, err := h.Books.Forget(r.Context(), q.Account, q.By)
	if err != nil {
		return err
	}
	return answer(w, closedOf(&c))
}

func (h *handler) act(w http.ResponseWriter, r *http.Request) error {
	var id loyalty.AccountID
	if err := body(r, &id); err != nil {
		return err
	}
	a, err := h.Books.Act(r.Context(), h.Catalogue, id)
	if err != nil {
		return err
	}
	return answer(w, a)
}

// Advanced is how far a run of the scheduled work is, or in its last line what it came to.
type Advanced struct {
	hq.Advanced
	Activated string `json:"activated"`
	Expired   string `json:"expired"`
	Burned    string `json:"burned"`
	Done      bool   `json:"done"`
	Error     string `json:"error,omitempty"` // instead of Done
}

func advancedOf(a hq.Advanced) Advanced {
	return Advanced{Advanced: a, Activated: a.Activated.String(), Expired: a.Expired.String(), Burned: a.Burned.String()}
}

// tellEvery is how often a long run says how far it is.
const tellEvery = time.Second

// advance runs the scheduled work and answers a JSON line now and then, and one at the end.
func (h *handler) advance(w http.ResponseWriter, r *http.Request) error {
	var nothing struct{}
	if err := body(r, &nothing); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	next := time.Now().Add(tellEvery)
	sum, err := h.Books.Advance(r.Context(), h.Catalogue, h.Books.Now(), func(a hq.Advanced) {
		if now := time.Now(); now.After(next) {
			next = now.Add(tellEvery)
			_ = enc.Encode(advancedOf(a))             // a caller who has gone ends the context
			_ = http.NewResponseController(w).Flush() // the same
		}
	})
	last := advancedOf(sum)
	if last.Done = err == nil; err != nil {
		last.Error = err.Error()
		if r.Context().Err() == nil {
			h.Log.Error("a call failed", "path", r.URL.Path, "error", err)
		}
	}
	_ = enc.Encode(last) // the caller has gone
	return nil
}

// Expiring is points of an account that go on a day of the programme's calendar.
type Expiring struct {
	Account loyalty.AccountID `json:"account"`
	Day     string            `json:"day"`
	Points  loyalty.Points    `json:"points"` // hundredths
}

// ExpiringPage is a page of a forecast.
type ExpiringPage struct {
	Rows []Expiring        `json:"rows"`
	Next loyalty.AccountID `json:"next"` // to go on after; zero: the end
}

// maxForecast bounds how far a forecast looks ahead, in days.
const maxForecast = 3 * 366

// expiring forecasts what expires within so many days, a page of accounts at a time.
func (h *handler) expiring(w http.ResponseWriter, r *http.Request) error {
	after, err := number(r, "after", 0)
	if err != nil {
		return err
	}
	days, err := number(r, "days", 30)
	if err != nil {
		return err
	}
	if days == 0 || days > maxForecast {
		return fmt.Errorf("%w: days %d, want 1 to %d", loyalty.BadRequest, days, maxForecast)
	}
	now := h.Books.Now()
	offset, err := h.Books.Calendar(r.Context())
	if err != nil {
		return err
	}
	rs, err := h.Catalogue.Accounts(r.Context(), loyalty.AccountID(after), maxPage)
	if err != nil {
		return err
	}
	out := ExpiringPage{Rows: []Expiring{}}
	for _, rec := range rs {
		if out.Next = rec.Account.ID; rec.Account.State == loyalty.Closed {
			continue
		}
		from := len(out.Rows)
		for _, l := range rec.Account.Expiring(now, now.Add(time.Duration(days)*24*time.Hour)) {
			day := l.Expires.Time().Add(offset).Format(time.DateOnly)
			if n := len(out.Rows); n > from && out.Rows[n-1].Day == day {
				out.Rows[n-1].Points += l.Amount
				continue
			}
			out.Rows = append(out.Rows, Expiring{rec.Account.ID, day, l.Amount})
		}
	}
	if len(rs) < maxPage {
		out.Next = 0
	}
	return answer(w, out)
}

// Accruals are rows of a partner's file.
type Accruals struct {
	Partner  string       `json:"partner"`
	Operator string       `json:"operator"`
	DryRun   bool         `json:"dry_run"`
	Rows     []hq.Accrual `json:"rows"` // at most [MaxRows]
}

// Accrued says what became of them.
type Accrued struct {
	Added  int            `json:"added"`
	There  int            `json:"there"`
	Points loyalty.Points `json:"points"` // hundredths, of those that were added
}

func (h *handler) accrue(w http.ResponseWriter, r *http.Request) error {
	var q Accruals
	if err := body(r, &q); err != nil {
		return err
	}
	if len(q.Rows) > MaxRows {
		return fmt.Errorf("%w: %d rows at once, at most %d", loyalty.BadRequest, len(q.Rows), MaxRows)
	}
	n, err := h.Books.Accrue(r.Context(), q.Partner, q.Rows, q.Operator, q.DryRun)
	if err != nil {
		return err
	}
	return answer(w, Accrued{n.Added, n.There, n.Points})
}
