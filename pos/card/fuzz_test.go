package card_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/card"
	"github.com/azs-edge/azs-edge/pos/scanner"
)

// FuzzDecode starts from the recorded inputs. What comes out is bounded by what went in, and well-formed; a card that was
// scanned is one when it is typed in.
func FuzzDecode(f *testing.F) {
	for _, r := range corpus(f) {
		f.Add(bytes.Join(r.chunks, []byte{0}))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		play(t, example(t), scanner.CRLFAny, bytes.Split(in, []byte{0}), func(fr scanner.Frame, e card.Event) {
			if len(e.Payload) > len(fr.Data) || e.Relay != nil && !bytes.Equal(e.Relay, fr.Raw) {
				t.Fatalf("payload of %d bytes and relay of %d for a frame of %d", len(e.Payload), len(e.Relay), len(fr.Raw))
			}
			switch e.Type {
			case card.Card:
				if err := e.Number.Check(); err != nil || e.Kind == "" || e.Manner == "" || e.Relay != nil {
					t.Fatalf("%#v: %v", e, err)
				}
				if why := card.Example().Refuses(e.Number); why != "" {
					t.Fatalf("%#v is a card when it is scanned, and %s when it is typed in", e, why)
				}
			case card.Token:
				if len(e.Payload) == 0 || e.Kind == "" || e.Relay != nil {
					t.Fatalf("%#v", e)
				}
			case card.Reject, card.Ignore:
				if e.Reason == "" || e.Number != "" || e.Payload != nil {
					t.Fatalf("%#v", e)
				}
			case card.NoRead, card.Dup:
				if e.Relay != nil || e.Number != "" {
					t.Fatalf("%#v", e)
				}
			default:
				t.Fatalf("%#v", e)
			}
		})
	})
}

func BenchmarkDecode(b *testing.B) {
	d := example(b)
	now := time.Unix(1_700_000_000, 0)
	frame := card.Frame{Data: []byte("7005123456789015"), End: card.EndTerminator}
	want := loyalty.CardNumber("7005123456789015")
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Minute)
		if e, ok := d.Decode(frame, now); !ok || e.Number != want {
			b.Fatal(e)
		}
	}
}
