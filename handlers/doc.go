// Package handlers decides what becomes of one punted frame, given one snapshot
// of the topology: which replies, and the one reason it ends in. Below Bind all
// of it is pure: no state, no I/O, no clock. What must change durable state to be
// answered is handed over, and decided by Services.Decide within a transaction.
//
//	bind.go       a batch: snapshot and time loaded once, a panic kept to its frame
//	dispatch.go   a frame: its port and network, its headers, the protocol by a switch
//	packet/       what a protocol gets to see, and the checks of a sender that all share
//	reason/       every outcome with its name and what it tells an operator
//	nd/           Neighbor Solicitation and Advertisement, Redirect (RFC 4861 sections 7 and 8)
//	learn/        addresses that nobody configured: who may use one (RFC 6620)
//	mld/          who listens to multicast groups and who routes them (RFC 9777, RFC 4286)
//	ra/           Router Solicitation and Advertisement (RFC 4861 section 6)
//	icmpv6/       echo, and errors about what was rejected or could not be routed (RFC 4443)
//	dhcpv6/       the DHCPv6 server, and a relay (RFC 9915)
//
// A frame gets at most one reply, but a Router Solicitation one for each
// advertisement of its network, and what listeners say goes to each multicast router. Bytes come from wire, whose gates every message
// passes before a field of it is believed.
package handlers
