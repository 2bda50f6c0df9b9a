// Package neighbor resolves neighbours that the topology does not know, those
// behind an uplink or a port with unknown hosts, and finds out when they go: the
// Neighbor Cache and Neighbor Unreachability Detection of a router (RFC 4861
// sections 7.2 and 7.3).
//
// The map:
//
//	neighbor.go  State, Place, Neighbor, Event: what is known, asked and told; the times
//	table.go     Table: entries, and where each is filed
//	want.go      a packet for a neighbour: known, asked for, or one too many
//	heard.go     what neighbours say of themselves
//	used.go      what flows carried, and next hops that are never let go
//	timer.go     what happens when nobody says anything
//	bound.go     how much one port, one network and all may take (RFC 6583)
//	view.go      what others see
//
// An entry goes through the states of RFC 4861 section 7.3.2:
//
//	(none) -- a packet for it --------------> incomplete  asked for, at most three times
//	incomplete -- solicited answer ---------> reachable   what waited is sent
//	incomplete -- three seconds of silence -> (none)      what waited is unreachable
//	reachable -- its time is over ----------> stale       still used
//	stale -- used --------------------------> delay, then probe
//	stale -- not used ----------------------> (none)
//	probe -- solicited answer --------------> reachable
//	probe -- three seconds of silence ------> (none)
//	(none) -- it told of itself ------------> stale       (RFC 9131 section 4.1)
//
// A next hop of a route is pinned: it never rests in stale, and is asked for anew
// whenever it is lost.
//
// A Table is one goroutine's. It sends nothing: what is to be sent or told are
// Events, which its owner takes after each group of messages. Time is passed in,
// as uptime. Its owner keeps the View on disk, and after a restart has what was there
// recalled.
//
// Ports and networks go by name, since their numbers may pass to others.
package neighbor
