package loyalty

import (
	"cmp"
	"slices"
)

// divide adds an amount, a multiple of the unit, to out in proportion to weights, in whole units: each part is rounded
// down, and the units left over go to the largest remainders, earlier ones first. No part exceeds its weight as long as
// the unit is one and the amount does not exceed their sum. With no weight at all nothing is divided.
func divide[T ~int64](out []T, amount, unit T, weights []int64) {
	var sum int64
	last, several := -1, false
	for i, w := range weights {
		if w > 0 {
			sum += w
			several = last >= 0
			last = i
		}
	}
	if amount == 0 || last < 0 {
		return
	}
	if !several {
		out[last] += amount
		return
	}
	units := int64(amount / unit)
	left := units
	var few [64]remains
	parts := few[:0]
	for i, w := range weights {
		if w == 0 {
			continue
		}
		x := mulDiv(w, units, sum)
		out[i] += T(x) * unit
		left -= x
		if rest := remainder(uint64(w), uint64(units), uint64(sum)); rest > 0 {
			parts = append(parts, remains{i, rest})
		}
	}
	toLargest(out, left, unit, parts)
}

// divideOwn adds an amount, a multiple of the unit, to out. A weight is what the part comes to by itself: each gets its own
// whole units, and those that the rest make together go to the largest remainders, earlier ones first. Where that does not
// come to the amount, since something was cut, it is divided in proportion.
func divideOwn[T ~int64](out []T, amount, unit T, weights []int64) {
	own, left := int64(unit), int64(amount/unit)
	var few [64]remains
	parts := few[:0]
	for i, w := range weights {
		if left -= w / own; left < 0 {
			break
		}
		if rest := w % own; rest > 0 {
			parts = append(parts, remains{i, uint64(rest)})
		}
	}
	if left < 0 || left > int64(len(parts)) {
		divide(out, amount, unit, weights)
		return
	}
	for i, w := range weights {
		out[i] += T(w/own) * unit
	}
	toLargest(out, left, unit, parts)
}

// remains is what rounding down has taken from a part.
type remains struct {
	part int
	rest uint64
}

// toLargest gives a unit to each of the parts of which most remains, earlier ones first.
func toLargest[T ~int64](out []T, units int64, unit T, parts []remains) {
	if units == 0 {
		return
	}
	slices.SortStableFunc(parts, func(a, b remains) int { return cmp.Compare(b.rest, a.rest) })
	for _, x := range parts[:units] {
		out[x.part] += unit
	}
}
