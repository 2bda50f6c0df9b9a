// Package floating does for single packets what flows do for most: it puts
// floating addresses in the place of guests' own and the other way. What an
// ICMPv6 error quotes is translated with it, so that its receiver finds in it what
// it sent (RFC 4443 section 2.4, RFC 6296 section 2.5).
package floating

import (
	"damselfly/handlers/packet"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Restore makes a packet again what its sender sent, if flows have translated it
// on its way to where it was handed over. It writes into the frame.
func Restore(p *packet.Packet) {
	external, in := punt.NoteExternal(p.Frame.Note)
	if external == 0 || p.Router == nil {
		return
	}
	if a, ok := p.Router.Inward(external, p.IPv6.Source()); ok {
		p.SetSource(a.As16())
	}
	if a, ok := p.Router.Outward(external, p.IPv6.Destination()); ok && in {
		p.SetDestination(a.As16())
	}
	p.Frame.Note = uint32(punt.NoteTrouble(p.Frame.Note))
}

// External is the network, by its key, whose floating addresses count for a packet
// that is as its sender sent it and leaves on n, nil if it leaves nowhere; in says
// that its destination is one of them.
func External(p *packet.Packet, n *topology.Network) (external uint16, in bool) {
	if f := p.Router.Translated(p.IPv6.Destination()); f != nil {
		return f.External.Key, true
	}
	if n == nil {
		return 0, false
	}
	return n.Key, false
}

// Carry translates frame, a copy of p's that the router carries on to a network.
func Carry(p *packet.Packet, n *topology.Network, frame []byte) {
	if len(p.Router.Floating) == 0 {
		return
	}
	external, in := External(p, n)
	var q wire.Packet
	if wire.Cut(frame, &q) != wire.FaultNone {
		return
	}
	source, out := p.Router.Outward(external, q.IPv6.Source())
	destination, into := p.Router.Inward(external, q.IPv6.Destination())
	if into = into && in; !out && !into {
		return
	}
	if out {
		q.SetSource(source.As16())
	}
	if into {
		q.SetDestination(destination.As16())
	}
	if IsError(&q) {
		quoted(p.Router, external, q.ICMPv6()[errorHeader:])
		q.SealICMPv6()
	}
}

// errorHeader is the part of an ICMPv6 error before what it quotes, in octets (RFC
// 4443 section 3.1).
const errorHeader = 8

// IsError reports whether a packet is an ICMPv6 error that quotes something.
func IsError(p *wire.Packet) bool {
	return p.Protocol == wire.ProtocolICMPv6 && p.Fragment <= wire.AtomicFragment && len(p.Payload) >= errorHeader && wire.IsError(p.ICMPv6().Type())
}

// quoted translates what an error quotes: a packet that went the other way, as
// the error's sender saw it, becomes what the error's receiver sent.
func quoted(r *topology.Router, external uint16, b []byte) {
	var q wire.Packet
	if !wire.CutQuote(b, &q) {
		return
	}
	if a, ok := r.Inward(external, q.IPv6.Source()); ok {
		q.SetSource(a.As16())
	}
	if a, ok := r.Outward(external, q.IPv6.Destination()); ok {
		q.SetDestination(a.As16())
	}
}
