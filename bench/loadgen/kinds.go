package loadgen

import (
	"encoding/binary"
	"fmt"

	"damselfly/internal/wire"
)

// Kind is one sort of exchange.
type Kind string

// The kinds.
const (
	NS   Kind = "ns"   // multicast Neighbor Solicitation for a neighbour
	RS   Kind = "rs"   // Router Solicitation
	Echo Kind = "echo" // of the gateway, 56 octets of data
	// Solicit is SOLICIT and ADVERTISE of a client that has a lease: a slot first
	// gets one, by the first exchange it makes.
	Solicit Kind = "solicit"
	// Request is SOLICIT, ADVERTISE, REQUEST and REPLY of a client that never came
	// before.
	Request Kind = "request"
	// Information is INFORMATION-REQUEST and REPLY.
	Information Kind = "information-request"
)

// Kinds are all of them.
var Kinds = []Kind{NS, RS, Echo, Solicit, Request, Information}

// exchange is what one slot asks, again and again.
type exchange interface {
	// begin is the first frame of the next time, valid until the next call.
	begin() []byte
	// take judges a frame that has the exchange's key. next is what it asks then,
	// nil where the frame ended it.
	take(frame []byte) (next []byte, v verdict, err error)
}

// verdict is what a frame is to an exchange.
type verdict uint8

const (
	right verdict = iota
	stray         // the answer to an earlier request
)

// key is the same of an answer and the slot it is for, at one station.
type key struct {
	typ uint8 // ICMPv6 type of the answer, 0 for DHCPv6
	id  [16]byte
}

// slotBits are those of a DHCPv6 transaction that tell the slot; the others count.
const slotBits = 10

// keyOf tells what a frame answers, false of one that is no answer.
func keyOf(f []byte) (k key, ok bool) {
	if len(f) < 62 || f[12] != 0x86 || f[13] != 0xdd {
		return k, false
	}
	switch {
	case f[20] == wire.ProtocolUDP && len(f) >= 66 && binary.BigEndian.Uint16(f[56:]) == 546:
		// What the transaction counts does not tell the slot.
		k.id[0], k.id[1] = f[63], f[64]&^(1<<(16-slotBits)-1)
	case f[20] != wire.ProtocolICMPv6:
		return k, false
	case f[54] == wire.TypeNeighborAdvert && len(f) >= 78:
		k.typ, k.id = f[54], [16]byte(f[62:78]) // the target
	case f[54] == wire.TypeRouterAdvert:
		k.typ, k.id = f[54], [16]byte(f[38:54]) // the destination
	case f[54] == wire.TypeEchoReply:
		k.typ = f[54]
		copy(k.id[:], f[58:62]) // identifier and sequence number
	default:
		return k, false
	}
	return k, true
}

// exchanges makes so many of a kind for guest g, and the keys of their answers.
// first is the number of the first slot of DHCPv6.
func (l *Load) exchanges(kind Kind, g, each, first int) (list []exchange, keys []key, err error) {
	s := &l.site
	switch kind {
	case NS:
		targets := s.neighbors(g)
		if len(targets) < each {
			return nil, nil, fmt.Errorf("guest %d has %d neighbours to ask for at once, %d are wanted", g, len(targets), each)
		}
		for _, t := range targets[:each] {
			list = append(list, s.solicitation(g, t))
			keys = append(keys, key{wire.TypeNeighborAdvert, t.Address.As16()})
		}
	case RS:
		for i := range each {
			x, source := s.routerSolicitation(g, i)
			list, keys = append(list, x), append(keys, key{wire.TypeRouterAdvert, source.As16()})
		}
	case Echo:
		if len(s.Guests[g].Addresses) == 0 {
			return nil, nil, fmt.Errorf("guest %d has no address to send echoes from", g)
		}
		for i := range each {
			x, id := s.echo(g, i)
			k := key{typ: wire.TypeEchoReply}
			copy(k.id[:], id)
			list, keys = append(list, x), append(keys, k)
		}
	case Solicit, Request, Information:
		if first+each > 1<<slotBits {
			return nil, nil, fmt.Errorf("a guest has %d transactions of DHCPv6 at once, %d are wanted", 1<<slotBits, first+each)
		}
		for i := range each {
			slot := uint32(first+i) << (24 - slotBits)
			list = append(list, l.newClient(kind, g, slot))
			keys = append(keys, key{id: [16]byte{byte(slot >> 16), byte(slot >> 8)}})
		}
	default:
		return nil, nil, fmt.Errorf("there is no kind %q: it is one of %v", kind, Kinds)
	}
	return list, keys, nil
}
