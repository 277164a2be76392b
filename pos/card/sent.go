package card

import "github.com/azs-edge/azs-edge/agent/loyalty"

// Refuses says why a number that was typed in, or that a register sent, is no card of the operator's; empty if it may be
// one. The number of a bank card is never one, unless a range holds it. Where there are no ranges, anything else may be.
func (c Config) Refuses(number loyalty.CardNumber) Reason {
	c = c.withDefaults()
	d, s := Decoder{cfg: c}, string(number)
	why := Reason(Unknown)
	for _, gsrn := range []bool{false, true} {
		e, ours := d.card(s, true, gsrn)
		switch {
		case e.Type == Card:
			return ""
		case ours && why == Unknown:
			why = e.Reason
		}
	}
	switch {
	case holdsPAN(s):
		return PaymentCard
	case len(c.Ranges) == 0:
		return ""
	}
	return why
}
