package topology

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Form is how an address of one network comes to stand for a guest on another.
type Form uint8

// The forms.
const (
	// RoutedForm: the guest has the address itself. It is routed to it, and the
	// router answers for it on the external network (RFC 4861 section 7.2.8).
	RoutedForm Form = iota
	// NATForm: the router puts the guest's own address in its place, and it in the
	// own one's, without state.
	NATForm
	// NPTv6Form is NATForm for all addresses of a prefix, checksum-neutral (RFC 6296).
	NPTv6Form
)

// Forms are the forms in the configuration's words.
var Forms = []string{"routed", "nat", "nptv6"}

// String returns the form as the configuration writes it.
func (f Form) String() string { return Forms[f] }

// FloatingSpec is one wanted floating address, or a prefix of such.
type FloatingSpec struct {
	Form Form
	// Address floats on Network; for NPTv6Form Prefix does, which is routed to the
	// router there.
	Address netip.Addr
	Prefix  netip.Prefix
	Network string
	// Port is whose address it becomes, "" for NPTv6Form.
	Port string
	// Fixed is what it stands for: an address of the port's, which RoutedForm can
	// do without, or a prefix.
	Fixed netip.Prefix
}

// Floating is an address, or a prefix of such, of one network that stands for
// what is on others of its router. It is comparable.
type Floating struct {
	Form Form
	// External is the network on which it is seen.
	External NetworkRef
	// Outer is what is seen there, Inner what it stands for. They are single
	// addresses but for NPTv6Form; Inner is invalid if nothing is translated and
	// no next hop said.
	Outer, Inner netip.Prefix
	// Network is the guest's network, Port its port's key; zero for NPTv6Form.
	Network NetworkRef
	Port    uint16
	// Away says that the port is not on the switch: the router does not answer for
	// its address then, since its guest may be behind another.
	Away bool

	prefixes PrefixTranslation // of NPTv6Form
}

// Translates reports whether packets are changed on their way.
func (f *Floating) Translates() bool { return f.Form != RoutedForm }

// Out maps an address of a guest to the one that it is seen under, In maps it back.
func (f *Floating) Out(a netip.Addr) (netip.Addr, bool) {
	switch {
	case f.Form == NPTv6Form:
		return f.prefixes.Out(a)
	case f.Form == NATForm && f.Inner.Addr() == a:
		return f.Outer.Addr(), true
	}
	return netip.Addr{}, false
}

// In is Out the other way.
func (f *Floating) In(a netip.Addr) (netip.Addr, bool) {
	switch {
	case f.Form == NPTv6Form:
		return f.prefixes.In(a)
	case f.Form == NATForm && f.Outer.Addr() == a:
		return f.Inner.Addr(), true
	}
	return netip.Addr{}, false
}

// EachAddress reports whether addresses of a prefix are translated one by one:
// where it is longer than 48 bits (RFC 6296 section 3.5).
func (f *Floating) EachAddress() bool { return f.Form == NPTv6Form && !f.prefixes.Whole() }

// giveFloating tells each network of its floating addresses, and each port of
// those that it has itself. What names an object that is isolated is left out.
func giveFloating(spec *Spec, nets []networkInput) {
	type place struct{ net, port int }
	ports := make(map[string]place)
	index := make(map[string]int, len(nets))
	for i := range nets {
		index[nets[i].spec.Name] = i
		for j := range nets[i].ports {
			ports[nets[i].ports[j].spec.Name] = place{i, j}
		}
	}
	for i := range spec.Floating {
		s := &spec.Floating[i]
		on, ok := index[s.Network]
		if !ok {
			continue
		}
		n := &nets[on]
		f := Floating{Form: s.Form, External: NetworkRef{Key: n.key, Name: n.spec.Name}, Inner: s.Fixed}
		if s.Form == NPTv6Form {
			f.prefixes = NewPrefixTranslation(s.Fixed, s.Prefix)
			f.Outer, f.Inner = f.prefixes.Outer, f.prefixes.Inner
		} else {
			at, ok := ports[s.Port]
			if !ok {
				continue
			}
			f.Outer = netip.PrefixFrom(s.Address, s.Address.BitLen())
			p := &nets[at.net].ports[at.port]
			f.Network, f.Port, f.Away = NetworkRef{Key: nets[at.net].key, Name: nets[at.net].spec.Name}, p.key, p.binding.OFPort == 0
			if s.Form == RoutedForm {
				p.floating = append(p.floating, s.Address)
			}
		}
		n.floating = append(n.floating, f)
	}
	for i := range nets {
		slices.SortFunc(nets[i].floating, func(a, b Floating) int { return a.Outer.Compare(b.Outer) })
	}
}

