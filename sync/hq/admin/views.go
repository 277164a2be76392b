package admin

import (
	"cmp"
	"encoding/hex"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Line is an entry of the stream, as JSON lines show it. Amounts are decimal numbers, moments RFC 3339, card numbers
// masked. Fields are added, never changed.
type Line struct {
	Pos uint64 `json:"pos"`
	hq.Place
	At      string            `json:"at"` // headquarters' clock
	Outcome string            `json:"outcome"`
	Reason  string            `json:"reason,omitempty"`
	Late    bool              `json:"late,omitempty"`  // it was quarantined, and takes effect here
	Alert   bool              `json:"alert,omitempty"` // a person should look at it
	Account loyalty.AccountID `json:"account,omitempty"`
	Denied  string            `json:"denied,omitempty"` // points of used claims: of a sale not earned, of its refund not taken back
	Hash    string            `json:"hash"`
	Entry   *Entry            `json:"entry,omitempty"` // none if it cannot be read
	Bytes   string            `json:"bytes,omitempty"` // in hexadecimal, of an entry that cannot be read
}

// Entry is what an entry of a station, or of headquarters, says.
type Entry struct {
	Kind      string         `json:"kind"`
	At        string         `json:"at"` // the station's clock
	Clock     string         `json:"clock"`
	Op        loyalty.OpID   `json:"op"`
	Cashier   string         `json:"cashier,omitempty"`
	Shift     uint32         `json:"shift,omitempty"`
	Programme uint32         `json:"programme,omitempty"`
	Sale      loyalty.SaleID `json:"sale,omitempty"`
	Card      string         `json:"card,omitempty"`
	Total     string         `json:"total,omitempty"`
	Reserved  string         `json:"reserved,omitempty"`
	Redeemed  string         `json:"redeemed,omitempty"`
	Discount  string         `json:"discount,omitempty"`
	Earned    string         `json:"earned,omitempty"`
	Returned  string         `json:"returned,omitempty"` // by the station so far, of the account; of a refund, points given back
	Refund    string         `json:"refund,omitempty"`
	Money     string         `json:"money,omitempty"`  // given back
	Clawed    string         `json:"clawed,omitempty"` // points taken back
	Manual    string         `json:"manual,omitempty"`
	Why       string         `json:"why,omitempty"`
	Resolved  bool           `json:"resolved,omitempty"`
	Version   string         `json:"version,omitempty"`
	*OwnEntry
	*MoreEntry
}

var clockNames = [...]string{"good", "unsure", "behind", "ahead"}

func lineOf(l *hq.Line) Line {
	out := Line{
		Pos: l.Pos, Place: l.Place, At: l.At.String(), Outcome: l.Outcome.String(), Reason: l.Reason, Late: l.Late(), Alert: l.Alert, Account: l.Account,
		Hash: hex.EncodeToString(l.Hash[:]),
	}
	if l.Denied > 0 {
		out.Denied = l.Denied.String()
	}
	e, err := wire.DecodeEntry(l.Bytes)
	if err != nil {
		out.Bytes = hex.EncodeToString(l.Bytes)
		return out
	}
	out.Entry = entryOf(e)
	return out
}

func entryOf(e *loyalty.Entry) *Entry {
	v := &Entry{
		At: e.At.String(), Clock: clockNames[min(int(e.Clock), len(clockNames)-1)], Op: e.Op, Cashier: e.Cashier, Shift: e.Shift, Programme: e.Programme,
	}
	if e.Counter != "" {
		v.MoreEntry = &MoreEntry{Counter: e.Counter}
	}
	_, card := loyalty.Subject(e.Body)
	if card != "" {
		v.Card = card.String()
	}
	switch b := e.Body.(type) {
	case loyalty.Started:
		v.Kind, v.Version = "started", b.Version
	case loyalty.SaleOpened:
		v.Kind, v.Sale, v.Total, v.Reserved, v.Manual = "sale_opened", b.Sale, b.Receipt.Total().String(), b.Reserved.String(), b.Manual
	case loyalty.SaleClosed:
		v.Kind, v.Sale, v.Total, v.Redeemed, v.Discount = "sale_closed", b.Sale, b.Receipt.Total().String(), b.Redeemed.String(), b.Discount.String()
		v.Earned, v.Manual, v.Resolved = b.Points().String(), b.Manual, b.Resolved
	case loyalty.SaleVoided:
		v.Kind, v.Sale, v.Why, v.Resolved = "sale_voided", b.Sale, b.Reason, b.Resolved
	case loyalty.SaleRefunded:
		v.Kind, v.Sale, v.Refund, v.Why = "sale_refunded", b.Sale, string(b.Refund), b.Reason
		v.Money, v.Returned, v.Clawed = b.Money().String(), sum(b.Returned).String(), sum(b.Clawed).String()
	case loyalty.CellReturned:
		v.Kind, v.Returned = "cell_returned", b.Statement.Returned.String()
	default:
		if !v.ownEntry(b) && !v.moreEntry(b) {
			v.Kind = "unknown"
		}
	}
	return v
}

func sum(lots []loyalty.Lot) (sum loyalty.Points) {
	for _, l := range lots {
		sum += l.Amount
	}
	return sum
}

// Account is an account; lots, cells and cards are shown where one account was asked for.
type Account struct {
	ID        loyalty.AccountID `json:"account"`
	State     loyalty.State     `json:"state"`
	Total     string            `json:"total"`
	Available string            `json:"available"`      // active, and promised to no station
	Promised  string            `json:"promised"`       // rights outstanding at stations
	Debt      string            `json:"debt,omitempty"` // that refunds have left to pay
	Joined    string            `json:"joined,omitempty"`
	RedeemOn  bool              `json:"redeem_on,omitempty"` // the customer has switched redeeming on
	Version   uint64            `json:"version"`
	Lots      []Lot             `json:"lots,omitempty"`
	Cells     []Cell            `json:"cells,omitempty"`
	Cards     []Card            `json:"cards,omitempty"`
}

// Lot is points accrued together.
type Lot struct {
	Points     string `json:"points"`
	ActiveFrom string `json:"active_from"`
	Expires    string `json:"expires,omitempty"`
}

// Cell is the rights of one station.
type Cell struct {
	Station     loyalty.StationID `json:"station"`
	Epoch       loyalty.Epoch     `json:"epoch"`
	Issued      string            `json:"issued"`
	Used        string            `json:"used"`
	Voided      string            `json:"voided"`
	Returned    string            `json:"returned"`
	Posted      string            `json:"posted"`
	Outstanding string            `json:"outstanding"`
}

// Card is a card, its number masked unless the whole was asked for.
type Card struct {
	Number    string        `json:"number"`
	State     loyalty.State `json:"state"`
	Kind      string        `json:"kind"`
	MayRedeem bool          `json:"may_redeem"`
}

func accountOf(r *loyalty.Record, at loyalty.Instant) Account {
	out := r.Outstanding()
	a := Account{
		ID: r.Account.ID, State: r.Account.State, Total: r.Account.Total(at).String(), Promised: out.String(),
		Available: max(0, r.Account.Spendable(at)-out).String(), Version: r.Version,
		Joined: momentOf(r.Account.Joined), RedeemOn: r.Account.RedeemOn,
	}
	if r.Account.Debt > 0 {
		a.Debt = r.Account.Debt.String()
	}
	return a
}

func (a *Account) describe(r *loyalty.Record) {
	for _, l := range r.Account.Lots {
		lot := Lot{Points: l.Amount.String(), ActiveFrom: l.ActiveFrom.String()}
		if l.Expires != 0 {
			lot.Expires = l.Expires.String()
		}
		a.Lots = append(a.Lots, lot)
	}
	for k, c := range r.Cells {
		a.Cells = append(a.Cells, Cell{
			Station: k.Station, Epoch: k.Epoch, Issued: c.Issued.String(), Used: c.Used.String(), Voided: c.Voided.String(),
			Returned: c.Returned.String(), Posted: c.Posted.String(), Outstanding: c.Outstanding().String(),
		})
	}
	slices.SortFunc(a.Cells, func(x, y Cell) int {
		return cmp.Or(cmp.Compare(x.Station, y.Station), cmp.Compare(x.Epoch, y.Epoch))
	})
}

func cardOf(c *loyalty.Card, full bool) Card {
	number := c.Number.String()
	if full {
		number = string(c.Number)
	}
	return Card{Number: number, State: c.State, Kind: c.Kind.String(), MayRedeem: c.MayRedeem}
}

// Station is a station as headquarters know it.
type Station struct {
	ID       loyalty.StationID `json:"station"`
	Online   bool              `json:"online"`
	LastSeen string            `json:"last_seen,omitempty"`
	Version  string            `json:"version,omitempty"`
	Epoch    loyalty.Epoch     `json:"epoch"`
	Seq      loyalty.Seq       `json:"seq"`
	Backlog  uint64            `json:"backlog"`    // entries, by its own word
	Down     int               `json:"down_items"` // it has not acknowledged
	Forked   bool              `json:"forked,omitempty"`
	Awaited  bool              `json:"awaited,omitempty"` // no rights are issued before it has come back
}

func stationOf(s *hq.StationState) Station {
	out := Station{
		ID: s.ID, Online: s.Seen.Online, Version: s.Seen.Version, Epoch: s.Cursor.Epoch, Seq: s.Cursor.Seq,
		Backlog: s.Seen.Backlog, Down: s.Items, Forked: s.Forked, Awaited: s.Awaited,
	}
	if s.Seen.At != 0 {
		out.LastSeen = s.Seen.At.String()
	}
	return out
}

// Alarm is an alarm with its moments.
type Alarm struct {
	hq.Alarm
	First string `json:"first"`
	Last  string `json:"last"`
}
