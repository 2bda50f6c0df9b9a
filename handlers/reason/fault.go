package reason

import (
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// OfFault returns the reason of a frame that a gate refused: each Fault has its
// own, under the Fault's name. f is not wire.FaultNone.
func OfFault(f wire.Fault) pipeline.Reason {
	return firstFault + pipeline.Reason(f) - 1
}

// fault is the inverse of OfFault, for firstFault <= r < firstDHCPv6.
func fault(r pipeline.Reason) wire.Fault {
	return wire.Fault(r-firstFault) + 1
}

// faultTexts tells an operator what each Fault means; a test holds it complete.
var faultTexts = [wire.Faults]string{
	wire.FaultTruncated:                "the frame is shorter than its headers",
	wire.FaultNotEthernetII:            "an 802.3 frame with a length instead of a type; a known way around filters",
	wire.FaultTagged:                   "a VLAN tag on a port that is untagged",
	wire.FaultNotIPv6:                  "not IPv6",
	wire.FaultMulticastSourceMAC:       "a multicast or broadcast Ethernet source; no host sends that",
	wire.FaultZeroSourceMAC:            "an Ethernet source of all zeros; no host sends that",
	wire.FaultBadVersion:               "the IP version is not 6",
	wire.FaultZeroPayloadLength:        "an IPv6 payload length of 0; jumbograms are not carried",
	wire.FaultBadLength:                "the IPv6 header claims more octets than the frame has",
	wire.FaultMulticastSource:          "a multicast IPv6 source; no host sends that",
	wire.FaultInternalSource:           "the loopback or an IPv4-mapped address as source; a host that speaks before it has an address does that",
	wire.FaultUnspecifiedDestination:   "the IPv6 destination is ::",
	wire.FaultHopByHopNotFirst:         "a Hop-by-Hop Options header that is not the first header",
	wire.FaultChainTooLong:             "too many extension headers, as used to hide what follows",
	wire.FaultChainTruncated:           "the packet ends within its headers, as used to hide what follows",
	wire.FaultLaterFragment:            "a fragment without the message's head, which cannot be judged",
	wire.FaultNoUpperLayer:             "no message behind the extension headers",
	wire.FaultUnknownNextHeader:        "a header of unknown format, behind which anything may hide",
	wire.FaultNotICMPv6:                "another protocol where ICMPv6 was expected",
	wire.FaultNotUDP:                   "another protocol where UDP was expected",
	wire.FaultWrongType:                "another ICMPv6 type than expected",
	wire.FaultFragment:                 "a message in fragments that may not be; Neighbor Discovery may not even carry the header",
	wire.FaultRoutingHeader:            "a message behind a Routing header of type 0, by which its sender would choose its way; no host sends that",
	wire.FaultHopLimit:                 "Neighbor Discovery whose hop limit is not 255: it may come from off the link",
	wire.FaultCode:                     "an ICMPv6 code other than 0",
	wire.FaultShort:                    "the message is shorter than its fixed part",
	wire.FaultChecksum:                 "a wrong checksum: damaged on the way, or an offload that nobody finished",
	wire.FaultZeroChecksum:             "UDP without a checksum, which IPv6 forbids",
	wire.FaultUDPLength:                "a UDP length that does not fit the packet",
	wire.FaultOptionZeroLength:         "a Neighbor Discovery option of length 0",
	wire.FaultOptionTruncated:          "a Neighbor Discovery option that ends behind the packet",
	wire.FaultLinkLayerLength:          "a link-layer address option that is not Ethernet's",
	wire.FaultDuplicateLinkLayer:       "two link-layer address options, of which receivers believe different ones",
	wire.FaultMulticastTarget:          "Neighbor Discovery for a multicast address",
	wire.FaultUnspecifiedWithLinkLayer: "a source of :: that names a link-layer address",
	wire.FaultNotSolicitedNode:         "an address probe that was not sent to the solicited-node group",
	wire.FaultSolicitedMulticast:       "a multicast Neighbor Advertisement that claims to be solicited",
	wire.FaultNotLinkLocal:             "a Router Advertisement, Multicast Listener Discovery or Certification Path Solicitation whose source is not link-local",
	wire.FaultUnspecifiedSource:        "a source of ::, to which nothing can be answered",
	wire.FaultMissingLinkLayer:         "Inverse Neighbor Discovery that does not name both its sender's link-layer address and the one it asks about",
	wire.FaultAddressList:              "a list of addresses whose length does not fit, or with one that no interface has",
	wire.FaultMTULength:                "an MTU option that is not 8 octets",
	wire.FaultAuthentication:           "Inverse Neighbor Discovery behind an Authentication Header, for which nobody here has a key",
	wire.FaultHopLimitNotOne:           "Multicast Listener or Router Discovery whose hop limit is not 1",
	wire.FaultNoRouterAlert:            "Multicast Listener or Router Discovery without a Router Alert option",
	wire.FaultListenerLength:           "Multicast Listener Discovery with records or sources beyond its end, or of no version's length",
	wire.FaultNotGroup:                 "Multicast Listener Discovery about an address that is no multicast group",
	wire.FaultListenerDestination:      "Multicast Listener or Router Discovery to another group than its own",
}