// Translation is what flows translate into each other: two prefixes of one
// length, whose other bits stay.
type Translation struct {
	// External is the key of the network on which Outer is seen.
	External     uint16
	Outer, Inner netip.Prefix
}

// mostSubnets bounds the subnets of one prefix that flows translate; others are
// translated packet by packet.
const mostSubnets = 1024

// floatingOf is what floats on the networks of a router.
func (r *Router) floatingOf() (list []Floating) {
	for _, n := range r.Networks {
		list = append(list, n.Floating...)
	}
	return list
}

// routedFloating are the routes to floating addresses that guests have themselves.
func (r *Router) routedFloating() (list []Route) {
	for i := range r.Floating {
		f := &r.Floating[i]
		if f.Translates() {
			continue
		}
		route := Route{Prefix: f.Outer, Origin: FloatingRoute, Hop: Hop{Network: f.Network}}
		if f.Inner.IsValid() {
			route.NextHop = f.Inner.Addr()
		}
		if n := r.network(f.Network.Key); n != nil {
			for _, p := range n.Ports {
				if p.Key == f.Port && p.OFPort != 0 && !p.MAC.IsZero() {
					route.Port, route.MAC = p.Key, p.MAC
				}
			}
		}
		list = append(list, route)
	}
	return list
}

// translations are what flows translate: addresses, whole subnets where a prefix
// is adjusted in the subnet's number, and else each address that somebody is
// known to have.
func (r *Router) translations() (list []Translation) {
	for i := range r.Floating {
		f := &r.Floating[i]
		from := len(list)
		add := func(inner netip.Prefix) {
			outer, ok := f.Out(inner.Addr())
			if ok && len(list)-from < mostSubnets {
				list = append(list, Translation{f.External.Key, netip.PrefixFrom(outer, inner.Bits()), inner})
			}
		}
		switch {
		case f.Form == NATForm:
			add(f.Inner)
		case f.EachAddress():
			r.eachKnown(f, func(a netip.Addr) { add(netip.PrefixFrom(a, a.BitLen())) })
		case f.Form == NPTv6Form:
			r.eachSubnet(f, add)
		}
	}
	slices.SortFunc(list, compareTranslations)
	return slices.CompactFunc(list, func(a, b Translation) bool { return a == b })
}

func compareTranslations(a, b Translation) int {
	if a.External != b.External {
		return int(a.External) - int(b.External)
	}
	return a.Inner.Compare(b.Inner)
}

// eachKnown yields the addresses of an inner prefix that somebody inside has.
func (r *Router) eachKnown(f *Floating, yield func(netip.Addr)) {
	for _, n := range r.Networks {
		if n.Key == f.External.Key {
			continue
		}
		known := n.SharedAddresses()
		for _, p := range n.Ports {
			known = append(known, p.Addresses...)
		}
		for _, b := range n.Neighbors {
			known = append(known, b.Addr)
		}
		for _, a := range known {
			if !f.Inner.Contains(a) {
				continue
			}
			if w := r.way(a); w.Network != nil && w.Network.Key != f.External.Key {
				yield(a)
			}
		}
	}
}

