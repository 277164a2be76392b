// Package mqtt carries the messages of package wire over MQTT 3.1.1 (Eclipse Paho). [Dialer] is a [wire.Dialer] for
// stations and for headquarters alike; what differs is what they subscribe to.
//
// It promises that every call ends: each write, handshake and wait has a time-out of its own, and a peer that stops reading
// or answering ends the session within WriteTimeout or KeepAlive + PingTimeout. It does not reconnect, does not
// queue and does not store: the journal is the queue, package uplink decides when to try again, and a publish that
// returned nil proves only that a broker has the message in its memory.
//
// A broker for tests and the demo is in the package broker below this one, so that programs for the field do not
// contain one.
package mqtt
