package loyalty

import "fmt"

// The alerts that the station raises by itself, beside those that a programme's velocity rules name.
const (
	AlertStaffCard    = "staff-card"    // a staff card was shown at a counter
	AlertRefundToCard = "refund-card"   // a refund was asked for with a card of another account
	AlertShiftDiffers = "shift-differs" // the register's totals of a shift are not the station's
	AlertShiftLate    = "shift-late"    // a sale was ended or resolved in a shift that was closed: no totals have it
)

// Alerted tells headquarters of something that a person should look at. It changes nothing.
type Alerted struct {
	Rule    string // name of a velocity rule, or one of the Alert constants
	Account AccountID
	Card    CardNumber
	Sale    SaleID // that raised it; empty: none
	Count   int64  // how often, or how many hundredths of a point; what the rule counts
	AtMost  int64  // what the rule allows
	Refused bool   // the operation was refused
}

// MaxRuleName bounds the name of an alert's rule, in bytes.
const MaxRuleName = 64

// Check returns [BadRequest] unless the alert is well-formed.
func (a *Alerted) Check() error {
	if a.Rule == "" || len(a.Rule) > MaxRuleName || a.Count < 0 || a.AtMost < 0 {
		return fmt.Errorf("%w: alert %.32q of %d, at most %d", BadRequest, a.Rule, a.Count, a.AtMost)
	}
	return plainText("rule", a.Rule)
}

func (Alerted) isBody() {}
