package loyalty

import (
	"errors"
	"fmt"
)

// ErrOverspent means that an entry redeems more than the account's lots hold. With rights issued by [Record.TopUp] and
// lots forgotten by [Record.Prune] alone it cannot happen; HQ sets such an entry aside and raises an alarm.
var ErrOverspent = errors.New("redeemed more than the account holds")

// CellKey names a cell of an account at HQ.
type CellKey struct {
	Station StationID
	Epoch   Epoch
}

// Record is HQ's books of one account. Whoever changes it holds the account's lock and commits before telling anyone.
type Record struct {
	Account Account
	Version uint64 // grows with every change
	Cells   map[CellKey]Rights
}

// Outstanding is what all stations together may still spend as far as HQ can know. It never exceeds the spendable lots
// at the moment rights are issued. Whatever stations say, it is at most [MaxCounter].
func (r *Record) Outstanding() Points {
	return r.outstanding(func(CellKey) bool { return true })
}

func (r *Record) outstanding(counts func(CellKey) bool) (sum Points) {
	for k, c := range r.Cells {
		if counts(k) {
			sum = min(sum+min(c.Outstanding(), MaxCounter), MaxCounter)
		}
	}
	return sum
}

// Post applies an entry of a station's journal. It returns [ErrOverspent] if the lots do not hold what the entry redeems,
// [ErrAmount] if the account would hold more than [MaxAmount], and [BadRequest] if its statement is not possible; nothing
// is changed then. over is how much the entry used beyond what these books have issued: more than zero only if the books
// were restored from an older backup, or the station lies.
func (r *Record) Post(key CellKey, seq Seq, e *Entry) (over Points, err error) {
	if done, err := r.postOwn(e.Body); done || err != nil {
		return 0, err
	}
	st, states := statement(e.Body)
	p, posts := PostingOf(key.Epoch, seq, e)
	if !states && !posts {
		return 0, nil
	}
	if err := st.Check(); err != nil {
		return 0, err
	}
	c := r.Cells[key]
	c.Report(st)
	if posts {
		if err := r.Account.Post(p); err != nil {
			if errors.Is(err, NotEnough) {
				err = fmt.Errorf("%w: %w", ErrOverspent, err)
			}
			return 0, err
		}
		c.Posted += p.Redeemed
	}
	over = max(0, c.taken()-c.Issued)
	c.Issued += over
	r.put(key, c)
	r.Version++
	return over, nil
}

// TopUp takes in a station's statement, raises its rights by what it wants and what the account still has to give, and
// returns the I to grant. Asking again gives the same: the want is a target. An account that may not redeem gets nothing
// more, and a statement that is not possible changes nothing.
func (r *Record) TopUp(key CellKey, st Statement, want Points, at Instant) Points {
	before := r.Cells[key]
	if st.Check() != nil {
		return before.Issued
	}
	c := before
	c.Report(st)
	r.put(key, c)
	room := r.Account.Spendable(at) - r.Outstanding()
	if want > 0 && want <= MaxAmount && room > 0 && r.Account.State.refuse(true) == nil {
		c.Raise(st, want, room)
		r.put(key, c)
	}
	if c != before {
		r.Version++
	}
	return c.Issued
}

func (r *Record) put(key CellKey, c Rights) {
	if r.Cells == nil {
		r.Cells = make(map[CellKey]Rights)
	}
	if c != (Rights{}) {
		r.Cells[key] = c
	}
}

// Prune forgets tallies that no longer count, and lots that have expired, unless a station may still spend: a sale reserved before the expiry and reported
// after it is paid from them.
func (r *Record) Prune(at Instant) {
	forgot := r.Account.forget(at)
	if n := len(r.Account.Lots); r.Outstanding() == 0 {
		r.Account.Prune(at)
		forgot = forgot || len(r.Account.Lots) != n
	}
	if forgot {
		r.Version++
	}
}

// Advance works out what has changed for the account by itself since it was advanced last, and forgets what is forgotten:
// scheduled work that may be run again, interrupted or left out at will. Moments between are not lost. It notes how far it
// came only if something changed, so that running it for all accounts writes few.
func (r *Record) Advance(p *Programme, at Instant) Change {
	before := r.Account.Advanced
	c := p.Advance(&r.Account, at)
	if before != 0 && c.Activated == 0 && c.Expired == 0 && c.Before == c.After {
		r.Account.Advanced = before
	} else if r.Account.Advanced != before {
		r.Version++
	}
	r.Prune(at)
	return c
}

// Snapshot is what to tell a station of the account: applied is the last entry of that station's journal that the lots
// count.
func (r *Record) Snapshot(key CellKey, applied Seq, asOf Instant) Snapshot {
	return Snapshot{
		Account: r.Account.Clone(), Version: r.Version, AsOf: asOf,
		Elsewhere: r.outstanding(func(k CellKey) bool { return k != key }),
		Epoch:     key.Epoch, Applied: applied,
	}
}

// Check returns an error if the books break their own rules.
func (r *Record) Check() error {
	for k, c := range r.Cells {
		if c.Outstanding() < 0 || c.Used < c.Voided {
			return fmt.Errorf("account %d, station %d: rights %+v are not possible", r.Account.ID, k.Station, c)
		}
	}
	return r.Account.Check()
}
