package broker

import (
	"slices"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook lets clients in and decides the fate of messages.
type hook struct {
	mochi.HookBase
	broker *Broker
}

func (h *hook) ID() string { return "azs-faults" }

func (h *hook) Provides(b byte) bool {
	return slices.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish}, b)
}

func (h *hook) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	admit := h.broker.admit.Load()
	return admit == nil || (*admit)(Visitor{
		Client: pk.Connect.ClientIdentifier, Username: string(pk.Connect.Username), Password: string(pk.Connect.Password),
	})
}

func (h *hook) OnACLCheck(*mochi.Client, string, bool) bool { return true }

func (h *hook) OnPublish(c *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	decide := h.broker.fate.Load()
	if decide == nil || c.Net.Inline {
		return pk, nil
	}
	f := (*decide)(Packet{Client: c.ID, Topic: pk.TopicName, Payload: pk.Payload})
	if f.Cut {
		c.Stop(errCut)
		return pk, packets.ErrRejectPacket
	}
	if f.Refuse {
		return pk, packets.ErrRejectPacket
	}
	if f.Lose {
		return pk, packets.CodeSuccessIgnore
	}
	for range f.Copies {
		h.broker.later(f.Delay, pk)
	}
	if f.Delay > 0 {
		h.broker.later(f.Delay, pk)
		return pk, packets.CodeSuccessIgnore
	}
	return pk, nil
}
