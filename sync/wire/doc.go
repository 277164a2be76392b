// Package wire is what station and headquarters say to each other: the messages (protobuf, package pb), the topics, the
// bytes and the hash chain of journal entries, and the batches that carry them. ../README.md is the protocol in prose.
//
// It promises that decoding never panics, never allocates more than a small multiple of what it is given, and either
// returns a value that has passed the domain's bounds or an error of [ErrMessage]; and that the bytes of an entry, once
// encoded, are the entry: they are stored, hashed, sent and kept at headquarters without being encoded again.
//
// It does not speak MQTT (sync/mqtt does) and keeps no state.
package wire

//go:generate buf generate
