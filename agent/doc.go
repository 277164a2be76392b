// Package agent is the station: it builds the parts from the configuration, lets them work together, and answers for
// their health.
//
// It promises that a call of its [Desk] that changes something returns after the change is durable in the ledger; that
// asking headquarters for fresh facts or rights never holds a call up for longer than the configured deadline; and that
// [Agent.Run] returns only after everything it started has ended, with the ledger closed.
//
// It makes no decision about points (agent/loyalty does), keeps nothing of its own on the disk (agent/ledger does) and
// knows nothing of how entries travel (sync/uplink does).
package agent