// eachSubnet yields the /64s of an inner prefix that routes lead to inside.
func (r *Router) eachSubnet(f *Floating, yield func(netip.Prefix)) {
	const subnetBits, widest = 64, 54 // of mostSubnets
	for _, route := range r.Table() {
		p := route.Prefix
		if route.Type != Unicast || route.Network.Key == f.External.Key || p.Bits() < widest || !f.Inner.Contains(p.Addr()) {
			continue
		}
		p = netip.PrefixFrom(p.Addr(), min(p.Bits(), subnetBits)).Masked()
		for a := p.Addr(); p.Contains(a); {
			yield(netip.PrefixFrom(a, subnetBits))
			octets := a.As16()
			binary.BigEndian.PutUint64(octets[:], binary.BigEndian.Uint64(octets[:])+1)
			a = netip.AddrFrom16(octets)
		}
	}
}

// hidden are the router's own addresses that a translated prefix holds: nobody
// outside reaches these.
func (r *Router) hidden() (list []netip.Addr) {
	for _, n := range r.Networks {
		for _, a := range n.Router.Addresses {
			if slices.ContainsFunc(r.Floating, func(f Floating) bool { return f.Form == NPTv6Form && f.Inner.Contains(a.Addr()) }) {
				list = append(list, a.Addr())
			}
		}
	}
	return list
}

// network finds one of the router's networks by its key, nil if there is none.
func (r *Router) network(key uint16) *Network {
	i := slices.IndexFunc(r.Networks, func(n *Network) bool { return n.Key == key })
	if i < 0 {
		return nil
	}
	return r.Networks[i]
}

// Translated is the floating address, or prefix of such, that stands for another
// address and that a is or lies in; nil if there is none.
func (r *Router) Translated(a netip.Addr) *Floating {
	for i := range r.Floating {
		if f := &r.Floating[i]; f.Translates() && f.Outer.Contains(a) {
			return f
		}
	}
	return nil
}

// Outward maps an address of a guest to the one that it is seen under on an
// external network, by its key; ok is false if that is itself.
func (r *Router) Outward(external uint16, a netip.Addr) (outer netip.Addr, ok bool) {
	for i := range r.Floating {
		if f := &r.Floating[i]; f.External.Key == external {
			if outer, ok = f.Out(a); ok {
				return outer, true
			}
		}
	}
	return a, false
}

// Inward maps what is seen on an external network to the address that it stands
// for; ok is false if that is itself.
func (r *Router) Inward(external uint16, a netip.Addr) (inner netip.Addr, ok bool) {
	for i := range r.Floating {
		if f := &r.Floating[i]; f.External.Key == external {
			if inner, ok = f.In(a); ok {
				return inner, true
			}
		}
	}
	return a, false
}

// Behind reports whether an address is translated on its way to an external
// network, or would be if it had a mapping.
func (r *Router) Behind(external uint16, a netip.Addr) bool {
	return slices.ContainsFunc(r.Floating, func(f Floating) bool {
		return f.Translates() && f.External.Key == external && f.Inner.Contains(a)
	})
}

// Admits reports whether somebody on a network of the router may send to an
// address, as far as floating addresses decide. From outside a guest is reached
// by its floating address alone. From inside only who has one itself reaches
// another's: the answer would come from another address otherwise.
func (r *Router) Admits(from *Network, source, to netip.Addr) bool {
	if f := r.Translated(to); f != nil && from.Key != f.External.Key {
		return r.Behind(f.External.Key, source)
	}
	return !r.Behind(from.Key, to)
}

// FloatingAddresses are the single addresses that float on the network, sorted:
// its router answers for them.
func (n *Network) FloatingAddresses() (list []netip.Addr) {
	if n.Router == nil {
		return nil
	}
	for i := range n.Floating {
		if f := &n.Floating[i]; f.Outer.IsSingleIP() {
			list = append(list, f.Outer.Addr())
		}
	}
	return list
}

// Proxied reports whether the router only stands in for the address's holder on
// another network: "all solicited proxy Neighbor Advertisement messages MUST have
// the Override flag set to zero" (RFC 4861 section 7.2.8).
func (o Owner) Proxied() bool { return o.Floating != nil && !o.Floating.Translates() }
