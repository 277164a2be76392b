package loyalty

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func (r *programmeReader) velocity(n *node, p *Programme) {
	names := map[string]bool{}
	const example = "{name: same-card, per: [card, counter], count: sales, at_most: 4, within: 30m, then: alert}"
	r.each(n, MaxVelocity, "velocity rule", example, func(item *node) { p.Velocity = append(p.Velocity, r.velocityRule(item, names)) })
}

func (r *programmeReader) velocityRule(n *node, names map[string]bool) (v Velocity) {
	r.keys(n, "name", "per", "count", "at_most", "within", "then")
	if m := r.required(n, "name"); m != nil {
		if v.Name = r.name(m, names); slices.Contains(ownAlerts, v.Name) {
			r.bad(m, "take another name", "the station raises %s by itself", v.Name)
		}
	}
	v.Per = r.watched(r.required(n, "per"))
	if m := r.required(n, "count"); m != nil {
		v.Count = Counted(r.choice(m, countedNames...))
	}
	if m := r.required(n, "at_most"); v.Count == CountRedeemed {
		v.AtMost = r.number(m, 2, 0, MaxAmount, "points", 0)
	} else if m != nil {
		v.AtMost = int64(r.whole(m, 0, 1_000_000, " "+v.Count.String()))
	}
	if m := r.required(n, "within"); m != nil {
		r.within(m, &v)
	}
	v.Refuse = r.choice(n.get("then"), "alert", "refuse") == 1
	return v
}

// ownAlerts are the names of the alerts that no rule may have.
var ownAlerts = []string{AlertStaffCard, AlertRefundToCard, AlertShiftDiffers, AlertShiftLate}

// watched is whose doings a rule counts together, in the order of the constants: how a file orders them means nothing.
func (r *programmeReader) watched(n *node) (per []Watched) {
	if n != nil && n.kind == list && len(n.items) == 0 {
		r.bad(n, "write some of "+strings.Join(watchedNames[1:], ", "), "a rule that watches nobody")
	}
	for i, s := range r.list(n) {
		w := slices.Index(watchedNames[1:], s) + 1
		if w == 0 {
			r.bad(n.items[i], "write "+strings.Join(watchedNames[1:], ", "), "%.32q cannot be watched", s)
			continue
		}
		per = append(per, Watched(w))
	}
	slices.Sort(per)
	return slices.Compact(per)
}

// within reads a stretch of time: 30m, 12h, 7d, day or shift.
func (r *programmeReader) within(n *node, v *Velocity) {
	s, ok := r.word(n)
	if !ok {
		return
	}
	switch s {
	case "day":
		v.Day = true
		return
	case "shift":
		v.Shift = true
		return
	}
	const hint = "write minutes, hours or days like 30m, 12h or 7d, or day, or shift"
	for _, u := range velocityUnits {
		number, found := strings.CutSuffix(s, u.letter)
		if !found {
			continue
		}
		x, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			break
		}
		if x == 0 || x > uint64(MaxWithin/u.length) {
			r.bad(n, hint, "%.32q is out of range: from 1m to 31d", s)
			return
		}
		v.Within = time.Duration(x) * u.length
		return
	}
	r.bad(n, hint, "%.32q is not a stretch of time", s)
}
