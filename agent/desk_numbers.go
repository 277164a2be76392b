package agent

import (
	"fmt"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// admit returns [loyalty.NotACard] for a number that cannot be a card of the network: a bank card's, a mistyped one. It is
// asked before the number goes anywhere, be it to headquarters, so that no bank card's ever does. What the station knows
// or has given out is a card, whatever its number.
func (d *Desk) admit(card loyalty.CardNumber) error {
	b, err := d.ledger.Lookup(card)
	if err != nil || b.Known || b.Issued {
		return err
	}
	return d.fits(card)
}

// fits is admit for a number that the station does not know.
func (d *Desk) fits(card loyalty.CardNumber) error {
	if why := d.cards.Refuses(card); why != "" {
		return fmt.Errorf("a card's number (%s): %w", why, loyalty.NotACard)
	}
	return nil
}

// admitSale is admit for a sale, except that one which is recorded is answered as it was, whatever was a card then.
func (d *Desk) admitSale(id loyalty.SaleID, card loyalty.CardNumber) error {
	err := d.admit(card)
	if _, refused := loyalty.RefusalOf(err); refused {
		if _, gone := d.ledger.Sale(id); gone == nil {
			return nil
		}
	}
	return err
}
