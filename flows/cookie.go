package flows

import (
	"fmt"
	"slices"
	"strings"
)

// Cookie marks a flow as Damselfly's and says what it is for:
//
//	63          48 47    40 39    32 31                    0
//	+-------------+--------+--------+-----------------------+
//	| owner df1e  | layout | role   | object: a key, or 0   |
//	+-------------+--------+--------+-----------------------+
//
// Owner and layout select what is ours in a dump; the role names a drop in
// counters; the object is the key of the port or network the flow stands for.
type Cookie uint64

const (
	cookieOwner = 0xdf1e
	// layoutVersion changes when tables, registers or the meaning of a role
	// change: flows of another layout are swept once ours are in.
	layoutVersion = 1
)

// OwnerMask selects the bits of a cookie that say a flow is Damselfly's.
const OwnerMask = uint64(0xffff) << 48

// Owner is the value of those bits.
const Owner = uint64(cookieOwner) << 48

func cookie(r Role, object uint32) Cookie {
	return Cookie(Owner | layoutVersion<<40 | uint64(r)<<32 | uint64(object))
}

// Ours reports whether a flow with this cookie was installed by Damselfly, of
// whatever layout.
func (c Cookie) Ours() bool { return uint64(c)&OwnerMask == Owner }

// Role returns what the flow is for.
func (c Cookie) Role() Role { return Role(c >> 32) }

// Object returns the key of the port or network the flow stands for, 0 for none.
// Of a drop it is the port that the frames count for, and 0 if TableDropped
// counts them.
func (c Cookie) Object() uint32 { return uint32(c) }

// Role is what a flow is for. Its numbers are in cookies of a live switch:
// append, never renumber.
type Role uint8

// The roles. Those whose name starts with "drop-" end frames; their packet
// counts are Damselfly's drop counters.
const (
	// RoleOther is no role: never in a flow of this layout.
	RoleOther Role = iota
	// RoleClassify tells the sending port and its network.
	RoleClassify
	// RoleGuard passes what has a header chain that a flow can judge.
	RoleGuard
	// RoleGate lets a message to a service from a port in, through its meter.
	RoleGate
	// RoleND finds out what is the sender's own in a Neighbor Discovery message.
	RoleND
	// RoleNDAnswer turns a solicitation into the advertisement.
	RoleNDAnswer
	// RoleNDForward carries a message between guests that is the sender's own in every part.
	RoleNDForward
	// RoleNDAway lets guests ask each other while Damselfly is away.
	RoleNDAway
	// RoleEcho takes out an Echo Request to an address of Damselfly, through the port's meter.
	RoleEcho
	// RoleEchoAnswer turns an Echo Request into the reply.
	RoleEchoAnswer
	// RolePunt hands a frame to Damselfly.
	RolePunt
	// RoleSwitch finds the egress ports.
	RoleSwitch
	// RoleOutput delivers to a port.
	RoleOutput
	// RoleDropTagged ends a tagged frame from an access port.
	RoleDropTagged
	// RoleDropHeaderChain ends a header chain that is cut, or a later fragment that could hide a service's message.
	RoleDropHeaderChain
	// RoleDropNextHeader ends an upper-layer protocol that guests may not send.
	RoleDropNextHeader
	// RoleDropEtherType ends an Ethernet type that no network carries.
	RoleDropEtherType
	// RoleDropSource ends a frame or packet whose source is a group, or an address that never leaves a node.
	RoleDropSource
	// RoleDropNDInvalid ends Neighbor Discovery that no receiver may accept, or that the port's limit forbids.
	RoleDropNDInvalid
	// RoleDropGuestRA ends the Router Advertisement of a guest that is no router.
	RoleDropGuestRA
	// RoleDropRedirect ends a guest's Redirect.
	RoleDropRedirect
	// RoleDropAway ends what only Damselfly could have served while it is away.
	RoleDropAway
	// RoleDropUnknownMAC ends unicast that no port of the network is known for.
	RoleDropUnknownMAC
	// RoleDropEcho ends an Echo Request that may not be answered.
	RoleDropEcho
	// RoleDropUnbound ends a frame to a port that the switch does not have.
	RoleDropUnbound
	// RoleDropDefault ends what reached a table by no way we know.
	RoleDropDefault
	// RoleDropDHCPv6Server ends what only a DHCPv6 server sends.
	RoleDropDHCPv6Server
	// RoleDropDHCPv6Unserved ends DHCPv6 to all servers where Damselfly advertises and serves none.
	RoleDropDHCPv6Unserved
	// RoleDropDHCPv6Refused ends DHCPv6 to servers that its port may not send there, that is in fragments, or that the port's limit forbids.
	RoleDropDHCPv6Refused
	// RoleRoute carries a packet on from network to network.
	RoleRoute
	// RoleDropHopLimit ends a packet to be routed whose hop limit is used up.
	RoleDropHopLimit
	// RoleDropScope ends a packet to be routed whose source may not leave its link.
	RoleDropScope
	// RoleDropNoRoute ends a packet to the router that it has no route for.
	RoleDropNoRoute
	// RoleSource passes what comes from a source of the sending port's own.
	RoleSource
	// RoleLearn takes out a packet whose source nobody is known to hold, through the port's meter.
	RoleLearn
	// RoleDropSpoofed ends what a secured port sends from an address that is not its own.
	RoleDropSpoofed
	// RoleDropMLDQuery ends what only a multicast router says, from a guest that is none: Multicast Listener Queries, Multicast Router Advertisements and Terminations.
	RoleDropMLDQuery
	// RoleTrack finds out what connection a packet of a filtered port belongs to.
	RoleTrack
	// RoleRemote finds the groups of the remote address.
	RoleRemote
	// RoleRule is a rule of a security group.
	RoleRule
	// RoleVerdict does what the rules came to.
	RoleVerdict
	// RoleReject hands what a rule rejects over to be answered.
	RoleReject
	// RoleDropState ends a packet that belongs to no connection and can begin none.
	RoleDropState
	// RoleDropDenied ends a packet that no rule of the port's groups allows.
	RoleDropDenied
	// RoleDropUnsorted counts for its port what ended by a drop that has no counter of the port's own.
	RoleDropUnsorted
	// RoleTrouble takes out what a router cannot carry on, to be answered through the port's meter.
	RoleTrouble
	// RoleDropReversePath ends a packet to be routed whose source is not where it came from.
	RoleDropReversePath
	// RoleDropBlackhole ends a packet to be routed that a route forbids.
	RoleDropBlackhole
	// RoleDropUnreachable ends a packet to be routed to an address that nobody is known to have.
	RoleDropUnreachable
	// RoleDropTooBig ends a packet to be routed that is longer than the next link's MTU.
	RoleDropTooBig
	// RoleDropLocal ends a packet to the router itself, which takes only echo requests.
	RoleDropLocal
	// RoleNeighbor carries a packet on to a neighbour that nobody configured and that was found.
	RoleNeighbor
	// RoleDropUnresolved ends a packet to be routed whose next hop has to be found first, and for which the port's limit lets none be asked.
	RoleDropUnresolved
	// RoleDropUplink ends what routers say of their link at an uplink, either way.
	RoleDropUplink
	// RoleDropDHCPv4Server ends what only a DHCPv4 server sends.
	RoleDropDHCPv4Server
	// RoleDropInverse ends Inverse Neighbor Discovery where it is not answered, and guests' own answers to it.
	RoleDropInverse
	// RoleDropPuntPort ends what came from the punt port and is no reply of Damselfly's.
	RoleDropPuntPort
	// RoleListen finds who listens to a multicast group.
	RoleListen
	// RoleDropMLDInvalid ends Multicast Listener Discovery that no router may accept, or that the port's limit forbids.
	RoleDropMLDInvalid
	// RoleDropUnwanted ends a copy of what goes to a multicast group for a port that does not want it from its source.
	RoleDropUnwanted
	// RoleTranslate puts a floating address in the place of a guest's own, or the other way.
	RoleTranslate
	// RoleDropUntranslated ends a packet to or from a floating address that no flow can translate, and that the port's limit lets not pass to Damselfly.
	RoleDropUntranslated
	// RoleMetadata carries connections between guests and the metadata service.
	RoleMetadata
	// RoleDropMetadata ends what is to or as the metadata service and is no connection to it, or that the port's limit forbids.
	RoleDropMetadata
	// RoleDropMetadataCaller ends what is for the metadata service from an address by which it could not be answered.
	RoleDropMetadataCaller
	// RoleDropPath ends Certification Path messages where the router has a certificate and they are not for it, or the port's limit forbids.
	RoleDropPath
	roles
)

