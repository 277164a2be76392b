package mqtt

import (
	"bytes"
	"errors"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// FuzzFraming: whatever the stream, and however it is cut into reads, framing refuses exactly the packets above the
// limit, and what it lets pass Paho can read without allocating more.
func FuzzFraming(f *testing.F) {
	pub := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pub.TopicName, pub.Payload = "azs/v1/07/7/up", make([]byte, 300)
	var b bytes.Buffer
	if err := pub.Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(append(b.Bytes(), 0xd0, 0), 3)
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0}, 1)
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0x01}, 2)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		cut = 1 + max(0, cut)%16
		var whole, pieces framing
		want := whole.pass(stream)
		var got error
		for rest := stream; len(rest) > 0 && got == nil; rest = rest[min(cut, len(rest)):] {
			got = pieces.pass(rest[:min(cut, len(rest))])
		}
		if !errors.Is(got, want) || !errors.Is(want, got) {
			t.Fatalf("at once: %v, in pieces of %d: %v", want, cut, got)
		}
		if want != nil {
			return
		}
		for r := bytes.NewReader(stream); r.Len() > 0; {
			if _, err := packets.ReadPacket(r); err != nil {
				return
			}
		}
	})
}
