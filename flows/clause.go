package flows

// Clause is what a flow of a role does to a frame, for people.
type Clause struct {
	// Text continues "the frame ": "is dropped: ...".
	Text string
	// RFC is the clause that asks for it, such as "RFC 6105 section 1"; "" where
	// it is Damselfly's own rule.
	RFC string
}

// Clause returns what flows of the role do, and the RFC that has them do it.
func (r Role) Clause() Clause {
	if r >= roles {
		return Clause{Text: "meets a flow of another version of Damselfly"}
	}
	return clauses[r]
}

// clauses has one for each role; a test holds it complete, with an RFC for each
// drop but those named there.
var clauses = [roles]Clause{
	RoleOther:              {Text: "meets a flow without a role"},
	RoleClassify:           {Text: "is told to its port and network"},
	RoleGuard:              {Text: "passes the guard: its header chain can be judged"},
	RoleGate:               {Text: "is let in to a service, through the port's meter"},
	RoleND:                 {Text: "is looked at for what is the sender's own in it"},
	RoleNDAnswer:           {"is turned into the Neighbor Advertisement that answers it", "RFC 4861 section 7.2.4"},
	RoleNDForward:          {"is the sender's own in every part and is carried on", "RFC 4861 section 7.2"},
	RoleNDAway:             {Text: "is carried on, since Damselfly is away and it is the sender's own in every part"},
	RoleEcho:               {Text: "is an Echo Request to an address of Damselfly and goes through the port's meter"},
	RoleEchoAnswer:         {"is turned into the Echo Reply that answers it", "RFC 4443 section 4.2"},
	RolePunt:               {Text: "is handed to Damselfly"},
	RoleSwitch:             {Text: "is switched by its destination"},
	RoleOutput:             {Text: "is delivered"},
	RoleDropTagged:         {Text: "is dropped: it carries a VLAN tag that is no sub-port's, and access ports are untagged"},
	RoleDropHeaderChain:    {"is dropped: its header chain is cut off, or it is a later fragment that could complete a hidden message", "RFC 7112 section 5"},
	RoleDropNextHeader:     {"is dropped: behind a header of unknown format anything may hide", "RFC 7113 section 3"},
	RoleDropEtherType:      {Text: "is dropped: no network carries this Ethernet type, only IPv6, IPv4 and ARP"},
	RoleDropSource:         {"is dropped: its source is a group, or an address that never leaves a node", "RFC 4291 section 2.7"},
	RoleDropNDInvalid:      {"is dropped: no receiver may accept this Neighbor Discovery (hop limit 255, code 0, no fragment), or the port's limit lets none of it pass", "RFC 4861 section 7.1"},
	RoleDropGuestRA:        {"is dropped: a guest that is no router may not send Router Advertisements", "RFC 6105 section 1"},
	RoleDropRedirect:       {"is dropped: only the router may send a Redirect", "RFC 4861 section 8.1"},
	RoleDropAway:           {Text: "is dropped: only Damselfly could have served it, and it is away"},
	RoleDropUnknownMAC:     {Text: "is dropped: no port of the network is known for its destination MAC"},
	RoleDropEcho:           {"is dropped: an Echo Request that may not be answered, for its source or the port's limit", "RFC 4443 section 4.2"},
	RoleDropUnbound:        {Text: "is dropped: the port it goes to is not on the switch"},
	RoleDropDefault:        {Text: "is dropped: it came to this table by no known way"},
	RoleDropDHCPv6Server:   {"is dropped: only a DHCPv6 server sends to clients, and no guest of this network is one", "RFC 7610 section 5"},
	RoleDropDHCPv6Unserved: {"is dropped: it asks DHCPv6 servers on a network that Damselfly advertises and gives no DHCPv6", "RFC 7610 section 5"},
	RoleDropDHCPv6Refused:  {"is dropped: it asks DHCPv6 servers where its port may not ask, in fragments, or over the port's limit", "RFC 9915 section 7.1"},
	RoleRoute:              {"is routed", "RFC 8200 section 3"},
	RoleDropHopLimit:       {"is dropped: it is to be routed and its hop limit is used up", "RFC 8200 section 3"},
	RoleDropScope:          {"is dropped: it is to be routed and its source may not leave its link", "RFC 4291 section 2.5.6"},
	RoleDropNoRoute:        {"is dropped: the router has no route for its destination", "RFC 4443 section 3.1"},
	RoleSource:             {Text: "comes from a source of the port's own"},
	RoleLearn:              {"comes from a source that nobody is known to hold", "RFC 6620 section 3.2.3"},
	RoleDropSpoofed:        {"is dropped: its source is not the port's own", "RFC 6620 section 3.2.3"},
	RoleDropMLDQuery:       {"is dropped: a guest that is no router may not ask for multicast listeners, nor say that it routes multicast", "RFC 9777 section 5.1"},
	RoleTrack:              {Text: "comes to the rules of a port, if it has any, and to its connection"},
	RoleRemote:             {Text: "is told to the security groups of its remote address"},
	RoleRule:               {Text: "matches a rule of a security group"},
	RoleVerdict:            {Text: "is treated as the rules came to"},
	RoleReject:             {"is rejected by a rule: its sender is told so", "RFC 4443 section 3.1"},
	RoleDropState:          {Text: "is dropped: it belongs to no connection and can begin none"},
	RoleDropDenied:         {Text: "is dropped: no rule of the port's security groups allows it"},
	RoleDropUnsorted:       {Text: "is counted for its port"},
	RoleTrouble:            {"cannot be routed, and its sender is told so", "RFC 4443 section 3"},
	RoleDropReversePath:    {"is dropped: it is to be routed and its source is not where it came from", "RFC 3704 section 2.2"},
	RoleDropBlackhole:      {"is dropped: a route of the router forbids its destination", "RFC 4443 section 3.1"},
	RoleDropUnreachable:    {"is dropped: nobody is known to have its destination", "RFC 4443 section 3.1"},
	RoleDropTooBig:         {"is dropped: it is longer than the MTU of the network it is routed to", "RFC 4443 section 3.2"},
	RoleDropLocal:          {"is dropped: it is for the router itself, which takes only echo requests", "RFC 4443 section 3.1"},
	RoleNeighbor:           {"is carried on to a neighbour that was found by asking", "RFC 4861 section 7.2.2"},
	RoleDropUnresolved:     {"is dropped: nobody is known yet to have the address that it goes to, and the port's limit of class unknown lets nobody be asked", "RFC 6583 section 4.2"},
	RoleDropUplink:         {"is dropped: what routers say of their link does not pass an uplink", "RFC 6105 section 1"},
	RoleDropPath:           {"is dropped: the router of the network has a certificate and sends it itself, or the port's limit lets nobody ask", "RFC 3971 section 6.4.5"},
	RoleDropInverse:        {"is dropped: Inverse Neighbor Discovery is not answered here, no receiver may accept this (hop limit 255, code 0, no fragment), or the port's limit lets none of it pass; guests' own answers never are carried on", "RFC 3122 section 4.3"},
	RoleListen:             {"goes to who listens to its multicast group", "RFC 4541 section 3"},
	RoleDropMLDInvalid:     {"is dropped: no router may accept this Multicast Listener Discovery (hop limit 1, no fragment), or the port's limit lets none of it pass", "RFC 9777 section 5"},
	RoleDropUnwanted:       {"is dropped: the port listens to its multicast group, but not to its source", "RFC 9777 section 7.2"},
	RoleTranslate:          {"is translated to a floating address, or from one", "RFC 6296 section 3"},
	RoleDropUntranslated:   {"is dropped: it is an ICMPv6 error to or from a floating address, or of an address not known yet, and the port's limit of class error lets none of these pass", "RFC 4443 section 2.4"},
	RoleDropDHCPv4Server:   {Text: "is dropped: only a DHCPv4 server sends from port 67 or to port 68, and no secured guest is one"},
	RoleDropPuntPort:       {Text: "is dropped: it came from the punt port and is no reply of Damselfly's"},
	RoleMetadata:           {Text: "is of a connection to the metadata service, which the switch carries there and back"},
	RoleDropMetadata:       {Text: "is dropped: to the metadata service go TCP port 80, ARP and pings alone, within the port's limit of class metadata, and nobody else has its addresses"},
	RoleDropMetadataCaller: {Text: "is dropped: the metadata service answers callers from the prefixes of their network and from configured IPv4 addresses alone"},
}