var roleNames = [roles]string{
	"other", "classify", "guard", "gate", "nd", "nd-answer", "nd-forward", "nd-away", "echo", "echo-answer",
	"punt", "switch", "output",
	"drop-tagged", "drop-header-chain", "drop-next-header", "drop-ethertype", "drop-source",
	"drop-nd-invalid", "drop-guest-ra", "drop-redirect", "drop-away", "drop-unknown-mac", "drop-echo",
	"drop-unbound", "drop-default",
	"drop-dhcpv6-server", "drop-dhcpv6-unserved", "drop-dhcpv6-refused",
	"route", "drop-hop-limit", "drop-scope", "drop-no-route",
	"source", "learn", "drop-spoofed", "drop-mld-query",
	"track", "remote", "rule", "verdict", "reject", "drop-state", "drop-denied", "drop-unsorted",
	"trouble", "drop-reverse-path", "drop-blackhole", "drop-unreachable", "drop-too-big", "drop-local",
	"neighbor", "drop-unresolved", "drop-uplink",
	"drop-dhcpv4-server", "drop-inverse", "drop-punt-port",
	"listen", "drop-mld-invalid", "drop-unwanted",
	"translate", "drop-untranslated",
	"metadata", "drop-metadata", "drop-metadata-caller", "drop-path",
}

// String returns the role's name as metrics and plans write it.
func (r Role) String() string {
	if r >= roles {
		return fmt.Sprintf("role-%d", uint8(r))
	}
	return roleNames[r]
}

// RoleNamed returns the role of that name.
func RoleNamed(name string) (Role, bool) {
	i := slices.Index(roleNames[:], name)
	return Role(max(i, 0)), i >= 0
}

// Select returns the cookie and mask that select the flows of the role.
func (r Role) Select() (value, mask uint64) {
	return Owner | uint64(r)<<32, OwnerMask | 0xff<<32
}

// Drop reports whether flows of this role end frames.
func (r Role) Drop() bool { return strings.HasPrefix(r.String(), "drop-") }

// Counted reports whether the packet counts of the role's flows mean something
// to an operator: an answer, a forward or a drop.
func (r Role) Counted() bool {
	return r.Drop() || r == RoleNDAnswer || r == RoleNDForward || r == RoleNDAway || r == RoleEchoAnswer || r == RoleRoute || r == RoleNeighbor || r == RoleTranslate || r == RoleRule
}
