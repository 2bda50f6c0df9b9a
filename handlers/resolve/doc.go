// Package resolve is what the router asks and hears of neighbours that nobody
// configured, behind uplinks and ports with unknown hosts (RFC 4861 section 7),
// and of the routers behind an uplink (section 6.3).
//
//	lane.go     Lane: what a message does, in the fast lane handed over, in the slow one decided
//	send.go     what Damselfly asks, and what becomes of packets that waited
//
// It is to package neighbor what learn is to binding. Without a Lane nothing is
// resolved.
package resolve
