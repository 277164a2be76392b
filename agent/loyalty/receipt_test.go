package loyalty_test

import (
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func TestReceiptsOutOfBounds(t *testing.T) {
	line := func(change func(*loyalty.Line)) loyalty.Receipt {
		l := goods("coffee", 100_00)
		change(&l)
		return receipt(goods("", 1), l)
	}
	for name, r := range map[string]loyalty.Receipt{
		"no lines":              receipt(),
		"too many lines":        {Lines: make([]loyalty.Line, loyalty.MaxLines+1), Tender: loyalty.Cash},
		"no tender":             {Lines: []loyalty.Line{goods("", 1)}},
		"unknown tender":        {Lines: []loyalty.Line{goods("", 1)}, Tender: 4},
		"unknown kind":          line(func(l *loyalty.Line) { l.Kind = 3 }),
		"amount below zero":     line(func(l *loyalty.Line) { l.Amount = -1 }),
		"amount too large":      line(func(l *loyalty.Line) { l.Amount = loyalty.MaxAmount/loyalty.MaxLines + 1 }),
		"goods with a volume":   line(func(l *loyalty.Line) { l.Volume = 1 }),
		"count below zero":      line(func(l *loyalty.Line) { l.Count = -1 }),
		"fuel with a count":     line(func(l *loyalty.Line) { l.Kind = loyalty.Fuel }),
		"volume too large":      line(func(l *loyalty.Line) { *l = fuel("ДТ", loyalty.MaxAmount, 1) }),
		"no code":               line(func(l *loyalty.Line) { l.Code = "" }),
		"long code":             line(func(l *loyalty.Line) { l.Code = strings.Repeat("1", loyalty.MaxLineText+1) }),
		"long group":            line(func(l *loyalty.Line) { l.Group = strings.Repeat("1", loyalty.MaxLineText+1) }),
		"code with a tabulator": line(func(l *loyalty.Line) { l.Code = "a\tb" }),
		"group with an escape":  line(func(l *loyalty.Line) { l.Group = "\x1b" }),
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Check()
			refused(t, err, loyalty.BadRequest)
			if len(r.Lines) == 2 && !strings.Contains(err.Error(), "line 2") {
				t.Errorf("%v does not name the line", err)
			}
		})
	}
}

func TestSubjectOfEveryBody(t *testing.T) {
	for _, tt := range []struct {
		body    loyalty.Body
		account loyalty.AccountID
		card    loyalty.CardNumber
	}{
		{loyalty.Started{}, 0, ""},
		{loyalty.SaleOpened{Account: 1, Card: card}, 1, card},
		{loyalty.SaleClosed{Account: 2, Card: card}, 2, card},
		{loyalty.SaleVoided{Account: 3}, 3, ""},
		{loyalty.CellReturned{Account: 4}, 4, ""},
	} {
		if a, c := loyalty.Subject(tt.body); a != tt.account || c != tt.card {
			t.Errorf("%T is about account %d, card %s", tt.body, a, c)
		}
	}
}
