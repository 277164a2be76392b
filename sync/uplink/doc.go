// Package uplink is the station's end of the wire: it sends the journal to headquarters until headquarters has committed
// it, keeps the station's copy of what headquarters knows fresh, and asks headquarters questions in the cashier's name.
// ../README.md has the protocol in prose.
//
// It promises:
//   - an entry is noted as acknowledged only when headquarters has said so of exactly this journal: same epoch, same
//     hash;
//   - whatever the carrier loses, repeats, delays or reorders, and whoever is restarted when, everything in the journal
//     arrives once the two can talk to each other;
//   - a question is never waited for longer than its deadline, and no batch is started before it;
//   - Run ends after everything it has started, and no part of it waits without a limit.
//
// It keeps nothing of its own: after a restart a hello tells headquarters where the journal stands, and the cursor that
// comes back tells where to go on. It knows neither bbolt nor MQTT.
package uplink
