package lease

import (
	"encoding/binary"
	"net/netip"
)

// place is an address or prefix, the address with host bits zero.
type place struct {
	addr [16]byte
	bits uint8
}

func placeOf(p netip.Prefix) place { return place{p.Addr().As16(), uint8(p.Bits())} }

// within returns the prefix of a length that p lies in.
func (p place) within(length uint8) place {
	return place{masked(p.addr, length), length}
}

// overlaps reports whether one of two prefixes lies in the other.
func (p place) overlaps(q place) bool {
	n := min(p.bits, q.bits)
	return masked(p.addr, n) == masked(q.addr, n)
}

// masked zeroes what follows the first length bits.
func masked(a [16]byte, length uint8) [16]byte {
	hi, lo := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])
	if length < 64 {
		hi, lo = hi&^(^uint64(0)>>length), 0
	} else if length < 128 {
		lo &^= ^uint64(0) >> (length - 64)
	}
	binary.BigEndian.PutUint64(a[:], hi)
	binary.BigEndian.PutUint64(a[8:], lo)
	return a
}

// network is what is held on one network. Readers of the View see its name
// only.
type network struct {
	name string
	// addrs and prefixes say who holds what, as committed. What has ended
	// stays until it is swept.
	addrs    map[[16]byte]*client
	prefixes map[place]*client
	// lengths counts the prefixes of each length.
	lengths [129]int
	// covers counts the prefixes in each covering prefix of a length, kept for
	// the lengths that were asked about while longer ones were held.
	covers map[uint8]map[[16]byte]int
	pools  map[span]*scarce
	// reserved is made of the reservations it names.
	reserved reservations
}

func newNetwork(name string) *network {
	return &network{name: name, addrs: map[[16]byte]*client{}, prefixes: map[place]*client{}, covers: map[uint8]map[[16]byte]int{}, pools: map[span]*scarce{}}
}

// holder returns who holds exactly p, nil for nobody.
func (n *network) holder(delegated bool, p place) *client {
	if !delegated {
		return n.addrs[p.addr]
	}
	return n.prefixes[p]
}

// hold notes that c holds p, anew or in another state.
func (n *network) hold(delegated bool, p place, c *client) {
	if !delegated {
		n.addrs[p.addr] = c
		return
	}
	if n.prefixes[p] == nil {
		n.count(p, 1)
	}
	n.prefixes[p] = c
}

// free forgets who holds p.
func (n *network) free(delegated bool, p place) {
	if !delegated {
		delete(n.addrs, p.addr)
	} else if n.prefixes[p] != nil {
		delete(n.prefixes, p)
		n.count(p, -1)
	}
	for _, s := range n.pools {
		s.freed(delegated, p)
	}
}

func (n *network) count(p place, by int) {
	n.lengths[p.bits] += by
	for length, covers := range n.covers {
		if length < p.bits {
			cover := masked(p.addr, length)
			if covers[cover] += by; covers[cover] == 0 {
				delete(covers, cover)
			}
		}
	}
}

// inside returns how many prefixes longer than p lie in it.
func (n *network) inside(p place) int {
	longer := false
	for length := int(p.bits) + 1; length <= 128 && !longer; length++ {
		longer = n.lengths[length] > 0
	}
	if !longer {
		return 0
	}
	covers := n.covers[p.bits]
	if covers == nil {
		covers = make(map[[16]byte]int)
		for q := range n.prefixes {
			if q.bits > p.bits {
				covers[masked(q.addr, p.bits)]++
			}
		}
		n.covers[p.bits] = covers
	}
	return covers[p.addr]
}
