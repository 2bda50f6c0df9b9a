// Package reason numbers and names every way a punted frame can end. It stands
// below the protocols, so that each can return its reasons and the dispatch
// above them can list all.
//
//	reason.go   the reasons of decisions: answered, re-sent, or a rule about who may say what
//	fault.go    the reasons of malformed frames, one for each wire.Fault
//	send.go     the reasons of messages that are signed wrongly, one for each send.Fault
//	dhcpv6.go   the reasons of malformed DHCPv6, one for each dhcpv6.Fault
//	clause.go   the RFC behind each of them
//
// The numbers live only in this process; the names are stable: operators graph them.
package reason

import (
	"damselfly/internal/dhcpv6"
	"damselfly/internal/send"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// HandedOver: the frame waits for a decision that changes durable state; the slow lane counts its end.
const HandedOver = pipeline.Deferred

// The ways a frame that reached the handlers can end, faults of its form aside.
const (
	// Answered: a reply, or for a solicited advertisement several, went back.
	Answered = pipeline.FirstReason + iota
	// Defended: a probe for a taken address was told so (RFC 4862 section 5.4.3).
	Defended
	// Relayed: the frame was validated and re-sent unchanged within its network.
	Relayed

	// UnknownPort: the snapshot has no port with the frame's key, or no number of the switch to answer by.
	UnknownPort
	// UnknownNetwork: the snapshot has no such network, or the port is no longer on it.
	UnknownNetwork
	// NotOurs: well formed, but addressed to nobody that Damselfly answers for, or of a protocol it does not serve.
	NotOurs
	// NotHandled: an ICMPv6 type that Damselfly has no answer to.
	NotHandled
	// Misdirected: Ethernet and IPv6 destination belong to different nodes.
	Misdirected

	// OwnAddress: a guest asked about an address that is its own; an answer would make it give the address up.
	OwnAddress
	// TargetUnbound: the address asked about is known, but its guest is not there.
	TargetUnbound

	// ForgedMAC: the Ethernet source is neither the port's MAC nor that of one of its pairs.
	ForgedMAC
	// ForgedLinkLayer: the link-layer address option is neither the port's MAC nor that of one of its pairs.
	ForgedLinkLayer
	// ForgedSource: the IPv6 source is another's, or none that the port may have.
	ForgedSource
	// ForgedTarget: an advertisement for an address of another, or for none that the port may have.
	ForgedTarget
	// Learning: the address is nobody's yet, and has to be the port's before it may be used (RFC 6620 section 3.2.2).
	Learning
	// ForgedRouterFlag: an advertisement with the R flag from a guest that is no router.
	ForgedRouterFlag
	// GuestRA: a Router Advertisement from a port that may not send one (RFC 6105 section 1).
	GuestRA
	// GuestRedirect: a Redirect from a guest (RFC 4861 section 8.1).
	GuestRedirect
	// GuestMLDQuery: a Multicast Listener Query, or Multicast Router Discovery as of a router, from a guest that is none (RFC 4541 section 4).
	GuestMLDQuery

	// SendUnsigned: Neighbor Discovery without a signature where one is required (RFC 3971 section 8).
	SendUnsigned
	// SendUnsecured: it speaks unsigned for an address whose holder signs (RFC 3971 section 8).
	SendUnsecured
	// SendOverLimit: the port cost as many signatures as it may.
	SendOverLimit
	// NotSigned: the answer could not be signed.
	NotSigned
	// NoCertificate: a Certification Path Solicitation for what the router has no certificate of (RFC 3971 section 6.4.5).
	NoCertificate
	// GuestPathAdvert: a Certification Path Advertisement from a guest.
	GuestPathAdvert

	// InverseOff: Inverse Neighbor Discovery on a network that does not have it (RFC 3122 section 5).
	InverseOff
	// InverseUnknown: nobody on the network is known by the MAC that was asked about.
	InverseUnknown
	// GuestInverseAdvert: a guest's own answer to Inverse Neighbor Discovery, which is Damselfly's to answer.
	GuestInverseAdvert
	// ForgedAddressList: a guest claims addresses of others in an Inverse Neighbor Discovery Solicitation.
	ForgedAddressList

	// Rejected: a rule of a security group rejects it, and the sender was told.
	Rejected
	// NoErrorDue: a rule rejects it or no router can carry it on, and no error may be sent about it (RFC 4443 section 2.4 (e)).
	NoErrorDue
	// TimeExceeded: its hop limit was used up at the router, and the sender was told.
	TimeExceeded
	// NoRoute: the router has no route to its destination, and the sender was told.
	NoRoute
	// AddressUnreachable: nobody is known to have its destination on the network it is routed to, and the sender was told.
	AddressUnreachable
	// RouteProhibits: a route forbids its destination, and the sender was told.
	RouteProhibits
	// RouteRejects: a route rejects its destination, and the sender was told.
	RouteRejects
	// BeyondScope: to be routed from a link-local source, and the sender was told.
	BeyondScope
	// PacketTooBig: longer than the MTU of the network it is routed to, and the sender was told.
	PacketTooBig
	// NoMapping: its source or destination is of a translated prefix and has no mapping, and the sender was told (RFC 6296 section 3.7).
	NoMapping
	// NobodyListens: for the router itself, where nobody takes it, and the sender was told.
	NobodyListens
	// ParameterProblem: for the router itself, which cannot process a header of it, and the sender was told.
	ParameterProblem
	// OptionDiscards: for the router itself, with an option that has it discarded where it is not known.
	OptionDiscards
	// Logged: a copy of what a logging rule decided; the packet itself went on or ended in the switch.
	Logged
	// StillThere: a guest answered that it still holds a learned address (RFC 6620 section 3.2.3).
	StillThere
	// TooManyAddresses: the port holds as many learned addresses as it may (RFC 6620 section 4.1).
	TooManyAddresses
	// AddressConflict: a guest uses an address that another just came to hold.
	AddressConflict

	// Resolving: who has the address of the next hop is being asked; the packet waits for that.
	Resolving
	// Forwarded: the packet went on to a next hop that was just found (RFC 4861 section 7.2.2).
	Forwarded
	// Translated: to or from a floating address, translated and sent on.
	Translated
	// TooManyUnresolved: too many next hops are being asked for (RFC 6583 section 6.4).
	TooManyUnresolved
	// NeighborHeard: an answer to the router's own question where it is (RFC 4861 section 7.2.5).
	NeighborHeard
	// RouterHeard: a Router Advertisement from an uplink that was taken in (RFC 4861 section 6.3.4).
	RouterHeard
	// UplinkRouter: a Router Advertisement from an uplink whose routers are not to be learned.
	UplinkRouter
	// UplinkMetadata: asked from an uplink for an address of the metadata service, which every host has for itself.
	UplinkMetadata

	// ListenerHeard: a report of who listens to which groups that was taken in (RFC 9777 section 7.4).
	ListenerHeard
	// ListenersAsked: another multicast router asked the network's router alone who listens (RFC 9777 section 5.1.15).
	ListenersAsked
	// TooManyGroups: the port listens to as many groups as it may.
	TooManyGroups
	// TooManySources: the port names more sources of groups than it may; it gets all.
	TooManySources
	// MulticastRouterAsked: who multicast routers are was asked, and will be told (RFC 4286 section 4).
	MulticastRouterAsked

	// SlowLaneFull: there was no place to wait in, or the port had all of its own.
	SlowLaneFull
	// NotDurable: the state that the answer promises could not be written, so there is no answer.
	NotDurable

	// DHCPv6NotServed: no subnet of the network has DHCPv6, or the network has nobody to answer from.
	DHCPv6NotServed
	// DHCPv6RelayNotAllowed: a Relay-forward from a port that is not marked as a relay's (RFC 9915 section 19).
	DHCPv6RelayNotAllowed
	// DHCPv6SourcePort: a client's message from another UDP port than 546.
	DHCPv6SourcePort
	// DHCPv6SourceAddress: a client's message that is not from a link-local address (RFC 9915 section 18.2).
	DHCPv6SourceAddress
	// DHCPv6UnknownLink: a relay names a link that is not the network's.
	DHCPv6UnknownLink
	// DHCPv6CannotJudge: a Confirm on a network without prefixes to compare with (RFC 9915 section 18.3.3).
	DHCPv6CannotJudge
	// DHCPv6Registration: an address that may not be registered (RFC 9686 section 4.2.1).
	DHCPv6Registration
	// DHCPv6TooLarge: the answer does not fit a packet of 1,280 octets.
	DHCPv6TooLarge
	// DHCPv6Forwarded: the message went to the external server of its subnet.
	DHCPv6Forwarded
	// DHCPv6ServerUnreachable: the external server could not be sent to.
	DHCPv6ServerUnreachable

	firstFault
)

// firstSEND is the first reason of a message that is signed wrongly.
const firstSEND = firstDHCPv6 + pipeline.Reason(dhcpv6.Faults) - 1

const firstDHCPv6 = firstFault + pipeline.Reason(wire.Faults) - 1

// Count is the number of reasons, those of the pipeline included: they run
// from 0 to Count-1.
const Count = int(firstSEND) + send.Faults - 1

type entry struct{ name, text string }

var entries = [firstFault]entry{
	pipeline.Unset:     {"unset", "no decision was made: a mistake in Damselfly, please report it"},
	pipeline.OverLimit: {"over-limit", "dropped unseen: the port sent more of this class than its limit; raise it under `limits` if the guest means well"},
	pipeline.Panicked:  {"panicked", "the frame made a handler fail: a mistake in Damselfly, please report the stack in the log"},

	Answered: {"answered", "answered"},
	Defended: {"dad-defended", "a duplicate address probe was told that the address is taken"},
	Relayed:  {"relayed", "valid, and re-sent to the ports of the network that it concerns"},

	UnknownPort:    {"unknown-port", "the port is not in the configuration any more; normal for a moment while a port is removed"},
	UnknownNetwork: {"unknown-network", "the port is not on this network any more; normal for a moment while a network changes"},
	NotOurs:        {"not-ours", "not addressed to a service of this network; normal for a moment while the configuration changes"},
	NotHandled:     {"not-handled", "an ICMPv6 type that has no answer here"},
	Misdirected:    {"misdirected", "sent to the MAC of one node and the address of another: a stale neighbour entry, or a probe for hosts that answer wrongly"},

	OwnAddress:    {"own-address", "a guest asked about its own address, which nobody else has: silence is the right answer"},
	TargetUnbound: {"target-unbound", "the address belongs to a port whose interface is not on the switch"},

	ForgedMAC:        {"forged-mac", "the Ethernet source is neither the port's `mac` nor that of one of its `allowed_address_pairs`; a port that bridges other hosts needs `unknown: true`"},
	ForgedLinkLayer:  {"forged-link-layer", "a link-layer address option names a MAC that is neither the port's nor that of one of its `allowed_address_pairs`"},
	ForgedSource:     {"forged-source", "the source address is another's, or on no prefix where guests make their own; what the port may use beside its own goes into its `allowed_address_pairs`"},
	ForgedTarget:     {"forged-target", "a guest advertised an address that is another's, or on no prefix where guests make their own; what it answers for goes into its `allowed_address_pairs`"},
	Learning:         {"learning", "from or for an address that nobody is known to hold: the others are asked for a moment, then it is the port's; guests try again by themselves"},
	ForgedRouterFlag: {"forged-router-flag", "a guest advertised itself as a router; if it is one, its port needs `router: true`"},
	GuestRA:          {"guest-ra", "a Router Advertisement from a guest; only a port with `router: true` on a network that Damselfly does not advertise may send one"},
	GuestRedirect:    {"guest-redirect", "a Redirect from a guest"},
	SendUnsigned:     {"send-unsigned", "Neighbor Discovery without a signature on a network whose `send` is `require`"},
	SendUnsecured:    {"send-unsecured", "it speaks unsigned for an address whose holder signs what it says"},
	SendOverLimit:    {"send-over-limit", "the port had as many signatures verified or made as its limit of class `send` allows"},
	NotSigned:        {"not-signed", "the answer could not be signed; look at the network's `key`"},
	NoCertificate:    {"no-certificate", "asks for a certificate that the router does not have; see the network's `certificate`"},
	GuestPathAdvert:  {"guest-path-advert", "a guest's certificates for a router; only the router of the network sends its own"},

	InverseOff:         {"inverse-off", "Inverse Neighbor Discovery on a network without `inverse_nd: true`"},
	InverseUnknown:     {"inverse-unknown", "asks for the addresses of a link-layer address that no port of the network has"},
	GuestInverseAdvert: {"guest-inverse-advert", "a guest's own answer to Inverse Neighbor Discovery; Damselfly answers for all, so nobody sends it"},
	ForgedAddressList:  {"forged-address-list", "a guest claims addresses that are another's, or on no prefix where guests make their own"},

	GuestMLDQuery: {"guest-mld-query", "a Multicast Listener Query or Multicast Router Advertisement from a guest; if it is a router, its port needs `router: true`"},

	Rejected:           {"rejected", "a rule of a security group rejects it; the sender was told by an ICMPv6 error or a TCP reset"},
	NoErrorDue:         {"no-error-due", "a rule of a security group rejects it or the router cannot carry it on, but no error may be sent about such a packet"},
	TimeExceeded:       {"time-exceeded", "its hop limit was used up at the router; normal for traceroute, a loop of routes otherwise"},
	NoRoute:            {"no-route", "the router has no route to its destination; one goes into the router's `routes`"},
	AddressUnreachable: {"address-unreachable", "routed to a network on which nobody is known to have its destination"},
	RouteProhibits:     {"route-prohibits", "a route of type `prohibit` forbids its destination"},
	RouteRejects:       {"route-rejects", "a route of type `reject` leads to its destination"},
	BeyondScope:        {"beyond-scope", "to be routed from a link-local source, which is nobody's beyond its link"},
	PacketTooBig:       {"packet-too-big", "longer than the `mtu` of the network it is routed to; the sender learns it by that"},
	NoMapping:          {"no-mapping", "an address in it lies in a prefix that is translated and has itself no mapping: an interface identifier of zeroes, which is no host's"},
	NobodyListens:      {"nobody-listens", "for the router itself, on a port that nobody listens on"},
	ParameterProblem:   {"parameter-problem", "for the router itself, with a next header, option or header field that it cannot process"},
	OptionDiscards:     {"option-discards", "for the router itself, with an option that has it discarded where it is not known, with headers that are cut, or a fragment"},
	Logged:             {"logged", "a copy of a packet that a logging rule of a security group decided; see the log"},
	StillThere:         {"still-there", "a guest that was asked still uses an address learned from it"},
	TooManyAddresses:   {"too-many-addresses", "the port holds as many learned addresses as `limits` allow under `addresses`; one that it uses no more is found out and given up"},
	AddressConflict:    {"address-conflict", "the address was just learned from another port; the log names both"},

	HandedOver:        {"handed-over", "waits for a lease to be written, or an address or a neighbour to be learned; the slow lane counts its end"},
	Resolving:         {"resolving", "to a neighbour that nobody configured: it is asked for, and the packet waits until it answers or three seconds are over"},
	Forwarded:         {"forwarded", "carried on to a neighbour that was just found"},
	Translated:        {"translated", "to or from a floating address, and what no flow translates: an ICMPv6 error, with what it quotes, or an address that is not known yet"},
	TooManyUnresolved: {"too-many-unresolved", "more neighbours are asked for than may be at once, as when somebody scans a prefix; those that are known are not touched"},
	NeighborHeard:     {"neighbor-heard", "a neighbour that nobody configured told where it is"},
	RouterHeard:       {"router-heard", "a Router Advertisement of the uplink was taken in; guests do not hear it"},
	UplinkRouter:      {"uplink-router", "a Router Advertisement of the uplink, whose `accept_ra` is not set"},

	ListenerHeard:        {"listener-heard", "a guest told which multicast groups it listens to; there is no multicast router to tell it on to"},
	ListenersAsked:       {"listeners-asked", "a multicast router asked ours alone who listens"},
	TooManyGroups:        {"too-many-groups", "the port listens to as many multicast groups as `limits` allow under `groups`; it does not get the others"},
	TooManySources:       {"too-many-sources", "the port names more sources of multicast groups than four for each of its `groups`; it gets such groups from all sources"},
	MulticastRouterAsked: {"multicast-router-asked", "a Multicast Router Solicitation; it is answered within two seconds"},
	UplinkMetadata:       {"uplink-metadata", "asked from the uplink for an address of the metadata service: every host has that for itself, and nothing of it passes an uplink"},

	SlowLaneFull: {"slow-lane-full", "more requests wait than are kept, or more of this port than its share; guests try again by themselves"},
	NotDurable:   {"not-durable", "the lease could not be written to `state`, so it was not given; look at the disk"},

	DHCPv6NotServed:         {"dhcpv6-not-served", "no subnet of the network has a DHCPv6 `mode`, and nothing is delegated"},
	DHCPv6RelayNotAllowed:   {"dhcpv6-relay-not-allowed", "a relay's message from a port without `dhcpv6_relay: true`"},
	DHCPv6SourcePort:        {"dhcpv6-source-port", "a client's message from a UDP port other than 546"},
	DHCPv6SourceAddress:     {"dhcpv6-source-address", "a client's message that is not from a link-local address"},
	DHCPv6UnknownLink:       {"dhcpv6-unknown-link", "a relay names a link that is on no subnet of its port's network"},
	DHCPv6CannotJudge:       {"dhcpv6-cannot-judge", "a Confirm on a network without a prefix to compare with; silence is the right answer"},
	DHCPv6Registration:      {"dhcpv6-registration-refused", "an address to register that is on no subnet of the network, is another's, or is one more than the port may hold"},
	DHCPv6TooLarge:          {"dhcpv6-too-large", "the answer would not fit 1,280 octets; the client asks for too much at once"},
	DHCPv6Forwarded:         {"dhcpv6-forwarded", "passed on to the server that `relay_to` names"},
	DHCPv6ServerUnreachable: {"dhcpv6-server-unreachable", "could not be passed on to the server that `relay_to` names"},
}

// Name returns the stable name of r in kebab case, as metrics label it; "unknown" if there is no such reason.
func Name(r pipeline.Reason) string {
	switch {
	case r < firstFault:
		return entries[r].name
	case r < firstDHCPv6:
		return fault(r).String()
	case r < firstSEND:
		return "dhcpv6-" + dhcpv6Fault(r).String()
	case int(r) < Count:
		return "send-" + sendFault(r).String()
	}
	return "unknown"
}

// Explain returns what r tells an operator, one line; "" if there is no such reason.
func Explain(r pipeline.Reason) string {
	switch {
	case r < firstFault:
		return entries[r].text
	case r < firstDHCPv6:
		return faultTexts[fault(r)]
	case r < firstSEND:
		return dhcpv6Texts[dhcpv6Fault(r)]
	case int(r) < Count:
		return sendTexts[sendFault(r)]
	}
	return ""
}

// Replies reports whether frames that end so had something sent because of them.
func Replies(r pipeline.Reason) bool {
	return r == Answered || r == Forwarded || r == Translated || r == Defended || r == Relayed || r >= Rejected && r <= ParameterProblem && r != NoErrorDue
}

// Drops reports whether frames that end so were ended here, with nothing sent and
// nobody else to decide.
func Drops(r pipeline.Reason) bool {
	return r != pipeline.Unset && r != HandedOver && r != DHCPv6Forwarded && r != Resolving && r != NeighborHeard && r != RouterHeard && r != ListenerHeard && r != ListenersAsked && r != TooManySources && r != MulticastRouterAsked && !Replies(r)
}
