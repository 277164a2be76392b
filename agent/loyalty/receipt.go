package loyalty

import "fmt"

// LineKind tells fuel from goods.
type LineKind uint8

// The kinds of a line.
const (
	Fuel  LineKind = 1
	Goods LineKind = 2
)

// Line is one position of a receipt. Amount is what the register charges for it before points; it is never computed
// from the quantity, so that the register's own rounding stays the truth.
type Line struct {
	Kind   LineKind
	Code   string      // fuel grade ("АИ-95") or article
	Group  string      // goods group ("tobacco"), as the programme names them
	Volume Millilitres // fuel only
	Count  int64       // goods only, in thousandths of a piece
	Amount Kopecks
}

// Tender is how the part that is not paid with points is paid.
type Tender uint8

// The tenders.
const (
	Cash     Tender = 1
	Cashless Tender = 2
	FuelCard Tender = 3
)

// Receipt is what is sold, as the POS says it.
type Receipt struct {
	Lines    []Line
	Tender   Tender    // that pays what points do not; with Payments the one that pays most
	Payments []Payment // what each tender pays of it, each once, in order; none: Tender pays all
	Promo    []string  // promo codes typed or scanned with it, as they came
}

// Payment is what a tender pays of a receipt.
type Payment struct {
	Tender Tender
	Amount Kopecks
}

// The bounds of a receipt.
const (
	MaxLines    = 10_000
	MaxLineText = 64 // bytes of a code or group
	MaxPromo    = 8  // promo codes
	MaxPayments = 3  // one for each tender
)

// Check returns [BadRequest], naming the line, unless the receipt is well-formed.
func (r *Receipt) Check() error {
	if len(r.Lines) == 0 || len(r.Lines) > MaxLines {
		return fmt.Errorf("%w: a receipt of %d lines, want 1 to %d", BadRequest, len(r.Lines), MaxLines)
	}
	if r.Tender < Cash || r.Tender > FuelCard {
		return fmt.Errorf("%w: tender %d is not known", BadRequest, r.Tender)
	}
	if len(r.Promo) > MaxPromo {
		return fmt.Errorf("%w: %d promo codes, at most %d", BadRequest, len(r.Promo), MaxPromo)
	}
	for _, c := range r.Promo {
		if c == "" || len(c) > MaxLineText {
			return fmt.Errorf("%w: a promo code takes 1 to %d bytes", BadRequest, MaxLineText)
		}
		if err := plainText("promo code", c); err != nil {
			return err
		}
	}
	if err := r.checkPayments(); err != nil {
		return err
	}
	for i := range r.Lines {
		if err := r.Lines[i].check(); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}

func (l *Line) check() error {
	switch {
	case l.Kind != Fuel && l.Kind != Goods:
		return fmt.Errorf("%w: kind %d is neither fuel nor goods", BadRequest, l.Kind)
	case l.Amount < 0 || l.Amount > MaxAmount/MaxLines:
		return fmt.Errorf("%w: amount %s", BadRequest, l.Amount)
	case l.Volume < 0 || l.Volume > MaxAmount/MaxLines || (l.Kind == Goods && l.Volume != 0):
		return fmt.Errorf("%w: volume %s", BadRequest, l.Volume)
	case l.Count < 0 || l.Count > MaxAmount/MaxLines || (l.Kind == Fuel && l.Count != 0):
		return fmt.Errorf("%w: count %d", BadRequest, l.Count)
	case l.Code == "" || len(l.Code) > MaxLineText || len(l.Group) > MaxLineText:
		return fmt.Errorf("%w: code and group take 1 and 0 to %d bytes", BadRequest, MaxLineText)
	}
	if err := plainText("code", l.Code); err != nil {
		return err
	}
	return plainText("group", l.Group)
}

// Total is the sum of the lines.
func (r *Receipt) Total() (sum Kopecks) {
	for _, l := range r.Lines {
		sum += l.Amount
	}
	return sum
}

var (
	lineKinds = []string{"", "fuel", "goods"}
	tenders   = []string{"", "cash", "cashless", "fuel_card"}
)

func name(names []string, i int) string {
	if i > 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown %d", i)
}

func number(what string, names []string, s string) (int, error) {
	for i, n := range names {
		if i > 0 && n == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: %s %.32q, want one of %v", BadRequest, what, s, names[1:])
}

// String is the kind's name in files and API.
func (k LineKind) String() string { return name(lineKinds, int(k)) }

// ParseLineKind reads a kind's name.
func ParseLineKind(s string) (LineKind, error) {
	n, err := number("line kind", lineKinds, s)
	return LineKind(n), err
}

// String is the tender's name in files and API.
func (t Tender) String() string { return name(tenders, int(t)) }

// ParseTender reads a tender's name.
func ParseTender(s string) (Tender, error) {
	n, err := number("tender", tenders, s)
	return Tender(n), err
}
