// Package dhcpv6 is the DHCPv6 server of a guest's own port (RFC 9915), and a
// relay towards another where the configuration says so. The same functions
// decide on both lanes, so that both give the same octets:
//
//	Server.Handle   the fast lane: answers what needs no change of state, from the
//	                leases that were committed; hands everything else over
//	Server.Decide   the slow lane: decides any message within a transaction; the
//	                caller commits it before the reply may leave
//
// The map:
//
//	server.go       Server, and what it needs of leases and of the slow lane
//	gate.go         a frame -> a message that may be answered, or the reason why not
//	exchange.go     one message being answered: the reply's beginning and end
//	messages.go     message by message (RFC 9915 sections 18.3.1 to 18.3.8)
//	assign.go       what each IA is to have: addresses
//	delegate.go     what each IA is to have: prefixes
//	settled.go      the same where all leases are there already, without a transaction
//	grants.go       IAs as they go out: lifetimes, T1 and T2, statuses
//	room.go         how much fits, decided before anything is bound
//	options.go      what the client asked to know, its name, the reconfigure key
//	register.go     addresses that guests chose themselves (RFC 9686)
//	reconfigure.go  Reconfigure, for whoever sees the configuration change
//	forward.go      relaying to an external server and back (RFC 9915 section 19)
//
// Identity is the port and the client's DUID: what a guest claims about itself
// never reaches the leases of another port. Clients must send from port 546 and
// a link-local address; relays, which must stand behind a port marked so, may
// use any port and are answered on 547, or on their own if they ask for it (RFC
// 8357). A relay's clients live on the network of its port.
package dhcpv6
