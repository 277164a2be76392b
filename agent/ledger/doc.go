// Package ledger is the station's books: accounts, cards, cells, sales and the journal, in one bbolt file.
//
// It promises:
//   - What was answered is on the disk. A writing method returns after fsync; one transaction carries everything that an
//     operation changes: account, cell, sale, counters and the journal entry. Nothing in memory changes before that
//     transaction has been committed.
//   - A caller that is alone waits for nobody; callers that come together share an fsync.
//   - An operation is carried out once, however often it is asked for: the sale's id, with the content, is its identity.
//     The same again gets the same answer, other content is refused, and a refusal leaves no trace but the alert that a
//     velocity rule asks for.
//   - The journal is the outbox: entries are chained by their hashes and kept until HQ has acknowledged them, and Retain
//     longer. There is no second queue.
//   - A file that was restored, rolled back, cloned, lost or damaged does not pass for the latest: it begins a new epoch of
//     the journal, sends again what HQ may not have, and redeems nothing until HQ has it.
//   - Damage takes neither the process down nor anything away silently: the file is kept, what can be read of it is carried
//     over, and [Status] says so.
//   - A full disk stops redeeming before accruing, and neither the end of an open sale nor an acknowledgement.
//
// It does not promise to be right about the time (see clock.go for what it does about that), to find a roll-back that is
// younger than its witness (HQ finds it by the chain), or to keep what is on a disk that lies about fsync.
//
// An error of a commit means that its outcome is not known. The operations in it are answered with
// [loyalty.StorageFailed], the file is closed and opened again, what it shows is put on the disk first, and then decides:
// whoever asks again with the same id gets the truth. What is read is on the disk as well.
//
// See README.md for the layout, the figures and how to measure them again.
package ledger

//go:generate sh -c "cd ledgerpb && buf generate"
