package loyalty

// Unindexed is the programme without what finds its campaigns quickly.
func (p *Programme) Unindexed() *Programme {
	q := *p
	q.index = nil
	return &q
}
