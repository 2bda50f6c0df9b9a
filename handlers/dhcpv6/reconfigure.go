package dhcpv6

import (
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Reconfigure asks the client of l, which is at the port p of n, to come back with a message of type ask: Renew, Rebind or
// InformationRequest (RFC 9915 section 18.3.11). It writes one frame to r, and
// none and false if the client does not accept Reconfigure, its address is not
// known, or n has no router. replay is the next of Server.NextReplay.
func Reconfigure(server codec.DUID, n *topology.Network, p *topology.Port, l *lease.Lease, ask codec.MessageType, replay uint64, r *pipeline.Replies) bool {
	if n.Router == nil || p.OFPort == 0 || !l.ReconfAccept() || !l.LinkLocal.IsValid() || l.MAC.IsZero() {
		return false
	}
	var buf [maxMessage]byte
	var w codec.Writer
	w.Reset(buf[:])
	w.Begin(codec.Reconfigure, 0)
	w.Option(codec.OptionClientID, []byte(l.DUID))
	w.Option(codec.OptionServerID, server)
	w.Uint8(codec.OptionReconfMessage, uint8(ask))
	w.ReconfigureDigest(replay)
	m, ok := w.Finish()
	if !ok || !codec.SignReconfigure(m, l.ReconfKey) {
		return false
	}
	h := wire.Headers{
		SourceMAC: n.Router.MAC, DestinationMAC: l.MAC,
		Source: n.Router.LinkLocal, Destination: l.LinkLocal, HopLimit: hopLimit,
	}
	b := r.To(p.OFPort, p.VLAN, codec.FrameHeaderLen+len(m))
	copy(b[codec.FrameHeaderLen:], m)
	codec.PutFrame(b, &h, codec.ServerPort, codec.ClientPort, len(m))
	return true
}
