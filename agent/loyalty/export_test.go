package loyalty

// Unindexed is the programme without what finds its campaigns quickly.
func (p *Programme) Unindexed() *Programme {
	q := *p
	q.index = nil
	return &q
}

// Bare is the programme without its source, to be compared.
func (p *Programme) Bare() *Programme {
	q := *p.Unindexed()
	q.Source = nil
	return &q
}
