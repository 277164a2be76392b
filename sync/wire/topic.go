package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// Kind is the last part of a topic: what the message is.
type Kind string

// The kinds; the first five go from station to HQ, the others from HQ to station.
const (
	Hello   Kind = "hello"
	Up      Kind = "up"
	DownAck Kind = "downack"
	Ask     Kind = "ask"
	State   Kind = "state"
	Cursor  Kind = "cursor"
	Ack     Kind = "ack"
	Down    Kind = "down"
	Answer  Kind = "answer"
)

// FromStation lists the kinds that a station publishes.
func FromStation() []Kind { return []Kind{Hello, Up, DownAck, Ask, State} }

// ToStation lists the kinds that HQ publishes.
func ToStation() []Kind { return []Kind{Cursor, Ack, Down, Answer} }

// Shards is the number of shards: a station is in the shard of its number modulo this.
const Shards = 64

// MaxMessage bounds a message, in bytes: it fits the default limits of AWS IoT Core, EMQX and NATS.
const MaxMessage = 96 << 10

// Shard is the station's shard.
func Shard(s loyalty.StationID) int { return int(s % Shards) }

// Topic is where a message of a kind from or to a station goes.
func Topic(s loyalty.StationID, k Kind) string {
	return fmt.Sprintf("azs/v1/%02d/%d/%s", Shard(s), s, k)
}

// Retained tells whether the broker keeps the last message of a kind for those who subscribe later. Only the station's
// state is: nothing in the protocol depends on it, people's tools do.
func (k Kind) Retained() bool { return k == State }

// StationFilters is what a station subscribes to: its own topics.
func StationFilters(s loyalty.StationID) []string {
	var f []string
	for _, k := range ToStation() {
		f = append(f, Topic(s, k))
	}
	return f
}

// HQFilters is what an HQ replica subscribes to that owns the shards from first through last; 0 through [Shards]-1 is
// the whole network.
func HQFilters(first, last int) []string {
	var f []string
	if first == 0 && last == Shards-1 {
		for _, k := range FromStation() {
			f = append(f, fmt.Sprintf("azs/v1/+/+/%s", k))
		}
		return f
	}
	for shard := first; shard <= last; shard++ {
		for _, k := range FromStation() {
			f = append(f, Filter(shard, k))
		}
	}
	return f
}

// Filter matches a kind of all stations of a shard.
func Filter(shard int, k Kind) string { return fmt.Sprintf("azs/v1/%02d/+/%s", shard, k) }

// ParseTopic takes a topic apart. A station in another shard than its own is an error: such a topic is nobody's.
func ParseTopic(topic string) (loyalty.StationID, Kind, error) {
	p := strings.Split(topic, "/")
	if len(p) != 5 || p[0] != "azs" || p[1] != "v1" {
		return 0, "", fmt.Errorf("%w: topic %.80q", ErrMessage, topic)
	}
	n, err := strconv.ParseUint(p[3], 10, 32)
	s := loyalty.StationID(n)
	if err != nil || s == 0 || s > loyalty.MaxStation || Topic(s, Kind(p[4])) != topic {
		return 0, "", fmt.Errorf("%w: topic %.80q", ErrMessage, topic)
	}
	switch k := Kind(p[4]); k {
	case Hello, Up, DownAck, Ask, State, Cursor, Ack, Down, Answer:
		return s, k, nil
	}
	return 0, "", fmt.Errorf("%w: topic %.80q", ErrMessage, topic)
}
