package topology

import (
	"net/netip"
	"time"

	"github.com/mdlayher/ndp"
)

// finalValid is the valid lifetime of prefixes in a final advertisement: hosts
// keep an autonomous address no shorter than that, whatever they are told (RFC
// 4862 section 5.5.3 (e)).
const finalValid = 2 * time.Hour

// FinalAdvert is what a network that stops being advertised sends last, from
// the router it had, at most three times (RFC 4861 section 6.2.5): router
// lifetime 0, its prefixes deprecated, everything else withdrawn. The network
// is that of the last Snapshot that had it; the result is nil if it was not
// advertised.
func FinalAdvert(n *Network) []Advert {
	if n.Router == nil || len(n.Adverts) == 0 {
		return nil
	}
	return n.final
}

// final composes FinalAdvert while the network's Spec is at hand.
func (a *advertiser) final(deprecated []Deprecated, withdrawn []netip.Prefix) []Advert {
	var options []option
	for i := range a.net.Subnets {
		s := &a.net.Subnets[i]
		options = append(options, prefixOption(s, 0, min(s.Valid, finalValid)))
	}
	options = append(options, deprecatedOptions(deprecated)...)
	options = append(options, a.informationOptions(0)...)
	options = append(options, a.withdrawnOptions(withdrawn)...)
	header := a.header
	header.RouterLifetime = 0
	// "If the Router Lifetime is zero, the preference value MUST be set to
	// (00) by the sender" (RFC 4191 section 2.2).
	header.RouterSelectionPreference = ndp.Medium
	return pack(header, a.net.Router.MAC, options, a.net.MTU, sendReserve(a.net))
}

// formerOf makes the advertisements that end earlier identities. They withdraw
// the router alone: prefixes and servers stay, the present router gives them.
func formerOf(in *networkInput, n *Network) []Former {
	var list []Former
	for _, f := range in.former {
		if n.Router != nil && f.LinkLocal == n.Router.LinkLocal && f.MAC == n.Router.MAC {
			continue
		}
		header := ndp.RouterAdvertisement{CurrentHopLimit: uint8(or(in.spec.RouterAdvertisement.HopLimit, DefaultHopLimit))}
		list = append(list, Former{MAC: f.MAC, LinkLocal: f.LinkLocal, Adverts: pack(header, f.MAC, nil, n.MTU, 0)})
	}
	return list
}
