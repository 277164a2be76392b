package admin

import (
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// Form is a sealed form that is kept. Headquarters' process cannot read it: whoever has the identity opens what is sealed.
type Form struct {
	Hash    string            `json:"hash"`              // SHA-256 of what is sealed, in hexadecimal
	Account loyalty.AccountID `json:"account,omitempty"` // none: the card is no card of headquarters (yet)
	Card    string            `json:"card"`              // masked
	At      string            `json:"at"`                // when it came
	Sealed  []byte            `json:"sealed,omitempty"`  // only where one account was asked for
}

// maxForms bounds the forms of one account that are shown.
const maxForms = 200

func formOf(f *hq.Form) Form {
	return Form{Hash: hex.EncodeToString(f.Hash[:]), Account: f.Account, Card: f.Card.String(), At: f.At.String(), Sealed: f.Sealed}
}

func (h *handler) forms(w http.ResponseWriter, r *http.Request) error {
	var after loyalty.FormHash
	if s := r.URL.Query().Get("after"); s != "" {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != len(after) {
			return fmt.Errorf("%w: after is not the hash of a form", loyalty.BadRequest)
		}
		after = loyalty.FormHash(b)
	}
	forms, err := h.Catalogue.Forms(r.Context(), after, maxPage)
	if err != nil {
		return err
	}
	out := make([]Form, 0, len(forms))
	for i := range forms {
		out = append(out, formOf(&forms[i]))
	}
	return answer(w, out)
}

func (h *handler) showForms(w http.ResponseWriter, r *http.Request) error {
	var q AccountQuery
	if err := body(r, &q); err != nil {
		return err
	}
	if (q.Account == 0) == (q.Card == "") {
		return fmt.Errorf("%w: name an account or a card", loyalty.BadRequest)
	}
	out := []Form{}
	err := h.Books.Store().View(r.Context(), func(tx hq.Tx) error {
		id, err := q.find(tx)
		if err != nil {
			return err
		}
		records, err := tx.Records([]loyalty.AccountID{id})
		if err == nil && records[id] == nil {
			err = fmt.Errorf("account %d: %w", id, hq.ErrNoAccount)
		}
		if err != nil {
			return err
		}
		forms, err := tx.FormsOf(id, maxForms)
		for i := range forms {
			out = append(out, formOf(&forms[i]))
		}
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, out)
}
