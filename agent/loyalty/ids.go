package loyalty

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// StationID is the number of a fuel station, 1 to [MaxStation].
type StationID uint32

// MaxStation is the largest station number: three bytes, so that it fits the signed QR of a grant.
const MaxStation StationID = 1<<24 - 1

// AccountID is the number of an account at HQ, 1 to [MaxAccount]; zero means "not known yet".
type AccountID uint64

// MaxAccount is the largest account number: five bytes, so that it fits the signed QR of a grant.
const MaxAccount AccountID = 1<<40 - 1

// Epoch numbers the lives of one station's journal, from 1. A restored backup or a lost file begins a new one.
type Epoch uint32

// Seq is the place of an entry in its epoch, from 1 without gaps.
type Seq uint64

// SaleID is the POS's own name for a sale: any text of 1 to [MaxSaleID] bytes without control characters. It is the
// sale's idempotency key as well.
type SaleID string

// MaxSaleID bounds a [SaleID], in bytes.
const MaxSaleID = 64

// Check returns [BadRequest] unless the id is well-formed.
func (s SaleID) Check() error {
	if s == "" || len(s) > MaxSaleID {
		return fmt.Errorf("%w: sale id of %d bytes, want 1 to %d", BadRequest, len(s), MaxSaleID)
	}
	return plainText("sale id", string(s))
}

// OpID is the identity of an operation everywhere: a UUID version 7, minted by the station in the transaction that
// accepts the operation.
type OpID [16]byte

// NewOpID builds a UUID version 7 from a moment and ten bytes of randomness.
func NewOpID(at Instant, random [10]byte) OpID {
	var id OpID
	ms := uint64(at)
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	copy(id[6:], random[:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseOpID reads the canonical text of a UUID version 7.
func ParseOpID(s string) (OpID, error) {
	var id OpID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, fmt.Errorf("%w: %.40q is not a UUID", BadRequest, s)
	}
	if _, err := hex.Decode(id[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil {
		return OpID{}, fmt.Errorf("%w: %.40q is not a UUID", BadRequest, s)
	}
	if !id.Valid() {
		return OpID{}, fmt.Errorf("%w: %s is not a UUID version 7", BadRequest, s)
	}
	return id, nil
}

// At is the moment in the identity, in milliseconds.
func (o OpID) At() Instant {
	var ms uint64
	for i := range 6 {
		ms = ms<<8 | uint64(o[i])
	}
	return Instant(ms)
}

// Valid tells whether the bytes are a UUID version 7, variant RFC 9562.
func (o OpID) Valid() bool { return o[6]>>4 == 7 && o[8]>>6 == 2 }

// IsZero tells whether there is no identity.
func (o OpID) IsZero() bool { return o == OpID{} }

// String is the canonical text form.
func (o OpID) String() string {
	h := hex.EncodeToString(o[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// MarshalText is the canonical text form.
func (o OpID) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the canonical text form.
func (o *OpID) UnmarshalText(b []byte) error {
	id, err := ParseOpID(string(b))
	if err != nil {
		return err
	}
	*o = id
	return nil
}

// CardNumber is the number of a card, as digits (or the issuer's letters). It is personal data: String, LogValue and
// GoString mask it, so that it can be passed to a logger by mistake and do no harm. Convert it with string(n) where the
// whole number is meant. JSON is for the API and holds the whole number: log the number, never a struct around it.
type CardNumber string

// MaxCard bounds a card number, in bytes.
const MaxCard = 64

// Check returns [BadRequest] unless the number is 4 to [MaxCard] letters, digits or hyphens.
func (c CardNumber) Check() error {
	if len(c) < 4 || len(c) > MaxCard {
		return fmt.Errorf("%w: card number of %d characters", BadRequest, len(c))
	}
	for _, r := range c {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' {
			return fmt.Errorf("%w: card number with a character that is neither digit, letter nor hyphen", BadRequest)
		}
	}
	return nil
}

// String masks all but the first four and the last four characters: "7005••••9015".
func (c CardNumber) String() string {
	if len(c) < 12 {
		return strings.Repeat("•", min(len(c), 12))
	}
	return string(c[:4]) + "••••" + string(c[len(c)-4:])
}

// GoString masks as String does.
func (c CardNumber) GoString() string { return strconv.Quote(c.String()) }

// LogValue masks as String does.
func (c CardNumber) LogValue() slog.Value { return slog.StringValue(c.String()) }

// plainText refuses control characters: they would reach receipts, logs and terminals.
func plainText(what, s string) error {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == 0xfffd || (r >= 0x80 && r < 0xa0) {
			return fmt.Errorf("%w: %s holds a control character", BadRequest, what)
		}
	}
	return nil
}
