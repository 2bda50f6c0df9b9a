package learn

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/binding"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// Table is what Lane needs of a binding.Table.
type Table interface {
	// Probe takes a duplicate address probe.
	Probe(now time.Duration, c binding.Claim) (o binding.Outcome, holder string)
	// Advertise takes a Neighbor Advertisement for an address.
	Advertise(now time.Duration, c binding.Claim) binding.Outcome
	// Use takes a packet from an address.
	Use(now time.Duration, c binding.Claim) binding.Outcome
	// Alive takes a sign of life.
	Alive(now time.Duration, network, port string, addr netip.Addr)
}

var _ Table = (*binding.Table)(nil)

// SlowLane takes copies of frames that may change who holds an address.
type SlowLane interface {
	// Push reports whether there was a place for f, which came at a time.
	Push(f *pipeline.Frame, at time.Time) bool
}

// Lane is how one lane learns; nil learns nothing. Either Slow is set, in the
// fast lane, or Table, in the slow one. It is one goroutine's.
type Lane struct {
	Slow  SlowLane
	Table Table
	// Uptime is the moment that Table is asked at. Its owner sets it before a group.
	Uptime time.Duration

	frame pipeline.Frame // what is handed over, so that no packet has to outlive its call
}

// handedOver ends a message in the fast lane; done is false in the slow one.
func (l *Lane) handedOver(p *packet.Packet) (why pipeline.Reason, done bool) {
	// What goes with the MAC of a pair is the pair's address, no other.
	if p.Port.Secured && p.Ethernet.Source() != p.Port.MAC {
		return reason.ForgedMAC, true
	}
	if l.Slow == nil {
		return 0, false
	}
	l.frame = p.Frame
	if !l.Slow.Push(&l.frame, p.Now) {
		return reason.SlowLaneFull, true
	}
	return reason.HandedOver, true
}

// claim is p's of an address.
func claim(p *packet.Packet, a netip.Addr) binding.Claim {
	return binding.Claim{Network: p.Network.Name, Port: p.Port.Name, Addr: a, Most: p.Port.MaxAddresses, Witness: !p.Port.Secured}
}

// Probe judges a duplicate address probe for target, which owner holds if it is
// known. It returns how the probe ends, or 0 and who is to be taken for the
// target's owner.
func (l *Lane) Probe(p *packet.Packet, target netip.Addr, owner topology.Owner, known bool) (topology.Owner, bool, pipeline.Reason) {
	if l == nil || !contested(p, target, owner, known) {
		return owner, known, 0
	}
	if why, done := l.handedOver(p); done {
		return owner, known, why
	}
	switch o, name := l.Table.Probe(l.Uptime, claim(p, target)); o {
	case binding.Own:
		return owner, known, 0
	case binding.Undecided:
		return owner, known, reason.Learning
	case binding.Full:
		return owner, known, reason.TooManyAddresses
	case binding.Held:
		if holder := portNamed(p.Network, name); holder != nil {
			return topology.Owner{Port: holder, MAC: holder.MAC, Router: holder.Router, Learned: true}, true, 0
		}
		return owner, known, reason.AddressConflict
	}
	return topology.Owner{}, false, 0
}

// contested reports whether a probe for an address may change who holds it.
func contested(p *packet.Packet, a netip.Addr, owner topology.Owner, known bool) bool {
	if known {
		return owner.Learned
	}
	return p.Claim(a) == packet.Unheld && p.Network.CanLearn(a)
}

// Advertise judges a Neighbor Advertisement for target, with what that is to the
// sending port. It returns how the message ends, 0 if it goes on.
func (l *Lane) Advertise(p *packet.Packet, target netip.Addr, c packet.Claim) pipeline.Reason {
	switch {
	case c == packet.Own && l != nil:
		return l.alive(p, target)
	case c != packet.Unheld || !p.Port.Secured && (l == nil || !p.Network.CanLearn(target)):
		return 0
	case l == nil:
		return reason.Learning
	}
	if why, done := l.handedOver(p); done {
		return why
	}
	return outcome(l.Table.Advertise(l.Uptime, claim(p, target)))
}

// alive takes an advertisement for an address of the port's own: the answer to
// Damselfly's question ends here.
func (l *Lane) alive(p *packet.Packet, target netip.Addr) pipeline.Reason {
	if asker, _ := p.Network.Asker(); p.IPv6.Destination() != asker || !slices.Contains(p.Port.Learned, target) {
		return 0
	}
	if why, done := l.handedOver(p); done {
		return why
	}
	l.Table.Alive(l.Uptime, p.Network.Name, p.Port.Name, target)
	return reason.StillThere
}

// Source judges a packet whose source the port has to be learned to hold first:
// one that is reason.Learning to Packet.Honest. It returns how the packet ends.
func (l *Lane) Source(p *packet.Packet) pipeline.Reason {
	if l == nil {
		return reason.Learning
	}
	if why, done := l.handedOver(p); done {
		return why
	}
	return outcome(l.Table.Use(l.Uptime, claim(p, p.IPv6.Source())))
}

// outcome is how a message ends that used an address; 0 if it goes on.
func outcome(o binding.Outcome) pipeline.Reason {
	switch o {
	case binding.Undecided:
		return reason.Learning
	case binding.Held:
		return reason.AddressConflict
	case binding.Full:
		return reason.TooManyAddresses
	}
	return 0
}

// portNamed finds a port of a network.
func portNamed(n *topology.Network, name string) *topology.Port {
	i, found := slices.BinarySearchFunc(n.Ports, name, func(p *topology.Port, name string) int { return strings.Compare(p.Name, name) })
	if !found {
		return nil
	}
	return n.Ports[i]
}
