package loyalty

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Velocity is a rule against haste: so much of something, by one card, cashier or the like, within a stretch of time. The
// station counts it for itself, in the transaction of the operation that it counts: stations do not hear of each other in
// time for it to mean anything. A sale counts when it is closed. What is open counts as well where a rule refuses, with all
// the points it has reserved, if it was opened within the rule's stretch of time or the last 24 hours, whichever is longer,
// or in the same shift: see [Velocity.OpenSince]. What a crash has left open longer does not count before it is ended. A
// sale that was opened in time is closed whatever the rule says since, with an alert where it exceeds it.
//
// A stretch of Within moves along with the time and is kept in sixtieths: it may reach back up to a sixtieth further than
// it says, never less, so that nothing within it is overlooked and a counter holds few numbers however busy it is.
type Velocity struct {
	Name   string
	Per    []Watched // whose doings are counted together, in the order of their constants; never empty
	Count  Counted
	AtMost int64         // what is still in order: a number, or hundredths of a point
	Within time.Duration // whole minutes up to [MaxWithin]; zero: Day or Shift
	Day    bool          // within a day of the programme's calendar
	Shift  bool          // within a shift of the register
	Refuse bool          // what exceeds it is refused; otherwise it passes, and headquarters is alerted
}

// MaxWithin is the longest stretch of a velocity rule. A shift that lasts longer is counted from so long ago.
const MaxWithin = 31 * 24 * time.Hour

// MaxVelocity bounds the velocity rules of a programme: each is looked at in every operation.
const MaxVelocity = 32

// Watched is a part of an operation by which a [Velocity] rule tells whose doings it counts together.
type Watched uint8

// What rules watch.
const (
	WatchCard Watched = iota + 1
	WatchAccount
	WatchCashier
	WatchShift // a register's shift, by counter and number
	WatchCounter
)

var watchedNames = []string{"", "card", "account", "cashier", "shift", "counter"}

// String is the name in programme files.
func (w Watched) String() string { return name(watchedNames, int(w)) }

// Counted is what a [Velocity] rule counts.
type Counted uint8

// What rules count.
const (
	CountSales    Counted = iota // sales
	CountManual                  // sales whose card was typed in
	CountRefunds                 // refunds
	CountRedeemed                // hundredths of points redeemed
	CountCards                   // cards given out
)

var countedNames = []string{"sales", "manual", "refunds", "redeemed", "cards"}

// String is the name in programme files.
func (c Counted) String() string {
	if int(c) < len(countedNames) {
		return countedNames[c]
	}
	return fmt.Sprintf("count %d", uint8(c))
}

// Deed is an operation as velocity rules see it. What is empty or zero is not known.
type Deed struct {
	At       Instant
	Card     CardNumber
	Account  AccountID
	Counter  string // empty: the only one, or all that have no name
	Cashier  string
	Shift    uint32
	Sales    int64
	Manual   int64
	Refunds  int64
	Redeemed Points
	Cards    int64 // given out
}

// amount is what the deed adds to a rule's count.
func (d *Deed) amount(c Counted) int64 {
	var x int64
	switch c {
	case CountSales:
		x = d.Sales
	case CountManual:
		x = d.Manual
	case CountRefunds:
		x = d.Refunds
	case CountRedeemed:
		x = int64(d.Redeemed)
	case CountCards:
		x = d.Cards
	}
	return min(max(0, x), MaxAmount)
}

// Key names the counter of a rule that a deed belongs to: the rule's name and a hash, so that it holds no card number and
// at most [MaxVelocityKey] bytes. A rule that counts something else than before under its old name begins anew. ok is false
// if the rule does not concern the deed: it adds nothing, or whose doing it is is not known.
func (v *Velocity) Key(d *Deed) (key string, ok bool) {
	if d.amount(v.Count) == 0 || v.Shift && d.Shift == 0 {
		return "", false
	}
	h := sha256.New()
	part := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		_, _ = h.Write(n[:]) // a hash never fails
		_, _ = h.Write([]byte(s))
	}
	part(fmt.Sprint(v.Per, v.Count, v.Within, v.Day, v.Shift))
	for _, w := range v.Per {
		known := true
		switch w {
		case WatchCard:
			known = d.Card != ""
			part(string(d.Card))
		case WatchAccount:
			known = d.Account != 0
			part(fmt.Sprint(uint64(d.Account)))
		case WatchCashier:
			known = d.Cashier != ""
			part(d.Cashier)
		case WatchShift:
			known = d.Shift != 0
			part(d.Counter)
			part(fmt.Sprint(d.Shift))
		case WatchCounter:
			part(d.Counter)
		}
		if !known {
			return "", false
		}
	}
	if v.Shift {
		part(d.Counter)
		part(fmt.Sprint(d.Shift))
	}
	return v.Name + "/" + hex.EncodeToString(h.Sum(nil)[:16]), true
}

// CountsOpen tells whether the rule counts sales that stand open: it refuses, and counts what sales add to.
func (v *Velocity) CountsOpen() bool {
	return v.Refuse && (v.Count == CountSales || v.Count == CountManual || v.Count == CountRedeemed)
}

