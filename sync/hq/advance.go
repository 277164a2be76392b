package hq

import (
	"context"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Advanced counts what time has brought about.
type Advanced struct {
	Accounts  int            `json:"accounts"` // that were looked at
	Changed   int            `json:"changed"`  // of those, the ones that something was written for
	Activated loyalty.Points `json:"-"`
	Expired   loyalty.Points `json:"-"`
	Burned    loyalty.Points `json:"-"` // of closed accounts
	Tiers     int            `json:"tiers"`
}

// add adds another count.
func (a *Advanced) add(o Advanced) {
	a.Accounts += o.Accounts
	a.Changed += o.Changed
	a.Activated += o.Activated
	a.Expired += o.Expired
	a.Burned += o.Burned
	a.Tiers += o.Tiers
}

// advanceGroup bounds the accounts of one transaction: questions of the stations wait no longer than for a small batch.
const advanceGroup = 200

// Advance writes down what time has brought about for every account through a moment, which is not in the future: points
// that have become spendable or have expired, and another tier, by the programme in force; what no station can need any
// more is forgotten; and of closed accounts what stations hold no rights to any more is burned. It writes entries into
// headquarters' own journal, and stations that know the accounts are told.
//
// It may be run whenever one likes, also by two at once, interrupted anywhere and run again: everything is written once. A
// run that is left out is made up for by the next.
//
// tell is called after each page of accounts with what was done so far; nil is nobody.
func (b *Books) Advance(ctx context.Context, c Catalogue, through loyalty.Instant, tell func(Advanced)) (sum Advanced, err error) {
	through = min(through, b.Now())
	var p *loyalty.Programme
	err = b.cfg.Store.View(ctx, func(tx Tx) error {
		p, err = inForce(tx, through)
		return err
	})
	if err != nil {
		return sum, err
	}
	for after := loyalty.AccountID(0); ; {
		page, err := c.Accounts(ctx, after, advanceGroup)
		if err != nil {
			return sum, err
		}
		if len(page) == 0 {
			return sum, nil
		}
		var due []loyalty.AccountID
		for _, r := range page {
			after = r.Account.ID
			if d := newDue(r, p, through, b.Now()); d.any() {
				due = append(due, r.Account.ID)
			}
		}
		done, err := b.advance(ctx, due, p, through)
		if err != nil {
			return sum, err
		}
		done.Accounts = len(page)
		sum.add(done)
		if tell != nil {
			tell(sum)
		}
	}
}

// advance writes what is due for a group of accounts, in one transaction.
func (b *Books) advance(ctx context.Context, ids []loyalty.AccountID, p *loyalty.Programme, through loyalty.Instant) (done Advanced, err error) {
	if len(ids) == 0 {
		return done, nil
	}
	err = b.own(ctx, func(o *own) error {
		done = Advanced{}
		if err := o.load(nil, slices.Clone(ids)); err != nil {
			return err
		}
		for _, id := range ids {
			r, err := o.record(id)
			if err != nil {
				return err
			}
			d := newDue(r, p, through, o.at)
			if err := o.bring(r, &d, p, &done); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// bring writes what is due for an account.
func (o *own) bring(r *loyalty.Record, d *due, p *loyalty.Programme, done *Advanced) error {
	id := r.Account.ID
	if d.any() {
		done.Changed++
	}
	if d.advances {
		body := loyalty.AccountAdvanced{Account: id, Through: d.through, Activated: d.Activated, Expired: d.Expired}
		if len(p.Tiers) > 0 {
			body.Before, body.After = p.Tiers[d.Before].Name, p.Tiers[d.After].Name
		}
		if err := o.write(body, SaleStep{}); err != nil {
			return err
		}
		done.Activated += d.Activated
		done.Expired += d.Expired
		if d.Before != d.After {
			done.Tiers++
		}
	}
	if !d.burns {
		return nil
	}
	burned, err := o.burn(r, By{Reason: burnReason})
	done.Burned += burned
	return err
}

// burnReason stands in the entries of points that are burned later than their account was closed.
const burnReason = "the account is closed"

// due is what an account has to have written down.
type due struct {
	loyalty.Change
	through  loyalty.Instant
	advances bool
	burns    bool
}

func (d *due) any() bool { return d.advances || d.burns }

// newDue works out what is due for an account, and changes nothing.
func newDue(r *loyalty.Record, p *loyalty.Programme, through, at loyalty.Instant) due {
	a := &r.Account
	d := due{through: through, burns: a.State == loyalty.Closed && burnable(r, at)}
	if through <= a.Advanced {
		return d
	}
	tier := p.TierAt(&a.Standing, through)
	d.Before, d.After = tier, tier
	next := a.NextChange(a.Advanced)
	switch {
	case a.Advanced == 0:
		d.advances = next != 0 // from here on changes are told
	case next != 0 && next <= through:
		advanced := a.Clone()
		d.Change = p.Advance(&advanced, through)
		d.advances = d.Activated != 0 || d.Expired != 0 || d.Before != d.After
	}
	d.advances = d.advances || forgettable(r, at)
	return d
}

// fewTallies is how many tallies that no longer count may stay until something else changes an account: a customer who
// stays away has one for each day that he came, and they end one by one.
const fewTallies = 10

// forgettable tells whether an account holds what no station can need any more, and is worth an entry for it.
func forgettable(r *loyalty.Record, at loyalty.Instant) bool {
	if len(r.Account.Lots)+len(r.Account.Tallies) == 0 || r.Outstanding() != 0 {
		return false
	}
	kept := loyalty.Record{Account: r.Account.Clone()}
	prune(&kept, at)
	gone := len(r.Account.Tallies) - len(kept.Account.Tallies)
	return len(kept.Account.Lots) < len(r.Account.Lots) || gone > fewTallies || gone > 0 && len(kept.Account.Tallies) == 0
}

// live is what the account's lots hold that has not expired. What has is told by [Books.Advance], once, and stays a while
// for sales that stations reserved before.
func live(a *loyalty.Account, at loyalty.Instant) (sum loyalty.Points) {
	for _, l := range a.Lots {
		if l.Live(at) {
			sum += l.Amount
		}
	}
	return sum
}

// burnable tells whether a closed account has something that no station holds rights to.
func burnable(r *loyalty.Record, at loyalty.Instant) bool {
	return live(&r.Account, at) > r.Outstanding() || len(r.Account.Tallies) > 0
}

// burn takes the points of a closed account that no station holds rights to, and what was counted for it. Points that have
// expired are not burned: they are gone already.
func (o *own) burn(r *loyalty.Record, by By) (loyalty.Points, error) {
	if !burnable(r, o.at) {
		return 0, nil
	}
	body := loyalty.AccountBurned{
		Account: r.Account.ID, Burned: max(0, live(&r.Account, o.at)-r.Outstanding()), Reason: by.Reason, Operator: by.Operator,
	}
	return body.Burned, o.write(body, SaleStep{})
}
