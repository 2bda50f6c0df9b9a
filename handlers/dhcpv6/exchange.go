package dhcpv6

import (
	"net/netip"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

const (
	// maxMessage is how long an answer may be, in octets: it fits every link
	// unfragmented (RFC 8200 section 5).
	maxMessage = 1280 - wire.IPv6Len - wire.UDPLen
	// hopLimit is that of answers.
	hopLimit = 64
)

// exchange is one message and its answer in the making. A Server uses the same
// one again and again.
type exchange struct {
	s *Server
	p packet.Packet // a copy: what a worker has on its stack stays there
	n *topology.Network
	q codec.Request
	w codec.Writer

	b Bindings
	c Changes // nil on the fast lane

	relayPort uint16 // the UDP port of the relay

	ias    [codec.MaxIAs]verdict
	grants []grant
	given  []netip.Prefix // those of grants that are no withdrawals
	held   []lease.Lease
	client lease.Client // what is recorded of the client
	// binding says that what is chosen is given, not only offered.
	binding bool
	lead    int // octets of relays' headers before the answer itself

	// spare is the room that no part of the answer needs yet, first where the
	// grants of the IA at hand begin, later how many IAs come after it.
	spare, first, later int

	buf      [maxMessage]byte
	relayBuf [2048]byte // a message on its way to an external server
}

// begin clears what is left of the message before.
func (x *exchange) begin(s *Server, p *packet.Packet, port uint16) {
	x.s, x.p, x.n = s, *p, p.Network
	x.b, x.c = s.Committed, nil
	x.relayPort = port
	x.grants = x.grants[:0]
	x.client, x.binding = lease.Client{}, false
}

// open begins the answer: relays, type, and who speaks with whom (RFC 9915
// section 18.3). false says that it would get too large whatever it told; so it
// comes before anything is changed.
func (x *exchange) open(t codec.MessageType) bool {
	x.w.Reset(x.buf[:])
	x.w.OpenRelayReplies(&x.q)
	x.lead = len(x.w.Message())
	x.w.Begin(t, x.q.TransactionID())
	if x.q.ClientID != nil {
		x.w.Option(codec.OptionClientID, x.q.ClientID)
	}
	if t != codec.AddrRegReply {
		x.w.Option(codec.OptionServerID, x.s.ID)
	}
	return x.reserve()
}

// room is how many octets more the answer may have.
func (x *exchange) room() int { return len(x.buf) - x.lead - len(x.w.Message()) }

// status tells a status and counts it.
func (x *exchange) status(c codec.Status, text string) {
	x.s.Stats.Statuses[c].Add(1)
	x.w.Status(c, text)
}

// send puts the answer into its frame and on its way: to the client, or back to
// the relay that asked.
func (x *exchange) send(r *pipeline.Replies) pipeline.Reason {
	m, ok := x.w.Finish()
	if !ok {
		return reason.DHCPv6TooLarge
	}
	router := x.n.Router
	h := wire.Headers{
		SourceMAC: router.MAC, DestinationMAC: x.p.Ethernet.Source(),
		Source: router.LinkLocal, Destination: x.p.IPv6.Source(), HopLimit: hopLimit,
	}
	to := uint16(codec.ClientPort)
	if relays := x.q.Relays(); len(relays) > 0 {
		h.Source = sourceFor(router, h.Destination)
		to = codec.ServerPort
		if relays[0].Relay.Options().Find(codec.OptionRelayPort) != nil {
			to = x.relayPort // RFC 8357 section 5.2
		}
	}
	b := r.Back(&x.p.Frame, codec.FrameHeaderLen+len(m))
	copy(b[codec.FrameHeaderLen:], m)
	codec.PutFrame(b, &h, codec.ServerPort, to, len(m))
	return reason.Answered
}

// sourceFor chooses the router's address for an answer: the one on the asker's
// prefix, else the link-local one.
func sourceFor(router *topology.RouterInterface, asker netip.Addr) netip.Addr {
	for _, a := range router.Addresses {
		if a.Contains(asker) {
			return a.Addr()
		}
	}
	return router.LinkLocal
}

// ask is who asks for what an IA is to have, beside what the answer gives to the
// IAs before it. An Advertise says what a Request would get (RFC 9915 section
// 18.3.9), and that binds one IA after the other.
func (x *exchange) ask(ia *codec.IA) lease.Ask {
	x.given = x.given[:0]
	for i := range x.grants {
		if g := &x.grants[i]; g.valid > 0 {
			x.given = append(x.given, g.prefix)
		}
	}
	return lease.Ask{Network: x.n, Port: x.p.Port, DUID: x.q.ClientID, IAID: ia.ID, Given: x.given}
}

// find gives what an IA holds on this network, valid until the next call.
func (x *exchange) find(ia *codec.IA) []lease.Lease {
	x.held = x.b.Find(x.held[:0], x.p.Port.Name, x.q.ClientID, kindOf(ia), ia.ID)
	kept := x.held[:0]
	for i := range x.held {
		if x.held[i].Network == x.n.Name {
			kept = append(kept, x.held[i])
		}
	}
	return kept
}

// kindOf is what an IA holds.
func kindOf(ia *codec.IA) lease.Kind {
	if ia.Code == codec.OptionIAPD {
		return lease.Prefix
	}
	return lease.Address
}

// serves reports whether a subnet's addresses are Damselfly's to give.
func serves(s *topology.Subnet) bool {
	return s.Mode == topology.DHCPv6Stateful && !s.RelayTo.IsValid()
}
