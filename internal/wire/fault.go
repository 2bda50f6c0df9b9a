package wire

// Fault says why a frame is not acceptable. Bad input is an outcome, not an
// error: each rule has a Fault of its own, so that a counter or a test names
// the very rule that was broken. A frame that breaks several rules gets the
// one tested first.
type Fault uint8

// The faults, in the order in which they can end a frame. Their names (String)
// are stable: operators graph them.
const (
	// FaultNone: the frame passed.
	FaultNone Fault = iota

	// FaultTruncated: fewer octets than the Ethernet and IPv6 headers have.
	FaultTruncated
	// FaultNotEthernetII: a length instead of an EtherType (IEEE 802.3 with LLC or SNAP), a known way around filters.
	FaultNotEthernetII
	// FaultTagged: an 802.1Q, 802.1ad or other VLAN tag, priority tags included.
	FaultTagged
	// FaultNotIPv6: an EtherType other than IPv6.
	FaultNotIPv6
	// FaultMulticastSourceMAC: the Ethernet source has the group bit set (IEEE 802.3 section 3.2.3).
	FaultMulticastSourceMAC
	// FaultZeroSourceMAC: the Ethernet source is all zero.
	FaultZeroSourceMAC
	// FaultBadVersion: the IP version is not 6 (RFC 8200 section 3).
	FaultBadVersion
	// FaultZeroPayloadLength: a payload length of 0; jumbograms (RFC 2675) are not carried.
	FaultZeroPayloadLength
	// FaultBadLength: the payload length says more than was captured.
	FaultBadLength
	// FaultMulticastSource: a multicast IPv6 source (RFC 4291 section 2.7).
	FaultMulticastSource
	// FaultInternalSource: the loopback address or an IPv4-mapped one as source,
	// which never leave a node (RFC 4291 sections 2.5.3 and 2.5.5.2).
	FaultInternalSource
	// FaultUnspecifiedDestination: the IPv6 destination is :: (RFC 4291 section 2.5.2).
	FaultUnspecifiedDestination

	// FaultHopByHopNotFirst: a Hop-by-Hop Options header elsewhere than first (RFC 8200 section 4.1).
	FaultHopByHopNotFirst
	// FaultChainTooLong: more than MaxExtensionHeaders extension headers.
	FaultChainTooLong
	// FaultChainTruncated: the packet, or first fragment, ends before its upper-layer header does (RFC 7112 section 5).
	FaultChainTruncated
	// FaultLaterFragment: a fragment with an offset; it carries no upper-layer header.
	FaultLaterFragment
	// FaultNoUpperLayer: the chain ends in No Next Header (RFC 8200 section 4.7).
	FaultNoUpperLayer
	// FaultUnknownNextHeader: a next header whose format is not known, so nothing behind it can be vouched for (RFC 7045 section 2.1).
	FaultUnknownNextHeader

	// FaultNotICMPv6: the gate of an ICMPv6 message got another protocol.
	FaultNotICMPv6
	// FaultNotUDP: the gate of UDP got another protocol.
	FaultNotUDP
	// FaultWrongType: the gate of one ICMPv6 type got another type.
	FaultWrongType
	// FaultFragment: a message that may not, or here cannot, come in fragments; for Neighbor Discovery also an atomic one (RFC 6980 section 5).
	FaultFragment
	// FaultRoutingHeader: a message behind a Routing header of type 0, which nodes have to reject (RFC 5095 section 3).
	FaultRoutingHeader
	// FaultHopLimit: Neighbor Discovery with a hop limit other than 255 (RFC 4861 section 7.1.1).
	FaultHopLimit
	// FaultCode: an ICMPv6 code other than 0 (RFC 4861 section 7.1.1).
	FaultCode
	// FaultShort: shorter than the fixed part of its message (RFC 4861 section 7.1.1).
	FaultShort
	// FaultChecksum: the checksum does not verify (RFC 4443 section 2.3).
	FaultChecksum
	// FaultZeroChecksum: UDP over IPv6 without a checksum (RFC 8200 section 8.1).
	FaultZeroChecksum
	// FaultUDPLength: the UDP length is below 8 or beyond the IPv6 payload (RFC 768).
	FaultUDPLength
	// FaultOptionZeroLength: a Neighbor Discovery option of length 0 (RFC 4861 section 4.6).
	FaultOptionZeroLength
	// FaultOptionTruncated: a Neighbor Discovery option that ends behind the packet (RFC 4861 section 4.6).
	FaultOptionTruncated
	// FaultLinkLayerLength: a link-layer address option that is not 8 octets, as Ethernet's is (RFC 2464 section 6).
	FaultLinkLayerLength
	// FaultDuplicateLinkLayer: the link-layer address option twice; which one a receiver believes differs between stacks.
	FaultDuplicateLinkLayer
	// FaultMulticastTarget: a multicast target address (RFC 4861 section 7.1.1).
	FaultMulticastTarget
	// FaultUnspecifiedWithLinkLayer: source :: with a source link-layer address (RFC 4861 sections 6.1.1 and 7.1.1).
	FaultUnspecifiedWithLinkLayer
	// FaultNotSolicitedNode: source :: and a destination that is no solicited-node multicast address (RFC 4861 section 7.1.1).
	FaultNotSolicitedNode
	// FaultSolicitedMulticast: a Neighbor Advertisement to a multicast destination with the Solicited flag (RFC 4861 section 7.1.2).
	FaultSolicitedMulticast
	// FaultNotLinkLocal: a source that is not link-local where it has to be, as of Router Advertisements (RFC 4861 section 6.1.2), MLD (RFC 9777 section 5) and Certification Path Solicitations (RFC 3971 section 6.4.1).
	FaultNotLinkLocal
	// FaultUnspecifiedSource: an echo request from ::, to which no reply can be sent (RFC 4291 section 2.5.2).
	FaultUnspecifiedSource
	// FaultMissingLinkLayer: Inverse Neighbor Discovery without both link-layer addresses (RFC 3122 section 4.3.1).
	FaultMissingLinkLayer
	// FaultAddressList: a list of addresses whose length does not fit, or with one that no interface has (RFC 3122 section 3.1).
	FaultAddressList
	// FaultMTULength: an MTU option that is not 8 octets (RFC 4861 section 4.6.4).
	FaultMTULength
	// FaultAuthentication: Inverse Neighbor Discovery behind an Authentication Header, which cannot be verified (RFC 3122 section 4.3.1).
	FaultAuthentication
	// FaultHopLimitNotOne: Multicast Listener or Router Discovery with a hop limit other than 1 (RFC 9777 section 5).
	FaultHopLimitNotOne
	// FaultNoRouterAlert: the same without a Router Alert option (RFC 9777 section 5).
	FaultNoRouterAlert
	// FaultListenerLength: records or sources of Multicast Listener Discovery beyond its end, or a Query of no version's length (RFC 9777 section 8.1).
	FaultListenerLength
	// FaultNotGroup: Multicast Listener Discovery about an address that is no group (RFC 9777 section 5.2.9).
	FaultNotGroup
	// FaultListenerDestination: a General Query to a group that is not of all nodes or routers, or Multicast Router Discovery to another than its own (RFC 9777 section 5.1.15, RFC 4286 sections 3.5, 4.4 and 5.4).
	FaultListenerDestination

	faultEnd
)

