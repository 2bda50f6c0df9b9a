package dhcpv6

import (
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
)

// options writes what the client asked to know and the configuration says,
// in an answer to t, or in an Advertise or Reply.
func (x *exchange) options(t codec.MessageType) {
	if t != codec.InformationRequest && x.reconfigures() {
		x.w.Option(codec.OptionReconfAccept, nil)
	}
	if x.q.FQDN != nil && x.q.Requested(codec.OptionFQDN) && 5+len(x.q.FQDN) <= x.room() {
		x.name()
	}
	if x.q.Requested(codec.OptionAddrRegEnable) && x.room() >= 4 {
		x.w.Option(codec.OptionAddrRegEnable, nil) // RFC 9686 section 4.1
	}
	set := x.p.Port.Options
	if set == nil || x.q.ORO == nil {
		return
	}
	for i := range set.Options {
		if o := &set.Options[i]; x.q.Requested(o.Code) && mayStand(o.Code, t) {
			x.raw(o)
		}
	}
}

// mayStand reports whether the configuration may put an option at the top of an
// answer because the client asked for it. What the protocol is made of is the
// server's own business.
func mayStand(code uint16, t codec.MessageType) bool {
	switch code {
	case codec.OptionInformationRefresh:
		return t == codec.InformationRequest // RFC 9915 section 21.23
	case codec.OptionVendorOpts:
		return true
	case codec.OptionIAPD, codec.OptionIAPrefix, codec.OptionFQDN, codec.OptionPDExclude, codec.OptionAddrRegEnable:
		return false
	}
	return code > codec.OptionReconfAccept
}

// raw writes an option of the configuration if there is room for it: an answer
// without it is better than none.
func (x *exchange) raw(o *topology.Option) {
	if len(o.Wire) <= x.room() {
		x.w.Raw(o.Wire)
	}
}

// name answers the client's name: it is taken as it is, and nobody updates the
// DNS (RFC 4704 section 6).
func (x *exchange) name() {
	flags := [1]byte{codec.FQDNNoUpdates}
	if x.q.FQDN.Flags()&codec.FQDNServerUpdates != 0 {
		flags[0] |= codec.FQDNOverride
	}
	x.w.Open(codec.OptionFQDN, flags[:])
	x.w.Raw(x.q.FQDN.Name())
	x.w.Close()
}

// reconfigures reports whether the client is one to be sent Reconfigure. Those
// behind a relay are not: nobody remembers the way.
func (x *exchange) reconfigures() bool {
	return x.q.ReconfAccept && x.s.Reconfigures && len(x.q.Relays()) == 0
}

// reconfKey is the client's reconfigure key, a new one if it has none, and
// whether to tell it: with every first answer, since the one before may have
// been lost (RFC 9915 section 20.4.2). The zero key is for clients that take no
// Reconfigure.
func (x *exchange) reconfKey() (key [codec.KeyLen]byte, tell bool) {
	if !x.reconfigures() {
		return key, false
	}
	x.held = x.c.OfClient(x.held[:0], x.p.Port.Name, x.q.ClientID)
	for i := range x.held {
		if x.held[i].ReconfAccept() {
			t := x.q.Type()
			return x.held[i].ReconfKey, t == codec.Solicit || t == codec.RequestMessage
		}
	}
	return x.s.NewKey(), true
}

// clientOf is what is recorded of the client beside its identity. A client
// behind a relay is reached by the relay.
func (x *exchange) clientOf(key [codec.KeyLen]byte) lease.Client {
	c := lease.Client{MAC: x.p.Ethernet.Source(), ReconfKey: key}
	if a := x.p.IPv6.Source(); a.IsLinkLocalUnicast() {
		c.LinkLocal = a
	}
	if x.q.FQDN != nil {
		if name := x.q.FQDN.Name().String(); len(name) <= maxName {
			c.FQDN = name
		}
	}
	return c
}

// maxName is how many octets of a name are recorded.
const maxName = 255
