package embedded_test

import (
	"testing"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
	"github.com/azs-edge/azs-edge/sync/hq/hqtest"
)

func TestSmoke(t *testing.T) {
	s, err := embedded.Open(embedded.Config{Path: t.TempDir() + "/hq.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := hq.NewBooks(hq.BooksConfig{Store: s, AutoEnrol: true})
	ctx := t.Context()
	if _, err := b.ImportAccounts(ctx, []loyalty.Account{hqtest.Account(5, 10000)}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(ctx, hqtest.Programme(1)); err != nil {
		t.Fatal(err)
	}
	j := hqtest.NewJournal(t, 17)
	g, err := b.Hello(ctx, j.Hello())
	if err != nil || g.Verdict != 0 {
		t.Fatal(g, err)
	}
	r, err := b.Answer(ctx, 17, j.TopUp(5, 3000))
	if err != nil || r.Answer.Grant.GetIssued() != 3000 {
		t.Fatal(r, err)
	}
	j.Take(r)
	j.Sell(5, 3000, 400)
	res, err := b.Post(ctx, []*hq.Batch{j.All()})
	if err != nil || res.Receipts[0].Posted != 1 || len(res.Receipts[0].SetAside) != 0 {
		t.Fatal(res, err)
	}
	d, err := b.Down(ctx, 17, g.Stream, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(d)
}