// Faults is the number of Fault values: they run from FaultNone to Faults-1.
const Faults = int(faultEnd)

var faultNames = [Faults]string{
	FaultNone:                     "none",
	FaultTruncated:                "truncated",
	FaultNotEthernetII:            "not-ethernet-ii",
	FaultTagged:                   "tagged",
	FaultNotIPv6:                  "not-ipv6",
	FaultMulticastSourceMAC:       "multicast-source-mac",
	FaultZeroSourceMAC:            "zero-source-mac",
	FaultBadVersion:               "bad-version",
	FaultZeroPayloadLength:        "zero-payload-length",
	FaultBadLength:                "bad-length",
	FaultMulticastSource:          "multicast-source",
	FaultInternalSource:           "internal-source",
	FaultUnspecifiedDestination:   "unspecified-destination",
	FaultHopByHopNotFirst:         "hop-by-hop-not-first",
	FaultChainTooLong:             "header-chain-too-long",
	FaultChainTruncated:           "header-chain-truncated",
	FaultLaterFragment:            "later-fragment",
	FaultNoUpperLayer:             "no-upper-layer",
	FaultUnknownNextHeader:        "unknown-next-header",
	FaultNotICMPv6:                "not-icmpv6",
	FaultNotUDP:                   "not-udp",
	FaultWrongType:                "wrong-type",
	FaultFragment:                 "fragment",
	FaultRoutingHeader:            "routing-header",
	FaultHopLimit:                 "hop-limit",
	FaultCode:                     "code",
	FaultShort:                    "short",
	FaultChecksum:                 "checksum",
	FaultZeroChecksum:             "zero-checksum",
	FaultUDPLength:                "udp-length",
	FaultOptionZeroLength:         "option-zero-length",
	FaultOptionTruncated:          "option-truncated",
	FaultLinkLayerLength:          "bad-lladdr-length",
	FaultDuplicateLinkLayer:       "duplicate-lladdr",
	FaultMulticastTarget:          "multicast-target",
	FaultUnspecifiedWithLinkLayer: "unspecified-with-slla",
	FaultNotSolicitedNode:         "not-solicited-node",
	FaultSolicitedMulticast:       "solicited-flag-multicast",
	FaultNotLinkLocal:             "source-not-link-local",
	FaultUnspecifiedSource:        "unspecified-source",
	FaultMissingLinkLayer:         "missing-lladdr",
	FaultAddressList:              "bad-address-list",
	FaultMTULength:                "bad-mtu-length",
	FaultAuthentication:           "authentication-header",
	FaultHopLimitNotOne:           "hop-limit-not-1",
	FaultNoRouterAlert:            "no-router-alert",
	FaultListenerLength:           "mld-length",
	FaultNotGroup:                 "mld-not-a-group",
	FaultListenerDestination:      "mld-destination",
}

// String is the fault's stable name in kebab case, such as "hop-limit".
func (f Fault) String() string {
	if int(f) < Faults {
		return faultNames[f]
	}
	return "unknown-fault"
}
