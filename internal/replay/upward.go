package replay

import (
	"net/netip"

	"damselfly/handlers/dhcpv6"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// upward shows what a relay sends to external servers among the replies. The
// host's own stack would send it: MACs and source are left empty.
type upward struct{ replies *pipeline.Replies }

// Forward implements dhcpv6.Uplink.
func (u upward) Forward(server netip.Addr, message []byte) bool {
	b := u.replies.To(0, 0, codec.FrameHeaderLen+len(message))
	copy(b[codec.FrameHeaderLen:], message)
	h := wire.Headers{Source: netip.IPv6Unspecified(), Destination: server, HopLimit: 64}
	codec.PutFrame(b, &h, codec.ServerPort, codec.ServerPort, len(message))
	return true
}

// answered takes a frame of an external server, if it is one, back to its guest.
func answered(s *topology.Snapshot, data []byte, r *pipeline.Replies) (pipeline.Reason, bool) {
	if len(data) <= codec.FrameHeaderLen {
		return 0, false
	}
	ip := wire.IPv6(data[wire.EthernetLen:])
	message := data[codec.FrameHeaderLen:]
	if wire.Ethernet(data).EtherType() != wire.EtherTypeIPv6 || ip.NextHeader() != wire.ProtocolUDP ||
		codec.MessageType(message[0]) != codec.RelayReply || !asked(s, ip.Source()) {
		return 0, false
	}
	return dhcpv6.Return(s, message, r), true
}

// asked reports whether an address is that of an external server.
func asked(s *topology.Snapshot, a netip.Addr) bool {
	for _, n := range s.Networks {
		for i := range n.Subnets {
			if n.Subnets[i].RelayTo == a {
				return true
			}
		}
	}
	return false
}
