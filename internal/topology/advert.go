package topology

import (
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/ndp"

	"damselfly/internal/wire"
)

const (
	// minLink is the MTU every link carries (RFC 8200 section 5). Where the
	// configuration does not say the link's, advertisements keep to it.
	minLink = 1280
	// maxLink is Ethernet's MTU (RFC 2464 section 2): advertisements keep to
	// it on larger links too, since the switch hands over frames of that size.
	maxLink = 1500
	// dnsIntervals is how many maximum intervals the options that no other
	// lifetime governs last, so that two lost advertisements cost nothing (RFC
	// 8106 section 5.1, RFC 8781 section 4.1).
	dnsIntervals = 3
	// maxRouterLifetime bounds a router lifetime and an interval (RFC 8319 section 4).
	maxRouterLifetime = 65535 * time.Second
)

// advertiser is what a network's Router Advertisements are made of, defaults
// applied.
type advertiser struct {
	spec   *AdvertSpec
	net    *Network
	timing Advertising
	header ndp.RouterAdvertisement
	// other is the lifetime of options without one of their own.
	other time.Duration
	// metadata says that the network has the metadata service.
	metadata bool
	// own are the router's own routes that guests are told of.
	own []netip.Prefix
}

func newAdvertiser(in *networkInput, n *Network) *advertiser {
	a := &advertiser{spec: &in.spec.RouterAdvertisement, net: n, metadata: in.spec.Metadata != nil, own: in.presence.routes}
	a.timing = timingOf(a.spec)
	a.other = (dnsIntervals*a.timing.MaxInterval + time.Second - 1).Truncate(time.Second)
	a.header = ndp.RouterAdvertisement{
		CurrentHopLimit:           uint8(or(a.spec.HopLimit, DefaultHopLimit)),
		RouterSelectionPreference: a.spec.Preference.ndp(),
		RouterLifetime:            lifetimeOf(a.spec, in.presence.spec != nil),
		ReachableTime:             a.spec.ReachableTime,
		RetransmitTimer:           a.spec.RetransTimer,
		ManagedConfiguration:      slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Mode == DHCPv6Stateful }),
		OtherConfiguration:        slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Mode == DHCPv6Stateless }),
	}
	// With neither flag "this indicates that no information is available via
	// DHCPv6" (RFC 4861 section 4.2), and nobody would ask for the prefixes that
	// there are; M would promise addresses.
	if len(in.spec.Delegations) > 0 && !a.header.ManagedConfiguration {
		a.header.OtherConfiguration = true
	}
	return a
}

// timingOf applies the defaults of RFC 4861 section 6.2.1.
func timingOf(s *AdvertSpec) Advertising {
	t := Advertising{MaxInterval: or(s.Interval, DefaultInterval)}
	// "Default: 0.33 * MaxRtrAdvInterval If MaxRtrAdvInterval >= 9 seconds";
	// below, the largest allowed minimum.
	otherwise := t.MaxInterval * 33 / 100
	if t.MaxInterval < 9*time.Second {
		otherwise = t.MaxInterval * 3 / 4
	}
	t.MinInterval = or(s.MinInterval, otherwise)
	return t
}

// lifetimeOf is how long the network's router is a default router.
func lifetimeOf(s *AdvertSpec, router bool) time.Duration {
	switch longest := timingOf(s).MaxInterval; {
	case !router:
		return 0
	case s.Lifetime != nil:
		return *s.Lifetime
	case longest > DefaultLifetime:
		return min(3*longest, maxRouterLifetime).Truncate(time.Second)
	default:
		return DefaultLifetime
	}
}

func (p Preference) ndp() ndp.Preference {
	switch p {
	case Low:
		return ndp.Low
	case High:
		return ndp.High
	default:
		return ndp.Medium
	}
}

// compile makes the advertisements of a network that is served.
func (a *advertiser) compile(deprecated []Deprecated, withdrawn []netip.Prefix) []Advert {
	options := a.linkOptions()
	for i := range a.net.Subnets {
		s := &a.net.Subnets[i]
		options = append(options, prefixOption(s, s.Preferred, s.Valid))
	}
	options = append(options, deprecatedOptions(deprecated)...)
	options = append(options, a.informationOptions(a.other)...)
	options = append(options, a.withdrawnOptions(withdrawn)...)
	return pack(a.header, a.net.Router.MAC, options, a.net.MTU, sendReserve(a.net))
}

// linkOptions say what the link is like.
func (a *advertiser) linkOptions() []option {
	if a.net.MTU == 0 {
		return nil
	}
	return []option{compose(ndp.NewMTU(uint32(a.net.MTU)))}
}

// informationOptions are all options with a lifetime of their own but
// prefixes; with lifetime 0 they withdraw what they said.
func (a *advertiser) informationOptions(lifetime time.Duration) []option {
	options := dnsOptions(a.net.Subnets, lifetime)
	for _, r := range a.routes() {
		options = append(options, routeOption(r, lifetime))
	}
	if a.spec.PREF64.IsValid() {
		options = append(options, pref64Option(a.spec.PREF64, lifetime))
	}
	if a.spec.CaptivePortal != "" && lifetime > 0 {
		options = append(options, captivePortalOption(a.spec.CaptivePortal))
	}
	for i := range a.spec.EncryptedDNS {
		options = append(options, encryptedDNSOption(&a.spec.EncryptedDNS[i], uint16(i+1), lifetime))
	}
	return options
}

// pack puts options into as few advertisements as the link's MTU allows, in
// order. Each has the same header, and the source link-layer address, for
// hosts that miss the others. "If including all options causes the size of an
// advertisement to exceed the link MTU, multiple advertisements can be sent,
// each containing a subset of the options" (RFC 4861 section 6.2.3). reserve octets
// of each are left free.
func pack(header ndp.RouterAdvertisement, mac wire.MAC, options []option, mtu, reserve int) []Advert {
	if mtu == 0 {
		mtu = minLink
	}
	room := min(mtu, maxLink) - wire.IPv6Len - reserve
	header.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac[:]}}
	head := marshal(&header)
	adverts := []Advert{{Body: slices.Clone(head)}}
	for _, o := range options {
		last := &adverts[len(adverts)-1]
		if len(last.Body)+len(o.bytes) > room && len(last.Body) > len(head) {
			adverts = append(adverts, Advert{Body: slices.Clone(head)})
			last = &adverts[len(adverts)-1]
		}
		if !o.until.IsZero() {
			last.Countdowns = append(last.Countdowns, Countdown{Offset: len(last.Body) + prefixValidOffset, Until: o.until})
		}
		last.Body = append(last.Body, o.bytes...)
	}
	for i := range adverts {
		adverts[i].Sum = wire.SumBody(adverts[i].Body)
	}
	return adverts
}
