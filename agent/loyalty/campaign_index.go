package loyalty

import "slices"

// campaignIndex finds the campaigns that a receipt may be in by the names of its lines, so that a receipt costs what its
// own campaigns cost, however many others are running.
type campaignIndex struct {
	byName map[string][]int32 // code or group -> campaigns that name it, without promo codes
	always []int32            // those that cover all lines of a kind
}

// indexCampaigns makes the index, or none where there are too few campaigns for it to save anything.
func indexCampaigns(campaigns []Campaign) *campaignIndex {
	if len(campaigns) < 8 {
		return nil
	}
	x := &campaignIndex{byName: make(map[string][]int32)}
	for i := range campaigns {
		m := &campaigns[i]
		if m.Promo != nil {
			continue
		}
		if len(m.Covers) == 0 || slices.ContainsFunc(m.Covers, func(c Cover) bool { return len(c.Codes) == 0 }) {
			x.always = append(x.always, int32(i))
			continue
		}
		for j := range m.Covers {
			for _, code := range m.Covers[j].Codes {
				if at := x.byName[code]; len(at) == 0 || at[len(at)-1] != int32(i) {
					x.byName[code] = append(at, int32(i))
				}
			}
		}
	}
	return x
}

// candidates is the campaigns that may cover a line of the receipt, in the order of the file.
func (x *campaignIndex) candidates(lines []Line) []int32 {
	out := slices.Clone(x.always)
	for i := range lines {
		out = append(out, x.byName[lines[i].Code]...)
		if g := lines[i].Group; g != "" {
			out = append(out, x.byName[g]...)
		}
		if len(out) > 4*maxCampaigns { // a long receipt names the same campaigns over and over
			slices.Sort(out)
			out = slices.Compact(out)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
