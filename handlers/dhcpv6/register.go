package dhcpv6

import (
	"math"
	"net/netip"
	"time"

	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/store"
	"damselfly/pipeline"
)

// register records an address that its guest chose, for as long as the guest
// says, and repeats it; lifetimes of 0 end it (RFC 9686 section 4.2.1). The same
// port may register it anew under another DUID; another port may not, nor may an
// address be registered that DHCPv6 gave.
func (x *exchange) register(r *pipeline.Replies) pipeline.Reason {
	h := x.q.Registered()
	if !x.onLink(h.Address) {
		return reason.DHCPv6Registration
	}
	if o, ok := x.n.Owner(h.Address); ok && !x.p.Owns(o) {
		return reason.DHCPv6Registration
	}
	address := x.q.Message.Options().Find(codec.OptionIAAddr)
	if !x.open(codec.AddrRegReply) || len(address) > x.room() {
		return reason.DHCPv6TooLarge
	}
	if !x.record(h) {
		return reason.DHCPv6Registration
	}
	x.w.Raw(address)
	return x.send(r)
}

// record writes a registration down.
func (x *exchange) record(h *codec.Hint) bool {
	p := netip.PrefixFrom(h.Address, h.Address.BitLen())
	if h.Valid == 0 {
		x.c.Release(x.p.Port.Name, x.q.ClientID, lease.Registration, 0, p)
		return true
	}
	return x.c.Bind(lease.Grant{
		Kind: lease.Registration, Port: x.p.Port.Name, Network: x.n.Name, DUID: x.q.ClientID, Prefix: p,
		Preferred: duration(min(h.Preferred, h.Valid)), Valid: duration(h.Valid),
		Client: x.clientOf([codec.KeyLen]byte{}), Limit: x.p.Port.MaxLeases, Own: true,
	}) == nil
}

// duration is a lifetime of the wire as leases have it.
func duration(seconds uint32) time.Duration {
	if seconds == math.MaxUint32 {
		return store.Infinite
	}
	return time.Duration(seconds) * time.Second
}
