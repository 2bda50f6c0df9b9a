package nd

import (
	"slices"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// defaultMTU is what answers keep to where the link's MTU is not configured, maxMTU
// the most they use: the switch hands over frames of that size (RFC 8200 section
// 5, RFC 2464 section 2).
const (
	defaultMTU = 1280
	maxMTU     = 1500
)

// InverseSolicit handles an Inverse Neighbor Discovery Solicitation, which asks
// for the addresses of a MAC, on a network that has it: all that the MAC is known
// to have, in as few advertisements as the link's MTU allows (RFC 3122 section
// 4.2.1). They are told to the port that asked alone, which can list by it who is
// on the network, as often as its limit allows.
func InverseSolicit(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	n := p.Network
	if !n.InverseND {
		return reason.InverseOff
	}
	is, fault := wire.CheckInverseSolicit(&p.Packet)
	if fault != wire.FaultNone {
		return reason.OfFault(fault)
	}
	if why := p.Honest(is.SourceLinkLayer(), true); why != 0 {
		return why
	}
	// A group is not anybody's own (RFC 3122 section 3.1, Note 1).
	for a := range is.SourceAddresses {
		if !a.IsMulticast() && p.Claim(a) == packet.Foreign {
			return reason.ForgedAddressList
		}
	}
	target := is.TargetLinkLayer()
	switch {
	// "Inverse Neighbor Discovery (IND) Solicitations are sent as IPv6 all-node
	// multicasts. However, at link layer level, an IND Solicitation is sent
	// directly to the target node", RFC 3122 section 2.1.
	case p.IPv6.Destination() != wire.AllNodes || p.Ethernet.Destination() != target:
		return reason.Misdirected
	case p.Port.HasMAC(target):
		return reason.OwnAddress
	}
	addresses := n.AddressesOf(target)
	if len(addresses) == 0 {
		return reason.InverseUnknown
	}
	h := wire.Headers{
		SourceMAC: target, DestinationMAC: p.Ethernet.Source(),
		Source: addresses[0], Destination: p.IPv6.Source(), HopLimit: wire.MaxHopLimit,
	}
	mtu := n.MTU
	if mtu == 0 {
		mtu = defaultMTU
	}
	for some := range slices.Chunk(addresses, wire.InverseRoom(min(mtu, maxMTU))) {
		wire.PutInverseAdvert(r.Back(&p.Frame, wire.InverseAdvertFrameLen(len(some))), &h, some)
	}
	return reason.Answered
}

// InverseAdvert handles a guest's own answer to Inverse Neighbor Discovery:
// nobody asked it, and who heard it might believe it.
func InverseAdvert() pipeline.Reason { return reason.GuestInverseAdvert }
