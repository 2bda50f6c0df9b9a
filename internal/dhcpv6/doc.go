// Package dhcpv6 reads what clients and relays send to a DHCPv6 server and
// writes what the server answers (RFC 9915). It knows bytes and the rules a
// single message can be judged by, nothing of networks, leases or policy.
//
// The way through it:
//
//	Request.Read   the one gate: a datagram -> relays, identifiers, IAs and hints, or the Fault that ended it (request.go, walk.go, ia.go, check.go)
//	CheckRelayReply the gate of what an external server answers to a relay (relay.go)
//	Message, Relay, Options, IA, IAAddr, FQDN, ...   views: named []byte with getters at fixed offsets
//	Writer         a reply option by option, nested, inside Relay-replies, inside a frame (writer.go, leases.go, relaywriter.go, frame.go)
//	Auth           the Reconfigure Key Authentication Protocol (auth.go)
//	AppendDUID..., AppendName   identifiers and names in wire form (duid.go, name.go)
//
// A view borrows the datagram: it is valid as long as the datagram's buffer
// is, must not be written through, and its getters may panic on bytes that did
// not come through the gate named on its type. Behind the gate nothing here
// panics or reads outside the datagram. Reading and writing allocate nothing;
// authentication and text forms do.
//
// What RFC 9915 took out is not here: temporary addresses, the Server Unicast
// option and the UseMulticast status.
package dhcpv6
