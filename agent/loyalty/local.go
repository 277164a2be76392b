package loyalty

import "slices"

// Snapshot is what HQ last said of an account to one station.
type Snapshot struct {
	Account   Account
	Version   uint64  // HQ's version of the account: the newest wins
	AsOf      Instant // HQ's time of the snapshot
	Elsewhere Points  // rights outstanding at other stations: not available here
	Epoch     Epoch   // through which entry of this station's journal the lots count
	Applied   Seq
}

// Local is a station's view of an account: HQ's last word and this station's own entries that it does not count yet.
// What is shown is exactly the sum of the two.
type Local struct {
	Snapshot Snapshot
	Own      []Posting // in the order of the journal, all behind (Snapshot.Epoch, Snapshot.Applied)
}

// Current is the account with the station's own entries applied. An own redemption that the snapshot's lots no longer
// cover takes what there is, and an own lot that would carry the account over [MaxAmount] is left out: the view never
// shows a balance that cannot be, and HQ's next word corrects it.
func (l *Local) Current() Account {
	a := l.Snapshot.Account.Clone()
	for _, p := range l.Own {
		p.Redeemed = min(p.Redeemed, a.payable())
		if err := a.Post(p); err != nil {
			p.Accrued, p.Claims = nil, nil
			_ = a.Post(p) // what is redeemed was cut to what is held: it cannot fail without the lots
		}
	}
	return a
}

// Available is what the account could spend here at the moment if all rights were granted: active lots, less what is
// promised to other stations, less what this station has reserved for open sales.
func (l *Local) Available(at Instant, reserved Points) Points {
	a := l.Current()
	return l.available(&a, at, reserved)
}

// available is Available for who has the current account already.
func (l *Local) available(current *Account, at Instant, reserved Points) Points {
	return max(0, current.Spendable(at)-l.Snapshot.Elsewhere-reserved)
}

// Learn takes in a snapshot if it is not older than the one there is, drops the own entries that it counts and tells
// whether it was taken. Repeated, late or reordered snapshots are harmless.
func (l *Local) Learn(s Snapshot) bool {
	old := l.Snapshot
	if s.Version < old.Version || s.Epoch < old.Epoch || (s.Epoch == old.Epoch && s.Applied < old.Applied) {
		return false
	}
	l.Snapshot = s
	l.Own = slices.DeleteFunc(l.Own, func(p Posting) bool {
		return p.Epoch < s.Epoch || (p.Epoch == s.Epoch && p.Seq <= s.Applied)
	})
	return true
}

// Add notes an own entry.
func (l *Local) Add(p Posting) {
	if p.moves() {
		l.Own = append(l.Own, p)
	}
}

// Clone copies everything that could be changed.
func (l *Local) Clone() Local {
	c := *l
	c.Snapshot.Account = l.Snapshot.Account.Clone()
	c.Own = slices.Clone(l.Own)
	return c
}
