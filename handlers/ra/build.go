package ra

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"damselfly/internal/send"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Unsolicited writes n's Router Advertisements as they are at now, one frame
// each, to all nodes of the network (RFC 4861 section 6.2.4). It writes nothing
// if n is not advertised.
func Unsolicited(n *topology.Network, now time.Time, r *pipeline.Replies) {
	if advertised(n) {
		Multicast(n.Key, n.Router.MAC, n.Router.LinkLocal, n.Adverts, now, r)
	}
}

// Multicast writes adverts as they are at now to all nodes of the network with
// this key, from the router that linkLocal and mac identify: final ones, when
// advertising ends, and those of identities given up (RFC 4861 sections 6.2.5
// and 6.2.8).
func Multicast(network uint16, mac wire.MAC, linkLocal netip.Addr, adverts []topology.Advert, now time.Time, r *pipeline.Replies) {
	h := headers(mac, linkLocal)
	for i := range adverts {
		a := &adverts[i]
		put(r.Into(network, frameLen(a)), &h, a, now)
	}
}

// advertised reports whether Damselfly is what answers Router Solicitations on n.
func advertised(n *topology.Network) bool {
	return n.Router != nil && len(n.Adverts) > 0
}

// Signed writes adverts as they are at now, signed by id, to whom h says, each into the
// room that into makes, with a nonce option that is empty for none. It reports
// whether all could be signed.
func Signed(id *send.Identity, adverts []topology.Advert, h *wire.Headers, now time.Time, nonce []byte, into func(size int) []byte) bool {
	for i := range adverts {
		a := &adverts[i]
		size := frameLen(a)
		b := into(size + id.Overhead(len(nonce)))
		put(b, h, a, now)
		if id.Sign(b, size, now, nonce) != nil {
			return false
		}
	}
	return true
}

// MulticastSigned is Multicast in the name of an identity, without a nonce.
func MulticastSigned(network uint16, mac wire.MAC, id *send.Identity, adverts []topology.Advert, now time.Time, r *pipeline.Replies) {
	h, made := headers(mac, id.Address), len(r.List())
	if !Signed(id, adverts, &h, now, nil, func(size int) []byte { return r.Into(network, size) }) {
		r.Undo(made)
	}
}

// headers are those of every advertisement of a router, to all nodes.
func headers(mac wire.MAC, linkLocal netip.Addr) wire.Headers {
	return wire.Headers{
		SourceMAC:      mac,
		DestinationMAC: wire.AllNodesMAC,
		Source:         linkLocal,
		Destination:    wire.AllNodes,
		HopLimit:       wire.MaxHopLimit,
	}
}

// frameLen is the length in octets of the frame around an advertisement.
func frameLen(a *topology.Advert) int { return wire.HeadersLen + len(a.Body) }

// put writes the frame of one advertisement into b. Countdowns change the
// checksum by what they differ from the compiled body (RFC 1624 section 3).
func put(b []byte, h *wire.Headers, a *topology.Advert, now time.Time) {
	sum := a.Sum
	for _, c := range a.Countdowns {
		sum += words(^binary.BigEndian.Uint32(a.Body[c.Offset:])) + words(remaining(c.Until, now))
	}
	wire.PutICMPv6(b, h, a.Body, sum)
	for _, c := range a.Countdowns {
		binary.BigEndian.PutUint32(b[wire.HeadersLen+c.Offset:], remaining(c.Until, now))
	}
}

// words is the sum of the two 16-bit words of a field at an even offset.
func words(field uint32) wire.Sum { return wire.Sum(field>>16) + wire.Sum(field&0xffff) }

// remaining is the whole seconds from now until a lifetime ends. The largest
// value is left out: on the wire it means that it never ends (RFC 4861 section 4.6.2).
func remaining(until, now time.Time) uint32 {
	left := until.Sub(now) / time.Second
	return uint32(min(max(left, 0), math.MaxUint32-1))
}
