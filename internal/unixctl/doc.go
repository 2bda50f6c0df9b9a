// Package unixctl speaks with the control socket of ovs-vswitchd, as ovs-appctl
// does: JSON-RPC 1.0 over a unix socket, where every parameter and every result
// is a text. Damselfly asks it what OpenFlow has no words for: how the switch
// would treat a frame (ofproto/trace), and what connection tracking holds.
//
//	find.go   where ovs-vswitchd's socket is
//	conn.go   one connection, one call at a time
package unixctl
