package loyalty_test

import (
	"reflect"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

const fresh loyalty.CardNumber = "7005990012340001"

func issuing() *loyalty.IssueRequest {
	return &loyalty.IssueRequest{Card: fresh, Sealed: []byte("sealed"), Who: loyalty.Who{Cashier: "Анна", Shift: 3}}
}

// blank are the books of a card that the station does not know.
func blank(t testing.TB) *loyalty.Books {
	return &loyalty.Books{Programme: programme(t, simple), Card: loyalty.Card{Number: fresh}}
}

func TestIssue(t *testing.T) {
	r := issuing()
	i, body, err := blank(t).Issue(r, nil, place(3))
	if err != nil {
		t.Fatal(err)
	}
	want := loyalty.CardIssued{Card: fresh, Form: r.Hash()}
	if !reflect.DeepEqual(body, want) || !reflect.DeepEqual(*i, loyalty.Issued{Op: place(3).Op, At: place(3).At, CardIssued: want}) {
		t.Errorf("issued %+v, %+v", i, body)
	}
	if r.Sealed = nil; r.Hash() != (loyalty.FormHash{}) {
		t.Error("no form has a hash")
	}
}

func TestIssueAgain(t *testing.T) {
	joins := func(kind loyalty.CardKind, replaces bool) *loyalty.IssueRequest {
		r := issuing()
		r.Kind, r.For, r.Replaces = kind, card, replaces
		return r
	}
	for name, tt := range map[string]struct {
		first, then *loyalty.IssueRequest
		want        loyalty.Refusal // empty: it is the same request
	}{
		"the same":                 {issuing(), issuing(), ""},
		"another form":             {issuing(), func() *loyalty.IssueRequest { r := issuing(); r.Sealed = []byte("sealed again"); return r }(), ""},
		"another cashier":          {issuing(), &loyalty.IssueRequest{Card: fresh}, ""},
		"an additional card again": {joins(loyalty.AdditionalCard, false), joins(loyalty.AdditionalCard, false), ""},
		"of another kind":          {joins(loyalty.AdditionalCard, false), joins(loyalty.VirtualCard, false), loyalty.Conflict},
		"to an account now":        {issuing(), joins(loyalty.AdditionalCard, false), loyalty.Conflict},
		"in place of a lost one":   {joins(loyalty.AdditionalCard, false), joins(loyalty.AdditionalCard, true), loyalty.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			b := blank(t)
			was, _, err := b.Issue(tt.first, nil, place(3))
			if err != nil {
				t.Fatal(err)
			}
			for _, known := range []bool{false, true} { // headquarters may have told of the card since
				b.Known = known
				i, body, err := b.Issue(tt.then, was, place(4))
				if tt.want != "" {
					refused(t, err, tt.want)
				} else if err != nil || body != nil || i != was {
					t.Errorf("again, known %t: %+v, %+v, %v", known, i, body, err)
				}
			}
		})
	}
}

func TestIssueRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*loyalty.Books, *loyalty.IssueRequest)
		want   loyalty.Refusal
	}{
		"somebody's card": {func(b *loyalty.Books, _ *loyalty.IssueRequest) { b.Known = true }, loyalty.CardTaken},
		"no programme":    {func(b *loyalty.Books, _ *loyalty.IssueRequest) { b.Programme = nil }, loyalty.NoProgramme},
		"no number":       {func(_ *loyalty.Books, r *loyalty.IssueRequest) { r.Card = "" }, loyalty.BadRequest},
		"a staff card":    {func(_ *loyalty.Books, r *loyalty.IssueRequest) { r.Kind = loyalty.StaffKind }, loyalty.BadRequest},
		"an additional card of nobody": {func(_ *loyalty.Books, r *loyalty.IssueRequest) {
			r.Kind = loyalty.AdditionalCard
		}, loyalty.BadRequest},
		"a second main card":       {func(_ *loyalty.Books, r *loyalty.IssueRequest) { r.For = card }, loyalty.BadRequest},
		"in place of nothing":      {func(_ *loyalty.Books, r *loyalty.IssueRequest) { r.Replaces = true }, loyalty.BadRequest},
		"a card that joins itself": {func(_ *loyalty.Books, r *loyalty.IssueRequest) { r.Kind, r.For = loyalty.VirtualCard, fresh }, loyalty.BadRequest},
		"a form that is too long":  {func(_ *loyalty.Books, r *loyalty.IssueRequest) { r.Sealed = make([]byte, loyalty.MaxForm+1) }, loyalty.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := blank(t), issuing()
			tt.change(b, r)
			i, body, err := b.Issue(r, nil, place(3))
			refused(t, err, tt.want)
			if i != nil || body != nil {
				t.Errorf("refused, and issued %+v, %+v", i, body)
			}
		})
	}
}

// A card that was given out here accrues at once, whatever the programme says of unknown ones, and redeems nothing.
func TestACardGivenOutHereAccrues(t *testing.T) {
	for _, unknown := range []string{"accrue", "refuse"} {
		b := blank(t)
		b.Programme.AcceptUnknown = unknown == "accrue"
		b.Issued = true
		if err := b.Admit(false); err != nil {
			t.Errorf("unknown cards %s: %v", unknown, err)
		}
		refused(t, b.Admit(true), loyalty.NotConfirmed)
		s, body, err := b.Close(&loyalty.CloseRequest{Sale: "s", Card: fresh, Receipt: receipt(fuel("АИ-95", 10_000, 600_00))}, place(4))
		if err != nil || s.Quote.Earn != 10_00 || body.(loyalty.SaleClosed).Account != 0 || body.(loyalty.SaleClosed).Card != fresh {
			t.Errorf("sale %+v, %v", s, err)
		}
		b = blank(t)
		if b.Programme.AcceptUnknown = unknown == "accrue"; unknown == "refuse" {
			refused(t, b.Admit(false), loyalty.UnknownCard)
		}
	}
}
