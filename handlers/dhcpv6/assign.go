package dhcpv6

import (
	"errors"
	"net/netip"
	"slices"

	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
)

// choose finds out what each IA is to have and, if binding, gives it.
func (x *exchange) choose() {
	for i := range x.q.IAs() {
		ia := &x.q.IAs()[i]
		x.beginIA(i)
		v := verdict{first: x.first}
		v.status = x.judge(ia)
		if t := x.q.Type(); v.status != codec.StatusNoBinding && (t == codec.Renew || t == codec.Rebind) {
			x.withdraw(ia)
		}
		v.end = len(x.grants)
		x.ias[i] = v
	}
}

// judge chooses for one IA; the status is StatusSuccess if it gets anything.
func (x *exchange) judge(ia *codec.IA) codec.Status {
	switch x.q.Type() {
	case codec.RequestMessage:
		// "The server MUST return the IA to the client with a Status Code option with the value NotOnLink", RFC 9915 section 18.3.2.
		if ia.Code == codec.OptionIANA && !x.allOnLink(ia) {
			return codec.StatusNotOnLink
		}
	case codec.Renew:
		// A client that holds what is not known here starts again; one that asks
		// for more gets it (RFC 9915 section 18.3.4).
		if x.names(ia) && len(x.find(ia)) == 0 {
			return codec.StatusNoBinding
		}
	}
	if ia.Code == codec.OptionIAPD {
		return x.delegate(ia)
	}
	return x.assign(ia)
}

// names reports whether the client says that the IA holds something.
func (x *exchange) names(ia *codec.IA) bool {
	return slices.ContainsFunc(x.q.Hints(ia), func(h codec.Hint) bool { return !h.LengthOnly() })
}

// assign chooses the addresses of an IA: on every subnet what is the client's by
// configuration; without that one address of a pool, where the IA has one
// already, else where the client would like one, else on the first subnet that
// has one left.
func (x *exchange) assign(ia *codec.IA) codec.Status {
	status := codec.StatusNoAddrsAvail
	subnets := x.n.Subnets
	for i := range subnets {
		if s := &subnets[i]; serves(s) && x.entitled(s) {
			x.takeOwn(ia, s, &status)
		}
	}
	if len(x.grants) > x.first {
		return codec.StatusSuccess
	}
	held := x.find(ia)
	ranks := [...]func(*topology.Subnet) bool{
		func(s *topology.Subnet) bool {
			return slices.ContainsFunc(held, func(l lease.Lease) bool { return s.Prefix.Contains(l.Addr()) })
		},
		func(s *topology.Subnet) bool { return x.hint(ia, s).IsValid() },
		func(*topology.Subnet) bool { return true },
	}
	for _, fits := range ranks {
		for i := range subnets {
			if s := &subnets[i]; serves(s) && fits(s) && x.take(ia, s, x.hint(ia, s), &status) {
				return codec.StatusSuccess
			}
		}
	}
	return status
}

// entitled reports whether the configuration gives the client addresses of its
// own on a subnet.
func (x *exchange) entitled(s *topology.Subnet) bool {
	return slices.ContainsFunc(entitlement(x.p.Port, x.reserved(), s), s.Prefix.Contains)
}

// reserved are the addresses reserved for the client's DUID.
func (x *exchange) reserved() []netip.Addr { return x.n.DHCPv6.Reserved(x.q.ClientID) }

// hint is the first address on a subnet that the client would like, the zero
// Addr if it names none.
func (x *exchange) hint(ia *codec.IA, s *topology.Subnet) netip.Addr {
	for _, h := range x.q.Hints(ia) {
		if s.Prefix.Contains(h.Address) {
			return h.Address
		}
	}
	return netip.Addr{}
}

// takeOwn adds to the grants what is the client's by configuration on a subnet,
// as far as no IA before this one has it.
func (x *exchange) takeOwn(ia *codec.IA, s *topology.Subnet, status *codec.Status) {
	list, _ := x.c.Choose(x.ask(ia), s, netip.Addr{}) // without any the pools come next
	reserved := x.reserved()
	for _, a := range list {
		if slices.Contains(x.p.Port.Fixed, a) || slices.Contains(reserved, a) {
			x.giveAddress(ia, s, a, status)
		}
	}
}

// take adds to the grants what the IA is to have on a subnet, and reports
// whether that is anything. A failure that says more than that nothing is left
// goes to status.
func (x *exchange) take(ia *codec.IA, s *topology.Subnet, hint netip.Addr, status *codec.Status) bool {
	list, _ := x.c.Choose(x.ask(ia), s, hint)
	some := false
	for _, a := range list {
		if x.giveAddress(ia, s, a, status) {
			some = true
		}
	}
	return some
}

// giveAddress is give for an address of a subnet.
func (x *exchange) giveAddress(ia *codec.IA, s *topology.Subnet, a netip.Addr, status *codec.Status) bool {
	g := grant{prefix: netip.PrefixFrom(a, a.BitLen()), preferred: s.Preferred, valid: s.Valid}
	return x.give(ia, &g, status)
}

// give adds one grant, once it is bound if it is to be.
func (x *exchange) give(ia *codec.IA, g *grant, status *codec.Status) bool {
	if !x.fits(g) {
		*status = codec.StatusUnspecFail
		return false
	}
	if x.binding {
		err := x.c.Bind(lease.Grant{
			Kind: kindOf(ia), Port: x.p.Port.Name, Network: x.n.Name, DUID: x.q.ClientID, IAID: ia.ID,
			Prefix: g.prefix, Preferred: g.preferred, Valid: g.valid, Client: x.client, Limit: x.p.Port.MaxLeases,
			Own: kindOf(ia) == lease.Address && slices.Contains(x.p.Port.Fixed, g.prefix.Addr()),
		})
		if err != nil {
			if !errors.Is(err, lease.ErrTaken) && !errors.Is(err, lease.ErrPortFull) {
				*status = codec.StatusUnspecFail
			}
			return false
		}
	}
	x.add(*g)
	return true
}

// withdraw adds what the IA holds, or the client believes that it does, and is
// not among its grants, with lifetimes of 0 (RFC 9915 sections 18.3.4 and
// 18.3.5), as far as that takes no room from what other IAs are to have. A lease
// that may not be extended still ends by itself, so that nobody else gets it
// before.
func (x *exchange) withdraw(ia *codec.IA) {
	for _, l := range x.find(ia) {
		x.end(l.Prefix)
	}
	for i := range x.q.Hints(ia) {
		if h := &x.q.Hints(ia)[i]; !h.LengthOnly() {
			x.end(h.Prefix())
		}
	}
}

func (x *exchange) end(p netip.Prefix) {
	g := grant{prefix: p}
	if x.cost(&g) > x.spare-x.later*laterRoom || slices.ContainsFunc(x.grants[x.first:], func(o grant) bool { return o.prefix == p }) {
		return
	}
	x.add(g)
}
