package admin

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// Form is a sealed form that is kept. Headquarters' process cannot read it: whoever has the identity opens what is sealed.
type Form struct {
	Hash    string            `json:"hash"`              // SHA-256 of what is sealed, in hexadecimal
	Account loyalty.AccountID `json:"account,omitempty"` // none: see Why
	Card    string            `json:"card,omitempty"`    // masked; none: no entry that can be read names the form
	At      string            `json:"at"`                // when it came
	Station loyalty.StationID `json:"station,omitempty"` // where it was written
	Why     string            `json:"why,omitempty"`     // where there is no account: the reason
	Sealed  []byte            `json:"sealed,omitempty"`  // only where one account was asked for
}

// maxForms bounds the forms of one account that are shown.
const maxForms = 200

// formsOf are forms for people, with the reasons for which they have no account.
func formsOf(tx hq.Tx, forms []hq.Form) ([]Form, error) {
	why, err := hq.WhyUnclaimed(tx, forms)
	if err != nil {
		return nil, err
	}
	out := make([]Form, 0, len(forms))
	for _, f := range forms {
		out = append(out, Form{
			Hash: hex.EncodeToString(f.Hash[:]), Account: f.Account, Card: f.Card.String(), At: f.At.String(), Station: f.From.Station, Why: why[f.Hash],
			Sealed: f.Sealed,
		})
	}
	return out, nil
}

// formHash reads the hash of a form.
func formHash(s string) (loyalty.FormHash, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(loyalty.FormHash{}) {
		return loyalty.FormHash{}, fmt.Errorf("%w: %.80q is not the hash of a form", loyalty.BadRequest, s)
	}
	return loyalty.FormHash(b), nil
}

// FormQuery names the forms of an account, or one by its hash.
type FormQuery struct {
	AccountQuery
	Hash     string `json:"hash,omitempty"`
	Operator string `json:"operator,omitempty"` // who wants to read them; the log has it
}

// find looks the forms up.
func (q *FormQuery) find(tx hq.Tx) ([]hq.Form, error) {
	if q.Hash != "" {
		hash, err := formHash(q.Hash)
		if err != nil {
			return nil, err
		}
		forms, err := tx.Forms([]loyalty.FormHash{hash})
		if err != nil {
			return nil, err
		}
		if forms[hash] == nil || forms[hash].Sealed == nil {
			return nil, fmt.Errorf("form %s: %w", q.Hash, hq.ErrNoForm)
		}
		return []hq.Form{*forms[hash]}, nil
	}
	id, err := q.AccountQuery.find(tx)
	if err != nil {
		return nil, err
	}
	records, err := tx.Records([]loyalty.AccountID{id})
	if err == nil && records[id] == nil {
		err = fmt.Errorf("account %d: %w", id, hq.ErrNoAccount)
	}
	if err != nil {
		return nil, err
	}
	return tx.FormsOf(id, maxForms)
}

// FormDestruction asks to destroy a form that belongs to no account.
type FormDestruction struct {
	Hash string `json:"hash"`
	hq.By
}

func (h *handler) destroyForm(w http.ResponseWriter, r *http.Request) error {
	var q FormDestruction
	if err := body(r, &q); err != nil {
		return err
	}
	hash, err := formHash(q.Hash)
	if err != nil {
		return err
	}
	f, err := h.Books.DestroyForm(r.Context(), hash, q.By)
	if err != nil {
		return err
	}
	return answer(w, Form{Hash: q.Hash, Card: f.Card.String(), At: f.At.String(), Station: f.From.Station})
}

func (h *handler) forms(w http.ResponseWriter, r *http.Request) error {
	var after loyalty.FormHash
	if s := r.URL.Query().Get("after"); s != "" {
		var err error
		if after, err = formHash(s); err != nil {
			return err
		}
	}
	forms, err := h.Catalogue.Forms(r.Context(), after, maxPage)
	if err != nil {
		return err
	}
	var out []Form
	err = h.Books.Store().View(r.Context(), func(tx hq.Tx) error {
		out, err = formsOf(tx, forms)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, out)
}

func (h *handler) showForms(w http.ResponseWriter, r *http.Request) error {
	var q FormQuery
	if err := body(r, &q); err != nil {
		return err
	}
	named := 0
	for _, is := range []bool{q.Account != 0, q.Card != "", q.Hash != ""} {
		if is {
			named++
		}
	}
	if named != 1 {
		return fmt.Errorf("%w: name an account, a card or a form", loyalty.BadRequest)
	}
	var out []Form
	err := h.Books.Store().View(r.Context(), func(tx hq.Tx) error {
		forms, err := q.find(tx)
		if err != nil {
			return err
		}
		out, err = formsOf(tx, forms)
		return err
	})
	if err != nil {
		return err
	}
	for i := range out {
		h.Log.Info("a sealed form was read", "operator", cmp.Or(q.Operator, "nobody named"), "account", out[i].Account, "form", out[i].Hash)
	}
	return answer(w, out)
}
