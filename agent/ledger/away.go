package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// The ledger keeps a record of a sale that is not its own from the first refund of it made here, until the last of these
// refunds is trimmed. It is made of what headquarters has said of the sale, and stands in a bucket of its own under the
// number of the sale's station, so that it never meets a sale of this station with the same id. A sale that this station
// has made and forgotten is kept so as well.

// saleKey names a sale's record.
type saleKey struct {
	station loyalty.StationID // zero: closed here
	id      loyalty.SaleID
}

func (k saleKey) String() string {
	if k.station == 0 {
		return fmt.Sprintf("%q", k.id)
	}
	return fmt.Sprintf("%q of station %d", k.id, k.station)
}

// record is where the sale's record stands.
func (k saleKey) record() (bucket string, key []byte) {
	if k.station == 0 {
		return bucketSale, []byte(k.id)
	}
	return bucketAway, append(binary.BigEndian.AppendUint32(nil, uint32(k.station)), k.id...)
}

// parseAwayKey reads the key of a record in the bucket of sales elsewhere.
func parseAwayKey(key []byte) (saleKey, error) {
	if len(key) < 5 || binary.BigEndian.Uint32(key) == 0 || binary.BigEndian.Uint32(key) > uint32(loyalty.MaxStation) {
		return saleKey{}, fmt.Errorf("%w: key of a sale elsewhere", ErrCorrupt)
	}
	k := saleKey{loyalty.StationID(binary.BigEndian.Uint32(key)), loyalty.SaleID(key[4:])}
	return k, k.id.Check()
}

func (t *txn) saleAt(k saleKey) (sale, error) {
	bucket, key := k.record()
	v, err := t.get(bucket, key)
	if v == nil || err != nil {
		return sale{}, err
	}
	s, err := parseSale(k.id, v)
	if err == nil {
		s.Station = k.station
	}
	return s, err
}

func (t *txn) putSale(s sale) error {
	m, err := s.message()
	if err != nil {
		return err
	}
	bucket, key := saleKey{s.Station, s.ID}.record()
	return t.putMessage(bucket, key, m)
}

// toRefund reads the sale that a refund is for: this station's own, or what is known of another's.
func (t *txn) toRefund(r *loyalty.RefundRequest) (sale, error) {
	k := saleKey{r.Station, r.Sale}
	if k.station == 0 || k.station == t.st.station {
		if s, err := t.saleAt(saleKey{0, r.Sale}); err != nil || s.Sale != nil {
			return s, err
		}
		k.station = t.st.station
	}
	return t.saleAt(k)
}

// refundBooks reads the records that a refund touches, with what headquarters has of the sale.
func (t *txn) refundBooks(r *loyalty.RefundRequest, elsewhere *loyalty.SaleElsewhere, at loyalty.Instant) (b loyalty.Books, epochEnd loyalty.Epoch, err error) {
	s, err := t.toRefund(r)
	if err != nil {
		return b, 0, err
	}
	b = loyalty.Books{Programme: t.rules.inForce(at), Station: t.st.station, Sale: s.Sale, Frozen: t.st.thaw != 0}
	origin := r.Station
	if origin == 0 {
		origin = t.st.station
	}
	if elsewhere != nil && elsewhere.Station != origin {
		return b, 0, fmt.Errorf("%w: headquarters answered of station %d, not %d", loyalty.BadRequest, elsewhere.Station, origin)
	}
	if err := b.Hear(r.Sale, elsewhere); err != nil {
		return b, 0, err
	}
	if b.Sale != nil && b.Sale.Quote.Step == 0 { // headquarters' word of a sale does not tell it
		if p := t.rules.version(b.Sale.Quote.Programme); p != nil {
			b.Sale.Quote.Step = p.Step
		}
	}
	switch known := b.Sale != nil && (b.Sale.Close != nil || b.Sale.Station == 0); {
	case !known && elsewhere == nil && (b.Sale != nil || origin != t.st.station):
		return b, 0, fmt.Errorf("refund sale %s: %w", saleKey{origin, r.Sale}, loyalty.Offline)
	case !known:
		return b, 0, fmt.Errorf("refund sale %s: %w", saleKey{origin, r.Sale}, loyalty.SaleNotHere)
	case elsewhere == nil && b.Sale.Station != 0 && b.Sale.Refund(r.Refund) == nil: // others may have refunded it since
		return b, 0, fmt.Errorf("refund sale %s: %w", saleKey{origin, r.Sale}, loyalty.Offline)
	}
	if b.Card, _, err = t.card(b.Sale.Card); err != nil {
		return b, 0, err
	}
	b.Known = b.Sale.Account != 0
	return b, s.epochEnd, t.accountBooks(&b, b.Sale.Account)
}

// away notes a record of a sale elsewhere: of its refunds those that were made here stand in the journal.
func (c *checker) away(key, v []byte) error {
	k, err := parseAwayKey(key)
	if err != nil {
		return err
	}
	s, err := parseSale(k.id, v)
	if err != nil {
		return err
	}
	if s.State != loyalty.SaleDone {
		return fmt.Errorf("state %d", s.State)
	}
	c.refunds(k, s)
	return nil
}

// refunds notes where the refunds of a sale stand that were made here, and the sale's last entry.
func (c *checker) refunds(k saleKey, s sale) {
	for _, f := range s.Refunds {
		if inJournal(f) {
			c.ended[place{f.Epoch, f.Seq}] = k
		}
	}
	if last := s.last(); last != (place{}) {
		c.lasts[last] = true
	}
}

// readAway takes over the records that were found of sales elsewhere.
func (b *rebuilt) readAway(records map[string][]byte) {
	for key, v := range records {
		k, err := parseAwayKey([]byte(key))
		if err != nil {
			continue
		}
		if s, err := parseSale(k.id, v); err == nil && s.State == loyalty.SaleDone {
			s.Station = k.station
			b.away[k] = s
		}
	}
}

// awayOf is the record of a sale elsewhere that an entry refunds. Where it is lost, what the sale was is headquarters' to
// say again; which refunds were made here is in the journal.
func (b *rebuilt) awayOf(r loyalty.SaleRefunded) *loyalty.Sale {
	k := saleKey{r.Station, r.Sale}
	if b.away[k].Sale == nil {
		b.away[k] = sale{Sale: &loyalty.Sale{
			ID: r.Sale, Station: r.Station, State: loyalty.SaleDone, OpEnd: r.Closed, Account: r.Account, Card: r.Card,
		}}
	}
	return b.away[k].Sale
}

func (b *rebuilt) writeAway(t *txn) error {
	for _, s := range b.away {
		if err := t.putSale(s); err != nil {
			return err
		}
	}
	return nil
}
