// Package hq is headquarters' end of the wire: it takes in what the stations' journals say, keeps the books of record,
// answers questions and sends every station what it has to know.
//
// The rules are here and pure of storage: [Greet], [Post], [Answer], [NextDown] and their kin read and write through a
// [Tx], and the same functions run on the embedded store and on a database. A [Store] only loads and writes; hqtest is
// the suite that says whether it does so faithfully. [Books] runs the rules in a store's transactions, and [Receiver]
// carries them over MQTT.
//
// It promises:
//   - an acknowledgement is sent only after the store has committed;
//   - an entry has its effect once, whatever is lost, repeated, delayed or reordered on the way and whoever is killed
//     when: by its place (station, epoch, seq), by its operation id, and by the step of the sale that it takes, for ever;
//   - an entry that cannot be applied is kept with its reason, acknowledged and reported, and holds nothing up;
//   - what headquarters do of their own accord stands in a journal of their own ([Own]), under the same rules and proofs;
//   - rights to redeem are issued only while all rights outstanding are covered by the account's spendable points;
//   - all stations together give back no more of a sale than it had; what exceeds is set aside;
//   - a number of an account that begins with a card is given out once, also when an older copy of the books was put back;
//   - sealed forms are kept apart from the journal, which is proven without them.
//
// It does not promise that a station has got something until that station has said so, and it trusts no broker with
// anything.
package hq
