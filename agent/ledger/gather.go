package ledger

import (
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// gather adds what no head reaches any more: entries that HQ may not have, cards and accounts. A head that is lost takes the
// last transaction with it, and a branch page everything below; the leaves are still in the file.
func (r *records) gather(p *pageFile) error {
	acked := place{}
	if b, ok := r.plain[bucketMeta][string(keyState)]; ok {
		if st, err := parseState(b); err == nil {
			acked = place{st.epoch, st.acked}
		}
	}
	found := make(map[place][]link)
	err := p.strays(func(key, stored []byte) error {
		switch {
		case len(key) == 12 && sealed(bucketJrn, key, stored):
			at := parsePlace(key)
			if _, known := r.journal[at]; known || !acked.before(at) {
				return nil
			}
			h, b, err := parseEntry(key, stored)
			if err == nil && !slices.ContainsFunc(found[at], func(l link) bool { return l.hash == h }) {
				found[at] = append(found[at], link{h, slices.Clone(b)})
			}
		case len(key) == 8 && sealed(bucketAcct, key, stored):
			r.keepNewer(bucketAcct, key, stored, newerAccount)
		case sealed(bucketCard, key, stored):
			r.keepNewer(bucketCard, key, stored, newerCard)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.link(found)
	return nil
}

// link takes the entries that were found, one for each place. A page that never became part of a transaction may hold
// another entry for a place that was written again: the one that the chain joins to its neighbours is the true one.
func (r *records) link(found map[place][]link) {
	places := make([]place, 0, len(found))
	for p := range found {
		places = append(places, p)
	}
	slices.SortFunc(places, place.compare)
	for _, p := range slices.Backward(places) {
		best, score := link{}, -1
		for _, l := range found[p] {
			n := 0
			if next, ok := r.journal[place{p.epoch, p.seq + 1}]; ok && l.hash.Next(next.bytes) == next.hash {
				n += 2
			}
			prev := found[place{p.epoch, p.seq - 1}]
			if known, ok := r.journal[place{p.epoch, p.seq - 1}]; ok {
				prev = []link{known}
			}
			if slices.ContainsFunc(prev, func(q link) bool { return q.hash.Next(l.bytes) == l.hash }) {
				n++
			}
			if n > score {
				best, score = l, n
			}
		}
		r.journal[p] = best
		r.count++
	}
}

// keepNewer keeps a stray record where the trees had none, or an older stray one.
func (r *records) keepNewer(bucket string, key, stored []byte, newer func(key string, a, b []byte) bool) {
	v := stored[:len(stored)-sumSize]
	if _, ok := r.strayed[bucket+string(key)]; !ok {
		if _, known := r.plain[bucket][string(key)]; known {
			return
		}
		r.count++
	} else if !newer(string(key), v, r.plain[bucket][string(key)]) {
		return
	}
	if r.plain[bucket] == nil {
		r.plain[bucket] = make(map[string][]byte)
	}
	if r.strayed == nil {
		r.strayed = make(map[string]bool)
	}
	r.strayed[bucket+string(key)] = true
	r.plain[bucket][string(key)] = slices.Clone(v)
}

func newerAccount(_ string, a, b []byte) bool {
	x, err := parseLocal(a)
	if err != nil {
		return false
	}
	y, err := parseLocal(b)
	if err != nil {
		return true
	}
	through := func(l *loyalty.Local) place { return place{l.Snapshot.Epoch, l.Snapshot.Applied} }
	switch c := through(&x).compare(through(&y)); {
	case x.Snapshot.Version != y.Snapshot.Version:
		return x.Snapshot.Version > y.Snapshot.Version
	case c != 0:
		return c > 0
	}
	return len(x.Own) > len(y.Own)
}

func newerCard(number string, a, b []byte) bool {
	x, err := parseCard(loyalty.CardNumber(number), a)
	if err != nil {
		return false
	}
	y, err := parseCard(loyalty.CardNumber(number), b)
	return err != nil || x.HQVersion > y.HQVersion
}
