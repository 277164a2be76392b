// Package loyalty is the domain: what points are, who owns them, what a programme gives for a receipt, and which
// steps a sale may take. Station and headquarters run this same code, so that both come to the same lots.
//
// It is pure. It does no I/O, reads no clock and draws no random numbers: time comes in as an [Instant], identities
// come in as arguments. All arithmetic is on integers; the only rounding is written at [mulDiv] and at the
// programme's earning rules, and it never favours the one who asks twice.
//
// The package promises:
//   - an [Account] never holds a lot below zero, and redeeming takes the lots that expire first;
//   - a [Cell] never lets a station use more than it was issued (see cell.go for the argument);
//   - the discounts of the lines of a [Quote] add up exactly to the discount of the receipt, and the points of its lines
//     to the points earned;
//   - no cap of a [Programme] is passed, however purchases are split up, as far as the account's [Standing] is known;
//   - [Recheck] of what [Books] have priced says so, and of what they could not have priced never calls it the same;
//   - a [Velocity] rule overlooks nothing that the station has counted for it;
//   - a method that returns an error has changed nothing.
//
// It does not promise durability (agent/ledger does), delivery (sync/uplink does) or concurrency: no type here may be
// used by two goroutines at once unless it is only read.
package loyalty
