package loyalty

import "time"

// Programme is the rules of earning and redeeming: data, not code. It is made by [ParseProgramme] and not changed
// afterwards, so that any number of goroutines may read it.
//
// Rounding, stated once: a rule gives points for the sum of the lines it covers, rounded down; all rules together, and
// each campaign, are rounded down to the programme's step, and so is what limits leave; money for points and the shares
// are rounded down to a kopeck. What a receipt's discount leaves over after rounding the lines down goes one kopeck at a
// time to the lines with the largest remainders; points go to the lines of the rule or campaign that gave them, a step at a
// time, to each first the steps that it has by itself.
//
// What several tenders pay together is divided between them in proportion: see payments.go.
//
// So ten small receipts never earn more than one large one by rules, multiples and rates, and more litres or roubles
// never earn less. What a file says of one receipt (fixed points, a cap of a receipt) is given for every receipt.
type Programme struct {
	Name      string
	Version   uint32 // grows with every publication; named by every entry that it priced
	Effective Instant
	Title     Text

	Offset     time.Duration // of the programme's calendar from UTC
	PointValue Kopecks       // what one whole point pays
	Step       Points        // points are earned in multiples of this
	Form       FiscalForm

	Tiers      []Tier // sorted by From, the first from zero; none: the programme has no tiers
	TierBy     TierBy
	Earn       []EarnRule
	NoEarn     []string      // groups and codes that never earn
	NoEarnBy   []Tender      // tenders that never earn
	NoRedeem   []string      // groups and codes that points never pay for
	NoRedeemBy []Tender      // tenders beside which points never pay
	Activation time.Duration // whole days
	LifeMonths int           // calendar months until a lot expires; zero: never, or by Annul
	Annul      YearDay       // the day of each year on which lots expire, at its start; zero: there is none
	SpareDays  int           // lots accrued within so many days before Annul live until the next one

	Limits    Limits
	Campaigns []Campaign

	RedeemShare  int64   // of the lines that points may pay for, in hundredths of a per cent
	RedeemShares []Share // of some of them less; the first that covers a line counts
	RedeemStep   Points  // redemptions are multiples of this
	MinMoney     Kopecks // the customer pays at least so much of the receipt in money
	RedeemAsked  bool    // points pay only after the customer has switched redeeming on
	Cards        CardRules

	Velocity []Velocity

	AcceptUnknown bool   // a card HQ has not told us of may accrue while HQ is out of reach
	Source        []byte // the file it was read from

	index *campaignIndex // nil: all campaigns are looked at
}

// Cover is which lines of a receipt a rule is for.
type Cover struct {
	Kind  LineKind
	Codes []string // fuel grades, articles or goods groups; empty: all of the kind
}

func (c *Cover) covers(l *Line) bool {
	return l.Kind == c.Kind && (len(c.Codes) == 0 || l.among(c.Codes))
}

// Caps bound what counts in one receipt and in each day, week (from Monday) and month of the programme's calendar; zero:
// no bound.
type Caps struct {
	Receipt, Day, Week, Month int64
}

// each calls f for every period that has a bound.
func (c *Caps) each(f func(period, int64)) {
	for i, most := range [...]int64{c.Day, c.Week, c.Month} {
		if most > 0 {
			f(period(i), most)
		}
	}
}

// Limits bound what an account earns, whatever the rules give.
type Limits struct {
	Purchases Caps   // nothing is earned beyond so many purchases; Receipt is not used
	Points    Caps   // hundredths of a point
	Balance   Points // earning stops when the account holds so much; zero: no bound
}

// Share bounds what part of some lines points may pay for.
type Share struct {
	Cover
	Part int64 // hundredths of a per cent
}

// CardRules say which cards an account may have; zero: as many as wanted.
type CardRules struct {
	Main, Additional, Virtual int
	OwnerAllows               bool // a card that joins an account redeems only after the owner has allowed it
}

// Most is how many cards of a kind an account may have; zero: as many as wanted.
func (c *CardRules) Most(k CardKind) int {
	switch k {
	case MainCard:
		return c.Main
	case AdditionalCard:
		return c.Additional
	case VirtualCard:
		return c.Virtual
	}
	return 0
}

// YearDay is a day of every year.
type YearDay struct {
	Month time.Month
	Day   int
}

// EarnRule gives Points for every full or partial Per of what it covers. A line that several rules cover earns by each.
type EarnRule struct {
	Name    string // names its counters; empty where no cap needs one
	Kind    LineKind
	Codes   []string // fuel grades or goods groups; empty: all
	Tenders []Tender // empty: all
	Points  Points
	ByTier  []Points // one for each tier, instead of Points
	Per     int64    // millilitres for fuel, kopecks for goods
	Whole   bool     // only full units of Per count
	AtMost  Caps     // of what counts, in units of Per
}

// rate is the rule's points for a tier.
func (e *EarnRule) rate(tier int) Points {
	if len(e.ByTier) > 0 {
		return e.ByTier[min(tier, len(e.ByTier)-1)]
	}
	return e.Points
}

// give is what the rule gives for so much.
func (e *EarnRule) give(base int64, tier int) Points {
	if e.Whole {
		base -= base % e.Per
	}
	return Points(min(mulDiv(base, int64(e.rate(tier)), e.Per), maxEarned))
}

func (e *EarnRule) covers(l *Line) bool {
	return l.Kind == e.Kind && (len(e.Codes) == 0 || l.among(e.Codes))
}
