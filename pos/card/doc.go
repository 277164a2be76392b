// Package card decides what was presented to a scanner: a loyalty card's number, a token for somebody else to verify,
// a signed grant, a goods or marking code for the cash register, a bank card, or noise.
//
// It promises:
//   - a number is given only if it lies in a configured range, has that range's length, and its check digit holds;
//     of a frame that silence ended, and that may be a piece, nothing without a check of its own is taken;
//   - a bank card is dropped: no field of an [Event] ever holds any part of it, nor does the [Decoder];
//   - every frame that is not about loyalty is handed back in [Event.Relay] as it came, byte for byte, for the
//     register, unless it is noise, a piece, or holds what looks like a bank card's number;
//   - no input panics, blocks, or takes memory beyond a small multiple of MaxLen.
//
// It does not promise that a number belongs to a card that exists, nor that a token or grant is genuine: it verifies
// no signature. It has no clock: the time of a frame comes in as an argument.
package card