// OpenSince is the earliest moment at which a sale was opened that stands open and counts at a moment.
func (v *Velocity) OpenSince(at Instant) Instant {
	if v.Shift { // which one stands in the key
		return at.Add(-MaxWithin)
	}
	return at.Add(-max(v.Within, openCounts))
}

// openCounts is how long at least a sale that stands open counts: longer than it takes to fill up, so that what was opened
// before midnight, or before a short stretch, is not got past; not so long that what a crash has left open is in the way.
const openCounts = 24 * time.Hour

// MaxVelocityKey bounds what [Velocity.Key] returns, in bytes.
const MaxVelocityKey = 32 + 1 + 32

// counterOfVelocity is the only counter of a velocity rule's standing.
const counterOfVelocity Counter = "velocity"

// Judge is what a rule's counter comes to with a deed, and whether that is more than the rule allows. The standing is that
// of the deed's [Velocity.Key]; nil, or an empty one: nothing has been counted. It changes nothing.
func (p *Programme) Judge(v *Velocity, s *Standing, d *Deed) (count int64, exceeded bool) {
	if s != nil {
		count = s.Used(counterOfVelocity, d.At)
	}
	count = min(count+d.amount(v.Count), MaxAmount)
	return count, count > v.AtMost
}

// Note counts a deed, and forgets what does not count any longer.
func (p *Programme) Note(v *Velocity, s *Standing, d *Deed) {
	s.Tallies = slices.DeleteFunc(s.Tallies, func(t Tally) bool { return t.Until != 0 && t.Until <= d.At })
	from, until := p.stretch(v, d.At)
	s.Count(Tally{Counter: counterOfVelocity, From: from, Until: until, Amount: d.amount(v.Count)})
}

// stretch is when a deed of the moment counts.
func (p *Programme) stretch(v *Velocity, at Instant) (from, until Instant) {
	switch {
	case v.Day:
		return p.span(aDay, at)
	case v.Shift: // which shift it is stands in the key; it need not end
		return p.dayStart(at, 0), p.dayStart(at, int(MaxWithin/(24*time.Hour)))
	}
	slot := Instant((v.Within / sixtieths).Milliseconds())
	from = at - at%slot
	return from, from.Add(v.Within) + slot
}

const sixtieths = 60

// Idle tells whether nothing that has been counted counts any longer, so that the standing may be forgotten.
func (s *Standing) Idle(at Instant) bool {
	return !slices.ContainsFunc(s.Tallies, func(t Tally) bool { return t.Until == 0 || at < t.Until })
}

// Words tell the rule in a sentence.
func (v *Velocity) Words() Text {
	var subjects []Text
	for _, w := range v.Per {
		if !v.Shift || w != WatchShift { // in a shift for one shift
			subjects = append(subjects, watchedWords[w])
		}
	}
	subject := Text{}
	if len(subjects) > 0 {
		each := subjects[0]
		for _, t := range subjects[1:] {
			each = both("%s и %s", "%s and %s", each, t)
		}
		subject = both(" на %s", " for one %s", each)
	}
	most := Text{fmt.Sprint(v.AtMost), fmt.Sprint(v.AtMost)}
	if v.Count == CountRedeemed {
		most = points(Points(v.AtMost))
	}
	then := Text{"сообщение в центр", "headquarters is alerted"}
	if v.Refuse {
		then = Text{"отказ и сообщение в центр", "it is refused and headquarters alerted"}
	}
	return both("%s: %s не больше %s %s%s; сверх того %s", "%s: %s at most %s %s%s; beyond that %s",
		v.Name, countedWords[v.Count], most, v.during(), subject, then)
}

var (
	watchedWords = [...]Text{
		WatchCard: {"карту", "card"}, WatchAccount: {"счёт", "account"}, WatchCashier: {"кассира", "cashier"},
		WatchShift: {"смену", "shift"}, WatchCounter: {"кассу", "counter"},
	}
	countedWords = [...]Text{
		CountSales: {"покупок", "sales"}, CountManual: {"карт, набранных вручную,", "cards typed in"},
		CountRefunds: {"возвратов", "refunds"}, CountRedeemed: {"списано баллов", "points redeemed"},
		CountCards: {"выданных карт", "cards given out"},
	}
)

// during is the rule's stretch of time.
func (v *Velocity) during() Text {
	switch {
	case v.Day:
		return Text{"за день", "in a day"}
	case v.Shift:
		return Text{"за смену", "in a shift"}
	}
	for _, u := range velocityUnits {
		if v.Within%u.length == 0 {
			n := int64(v.Within / u.length)
			return both("за %d %s", "within %d %s", n, u.words)
		}
	}
	return Text{v.Within.String(), v.Within.String()}
}

// velocityUnits are the units of a stretch of time, the longest first.
var velocityUnits = []struct {
	letter string
	length time.Duration
	words  Text
}{
	{"d", 24 * time.Hour, Text{"дн.", "d"}},
	{"h", time.Hour, Text{"ч", "h"}},
	{"m", time.Minute, Text{"мин", "min"}},
}
